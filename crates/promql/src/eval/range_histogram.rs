//! The functions of a range vector, where there are native histograms in it.

use std::sync::Arc;

use paramedic_model::{Histogram, ResetHint, Sample, TimeMs, is_histogram};

use super::over_time::{Extrapolation, Range, RangeFunction, seconds};
use super::{Evaluator, HistogramSample};
use crate::histogram::{HistogramSum, Incompatible, Joined, divided, is_reset, mean, same, scaled};
use crate::{Severity, Span};

/// What a function makes of the samples of one series.
pub(super) enum Outcome {
    Number(f64),
    Histogram(Arc<Histogram>),
}

/// The samples of one series, histograms among them.
pub(super) struct Mixed<'r> {
    /// All of them, oldest first.
    pub range: Range<'r>,
    /// One for each sample that is a histogram, at least one.
    pub histograms: &'r [HistogramSample],
    /// For what is said about it.
    pub metric: &'r str,
    pub span: Span,
}

/// A sample of a series with histograms.
#[derive(Clone, Copy)]
enum Point<'r> {
    Number(f64),
    Histogram(&'r Histogram),
}

pub(super) const MIXED: &str = "encountered a mix of histograms and floats for";

impl Mixed<'_> {
    fn numbers(&self) -> Vec<Sample> {
        let samples = self.range.samples.iter().copied();
        samples.filter(|sample| !is_histogram(sample.value)).collect()
    }

    fn points(&self) -> Vec<(TimeMs, Point<'_>)> {
        let mut histograms = self.histograms.iter();
        let points = self.range.samples.iter().filter_map(|sample| {
            let point = match is_histogram(sample.value) {
                true => Point::Histogram(&histograms.next()?.histogram),
                false => Point::Number(sample.value),
            };
            Some((sample.at, point))
        });
        points.collect()
    }

    /// How many neighbours satisfy `wanted`, the older one first. A number beside a histogram does.
    fn count_pairs(
        &self,
        numbers: impl Fn(f64, f64) -> bool,
        histograms: impl Fn(&Histogram, &Histogram) -> bool,
    ) -> f64 {
        let points = self.points();
        let wanted = |pair: &&[(TimeMs, Point<'_>)]| match (pair[0].1, pair[1].1) {
            (Point::Number(old), Point::Number(new)) => numbers(old, new),
            (Point::Histogram(old), Point::Histogram(new)) => histograms(old, new),
            _ => true,
        };
        points.windows(2).filter(wanted).count() as f64
    }
}

