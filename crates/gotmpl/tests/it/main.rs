//! The crate as its users meet it.

/// Every pair of template and text that Go itself made.
mod vectors;

/// Limits, places of errors, and the arguments of runbook steps.
mod behaviour;
