//! The Traefik integration as its users meet it.

/// Answers that no healthy Traefik gives: the collector and the probes say so.
mod bad_input;
/// Every fault of the simulator, diagnosed by the shipped page and repaired by its steps.
mod faults;
/// Labels from strangers reach no request, no command and no path.
mod hostile;
/// The shipped page and rules fit what the integration declares.
mod page;
/// A real Traefik on loopback.
mod peer;
/// The whole way against the real Traefik.
mod real_traefik;
/// One simulated system with the page that serves it.
mod scene;
/// Settings that cannot work.
mod settings;
/// The simulator's answers have the shape of recorded ones.
mod shapes;
