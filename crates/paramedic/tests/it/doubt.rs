//! What is not known is not healthy: series that vanish, systems that hang, alerts that flap, and
//! alerts that could be about several systems.

use expect_test::{Expect, expect};
use paramedic_engine::Verb;
use paramedic_incident::Incident;

use crate::world::{
    Exporter, INTERVAL, Server, World, closed, run, seconds, stands, transcript, waiting,
};

/// An alert on what an exporter shows, about the firewall at `site`.
const RULES: &str = r#"
groups:
  - name: own
    evaluation: data
    rules:
      - alert: AppDown
        expr: app_up == 0
        for: 50s
        labels: { site: a }
"#;

/// One look at the firewall, and a restart of its resolver where that is down.
const PAGE: &str = r#"
# AppDown

## Diagnosis

1. **Look at the resolver**

   ```probe
   uses: opnsense/service-status
   id: status
   with: { service: unbound }
   ```

### Causes

- **The resolver is down**

  ```cause
  id: resolver
  when: "!status.running"
  because: "{{ .status.summary }}"
  fix: [restart]
  ```

## Mitigation

1. **Restart the resolver**

   ```action
   uses: opnsense/service-restart
   id: restart
   with: { service: unbound }
   approval: required
   verify: 2m
   ```
"#;

const FAULT: &str = "unbound-lost-pid";

/// `count` firewalls at site `a`, and an exporter that shows an app that is up.
fn world(count: usize) -> (World, Exporter) {
    let mut world = World::new("opnsense", count).with(RULES, PAGE);
    for system in &mut world.config.systems {
        system.matches = [("site".to_owned(), "a".to_owned())].into();
    }
    let exporter = world.exporter();
    exporter.shows("app_up 1");
    (world, exporter)
}

fn check(incident: &Incident, want: Expect) {
    want.assert_eq(&transcript(incident));
}

async fn down(world: &World, exporter: &Exporter) -> Server {
    let server = world.start();
    world.clock.sleep(seconds(20)).await;
    exporter.shows("app_up 0");
    server
}

#[test]
fn a_target_that_dies_is_no_recovery() {
    run(async {
        let (world, exporter) = world(1);
        world.inject(0, FAULT);
        let server = down(&world, &exporter).await;
        server.until(1, waiting).await;
        exporter.dies();
        world.clock.sleep(seconds(600)).await;
        assert!(server.incident(1).await.is_open());
        // Nobody can say, so an approval does not make it act.
        server.ask(1, "ann", Verb::Approve(None)).await.expect("it is on offer");
        let incident = server.until(1, stands("handed over")).await;
        assert_eq!(world.changes(0), [""; 0]);
        check(
            &incident,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed resolver
                0s    proposed restart
                10s   blind: app_up vanished because app.test:9100 cannot be looked at
                25s   part of 2: app/app.test:9100 is lost
                600s  restart approved by ann
                600s  held back: alert still fires: its series vanished, so nobody can say
                600s  handed over to the person at the keyboard: step `restart` was held back: alert still fires: its series vanished, so nobody can say
            "#]],
        );
        // It comes back as it was: the same outage, and not clear while `for` is waited out anew.
        exporter.shows("app_up 0");
        world.clock.sleep(seconds(300)).await;
        exporter.shows("app_up 1");
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed resolver
                0s    proposed restart
                10s   blind: app_up vanished because app.test:9100 cannot be looked at
                25s   part of 2: app/app.test:9100 is lost
                600s  restart approved by ann
                600s  held back: alert still fires: its series vanished, so nobody can say
                600s  handed over to the person at the keyboard: step `restart` was held back: alert still fires: its series vanished, so nobody can say
                610s  fires again
                910s  clear
                910s  watching for 120 s
                1030s closed: handed over
            "#]],
        );
        // And the one of the exporter itself.
        assert_eq!(server.incidents().await.expect("the engine runs").len(), 2);
    });
}

#[test]
fn a_series_that_is_removed_is_no_recovery_either() {
    run(async {
        let (world, exporter) = world(1);
        let server = down(&world, &exporter).await;
        server.until(1, stands("handed over")).await;
        exporter.shows("other 1");
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed nothing
                0s    handed over to the person at the keyboard: the diagnosis is inconclusive: no cause is supported
                10s   direct read: app.test:9100 was read at 2026-11-21T02:23:33.122Z and no longer has app_up: what the alert was about was removed or disabled, which is not a recovery
                10s   closed: removed
            "#]],
        );
    });
}

