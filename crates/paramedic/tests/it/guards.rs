//! People and guards: one fault that a restart repairs, and every reason not to restart.

use expect_test::{Expect, expect};
use paramedic_engine::{Freeze, Verb};
use paramedic_incident::Incident;

use crate::world::{Server, World, closed, run, seconds, stands, transcript, waiting};

/// An alert that fires twenty seconds after Unbound is seen down, which is between two collections.
const RULES: &str = r#"
groups:
  - name: own
    evaluation: data
    rules:
      - alert: UnboundDown
        expr: opnsense_services_status{name="unbound"} == 0
        for: 20s
"#;

/// A page with one look and one restart, to be approved as `APPROVAL` says.
const PAGE: &str = r#"
# UnboundDown

## Diagnosis

1. **Look again**

   ```probe
   uses: opnsense/service-status
   id: status
   with: { service: "{{ $labels.name }}" }
   ```

### Causes

- **It is down**

  ```cause
  id: down
  when: "!status.running"
  because: "{{ .status.summary }}"
  fix: [restart]
  ```

- **It runs**

  ```cause
  id: up
  when: status.running
  because: "{{ .status.summary }}"
  fix: []
  why: it runs
  ```

## Mitigation

1. **Restart it**

   ```action
   uses: opnsense/service-restart
   id: restart
   with: { service: "{{ $labels.name }}" }
   approval: APPROVAL
   verify: 2m
   ```
"#;

const FAULT: &str = "unbound-lost-pid";

fn world(count: usize, approval: &str) -> World {
    World::new("opnsense", count).with(RULES, &PAGE.replace("APPROVAL", approval))
}

/// Breaks the first system and waits for the proposal.
async fn offered(world: &World) -> (Server, Incident) {
    let server = world.start();
    world.clock.sleep(seconds(20)).await;
    world.inject(0, FAULT);
    let incident = server.until(1, waiting).await;
    (server, incident)
}

fn check(incident: &Incident, want: Expect) {
    want.assert_eq(&transcript(incident));
}

