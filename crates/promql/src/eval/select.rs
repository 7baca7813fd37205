//! Selectors: which rows, and which of their samples.

use std::rc::Rc;
use std::sync::Arc;

use paramedic_model::{
    Histogram, Labels, METRIC_NAME, ResetHint, Sample, TimeMs, is_histogram, is_stale,
};

use super::{Evaluator, Item, Query, Result, duration_ms, unwrap_parens};
use crate::histogram::is_reset;
use crate::{
    At, Expr, ExprKind, Family, FamilyId, HistogramSample, Matcher, NO_VALUE, Origins, RowRef,
    Selector, Value,
};

/// One series of a range vector, and the window that its samples lie in.
pub(super) struct SeriesWindow<'s> {
    pub labels: &'s Labels,
    pub drop_name: bool,
    /// Oldest first, no staleness markers among them, at least one.
    pub samples: &'s [Sample],
    /// One for each sample that is a histogram.
    pub histograms: &'s [HistogramSample],
    /// Not in the window itself.
    pub start: TimeMs,
    pub end: TimeMs,
    pub origins: &'s Origins,
}

/// What is done with each series of a range vector.
type Visit<'v, 'a> = &'v mut dyn FnMut(&mut Evaluator<'a>, SeriesWindow<'_>) -> Result<()>;

/// The moment that a selector or subquery looks at when it is evaluated at `at`.
pub(crate) fn moment(query: Query, at: TimeMs, modifier: Option<At>, offset_ms: i64) -> TimeMs {
    let at = match modifier {
        None => at,
        Some(At::Time(at)) => at,
        Some(At::Start) => query.start,
        Some(At::End) => query.end,
    };
    TimeMs(at.0.saturating_sub(offset_ms))
}

impl<'a> Evaluator<'a> {
    pub(super) fn moment(&self, at: TimeMs, modifier: Option<At>, offset_ms: i64) -> TimeMs {
        moment(self.query, at, modifier, offset_ms)
    }

    pub(super) fn instant_vector(&mut self, selector: &Selector, at: TimeMs) -> Vec<Item> {
        let until = self.moment(at, selector.at, selector.offset_ms);
        self.newest_samples(selector, at)
            .into_iter()
            .map(|(row, sample)| {
                let (labels, origins) = self.series_of(row);
                let mut histogram = self.histogram_at(row, sample);
                if self.counts_only && histogram.is_some() {
                    let after = TimeMs(until.0.saturating_sub(duration_ms(self.options.lookback)));
                    let mut samples = Vec::new();
                    self.source.range(row, after, until, &mut samples);
                    let known = self.histograms_of(row, &samples);
                    histogram = known.last().map(|known| known.histogram.clone());
                }
                Item { labels, drop_name: false, value: sample.value, histogram, origins }
            })
            .collect()
    }

    /// The histogram that a sample stands for.
    fn histogram_at(&self, row: RowRef, sample: Sample) -> Option<Arc<Histogram>> {
        is_histogram(sample.value).then(|| self.source.histogram(row, sample.at)).flatten()
    }

    /// The histograms among the samples of a row.
    pub(super) fn histograms_of(&self, row: RowRef, samples: &[Sample]) -> Vec<HistogramSample> {
        let mut histograms: Vec<HistogramSample> = Vec::new();
        for sample in samples {
            let Some(mut histogram) = self.histogram_at(row, *sample) else { continue };
            if self.counts_only
                && histogram.reset_hint == ResetHint::Unknown
                && let Some(before) = histograms.last()
            {
                let reset = is_reset(&histogram, &before.histogram);
                Arc::make_mut(&mut histogram).reset_hint =
                    if reset { ResetHint::Reset } else { ResetHint::NotReset };
            }
            histograms.push(HistogramSample { at: sample.at, histogram });
        }
        histograms
    }

    /// The sample that stands for each series of the selector.
    pub(super) fn newest_samples(
        &mut self,
        selector: &Selector,
        at: TimeMs,
    ) -> Vec<(RowRef, Sample)> {
        let until = self.moment(at, selector.at, selector.offset_ms);
        let after = TimeMs(until.0.saturating_sub(duration_ms(self.options.lookback)));
        let rows = self.rows_of(selector);
        rows.iter()
            .filter_map(|row| {
                let family = self.source.family(row.family);
                let (index, newest) = (row.row as usize, family.newest_at[row.row as usize]);
                let sample = if newest <= until {
                    // The common case, an evaluation at the present, needs the two flat arrays only.
                    let value = family.newest_value[index];
                    (newest > after).then_some(Sample { at: newest, value })
                } else {
                    self.source.newest_in(*row, after, until)
                };
                Some((*row, sample.filter(|sample| !is_stale(sample.value))?))
            })
            .collect()
    }