#[test]
fn what_an_action_removes_for_a_moment_is_waited_for() {
    run(async {
        let (world, exporter) = world(1);
        world.inject(0, FAULT);
        let server = down(&world, &exporter).await;
        server.until(1, waiting).await;
        server.ask(1, "ann", Verb::Approve(None)).await.expect("it is on offer");
        server.until(1, |incident| !incident.acts.is_empty()).await;
        exporter.shows("other 1");
        world.clock.sleep(seconds(40)).await;
        exporter.shows("app_up 1");
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed resolver
                0s    proposed restart
                0s    restart approved by ann
                0s    guards pass
                0s    intended restart, attempt 1
                6s    done
                6s    blind: app.test:9100 was read at 2026-11-21T02:23:29.122Z and no longer has app_up: what the alert was about was removed or disabled, which is not a recovery
                40s   clear
                40s   verified
                40s   watching for 120 s
                160s  closed: repaired
            "#]],
        );
    });
}

#[test]
fn a_relapse_that_is_still_pending_does_not_close_as_repaired() {
    run(async {
        let (world, exporter) = world(1);
        let server = down(&world, &exporter).await;
        server.until(1, stands("handed over")).await;
        exporter.shows("app_up 1");
        server.until(1, stands("watching")).await;
        // The watch ends two minutes later; the relapse begins just before and is pending then.
        world.clock.sleep(seconds(90)).await;
        exporter.shows("app_up 0");
        server.until(1, |incident| incident.round == 2).await;
        exporter.shows("app_up 1");
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed nothing
                0s    handed over to the person at the keyboard: the diagnosis is inconclusive: no cause is supported
                10s   clear
                10s   watching for 120 s
                130s  watching for 120 s
                150s  fires again
                150s  round 2: the alert fires again
                150s  diagnosed nothing
                150s  handed over to the person at the keyboard: the diagnosis is inconclusive: no cause is supported
                160s  clear
                160s  watching for 120 s
                280s  closed: handed over
            "#]],
        );
    });
}

