//! Aggregations: `sum by (a) (expr)`.

use std::collections::HashMap;

use paramedic_model::{Histogram, Labels, METRIC_NAME, TimeMs};

use super::call::numbers;
use super::math::{mean, nan_first, quantile, sum};
use super::range_histogram::{MIXED, sum as sum_of};
use super::{Evaluator, Item, Result, Val};
use crate::ast::AggregateExpr;
use crate::histogram::{mean as mean_of, text};
use crate::print::{format_number, format_shortest};
use crate::{AggregateOp, Expr, ExprKind, Grouping, Origins, Severity, Span, Text};

/// The labels that elements of one group share.
fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) if names.is_empty() => Labels::empty(),
        Grouping::By(names) => {
            labels.iter().filter(|(name, _)| names.iter().any(|n| n == name)).collect()
        }
        Grouping::Without(names) => labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME && !names.iter().any(|n| n == name))
            .collect(),
    }
}

/// Puts items into groups, in the order in which the groups first appear.
fn group(items: Vec<Item>, grouping: &Grouping) -> Vec<(Labels, Vec<Item>)> {
    let mut groups: Vec<(Labels, Vec<Item>)> = Vec::new();
    let mut by_labels: HashMap<Labels, usize> = HashMap::new();
    for item in items {
        let labels = group_labels(&item.labels, grouping);
        let index = *by_labels.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[index].1.push(item);
    }
    groups
}

impl Evaluator<'_> {
    pub(super) fn aggregate(
        &mut self,
        span: Span,
        aggregate: &AggregateExpr,
        at: TimeMs,
    ) -> Result<Val> {
        let AggregateExpr { op, expr, grouping, .. } = aggregate;
        if let (AggregateOp::CountValues, Some(label)) = (op, &aggregate.param) {
            return self.count_values(label, expr, grouping, at);
        }
        let param = match &aggregate.param {
            Some(param) => Some((self.scalar(param, at)?, param.span)),
            None => None,
        };
        let mut items = self.vector(expr, at)?;
        let looks_at_numbers = !matches!(
            op,
            AggregateOp::Sum
                | AggregateOp::Avg
                | AggregateOp::Count
                | AggregateOp::Group
                | AggregateOp::Limitk
                | AggregateOp::LimitRatio
        );
        if looks_at_numbers && items.iter().any(|item| item.histogram.is_some()) {
            let message = format!("ignored histogram in {} aggregation", op.name());
            self.annotate(Severity::Info, expr.span, message);
            items = numbers(items);
        }
        if let Some((value, param_span)) = param {
            return match op {
                AggregateOp::Quantile => {
                    self.check_quantile(value, param_span);
                    Ok(Val::Vector(reduce(items, grouping, |values| quantile(value, values))))
                }
                AggregateOp::LimitRatio => self.limit_ratio(span, value, param_span, items),
                _ => self.first_k(span, *op, value, items, grouping),
            };
        }
        let reduction: fn(Vec<f64>) -> f64 = match op {
            AggregateOp::Sum => |values| sum(values),
            AggregateOp::Avg => |values| mean(values),
            AggregateOp::Count => |values| values.len() as f64,
            AggregateOp::Min => |values| extreme(values, |new, old| new < old),
            AggregateOp::Max => |values| extreme(values, |new, old| new > old),
            AggregateOp::Stddev => |values| group_variance(&values).sqrt(),
            AggregateOp::Stdvar => |values| group_variance(&values),
            _ => |_| 1.0,
        };
        if matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
            let is_mean = *op == AggregateOp::Avg;
            return Ok(Val::Vector(self.total(items, grouping, is_mean, reduction, expr.span)));
        }
        Ok(Val::Vector(reduce(items, grouping, reduction)))
    }

    /// Sums and means, of numbers or of histograms, not of both.
    fn total(
        &mut self,
        items: Vec<Item>,
        grouping: &Grouping,
        is_mean: bool,
        reduction: fn(Vec<f64>) -> f64,
        span: Span,
    ) -> Vec<Item> {
        let mut totals = Vec::new();
        for (labels, items) in group(items, grouping) {
            let histograms: Vec<&Histogram> =
                items.iter().filter_map(|item| item.histogram.as_deref()).collect();
            if histograms.is_empty() {
                totals.push(of_group(labels, items, reduction));
                continue;
            }
            if histograms.len() < items.len() {
                let message = format!("{MIXED} aggregation");
                self.annotate(Severity::Warning, span, message);
                continue;
            }
            self.warn_of_conflict(histograms.iter().copied(), span);
            let all = histograms.iter().copied();
            let Ok((total, bounds_differ)) = (if is_mean { mean_of(all) } else { sum_of(all) })
            else {
                // The name of the element that did not fit, which is not the first one.
                let custom = |histogram: &Histogram| histogram.schema == Histogram::CUSTOM_BUCKETS;
                let odd = histograms.iter().position(|h| custom(h) != custom(histograms[0]));
                let metric = odd.and_then(|odd| items[odd].labels.metric_name());
                self.warn_of_schemas(metric.unwrap_or_default(), span);
                continue;
            };
            self.note_bounds(bounds_differ, "aggregation", span);
            let mut item = of_group(labels, items, |_| 0.0);
            item.set_histogram(total);
            totals.push(item);
        }
        totals
    }

    /// Warns of a quantile outside of 0 to 1.
    pub(super) fn check_quantile(&mut self, q: f64, span: Span) {
        if !(0.0..=1.0).contains(&q) {
            let q = format_shortest(q);
            let message = format!("quantile value should be between 0 and 1, got {q}");
            self.annotate(Severity::Warning, span, message);
        }
    }

    /// `topk`, `bottomk`, `limitk`: elements of the input, as they are.
    fn first_k(
        &mut self,
        span: Span,
        op: AggregateOp,
        k: f64,
        items: Vec<Item>,
        grouping: &Grouping,
    ) -> Result<Val> {
        if k < 1.0 {
            return Ok(Val::Vector(Vec::new()));
        }
        if k.is_nan() {
            return Err(self.error(span, "Parameter value is NaN"));
        }
        if k >= i64::MAX as f64 {
            let k = format_shortest(k);
            return Err(self.error(span, format!("Scalar value {k} overflows int64")));
        }
        let mut kept = Vec::new();
        for (_, mut items) in group(items, grouping) {
            // Stable sorts: of equal elements the first ones stay. NaN is the last choice of both.
            match op {
                AggregateOp::Topk => items.sort_by(|a, b| nan_first(&b.value, &a.value)),
                AggregateOp::Bottomk => items.sort_by(|a, b| {
                    let nan_last = a.value.is_nan().cmp(&b.value.is_nan());
                    nan_last.then_with(|| nan_first(&a.value, &b.value))
                }),
                _ => {}
            }
            items.truncate(usize::try_from(k as i64).unwrap_or(usize::MAX));
            kept.extend(items);
        }
        Ok(Val::Vector(kept))
    }

    /// A share of the elements, chosen by the hash of their labels: always the same ones, and with
    /// `ratio - 1` the others. (Which ones is not Prometheus's choice: the hash is another.)
    fn limit_ratio(
        &mut self,
        span: Span,
        ratio: f64,
        param_span: Span,
        items: Vec<Item>,
    ) -> Result<Val> {
        if ratio.is_nan() {
            return Err(self.error(span, "Ratio value is NaN"));
        }
        let capped = ratio.clamp(-1.0, 1.0);
        if capped != ratio {
            let (got, cap) = (format_shortest(ratio), format_shortest(capped));
            let message =
                format!("ratio value should be between -1 and 1, got {got}, capping to {cap}");
            self.annotate(Severity::Warning, param_span, message);
        }
        let chosen = |item: &Item| {
            let place = item.labels.fingerprint().0 as f64 / u64::MAX as f64;
            if capped >= 0.0 { place < capped } else { place >= 1.0 + capped }
        };
        let mut items = items;
        items.retain(|item| capped != 0.0 && chosen(item));
        Ok(Val::Vector(items))
    }

    fn count_values(
        &mut self,
        label: &Expr,
        expr: &Expr,
        grouping: &Grouping,
        at: TimeMs,
    ) -> Result<Val> {
        let literal = self.string(label, at)?;
        let Some(name) = literal.as_str().filter(|name| !name.is_empty()) else {
            return Err(self.error(label.span, format!("invalid label name {literal}")));
        };
        let mut grouping = grouping.clone();
        if let Grouping::By(labels) = &mut grouping {
            labels.push(name.to_owned());
        }
        let mut items = self.vector(expr, at)?;
        for item in &mut items {
            let value = match &item.histogram {
                Some(histogram) => text(histogram),
                None => format_number(item.value),
            };
            item.labels = item.labels.with(name, &value);
            item.drop_name = false;
        }
        Ok(Val::Vector(reduce(items, &grouping, |values| values.len() as f64)))
    }

    /// The value of a string argument.
    pub(super) fn string(&mut self, expr: &Expr, at: TimeMs) -> Result<Text> {
        match &expr.kind {
            ExprKind::String(text) => Ok(text.clone()),
            _ => match self.eval(expr, at)? {
                Val::String(text) => Ok(text),
                _ => Err(self.error(expr.span, "not a string")),
            },
        }
    }
}

