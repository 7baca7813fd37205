use expect_test::{Expect, expect};

use crate::world::{World, run};

/// A thing that was down, and since a minute cannot be looked at.
async fn lost() -> World {
    let world = World::new().await;
    world.break_as(Some("crashed")).await;
    world.thing().reachable = false;
    world.pass(60).await;
    world
}

fn check(value: &serde_json::Value, expected: Expect) {
    expected.assert_eq(&serde_json::to_string_pretty(value).expect("a value is JSON"));
}

async fn shows(world: &World, path: &str, parts: &[&str]) {
    let page = world.client.get(path).await.read();
    for part in parts {
        assert!(page.contains(part), "{path} has no {part:?}:\n{page}");
    }
}

#[test]
fn the_pages_show_one_outage() {
    run(async {
        let world = lost().await;
        let home = world.client.get("/").await;
        assert!(home.text.contains("<title>(1) Incidents"), "two incidents are one outage");
        shows(
            &world,
            "/",
            &[
                "#2 TargetLost of thing/thing:1",
                "thing/thing:1 cannot be looked at",
                "blind 1 alert rule",
                "1 alert that fired is blind because of it blind #1 ThingDown",
                "thing:1: connection refused · #2 TargetLost",
            ],
        )
        .await;
        shows(
            &world,
            "/incidents/2",
            &[
                "target thing/thing:1",
                "It closes when the target goes on answering;",
                "now cannot look",
                "Lost: since 02:24:00 UTC thing/thing:1 cannot be looked at: connect to thing:1: \
                 connection refused.",
                "It last answered at 02:23:45 UTC",
                "Blind because of it",
                "blind #1 ThingDown since 02:24:00 UTC",
                "1 alert rule reads its samples and cannot speak ThingDown",
                "A runbook named TargetLost would be followed here.",
                "What was lost",
            ],
        )
        .await;
        shows(
            &world,
            "/incidents/1",
            &[
                "Blind: since 02:24:00 UTC",
                "That is one outage: #2 TargetLost.",
                "Part of incident 2",
            ],
        )
        .await;
        {
            let mut thing = world.thing();
            (thing.up, thing.reachable) = (1.0, true);
        }
        world.pass(30).await;
        shows(&world, "/", &["#2 TargetLost of thing/thing:1", "answers again"]).await;
        shows(
            &world,
            "/incidents/2",
            &[
                "now answers again",
                "Nobody could see whether these ended, as long as it was lost. known again #1 ThingDown",
                "could not speak meanwhile",
                "thing/thing:1 answers again: it was",
            ],
        )
        .await;
    });
}

#[test]
fn the_api_says_what_is_lost_since_when_and_why() {
    run(async {
        let world = lost().await;
        let incident = world.client.api("incidents/2").await.json();
        check(
            &incident["lost"],
            expect![[r#"
            {
              "target": "thing/thing:1",
              "since": "2026-11-21T02:24:00.000Z",
              "reason": "connect to thing:1: connection refused",
              "last_seen": "2026-11-21T02:23:45.000Z",
              "rules": [
                "ThingDown"
              ],
              "rule_count": 1
            }"#]],
        );
        check(
            &incident["members"],
            expect![[r#"
            [
              {
                "id": 1,
                "alert": "ThingDown",
                "since": "2026-11-21T02:24:00.000Z",
                "blind": true
              }
            ]"#]],
        );
        let incident = world.client.api("incidents/1").await.json();
        check(
            &incident["blind"],
            expect![[r#"
            {
              "since": "2026-11-21T02:24:00.000Z",
              "reason": "thing_up vanished because thing:1 cannot be looked at"
            }"#]],
        );
        assert_eq!((&incident["target"], &incident["under"]), (&"thing/thing:1".into(), &2.into()));
        let systems = world.client.api("systems").await.json();
        check(
            &systems["systems"][0],
            expect![[r#"
            {
              "name": "thing-1",
              "kind": "thing",
              "title": "Thing",
              "instance": "thing:1",
              "state": "cannot-look",
              "since": "2026-11-21T02:24:00.000Z",
              "reason": "connect to thing:1: connection refused",
              "last_seen": "2026-11-21T02:23:45.000Z",
              "incident": 2,
              "contact": "Thea <thea@example.com>",
              "incidents": [
                2
              ]
            }"#]],
        );
        let status = world.client.api("status").await.json();
        assert_eq!((&status["open_incidents"], &status["open_outages"]), (&2.into(), &1.into()));
    });
}

#[test]
fn the_metrics_count_what_is_lost_and_what_is_blind() {
    run(async {
        let world = lost().await;
        let text = world.client.get("/metrics").await.text;
        for line in [
            "paramedic_targets_failing 2",
            "paramedic_targets_lost 1",
            "paramedic_incidents_open 2",
            "paramedic_incidents_blind 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}:\n{text}");
        }
    });
}
