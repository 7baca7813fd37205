//! The modifiers `anchored` and `smoothed`.
//!
//! ```text
//!   anchored:  the sample at or before the start of the window stands for its start
//!   smoothed:  the values at both ends are interpolated, also from samples behind the window
//! ```
//!
//! Samples up to the look-back outside of the window are looked at.

use std::sync::Arc;

use paramedic_model::{Histogram, ResetHint, Sample, TimeMs, is_histogram, is_stale};

use super::over_time::{Range, RangeFunction, keeps_name, seconds};
use super::range_histogram::{MIXED, Mixed, Outcome};
use super::{Evaluator, HistogramSample, Item, Result, duration_ms, unwrap_parens};
use crate::ast::RangeExpr;
use crate::histogram::{HistogramSum, Incompatible, is_reset, scaled};
use crate::{Expr, ExprKind, Origins, RangeExtent, RowRef, Selector, Severity, Span};

/// A window, and how its ends are found.
#[derive(Clone, Copy)]
struct Window {
    start: TimeMs,
    end: TimeMs,
    smoothed: bool,
    is_counter: bool,
}

impl Evaluator<'_> {
    /// A function of a range vector with `anchored` or `smoothed`.
    pub(super) fn extended(
        &mut self,
        name: &str,
        function: RangeFunction,
        arg: &Expr,
        range: &RangeExpr,
        at: TimeMs,
    ) -> Result<Vec<Item>> {
        self.check_extent(name, arg)?;
        let smoothed = range.selector.extent == Some(RangeExtent::Smoothed);
        let end = self.moment(at, range.selector.at, range.selector.offset_ms);
        let start = TimeMs(end.0.saturating_sub(duration_ms(range.range)));
        let window = Window { start, end, smoothed, is_counter: name != "delta" };
        let mut items = Vec::new();
        for row in self.rows_of(&range.selector).iter() {
            let samples = self.samples_around(*row, window);
            self.check_held(samples.len(), arg.span)?;
            let (labels, origins) = self.series_of(*row);
            let metric = labels.metric_name().unwrap_or_default();
            let outcome = match name {
                "changes" | "resets" => {
                    self.count_from_anchor(*row, name, function, &samples, window, metric, arg.span)
                }
                _ => self.extended_change(*row, &samples, window, metric, arg.span),
            };
            let Some(outcome) = outcome else { continue };
            if matches!(outcome, Outcome::Number(_)) && matches!(name, "rate" | "increase") {
                self.note_counter(metric, arg);
            }
            let mut item = Item::number(labels.clone(), 0.0, origins);
            let per_second = |value: f64| match name {
                "rate" => value / seconds(start, end),
                _ => value,
            };
            match outcome {
                Outcome::Number(value) => item.value = per_second(value),
                Outcome::Histogram(change) => {
                    let mut sum = HistogramSum::of(&change);
                    if name == "rate" {
                        sum.divide(seconds(start, end));
                    }
                    item.set_histogram(sum.histogram());
                }
            }
            if !keeps_name(name) {
                self.drop_name(&mut item);
            }
            items.push(item);
        }
        Ok(items)
    }

    /// Fails where a function of a range vector does not go with its modifier.
    pub(super) fn check_extent(&self, name: &str, arg: &Expr) -> Result<()> {
        let ExprKind::Range(range) = &unwrap_parens(arg).kind else { return Ok(()) };
        let (word, allowed): (_, &[&str]) = match range.selector.extent {
            None => return Ok(()),
            Some(RangeExtent::Smoothed) => ("smoothed", &["delta", "increase", "rate"]),
            Some(RangeExtent::Anchored) => {
                ("anchored", &["changes", "delta", "increase", "rate", "resets"])
            }
        };
        if allowed.contains(&name) {
            return Ok(());
        }
        let allowed = allowed.join(", ");
        let message = format!("{word} modifier can only be used with: {allowed} - not with {name}");
        Err(self.error(arg.span, message))
    }

    /// The samples in the window and around it, without what is before the last one at its start.
    fn samples_around(&self, row: RowRef, window: Window) -> Vec<Sample> {
        let lookback = duration_ms(self.options.lookback);
        let after = TimeMs(window.start.0.saturating_sub(lookback));
        let beyond = if window.smoothed { lookback } else { 0 };
        let until = TimeMs(window.end.0.saturating_add(beyond));
        let mut samples = Vec::new();
        self.source.range(row, after, until, &mut samples);
        samples.retain(|sample: &Sample| !is_stale(sample.value));
        let anchor = samples.partition_point(|sample| sample.at <= window.start);
        samples.drain(..anchor.saturating_sub(1));
        samples
    }

    /// `changes` and `resets`, counted from the anchor on.
    #[expect(clippy::too_many_arguments, reason = "all of one series and its window")]
    fn count_from_anchor(
        &mut self,
        row: RowRef,
        name: &str,
        function: RangeFunction,
        samples: &[Sample],
        window: Window,
        metric: &str,
        span: Span,
    ) -> Option<Outcome> {
        let Window { start, end, .. } = window;
        samples.last().filter(|last| last.at > start)?;
        let range = Range { samples, count: samples.len(), start, end, at: end, params: &[] };
        let histograms = &self.histograms_of(row, samples)[..];
        if histograms.is_empty() {
            return function(&range).map(Outcome::Number);
        }
        self.of_mixed(name, function, &Mixed { range, histograms, metric, span })
    }

    /// The change between the ends of the window.
    fn extended_change(
        &mut self,
        row: RowRef,
        samples: &[Sample],
        window: Window,
        metric: &str,
        span: Span,
    ) -> Option<Outcome> {
        let histograms = self.histograms_of(row, samples);
        if histograms.is_empty() {
            return change_of_numbers(samples, window).map(Outcome::Number);
        }
        if histograms.len() < samples.len() {
            let message = format!("{MIXED} metric name {metric:?}");
            self.annotate(Severity::Warning, span, message);
            return None;
        }
        let change = self.change_of_histograms(&histograms, window, metric, span)?;
        match change {
            Ok(change) => Some(Outcome::Histogram(Arc::new(change))),
            Err(Incompatible) => {
                self.warn_of_schemas(metric, span);
                None
            }
        }
    }

    fn change_of_histograms(
        &mut self,
        histograms: &[HistogramSample],
        window: Window,
        metric: &str,
        span: Span,
    ) -> Option<std::result::Result<Histogram, Incompatible>> {
        let times: Vec<TimeMs> = histograms.iter().map(|sample| sample.at).collect();
        let (first, last) = ends(&times, window)?;
        let used = &histograms[first..=last];
        let custom = |h: &HistogramSample| h.histogram.schema == Histogram::CUSTOM_BUCKETS;
        if used.iter().any(|sample| custom(sample) != custom(&used[0])) {
            return Some(Err(Incompatible));
        }
        let is_gauge = |hint| hint == ResetHint::Gauge;
        let mut warn = |kind: &str| {
            let message = format!("this native histogram metric is not a {kind}: {metric:?}");
            self.annotate(Severity::Warning, span, message);
        };
        if window.is_counter && used.iter().any(|h| is_gauge(h.histogram.reset_hint)) {
            warn("counter");
        }
        let mut differ = Differences::default();
        let Window { start, end, smoothed, is_counter } = window;
        let change = (|| {
            let left = match smoothed && histograms[first].at < start {
                true => between(&histograms[first..], start, is_counter, &mut differ)?,
                false => (*histograms[first].histogram).clone(),
            };
            let right = match smoothed && last > 0 && histograms[last].at > end {
                true => between(&histograms[last - 1..], end, is_counter, &mut differ)?,
                false => (*histograms[last].histogram).clone(),
            };
            let gauges = is_gauge(left.reset_hint) && is_gauge(right.reset_hint);
            if !is_counter && !gauges {
                warn("gauge");
            }
            let mut change = HistogramSum::of(&right);
            differ.subtraction |= change.subtract(&left)?.bounds_differ;
            if is_counter {
                for lost in resets(histograms, first, last, &left, &right, window) {
                    differ.addition |= change.add(lost)?.bounds_differ;
                }
            }
            let mut change = change.histogram();
            change.reset_hint = ResetHint::Gauge;
            Ok(change)
        })();
        self.note_bounds(differ.subtraction, "subtraction", span);
        self.note_bounds(differ.addition, "addition", span);
        Some(change)
    }

    /// The elements of an instant vector with `smoothed`: interpolated between the samples before
    /// and after the moment.
    pub(super) fn smoothed_vector(
        &mut self,
        span: Span,
        selector: &Selector,
        at: TimeMs,
    ) -> Vec<Item> {
        let at = self.moment(at, selector.at, selector.offset_ms);
        let window = Window { start: at, end: at, smoothed: true, is_counter: false };
        let mut items = Vec::new();
        for row in self.rows_of(selector).iter() {
            let samples = self.samples_around(*row, window);
            let (labels, origins): (_, Origins) = self.series_of(*row);
            let metric = labels.metric_name().unwrap_or_default();
            let Some(before) = samples.first().filter(|sample| sample.at <= at) else { continue };
            let after = samples.get(1).filter(|_| before.at < at);
            let histograms = self.histograms_of(*row, &samples);
            if !histograms.is_empty() && histograms.len() < samples.len() {
                let message = format!("{MIXED} metric name {metric:?}");
                self.annotate(Severity::Warning, span, message);
                continue;
            }
            let mut item = Item::number(labels.clone(), before.value, origins);
            if is_histogram(before.value) {
                let Some(known) = histograms.first() else { continue };
                item.histogram = Some(known.histogram.clone());
                if after.is_some() {
                    let is_counter = known.histogram.reset_hint != ResetHint::Gauge;
                    let mut differ = Differences::default();
                    let Ok(found) = between(&histograms, at, is_counter, &mut differ) else {
                        self.warn_of_schemas(metric, span);
                        continue;
                    };
                    self.note_bounds(differ.subtraction, "subtraction", span);
                    self.note_bounds(differ.addition, "addition", span);
                    item.set_histogram(found);
                }
            } else if let Some(after) = after {
                item.value = interpolate(*before, *after, at, false);
            }
            items.push(item);
        }
        items
    }
}