#[test]
fn a_system_that_hangs_while_it_is_diagnosed_is_handed_over() {
    run(async {
        let (world, exporter) = world(1);
        world.inject(0, FAULT);
        let server = down(&world, &exporter).await;
        world.hang(0);
        check(
            &server.until(1, stands("handed over")).await,
            expect![[r#"
                0s    opened about opnsense-1
                15s   status: could not look: wait for http://opnsense1.test:9001/api/core/service/search: no answer within 15 s
                15s   diagnosed nothing
                15s   handed over to the person at the keyboard: the diagnosis is inconclusive: no cause is supported, and nobody could look at `status`
            "#]],
        );
        assert_eq!(world.changes(0), [""; 0]);
    });
}

#[test]
fn a_late_answer_does_not_count_for_the_next_round() {
    run(async {
        let (mut world, exporter) = world(1);
        let job = std::sync::Arc::make_mut(&mut world.config.jobs[0]);
        (job.interval, job.timeout) = (seconds(2), seconds(2));
        let mut world = world.with(&RULES.replace("for: 50s", "for: 0s"), PAGE);
        world.config.global.evaluation_interval = seconds(2);
        world.inject(0, FAULT);
        let server = down(&world, &exporter).await;
        world.hang(0);
        server.until(1, |_| true).await;
        // It clears and fires again while the first look still waits for its answer.
        exporter.shows("app_up 1");
        server.until(1, stands("watching")).await;
        exporter.shows("app_up 0");
        server.until(1, |incident| incident.round == 2).await;
        world.connect(0);
        check(
            &server.until(1, waiting).await,
            expect![[r#"
                0s    opened about opnsense-1
                2s    clear
                2s    watching for 120 s
                4s    fires again
                4s    round 2: the alert fires again
                15s   diagnosed resolver
                15s   proposed restart
            "#]],
        );
    });
}

#[test]
fn a_system_that_hangs_while_it_is_verified_costs_the_verdict_and_no_more() {
    run(async {
        let (world, exporter) = world(1);
        world.inject(0, FAULT);
        let server = down(&world, &exporter).await;
        server.until(1, waiting).await;
        server.ask(1, "ann", Verb::Approve(None)).await.expect("it is on offer");
        server.until(1, stands("verifying")).await;
        world.hang(0);
        check(
            &server.until(1, stands("handed over")).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed resolver
                0s    proposed restart
                0s    restart approved by ann
                0s    guards pass
                0s    intended restart, attempt 1
                6s    done
                126s  not verified: the alert's expression still holds
                126s  handed over to the person at the keyboard: step `restart` did not help: the alert's expression still holds
            "#]],
        );
        assert_eq!(world.changes(0), ["restart unbound"]);
    });
}

/// A collection that hangs ends after one that began later; its failure is old news.
#[test]
fn a_collection_that_comes_late_is_no_news() {
    run(async {
        let (world, exporter) = world(1);
        world.inject(0, FAULT);
        let server = down(&world, &exporter).await;
        server.until(1, waiting).await;
        server.ask(1, "ann", Verb::Approve(None)).await.expect("it is on offer");
        server.until(1, stands("verifying")).await;
        // The next collection hangs for its ten seconds; the ones that verify do not.
        world.clock.sleep(seconds(1)).await;
        exporter.hangs();
        world.clock.sleep(INTERVAL - seconds(6)).await;
        exporter.shows("app_up 1");
        server.until(1, stands("watching")).await;
        let can_look =
            |engine: &paramedic_engine::Engine| engine.failure("app/app.test:9100").is_none();
        for _ in 0..30 {
            assert!(server.handle.read(can_look).await.expect("the engine runs"));
            world.clock.sleep(seconds(1)).await;
        }
        check(
            &server.incident(1).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed resolver
                0s    proposed restart
                0s    restart approved by ann
                0s    guards pass
                0s    intended restart, attempt 1
                6s    done
                20s   blind: app_up vanished because app.test:9100 cannot be looked at
                21s   clear
                21s   verified
                21s   watching for 120 s
            "#]],
        );
    });
}

#[test]
fn an_alert_about_two_systems_changes_neither() {
    run(async {
        let (world, exporter) = world(2);
        world.inject(0, FAULT);
        world.inject(1, FAULT);
        let server = down(&world, &exporter).await;
        check(
            &server.until(1, stands("handed over")).await,
            expect![[r#"
                0s    opened about Several(["opnsense-1", "opnsense-2"])
                0s    status: could not look: the alert could be about opnsense-1 or opnsense-2
                0s    diagnosed nothing
                0s    handed over to whoever is on call: the diagnosis is inconclusive: no cause is supported, and nobody could look at `status`
            "#]],
        );
        assert_eq!((world.changes(0), world.changes(1)), (vec![], vec![]));
    });
}

#[test]
fn an_alert_about_no_system_changes_none() {
    run(async {
        let (mut world, exporter) = world(1);
        world.config.systems[0].matches.clear();
        world.inject(0, FAULT);
        let server = down(&world, &exporter).await;
        check(
            &server.until(1, stands("handed over")).await,
            expect![[r#"
                0s    opened about None
                0s    status: could not look: no configured system matches the alert
                0s    diagnosed nothing
                0s    handed over to whoever is on call: the diagnosis is inconclusive: no cause is supported, and nobody could look at `status`
            "#]],
        );
        assert_eq!(world.changes(0), [""; 0]);
    });
}

#[test]
fn what_clears_while_nobody_runs_is_not_acted_on() {
    run(async {
        let (world, exporter) = world(1);
        world.inject(0, FAULT);
        let server = down(&world, &exporter).await;
        server.until(1, waiting).await;
        // The approval is written, and the machine dies before anything else is.
        world.journal.crash_at(world.journal.commits(), true);
        let command = paramedic_engine::Command {
            incident: paramedic_model::IncidentId(1),
            by: "ann".to_owned(),
            verb: Verb::Approve(None),
        };
        assert!(server.handle.command(command).await.is_err());
        assert!(server.end().await.is_err());
        world.journal.recover();
        exporter.shows("app_up 1");
        // Another target keeps the new process from evaluating anything for a while.
        world.hang(0);
        world.clock.sleep(seconds(30)).await;
        let server = world.start();
        world.clock.sleep(seconds(5)).await;
        check(
            &server.incident(1).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed resolver
                0s    proposed restart
                0s    restart approved by ann
            "#]],
        );
        check(
            &server.until(1, closed).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed resolver
                0s    proposed restart
                0s    restart approved by ann
                45s   clear
                45s   watching for 120 s
                165s  closed: recovered by itself
            "#]],
        );
        assert_eq!(world.changes(0), [""; 0]);
    });
}

#[test]
fn a_watch_that_ends_while_nobody_runs_is_judged_by_a_look() {
    run(async {
        let (world, exporter) = world(1);
        let server = down(&world, &exporter).await;
        server.until(1, stands("handed over")).await;
        exporter.shows("app_up 1");
        server.until(1, stands("watching")).await;
        server.kill().await;
        exporter.shows("app_up 0");
        world.clock.sleep(seconds(600)).await;
        let server = world.start();
        check(
            &server.until(1, |incident| incident.round == 2).await,
            expect![[r#"
                0s    opened about opnsense-1
                0s    diagnosed nothing
                0s    handed over to the person at the keyboard: the diagnosis is inconclusive: no cause is supported
                10s   clear
                10s   watching for 120 s
                613.1s watching for 120 s
                663.1s fires again
                663.1s round 2: the alert fires again
                663.1s diagnosed nothing
                663.1s handed over to the person at the keyboard: the diagnosis is inconclusive: no cause is supported
            "#]],
        );
    });
}
