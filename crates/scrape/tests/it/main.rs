//! Jobs and targets, as one test binary.

/// A server in memory that shows a page, and what it was asked.
mod exporter;

// What relabelling makes of discovered targets.
mod plan;
// The same, beside a real Prometheus.
mod relabelled;

// Targets that a server lists.
mod discovered;
// One target again and again: times, connections, compression, secrets, pace.
mod scraping;
// The same behind TLS, with a certificate of our own.
mod secured;
