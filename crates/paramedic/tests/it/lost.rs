//! A target that is lost is one incident: not one per rule, not a second one beside an alert that
//! watches it, and none where nothing stands on it.

use expect_test::{Expect, expect};
use paramedic_engine::Verb;
use paramedic_incident::{Incident, SystemChoice};
use paramedic_model::Labels;
use paramedic_scrape::Pool;

use crate::world::{Exporter, Server, World, closed, run, seconds, stands, transcript};

const PAGE: &str = "# AppOther\n\n## Meaning\n\nNothing.\n";
const TARGET: &str = "app/app.test:9100";

/// Rules on what the exporter shows, data-driven, and more of them.
fn rules(more: &str) -> String {
    let own: String = (0..40)
        .map(|i| format!("      - {{ alert: App{i}, expr: 'app_value{{part=\"{i}\"}} > 0' }}\n"))
        .collect();
    format!("groups:\n  - name: own\n    evaluation: data\n    rules:\n{own}{more}")
}

/// What the exporter shows while the alerts of these parts fire.
fn shown(firing: &[usize]) -> String {
    let line = |i: usize| format!("app_value{{part=\"{i}\"}} {}", usize::from(firing.contains(&i)));
    (0..40).map(line).collect::<Vec<_>>().join("\n")
}

/// An exporter on which the alerts of these parts fire since 20 s ago.
async fn server(more: &str, firing: &[usize]) -> (World, Exporter, Server) {
    let mut world = World::new("opnsense", 1).with(&rules(more), PAGE);
    let exporter = world.exporter();
    exporter.shows(&shown(&[]));
    let server = world.start();
    world.clock.sleep(seconds(20)).await;
    exporter.shows(&shown(firing));
    world.clock.sleep(seconds(20)).await;
    (world, exporter, server)
}

async fn open(server: &Server) -> Vec<Incident> {
    let incidents = server.incidents().await.expect("the engine runs");
    incidents.into_iter().filter(Incident::is_open).collect()
}

/// The open incidents: number, alert, what is known of the alert, and the one that it stands under.
async fn check_open(server: &Server, want: Expect) {
    let line = |one: &Incident| {
        let under = one.under.map(|id| format!(" under {id}")).unwrap_or_default();
        format!("{} {} {:?}{under}\n", one.id, one.opened.alert, one.signal)
    };
    want.assert_eq(&open(server).await.iter().map(line).collect::<String>());
}

/// The targets of the exporter's job once there are none.
fn none() -> Pool {
    Pool {
        name: "app".into(),
        targets: Vec::new(),
        dropped: Vec::new(),
        dropped_count: 0,
        is_complete: true,
    }
}

fn check(incident: &Incident, want: Expect) {
    want.assert_eq(&transcript(incident));
}

