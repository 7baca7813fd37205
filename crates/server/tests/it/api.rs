use expect_test::{Expect, expect};
use serde_json::Value;

use crate::world::{HOST, PASSWORD, TOKEN, World, request, run};

fn check(actual: &Value, expected: Expect) {
    expected.assert_eq(&serde_json::to_string_pretty(actual).expect("a value prints"));
}

#[test]
fn incidents_as_programs_read_them() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        check(
            &world.client.api("incidents").await.json(),
            expect![[r#"
                {
                  "incidents": [
                    {
                      "id": 1,
                      "alert": "ThingDown",
                      "stage": "waiting for approval",
                      "system": "thing-1",
                      "summary": "t1 is down",
                      "since": "2026-11-21T02:22:00.000Z",
                      "opened_at": "2026-11-21T02:23:00.000Z",
                      "open": true,
                      "likely": "It crashed",
                      "waits_for": "approval by a person",
                      "signal": "firing",
                      "ending": null,
                      "target": null,
                      "under": null
                    }
                  ],
                  "left_off": 0
                }"#]],
        );
        check(
            &world.client.api("incidents/1").await.json(),
            expect![[r#"
                {
                  "id": 1,
                  "alert": "ThingDown",
                  "stage": "waiting for approval",
                  "system": "thing-1",
                  "summary": "t1 is down",
                  "since": "2026-11-21T02:22:00.000Z",
                  "opened_at": "2026-11-21T02:23:00.000Z",
                  "open": true,
                  "likely": "It crashed",
                  "waits_for": "approval by a person",
                  "signal": "firing",
                  "ending": null,
                  "target": null,
                  "under": null,
                  "labels": {
                    "alertname": "ThingDown",
                    "instance": "thing:1",
                    "job": "thing",
                    "name": "t1",
                    "severity": "critical"
                  },
                  "annotations": {
                    "runbook_url": "https://example.com/runbooks/ThingDown",
                    "summary": "t1 is down"
                  },
                  "expr": "thing_up == 0",
                  "value": "0",
                  "blind": null,
                  "lost": null,
                  "members": [],
                  "outside": null,
                  "runbook": "ThingDown",
                  "round": 1,
                  "evidence": [
                    {
                      "step": "state",
                      "title": "Look at the thing",
                      "state": "saw",
                      "summary": "the thing is crashed",
                      "at": "2026-11-21T02:23:00.000Z",
                      "took_ms": 0,
                      "facts": {
                        "word": "crashed"
                      },
                      "excerpt": ""
                    }
                  ],
                  "causes": [
                    {
                      "id": "crash",
                      "title": "It crashed",
                      "judgement": "supported",
                      "because": "the thing is crashed",
                      "likely": true
                    },
                    {
                      "id": "disk",
                      "title": "Its disk is full",
                      "judgement": "refuted",
                      "because": "`state.word == \"full\"` does not hold",
                      "likely": false
                    },
                    {
                      "id": "stopped",
                      "title": "Somebody stopped it",
                      "judgement": "refuted",
                      "because": "`state.word == \"stopped\"` does not hold",
                      "likely": false
                    }
                  ],
                  "proposal": {
                    "step": "restart",
                    "uses": "thing/restart",
                    "args": {
                      "name": "t1"
                    },
                    "system": "thing-1",
                    "precondition": "it is down",
                    "blast_radius": "nobody uses it now",
                    "blast_count": 0,
                    "approval": "required",
                    "digest": "f569c9bacd4ad7c5",
                    "approved_by": [],
                    "approvals_missing": 1
                  },
                  "plan": [
                    {
                      "step": "restart",
                      "title": "Restart it",
                      "work": "action",
                      "uses": "thing/restart",
                      "approval": "required"
                    }
                  ],
                  "acts": [],
                  "guards": [],
                  "contact": "Thea <thea@example.com>",
                  "timeline": [
                    {
                      "at": "2026-11-21T02:23:00.000Z",
                      "text": "ThingDown fired; incident opened"
                    },
                    {
                      "at": "2026-11-21T02:23:00.000Z",
                      "text": "Looked at `state`: the thing is crashed"
                    },
                    {
                      "at": "2026-11-21T02:23:00.000Z",
                      "text": "Likely cause: It crashed (the thing is crashed)"
                    },
                    {
                      "at": "2026-11-21T02:23:00.000Z",
                      "text": "Offered `thing/restart` on thing-1: nobody uses it now"
                    }
                  ],
                  "report": null
                }"#]],
        );
    });
}

#[test]
fn systems_and_status() {
    run(async {
        let world = World::new().await;
        world.pass(20).await;
        check(
            &world.client.api("systems").await.json(),
            expect![[r#"
                {
                  "systems": [
                    {
                      "name": "thing-1",
                      "kind": "thing",
                      "title": "Thing",
                      "instance": "thing:1",
                      "state": "healthy",
                      "since": null,
                      "reason": null,
                      "last_seen": "2026-11-21T02:22:15.000Z",
                      "incident": null,
                      "contact": "Thea <thea@example.com>",
                      "incidents": []
                    }
                  ],
                  "targets": [
                    {
                      "target": "thing/beside:1",
                      "state": "seen",
                      "since": null,
                      "reason": null,
                      "last_seen": "2026-11-21T02:22:15.000Z",
                      "incident": null
                    }
                  ]
                }"#]],
        );
        world.thing().reachable = false;
        world.pass(20).await;
        check(
            &world.client.api("systems").await.json(),
            expect![[r#"
                {
                  "systems": [
                    {
                      "name": "thing-1",
                      "kind": "thing",
                      "title": "Thing",
                      "instance": "thing:1",
                      "state": "cannot-look",
                      "since": "2026-11-21T02:22:30.000Z",
                      "reason": "connect to thing:1: connection refused",
                      "last_seen": "2026-11-21T02:22:15.000Z",
                      "incident": null,
                      "contact": "Thea <thea@example.com>",
                      "incidents": []
                    }
                  ],
                  "targets": [
                    {
                      "target": "thing/beside:1",
                      "state": "cannot-look",
                      "since": "2026-11-21T02:22:30.000Z",
                      "reason": "the network is gone",
                      "last_seen": "2026-11-21T02:22:15.000Z",
                      "incident": null
                    }
                  ]
                }"#]],
        );
        check(
            &world.client.api("status").await.json(),
            expect![[r#"
                {
                  "now": "2026-11-21T02:22:40.000Z",
                  "version": 8,
                  "lab": false,
                  "open_incidents": 0,
                  "open_outages": 0,
                  "pending_alerts": 0,
                  "systems": 1,
                  "systems_cannot_look": 1,
                  "targets_awaited": 0,
                  "rules": 1,
                  "runbooks": 1,
                  "versions": {
                    "Paramedic": "0.0.0"
                  }
                }"#]],
        );
    });
}

#[test]
fn what_is_not_looked_at_yet_is_not_healthy() {
    run(async {
        let world = World::standing(&[]).await;
        let systems = world.client.api("systems").await.json();
        assert_eq!(systems["systems"][0]["state"], "not-looked-yet");
    });
}

#[test]
fn programs_approve_reject_and_the_rest() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        let check = async |path: &str, body: &str, status: u16, answer: &str| {
            let got = world.client.ask(path, body).await;
            assert_eq!((got.status.as_u16(), &*got.text), (status, answer), "{path} {body}");
        };
        check("incidents/1/note", r#"{"by":"ann","text":"hi"}"#, 200, "{}").await;
        let refused = r#"{"error":"the proposal has changed since; look at it again"}"#;
        check("incidents/1/approve", r#"{"by":"ann","digest":"x"}"#, 409, refused).await;
        let missing = r#"{"error":"there is no incident 7"}"#;
        check("incidents/7/approve", r#"{"by":"ann"}"#, 404, missing).await;
        let missing = r#"{"error":"there is no incident x"}"#;
        check("incidents/x/approve", r#"{"by":"ann"}"#, 404, missing).await;
        let missing = r#"{"error":"nobody can `dance` an incident"}"#;
        check("incidents/1/dance", r#"{"by":"ann"}"#, 404, missing).await;
        let anonymous = r#"{"error":"say who you are, in `by`"}"#;
        check("incidents/1/approve", "{}", 400, anonymous).await;
        let why = r#"{"error":"say why, in `reason`"}"#;
        check("incidents/1/reject", r#"{"by":"ann"}"#, 400, why).await;
        let broken = "the body is not as expected: EOF while parsing an object at line 1 column 1";
        check("incidents/1/approve", "{", 400, &format!(r#"{{"error":"{broken}"}}"#)).await;
        let step = r#"{"error":"the page has no mitigation step `x`"}"#;
        check("incidents/1/request", r#"{"by":"ann","step":"x"}"#, 409, step).await;
        // As the command line sends it: agree to whatever is on offer.
        check("incidents/1/approve", r#"{"by":"ann","digest":null}"#, 200, "{}").await;
        world.pass(5).await;
        assert_eq!(world.thing().restarts, 1);
        let nothing = r#"{"error":"nothing waits for approval"}"#;
        check("incidents/1/approve", r#"{"by":"ann","digest":null}"#, 409, nothing).await;
        let unknown = world.client.ask("incidents/1/note", r#"{"by":"ann","txt":"x"}"#).await;
        assert!(unknown.text.contains("unknown field `txt`"), "{}", unknown.text);
    });
}

#[test]
fn problems_are_json() {
    run(async {
        let client = World::new().await.client;
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("host", HOST), ("authorization", &*bearer)];
        let check = async |method: &str, path: &str, status: u16, allow: &str| {
            let path = format!("/api/paramedic/v1/{path}");
            let answer = client.send(request(method, &path, &headers, "")).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path}");
            assert!(answer.json()["error"].is_string(), "{}", answer.text);
            assert_eq!(answer.header("allow"), allow);
            assert_eq!(answer.header("content-type"), "application/json");
        };
        check("GET", "incidents/1", 404, "").await;
        check("GET", "incidents/1/bundle", 404, "").await;
        check("GET", "nothing", 404, "").await;
        check("GET", "", 404, "").await;
        check("DELETE", "incidents", 405, "GET,HEAD").await;
        check("GET", "incidents/1/approve", 405, "POST").await;
    });
}

#[test]
fn a_bundle_has_everything_but_secrets() {
    run(async {
        let world = World::new().await;
        world.thing().excerpt = format!("login: admin\npassword: {PASSWORD}");
        world.break_as(Some("crashed")).await;
        let bundle = world.client.api("incidents/1/bundle").await;
        assert_eq!(bundle.header("content-type"), "text/markdown; charset=utf-8");
        for part in
            ["# Incident 1: ThingDown", "password: [redacted]", "It crashed", "Paramedic: 0"]
        {
            assert!(bundle.text.contains(part), "{part}: {}", bundle.text);
        }
        let file = world.client.get("/incidents/1/bundle.md").await;
        assert_eq!(file.text, bundle.text);
        assert_eq!(file.header("content-disposition"), "attachment; filename=\"incident-1.md\"");
        for text in [
            bundle.text,
            world.client.get("/incidents/1").await.text,
            world.client.api("incidents/1").await.text,
        ] {
            assert!(!text.contains(PASSWORD), "{text}");
        }
    });
}

#[test]
fn readers_are_told_what_changed() {
    run(async {
        let world = World::new().await;
        world.pass(20).await;
        let headers = [("host", HOST), ("sec-fetch-site", "same-origin")];
        let events = || request("GET", "/api/paramedic/v1/events", &headers, "");
        let first = world.client.first_frame(events()).await;
        let version = *world.handle.version().borrow();
        assert_eq!(first, format!("event: changed\ndata: {version}\n\n"));
        let foreign = request("GET", "/api/paramedic/v1/events", &[("host", HOST)], "");
        assert_eq!(world.client.send(foreign).await.status.as_u16(), 401);
    });
}

#[test]
fn health_is_answered_without_a_token() {
    run(async {
        let client = World::new().await.client;
        assert_eq!(client.get("/-/healthy").await.text, "Paramedic is healthy.\n");
        assert_eq!(client.get("/-/ready").await.text, "Paramedic is ready; open incidents: 0.\n");
    });
}