    /// Visits each series of a range vector that has a sample in its window.
    pub(super) fn each_series(
        &mut self,
        expr: &Expr,
        at: TimeMs,
        visit: Visit<'_, 'a>,
    ) -> Result<()> {
        let expr = unwrap_parens(expr);
        match &expr.kind {
            ExprKind::Range(range) => {
                let end = self.moment(at, range.selector.at, range.selector.offset_ms);
                let start = TimeMs(end.0.saturating_sub(duration_ms(range.range)));
                let mut samples = Vec::new();
                for row in self.rows_of(&range.selector).iter() {
                    samples.clear();
                    self.source.range(*row, start, end, &mut samples);
                    samples.retain(|sample: &Sample| !is_stale(sample.value));
                    self.check_held(samples.len(), expr.span)?;
                    if samples.is_empty() {
                        continue;
                    }
                    let (labels, origins) = &self.series_of(*row);
                    let samples = &samples[..];
                    let histograms = &self.histograms_of(*row, samples)[..];
                    let drop_name = false;
                    let window = SeriesWindow {
                        labels,
                        drop_name,
                        samples,
                        histograms,
                        start,
                        end,
                        origins,
                    };
                    visit(self, window)?;
                }
                Ok(())
            }
            ExprKind::Subquery(subquery) => {
                let end = self.moment(at, subquery.at, subquery.offset_ms);
                let start = TimeMs(end.0.saturating_sub(duration_ms(subquery.range)));
                for series in self.subquery(subquery, start, end)? {
                    let window = SeriesWindow {
                        labels: &series.labels,
                        drop_name: series.drop_name,
                        samples: &series.samples,
                        histograms: &series.histograms,
                        start,
                        end,
                        origins: &series.origins,
                    };
                    visit(self, window)?;
                }
                Ok(())
            }
            _ => Err(self.error(expr.span, "not a range vector")),
        }
    }

    /// Reports a range vector to the trace, where there is one.
    pub(super) fn report_range(&mut self, expr: &Expr, at: TimeMs) -> Result<()> {
        if self.trace.is_none() || self.subqueries > 0 {
            return Ok(());
        }
        let series = self.matrix(expr, at)?;
        let value: Value = self.finish_series(series)?;
        if let Some(trace) = &mut self.trace {
            trace(expr, &value);
        }
        Ok(())
    }

    pub(super) fn series_of(&mut self, row: RowRef) -> (Labels, Origins) {
        let series = self.series.entry(row);
        series.or_insert_with(|| (self.source.labels(row), row.into())).clone()
    }

    /// The rows that the matchers select, whatever their samples.
    pub(super) fn rows_of(&mut self, selector: &Selector) -> Rc<[RowRef]> {
        let key = std::ptr::from_ref(selector);
        if let Some(rows) = self.rows.get(&key) {
            return rows.clone();
        }
        let mut rows = Vec::new();
        let fixed = selector.matchers.iter().find_map(Matcher::fixed_metric_name);
        match fixed {
            Some(name) => {
                if let Some(family) = self.source.find_family(name) {
                    self.select(family, &selector.matchers, &mut rows);
                }
            }
            None => {
                for family in 0..self.source.family_count() as u32 {
                    self.select(FamilyId(family), &selector.matchers, &mut rows);
                }
            }
        }
        let rows: Rc<[RowRef]> = rows.into();
        self.rows.insert(key, rows.clone());
        rows
    }

    /// Adds the rows of one family that satisfy all matchers.
    pub(super) fn select(&self, id: FamilyId, matchers: &[Matcher], rows: &mut Vec<RowRef>) {
        let family = self.source.family(id);
        let mut filters = Vec::new();
        for matcher in matchers {
            if matcher.name() == METRIC_NAME {
                if !matcher.matches(family.name) {
                    return;
                }
            } else if let Some(column) = family.column(matcher.name()) {
                // A matcher is asked once per value, not once per row.
                let text = |symbol| self.source.text(symbol);
                let wanted: Vec<bool> =
                    column.values.iter().map(|symbol| matcher.matches(text(*symbol))).collect();
                debug_assert_eq!(wanted[NO_VALUE as usize], matcher.matches(""));
                filters.push((column, wanted));
            } else if !matcher.matches("") {
                return;
            }
        }
        for row in 0..family.row_count() {
            let wanted = family.newest_at[row] != Family::NEVER
                && filters.iter().all(|(column, wanted)| wanted[column.codes[row] as usize]);
            if wanted {
                rows.push(RowRef { family: id, row: row as u32 });
            }
        }
    }
}
