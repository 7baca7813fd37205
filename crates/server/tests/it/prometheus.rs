use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::{Expect, expect};
use paramedic_integration::Address;
use paramedic_model::{BucketSpan, Histogram, Labels, Sample, Secret, TimeMs, stale_nan};
use paramedic_scrape::remote_write::WrittenSeries;
use paramedic_server::{PrometheusOptions, ServerOptions, router};
use paramedic_testkit::VIRTUAL_EPOCH;

use crate::world::{Answer, Client, HOST, TOKEN, World, form_request, request, run};

/// A world in which 5 samples, 15 s apart, of three series of `m` and of one with odd labels end at
/// the virtual epoch, beside what the world's targets yield.
pub async fn world() -> World {
    let world = World::new().await;
    world.pass(1).await;
    let series = |labels: Labels, value: fn(i64) -> f64| {
        let at = |i: i64| TimeMs(VIRTUAL_EPOCH.0 - (4 - i) * 15_000);
        let sample = |i| Sample { at: at(i), value: value(i) };
        let samples = (0..5).map(sample).collect();
        WrittenSeries { labels, samples, histograms: Vec::new() }
    };
    let m = |job: &str, instance: &str| {
        Labels::from([("__name__", "m"), ("job", job), ("instance", instance)])
    };
    let written = vec![
        series(m("a", "1"), |i| i as f64),
        series(m("a", "2"), |i| 10.0 - i as f64 / 4.0),
        series(m("b", "1"), |i| if i == 4 { stale_nan() } else { 7.0 }),
        series(Labels::from([("__name__", "odd"), ("a.b", "<\"ä\\\n>")]), |_| 1e-7),
    ];
    let commit = world.handle.append(written).await.expect("the engine runs");
    assert_eq!(commit.rejected.total(), 0);
    world
}

/// The seconds of the virtual epoch.
fn epoch() -> i64 {
    VIRTUAL_EPOCH.0 / 1000
}

fn show(answer: &Answer) -> String {
    // So that a line tells it from the end of the text.
    let end = if answer.text.is_empty() { "" } else { "\n" };
    format!("{} {}{end}", answer.status.as_u16(), answer.text.trim_end())
        .replace(&epoch().to_string(), "EPOCH")
}

async fn get(world: &World, endpoint: &str, params: &[(&str, &str)]) -> Answer {
    let query: String =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    world.client.get(&format!("/api/v1/{endpoint}?{query}")).await
}

/// Asks all, and shows each request above its answer.
async fn ask(world: &World, endpoint: &str, requests: &[&[(&str, &str)]]) -> String {
    let mut text = String::new();
    for params in requests {
        let shown = params.iter().map(|(name, value)| format!("{name}={value}"));
        let shown = shown.collect::<Vec<_>>().join(" ").replace(&epoch().to_string(), "EPOCH");
        text.push_str(&format!("# {shown}\n{}", show(&get(world, endpoint, params).await)));
    }
    text
}

fn check(endpoint: &str, requests: &[&[(&str, &str)]], expected: Expect) {
    let text = run(async { ask(&world().await, endpoint, requests).await });
    expected.assert_eq(&text);
}