/// The operations in which custom bounds differed.
#[derive(Default)]
struct Differences {
    subtraction: bool,
    addition: bool,
}

/// The samples that the ends of the window are found from; `None` where nothing is in it.
fn ends(times: &[TimeMs], window: Window) -> Option<(usize, usize)> {
    let newest = times.len().checked_sub(1)?;
    let before = &times[..newest];
    let first = before.partition_point(|at| *at <= window.start).saturating_sub(1);
    let last = match window.smoothed {
        true => before.partition_point(|at| *at < window.end),
        false => newest,
    };
    let beyond = window.smoothed && times[first] > window.end;
    (times[last] > window.start && !beyond).then_some((first, last))
}

fn change_of_numbers(samples: &[Sample], window: Window) -> Option<f64> {
    let times: Vec<TimeMs> = samples.iter().map(|sample| sample.at).collect();
    let (mut first, mut last) = ends(&times, window)?;
    let Window { start, end, smoothed, is_counter } = window;
    let left = match smoothed && samples[first].at < start {
        true => interpolate(samples[first], samples[first + 1], start, is_counter),
        false => samples[first].value,
    };
    let right = match smoothed && last > 0 && samples[last].at > end {
        true => interpolate(samples[last - 1], samples[last], end, is_counter),
        false => samples[last].value,
    };
    let mut change = right - left;
    if is_counter {
        // What is outside of the window the ends account for.
        first += usize::from(samples[first].at <= start);
        let within = samples[last].at < end;
        last += usize::from(within);
        let inner = samples.get(first..last).unwrap_or_default();
        let mut previous = left;
        for value in inner.iter().map(|sample| sample.value).chain([right]) {
            if value < previous {
                change += previous;
            }
            previous = value;
        }
    }
    Some(change)
}