#[test]
fn forty_rules_on_a_lost_target_are_one_incident() {
    run(async {
        let (world, exporter, server) = server("", &[3, 5, 7]).await;
        exporter.dies();
        world.clock.sleep(seconds(120)).await;
        check_open(
            &server,
            expect![[r#"
                1 App3 Blind under 4
                2 App5 Blind under 4
                3 App7 Blind under 4
                4 TargetLost Firing
            "#]],
        )
        .await;
        let loss = server.incident(4).await;
        let lost = loss.opened.lost.clone().expect("it is of a loss");
        assert_eq!((&*lost.target, lost.rule_count, lost.rules.len()), (TARGET, 40, 40));
        let annotations = &loss.opened.annotations;
        expect![[r#"
            app/app.test:9100 cannot be looked at
            connect to http://app.test:9100/metrics: connection closed before message completed. 40 alert rules read its samples and cannot speak: App0, App1, App10, App11, App12, App13, App14, App15 and 32 more; 3 alerts that fired before are not known to be over.
        "#]]
        .assert_eq(&format!("{}\n{}\n", annotations["summary"], annotations["description"]));
        // Since the first collection that failed, not since it was lost.
        let seen_at = lost.seen_at_ms.expect("it was seen");
        assert_eq!((loss.opened_at.0 - loss.since().0, loss.since().0 - seen_at), (15_000, 15_000));
        exporter.shows(&shown(&[5]));
        let loss = server.until(4, stands("watching")).await;
        check(
            &server.until(4, closed).await,
            expect![[r#"
            0s    opened about None
            0s    diagnosed nothing
            0s    handed over to whoever is on call: app/app.test:9100 cannot be looked at: connect to http://app.test:9100/metrics: connection closed before message completed; no runbook serves `TargetLost`
            105s  clear
            105s  watching for 120 s
            225s  closed: handed over
        "#]],
        );
        drop(loss);
        check(
            &server.incident(1).await,
            expect![[r#"
            0s    opened about None
            0s    diagnosed nothing
            0s    handed over to whoever is on call: no runbook serves this alert
            15s   blind: app_value vanished because app.test:9100 cannot be looked at
            30s   part of 4: app/app.test:9100 is lost
            135s  clear
            135s  watching for 120 s
            255s  closed: handed over
        "#]],
        );
        check(
            &server.incident(2).await,
            expect![[r#"
            0s    opened about None
            0s    diagnosed nothing
            0s    handed over to whoever is on call: no runbook serves this alert
            15s   blind: app_value vanished because app.test:9100 cannot be looked at
            30s   part of 4: app/app.test:9100 is lost
            135s  fires again
        "#]],
        );
        check_open(
            &server,
            expect![[r#"
            2 App5 Firing
        "#]],
        )
        .await;
    });
}

#[test]
fn rules_that_were_silent_are_one_incident_too() {
    run(async {
        let (world, exporter, server) = server("", &[]).await;
        exporter.hangs();
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 TargetLost Firing
        "#]],
        )
        .await;
        exporter.shows(&shown(&[]));
        check(
            &server.until(1, closed).await,
            expect![[r#"
            0s    opened about None
            0s    diagnosed nothing
            0s    handed over to whoever is on call: app/app.test:9100 cannot be looked at: wait for http://app.test:9100/metrics: no answer within 10 s; no runbook serves `TargetLost`
            35s   clear
            35s   watching for 120 s
            155s  closed: handed over
        "#]],
        );
    });
}

#[test]
fn one_failure_is_no_loss() {
    run(async {
        let (world, exporter, server) = server("", &[3]).await;
        exporter.dies();
        world.clock.sleep(seconds(10)).await;
        exporter.shows(&shown(&[3]));
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Firing
        "#]],
        )
        .await;
    });
}

#[test]
fn a_target_on_which_nothing_stands_is_no_outage() {
    run(async {
        let mut world = World::new("opnsense", 1).with(&rules(""), PAGE);
        let exporter = world.exporter();
        exporter.shows("other 1");
        let server = world.start();
        world.clock.sleep(seconds(20)).await;
        exporter.dies();
        world.clock.sleep(seconds(120)).await;
        check_open(&server, expect![[r#""#]]).await;
    });
}

#[test]
fn an_alert_that_watches_the_loss_leads() {
    run(async {
        let up = "      - { alert: AppUnreachable, expr: 'up{job=\"app\"} == 0', for: 3m }\n";
        let (world, exporter, server) = server(up, &[3, 5]).await;
        exporter.dies();
        // It is pending, and its author wants to wait for three minutes.
        world.clock.sleep(seconds(120)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind
            2 App5 Blind
        "#]],
        )
        .await;
        world.clock.sleep(seconds(120)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 3
            2 App5 Blind under 3
            3 AppUnreachable Firing
        "#]],
        )
        .await;
        exporter.shows(&shown(&[3, 5]));
        world.clock.sleep(seconds(30)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Firing
            2 App5 Firing
            3 AppUnreachable Clear
        "#]],
        )
        .await;
        let all = server.incidents().await.expect("the engine runs");
        assert!(all.iter().all(|incident| incident.opened.lost.is_none()));
    });
}

#[test]
fn an_alert_on_absence_watches_too() {
    run(async {
        let absent = "      - { alert: AppAbsent, expr: 'absent(app_value{part=\"1\"})' }\n";
        let (world, exporter, server) = server(absent, &[3]).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 AppAbsent Firing
        "#]],
        )
        .await;
    });
}

#[test]
fn an_alert_that_watches_later_takes_over() {
    run(async {
        let late =
            "      - { alert: AppUnreachable, expr: 'max_over_time(up{job=\"app\"}[3m]) == 0' }\n";
        let (world, exporter, server) = server(late, &[3]).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 TargetLost Firing
        "#]],
        )
        .await;
        world.clock.sleep(seconds(180)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 3
            3 AppUnreachable Firing
        "#]],
        )
        .await;
        check(
            &server.incident(2).await,
            expect![[r#"
                0s    opened about None
                0s    diagnosed nothing
                0s    handed over to whoever is on call: app/app.test:9100 cannot be looked at: connect to http://app.test:9100/metrics: connection closed before message completed; no runbook serves `TargetLost`
                201.2s closed: taken over by an alert
            "#]],
        );
    });
}

#[test]
fn an_alert_on_all_targets_that_fired_before_is_not_about_this_one() {
    run(async {
        let count = "      - { alert: Many, expr: 'count(up) > 1' }\n";
        let (world, exporter, server) = server(count, &[]).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 Many Firing
            2 TargetLost Firing
        "#]],
        )
        .await;
    });
}

#[test]
fn a_loss_outlives_the_process() {
    run(async {
        let (world, exporter, server) = server("", &[3]).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        server.kill().await;
        let server = world.start();
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 TargetLost Firing
        "#]],
        )
        .await;
        server.kill().await;
        // It comes back while nobody looks.
        exporter.shows(&shown(&[]));
        world.clock.sleep(seconds(600)).await;
        let server = world.start();
        check(
            &server.until(2, closed).await,
            expect![[r#"
            0s    opened about None
            0s    diagnosed nothing
            0s    handed over to whoever is on call: app/app.test:9100 cannot be looked at: connect to http://app.test:9100/metrics: connection closed before message completed; no runbook serves `TargetLost`
            700s  clear
            700s  watching for 120 s
            820s  closed: handed over
        "#]],
        );
    });
}

#[test]
fn a_target_that_discovery_takes_away_is_lost_where_something_fired() {
    run(async {
        let (world, exporter, server) = server("", &[3, 5]).await;
        server.discovered(none()).await;
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 3
            2 App5 Blind under 3
            3 TargetLost Firing
        "#]],
        )
        .await;
        check(
            &server.incident(3).await,
            expect![[r#"
            0s    opened about None
            0s    diagnosed nothing
            0s    handed over to whoever is on call: app/app.test:9100 cannot be looked at: it is no target any more, and nothing takes its place; no runbook serves `TargetLost`
        "#]],
        );
        drop(exporter);
        for id in [1, 2] {
            let verb = Verb::Close("the host is retired".to_owned());
            server.ask(id, "ann", verb).await.expect("it is open");
        }
        world.clock.sleep(seconds(60)).await;
        check(
            &server.incident(3).await,
            expect![[r#"
                0s    opened about None
                0s    diagnosed nothing
                0s    handed over to whoever is on call: app/app.test:9100 cannot be looked at: it is no target any more, and nothing takes its place; no runbook serves `TargetLost`
                35.4s discovery: app/app.test:9100 is no target any more, and no alert waits for it
                35.4s closed: removed
            "#]],
        );
    });
}

#[test]
fn a_target_that_discovery_takes_away_while_nothing_fires_is_none() {
    run(async {
        let (world, _exporter, server) = server("", &[]).await;
        server.discovered(none()).await;
        world.clock.sleep(seconds(120)).await;
        check_open(&server, expect![[r#""#]]).await;
    });
}

/// Whatever write of the journal is the machine's last, there is one loss, and all that is blind
/// stands under it.
#[test]
fn a_machine_that_dies_at_any_write_has_one_incident_of_a_loss() {
    for (place, is_kept) in (0..).flat_map(|place| [(place, false), (place, true)]) {
        let is_over = run(async {
            let (world, exporter, server) = server("", &[3, 5]).await;
            let before = world.journal.commits();
            world.journal.crash_at(before + place, is_kept);
            exporter.dies();
            world.clock.sleep(seconds(120)).await;
            let crashed = server.incidents().await.is_err();
            let server = match crashed {
                true => {
                    assert!(server.end().await.is_err());
                    world.journal.recover();
                    world.start()
                }
                false => server,
            };
            world.clock.sleep(seconds(120)).await;
            check_open(
                &server,
                expect![[r#"
                    1 App3 Blind under 3
                    2 App5 Blind under 3
                    3 TargetLost Firing
                "#]],
            )
            .await;
            !crashed
        });
        if is_over {
            assert!(place > 2, "it crashed at {place} places only");
            return;
        }
    }
}

#[test]
fn what_a_person_closed_stays_closed_until_the_target_answers() {
    run(async {
        let (world, exporter, server) = server("", &[3]).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        server.ask(2, "ann", Verb::Close("known".to_owned())).await.expect("it is open");
        world.clock.sleep(seconds(300)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
        "#]],
        )
        .await;
        exporter.shows(&shown(&[3]));
        world.clock.sleep(seconds(30)).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 3
            3 TargetLost Firing
        "#]],
        )
        .await;
    });
}

#[test]
fn a_system_that_is_lost_goes_to_its_contact() {
    run(async {
        let rule = "      - { alert: AppDown, expr: 'opnsense_services_status == 0' }\n";
        let (world, _exporter, server) = server(rule, &[]).await;
        world.hang(0);
        world.clock.sleep(seconds(90)).await;
        check_open(
            &server,
            expect![[r#"
            1 TargetLost Firing
        "#]],
        )
        .await;
        let incident = server.incident(1).await;
        assert!(
            matches!(&incident.opened.system, SystemChoice::One { name, .. } if name == "opnsense-1")
        );
        check(
            &incident,
            expect![[r#"
            0s    opened about opnsense-1
            0s    diagnosed nothing
            0s    handed over to the person at the keyboard: opnsense/opnsense1.test:9001 cannot be looked at: wait for http://opnsense1.test:9001/api/core/service/search: no answer within 15 s; no runbook serves `TargetLost`
        "#]],
        );
    });
}

#[test]
fn a_system_with_a_job_of_its_own_is_lost_too() {
    run(async {
        let rule = "      - { alert: AppDown, expr: 'opnsense_services_status == 0' }\n";
        let mut world = World::new("opnsense", 1).with(&rules(rule), PAGE);
        world.config.systems[0].labels = Labels::from([("job", "firewalls")]);
        let server = world.start();
        world.clock.sleep(seconds(40)).await;
        world.hang(0);
        world.clock.sleep(seconds(90)).await;
        check_open(
            &server,
            expect![[r#"
            1 TargetLost Firing
        "#]],
        )
        .await;
        let incident = server.incident(1).await;
        assert_eq!(incident.opened.labels["job"], "firewalls");
        let lost = incident.opened.lost.clone().expect("it is of a loss");
        assert_eq!(
            (&*lost.target, &*lost.rules),
            ("opnsense/opnsense1.test:9001", &["AppDown".to_owned()][..])
        );
        assert!(lost.seen_at_ms.is_some());
        assert_eq!(incident.opened.system.name(), Some("opnsense-1"));
    });
}

#[test]
fn a_dead_target_that_is_back_in_the_list_has_not_answered() {
    run(async {
        let (world, exporter, server) = server("", &[3]).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        server.discovered(none()).await;
        world.clock.sleep(seconds(1)).await;
        for pool in world.pools() {
            server.discovered(pool).await;
        }
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 TargetLost Firing
        "#]],
        )
        .await;
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 TargetLost Firing
        "#]],
        )
        .await;
        exporter.shows(&shown(&[3]));
        check(
            &server.until(2, closed).await,
            expect![[r#"
            0s    opened about None
            0s    diagnosed nothing
            0s    handed over to whoever is on call: app/app.test:9100 cannot be looked at: connect to http://app.test:9100/metrics: connection closed before message completed; no runbook serves `TargetLost`
            105s  clear
            105s  watching for 120 s
            225s  closed: handed over
        "#]],
        );
    });
}

#[test]
fn an_answer_from_before_a_target_was_taken_away_is_none() {
    run(async {
        let (world, exporter, server) = server("", &[3]).await;
        // It answers until it is taken away, and is dead when it is back.
        server.discovered(none()).await;
        world.clock.sleep(seconds(35)).await;
        exporter.dies();
        for pool in world.pools() {
            server.discovered(pool).await;
        }
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 TargetLost Firing
        "#]],
        )
        .await;
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 TargetLost Firing
        "#]],
        )
        .await;
    });
}

#[test]
fn an_alert_that_watched_leads_when_its_target_is_taken_away() {
    run(async {
        let up = "      - { alert: AppUnreachable, expr: 'up{job=\"app\"} == 0' }\n";
        let (world, exporter, server) = server(up, &[3]).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        server.discovered(none()).await;
        world.clock.sleep(seconds(5)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 AppUnreachable Firing
        "#]],
        )
        .await;
        world.clock.sleep(seconds(120)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
            2 AppUnreachable Blind
        "#]],
        )
        .await;
        server.ask(2, "ann", Verb::Close("it is retired".to_owned())).await.expect("it is open");
        world.clock.sleep(seconds(120)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
        "#]],
        )
        .await;
    });
}

/// A loss that a person closed while an alert is blind because of it, and nothing answered since.
async fn dismissed() -> (World, Exporter, Server) {
    let (world, exporter, server) = server("", &[3]).await;
    exporter.dies();
    world.clock.sleep(seconds(60)).await;
    server.ask(2, "ann", Verb::Close("known".to_owned())).await.expect("it is open");
    world.clock.sleep(seconds(60)).await;
    (world, exporter, server)
}

#[test]
fn what_a_person_closed_stays_closed_when_the_target_is_taken_away() {
    run(async {
        let (world, _exporter, server) = dismissed().await;
        server.discovered(none()).await;
        world.clock.sleep(seconds(120)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
        "#]],
        )
        .await;
    });
}

#[test]
fn what_a_person_closed_stays_closed_when_nothing_is_known_of_before() {
    run(async {
        let (world, _exporter, server) = dismissed().await;
        server.kill().await;
        // No sample is left that says since when it fails.
        let server = world.start();
        world.clock.sleep(seconds(120)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 2
        "#]],
        )
        .await;
    });
}

#[test]
fn a_note_on_what_was_closed_says_nothing_of_the_next_outage() {
    run(async {
        let (world, exporter, server) = dismissed().await;
        exporter.shows(&shown(&[3]));
        world.clock.sleep(seconds(30)).await;
        exporter.dies();
        world.clock.sleep(seconds(16)).await;
        server.ask(2, "ann", Verb::Note("a cable".to_owned())).await.expect("a note is taken");
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 App3 Blind under 3
            3 TargetLost Firing
        "#]],
        )
        .await;
    });
}

#[test]
fn a_loss_ends_when_its_target_went_while_nobody_looked() {
    run(async {
        let (mut world, exporter, server) = server("", &[]).await;
        exporter.dies();
        world.clock.sleep(seconds(60)).await;
        server.kill().await;
        let mut job = (*world.config.jobs[0]).clone();
        job.sources.fixed.clear();
        world.config.jobs = vec![job.into()];
        let server = world.start();
        world.clock.sleep(seconds(60)).await;
        // The job was not heard yet.
        check_open(
            &server,
            expect![[r#"
            1 TargetLost Firing
        "#]],
        )
        .await;
        server.discovered(Pool { is_complete: false, ..none() }).await;
        world.clock.sleep(seconds(60)).await;
        check_open(
            &server,
            expect![[r#"
            1 TargetLost Firing
        "#]],
        )
        .await;
        server.discovered(none()).await;
        check(
            &server.until(1, closed).await,
            expect![[r#"
            0s    opened about None
            0s    diagnosed nothing
            0s    handed over to whoever is on call: app/app.test:9100 cannot be looked at: connect to http://app.test:9100/metrics: connection closed before message completed; no runbook serves `TargetLost`
            156.9s discovery: app/app.test:9100 is no target any more, and no alert waits for it
            156.9s closed: removed
        "#]],
        );
    });
}
