//! The first responder to Prometheus alerts.
fn main() {}
