//! One outage, as a pure function: (state, input, now) to events.
//!
//! ```text
//!           +--------------------- round again: it fired again, or time to look again -------+
//!           v                                                                                |
//!  open -> diagnosing -> proposing -> waiting -> acting -> verifying --recovered--> watching -+-> closed
//!              |             |           |          |          |                        ^
//!              |             +-----------+----------+----------+-- next step, or        |
//!              v                                                   settled -------------+
//!        settled (nothing to do, handed over, inconclusive)                   alert clears
//! ```
//!
//! An [`Incident`] is the fold of its [`Event`]s, and the journal holds nothing but events, so a
//! restarted engine stands where the old one stood. [`Incident::wants`] says what should be going
//! on; the engine does it and answers with an [`Input`]; [`decide`] turns that into events.
//!
//! # Invariants
//!
//! - An action runs only after `Intended` is in the journal, and an `Intended` without an outcome
//!   is looked into, never repeated.
//! - An approval holds for one proposal: step, arguments, system and page, by their digest.
//! - A look that failed is kept as such; no condition reads it as false.
//! - A target that is lost is one outage ([`Sighting`]); alerts that it blinds stand under it.
//!
//! Not here: clocks, journals, HTTP, or who the systems are.

mod decide;
mod event;
mod guard;
mod loss;
mod report;
mod state;

pub use decide::{Context, Diagnosis, Input, Policy, Refusal, decide};
pub use event::{
    ApprovalWord, CauseVerdict, Ending, Event, Judgement, Looked, Lost, Manual, Opened, Outcome,
    Outside, PlannedStep, Proposal, Seen, StepWork, SystemChoice, Verdict, Via,
};
pub use guard::{Fresh, Surroundings, judge};
pub use loss::{FAILURES_MIN, LossStep, Sighting, TARGET_LOST, TargetSight, Watcher};
pub use report::{bundle, closing_report, timeline};
pub use state::{Act, Incident, Settled, Signal, Stage, Want};
