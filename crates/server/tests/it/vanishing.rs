use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Request, Response};
use http_body_util::Full;
use paramedic_integration::{Address, Environment, ScaledClock, serve_http};
use paramedic_model::{Labels, Redactor, TimeMs};
use paramedic_relabel::{Fields, Rule};
use paramedic_scrape::{Discovery, Job, Pool, TargetGroup};
use paramedic_testkit::{MemoryNetwork, NoProcesses, VIRTUAL_EPOCH};

use crate::world::{World, run};

const INTERVAL_MS: i64 = 15_000;

/// A world with an exporter in it, which shows two series.
async fn world() -> (World, Environment) {
    // The time that `y` states is that of the start.
    let page = format!("# HELP x About x.\n# TYPE x gauge\nx 1\ny 2 {}\n", VIRTUAL_EPOCH.0);
    world_of(&Arc::new(Mutex::new(page))).await
}

/// The same, which shows this page.
async fn world_of(page: &Arc<Mutex<String>>) -> (World, Environment) {
    let page = page.clone();
    let network = MemoryNetwork::default();
    network.listen(Address::new("exporter.test", 80), move |stream| {
        let page = page.clone();
        Box::pin(serve_http(stream, move |_: Request<_>| {
            let body = Full::new(page.lock().expect("nobody panicked").clone().into());
            Box::pin(async { Some(Response::new(body)) })
        }))
    });
    let environment = Environment {
        clock: Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0)),
        transport: Arc::new(network),
        processes: Arc::new(NoProcesses),
        redactor: Redactor::default(),
    };
    let sending = paramedic_engine::Sending::default();
    let world = World::virtual_with(environment.clock.clone(), sending).await;
    (world, environment)
}

/// The targets of a job of this name, whose series say that they are of job `j`.
fn pool(name: &str, targets: &[&str], environment: &Environment) -> Pool {
    let mut job = Job::new(name);
    job.interval = Duration::from_millis(INTERVAL_MS as u64);
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    job.sources.fixed = vec![TargetGroup { targets, labels: Labels::empty() }];
    let fields = Fields {
        target_label: "job".to_owned(),
        replacement: Some("j".to_owned()),
        ..Fields::default()
    };
    job.relabel = vec![Rule::new(fields).expect("a rule")];
    Discovery::new(Arc::new(job), environment.clone(), 0).at_once()
}

