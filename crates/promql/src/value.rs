//! What an evaluation yields: values, where they came from, and what to say about them.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use paramedic_model::{Histogram, Labels, Sample, TimeMs};

use crate::span::Place;
use crate::{RowRef, Source, Span, ValueType};

/// The outcome of one evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The result.
    pub value: Value,
    /// Warnings and infos; the result stands in spite of them.
    pub annotations: Annotations,
}

/// A value of one of the four types of the language.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// A text.
    String(String),
    /// One sample per series, all at the moment of evaluation. Sorted only where the expression
    /// sorts.
    Vector(Vec<Element>),
    /// Samples over time per series, sorted by labels.
    Matrix(Vec<RangeSeries>),
}

impl Value {
    /// The type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::Scalar(_) => ValueType::Scalar,
            Value::String(_) => ValueType::String,
            Value::Vector(_) => ValueType::Vector,
            Value::Matrix(_) => ValueType::Matrix,
        }
    }
}

/// One element of an instant vector.
#[derive(Clone, Debug)]
pub struct Element {
    /// Its label set.
    pub labels: Labels,
    /// Its value, where that is a number; otherwise the NaN that stands for a histogram.
    pub value: f64,
    /// Its value, where that is a native histogram.
    pub histogram: Option<Arc<Histogram>>,
    /// The input series that it came from.
    pub origins: Origins,
}

impl Element {
    /// An element whose value is a number.
    pub fn number(labels: Labels, value: f64, origins: Origins) -> Self {
        Self { labels, value, histogram: None, origins }
    }
}

/// A native histogram of a series at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    /// When.
    pub at: TimeMs,
    /// What.
    pub histogram: Arc<Histogram>,
}

/// One series of a range vector or of a range query.
#[derive(Clone, Debug)]
pub struct RangeSeries {
    /// Its label set.
    pub labels: Labels,
    /// Its samples, oldest first. The value of one that is a histogram is the NaN that stands for
    /// it ([`is_histogram`](paramedic_model::is_histogram)).
    pub samples: Vec<Sample>,
    /// Its histograms, oldest first: one for each such sample.
    pub histograms: Vec<HistogramSample>,
    /// The input series that any of its samples came from.
    pub origins: Origins,
}

/// Provenance: the rows of the source that a result came from.
///
/// Both sides of an arithmetic operation, a comparison or `and` count; of `or` the side that the
/// element came from; of `unless` the left side; of an aggregation every member of the group (of
/// `topk` and its like the member itself). A number that reads no series has none, and neither has
/// what `absent` makes of nothing. Cloning and joining are cheap; the rows are listed on request.
#[derive(Clone, Debug, Default)]
pub struct Origins(Option<Arc<Node>>);

#[derive(Debug)]
enum Node {
    Row(RowRef),
    /// A stretch of rows that many origins share.
    Rows(Arc<[RowRef]>, Range<usize>),
    Union(Vec<Origins>),
}

impl Origins {
    /// No series at all.
    pub fn none() -> Self {
        Self(None)
    }

    /// Everything that any of `parts` came from.
    pub fn union(parts: impl IntoIterator<Item = Origins>) -> Self {
        let mut parts: Vec<Origins> = parts.into_iter().filter(|part| part.0.is_some()).collect();
        match parts.len() {
            0 => Self(None),
            1 => parts.swap_remove(0),
            _ => Self(Some(Arc::new(Node::Union(parts)))),
        }
    }

    /// A stretch of `rows`, which many origins share.
    pub(crate) fn rows_of(rows: &Arc<[RowRef]>, range: Range<usize>) -> Self {
        if range.is_empty() {
            return Self(None);
        }
        Self(Some(Arc::new(Node::Rows(rows.clone(), range))))
    }

    /// Whether both are stretches of the same rows in the same order.
    pub(crate) fn has_rows_of(&self, other: &Origins) -> bool {
        match (self.0.as_deref(), other.0.as_deref()) {
            (Some(Node::Rows(a, a_range)), Some(Node::Rows(b, b_range))) => {
                a[a_range.clone()] == b[b_range.clone()]
            }
            _ => false,
        }
    }

    /// Whether both are clones of one value.
    pub(crate) fn is(&self, other: &Origins) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    /// Whether no series is behind it.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The rows, each once, in order.
    pub fn rows(&self) -> Vec<RowRef> {
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        let mut open = vec![self];
        while let Some(origins) = open.pop() {
            // A part may be shared by many unions (the one side of a join): walk it once.
            let Some(node) = origins.0.as_ref().filter(|node| seen.insert(Arc::as_ptr(node)))
            else {
                continue;
            };
            match &**node {
                Node::Row(row) => rows.push(*row),
                Node::Rows(shared, range) => rows.extend(&shared[range.clone()]),
                Node::Union(parts) => open.extend(parts),
            }
        }
        // Mostly they are in order: a row of a column comes after the one before it.
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The label sets of the rows, as `source`, the one that was evaluated, knows them.
    pub fn labels(&self, source: &dyn Source) -> Vec<Labels> {
        self.rows().into_iter().map(|row| source.labels(row)).collect()
    }
}

impl From<RowRef> for Origins {
    fn from(row: RowRef) -> Self {
        Self(Some(Arc::new(Node::Row(row))))
    }
}

/// How much an annotation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The result may be wrong.
    Warning,
    /// The query may not mean what its author thinks.
    Info,
}

/// Something to say about a result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Annotation {
    /// How much it matters.
    pub severity: Severity,
    /// Prometheus's text, without prefix and place.
    pub message: String,
    /// The expression that it is about.
    pub span: Span,
    place: Place,
}

/// As Prometheus prints it: `PromQL warning: ... (1:10)`.
impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        write!(f, "PromQL {severity}: {} ({})", self.message, self.place)
    }
}

/// The annotations of one evaluation, each once.
#[derive(Clone, Debug, Default)]
pub struct Annotations(BTreeSet<Annotation>);

impl Annotations {
    pub(crate) fn add(&mut self, severity: Severity, message: String, span: Span, text: &str) {
        self.0.insert(Annotation { severity, message, span, place: Place::of(span, text) });
    }

    pub(crate) fn append(&mut self, mut other: Annotations) {
        self.0.append(&mut other.0);
    }

    /// All of them, warnings first.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.0.iter()
    }

    /// The warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Annotation> {
        self.iter().filter(|annotation| annotation.severity == Severity::Warning)
    }

    /// The infos.
    pub fn infos(&self) -> impl Iterator<Item = &Annotation> {
        self.iter().filter(|annotation| annotation.severity == Severity::Info)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
