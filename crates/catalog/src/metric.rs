/// One family that a collector yields.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The name, as the exporter that people use today writes it.
    pub name: &'static str,
    /// The type in the exposition format.
    pub kind: MetricKind,
    /// What it counts or states.
    pub help: &'static str,
    /// The labels besides those of the target (`job`, `instance`).
    pub labels: &'static [&'static str],
    /// The values that can occur.
    pub values: ValueDomain,
    /// Which versions of the exporter have it, or which part of Paramedic yields it.
    pub versions: &'static str,
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, or starts anew.
    Counter,
}

/// The values that a family can take.
#[derive(Debug, Clone)]
pub enum ValueDomain {
    /// Only these, each with its meaning.
    States(&'static [(f64, &'static str)]),
    /// Any number from zero up.
    NonNegative,
    /// Any number.
    Any,
}
