//! Simulated systems: the lab that people click through, and the drills that need no people.

mod drill;
mod world;

pub use drill::{Verdict, drill};
pub use world::Simulated;
