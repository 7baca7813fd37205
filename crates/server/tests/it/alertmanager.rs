use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use paramedic_engine::{Alertmanager, AlertmanagerSet, Sending, WhenBlind};
use paramedic_integration::{
    Address, Environment, HttpClient, OsProcesses, ScaledClock, TcpTransport, TlsSettings, TlsTrust,
};
use paramedic_model::{Labels, Redactor, Sample, Secret};
use paramedic_scrape::remote_write::WrittenSeries;
use paramedic_server::{Server, ServerOptions};
use tokio::process::Child;

use crate::peers::{command, is_here, post, prometheus};
use crate::sockets::{exchange, run};
use crate::world::{TOKEN, World};

/// A rule that fires as soon as a sample says so.
const RULES: &str = "groups: [{ name: g, evaluation: data, rules: [{ alert: Sudden, expr: sudden > \
                     0, labels: { severity: page }, annotations: { summary: \"{{ $value }}\" } }] }]";
/// How often is asked again, every tenth of a second, before a test gives up.
const TRIES: usize = 300;

/// A port that nobody listens on.
fn free_port() -> Address {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    Address::new("127.0.0.1", free.local_addr().expect("a bound port").port())
}

/// A real Alertmanager, ready.
struct Peer {
    _process: Child,
    _folder: tempfile::TempDir,
}

async fn alertmanager(address: &Address, receiver: &str) -> Peer {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("alertmanager.yml");
    let config = format!(
        "route: {{ receiver: r, group_wait: 0s, group_interval: 1s, group_by: [alertname] }}\n\
         receivers: [{{ name: r{receiver} }}]\n"
    );
    std::fs::write(&file, config).expect("a file can be written");
    let process = command("prometheus-alertmanager")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the alertmanager starts");
    let peer = Peer { _process: process, _folder: folder };
    let head = format!("GET /-/ready HTTP/1.0\r\nhost: {address}\r\n\r\n");
    wait_for("the alertmanager is ready", async || {
        use paramedic_integration::Transport;
        TcpTransport.connect(address).await.is_ok() && exchange(address, &head).await.contains("OK")
    })
    .await;
    peer
}

async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..TRIES {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come to pass that {what}");
}

fn sending(to: &Address) -> Sending {
    let environment = Environment {
        clock: Arc::new(ScaledClock::wall()),
        transport: Arc::new(TcpTransport),
        processes: Arc::new(OsProcesses),
        redactor: Redactor::default(),
    };
    sending_in(to, &environment)
}

fn sending_in(to: &Address, environment: &Environment) -> Sending {
    let tls = TlsSettings::new("tls", &TlsTrust::Anyone).expect("never used");
    let url = format!("http://{to}");
    let client = HttpClient::new("url", &url, tls, None, environment).expect("a client");
    let active = vec![Alertmanager { client, relabel: Vec::new() }];
    let alertmanagers = vec![AlertmanagerSet { active, dropped: Vec::new() }];
    Sending { alertmanagers, ..Sending::default() }
}

/// Lets the rule's series have this value.
async fn set(world: &World, value: f64) {
    let labels = Labels::from([("__name__", "sudden"), ("instance", "a")]);
    let samples = vec![Sample { at: world.clock.now(), value }];
    let series = WrittenSeries { labels, samples, histograms: Vec::new() };
    let commit = world.handle.append(vec![series]).await.expect("the engine runs");
    assert_eq!(commit.rejected.total(), 0);
}

/// The active alerts of the Alertmanager.
async fn active(address: &Address) -> Vec<serde_json::Value> {
    let head = format!("GET /api/v2/alerts HTTP/1.0\r\nhost: {address}\r\n\r\n");
    let answer = exchange(address, &head).await;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).expect("a list of alerts")
}

