//! Sums and differences of histograms, and the counter resets between them.

use std::collections::BTreeMap;

use paramedic_model::{Histogram, ResetHint};

use super::{bounds, indexed, is_custom, spanned};
use crate::eval::math::CompensatedSum;

/// One has exponential buckets and the other custom ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// What had to be settled to join two histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    /// One says that there was a counter reset, the other that there was none.
    pub resets_conflict: bool,
    /// Their custom bounds differ; those that both have remain.
    pub bounds_differ: bool,
}

type Side = BTreeMap<i32, CompensatedSum>;

/// A histogram that others are added to, each number with the error of its rounding.
#[derive(Clone, Debug)]
pub(crate) struct HistogramSum {
    schema: i32,
    custom_values: Vec<f64>,
    zero_threshold: f64,
    zero_count: CompensatedSum,
    count: CompensatedSum,
    sum: CompensatedSum,
    positive: Side,
    negative: Side,
    reset_hint: ResetHint,
}

fn compensated(value: f64) -> CompensatedSum {
    CompensatedSum { sum: value, error: 0.0 }
}

fn join(sum: &mut CompensatedSum, other: CompensatedSum) {
    sum.add(other.sum);
    sum.add(other.error);
}

impl HistogramSum {
    pub fn of(histogram: &Histogram) -> Self {
        let side = |spans, counts| -> Side {
            indexed(spans, counts).map(|(index, count)| (index, compensated(count))).collect()
        };
        Self {
            schema: histogram.schema,
            custom_values: histogram.custom_values.clone(),
            zero_threshold: histogram.zero_threshold,
            zero_count: compensated(histogram.zero_count),
            count: compensated(histogram.count),
            sum: compensated(histogram.sum),
            positive: side(&histogram.positive_spans, &histogram.positive_buckets),
            negative: side(&histogram.negative_spans, &histogram.negative_buckets),
            reset_hint: histogram.reset_hint,
        }
    }

