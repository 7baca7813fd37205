//! The plain evaluator: one expression at one moment, by recursion over the tree.
//!
//! A range query and a subquery evaluate the same tree once per step and collect the elements by
//! their labels, which is what Prometheus's semantics say and its engine avoids. Nothing here is
//! clever: this evaluator is the oracle that faster ones are compared with.
//!
//! # Invariants
//!
//! - An element of a vector carries the origins of everything that decided its value or presence.
//! - Where metric names are dropped late, a label set keeps its name and a flag says that it goes.

pub(crate) mod aggregate;
pub(crate) mod binary;
pub(crate) mod call;
mod extended;
pub(crate) mod histogram;
mod info;
mod labels;
pub(crate) mod math;
mod operand;
pub(crate) mod over_time;
mod range_histogram;
mod select;
mod support;
pub(crate) mod time;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Histogram, Labels, METRIC_NAME, ResetHint, Sample, TimeMs, histogram_nan};

use crate::columnar::Columns;
use crate::duration::{QueryTimes, resolve};
use crate::histogram::scaled;
use crate::{
    Annotations, Element, EvalError, EvalOptions, Evaluation, Expr, ExprKind, HistogramSample,
    Origins, Plan, RangeExtent, RangeSeries, RowRef, Selector, SelectorCache, Severity, Source,
    Span, SubqueryExpr, Text, UnaryOp, Value, ValueType,
};

pub(crate) use select::moment;
pub(crate) use support::check_supported;

type Result<T, E = EvalError> = std::result::Result<T, E>;

/// What [`Plan::eval_traced`] reports to.
type Trace<'a> = &'a mut dyn FnMut(&Expr, &Value);

/// How an expression is evaluated.
pub(crate) enum Way<'a> {
    /// By this evaluator alone.
    Plain,
    /// So, and every value in it is reported.
    Traced(Trace<'a>),
    /// By columns, as far as these know the expression.
    Columns(Option<&'a mut SelectorCache>),
}

const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";
const TOO_MANY_SAMPLES: &str =
    "query processing would load too many samples into memory in query execution";

pub(crate) fn instant(
    plan: &Plan,
    source: &dyn Source,
    at: TimeMs,
    options: &EvalOptions,
    way: Way<'_>,
) -> Result<Evaluation> {
    let query = Query { start: at, end: at, step_ms: 0 };
    let resolved = query.resolve(plan)?;
    let (plan, way) = resolved_way(plan, resolved.as_ref(), way);
    let (trace, columns) = match way {
        Way::Plain => (None, None),
        Way::Traced(trace) => (Some(trace), None),
        Way::Columns(cache) => (None, Some(Columns::new(plan, source, options, query, cache))),
    };
    // Each reference is shortened to the evaluation.
    let trace = trace.map(|trace| -> Trace<'_> { trace });
    let mut evaluator = Evaluator::new(plan, source, options, query, trace);
    evaluator.columns = columns;
    let expr = plan.expr();
    let value = match expr.value_type() {
        ValueType::Matrix => {
            let series = evaluator.matrix(expr, at)?;
            let value = evaluator.finish_series(series)?;
            if let Some(trace) = &mut evaluator.trace {
                trace(expr, &value);
            }
            value
        }
        _ => match evaluator.columns.as_mut().and_then(|columns| columns.whole(expr, at)) {
            Some(value) => value,
            None => {
                let value = evaluator.eval(expr, at)?;
                evaluator.finish(value)?
            }
        },
    };
    Ok(evaluator.evaluation(value))
}

pub(crate) fn range(
    plan: &Plan,
    source: &dyn Source,
    start: TimeMs,
    end: TimeMs,
    step: Duration,
    options: &EvalOptions,
    way: Way<'_>,
) -> Result<Evaluation> {
    let expr = plan.expr();
    let value_type = expr.value_type();
    if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
        let found = value_type.documented();
        let message = format!(
            "invalid expression type {found:?} for range query, must be Scalar or instant Vector"
        );
        return Err(EvalError::new(expr.span, message, plan.text()));
    }
    let step_ms = duration_ms(step).max(1);
    let query = Query { start, end, step_ms };
    let resolved = query.resolve(plan)?;
    let (plan, way) = resolved_way(plan, resolved.as_ref(), way);
    let expr = plan.expr();
    let mut evaluator = Evaluator::new(plan, source, options, query, None);
    if let Way::Columns(cache) = way {
        evaluator.columns = Some(Columns::new(plan, source, options, query, cache));
    }
    let series = evaluator.steps(expr, start, end, step_ms)?;
    let value = evaluator.finish_series(series)?;
    Ok(evaluator.evaluation(value))
}

pub(crate) fn duration_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The moments that the whole query asks for: of an instant query the same one twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub start: TimeMs,
    pub end: TimeMs,
    /// 0 in an instant query.
    pub step_ms: i64,
}

