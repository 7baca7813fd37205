//! The body of a remote write request, 1.0 or 2.0: snappy around protobuf, read to series with
//! samples.
//!
//! ```text
//! body --snappy block--> protobuf `prometheus.WriteRequest` --check--> Written (series in, the rest named)
//! ```
//!
//! A series that is not valid takes nobody else's place: it is left out, counted and named, and the
//! others are taken. What is said of metric families comes with it; exemplars are not kept.
//!
//! Not here: HTTP, and where samples go.

mod v2;

use std::collections::BTreeSet;
use std::sync::Arc;

use paramedic_model::{
    BucketSpan, Histogram, Labels, LabelsBuilder, METRIC_NAME, Metadata, MetricType, ResetHint,
    Sample, TimeMs, is_stale, stale_nan,
};
use prost::Message as _;

pub use v2::decode_v2;

/// What one request brings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// The series that can be taken, as they came.
    pub series: Vec<WrittenSeries>,
    /// What is said of metric families, each once.
    pub metadata: Vec<Metadata>,
    /// How many samples cannot be taken whatever the window holds.
    pub invalid: usize,
    /// What is wrong with the first of them.
    pub first_invalid: Option<String>,
}

/// Samples of one series, each kind in the order in which it was sent. The kinds may alternate in
/// time: a series of histograms ends with a number, the staleness marker.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenSeries {
    /// Its label set, with a metric name.
    pub labels: Labels,
    /// Numbers; a staleness marker is the number that says so.
    pub samples: Vec<Sample>,
    /// Native histograms.
    pub histograms: Vec<(TimeMs, Arc<Histogram>)>,
}

/// Why a body cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no snappy block.
    #[error("{0}")]
    Snappy(String),
    /// It would be larger than `limit` bytes when decompressed, by its own account.
    #[error("the body decompresses to {bytes} bytes, more than the {limit} that are taken")]
    TooLarge {
        /// What it says that it decompresses to.
        bytes: usize,
        /// What is taken.
        limit: usize,
    },
    /// What was compressed is no `prometheus.WriteRequest`.
    #[error("protobuf: {0}")]
    Protobuf(String),
}

/// Reads a body that decompresses to at most `bytes_max` bytes.
///
/// # Errors
///
/// A body that is no such request. Series that are not valid are no error: see [`Written::invalid`].
pub fn decode(body: &[u8], bytes_max: usize) -> Result<Written, DecodeError> {
    let plain = plain(body, bytes_max)?;
    let request = proto::WriteRequest::decode(plain.as_slice())
        .map_err(|error| DecodeError::Protobuf(error.to_string()))?;
    let mut written = Written::default();
    for proto::TimeSeries { labels: sent, samples, histograms } in request.timeseries {
        written.take(labels(&sent), samples, histograms);
    }
    written.metadata = request.metadata.into_iter().map(proto::MetricMetadata::model).collect();
    Ok(written)
}

/// The type behind its number in the protocol; unknown where there is no such number.
fn metric_type(number: i32) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}

