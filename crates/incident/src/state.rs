use std::collections::{BTreeMap, BTreeSet};

use paramedic_catalog::Approval;
use paramedic_model::{IncidentId, TimeMs};

use crate::{
    CauseVerdict, Ending, Event, Looked, Manual, Opened, Outcome, PlannedStep, Policy, Proposal,
    StepWork,
};

/// An incident: the fold of its events.
#[derive(Debug, Clone)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// How it began.
    pub opened: Opened,
    /// When it was opened.
    pub opened_at: TimeMs,
    /// The diagnosis that counts, from 1.
    pub round: u32,
    /// When it began.
    pub round_at: TimeMs,
    /// What this round's steps saw, by step id.
    pub looked: BTreeMap<String, Looked>,
    /// The causes as last judged.
    pub causes: Vec<CauseVerdict>,
    /// The likely cause of the last diagnosis.
    pub likely: Option<String>,
    /// The steps that are still to be done, the next one first.
    pub plan: Vec<PlannedStep>,
    /// Where it stands.
    pub stage: Stage,
    /// Whether the alert fires, as far as is known.
    pub signal: Signal,
    /// The target that the alert's series went with, while it is blind because of one.
    pub blind_on: Option<String>,
    /// The incident that is about the loss of that target.
    pub under: Option<IncidentId>,
    /// The proposal on offer, or under way.
    pub proposal: Option<Proposal>,
    /// Who agreed to that proposal.
    pub approvals: BTreeSet<String>,
    /// The actions that were intended, oldest first.
    pub acts: Vec<Act>,
    /// The manual steps that a person ticked.
    pub ticked: BTreeSet<String>,
    /// Whether it was handed over, and to whom.
    pub handed_to: Option<String>,
    /// Whether a step waited for a person to do it.
    pub by_hand: bool,
    /// Whether the last diagnosis said that nothing is to be done.
    pub left_alone: bool,
    /// How it ended, once it has.
    pub ending: Option<Ending>,
    /// Everything, in order.
    pub events: Vec<(TimeMs, Event)>,
}

/// One intended action.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// The id of the step.
    pub step: String,
    /// `kind/name`.
    pub uses: String,
    /// Its arguments.
    pub args: BTreeMap<String, String>,
    /// When it was intended.
    pub at: TimeMs,
    /// What came of it; `None` while it is under way or in doubt.
    pub outcome: Option<Outcome>,
    /// Whether the alert came clear after it; `None` while that is open.
    pub recovered: Option<bool>,
}

/// Whether the alert fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It does.
    Firing,
    /// Its series vanished: unknown.
    Blind,
    /// It does not, on fresh samples.
    Clear,
}

/// Where an incident stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Steps of the diagnosis are being taken.
    Diagnosing,
    /// The first step of the plan is an action that is to be looked into.
    Proposing,
    /// A proposal waits for people.
    Waiting,
    /// The proposal is agreed to: guards, then action.
    Acting,
    /// The action was intended and has no outcome yet.
    InFlight,
    /// The action was carried out; the alert must come clear until then.
    Verifying {
        /// The deadline.
        until: TimeMs,
    },
    /// The first step of the plan waits for a person to tick it.
    Manual,
    /// Nothing more will be done unasked.
    Settled(Settled),
    /// The alert is clear; if it stays so until then, the incident closes.
    Watching {
        /// The end of the watch.
        until: TimeMs,
    },
    /// It is over.
    Closed,
}

/// Why nothing more will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The cause calls for nothing.
    LeftAlone,
    /// A person has it.
    HandedOver,
}

impl Stage {
    /// For people, in a word or two.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Diagnosing => "diagnosing",
            Self::Proposing => "preparing",
            Self::Waiting => "waiting for approval",
            Self::Acting | Self::InFlight => "acting",
            Self::Verifying { .. } => "verifying",
            Self::Manual => "waiting for a person",
            Self::Settled(Settled::LeftAlone) => "left alone",
            Self::Settled(Settled::HandedOver) => "handed over",
            Self::Watching { .. } => "watching",
            Self::Closed => "closed",
        }
    }
}

