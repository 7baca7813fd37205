use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{Args, Catalog, Settings};
use paramedic_integration::{
    Action, Address, Asset, Auth, Collection, Environment, HttpClient, HttpRequest, HttpResponse,
    Integration, SettingsError, SimulatorFactory, System, TlsSettings, TlsTrust,
};
use paramedic_model::{Labels, Secret, SystemName};
use paramedic_opnsense::{Opnsense, Release, SimulatedFirewalls};
use paramedic_runbook::{Alert, Finding, Runbook, Situation, Work};
use paramedic_testkit::Bench;

/// Where the simulated firewall is.
pub fn address() -> Address {
    Address::new("sut.test", 1000)
}

/// The integration with a simulator of 25.1.
pub struct OldRelease;

impl Integration for OldRelease {
    fn catalog(&self) -> &'static Catalog {
        Opnsense.catalog()
    }

    fn rules(&self) -> &'static [Asset] {
        Opnsense.rules()
    }

    fn runbooks(&self) -> &'static [Asset] {
        Opnsense.runbooks()
    }

    fn open(
        &self,
        name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<System, SettingsError> {
        Opnsense.open(name, settings, environment)
    }

    fn simulator(&self) -> Option<&dyn SimulatorFactory> {
        Some(&SimulatedFirewalls { release: Release::V25_1 })
    }
}

/// One collection.
pub async fn collect(bench: &Bench) -> Collection {
    let collector = bench.system.collector.as_ref().expect("firewalls are collected");
    collector.collect(bench.look(0)).await
}

/// The collection as text, one series a line.
pub fn print(collection: &Collection) -> String {
    let line = |series: &paramedic_model::Series| format!("{} {}\n", series.labels, series.value);
    let mut text: String = collection.series.iter().map(line).collect();
    if let Some(error) = &collection.failure {
        text.push_str(&format!("could not {error}\n"));
    }
    text
}

/// The pages, parsed.
pub fn pages() -> Vec<Runbook> {
    let parse = |asset: &Asset| match Runbook::parse(asset.path, asset.text) {
        Ok(page) => page,
        Err(errors) => panic!("{}: {errors:?}", asset.path),
    };
    Opnsense.runbooks().iter().map(parse).collect()
}

/// The page that serves `alert`.
pub fn page_of(alert: &str) -> Runbook {
    let serves = |page: &Runbook| page.alerts.iter().any(|served| served == alert);
    pages().into_iter().find(serves).expect("a page serves the alert")
}

/// The labels that `alert` has on this collection, where its expression holds: by hand, one line per
/// rule, since the evaluator is tested elsewhere.
pub fn firing(alert: &str, collection: &Collection) -> Vec<Labels> {
    let is = |labels: &Labels, name: &str| labels.metric_name() == Some(name);
    let up = |instance: &str| {
        collection.series.iter().any(|series| {
            is(&series.labels, "opnsense_wireguard_interfaces_status")
                && series.labels.value("device_name") == instance
                && series.value == 1.0
        })
    };
    let holds = |labels: &Labels, value: f64| match alert {
        "OPNsenseServiceDown" => is(labels, "opnsense_services_status") && value == 0.0,
        "OPNsenseFirewallUnreachable" => is(labels, "opnsense_collector_success") && value == 0.0,
        "OPNsenseWireGuardPeerOffline" | "OPNsenseWireGuardPeerNeverConnected" => {
            is(labels, "opnsense_wireguard_peer_status")
                && value == 0.0
                && up(labels.value("device_name"))
        }
        "OPNsenseWireGuardPeerStale" => {
            is(labels, "opnsense_wireguard_peer_status")
                && value == 3.0
                && up(labels.value("device_name"))
        }
        other => panic!("no such alert: {other}"),
    };
    let found = collection.series.iter().filter(|series| holds(&series.labels, series.value));
    found.map(|series| series.labels.without(&["__name__"]).with("alertname", alert)).collect()
}

/// Takes every diagnosis step of the page for an alert with these labels, as the engine would.
pub async fn investigate(bench: &Bench, page: &Runbook, labels: &Labels) -> Situation {
    let alert = Alert { labels: labels.clone(), annotations: BTreeMap::new(), value: 0.0 };
    let system = Some(paramedic_runbook::System {
        name: "sut".to_owned(),
        kind: Opnsense.catalog().kind.to_owned(),
    });
    let mut situation = Situation { alert, system, findings: BTreeMap::new() };
    for step in page.diagnosis() {
        let Work::Probe(probe) = &step.work else { continue };
        let with =
            probe.with.bind(&situation).expect("the alert has the labels that the page reads");
        let with: Vec<_> = with.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let finding = match bench.probe(&Opnsense, probe.uses.name(), &with).await {
            Ok(evidence) => {
                let line = evidence.summary;
                assert!(!line.is_empty() && !line.contains('\n'), "{}: {line:?}", step.id);
                Finding::Looked { facts: evidence.facts, summary: line }
            }
            Err(error) => Finding::Nothing { reason: format!("could not {error}") },
        };
        situation.findings.insert(step.id.clone(), finding);
    }
    situation
}

/// The action of a mitigation step, with the arguments that the page gives it.
pub fn action(
    bench: &Bench,
    page: &Runbook,
    step: &str,
    situation: &Situation,
) -> (Arc<dyn Action>, Args) {
    let step = page.step(step).expect("the page has the step");
    let Work::Action(work) = &step.work else { panic!("{} is no action", step.id) };
    let with = work.with.bind(situation).expect("the alert has the labels");
    let signature = Opnsense.catalog().action(work.uses.name()).expect("declared");
    let args = Args::bind(&signature.params, &with).expect("the arguments fit");
    (bench.system.kit.action(work.uses.name()).expect("in the kit"), args)
}

/// Arguments for an action, straight.
pub fn args(action: &str, with: &[(&str, &str)]) -> Result<Args, paramedic_catalog::ArgError> {
    let signature = Opnsense.catalog().action(action).expect("declared");
    let given = with.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Args::bind(&signature.params, &given)
}

/// A request as another client would send it.
pub async fn send(bench: &Bench, key: &str, request: HttpRequest) -> HttpResponse {
    let settings = bench.simulator.settings();
    let text = |name: &str| settings.secret(name).expect("given").expose().to_owned();
    let user = if key.is_empty() { text("api_key") } else { key.to_owned() };
    let auth = Auth::Basic { user: Secret::new(user), password: Secret::new(text("api_secret")) };
    let tls = TlsSettings::new("tls", &TlsTrust::Anyone).expect("no authorities to read");
    let url = settings.text("url").expect("given").to_owned();
    let client = HttpClient::new("url", &url, tls, Some(auth), &bench.environment)
        .expect("a simulator's URL is one");
    client.send(request).await.expect("the simulator answers")
}

pub async fn wait(bench: &Bench, seconds: u64) {
    bench.clock.sleep(Duration::from_secs(seconds)).await;
}