/// The value at `at` on the line between two samples. A counter that was reset begins at zero.
fn interpolate(before: Sample, after: Sample, at: TimeMs, is_counter: bool) -> f64 {
    let reset = is_counter && after.value < before.value;
    let from = if reset { 0.0 } else { before.value };
    from + (after.value - from) * share(before.at, after.at, at)
}

fn share(before: TimeMs, after: TimeMs, at: TimeMs) -> f64 {
    seconds(before, at) / seconds(before, after)
}

/// As [`interpolate`], between the first two of `histograms`.
fn between(
    histograms: &[HistogramSample],
    at: TimeMs,
    is_counter: bool,
    differ: &mut Differences,
) -> std::result::Result<Histogram, Incompatible> {
    let [before, after, ..] = histograms else {
        return Ok(histograms.first().map(|only| (*only.histogram).clone()).unwrap_or_default());
    };
    if at == before.at {
        return Ok((*before.histogram).clone());
    }
    if at == after.at {
        return Ok((*after.histogram).clone());
    }
    let custom = |h: &Histogram| h.schema == Histogram::CUSTOM_BUCKETS;
    if custom(&after.histogram) != custom(&before.histogram) {
        return Err(Incompatible);
    }
    let share = share(before.at, after.at, at);
    if is_counter && is_reset(&after.histogram, &before.histogram) {
        return Ok(scaled(&after.histogram, share));
    }
    let mut sum = HistogramSum::of(&after.histogram);
    differ.subtraction |= sum.subtract(&before.histogram)?.bounds_differ;
    sum.scale(share);
    differ.addition |= sum.add(&before.histogram)?.bounds_differ;
    Ok(sum.histogram())
}

/// The histograms that a counter had reached before it was reset.
fn resets<'h>(
    histograms: &'h [HistogramSample],
    first: usize,
    last: usize,
    left: &'h Histogram,
    right: &Histogram,
    window: Window,
) -> Vec<&'h Histogram> {
    let at = |index: usize| &*histograms[index].histogram;
    let (mut next, mut previous) = (first + 1, left);
    if window.smoothed && histograms[first].at < window.start && is_reset(at(first + 1), at(first))
    {
        // The left end accounts for this one.
        previous = at(first + 1);
        next += 1;
    }
    let mut lost = Vec::new();
    if next > last {
        return lost;
    }
    // The last one is not asked itself: the right end is made of it.
    for current in (next..last).map(at) {
        if is_reset(current, previous) {
            lost.push(previous);
        }
        previous = current;
    }
    if is_reset(right, previous) {
        lost.push(previous);
    }
    lost
}
