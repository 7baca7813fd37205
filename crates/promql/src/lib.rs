//! PromQL: parse, plan and evaluate over a columnar [`Source`].
//!
//! ```text
//! text --parse--> Expr --Plan::new--> Plan --eval_instant / eval_range--> Evaluation
//!                  (spans)             (reads)     over a Source            (value, provenance, annotations)
//! ```
//!
//! The semantics are Prometheus 3.x's, native histograms included. What is not there yet
//! (`start_timestamp`) is refused when the text is parsed or
//! planned, with its name and place; it never yields a result that differs from Prometheus's.
//!
//! # Invariants
//!
//! - Every node of an expression knows the bytes of the text that it came from.
//! - Every element of a result knows the rows of the source that it came from ([`Origins`]).
//! - No input panics and none overflows the stack: depth and samples are bounded by settings.
//!
//! ```
//! use paramedic_promql::{Plan, parse};
//!
//! let text = "sum by (job) (rate(errors_total[5m])) > 0.1";
//! let plan = Plan::new(parse(text)?, text)?;
//! assert!(plan.reads().contains("errors_total") && !plan.reads().contains("up"));
//!
//! let error = parse("sum by (job").unwrap_err();
//! assert_eq!(error.to_string(), "1:12: parse error: unclosed left parenthesis");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: where samples are kept (`samples` implements [`Source`]), alerts, files, clocks.

mod ast;
mod columnar;
mod duration;
mod eval;
mod explain;
mod functions;
mod histogram;
mod lex;
mod matcher;
mod notation;
mod parse;
mod pattern;
mod plan;
mod print;
mod selections;
mod source;
mod span;
mod text;
mod typecheck;
mod value;

pub use ast::{
    AggregateExpr, AggregateOp, At, BinaryExpr, BinaryOp, CallExpr, Cardinality, Expr, ExprKind,
    Fill, Grouping, RangeExpr, RangeExtent, Selector, SubqueryExpr, UnaryOp, ValueType,
    VectorMatching,
};
pub use columnar::SelectorCache;
pub use duration::DurationExpr;
pub use explain::{ELEMENTS_MAX, Explanation, Held, Part, PartValue};
pub use functions::{FUNCTIONS, Function};
pub use histogram::{Bucket, all_buckets};
pub use matcher::{MatchOp, Matcher};
pub use notation::{HistogramNotation, SeriesNotation, parse_series};
pub use parse::{ParseError, ParseOptions, parse, parse_with};
pub use plan::{EvalError, EvalOptions, Plan, ReadSet};
pub use selections::Selections;
pub use source::{Column, Family, FamilyId, NO_VALUE, Rise, RowRef, Source, Symbol};
pub use span::Span;
pub use text::Text;
pub use value::{
    Annotation, Annotations, Element, Evaluation, HistogramSample, Origins, RangeSeries, Severity,
    Value,
};
