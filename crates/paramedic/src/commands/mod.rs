//! One file per command.

pub mod catalog;
pub mod config;
pub mod drill;
pub mod incidents;
pub mod lab;
pub mod serve;
pub mod simulator;
