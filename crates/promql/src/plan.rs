//! An expression made ready: what it reads, and how to evaluate it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paramedic_model::TimeMs;

use crate::eval::{self, Way};
use crate::span::Place;
use crate::{
    AggregateOp, Annotations, Evaluation, Expr, ExprKind, Fill, SelectorCache, Source, Span, Value,
    ValueType,
};

/// The settings of an evaluation. Prometheus's defaults.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// How long a sample stands for its series when no newer one follows. Default: 5 min.
    pub lookback: Duration,
    /// The step of a subquery that names none: Prometheus takes its `evaluation_interval`.
    /// Default: 1 min.
    pub subquery_step: Duration,
    /// How many samples an evaluation may hold at once, and how many steps a range or a subquery may
    /// have, before it is refused. Default: 50 million.
    pub samples_max: usize,
    /// Whether metric names are dropped at the end of the evaluation, as with the feature flag
    /// `promql-delayed-name-removal`. Default: no.
    pub delayed_name_removal: bool,
    /// When it becomes true, by another thread's hand, the evaluation fails soon: a time limit is
    /// kept by whoever has a clock. Default: nobody can stop it.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            subquery_step: Duration::from_secs(60),
            samples_max: 50_000_000,
            delayed_name_removal: false,
            stop: None,
        }
    }
}

/// Why an expression could not be evaluated.
///
/// Prints as `LINE:COLUMN: MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct EvalError {
    /// The part of the expression that failed.
    pub span: Span,
    /// Prometheus's text where it has one.
    pub message: String,
    place: Place,
}

impl EvalError {
    pub(crate) fn new(span: Span, message: String, text: &str) -> Self {
        Self { span, message, place: Place::of(span, text) }
    }
}

/// The metric names that a plan reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadSet {
    /// Only these. Empty for an expression without selectors.
    Names(BTreeSet<String>),
    /// Possibly any: a selector fixes no metric name.
    All,
}

impl ReadSet {
    /// Whether a change of this family can change the result.
    pub fn contains(&self, metric_name: &str) -> bool {
        match self {
            ReadSet::Names(names) => names.contains(metric_name),
            ReadSet::All => true,
        }
    }
}

/// A compiled expression: made once, evaluated many times.
#[derive(Clone, Debug)]
pub struct Plan {
    expr: Expr,
    text: String,
    reads: ReadSet,
    /// The parts that others may have in common with it, by their places.
    shareable: HashMap<Span, Arc<Shareable>>,
    /// Whether the result is empty, without a word, where nothing is selected.
    vanishes: bool,
}

/// A part of a plan that other plans, or other places of it, may have too.
#[derive(Debug)]
pub(crate) struct Shareable {
    /// Its normalised text: equal texts mean the same.
    pub text: Arc<str>,
    pub reads: Arc<ReadSet>,
    /// Whether its plan has it more than once.
    pub repeated: bool,
}

impl Plan {
    /// Compiles `expr`, which was parsed from `text`.
    ///
    /// # Errors
    ///
    /// Where it uses a part of the language that is not there yet, with its place.
    pub fn new(expr: Expr, text: &str) -> Result<Self, EvalError> {
        eval::check_supported(&expr, text)?;
        let reads = reads(&expr);
        let (shareable, vanishes) = (shareable(&expr), vanishes(&expr));
        Ok(Self { expr, text: text.to_owned(), reads, shareable, vanishes })
    }

    /// The same plan with another expression, which has the same places in the text.
    pub(crate) fn with_expr(&self, expr: Expr) -> Self {
        Self { expr, ..self.clone() }
    }

    /// The part at this place, where it is worth sharing.
    pub(crate) fn shareable(&self, span: Span) -> Option<&Arc<Shareable>> {
        self.shareable.get(&span)
    }

