//! The functions of a range vector: one number per series, made of the samples in its window.

use paramedic_model::{Labels, Sample, TimeMs, histogram_nan};

use super::math::{linear_regression, mean, quantile, sum, variance};
use super::range_histogram::{Mixed, Outcome};
use super::select::SeriesWindow;
use super::{Evaluator, Item, Result, SAME_LABELSET, unwrap_parens};
use crate::{Expr, ExprKind, Severity, ValueType};

/// What such a function sees of one series.
pub(crate) struct Range<'r> {
    /// Oldest first, at least one. Where [`reads_ends`] says so of the function, these may be the
    /// ends alone of samples that never fall.
    pub samples: &'r [Sample],
    /// How many samples there are in the window.
    pub count: usize,
    /// The window, open on the left.
    pub start: TimeMs,
    pub end: TimeMs,
    /// The moment of evaluation.
    pub at: TimeMs,
    /// The arguments that are numbers.
    pub params: &'r [f64],
}

/// `None` leaves the series out of the result.
pub(crate) type RangeFunction = fn(&Range) -> Option<f64>;

impl Range<'_> {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().map(|sample| sample.value)
    }

    fn first(&self) -> Sample {
        self.samples[0]
    }

    fn last(&self) -> Sample {
        self.samples[self.samples.len() - 1]
    }

    /// How many neighbouring values satisfy `wanted`, the older one first.
    fn count_pairs(&self, wanted: impl Fn(f64, f64) -> bool) -> f64 {
        let pairs = self.samples.windows(2);
        pairs.filter(|pair| wanted(pair[0].value, pair[1].value)).count() as f64
    }

    /// The sample that no other is before; NaN only where there is nothing else.
    fn extreme(&self, before: impl Fn(f64, f64) -> bool) -> Sample {
        let better = |old: Sample, new: Sample| {
            if old.value.is_nan() || before(new.value, old.value) { new } else { old }
        };
        self.samples.iter().copied().reduce(better).unwrap_or(self.first())
    }
}

pub(super) fn is_range_function(name: &str) -> bool {
    range_function(name).is_some()
}

pub(crate) fn range_function(name: &str) -> Option<RangeFunction> {
    Some(match name {
        "avg_over_time" => |range| Some(mean(range.values())),
        "changes" => |range| {
            Some(range.count_pairs(|old, new| old != new && !(old.is_nan() && new.is_nan())))
        },
        "count_over_time" => |range| Some(range.samples.len() as f64),
        "delta" => |range| extrapolated(range, false),
        "deriv" => |range| {
            (range.samples.len() > 1).then(|| linear_regression(range.samples, range.first().at).0)
        },
        "double_exponential_smoothing" => smoothed,
        "first_over_time" => |range| Some(range.first().value),
        "idelta" => |range| instant_change(range, false),
        "increase" => |range| extrapolated(range, true),
        "irate" => |range| instant_change(range, true),
        "last_over_time" => |range| Some(range.last().value),
        "mad_over_time" => |range| {
            if range.values().any(f64::is_nan) {
                return Some(f64::NAN);
            }
            let median = quantile(0.5, range.values().collect());
            Some(quantile(0.5, range.values().map(|value| (value - median).abs()).collect()))
        },
        "max_over_time" => |range| Some(range.extreme(|new, old| new > old).value),
        "min_over_time" => |range| Some(range.extreme(|new, old| new < old).value),
        "predict_linear" => |range| {
            (range.samples.len() > 1).then(|| {
                let (slope, intercept) = linear_regression(range.samples, range.at);
                slope * range.params[0] + intercept
            })
        },
        "present_over_time" => |_| Some(1.0),
        "quantile_over_time" => |range| Some(quantile(range.params[0], range.values().collect())),
        "rate" => |range| {
            let seconds = range.end.0.saturating_sub(range.start.0) as f64 / 1000.0;
            extrapolated(range, true).map(|increase| increase / seconds)
        },
        "resets" => |range| Some(range.count_pairs(|old, new| new < old)),
        "stddev_over_time" => |range| Some(variance(range.values()).sqrt()),
        "stdvar_over_time" => |range| Some(variance(range.values())),
        "sum_over_time" => |range| Some(sum(range.values())),
        "ts_of_first_over_time" => |range| Some(range.first().at.as_secs_f64()),
        "ts_of_last_over_time" => |range| Some(range.last().at.as_secs_f64()),
        "ts_of_max_over_time" => {
            |range| Some(range.extreme(|new, old| new >= old).at.as_secs_f64())
        }
        "ts_of_min_over_time" => {
            |range| Some(range.extreme(|new, old| new <= old).at.as_secs_f64())
        }
        _ => return None,
    })
}

