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
    expect![[r#"
        prometheus_rule_evaluation_failures_total{rule_group="rules.yml;things"} 0
        prometheus_rule_evaluations_total{rule_group="rules.yml;things"} 4
        prometheus_rule_group_interval_seconds{rule_group="rules.yml;things"} 60
        prometheus_rule_group_iterations_missed_total{rule_group="rules.yml;things"} 0
        prometheus_rule_group_iterations_total{rule_group="rules.yml;things"} 4
        prometheus_rule_group_last_duration_seconds{rule_group="rules.yml;things"} 0
        prometheus_rule_group_last_evaluation_samples{rule_group="rules.yml;things"} 0
        prometheus_rule_group_last_evaluation_timestamp_seconds{rule_group="rules.yml;things"} 1795227840.833
        prometheus_rule_group_rules{rule_group="rules.yml;things"} 1
        prometheus_rule_group_duration_seconds{quantile="0.01"} 0
        prometheus_rule_group_duration_seconds{quantile="0.05"} 0
        prometheus_rule_group_duration_seconds{quantile="0.5"} 0
        prometheus_rule_group_duration_seconds{quantile="0.9"} 0
        prometheus_rule_group_duration_seconds{quantile="0.99"} 0
        prometheus_rule_group_duration_seconds_sum 0
        prometheus_rule_group_duration_seconds_count 4
        prometheus_tsdb_head_samples_appended_total{type="float"} 99
        prometheus_tsdb_head_series 11
        prometheus_target_scrapes_sample_duplicate_timestamp_total 0
        prometheus_target_scrapes_sample_out_of_order_total 0
        prometheus_target_scrapes_sample_out_of_bounds_total 0
        paramedic_samples_over_limit_total 0
        paramedic_samples_unlogged_total 0
        paramedic_samples_log_failing 0
        paramedic_targets_refused 0
        paramedic_targets 2
        paramedic_targets_failing 0
        paramedic_incidents_open 0
        paramedic_incidents_blind 0
        paramedic_targets_lost 0
        prometheus_build_info{revision="paramedic-0.0.0",version="3.0.0"} 1
        paramedic_build_info{version="0.0.0"} 1
        prometheus_config_last_reload_success_timestamp_seconds 1795227720
        prometheus_config_last_reload_successful 1
        paramedic_config_needs_restart 0
        prometheus_engine_queries 0
        prometheus_engine_queries_concurrent_max 20
        prometheus_ready 1
    "#]].assert_eq(&text);
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
