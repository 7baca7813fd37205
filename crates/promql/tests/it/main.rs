//! The tests of promql over the window of `samples`.

/// The columnar evaluator beside the plain one.
mod columnar;
/// Prometheus's own evaluation scripts, and our own in the same format.
mod conformance;
/// Published rule files: every expression parses, and prints to what parses again.
mod corpus;
/// Random expressions beside a real Prometheus.
mod differential;
/// Why an expression is empty.
mod explain;
/// Native histograms in scripts: how they are stored, and when two are equal.
mod histograms;
/// What nobody should write, and what nobody should measure.
mod hostile;
/// What would never end, or fill the memory.
mod limits;
/// What Prometheus refuses, where, and with which words; what it accepts, and how that prints.
mod parse;
/// Where results come from, what a plan reads, and what a trace reports.
mod provenance;
/// The script language: parsing, running and comparing.
mod script;
