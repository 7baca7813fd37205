//! Rule unit tests in promtool's format: series in, alerts and samples out, in virtual time.
//!
//! ```text
//!  text --TestFile::parse--> UnitTest --run, with the rule files--> Failures
//!                                |                                   what was expected, what came,
//!          every step: load samples, evaluate all groups, compare    the value of every part
//! ```
//!
//! The verdicts are promtool's. Its limits are kept too: a group's own `interval` does not count, and
//! samples after the last step are not loaded.
//!
//! # Invariants
//!
//! - A test depends on its file, its rules and nothing else.
//! - Rules of a test know of no other test.
//!
//! Not here: where rule files are found (their patterns are the caller's to resolve), who prints.

mod compare;
mod file;
mod histogram;
mod report;
mod run;
mod store;

pub use compare::Difference;
pub use file::{ExpectedAlert, ExpectedSample, RulePattern, SampleValue, TestFile, UnitTest};
pub use report::{Failure, Mismatch, Parts, Standing};
pub use run::run;
