use std::time::Duration;

use paramedic_engine::{Engine, Page, Plot};
use paramedic_incident::{
    Act, Event, Incident, Looked, Outcome, PlannedStep, Settled, Stage, Verdict,
};
use paramedic_model::{IncidentId, Labels, TimeMs};
use paramedic_runbook::{Manual, Phase, Step, Work};

use super::{Row, Sight, SystemView, newest, outage_count, systems};

/// How much of the time before the alert a plot shows at least.
const PLOT_BEFORE_MIN: Duration = Duration::from_secs(5 * 60);
/// How much of the time before the alert a plot shows at most.
const PLOT_BEFORE_MAX: Duration = Duration::from_secs(60 * 60);

/// An incident with all that its page shows.
pub(crate) struct IncidentView {
    pub now: TimeMs,
    pub open_count: usize,
    pub row: Row,
    pub incident: Incident,
    pub page: Option<PageView>,
    pub plot: Option<Plot>,
    pub system: Option<SystemView>,
    /// Why its target cannot be looked at at present, where it is of a loss.
    pub loss_reason: Option<String>,
    /// The incident of the lost target that its alert is blind on, by number and alert.
    pub lead: Option<(IncidentId, String)>,
    /// The incidents of alerts that are or were blind because of its target.
    pub members: Vec<Member>,
    /// What a bundle says of versions.
    pub versions: Vec<(String, String)>,
}

impl IncidentView {
    pub fn new(engine: &Engine, now: TimeMs, id: IncidentId) -> Option<Self> {
        let incident = engine.incident(id)?;
        let name = incident.opened.system.name();
        let all = systems(engine).into_iter();
        Some(Self {
            now,
            open_count: outage_count(engine),
            row: Row::new(engine, incident),
            page: engine.page_of(incident).map(PageView::new),
            plot: plot(engine, incident, now),
            system: all.into_iter().find(|system| Some(system.name.as_str()) == name),
            loss_reason: incident
                .opened
                .lost
                .as_ref()
                .and_then(|lost| engine.failure(&lost.target).map(|(_, reason)| reason.clone())),
            lead: incident.under.and_then(|lead| {
                engine.incident(lead).map(|lead| (lead.id, lead.opened.alert.clone()))
            }),
            members: engine.incidents().filter_map(|one| Member::new(one, id)).collect(),
            versions: engine.versions().to_vec(),
            incident: incident.clone(),
        })
    }

    /// The verdicts of the guards on the last action that came to them.
    pub fn verdicts(&self) -> Option<(TimeMs, &str, &[Verdict])> {
        let (at, (step, verdicts)) = newest(&self.incident, |event| match event {
            Event::Judged { step, verdicts } => Some((step.as_str(), verdicts.as_slice())),
            _ => None,
        })?;
        Some((at, step, verdicts))
    }

    /// Why nothing is to be done, as last said.
    pub fn left_alone(&self) -> Option<&str> {
        let reason = newest(&self.incident, |event| match event {
            Event::LeftAlone { reason } => Some(reason.as_str()),
            _ => None,
        });
        reason.map(|(_, reason)| reason)
    }

    /// When, to whom and why it was last handed over.
    pub fn handed_over(&self) -> Option<(TimeMs, &str, &str)> {
        let (at, (contact, reason)) = newest(&self.incident, |event| match event {
            Event::HandedOver { contact, reason } => Some((contact.as_str(), reason.as_str())),
            _ => None,
        })?;
        Some((at, contact, reason))
    }

    /// Why nobody can say whether the alert still fires, as last said.
    pub fn blind(&self) -> Option<(TimeMs, &str)> {
        newest(&self.incident, |event| match event {
            Event::Blind { reason, .. } => Some(reason.as_str()),
            _ => None,
        })
    }

    /// The closing report, in Markdown.
    pub fn report(&self) -> Option<&str> {
        let report = newest(&self.incident, |event| match event {
            Event::Closed { report, .. } => Some(report.as_str()),
            _ => None,
        });
        report.map(|(_, report)| report)
    }

    /// Who ticked a step.
    pub fn ticked_by(&self, step: &str) -> Option<&str> {
        let by = newest(&self.incident, |event| match event {
            Event::Ticked { step: ticked, by } if ticked == step => Some(by.as_str()),
            _ => None,
        });
        by.map(|(_, by)| by)
    }

    /// Why a step could not be offered, where that is the last that was said of it.
    pub fn unavailable(&self, step: &str) -> Option<&str> {
        let last = newest(&self.incident, |event| match event {
            Event::Unavailable { step: s, reason } if s == step => Some(Some(reason.as_str())),
            Event::Proposed(proposal) if proposal.step == step => Some(None),
            Event::Requested { step: s, .. } if s.id == step => Some(None),
            Event::RoundStarted { .. } => Some(None),
            _ => None,
        });
        last.and_then(|(_, reason)| reason)
    }

    /// The last attempt at a step's action.
    pub fn last_act(&self, step: &str) -> Option<&Act> {
        self.incident.acts.iter().rev().find(|act| act.step == step)
    }

