//! The built binary, whose rule files are edited while it runs: by the watch of files, by SIGHUP, by
//! `POST /-/reload`.

use serde_json::Value;

use crate::process::{Serve, Site, eventually};

const CONFIG: &str = "rule_files: [rules.yml]\nserver: { listen: \"127.0.0.1:0\" }\n\
                      data_dir: data\nquery: { lookback: 1m }\n";

const STEADY: &str = "
groups:
- name: steady
  interval: 1s
  rules:
  - { alert: Fires, expr: vector(1) }
  - { alert: Waits, expr: vector(1), for: 1h }
";

/// A group that is edited: its alert's expression, `for` and labels, and what comes behind it.
fn with(expr: &str, hold: &str, team: &str, more: &str) -> String {
    format!(
        "{STEADY}- name: edited\n  interval: 1s\n  labels: {{ team: {team} }}\n  rules:\n  \
         - {{ alert: Edited, expr: {expr}, for: {hold} }}\n{more}"
    )
}

/// The data of an answer.
async fn data(server: &Serve, path: &str) -> Value {
    let answer = server.get(path).await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let answer: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"));
    answer["data"].clone()
}

/// Of the only alert of this name its state, its start, its value, and its team.
async fn alert(server: &Serve, name: &str) -> Option<[String; 4]> {
    let alerts = data(server, "/api/v1/alerts").await;
    let named = |alert: &&Value| alert["labels"]["alertname"] == name;
    let found: Vec<_> = alerts["alerts"].as_array()?.iter().filter(named).collect();
    assert!(found.len() < 2, "{alerts:#}");
    let alert = found.first()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let team = &alert["labels"]["team"];
    Some([text(&alert["state"]), text(&alert["activeAt"]), text(&alert["value"]), text(team)])
}

/// Waits until the alert is so, and returns since when it is active.
async fn until(server: &Serve, name: &str, [state, value, team]: [&str; 3]) -> String {
    eventually(&format!("{name} is {state} {value} {team}"), async || {
        let [is, since, has, of] = alert(server, name).await?;
        (is == state && has == value && of == team).then_some(since)
    })
    .await
}

/// How often rules were loaded anew, and what the last time brought.
fn reloads(server: &Serve) -> (usize, String) {
    let said = server.said();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("loaded anew: ")).collect();
    let last = lines.last().and_then(|line| line.split_once("loaded anew: "));
    (lines.len(), last.map(|(_, what)| what.to_owned()).unwrap_or_default())
}

#[tokio::test]
async fn edited_rules_take_their_place_and_broken_ones_never() {
    let site =
        Site::new(&[("paramedic.yml", CONFIG), ("rules.yml", &with("vector(1)", "1h", "a", ""))]);
    let server = site.serve().await;
    let fires = until(&server, "Fires", ["firing", "1e+00", ""]).await;
    let waits = until(&server, "Waits", ["pending", "1e+00", ""]).await;
    let edited = until(&server, "Edited", ["pending", "1e+00", "a"]).await;

    // The watch of files finds it. The same rule with another expression and `for` waits on.
    site.write("rules.yml", &with("vector(2)", "2h", "a", "  - { alert: New, expr: vector(1) }\n"));
    until(&server, "New", ["firing", "1e+00", "a"]).await;
    assert_eq!(until(&server, "Edited", ["pending", "2e+00", "a"]).await, edited);
    let (count, what) = reloads(&server);
    assert_eq!(what, "1 groups as they were, 1 changed, 0 new, 0 gone");

    // Nothing of a broken set is taken, and every mistake is told.
    let broken =
        with("vector(3)", "1s", "a", "  - { alert: Half, expr: up == }\n  - { expr: up }\n");
    site.write("rules.yml", &broken);
    let answer = server.request("POST", "/-/reload").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    for (place, reason) in [
        (
            "13:31",
            "group \"edited\", rule 2, \"Half\": could not parse expression: 1:6: parse error: ",
        ),
        ("14:5", "group \"edited\", rule 3, \"\": one of 'record' or 'alert' must be set"),
    ] {
        let mistake = format!("rules.yml:{place}: {reason}");
        assert!(answer.contains(&mistake), "{mistake}\n{answer}");
    }
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("prometheus_config_last_reload_successful 0"), "{metrics}");
    let rules = data(&server, "/api/v1/rules").await.to_string();
    assert!(rules.contains("vector(2)") && !rules.contains("vector(3)"), "{rules}");
    assert_eq!(until(&server, "Edited", ["pending", "2e+00", "a"]).await, edited);
    assert_eq!(reloads(&server).0, count);

    // On request at once. A lower `for` lets fire what has waited for so long.
    site.write("rules.yml", &with("vector(4)", "1s", "a", ""));
    let answer = server.request("POST", "/-/reload").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(data(&server, "/api/v1/rules").await.to_string().contains("vector(4)"));
    assert_eq!(until(&server, "Edited", ["firing", "4e+00", "a"]).await, edited);
    assert_eq!(alert(&server, "New").await, None);
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("prometheus_config_last_reload_successful 1"), "{metrics}");

    // SIGHUP reads them even where no file changed.
    eventually("the watch has seen the last edit", async || {
        let (seen, what) = reloads(&server);
        (seen > count + 1 && what.starts_with("2 groups as they were, 0 changed")).then_some(())
    })
    .await;
    let (count, _) = reloads(&server);
    server.hang_up();
    let same = "2 groups as they were, 0 changed, 0 new, 0 gone";
    eventually("SIGHUP is heard", async || {
        (reloads(&server) == (count + 1, same.to_owned())).then_some(())
    })
    .await;

    // Another label makes it another rule, whose alerts begin anew; those of the old one are gone.
    site.write("rules.yml", &with("vector(4)", "1s", "b", ""));
    server.hang_up();
    let anew = until(&server, "Edited", ["firing", "4e+00", "b"]).await;
    assert!(anew > edited, "{anew} {edited}");

    // What was not edited never noticed.
    assert_eq!(until(&server, "Fires", ["firing", "1e+00", ""]).await, fires);
    assert_eq!(until(&server, "Waits", ["pending", "1e+00", ""]).await, waits);
}

