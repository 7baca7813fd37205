use std::time::Duration;

use http::StatusCode;
use paramedic_integration::{Credentials, SecretSource};
use paramedic_model::{Secret, TimeMs};
use paramedic_relabel::{Action, Fields, Rule};
use paramedic_scrape::collect_forever;
use paramedic_testkit::VIRTUAL_EPOCH;
use tokio::sync::mpsc;

use crate::exporter::{World, job};

/// A time that samples state, in milliseconds.
fn at(seconds: i64) -> i64 {
    VIRTUAL_EPOCH.0 + seconds * 1000
}

#[tokio::test(start_paused = true)]
async fn samples_stand_at_the_time_that_they_state() {
    let (one, two) = (at(-30), at(-15));
    let world = World::new(&format!("a 1\nb{{x=\"1\"}} 2 {one}\nb{{x=\"2\"}} 3 {two}\nc 4\n"));
    let mut target = world.target(job(|_| {}));
    assert_eq!(
        target.shown().await,
        format!(r#"a 1; c 4; b{{x="1"}} 2 @{one}; b{{x="2"}} 3 @{two}"#)
    );
    // Of the same series only values and times are read, and one may state none this time.
    world.show(&format!("a 5\nb{{x=\"1\"}} 6\nb{{x=\"2\"}} 7 {two}\nc 8\n"));
    assert_eq!(target.shown().await, format!(r#"a 5; b{{x="1"}} 6; c 8; b{{x="2"}} 7 @{two}"#));
    world.show("a 9\n");
    assert_eq!(target.shown().await, "a 9");
    world.show(&format!("a 1 {one}\n"));
    assert_eq!(target.shown().await, format!("a 1 @{one}"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_label_is_none_and_keeps_that_of_the_target_away_where_labels_are_honoured() {
    for (honors, expected) in [
        (true, r#"a{job="theirs"} b{instance="exporter.test", job="j"}"#),
        (
            false,
            r#"a{exported_job="theirs", instance="exporter.test", job="j"} b{instance="exporter.test", job="j"}"#,
        ),
    ] {
        let world = World::new("a{job=\"theirs\",instance=\"\"} 1\nb{x=\"\"} 1\n");
        let mut target = world.target(job(|job| job.honor_labels = honors));
        for _ in 0..2 {
            let list = target.once().await.list;
            assert_eq!(format!("{} {}", list.labels(0), list.labels(1)), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn times_are_not_honoured_where_the_configuration_says_so() {
    let world = World::new(&format!("a 1 {}\n", at(-30)));
    let mut target = world.target(job(|job| job.honor_timestamps = false));
    assert_eq!(target.shown().await, "a 1");
}

#[tokio::test(start_paused = true)]
async fn series_with_their_own_time_end_only_where_they_are_tracked() {
    let one = at(-30);
    let body = format!("a 1\nb 2 {one}\nc 3 {one}\n");
    let drop_c = Rule::new(Fields {
        action: Action::Drop,
        source_labels: Some(vec!["__name__".to_owned()]),
        regex: Some("c".to_owned()),
        ..Fields::default()
    });
    let drop_c = drop_c.expect("a rule");
    for track in [false, true] {
        for relabels in [false, true] {
            let world = World::new(&body);
            let mut target = world.target(job(|job| {
                job.track_timestamps = track;
                if relabels {
                    job.metric_relabel = [drop_c.clone()].into();
                }
            }));
            let c = if relabels { String::new() } else { format!("; c 3 @{one}") };
            assert_eq!(target.shown().await, format!("a 1; b 2 @{one}{c}"));
            assert_eq!(target.said("scrape_samples_scraped").await, 3.0);
            assert_eq!(target.said("scrape_series_added").await, 0.0);
            let taken = if relabels { 2.0 } else { 3.0 };
            assert_eq!(target.said("scrape_samples_post_metric_relabeling").await, taken);
            world.show("a 1\n");
            let c = if relabels { "" } else { "; c ended" };
            let ended = if track { format!("; b ended{c}") } else { String::new() };
            assert_eq!(target.shown().await, format!("a 1{ended}"));
            assert_eq!(target.shown().await, "a 1");
            // A failure ends them too.
            world.show(&body);
            assert_eq!(target.said("scrape_samples_scraped").await, 3.0);
            world.fail(StatusCode::NOT_FOUND);
            let failed = target.once().await;
            assert!(failed.failure.is_some());
            let expected = if track { taken as usize - 1 } else { 0 };
            assert_eq!(target.ended.len(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_and_a_closed_one_does_no_harm() {
    let world = World::new("a 1\n");
    let mut target = world.target(job(|_| {}));
    for _ in 0..5 {
        assert_eq!(target.shown().await, "a 1");
        world.pass(60).await;
    }
    assert_eq!(world.page().connections, 1);
    assert!(!world.page().asked[0].contains("connection: close"));
    // One that waited for five minutes is not used any more.
    world.pass(300).await;
    assert_eq!(target.shown().await, "a 1");
    assert_eq!(world.page().connections, 2);
    // A server that says goodbye is believed, and one that does not is asked again.
    world.page().headers.push(("connection", "close".to_owned()));
    assert_eq!(target.shown().await, "a 1");
    assert_eq!(target.shown().await, "a 1");
    assert_eq!(world.page().connections, 3);
    world.page().headers.pop();
    world.page().closes = true;
    for _ in 0..3 {
        assert_eq!(target.shown().await, "a 1");
    }
    assert_eq!(world.page().connections, 6);
    assert_eq!(world.page().asked.len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_needs_any_more_is_closed() {
    let world = World::new("a 1\n");
    let job = job(|_| {});
    let kept = job.client.connections.clone();
    let mut target = world.target(job);
    assert_eq!(target.shown().await, "a 1");
    drop(target);
    // Its job goes on, without this target, and asks nobody.
    world.pass(240).await;
    assert_eq!(world.page().open, 1, "{kept:?}");
    world.pass(100).await;
    assert_eq!(world.page().open, 0, "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn targets_of_a_job_share_their_connections() {
    let world = World::new("a 1\n");
    let two = job(|job| {
        let targets = &mut job.sources.fixed[0].targets;
        targets.push("exporter.test:80".to_owned());
    });
    let pool = world.discovery(two).at_once();
    let mut last = paramedic_scrape::Last::default();
    for target in pool.targets.iter().cycle().take(6) {
        let scraped = paramedic_scrape::collect_once(target, world.clock.as_ref(), &mut last).await;
        assert!(scraped.failure.is_none());
    }
    assert_eq!(world.page().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn gzip_is_read_up_to_the_limit() {
    let world = World::new("");
    let mut target = world.target(job(|job| job.limits.body_bytes = 100));
    world.show_compressed(b"a 1\n");
    assert_eq!(target.shown().await, "a 1");
    assert!(world.page().asked[0].contains("accept-encoding: gzip"));
    // A few bytes that stand for very many are not unpacked.
    let bomb = vec![b'#'; 50 << 20];
    world.show_compressed(&bomb);
    world.page().body.truncate(90);
    let cut = target.shown().await;
    assert!(cut.ends_with("body size limit exceeded"), "{cut}");
    let mut body = b"a 1\n".to_vec();
    body.resize(100, b'\n');
    world.show_compressed(&body);
    assert_eq!(target.shown().await, "a 1");
    body.push(b'\n');
    world.show_compressed(&body);
    assert!(target.shown().await.ends_with("body size limit exceeded"));
    world.show_compressed(b"a 1\nb 2\nc 3\n");
    world.page().body.truncate(20);
    let cut = target.shown().await;
    assert!(cut.contains("gzip: "), "{cut}");
    world.page().body = b"plain".to_vec();
    let plain = target.shown().await;
    assert!(plain.contains("gzip: "), "{plain}");
    let mut target = world.target(job(|job| job.compression = false));
    assert!(target.shown().await.contains("gzip: "));
    assert!(world.page().asked.last().is_some_and(|a| a.contains("accept-encoding: identity")));
}

#[tokio::test(start_paused = true)]
async fn a_plain_body_is_read_up_to_the_limit() {
    let world = World::new("");
    let mut target = world.target(job(|job| job.limits.body_bytes = 100));
    let mut body = "a 1".to_owned();
    for (length, is_read) in [(100, true), (101, false), (5000, false), (100, true)] {
        body.truncate(3);
        body.extend(std::iter::repeat_n('\n', length - body.len()));
        world.show(&body);
        match (target.shown().await, is_read) {
            (shown, true) => assert_eq!(shown, "a 1"),
            (shown, false) => assert!(shown.ends_with(": body size limit exceeded"), "{shown}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_in_files_are_read_when_they_are_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    let file = || SecretSource::File(path.clone());
    let write = |text: &str| std::fs::write(&path, text).expect("it can be written");
    let bearer = Credentials::Scheme { scheme: "Bearer".to_owned(), credentials: file() };
    let user = SecretSource::Stated(Secret::new("ann"));
    let basic = Credentials::Basic { user, password: file() };
    let world = World::new("a 1\n");
    for (credentials, first, second) in [
        (bearer, "Bearer one", "Bearer two"),
        // `ann:one` and `ann:two`
        (basic, "Basic YW5uOm9uZQ==", "Basic YW5uOnR3bw=="),
    ] {
        write("one\n");
        let mut target = world.target(job(|job| job.client.credentials = Some(credentials)));
        assert_eq!(target.shown().await, "a 1");
        write(" two ");
        assert_eq!(target.shown().await, "a 1");
        let asked: Vec<_> = std::mem::take(&mut world.page().asked);
        for (asked, expected) in asked.iter().zip([first, second]) {
            assert!(asked.contains(&format!("authorization: {expected}")), "{asked}");
        }
        std::fs::remove_file(&path).expect("it is there");
        let failed = target.shown().await;
        assert!(
            failed.starts_with("failed: cannot read ") && failed.contains("secret"),
            "{failed}"
        );
        assert!(world.page().asked.is_empty(), "nothing is sent without them");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_target_says_of_its_families_is_kept_through_a_failure() {
    let world = World::new("# HELP a About a.\n# TYPE a counter\na 1\n");
    let mut target = world.target(job(|job| job.limits.samples = 1));
    let scraped = target.once().await;
    let said = scraped.described.expect("it could be read").metadata();
    assert_eq!((&*said[0].name, &*said[0].help), ("a", "About a."));
    // Too many samples, and yet it was read.
    world.show("# TYPE b gauge\nb 1\nc 1\n");
    let scraped = target.once().await;
    assert!(scraped.failure.is_some() && !scraped.list.is_empty());
    let said = scraped.described.expect("it could be read").metadata();
    assert_eq!(said.iter().map(|said| &*said.name).collect::<Vec<_>>(), ["b", "a"]);
    world.fail(StatusCode::INTERNAL_SERVER_ERROR);
    assert!(target.once().await.described.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_target_is_collected_soon_and_then_in_its_slot() {
    let world = World::new("a 1\n");
    let collecting = world.target(job(|job| job.interval = Duration::from_secs(15)));
    let target = collecting.target;
    let (sink, mut scraped) = mpsc::channel(1);
    let slot = target.next_after(TimeMs(0), TimeMs(0)).0 % 15_000;
    tokio::spawn(collect_forever(target, world.clock.clone(), sink));
    let mut times = Vec::new();
    for _ in 0..4 {
        times.push(scraped.recv().await.expect("it goes on").at.0);
    }
    assert!(times[0] >= VIRTUAL_EPOCH.0 && times[0] < VIRTUAL_EPOCH.0 + 5000, "{times:?}");
    assert!(times[1] > times[0] && times[1] <= times[0] + 15_000, "{times:?}");
    assert!(times[1..].iter().all(|at| at % 15_000 == slot), "{times:?}");
    assert_eq!([times[2] - times[1], times[3] - times[2]], [15_000; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_targets_begin_within_seconds_but_not_at_once() {
    let world = World::new("a 1\n");
    let many = job(|job| {
        let target = |n| format!("host-{n}.test");
        job.sources.fixed[0].targets = (0..1000).map(target).collect();
    });
    let pool = world.discovery(many).at_once();
    let (sink, mut scraped) = mpsc::channel(1000);
    for target in pool.targets {
        tokio::spawn(collect_forever(target, world.clock.clone(), sink.clone()));
    }
    let mut by_second = [0; 5];
    for _ in 0..1000 {
        let at = scraped.recv().await.expect("it goes on").at;
        by_second[(at.0 - VIRTUAL_EPOCH.0) as usize / 1000] += 1;
    }
    assert!(by_second.iter().all(|count| (150..250).contains(count)), "{by_second:?}");
}