#[test]
fn a_real_alertmanager_hears_of_our_alerts_once() {
    if !is_here("a_real_alertmanager_hears_of_our_alerts_once", "prometheus-alertmanager") {
        return;
    }
    run(async {
        let address = free_port();
        let _peer = alertmanager(&address, "").await;
        // Two senders with the same rules, as people run two of them.
        let worlds = [
            World::today_with(RULES, sending(&address)).await,
            World::today_with(RULES, sending(&address)).await,
        ];
        for world in &worlds {
            set(world, 3.0).await;
        }
        wait_for("the alert is there", async || !active(&address).await.is_empty()).await;
        for world in &worlds {
            wait_for("both have told it", async || sent(world).await == 1).await;
        }
        let alerts = active(&address).await;
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        let labels = serde_json::json!({
            "alertname": "Sudden", "instance": "a", "severity": "page",
        });
        assert_eq!(alerts[0]["labels"], labels);
        assert_eq!(alerts[0]["annotations"]["summary"], "3");
        let url = alerts[0]["generatorURL"].as_str().unwrap_or_default();
        assert!(url.ends_with("/graph?g0.expr=sudden+%3E+0&g0.tab=1"), "{url}");
        for world in &worlds {
            // Two samples of one millisecond would contradict each other.
            tokio::time::sleep(Duration::from_millis(5)).await;
            set(world, 0.0).await;
        }
        wait_for("the alert is over", async || active(&address).await.is_empty()).await;
    });
}

async fn sent(world: &World) -> u64 {
    let vitals = world.handle.read(|engine| engine.sending_vitals()).await;
    vitals.expect("the engine runs").iter().map(|(_, vitals)| vitals.sent).sum()
}

#[test]
fn what_a_dead_alertmanager_missed_it_hears_when_it_is_back() {
    let test = "what_a_dead_alertmanager_missed_it_hears_when_it_is_back";
    if !is_here(test, "prometheus-alertmanager") {
        return;
    }
    run(async {
        let address = free_port();
        let world = World::today_with(RULES, sending(&address)).await;
        set(&world, 1.0).await;
        let failed = async || {
            let vitals = world.handle.read(|engine| engine.sending_vitals()).await;
            vitals.expect("the engine runs")[0].1.errors > 0
        };
        wait_for("sending fails", failed).await;
        let _peer = alertmanager(&address, "").await;
        wait_for("the alert is there", async || active(&address).await.len() == 1).await;
    });
}

/// A server of ours that takes alerts.
async fn serve() -> (World, Address) {
    let world = World::today().await;
    let options = ServerOptions { alerts: true, ..ServerOptions::new(Secret::new(TOKEN)) };
    let server = Server::bind(world.handle.clone(), world.clock.clone(), options).await;
    let server = server.expect("there is a free port");
    let address = server.address().clone();
    tokio::spawn(server.run());
    (world, address)
}

/// The alert of each incident, with its signal.
async fn incidents(world: &World) -> Vec<String> {
    let read = world.handle.read(|engine| {
        let of =
            |one: &paramedic_incident::Incident| format!("{} {:?}", one.opened.alert, one.signal);
        engine.incidents().map(of).collect()
    });
    read.await.expect("the engine runs")
}

#[test]
fn a_real_prometheus_sends_its_alerts_to_us() {
    if !is_here("a_real_prometheus_sends_its_alerts_to_us", "prometheus") {
        return;
    }
    run(async {
        let (world, address) = serve().await;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let rules = folder.path().join("rules.yml");
        write_rule(&rules, ">= 0");
        let config = format!(
            "global: {{ external_labels: {{ cluster: x }}, evaluation_interval: 1s }}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n- job_name: p\n  scrape_interval: 1s\n  static_configs: [{{ targets: \
             ['{address}'] }}]\n\
             alerting:\n  alertmanagers:\n  - authorization: {{ credentials: {TOKEN} }}\n    \
             static_configs: [{{ targets: ['{address}'] }}]\n",
            rules.display()
        );
        let peer =
            prometheus(&config, &["--web.enable-lifecycle", "--rules.alert.resend-delay=1s"]).await;
        let firing = ["FarTargets Firing"];
        wait_for("an incident opens", async || incidents(&world).await == firing).await;
        let labels = world.handle.read(|engine| {
            engine.incidents().map(|one| one.opened.labels["cluster"].clone()).collect::<Vec<_>>()
        });
        assert_eq!(labels.await.expect("the engine runs"), ["x"]);
        // The rule stays and its condition is over: the sender says so.
        write_rule(&rules, "< 0");
        let answer = post(&peer.address, "/-/reload", "", b"").await;
        assert!(answer.contains(" 200 "), "{answer}");
        let clear = ["FarTargets Clear"];
        wait_for("the sender says that it is over", async || incidents(&world).await == clear)
            .await;
    });
}

fn write_rule(path: &Path, condition: &str) {
    let text = format!(
        "groups: [{{ name: far, rules: [{{ alert: FarTargets, expr: paramedic_targets {condition} }}] }}]"
    );
    std::fs::write(path, text).expect("a file can be written");
}

