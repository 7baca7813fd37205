//! Bad input through the built binary.
//!
//! Files: each mistake with its file, line and column and what to do, on standard error, exit code
//! 1. Systems: whatever they answer, the server goes on, and shows that it cannot look and why.

use std::net::Ipv4Addr;

use expect_test::{Expect, expect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{Site, eventually, run};

/// Checks `paramedic.yml` among these files. What is expected is the exit code and all output.
fn check(files: &[(&str, &str)], want: Expect) {
    let site = Site::new(files);
    let output = run(site.path(), &["config", "check", "paramedic.yml"]);
    let code = output.status.code().expect("it ends by itself");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output in UTF-8");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    want.assert_eq(&format!("exit {code}\n{out}{err}"));
    // A server says the same and does not start.
    if code != 0 {
        let served = run(site.path(), &["serve", "--config", "paramedic.yml"]);
        assert_eq!((served.status.code(), text(&served.stderr)), (Some(code), err));
    }
}

/// Checks a configuration that is this text.
fn config(text: &str, want: Expect) {
    check(&[("paramedic.yml", text)], want);
}

const RULES: &str = "shipped: { rules: false, runbooks: false }\nrule_files: [rules.yml]\n";
const PAGE: &str = "shipped: { rules: false, runbooks: false }\nrunbooks: [page.md]\n";

#[test]
fn a_good_configuration_says_what_is_in_it() {
    config(
        "systems: []\n",
        expect![[r#"
        exit 0
        paramedic.yml: 0 systems, 0 targets, 0 rules in 0 groups, 0 runbooks
    "#]],
    );
}

#[test]
fn there_is_no_configuration() {
    check(
        &[],
        expect![[r#"
            exit 3
            paramedic.yml: cannot read it: No such file or directory (os error 2)
        "#]],
    );
}

#[test]
fn broken_yaml_is_named_with_its_place() {
    config(
        "systems:\n  - name: fw1\n   kind: opnsense\n",
        expect![[r#"
            exit 1
            paramedic.yml:3:4: while parsing a block collection, did not find expected '-' indicator
        "#]],
    );
    config(
        "global: {scrape_interval: 15s\n",
        expect![[r#"
            exit 1
            paramedic.yml:1:9: unclosed bracket '{'
        "#]],
    );
    config(
        "a: 1\na: 2\n",
        expect![[r#"
            exit 1
            paramedic.yml:2:1: the key `a` stands twice
        "#]],
    );
    config(
        "- 1\n",
        expect![[r#"
        exit 1
        paramedic.yml:1:1: `the configuration` must be a map, not a list
    "#]],
    );
    config(
        &"[".repeat(5000),
        expect![[r#"
            exit 1
            paramedic.yml:1:256: recursion limit exceeded
        "#]],
    );
    config(
        "a: &a [*a, *a]\n",
        expect![[r#"
            exit 1
            paramedic.yml:1:8: an alias stands within its own anchor
        "#]],
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    config(
        "sistems: []\n",
        expect![[r#"
        exit 1
        paramedic.yml:1:1: unknown key `sistems`; did you mean `systems`?
    "#]],
    );
    config(
        "global:\n  scrape_intervall: 15s\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:3: unknown key `scrape_intervall`; did you mean `scrape_interval`?
    "#]],
    );
    config(
        "guards:\n  cool_down: 5m\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:3: unknown key `cool_down`; did you mean `cooldown`?
    "#]],
    );
    config(
        "entirely_else: 1\n",
        expect![[r#"
            exit 1
            paramedic.yml:1:1: unknown key `entirely_else`; known here: prometheus, global, scrape_configs, scrape_config_files, alerting, remote_write, remote_read, storage, tracing, otlp, runtime, rule_files, runbooks, shipped, systems, guards, data_dir, server, query, sending, retention, samples, restore
        "#]],
    );
    config(
        "remote_write: [{ url: http://x }]\n",
        expect![[r#"
            exit 1
            paramedic.yml:1:15: `remote_write` is not supported: samples are not sent on; let a Prometheus beside it do that
        "#]],
    );
}

/// As people have it.
const PROMETHEUS: &str = r#"
global:
  scrape_interval: 15s
  scrape_timeout: 10s
  evaluation_interval: 15s
  external_labels: { monitor: lab, host: "${HOSTNAME}" }
  sample_limit: 50000
rule_files: ["rules/*.yml"]
alerting:
  alert_relabel_configs: [{ regex: replica, action: labeldrop }]
  alertmanagers:
  - path_prefix: /am
    static_configs: [{ targets: ["127.0.0.1:9093"] }]
scrape_configs:
- job_name: prometheus
  static_configs: [{ targets: ["localhost:9090"] }]
- job_name: node
  honor_labels: true
  scrape_interval: 1m
  metrics_path: /m
  params: { "collect[]": [cpu, disk] }
  body_size_limit: 10MB
  fallback_scrape_protocol: PrometheusText0.0.4
  basic_auth: { username: ann, password: secret }
  tls_config: { insecure_skip_verify: true, server_name: x }
  scheme: https
  static_configs: [{ targets: ["a:9100", "b:9100"], labels: { env: prod } }]
  file_sd_configs: [{ files: ["targets/*.json"], refresh_interval: 1m }]
  http_sd_configs: [{ url: "http://127.0.0.1:1/targets", authorization: { credentials: x } }]
  relabel_configs:
  - { source_labels: [__address__], regex: "([^:]+):.*", target_label: instance }
  - { action: Keep, source_labels: [env], regex: prod|dev }
  metric_relabel_configs:
  - { source_labels: [__name__], regex: go_.*, action: drop }
"#;

#[test]
fn a_prometheus_yml_is_taken_as_it_is() {
    config(
        PROMETHEUS,
        expect![[r#"
        exit 0
        paramedic.yml: 0 systems, 3 targets, 0 rules in 0 groups, 0 runbooks
    "#]],
    );
    check(
        &[
            ("etc/prometheus.yml", PROMETHEUS),
            ("paramedic.yml", "prometheus: etc/prometheus.yml\n"),
        ],
        expect![[r#"
            exit 0
            paramedic.yml: 0 systems, 3 targets, 0 rules in 0 groups, 0 runbooks
        "#]],
    );
}

#[test]
fn a_mistake_of_another_file_stands_at_its_own_path() {
    let files = |own: &'static str| {
        [("etc/prometheus.yml", "global: { scrape_intervall: 1m }\n"), ("paramedic.yml", own)]
    };
    check(
        &files("prometheus: etc/prometheus.yml\n"),
        expect![[r#"
        exit 1
        etc/prometheus.yml:1:11: unknown key `scrape_intervall`; did you mean `scrape_interval`?
    "#]],
    );
    check(
        &files("global: {}\nsistems: []\nprometheus: etc/prometheus.yml\n"),
        expect![[r#"
        exit 1
        paramedic.yml:1:9: `global` stands in etc/prometheus.yml then, not here
        paramedic.yml:2:1: unknown key `sistems`; did you mean `systems`?
        etc/prometheus.yml:1:11: unknown key `scrape_intervall`; did you mean `scrape_interval`?
    "#]],
    );
    check(
        &files("prometheus: nowhere.yml\n"),
        expect![[r#"
        exit 1
        paramedic.yml:1:13: cannot read nowhere.yml: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn what_a_job_may_not_say_is_named() {
    let job = |text: &str, want: Expect| {
        config(&format!("scrape_configs:\n- job_name: x\n{text}"), want);
    };
    job(
        "  kubernetes_sd_configs: [{ role: pod }]\n  oauth2: { client_id: x }\n  \
         proxy_url: http://x\n  http_headers: {}\n  scrape_native_histograms: true\n  \
         scrape_protocols: [PrometheusProto]\n",
        expect![[r#"
            exit 1
            paramedic.yml:8:22: `PrometheusProto` is not supported: targets are scraped in the text formats; leave it out
        "#]],
    );
    job(
        "  scrape_interval: 5s\n  scrape_timeout: 7s\n  body_size_limit: ten\n",
        expect![[r#"
            exit 1
            paramedic.yml:4:19: scrape timeout greater than scrape interval for scrape config with job name "x"
            paramedic.yml:5:20: `body_size_limit` must be a size such as 10MB, not "ten"
        "#]],
    );
    job(
        "  relabel_configs:\n  - { regex: \"(\", target_label: x }\n  - { action: kep }\n  - \
         { action: hashmod, target_label: x }\n  - { source_label: [a], target_label: b }\n",
        expect![[r#"
            exit 1
            paramedic.yml:4:14: error parsing regexp: missing closing ): `^(?s:()$`
            paramedic.yml:5:15: unknown relabel action "kep"
            paramedic.yml:6:5: relabel configuration for hashmod requires non-zero modulus
            paramedic.yml:7:7: unknown key `source_label`; did you mean `source_labels`?
        "#]],
    );
    job(
        "  basic_auth: { username: a, password: b, password_file: c }\n",
        expect![[r#"
            exit 1
            paramedic.yml:3:58: at most one of password & password_file must be configured
        "#]],
    );
    job(
        "  authorization: { type: Basic }\n",
        expect![[r#"
        exit 1
        paramedic.yml:3:18: authorization type cannot be set to "basic", use "basic_auth" instead
    "#]],
    );
    job(
        "  basic_auth: {}\n  authorization: {}\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:3: at most one of basic_auth, oauth2 & authorization must be configured
    "#]],
    );
    job(
        "  tls_config: { cert_file: nowhere.pem }\n",
        expect![[r#"
        exit 1
        paramedic.yml:3:28: cannot read nowhere.pem: No such file or directory (os error 2)
    "#]],
    );
    job(
        "  tls_config: { ca: nonsense }\n",
        expect![[r#"
        exit 1
        paramedic.yml:3:15: setting "tls_config": the file holds no certificate authority
    "#]],
    );
    job(
        "  static_configs: [{ targets: [\"http://a:1/x\"] }]\n  file_sd_configs: [{ files: [a.txt] }]\n  \
         http_sd_configs: [{ url: ftp://a }, { url: \"http://ann:pw@sd/x\" }]\n- job_name: x\n",
        expect![[r#"
            exit 1
            paramedic.yml:3:32: "http://a:1/x" is not a valid hostname; write host:port, and the rest as `scheme` and `metrics_path`
            paramedic.yml:4:31: path name "a.txt" is not valid for file discovery: it ends in .json, .yml or .yaml, and only its last part may hold *
            paramedic.yml:5:28: URL scheme must be 'http' or 'https'
            paramedic.yml:5:46: user and password do not belong into a URL, which is shown and logged; use `basic_auth`
            paramedic.yml:6:3: found multiple scrape configs with job name "x"
        "#]],
    );
}

#[test]
fn a_bad_value_says_what_would_be_good() {
    config(
        "global:\n  scrape_interval: soon\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:20: `scrape_interval` must be a duration such as 30s or 5m, not "soon"
    "#]],
    );
    config(
        "guards:\n  attempts: many\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:13: `attempts` must be a whole number, not "many"
    "#]],
    );
    config(
        "guards:\n  automatic: perhaps\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:14: `automatic` must be true or false, not "perhaps"
    "#]],
    );
    config(
        "server:\n  listen: 0.0.0.0:9190\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:11: `listen` must be a loopback address such as 127.0.0.1:9190: there are no user accounts yet
    "#]],
    );
    config(
        "server:\n  listen: nowhere\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:11: expected host:port, not "nowhere"
    "#]],
    );
    config(
        "restore: disk\n",
        expect![[r#"
        exit 1
        paramedic.yml:1:10: `restore` must be journal or prometheus, not "disk"
    "#]],
    );
    config(
        "restore: { from: prometheus, for_grace_period: soon, grace: 1m }\n",
        expect![[r#"
            exit 1
            paramedic.yml:1:48: `for_grace_period` must be a duration such as 30s or 5m, not "soon"
            paramedic.yml:1:54: unknown key `grace`; known here: from, for_grace_period, for_outage_tolerance
        "#]],
    );
    config(
        "restore: { from: journal, for_grace_period: 1m }\n",
        expect![[r#"
        exit 1
        paramedic.yml:1:45: `for_grace_period` is of `from: prometheus`
    "#]],
    );
    config(
        "retention: [1]\n",
        expect![[r#"
        exit 1
        paramedic.yml:1:12: `retention` must be a text, not a list
    "#]],
    );
}

#[test]
fn a_bad_system_is_named() {
    config(
        "systems:\n  - name: fw1\n    kind: opensense\n",
        expect![[r#"
        exit 1
        paramedic.yml:3:11: unknown kind `opensense`; did you mean `opnsense`?
    "#]],
    );
    config(
        "systems:\n  - name: fw1\n    kind: opnsense\n",
        expect![[r#"
        exit 1
        paramedic.yml:2:5: `url` is missing; for example `url: https://fw1.example.net`
        paramedic.yml:2:5: `api_key` is missing; for example `api_key: { file: /etc/paramedic/fw1.key }`
        paramedic.yml:2:5: `api_secret` is missing; for example `api_secret: { file: /etc/paramedic/fw1.secret }`
    "#]],
    );
    config(
        "systems:\n  - name: a b\n    kind: opnsense\n  - kind: opnsense\n  - name: x\n",
        expect![[r#"
            exit 1
            paramedic.yml:2:11: `name` may hold letters, digits and - _ . only, not "a b"
            paramedic.yml:4:5: `name` is missing
            paramedic.yml:5:5: `kind` is missing
        "#]],
    );
    config(
        "systems:\n  - name: fw1\n    kind: opnsense\n    url: ftp://x\n    \
         api_key: { env: PATH }\n    api_secret: { env: PATH }\n",
        expect![[r#"
            exit 1
            paramedic.yml:4:10: `url` must be a URL such as https://192.0.2.1, not "ftp://x"
            paramedic.yml:5:21: the environment variable PATH is not set
            paramedic.yml:6:24: the environment variable PATH is not set
        "#]],
    );
    config(
        "systems:\n  - name: fw1\n    kind: opnsense\n    url: https://192.0.2.1\n    \
         api_kez: { env: X }\n    api_secret: { env: X }\n",
        expect![[r#"
            exit 1
            paramedic.yml:2:5: `api_key` is missing; for example `api_key: { file: /etc/paramedic/fw1.key }`
            paramedic.yml:5:5: unknown key `api_kez`; did you mean `api_key`?
            paramedic.yml:6:24: the environment variable X is not set
        "#]],
    );
}

#[test]
fn a_secret_comes_from_a_file_or_a_variable() {
    let system = |key: &str| {
        format!(
            "systems:\n  - name: fw1\n    kind: opnsense\n    url: https://192.0.2.1\n    \
             api_key: {key}\n    api_secret: {{ file: secret }}\n"
        )
    };
    let check_key = |key: &str, want: Expect| {
        check(&[("paramedic.yml", &system(key)), ("secret", "s3cr3t\n")], want);
    };
    check_key(
        "{ file: missing }",
        expect![[r#"
        exit 1
        paramedic.yml:5:22: cannot read missing: No such file or directory (os error 2)
    "#]],
    );
    check_key(
        "{ env: NOT_SET_ANYWHERE }",
        expect![[r#"
        exit 1
        paramedic.yml:5:21: the environment variable NOT_SET_ANYWHERE is not set
    "#]],
    );
    check_key(
        "hunter2",
        expect![[r#"
        exit 1
        paramedic.yml:5:14: `api_key` is a secret: write { file: PATH } or { env: NAME }
    "#]],
    );
    check_key(
        "{ value: hunter2 }",
        expect![[r#"
        exit 1
        paramedic.yml:5:14: `api_key` is a secret: write { file: PATH } or { env: NAME }
    "#]],
    );
}

#[test]
fn a_rule_file_is_checked_with_its_places() {
    let rules = |text: &str, want: Expect| {
        check(&[("paramedic.yml", RULES), ("rules.yml", text)], want);
    };
    let expr = |expr: &str| {
        format!("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: {expr}\n")
    };
    rules(
        &expr("up == 0)"),
        expect![[r#"
        exit 1
        rules.yml:5:23: group "g", rule 1, "A": could not parse expression: 1:9: parse error: unexpected right parenthesis ')'
    "#]],
    );
    rules(
        &expr("\"rate(up)\""),
        expect![[r#"
        exit 1
        rules.yml:5:21: group "g", rule 1, "A": could not parse expression: 1:6: parse error: expected type range vector in call to function "rate", got instant vector
    "#]],
    );
    rules(
        &expr("\"no_such_function(up)\""),
        expect![[r#"
        exit 1
        rules.yml:5:16: group "g", rule 1, "A": could not parse expression: 1:1: parse error: unknown function with name "no_such_function"
    "#]],
    );
    rules(
        "groups:\n  - name: g\n    rules:\n      - alert: A\n",
        expect![[r#"
        exit 1
        rules.yml:4:9: group "g", rule 1, "A": field 'expr' must be set in rule
    "#]],
    );
    rules(
        "groups:\n  - name: g\n    rulez: []\n",
        expect![[r#"
        exit 1
        rules.yml:3:5: field rulez not found in type rulefmt.RuleGroup (did you mean `rules`?)
    "#]],
    );
    rules(
        "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up\n        for: soon\n",
        expect![[r#"
            exit 1
            rules.yml:6:14: not a valid duration string: "soon"
        "#]],
    );
    rules(
        "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up\n        \
         annotations: { summary: \"{{ $labels.x \" }\n",
        expect![[r#"
            exit 1
            rules.yml:6:46: group "g", rule 1, "A": annotation "summary": template: __alert_A:1: unclosed action
        "#]],
    );
    check(
        &[("paramedic.yml", RULES)],
        expect![[r#"
        exit 1
        paramedic.yml:2:14: there is no file rules.yml
    "#]],
    );
}

#[test]
fn a_page_is_checked_with_its_places() {
    let page = |text: &str, want: Expect| {
        check(&[("paramedic.yml", PAGE), ("page.md", text)], want);
    };
    let step = |block: &str| format!("# A\n\n## Diagnosis\n\n1. **Look**\n\n{block}\n");
    page(
        &step("   ```probe\n   uses: opnsense/service-statuz\n   id: a\n   ```"),
        expect![[r#"
        exit 1
        page.md:8:10: opnsense has no probe `service-statuz`; did you mean `service-status`?
    "#]],
    );
    page(
        &step("   ```probe\n   uses: opnsense/service-status\n   id: a\n   ```"),
        expect![[r#"
        exit 1
        page.md:8:10: the argument `service` is missing; it is one line of at most 200 characters
    "#]],
    );
    page(
        &step("   ```probe\n   uses: opnsense/system-status\n   idd: a\n   ```"),
        expect![[r#"
        exit 1
        page.md:7:4: a probe needs `id`
        page.md:9:4: a probe has no key `idd`; did you mean `id`?
    "#]],
    );
    page(
        &format!(
            "{}\n### Causes\n\n- **It**\n\n  ```cause\n  id: c\n  when: a.nothing ==\n  \
             because: x\n  fix: [nowhere]\n  ```\n",
            step("   ```probe\n   uses: opnsense/system-status\n   id: a\n   ```")
        ),
        expect![[r#"
            exit 1
            page.md:18:21: no CEL: mismatched input '<EOF>'
        "#]],
    );
}

/// How a system answers.
#[derive(Clone, Copy)]
enum Answers {
    /// With this HTTP status and body, whatever is asked.
    With(&'static str, &'static str),
    /// By closing the connection.
    Closes,
    /// Never.
    Hangs,
}

async fn answer(mut stream: TcpStream, answers: Answers) {
    let mut request = vec![0; 1 << 16];
    if stream.read(&mut request).await.unwrap_or(0) == 0 {
        return;
    }
    match answers {
        Answers::With(status, body) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            );
            // A client that hangs up early is its own affair.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Answers::Closes => {}
        Answers::Hangs => std::future::pending().await,
    }
}

/// A server that watches a firewall which answers like this says so, and goes on.
async fn watch(answers: Answers, want: Expect) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is to be had");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, answers));
        }
    });
    let config = format!(
        "server: {{ listen: \"127.0.0.1:0\" }}\ndata_dir: data\nsystems:\n  - name: fw1\n    \
         kind: opnsense\n    url: http://127.0.0.1:{port}\n    interval: 1s\n    timeout: 1s\n    \
         api_key: {{ file: key }}\n    api_secret: {{ file: key }}\n"
    );
    let site = Site::new(&[("paramedic.yml", &config), ("key", "a-wrong-key")]);
    let mut server = site.serve().await;
    let reason = eventually("the system cannot be looked at", async || {
        let systems = server.api("systems").await;
        let system = &systems["systems"][0];
        assert_ne!(system["state"], "healthy", "{system:#}");
        let (state, reason) = (&system["state"], &system["reason"]);
        (state == "cannot-look").then(|| reason.as_str().unwrap_or_default().to_owned())
    })
    .await;
    want.assert_eq(&reason.replace(&port.to_string(), "PORT"));
    let page = server.get("/systems").await;
    assert!(page.contains("cannot look"), "{page}");
    assert!(server.is_well(), "{}", server.said());
    assert!(!server.said().contains("a-wrong-key"), "{}", server.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_answers_nonsense_is_not_healthy() {
    const HTML: &str = "<!doctype html><html><body>Please log in</body></html>";
    watch(Answers::With("200 OK", HTML), expect!["understand the answer of http://127.0.0.1:PORT/api/core/service/search: expected JSON, got a page: <!doctype html><html><body>Please log in</body></html>"]).await;
    watch(Answers::With("200 OK", "{\"rows\": []}"), expect!["understand the answer of http://127.0.0.1:PORT/api/core/service/search: no services at all: the back end (configd) gives no answer"]).await;
    watch(Answers::With("200 OK", "[]"), expect!["understand the answer of http://127.0.0.1:PORT/api/core/service/search: expected rows, got none: the back end gave no answer"]).await;
    watch(Answers::With("200 OK", ""), expect!["understand the answer of http://127.0.0.1:PORT/api/core/service/search: expected JSON, got an empty body"]).await;
    watch(Answers::With("401 Unauthorized", "{\"status\": 401}"), expect!["log in to http://127.0.0.1:PORT/api/core/service/search: the API key or its secret is not accepted (HTTP 401)"]).await;
    watch(Answers::With("502 Bad Gateway", HTML), expect!["understand the answer of http://127.0.0.1:PORT/api/core/service/search: HTTP 502: <!doctype html><html><body>Please log in</body></html>"]).await;
    watch(Answers::Closes, expect!["connect to http://127.0.0.1:PORT/api/core/service/search: connection closed before message completed"]).await;
    watch(Answers::Hangs, expect!["wait for 127.0.0.1:PORT: no answer within 1 s"]).await;
}
