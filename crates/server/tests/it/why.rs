use expect_test::expect;

use crate::world::{World, run};

#[test]
fn an_alert_that_is_silent_says_what_holds_it_back() {
    run(async {
        let world = World::new().await;
        world.pass(30).await;
        let answer = world.client.api("alerts/ThingDown/why").await.json();
        let shown = serde_json::to_string_pretty(&answer).expect("a value prints");
        expect![[r#"
            {
              "alert": "ThingDown",
              "at": "2026-11-21T02:22:30.000Z",
              "rules": [
                {
                  "file": "rules.yml",
                  "group": "things",
                  "interval_seconds": 60.0,
                  "for_seconds": 60.0,
                  "expr": "thing_up == 0",
                  "state": "silent",
                  "verdict": "it does not fire: the expression is empty: thing_up == 0: the comparison is false",
                  "parts": [
                    {
                      "text": "thing_up == 0",
                      "depth": 0,
                      "value": {
                        "type": "vector",
                        "count": 0,
                        "first": []
                      },
                      "held": "the comparison is false"
                    },
                    {
                      "text": "thing_up",
                      "depth": 1,
                      "value": {
                        "type": "vector",
                        "count": 1,
                        "first": [
                          {
                            "labels": "thing_up{instance=\"thing:1\", job=\"thing\", name=\"t1\"}",
                            "value": "1"
                          }
                        ]
                      },
                      "held": null
                    }
                  ],
                  "looked_from": "2026-11-21T02:06:30.000Z",
                  "spells": []
                }
              ]
            }"#]].assert_eq(&shown);
    });
}

#[test]
fn an_alert_that_fires_says_since_when() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        let page = world.client.get("/rules/ThingDown/why").await.read();
        for part in ["firing it fires", "thing_up == 0", "holds"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    });
}

#[test]
fn what_cannot_be_explained_says_why() {
    run(async {
        let world = World::new().await;
        let missing = world.client.get("/rules/Nothing/why").await;
        assert_eq!(missing.status, 404);
        assert!(missing.read().contains("no loaded rule yields an alert Nothing"));
        let unreadable = world.client.get("/rules/ThingDown/why?at=yesterday").await;
        assert_eq!(unreadable.status, 400);
        assert!(unreadable.read().contains("cannot parse"));
        let answer = world.client.api("alerts/ThingDown/why?at=yesterday").await;
        assert_eq!(answer.status, 400);
    });
}
