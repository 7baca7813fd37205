use expect_test::{Expect, expect};
use paramedic_model::{TimeMs, stale_nan};
use paramedic_testkit::VIRTUAL_EPOCH;
use prost::Message;

use crate::world::{Answer, HOST, TOKEN, World, request_bytes, run};

/// The protocol's messages as a sender writes them: written down here a second time, so that the
/// reader is not compared with itself.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MetricMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    metric_family_name: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// The labels of a series, and its samples: times with values.
type Sent<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// A compressed request with these series, times in milliseconds.
pub fn body_at(series: &[Sent<'_>]) -> Vec<u8> {
    let label =
        |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
    let sample = |(at, value): &(i64, f64)| Sample { value: *value, timestamp: *at };
    let series = series.iter().map(|(labels, samples)| TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
    });
    let request = WriteRequest { timeseries: series.collect(), metadata: Vec::new() };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("it fits")
}

/// As [`body_at`], times in seconds after the virtual epoch.
fn body(series: &[Sent<'_>]) -> Vec<u8> {
    let moved = series.iter().map(|(labels, samples)| {
        let samples = samples.iter().map(|(at, value)| (VIRTUAL_EPOCH.0 + at * 1000, *value));
        (*labels, samples.collect::<Vec<_>>())
    });
    let moved: Vec<_> = moved.collect();
    let series: Vec<_> = moved.iter().map(|(labels, samples)| (*labels, &samples[..])).collect();
    body_at(&series)
}

const SENDER: [(&str, &str); 4] = [
    ("host", HOST),
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

async fn send(world: &World, body: &[u8], headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {TOKEN}");
    let all: Vec<_> = headers.iter().copied().chain([("authorization", &*bearer)]).collect();
    world.client.send(request_bytes("POST", "/api/v1/write", &all, body.to_vec())).await
}

fn show(answer: &Answer) -> String {
    format!("{} {}", answer.status.as_u16(), answer.text).trim_end().to_owned() + "\n"
}

const X: &[(&str, &str)] = &[("__name__", "x"), ("job", "far")];

#[test]
fn what_is_sent_can_be_read_when_it_is_acknowledged() {
    run(async {
        let world = World::new().await;
        let first = body(&[
            (X, &[(-30, 1.0), (-15, 2.0), (0, 3.0)]),
            (&[("__name__", "y")], &[(-15, 7.0), (0, stale_nan())]),
        ]);
        assert_eq!(show(&send(&world, &first, &SENDER).await), "204\n");
        // Sent again, as after an answer that was lost: only the last ones are still known as such.
        expect![[r#"
            400 out of order sample (3 came late); taken: 2
        "#]]
        .assert_eq(&show(&send(&world, &first, &SENDER).await));
        let at = VIRTUAL_EPOCH.0 / 1000;
        let path = format!("/api/v1/query?query=%7B__name__%3D~%22x%7Cy%22%7D%5B1m%5D&time={at}");
        let expected = expect![[
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"x","job":"far"},"values":[[1795227690,"1"],[1795227705,"2"],[1795227720,"3"]]},{"metric":{"__name__":"y"},"values":[[1795227705,"7"]]}]}}"#
        ]];
        expected.assert_eq(&world.client.get(&path).await.text);
    });
}

