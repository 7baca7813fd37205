//! Go's `text/template` as Prometheus uses it in labels and annotations, and as runbooks use it in
//! the arguments of steps.
//!
//! ```text
//!  text --lex--> tokens --parse--> tree --exec over a Value--> text
//!                                           |
//!                        functions: Go's own, Prometheus's, `query` as a closure
//! ```
//!
//! The whole language is here: pipelines, variables, `if`, `with`, `range`, `define`, `template`,
//! `block`, `break`, `continue`, trim markers, methods of times and durations, and Go's `printf`.
//! Messages are Go's, to the column, because people search for them.
//!
//! # Invariants
//!
//! - Rendering is a function of template, data and [`Functions`]: no clock, no I/O.
//! - Every template ends, within [`STEPS_MAX`], [`OUTPUT_BYTES_MAX`], [`DEPTH_MAX`].
//! - Maps print and iterate in the order of their keys.
//!
//! Differences to Go, on purpose: text is always UTF-8, so bytes that are none become U+FFFD; where
//! Go prints memory addresses (the list that `query` gives), the samples are printed.
//!
//! Not here: which texts are templates and what becomes of the result (`rules`, `runbook`); HTML
//! templates of consoles (`tmpl`); the functions of Alertmanager.

mod ast;
mod error;
mod exec;
mod functions;
mod lex;
mod methods;
mod number;
mod parse;
mod print;
mod prometheus;
mod quote;
mod template;
mod time;
mod value;

pub use error::TemplateError;
pub use functions::{Functions, QueryFn};
pub use number::format_shortest;
pub use template::{Missing, Options, Template, alert_data};
pub use time::{Duration, Time};
pub use value::{Map, Record, Value};

/// Steps that one rendering may take: nodes, calls, turns of loops, and text that goes through
/// functions.
pub const STEPS_MAX: usize = 1_000_000;

/// Bytes of text that one rendering may give, and that any value in it may have.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Bodies that may run inside one another: templates that use templates, and control structures.
pub const DEPTH_MAX: usize = 100;

/// Control structures and parentheses that may stand inside one another in a text.
pub const NESTING_MAX: usize = 50;

/// How deep maps that a template makes may stand in one another.
pub const VALUE_DEPTH_MAX: usize = 50;
