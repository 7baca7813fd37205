//! Why an expression has the result that it has: the value of every part at one moment, and for a
//! part that is empty what emptied it.
//!
//! ```text
//! a == 0 and on (host) b
//! ├ a == 0            2 elements
//! │ └ a               5 elements
//! └ b                 3 elements     the label host has no value in common: left h1, h2; right x1
//! ```
//!
//! Not here: `for`, `keep_firing_for` and whatever else an alert waits for (`rules`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use paramedic_model::{Labels, METRIC_NAME, TimeMs, is_stale};

use crate::{
    BinaryExpr, BinaryOp, EvalError, EvalOptions, Expr, ExprKind, Family, FamilyId, Matcher,
    NO_VALUE, Plan, Selector, Source, Span, Value, VectorMatching,
};

/// How many elements of a part are told; the others are counted.
pub const ELEMENTS_MAX: usize = 20;
/// How many values of a label are told.
const VALUES_MAX: usize = 5;

/// An expression taken apart.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The moment that it was evaluated at.
    pub at: TimeMs,
    /// The parts, outer before inner, in the order of the text.
    pub parts: Vec<Part>,
    /// Why there is no result, where evaluation failed; the parts before that have their values.
    pub error: Option<EvalError>,
}

/// One part of an expression.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where it stands in the text.
    pub span: Span,
    /// How many parts it stands inside of.
    pub depth: usize,
    /// Its value; `None` inside a subquery, which is evaluated at other moments, and where the
    /// evaluation failed before it.
    pub value: Option<PartValue>,
    /// What emptied it, where it is empty and its own inputs are not.
    pub held: Option<Held>,
}

/// The value of a part, cut to what a person can read.
#[derive(Clone, Debug, PartialEq)]
pub enum PartValue {
    /// A number.
    Scalar(f64),
    /// A text.
    Text(String),
    /// Elements: the first [`ELEMENTS_MAX`] of `count`. A native histogram counts and has no number.
    Elements {
        /// How many there are.
        count: usize,
        /// Label sets and values.
        first: Vec<(Labels, Option<f64>)>,
    },
    /// Samples over a range, by series: how many samples the first [`ELEMENTS_MAX`] of `count` have.
    Series {
        /// How many series there are.
        count: usize,
        /// Label sets and numbers of samples.
        first: Vec<(Labels, usize)>,
    },
}

/// What emptied a part of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// No series has this metric name.
    NoSuchMetric(String),
    /// There are series of that name, and this matcher alone leaves none of them.
    NoMatch {
        /// The matcher, as written.
        matcher: String,
        /// The values that its label has; at most five.
        present: Vec<String>,
    },
    /// There are series of that name, each matcher leaves some, and all of them together none.
    NoMatchTogether,
    /// The series ended: their targets do not yield them any more.
    Ended {
        /// How many match.
        series: usize,
        /// When the last of them ended.
        at: TimeMs,
    },
    /// Series match, and have no sample where the expression looks.
    NoSample {
        /// How many match.
        series: usize,
        /// Their newest sample.
        newest: TimeMs,
    },
    /// The function wants more samples of a series than there are, or finds none of its kind.
    NothingToCompute {
        /// Its name.
        function: &'static str,
    },
    /// `absent` and its like: the series are there.
    Present,
    /// The comparison is false for all of them.
    False {
        /// For how many it was asked.
        of: usize,
    },
    /// No element of one side has a partner on the other, because of this label.
    NoPartner {
        /// The label.
        label: String,
        /// Values that it has on the left; at most five. Empty where it is not there.
        left: Vec<String>,
        /// Values that it has on the right.
        right: Vec<String>,
    },
    /// No element has a partner, although every label alone has values in common.
    NoPartnerTogether,
    /// `unless`: every element of the left has a partner on the right.
    AllExcluded,
}

