use expect_test::{Expect, expect};
use paramedic_model::TimeMs;
use serde_json::json;

use crate::world::{Answer, HOST, TOKEN, World, request, run};

/// Posts as a Prometheus does that believes in an Alertmanager here.
async fn post(world: &World, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {TOKEN}");
    let headers =
        [("host", HOST), ("authorization", &*bearer), ("content-type", "application/json")];
    world.client.send(request("POST", path, &headers, body)).await
}

/// One alert in an Alertmanager's format, valid for as many seconds from now.
async fn send(world: &World, alert: &str, valid_for_s: i64) {
    let ends_at = TimeMs(world.clock.now().0 + valid_for_s * 1000).to_string();
    let body = json!([{
        "labels": { "alertname": alert, "instance": "far:1", "cluster": "x" },
        "annotations": { "summary": "from afar" },
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": ends_at,
        "generatorURL": "http://far:9090/graph?g0.expr=far_up+%3D%3D+0&g0.tab=1",
    }]);
    let answer = post(world, "/api/v2/alerts", &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// What the API says of the first incident: signal, open, and the last line of its timeline.
async fn told(world: &World) -> String {
    let incident = world.client.api("incidents/1").await.json();
    let last = incident["timeline"].as_array().and_then(|lines| lines.last()).cloned();
    let text = last.map(|line| line["text"].as_str().unwrap_or_default().to_owned());
    format!(
        "{} {} {}: {}",
        incident["alert"].as_str().unwrap_or("no incident"),
        incident["signal"].as_str().unwrap_or_default(),
        if incident["open"] == true { "open" } else { "closed" },
        text.unwrap_or_default()
    )
}

async fn count(world: &World) -> usize {
    world.client.api("incidents").await.json()["incidents"].as_array().map_or(0, Vec::len)
}

#[test]
fn an_alert_from_outside_opens_an_incident_and_its_end_closes_it() {
    run(async {
        let world = World::new().await;
        send(&world, "FarDown", 240).await;
        send(&world, "FarDown", 240).await;
        world.pass(60).await;
        assert_eq!(count(&world).await, 1);
        let incident = world.client.api("incidents/1").await.json();
        assert_eq!(incident["expr"], "far_up == 0");
        assert_eq!(incident["outside"]["via"], "alerts");
        expect![
            "FarDown firing open: Handed over to whoever is on call: no runbook serves this alert"
        ]
        .assert_eq(&told(&world).await);
        send(&world, "FarDown", 0).await;
        world.pass(1).await;
        let incident = world.client.api("incidents/1").await.json();
        assert_eq!(incident["signal"], "clear");
        let timeline = incident["timeline"].to_string();
        let wanted = "no rule here could look for itself";
        assert!(timeline.contains(wanted), "{timeline}");
        world.pass(121).await;
        assert!(told(&world).await.contains("closed"), "{}", told(&world).await);
    });
}

#[test]
fn silence_is_no_recovery() {
    run(async {
        let world = World::new().await;
        send(&world, "FarDown", 240).await;
        world.pass(241).await;
        let incident = world.client.api("incidents/1").await.json();
        assert_eq!(incident["signal"], "blind");
        let reason = incident["blind"]["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("the alert's sender has not been heard since"), "{reason}");
        world.pass(3600).await;
        assert!(told(&world).await.starts_with("FarDown blind open"), "{}", told(&world).await);
        send(&world, "FarDown", 240).await;
        assert!(told(&world).await.starts_with("FarDown firing open"), "{}", told(&world).await);
    });
}

#[test]
fn a_copy_of_the_rule_has_a_say() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        assert_eq!(count(&world).await, 1);
        // The sender's alert is ours, with an external label more.
        let labels = r#"{"alertname":"ThingDown","name":"t1","instance":"thing:1","job":"thing","severity":"critical","cluster":"x"}"#;
        let body = format!(r#"[{{"labels":{labels}}}]"#);
        assert_eq!(post(&world, "/api/v2/alerts", &body).await.status, 200);
        assert_eq!(count(&world).await, 1);
    });
}

#[test]
fn a_webhook_says_when_it_is_over_and_nothing_in_between() {
    run(async {
        let world = World::new().await;
        let send = async |status: &str, ends_at: &str| {
            let body = json!({
                "version": "4", "receiver": "w", "status": status, "groupKey": "{}:{}",
                "externalURL": "http://am:9093", "notification_reason": "later",
                "alerts": [{
                    "status": status, "labels": { "alertname": "FarDown" }, "annotations": {},
                    "startsAt": "2026-01-01T00:00:00Z", "endsAt": ends_at,
                    "generatorURL": "", "fingerprint": "e8ec722c559ba2f0",
                }],
            });
            let answer = post(&world, "/api/paramedic/v1/webhook", &body.to_string()).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        };
        send("firing", "0001-01-01T00:00:00Z").await;
        world.pass(3 * 3600).await;
        assert!(told(&world).await.starts_with("FarDown firing open"), "{}", told(&world).await);
        send("resolved", "2026-01-01T01:00:00Z").await;
        world.pass(122).await;
        assert!(told(&world).await.contains("closed"), "{}", told(&world).await);
    });
}

#[test]
fn what_is_wrong_is_said_as_an_alertmanager_says_it() {
    let check = |path: &'static str, body: &'static str, expected: Expect| {
        run(async move {
            let world = World::new().await;
            let answer = post(&world, path, body).await;
            let count = count(&world).await;
            expected.assert_eq(&format!("{} {} ({count})", answer.status.as_u16(), answer.text));
        });
    };
    let alerts = "/api/v2/alerts";
    check(
        alerts,
        "{",
        expect![[
            r#"400 {"code":400,"message":"parsing alerts body: invalid type: map, expected a sequence at line 1 column 0"} (0)"#
        ]],
    );
    check(alerts, "[]", expect!["200  (0)"]);
    check(
        alerts,
        "[{}]",
        expect![[r#"422 {"code":602,"message":"0.labels in body is required"} (0)"#]],
    );
    check(
        alerts,
        r#"[{"labels":{"a":""}}]"#,
        expect![[r#"400 "at least one label pair required" (0)"#]],
    );
    check(
        alerts,
        r#"[{"labels":{"alertname":"A"},"startsAt":"2026-01-02T00:00:00Z","endsAt":"2026-01-01T00:00:00Z"},
            {"labels":{"alertname":"B"}}]"#,
        expect![[r#"400 "start time must be before end time" (1)"#]],
    );
    check(
        alerts,
        r#"[{"labels":{"alertname":"A"},"startsAt":"yesterday"}]"#,
        expect![[r#"400 "startsAt is no moment as in RFC 3339: \"yesterday\"" (0)"#]],
    );
    check(
        alerts,
        r#"[{"labels":{"alertname":"A"},"generatorURL":"javascript:x"}]"#,
        expect![[r#"400 "generatorURL is no URL of the web" (0)"#]],
    );
    check(
        "/api/paramedic/v1/webhook",
        r#"{"version":"3","alerts":[]}"#,
        expect![[r#"400 "a payload of version 4 is expected, not \"3\"" (0)"#]],
    );
}

#[test]
fn alerts_are_taken_from_whoever_has_the_token() {
    run(async {
        let world = World::new().await;
        for path in ["/api/v2/alerts", "/api/paramedic/v1/webhook"] {
            let headers = [("host", HOST), ("content-type", "application/json")];
            let answer = world.client.send(request("POST", path, &headers, "[]")).await;
            assert_eq!(answer.status, 401, "{}", answer.text);
        }
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("host", HOST), ("authorization", &*bearer), ("content-type", "text/plain")];
        let answer = world.client.send(request("POST", "/api/v2/alerts", &headers, "[]")).await;
        assert_eq!(answer.status, 415, "{}", answer.text);
    });
}