/// At which of these seconds after the epoch, 5 s apart, the series has a value.
async fn seen(world: &World, query: &str, from: i64, until: i64) -> Vec<i64> {
    let at = |second: i64| VIRTUAL_EPOCH.0 / 1000 + second;
    let path =
        format!("/api/v1/query_range?query={query}&start={}&end={}&step=5", at(from), at(until));
    let answer = world.client.get(&path).await.json();
    let values = answer["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
    let second = |value: &serde_json::Value| value[0].as_i64().expect("a moment") - at(0);
    values.iter().map(second).collect()
}

#[test]
fn the_series_of_a_target_that_went_end_after_two_intervals_at_the_moment_of_the_next() {
    run(async {
        let (world, environment) = world().await;
        let there = pool("j", &["exporter.test"], &environment);
        world.handle.discovered(there.clone()).await.expect("the engine runs");
        world.pass(60).await;
        assert_eq!(seen(&world, "x", 10, 60).await.len(), 11);
        let told = world.client.get("/api/v1/metadata").await.text;
        assert!(told.contains(r#""x":[{"type":"gauge","help":"About x.","unit":""}]"#), "{told}");
        let of_target = world.client.get("/api/v1/targets/metadata?metric=x").await.text;
        let labels = r#""target":{"instance":"exporter.test","job":"j"}"#;
        assert!(of_target.contains(labels), "{of_target}");
        world.handle.discovered(pool("j", &[], &environment)).await.expect("the engine runs");
        world.pass(1).await;
        assert_eq!(world.client.get("/api/v1/metadata").await.text.matches("About x").count(), 0);
        // It would have been collected next here; two intervals later that is written down.
        let target = &there.targets[0];
        let left = VIRTUAL_EPOCH + Duration::from_secs(60);
        let next = (target.next_after(left, left).0 - VIRTUAL_EPOCH.0) / 1000;
        world.pass(26).await;
        assert_eq!(seen(&world, "x", 60, 85).await.len(), 6, "it may come back");
        world.pass(25).await;
        for query in ["x", "up%7Bjob=%22j%22%7D"] {
            let last = seen(&world, query, 60, 110).await;
            let expected: Vec<_> = (60..=110).step_by(5).filter(|at| *at <= next).collect();
            assert_eq!(last, expected, "{query} ends at {next}");
        }
    });
}

#[test]
fn a_target_that_moves_to_another_job_or_comes_back_has_no_hole() {
    run(async {
        let (world, environment) = world().await;
        let tell = async |pool: Pool| world.handle.discovered(pool).await.expect("it runs");
        tell(pool("j", &["exporter.test"], &environment)).await;
        world.pass(60).await;
        // It goes on under another name, with the same labels.
        tell(pool("j", &[], &environment)).await;
        tell(pool("k", &["exporter.test"], &environment)).await;
        world.pass(60).await;
        assert_eq!(seen(&world, "x", 10, 120).await.len(), 23);
        // It goes and is back before its end was written down, and goes again.
        tell(pool("k", &[], &environment)).await;
        world.pass(20).await;
        tell(pool("k", &["exporter.test"], &environment)).await;
        world.pass(60).await;
        assert_eq!(seen(&world, "x", 10, 200).await.len(), 39);
        tell(pool("k", &[], &environment)).await;
        world.pass(60).await;
        assert!(!seen(&world, "x", 200, 260).await.contains(&260));
        assert_eq!(environment.clock.now(), TimeMs(VIRTUAL_EPOCH.0 + 260_000));
    });
}

#[test]
fn series_that_state_their_time_end_with_their_target_where_they_are_tracked() {
    run(async {
        let (world, environment) = world().await;
        let pool = |name: &str, tracked: bool, targets: &[&str]| {
            let mut job = Job::new(name);
            job.interval = Duration::from_millis(INTERVAL_MS as u64);
            job.track_timestamps = tracked;
            let targets = targets.iter().map(|target| (*target).to_owned()).collect();
            job.sources.fixed = vec![TargetGroup { targets, labels: Labels::empty() }];
            Discovery::new(Arc::new(job), environment.clone(), 0).at_once()
        };
        let tell = async |pool: Pool| world.handle.discovered(pool).await.expect("it runs");
        for (name, tracked) in [("tracked", true), ("free", false)] {
            tell(pool(name, tracked, &["exporter.test"])).await;
        }
        world.pass(60).await;
        let at = async |job: &str, second| {
            !seen(&world, &format!("y%7Bjob=%22{job}%22%7D"), second, second).await.is_empty()
        };
        assert!(at("tracked", 60).await && at("free", 60).await);
        let path = "/api/v1/query?query=timestamp(y%7Bjob=%22free%22%7D)";
        let answer = world.client.get(path).await.json();
        let stands = answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned);
        assert_eq!(stands, Some((VIRTUAL_EPOCH.0 / 1000).to_string()));
        tell(pool("tracked", true, &[])).await;
        tell(pool("free", false, &[])).await;
        world.pass(60).await;
        assert!(!at("tracked", 120).await && at("free", 120).await);
        // The look-back ends it, five minutes after the time that it states.
        world.pass(240).await;
        assert!(at("free", 295).await && !at("free", 305).await);
    });
}

/// A job whose targets have a label `env`, and whose series that state their own time are tracked.
fn tracked(env: &str, targets: &[&str], environment: &Environment) -> Pool {
    let mut job = Job::new("j");
    job.interval = Duration::from_millis(INTERVAL_MS as u64);
    job.track_timestamps = true;
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    job.sources.fixed = vec![TargetGroup { targets, labels: Labels::from([("env", env)]) }];
    Discovery::new(Arc::new(job), environment.clone(), 0).at_once()
}

#[test]
fn tracked_series_end_when_their_target_gets_other_labels_or_comes_back_with_fewer() {
    run(async {
        let start = VIRTUAL_EPOCH.0;
        let page = Arc::new(Mutex::new(format!("y 2 {start}\nz 3 {start}\n")));
        let (world, environment) = world_of(&page).await;
        let tell = async |env: &str, targets: &[&str]| {
            world.handle.discovered(tracked(env, targets, &environment)).await.expect("it runs");
        };
        let there = async |name: &str, env: &str, second| {
            let query = format!("{name}%7Benv=%22{env}%22%7D");
            !seen(&world, &query, second, second).await.is_empty()
        };
        tell("a", &["exporter.test"]).await;
        world.pass(60).await;
        assert!(there("y", "a", 60).await && there("z", "a", 60).await);
        tell("b", &["exporter.test"]).await;
        world.pass(30).await;
        assert!(!there("y", "a", 90).await && !there("z", "a", 90).await);
        assert!(there("y", "b", 90).await && there("z", "b", 90).await);
        // It goes, and is back before its end was written down.
        tell("b", &[]).await;
        world.pass(5).await;
        *page.lock().expect("nobody panicked") = format!("y 2 {start}\n");
        tell("b", &["exporter.test"]).await;
        world.pass(25).await;
        assert!(there("y", "b", 120).await && !there("z", "b", 120).await);
    });
}

#[test]
fn a_sample_too_far_ahead_is_said_to_be_and_a_marker_that_comes_late_is_nothing() {
    run(async {
        let ahead = |seconds: i64| VIRTUAL_EPOCH.0 + seconds * 1000;
        let page = format!("x 1\nfar 2 {}\nsoon 3 {}\n", ahead(3600), ahead(300));
        let page = Arc::new(Mutex::new(page));
        let (world, environment) = world_of(&page).await;
        let pool = tracked("a", &["exporter.test"], &environment);
        let id = pool.targets[0].id();
        world.handle.discovered(pool).await.expect("it runs");
        let refused = async || {
            let id = id.clone();
            let refused = world.handle.read(move |engine| engine.refused(&id).copied()).await;
            refused.expect("the engine runs").map(|refused| refused.to_string())
        };
        world.pass(60).await;
        assert_eq!(refused().await.as_deref(), Some("samples not taken: 1 too far ahead"));
        *page.lock().expect("nobody panicked") = "x 1\n".to_owned();
        world.pass(20).await;
        assert_eq!(refused().await, None);
    });
}
