//! Native histograms: their buckets, arithmetic over different layouts, and what they say.
//!
//! ```text
//!   Histogram (sparse spans) --> buckets by index --> sum, difference, reset --> Histogram
//!                            \-> buckets by bounds --> quantile, fraction, variance, trim
//! ```
//!
//! Two histograms rarely have one layout: resolutions are reduced to the coarser one, zero buckets
//! widened to the wider one, custom bounds reduced to those that both have. What this module yields
//! has no empty buckets.
//!
//! Not here: how elements of vectors find each other, and what is said about them (`eval`).

mod arithmetic;
mod measure;
mod notation;
mod trim;

use std::collections::BTreeMap;

use paramedic_model::{BucketSpan, Histogram};

use crate::print::format_shortest;

pub(crate) use arithmetic::{HistogramSum, Incompatible, Joined, divided, is_reset, mean, scaled};
pub(crate) use measure::{fraction, quantile, variance};
pub(crate) use notation::parse_histogram;
pub(crate) use trim::trim;

/// The observations between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// How many they are.
    pub count: f64,
}

/// Whether the bounds are the histogram's own.
pub(crate) fn is_custom(schema: i32) -> bool {
    schema == Histogram::CUSTOM_BUCKETS
}

/// The counts of one side with the indexes that the spans give them.
fn indexed(spans: &[BucketSpan], counts: &[f64]) -> impl Iterator<Item = (i32, f64)> {
    let mut next = 0_i32;
    let indexes = spans.iter().flat_map(move |span| {
        let first = next.saturating_add(span.offset);
        next = first.saturating_add_unsigned(span.length);
        first..next
    });
    indexes.zip(counts.iter().copied())
}

/// The spans and counts of buckets in order of their indexes; empty buckets are left out.
fn spanned(buckets: &BTreeMap<i32, f64>) -> (Vec<BucketSpan>, Vec<f64>) {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut counts = Vec::new();
    let mut next = 0;
    for (index, count) in buckets.iter().filter(|(_, count)| **count != 0.0) {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: index.saturating_sub(next), length: 1 }),
        }
        counts.push(*count);
        next = index.saturating_add(1);
    }
    (spans, counts)
}

/// The upper bound of an exponential bucket; its lower bound is that of the one before.
fn exponential_bound(index: i32, schema: i32) -> f64 {
    let exponent = f64::from(index) * (-f64::from(schema)).exp2();
    // The bucket above this one is that of the infinities.
    if exponent == 1024.0 { f64::MAX } else { exponent.exp2() }
}

/// The bounds of a bucket, as distances from zero where it is exponential.
fn bounds(index: i32, schema: i32, custom_values: &[f64]) -> (f64, f64) {
    if !is_custom(schema) {
        return (
            exponential_bound(index.saturating_sub(1), schema),
            exponential_bound(index, schema),
        );
    }
    let bound = |index: i32| match usize::try_from(index) {
        Ok(index) => custom_values.get(index).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    };
    (bound(index.saturating_sub(1)), bound(index))
}

/// The positive buckets, from zero on. Those of custom bounds are all positive.
fn positive_buckets(histogram: &Histogram) -> Vec<Bucket> {
    indexed(&histogram.positive_spans, &histogram.positive_buckets)
        .map(|(index, count)| {
            let (lower, upper) = bounds(index, histogram.schema, &histogram.custom_values);
            Bucket { lower, upper, count }
        })
        .collect()
}

/// The negative buckets, from zero on.
fn negative_buckets(histogram: &Histogram) -> Vec<Bucket> {
    indexed(&histogram.negative_spans, &histogram.negative_buckets)
        .map(|(index, count)| {
            let (near, far) = bounds(index, histogram.schema, &[]);
            Bucket { lower: -far, upper: -near, count }
        })
        .collect()
}

