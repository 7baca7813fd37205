use paramedic_model::Series;
use paramedic_opnsense::Opnsense;
use paramedic_testkit::Bench;

use crate::support::{OldRelease, collect, print, wait};

fn value(series: &[Series], text: &str) -> Option<f64> {
    series.iter().find(|series| series.labels.to_string() == text).map(|series| series.value)
}

#[tokio::test(start_paused = true)]
async fn a_healthy_firewall_in_the_words_of_the_exporter() {
    let bench = Bench::new(&Opnsense);
    let collection = collect(&bench).await;
    assert!(collection.failure.is_none(), "{:?}", collection.failure);
    let check = |text: &str, expected: f64| {
        assert_eq!(
            value(&collection.series, text),
            Some(expected),
            "{text}\n{}",
            print(&collection)
        );
    };
    check(r#"opnsense_up{opnsense_instance="sut"}"#, 1.0);
    check(
        r#"opnsense_services_status{description="Unbound DNS", name="unbound", opnsense_instance="sut"}"#,
        1.0,
    );
    check(r#"opnsense_services_running_total{opnsense_instance="sut"}"#, 17.0);
    check(r#"opnsense_services_stopped_total{opnsense_instance="sut"}"#, 0.0);
    check(
        r#"opnsense_wireguard_interfaces_status{device="wg0", device_name="wgsite", device_type="interface", opnsense_instance="sut"}"#,
        1.0,
    );
    check(
        r#"opnsense_wireguard_peer_status{device="wg0", device_name="wgsite", device_type="peer", opnsense_instance="sut", peer_name="branch-a"}"#,
        1.0,
    );
    check(
        r#"opnsense_gateways_status{address="192.0.2.1", default_gateway="true", name="WAN_GW", opnsense_instance="sut"}"#,
        1.0,
    );
    check(
        r#"opnsense_gateways_rtt_milliseconds{address="192.0.2.1", name="WAN_GW", opnsense_instance="sut"}"#,
        3.1,
    );
    check(
        r#"opnsense_carp_status{interface="WAN", opnsense_instance="sut", subnet="192.0.2.10", vhid="5"}"#,
        1.0,
    );
    check(r#"opnsense_collector_success{opnsense_instance="sut"}"#, 1.0);
    check(r#"opnsense_system_booting{opnsense_instance="sut"}"#, 0.0);
}

#[tokio::test(start_paused = true)]
async fn every_family_is_declared_with_its_labels() {
    use paramedic_integration::Integration;
    let bench = Bench::new(&Opnsense);
    for series in collect(&bench).await.series {
        let name = series.labels.metric_name().expect("every series has a name");
        let metric = Opnsense.catalog().metrics.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is not declared"));
        for (label, _) in series.labels.iter().filter(|(label, _)| *label != "__name__") {
            assert!(metric.labels.contains(&label), "{name} has {label}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_services_under_one_label_set_are_one_series() {
    let bench = Bench::new(&Opnsense);
    let collection = collect(&bench).await;
    let text = r#"opnsense_services_status{description="OpenVPN server ", name="openvpn", opnsense_instance="sut"}"#;
    let found = collection.series.iter().filter(|series| series.labels.to_string() == text);
    assert_eq!(found.map(|series| series.value).collect::<Vec<_>>(), [1.0]);
}

#[tokio::test(start_paused = true)]
async fn handshakes_age() {
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject("laptop-left").expect("a declared fault");
    let peer = r#"opnsense_wireguard_peer_status{device="wg1", device_name="wgroad", device_type="peer", opnsense_instance="sut", peer_name="laptop"}"#;
    assert_eq!(value(&collect(&bench).await.series, peer), Some(3.0));
    let bench = Bench::new(&Opnsense);
    for _ in 0..20 {
        assert_eq!(value(&collect(&bench).await.series, peer), Some(1.0));
        wait(&bench, 37).await;
    }
}

#[tokio::test(start_paused = true)]
async fn before_25_1_2_a_peer_has_no_status() {
    let bench = Bench::new(&OldRelease);
    bench.simulator.inject("remote-down").expect("a declared fault");
    let collection = collect(&bench).await;
    assert!(collection.failure.is_none(), "{:?}", collection.failure);
    let statuses: Vec<_> = collection
        .series
        .iter()
        .filter(|series| series.labels.metric_name() == Some("opnsense_wireguard_peer_status"))
        .map(|series| series.value)
        .collect();
    assert_eq!(statuses, [2.0; 5], "{}", print(&collection));
}

#[tokio::test(start_paused = true)]
async fn the_older_spelling_is_tried_where_the_newer_is_forbidden() {
    let bench = Bench::new(&OldRelease);
    for _ in 0..2 {
        let with = [("service", "unbound")];
        let ports = bench.probe(&Opnsense, "port-conflicts", &with).await.expect("it can look");
        assert_eq!(ports.facts["held_by_self"], true);
        let resources = bench.probe(&Opnsense, "resources", &[]).await.expect("it can look");
        assert_eq!(resources.facts["disk_full"], false);
        let with = [("interface", "wgsite"), ("peer", "branch-a")];
        let config = bench.probe(&Opnsense, "wireguard-config", &with).await.expect("it can look");
        assert_eq!(config.facts["applied"], true, "{:?}", config.facts);
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_any_evidence() {
    use paramedic_integration::Integration;
    let bench = Bench::new(&Opnsense);
    bench.simulator.inject("unbound-bad-setting").expect("a declared fault");
    for signature in &Opnsense.catalog().probes {
        let with: &[(&str, &str)] = match signature.params.first().map(|param| param.name) {
            Some("service") => &[("service", "unbound")],
            Some("interface") => &[("interface", "wgsite"), ("peer", "branch-a")],
            _ => &[],
        };
        let evidence = bench.probe(&Opnsense, signature.name, with).await;
        let evidence = evidence.unwrap_or_else(|error| panic!("{}: {error}", signature.name));
        let text = format!("{evidence:?}");
        for secret in ["cHJpdmF0ZS", "cHJlLXNoYXJlZC", "statc"] {
            assert!(!text.contains(secret), "{}: {text}", signature.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_leaves_no_job() {
    let bench = Bench::new(&Opnsense);
    let with = [("interface", "wgsite"), ("peer", "branch-a")];
    let ping = bench.probe(&Opnsense, "wireguard-ping", &with).await.expect("it can look");
    assert_eq!((&ping.facts["sent"], &ping.facts["answers"]), (&5.into(), &true.into()));
    let path = paramedic_integration::UrlPath::fixed("/api/diagnostics/ping/search_jobs");
    let request = paramedic_integration::HttpRequest::get(path);
    let jobs = crate::support::send(&bench, "", request).await.json().expect("a grid");
    assert_eq!(jobs["total"], 0);
}
