use expect_test::{Expect, expect};

use crate::world::{World, run};

/// A world in which one alert fires, and what it answers to these requests.
fn check(break_it: bool, paths: &[&str], expected: Expect) {
    run(async {
        let world = World::new().await;
        world.pass(61).await;
        if break_it {
            world.break_as(Some("crashed")).await;
        }
        let mut text = String::new();
        for path in paths {
            let answer = world.client.get(&format!("/api/v1/{path}")).await;
            let status = answer.status.as_u16();
            text.push_str(&format!("{path}\n  {status} {}\n", answer.text.trim_end()));
        }
        expected.assert_eq(&text);
    });
}

#[test]
fn rules_have_the_shape_of_prometheus() {
    check(
        false,
        &["rules", "alerts"],
        expect![[r#"
        rules
          200 {"status":"success","data":{"groups":[{"name":"things","file":"rules.yml","rules":[{"state":"inactive","name":"ThingDown","query":"thing_up == 0","duration":60,"keepFiringFor":0,"labels":{"severity":"critical"},"annotations":{"runbook_url":"https://example.com/runbooks/ThingDown","summary":"{{ $labels.name }} is down"},"alerts":[],"health":"ok","evaluationTime":0,"lastEvaluation":"2026-11-21T02:23:00.833Z","type":"alerting"}],"interval":60,"limit":0,"evaluationTime":0,"lastEvaluation":"2026-11-21T02:23:00.833Z"}]}}
        alerts
          200 {"status":"success","data":{"alerts":[]}}
    "#]],
    );
    check(
        true,
        &["rules", "alerts", "rules?exclude_alerts=true"],
        expect![[r#"
        rules
          200 {"status":"success","data":{"groups":[{"name":"things","file":"rules.yml","rules":[{"state":"firing","name":"ThingDown","query":"thing_up == 0","duration":60,"keepFiringFor":0,"labels":{"severity":"critical"},"annotations":{"runbook_url":"https://example.com/runbooks/ThingDown","summary":"{{ $labels.name }} is down"},"alerts":[{"labels":{"alertname":"ThingDown","instance":"thing:1","job":"thing","name":"t1","severity":"critical"},"annotations":{"runbook_url":"https://example.com/runbooks/ThingDown","summary":"t1 is down"},"state":"firing","activeAt":"2026-11-21T02:23:15Z","value":"0e+00"}],"health":"ok","evaluationTime":0,"lastEvaluation":"2026-11-21T02:25:00.833Z","type":"alerting"}],"interval":60,"limit":0,"evaluationTime":0,"lastEvaluation":"2026-11-21T02:25:00.833Z"}]}}
        alerts
          200 {"status":"success","data":{"alerts":[{"labels":{"alertname":"ThingDown","instance":"thing:1","job":"thing","name":"t1","severity":"critical"},"annotations":{"runbook_url":"https://example.com/runbooks/ThingDown","summary":"t1 is down"},"state":"firing","activeAt":"2026-11-21T02:23:15Z","value":"0e+00"}]}}
        rules?exclude_alerts=true
          200 {"status":"success","data":{"groups":[{"name":"things","file":"rules.yml","rules":[{"state":"firing","name":"ThingDown","query":"thing_up == 0","duration":60,"keepFiringFor":0,"labels":{"severity":"critical"},"annotations":{"runbook_url":"https://example.com/runbooks/ThingDown","summary":"{{ $labels.name }} is down"},"alerts":null,"health":"ok","evaluationTime":0,"lastEvaluation":"2026-11-21T02:25:00.833Z","type":"alerting"}],"interval":60,"limit":0,"evaluationTime":0,"lastEvaluation":"2026-11-21T02:25:00.833Z"}]}}
    "#]],
    );
}

#[test]
fn rules_are_filtered() {
    check(
        false,
        &[
            "rules?type=record",
            "rules?type=both",
            "rules?rule_name[]=Other",
            "rules?rule_group[]=other",
            "rules?file[]=other.yml",
            "rules?match[]=%7Bseverity=%22page%22%7D",
            "rules?match[]=%7B",
            "rules?exclude_alerts=maybe",
        ],
        expect![[r#"
            rules?type=record
              200 {"status":"success","data":{"groups":[]}}
            rules?type=both
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"type\": not supported value \"both\""}
            rules?rule_name[]=Other
              200 {"status":"success","data":{"groups":[]}}
            rules?rule_group[]=other
              200 {"status":"success","data":{"groups":[]}}
            rules?file[]=other.yml
              200 {"status":"success","data":{"groups":[]}}
            rules?match[]=%7Bseverity=%22page%22%7D
              200 {"status":"success","data":{"groups":[]}}
            rules?match[]=%7B
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": 1:2: parse error: unexpected end of input inside braces"}
            rules?exclude_alerts=maybe
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"maybe\": invalid syntax"}
        "#]],
    );
}

#[test]
fn groups_come_in_pages() {
    check(
        false,
        &[
            "rules?group_limit=0",
            "rules?group_limit=x",
            "rules?group_next_token=abc",
            "rules?group_limit=1&group_next_token=abc",
        ],
        expect![[r#"
            rules?group_limit=0
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"group_limit\": group_limit needs to be greater than 0"}
            rules?group_limit=x
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"group_limit\": group_limit needs to be a valid number: strconv.ParseInt: parsing \"x\": invalid syntax"}
            rules?group_next_token=abc
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups"}
            rules?group_limit=1&group_next_token=abc
              400 {"status":"error","errorType":"bad_data","error":"invalid group_next_token 'abc'. were rule groups changed?"}
        "#]],
    );
}

#[test]
fn targets_are_listed() {
    check(
        false,
        &[
            "targets",
            "targets?state=dropped",
            "targets?scrapePool=other",
            "scrape_pools",
            "targets/metadata",
            "alertmanagers",
        ],
        expect![[r#"
            targets
              200 {"status":"success","data":{"activeTargets":[{"discoveredLabels":{},"labels":{"instance":"beside:1","job":"thing"},"scrapePool":"thing","scrapeUrl":"beside:1","globalUrl":"beside:1","lastError":"","lastScrape":"2026-11-21T02:23:00Z","lastScrapeDuration":0.0,"health":"up","scrapeInterval":"15s","scrapeTimeout":"10s"},{"discoveredLabels":{},"labels":{"instance":"thing:1","job":"thing"},"scrapePool":"thing","scrapeUrl":"thing:1","globalUrl":"thing:1","lastError":"","lastScrape":"2026-11-21T02:23:00Z","lastScrapeDuration":0.0,"health":"up","scrapeInterval":"15s","scrapeTimeout":"10s"}],"droppedTargets":[],"droppedTargetCounts":{"thing":0}}}
            targets?state=dropped
              200 {"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{"thing":0}}}
            targets?scrapePool=other
              200 {"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}}
            scrape_pools
              200 {"status":"success","data":{"scrapePools":["thing"]}}
            targets/metadata
              200 {"status":"success","data":[]}
            alertmanagers
              200 {"status":"success","data":{"activeAlertmanagers":[],"droppedAlertmanagers":[]}}
        "#]],
    );
}

#[test]
fn the_server_tells_of_its_settings() {
    check(
        false,
        &[
            "status/flags",
            "status/config",
            "status/tsdb?limit=2",
            "format_query?query=sum(m)by(job)%3E0",
            "format_query?query=sum(",
        ],
        expect![[r#"
            status/flags
              200 {"status":"success","data":{"query.max-concurrency":"20","query.timeout":"2m","storage.tsdb.retention.time":"2h","web.enable-lifecycle":"false","web.enable-remote-write-receiver":"true"}}
            status/config
              200 {"status":"success","data":{"yaml":""}}
            status/tsdb?limit=2
              200 {"status":"success","data":{"headStats":{"numSeries":11,"numLabelPairs":10,"chunkCount":0,"minTime":1795227780000,"maxTime":1795227780000},"seriesCountByMetricName":[{"name":"scrape_duration_seconds","value":2},{"name":"scrape_samples_post_metric_relabeling","value":2}],"labelValueCountByLabelName":[{"name":"__name__","value":6},{"name":"instance","value":2}],"memoryInBytesByLabelName":[{"name":"__name__","value":111},{"name":"instance","value":15}],"seriesCountByLabelValuePair":[{"name":"job=thing","value":11},{"name":"instance=thing:1","value":6}]}}
            format_query?query=sum(m)by(job)%3E0
              200 {"status":"success","data":"sum by (job) (m) \u003e 0"}
            format_query?query=sum(
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"}
        "#]],
    );
}

#[test]
fn the_link_of_an_alert_leads_to_its_rule() {
    run(async {
        let world = World::new().await;
        let check = async |path: &str, expected: &str| {
            let answer = world.client.get(path).await;
            assert_eq!((answer.status.as_u16(), answer.header("location")), (303, expected));
        };
        check("/graph?g0.expr=thing_up+%3D%3D+0&g0.tab=1", "/rules/ThingDown/why").await;
        check("/graph?g0.expr=other&g0.tab=1", "/rules").await;
        check("/graph", "/rules").await;
    });
}

#[test]
fn expressions_are_trees_and_mistakes_are_named() {
    check(
        false,
        &[
            "parse_query?query=-1",
            "parse_query?query=up%7B",
            "parse_query",
            "metadata?limit=x",
            "metadata?limit_per_metric=x",
            "targets/metadata?limit=x",
            "targets/metadata?match_target=%7B",
            "status/walreplay",
        ],
        expect![[r#"
            parse_query?query=-1
              200 {"status":"success","data":{"type":"numberLiteral","val":"-1"}}
            parse_query?query=up%7B
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:4: parse error: unexpected end of input inside braces"}
            parse_query
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:1: parse error: no expression found in input"}
            metadata?limit=x
              400 {"status":"error","errorType":"bad_data","error":"limit must be a number"}
            metadata?limit_per_metric=x
              400 {"status":"error","errorType":"bad_data","error":"limit_per_metric must be a number"}
            targets/metadata?limit=x
              400 {"status":"error","errorType":"bad_data","error":"limit must be a number"}
            targets/metadata?match_target=%7B
              400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"match_target\": 1:2: parse error: unexpected end of input inside braces"}
            status/walreplay
              200 {"status":"success","data":{"min":0,"max":0,"current":0}}
        "#]],
    );
}