    /// Whether evaluation yields nothing because the source has no family that the plan reads. Most
    /// rules of a published collection are so in most places.
    fn finds_nothing(&self, source: &dyn Source, options: &EvalOptions) -> bool {
        let stopped = || options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        match &self.reads {
            ReadSet::Names(names) if self.vanishes => {
                names.iter().all(|name| source.find_family(name).is_none()) && !stopped()
            }
            _ => false,
        }
    }

    /// The expression.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The text that it was parsed from; every [`Span`] refers to it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The families that it reads.
    pub fn reads(&self) -> &ReadSet {
        &self.reads
    }

    /// Evaluates at one moment.
    ///
    /// # Errors
    ///
    /// What Prometheus refuses too: ambiguous matches, invalid parameters, too many samples.
    pub fn eval_instant(
        &self,
        source: &dyn Source,
        at: TimeMs,
        options: &EvalOptions,
    ) -> Result<Evaluation, EvalError> {
        if self.finds_nothing(source, options) {
            return Ok(nothing());
        }
        eval::instant(self, source, at, options, Way::Columns(None))
    }

    /// As [`Plan::eval_instant`], sharing the values of its parts with other evaluations over the same
    /// state of the source. See [`SelectorCache`] for how long they may be shared.
    ///
    /// # Errors
    ///
    /// As [`Plan::eval_instant`].
    pub fn eval_instant_shared(
        &self,
        source: &dyn Source,
        at: TimeMs,
        options: &EvalOptions,
        cache: &mut SelectorCache,
    ) -> Result<Evaluation, EvalError> {
        if self.finds_nothing(source, options) {
            return Ok(nothing());
        }
        cache.enter(source);
        eval::instant(self, source, at, options, Way::Columns(Some(cache)))
    }

    /// As [`Plan::eval_instant`], by the plain evaluator alone: slow, obviously correct, and what
    /// tests compare with.
    ///
    /// # Errors
    ///
    /// As [`Plan::eval_instant`].
    pub fn eval_instant_plain(
        &self,
        source: &dyn Source,
        at: TimeMs,
        options: &EvalOptions,
    ) -> Result<Evaluation, EvalError> {
        eval::instant(self, source, at, options, Way::Plain)
    }

    /// As [`Plan::eval_instant`], and reports the value of every expression in it to `trace`, inner
    /// before outer. What stands inside a subquery is evaluated at other moments and not reported.
    ///
    /// # Errors
    ///
    /// As [`Plan::eval_instant`].
    pub fn eval_traced(
        &self,
        source: &dyn Source,
        at: TimeMs,
        options: &EvalOptions,
        trace: &mut dyn FnMut(&Expr, &Value),
    ) -> Result<Evaluation, EvalError> {
        eval::instant(self, source, at, options, Way::Traced(trace))
    }

    /// Evaluates at `start`, `start + step`, up to `end`; the value is a matrix sorted by labels.
    /// `step` is at least a millisecond.
    ///
    /// # Errors
    ///
    /// As [`Plan::eval_instant`], and where the expression is no scalar or instant vector.
    pub fn eval_range(
        &self,
        source: &dyn Source,
        start: TimeMs,
        end: TimeMs,
        step: Duration,
        options: &EvalOptions,
    ) -> Result<Evaluation, EvalError> {
        eval::range(self, source, start, end, step, options, Way::Columns(None))
    }

    /// As [`Plan::eval_range`], by the plain evaluator alone, as [`Plan::eval_instant_plain`].
    ///
    /// # Errors
    ///
    /// As [`Plan::eval_range`].
    pub fn eval_range_plain(
        &self,
        source: &dyn Source,
        start: TimeMs,
        end: TimeMs,
        step: Duration,
        options: &EvalOptions,
    ) -> Result<Evaluation, EvalError> {
        eval::range(self, source, start, end, step, options, Way::Plain)
    }
}