#[test]
fn an_instant_query_has_every_type() {
    let at = &*epoch().to_string();
    let query = |text| [("query", text), ("time", at)];
    check(
        "query",
        &[
            &query("m"),
            &query("sum by (job) (m)"),
            &query("m{job=\"none\"}"),
            &query("m{job=\"b\"}[1m]"),
            &query("m[1m:30s]"),
            &query("1 / 3"),
            &query("1e30"),
            &query("NaN"),
            &query("-Inf"),
            &query("vector(1e30)"),
            &query("vector(-1/0)"),
            &query("\"a < b\""),
            &query("odd"),
            &query("time()"),
        ],
        expect![[r##"
            # query=m time=EPOCH
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","instance":"1","job":"a"},"value":[EPOCH,"4"]},{"metric":{"__name__":"m","instance":"2","job":"a"},"value":[EPOCH,"9"]}]}}
            # query=sum by (job) (m) time=EPOCH
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"a"},"value":[EPOCH,"13"]}]}}
            # query=m{job="none"} time=EPOCH
            200 {"status":"success","data":{"resultType":"vector","result":[]}}
            # query=m{job="b"}[1m] time=EPOCH
            200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","instance":"1","job":"b"},"values":[[1795227675,"7"],[1795227690,"7"],[1795227705,"7"]]}]}}
            # query=m[1m:30s] time=EPOCH
            200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","instance":"1","job":"a"},"values":[[1795227690,"2"],[EPOCH,"4"]]},{"metric":{"__name__":"m","instance":"1","job":"b"},"values":[[1795227690,"7"]]},{"metric":{"__name__":"m","instance":"2","job":"a"},"values":[[1795227690,"9.5"],[EPOCH,"9"]]}]}}
            # query=1 / 3 time=EPOCH
            200 {"status":"success","data":{"resultType":"scalar","result":[EPOCH,"0.3333333333333333"]}}
            # query=1e30 time=EPOCH
            200 {"status":"success","data":{"resultType":"scalar","result":[EPOCH,"1000000000000000000000000000000"]}}
            # query=NaN time=EPOCH
            200 {"status":"success","data":{"resultType":"scalar","result":[EPOCH,"NaN"]}}
            # query=-Inf time=EPOCH
            200 {"status":"success","data":{"resultType":"scalar","result":[EPOCH,"-Inf"]}}
            # query=vector(1e30) time=EPOCH
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[EPOCH,"1e+30"]}]}}
            # query=vector(-1/0) time=EPOCH
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[EPOCH,"-Inf"]}]}}
            # query="a < b" time=EPOCH
            200 {"status":"success","data":{"resultType":"string","result":[EPOCH,"a \u003c b"]}}
            # query=odd time=EPOCH
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"odd","a.b":"<\"ä\\\n>"},"value":[EPOCH,"1e-07"]}]}}
            # query=time() time=EPOCH
            200 {"status":"success","data":{"resultType":"scalar","result":[EPOCH,"EPOCH"]}}
        "##]],
    );
}

#[test]
fn an_instant_query_reads_its_parameters() {
    let at = epoch();
    let half = &*format!("{at}.5");
    let later = &*(at + 299).to_string();
    check(
        "query",
        &[
            &[("query", "m"), ("time", half), ("limit", "1")],
            &[("query", "m"), ("time", later), ("lookback_delta", "1m")],
            &[("query", "m{instance=\"2\"}"), ("time", later), ("timeout", "5s"), ("stats", "all")],
            &[("query", "vector(1)"), ("time", "2026-11-21T03:22:01.5+01:00")],
            &[("query", "vector(1)"), ("time", "-1.5")],
            &[("query", "count(m{job=\"a\"} offset -1m)"), ("time", "0"), ("unknown", "x")],
        ],
        expect![[r##"
            # query=m time=EPOCH.5 limit=1
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","instance":"1","job":"a"},"value":[EPOCH.500,"4"]}]},"warnings":["results truncated due to limit"]}
            # query=m time=1795228019 lookback_delta=1m
            200 {"status":"success","data":{"resultType":"vector","result":[]}}
            # query=m{instance="2"} time=1795228019 timeout=5s stats=all
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","instance":"2","job":"a"},"value":[1795228019,"9"]}]}}
            # query=vector(1) time=2026-11-21T03:22:01.5+01:00
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1795227721.500,"1"]}]}}
            # query=vector(1) time=-1.5
            200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[-1.500,"1"]}]}}
            # query=count(m{job="a"} offset -1m) time=0 unknown=x
            200 {"status":"success","data":{"resultType":"vector","result":[]}}
        "##]],
    );
}

