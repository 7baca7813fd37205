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
//! # Example
//!
//! ````
//! # use paramedic_runbook::{Alert, Finding, Runbook, Situation};
//! # let text = include_str!("../tests/pages/bound.md");
//! // 1. **Look at the service**: is it down, and was it stopped on purpose?
//! //
//! //    ```probe
//! //    uses: firewall/service
//! //    id: svc
//! //    with: { service: "{{ $labels.name }}" }
//! //    ```
//! //
//! // ### Causes
//! //
//! // - **A person stopped it**
//! //
//! //   ```cause
//! //   id: stopped
//! //   when: svc.enabled == false
//! //   because: "{{ .svc.summary }}"
//! //   fix: []
//! //   why: "{{ $labels.name }} was switched off."
//! //   ```
//! let page = Runbook::parse("service.md", text).expect("the page is well-formed");
//!
//! let mut situation = Situation {
//!     alert: Alert {
//!         labels: [("name", "unbound")].into(),
//!         annotations: Default::default(),
//!         value: 0.0,
//!     },
//!     system: None,
//!     findings: Default::default(),
//! };
//! let probe = page.step("svc").and_then(|step| step.with()).expect("the step is bound");
//! assert_eq!(probe.bind(&situation)?["service"], "unbound");
//! assert!(page.diagnose(&situation).likely().is_none(), "nobody has looked");
//!
//! let facts = serde_json::Map::from_iter([("enabled".to_owned(), false.into())]);
//! let looked = Finding::Looked { facts, summary: "unbound is stopped".to_owned() };
//! situation.findings.insert("svc".to_owned(), looked);
//! let diagnosis = page.diagnose(&situation);
//! let likely = diagnosis.likely().expect("the evidence supports it");
//! assert_eq!((&*likely.cause.id, &*likely.because), ("stopped", "unbound is stopped"));
//! # Ok::<(), paramedic_runbook::ArgumentError>(())
//! ````
//!
//! What blocks may say stands in `README.md` beside this crate.
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
pub use page::{EmbeddedRule, FORMAT, ITEMS_MAX, PAGE_BYTES_MAX, Runbook, SectionKind};
pub use situation::{Alert, Finding, Situation, System};
pub use step::{
    ActionStep, ArgumentError, Manual, Phase, ProbeStep, Step, TIMEOUT_DEFAULT, Uses,
    VERIFY_DEFAULT, With, Work,
};
pub use template::{Template, TemplateError};