impl Query {
    /// The plan with its durations known, where they depend on the query.
    fn resolve(self, plan: &Plan) -> Result<Option<Plan>> {
        let range = self.end.0.saturating_sub(self.start.0) as f64 / 1000.0;
        let times = QueryTimes { step: self.step_ms as f64 / 1000.0, range, text: plan.text() };
        Ok(resolve(plan.expr(), times)?.map(|expr| plan.with_expr(expr)))
    }
}

/// The plan to evaluate. One that is made for this query alone shares nothing with others.
fn resolved_way<'p, 'w>(
    plan: &'p Plan,
    resolved: Option<&'p Plan>,
    way: Way<'w>,
) -> (&'p Plan, Way<'w>) {
    match (resolved, way) {
        (None, way) => (plan, way),
        (Some(resolved), Way::Columns(_)) => (resolved, Way::Columns(None)),
        (Some(resolved), way) => (resolved, way),
    }
}

/// One element of an instant vector on its way.
#[derive(Clone, Debug)]
struct Item {
    labels: Labels,
    /// Whether the metric name goes at the end of the evaluation.
    drop_name: bool,
    /// The NaN that stands for a histogram, where the value is one.
    value: f64,
    histogram: Option<Arc<Histogram>>,
    origins: Origins,
}

impl Item {
    fn number(labels: Labels, value: f64, origins: Origins) -> Self {
        Self { labels, drop_name: false, value, histogram: None, origins }
    }

    /// Makes the value a histogram.
    fn set_histogram(&mut self, histogram: Histogram) {
        self.value = histogram_nan();
        self.histogram = Some(Arc::new(histogram));
    }
}

/// The value of an expression that is not a range vector.
#[derive(Clone, Debug)]
enum Val {
    Scalar(f64),
    String(Text),
    Vector(Vec<Item>),
}

/// One series of a range vector on its way.
#[derive(Clone, Debug)]
pub(crate) struct ItemSeries {
    pub labels: Labels,
    pub drop_name: bool,
    pub samples: Vec<Sample>,
    /// One for each sample that is a histogram.
    pub histograms: Vec<HistogramSample>,
    pub origins: Origins,
}

impl ItemSeries {
    pub fn new(labels: Labels) -> Self {
        let (samples, histograms) = (Vec::new(), Vec::new());
        Self { labels, drop_name: false, samples, histograms, origins: Origins::none() }
    }
}

struct Evaluator<'a> {
    plan: &'a Plan,
    source: &'a dyn Source,
    options: &'a EvalOptions,
    query: Query,
    annotations: Annotations,
    trace: Option<Trace<'a>>,
    /// Who evaluates the parts that it knows; nobody where this evaluator is the oracle.
    columns: Option<Columns<'a>>,
    /// How many subqueries are being evaluated around the current expression.
    subqueries: usize,
    /// Whether only counts and sums of native histograms matter: then Prometheus looks for counter
    /// resets between the samples that it reads, whatever its storage knows of them.
    counts_only: bool,
    /// How many samples the values in use hold.
    held: usize,
    /// The rows of each selector: looked up once per evaluation.
    rows: HashMap<*const Selector, Rc<[RowRef]>>,
    /// The label sets built so far, and the origins that say nothing but the row.
    series: HashMap<RowRef, (Labels, Origins)>,
    /// By call of a range function and label set without name, the series that it is of: over all
    /// steps of a range it must be the same one.
    nameless: HashMap<(*const Expr, Labels), Labels>,
}