#[test]
fn a_wrong_instant_query_is_told_so() {
    check(
        "query",
        &[
            &[],
            &[("query", "sum by (job")],
            &[("query", "up{")],
            &[("query", "m < b and")],
            &[("query", "1"), ("time", "abc")],
            &[("query", "1"), ("time", "NaN")],
            &[("query", "1"), ("limit", "x")],
            &[("query", "1"), ("limit", "-1")],
            &[("query", "1"), ("timeout", "soon")],
            &[("query", "1"), ("timeout", "-1")],
            &[("query", "1"), ("lookback_delta", "x")],
            &[("query", "m + on () m"), ("time", &epoch().to_string())],
            &[("query", "sum_over_time(vector(1)[1000d:1s])")],
        ],
        expect![[r##"
            # 
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:1: parse error: no expression found in input"}
            # query=sum by (job
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:12: parse error: unclosed left parenthesis"}
            # query=up{
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:4: parse error: unexpected end of input inside braces"}
            # query=m < b and
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:10: parse error: unexpected end of input"}
            # query=1 time=abc
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": invalid time value for 'time': cannot parse \"abc\" to a valid timestamp"}
            # query=1 time=NaN
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": invalid time value for 'time': cannot parse \"NaN\" to a valid timestamp"}
            # query=1 limit=x
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax"}
            # query=1 limit=-1
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"limit\": limit must be non-negative"}
            # query=1 timeout=soon
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"timeout\": cannot parse \"soon\" to a valid duration"}
            # query=1 timeout=-1
            503 {"status":"error","errorType":"timeout","error":"query timed out in query queue"}
            # query=1 lookback_delta=x
            400 {"status":"error","errorType":"bad_data","error":"error parsing lookback delta duration: cannot parse \"x\" to a valid duration"}
            # query=m + on () m time=EPOCH
            422 {"status":"error","errorType":"execution","error":"found duplicate series for the match group {} on the right hand-side of the operation: [{__name__=\"m\", instance=\"1\", job=\"a\"}, {__name__=\"m\", instance=\"2\", job=\"a\"}];many-to-many matching not allowed: matching labels must be unique on one side"}
            # query=sum_over_time(vector(1)[1000d:1s])
            422 {"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}
        "##]],
    );
}

#[test]
fn a_range_query_has_a_matrix() {
    let (start, end) = ((epoch() - 60).to_string(), epoch().to_string());
    let range =
        |query, step| [("query", query), ("start", &*start), ("end", &*end), ("step", step)];
    check(
        "query_range",
        &[
            &range("m", "30"),
            &range("m{job=\"b\"}", "1m"),
            &range("sum(m)", "45s"),
            &range("1 + 1", "60"),
            &range("none", "15"),
            &range("odd", "22.5"),
        ],
        expect![[r##"
            # query=m start=1795227660 end=EPOCH step=30
            200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","instance":"1","job":"a"},"values":[[1795227660,"0"],[1795227690,"2"],[EPOCH,"4"]]},{"metric":{"__name__":"m","instance":"1","job":"b"},"values":[[1795227660,"7"],[1795227690,"7"]]},{"metric":{"__name__":"m","instance":"2","job":"a"},"values":[[1795227660,"10"],[1795227690,"9.5"],[EPOCH,"9"]]}]}}
            # query=m{job="b"} start=1795227660 end=EPOCH step=1m
            200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","instance":"1","job":"b"},"values":[[1795227660,"7"]]}]}}
            # query=sum(m) start=1795227660 end=EPOCH step=45s
            200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1795227660,"17"],[1795227705,"19.25"]]}]}}
            # query=1 + 1 start=1795227660 end=EPOCH step=60
            200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1795227660,"2"],[EPOCH,"2"]]}]}}
            # query=none start=1795227660 end=EPOCH step=15
            200 {"status":"success","data":{"resultType":"matrix","result":[]}}
            # query=odd start=1795227660 end=EPOCH step=22.5
            200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"odd","a.b":"<\"ä\\\n>"},"values":[[1795227660,"1e-07"],[1795227682.500,"1e-07"],[1795227705,"1e-07"]]}]}}
        "##]],
    );
}

