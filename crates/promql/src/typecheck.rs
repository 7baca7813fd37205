//! What a tree must satisfy beyond the grammar: types, matching, arguments. Texts are Prometheus's.

use paramedic_model::METRIC_NAME;

use crate::ast::{AggregateExpr, BinaryExpr, CallExpr};
use crate::{BinaryOp, Cardinality, Expr, ExprKind, Fill, ParseError, Selector, Span, ValueType};

type Result<T = ()> = std::result::Result<T, ParseError>;

/// Checks `expr`, and settles how its vectors match: only two vectors do, set operators
/// many-to-many.
pub(crate) fn check(expr: &mut Expr, text: &str) -> Result {
    Checker { text }.expr(expr).map(|_| ())
}

struct Checker<'a> {
    text: &'a str,
}

impl Checker<'_> {
    fn fail<T>(&self, span: Span, message: impl Into<String>) -> Result<T> {
        Err(ParseError::new(span, message, self.text))
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, context: &str) -> Result {
        let found = self.expr(expr)?;
        if found == wanted {
            return Ok(());
        }
        let (wanted, found) = (wanted.documented(), found.documented());
        self.fail(expr.span, format!("expected type {wanted} in {context}, got {found}"))
    }

    fn expr(&self, expr: &mut Expr) -> Result<ValueType> {
        let (span, value_type) = (expr.span, expr.value_type());
        match &mut expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => {}
            ExprKind::Selector(selector) => self.selector(span, selector)?,
            ExprKind::Range(range) => self.selector(range.selector_span, &range.selector)?,
            ExprKind::Subquery(subquery) => {
                let found = self.expr(&mut subquery.expr)?;
                if found != ValueType::Vector {
                    let found = found.name();
                    let message =
                        format!("subquery is only allowed on instant vector, got {found} instead");
                    return self.fail(span, message);
                }
            }
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate)?,
            ExprKind::Binary(binary) => self.binary(span, binary)?,
            ExprKind::Paren(inner) => {
                self.expr(inner)?;
            }
            ExprKind::Unary(_, inner) => {
                let found = self.expr(inner)?;
                if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant \
                         vector, got {:?}",
                        found.documented()
                    );
                    return self.fail(span, message);
                }
            }
            ExprKind::Call(call) => self.call(span, call)?,
        }
        Ok(value_type)
    }

    fn selector(&self, span: Span, selector: &Selector) -> Result {
        if let Some(name) = &selector.name {
            // The last matcher is that of the name before the braces.
            let others = &selector.matchers[..selector.matchers.len() - 1];
            if let Some(other) = others.iter().find(|matcher| matcher.name() == METRIC_NAME) {
                let other = other.value();
                let message = format!("metric name must not be set twice: {name:?} or {other:?}");
                return self.fail(span, message);
            }
        } else if selector.matchers.iter().all(|matcher| matcher.matches("")) {
            return self.fail(span, "vector selector must contain at least one non-empty matcher");
        }
        Ok(())
    }

    fn aggregate(&self, aggregate: &mut AggregateExpr) -> Result {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
        if let (Some(param), Some(wanted)) = (&mut aggregate.param, aggregate.op.param_type()) {
            self.expect(param, wanted, "aggregation parameter")?;
        }
        Ok(())
    }

    fn binary(&self, span: Span, binary: &mut BinaryExpr) -> Result {
        let (op, op_span) = (binary.op, binary.op_span);
        let left = self.expr(&mut binary.lhs)?;
        let right = self.expr(&mut binary.rhs)?;
        if binary.return_bool && !op.is_comparison() {
            return self.fail(op_span, "bool modifier can only be used on comparison operators");
        }
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if op.is_comparison() && !binary.return_bool && scalars {
            return self.fail(op_span, "comparisons between scalars must use BOOL modifier");
        }
        if let Some(matching) = &binary.matching {
            let both = |label: &&String| matching.on && matching.include.contains(label);
            if let Some(label) = matching.labels.iter().find(both) {
                let message =
                    format!("label {label:?} must not occur in ON and GROUP clause at once");
                return self.fail(op_span, message);
            }
        }
        for (side, found) in [(&binary.lhs, left), (&binary.rhs, right)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.fail(side.span, message);
            }
        }
        let vectors = left == ValueType::Vector && right == ValueType::Vector;
        self.matching(span, binary, vectors)?;
        if op.is_set() && !vectors {
            let op = op.name();
            let message = format!("set operator {op:?} not allowed in binary scalar expression");
            return self.fail(span, message);
        }
        if matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) && scalars {
            let op = op.name();
            return self.fail(op_span, format!("operator {op:?} not allowed between scalars"));
        }
        Ok(())
    }

    fn matching(&self, span: Span, binary: &mut BinaryExpr, vectors: bool) -> Result {
        let op = binary.op;
        let Some(matching) = &mut binary.matching else { return Ok(()) };
        let fills = matching.fill != Fill::default();
        if !vectors {
            if !matching.labels.is_empty() {
                return self.fail(span, "vector matching only allowed between instant vectors");
            }
            if fills {
                let message = "filling in missing series only allowed between instant vectors";
                return self.fail(span, message);
            }
            binary.matching = None;
        } else if op.is_set() {
            if matching.cardinality != Cardinality::OneToOne {
                let op = op.name();
                return self.fail(span, format!("no grouping allowed for {op:?} operation"));
            }
            if fills {
                let message = "filling in missing series not allowed for set operators";
                return self.fail(span, message);
            }
            matching.cardinality = Cardinality::ManyToMany;
        }
        Ok(())
    }

    fn call(&self, span: Span, call: &mut CallExpr) -> Result {
        let (function, given) = (call.function, call.args.len());
        let (name, listed) = (function.name, function.args.len());
        if function.variadic == 0 && given != listed {
            let message = format!("expected {listed} argument(s) in call to {name:?}, got {given}");
            return self.fail(span, message);
        }
        if function.variadic != 0 {
            let least = listed - 1;
            if given < least {
                let message = format!(
                    "expected at least {least} argument(s) in call to {name:?}, got {given}"
                );
                return self.fail(span, message);
            }
            let most = usize::try_from(function.variadic).ok().map(|more| least + more);
            if let Some(most) = most.filter(|most| given > *most) {
                let message =
                    format!("expected at most {most} argument(s) in call to {name:?}, got {given}");
                return self.fail(span, message);
            }
        }
        for (index, arg) in call.args.iter_mut().enumerate() {
            if name == "info" && index == 1 {
                self.info_labels(arg)?;
                continue;
            }
            let wanted = function.args[index.min(listed - 1)];
            let found = self.expr(arg)?;
            if found != wanted {
                let (wanted, found) = (wanted.documented(), found.documented());
                let message =
                    format!("expected type {wanted} in call to function {name:?}, got {found}");
                return self.fail(arg.span, message);
            }
        }
        Ok(())
    }

    /// The second argument of `info` names labels, not series: it may match the empty label set.
    fn info_labels(&self, arg: &Expr) -> Result {
        match &arg.kind {
            ExprKind::Selector(selector) if selector.name.is_none() => Ok(()),
            ExprKind::Selector(_) => {
                self.fail(arg.span, "expected label selectors only, got vector selector instead")
            }
            _ => self.fail(arg.span, "expected label selectors only"),
        }
    }
}
