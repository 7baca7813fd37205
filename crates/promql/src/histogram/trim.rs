//! The operators `</` and `>/`: the observations below or above a bound.

use paramedic_model::Histogram;

use super::measure::exponential_share;
use super::{Bucket, HistogramSum, is_custom, negative_buckets, positive_buckets};

/// What is left of a bucket: how many observations, and what one of them is taken for.
#[derive(Clone, Copy)]
struct Kept {
    count: f64,
    middle: f64,
}

/// The histogram of the observations below `bound` (`keep_lower`), or of those above it. Its sum is
/// estimated from the middles of the buckets, and kept where nothing was cut off.
pub(crate) fn trim(histogram: &Histogram, bound: f64, keep_lower: bool) -> Histogram {
    let custom = is_custom(histogram.schema);
    let mut trimmed = histogram.clone();
    let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
    let mut populated = [false, false];
    let sides = [
        (positive_buckets(histogram), &mut trimmed.positive_buckets, false),
        (negative_buckets(histogram), &mut trimmed.negative_buckets, true),
    ];
    for (side, (buckets, counts, is_negative)) in sides.into_iter().enumerate() {
        for (bucket, kept_count) in buckets.iter().zip(counts) {
            if bucket.count == 0.0 {
                continue;
            }
            populated[side] = true;
            let kept = keep(*bucket, bound, keep_lower, custom, is_negative);
            changed |= kept.count != bucket.count;
            *kept_count = kept.count;
            count += kept.count;
            sum += kept.middle * kept.count;
        }
    }
    if histogram.zero_count > 0.0 {
        let threshold = histogram.zero_threshold;
        let zero = Bucket {
            lower: if populated == [true, false] { 0.0 } else { -threshold },
            upper: if populated == [false, true] { 0.0 } else { threshold },
            count: histogram.zero_count,
        };
        let kept = keep_zero(zero, bound, keep_lower);
        changed |= kept.count != histogram.zero_count;
        trimmed.zero_count = kept.count;
        count += kept.count;
        sum += kept.middle * kept.count;
    }
    if !changed {
        return histogram.clone();
    }
    (trimmed.count, trimmed.sum) = (count, sum);
    // Through a sum, which leaves empty buckets out.
    HistogramSum::of(&trimmed).histogram()
}

fn keep(bucket: Bucket, bound: f64, keep_lower: bool, custom: bool, is_negative: bool) -> Kept {
    let Bucket { lower, upper, count } = bucket;
    let middle = |lower, upper| middle(lower, upper, custom, is_negative);
    let is_kept = if keep_lower { upper <= bound } else { lower >= bound };
    if is_kept {
        return Kept { count, middle: middle(lower, upper) };
    }
    let is_cut = if keep_lower { lower < bound } else { upper > bound };
    if !is_cut {
        return Kept { count: 0.0, middle: 0.0 };
    }
    if lower == f64::NEG_INFINITY || upper == f64::INFINITY {
        return keep_endless(bucket, bound, keep_lower);
    }
    let share = if custom {
        (bound - lower) / (upper - lower)
    } else {
        exponential_share(bound, lower, upper)
    };
    let below = count * share;
    if keep_lower {
        Kept { count: below, middle: middle(lower, bound) }
    } else {
        Kept { count: count - below, middle: middle(bound, upper) }
    }
}

/// Of a bucket without an end nobody knows where its observations are: it mostly goes or stays as a
/// whole. The first custom bucket counts as beginning at zero where its bound is above.
fn keep_endless(bucket: Bucket, bound: f64, keep_lower: bool) -> Kept {
    let Bucket { lower, upper, count } = bucket;
    let nothing = Kept { count: 0.0, middle: 0.0 };
    if lower == f64::NEG_INFINITY {
        let from_zero = upper > 0.0 && upper != f64::INFINITY;
        return if keep_lower {
            if bound > 0.0 && from_zero {
                Kept { count: count * bound / upper, middle: bound / 2.0 }
            } else if upper <= 0.0 {
                Kept { count, middle: bound }
            } else {
                nothing
            }
        } else if bound >= 0.0 && upper > bound && upper != f64::INFINITY {
            Kept { count: count * (1.0 - bound / upper), middle: f64::midpoint(bound, upper) }
        } else {
            nothing
        };
    }
    if !keep_lower && bound >= lower { Kept { count, middle: bound } } else { nothing }
}

fn keep_zero(zero: Bucket, bound: f64, keep_lower: bool) -> Kept {
    let Bucket { lower, upper, count } = zero;
    let (all, nothing) =
        (Kept { count, middle: f64::midpoint(lower, upper) }, Kept { count: 0.0, middle: 0.0 });
    match (bound <= lower, bound >= upper) {
        (true, _) => {
            if keep_lower {
                nothing
            } else {
                all
            }
        }
        (_, true) => {
            if keep_lower {
                all
            } else {
                nothing
            }
        }
        _ if keep_lower => Kept {
            count: count * (bound - lower) / (upper - lower),
            middle: f64::midpoint(lower, bound),
        },
        _ => Kept {
            count: count * (upper - bound) / (upper - lower),
            middle: f64::midpoint(bound, upper),
        },
    }
}

/// What an observation between two bounds is taken for.
fn middle(lower: f64, upper: f64, custom: bool, is_negative: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        _ if custom => f64::midpoint(lower, upper),
        _ => {
            let mean = (lower * upper).abs().sqrt();
            if is_negative { -mean } else { mean }
        }
    }
}
