//! The tree of an expression, each node with the bytes that it came from.

use std::time::Duration;

use paramedic_model::TimeMs;

use crate::{DurationExpr, Function, Matcher, Span, Text};

/// An expression that parsed and whose types fit.
///
/// It prints in Prometheus's normalised form (`Display`).
#[derive(Clone, Debug)]
pub struct Expr {
    /// Where it stands in the text.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

/// The kinds of expression.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number.
    Number {
        /// The value; a duration in seconds.
        value: f64,
        /// Whether it was written as a duration (`5m`), and prints as one.
        is_duration: bool,
    },
    /// A string, unquoted.
    String(Text),
    /// `name{matchers}`: an instant vector.
    Selector(Box<Selector>),
    /// `name{matchers}[5m]`: a range vector.
    Range(Box<RangeExpr>),
    /// `expr[1h:1m]`: a range vector of evaluations.
    Subquery(Box<SubqueryExpr>),
    /// `sum by (a) (expr)`.
    Aggregate(Box<AggregateExpr>),
    /// `a + on (b) c`.
    Binary(Box<BinaryExpr>),
    /// `-expr` or `+expr`.
    Unary(UnaryOp, Box<Expr>),
    /// `(expr)`.
    Paren(Box<Expr>),
    /// `rate(expr)`.
    Call(CallExpr),
}

/// The types of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// A text.
    String,
    /// One sample per series.
    Vector,
    /// Samples over a range per series.
    Matrix,
}

impl ValueType {
    /// Prometheus's word in messages: `instant vector`.
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }

    /// Prometheus's word in the API's `resultType`: `vector`.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
        }
    }
}

/// A set of series, and how far from the moment of evaluation to look.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The metric name where it stands before the braces; `matchers` has it too, as the last one.
    pub name: Option<String>,
    /// What the labels must satisfy, the name included.
    pub matchers: Vec<Matcher>,
    /// `offset`, in milliseconds into the past; negative looks ahead.
    pub offset_ms: i64,
    /// The offset where it depends on the query.
    pub offset_expr: Option<Box<DurationExpr>>,
    /// `@`.
    pub at: Option<At>,
    /// `anchored` or `smoothed`.
    pub extent: Option<RangeExtent>,
}

/// The `@` modifier: the moment that a selector or subquery is evaluated at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A fixed moment.
    Time(TimeMs),
    /// `start()`: the first moment of a range query.
    Start,
    /// `end()`: the last.
    End,
}

/// The experimental modifiers that let a range reach beyond its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeExtent {
    /// `anchored`.
    Anchored,
    /// `smoothed`.
    Smoothed,
}

/// `selector[range]`.
#[derive(Clone, Debug)]
pub struct RangeExpr {
    /// The series.
    pub selector: Selector,
    /// Where the selector alone stands.
    pub selector_span: Span,
    /// How far back; above zero.
    pub range: Duration,
    /// The same where it depends on the query.
    pub range_expr: Option<Box<DurationExpr>>,
}

/// `expr[range:step]`.
#[derive(Clone, Debug)]
pub struct SubqueryExpr {
    /// What is evaluated at each step: an instant vector.
    pub expr: Expr,
    /// How far back; above zero.
    pub range: Duration,
    /// The same where it depends on the query.
    pub range_expr: Option<Box<DurationExpr>>,
    /// The distance of the evaluations; `None` where the default applies.
    pub step: Option<Duration>,
    /// The same where it depends on the query.
    pub step_expr: Option<Box<DurationExpr>>,
    /// `offset`, in milliseconds into the past.
    pub offset_ms: i64,
    /// The offset where it depends on the query.
    pub offset_expr: Option<Box<DurationExpr>>,
    /// `@`.
    pub at: Option<At>,
}

/// An aggregation over an instant vector.
#[derive(Clone, Debug)]
pub struct AggregateExpr {
    /// Which.
    pub op: AggregateOp,
    /// What.
    pub expr: Expr,
    /// `k` of `topk`, `φ` of `quantile`, the label of `count_values`.
    pub param: Option<Expr>,
    /// The groups.
    pub grouping: Grouping,
}

/// How elements are put into groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Elements with the same values of these labels; none given: one group.
    By(Vec<String>),
    /// Elements with the same values of all other labels.
    Without(Vec<String>),
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `count`
    Count,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `topk`
    Topk,
    /// `bottomk`
    Bottomk,
    /// `count_values`
    CountValues,
    /// `quantile`
    Quantile,
    /// `limitk`, experimental
    Limitk,
    /// `limit_ratio`, experimental
    LimitRatio,
}