impl Evaluator<'_> {
    pub(super) fn over_time(&mut self, name: &str, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        let is_range = |arg: &&Expr| arg.value_type() == ValueType::Matrix;
        let (Some(function), Some(arg)) = (range_function(name), args.iter().find(is_range)) else {
            return Ok(Vec::new());
        };
        let mut params = Vec::new();
        for param in args.iter().filter(|arg| !is_range(arg)) {
            params.push(self.scalar(param, at)?);
        }
        self.check_params(name, args, &params)?;
        self.report_range(arg, at)?;
        if let ExprKind::Range(range) = &unwrap_parens(arg).kind
            && range.selector.extent.is_some()
        {
            return self.extended(name, function, arg, range, at);
        }
        let keeps_name = keeps_name(name);
        let is_counter = matches!(name, "rate" | "increase");
        let mut items = Vec::new();
        self.each_series(arg, at, &mut |evaluator, window| {
            let SeriesWindow { samples, histograms, start, end, labels, drop_name, origins } =
                window;
            let count = samples.len();
            let range = Range { samples, count, start, end, at, params: &params };
            let metric = labels.metric_name().unwrap_or_default();
            let outcome = if histograms.is_empty() {
                function(&range).map(Outcome::Number)
            } else {
                let span = arg.span;
                evaluator.of_mixed(name, function, &Mixed { range, histograms, metric, span })
            };
            let Some(outcome) = outcome else { return Ok(()) };
            if name == "quantile_over_time" {
                evaluator.check_quantile(params[0], args[0].span);
            }
            if is_counter && !metric.is_empty() && matches!(outcome, Outcome::Number(_)) {
                evaluator.note_counter(metric, arg);
            }
            let (own, origins) = (labels.clone(), origins.clone());
            let (value, histogram) = match outcome {
                Outcome::Number(value) => (value, None),
                Outcome::Histogram(histogram) => (histogram_nan(), Some(histogram)),
            };
            let mut item = Item { labels: own, drop_name, value, histogram, origins };
            if !keeps_name {
                evaluator.drop_name(&mut item);
                evaluator.check_same_series(arg, &item.labels, labels)?;
            }
            items.push(item);
            Ok(())
        })?;
        Ok(items)
    }

    /// Fails where an earlier step of this range had another series under these labels, which differ
    /// from its own only by the name that was dropped.
    fn check_same_series(&mut self, arg: &Expr, labels: &Labels, of: &Labels) -> Result<()> {
        if labels == of {
            return Ok(());
        }
        let key = (std::ptr::from_ref(arg), labels.clone());
        let first = self.nameless.entry(key).or_insert_with(|| of.clone());
        if first == of { Ok(()) } else { Err(self.error(arg.span, SAME_LABELSET)) }
    }

    fn check_params(&self, name: &str, args: &[Expr], params: &[f64]) -> Result<()> {
        if name != "double_exponential_smoothing" {
            return Ok(());
        }
        for (kind, short, param, arg) in
            [("smoothing", "sf", params[0], &args[1]), ("trend", "tf", params[1], &args[2])]
        {
            if param <= 0.0 || param >= 1.0 {
                let message =
                    format!("invalid {kind} factor. Expected: 0 < {short} < 1, got: {param:.6}");
                return Err(self.error(arg.span, message));
            }
        }
        Ok(())
    }

    pub(super) fn note_counter(&mut self, metric: &str, arg: &Expr) {
        if let Some(message) = counter_note(metric) {
            self.annotate(Severity::Info, arg.span, message);
        }
    }
}

