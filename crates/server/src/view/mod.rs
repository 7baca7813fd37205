//! What requests read of the engine between two of its turns: owned data, rendered afterwards.

mod incident;
mod systems;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paramedic_engine::Engine;
use paramedic_incident::{Ending, Event, Incident, Settled, Signal, Stage, SystemChoice};
use paramedic_model::{IncidentId, TimeMs};
use paramedic_rules::{Health, Rule, State};

pub(crate) use incident::{IncidentView, Member, StepView, StepWork};
pub(crate) use systems::{Sight, SystemView, TargetView, other_targets, systems};
pub(crate) use why::{RuleWhy, WhyView};

use crate::words::{moment_text, span};

/// How many closed incidents the first page shows.
pub(crate) const CLOSED_SHOWN: usize = 20;
/// How many closed incidents the API lists.
pub(crate) const CLOSED_LISTED: usize = 500;

/// How many incidents are open.
pub(crate) fn open_count(engine: &Engine) -> usize {
    engine.incidents().filter(|incident| incident.is_open()).count()
}

/// How many outages are open: the incidents but those that stand under another one. Every page says it.
pub(crate) fn outage_count(engine: &Engine) -> usize {
    let open = engine.incidents().filter(|incident| incident.is_open());
    open.filter(|incident| lead(engine, incident).is_none()).count()
}

/// The open incident under which one stands: of the loss of the target that its alert is blind on.
pub(crate) fn lead<'a>(engine: &'a Engine, incident: &Incident) -> Option<&'a Incident> {
    let lead = engine.incident(incident.under?)?;
    (incident.is_open() && lead.is_open()).then_some(lead)
}

/// One incident in a list.
pub(crate) struct Row {
    pub id: IncidentId,
    pub alert: String,
    pub summary: String,
    /// The labels that tell it from the other listed incidents of the same alert.
    pub telling: Vec<(String, String)>,
    pub system: SystemChoice,
    /// The target that is lost, or that the alert is blind on.
    pub target: Option<String>,
    /// How many alert rules are blind, where it is of the loss of a target.
    pub lost_rules: Option<usize>,
    /// The open incident under which it stands.
    pub under: Option<IncidentId>,
    pub stage: Stage,
    pub signal: Signal,
    pub since: TimeMs,
    pub opened_at: TimeMs,
    /// When it was closed.
    pub closed_at: Option<TimeMs>,
    pub ending: Option<Ending>,
    /// The title of the likely cause.
    pub likely: Option<String>,
    /// What must happen next, for people.
    pub waits_for: String,
}

impl Row {
    pub fn new(engine: &Engine, incident: &Incident) -> Self {
        let closed = !incident.is_open();
        let lost = incident.opened.lost.as_ref();
        Self {
            id: incident.id,
            alert: incident.opened.alert.clone(),
            summary: summary(&incident.opened.annotations).to_owned(),
            telling: Vec::new(),
            system: incident.opened.system.clone(),
            target: lost.map(|lost| lost.target.clone()).or_else(|| incident.blind_on.clone()),
            lost_rules: lost.map(|lost| lost.rule_count),
            under: lead(engine, incident).map(|lead| lead.id),
            stage: incident.stage.clone(),
            signal: incident.signal,
            since: incident.since(),
            opened_at: incident.opened_at,
            closed_at: incident.events.last().filter(|_| closed).map(|(at, _)| *at),
            ending: incident.ending,
            likely: likely(incident),
            waits_for: waits_for(engine, incident),
        }
    }
}

/// Incidents, the open ones first, each part with the newest first.
pub(crate) struct Rows {
    pub open: Vec<Row>,
    pub closed: Vec<Row>,
    /// How many closed ones are left out.
    pub left_off: usize,
}

