use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use paramedic_catalog::{Approval, Risk};

use crate::{Condition, Situation, Template, TemplateError};

/// How long the alert may take to come clear after an action, where the step does not say.
pub const VERIFY_DEFAULT: Duration = Duration::from_secs(2 * 60);

/// How long a probe may take, where the step does not say.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// One item of the numbered list under Diagnosis or Mitigation.
#[derive(Debug, Clone)]
pub struct Step {
    /// As its block names it; `diagnosis-2`, `mitigation-5` for a step without a block.
    pub id: String,
    /// The number as the page shows it.
    pub number: u64,
    /// The section that it stands in.
    pub phase: Phase,
    /// The bold words that it begins with, or what stands before its first colon, or all of it.
    pub title: String,
    /// The rest, as plain text; may be empty.
    pub text: String,
    /// Its line on the page, counted from 1.
    pub line: usize,
    /// Its bytes on the page.
    pub span: Range<usize>,
    /// What it does.
    pub work: Work,
}

/// The section that a step stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looks.
    Diagnosis,
    /// Changes.
    Mitigation,
}

impl Phase {
    /// The word in step ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Diagnosis => "diagnosis",
            Self::Mitigation => "mitigation",
        }
    }
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Work {
    /// Looks at a system. Only under Diagnosis.
    Probe(ProbeStep),
    /// Changes a system. Only under Mitigation.
    Action(ActionStep),
    /// Is for a person.
    Manual(Manual),
}

/// A `probe` block.
#[derive(Debug, Clone)]
pub struct ProbeStep {
    /// The probe.
    pub uses: Uses,
    /// Its arguments.
    pub with: With,
    /// Taken only where this is not refuted: looking is safe, so an unknown condition looks.
    pub when: Option<Condition>,
    /// How long it may take.
    pub timeout: Duration,
}

/// An `action` block.
#[derive(Debug, Clone)]
pub struct ActionStep {
    /// The action.
    pub uses: Uses,
    /// Its arguments.
    pub with: With,
    /// Taken only where this is supported: acting is not safe, so an unknown condition forbids it.
    pub when: Option<Condition>,
    /// As written; see [`ActionStep::approval`].
    pub stated_approval: Option<Approval>,
    /// How long the alert may take to come clear.
    pub verify: Duration,
}

impl ActionStep {
    /// Who must agree: as the page says, one person where it says nothing, and never laxer than
    /// the risk allows.
    pub fn approval(&self, risk: Risk) -> Approval {
        self.stated_approval.unwrap_or(Approval::Required).max(risk.least_approval())
    }
}

/// What a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manual {
    /// Reads, decides, repairs by hand, and ticks it.
    Checklist,
    /// The contact of the system's configuration takes over and gets the bundle.
    Handover,
    /// Reads this page elsewhere.
    Link(String),
    /// Nothing, for as long as the alert stays clear: the incident closes only after this.
    Watch(Duration),
    /// Something for another day: a line of the closing report.
    Advice,
}

/// What a block `uses`: `opnsense/service-log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    text: String,
    slash: usize,
    /// Where it stands on the page.
    pub(crate) at: usize,
}

impl Uses {
    pub(crate) fn parse(text: &str, at: usize) -> Option<Self> {
        let slash = text.find('/')?;
        let word = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let fits = word(&text[..slash]) && word(&text[slash + 1..]);
        fits.then(|| Self { text: text.to_owned(), slash, at })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The kind of system: before the slash.
    pub fn kind(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The probe or action: after the slash.
    pub fn name(&self) -> &str {
        &self.text[self.slash + 1..]
    }
}

impl fmt::Display for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The arguments of a block, each a template.
#[derive(Debug, Clone, Default)]
pub struct With(pub(crate) Vec<Argument>);

#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub name: String,
    /// Where the name stands on the page.
    pub name_at: usize,
    pub value: Template,
}

/// An argument that cannot be had. Nothing may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argument `{argument}`: {reason}")]
pub struct ArgumentError {
    /// The key under `with`.
    pub argument: String,
    /// What is missing, by its name.
    pub reason: TemplateError,
}

impl With {
    /// The names and templates as written.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|argument| (argument.name.as_str(), argument.value.as_str()))
    }

    /// The arguments for this alert. What a label or a fact holds is data: it is put in once, and
    /// never read as a template again.
    ///
    /// # Errors
    ///
    /// The first argument that reads a label or a fact that is not there, or that is null.
    pub fn bind(&self, situation: &Situation) -> Result<BTreeMap<String, String>, ArgumentError> {
        let bind = |argument: &Argument| match argument.value.render_all(situation) {
            Ok(text) => Ok((argument.name.clone(), text)),
            Err(reason) => Err(ArgumentError { argument: argument.name.clone(), reason }),
        };
        self.0.iter().map(bind).collect()
    }
}

impl Step {
    /// The probe or action that it uses.
    pub fn uses(&self) -> Option<&Uses> {
        match &self.work {
            Work::Probe(probe) => Some(&probe.uses),
            Work::Action(action) => Some(&action.uses),
            Work::Manual(_) => None,
        }
    }

    /// The arguments of its block.
    pub fn with(&self) -> Option<&With> {
        match &self.work {
            Work::Probe(probe) => Some(&probe.with),
            Work::Action(action) => Some(&action.with),
            Work::Manual(_) => None,
        }
    }

    /// The condition of its block.
    pub fn when(&self) -> Option<&Condition> {
        match &self.work {
            Work::Probe(probe) => probe.when.as_ref(),
            Work::Action(action) => action.when.as_ref(),
            Work::Manual(_) => None,
        }
    }
}
