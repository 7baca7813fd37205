//! The five alerts that the product began with: loaded verbatim, each with a page, faults, and a
//! rule that fires.

use paramedic::config::{Config, SystemConfig};
use paramedic::{assembly, kinds};
use paramedic_catalog::Settings;
use paramedic_integration::Ending;
use paramedic_model::{Labels, Series, TimeMs};
use paramedic_promql::{EvalOptions, Value};
use paramedic_rules::{AlertRule, Rule};
use paramedic_samples::Window;

/// The alerts, and the expressions as their pages have them.
const SEEDS: [(&str, &str); 5] = [
    ("OPNsenseServiceDown", "opnsense_services_status == 0"),
    (
        "OPNsenseWireGuardPeerOffline",
        "opnsense_wireguard_peer_status == 0 and on(device_name) \
         opnsense_wireguard_interfaces_status == 1",
    ),
    ("TraefikServiceDown", "count(traefik_service_server_up) by (service) == 0"),
    ("OxidizedConnectionDown", "oxidized_status == 0"),
    ("WindowsServerServiceStatus", "windows_service_status{status=\"ok\"} != 1"),
];

/// Everything that ships, as if one system of each kind were configured.
fn shipped() -> assembly::Loaded {
    let system = |kind: &str| SystemConfig {
        name: kind.to_owned(),
        kind: kind.to_owned(),
        interval: Default::default(),
        timeout: Default::default(),
        labels: Labels::empty(),
        matches: Default::default(),
        contact: None,
        settings: Settings::default(),
        host: None,
    };
    let systems = kinds::catalogs().iter().map(|catalog| system(catalog.kind)).collect();
    assembly::load(&Config { systems, ..Config::default() }).expect("what ships has no mistake")
}

fn rules(loaded: &assembly::Loaded) -> Vec<&AlertRule> {
    let groups = loaded.files.iter().flat_map(|file| &file.groups);
    let alerts = groups.flat_map(|group| &group.rules).filter_map(|rule| match rule {
        Rule::Alert(rule) => Some(rule),
        Rule::Record(_) => None,
    });
    alerts.collect()
}

#[test]
fn the_five_rules_are_loaded_as_their_pages_have_them() {
    let loaded = shipped();
    for (alert, expr) in SEEDS {
        let rule = rules(&loaded).into_iter().find(|rule| rule.name == alert);
        let rule = rule.unwrap_or_else(|| panic!("no rule {alert}"));
        assert_eq!(rule.expr.text().trim(), expr, "{alert}");
    }
}

#[test]
fn every_alert_has_a_page_and_three_faults_one_of_them_to_be_left_alone() {
    let loaded = shipped();
    let faults: Vec<_> =
        kinds::all().filter_map(|kind| kind.simulator()).flat_map(|sim| sim.faults()).collect();
    for (alert, _) in SEEDS {
        let page = loaded.pages.serving(alert).unwrap_or_else(|| panic!("no page for {alert}"));
        let served = &page.runbook().alerts;
        let about: Vec<_> =
            faults.iter().filter(|fault| served.iter().any(|name| name == fault.alert)).collect();
        assert!(about.len() >= 3, "{alert}: {} faults", about.len());
        assert!(about.iter().any(|fault| fault.ending == Ending::LeftAlone), "{alert}");
        assert!(about.iter().any(|fault| matches!(fault.ending, Ending::Repaired(_))), "{alert}");
    }
}

#[test]
fn the_traefik_rule_as_written_stays_silent_and_its_companion_fires() {
    let loaded = shipped();
    let server = |service: &str, url: &str, up: f64| {
        let labels = [("service", service), ("url", url), ("instance", "p:80"), ("job", "traefik")];
        Series::new("traefik_service_server_up", labels, up)
    };
    let mut window = Window::default();
    let down = [server("app@file", "http://a", 0.0), server("app@file", "http://b", 0.0)];
    window.append(TimeMs(0), &[&down[..], &[server("other@file", "http://c", 1.0)]].concat());
    let fires = |alert: &str| -> Vec<String> {
        let rule = rules(&loaded).into_iter().find(|rule| rule.name == alert).expect(alert);
        let result = rule.expr.eval_instant(&window, TimeMs(1000), &EvalOptions::default());
        match result.expect("the expression has a value").value {
            Value::Vector(found) => {
                found.iter().map(|e| e.labels.value("service").to_owned()).collect()
            }
            other => panic!("{other:?}"),
        }
    };
    // `count` of nothing is nothing, and of something never 0.
    assert_eq!(fires("TraefikServiceDown"), Vec::<String>::new());
    assert_eq!(fires("TraefikServiceAllServersDown"), ["app@file"]);
}