/// Whether the ends of samples that never fall, and their count, are all that a function needs.
pub(crate) fn reads_ends(name: &str) -> bool {
    matches!(name, "rate" | "increase")
}

/// Whether an element is a sample of the series itself, and keeps its name.
pub(crate) fn keeps_name(name: &str) -> bool {
    matches!(name, "last_over_time" | "first_over_time")
}

/// What to say about a metric that is taken for a counter, where its name speaks against it.
pub(crate) fn counter_note(metric: &str) -> Option<String> {
    const ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
    (!ENDINGS.iter().any(|ending| metric.ends_with(ending))).then(|| {
        format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
             {metric:?}"
        )
    })
}

/// The change over the window, extrapolated from the samples to the bounds of the window.
fn extrapolated(range: &Range, is_counter: bool) -> Option<f64> {
    let gaps = range.count - 1;
    if gaps == 0 {
        return None;
    }
    let (first, last) = (range.first(), range.last());
    let mut change = last.value - first.value;
    if is_counter {
        for pair in range.samples.windows(2) {
            if pair[1].value < pair[0].value {
                change += pair[0].value;
            }
        }
    }
    let (start, end) = (range.start, range.end);
    let from_zero =
        (is_counter && change > 0.0 && first.value >= 0.0).then(|| first.value / change);
    let extrapolation =
        Extrapolation { first: first.at, last: last.at, gaps, start, end, from_zero };
    Some(change * extrapolation.factor())
}

pub(super) fn seconds(from: TimeMs, to: TimeMs) -> f64 {
    to.0.saturating_sub(from.0) as f64 / 1000.0
}

/// How much more than between its samples a series has changed within the window.
///
/// Where the first or last sample is further from its bound than a sample can be expected (1.1 times
/// the average distance), the series is taken to begin or end there, half a distance on. A counter
/// is not extrapolated to below zero.
pub(super) struct Extrapolation {
    pub first: TimeMs,
    pub last: TimeMs,
    /// One less than there are samples, at least one.
    pub gaps: usize,
    pub start: TimeMs,
    pub end: TimeMs,
    /// How long before the first sample a counter was zero, as a multiple of the time between the
    /// first and the last sample; `None` where it is no counter or did not grow.
    pub from_zero: Option<f64>,
}

impl Extrapolation {
    pub fn factor(&self) -> f64 {
        const EXPECTED: f64 = 1.1;
        let sampled = seconds(self.first, self.last);
        let average = sampled / self.gaps as f64;
        let mut to_start = seconds(self.start, self.first);
        if to_start >= average * EXPECTED {
            to_start = average / 2.0;
        }
        if let Some(from_zero) = self.from_zero {
            to_start = to_start.min(sampled * from_zero);
        }
        let mut to_end = seconds(self.last, self.end);
        if to_end >= average * EXPECTED {
            to_end = average / 2.0;
        }
        (sampled + to_start + to_end) / sampled
    }
}

/// The change between the last two samples, of a counter per second.
fn instant_change(range: &Range, is_counter: bool) -> Option<f64> {
    let [.., before, last] = range.samples else { return None };
    let seconds = last.at.0.saturating_sub(before.at.0) as f64 / 1000.0;
    let reset = is_counter && last.value < before.value;
    let change = if reset { last.value } else { last.value - before.value };
    Some(if is_counter { change / seconds } else { change })
}

/// Exponential smoothing of value and trend.
fn smoothed(range: &Range) -> Option<f64> {
    let [first, second, ..] = range.samples else { return None };
    let (smoothing, trending) = (range.params[0], range.params[1]);
    let (mut before, mut value) = (0.0, first.value);
    let mut trend = second.value - first.value;
    for (index, sample) in range.samples.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trending * (value - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * sample.value + (1.0 - smoothing) * (value + trend);
        (before, value) = (value, next);
    }
    Some(value)
}
