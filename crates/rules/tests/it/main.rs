//! The crate as its users meet it.

/// Rule files: what loads, and every mistake with its place and Prometheus's words.
mod files;

/// Groups over samples in virtual time: alerts, templates, recorded series, limits, reloads.
mod groups;

/// What a restart leaves of alerts.
mod restarts;

/// When Alertmanagers are told.
mod sending;

/// Unit tests and checks of rules: their outcomes, their reports, and the real promtool on the same.
mod promtool;

/// Rule files that people publish all load.
mod corpus;

/// Why an alert fires at a moment, or does not.
mod why;

/// A real Prometheus beside groups, over the same samples and rules, through a crash.
mod differential;

/// A real Prometheus on loopback, shared with the tests of `promql`.
#[path = "../../../promql/tests/it/differential/prometheus.rs"]
#[expect(dead_code, reason = "the tests of `promql` use the rest of it")]
mod prometheus;

/// Samples in memory, and scripts that drive a group through time.
mod support;
