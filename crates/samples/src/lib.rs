//! The recent window of samples, in columns: what scrapes commit and rules read.
//!
//! A [`Window`] implements `paramedic_promql::Source`. It keeps everything in memory.
//!
//! # Invariants
//!
//! - A commit is all or nothing for its readers: they hold `&Window`, a commit takes `&mut`.
//! - Samples of a series are in the order of time, each moment once; what does not fit is counted.
//! - A series that its target no longer yields ends with a staleness marker at that moment.
//!
//! Not here: who collects, and when; no clock is read: time comes with each commit.

mod window;

pub use window::{Commit, Rejected, TargetId, Window, WindowOptions};