impl AggregateOp {
    /// Every aggregation.
    pub const ALL: [AggregateOp; 14] = [
        AggregateOp::Sum,
        AggregateOp::Avg,
        AggregateOp::Count,
        AggregateOp::Min,
        AggregateOp::Max,
        AggregateOp::Group,
        AggregateOp::Stddev,
        AggregateOp::Stdvar,
        AggregateOp::Topk,
        AggregateOp::Bottomk,
        AggregateOp::CountValues,
        AggregateOp::Quantile,
        AggregateOp::Limitk,
        AggregateOp::LimitRatio,
    ];

    /// The word of the language.
    pub fn name(self) -> &'static str {
        match self {
            AggregateOp::Sum => "sum",
            AggregateOp::Avg => "avg",
            AggregateOp::Count => "count",
            AggregateOp::Min => "min",
            AggregateOp::Max => "max",
            AggregateOp::Group => "group",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Topk => "topk",
            AggregateOp::Bottomk => "bottomk",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Quantile => "quantile",
            AggregateOp::Limitk => "limitk",
            AggregateOp::LimitRatio => "limit_ratio",
        }
    }

    /// The type of the parameter, where there is one.
    pub fn param_type(self) -> Option<ValueType> {
        match self {
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Quantile
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => Some(ValueType::Scalar),
            AggregateOp::CountValues => Some(ValueType::String),
            _ => None,
        }
    }

    /// Whether Prometheus has it only behind a feature flag.
    pub fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::Limitk | AggregateOp::LimitRatio)
    }
}

/// An operation on two expressions.
#[derive(Clone, Debug)]
pub struct BinaryExpr {
    /// Which.
    pub op: BinaryOp,
    /// Where the operator itself stands.
    pub op_span: Span,
    /// The left side.
    pub lhs: Expr,
    /// The right side.
    pub rhs: Expr,
    /// Whether a comparison yields 0 and 1 in place of filtering.
    pub return_bool: bool,
    /// How elements find each other; `None` unless both sides are vectors.
    pub matching: Option<VectorMatching>,
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
    /// `</`, on native histograms
    TrimUpper,
    /// `>/`, on native histograms
    TrimLower,
}

impl BinaryOp {
    /// The sign or word of the language.
    pub fn name(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
        }
    }

    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
        )
    }

    /// Whether it is `and`, `or` or `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }

    /// How strongly it binds; more binds stronger.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            op if op.is_comparison() => 3,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Pow => 6,
            _ => 5,
        }
    }
}

/// The unary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// How many elements of one side meet how many of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Each meets at most one.
    OneToOne,
    /// `group_left`: the left side is the many.
    ManyToOne,
    /// `group_right`: the right side is the many.
    OneToMany,
    /// The set operators.
    ManyToMany,
}

/// How the elements of two vectors find each other.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorMatching {
    /// How many meet.
    pub cardinality: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether `labels` are those of `on`.
    pub on: bool,
    /// The labels of `group_left` or `group_right`, taken over from the one side.
    pub include: Vec<String>,
    /// What stands in for an element that has no partner.
    pub fill: Fill,
}

/// The experimental `fill` modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Fill {
    /// For a missing left side.
    pub left: Option<f64>,
    /// For a missing right side.
    pub right: Option<f64>,
}

/// A call of a function.
#[derive(Clone, Debug)]
pub struct CallExpr {
    /// Which.
    pub function: &'static Function,
    /// The arguments as written; those left out are not there.
    pub args: Vec<Expr>,
}

impl Expr {
    /// The type of the value that it evaluates to.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Range(_) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Binary(binary) => {
                let scalar = |side: &Expr| side.value_type() == ValueType::Scalar;
                if scalar(&binary.lhs) && scalar(&binary.rhs) {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => inner.value_type(),
            ExprKind::Call(call) => call.function.returns,
        }
    }

    /// The expressions directly below this one, in the order of the text.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number { .. }
            | ExprKind::String(_)
            | ExprKind::Selector(_)
            | ExprKind::Range(_) => Vec::new(),
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
            ExprKind::Aggregate(aggregate) => {
                aggregate.param.iter().chain([&aggregate.expr]).collect()
            }
            ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => vec![inner],
            ExprKind::Call(call) => call.args.iter().collect(),
        }
    }

    /// Calls `visit` on this expression and on every one below it, outer before inner.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The selectors in it, those of range vectors included, each with its place.
    pub fn selectors(&self) -> Vec<(Span, &Selector)> {
        let mut selectors = Vec::new();
        self.walk(&mut |expr| match &expr.kind {
            ExprKind::Selector(selector) => selectors.push((expr.span, &**selector)),
            ExprKind::Range(range) => selectors.push((range.selector_span, &range.selector)),
            _ => {}
        });
        selectors
    }
}