impl Explanation {
    /// The innermost part that holds the result back, where the result is empty.
    pub fn held(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.held.is_some())
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[String]| match values {
            [] => "nothing".to_owned(),
            values => values.join(", "),
        };
        match self {
            Held::NoSuchMetric(name) => write!(f, "no series is called {name}"),
            Held::NoMatch { matcher, present } if present.is_empty() => {
                write!(f, "{matcher} fits none of the series, which do not have that label")
            }
            Held::NoMatch { matcher, present } => {
                write!(f, "{matcher} fits none of the series, which have {}", list(present))
            }
            Held::NoMatchTogether => f.write_str("no series fits all of the matchers"),
            Held::Ended { series: 1, at } => write!(f, "the series that fits ended at {at}"),
            Held::Ended { series, at } => {
                write!(f, "all {series} series that fit ended, the last at {at}")
            }
            Held::NoSample { series: 1, newest } => {
                write!(f, "the newest sample of the series that fits is of {newest}")
            }
            Held::NoSample { series, newest } => {
                write!(f, "the newest sample of the {series} series that fit is of {newest}")
            }
            Held::NothingToCompute { function } => {
                write!(f, "{function} has too few samples, or none of its kind")
            }
            Held::Present => f.write_str("the series are there"),
            Held::False { of: 1 } => f.write_str("the comparison is false"),
            Held::False { of } => write!(f, "the comparison is false for all {of}"),
            Held::NoPartner { label, left, right } => write!(
                f,
                "no value of the label {label} is on both sides: {} on the left, {} on the right",
                list(left),
                list(right)
            ),
            Held::NoPartnerTogether => f.write_str("no element has a partner on the other side"),
            Held::AllExcluded => {
                f.write_str("each element has a partner on the right, which excludes it")
            }
        }
    }
}

impl Plan {
    /// Takes the expression apart as it is evaluated at one moment. What an expression costs, this
    /// costs without the columns: it is for a person who waits.
    pub fn explain(&self, source: &dyn Source, at: TimeMs, options: &EvalOptions) -> Explanation {
        let mut values = HashMap::new();
        let error = self
            .eval_traced(source, at, options, &mut |expr, value| {
                values.insert(expr.span, value.clone());
            })
            .err();
        let reader = Reader { source, at, options, values };
        let mut parts = Vec::new();
        reader.tell(self.expr(), 0, &mut parts);
        Explanation { at, parts, error }
    }
}

struct Reader<'a> {
    source: &'a dyn Source,
    at: TimeMs,
    options: &'a EvalOptions,
    values: HashMap<Span, Value>,
}

