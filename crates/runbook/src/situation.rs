//! What conditions and templates read: the alert, its system, and what the diagnosis found.

use std::collections::BTreeMap;

use paramedic_model::Labels;
use serde_json::{Map, Value};

/// What is known when a condition is judged or a template rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Situation {
    /// The alert that fires.
    pub alert: Alert,
    /// The one system that it is about; `None` where none or several fit.
    pub system: Option<System>,
    /// What the diagnosis steps found, by step id. A step that is not there was not taken.
    pub findings: BTreeMap<String, Finding>,
}

/// The alert, as conditions and templates see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its labels: `alert.labels.name` in conditions, `{{ $labels.name }}` in templates.
    pub labels: Labels,
    /// Its rendered annotations: `alert.annotations`, `$annotations`.
    pub annotations: BTreeMap<String, String>,
    /// The value of its expression: `alert.value`, `$value`.
    pub value: f64,
}

/// The system, as conditions and templates see it: `system.name`, `$system.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind.
    pub kind: String,
}

/// What came of a diagnosis step.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The probe looked.
    Looked {
        /// The facts, as its signature declares them.
        facts: Map<String, Value>,
        /// The line for a person: `{{ .step.summary }}` where no fact has that name.
        summary: String,
    },
    /// The probe could not look, or the step was left out. Whatever reads it is unknown.
    Nothing {
        /// Why, as a phrase: `could not look: connection refused`.
        reason: String,
    },
}

impl Situation {
    /// Why there is no evidence of the step `id`; `None` where there is.
    pub(crate) fn no_evidence(&self, id: &str) -> Option<&str> {
        match self.findings.get(id) {
            Some(Finding::Looked { .. }) => None,
            Some(Finding::Nothing { reason }) => Some(reason),
            None => Some("not taken yet"),
        }
    }
}
