//! The evaluator by columns.
//!
//! ```text
//! selector --> rows and newest values (two flat arrays) --> operators on Vector --> Element
//!              one pass, survivors only                     symbols, no texts       labels, origins
//! ```
//!
//! It knows the part of the language that rules spend their time in and yields, to the bit and in
//! the same order, what the plain evaluator (`eval`) yields. It has no errors of its own: whatever
//! it does not know ([`supports`]), and whatever ends in an error or a rare warning, it *declines*,
//! and the plain evaluator, which has the words for it, is asked. Of an expression that it knows in
//! parts only, the plain evaluator asks for these parts ([`Columns::part`], [`Columns::steps`]).
//!
//! # Invariants
//!
//! - What is not declined is equal to the plain evaluator's in values, order, labels, annotations,
//!   and the rows of its origins; the property test `columnar` holds this.
//! - The samples in use are counted as there, so that `samples_max` refuses the same expressions.
//! - Equal symbols are equal texts. Texts that are not the source's (`label_replace`) stay outside.
//!
//! Not here: native histograms, late removal of names, the trace of a traced evaluation.

mod aggregate;
mod binary;
mod call;
mod index;
mod labels;
mod rows;
mod select;
mod shared;
mod steps;
mod support;
#[cfg(test)]
mod tests;
mod vector;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use paramedic_model::TimeMs;

use crate::eval::Query;
use crate::{
    Annotations, Element, EvalOptions, Expr, ExprKind, Plan, Selector, Severity, Source, Span,
    UnaryOp, Value,
};

use labels::Labeller;
use rows::Segment;
pub use shared::SelectorCache;
use support::supports;
use vector::Vector;

/// Columns cannot say it: the plain evaluator must.
#[derive(Debug)]
struct Declined;

type Result<T, E = Declined> = std::result::Result<T, E>;

/// A value by columns.
#[derive(Debug)]
enum Val {
    Scalar(f64),
    Vector(Vector),
}

/// One evaluation by columns.
pub(crate) struct Columns<'a> {
    plan: &'a Plan,
    source: &'a dyn Source,
    options: &'a EvalOptions,
    query: Query,
    annotations: Annotations,
    /// How many notes were made, those made again included.
    noted: usize,
    /// How many samples the values in use hold.
    held: usize,
    /// How many there were at most.
    peak: Cell<usize>,
    /// Whether the same expression is evaluated at several moments.
    stepping: bool,
    /// The rows of each selector: looked up once per evaluation.
    rows: HashMap<*const Selector, Arc<[Segment]>>,
    /// Values that this evaluation shares with others.
    cache: Option<&'a mut SelectorCache>,
    /// Values that it has in several places, where it shares none.
    own: SelectorCache,
    /// Whether columns know an expression: what [`supports`] says, until they decline it.
    known: HashMap<*const Expr, bool>,
}

impl<'a> Columns<'a> {
    pub fn new(
        plan: &'a Plan,
        source: &'a dyn Source,
        options: &'a EvalOptions,
        query: Query,
        cache: Option<&'a mut SelectorCache>,
    ) -> Self {
        Self {
            plan,
            source,
            options,
            query,
            annotations: Annotations::default(),
            noted: 0,
            held: 0,
            peak: Cell::new(0),
            stepping: false,
            rows: HashMap::new(),
            cache,
            own: SelectorCache::default(),
            known: HashMap::new(),
        }
    }

    /// What to say about the values that were not declined.
    pub fn annotations(self) -> Annotations {
        self.annotations
    }

    /// The value of the whole expression at one moment.
    pub fn whole(&mut self, expr: &Expr, at: TimeMs) -> Option<Value> {
        match self.attempt(expr, 0, |columns| columns.eval(expr, at))? {
            Val::Scalar(value) => Some(Value::Scalar(value)),
            Val::Vector(vector) if vector.is_distinct(self.source) => {
                Some(Value::Vector(self.elements(&vector)))
            }
            Val::Vector(_) => None,
        }
    }

    /// The elements of an instant vector in a larger expression, around which `held` samples are in
    /// use; `stepping` says whether it is evaluated at other moments, too.
    pub fn part(
        &mut self,
        expr: &Expr,
        at: TimeMs,
        held: usize,
        stepping: bool,
    ) -> Option<Vec<Element>> {
        if matches!(expr.kind, ExprKind::Number { .. } | ExprKind::String(_)) {
            return None;
        }
        self.stepping = stepping;
        match self.attempt(expr, held, |columns| columns.eval(expr, at))? {
            Val::Scalar(_) => None,
            Val::Vector(vector) => Some(self.elements(&vector)),
        }
    }

