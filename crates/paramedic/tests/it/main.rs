//! The product as its users and its accidents meet it.

/// Simulated systems under a full engine, in virtual time, that survive the engine.
mod world;

/// A crash at every write of the journal: nothing is lost, and nothing is done twice.
mod crashes;

/// The five alerts that the product began with: verbatim rules, pages, faults.
mod seeds;

/// A real Traefik and its back ends, shared with the tests of its integration.
#[path = "../../../../integrations/traefik/tests/it/peer.rs"]
mod peer;

/// The whole pipeline against the real Traefik.
mod real_traefik;