/// All buckets in ascending order, the zero bucket among them where it is not empty. None reaches
/// into the zero bucket.
pub fn all_buckets(histogram: &Histogram) -> Vec<Bucket> {
    let threshold = histogram.zero_threshold;
    let mut buckets = negative_buckets(histogram);
    buckets.reverse();
    for bucket in &mut buckets {
        if bucket.upper < 0.0 && bucket.upper > -threshold {
            bucket.upper = -threshold;
        }
    }
    if histogram.zero_count > 0.0 {
        buckets.push(Bucket { lower: -threshold, upper: threshold, count: histogram.zero_count });
    }
    for mut bucket in positive_buckets(histogram) {
        if bucket.lower > 0.0 && bucket.lower < threshold {
            bucket.lower = threshold;
        }
        buckets.push(bucket);
    }
    buckets
}

/// Whether two histograms are the same to the last bit, whatever is known of counter resets.
pub(crate) fn same(a: &Histogram, b: &Histogram) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let side = |spans: &[BucketSpan], counts: &[f64]| {
        let buckets = indexed(spans, counts).filter(|(_, count)| *count != 0.0);
        buckets.map(|(index, count)| (index, count.to_bits())).collect::<Vec<_>>()
    };
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && bits(&[a.zero_count, a.count, a.sum]) == bits(&[b.zero_count, b.count, b.sum])
        && bits(&a.custom_values) == bits(&b.custom_values)
        && side(&a.positive_spans, &a.positive_buckets)
            == side(&b.positive_spans, &b.positive_buckets)
        && side(&a.negative_spans, &a.negative_buckets)
            == side(&b.negative_spans, &b.negative_buckets)
}

/// A histogram as Prometheus prints it: `{count:3, sum:4, (1,2]:3}`.
pub(crate) fn text(histogram: &Histogram) -> String {
    let number = |value: f64| match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => format_shortest(value),
    };
    let mut parts = vec![
        format!("count:{}", number(histogram.count)),
        format!("sum:{}", number(histogram.sum)),
    ];
    let mut part = |bucket: &Bucket, open: char, close: char| {
        if bucket.count != 0.0 {
            let Bucket { lower, upper, count } = *bucket;
            let (lower, upper) = (number(lower), number(upper));
            parts.push(format!("{open}{lower},{upper}{close}:{}", number(count)));
        }
    };
    negative_buckets(histogram).iter().rev().for_each(|bucket| part(bucket, '[', ')'));
    let threshold = histogram.zero_threshold;
    let zero = Bucket { lower: -threshold, upper: threshold, count: histogram.zero_count };
    part(&zero, '[', ']');
    for bucket in positive_buckets(histogram) {
        // Of custom buckets the first has all that is below its bound.
        part(&bucket, if bucket.lower == f64::NEG_INFINITY { '[' } else { '(' }, ']');
    }
    format!("{{{}}}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_grow_by_the_schema() {
        assert_eq!(bounds(1, 0, &[]), (1.0, 2.0));
        assert_eq!(bounds(0, 0, &[]), (0.5, 1.0));
        assert_eq!(bounds(2, 1, &[]).1, 2.0);
        assert_eq!(bounds(1, -2, &[]), (1.0, 16.0));
        assert_eq!(bounds(1024, 0, &[]).1, f64::MAX);
        let custom = Histogram::CUSTOM_BUCKETS;
        assert_eq!(bounds(0, custom, &[5.0]), (f64::NEG_INFINITY, 5.0));
        assert_eq!(bounds(1, custom, &[5.0]), (5.0, f64::INFINITY));
    }

    #[test]
    fn spans_say_where_buckets_are() {
        let spans = [BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 3, length: 1 }];
        let buckets: BTreeMap<i32, f64> = indexed(&spans, &[1.0, 2.0, 3.0]).collect();
        assert_eq!(
            buckets.iter().map(|(i, c)| (*i, *c)).collect::<Vec<_>>(),
            [(-1, 1.0), (0, 2.0), (4, 3.0)]
        );
        assert_eq!(spanned(&buckets), (spans.to_vec(), vec![1.0, 2.0, 3.0]));
    }

    #[test]
    fn a_histogram_prints_as_prometheus_prints_it() {
        let histogram =
            parse_histogram("schema:0 count:4 sum:3 z_bucket:1 z_bucket_w:0.5 buckets:[2 0 1]");
        let histogram = histogram.expect("a histogram").0;
        assert_eq!(text(&histogram), "{count:4, sum:3, [-0.5,0.5]:1, (0.5,1]:2, (2,4]:1}");
    }
}
