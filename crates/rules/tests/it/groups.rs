use std::cell::Cell;
use std::time::Duration;

use expect_test::{Expect, expect};
use paramedic_model::{Labels, Series, TimeMs};
use paramedic_promql::{EvalOptions, Source};
use paramedic_rules::{Context, Health, Store};

use crate::support::{Drive, Window, group, seconds};

/// One group with these rules, in flow style.
fn with_rules(rules: &str) -> Drive {
    Drive::new(&format!("groups: [{{name: g, interval: 1m, rules: [{rules}]}}]"))
}

fn check(rules: &str, script: &str, want: Expect) {
    want.assert_eq(&with_rules(rules).run(script));
}

#[test]
fn the_alerts_of_the_five_pages() {
    let mut drive = Drive::new(include_str!("data/pages.yml"));
    let transcript = drive.run(
        r#"
        every 1m
        opnsense_services_status{name="unbound",opnsense_instance="fw1"}      1 0 0 0 1
        opnsense_wireguard_peer_status{device_name="wg0",peer_name="lap"}     1 0 0 0 0
        opnsense_wireguard_interfaces_status{device_name="wg0"}               1 1 1 1 1
        oxidized_status                                                       0 0 0 0 0 0
        traefik_service_server_up{service="web",url="http://b1"}              0 0 0 0 0
        windows_service_status{instance="win1",name="spooler",status="ok"}    1 0 0 1 1
        "#,
    );
    expect![[r#"
        0s Pended {alertname="OxidizedConnectionDown", severity="critical"} = 0
        60s Pended {alertname="OPNsenseServiceDown", name="unbound", opnsense_instance="fw1", severity="critical"} = 0
        60s Pended {alertname="OPNsenseWireGuardPeerOffline", device_name="wg0", peer_name="lap", severity="critical"} = 0
        60s Pended {alertname="WindowsServerServiceStatus", instance="win1", name="spooler", severity="critical", status="ok"} = 0
        120s Fired {alertname="WindowsServerServiceStatus", instance="win1", name="spooler", severity="critical", status="ok"} = 0
        180s Fired {alertname="OPNsenseServiceDown", name="unbound", opnsense_instance="fw1", severity="critical"} = 0
        180s Fired {alertname="OPNsenseWireGuardPeerOffline", device_name="wg0", peer_name="lap", severity="critical"} = 0
        180s Resolved {alertname="WindowsServerServiceStatus", instance="win1", name="spooler", severity="critical", status="ok"} = 0
        240s Resolved {alertname="OPNsenseServiceDown", name="unbound", opnsense_instance="fw1", severity="critical"} = 0
        300s Fired {alertname="OxidizedConnectionDown", severity="critical"} = 0
    "#]]
    .assert_eq(&transcript);
    // `count` never yields 0, so this one as written stays silent for ever.
    let traefik = &drive.group.rules()[3];
    assert_eq!((traefik.alerts().count(), traefik.health()), (0, &Health::Ok));
}

#[test]
fn of_very_many_series_an_alert_knows_some_and_one_of_each_target() {
    let mut drive = with_rules("{alert: Many, expr: count(up) > 1}");
    let series = |at: usize| format!("up{{instance=\"i{}\",n=\"{at:03}\"}} 1\n", at / 100);
    drive.run(&(0..300).map(series).collect::<String>());
    let alert = drive.group.rules()[0].alerts().next().expect("firing");
    let known: Vec<_> = alert.origins.iter().map(|origin| origin.value("n")).collect();
    assert_eq!((known.len(), known[0], known[63]), (66, "000", "063"));
    assert_eq!(known[64..], ["100", "200"]);
}

#[test]
fn no_metric_is_left_out_of_very_many_series() {
    let mut drive = with_rules("{alert: Many, expr: count(up) > 1 and on () switch == 1}");
    let series = |at: usize| format!("up{{instance=\"i1\",n=\"{at:03}\"}} 1\n");
    drive.run(&((0..300).map(series).collect::<String>() + "switch{instance=\"i1\"} 1\n"));
    let alert = drive.group.rules()[0].alerts().next().expect("firing");
    let names = alert.origins.iter().filter_map(Labels::metric_name);
    assert_eq!(names.filter(|name| *name == "switch").count(), 1);
    assert_eq!(alert.origins.len(), 65);
}

#[test]
fn a_rule_tells_how_long_it_took() {
    /// Every look at the stopwatch is a second later than the last one.
    struct Slow(Window, Cell<u64>);

    impl Store for Slow {
        fn source(&self) -> &dyn Source {
            &self.0
        }

        fn append(&mut self, at: TimeMs, series: &[Series]) -> Result<(), String> {
            self.0.append(at, series)
        }

        fn elapsed(&self) -> Duration {
            self.1.set(self.1.get() + 1);
            Duration::from_secs(self.1.get())
        }
    }

    let mut group =
        group("groups: [{name: g, rules: [{record: a, expr: up}, {alert: B, expr: a}]}]");
    let options = EvalOptions::default();
    let external_labels = Labels::empty();
    let context =
        Context { options: &options, external_labels: &external_labels, external_url: "" };
    assert_eq!(group.rules()[0].took(), Duration::ZERO);
    let mut store = Slow(Window::new(), Cell::new(0));
    group.evaluate(&mut store, seconds(0), &context);
    assert!(group.rules().iter().all(|state| state.took() == Duration::from_secs(1)));
}

#[test]
fn an_alert_knows_the_series_that_it_came_from() {
    let mut drive = Drive::new(include_str!("data/pages.yml"));
    drive.run(
        r#"
        opnsense_wireguard_peer_status{device_name="wg0",peer_name="lap"}  0
        opnsense_wireguard_interfaces_status{device_name="wg0"}            1
        "#,
    );
    let alert = drive.group.rules()[1].alerts().next().expect("pending");
    let mut origins: Vec<_> = alert.origins.iter().map(Labels::to_string).collect();
    origins.sort();
    assert_eq!(
        origins,
        [
            r#"opnsense_wireguard_interfaces_status{device_name="wg0"}"#,
            r#"opnsense_wireguard_peer_status{device_name="wg0", peer_name="lap"}"#,
        ]
    );
}

#[test]
fn labels_and_annotations_are_rendered() {
    let mut drive = with_rules(
        r#"{alert: A, expr: up == 0, labels: {
              job: "{{ $labels.job | toUpper }}", instance: "", raw: "{{ $labels.__name__ }}"},
            annotations: {
              summary: "{{ $labels.instance }} {{ $externalLabels.cluster }} {{ externalURL }} {{ $value }}",
              others: '{{ with query "count(up)" }}{{ . | first | value }}{{ end }}',
              empty: "{{ $labels.severity }}",
              broken: "{{ $labels.job.x }}",
              asked: '{{ query "up{" }}'}}"#,
    );
    drive.run(
        r#"
        up{instance="a",job="node"} 0
        up{instance="b",job="node"} 1
        "#,
    );
    let alert = drive.group.rules()[0].alerts().next().expect("firing");
    assert_eq!(alert.labels.to_string(), r#"{alertname="A", job="NODE", raw="up"}"#);
    let annotations: Vec<_> = alert.annotations.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    assert_eq!(
        annotations,
        [
            "asked: <error expanding template: error executing template __alert_A: template: \
             __alert_A:1:115: executing \"__alert_A\" at <query \"up{\">: error calling query: \
             1:4: parse error: unexpected end of input inside braces>",
            "broken: <error expanding template: error executing template __alert_A: template: \
             __alert_A:1:122: executing \"__alert_A\" at <$labels.job.x>: can't evaluate field x \
             in type string>",
            "empty: ",
            "others: 2",
            "summary: a c1 http://prom:9090 0",
        ]
    );
}

#[test]
fn any_value_is_an_alert_and_a_scalar_is_one_too() {
    check(
        "{alert: A, expr: up}, {alert: S, expr: 7}",
        "up{job=\"a\"} NaN\nup{job=\"b\"} 0",
        expect![[r#"
                0s Fired {alertname="A", job="a"} = NaN
                0s Fired {alertname="A", job="b"} = 0
                0s Fired {alertname="S"} = 7
        "#]],
    );
}

#[test]
fn a_series_that_ends_ends_its_alert() {
    check(
        "{alert: A, expr: up == 0, for: 1m}",
        "every 1m\nup{job=\"a\"} 0 0 stale _",
        expect![[r#"
            0s Pended {alertname="A", job="a"} = 0
            60s Fired {alertname="A", job="a"} = 0
            120s Resolved {alertname="A", job="a"} = 0
        "#]],
    );
}

#[test]
fn a_failed_query_leaves_alerts_as_they_were() {
    // Two series of one instance make the join ambiguous for as long as both are there.
    check(
        "{alert: A, expr: up == 0 and on(job) (info * on(job) group_left other), for: 1m}",
        r#"
        every 1m
        up{job="a"}                0 0 0 0
        info{job="a"}              1 1 1 1
        other{job="a",x="1"}       1 1 1 1
        other{job="a",x="2"}       _ 1 stale _
        "#,
        expect![[r#"
            0s Pended {alertname="A", job="a"} = 0
            60s rule 0 failed: found duplicate series for the match group {job="a"} on the right hand-side of the operation: [{__name__="other", job="a", x="1"}, {__name__="other", job="a", x="2"}];many-to-many matching not allowed: matching labels must be unique on one side
            120s Fired {alertname="A", job="a"} = 0
        "#]],
    );
}

#[test]
fn one_label_set_twice_is_an_error() {
    check(
        "{alert: A, expr: up == 0, labels: {instance: ''}}",
        "up{instance=\"a\"} 0 0\nup{instance=\"b\"} 1 0",
        expect![[r#"
            0s Fired {alertname="A"} = 0
            60s rule 0 failed: vector contains metrics with the same labelset after applying alert labels
        "#]],
    );
}

#[test]
fn a_rule_with_a_range_fails_when_it_runs() {
    check(
        "{alert: A, expr: 'up[5m]'}",
        "up 1",
        expect![[r#"
                0s rule 0 failed: rule result is not a vector or scalar
        "#]],
    );
}

#[test]
fn beyond_the_limit_all_alerts_are_dropped() {
    let rules = "groups: [{name: g, limit: 1, rules: [{alert: A, expr: up == 0, for: 1m}]}]";
    let transcript = Drive::new(rules).run("up{i=\"a\"} 0 0 0 0 0\nup{i=\"b\"} 1 1 0 1 1");
    expect![[r#"
        0s Pended {alertname="A", i="a"} = 0
        60s Fired {alertname="A", i="a"} = 0
        120s Forgotten {alertname="A", i="a"} = 0
        120s rule 0 failed: exceeded limit of 1 with 2 alerts
        180s Pended {alertname="A", i="a"} = 0
        240s Fired {alertname="A", i="a"} = 0
    "#]]
    .assert_eq(&transcript);
}

#[test]
fn alerts_are_series_that_end() {
    let mut drive = with_rules("{alert: A, expr: up == 0, for: 1m, labels: {s: x}}");
    drive.run("up{job=\"a\"} 0 0 1");
    expect![[r#"
        ALERTS_FOR_STATE{alertname="A", job="a", s="x"} 0 @0s
        ALERTS{alertname="A", alertstate="pending", job="a", s="x"} 1 @0s
        ALERTS_FOR_STATE{alertname="A", job="a", s="x"} 0 @60s
        ALERTS{alertname="A", alertstate="firing", job="a", s="x"} 1 @60s
        ALERTS{alertname="A", alertstate="pending", job="a", s="x"} stale @60s
        ALERTS{alertname="A", alertstate="firing", job="a", s="x"} stale @120s
        ALERTS_FOR_STATE{alertname="A", job="a", s="x"} stale @120s"#]]
    .assert_eq(&drive.window.written.join("\n"));
}

#[test]
fn a_rule_sees_what_the_ones_before_it_wrote() {
    check(
        "{record: job:up:sum, expr: sum by (job) (up), labels: {unit: targets}}, \
         {alert: Few, expr: job:up:sum < 2}, \
         {alert: Both, expr: 'ALERTS{alertname=\"Few\"}'}",
        "up{job=\"j\",i=\"a\"} 1\nup{job=\"j\",i=\"b\"} 0",
        expect![[r#"
                0s Fired {alertname="Few", job="j", unit="targets"} = 1
                0s Fired {alertname="Both", alertstate="firing", job="j", unit="targets"} = 1
        "#]],
    );
}

#[test]
fn recorded_series_are_literal_limited_and_end() {
    let mut drive = with_rules("{record: r, expr: up, labels: {x: '{{ 1 }}', i: ''}}");
    let transcript = drive.run("up{i=\"a\",job=\"j\"} 1 1 1\nup{i=\"b\",job=\"j\"} _ 1 stale");
    expect![[r#"
           60s rule 0 failed: vector contains metrics with the same labelset after applying rule labels
    "#]]
    .assert_eq(&transcript);
    expect![[r#"
        r{job="j", x="{{ 1 }}"} 1 @0s
        r{job="j", x="{{ 1 }}"} 1 @120s"#]]
    .assert_eq(&drive.window.written.join("\n"));
    let limited = "groups: [{name: g, limit: 1, rules: [{record: r, expr: up}]}]";
    let transcript = Drive::new(limited).run("up{i=\"a\"} 1\nup{i=\"b\"} 1");
    assert_eq!(transcript, "0s rule 0 failed: exceeded limit of 1 with 2 series\n");
}

#[test]
fn the_offset_moves_samples_but_not_the_clock_of_templates() {
    let mut drive = Drive::new(
        "groups: [{name: g, query_offset: 1m, rules: [{alert: A, expr: up == 0, \
         annotations: {now: '{{ now }} {{ query \"up\" | first | value }}'}}]}]",
    );
    let transcript = drive.run("every 1m\nup 0 1");
    assert_eq!(transcript, "60s Fired {alertname=\"A\"} = 0\n");
    let alert = drive.group.rules()[0].alerts().next().expect("firing");
    assert_eq!(alert.annotations[0].1, "60 1");
    assert!(drive.window.written[0].ends_with("@0s"), "{:?}", drive.window.written);
}

#[test]
fn a_reload_keeps_the_alerts_of_the_same_rule() {
    let mut drive = with_rules(
        "{alert: A, expr: up == 0, for: 5m}, {alert: B, expr: up == 0, labels: {s: x}}, \
         {alert: C, expr: up == 0}",
    );
    drive.run("every 1m\nup{job=\"a\"} 0 0");
    // Another expression and `for`; another label, which makes another rule; one that is gone.
    let mut new = group(
        "groups: [{name: g, interval: 1m, rules: [\
         {alert: A, expr: up < 1, for: 2m, annotations: {a: b}}, \
         {alert: B, expr: up == 0, for: 1m, labels: {s: y}}]}]",
    );
    new.take_over(std::mem::replace(&mut drive.group, group("groups: [{name: g}]")));
    drive.group = new;
    drive.window.written.clear();
    expect![[r#"
          120s Fired {alertname="A", job="a"} = 0
          120s Pended {alertname="B", job="a", s="y"} = 0
    "#]]
    .assert_eq(&drive.evaluate(seconds(120)));
    let ended: Vec<_> =
        drive.window.written.iter().filter(|line| line.contains("stale")).cloned().collect();
    expect![[r#"
        ALERTS{alertname="A", alertstate="pending", job="a"} stale @120s
        ALERTS{alertname="B", alertstate="firing", job="a", s="x"} stale @120s
        ALERTS{alertname="C", alertstate="firing", job="a"} stale @120s
        ALERTS_FOR_STATE{alertname="B", job="a", s="x"} stale @120s
        ALERTS_FOR_STATE{alertname="C", job="a"} stale @120s"#]]
    .assert_eq(&ended.join("\n"));
}

#[test]
fn what_another_rule_goes_on_with_after_a_reload_does_not_end() {
    let mut drive = with_rules("{record: r, expr: up, labels: {a: b}}, {record: s, expr: r}");
    drive.run("every 1m\nup{job=\"j\"} 1");
    let rules =
        "{record: s, expr: r}, {record: r, expr: 'label_replace(up, \"a\", \"b\", \"\", \"\")'}";
    let mut new = group(&format!("groups: [{{name: g, interval: 1m, rules: [{rules}]}}]"));
    new.take_over(std::mem::replace(&mut drive.group, group("groups: [{name: g}]")));
    drive.group = new;
    drive.window.written.clear();
    drive.evaluate(seconds(60));
    // The rule in front still sees what the old one wrote.
    expect![[r#"
        s{a="b", job="j"} 1 @60s
        r{a="b", job="j"} 1 @60s"#]]
    .assert_eq(&drive.window.written.join("\n"));
}

#[test]
fn a_group_on_data_is_due_when_its_data_changed_and_when_a_wait_ends() {
    let mut drive = Drive::new(
        "groups: [{name: g, interval: 1d, evaluation: data, \
         rules: [{alert: A, expr: up == 0, for: 2m}]}]",
    );
    let start = seconds(10);
    assert!(drive.group.next_due() > seconds(130));
    drive.group.changed(["other"], start);
    assert_eq!(drive.group.due(start), None);
    drive.window.put(start, &Series::new("up", [], 0.0));
    drive.group.changed(["up"], start);
    assert_eq!(drive.group.due(start), Some(start));
    drive.evaluate(start);
    assert_eq!(drive.group.next_due(), seconds(130));
    assert_eq!(drive.evaluate(seconds(130)), "130s Fired {alertname=\"A\"} = 0\n");
}
