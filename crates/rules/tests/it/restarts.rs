use std::time::Duration;

use expect_test::expect;
use paramedic_model::Series;
use paramedic_rules::{Restore, State};

use crate::support::{Drive, group, labels, seconds};

const RULES: &str = "groups: [{name: g, rules: [\
    {alert: Waits, expr: up == 0, for: 5m}, \
    {alert: Fires, expr: up == 0, labels: {s: x}}, \
    {alert: Kept, expr: up == 0 and on() switch == 1, keep_firing_for: 5m}]}]";

#[test]
fn the_time_pending_counts_and_the_time_down_does_not() {
    let mut drive = Drive::new(RULES);
    drive.run("every 1m\nup{job=\"a\"} 0 0 0 0\nswitch 1 1 0 0");
    let snapshot = drive.group.snapshot();
    assert_eq!(snapshot.evaluated_at, Some(seconds(180)));

    // Down for ten minutes; three of the five were over, and one of the five that are bridged.
    drive.group = group(RULES);
    drive.group.restore(snapshot, seconds(180), seconds(780));
    let mut transcript = String::new();
    for minute in 13..=18 {
        let at = seconds(60 * minute);
        drive.window.put(at, &Series { labels: labels("up{job=\"a\"}"), value: 0.0 });
        drive.window.put(at, &Series { labels: labels("switch"), value: 0.0 });
        transcript += &drive.evaluate(at);
    }
    expect![[r#"
        900s Fired {alertname="Waits", job="a"} = 0
        1020s Resolved {alertname="Kept", job="a"} = 0
    "#]]
    .assert_eq(&transcript);
    let fires = drive.group.rules()[1].alerts().next().expect("still firing");
    assert_eq!(fires.state.fired_at(), Some(seconds(0)));
}

#[test]
fn an_alert_that_ended_while_we_were_down_is_told() {
    let mut drive = Drive::new(RULES);
    drive.run("every 1m\nup{job=\"a\"} 0 0");
    let snapshot = drive.group.snapshot();
    drive.group = group(RULES);
    drive.group.restore(snapshot, seconds(60), seconds(300));
    drive.window.put(seconds(300), &Series { labels: labels("up{job=\"a\"}"), value: 1.0 });
    drive.window.written.clear();
    expect![[r#"
          300s Forgotten {alertname="Waits", job="a"} = 0
          300s Resolved {alertname="Fires", job="a", s="x"} = 0
    "#]]
    .assert_eq(&drive.evaluate(seconds(300)));
    assert!(drive.window.written.iter().all(|line| line.contains("stale")));
    assert!(!drive.window.written.is_empty());
}

#[test]
fn a_rule_whose_labels_changed_is_another_one() {
    let mut drive = Drive::new(RULES);
    drive.run("every 1m\nup{job=\"a\"} 0 0");
    let snapshot = drive.group.snapshot();
    let mut changed = group(&RULES.replace("{s: x}", "{s: y}"));
    changed.restore(snapshot, seconds(60), seconds(120));
    assert_eq!(changed.rules()[0].alerts().count(), 1);
    assert_eq!(changed.rules()[1].alerts().count(), 0);
}

#[test]
fn as_in_prometheus_from_the_series_after_the_second_evaluation() {
    let rules = "groups: [{name: g, rules: [{alert: A, expr: up == 0, for: 1h}]}]";
    let mut drive = Drive::new(rules);
    drive.run("every 10m\nup{job=\"a\"} 0 0 0");

    drive.group = group(rules);
    drive.group.restore_from_series(Restore::Prometheus {
        for_grace_period: Duration::from_secs(600),
        for_outage_tolerance: Duration::from_secs(3600),
    });
    drive.window.written.clear();
    for s in [1800, 1860] {
        drive.window.put(seconds(s), &Series { labels: labels("up{job=\"a\"}"), value: 0.0 });
        drive.evaluate(seconds(s));
        drive.group.restore_if_due(&drive.window, seconds(s) + Duration::from_millis(40));
        assert!(drive.window.written.is_empty(), "nothing is written before the restore");
    }
    // Twenty minutes were over when it went down at 1200 s, and it was back at 1860 s.
    let alert = drive.group.rules()[0].alerts().next().expect("pending");
    let active_at = seconds(660) + Duration::from_millis(40);
    assert_eq!(alert.state, State::Pending { active_at });
}
