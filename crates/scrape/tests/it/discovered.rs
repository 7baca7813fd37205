use std::time::Duration;

use http::StatusCode;
use paramedic_integration::{Credentials, SecretSource};
use paramedic_model::Secret;
use paramedic_scrape::{ClientOptions, HttpSource, Job, Pool};
use paramedic_testkit::VIRTUAL_EPOCH;

use crate::exporter::World;

/// A server that lists targets, and a job that asks it every minute.
fn world() -> (World, Job) {
    let world = World::new(r#"[{"targets": ["a:1", "b:1"], "labels": {"env": "x"}}]"#);
    world.page().headers[0].1 = "application/json; charset=utf-8".to_owned();
    let mut job = Job::new("found");
    let token = SecretSource::Stated(Secret::new("token"));
    let credentials = Credentials::Scheme { scheme: "Bearer".to_owned(), credentials: token };
    job.sources.http = vec![HttpSource {
        url: "http://exporter.test/targets?of=me".to_owned(),
        refresh: Duration::from_secs(60),
        client: ClientOptions { credentials: Some(credentials), ..ClientOptions::default() },
    }];
    (world, job)
}

fn names(pool: &Pool) -> Vec<String> {
    pool.targets.iter().map(|target| target.instance.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_server_is_asked_again_after_each_interval() {
    let (world, job) = world();
    let mut discovery = world.discovery(job);
    let mut pool = discovery.at_once();
    assert!(pool.targets.is_empty(), "nobody was asked yet");
    pool = discovery.next(&pool).await;
    assert_eq!(names(&pool), ["a:1", "b:1"]);
    let labels = &pool.targets[0].discovered.as_ref().expect("discovered").labels;
    assert_eq!(labels.value("__meta_url"), "http://exporter.test/targets?of=me");
    assert_eq!(labels.value("env"), "x");
    world.show(r#"[{"targets": ["b:1"]}, {"targets": ["c:1"]}]"#);
    pool = discovery.next(&pool).await;
    assert_eq!(names(&pool), ["b:1", "c:1"]);
    assert_eq!(world.clock.now(), VIRTUAL_EPOCH + Duration::from_secs(60));
    // An empty list is a list.
    world.show("[]");
    pool = discovery.next(&pool).await;
    assert_eq!(names(&pool), [""; 0]);
    let page = world.page();
    assert_eq!((page.asked.len(), page.connections), (3, 1));
    let asked = &page.asked[0];
    assert!(asked.starts_with("/targets?of=me\n"), "{asked}");
    for header in [
        "accept: application/json",
        "x-prometheus-refresh-interval-seconds: 60",
        "authorization: Bearer token",
        "user-agent: Paramedic/",
    ] {
        assert!(asked.contains(header), "{header} in {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_keeps_the_last_targets() {
    let (world, job) = world();
    let mut discovery = world.discovery(job);
    let empty = discovery.at_once();
    let mut pool = discovery.next(&empty).await;
    let good = world.page().body.clone();
    let json = "application/json";
    let bad: [(u16, &str, &str); 7] = [
        (500, json, "[]"),
        (404, json, "[]"),
        (204, json, ""),
        (200, "text/html", "[]"),
        (200, "", "[]"),
        (200, json, "[{"),
        (200, json, r#"[{"targets": ["c:1"], "label": {}}]"#),
    ];
    for (n, (status, kind, body)) in bad.into_iter().enumerate() {
        {
            let mut page = world.page();
            page.status = status;
            page.headers[0].1 = kind.to_owned();
            page.body = body.as_bytes().to_vec();
        }
        let unchanged = tokio::time::timeout(Duration::from_secs(60), discovery.next(&pool)).await;
        assert!(unchanged.is_err(), "answer {n} changed the targets");
    }
    // The server is gone, and then it is there again with another list.
    world.network.close(&paramedic_integration::Address::new("exporter.test", 80));
    let gone = tokio::time::timeout(Duration::from_secs(120), discovery.next(&pool)).await;
    assert!(gone.is_err());
    assert_eq!(names(&pool), ["a:1", "b:1"]);
    world.network.listen(paramedic_integration::Address::new("exporter.test", 80), world.server());
    {
        let mut page = world.page();
        page.status = StatusCode::OK.as_u16();
        page.headers[0].1 = json.to_owned();
        page.body = String::from_utf8(good).expect("text").replace("a:1", "z:1").into_bytes();
    }
    pool = discovery.next(&pool).await;
    assert_eq!(names(&pool), ["b:1", "z:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_complete_once_every_server_has_answered() {
    let (world, job) = world();
    world.page().status = 500;
    let mut discovery = world.discovery(job);
    let asked = discovery.at_once();
    let silent = tokio::time::timeout(Duration::from_secs(30), discovery.next(&asked)).await;
    assert!(silent.is_err() && !asked.is_complete);
    // That there is none is an answer, although it changes nothing else.
    world.page().status = 200;
    world.show("[]");
    let pool = discovery.next(&asked).await;
    assert!(pool.is_complete && pool.targets.is_empty());
    world.page().status = 500;
    let later = tokio::time::timeout(Duration::from_secs(120), discovery.next(&pool)).await;
    assert!(later.is_err(), "it was heard once");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_holds_up_nobody() {
    let (world, mut job) = world();
    let folder = tempfile::tempdir().expect("a folder");
    let hanging = paramedic_integration::Address::new("hanging.test", 80);
    world.network.hang(hanging);
    let url = "http://hanging.test/targets".to_owned();
    job.sources.http.insert(0, HttpSource { url, ..job.sources.http[0].clone() });
    job.sources.files = vec![paramedic_scrape::FileSource {
        patterns: vec![folder.path().join("*.json")],
        refresh: Duration::from_secs(300),
    }];
    let mut discovery = world.discovery(job);
    let empty = discovery.at_once();
    let mut pool = discovery.next(&empty).await;
    assert_eq!(
        (names(&pool), world.clock.now()),
        (vec!["a:1".into(), "b:1".into()], VIRTUAL_EPOCH)
    );
    std::fs::write(folder.path().join("f.json"), r#"[{"targets": ["f:1"]}]"#).expect("written");
    pool = discovery.next(&pool).await;
    assert_eq!(names(&pool), ["a:1", "b:1", "f:1"]);
    assert!(world.clock.now() <= VIRTUAL_EPOCH + Duration::from_secs(5));
    world.show("[]");
    pool = discovery.next(&pool).await;
    assert_eq!(names(&pool), ["f:1"]);
    assert_eq!(world.clock.now(), VIRTUAL_EPOCH + Duration::from_secs(60));
}
