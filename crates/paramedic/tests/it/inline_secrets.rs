//! A configuration with secrets of every kind in it, given to the built binary.

use crate::process::{Site, eventually};

const RULES: &str =
    "groups: [{ name: g, interval: 1s, rules: [{ alert: Always, expr: vector(1) }] }]\n";

/// Everything that refers to a secret; nobody listens at port 1, so that failures are logged.
fn config(certificate: &str, key: &str) -> String {
    let indented = |pem: &str| pem.trim_end().replace('\n', "\n      ");
    let (certificate, key) = (indented(certificate), indented(key));
    format!(
        r#"# password: in-a-comment
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
rule_files: [rules.yml]
scrape_configs:
- job_name: basic
  basic_auth: {{ username: ann, password: 'it''s-basic' }}
  static_configs: [{{ targets: ["127.0.0.1:1"] }}]
- job_name: short
  basic_auth: {{ username: ann, password: "~Q~" }}
  static_configs: [{{ targets: ["127.0.0.1:1"] }}]
- job_name: scheme
  authorization: {{ credentials: "of-the-\x73cheme" }}
  static_configs: [{{ targets: ["127.0.0.1:1"] }}]
- job_name: bearer
  bearer_token: of-the-bearer
  static_configs: [{{ targets: ["127.0.0.1:1"] }}]
- job_name: unused
  bearer_token: of-nobody
- job_name: shown
  scheme: https
  tls_config:
    insecure_skip_verify: true
    cert: |
      {certificate}
    key: |
      {key}
  static_configs: [{{ targets: ["127.0.0.1:1"] }}]
- job_name: found
  http_sd_configs:
  - url: http://127.0.0.1:1/targets?token=in-the-query
    refresh_interval: 1s
    basic_auth: {{ username: ann, password: of-the-discovery }}
alerting:
  alertmanagers:
  - basic_auth: {{ username: ann, password: of-the-alertmanager }}
    static_configs: [{{ targets: ["127.0.0.1:1"] }}]
data_dir: data
server: {{ listen: "127.0.0.1:0" }}
"#
    )
}

#[tokio::test]
async fn secrets_in_the_configuration_are_never_shown() {
    let certified = rcgen::generate_simple_self_signed(vec!["paramedic".to_owned()]);
    let certified = certified.expect("a certificate");
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let site = Site::new(&[("paramedic.yml", &config(&certificate, &key)), ("rules.yml", RULES)]);
    let serve = site.serve().await;
    eventually("it fails to ask and to send, and says so", async || {
        let said = serve.said();
        let failures =
            ["http://127.0.0.1:1/targets: connect to", "alerts wait, as they are not taken"];
        failures.iter().all(|failure| said.contains(failure)).then_some(())
    })
    .await;
    let mut secrets = vec![
        "it's-basic",
        "it''s-basic",
        "~Q~",
        "of-the-scheme",
        "x73cheme",
        "of-the-bearer",
        "of-nobody",
        "of-the-discovery",
        "of-the-alertmanager",
        "in-a-comment",
    ];
    secrets.extend(key.lines().filter(|line| !line.starts_with("---")));
    let answered = async |path: &str| {
        let answer = serve.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        answer
    };
    let config = answered("/api/v1/status/config").await;
    assert_eq!(config.matches("<secret>").count(), 8, "{config}");
    assert!(config.contains("username: ann") && config.contains("job_name: unused"), "{config}");
    let mut shown = vec![config];
    for path in ["/", "/systems", "/rules", "/metrics"] {
        shown.push(answered(path).await);
    }
    for path in ["targets", "scrape_pools", "alertmanagers", "status/flags", "rules", "alerts"] {
        shown.push(answered(&format!("/api/v1/{path}")).await);
    }
    let said = serve.said();
    assert!(!said.contains("in-the-query"), "{said}");
    shown.push(said);
    for secret in secrets {
        let leak = shown.iter().find(|shown| shown.contains(secret));
        assert!(leak.is_none(), "{secret}: {leak:?}");
    }
}
