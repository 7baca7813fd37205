//! Virtual time and in-memory networks, for tests and drills.
//!
//! Under a paused tokio runtime (`#[tokio::test(start_paused = true)]`) an [`Environment`] made
//! here lives in virtual time: nothing waits, nothing leaves the process, and a run with one seed
//! always goes the same way.

mod bench;
mod network;

pub use bench::{ActFailure, Bench, Host, NoProcesses, Performed, VIRTUAL_EPOCH};
pub use network::MemoryNetwork;