#[test]
fn a_real_alertmanager_calls_our_webhook() {
    if !is_here("a_real_alertmanager_calls_our_webhook", "prometheus-alertmanager") {
        return;
    }
    run(async {
        let (world, ours) = serve().await;
        let address = free_port();
        let receiver = format!(
            ", webhook_configs: [{{ url: 'http://{ours}/api/paramedic/v1/webhook', http_config: {{ \
             authorization: {{ credentials: {TOKEN} }} }} }}]"
        );
        let _peer = alertmanager(&address, &receiver).await;
        let json = "Content-Type: application/json\r\n";
        let firing = br#"[{"labels":{"alertname":"Hooked","instance":"a"}}]"#;
        let answer = post(&address, "/api/v2/alerts", json, firing).await;
        assert!(answer.contains(" 200 "), "{answer}");
        wait_for("an incident opens", async || incidents(&world).await == ["Hooked Firing"]).await;
        let now = world.clock.now();
        let over =
            format!(r#"[{{"labels":{{"alertname":"Hooked","instance":"a"}},"endsAt":"{now}"}}]"#);
        post(&address, "/api/v2/alerts", json, over.as_bytes()).await;
        wait_for("it is over", async || incidents(&world).await == ["Hooked Clear"]).await;
    });
}

/// A network in which every connection is an Alertmanager that takes everything and remembers it.
#[derive(Clone, Default)]
struct Recorder(Arc<std::sync::Mutex<Vec<serde_json::Value>>>);

impl paramedic_integration::Transport for Recorder {
    fn connect<'a>(
        &'a self,
        _: &'a Address,
    ) -> paramedic_model::BoxFuture<'a, std::io::Result<paramedic_integration::BoxStream>> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let heard = self.0.clone();
        tokio::spawn(async move {
            let (mut text, mut bytes) = (String::new(), [0; 4096]);
            loop {
                let Ok(count @ 1..) = theirs.read(&mut bytes).await else { return };
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
                let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
                let Ok(serde_json::Value::Array(alerts)) = serde_json::from_str(body) else {
                    continue;
                };
                heard.lock().expect("nobody panics with it").extend(alerts);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = theirs.write_all(answer).await;
                return;
            }
        });
        Box::pin(async { Ok(Box::new(ours) as paramedic_integration::BoxStream) })
    }
}

impl Recorder {
    /// What was heard of each alert: how often it began or ended for whoever is notified, and whether
    /// the last word is that it fires, at `now`.
    fn heard(&self, now: paramedic_model::TimeMs) -> Vec<String> {
        let heard = self.0.lock().expect("nobody panics with it");
        let mut alerts = std::collections::BTreeMap::<_, (usize, String, String)>::new();
        for word in heard.iter() {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let name = text(&word["labels"]["alertname"]);
            let (starts_at, ends_at) = (text(&word["startsAt"]), text(&word["endsAt"]));
            let (begun, last, until) = alerts.entry(name).or_default();
            *begun += usize::from(*last != starts_at);
            (*last, *until) = (starts_at, ends_at);
        }
        let now = now.to_string();
        let line = |(name, (begun, _, until)): (&String, &(usize, String, String))| {
            format!("{name} begun {begun}, {}", if *until > now { "fires" } else { "is over" })
        };
        alerts.iter().map(line).collect()
    }

    /// The link in the last word on an alert.
    fn link(&self, alert: &str) -> String {
        let heard = self.0.lock().expect("nobody panics with it");
        let mut words = heard.iter().rev();
        let last = words.find(|word| word["labels"]["alertname"] == alert);
        last.expect("it was heard of")["generatorURL"].as_str().unwrap_or_default().to_owned()
    }
}

/// A world in virtual time whose thing's alert was told, and then its target was lost for an hour.
async fn lost(when_blind: WhenBlind) -> (World, Recorder) {
    let recorder = Recorder::default();
    let clock = Arc::new(ScaledClock::new(paramedic_testkit::VIRTUAL_EPOCH, 1.0));
    let environment = Environment {
        clock: clock.clone(),
        transport: Arc::new(recorder.clone()),
        processes: Arc::new(OsProcesses),
        redactor: Redactor::default(),
    };
    let sending = Sending { when_blind, ..sending_in(&Address::new("am", 9093), &environment) };
    let world = World::virtual_with(clock, sending).await;
    world.break_as(Some("crashed")).await;
    assert_eq!(recorder.heard(world.clock.now()), ["ThingDown begun 1, fires"]);
    world.thing().reachable = false;
    world.pass(3600).await;
    (world, recorder)
}

