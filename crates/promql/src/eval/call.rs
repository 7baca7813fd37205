//! Calls of functions: the dispatch, and the functions that need no more than a few lines.

use paramedic_model::{Labels, TimeMs};

use super::math::{nan_first, unary_function};
use super::time::calendar_function;
use super::{Evaluator, Item, Result, Val, over_time, unwrap_parens};
use crate::ast::CallExpr;
use crate::histogram::variance;
use crate::{Expr, ExprKind, Origins, Severity};

impl Evaluator<'_> {
    pub(super) fn call(&mut self, expr: &Expr, call: &CallExpr, at: TimeMs) -> Result<Val> {
        let outer = self.counts_only;
        self.counts_only = match call.function.name {
            "histogram_avg" | "histogram_count" | "histogram_sum" => true,
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => false,
            _ => outer,
        };
        let value = self.call_of(expr, call, at);
        self.counts_only = outer;
        value
    }

    fn call_of(&mut self, expr: &Expr, call: &CallExpr, at: TimeMs) -> Result<Val> {
        let CallExpr { function, args } = call;
        let name = function.name;
        if let Some(value) = self.scalar_call(name, args, at)? {
            return Ok(Val::Scalar(value));
        }
        let items = match name {
            "vector" => {
                let value = self.scalar(&args[0], at)?;
                vec![Item::number(Labels::empty(), value, Origins::none())]
            }
            "timestamp" => self.timestamp(&args[0], at)?,
            "absent" => self.absent(&args[0], at)?,
            "absent_over_time" => self.absent_over_time(&args[0], at)?,
            "sort" | "sort_desc" => self.sort(name == "sort_desc", args, at)?,
            "sort_by_label" => self.sort_by_label(false, args, at)?,
            "sort_by_label_desc" => self.sort_by_label(true, args, at)?,
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(name, args, at)?,
            "round" => self.round(args, at)?,
            // These may make two elements alike under either way of dropping names.
            "label_replace" => return self.label_replace(expr.span, args, at),
            "label_join" => return self.label_join(expr.span, args, at),
            "histogram_quantile" => self.histogram_quantile(args, at)?,
            "histogram_quantiles" => self.histogram_quantiles(args, at)?,
            "histogram_fraction" => self.histogram_fraction(args, at)?,
            "info" => return Ok(Val::Vector(self.info(expr.span, args, at)?)),
            "histogram_avg" => {
                self.of_native(args, at, |histogram| histogram.sum / histogram.count)?
            }
            "histogram_count" => self.of_native(args, at, |histogram| histogram.count)?,
            "histogram_sum" => self.of_native(args, at, |histogram| histogram.sum)?,
            "histogram_stddev" => self.of_native(args, at, |h| variance(h).sqrt())?,
            "histogram_stdvar" => self.of_native(args, at, variance)?,
            _ => {
                if let Some(apply) = unary_function(name) {
                    let items = self.vector(&args[0], at)?;
                    self.map(items, apply)
                } else if let Some(field) = calendar_function(name) {
                    self.calendar(field, args, at)?
                } else if over_time::is_range_function(name) {
                    self.over_time(name, args, at)?
                } else {
                    let message = format!("function {name:?} is not supported yet");
                    return Err(self.error(expr.span, message));
                }
            }
        };
        self.check_distinct(expr.span, &items)?;
        Ok(Val::Vector(items))
    }

    /// The functions that yield a number.
    fn scalar_call(&mut self, name: &str, args: &[Expr], at: TimeMs) -> Result<Option<f64>> {
        let query = self.query;
        Ok(Some(match name {
            "pi" => std::f64::consts::PI,
            "time" => at.as_secs_f64(),
            "start" => query.start.as_secs_f64(),
            "end" => query.end.as_secs_f64(),
            "range" => query.end.0.saturating_sub(query.start.0) as f64 / 1000.0,
            "step" => query.step_ms as f64 / 1000.0,
            "max_of" => go_max(self.scalar(&args[0], at)?, self.scalar(&args[1], at)?),
            "min_of" => go_min(self.scalar(&args[0], at)?, self.scalar(&args[1], at)?),
            "scalar" => match &numbers(self.vector(&args[0], at)?)[..] {
                [item] => item.value,
                _ => f64::NAN,
            },
            _ => return Ok(None),
        }))
    }

    /// The numbers with other values and without their metric names.
    pub(super) fn map(&self, items: Vec<Item>, apply: impl Fn(f64) -> f64) -> Vec<Item> {
        let mut items = numbers(items);
        for item in &mut items {
            item.value = apply(item.value);
            self.drop_name(item);
        }
        items
    }

    /// When the sample that stands for each element was taken. Only a selector knows: anything else
    /// happens at the moment of evaluation.
    fn timestamp(&mut self, arg: &Expr, at: TimeMs) -> Result<Vec<Item>> {
        let ExprKind::Selector(selector) = &unwrap_parens(arg).kind else {
            let mut items = self.vector(arg, at)?;
            for item in &mut items {
                (item.value, item.histogram) = (at.as_secs_f64(), None);
                self.drop_name(item);
            }
            return Ok(items);
        };
        let mut items = Vec::new();
        for (row, sample) in self.newest_samples(selector, at) {
            let (labels, origins) = self.series_of(row);
            let value = sample.at.as_secs_f64();
            let mut item = Item::number(labels, value, origins);
            self.drop_name(&mut item);
            items.push(item);
        }
        Ok(items)
    }

    fn sort(&mut self, descending: bool, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        self.note_sort(args);
        let mut items = numbers(self.vector(&args[0], at)?);
        // NaN is last in either direction.
        items.sort_by(|a, b| {
            let nan_last = a.value.is_nan().cmp(&b.value.is_nan());
            let order = nan_first(&a.value, &b.value);
            nan_last.then(if descending { order.reverse() } else { order })
        });
        Ok(items)
    }

    /// Warns that a range query has its own order.
    pub(super) fn note_sort(&mut self, args: &[Expr]) {
        if self.query.step_ms > 0 && self.subqueries == 0 {
            let message = "sort is ineffective for range queries since results are always ordered \
                           by labels";
            self.annotate(Severity::Warning, args[0].span, message.to_owned());
        }
    }

    fn clamp(&mut self, name: &str, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        let items = self.vector(&args[0], at)?;
        let first = self.scalar(&args[1], at)?;
        let (min, max) = match name {
            "clamp_min" => (first, f64::INFINITY),
            "clamp_max" => (f64::NEG_INFINITY, first),
            _ => (first, self.scalar(&args[2], at)?),
        };
        if max < min {
            return Ok(Vec::new());
        }
        Ok(self.map(items, |value| go_max(min, go_min(max, value))))
    }

    fn round(&mut self, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        let items = self.vector(&args[0], at)?;
        let to_nearest = match args.get(1) {
            Some(arg) => self.scalar(arg, at)?,
            None => 1.0,
        };
        Ok(self.map(items, |value| round(value, to_nearest)))
    }

    fn calendar(&mut self, field: fn(f64) -> f64, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        let Some(arg) = args.first() else {
            let (labels, origins) = (Labels::empty(), Origins::none());
            let value = field((at.0 / 1000) as f64);
            return Ok(vec![Item::number(labels, value, origins)]);
        };
        let items = self.vector(arg, at)?;
        Ok(self.map(items, field))
    }
}

/// The elements that are no histograms.
pub(super) fn numbers(mut items: Vec<Item>) -> Vec<Item> {
    items.retain(|item| item.histogram.is_none());
    items
}

/// The multiple of `to_nearest` that is nearest, of two the upper one.
pub(crate) fn round(value: f64, to_nearest: f64) -> f64 {
    let inverse = 1.0 / to_nearest;
    (value * inverse + 0.5).floor() / inverse
}

/// As Go's `math.Max`: infinity wins, then NaN.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// As Go's `math.Min`: negative infinity wins, then NaN.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}