fn reads(expr: &Expr) -> ReadSet {
    let mut names = BTreeSet::new();
    expr.walk(&mut |expr| {
        if let ExprKind::Call(call) = &expr.kind
            && call.function.name == "info"
            && call.args.len() == 1
        {
            names.insert("target_info".to_owned());
        }
    });
    for (_, selector) in expr.selectors() {
        // With two names nothing is read, with one of them too few are missed: any one will do.
        match selector.matchers.iter().find_map(|matcher| matcher.fixed_metric_name()) {
            Some(name) => names.insert(name.to_owned()),
            None => return ReadSet::All,
        };
    }
    ReadSet::Names(names)
}

fn nothing() -> Evaluation {
    Evaluation { value: Value::Vector(Vec::new()), annotations: Annotations::default() }
}

/// The parts of an expression whose values are worth keeping: what costs more than looking it up.
fn shareable(expr: &Expr) -> HashMap<Span, Arc<Shareable>> {
    let mut found: Vec<(Span, &Expr, Arc<str>)> = Vec::new();
    expr.walk(&mut |expr| {
        let is_worth = match &expr.kind {
            ExprKind::Aggregate(_) => true,
            ExprKind::Call(_) => expr.value_type() == ValueType::Vector,
            ExprKind::Binary(binary) => binary.matching.is_some(),
            _ => false,
        };
        if is_worth && !expr.selectors().is_empty() {
            found.push((expr.span, expr, expr.to_string().into()));
        }
    });
    let mut seen: HashSet<&str> = HashSet::new();
    let mut repeated: HashSet<&str> = HashSet::new();
    let mut skipped = Span::default();
    for (span, _, text) in &found {
        // What stands within a part that is there already is not asked for a second time.
        if span.end > skipped.end && !seen.insert(text) {
            repeated.insert(text);
            skipped = *span;
        }
    }
    let part = |(span, expr, text): &(Span, &Expr, Arc<str>)| {
        let (text, reads) = (text.clone(), Arc::new(reads(expr)));
        let repeated = repeated.contains(&*text);
        (*span, Arc::new(Shareable { text, reads, repeated }))
    };
    found.iter().map(part).collect()
}

/// Whether an expression whose selectors all select nothing is an empty vector, whatever else it
/// says, and without a note or an error. What is not obviously so is not.
fn vanishes(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Selector(selector) => selector.offset_expr.is_none(),
        ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => vanishes(inner),
        ExprKind::Aggregate(aggregate) => {
            use AggregateOp::{Avg, Count, Group, Max, Min, Stddev, Stdvar, Sum};
            matches!(aggregate.op, Sum | Avg | Count | Min | Max | Group | Stddev | Stdvar)
                && vanishes(&aggregate.expr)
        }
        ExprKind::Binary(binary) => {
            let (left, right) = (&binary.lhs, &binary.rhs);
            match &binary.matching {
                Some(matching) => {
                    matching.fill == Fill::default() && vanishes(left) && vanishes(right)
                }
                None => {
                    vanishes(left) && is_constant(right) || is_constant(left) && vanishes(right)
                }
            }
        }
        ExprKind::Call(call) => match call.function.name {
            "abs" | "ceil" | "floor" | "exp" | "ln" | "log2" | "log10" | "sqrt" | "timestamp" => {
                call.args.iter().all(vanishes)
            }
            "avg_over_time" | "changes" | "count_over_time" | "delta" | "deriv" | "idelta"
            | "increase" | "irate" | "last_over_time" | "max_over_time" | "min_over_time"
            | "rate" | "resets" | "stddev_over_time" | "sum_over_time" => {
                call.args.iter().all(|arg| match &eval::unwrap_parens(arg).kind {
                    ExprKind::Range(range) => {
                        let selector = &range.selector;
                        range.range_expr.is_none()
                            && selector.offset_expr.is_none()
                            && selector.extent.is_none()
                    }
                    _ => false,
                })
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether an expression is a number made of numbers alone.
fn is_constant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } => true,
        ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => is_constant(inner),
        ExprKind::Binary(binary) => is_constant(&binary.lhs) && is_constant(&binary.rhs),
        _ => false,
    }
}
