//! Targets, and the loop that collects each of them.
//!
//! ```text
//! Job --discovery--> groups --plan (relabelling)--> targets --collect_forever--> Scraped
//! ```
//!
//! [`collect_forever`] runs one target: collect, label, send, sleep. What it sends always says
//! whether the target could be looked at: a failure is `up 0` and a reason, never a gap.
//! [`Discovery`] finds the targets of a job and says when others are there, by what a [`Finder`] finds.
//! [`remote_write`] reads what another Prometheus sends.
//!
//! Not here: where samples are kept, what they mean, and how a configuration is written.

mod admit;
mod discovery;
mod finder;
mod groups;
mod http;
mod job;
mod list;
mod patterns;
mod plan;
pub mod remote_write;
mod slot;
mod target;
mod timed;

pub use admit::Admission;
pub use discovery::{Discovery, Pool};
pub use finder::Finder;
pub use groups::read_groups;
pub use http::HttpCollector;
pub use job::{
    Alerting, Alertmanager, ClientOptions, FileSource, HttpSource, Job, Limits, Sources,
    TargetGroup,
};
pub use patterns::{FilesError, find_files, matching};
pub use plan::{Plan, Planned, plan};
pub use slot::Slot;
pub use target::{Discovered, Last, Scraped, Target, TargetError, collect_forever, collect_once};
pub use timed::TimedSamples;