/// What was compressed.
fn plain(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, DecodeError> {
    let snappy = |error: snap::Error| DecodeError::Snappy(error.to_string());
    let bytes = snap::raw::decompress_len(body).map_err(snappy)?;
    if bytes > bytes_max {
        return Err(DecodeError::TooLarge { bytes, limit: bytes_max });
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(snappy)
}

impl Written {
    fn take(
        &mut self,
        labels: Result<Labels, String>,
        samples: Vec<proto::Sample>,
        sent: Vec<proto::Histogram>,
    ) {
        let labels = match labels {
            Ok(labels) => labels,
            Err(reason) => {
                let count = samples.len() + sent.len();
                return self.refuse(count.max(1), reason);
            }
        };
        let number =
            |sample: proto::Sample| Sample { at: TimeMs(sample.timestamp), value: sample.value };
        let mut samples: Vec<_> = samples.into_iter().map(number).collect();
        let mut histograms = Vec::with_capacity(sent.len());
        for sent in sent {
            let at = TimeMs(sent.timestamp);
            // A histogram whose sum is the staleness marker is nothing but that marker.
            if is_stale(sent.sum) {
                samples.push(Sample { at, value: stale_nan() });
                continue;
            }
            match histogram(sent) {
                Ok(histogram) => histograms.push((at, Arc::new(histogram))),
                Err(reason) => self.refuse(1, format!("{labels}: {reason}")),
            }
        }
        if !samples.is_empty() || !histograms.is_empty() {
            self.series.push(WrittenSeries { labels, samples, histograms });
        }
    }

    fn refuse(&mut self, count: usize, reason: String) {
        self.invalid += count;
        self.first_invalid.get_or_insert(reason);
    }
}

fn labels(sent: &[proto::Label]) -> Result<Labels, String> {
    let (mut builder, mut names) = (LabelsBuilder::default(), BTreeSet::new());
    for proto::Label { name, value } in sent {
        if name.is_empty() {
            return Err(format!("a label without a name has the value {value:?}"));
        }
        if !names.insert(name.as_str()) {
            return Err(format!("the label {name:?} is there twice"));
        }
        builder.set(name, value);
    }
    let labels = builder.build();
    match labels.metric_name() {
        Some(_) => Ok(labels),
        None => Err(format!("{labels} has no label {METRIC_NAME}")),
    }
}

/// Buckets of both signs with absolute counts: integer histograms send differences.
fn histogram(sent: proto::Histogram) -> Result<Histogram, String> {
    let is_float = sent.count_float.is_some();
    let side = |spans: &[proto::BucketSpan], deltas: &[i64], counts: Vec<f64>, side: &str| {
        let buckets = match is_float {
            true => counts,
            false => absolute(deltas),
        };
        let spans: Vec<_> = spans.iter().map(proto::BucketSpan::model).collect();
        check_side(&spans, &buckets).map_err(|reason| format!("{side} side: {reason}"))?;
        Ok::<_, String>((spans, buckets))
    };
    let (positive_spans, positive_buckets) =
        side(&sent.positive_spans, &sent.positive_deltas, sent.positive_counts, "positive")?;
    let (negative_spans, negative_buckets) =
        side(&sent.negative_spans, &sent.negative_deltas, sent.negative_counts, "negative")?;
    let of_int = |count: Option<u64>| count.unwrap_or_default() as f64;
    let (count, zero_count) = match sent.count_float {
        Some(count) => (count, sent.zero_count_float.unwrap_or_default()),
        None => (of_int(sent.count_int), of_int(sent.zero_count_int)),
    };
    if count < 0.0 || zero_count < 0.0 {
        return Err("the count of observations is negative".to_owned());
    }
    match sent.schema {
        Histogram::CUSTOM_BUCKETS => {
            let bounds = &sent.custom_values;
            if bounds.iter().any(|bound| !bound.is_finite())
                || bounds.windows(2).any(|pair| pair[0] >= pair[1])
            {
                return Err("custom buckets need finite bounds in rising order".to_owned());
            }
            if !negative_buckets.is_empty() || zero_count != 0.0 || sent.zero_threshold != 0.0 {
                return Err("custom buckets have no negative side and no zero bucket".to_owned());
            }
            let beyond = |count: usize| count > bounds.len() + 1;
            if beyond(indexes(&positive_spans)) {
                return Err(format!(
                    "the buckets reach beyond the {} bounds that are given",
                    bounds.len()
                ));
            }
        }
        -4..=8 if sent.custom_values.is_empty() => {}
        -4..=8 => return Err("only custom buckets have bounds of their own".to_owned()),
        other => return Err(format!("there are no buckets of schema {other}")),
    }
    if !is_float && !sent.sum.is_nan() {
        let found: f64 = positive_buckets.iter().chain(&negative_buckets).sum();
        if found + zero_count != count {
            return Err(format!(
                "{} observations found in buckets, but the count is {count}: histogram's \
                 observation count should equal the number of observations found in the buckets \
                 (in absence of NaN)",
                found + zero_count
            ));
        }
    }
    Ok(Histogram {
        schema: sent.schema,
        zero_threshold: sent.zero_threshold,
        zero_count,
        count,
        sum: sent.sum,
        positive_spans,
        negative_spans,
        positive_buckets,
        negative_buckets,
        custom_values: sent.custom_values,
        reset_hint: match sent.reset_hint {
            1 => ResetHint::Reset,
            2 => ResetHint::NotReset,
            3 => ResetHint::Gauge,
            _ => ResetHint::Unknown,
        },
    })
}

/// The counts behind differences from bucket to bucket.
fn absolute(deltas: &[i64]) -> Vec<f64> {
    let sum = |sum: &mut i64, delta: &i64| {
        *sum = sum.saturating_add(*delta);
        Some(*sum as f64)
    };
    deltas.iter().scan(0, sum).collect()
}

fn check_side(spans: &[BucketSpan], buckets: &[f64]) -> Result<(), String> {
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed != buckets.len() as u64 {
        return Err(format!(
            "spans need {needed} buckets, have {} buckets: histogram spans specify different number \
             of buckets than provided",
            buckets.len()
        ));
    }
    if let Some(span) = spans.iter().skip(1).find(|span| span.offset < 0) {
        return Err(format!(
            "a span with the offset {}: histogram has a span whose offset is negative",
            span.offset
        ));
    }
    match buckets.iter().find(|count| **count < 0.0) {
        Some(count) => Err(format!(
            "{count} observations: histogram has a bucket whose observation count is negative"
        )),
        None => Ok(()),
    }
}

/// The index after the last bucket, counted from the first possible one.
fn indexes(spans: &[BucketSpan]) -> usize {
    let reach =
        spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum::<i64>();
    usize::try_from(reach).unwrap_or(usize::MAX)
}

impl proto::MetricMetadata {
    fn model(self) -> Metadata {
        let Self { kind, name, help, unit } = self;
        Metadata { name, metric_type: metric_type(kind), help, unit }
    }
}

impl proto::BucketSpan {
    fn model(&self) -> BucketSpan {
        BucketSpan { offset: self.offset, length: self.length }
    }
}

/// The messages of the protocol that are read. Fields that are not listed are skipped; the parts of
/// a `oneof` are written as optional fields, which are the same on the wire.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub metadata: Vec<MetricMetadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct MetricMetadata {
        #[prost(int32, tag = "1")]
        pub kind: i32,
        #[prost(string, tag = "2")]
        pub name: String,
        #[prost(string, tag = "4")]
        pub help: String,
        #[prost(string, tag = "5")]
        pub unit: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub histograms: Vec<Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Label {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Sample {
        #[prost(double, tag = "1")]
        pub value: f64,
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct BucketSpan {
        #[prost(sint32, tag = "1")]
        pub offset: i32,
        #[prost(uint32, tag = "2")]
        pub length: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub count_int: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub count_float: Option<f64>,
        #[prost(double, tag = "3")]
        pub sum: f64,
        #[prost(sint32, tag = "4")]
        pub schema: i32,
        #[prost(double, tag = "5")]
        pub zero_threshold: f64,
        #[prost(uint64, optional, tag = "6")]
        pub zero_count_int: Option<u64>,
        #[prost(double, optional, tag = "7")]
        pub zero_count_float: Option<f64>,
        #[prost(message, repeated, tag = "8")]
        pub negative_spans: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "9")]
        pub negative_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "10")]
        pub negative_counts: Vec<f64>,
        #[prost(message, repeated, tag = "11")]
        pub positive_spans: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "12")]
        pub positive_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "13")]
        pub positive_counts: Vec<f64>,
        #[prost(int32, tag = "14")]
        pub reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub custom_values: Vec<f64>,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn body(series: proto::TimeSeries) -> Vec<u8> {
        let request = proto::WriteRequest { timeseries: vec![series], metadata: Vec::new() };
        snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
    }

    fn named(pairs: &[(&str, &str)]) -> proto::TimeSeries {
        let label = |(name, value): &(&str, &str)| proto::Label {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        proto::TimeSeries {
            labels: pairs.iter().map(label).collect(),
            ..proto::TimeSeries::default()
        }
    }

    fn show(body: &[u8]) -> String {
        let written = match decode(body, 1000) {
            Ok(written) => written,
            Err(error) => return format!("error: {error}\n"),
        };
        let mut text = String::new();
        for series in &written.series {
            text.push_str(&format!("{}\n", series.labels));
            for sample in &series.samples {
                let value =
                    if is_stale(sample.value) { "stale".into() } else { sample.value.to_string() };
                text.push_str(&format!("  {} {value}\n", sample.at.0));
            }
            for (at, histogram) in &series.histograms {
                text.push_str(&format!("  {} {histogram:?}\n", at.0));
            }
        }
        if let Some(reason) = &written.first_invalid {
            text.push_str(&format!("{} invalid: {reason}\n", written.invalid));
        }
        text
    }

    fn check(series: proto::TimeSeries, expected: Expect) {
        expected.assert_eq(&show(&body(series)));
    }

    fn integer() -> proto::Histogram {
        proto::Histogram {
            count_int: Some(7),
            sum: 12.5,
            schema: 1,
            zero_threshold: 0.001,
            zero_count_int: Some(1),
            positive_spans: vec![
                proto::BucketSpan { offset: -1, length: 2 },
                proto::BucketSpan { offset: 3, length: 1 },
            ],
            positive_deltas: vec![1, 1, 1],
            timestamp: 2000,
            ..proto::Histogram::default()
        }
    }

    #[test]
    fn samples_keep_their_times_and_their_bits() {
        let sample = |timestamp, value| proto::Sample { timestamp, value };
        let series = proto::TimeSeries {
            samples: vec![
                sample(1000, 1.5),
                sample(-2000, f64::INFINITY),
                sample(3000, stale_nan()),
            ],
            ..named(&[("job", "a"), ("__name__", "up"), ("empty", "")])
        };
        check(
            series,
            expect![[r#"
                up{job="a"}
                  1000 1.5
                  -2000 inf
                  3000 stale
            "#]],
        );
    }

    #[test]
    fn histograms_of_both_forms_have_absolute_counts() {
        let float = proto::Histogram {
            count_float: Some(2.5),
            sum: 3.0,
            schema: Histogram::CUSTOM_BUCKETS,
            positive_spans: vec![proto::BucketSpan { offset: 0, length: 2 }],
            positive_counts: vec![0.5, 2.0],
            reset_hint: 3,
            timestamp: 3000,
            custom_values: vec![1.0, 2.0],
            ..proto::Histogram::default()
        };
        let stale = proto::Histogram { sum: stale_nan(), timestamp: 4000, ..integer() };
        let series = proto::TimeSeries {
            histograms: vec![integer(), float, stale],
            ..named(&[("__name__", "h")])
        };
        check(
            series,
            expect![[r#"
            h
              4000 stale
              2000 Histogram { schema: 1, zero_threshold: 0.001, zero_count: 1.0, count: 7.0, sum: 12.5, positive_spans: [BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 3, length: 1 }], negative_spans: [], positive_buckets: [1.0, 2.0, 3.0], negative_buckets: [], custom_values: [], reset_hint: Unknown }
              3000 Histogram { schema: -53, zero_threshold: 0.0, zero_count: 0.0, count: 2.5, sum: 3.0, positive_spans: [BucketSpan { offset: 0, length: 2 }], negative_spans: [], positive_buckets: [0.5, 2.0], negative_buckets: [], custom_values: [1.0, 2.0], reset_hint: Gauge }
        "#]],
        );
    }

    #[test]
    fn what_is_not_valid_is_left_out_and_named() {
        let sample = proto::Sample { timestamp: 1, value: 1.0 };
        let with = |pairs: &[(&str, &str)]| proto::TimeSeries {
            samples: vec![sample, sample],
            ..named(pairs)
        };
        check(
            with(&[("job", "a")]),
            expect![[r#"
            2 invalid: {job="a"} has no label __name__
        "#]],
        );
        check(
            with(&[("__name__", "x"), ("a", "1"), ("a", "2")]),
            expect![[r#"
            2 invalid: the label "a" is there twice
        "#]],
        );
        check(
            with(&[("__name__", "x"), ("", "1")]),
            expect![[r#"
            2 invalid: a label without a name has the value "1"
        "#]],
        );
        let histogram = |change: fn(&mut proto::Histogram)| {
            let mut histogram = integer();
            change(&mut histogram);
            let histograms = vec![histogram];
            proto::TimeSeries { histograms, ..named(&[("__name__", "h")]) }
        };
        check(
            histogram(|h| h.schema = 9),
            expect![[r#"
            1 invalid: h: there are no buckets of schema 9
        "#]],
        );
        check(
            histogram(|h| h.count_int = Some(8)),
            expect![[r#"
            1 invalid: h: 7 observations found in buckets, but the count is 8: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)
        "#]],
        );
        check(
            histogram(|h| h.positive_deltas[1] = -5),
            expect![[r#"
            1 invalid: h: positive side: -4 observations: histogram has a bucket whose observation count is negative
        "#]],
        );
        check(
            histogram(|h| h.positive_spans[1].length = u32::MAX),
            expect![[r#"
            1 invalid: h: positive side: spans need 4294967297 buckets, have 3 buckets: histogram spans specify different number of buckets than provided
        "#]],
        );
        check(
            histogram(|h| h.positive_spans[1].offset = -1),
            expect![[r#"
            1 invalid: h: positive side: a span with the offset -1: histogram has a span whose offset is negative
        "#]],
        );
        check(
            histogram(|h| h.custom_values = vec![1.0]),
            expect![[r#"
            1 invalid: h: only custom buckets have bounds of their own
        "#]],
        );
    }

    #[test]
    fn a_body_that_is_no_request_is_an_error() {
        let check = |body: &[u8], expected: Expect| expected.assert_eq(&show(body));
        check(
            b"",
            expect![[r#"
            error: snappy: corrupt input (empty)
        "#]],
        );
        check(
            b"\x05hello",
            expect![[r#"
            error: snappy: corrupt input (expected literal read of length 27; remaining src: 4; remaining dst: 5)
        "#]],
        );
        check(
            &[0xff; 20],
            expect![[r#"
            error: snappy: corrupt input (invalid header)
        "#]],
        );
        let compress = |plain: &[u8]| snap::raw::Encoder::new().compress_vec(plain).unwrap();
        check(
            &compress(b"hello"),
            expect![[r#"
            error: protobuf: failed to decode Protobuf message: unexpected end group tag
        "#]],
        );
        check(
            &compress(&[0; 1001]),
            expect![[r#"
            error: the body decompresses to 1001 bytes, more than the 1000 that are taken
        "#]],
        );
        // One byte of a real request less, and one changed.
        let whole = body(named(&[("__name__", "up"), ("job", "a")]));
        check(
            &whole[..whole.len() - 1],
            expect![[r#"
            error: snappy: corrupt input (expected literal read of length 28; remaining src: 27; remaining dst: 28)
        "#]],
        );
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x40;
            let _ = decode(&broken, 1000);
        }
    }
}