impl Rows {
    pub fn new(engine: &Engine, closed_max: usize) -> Self {
        let mut incidents: Vec<_> = engine.incidents().collect();
        // Stable, so in both parts the newest stays first.
        incidents.reverse();
        incidents.sort_by_key(|incident| !incident.is_open());
        let open_count = incidents.iter().filter(|incident| incident.is_open()).count();
        let listed = incidents.len().min(open_count + closed_max);
        let left_off = incidents.len() - listed;
        incidents.truncate(listed);
        let telling = Telling::new(&incidents);
        let row = |incident: &&Incident| Row {
            telling: telling.labels(incident),
            ..Row::new(engine, incident)
        };
        let (open, closed) = incidents.split_at(open_count);
        Self {
            open: open.iter().map(row).collect(),
            closed: closed.iter().map(row).collect(),
            left_off,
        }
    }
}

/// The labels in which incidents of one alert differ, by alert.
struct Telling<'a>(BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<&'a str>>>);

impl<'a> Telling<'a> {
    fn new(incidents: &[&'a Incident]) -> Self {
        let mut values: BTreeMap<_, BTreeMap<_, BTreeSet<_>>> = BTreeMap::new();
        for incident in incidents {
            let of_alert = values.entry(incident.opened.alert.as_str()).or_default();
            for (name, value) in &incident.opened.labels {
                of_alert.entry(name.as_str()).or_default().insert(value.as_str());
            }
        }
        Self(values)
    }

    fn labels(&self, incident: &Incident) -> Vec<(String, String)> {
        let of_alert = self.0.get(incident.opened.alert.as_str());
        let differs = |name: &str| {
            of_alert.and_then(|labels| labels.get(name)).is_some_and(|values| values.len() > 1)
        };
        let labels = incident.opened.labels.iter().filter(|(name, _)| differs(name));
        labels.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// The line that says what an alert means: of the usual annotations, the first there is.
pub(crate) fn summary(annotations: &BTreeMap<String, String>) -> &str {
    let of = |name: &str| annotations.get(name).map(|text| text.trim());
    ["summary", "description", "message"]
        .into_iter()
        .find_map(|name| of(name).filter(|text| !text.is_empty()))
        .and_then(|text| text.lines().next())
        .unwrap_or_default()
}

/// The title of the likely cause.
pub(crate) fn likely(incident: &Incident) -> Option<String> {
    let id = incident.likely.as_ref()?;
    incident.causes.iter().find(|cause| cause.id == *id).map(|cause| cause.title.clone())
}

/// The system of an incident, for people.
pub(crate) fn system_text(system: &SystemChoice) -> String {
    match system {
        SystemChoice::One { name, .. } => name.clone(),
        SystemChoice::None => "no configured system".to_owned(),
        SystemChoice::Several(names) => format!("one of {}", names.join(", ")),
    }
}

/// What an incident waits for, in a clause.
fn waits_for(engine: &Engine, incident: &Incident) -> String {
    let next = incident.plan.first();
    match &incident.stage {
        Stage::Diagnosing => {
            let steps = engine.page_of(incident).map(|page| page.probe_steps()).unwrap_or_default();
            let taken = steps.iter().filter(|step| incident.looked.contains_key(*step)).count();
            match steps.iter().find(|step| !incident.looked.contains_key(*step)) {
                Some(step) => {
                    format!("diagnosis step {} of {}, `{step}`", taken + 1, steps.len())
                }
                None => "the causes to be judged".to_owned(),
            }
        }
        Stage::Proposing => match next {
            Some(step) => format!("a look into “{}” before it is offered", step.title),
            None => "the next step".to_owned(),
        },
        Stage::Waiting => match incident.approvals_missing() {
            1 if incident.approvals.is_empty() => "approval by a person".to_owned(),
            1 => "approval by a second person".to_owned(),
            missing => format!("approval by {missing} persons"),
        },
        Stage::Acting => "the guards, right before the action".to_owned(),
        Stage::InFlight => "the outcome of the action".to_owned(),
        Stage::Verifying { until } => {
            format!("the alert to come clear by {}", moment_text(*until))
        }
        Stage::Manual => match next {
            Some(step) => format!("a person to do “{}”", step.title),
            None => "a person".to_owned(),
        },
        Stage::Settled(Settled::LeftAlone) => {
            "the alert to clear; there is nothing to do".to_owned()
        }
        Stage::Settled(Settled::HandedOver) => {
            incident.handed_to.clone().unwrap_or_else(|| "a person".to_owned())
        }
        Stage::Watching { until } => {
            format!("the alert to stay clear until {}", moment_text(*until))
        }
        Stage::Closed => "nothing".to_owned(),
    }
}

/// The newest event that `pick` takes, with its moment.
pub(crate) fn newest<'a, T>(
    incident: &'a Incident,
    pick: impl Fn(&'a Event) -> Option<T>,
) -> Option<(TimeMs, T)> {
    incident.events.iter().rev().find_map(|(at, event)| Some((*at, pick(event)?)))
}

/// An alert whose `for` is not over.
pub(crate) struct PendingView {
    pub alert: String,
    pub labels: String,
    pub system: SystemChoice,
    pub since: TimeMs,
    pub fires_at: TimeMs,
}

/// The alerts that are about to fire, the next one first.
pub(crate) fn pending(engine: &Engine) -> Vec<PendingView> {
    let rules = engine.groups().iter().flat_map(|group| group.rules());
    let pending = rules.flat_map(|state| {
        let hold = match state.rule() {
            Rule::Alert(rule) => rule.waits.hold,
            Rule::Record(_) => Duration::ZERO,
        };
        state.alerts().filter_map(move |alert| match alert.state {
            State::Pending { active_at } => Some(PendingView {
                alert: state.rule().name().to_owned(),
                labels: alert.labels.without(&["alertname"]).to_string(),
                system: engine.systems().about(&alert.labels, &alert.origins),
                since: active_at,
                fires_at: active_at + hold,
            }),
            _ => None,
        })
    });
    let mut pending: Vec<_> = pending.collect();
    pending.sort_by_key(|alert| alert.fires_at);
    pending
}

/// One group of rules.
pub(crate) struct GroupView {
    pub name: String,
    pub file: String,
    pub interval: Duration,
    pub evaluated_at: Option<TimeMs>,
    pub rules: Vec<RuleView>,
}

/// One rule.
pub(crate) struct RuleView {
    pub name: String,
    pub is_alert: bool,
    pub expr: String,
    pub hold: Duration,
    pub health: Health,
    pub warnings: Vec<String>,
    pub alerts: Vec<AlertView>,
    /// The title of the page that serves the alert.
    pub runbook: Option<String>,
}

/// One alert of a rule.
pub(crate) struct AlertView {
    pub labels: String,
    pub state: State,
    pub value: f64,
}

/// All groups.
pub(crate) fn groups(engine: &Engine) -> Vec<GroupView> {
    let rule = |state: &paramedic_rules::RuleState| {
        let alerts = state.alerts().map(|alert| AlertView {
            labels: alert.labels.without(&["alertname"]).to_string(),
            state: alert.state,
            value: alert.value,
        });
        let (is_alert, hold) = match state.rule() {
            Rule::Alert(rule) => (true, rule.waits.hold),
            Rule::Record(_) => (false, Duration::ZERO),
        };
        let name = state.rule().name().to_owned();
        let page = engine.pages().serving(&name).filter(|_| is_alert);
        RuleView {
            runbook: page.map(|page| page.title().to_owned()),
            name,
            is_alert,
            expr: state.rule().expr().text().trim().to_owned(),
            hold,
            health: state.health().clone(),
            warnings: state.warnings().to_vec(),
            alerts: alerts.collect(),
        }
    };
    let group = |group: &paramedic_rules::Group| GroupView {
        name: group.name().to_owned(),
        file: group.file().to_owned(),
        interval: group.interval(),
        evaluated_at: group.evaluated_at(),
        rules: group.rules().iter().map(rule).collect(),
    };
    engine.groups().iter().map(group).collect()
}

/// The moment that an alert came to its state, in words.
pub(crate) fn state_text(state: State, now: TimeMs) -> String {
    match state {
        State::Inactive => "inactive".to_owned(),
        State::Pending { active_at } => format!("pending for {}", span(now.since(active_at))),
        State::Firing { fired_at, .. } => format!("firing for {}", span(now.since(fired_at))),
        State::Resolved { resolved_at, .. } => {
            format!("resolved {} ago", span(now.since(resolved_at)))
        }
    }
}