#[tokio::test]
async fn a_limit_and_an_offset_hold_from_the_reload_on() {
    let rules = |head: &str| {
        format!(
            "groups:\n- name: g\n  interval: 1s\n{head}  rules:\n  \
             - {{ record: now, expr: time() }}\n  \
             - {{ alert: Two, expr: 'vector(1) or label_replace(vector(1), \"a\", \"b\", \"\", \"\")' }}\n"
        )
    };
    let site = Site::new(&[("paramedic.yml", CONFIG), ("rules.yml", &rules(""))]);
    let server = site.serve().await;
    let firing = async || {
        let alerts = data(&server, "/api/v1/alerts").await;
        alerts["alerts"].as_array().map_or(0, Vec::len)
    };
    eventually("both fire", async || (firing().await == 2).then_some(())).await;
    site.write("rules.yml", &rules("  limit: 1\n  query_offset: 30s\n"));
    let answer = server.request("POST", "/-/reload").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let failed = eventually("the limit is exceeded", async || {
        let rules = data(&server, "/api/v1/rules").await;
        let rule = &rules["groups"][0]["rules"][1];
        (rule["health"] == "err").then(|| rule["lastError"].as_str().unwrap_or_default().to_owned())
    })
    .await;
    assert_eq!(failed, "exceeded limit of 1 with 2 alerts");
    assert_eq!(firing().await, 0);
    // Thirty seconds back there is already a sample, which is newer than what is recorded now.
    eventually("the past cannot be written", async || {
        let rules = data(&server, "/api/v1/rules").await;
        (rules["groups"][0]["rules"][0]["health"] == "err").then_some(())
    })
    .await;
}

#[tokio::test]
async fn alerts_come_back_from_their_series() {
    let config = format!(
        "{CONFIG}samples: {{ fsync: always }}\n\
         restore: {{ from: prometheus, for_grace_period: 1s }}\n"
    );
    let site = Site::new(&[
        ("paramedic.yml", &config),
        (
            "rules.yml",
            "groups: [{name: g, interval: 1s, rules: [{alert: A, expr: vector(1), for: 2s}]}]",
        ),
    ]);
    let server = site.serve().await;
    let since = until(&server, "A", ["firing", "1e+00", ""]).await;
    server.kill();
    let server = site.serve().await;
    // The series has whole seconds.
    let (second, _) = since.split_once('.').expect("parts of a second");
    eventually("it fires since it did", async || {
        let [state, since, ..] = alert(&server, "A").await?;
        (state == "firing" && since == format!("{second}Z")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_reload_does_not_apply_is_told() {
    let site = Site::new(&[("paramedic.yml", CONFIG), ("rules.yml", STEADY)]);
    let server = site.serve().await;
    let reload = async |config: &str| {
        site.write("paramedic.yml", config);
        let answer = server.request("POST", "/-/reload").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let metrics = server.get("/metrics").await;
        let waits = metrics.contains("\nparamedic_config_needs_restart 1\n");
        assert_eq!(waits, !body.is_empty(), "{metrics}");
        body.to_owned()
    };
    assert_eq!(reload(&format!("# A word.\n{CONFIG}")).await, "");
    let applied = "global: { evaluation_interval: 2s }\nshipped: { rules: false }\n";
    assert_eq!(reload(&format!("{CONFIG}{applied}")).await, "");
    assert!(!server.said().contains("a restart is needed"), "{}", server.said());
    site.write("jobs.yml", "scrape_configs: []\n");
    let waiting = "global: { external_labels: { a: b } }\nscrape_config_files: [jobs.yml]\n\
                   alerting: { alertmanagers: [{ basic_auth: { password: secret-of-reload } }] }\n";
    let said = reload(&format!("{CONFIG}{waiting}")).await;
    let expected = "rules and pages are loaded; a restart is needed for what changed in alerting, \
                    global.external_labels, scrape_config_files, scrape_configs in jobs.yml\n";
    assert_eq!(said, expected);
    assert!(server.said().contains(expected.trim_end()), "{}", server.said());
    assert!(!server.said().contains("secret-of-reload"));
    // It stays true until what was there at the start is there again.
    assert_eq!(reload(&format!("{CONFIG}{waiting}")).await, expected);
    assert_eq!(reload(CONFIG).await, "");
}
