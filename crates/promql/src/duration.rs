//! Arithmetic on durations: `[5m + step()]`, `offset min_of(step(), 1m)`.
//!
//! What is known when the text is parsed is computed then. An expression with `step()` or `range()`
//! waits for the query: [`resolve`] puts its value in before anything is evaluated.

use std::fmt;
use std::time::Duration;

use paramedic_model::format_duration;

use crate::print::format_number;
use crate::{BinaryOp, EvalError, Expr, ExprKind, Selector, Span};

/// A duration that depends on the query. Experimental in Prometheus.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// Seconds, written as a number or as a duration.
    Seconds {
        /// How many.
        value: f64,
        /// Whether it is written as a duration.
        is_duration: bool,
    },
    /// `step()`: the step of the query, 0 of an instant query.
    Step,
    /// `range()`: from the first moment of the query to the last.
    Range,
    /// A sign change.
    Negate(Box<DurationExpr>),
    /// `+`, `-`, `*`, `/`, `%` or `^`.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `min_of(a, b)`.
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`.
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
}

impl DurationExpr {
    /// Its value in seconds.
    ///
    /// # Errors
    ///
    /// Where it divides by zero.
    pub(crate) fn seconds(&self, step: f64, range: f64) -> Result<f64, &'static str> {
        let value = |expr: &DurationExpr| expr.seconds(step, range);
        Ok(match self {
            DurationExpr::Seconds { value, .. } => *value,
            DurationExpr::Step => step,
            DurationExpr::Range => range,
            DurationExpr::Negate(inner) => -value(inner)?,
            DurationExpr::MinOf(a, b) => value(a)?.min(value(b)?),
            DurationExpr::MaxOf(a, b) => value(a)?.max(value(b)?),
            DurationExpr::Binary(op, a, b) => match (op, value(a)?, value(b)?) {
                (BinaryOp::Sub, a, b) => a - b,
                (BinaryOp::Mul, a, b) => a * b,
                (BinaryOp::Div, _, 0.0) => return Err("division by zero"),
                (BinaryOp::Div, a, b) => a / b,
                (BinaryOp::Mod, _, 0.0) => return Err("modulo by zero"),
                (BinaryOp::Mod, a, b) => a % b,
                (BinaryOp::Pow, a, b) => a.powf(b),
                (_, a, b) => a + b,
            },
        })
    }

    /// Whether nothing in it depends on the query.
    pub(crate) fn is_constant(&self) -> bool {
        match self {
            DurationExpr::Seconds { .. } => true,
            DurationExpr::Step | DurationExpr::Range => false,
            DurationExpr::Negate(inner) => inner.is_constant(),
            DurationExpr::Binary(_, a, b)
            | DurationExpr::MinOf(a, b)
            | DurationExpr::MaxOf(a, b) => a.is_constant() && b.is_constant(),
        }
    }
}

impl fmt::Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DurationExpr::Seconds { value, is_duration: true } if *value >= 0.0 => {
                f.write_str(&format_duration(Duration::from_secs_f64(*value)))
            }
            DurationExpr::Seconds { value, .. } => f.write_str(&format_number(*value)),
            DurationExpr::Step => f.write_str("step()"),
            DurationExpr::Range => f.write_str("range()"),
            DurationExpr::Negate(inner) => write!(f, "-({inner})"),
            DurationExpr::Binary(op, a, b) => write!(f, "({a} {} {b})", op.name()),
            DurationExpr::MinOf(a, b) => write!(f, "min_of({a}, {b})"),
            DurationExpr::MaxOf(a, b) => write!(f, "max_of({a}, {b})"),
        }
    }
}

/// What Go's nanoseconds can hold.
const DURATION_SECONDS_MAX: f64 = (i64::MAX / 1_000_000_000) as f64;

/// Seconds as signed milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> Result<i64, &'static str> {
    if seconds.is_nan() || seconds.abs() > DURATION_SECONDS_MAX {
        return Err("duration out of range");
    }
    Ok((seconds * 1000.0).round() as i64)
}

/// Seconds as a duration, which must be above zero.
pub(crate) fn positive(seconds: f64) -> Result<Duration, &'static str> {
    let milliseconds = milliseconds(seconds)?;
    if seconds <= 0.0 {
        return Err("duration must be greater than 0");
    }
    Ok(Duration::from_millis(milliseconds.unsigned_abs()))
}

/// The step and the range of a query, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct QueryTimes<'t> {
    pub step: f64,
    pub range: f64,
    pub text: &'t str,
}

/// The expression with the values of its durations, or `None` where none depends on the query.
pub(crate) fn resolve(expr: &Expr, times: QueryTimes<'_>) -> Result<Option<Expr>, EvalError> {
    let mut depends = false;
    expr.walk(&mut |expr| {
        depends |= match &expr.kind {
            ExprKind::Selector(selector) => selector.offset_expr.is_some(),
            ExprKind::Range(range) => {
                range.range_expr.is_some() || range.selector.offset_expr.is_some()
            }
            ExprKind::Subquery(subquery) => {
                [&subquery.range_expr, &subquery.step_expr, &subquery.offset_expr]
                    .iter()
                    .any(|expr| expr.is_some())
            }
            _ => false,
        }
    });
    if !depends {
        return Ok(None);
    }
    let mut expr = expr.clone();
    times.put_into(&mut expr)?;
    Ok(Some(expr))
}

type Written = Option<Box<DurationExpr>>;

impl QueryTimes<'_> {
    fn value<T>(
        &self,
        written: &mut Written,
        span: Span,
        convert: fn(f64) -> Result<T, &'static str>,
    ) -> Result<Option<T>, EvalError> {
        let Some(expr) = written.take() else { return Ok(None) };
        let value = expr.seconds(self.step, self.range).and_then(convert);
        value.map(Some).map_err(|message| EvalError::new(span, message.to_owned(), self.text))
    }

    fn selector(&self, selector: &mut Selector, span: Span) -> Result<(), EvalError> {
        if let Some(offset) = self.value(&mut selector.offset_expr, span, milliseconds)? {
            selector.offset_ms = offset;
        }
        Ok(())
    }

    fn put_into(&self, expr: &mut Expr) -> Result<(), EvalError> {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => Ok(()),
            ExprKind::Selector(selector) => self.selector(selector, span),
            ExprKind::Range(range) => {
                if let Some(value) = self.value(&mut range.range_expr, span, positive)? {
                    range.range = value;
                }
                self.selector(&mut range.selector, span)
            }
            ExprKind::Subquery(subquery) => {
                if let Some(value) = self.value(&mut subquery.range_expr, span, positive)? {
                    subquery.range = value;
                }
                if let Some(value) = self.value(&mut subquery.step_expr, span, positive)? {
                    subquery.step = Some(value);
                }
                if let Some(value) = self.value(&mut subquery.offset_expr, span, milliseconds)? {
                    subquery.offset_ms = value;
                }
                self.put_into(&mut subquery.expr)
            }
            ExprKind::Aggregate(aggregate) => {
                if let Some(param) = &mut aggregate.param {
                    self.put_into(param)?;
                }
                self.put_into(&mut aggregate.expr)
            }
            ExprKind::Binary(binary) => {
                self.put_into(&mut binary.lhs)?;
                self.put_into(&mut binary.rhs)
            }
            ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => self.put_into(inner),
            ExprKind::Call(call) => call.args.iter_mut().try_for_each(|arg| self.put_into(arg)),
        }
    }
}