impl Evaluator<'_> {
    /// The value of a function of samples with histograms among them; `numeric` is what it makes of
    /// numbers alone.
    pub(super) fn of_mixed(
        &mut self,
        name: &str,
        numeric: RangeFunction,
        mixed: &Mixed<'_>,
    ) -> Option<Outcome> {
        let first_or_last = |sample: &Sample, histogram: &HistogramSample| {
            Some(match is_histogram(sample.value) {
                true => Outcome::Histogram(histogram.histogram.clone()),
                false => Outcome::Number(sample.value),
            })
        };
        let samples = mixed.range.samples;
        match name {
            "count_over_time"
            | "present_over_time"
            | "ts_of_first_over_time"
            | "ts_of_last_over_time" => numeric(&mixed.range).map(Outcome::Number),
            "first_over_time" => first_or_last(samples.first()?, mixed.histograms.first()?),
            "last_over_time" => first_or_last(samples.last()?, mixed.histograms.last()?),
            "changes" => Some(Outcome::Number(mixed.count_pairs(
                |old, new| old != new && !(old.is_nan() && new.is_nan()),
                |old, new| !same(old, new),
            ))),
            "resets" => Some(Outcome::Number(
                mixed.count_pairs(|old, new| new < old, |old, new| is_reset(new, old)),
            )),
            "irate" | "idelta" => self.instant_change_of(mixed, numeric, name == "irate"),
            "rate" | "increase" | "delta" => {
                self.no_mix(mixed)?;
                let mut change = self.extrapolated_of(mixed, name != "delta")?;
                if name == "rate" {
                    change = divided(&change, seconds(mixed.range.start, mixed.range.end));
                    change.reset_hint = ResetHint::Gauge;
                }
                Some(Outcome::Histogram(Arc::new(change)))
            }
            "avg_over_time" | "sum_over_time" => {
                self.no_mix(mixed)?;
                let histograms = mixed.histograms.iter().map(|sample| &*sample.histogram);
                let joined = match name {
                    "avg_over_time" => mean(histograms.clone()),
                    _ => sum(histograms.clone()),
                };
                self.warn_of_conflict(histograms, mixed.span);
                let (joined, bounds_differ) = self.compatible(joined, mixed)?;
                self.note_bounds(bounds_differ, "aggregation", mixed.span);
                Some(Outcome::Histogram(Arc::new(joined)))
            }
            _ => self.of_numbers(numeric, mixed),
        }
    }

    /// The other functions look at numbers only, and say so.
    fn of_numbers(&mut self, numeric: RangeFunction, mixed: &Mixed<'_>) -> Option<Outcome> {
        let numbers = mixed.numbers();
        if numbers.is_empty() {
            return None;
        }
        let message = format!(
            "ignored histograms in a range containing both floats and histograms for metric name \
             {:?}",
            mixed.metric
        );
        self.annotate(Severity::Info, mixed.span, message);
        numeric(&Range { samples: &numbers, count: numbers.len(), ..mixed.range })
            .map(Outcome::Number)
    }

    /// `None`, with a warning, where there are numbers too.
    fn no_mix(&mut self, mixed: &Mixed<'_>) -> Option<()> {
        if mixed.histograms.len() == mixed.range.samples.len() {
            return Some(());
        }
        let message = format!("{MIXED} metric name {:?}", mixed.metric);
        self.annotate(Severity::Warning, mixed.span, message);
        None
    }

    fn compatible<T>(&mut self, joined: Result<T, Incompatible>, mixed: &Mixed<'_>) -> Option<T> {
        if joined.is_err() {
            self.warn_of_schemas(mixed.metric, mixed.span);
        }
        joined.ok()
    }

    pub(super) fn warn_of_schemas(&mut self, metric: &str, span: Span) {
        let message = format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for \
             metric name {metric:?}"
        );
        self.annotate(Severity::Warning, span, message);
    }

    pub(super) fn note_bounds(&mut self, differ: bool, operation: &str, span: Span) {
        if differ {
            let message = format!("mismatched custom buckets were reconciled during {operation}");
            self.annotate(Severity::Info, span, message);
        }
    }

    /// Warns where some of the histograms follow a counter reset and others do not.
    pub(super) fn warn_of_conflict<'h>(
        &mut self,
        histograms: impl Iterator<Item = &'h Histogram> + Clone,
        span: Span,
    ) {
        let any = |hint| histograms.clone().any(|histogram| histogram.reset_hint == hint);
        if any(ResetHint::Reset) && any(ResetHint::NotReset) {
            let message = "conflicting counter resets during histogram aggregation".to_owned();
            self.annotate(Severity::Warning, span, message);
        }
    }

    fn warn_of_kind(&mut self, kind: &str, mixed: &Mixed<'_>) {
        let message = format!("this native histogram metric is not a {kind}: {:?}", mixed.metric);
        self.annotate(Severity::Warning, mixed.span, message);
    }

    /// The change over the window, extrapolated to its bounds.
    fn extrapolated_of(&mut self, mixed: &Mixed<'_>, is_counter: bool) -> Option<Histogram> {
        let [first, .., last] = mixed.histograms else { return None };
        let change = self.change(mixed, is_counter)?;
        let factor = Extrapolation {
            first: first.at,
            last: last.at,
            gaps: mixed.histograms.len() - 1,
            start: mixed.range.start,
            end: mixed.range.end,
            from_zero: (is_counter && change.count > 0.0 && first.histogram.count >= 0.0)
                .then(|| first.histogram.count / change.count),
        }
        .factor();
        Some(scaled(&change, factor))
    }

    /// The change from the first histogram to the last one, over counter resets.
    fn change(&mut self, mixed: &Mixed<'_>, is_counter: bool) -> Option<Histogram> {
        let all: Vec<&Histogram> = mixed.histograms.iter().map(|s| &*s.histogram).collect();
        let [first, middle @ .., last] = &all[..] else { return None };
        let is_gauge = |histogram: &&Histogram| histogram.reset_hint == ResetHint::Gauge;
        // Where a reset follows the first one, nobody has to look at its buckets.
        let nothing = Histogram {
            schema: all[1].schema,
            custom_values: all[1].custom_values.clone(),
            ..Histogram::default()
        };
        let mut previous: &Histogram = first;
        if is_counter && is_reset(all[1], first) {
            previous = &nothing;
        }
        let custom = |histogram: &Histogram| histogram.schema == Histogram::CUSTOM_BUCKETS;
        if is_counter && all.iter().any(is_gauge) {
            self.warn_of_kind("counter", mixed);
        }
        let between = if is_counter { middle } else { &[] };
        if between.iter().chain([last]).any(|histogram| custom(histogram) != custom(previous)) {
            self.warn_of_schemas(mixed.metric, mixed.span);
            return None;
        }
        let mut change = HistogramSum::of(last);
        let joined = change.subtract(previous);
        let Joined { bounds_differ, .. } = self.compatible(joined, mixed)?;
        self.note_bounds(bounds_differ, "subtraction", mixed.span);
        if is_counter {
            for current in &all[1..] {
                if is_reset(current, previous) {
                    let joined = change.add(previous);
                    let Joined { bounds_differ, .. } = self.compatible(joined, mixed)?;
                    self.note_bounds(bounds_differ, "addition", mixed.span);
                }
                previous = current;
            }
        } else if !is_gauge(first) || !is_gauge(last) {
            self.warn_of_kind("gauge", mixed);
        }
        let mut change = change.histogram();
        change.reset_hint = ResetHint::Gauge;
        Some(change)
    }

    /// The change between the last two samples, of a counter per second.
    fn instant_change_of(
        &mut self,
        mixed: &Mixed<'_>,
        numeric: RangeFunction,
        is_counter: bool,
    ) -> Option<Outcome> {
        let points = mixed.points();
        let [.., (before_at, before), (at, last)] = points[..] else { return None };
        let (before, last) = match (before, last) {
            (Point::Histogram(before), Point::Histogram(last)) => (before, last),
            (Point::Number(_), Point::Number(_)) => {
                return numeric(&mixed.range).map(Outcome::Number);
            }
            _ => {
                let message = format!("{MIXED} metric name {:?}", mixed.metric);
                self.annotate(Severity::Warning, mixed.span, message);
                return None;
            }
        };
        let gauges = [before, last].iter().filter(|h| h.reset_hint == ResetHint::Gauge).count();
        if is_counter && gauges > 0 {
            self.warn_of_kind("counter", mixed);
        }
        if !is_counter && gauges < 2 {
            self.warn_of_kind("gauge", mixed);
        }
        let mut change = HistogramSum::of(last);
        if !is_counter || !is_reset(last, before) {
            let joined = change.subtract(before);
            let Joined { bounds_differ, .. } = self.compatible(joined, mixed)?;
            self.note_bounds(bounds_differ, "subtraction", mixed.span);
        }
        if is_counter {
            change.divide(seconds(before_at, at));
        }
        let mut change = change.histogram();
        change.reset_hint = ResetHint::Gauge;
        Some(Outcome::Histogram(Arc::new(change)))
    }
}

/// The sum, and whether any custom bounds differed.
pub(super) fn sum<'h>(
    histograms: impl IntoIterator<Item = &'h Histogram>,
) -> Result<(Histogram, bool), Incompatible> {
    let mut histograms = histograms.into_iter();
    let Some(first) = histograms.next() else { return Ok((Histogram::default(), false)) };
    let (mut sum, mut bounds_differ) = (HistogramSum::of(first), false);
    for histogram in histograms {
        bounds_differ |= sum.add(histogram)?.bounds_differ;
    }
    Ok((sum.histogram(), bounds_differ))
}