/// One element per group, its value made of those of the group.
fn reduce(items: Vec<Item>, grouping: &Grouping, value: impl Fn(Vec<f64>) -> f64) -> Vec<Item> {
    group(items, grouping)
        .into_iter()
        .map(|(labels, items)| of_group(labels, items, &value))
        .collect()
}

fn of_group(labels: Labels, items: Vec<Item>, value: impl Fn(Vec<f64>) -> f64) -> Item {
    Item {
        labels,
        drop_name: items.iter().any(|item| item.drop_name),
        value: value(items.iter().map(|item| item.value).collect()),
        histogram: None,
        origins: Origins::union(items.into_iter().map(|item| item.origins)),
    }
}

/// The value that is before all others; NaN only where there is nothing else.
pub(crate) fn extreme(values: Vec<f64>, before: impl Fn(f64, f64) -> bool) -> f64 {
    let better = |old: f64, new: f64| if old.is_nan() || before(new, old) { new } else { old };
    values.into_iter().reduce(better).unwrap_or(f64::NAN)
}

/// The population variance as Prometheus computes it over a group (Welford, not compensated).
pub(crate) fn group_variance(values: &[f64]) -> f64 {
    let Some(first) = values.first() else { return f64::NAN };
    let (mut mean, mut count) = (*first, 1.0);
    let mut squares = if first.is_finite() { 0.0 } else { f64::NAN };
    for value in &values[1..] {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}
