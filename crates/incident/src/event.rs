//! What happens to an incident: the shape of the journal.
//!
//! These types are the journal's format. A field may be added with a default; one that is renamed
//! or removed needs a new format number in `journal`.

use std::collections::BTreeMap;

use paramedic_catalog::Approval;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The alert fired and the incident began.
    Opened(Opened),
    /// A diagnosis begins; the first, or another because of `reason`.
    RoundStarted {
        /// Counted from 1.
        round: u32,
        /// Why now.
        reason: String,
    },
    /// A diagnosis step was taken.
    Probed {
        /// The id of the step.
        step: String,
        /// What came of it.
        looked: Looked,
    },
    /// The causes were judged on the evidence.
    Diagnosed {
        /// All causes of the page, in its order.
        causes: Vec<CauseVerdict>,
        /// The id of the likely cause; `None` says that the diagnosis is inconclusive.
        likely: Option<String>,
        /// The mitigation steps that it asks for, in order.
        plan: Vec<PlannedStep>,
        /// Why nothing is to be done, where the likely cause says so.
        nothing_to_do: Option<String>,
    },
    /// A person asked for a mitigation step that the diagnosis did not.
    Requested {
        /// The step.
        step: PlannedStep,
        /// Who asked.
        by: String,
    },
    /// An action was looked into and is offered.
    Proposed(Proposal),
    /// An action cannot be offered.
    Unavailable {
        /// The id of the step.
        step: String,
        /// Why: its precondition fails, or could not be looked at.
        reason: String,
    },
    /// Somebody agreed to a proposal.
    Approved {
        /// The id of the step.
        step: String,
        /// The digest of the proposal that they saw.
        digest: String,
        /// Who; `policy` where the configuration lets it run by itself.
        by: String,
    },
    /// Somebody refused a proposal.
    Rejected {
        /// The id of the step.
        step: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The guards spoke, right before an action.
    Judged {
        /// The id of the step.
        step: String,
        /// One verdict per guard.
        verdicts: Vec<Verdict>,
    },
    /// The action is about to be sent. Written before the effect.
    Intended {
        /// The id of the step.
        step: String,
        /// Counted from 1 in this incident.
        attempt: u32,
    },
    /// The action has an outcome. Written after the effect.
    Acted {
        /// The id of the step.
        step: String,
        /// What came of it.
        outcome: Outcome,
    },
    /// A look after a crash says that the intended action never reached the system. It is asked of
    /// the guards again.
    NotSent {
        /// The id of the step.
        step: String,
        /// How that is known.
        reason: String,
    },
    /// The time to prove recovery is over, one way or the other.
    Verified {
        /// The id of the step.
        step: String,
        /// Whether the alert's own expression came clear.
        recovered: bool,
        /// On what grounds.
        reason: String,
    },
    /// The incident was given to a person, with its bundle.
    HandedOver {
        /// To whom: the contact of the system's configuration, or whoever is on call.
        contact: String,
        /// Why.
        reason: String,
    },
    /// Nothing is to be done, and this is why.
    LeftAlone {
        /// From the page.
        reason: String,
    },
    /// A person did a manual step.
    Ticked {
        /// The id of the step.
        step: String,
        /// Who.
        by: String,
    },
    /// A person wrote something down.
    Noted {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// The alert's expression is clear, on fresh samples.
    Cleared {
        /// On what grounds.
        reason: String,
    },
    /// The alert's series vanished: it is not known whether the outage goes on.
    Blind {
        /// What is missing.
        reason: String,
        /// The target that its series went with, where it is one target's loss.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// The alert is blind because of an outage that another incident is about.
    Joined {
        /// The number of that incident.
        lead: u64,
        /// The target that is lost.
        target: String,
    },
    /// The alert fires again, or its series came back and it still fires.
    Firing,
    /// The alert is clear, and stays under watch until then.
    Watching {
        /// Milliseconds since the epoch.
        until_ms: i64,
    },
    /// The incident is over.
    Closed {
        /// How.
        ending: Ending,
        /// The closing report, in Markdown.
        report: String,
    },
}

impl Event {
    /// The word for this kind of event in the journal: as `event` in its JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::RoundStarted { .. } => "round-started",
            Self::Probed { .. } => "probed",
            Self::Diagnosed { .. } => "diagnosed",
            Self::Requested { .. } => "requested",
            Self::Proposed(_) => "proposed",
            Self::Unavailable { .. } => "unavailable",
            Self::Approved { .. } => "approved",
            Self::Rejected { .. } => "rejected",
            Self::Judged { .. } => "judged",
            Self::Intended { .. } => "intended",
            Self::Acted { .. } => "acted",
            Self::NotSent { .. } => "not-sent",
            Self::Verified { .. } => "verified",
            Self::HandedOver { .. } => "handed-over",
            Self::LeftAlone { .. } => "left-alone",
            Self::Ticked { .. } => "ticked",
            Self::Noted { .. } => "noted",
            Self::Cleared { .. } => "cleared",
            Self::Blind { .. } => "blind",
            Self::Joined { .. } => "joined",
            Self::Firing => "firing",
            Self::Watching { .. } => "watching",
            Self::Closed { .. } => "closed",
        }
    }
}

/// How an incident began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The alert's name.
    pub alert: String,
    /// The alert's labels, `alertname` among them.
    pub labels: BTreeMap<String, String>,
    /// The rendered annotations.
    pub annotations: BTreeMap<String, String>,
    /// The value of the expression, as Prometheus prints it (JSON has no NaN).
    pub value: String,
    /// The expression, as the rule file has it.
    pub expr: String,
    /// Since when the expression has been true, in milliseconds since the epoch.
    pub active_at_ms: i64,
    /// The system that the alert is about.
    pub system: SystemChoice,
    /// The page that is followed, by its title; `None` where no page serves the alert.
    pub runbook: Option<String>,
    /// The series that the alert came from, some of them where they are many.
    pub origins: Vec<BTreeMap<String, String>>,
    /// Who sent the alert; `None` where it is one of our own rules'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
    /// The target that cannot be looked at, where no alert fired and the incident is of that loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