impl Reader<'_> {
    fn tell(&self, expr: &Expr, depth: usize, parts: &mut Vec<Part>) {
        match &expr.kind {
            // What it stands for is told by the part inside.
            ExprKind::Paren(inner) => return self.tell(inner, depth, parts),
            ExprKind::Number { .. } | ExprKind::String(_) => return,
            _ => {}
        }
        let value = self.values.get(&expr.span).map(cut);
        let held = if self.count(expr) == Some(0) { self.held(expr) } else { None };
        parts.push(Part { span: expr.span, depth, value, held });
        for child in expr.children() {
            self.tell(child, depth + 1, parts);
        }
    }

    /// How many elements or series a part has; `None` where that is unknown or no such thing.
    fn count(&self, expr: &Expr) -> Option<usize> {
        match self.values.get(&expr.span)? {
            Value::Vector(elements) => Some(elements.len()),
            Value::Matrix(series) => Some(series.len()),
            Value::Scalar(_) | Value::String(_) => None,
        }
    }

    /// What emptied `expr` itself; `None` where an input of it is empty already.
    fn held(&self, expr: &Expr) -> Option<Held> {
        match &expr.kind {
            ExprKind::Selector(selector) => Some(self.nothing_selected(selector, expr)),
            ExprKind::Range(range) => Some(self.nothing_selected(&range.selector, expr)),
            ExprKind::Binary(binary) => self.held_binary(binary),
            ExprKind::Call(call) => {
                let mut inputs = call.args.iter().filter_map(|arg| self.count(arg));
                match call.function.name {
                    "absent" | "absent_over_time" => Some(Held::Present),
                    function => {
                        inputs.any(|count| count > 0).then_some(Held::NothingToCompute { function })
                    }
                }
            }
            _ => None,
        }
    }

    fn held_binary(&self, binary: &BinaryExpr) -> Option<Held> {
        let count = |side: &Expr| self.count(side);
        let (left, right) = (count(&binary.lhs), count(&binary.rhs));
        match (left, right, binary.op) {
            (Some(0), _, _) | (_, _, BinaryOp::Or) => None,
            (_, _, BinaryOp::Unless) => Some(Held::AllExcluded),
            (_, Some(0), _) => None,
            (Some(of), None, _) | (None, Some(of), _) => Some(Held::False { of }),
            (Some(_), Some(_), op) => {
                let matching = binary.matching.as_ref()?;
                let (lhs, rhs) = (self.labels(&binary.lhs), self.labels(&binary.rhs));
                let pairs = partners(matching, &lhs, &rhs);
                if pairs > 0 && op.is_comparison() {
                    return Some(Held::False { of: pairs });
                }
                Some(why_apart(matching, &lhs, &rhs))
            }
            (None, None, _) => None,
        }
    }

    fn labels(&self, expr: &Expr) -> Vec<&Labels> {
        match self.values.get(&expr.span) {
            Some(Value::Vector(elements)) => {
                elements.iter().map(|element| &element.labels).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Why no series was selected.
    fn nothing_selected(&self, selector: &Selector, expr: &Expr) -> Held {
        let (names, others): (Vec<&Matcher>, Vec<&Matcher>) =
            selector.matchers.iter().partition(|matcher| matcher.name() == METRIC_NAME);
        let families: Vec<Family<'_>> = (0..self.source.family_count() as u32)
            .map(|id| self.source.family(FamilyId(id)))
            .filter(|family| names.iter().all(|matcher| matcher.matches(family.name)))
            .filter(|family| used(family).next().is_some())
            .collect();
        if families.is_empty() {
            let written = selector.name.clone();
            let matchers = || names.iter().map(|m| m.to_string()).collect::<Vec<_>>().join(", ");
            return Held::NoSuchMetric(written.unwrap_or_else(matchers));
        }
        let fits = |family: &Family<'_>, row: u32, matcher: &Matcher| {
            matcher.matches(self.label(family, row, matcher.name()))
        };
        let mut fitting = Vec::new();
        for family in &families {
            let rows = used(family).filter(|row| others.iter().all(|m| fits(family, *row, m)));
            fitting.extend(rows.map(|row| (family, row)));
        }
        if fitting.is_empty() {
            let alone = others.iter().find(|matcher| {
                !families.iter().any(|family| used(family).any(|row| fits(family, row, matcher)))
            });
            let Some(matcher) = alone else { return Held::NoMatchTogether };
            let mut present = BTreeSet::new();
            for family in &families {
                present.extend(used(family).map(|row| self.label(family, row, matcher.name())));
            }
            let present = present.into_iter().filter(|value| !value.is_empty());
            let present = present.take(VALUES_MAX).map(str::to_owned).collect();
            return Held::NoMatch { matcher: matcher.to_string(), present };
        }
        let newest = |(family, row): &(&Family<'_>, u32)| {
            (family.newest_at[*row as usize], is_stale(family.newest_value[*row as usize]))
        };
        let series = fitting.len();
        let ended: Vec<_> = fitting.iter().map(newest).collect();
        let at = ended.iter().map(|(at, _)| *at).max().unwrap_or_default();
        // Where the expression looks at the present, a marker says more than an age.
        let looks_now = selector.offset_ms == 0 && selector.at.is_none();
        let recent = self.at.since(at) <= self.reach(expr);
        if looks_now && at <= self.at && recent && ended.iter().any(|(_, stale)| *stale) {
            return Held::Ended { series, at };
        }
        Held::NoSample { series, newest: at }
    }

    /// How far back `expr` looks.
    fn reach(&self, expr: &Expr) -> std::time::Duration {
        match &expr.kind {
            ExprKind::Range(range) => range.range,
            _ => self.options.lookback,
        }
    }

    fn label(&self, family: &Family<'_>, row: u32, name: &str) -> &str {
        let symbol = family.column(name).filter(|column| column.codes[row as usize] != NO_VALUE);
        symbol.and_then(|column| column.symbol(row)).map_or("", |symbol| self.source.text(symbol))
    }
}

/// The rows that a series uses.
fn used<'f>(family: &Family<'f>) -> impl Iterator<Item = u32> + use<'f> {
    let rows = family.newest_at.iter().enumerate();
    rows.filter(|(_, at)| **at != Family::NEVER).map(|(row, _)| row as u32)
}

