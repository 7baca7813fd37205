//! What parses and cannot be evaluated yet.

use crate::{EvalError, Expr, ExprKind};

/// Functions that are to come.
const MISSING_FUNCTIONS: [&str; 1] = ["start_timestamp"];

/// Fails at the first part of `expr` that the evaluator does not know.
pub(crate) fn check_supported(expr: &Expr, text: &str) -> Result<(), EvalError> {
    if let Some(missing) = missing(expr) {
        let message = format!("{missing} is not supported yet");
        return Err(EvalError::new(expr.span, message, text));
    }
    expr.children().into_iter().try_for_each(|child| check_supported(child, text))
}

fn missing(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Call(call) if MISSING_FUNCTIONS.contains(&call.function.name) => {
            Some(format!("function {:?}", call.function.name))
        }
        _ => None,
    }
}