impl Opened {
    /// Whether it began with an alert of one of our own rules.
    pub fn is_of_rule(&self) -> bool {
        self.outside.is_none() && self.lost.is_none()
    }
}

/// A target that cannot be looked at, as it was known when its incident opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Its identity: `job/instance`.
    pub target: String,
    /// Why its newest collection failed.
    pub reason: String,
    /// When it last answered, in milliseconds since the epoch; `None` where that is not known.
    pub seen_at_ms: Option<i64>,
    /// The alert rules that read series which ended with it, some of them where they are many.
    pub rules: Vec<String>,
    /// How many these are.
    pub rule_count: usize,
}

/// The program that an alert came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// How it came.
    pub via: Via,
    /// The sender's own page of the alert; empty where it names none.
    pub url: String,
}

/// How an alert from outside came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Sent as to an Alertmanager: the sender repeats itself while the alert fires.
    Alerts,
    /// The webhook of an Alertmanager: it says when the alert is over, and nothing in between.
    Webhook,
}

impl Via {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alerts => "the alert's sender",
            Self::Webhook => "an Alertmanager",
        }
    }
}

/// Which system an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemChoice {
    /// Exactly this one: diagnose, and act under guard.
    One {
        /// Its name.
        name: String,
        /// Its kind.
        kind: String,
    },
    /// No configured system: nothing can be asked.
    None,
    /// Several: never act, because the wrong one could be hit.
    Several(Vec<String>),
}

impl SystemChoice {
    /// The name of the one system.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::One { name, .. } => Some(name),
            Self::None | Self::Several(_) => None,
        }
    }
}

/// What came of a diagnosis step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Looked {
    /// The probe saw this.
    Saw(Seen),
    /// The probe could not look. Never healthy.
    CouldNot {
        /// Why.
        reason: String,
        /// How long it tried, in milliseconds.
        took_ms: u64,
    },
    /// The step did not apply.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// Evidence, with its moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// One line for a person.
    pub summary: String,
    /// Typed facts.
    pub facts: Map<String, Value>,
    /// A redacted part of the raw answer.
    pub excerpt: String,
    /// When the look began, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// One cause, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CauseVerdict {
    /// Its id on the page.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Whether the evidence supports it.
    pub judgement: Judgement,
    /// The reason: the page's `because` for a supported cause, else what speaks against it or what
    /// is missing.
    pub because: String,
}

/// Whether evidence supports a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// Its condition is true.
    Supported,
    /// Its condition is false.
    Refuted,
    /// Its condition reads evidence that could not be had.
    Unknown,
}

/// One mitigation step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its id on the page.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it is.
    pub work: StepWork,
}

/// What a mitigation step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepWork {
    /// An action on the system.
    Action {
        /// `kind/name`.
        uses: String,
        /// Who must agree.
        approval: ApprovalWord,
        /// How long the alert may take to come clear, in milliseconds.
        verify_ms: u64,
    },
    /// Something that a person does.
    Manual(Manual),
}

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manual {
    /// The contact takes over.
    Handover,
    /// Everything else: read, decide, repair by hand, tick.
    Checklist,
}

/// [`Approval`] by its word, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApprovalWord(pub Approval);

impl TryFrom<String> for ApprovalWord {
    type Error = String;
    fn try_from(word: String) -> Result<Self, String> {
        Approval::parse(&word).map(Self).ok_or_else(|| format!("unknown approval {word:?}"))
    }
}

impl From<ApprovalWord> for String {
    fn from(word: ApprovalWord) -> Self {
        word.0.as_str().to_owned()
    }
}

/// An action on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The id of the step.
    pub step: String,
    /// `kind/name`.
    pub uses: String,
    /// The bound arguments.
    pub args: BTreeMap<String, String>,
    /// The system that it would change.
    pub system: String,
    /// Why it may run, as its precondition says.
    pub precondition: String,
    /// How many other things it would interrupt.
    pub blast_count: u32,
    /// The same for a person.
    pub blast_radius: String,
    /// Who must agree.
    pub approval: ApprovalWord,
    /// The identity of all of the above but the two looks: what an approval holds for.
    pub digest: String,
}

/// One guard's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The guard: `alert still fires`.
    pub guard: String,
    /// Whether it lets the action pass.
    pub pass: bool,
    /// Why.
    pub reason: String,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was carried out, and the state read again says this.
    Done(String),
    /// It was not carried out, or had no effect.
    Failed(String),
    /// Nobody can say. A person must look.
    Uncertain(String),
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// An action ran and the alert came clear.
    Repaired,
    /// The cause called for nothing, and the alert came clear.
    NothingToDo,
    /// A person took it over or did a step by hand, and the alert came clear.
    HandedOver,
    /// The alert came clear before anything was done.
    Recovered,
    /// What the alert was about is no longer there, by a direct read.
    Removed,
    /// A person closed it.
    ByPerson,
    /// Another incident is about the same outage and goes on.
    TakenOver,
}

impl Ending {
    /// For people: `repaired`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::NothingToDo => "nothing to do",
            Self::HandedOver => "handed over",
            Self::Recovered => "recovered by itself",
            Self::Removed => "removed",
            Self::ByPerson => "closed by a person",
            Self::TakenOver => "taken over by an alert",
        }
    }
}