#[test]
fn native_histograms_are_shown_with_their_buckets() {
    let text = run(async {
        let world = world().await;
        let at = |seconds: i64| TimeMs(VIRTUAL_EPOCH.0 + seconds * 1000);
        let span = |offset, length| BucketSpan { offset, length };
        let exponential = Histogram {
            count: 10.0,
            sum: 3.5,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![span(0, 2), span(1, 1)],
            positive_buckets: vec![2.0, 0.0, 4.0],
            negative_spans: vec![span(1, 1)],
            negative_buckets: vec![3.0],
            ..Histogram::default()
        };
        let custom = Histogram {
            schema: Histogram::CUSTOM_BUCKETS,
            count: 3.5,
            sum: -1e21,
            positive_spans: vec![span(0, 3)],
            positive_buckets: vec![1.0, 0.5, 2.0],
            custom_values: vec![-1.0, 2.5],
            ..Histogram::default()
        };
        let series = |name: &str, histograms: Vec<(TimeMs, Arc<Histogram>)>, samples| {
            let labels = Labels::from([("__name__", name)]);
            WrittenSeries { labels, samples, histograms }
        };
        let written = vec![
            series(
                "h",
                vec![(at(-30), Arc::new(exponential)), (at(-15), Arc::new(Histogram::default()))],
                vec![Sample { at: at(0), value: 7.0 }],
            ),
            series("custom", vec![(at(-15), Arc::new(custom))], Vec::new()),
        ];
        let commit = world.handle.append(written).await.expect("the engine runs");
        assert_eq!(commit.rejected.total(), 0);
        let (start, end) = ((epoch() - 30).to_string(), (epoch() - 15).to_string());
        let instant = |query, time| [("query", query), ("time", time)];
        let range = [("query", "h"), ("start", &*start), ("end", "1795227720"), ("step", "15")];
        let mut text = ask(
            &world,
            "query",
            &[
                &instant("h", &start),
                &instant("custom", &end),
                &instant("h[1m]", "1795227720"),
                &instant("histogram_count(h)", &end),
            ],
        )
        .await;
        text.push_str(&ask(&world, "query_range", &[&range]).await);
        text
    });
    expect![[r##"
        # query=h time=1795227690
        200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"h"},"histogram":[1795227690,{"count":"10","sum":"3.5","buckets":[[1,"-2","-1","3"],[3,"-0.001","0.001","1"],[0,"0.5","1","2"],[0,"4","8","4"]]}]}]}}
        # query=custom time=1795227705
        200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"custom"},"histogram":[1795227705,{"count":"3.5","sum":"-1e+21","buckets":[[3,"-Inf","-1","1"],[0,"-1","2.5","0.5"],[0,"2.5","+Inf","2"]]}]}]}}
        # query=h[1m] time=EPOCH
        200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"h"},"values":[[EPOCH,"7"]],"histograms":[[1795227690,{"count":"10","sum":"3.5","buckets":[[1,"-2","-1","3"],[3,"-0.001","0.001","1"],[0,"0.5","1","2"],[0,"4","8","4"]]}],[1795227705,{"count":"0","sum":"0"}]]}]}}
        # query=histogram_count(h) time=1795227705
        200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1795227705,"0"]}]}}
        # query=h start=1795227690 end=EPOCH step=15
        200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"h"},"values":[[EPOCH,"7"]],"histograms":[[1795227690,{"count":"10","sum":"3.5","buckets":[[1,"-2","-1","3"],[3,"-0.001","0.001","1"],[0,"0.5","1","2"],[0,"4","8","4"]]}],[1795227705,{"count":"0","sum":"0"}]]}]}}
    "##]].assert_eq(&text);
}

