//! The first responder to Prometheus alerts.
mod config;
fn main() {}
