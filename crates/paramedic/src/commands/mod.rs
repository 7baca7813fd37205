//! One file per command.

pub mod catalog;
pub mod check;
pub mod config;
pub mod drill;
pub mod explain;
pub mod incidents;
mod junit;
pub mod lab;
mod reach;
pub mod serve;
pub mod simulator;
pub mod test;