#[test]
fn a_wrong_range_query_is_told_so() {
    let ask = |query, start, end, step| {
        [("query", query), ("start", start), ("end", end), ("step", step)]
    };
    check(
        "query_range",
        &[
            &[("query", "m")],
            &ask("m", "0", "", "1"),
            &ask("m", "abc", "1", "1"),
            &ask("m", "2", "1", "1"),
            &ask("m", "0", "1", "0"),
            &ask("m", "0", "1", "-5"),
            &ask("m", "0", "1", "0.0001"),
            &ask("m", "0", "1", "x"),
            &ask("m", "0", "11000", "1"),
            &ask("m", "0", "11001", "1"),
            &ask("m[5m]", "0", "1", "1"),
            &ask("\"a\"", "0", "1", "1"),
            &ask("m(", "0", "1", "1"),
        ],
        expect![[r##"
            # query=m
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"start\": cannot parse \"\" to a valid timestamp"}
            # query=m start=0 end= step=1
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"end\": cannot parse \"\" to a valid timestamp"}
            # query=m start=abc end=1 step=1
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"start\": cannot parse \"abc\" to a valid timestamp"}
            # query=m start=2 end=1 step=1
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"end\": end timestamp must not be before start time"}
            # query=m start=0 end=1 step=0
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"}
            # query=m start=0 end=1 step=-5
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"}
            # query=m start=0 end=1 step=0.0001
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"}
            # query=m start=0 end=1 step=x
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"step\": cannot parse \"x\" to a valid duration"}
            # query=m start=0 end=11000 step=1
            200 {"status":"success","data":{"resultType":"matrix","result":[]}}
            # query=m start=0 end=11001 step=1
            400 {"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"}
            # query=m[5m] start=0 end=1 step=1
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"}
            # query="a" start=0 end=1 step=1
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": invalid expression type \"string\" for range query, must be Scalar or instant Vector"}
            # query=m( start=0 end=1 step=1
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:3: parse error: unclosed left parenthesis"}
        "##]],
    );
}