/// What should be going on for an incident. The engine does it once and answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// Take this diagnosis step.
    Look {
        /// Its id.
        step: String,
    },
    /// Judge the causes: every step was taken.
    Diagnose,
    /// Look into the action of this step and offer it.
    Prepare {
        /// Its id.
        step: String,
    },
    /// Ask the guards, and if all pass, act.
    Act {
        /// Its id.
        step: String,
    },
    /// An intent has no outcome and nobody is at it: ask the system whether it happened.
    Reconcile {
        /// Its id.
        step: String,
        /// When it was intended.
        intended: TimeMs,
    },
    /// Come back at this moment.
    Wake(TimeMs),
    /// Nothing but the alert or a person.
    Nothing,
}

impl Incident {
    /// The incident that `opened` begins.
    pub fn open(id: IncidentId, at: TimeMs, opened: Opened) -> Self {
        let mut incident = Self {
            id,
            opened: opened.clone(),
            opened_at: at,
            round: 1,
            round_at: at,
            looked: BTreeMap::new(),
            causes: Vec::new(),
            likely: None,
            plan: Vec::new(),
            stage: Stage::Diagnosing,
            signal: Signal::Firing,
            blind_on: None,
            under: None,
            proposal: None,
            approvals: BTreeSet::new(),
            acts: Vec::new(),
            ticked: BTreeSet::new(),
            handed_to: None,
            by_hand: false,
            left_alone: false,
            ending: None,
            events: Vec::new(),
        };
        incident.apply(at, Event::Opened(opened));
        incident
    }

    /// Whether it is not closed.
    pub fn is_open(&self) -> bool {
        self.stage != Stage::Closed
    }

    /// Since when the alert's expression has been true.
    pub fn since(&self) -> TimeMs {
        TimeMs(self.opened.active_at_ms)
    }

    /// What should be going on, given the diagnosis steps of its page in order.
    pub fn wants(&self, diagnosis: &[String], policy: &Policy) -> Want {
        match &self.stage {
            Stage::Diagnosing => {
                match diagnosis.iter().find(|step| !self.looked.contains_key(*step)) {
                    Some(step) => Want::Look { step: step.clone() },
                    None => Want::Diagnose,
                }
            }
            Stage::Proposing => match self.plan.first() {
                Some(step) => Want::Prepare { step: step.id.clone() },
                None => Want::Nothing,
            },
            Stage::Acting => match &self.proposal {
                Some(proposal) => Want::Act { step: proposal.step.clone() },
                None => Want::Nothing,
            },
            Stage::InFlight => match self.acts.last() {
                Some(act) => Want::Reconcile { step: act.step.clone(), intended: act.at },
                None => Want::Nothing,
            },
            Stage::Verifying { until } => Want::Wake(*until),
            // A moment that would change nothing is not waited for, or the engine would spin.
            Stage::Watching { until } if self.signal == Signal::Clear => Want::Wake(*until),
            Stage::Settled(Settled::LeftAlone) if self.signal == Signal::Firing => {
                Want::Wake(self.round_at + policy.recheck)
            }
            Stage::Watching { .. }
            | Stage::Settled(_)
            | Stage::Waiting
            | Stage::Manual
            | Stage::Closed => Want::Nothing,
        }
    }

    /// How many people must still agree to the proposal on offer.
    pub fn approvals_missing(&self) -> usize {
        let needed = match self.proposal.as_ref().map(|proposal| proposal.approval.0) {
            Some(Approval::TwoPerson) => 2,
            Some(Approval::Automatic | Approval::Required) => 1,
            None => return 0,
        };
        usize::saturating_sub(needed, self.approvals.len())
    }

