//! Targets, and the loop that collects each of them.
//!
//! [`collect_forever`] runs one target: collect, label, send, sleep. What it sends always says
//! whether the target could be looked at: a failure is `up 0` and a reason, never a gap.
//! [`remote_write`] reads what another Prometheus sends.
//!
//! Not here: where samples are kept, and what they mean.

mod http;
mod list;
pub mod remote_write;
mod target;

pub use http::HttpCollector;
pub use target::{Last, Scraped, Target, TargetError, collect_forever, collect_once};