#[test]
fn what_fits_is_kept_and_the_rest_is_named() {
    let check = |series: &[Sent<'_>], expected: Expect| {
        let text = run(async {
            let world = World::new().await;
            assert_eq!(send(&world, &body(&[(X, &[(0, 1.0)])]), &SENDER).await.status, 204);
            let answer = send(&world, &body(series), &SENDER).await;
            let kept = world.client.get("/api/v1/series?match[]=%7Bjob%3D%22far%22%7D").await.text;
            format!("{}{}\n", show(&answer), kept)
        });
        expected.assert_eq(&text);
    };
    let z: &[(&str, &str)] = &[("__name__", "z"), ("job", "far")];
    check(
        &[(X, &[(-5, 1.0)]), (z, &[(1, 1.0)])],
        expect![[r#"
        400 out of order sample (1 came late); taken: 1
        {"status":"success","data":[{"__name__":"x","job":"far"},{"__name__":"z","job":"far"}]}
    "#]],
    );
    check(
        &[(X, &[(0, 2.0), (1, 2.0)])],
        expect![[r#"
        400 duplicate sample for timestamp (1 came twice with another value); taken: 1
        {"status":"success","data":[{"__name__":"x","job":"far"}]}
    "#]],
    );
    check(
        &[(z, &[(1, 1.0), (601, 1.0), (1_000_000_000_000, 1.0)])],
        expect![[r#"
        400 out of bounds (2 more than 10 minutes ahead); taken: 1
        {"status":"success","data":[{"__name__":"x","job":"far"},{"__name__":"z","job":"far"}]}
    "#]],
    );
    check(
        &[(&[("job", "far")], &[(1, 1.0)]), (z, &[(1, 1.0)])],
        expect![[r#"
        400 invalid series (1 {job="far"} has no label __name__); taken: 1
        {"status":"success","data":[{"__name__":"x","job":"far"},{"__name__":"z","job":"far"}]}
    "#]],
    );
}

#[test]
fn a_body_that_cannot_be_read_is_refused() {
    let check = |body: &[u8], headers: &[(&str, &str)], expected: Expect| {
        let text = run(async { show(&send(&World::new().await, body, headers).await) });
        expected.assert_eq(&text);
    };
    let good = body(&[(X, &[(0, 1.0)])]);
    check(
        b"",
        &SENDER,
        expect![[r#"
        400 snappy: corrupt input (empty)
    "#]],
    );
    check(
        b"up 1\n",
        &SENDER,
        expect![[r#"
        400 snappy: corrupt input (expected literal read of length 29; remaining src: 3; remaining dst: 117)
    "#]],
    );
    check(
        &good[..good.len() - 3],
        &SENDER,
        expect![[r#"
        400 snappy: corrupt input (expected literal read of length 47; remaining src: 44; remaining dst: 47)
    "#]],
    );
    let compress = |plain: &[u8]| snap::raw::Encoder::new().compress_vec(plain).expect("it fits");
    check(
        &compress(b"\x0a\x05\x01"),
        &SENDER,
        expect![[r#"
            400 protobuf: failed to decode Protobuf message: WriteRequest.timeseries: buffer underflow
        "#]],
    );
    // A bomb: it says itself how large it becomes.
    check(
        &compress(&vec![0; (32 << 20) + 1]),
        &SENDER,
        expect![[r#"
        413 the body decompresses to 33554433 bytes, more than the 33554432 that are taken
    "#]],
    );
    check(
        &vec![0; (32 << 20) + 1],
        &SENDER,
        expect![[r#"
        413 the body is longer than 33554432 bytes
    "#]],
    );
    let with = |name: &str, value: &'static str| {
        SENDER.map(|(key, known)| (key, if key == name { value } else { known }))
    };
    check(
        &good,
        &with("content-encoding", "gzip"),
        expect![[r#"
        415 gzip encoding (compression) is not accepted by this server; only snappy is acceptable
    "#]],
    );
    check(
        &good,
        &with("content-type", "text/plain"),
        expect![[r#"
        415 expected application/x-protobuf as the first (media) part, got text/plain content-type
    "#]],
    );
    // As 2.0 it has nothing but fields that are skipped.
    let second = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    check(
        &good,
        &with("content-type", second),
        expect![[r#"
        204
    "#]],
    );
    check(
        &good,
        &with("content-type", "application/x-protobuf;proto=other.Request"),
        expect![[r#"
        415 other.Request protobuf message is not accepted by this server; only accepts prometheus.WriteRequest, io.prometheus.write.v2.Request
    "#]],
    );
    check(
        &good,
        &SENDER[..1],
        expect![[r#"
        204
    "#]],
    );
}

#[test]
fn only_programs_with_the_token_write() {
    run(async {
        let world = World::new().await;
        let good = body(&[(X, &[(0, 1.0)])]);
        let ask = async |headers: &[(&str, &str)]| {
            let all: Vec<_> = SENDER.iter().chain(headers).copied().collect();
            let request = request_bytes("POST", "/api/v1/write", &all, good.clone());
            show(&world.client.send(request).await)
        };
        expect![[r#"
            401 changes need the header `Authorization: Bearer TOKEN`
        "#]]
        .assert_eq(&ask(&[]).await);
        expect![[r#"
            401 that is not the token of this server; it writes a new one into its data_dir whenever it starts
        "#]].assert_eq(&ask(&[("authorization", "Bearer wrong")]).await);
        expect![[r#"
            401 changes need the header `Authorization: Bearer TOKEN`
        "#]]
        .assert_eq(&ask(&[("sec-fetch-site", "same-origin")]).await);
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(ask(&[("authorization", &bearer)]).await, "204\n");
    });
}

#[test]
fn samples_that_are_sent_wake_the_rules_that_read_them() {
    run(async {
        let world = World::new().await;
        world.pass(5).await;
        let down: &[(&str, &str)] =
            &[("__name__", "thing_up"), ("name", "t9"), ("job", "far"), ("instance", "far:1")];
        assert_eq!(send(&world, &body(&[(down, &[(5, 0.0)])]), &SENDER).await.status, 204);
        // The rule's group would else come round on its interval only.
        let pending = world.handle.read(|engine| {
            let rules = engine.groups().iter().flat_map(|group| group.rules());
            let alerts = rules.flat_map(|rule| rule.alerts());
            alerts
                .map(|alert| (alert.labels.value("name").to_owned(), alert.state.active_at()))
                .collect::<Vec<_>>()
        });
        let at = TimeMs(VIRTUAL_EPOCH.0 + 5000);
        assert_eq!(pending.await.expect("the engine runs"), [("t9".to_owned(), Some(at))]);
    });
}

#[test]
fn what_a_sender_says_of_families_is_told() {
    run(async {
        let world = World::new().await;
        world.pass(1).await;
        let said = |name: &str, kind, help: &str| MetricMetadata {
            kind,
            metric_family_name: name.to_owned(),
            help: help.to_owned(),
            unit: String::new(),
        };
        let metadata = vec![said("x", 1, "Counts <x>."), said("h", 3, "")];
        let request = WriteRequest { timeseries: Vec::new(), metadata };
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("fits");
        assert_eq!(show(&send(&world, &body, &SENDER).await), "204\n");
        let mut text = String::new();
        for path in ["metadata", "metadata?metric=h", "metadata?limit=1", "targets/metadata"] {
            let answer = world.client.get(&format!("/api/v1/{path}")).await;
            text.push_str(&format!("{path} {}\n", answer.text));
        }
        expect![[r#"
            metadata {"status":"success","data":{"h":[{"type":"histogram","help":"","unit":""}],"x":[{"type":"counter","help":"Counts \u003cx\u003e.","unit":""}]}}
            metadata?metric=h {"status":"success","data":{"h":[{"type":"histogram","help":"","unit":""}]}}
            metadata?limit=1 {"status":"success","data":{"h":[{"type":"histogram","help":"","unit":""}]}}
            targets/metadata {"status":"success","data":[]}
        "#]]
        .assert_eq(&text);
        // Nobody repeated it for an hour.
        world.pass(3601).await;
        let answer = world.client.get("/api/v1/metadata").await;
        assert_eq!(answer.text, r#"{"status":"success","data":{}}"#);
    });
}

/// A request of 2.0, written down here a second time as well.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata2>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(uint64, tag = "6")]
    zero_count: u64,
    #[prost(int64, tag = "15")]
    timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Metadata2 {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
}

const SENDER_2: [(&str, &str); 4] = [
    ("host", HOST),
    ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "2.0.0"),
];

#[test]
fn a_sender_of_2_0_hears_how_much_was_taken() {
    run(async {
        let world = World::new().await;
        world.pass(1).await;
        let at = |seconds: i64| VIRTUAL_EPOCH.0 + seconds * 1000;
        let symbols = ["", "__name__", "x", "h", "About x."].map(str::to_owned).to_vec();
        let sample = |seconds| Sample { value: 1.0, timestamp: at(seconds) };
        let histogram =
            |seconds| Histogram { count: 1, sum: 1.0, zero_count: 1, timestamp: at(seconds) };
        let series = |name, samples, histograms| TimeSeries2 {
            labels_refs: vec![1, name],
            samples,
            histograms,
            metadata: Some(Metadata2 { kind: if name == 2 { 1 } else { 3 }, help_ref: 4 }),
        };
        let send_2 = async |timeseries| {
            let request = Request { symbols: symbols.clone(), timeseries };
            let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec());
            let answer = send(&world, &body.expect("fits"), &SENDER_2).await;
            let written = |what: &str| {
                let name = format!("x-prometheus-remote-write-{what}-written");
                format!("{what} {}", answer.header(&name))
            };
            let written = ["samples", "histograms", "exemplars"].map(written).join(", ");
            format!("{}{written}\n", show(&answer))
        };
        let mut text = String::new();
        let good = vec![
            series(2, vec![sample(-2), sample(-1)], Vec::new()),
            series(3, Vec::new(), vec![histogram(-1)]),
        ];
        text += &send_2(good).await;
        // Some of it is late, some of it is new.
        let mixed = vec![
            series(2, vec![sample(-30), sample(0)], Vec::new()),
            series(3, Vec::new(), vec![histogram(-30), histogram(0)]),
        ];
        text += &send_2(mixed).await;
        let none =
            vec![TimeSeries2 { labels_refs: vec![1, 99], ..series(2, vec![sample(1)], vec![]) }];
        text += &send_2(none).await;
        // A sender of 1.0 is told nothing of the kind.
        let answer = send(&world, &body(&[(X, &[(0, 1.0)])]), &SENDER).await;
        assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), "");
        expect![[r#"
            204
            samples 2, histograms 1, exemplars 0
            400 out of order sample (2 came late); taken: 2
            samples 1, histograms 1, exemplars 0
            400 invalid series (1 labelRefs 99 outside of symbols table (size 5)); taken: 0
            samples 0, histograms 0, exemplars 0
        "#]]
        .assert_eq(&text);
        let said = world.client.get("/api/v1/metadata").await;
        assert_eq!(
            said.text,
            "{\"status\":\"success\",\"data\":{\
             \"h\":[{\"type\":\"histogram\",\"help\":\"About x.\",\"unit\":\"\"}],\
             \"x\":[{\"type\":\"counter\",\"help\":\"About x.\",\"unit\":\"\"}]}}"
        );
    });
}
