//! The recent window of samples, in columns: what scrapes commit and rules read.
//!
//! ```text
//! Window ── targets: what each yielded last time, so that what vanishes ends
//!   └── store ── index: from label sets to rows, for the writer alone
//!         └── Snapshot ── families: label columns, newest samples, chunks of rows  (copied on write)
//!               │           └── chunk: the last samples as they came, packed blocks behind
//!               └── texts: every label value once
//! log ── what a restart reads, in a directory that the caller names
//! ```
//!
//! A [`Window`] implements `paramedic_promql::Source`, and so does the [`Snapshot`] that it gives to
//! a query that must not hold up commits.
//!
//! # Invariants
//!
//! - A commit is all or nothing for its readers: they hold `&Window`, a commit takes `&mut`.
//! - Samples of a series are in the order of time, each moment once; what does not fit is counted.
//! - A series that its target no longer yields ends with a staleness marker at that moment.
//! - Time comes with each commit: no clock is read, and retention counts back from the newest one.
//! - Labels that come and go do not grow memory: rows, dictionary entries and texts are used again.
//!
//! Not here: who collects, and when.

mod chunk;
mod codec;
mod commit;
mod family;
mod history;
mod index;
pub mod log;
mod snapshot;
mod store;
mod symbols;
mod window;

pub use commit::{Commit, Rejected, TargetId};
pub use index::SeriesRef;
pub use log::{Checkpoint, Fsync, LogError, LogOptions, OnDamage, OpenError, Replayed};
pub use snapshot::Snapshot;
pub use window::{Window, WindowOptions};