fn cut(value: &Value) -> PartValue {
    match value {
        Value::Scalar(value) => PartValue::Scalar(*value),
        Value::String(text) => PartValue::Text(text.clone()),
        Value::Vector(elements) => PartValue::Elements {
            count: elements.len(),
            first: elements
                .iter()
                .take(ELEMENTS_MAX)
                .map(|e| (e.labels.clone(), e.histogram.is_none().then_some(e.value)))
                .collect(),
        },
        Value::Matrix(series) => PartValue::Series {
            count: series.len(),
            first: series
                .iter()
                .take(ELEMENTS_MAX)
                .map(|series| (series.labels.clone(), series.samples.len()))
                .collect(),
        },
    }
}

/// Whether `label` decides who is whose partner.
fn decides(matching: &VectorMatching, label: &str) -> bool {
    let listed = matching.labels.iter().any(|listed| listed == label);
    if matching.on { listed } else { !listed && label != METRIC_NAME }
}

/// How many elements of the left have a partner on the right.
fn partners(matching: &VectorMatching, lhs: &[&Labels], rhs: &[&Labels]) -> usize {
    let key = |labels: &Labels| -> Vec<(String, String)> {
        let deciding = labels.iter().filter(|(name, _)| decides(matching, name));
        deciding.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let right: BTreeSet<_> = rhs.iter().map(|labels| key(labels)).collect();
    lhs.iter().filter(|labels| right.contains(&key(labels))).count()
}

/// Why no element has a partner: the first label that has no value on both sides.
fn why_apart(matching: &VectorMatching, lhs: &[&Labels], rhs: &[&Labels]) -> Held {
    let values = |side: &[&Labels]| {
        let mut values = BTreeMap::<String, BTreeSet<String>>::new();
        for (name, value) in side.iter().flat_map(|labels| labels.iter()) {
            values.entry(name.to_owned()).or_default().insert(value.to_owned());
        }
        values
    };
    let (left, right) = (values(lhs), values(rhs));
    let names: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let first = |values: Option<&BTreeSet<String>>| -> Vec<String> {
        values.into_iter().flatten().take(VALUES_MAX).cloned().collect()
    };
    for name in names.into_iter().filter(|name| decides(matching, name)) {
        let (here, there) = (left.get(name), right.get(name));
        let common = here.zip(there).is_some_and(|(here, there)| !here.is_disjoint(there));
        // Where some element lacks the label, it may meet one that lacks it, too.
        let lacks = |side: &[&Labels]| side.iter().any(|labels| labels.get(name).is_none());
        let both_lack = lacks(lhs) && lacks(rhs);
        if !common && !both_lack {
            return Held::NoPartner { label: name.clone(), left: first(here), right: first(there) };
        }
    }
    Held::NoPartnerTogether
}
