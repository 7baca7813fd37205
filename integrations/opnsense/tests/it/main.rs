//! The integration against its simulated firewall, in virtual time.

/// Catalogue, rules and pages fit together.
mod assets;
/// Bad input to the collector and the probes: nothing reads as healthy.
mod bad_input;
/// What the collector yields of a healthy firewall, of an old one, and of one with duplicates.
mod collector;
/// Every fault followed through the shipped page: facts, cause, repair or refusal.
mod faults;
/// After a crash: did the action happen?
mod happened;
/// Labels from strangers, against every action.
mod hostile;
/// What the tests share.
mod support;
/// The quirks of the real API that the simulator keeps.
mod wire;