#[test]
fn an_alert_whose_samples_vanished_goes_on_until_somebody_knows_better() {
    crate::world::run(async {
        let (world, recorder) = lost(WhenBlind::Hold).await;
        // The alert goes on as it was, so nobody is notified of it; of the target somebody is, once.
        let firing = ["TargetLost begun 1, fires", "ThingDown begun 1, fires"];
        assert_eq!(recorder.heard(world.clock.now()), firing);
        assert_eq!(
            recorder.link("TargetLost"),
            format!("http://{}/incidents/2", crate::world::HOST)
        );
        assert_eq!(incidents(&world).await, ["ThingDown Blind", "TargetLost Firing"]);
        {
            let mut thing = world.thing();
            (thing.up, thing.reachable) = (1.0, true);
        }
        world.pass(60).await;
        let over = ["TargetLost begun 1, is over", "ThingDown begun 1, is over"];
        assert_eq!(recorder.heard(world.clock.now()), over);
        assert_eq!(incidents(&world).await, ["ThingDown Clear", "TargetLost Clear"]);
    });
}

#[test]
fn it_is_over_as_from_prometheus_where_that_is_wanted() {
    crate::world::run(async {
        let (world, recorder) = lost(WhenBlind::Resolve).await;
        assert_eq!(recorder.heard(world.clock.now()), ["ThingDown begun 1, is over"]);
        assert_eq!(incidents(&world).await, ["ThingDown Blind", "TargetLost Firing"]);
    });
}

/// A JSON value with the moments and durations of a run taken out.
fn timeless(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    "evaluationTime" | "lastEvaluation" | "activeAt" | "file" => {
                        *field = serde_json::Value::Null;
                    }
                    _ => timeless(field),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(timeless),
        _ => {}
    }
}

/// Rules of every shape, and alerts in every state.
const SHAPES: &str = r#"groups:
- name: shapes
  interval: 1s
  limit: 100
  rules:
  - { record: "r:one", expr: "vector( 1 )", labels: { a: "x & y" } }
  - { record: r2, expr: "1 +  1" }
  - { alert: Fires, expr: "vector(12345) >= 1", labels: { severity: page, "t": "{{ $value }}" }, annotations: { summary: "<{{ $value }}>" } }
  - { alert: Waits, expr: "vector(0)", for: 90m }
  - { alert: Sleeps, expr: "vector(1) > 2", for: 1d, keep_firing_for: 5m }
  - { alert: Fails, expr: "label_replace(vector(1), \"x\", \"$1\", \"a\", \"(.*)\") + on() (vector(1) or label_replace(vector(1), \"b\", \"c\", \"\", \"\"))" }
"#;

#[test]
fn rules_are_shown_as_a_real_prometheus_shows_them() {
    if !is_here("rules_are_shown_as_a_real_prometheus_shows_them", "prometheus") {
        return;
    }
    run(async {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let rules = folder.path().join("rules.yml");
        std::fs::write(&rules, SHAPES).expect("a file can be written");
        let config = format!("rule_files: ['{}']\n", rules.display());
        let real = prometheus(&config, &[]).await;
        let world = World::today_with(SHAPES, Sending::default()).await;
        let server = Server::bind(
            world.handle.clone(),
            world.clock.clone(),
            ServerOptions::new(Secret::new(TOKEN)),
        );
        let server = server.await.expect("there is a free port");
        let ours = server.address().clone();
        tokio::spawn(server.run());
        for path in ["/api/v1/rules", "/api/v1/rules?type=record", "/api/v1/alerts"] {
            let mut shown = [String::new(), String::new()];
            let get = async |address: &Address| {
                let head = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
                let answer = exchange(address, &head).await;
                let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                let mut value: serde_json::Value = serde_json::from_str(body).expect("JSON");
                timeless(&mut value);
                serde_json::to_string_pretty(&value).expect("it is JSON")
            };
            // Both need a second until their groups ran.
            for _ in 0..TRIES {
                shown = [get(&real.address).await, get(&ours).await];
                if shown[0] == shown[1] && !shown[1].contains("unknown") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(shown[1], shown[0], "{path}");
        }
    });
}