    /// Takes one event in. Every event fits every state: a journal is read, not judged.
    pub fn apply(&mut self, at: TimeMs, event: Event) {
        match &event {
            Event::Opened(_) | Event::Noted { .. } | Event::Rejected { .. } => {}
            Event::RoundStarted { round, .. } => {
                self.round = *round;
                self.round_at = at;
                self.looked.clear();
                self.plan.clear();
                self.proposal = None;
                self.approvals.clear();
                self.stage = Stage::Diagnosing;
            }
            Event::Probed { step, looked } => {
                self.looked.insert(step.clone(), looked.clone());
            }
            Event::Diagnosed { causes, likely, plan, nothing_to_do: _ } => {
                self.left_alone = false;
                self.causes = causes.clone();
                self.likely = likely.clone();
                self.plan = plan.clone();
                self.begin_next_step();
            }
            Event::Requested { step, .. } => {
                self.plan = vec![step.clone()];
                self.begin_next_step();
            }
            Event::Proposed(proposal) => {
                self.proposal = Some(proposal.clone());
                self.approvals.clear();
                self.stage = Stage::Waiting;
            }
            Event::Unavailable { step, .. } => self.finish_step(step),
            Event::Approved { by, .. } => {
                self.approvals.insert(by.clone());
                if self.approvals_missing() == 0 {
                    self.stage = Stage::Acting;
                }
            }
            Event::Judged { step, verdicts } => {
                if verdicts.iter().any(|verdict| !verdict.pass) {
                    self.finish_step(step);
                }
            }
            Event::Intended { step, .. } => {
                let (uses, args) = match &self.proposal {
                    Some(proposal) => (proposal.uses.clone(), proposal.args.clone()),
                    None => Default::default(),
                };
                let (step, outcome, recovered) = (step.clone(), None, None);
                self.acts.push(Act { step, uses, args, at, outcome, recovered });
                self.stage = Stage::InFlight;
            }
            Event::NotSent { .. } => {
                self.acts.pop();
                self.stage = Stage::Acting;
            }
            Event::Acted { step, outcome } => self.acted(at, step, outcome),
            Event::Verified { step, recovered, .. } => {
                if let Some(act) = self.acts.last_mut() {
                    act.recovered = Some(*recovered);
                }
                if !recovered {
                    self.finish_step(step);
                }
            }
            Event::HandedOver { contact, .. } => {
                self.handed_to = Some(contact.clone());
                self.plan.clear();
                self.proposal = None;
                self.stage = Stage::Settled(Settled::HandedOver);
            }
            Event::LeftAlone { .. } => {
                self.left_alone = true;
                self.stage = Stage::Settled(Settled::LeftAlone);
            }
            Event::Ticked { step, .. } => {
                self.ticked.insert(step.clone());
                if self.stage == Stage::Manual && self.plan.first().is_some_and(|s| s.id == *step) {
                    self.finish_step(step);
                }
            }
            Event::Cleared { .. } => self.sees(Signal::Clear, None),
            Event::Blind { target, .. } => self.sees(Signal::Blind, target.clone()),
            Event::Firing => self.sees(Signal::Firing, None),
            Event::Joined { lead, .. } => self.under = Some(IncidentId(*lead)),
            Event::Watching { until_ms } => {
                self.stage = Stage::Watching { until: TimeMs(*until_ms) }
            }
            Event::Closed { ending, .. } => {
                self.ending = Some(*ending);
                self.proposal = None;
                self.stage = Stage::Closed;
            }
        }
        self.events.push((at, event));
    }

    fn sees(&mut self, signal: Signal, blind_on: Option<String>) {
        (self.signal, self.blind_on, self.under) = (signal, blind_on, None);
    }

    fn acted(&mut self, at: TimeMs, step: &str, outcome: &Outcome) {
        if let Some(act) = self.acts.last_mut() {
            act.outcome = Some(outcome.clone());
        }
        match outcome {
            Outcome::Done(_) => {
                let planned = self.plan.first().filter(|planned| planned.id == step);
                let verify_ms = match planned.map(|planned| &planned.work) {
                    Some(StepWork::Action { verify_ms, .. }) => *verify_ms,
                    _ => 0,
                };
                let until = at + std::time::Duration::from_millis(verify_ms);
                self.stage = Stage::Verifying { until };
            }
            Outcome::Failed(_) | Outcome::Uncertain(_) => self.finish_step(step),
        }
    }

    /// The step is behind us: on to the next one of the plan. Where there is none, the stage is
    /// `Proposing` with an empty plan, in which [`decide`](crate::decide) hands over.
    fn finish_step(&mut self, step: &str) {
        self.plan.retain(|planned| planned.id != step);
        self.proposal = None;
        self.approvals.clear();
        self.begin_next_step();
    }

    fn begin_next_step(&mut self) {
        let next = self.plan.first().map(|step| &step.work);
        self.by_hand |= matches!(next, Some(StepWork::Manual(Manual::Checklist)));
        self.stage = match self.plan.first().map(|step| &step.work) {
            Some(StepWork::Manual(Manual::Checklist)) => Stage::Manual,
            Some(StepWork::Action { .. } | StepWork::Manual(Manual::Handover)) | None => {
                Stage::Proposing
            }
        };
    }
}
