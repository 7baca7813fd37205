//! Alertmanagers that a file lists, as the built binary finds them: one that comes hears of what fires
//! already, and one that is gone is not told any more. And Alertmanagers that are elsewhere by now.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use paramedic_integration::serve_http;
use tokio::net::TcpListener;

use crate::process::{Site, eventually};

const CONFIG: &str = r#"
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - file_sd_configs: [{ files: ["alertmanagers/*.json"] }]
    relabel_configs: [{ source_labels: [__address__], regex: "not.test.*", action: drop }]
sending: { resend_delay: 1s, drain_timeout: 0s }
data_dir: data
server: { listen: "127.0.0.1:0" }
"#;

const RULES: &str =
    "groups: [{ name: g, interval: 1s, rules: [{ alert: Always, expr: vector(1) }] }]\n";

#[tokio::test]
async fn alertmanagers_are_found_in_files() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(serve_http(Box::new(stream), move |request| {
                let body = String::from_utf8_lossy(request.body()).into_owned();
                let is_ours = request.uri() == "/api/v2/alerts" && body.contains("Always");
                counted.fetch_add(usize::from(is_ours), Ordering::Relaxed);
                Box::pin(async { Some(http::Response::default()) })
            }));
        }
    });
    let site = Site::new(&[("paramedic.yml", CONFIG), ("rules.yml", RULES)]);
    let serve = site.serve().await;
    let known = async || {
        let answer = serve.get("/api/v1/alertmanagers").await;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    };
    let none = r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#;
    assert!(known().await.contains(none));
    site.write("alertmanagers/a.json", &format!(r#"[{{"targets": ["{address}", "not.test:1"]}}]"#));
    eventually("it hears", async || (heard.load(Ordering::Relaxed) > 0).then_some(())).await;
    let both = format!(
        r#"{{"activeAlertmanagers":[{{"url":"http://{address}/api/v2/alerts"}}],"droppedAlertmanagers":[{{"url":"http://not.test:1/api/v2/alerts"}}]}}"#
    );
    assert!(known().await.contains(&both));
    std::fs::remove_file(site.path().join("alertmanagers/a.json")).expect("it is there");
    eventually("it is gone", async || known().await.contains(none).then_some(())).await;
}

#[tokio::test]
async fn a_redirect_that_keeps_the_alerts_is_followed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(serve_http(Box::new(stream), move |request| {
                let path = request.uri().to_string();
                let is_whole = String::from_utf8_lossy(request.body()).contains("Always");
                let shows = request.headers().contains_key("authorization");
                let line = format!("{} {path} {is_whole} {shows}", request.method());
                heard.lock().expect("nobody panicked").push(line);
                let elsewhere = format!("http://localhost:{}/there", address.port());
                let (status, location) = match path.as_str() {
                    "/api/v2/alerts" => (307, "/kept?a=b"),
                    "/kept?a=b" => (308, elsewhere.as_str()),
                    "/there" => (200, ""),
                    "/not/api/v2/alerts" => (307, "/never"),
                    _ => (302, "/never"),
                };
                let answer = http::Response::builder().status(status).header("location", location);
                Box::pin(async move { answer.body(Default::default()).ok() })
            }));
        }
    });
    let one = |more: &str| {
        format!(
            "  - basic_auth: {{ username: ann, password: secret }}\n    static_configs: [{{ targets: \
             [\"{address}\"] }}]\n{more}"
        )
    };
    let not = "    path_prefix: /not\n    follow_redirects: false\n";
    let config = format!(
        "rule_files: [rules.yml]\nalerting:\n  alertmanagers:\n{}{}{}sending: {{ drain_timeout: 0s }}\n\
         data_dir: data\nserver: {{ listen: \"127.0.0.1:0\" }}\n",
        one(""),
        one(not),
        one("    path_prefix: /found\n"),
    );
    let site = Site::new(&[("paramedic.yml", &config), ("rules.yml", RULES)]);
    let _serve = site.serve().await;
    let seen = async |line: &str| {
        eventually(line, async || {
            let asked = asked.lock().expect("nobody panicked");
            asked.iter().any(|asked| asked == line).then_some(())
        })
        .await;
    };
    for line in [
        "POST /api/v2/alerts true true",
        "POST /kept?a=b true true",
        // Another host, as far as anybody knows.
        "POST /there true false",
        "POST /not/api/v2/alerts true true",
        "POST /found/api/v2/alerts true true",
    ] {
        seen(line).await;
    }
    let asked = asked.lock().expect("nobody panicked");
    assert!(!asked.iter().any(|asked| asked.contains("/never")), "{asked:?}");
}
