//! Jobs and targets, as one test binary.

// What relabelling makes of discovered targets.
mod plan;
// The same, beside a real Prometheus.
mod relabelled;
