//! What a histogram says about its observations.

use paramedic_model::Histogram;

use super::{Bucket, all_buckets, is_custom};
use crate::eval::math::CompensatedSum;

/// A quantile, and how observations that are no number (in no bucket, but counted) touch it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantile {
    pub value: f64,
    /// It lies among them, and is no number itself.
    pub is_lost: bool,
    /// It is higher than without them.
    pub is_skewed: bool,
}

/// Where only one side has buckets, the zero bucket is taken to be on that side too.
fn one_sided(histogram: &Histogram, mut bucket: Bucket) -> Bucket {
    match (histogram.negative_buckets.is_empty(), histogram.positive_buckets.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
    bucket
}

/// The quantile, interpolated within its bucket: exponentially, but linearly within the zero bucket
/// and custom ones.
pub(crate) fn quantile(q: f64, histogram: &Histogram) -> Quantile {
    let plain = |value| Quantile { value, is_lost: false, is_skewed: false };
    if q < 0.0 {
        return plain(f64::NEG_INFINITY);
    }
    if q > 1.0 {
        return plain(f64::INFINITY);
    }
    if histogram.count == 0.0 || q.is_nan() {
        return plain(f64::NAN);
    }
    let custom = is_custom(histogram.schema);
    // What is no number counts as the highest: then only the way up knows the rank.
    let upward = histogram.sum.is_nan() || q < 0.5;
    let mut buckets = all_buckets(histogram);
    let mut rank = if upward { q } else { 1.0 - q } * histogram.count;
    if !upward {
        buckets.reverse();
    }
    let mut rest = buckets.into_iter();
    let mut bucket = Bucket { lower: 0.0, upper: 0.0, count: 0.0 };
    let mut count = 0.0;
    for next in rest.by_ref() {
        bucket = next;
        count += bucket.count;
        if bucket.count != 0.0 && count >= rank {
            break;
        }
    }
    if custom {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return plain(bucket.upper);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return plain(bucket.lower);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        bucket = one_sided(histogram, bucket);
    }
    count = count.min(histogram.count);
    if count < rank {
        if histogram.sum.is_nan() {
            return Quantile { value: f64::NAN, is_lost: true, is_skewed: false };
        }
        return plain(bucket.upper);
    }
    rank = if upward { rank - (count - bucket.count) } else { count - rank };
    let is_skewed = histogram.sum.is_nan()
        && rest.fold(count, |count, bucket| count + bucket.count) < histogram.count;
    let share = rank / bucket.count;
    let value = if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        bucket.lower + (bucket.upper - bucket.lower) * share
    } else {
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * share).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - share)).exp2()
        }
    };
    Quantile { value, is_lost: false, is_skewed }
}

/// The share of observations between two bounds, and whether some are no number, hence in no share.
pub(crate) fn fraction(lower: f64, upper: f64, histogram: &Histogram) -> (f64, bool) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, false);
    }
    if lower >= upper {
        return (0.0, false);
    }
    let buckets = all_buckets(histogram);
    let in_buckets: f64 = buckets.iter().map(|bucket| bucket.count).sum();
    let has_nan = histogram.sum.is_nan() && in_buckets < histogram.count;
    let count = if histogram.sum.is_nan() { in_buckets } else { histogram.count };
    let rank = |bound: f64| rank_of(bound, histogram, &buckets).unwrap_or(count).min(count);
    ((rank(upper) - rank(lower)) / histogram.count, has_nan)
}

/// How many observations are below a bound; `None` where it is above all buckets.
fn rank_of(bound: f64, histogram: &Histogram, buckets: &[Bucket]) -> Option<f64> {
    let mut rank = 0.0;
    for bucket in buckets {
        let is_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        let Bucket { lower, upper, count } =
            if is_zero { one_sided(histogram, *bucket) } else { *bucket };
        if lower >= bound {
            return Some(rank);
        }
        if upper > bound {
            if is_custom(histogram.schema) || is_zero {
                // Of a bucket without an end below nothing is known.
                let within = count * (bound - lower) / (upper - lower);
                return Some(if lower == f64::NEG_INFINITY { count } else { rank + within });
            }
            return Some(rank + count * exponential_share(bound, lower, upper));
        }
        rank += count;
    }
    None
}

/// How far into an exponential bucket a bound lies.
pub(super) fn exponential_share(bound: f64, lower: f64, upper: f64) -> f64 {
    let log = |value: f64| value.abs().log2();
    if lower >= 0.0 {
        (log(bound) - log(lower)) / (log(upper) - log(lower))
    } else {
        1.0 - (log(bound) - log(upper)) / (log(lower) - log(upper))
    }
}

/// The population variance, each observation taken for the middle of its bucket.
pub(crate) fn variance(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut variance = CompensatedSum::default();
    for bucket in all_buckets(histogram).iter().filter(|bucket| bucket.count != 0.0) {
        let middle = if is_custom(histogram.schema) {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
        };
        let delta = middle - mean;
        variance.add(bucket.count * delta * delta);
    }
    (variance.sum + variance.error) / histogram.count
}
