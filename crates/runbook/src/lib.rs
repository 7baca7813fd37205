//! Markdown pages as programs: sections, steps, bindings, causes.
//!
//! ```text
//!  page --parse--> Runbook --check(catalogues)--> mistakes, each at its place
//!                     |
//!                     +-- step.with().bind(situation) --> arguments of a probe or an action
//!                     +-- diagnose(situation) ----------> causes: supported, refuted, unknown
//!                     +-- html(), step_html(id) --------> the page for people
//! ```
//!
//! A page is read in any Markdown viewer, and run here. Fenced blocks of the kinds `probe`,
//! `action`, `manual` and `cause` bind its numbered steps and its causes; a page without any of
//! them is a checklist. Conditions are CEL, arguments and reasons are Go templates; both are parsed
//! with the page and never again.
//!
//! # Invariants
//!
//! - A condition that reads evidence that could not be had is unknown, never false.
//! - What a label or a fact holds is data: no rendered text is ever parsed.
//! - HTML of a page holds no script, no style, no foreign image, and no link but to the web, a mail
//!   address or another page.
//!
//! Not here: files, clocks, who runs a probe, what becomes of a diagnosis (`incident`).

mod block;
mod cause;
mod check;
mod condition;
mod error;
mod html;
mod outline;
mod page;
mod shortcode;
mod situation;
mod step;
mod template;
mod typing;
mod yaml;

pub use cause::{Cause, Confidence, Diagnosis, JudgedCause, Remedy};
pub use condition::{CONDITION_BYTES_MAX, Condition, Gap, Judgement};
pub use error::PageError;
pub use page::{EmbeddedRule, FORMAT, PAGE_BYTES_MAX, Runbook, SectionKind};
pub use situation::{Alert, Finding, Situation, System};
pub use step::{
    ActionStep, ArgumentError, Manual, Phase, ProbeStep, Step, TIMEOUT_DEFAULT, Uses,
    VERIFY_DEFAULT, With, Work,
};
pub use template::{Template, TemplateError};