    pub fn histogram(&self) -> Histogram {
        let side = |side: &Side| {
            let values: BTreeMap<i32, f64> =
                side.iter().map(|(index, count)| (*index, count.value())).collect();
            spanned(&values)
        };
        let (positive_spans, positive_buckets) = side(&self.positive);
        let (negative_spans, negative_buckets) = side(&self.negative);
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.value(),
            count: self.count.value(),
            sum: self.sum.value(),
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.custom_values.clone(),
            reset_hint: self.reset_hint,
        }
    }

    pub fn add(&mut self, other: &Histogram) -> Result<Joined, Incompatible> {
        self.join(Self::of(other))
    }

    pub fn subtract(&mut self, other: &Histogram) -> Result<Joined, Incompatible> {
        let mut negated = Self::of(other);
        negated.each(|number| number.sum = -number.sum);
        self.join(negated)
    }

    fn join(&mut self, mut other: Self) -> Result<Joined, Incompatible> {
        if is_custom(self.schema) != is_custom(other.schema) {
            return Err(Incompatible);
        }
        let resets_conflict = self.join_hint(other.reset_hint);
        let bounds_differ = self.reconcile(&mut other);
        join(&mut self.zero_count, other.zero_count);
        join(&mut self.count, other.count);
        join(&mut self.sum, other.sum);
        for (into, from) in
            [(&mut self.positive, other.positive), (&mut self.negative, other.negative)]
        {
            for (index, count) in from {
                join(into.entry(index).or_default(), count);
            }
        }
        Ok(Joined { resets_conflict, bounds_differ })
    }

    /// Whatever is no counter makes the result none; otherwise what both say is known.
    fn join_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let (hint, conflict) = match (self.reset_hint, other) {
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Reset, NotReset) | (NotReset, Reset) => (Unknown, true),
            (a, b) if a == b => (a, false),
            _ => (Unknown, false),
        };
        self.reset_hint = hint;
        conflict
    }

    /// Gives both one layout. Returns whether custom bounds went for it.
    fn reconcile(&mut self, other: &mut Self) -> bool {
        if is_custom(self.schema) {
            if self.custom_values == other.custom_values {
                return false;
            }
            let common: Vec<f64> = self
                .custom_values
                .iter()
                .copied()
                .filter(|bound| other.custom_values.contains(bound))
                .collect();
            self.map_to(&common);
            other.map_to(&common);
            return true;
        }
        // A threshold that is no number equals none: there is nothing to wait for.
        while self.zero_threshold != other.zero_threshold
            && !(self.zero_threshold.is_nan() && other.zero_threshold.is_nan())
        {
            let wider = self.zero_threshold.max(other.zero_threshold);
            self.widen(wider);
            other.widen(wider);
        }
        let schema = self.schema.min(other.schema);
        self.reduce_to(schema);
        other.reduce_to(schema);
        false
    }

    /// Puts the buckets into wider ones, whose bounds are some of the present ones.
    fn map_to(&mut self, common: &[f64]) {
        let mut mapped = Side::new();
        for (index, count) in &self.positive {
            let (_, upper) = bounds(*index, self.schema, &self.custom_values);
            let into = common.partition_point(|bound| *bound < upper);
            join(mapped.entry(into as i32).or_default(), *count);
        }
        self.positive = mapped;
        self.custom_values = common.to_vec();
    }

    /// Puts the buckets into those of a coarser schema.
    fn reduce_to(&mut self, schema: i32) {
        if schema >= self.schema {
            return;
        }
        let by = self.schema.saturating_sub(schema).min(31);
        for side in [&mut self.positive, &mut self.negative] {
            let mut reduced = Side::new();
            for (index, count) in side.iter() {
                join(reduced.entry((index.saturating_sub(1) >> by) + 1).or_default(), *count);
            }
            *side = reduced;
        }
        self.schema = schema;
    }

    /// Makes the zero bucket reach to `threshold`, or to the end of the populated bucket that this
    /// would divide.
    fn widen(&mut self, threshold: f64) {
        let (schema, mut threshold) = (self.schema, threshold);
        loop {
            let divided = self.positive.iter().chain(&self.negative).find_map(|(index, count)| {
                let (near, far) = bounds(*index, schema, &[]);
                (count.value() != 0.0 && near < threshold && threshold < far).then_some(far)
            });
            match divided {
                Some(far) => threshold = far,
                None => break,
            }
        }
        for side in [&mut self.positive, &mut self.negative] {
            side.retain(|index, count| {
                let inside = bounds(*index, schema, &[]).0 < threshold;
                if inside {
                    join(&mut self.zero_count, *count);
                }
                !inside
            });
        }
        self.zero_threshold = threshold;
    }

    fn each(&mut self, change: impl Fn(&mut CompensatedSum)) {
        change(&mut self.zero_count);
        change(&mut self.count);
        change(&mut self.sum);
        self.positive.values_mut().chain(self.negative.values_mut()).for_each(change);
    }

    pub fn scale(&mut self, factor: f64) {
        self.each(|number| {
            number.sum *= factor;
            number.error *= factor;
        });
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Division by zero leaves no buckets.
    pub fn divide(&mut self, by: f64) {
        self.each(|number| {
            number.sum /= by;
            number.error = if number.error == 0.0 { 0.0 } else { number.error / by };
        });
        if by == 0.0 {
            self.positive.clear();
            self.negative.clear();
        } else if by < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    fn overflows(&self) -> bool {
        let counts = self.positive.values().chain(self.negative.values());
        counts
            .chain([&self.zero_count, &self.count, &self.sum])
            .any(|number| number.sum.is_infinite())
    }
}

/// The histogram with everything in it multiplied.
pub(crate) fn scaled(histogram: &Histogram, factor: f64) -> Histogram {
    let mut sum = HistogramSum::of(histogram);
    sum.scale(factor);
    sum.histogram()
}

/// The histogram with everything in it divided.
pub(crate) fn divided(histogram: &Histogram, by: f64) -> Histogram {
    let mut sum = HistogramSum::of(histogram);
    sum.divide(by);
    sum.histogram()
}

/// The mean of histograms, and whether any custom bounds differed. Where the sum would overflow, it
/// goes on with the running mean. Without histograms an empty one.
pub(crate) fn mean<'h>(
    histograms: impl IntoIterator<Item = &'h Histogram>,
) -> Result<(Histogram, bool), Incompatible> {
    let mut histograms = histograms.into_iter();
    let Some(first) = histograms.next() else { return Ok((Histogram::default(), false)) };
    let mut sum = HistogramSum::of(first);
    let (mut count, mut incremental, mut bounds_differ) = (1.0, false, false);
    for histogram in histograms {
        count += 1.0;
        if !incremental {
            let mut next = sum.clone();
            bounds_differ |= next.add(histogram)?.bounds_differ;
            if !next.overflows() {
                sum = next;
                continue;
            }
            incremental = true;
            sum.divide(count - 1.0);
        }
        sum.scale((count - 1.0) / count);
        bounds_differ |= sum.add(&divided(histogram, count))?.bounds_differ;
    }
    if !incremental {
        sum.divide(count);
    }
    Ok((sum.histogram(), bounds_differ))
}

