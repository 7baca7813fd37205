//! An operation on two elements, numbers or native histograms.

use std::sync::Arc;

use paramedic_model::{Histogram, ResetHint, histogram_nan};

use super::binary::operate;
use super::{Evaluator, Item};
use crate::histogram::{HistogramSum, divided, same, scaled, trim};
use crate::{BinaryOp, Severity, Span};

/// One side of an operation.
#[derive(Clone, Copy)]
pub(super) struct Operand<'i> {
    value: f64,
    histogram: Option<&'i Arc<Histogram>>,
}

impl Operand<'_> {
    pub fn number(value: f64) -> Self {
        Self { value, histogram: None }
    }

    fn kind(&self) -> &'static str {
        if self.histogram.is_some() { "histogram" } else { "float" }
    }
}

impl Item {
    pub(super) fn operand(&self) -> Operand<'_> {
        Operand { value: self.value, histogram: self.histogram.as_ref() }
    }
}

/// What an operation yields: of a comparison the left side, and whether it holds.
pub(super) struct Combined {
    pub value: f64,
    pub histogram: Option<Arc<Histogram>>,
    pub holds: bool,
}

/// What there is to say about one operation: as in Prometheus, the last thing only.
#[derive(Default)]
pub(super) struct Notes(Option<(Severity, String)>);

impl Evaluator<'_> {
    pub(super) fn take_notes(&mut self, notes: Notes, span: Span) {
        if let Some((severity, message)) = notes.0 {
            self.annotate(severity, span, message);
        }
    }
}

fn of_histogram(histogram: Histogram) -> Option<Combined> {
    let histogram = Some(Arc::new(histogram));
    Some(Combined { value: histogram_nan(), histogram, holds: true })
}

/// `None`, with a note, where the operation is not defined for operands of these kinds.
pub(super) fn combine(
    op: BinaryOp,
    left: Operand<'_>,
    right: Operand<'_>,
    notes: &mut Notes,
) -> Option<Combined> {
    let trims = matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
    match (left.histogram, right.histogram, op) {
        (None, None, _) if !trims => {
            let (value, holds) = operate(op, left.value, right.value);
            Some(Combined { value, histogram: None, holds })
        }
        (None, Some(histogram), BinaryOp::Mul) => of_histogram(scaled(histogram, left.value)),
        (Some(histogram), None, BinaryOp::Mul) => of_histogram(scaled(histogram, right.value)),
        (Some(histogram), None, BinaryOp::Div) => of_histogram(divided(histogram, right.value)),
        (Some(histogram), None, _) if trims => {
            of_histogram(trim(histogram, right.value, op == BinaryOp::TrimUpper))
        }
        (Some(left), Some(right), BinaryOp::Add | BinaryOp::Sub) => join(op, left, right, notes),
        (Some(histogram), Some(right), BinaryOp::Eq | BinaryOp::Ne) => Some(Combined {
            value: left.value,
            histogram: Some(histogram.clone()),
            holds: same(histogram, right) == (op == BinaryOp::Eq),
        }),
        _ => {
            let (name, left, right) = (op.name(), left.kind(), right.kind());
            let message = format!(
                "incompatible sample types encountered for binary operator {name:?}: {left} \
                 {name} {right}"
            );
            notes.0 = Some((Severity::Info, message));
            None
        }
    }
}

fn join(op: BinaryOp, left: &Histogram, right: &Histogram, notes: &mut Notes) -> Option<Combined> {
    let mut sum = HistogramSum::of(left);
    let (joined, operation) = match op {
        BinaryOp::Add => (sum.add(right), "addition"),
        _ => (sum.subtract(right), "subtraction"),
    };
    let Ok(joined) = joined else {
        let message =
            format!("incompatible bucket layout encountered for binary operator {}", op.name());
        notes.0 = Some((Severity::Warning, message));
        return None;
    };
    if joined.resets_conflict {
        let message = format!("conflicting counter resets during histogram {operation}");
        notes.0 = Some((Severity::Warning, message));
    }
    if joined.bounds_differ {
        let message = format!("mismatched custom buckets were reconciled during {operation}");
        notes.0 = Some((Severity::Info, message));
    }
    let mut histogram = sum.histogram();
    if op == BinaryOp::Sub {
        histogram.reset_hint = ResetHint::Gauge;
    }
    of_histogram(histogram)
}
