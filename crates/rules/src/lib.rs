//! Alerting and recording rules: files as Prometheus has them, groups, and the life of alerts.
//!
//! ```text
//!  text --RuleFile::parse--> GroupSpec --Group::new--> Group --evaluate over a Store--> Round
//!          all mistakes,                                 |        events, samples, failures
//!          each at its place                             +-- next_due: slots, data, `for`
//! ```
//!
//! [`unit_test`] does the same in virtual time, over the series that a test file writes.
//!
//! # Invariants
//!
//! - Everything is a function of files, samples and the times that the caller passes in.
//! - Rules of a group run in order; each sees the samples that the ones before it wrote.
//! - A failed query is not an absence: it leaves every alert as it was.
//! - An alert changes in [`step`] alone.
//!
//! Not here: files and globs, clocks, HTTP, runbooks, who is told of an alert.

mod alert;
mod error;
mod file;
mod group;
mod life;
mod lint;
mod restore;
mod schedule;
mod send;
pub mod unit_test;
mod why;
mod yaml;

pub use alert::{ALERT_NAME, Alert, AlertEvent};
pub use error::RuleError;
pub use file::{AlertRule, GroupSpec, ReadOptions, RecordingRule, Rule, RuleFile, Text, Trigger};
pub use group::{Context, Group, GroupDefaults, Health, Round, RuleState, Store};
pub use life::{Change, RESOLVED_RETENTION, State, Waits, step};
pub use lint::duplicate_rules;
pub use restore::{GroupSnapshot, Restore, RuleSnapshot};
pub use schedule::{DATA_PACE, Schedule};
pub use send::Outgoing;
pub use why::{Spell, Verdict, Why};