/// Whether a counter was reset between two of its histograms.
pub(crate) fn is_reset(current: &Histogram, previous: &Histogram) -> bool {
    match current.reset_hint {
        ResetHint::Reset => return true,
        ResetHint::NotReset => return false,
        ResetHint::Unknown | ResetHint::Gauge => {}
    }
    if current.count < previous.count || is_custom(current.schema) != is_custom(previous.schema) {
        return true;
    }
    let (mut now, mut before) = (HistogramSum::of(current), HistogramSum::of(previous));
    if is_custom(current.schema) {
        now.reconcile(&mut before);
    } else {
        if current.schema > previous.schema || current.zero_threshold < previous.zero_threshold {
            return true;
        }
        before.widen(current.zero_threshold);
        if before.zero_threshold != current.zero_threshold
            || current.zero_count < before.zero_count.value()
        {
            return true;
        }
        before.reduce_to(current.schema);
    }
    let lost = |now: &Side, before: &Side| {
        before
            .iter()
            .any(|(index, count)| now.get(index).map_or(0.0, |count| count.value()) < count.value())
    };
    lost(&now.positive, &before.positive) || lost(&now.negative, &before.negative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::{parse_histogram, text};

    fn histogram(notation: &str) -> Histogram {
        parse_histogram(notation).expect("a histogram").0
    }

    #[test]
    fn a_sum_has_the_coarser_layout() {
        let check = |a: &str, b: &str, expected: &str| {
            let mut sum = HistogramSum::of(&histogram(a));
            sum.add(&histogram(b)).expect("compatible");
            assert_eq!(text(&sum.histogram()), expected, "{a} + {b}");
        };
        check(
            "schema:1 count:2 buckets:[0 1 1]",
            "schema:0 count:3 buckets:[1 2]",
            "{count:5, sum:0, (0.5,1]:1, (1,2]:4}",
        );
        check(
            "count:2 z_bucket:1 z_bucket_w:0.1 buckets:[1]",
            "count:2 z_bucket:1 z_bucket_w:0.6 buckets:[0 1]",
            "{count:4, sum:0, [-1,1]:3, (1,2]:1}",
        );
        check(
            "schema:-53 count:3 custom_values:[1 5 10] buckets:[1 1 1]",
            "schema:-53 count:2 custom_values:[5 7 10] buckets:[1 1]",
            "{count:5, sum:0, [-Inf,5]:3, (5,10]:2}",
        );
    }

    #[test]
    fn a_lost_observation_is_a_reset() {
        let check = |before: &str, now: &str, expected: bool| {
            assert_eq!(is_reset(&histogram(now), &histogram(before)), expected, "{before} {now}");
        };
        check("count:2 buckets:[1 1]", "count:3 buckets:[1 2]", false);
        check("count:2 buckets:[1 1]", "count:3 buckets:[3 0]", true);
        check("count:2 buckets:[1 1]", "count:1 buckets:[1]", true);
        check("count:2 buckets:[1 1]", "count:3 buckets:[3] counter_reset_hint:not_reset", false);
        check("schema:1 count:2 buckets:[0 1 1]", "schema:0 count:2 buckets:[0 2]", false);
    }

    #[test]
    fn nonsense_is_added_without_panic() {
        use paramedic_model::BucketSpan;

        let far = BucketSpan { offset: i32::MAX, length: u32::MAX };
        let near = BucketSpan { offset: i32::MIN, length: 3 };
        let nonsense = |schema, zero_threshold| Histogram {
            schema,
            zero_threshold,
            count: f64::NAN,
            positive_spans: vec![far, near],
            positive_buckets: vec![1.0, f64::INFINITY, -1.0],
            negative_spans: vec![near, far, far],
            negative_buckets: vec![1.0; 9],
            ..Histogram::default()
        };
        let thresholds = [f64::NAN, -1.0, 0.0, f64::INFINITY];
        for schema in [i32::MIN, -53, -4, 8, i32::MAX] {
            for (a, b) in thresholds.into_iter().flat_map(|a| thresholds.map(|b| (a, b))) {
                let mut sum = HistogramSum::of(&nonsense(schema, a));
                let other = nonsense(0, b);
                is_reset(&other, &nonsense(schema, a));
                if sum.add(&other).is_ok() {
                    text(&sum.histogram());
                }
            }
        }
    }

    #[test]
    fn a_mean_survives_the_overflow_of_its_sum() {
        let huge = histogram("count:1.7e308 sum:1 buckets:[1.7e308]");
        let (mean, _) = mean([&huge, &huge]).expect("compatible");
        assert!((mean.count / 1.7e308 - 1.0).abs() < 1e-9);
    }
}
