//! Selectors: the newest samples and the windows of samples that rows have.

use std::sync::Arc;

use paramedic_model::{Sample, TimeMs, is_histogram, is_stale};

use super::rows::{Segment, select};
use super::vector::{Vector, differ_beyond_name};
use super::{Columns, Declined, Result};
use crate::ast::{CallExpr, RangeExpr};
use crate::eval::over_time::{Range, counter_note, keeps_name, range_function, reads_ends};
use crate::eval::{duration_ms, moment, unwrap_parens};
use crate::{Expr, ExprKind, Family, RowRef, Selector, Severity, ValueType};

/// How many rows are read between two looks at whether to stop.
const ROWS_PER_LOOK: usize = 4096;

impl Columns<'_> {
    pub(super) fn instant_vector(&mut self, selector: &Selector, at: TimeMs) -> Result<Vector> {
        Ok(self.newest_where(selector, at, |_| true)?.0)
    }

    /// The newest samples whose values are wanted, and how many there are in all.
    pub(super) fn newest_where(
        &mut self,
        selector: &Selector,
        at: TimeMs,
        wanted: impl Fn(f64) -> bool,
    ) -> Result<(Vector, usize)> {
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        let present = self.each_newest(selector, at, |row, sample| {
            if wanted(sample.value) {
                rows.push(row);
                values.push(sample.value);
            }
        })?;
        Ok((Vector::of_rows(rows, values), present))
    }

    /// Visits the sample that stands for each series of the selector; returns how many there are.
    pub(super) fn each_newest(
        &mut self,
        selector: &Selector,
        at: TimeMs,
        mut visit: impl FnMut(RowRef, Sample),
    ) -> Result<usize> {
        let until = moment(self.query, at, selector.at, selector.offset_ms);
        let after = TimeMs(until.0.saturating_sub(duration_ms(self.options.lookback)));
        let source = self.source;
        let (mut present, mut histograms) = (0, 0);
        for segment in self.rows_of(selector).iter() {
            let family = source.family(segment.family);
            let mut look = |row: u32, newest: TimeMs, value: f64| {
                let row_ref = RowRef { family: segment.family, row };
                let sample = if newest <= until {
                    // The common case, an evaluation at the present: two flat arrays.
                    if newest <= after {
                        return;
                    }
                    Sample { at: newest, value }
                } else {
                    match source.newest_in(row_ref, after, until) {
                        Some(sample) => sample,
                        None => return,
                    }
                };
                if sample.value.is_nan() {
                    if is_stale(sample.value) {
                        return;
                    }
                    histograms += usize::from(is_histogram(sample.value));
                }
                present += 1;
                visit(row_ref, sample);
            };
            match &segment.rows {
                None => {
                    let newest = family.newest_at.iter().zip(family.newest_value);
                    newest.zip(0..).for_each(|((at, value), row)| look(row, *at, *value));
                }
                Some(rows) => {
                    for row in rows.iter() {
                        let at = *row as usize;
                        look(*row, family.newest_at[at], family.newest_value[at]);
                    }
                }
            }
        }
        if histograms > 0 { Err(Declined) } else { Ok(present) }
    }

    /// A function of a range vector.
    pub(super) fn over_time(&mut self, call: &CallExpr, at: TimeMs) -> Result<Vector> {
        let (name, args) = (call.function.name, &call.args);
        let is_range = |arg: &&Expr| arg.value_type() == ValueType::Matrix;
        let (Some(function), Some(arg)) = (range_function(name), args.iter().find(is_range)) else {
            return Err(Declined);
        };
        let ExprKind::Range(range) = &unwrap_parens(arg).kind else { return Err(Declined) };
        let mut params = Vec::new();
        for param in args.iter().filter(|arg| !is_range(arg)) {
            params.push(self.scalar(param, at)?);
        }
        if name == "quantile_over_time" && !(0.0..=1.0).contains(&params[0]) {
            return Err(Declined);
        }
        let is_counter = matches!(name, "rate" | "increase");
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        self.each_window(range, at, reads_ends(name), |row, window| {
            let window = Range { at, params: &params, ..window };
            if let Some(value) = function(&window) {
                rows.push(row);
                values.push(value);
            }
        })?;
        if is_counter {
            for run in rows.chunk_by(|a, b| a.family == b.family) {
                let name = self.source.family(run[0].family).name;
                if let Some(note) = counter_note(name).filter(|_| !name.is_empty()) {
                    self.annotate(Severity::Info, arg.span, note);
                }
            }
        }
        let mut vector = Vector::of_rows(rows, values);
        if keeps_name(name) {
            return Ok(vector);
        }
        vector.drop_names(self.source);
        // Over steps two series may take turns in having one label set, which is refused.
        if self.stepping && !self.differ_beyond_name(&range.selector) {
            return Err(Declined);
        }
        self.distinct(vector)
    }

    /// Whether the range vector has any series.
    pub(super) fn has_windows(&mut self, range: &RangeExpr, at: TimeMs) -> Result<bool> {
        let mut any = false;
        self.each_window(range, at, false, |_, _| any = true)?;
        Ok(any)
    }

    /// Visits each series that has a sample in its window; where `ends` suffice, samples that never
    /// fall are not read one by one.
    fn each_window(
        &mut self,
        range: &RangeExpr,
        at: TimeMs,
        ends: bool,
        mut visit: impl FnMut(RowRef, Range<'_>),
    ) -> Result<()> {
        let end = moment(self.query, at, range.selector.at, range.selector.offset_ms);
        let start = TimeMs(end.0.saturating_sub(duration_ms(range.range)));
        let mut samples: Vec<Sample> = Vec::new();
        let mut read = 0_usize;
        for segment in self.rows_of(&range.selector).iter() {
            let family = self.source.family(segment.family);
            let mut look = |row: u32| {
                let newest = family.newest_at[row as usize];
                if newest == Family::NEVER || newest <= start {
                    return Ok(());
                }
                read += 1;
                if read.is_multiple_of(ROWS_PER_LOOK) {
                    self.check_stopped()?;
                }
                let row = RowRef { family: segment.family, row };
                samples.clear();
                if ends && let Some(rise) = self.source.rise(row, start, end) {
                    samples.extend([rise.first, rise.last]);
                    samples.truncate(rise.count);
                    self.check_held(rise.count)?;
                    let count = rise.count;
                    visit(row, Range { samples: &samples, count, start, end, at, params: &[] });
                    return Ok(());
                }
                self.source.range(row, start, end, &mut samples);
                if samples.iter().any(|sample| sample.value.is_nan()) {
                    if samples.iter().any(|sample| is_histogram(sample.value)) {
                        return Err(Declined);
                    }
                    samples.retain(|sample| !is_stale(sample.value));
                }
                self.check_held(samples.len())?;
                if !samples.is_empty() {
                    let count = samples.len();
                    visit(row, Range { samples: &samples, count, start, end, at, params: &[] });
                }
                Ok(())
            };
            match &segment.rows {
                None => (0..family.row_count() as u32).try_for_each(&mut look)?,
                Some(rows) => rows.iter().try_for_each(|row| look(*row))?,
            }
        }
        Ok(())
    }

    fn differ_beyond_name(&mut self, selector: &Selector) -> bool {
        match &self.rows_of(selector)[..] {
            [] => true,
            [segment] => differ_beyond_name(self.source, segment.family),
            _ => false,
        }
    }

    fn rows_of(&mut self, selector: &Selector) -> Arc<[Segment]> {
        let key = std::ptr::from_ref(selector);
        if let Some(rows) = self.rows.get(&key) {
            return rows.clone();
        }
        let rows = select(self.source, &selector.matchers);
        self.rows.insert(key, rows.clone());
        rows
    }
}