    /// The outcome of the newest attempt at any action.
    pub fn last_outcome(&self) -> Option<(&Act, &Outcome)> {
        let act = self.incident.acts.last()?;
        Some((act, act.outcome.as_ref()?))
    }

    /// The next step of the plan.
    pub fn next_step(&self) -> Option<&PlannedStep> {
        self.incident.plan.first()
    }

    /// Whether a person may ask for a step or another diagnosis now.
    pub fn may_request(&self) -> bool {
        let stage = &self.incident.stage;
        matches!(stage, Stage::Settled(_) | Stage::Waiting | Stage::Manual)
    }

    /// Who takes over: who has it, or who would get it.
    pub fn contact(&self) -> Option<&str> {
        let configured = self.system.as_ref().and_then(|system| system.contact.as_deref());
        let handed = matches!(self.incident.stage, Stage::Settled(Settled::HandedOver));
        self.incident.handed_to.as_deref().filter(|_| handed).or(configured)
    }

    /// Whether the system itself cannot be seen now.
    pub fn cannot_look(&self) -> Option<(TimeMs, &str)> {
        match &self.system.as_ref()?.sight {
            Sight::CannotLook { since, reason, .. } => Some((*since, reason)),
            Sight::Seen(_) | Sight::NotYet | Sight::NothingToCollect => None,
        }
    }

    /// What was seen for steps that the page does not have, or no longer has.
    pub fn evidence_without_step(&self) -> Vec<(&str, &Looked)> {
        let known = |id: &str| {
            self.page.as_ref().is_some_and(|page| page.diagnosis.iter().any(|step| step.id == id))
        };
        let looked = self.incident.looked.iter();
        looked.filter(|(id, _)| !known(id)).map(|(id, looked)| (id.as_str(), looked)).collect()
    }
}

/// An incident whose alert is or was blind because of the target that another one is about.
pub(crate) struct Member {
    pub id: IncidentId,
    pub alert: String,
    pub labels: String,
    /// Since when it is not known whether the alert fires.
    pub blind_since: TimeMs,
    /// Whether that is so still.
    pub is_blind: bool,
}

impl Member {
    /// `incident`, where it stood under `lead` once.
    fn new(incident: &Incident, lead: IncidentId) -> Option<Self> {
        let joined = |(_, event): &(TimeMs, Event)| matches!(event, Event::Joined { lead: to, .. } if IncidentId(*to) == lead);
        let place = incident.events.iter().position(joined)?;
        let mut before = incident.events[..place].iter().rev();
        let blind = before.find(|(_, event)| matches!(event, Event::Blind { .. }))?;
        let labels: Labels = incident.opened.labels.iter().collect();
        Some(Self {
            id: incident.id,
            alert: incident.opened.alert.clone(),
            labels: labels.without(&["alertname"]).to_string(),
            blind_since: blind.0,
            is_blind: incident.is_open() && incident.under == Some(lead),
        })
    }
}

/// The page that an incident follows.
pub(crate) struct PageView {
    pub title: String,
    pub diagnosis: Vec<StepView>,
    pub mitigation: Vec<StepView>,
}

/// One step of a page.
pub(crate) struct StepView {
    pub id: String,
    pub number: u64,
    pub title: String,
    /// What the page says; safe to show.
    pub html: String,
    pub work: StepWork,
}

/// What a step does.
pub(crate) enum StepWork {
    /// Looks, with `kind/name`.
    Probe(String),
    /// Changes, with `kind/name`.
    Action(String),
    /// A person does it.
    Manual(Manual),
}

impl PageView {
    pub fn new(page: &Page) -> Self {
        let runbook = page.runbook();
        let steps = |phase: Phase| {
            let steps = runbook.steps.iter().filter(move |step| step.phase == phase);
            steps.map(|step| StepView::new(step, runbook.step_html(step))).collect()
        };
        Self {
            title: page.title().to_owned(),
            diagnosis: steps(Phase::Diagnosis),
            mitigation: steps(Phase::Mitigation),
        }
    }

    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&StepView> {
        self.diagnosis.iter().chain(&self.mitigation).find(|step| step.id == id)
    }
}

impl StepView {
    fn new(step: &Step, html: String) -> Self {
        Self {
            id: step.id.clone(),
            number: step.number,
            title: step.title.clone(),
            html,
            work: match &step.work {
                Work::Probe(probe) => StepWork::Probe(probe.uses.to_string()),
                Work::Action(action) => StepWork::Action(action.uses.to_string()),
                Work::Manual(manual) => StepWork::Manual(manual.clone()),
            },
        }
    }
}

/// What the alert's expression did, from some time before it became true.
fn plot(engine: &Engine, incident: &Incident, now: TimeMs) -> Option<Plot> {
    let since = incident.since();
    let before = now.since(since).clamp(PLOT_BEFORE_MIN, PLOT_BEFORE_MAX);
    let labels: Labels = incident.opened.labels.iter().collect();
    engine.plot(&incident.opened.expr, &labels, since - before)
}
