//! The plain evaluator.

use std::time::Duration;

use paramedic_model::TimeMs;

use crate::{EvalError, EvalOptions, Evaluation, Expr, Plan, Source, Value};

pub(crate) fn check_supported(_expr: &Expr, _text: &str) -> Result<(), EvalError> {
    Ok(())
}

pub(crate) fn instant(
    plan: &Plan,
    _source: &dyn Source,
    _at: TimeMs,
    _options: &EvalOptions,
    _trace: Option<&mut dyn FnMut(&Expr, &Value)>,
) -> Result<Evaluation, EvalError> {
    Err(EvalError::new(plan.expr().span, "not supported yet".to_owned(), plan.text()))
}

pub(crate) fn range(
    plan: &Plan,
    _source: &dyn Source,
    _start: TimeMs,
    _end: TimeMs,
    _step: Duration,
    _options: &EvalOptions,
) -> Result<Evaluation, EvalError> {
    Err(EvalError::new(plan.expr().span, "not supported yet".to_owned(), plan.text()))
}
