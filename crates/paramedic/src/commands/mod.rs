//! One file per command.

pub mod catalog;
pub mod config;
pub mod drill;
pub mod explain;
pub mod incidents;
pub mod lab;
mod reach;
pub mod serve;
pub mod simulator;
