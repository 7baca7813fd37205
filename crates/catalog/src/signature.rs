use serde_json::{Map, Value};

use crate::{FactError, Field, Param, evidence};

/// A read-only look that a diagnosis step may take.
#[derive(Debug, Clone)]
pub struct ProbeSignature {
    /// The name after the kind: `service-log`.
    pub name: &'static str,
    /// What it looks at, in a sentence.
    pub summary: &'static str,
    /// What a step gives it.
    pub params: Vec<Param>,
    /// The facts that it always returns.
    pub facts: Vec<Field>,
    /// The privilege that it needs on the system; empty where none.
    pub privilege: &'static str,
}

impl ProbeSignature {
    /// Checks that `facts` are what this signature declares.
    ///
    /// # Errors
    ///
    /// The first fact that is missing, not declared, or of another type.
    pub fn check_facts(&self, facts: &Map<String, Value>) -> Result<(), FactError> {
        evidence::check(&self.facts, facts)
    }
}

/// A change that a mitigation step may make.
#[derive(Debug, Clone)]
pub struct ActionSignature {
    /// The name after the kind: `service-restart`.
    pub name: &'static str,
    /// What it changes, in a sentence.
    pub summary: &'static str,
    /// What a step gives it.
    pub params: Vec<Param>,
    /// How much can go wrong.
    pub risk: Risk,
    /// The privilege that it needs on the system; empty where none.
    pub privilege: &'static str,
    /// What must hold before, as the action itself checks it.
    pub precondition: &'static str,
    /// What it hits besides its aim.
    pub blast_radius: &'static str,
    /// What it reads afterwards to know that it worked.
    pub verification: &'static str,
    /// How it is undone, or that it cannot be.
    pub undo: &'static str,
}

/// How much can go wrong when an action runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Touches only what is already broken, and can be repeated.
    Low,
    /// Interrupts what works for a moment, or changes state that a person set.
    Medium,
    /// May take down more than it repairs, or cannot be undone.
    High,
}

impl Risk {
    /// The laxest approval that a step may ask for an action of this risk.
    pub fn least_approval(self) -> Approval {
        match self {
            Self::Low => Approval::Automatic,
            Self::Medium => Approval::Required,
            Self::High => Approval::TwoPerson,
        }
    }

    /// The word in pages and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Who must agree before an action runs, the laxest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Approval {
    /// Nobody, where the configuration allows automatic actions at all.
    Automatic,
    /// One person who may.
    Required,
    /// Two different persons who may.
    TwoPerson,
}

impl Approval {
    /// The word in runbooks, pages and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Required => "required",
            Self::TwoPerson => "two-person",
        }
    }

    /// The approval that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Automatic, Self::Required, Self::TwoPerson].into_iter().find(|a| a.as_str() == word)
    }
}
