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

/// Samples in memory, and scripts that drive a group through time.
mod support;