#[test]
fn labels_and_series_are_listed() {
    let (before, at) = ((epoch() - 3600).to_string(), epoch().to_string());
    let between = [("start", &*before), ("end", &*at)];
    let [start, end] = between;
    let a = ("match[]", "m{job=\"a\"}");
    check(
        "labels",
        &[&[], &[a], &[a, ("match[]", "odd")], &[start, end, ("limit", "2")], &[("end", &*before)]],
        expect![[r##"
            # 
            200 {"status":"success","data":["__name__","a.b","instance","job","name"]}
            # match[]=m{job="a"}
            200 {"status":"success","data":["__name__","instance","job"]}
            # match[]=m{job="a"} match[]=odd
            200 {"status":"success","data":["__name__","a.b","instance","job"]}
            # start=1795224120 end=EPOCH limit=2
            200 {"status":"success","data":["__name__","a.b"],"warnings":["results truncated due to limit"]}
            # end=1795224120
            200 {"status":"success","data":[]}
        "##]],
    );
    check(
        "label/job/values",
        &[&[], &[a], &[("limit", "1")], &[start, end]],
        expect![[r##"
        # 
        200 {"status":"success","data":["a","b","thing"]}
        # match[]=m{job="a"}
        200 {"status":"success","data":["a"]}
        # limit=1
        200 {"status":"success","data":["a"],"warnings":["results truncated due to limit"]}
        # start=1795224120 end=EPOCH
        200 {"status":"success","data":["a","b","thing"]}
    "##]],
    );
    check(
        "label/__name__/values",
        &[&[start, end], &[a]],
        expect![[r##"
            # start=1795224120 end=EPOCH
            200 {"status":"success","data":["m","odd","scrape_duration_seconds","scrape_samples_post_metric_relabeling","scrape_samples_scraped","scrape_series_added","thing_up","up"]}
            # match[]=m{job="a"}
            200 {"status":"success","data":["m"]}
        "##]],
    );
    check(
        "label/U__a_2e_b/values",
        &[&[]],
        expect![[r##"
        # 
        200 {"status":"success","data":["\u003c\"ä\\\n\u003e"]}
    "##]],
    );
    check(
        "label/none/values",
        &[&[]],
        expect![[r##"
        # 
        200 {"status":"success","data":[]}
    "##]],
    );
    check(
        "series",
        &[
            &[a],
            &[("match[]", "m"), ("match[]", "{__name__=~\"m|odd\", job!=\"a\"}"), ("limit", "3")],
            &[("match[]", "m"), ("end", &*before)],
            &[("match[]", "{instance!=\"\", job=~\"b|thing\"}")],
        ],
        expect![[r##"
            # match[]=m{job="a"}
            200 {"status":"success","data":[{"__name__":"m","instance":"1","job":"a"},{"__name__":"m","instance":"2","job":"a"}]}
            # match[]=m match[]={__name__=~"m|odd", job!="a"} limit=3
            200 {"status":"success","data":[{"__name__":"m","instance":"1","job":"a"},{"__name__":"m","instance":"1","job":"b"},{"__name__":"m","instance":"2","job":"a"}],"warnings":["results truncated due to limit"]}
            # match[]=m end=1795224120
            200 {"status":"success","data":[]}
            # match[]={instance!="", job=~"b|thing"}
            200 {"status":"success","data":[{"__name__":"m","instance":"1","job":"b"},{"__name__":"scrape_duration_seconds","instance":"beside:1","job":"thing"},{"__name__":"scrape_duration_seconds","instance":"thing:1","job":"thing"},{"__name__":"scrape_samples_post_metric_relabeling","instance":"beside:1","job":"thing"},{"__name__":"scrape_samples_post_metric_relabeling","instance":"thing:1","job":"thing"},{"__name__":"scrape_samples_scraped","instance":"beside:1","job":"thing"},{"__name__":"scrape_samples_scraped","instance":"thing:1","job":"thing"},{"__name__":"scrape_series_added","instance":"beside:1","job":"thing"},{"__name__":"scrape_series_added","instance":"thing:1","job":"thing"},{"__name__":"thing_up","instance":"thing:1","job":"thing","name":"t1"},{"__name__":"up","instance":"beside:1","job":"thing"},{"__name__":"up","instance":"thing:1","job":"thing"}]}
        "##]],
    );
    check(
        "series",
        &[
            &[],
            &[("match[]", "{}")],
            &[("match[]", "{job=~\".*\"}")],
            &[("match[]", "m{")],
            &[("match[]", "rate(m[5m])")],
            &[("match[]", "m"), ("start", "abc")],
        ],
        expect![[r##"
            # 
            400 {"status":"error","errorType":"bad_data","error":"no match[] parameter provided"}
            # match[]={}
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": match[] must contain at least one non-empty matcher"}
            # match[]={job=~".*"}
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": match[] must contain at least one non-empty matcher"}
            # match[]=m{
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": 1:3: parse error: unexpected end of input inside braces"}
            # match[]=rate(m[5m])
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": 1:1: parse error: \"rate(m[5m])\" is no selector such as up{job=\"a\"}"}
            # match[]=m start=abc
            400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"start\": invalid time value for 'start': cannot parse \"abc\" to a valid timestamp"}
        "##]],
    );
}

#[test]
fn the_server_tells_of_itself() {
    check(
        "status/buildinfo",
        &[&[]],
        expect![[r##"
        # 
        200 {"status":"success","data":{"version":"3.0.0","revision":"paramedic-0.0.0","branch":"","buildUser":"","buildDate":"","goVersion":"","application":"Paramedic"}}
    "##]],
    );
    check(
        "status/runtimeinfo",
        &[&[]],
        expect![[r##"
            # 
            200 {"status":"success","data":{"startTime":"2026-11-21T02:22:00Z","CWD":"","hostname":"","serverTime":"2026-11-21T02:22:01Z","reloadConfigSuccess":true,"lastConfigTime":"2026-11-21T02:22:00Z","corruptionCount":0,"goroutineCount":0,"GOMAXPROCS":0,"GOMEMLIMIT":0,"GOGC":"","GODEBUG":"","storageRetention":"2h"}}
        "##]],
    );
    check(
        "metadata",
        &[&[]],
        expect![[r##"
        # 
        200 {"status":"success","data":{}}
    "##]],
    );
    check(
        "query_exemplars",
        &[&[("query", "m")], &[("query", "m{")]],
        expect![[r##"
        # query=m
        200 {"status":"success","data":[]}
        # query=m{
        400 {"status":"error","errorType":"bad_data","error":"1:3: parse error: unexpected end of input inside braces"}
    "##]],
    );
    check(
        "nonsense",
        &[&[]],
        expect![[r#"
        # 
        404 404 page not found
    "#]],
    );
}

#[test]
fn a_form_is_read_before_the_address() {
    run(async {
        let world = world().await;
        let host = [("host", HOST)];
        let send = async |path: &str, fields: &[(&str, &str)]| {
            show(&world.client.send(form_request(path, fields, &host)).await)
        };
        let two = r#"200 {"status":"success","data":{"resultType":"scalar","result":[0,"2"]}}"#;
        let address = "/api/v1/query?query=1&time=0";
        assert_eq!(send(address, &[("query", "2")]).await.trim_end(), two);
        let both = [("match[]", "m{instance=\"2\"}")];
        let found = send("/api/v1/series?match[]=odd", &both).await;
        assert_eq!(found.matches("__name__").count(), 2, "{found}");
        // What is no form is not read.
        let json = [("host", HOST), ("content-type", "application/json")];
        let answer = world.client.send(request("POST", address, &json, "query=2")).await;
        assert!(answer.text.contains(r#""1""#), "{}", answer.text);
        // A method that there is not.
        let answer = world.client.send(request("DELETE", address, &host, "")).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET,HEAD,POST"));
    });
}

#[test]
fn a_query_of_ten_megabytes_is_refused() {
    run(async {
        let world = World::new().await;
        let ask = async |query: &str| {
            let form = [("query", query)];
            let answer = world.client.send(form_request("/api/v1/query", &form, &[("host", HOST)]));
            answer.await
        };
        let answer = ask(&"1+".repeat(5 << 20)).await;
        assert_eq!(
            show(&answer),
            "413 {\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"the form is longer than \
             1048576 bytes\"}\n"
        );
        // What is just short enough is read, and refused for its depth.
        let answer = ask(&"(".repeat(200_000)).await;
        assert_eq!(answer.status.as_u16(), 400);
        assert!(
            answer.text.starts_with(r#"{"status":"error","errorType":"bad_data","error":"invalid"#)
        );
    });
}

#[test]
fn a_query_over_time_is_stopped_and_frees_its_place() {
    // In real time, which passes while an evaluation works.
    crate::sockets::run(async {
        let world = World::today().await;
        let prometheus = PrometheusOptions { query_concurrency: 1, ..PrometheusOptions::default() };
        let options = ServerOptions { prometheus, ..ServerOptions::new(Secret::new(TOKEN)) };
        let address = Address::parse(HOST).expect("an address");
        let client =
            Client::of(router(world.handle.clone(), world.clock.clone(), &address, options));
        let slow = "/api/v1/query?query=sum_over_time(vector(1)%5B500d%3A1s%5D)&time=0";
        let answer = client.get(&format!("{slow}&timeout=0.01")).await;
        assert_eq!(
            show(&answer),
            "503 {\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"query timed out in \
             expression evaluation\"}\n"
        );
        // One whose asker hangs up.
        let gone = tokio::time::timeout(Duration::from_millis(10), client.get(slow)).await;
        assert!(gone.is_err());
        // There is one place only, and both have left it.
        let answer = client.get("/api/v1/query?query=1&time=0").await;
        assert_eq!(answer.status, 200);
        // What tells of metrics waits for the place, too.
        for path in ["metadata", "targets/metadata"] {
            let answered = Mutex::new(Vec::new());
            let ask = async |path: &str| {
                let answer = client.get(path).await;
                answered.lock().expect("nobody panicked").push(answer.status.as_u16());
            };
            let (slow, path) = (format!("{slow}&timeout=0.01"), format!("/api/v1/{path}"));
            tokio::join!(ask(&slow), ask(&path));
            assert_eq!(*answered.lock().expect("nobody panicked"), [503, 200], "{path}");
        }
    });
}

#[test]
fn what_tells_of_metrics_has_a_deadline() {
    run(async {
        let world = World::new().await;
        let query_timeout = Duration::ZERO;
        let prometheus = PrometheusOptions { query_timeout, ..PrometheusOptions::default() };
        let options = ServerOptions { prometheus, ..ServerOptions::new(Secret::new(TOKEN)) };
        let address = Address::parse(HOST).expect("an address");
        let client =
            Client::of(router(world.handle.clone(), world.clock.clone(), &address, options));
        for path in ["metadata", "targets/metadata"] {
            let answer = client.get(&format!("/api/v1/{path}")).await;
            assert_eq!(answer.status, 503, "{}", answer.text);
            assert!(answer.text.contains("query timed out in query queue"), "{}", answer.text);
        }
    });
}

#[test]
fn writes_are_off_by_default() {
    run(async {
        let world = World::new().await;
        let address = Address::parse(HOST).expect("an address");
        let options = ServerOptions::new(Secret::new(TOKEN));
        let client =
            Client::of(router(world.handle.clone(), world.clock.clone(), &address, options));
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("host", HOST), ("authorization", &*bearer)];
        let answer = client.send(request("POST", "/api/v1/write", &headers, "")).await;
        assert_eq!(
            show(&answer),
            "404 remote write receiver needs to be enabled with `server: { remote_write: true }` in \
             the configuration\n"
        );
    });
}

#[test]
fn pages_of_other_sites_get_nothing() {
    run(async {
        let world = World::new().await;
        let path = "/api/v1/query?query=1";
        let ask = async |headers: &[(&str, &str)]| {
            world.client.send(request("GET", path, headers, "")).await.status.as_u16()
        };
        assert_eq!(ask(&[("host", HOST)]).await, 200);
        assert_eq!(ask(&[("host", HOST), ("sec-fetch-site", "none")]).await, 200);
        assert_eq!(ask(&[("host", HOST), ("sec-fetch-site", "same-origin")]).await, 200);
        assert_eq!(ask(&[("host", HOST), ("sec-fetch-site", "same-site")]).await, 403);
        assert_eq!(ask(&[("host", HOST), ("sec-fetch-site", "cross-site")]).await, 403);
        assert_eq!(ask(&[("host", HOST), ("origin", "http://127.0.0.1:9190")]).await, 200);
        assert_eq!(ask(&[("host", HOST), ("origin", "http://127.0.0.1:9191")]).await, 403);
        assert_eq!(ask(&[("host", HOST), ("origin", "null")]).await, 403);
        assert_eq!(ask(&[("host", "evil.example")]).await, 421);
        let answer = world.client.send(request("GET", path, &[("host", "evil.example")], "")).await;
        let body = answer.json();
        assert_eq!((&body["status"], &body["errorType"]), (&"error".into(), &"bad_data".into()));
        assert!(answer.headers.get("access-control-allow-origin").is_none());
    });
}