impl<'a> Evaluator<'a> {
    fn new(
        plan: &'a Plan,
        source: &'a dyn Source,
        options: &'a EvalOptions,
        query: Query,
        trace: Option<Trace<'a>>,
    ) -> Self {
        Self {
            plan,
            source,
            options,
            query,
            annotations: Annotations::default(),
            trace,
            columns: None,
            subqueries: 0,
            counts_only: false,
            held: 0,
            rows: HashMap::new(),
            series: HashMap::new(),
            nameless: HashMap::new(),
        }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> EvalError {
        EvalError::new(span, message.into(), self.plan.text())
    }

    fn annotate(&mut self, severity: Severity, span: Span, message: String) {
        self.annotations.add(severity, message, span, self.plan.text());
    }

    fn check_held(&self, more: usize, span: Span) -> Result<()> {
        if self.held + more > self.options.samples_max {
            return Err(self.error(span, TOO_MANY_SAMPLES));
        }
        Ok(())
    }

    fn check_stopped(&self, span: Span) -> Result<()> {
        let stop = self.options.stop.as_ref();
        if stop.is_some_and(|stop| stop.load(std::sync::atomic::Ordering::Relaxed)) {
            return Err(self.error(span, "query was canceled in query execution"));
        }
        Ok(())
    }

    /// The value of an expression that is not a range vector.
    fn eval(&mut self, expr: &Expr, at: TimeMs) -> Result<Val> {
        self.check_stopped(expr.span)?;
        let held_before = self.held;
        if let Some(items) = self.by_columns(expr, at) {
            self.held += items.len();
            return Ok(Val::Vector(items));
        }
        let value = match &expr.kind {
            ExprKind::Number { value, .. } => Val::Scalar(*value),
            ExprKind::String(text) => Val::String(text.clone()),
            ExprKind::Selector(selector) if selector.extent == Some(RangeExtent::Smoothed) => {
                Val::Vector(self.smoothed_vector(expr.span, selector, at))
            }
            ExprKind::Selector(selector) => Val::Vector(self.instant_vector(selector, at)),
            ExprKind::Paren(inner) => self.eval(inner, at)?,
            ExprKind::Unary(op, inner) => self.unary(expr.span, *op, inner, at)?,
            ExprKind::Binary(binary) => self.binary(expr.span, binary, at)?,
            ExprKind::Aggregate(aggregate) => self.aggregate(expr.span, aggregate, at)?,
            ExprKind::Call(call) => self.call(expr, call, at)?,
            ExprKind::Range(_) | ExprKind::Subquery(_) => {
                return Err(self.error(expr.span, "a range vector has no value at one moment"));
            }
        };
        // What the operands held is released: only the value remains.
        self.held = held_before;
        let size = if let Val::Vector(items) = &value { items.len() } else { 0 };
        self.check_held(size, expr.span)?;
        self.held += size;
        self.report(expr, &value);
        Ok(value)
    }

    /// The elements of an instant vector that columns know.
    fn by_columns(&mut self, expr: &Expr, at: TimeMs) -> Option<Vec<Item>> {
        let stepping = self.query.step_ms > 0 || self.subqueries > 0;
        let elements = self.columns.as_mut()?.part(expr, at, self.held, stepping)?;
        let item = |Element { labels, value, histogram, origins }| Item {
            labels,
            drop_name: false,
            value,
            histogram,
            origins,
        };
        Some(elements.into_iter().map(item).collect())
    }

    /// The outcome, with all that there is to say about it.
    fn evaluation(self, value: Value) -> Evaluation {
        let mut annotations = self.annotations;
        if let Some(columns) = self.columns {
            annotations.append(columns.annotations());
        }
        Evaluation { value, annotations }
    }

    fn report(&mut self, expr: &Expr, value: &Val) {
        if self.subqueries > 0 {
            return;
        }
        if let Some(trace) = &mut self.trace {
            trace(expr, &public_value(value.clone()));
        }
    }

    fn scalar(&mut self, expr: &Expr, at: TimeMs) -> Result<f64> {
        match self.eval(expr, at)? {
            Val::Scalar(value) => Ok(value),
            _ => Err(self.error(expr.span, "not a scalar")),
        }
    }

    fn vector(&mut self, expr: &Expr, at: TimeMs) -> Result<Vec<Item>> {
        match self.eval(expr, at)? {
            Val::Vector(items) => Ok(items),
            _ => Err(self.error(expr.span, "not an instant vector")),
        }
    }

    fn unary(&mut self, span: Span, op: UnaryOp, inner: &Expr, at: TimeMs) -> Result<Val> {
        let value = self.eval(inner, at)?;
        match (op, value) {
            (UnaryOp::Plus, value) => Ok(value),
            (UnaryOp::Minus, Val::Vector(mut items)) => {
                for item in &mut items {
                    match &item.histogram {
                        Some(histogram) => item.set_histogram(scaled(histogram, -1.0)),
                        None => item.value = -item.value,
                    }
                    self.drop_name(item);
                }
                self.check_distinct(span, &items)?;
                Ok(Val::Vector(items))
            }
            (UnaryOp::Minus, Val::Scalar(value)) => Ok(Val::Scalar(-value)),
            (UnaryOp::Minus, Val::String(_)) => Err(self.error(span, "not a number")),
        }
    }

    /// Takes the metric name off an element, now or at the end as the options say.
    fn drop_name(&self, item: &mut Item) {
        if self.options.delayed_name_removal {
            item.drop_name = true;
        } else {
            item.labels = without_name(&item.labels);
        }
    }

    /// Fails where two elements have one label set. Where names go at the end, so does the check.
    fn check_distinct(&self, span: Span, items: &[Item]) -> Result<()> {
        if self.options.delayed_name_removal || all_distinct(items.iter().map(|i| &i.labels)) {
            return Ok(());
        }
        Err(self.error(span, SAME_LABELSET))
    }

    /// The value of a range vector.
    fn matrix(&mut self, expr: &Expr, at: TimeMs) -> Result<Vec<ItemSeries>> {
        let mut series = Vec::new();
        self.each_series(expr, at, &mut |_, window| {
            series.push(ItemSeries {
                labels: window.labels.clone(),
                drop_name: window.drop_name,
                samples: window.samples.to_vec(),
                histograms: window.histograms.to_vec(),
                origins: window.origins.clone(),
            });
            Ok(())
        })?;
        Ok(series)
    }

    /// The value of a subquery.
    fn subquery(
        &mut self,
        subquery: &SubqueryExpr,
        start: TimeMs,
        end: TimeMs,
    ) -> Result<Vec<ItemSeries>> {
        let step_ms = duration_ms(subquery.step.unwrap_or(self.options.subquery_step)).max(1);
        // The first multiple of the step within the window, which is open on the left.
        let first = TimeMs((start.0.div_euclid(step_ms) + 1).saturating_mul(step_ms));
        self.subqueries += 1;
        // What the steps of one evaluation have in common, another one starts anew.
        let outer = std::mem::take(&mut self.nameless);
        let counts_only = std::mem::replace(&mut self.counts_only, false);
        let series = self.steps(&subquery.expr, first, end, step_ms).map(without_reset_hints);
        self.counts_only = counts_only;
        self.nameless = outer;
        self.subqueries -= 1;
        series
    }

    /// Evaluates `expr` at each step and collects the elements by their labels.
    fn steps(
        &mut self,
        expr: &Expr,
        start: TimeMs,
        end: TimeMs,
        step_ms: i64,
    ) -> Result<Vec<ItemSeries>> {
        let mut series: Vec<ItemSeries> = Vec::new();
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        let mut parts: Vec<Vec<Origins>> = Vec::new();
        let count = if end < start {
            0
        } else {
            (end.0.saturating_sub(start.0) / step_ms).saturating_add(1)
        };
        if usize::try_from(count).is_ok_and(|count| count > self.options.samples_max) {
            return Err(self.error(expr.span, TOO_MANY_SAMPLES));
        }
        let held = self.held;
        let columns = self.columns.as_mut();
        if let Some(series) = columns.and_then(|c| c.steps(expr, start, step_ms, count, held)) {
            self.held += series.iter().map(|series| series.samples.len()).sum::<usize>();
            return Ok(series);
        }
        for step in 0..count {
            let at = TimeMs(start.0 + step * step_ms);
            let held_before = self.held;
            let items = match self.eval(expr, at)? {
                Val::Vector(items) => items,
                Val::Scalar(value) => vec![Item::number(Labels::empty(), value, Origins::none())],
                Val::String(_) => return Err(self.error(expr.span, "not a number")),
            };
            self.held = held_before + items.len();
            for item in items {
                let index = *by_labels.entry(item.labels.clone()).or_insert_with(|| {
                    let new = ItemSeries::new(item.labels.clone());
                    series.push(ItemSeries { drop_name: item.drop_name, ..new });
                    parts.push(Vec::new());
                    series.len() - 1
                });
                series[index].samples.push(Sample { at, value: item.value });
                if let Some(histogram) = item.histogram {
                    series[index].histograms.push(HistogramSample { at, histogram });
                }
                if !parts[index].last().is_some_and(|last| last.is(&item.origins)) {
                    parts[index].push(item.origins);
                }
            }
        }
        for (series, parts) in series.iter_mut().zip(parts) {
            series.origins = Origins::union(parts);
        }
        Ok(series)
    }

    /// The value as the caller gets it: late names dropped, label sets distinct.
    fn finish(&self, value: Val) -> Result<Value> {
        let Val::Vector(mut items) = value else { return Ok(public_value(value)) };
        for item in items.iter_mut().filter(|item| item.drop_name) {
            item.labels = without_name(&item.labels);
        }
        if !all_distinct(items.iter().map(|item| &item.labels)) {
            return Err(self.error(self.plan.expr().span, SAME_LABELSET));
        }
        Ok(public_value(Val::Vector(items)))
    }

    /// As [`Evaluator::finish`], for samples over time. Series that lose the name that told them
    /// apart become one where they do not overlap.
    fn finish_series(&self, series: Vec<ItemSeries>) -> Result<Value> {
        let mut merged: HashMap<Labels, RangeSeries> = HashMap::new();
        for ItemSeries { labels, drop_name, samples, histograms, origins } in series {
            let labels = if drop_name { without_name(&labels) } else { labels };
            let into = merged.entry(labels.clone()).or_insert_with(|| RangeSeries {
                labels,
                samples: Vec::new(),
                histograms: Vec::new(),
                origins: Origins::none(),
            });
            into.samples.extend(samples);
            into.histograms.extend(histograms);
            into.origins = Origins::union([std::mem::take(&mut into.origins), origins]);
        }
        let mut series: Vec<RangeSeries> = merged.into_values().collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        for series in &mut series {
            series.samples.sort_by_key(|sample| sample.at);
            series.histograms.sort_by_key(|sample| sample.at);
            if series.samples.windows(2).any(|pair| pair[0].at == pair[1].at) {
                return Err(self.error(self.plan.expr().span, SAME_LABELSET));
            }
        }
        Ok(Value::Matrix(series))
    }
}

/// Between the steps of a subquery samples are left out, and a counter reset may be among them.
fn without_reset_hints(mut series: Vec<ItemSeries>) -> Vec<ItemSeries> {
    for sample in series.iter_mut().flat_map(|series| &mut series.histograms) {
        if matches!(sample.histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            Arc::make_mut(&mut sample.histogram).reset_hint = ResetHint::Unknown;
        }
    }
    series
}

/// What describes the metric and not its series.
pub(crate) const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// The labels without the metric name and what else describes the metric and not its series.
fn without_name(labels: &Labels) -> Labels {
    if METADATA.iter().all(|name| labels.get(name).is_none()) {
        return labels.clone();
    }
    labels.without(&METADATA)
}

fn all_distinct<'l>(labels: impl ExactSizeIterator<Item = &'l Labels>) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(labels.len());
    labels.into_iter().all(|labels| seen.insert(labels))
}

/// Arguments are looked at without the parentheses around them.
pub(crate) fn unwrap_parens(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

fn public_value(value: Val) -> Value {
    match value {
        Val::Scalar(value) => Value::Scalar(value),
        Val::String(text) => Value::String(text.to_lossy()),
        Val::Vector(items) => Value::Vector(
            items
                .into_iter()
                .map(|Item { labels, value, histogram, origins, .. }| Element {
                    labels,
                    value,
                    histogram,
                    origins,
                })
                .collect(),
        ),
    }
}