#[test]
fn an_alert_that_clears_while_it_waits_is_left_alone() {
    run(async {
        let world = world(1, "required");
        let (server, _) = offered(&world).await;
        world.clock.sleep(seconds(60)).await;
        world.systems[0].simulator.heal();
        server.until(1, stands("watching")).await;
        let late = server.ask(1, "ann", Verb::Approve(None)).await;
        expect![[r#"Err("nothing waits for approval")"#]].assert_eq(&format!("{late:?}"));
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                70s   clear
                70s   watching for 120 s
                190s  closed: recovered by itself
            "#]],
        );
        assert_eq!(world.changes(0), [""; 0]);
    });
}

#[test]
fn an_approval_holds_for_what_was_seen_and_nothing_else() {
    run(async {
        let world = world(1, "required");
        let (server, incident) = offered(&world).await;
        let digest = incident.proposal.expect("a proposal waits").digest;
        let other = server.ask(1, "ann", Verb::Approve(Some("0123456789abcdef".into()))).await;
        expect![[r#"Err("the proposal has changed since; look at it again")"#]]
            .assert_eq(&format!("{other:?}"));
        assert_eq!(server.incident(1).await.stage.as_str(), "waiting for approval");
        server.ask(1, "ann", Verb::Approve(Some(digest))).await.expect("it is on offer");
        let again = server.ask(1, "bob", Verb::Approve(None)).await;
        expect![[r#"Err("nothing waits for approval")"#]].assert_eq(&format!("{again:?}"));
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                0s    restart approved by ann
                0s    guards pass
                0s    intended restart, attempt 1
                6s    done
                6s    clear
                6s    verified
                6s    watching for 120 s
                126s  closed: repaired
            "#]],
        );
        assert_eq!(world.changes(0), ["restart unbound"]);
    });
}

#[test]
fn two_persons_are_two_persons() {
    run(async {
        let world = world(1, "two-person");
        let (server, _) = offered(&world).await;
        server.ask(1, "ann", Verb::Approve(None)).await.expect("the first agrees");
        let twice = server.ask(1, "ann", Verb::Approve(None)).await;
        expect![[r#"Err("you have approved this already; a second person must")"#]]
            .assert_eq(&format!("{twice:?}"));
        world.clock.sleep(seconds(60)).await;
        assert_eq!(world.changes(0), [""; 0]);
        server.ask(1, "bob", Verb::Approve(None)).await.expect("the second agrees");
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                0s    restart approved by ann
                60s   restart approved by bob
                60s   guards pass
                60s   intended restart, attempt 1
                66s   done
                66s   clear
                66s   verified
                66s   watching for 120 s
                186s  closed: repaired
            "#]],
        );
        assert_eq!(world.changes(0), ["restart unbound"]);
    });
}

#[test]
fn who_refuses_takes_over() {
    run(async {
        let world = world(1, "required");
        let (server, _) = offered(&world).await;
        server.ask(1, "ann", Verb::Reject("not today".into())).await.expect("it is on offer");
        world.clock.sleep(seconds(60)).await;
        check(
            &server.incident(1).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                0s    restart refused by ann: not today
                0s    handed over to ann: ann refused step `restart`: not today
            "#]],
        );
        assert_eq!(world.changes(0), [""; 0]);
    });
}

#[test]
fn nothing_is_automatic_unless_the_configuration_says_so() {
    run(async {
        let world = world(1, "automatic");
        let (server, _) = offered(&world).await;
        world.clock.sleep(seconds(60)).await;
        assert!(waiting(&server.incident(1).await));
        assert_eq!(world.changes(0), [""; 0]);
    });
    run(async {
        let mut world = world(1, "automatic");
        world.config.policy.automatic = true;
        world.inject(0, FAULT);
        let server = world.start();
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                0s    restart approved by policy
                0s    guards pass
                0s    intended restart, attempt 1
                6s    done
                6s    clear
                6s    verified
                6s    watching for 120 s
                126s  closed: repaired
            "#]],
        );
        assert_eq!(world.changes(0), ["restart unbound"]);
    });
}

#[test]
fn a_freeze_holds_an_approved_action_back() {
    run(async {
        let mut world = world(1, "required");
        let now = world.clock.now();
        let name = "release week".to_owned();
        let systems = vec!["opnsense-1".to_owned()];
        world.config.freezes =
            vec![Freeze { name, from: now, until: now + seconds(3600), systems }];
        let (server, _) = offered(&world).await;
        server.ask(1, "ann", Verb::Approve(None)).await.expect("it is on offer");
        check(
            &server.until(1, stands("handed over")).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                0s    restart approved by ann
                0s    held back: no freeze: release week holds now
                0s    handed over to the person at the keyboard: step `restart` was held back: no freeze: release week holds now
            "#]],
        );
        assert_eq!(world.changes(0), [""; 0]);
    });
}

/// The fault comes back as soon as it is repaired.
async fn relapses(world: &World, times: usize) -> Incident {
    let (server, _) = offered(world).await;
    for _ in 0..times {
        server.ask(1, "ann", Verb::Approve(None)).await.expect("it is on offer");
        let watched = server.until(1, |i| closed(i) || i.stage.as_str() != "acting").await;
        if watched.stage.as_str() == "handed over" {
            return watched;
        }
        server.until(1, stands("watching")).await;
        world.inject(0, FAULT);
        server.until(1, waiting).await;
    }
    server.incident(1).await
}

#[test]
fn the_same_action_rests_after_it_ran() {
    run(async {
        let world = world(1, "required");
        check(
            &relapses(&world, 2).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                0s    restart approved by ann
                0s    guards pass
                0s    intended restart, attempt 1
                6s    done
                6s    clear
                6s    verified
                6s    watching for 120 s
                30s   fires again
                30s   round 2: the alert fires again
                30s   diagnosed down
                30s   proposed restart
                30s   restart approved by ann
                30s   held back: cool-down: the same action ran 30s ago, and rests for 10m
                30s   handed over to the person at the keyboard: step `restart` was held back: cool-down: the same action ran 30s ago, and rests for 10m
            "#]],
        );
        assert_eq!(world.changes(0), ["restart unbound"]);
    });
}

#[test]
fn attempts_end() {
    run(async {
        let mut world = world(1, "required");
        world.config.policy.cooldown = seconds(0);
        check(
            &relapses(&world, 3).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                0s    restart approved by ann
                0s    guards pass
                0s    intended restart, attempt 1
                6s    done
                6s    clear
                6s    verified
                6s    watching for 120 s
                30s   fires again
                30s   round 2: the alert fires again
                30s   diagnosed down
                30s   proposed restart
                30s   restart approved by ann
                30s   guards pass
                30s   intended restart, attempt 2
                36s   done
                36s   clear
                36s   verified
                36s   watching for 120 s
                60s   fires again
                60s   round 3: the alert fires again
                60s   diagnosed down
                60s   proposed restart
                60s   restart approved by ann
                60s   held back: attempts: it ran 2 times within 1h; repeating it hides the cause
                60s   handed over to the person at the keyboard: step `restart` was held back: attempts: it ran 2 times within 1h; repeating it hides the cause
            "#]],
        );
        assert_eq!(world.changes(0), ["restart unbound", "restart unbound"]);
    });
}

#[test]
fn the_same_alert_on_three_systems_is_not_repaired_one_by_one() {
    run(async {
        let world = world(3, "required");
        let server = world.start();
        world.clock.sleep(seconds(20)).await;
        (0..3).for_each(|number| world.inject(number, FAULT));
        for id in 1..=3 {
            server.until(id, waiting).await;
        }
        server.ask(1, "ann", Verb::Approve(None)).await.expect("it is on offer");
        check(
            &server.until(1, stands("handed over")).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                1s    restart approved by ann
                1s    held back: no common cause: the alert fires on 3 systems at once: look for what they share
                1s    handed over to the person at the keyboard: step `restart` was held back: no common cause: the alert fires on 3 systems at once: look for what they share
            "#]],
        );
        // When one of the three has recovered, two are no common cause any more.
        world.systems[2].simulator.heal();
        server.until(3, stands("watching")).await;
        server.ask(2, "ann", Verb::Approve(None)).await.expect("it is on offer");
        check(
            &server.until(2, stands("watching")).await,
            expect![[r#"
                0s    opened about opnsense-2
                0s    diagnosed down
                0s    proposed restart
                9s    restart approved by ann
                9s    guards pass
                9s    intended restart, attempt 1
                15s   done
                15s   clear
                15s   verified
                15s   watching for 120 s
            "#]],
        );
        assert_eq!(world.changes(0), [""; 0]);
        assert_eq!(world.changes(1), ["restart unbound"]);
    });
}

/// A group that runs once a minute, as foreign rule files do, does not know yet that it is over.
#[test]
fn the_expression_is_evaluated_afresh_before_an_action() {
    run(async {
        let mut world = World::new("opnsense", 1);
        let exporter = world.exporter();
        let rules = r#"
groups:
  - name: foreign
    interval: 10m
    rules:
      - alert: UnboundDown
        expr: app_down == 1
        labels: { name: unbound, site: a }
"#;
        let mut world = world.with(rules, &PAGE.replace("APPROVAL", "required"));
        world.config.systems[0].matches = [("site".to_owned(), "a".to_owned())].into();
        world.inject(0, FAULT);
        exporter.shows("app_down 1");
        let server = world.start();
        server.until(1, waiting).await;
        exporter.shows("app_down 0");
        world.clock.sleep(seconds(30)).await;
        server.ask(1, "ann", Verb::Approve(None)).await.expect("it is on offer");
        check(
            &server.until(1, |i| i.stage.as_str() == "handed over").await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed down
                0s    proposed restart
                30s   restart approved by ann
                30s   held back: alert still fires: its expression is clear
                30s   handed over to the person at the keyboard: step `restart` was held back: alert still fires: its expression is clear
            "#]],
        );
        assert_eq!(world.changes(0), [""; 0]);
    });
}
