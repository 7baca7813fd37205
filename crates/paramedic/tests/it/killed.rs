//! A real server, a real kill, a real restart. Each test asks the next server through its API what
//! it knows, and the simulated firewall what it was asked for.

use std::time::Duration;

use expect_test::expect;
use paramedic_integration::ScaledClock;
use paramedic_model::Clock as _;
use serde_json::Value;

use crate::process::{Firewall, Serve, Site, eventually};

const FAULT: &str = "unbound-lost-pid";
/// The request that the action sends.
const RESTART: &str = "POST /api/core/service/restart";
/// A request that only the look of the page sends.
const LOOK: &str = "/api/diagnostics/";

/// How much of its `for` an alert waits before the kill, and how much of that must count after it.
const WAITED: Duration = Duration::from_secs(6);
const COUNTED: Duration = Duration::from_secs(2);

fn rules(hold: &str) -> String {
    format!(
        "groups:\n  - name: own\n    evaluation: data\n    rules:\n      - alert: UnboundDown\n        \
         expr: opnsense_services_status{{name=\"unbound\"}} == 0\n        for: {hold}\n"
    )
}

const PAGE: &str = r#"
# UnboundDown

## Diagnosis

1. **Look again**

   ```probe
   uses: opnsense/service-status
   id: status
   with: { service: "{{ $labels.name }}" }
   ```

2. **See the resources**

   ```probe
   uses: opnsense/resources
   id: resources
   ```

### Causes

- **It is down**

  ```cause
  id: down
  when: "!status.running"
  because: "{{ .status.summary }}"
  fix: [restart]
  ```

## Mitigation

1. **Restart it**

   ```action
   uses: opnsense/service-restart
   id: restart
   with: { service: "{{ $labels.name }}" }
   approval: required
   verify: 1m
   ```
"#;

/// A firewall, and a folder for the servers that watch it.
async fn site(hold: &str) -> (Firewall, Site) {
    let firewall = Firewall::start().await;
    let config = format!(
        "shipped: {{ rules: false, runbooks: false }}\nrule_files: [rules.yml]\n\
         runbooks: [page.md]\nserver: {{ listen: \"127.0.0.1:0\" }}\ndata_dir: data\n\
         guards: {{ watch: 2s }}\nsystems:\n{}",
        firewall.system()
    );
    let files = [("paramedic.yml", &*config), ("rules.yml", &*rules(hold)), ("page.md", PAGE)];
    let site = Site::new(&files);
    firewall.secrets(&site);
    (firewall, site)
}

fn stage(wanted: &'static str) -> impl Fn(&Value) -> Option<Value> {
    move |incident| (incident["stage"] == wanted).then(|| incident.clone())
}

async fn approve(server: &Serve) {
    server.incident("a proposal waits", stage("waiting for approval")).await;
    let output = server.ask(&["approve", "1"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// To the end: the incident closes as repaired, and the firewall was asked once.
async fn ends_well(server: &Serve, firewall: &Firewall) -> Value {
    let closed = server.incident("the incident closes", stage("closed")).await;
    assert_eq!(closed["ending"], "repaired", "{closed:#}");
    assert_eq!(firewall.changes(), ["restart unbound"]);
    closed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_an_alert_is_pending() {
    let (firewall, site) = site("10s").await;
    let clock = ScaledClock::wall();
    firewall.inject(FAULT);
    let server = site.serve().await;
    eventually("the alert is pending", async || {
        server.get("/rules").await.contains("pending").then_some(())
    })
    .await;
    let pending = clock.now();
    eventually("a part of its wait is over", async || {
        (clock.now() > pending + WAITED).then_some(())
    })
    .await;
    server.kill();
    let server = site.serve().await;
    let up = clock.now();
    let incident = server.incident("it fires", |incident| Some(incident.clone())).await;
    // The moment from which its wait counts is moved by the time down, and by no more. Moments in
    // RFC 3339 sort as texts.
    let since = incident["since"].as_str().expect("a moment");
    let latest = (up - COUNTED).to_string();
    assert!(since < latest.as_str(), "waits since {since}, the second server is up since {up}");
    approve(&server).await;
    ends_well(&server, &firewall).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_diagnosis_runs() {
    let (firewall, site) = site("2s").await;
    let server = site.serve().await;
    firewall.inject(FAULT);
    firewall.hold(LOOK);
    let before = server.incident("a diagnosis runs", stage("diagnosing")).await;
    firewall.holding().await;
    server.kill();
    firewall.open();
    let server = site.serve().await;
    let after = server.incident("it is there", |incident| Some(incident.clone())).await;
    for field in ["id", "alert", "opened_at", "since", "labels"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    approve(&server).await;
    ends_well(&server, &firewall).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_the_intent_and_the_outcome() {
    let (firewall, site) = site("2s").await;
    let server = site.serve().await;
    firewall.inject(FAULT);
    firewall.hold(RESTART);
    approve(&server).await;
    // The firewall has done it, and its answer is on the way for ever.
    firewall.holding().await;
    assert_eq!(firewall.changes(), ["restart unbound"]);
    let before = server.incident("it acts", stage("acting")).await;
    assert_eq!(before["acts"][0]["outcome"], Value::Null, "{before:#}");
    server.kill();
    firewall.open();
    let server = site.serve().await;
    let closed = ends_well(&server, &firewall).await;
    let acts = closed["acts"].as_array().expect("a list");
    assert_eq!(acts.len(), 1, "{closed:#}");
    assert_eq!(acts[0]["outcome"], "done");
    let summary = acts[0]["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("found after a restart: "), "{summary}");
    let before = before["timeline"].as_array().expect("a list").clone();
    let after = closed["timeline"].as_array().expect("a list");
    assert!(after.starts_with(&before), "{closed:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_was_acknowledged_outlives_the_server() {
    let (firewall, site) = site("2s").await;
    let server = site.serve().await;
    firewall.inject(FAULT);
    server.incident("a proposal waits", stage("waiting for approval")).await;
    // The guards' own look is held back, so that the action is not sent yet.
    firewall.hold("/api/core/service/search");
    approve(&server).await;
    firewall.holding().await;
    server.kill();
    assert!(firewall.changes().is_empty());
    firewall.open();
    let server = site.serve().await;
    ends_well(&server, &firewall).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_do_not_share_a_journal() {
    let (_firewall, site) = site("2s").await;
    let _first = site.serve().await;
    let second = crate::process::run(site.path(), &["serve", "--config", "paramedic.yml"]);
    assert_eq!(second.status.code(), Some(3));
    expect![[r#"
        paramedic: data/journal.db is in use by another process; stop that one, or give this one a directory of its own
    "#]].assert_eq(&String::from_utf8_lossy(&second.stderr));
}
