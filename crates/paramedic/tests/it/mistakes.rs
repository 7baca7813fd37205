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
        paramedic.yml:1:1: unknown key `entirely_else`; known here: global, rule_files, runbooks, shipped, scrape_configs, systems, guards, data_dir, server, query, retention, samples, alerting, remote_write, remote_read, storage, tracing, scrape_config_files
    "#]],
    );
    config(
        "alerting: {}\n",
        expect![[r#"
        exit 1
        paramedic.yml:1:11: `alerting` is not supported: incidents are opened here; alerts are not sent to an Alertmanager yet
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
