//! Simulated systems: the lab that people click through, and the drills that need no people.

mod bench;
mod drill;
mod world;

pub use bench::{LabBench, listen};
pub use drill::{Moment, Verdict, drill};
pub use world::Simulated;
