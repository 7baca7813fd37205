use std::ops::Range;
use std::time::Duration;

use crate::{Cause, Manual, Phase, Step, Work};

/// A page, parsed.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// The name that it was given for messages.
    pub name: String,
    /// From the front matter, else its first heading.
    pub title: String,
    /// The alerts that it serves; its title, where the front matter lists none.
    pub alerts: Vec<String>,
    /// The kinds of systems that it is about; none where it does not say.
    pub systems: Vec<String>,
    /// The alert rule that the page shows, where it shows one.
    pub rule: Option<EmbeddedRule>,
    /// All steps, in the order of the page.
    pub steps: Vec<Step>,
    /// All causes, the ones to prefer first.
    pub causes: Vec<Cause>,
    pub(crate) sections: Vec<Section>,
    pub(crate) advice: Vec<String>,
    pub(crate) source: String,
}

/// An alert rule as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedRule {
    /// The YAML, letter by letter.
    pub text: String,
    /// The line of its first line on the page, counted from 1.
    pub line: usize,
}

/// One of the four sections.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub kind: SectionKind,
    pub span: Range<usize>,
}

/// The four sections of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionKind {
    /// What the alert says.
    Meaning,
    /// What it does to people.
    Impact,
    /// How to find the cause.
    Diagnosis,
    /// What to do.
    Mitigation,
}

impl Runbook {
    /// The page as it was given: what an approval may be bound to.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// The cause of this id.
    pub fn cause(&self, id: &str) -> Option<&Cause> {
        self.causes.iter().find(|cause| cause.id == id)
    }

    /// The steps of Diagnosis, in order.
    pub fn diagnosis(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.phase == Phase::Diagnosis)
    }

    /// The steps of Mitigation, in order.
    pub fn mitigation(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.phase == Phase::Mitigation)
    }

    /// How long the alert is to be watched after it is clear, where the page says so.
    pub fn watch(&self) -> Option<Duration> {
        let watch = self.steps.iter().filter_map(|step| match step.work {
            Work::Manual(Manual::Watch(watch)) => Some(watch),
            _ => None,
        });
        watch.max()
    }

    /// Lines for the closing report: those of the front matter, then those of the steps.
    pub fn advice(&self) -> Vec<String> {
        let steps =
            self.steps.iter().filter(|step| matches!(step.work, Work::Manual(Manual::Advice)));
        let line = |step: &Step| match step.text.as_str() {
            "" => step.title.clone(),
            text => format!("{}: {text}", step.title),
        };
        self.advice.iter().cloned().chain(steps.map(line)).collect()
    }
}
