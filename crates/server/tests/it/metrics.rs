use expect_test::expect;

use crate::world::{HOST, World, request, run};

/// The page without what is of this machine and moment.
async fn page(world: &World) -> String {
    let answer = world.client.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let kind = answer.headers["content-type"].to_str().expect("a content type");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer.text
}

#[test]
fn rounds_and_samples_are_counted() {
    let text = run(async {
        let world = World::new().await;
        world.pass(125).await;
        page(&world).await
    });
    let of_us = |line: &&str| {
        !line.starts_with('#') && !line.contains("process_") && !line.contains("_bytes ")
    };
    let text: String = text.lines().filter(of_us).map(|line| format!("{line}\n")).collect();
    expect![[""]].assert_eq(&text);
}

#[test]
fn every_family_has_help_and_type_and_prometheus_can_read_them() {
    let text = run(async {
        let world = World::new().await;
        page(&world).await
    });
    let scrape = paramedic_exposition::parse("text/plain; version=0.0.4", text.as_bytes());
    let scrape = scrape.expect("the page is an exposition");
    assert!(scrape.metadata.iter().all(|metadata| !metadata.help.is_empty()));
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes"] {
        let of_name = |metadata: &paramedic_exposition::Metadata| metadata.name == name;
        // Only Linux says.
        assert_eq!(scrape.metadata.iter().any(of_name), cfg!(target_os = "linux"), "{name}");
    }
}

#[test]
fn pages_of_other_sites_may_not_read_it() {
    run(async {
        let world = World::new().await;
        let headers = [("host", HOST), ("sec-fetch-site", "cross-site")];
        let answer = world.client.send(request("GET", "/metrics", &headers, "")).await;
        assert_eq!(answer.status, 403);
    });
}
