use std::ops::Range;

use crate::{Condition, Judgement, Runbook, Situation, Template};

/// A named explanation of the alert.
#[derive(Debug, Clone)]
pub struct Cause {
    /// As its block names it.
    pub id: String,
    /// The bold words that it begins with.
    pub title: String,
    /// The rest, as plain text; may be empty.
    pub text: String,
    /// Its line on the page, counted from 1.
    pub line: usize,
    /// Its bytes on the page.
    pub span: Range<usize>,
    /// Supports it.
    pub when: Condition,
    /// Says to a person what supports it.
    pub because: Template,
    /// How sure one may be when the condition holds, where the page says so.
    pub confidence: Option<Confidence>,
    /// What to do about it.
    pub remedy: Remedy,
}

/// What to do about a cause.
#[derive(Debug, Clone)]
pub enum Remedy {
    /// These mitigation steps, by id, in this order; at least one.
    Fix(Vec<String>),
    /// Nothing, and why: the `why` of a cause with `fix: []`.
    Nothing(Template),
}

/// How sure a page is of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidence {
    /// The evidence leaves no other explanation.
    High,
    /// The usual explanation.
    Medium,
    /// A guess worth trying.
    Low,
}

impl Confidence {
    /// The word on pages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::High, Self::Medium, Self::Low].into_iter().find(|c| c.as_str() == word)
    }
}

/// All causes of a page, judged, in the page's order: the first that is supported is the likely
/// one.
#[derive(Debug, Clone)]
pub struct Diagnosis<'a> {
    /// One per cause.
    pub causes: Vec<JudgedCause<'a>>,
}

/// One cause, judged.
#[derive(Debug, Clone)]
pub struct JudgedCause<'a> {
    /// The cause.
    pub cause: &'a Cause,
    /// Whether the evidence supports it.
    pub judgement: Judgement,
    /// For a person: what supports it, what speaks against it, or what is missing.
    pub because: String,
    /// Why nothing is to be done about it, where it is supported and the page says so.
    pub nothing_to_do: Option<String>,
}

impl<'a> Diagnosis<'a> {
    /// The first supported cause; `None` where the diagnosis is inconclusive. Causes that stand
    /// before it may be unknown, and then it is only the best of what could be seen.
    pub fn likely(&self) -> Option<&JudgedCause<'a>> {
        self.supported().next()
    }

    /// The causes that the evidence supports, the likely one first.
    pub fn supported(&self) -> impl Iterator<Item = &JudgedCause<'a>> {
        self.causes.iter().filter(|judged| judged.judgement == Judgement::Supported)
    }

    /// The causes that cannot be judged.
    pub fn unknown(&self) -> impl Iterator<Item = &JudgedCause<'a>> {
        self.causes.iter().filter(|judged| matches!(judged.judgement, Judgement::Unknown(_)))
    }
}

impl Cause {
    /// Judges its condition, and says why.
    pub fn judge(&self, situation: &Situation) -> JudgedCause<'_> {
        let judgement = self.when.judge(situation);
        let mut nothing_to_do = None;
        let because = match &judgement {
            Judgement::Supported => {
                if let Remedy::Nothing(why) = &self.remedy {
                    nothing_to_do = Some(why.render_or_explain(situation));
                }
                self.because.render_or_explain(situation)
            }
            Judgement::Refuted { by } => format!("`{by}` does not hold"),
            Judgement::Unknown(gap) => gap.to_string(),
        };
        JudgedCause { cause: self, judgement, because, nothing_to_do }
    }

    /// The ids of the mitigation steps that it asks for; none where nothing is to be done.
    pub fn fix(&self) -> &[String] {
        match &self.remedy {
            Remedy::Fix(steps) => steps,
            Remedy::Nothing(_) => &[],
        }
    }
}

impl Runbook {
    /// Judges all causes.
    pub fn diagnose(&self, situation: &Situation) -> Diagnosis<'_> {
        Diagnosis { causes: self.causes.iter().map(|cause| cause.judge(situation)).collect() }
    }
}
