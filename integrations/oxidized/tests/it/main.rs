//! The Oxidized integration against its simulator, in virtual time.

/// What ships: catalogue, rule, page.
mod assets;
/// What is no answer of an Oxidized.
mod bad_input;
/// Every fault: what the collector yields, and what the restart says.
mod faults;