    /// Runs `evaluate` where columns know `expr`.
    fn attempt<T>(
        &mut self,
        expr: &Expr,
        held: usize,
        evaluate: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Option<T> {
        // A name that goes late stays in the labels until the end: columns drop it at once.
        if self.options.delayed_name_removal || !self.knows(expr) {
            return None;
        }
        self.held = held;
        evaluate(self).ok()
    }

    fn knows(&mut self, expr: &Expr) -> bool {
        let key = std::ptr::from_ref(expr);
        *self.known.entry(key).or_insert_with(|| supports(expr))
    }

    fn elements(&self, vector: &Vector) -> Vec<Element> {
        let mut labeller = Labeller::new(self.source);
        let element = |at: usize| {
            let labels = labeller.labels(vector, at);
            Element::number(labels, vector.values[at], vector.origins_of(at))
        };
        (0..vector.len()).map(element).collect()
    }

    fn annotate(&mut self, severity: Severity, span: Span, message: String) {
        self.noted += 1;
        self.annotations.add(severity, message, span, self.plan.text());
    }

    /// Declines where more samples would be in use than allowed.
    fn check_held(&self, more: usize) -> Result<()> {
        self.peak.set(self.peak.get().max(self.held + more));
        if self.held + more > self.options.samples_max { Err(Declined) } else { Ok(()) }
    }

    /// Declines where the evaluation is to stop.
    fn check_stopped(&self) -> Result<()> {
        let stop = self.options.stop.as_ref();
        if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) { Err(Declined) } else { Ok(()) }
    }

    fn eval(&mut self, expr: &Expr, at: TimeMs) -> Result<Val> {
        let Some(asked) = self.shareable(expr) else { return self.eval_anew(expr, at) };
        if let Some(known) = self.recall(&asked, at) {
            return Ok(known);
        }
        let (held, noted, peak) = (self.held, self.noted, self.peak.replace(self.held));
        let found = self.eval_anew(expr, at)?;
        if self.noted == noted {
            self.keep(&asked, &found, self.peak.get() - held);
        }
        self.peak.set(self.peak.get().max(peak));
        Ok(found)
    }

    fn eval_anew(&mut self, expr: &Expr, at: TimeMs) -> Result<Val> {
        let found = self.value(expr, at);
        if found.is_err() {
            // Asked again, it would decline again. Its other parts may still be asked for.
            self.known.insert(std::ptr::from_ref(expr), false);
        }
        found
    }

    fn value(&mut self, expr: &Expr, at: TimeMs) -> Result<Val> {
        self.check_stopped()?;
        let held_before = self.held;
        let value = match &expr.kind {
            ExprKind::Number { value, .. } => Val::Scalar(*value),
            ExprKind::Selector(selector) => Val::Vector(self.instant_vector(selector, at)?),
            ExprKind::Paren(inner) => self.eval(inner, at)?,
            ExprKind::Unary(op, inner) => self.unary(*op, inner, at)?,
            ExprKind::Binary(binary) => self.binary(binary, at)?,
            ExprKind::Aggregate(aggregate) => Val::Vector(self.aggregate(aggregate, at)?),
            ExprKind::Call(call) => self.call(call, at)?,
            ExprKind::String(_) | ExprKind::Range(_) | ExprKind::Subquery(_) => {
                return Err(Declined);
            }
        };
        self.held = held_before;
        if let Val::Vector(vector) = &value {
            self.check_held(vector.len())?;
            self.held += vector.len();
        }
        Ok(value)
    }

    fn scalar(&mut self, expr: &Expr, at: TimeMs) -> Result<f64> {
        match self.eval(expr, at)? {
            Val::Scalar(value) => Ok(value),
            Val::Vector(_) => Err(Declined),
        }
    }

    fn vector(&mut self, expr: &Expr, at: TimeMs) -> Result<Vector> {
        match self.eval(expr, at)? {
            Val::Vector(vector) => Ok(vector),
            Val::Scalar(_) => Err(Declined),
        }
    }

    fn unary(&mut self, op: UnaryOp, inner: &Expr, at: TimeMs) -> Result<Val> {
        match (op, self.eval(inner, at)?) {
            (UnaryOp::Plus, value) => Ok(value),
            (UnaryOp::Minus, Val::Scalar(value)) => Ok(Val::Scalar(-value)),
            (UnaryOp::Minus, Val::Vector(vector)) => {
                Ok(Val::Vector(self.map(vector, |value| -value)?))
            }
        }
    }

    /// The elements with other values and without their metric names.
    fn map(&self, mut vector: Vector, apply: impl Fn(f64) -> f64) -> Result<Vector> {
        for value in &mut vector.values {
            *value = apply(*value);
        }
        vector.drop_names(self.source);
        self.distinct(vector)
    }

    /// Declines where two elements have one label set.
    fn distinct(&self, vector: Vector) -> Result<Vector> {
        if vector.is_distinct(self.source) { Ok(vector) } else { Err(Declined) }
    }
}
