//! The recent window of samples, in columns: what scrapes commit and rules read.
//!
//! ```text
//! Window ── targets: what each yielded last time, so that what vanishes ends
//!   └── Snapshot ── families: label columns, newest samples, history per row    (copied on write)
//!         └── symbols: every label value once
//! ```
//!
//! A [`Window`] implements `paramedic_promql::Source`, and so does the [`Snapshot`] that it gives to
//! a query that must not hold up commits. Everything is in memory.
//!
//! # Invariants
//!
//! - A commit is all or nothing for its readers: they hold `&Window`, a commit takes `&mut`.
//! - Samples of a series are in the order of time, each moment once; what does not fit is counted.
//! - A series that its target no longer yields ends with a staleness marker at that moment.
//! - Time comes with each commit: no clock is read, and retention counts back from the newest one.
//!
//! Not here: who collects, and when; the texts of label values that no row uses any more are kept.

mod family;
mod snapshot;
mod window;

pub use snapshot::Snapshot;
pub use window::{Commit, Rejected, TargetId, Window, WindowOptions};
