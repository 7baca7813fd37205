//! The part of the language that columns know.

use crate::ast::Fill;
use crate::eval::math::unary_function;
use crate::eval::over_time::range_function;
use crate::eval::time::calendar_function;
use crate::eval::unwrap_parens;
use crate::{AggregateOp, BinaryOp, Expr, ExprKind};

/// Whether `expr` and all that is in it can be evaluated by columns.
pub(super) fn supports(expr: &Expr) -> bool {
    let known = match &expr.kind {
        ExprKind::Number { .. } => true,
        ExprKind::Selector(selector) => selector.extent.is_none(),
        ExprKind::Paren(_) | ExprKind::Unary(..) => true,
        ExprKind::Binary(binary) => {
            let trims = matches!(binary.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
            let matching = binary.matching.as_ref();
            !trims && matching.is_none_or(|matching| matching.fill == Fill::default())
        }
        // Of these two the labels or the choice depend on texts that are not the source's.
        ExprKind::Aggregate(aggregate) => {
            !matches!(aggregate.op, AggregateOp::CountValues | AggregateOp::LimitRatio)
        }
        ExprKind::Call(call) => supports_call(call.function.name),
        // Range vectors that are arguments of functions that columns know.
        ExprKind::Range(range) => range.selector.extent.is_none(),
        ExprKind::Subquery(_) | ExprKind::String(_) => false,
    };
    known && expr.children().into_iter().all(|child| supports(unwrap_parens(child)))
}

fn supports_call(name: &str) -> bool {
    match name {
        "pi" | "time" | "scalar" | "vector" | "timestamp" | "absent" | "absent_over_time"
        | "sort" | "sort_desc" | "clamp" | "clamp_min" | "clamp_max" | "round"
        | "histogram_quantile" => true,
        // Its parameters have bounds of their own.
        "double_exponential_smoothing" => false,
        _ => {
            unary_function(name).is_some()
                || calendar_function(name).is_some()
                || range_function(name).is_some()
        }
    }
}
