//! What the API says, field by field. The core's types are free to change; these are not.

use std::collections::BTreeMap;

use paramedic_engine::Engine;
use paramedic_incident::{
    Judgement, Looked, Manual, Outcome, PlannedStep, Signal, StepWork, Via, timeline,
};
use paramedic_model::TimeMs;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::view::{self, IncidentView, Sight, SystemView, TargetView};

/// A moment, in RFC 3339.
fn moment(at: TimeMs) -> String {
    at.to_string()
}

/// One incident in the list.
#[derive(Serialize)]
pub(crate) struct Row {
    id: u64,
    alert: String,
    stage: &'static str,
    /// Null where none or several are meant.
    system: Option<String>,
    summary: String,
    since: String,
    opened_at: String,
    open: bool,
    /// The title of the likely cause.
    likely: Option<String>,
    waits_for: String,
    signal: &'static str,
    ending: Option<&'static str>,
    /// The target that is lost, or that the alert is blind on; null where it is neither.
    target: Option<String>,
    /// The number of the open incident under which it stands: of the loss of that target.
    under: Option<u64>,
}

impl Row {
    pub fn new(row: &view::Row) -> Self {
        Self {
            id: row.id.0,
            alert: row.alert.clone(),
            stage: row.stage.as_str(),
            system: row.system.name().map(str::to_owned),
            summary: row.summary.clone(),
            since: moment(row.since),
            opened_at: moment(row.opened_at),
            open: row.closed_at.is_none(),
            likely: row.likely.clone(),
            waits_for: row.waits_for.clone(),
            signal: signal(row.signal),
            ending: row.ending.map(|ending| ending.as_str()),
            target: row.target.clone(),
            under: row.under.map(|id| id.0),
        }
    }
}

fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Firing => "firing",
        Signal::Blind => "blind",
        Signal::Clear => "clear",
    }
}

/// One incident.
#[derive(Serialize)]
pub(crate) struct Incident {
    #[serde(flatten)]
    row: Row,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    expr: String,
    value: String,
    /// Since when nobody can say whether the alert fires, and why; null where it is known.
    blind: Option<BlindSince>,
    /// What is lost, where it is of the loss of a target; null where an alert fired.
    lost: Option<Lost>,
    /// The incidents whose alerts are or were blind because of the target that it is about.
    members: Vec<Member>,
    /// Who sent the alert; null where it is of a rule here.
    outside: Option<Sender>,
    /// The title of the page that is followed.
    runbook: Option<String>,
    /// Which diagnosis the evidence is of, from 1.
    round: u32,
    evidence: Vec<Evidence>,
    causes: Vec<Cause>,
    proposal: Option<Proposal>,
    plan: Vec<Planned>,
    acts: Vec<Act>,
    /// Of the last action that came to them.
    guards: Vec<Guard>,
    contact: Option<String>,
    timeline: Vec<Line>,
    /// In Markdown, once it is closed.
    report: Option<String>,
}

/// Since when and why it is not known whether an alert fires.
#[derive(Serialize)]
struct BlindSince {
    since: String,
    reason: String,
}

/// A target that cannot be looked at.
#[derive(Serialize)]
struct Lost {
    /// `job/instance`.
    target: String,
    since: String,
    /// The newest one, while it lasts.
    reason: String,
    /// Null where that is not known.
    last_seen: Option<String>,
    /// Alert rules that read its samples, at most 64.
    rules: Vec<String>,
    /// How many these are.
    rule_count: usize,
}

/// The incident of an alert that is or was blind.
#[derive(Serialize)]
struct Member {
    id: u64,
    alert: String,
    /// Since when.
    since: String,
    /// Whether that is so still.
    blind: bool,
}

/// Who sent an alert.
#[derive(Serialize)]
struct Sender {
    /// `alerts` or `webhook`.
    via: &'static str,
    /// The sender's own page of it; empty where it names none.
    url: String,
}

/// What came of one diagnosis step.
#[derive(Serialize)]
struct Evidence {
    step: String,
    title: String,
    /// `saw`, `could-not-look`, `left-out` or `pending`.
    state: &'static str,
    summary: String,
    at: Option<String>,
    took_ms: Option<u64>,
    facts: Option<Map<String, Value>>,
    excerpt: Option<String>,
}

/// One cause, judged.
#[derive(Serialize)]
struct Cause {
    id: String,
    title: String,
    judgement: &'static str,
    because: String,
    likely: bool,
}

/// What is on offer.
#[derive(Serialize)]
struct Proposal {
    step: String,
    uses: String,
    args: BTreeMap<String, String>,
    system: String,
    precondition: String,
    blast_radius: String,
    blast_count: u32,
    approval: &'static str,
    digest: String,
    approved_by: Vec<String>,
    approvals_missing: usize,
}

/// One step that is still to be done.
#[derive(Serialize)]
struct Planned {
    step: String,
    title: String,
    /// `action`, `handover` or `checklist`.
    work: &'static str,
    uses: Option<String>,
    approval: Option<&'static str>,
}

/// One action that was intended.
#[derive(Serialize)]
struct Act {
    step: String,
    uses: String,
    args: BTreeMap<String, String>,
    at: String,
    /// `done`, `failed`, `uncertain`; null while it is under way.
    outcome: Option<&'static str>,
    summary: Option<String>,
    /// Whether the alert came clear after it; null while that is open.
    recovered: Option<bool>,
}

#[derive(Serialize)]
struct Guard {
    guard: String,
    pass: bool,
    reason: String,
}

#[derive(Serialize)]
struct Line {
    at: String,
    text: String,
}

impl Incident {
    pub fn new(view: &IncidentView) -> Self {
        let incident = &view.incident;
        let opened = &incident.opened;
        let likely = incident.likely.as_deref();
        let proposal = incident.proposal.as_ref().map(|offer| Proposal {
            step: offer.step.clone(),
            uses: offer.uses.clone(),
            args: offer.args.clone(),
            system: offer.system.clone(),
            precondition: offer.precondition.clone(),
            blast_radius: offer.blast_radius.clone(),
            blast_count: offer.blast_count,
            approval: offer.approval.0.as_str(),
            digest: offer.digest.clone(),
            approved_by: incident.approvals.iter().cloned().collect(),
            approvals_missing: incident.approvals_missing(),
        });
        let causes = incident.causes.iter().map(|cause| Cause {
            id: cause.id.clone(),
            title: cause.title.clone(),
            judgement: match cause.judgement {
                Judgement::Supported => "supported",
                Judgement::Refuted => "refuted",
                Judgement::Unknown => "unknown",
            },
            because: cause.because.clone(),
            likely: likely == Some(&cause.id),
        });
        let verdicts = view.verdicts().map(|(_, _, verdicts)| verdicts).unwrap_or_default();
        let guards = verdicts.iter().map(|verdict| Guard {
            guard: verdict.guard.clone(),
            pass: verdict.pass,
            reason: verdict.reason.clone(),
        });
        let lines = timeline(incident).into_iter();
        Self {
            row: Row::new(&view.row),
            labels: opened.labels.clone(),
            annotations: opened.annotations.clone(),
            expr: opened.expr.clone(),
            value: opened.value.clone(),
            blind: view.blind().filter(|_| incident.signal == Signal::Blind).map(
                |(since, reason)| BlindSince { since: moment(since), reason: reason.to_owned() },
            ),
            lost: opened.lost.as_ref().map(|lost| Lost {
                target: lost.target.clone(),
                since: moment(incident.since()),
                reason: view.loss_reason.clone().unwrap_or_else(|| lost.reason.clone()),
                last_seen: lost.seen_at_ms.map(|at| moment(TimeMs(at))),
                rules: lost.rules.clone(),
                rule_count: lost.rule_count,
            }),
            members: view
                .members
                .iter()
                .map(|member| Member {
                    id: member.id.0,
                    alert: member.alert.clone(),
                    since: moment(member.blind_since),
                    blind: member.is_blind,
                })
                .collect(),
            outside: opened.outside.as_ref().map(|outside| Sender {
                via: match outside.via {
                    Via::Alerts => "alerts",
                    Via::Webhook => "webhook",
                },
                url: outside.url.clone(),
            }),
            runbook: opened.runbook.clone(),
            round: incident.round,
            evidence: evidence(view),
            causes: causes.collect(),
            proposal,
            plan: incident.plan.iter().map(Planned::new).collect(),
            acts: incident.acts.iter().map(Act::new).collect(),
            guards: guards.collect(),
            contact: view.contact().map(str::to_owned),
            timeline: lines.map(|(at, text)| Line { at: moment(at), text }).collect(),
            report: view.report().map(str::to_owned),
        }
    }
}

/// The evidence in the page's order, steps that were not taken yet among it.
fn evidence(view: &IncidentView) -> Vec<Evidence> {
    let steps = view.page.iter().flat_map(|page| &page.diagnosis);
    let probes = steps.filter(|step| matches!(step.work, view::StepWork::Probe(_)));
    let on_page =
        probes.map(|step| Evidence::new(&step.id, &step.title, view.incident.looked.get(&step.id)));
    let others = view.evidence_without_step().into_iter();
    on_page.chain(others.map(|(id, looked)| Evidence::new(id, id, Some(looked)))).collect()
}

impl Evidence {
    fn new(step: &str, title: &str, looked: Option<&Looked>) -> Self {
        let mut evidence = Self {
            step: step.to_owned(),
            title: title.to_owned(),
            state: "pending",
            summary: "not looked yet".to_owned(),
            at: None,
            took_ms: None,
            facts: None,
            excerpt: None,
        };
        match looked {
            None => {}
            Some(Looked::Saw(seen)) => {
                evidence.state = "saw";
                evidence.summary = seen.summary.clone();
                evidence.at = Some(moment(TimeMs(seen.at_ms)));
                evidence.took_ms = Some(seen.took_ms);
                evidence.facts = Some(seen.facts.clone());
                evidence.excerpt = Some(seen.excerpt.clone());
            }
            Some(Looked::CouldNot { reason, took_ms }) => {
                evidence.state = "could-not-look";
                evidence.summary = format!("could not look: {reason}");
                evidence.took_ms = Some(*took_ms);
            }
            Some(Looked::Skipped { reason }) => {
                evidence.state = "left-out";
                evidence.summary = format!("left out: {reason}");
            }
        }
        evidence
    }
}

impl Planned {
    fn new(step: &PlannedStep) -> Self {
        let (work, uses, approval) = match &step.work {
            StepWork::Action { uses, approval, .. } => {
                ("action", Some(uses.clone()), Some(approval.0.as_str()))
            }
            StepWork::Manual(Manual::Handover) => ("handover", None, None),
            StepWork::Manual(Manual::Checklist) => ("checklist", None, None),
        };
        Self { step: step.id.clone(), title: step.title.clone(), work, uses, approval }
    }
}

impl Act {
    fn new(act: &paramedic_incident::Act) -> Self {
        let (outcome, summary) = match &act.outcome {
            Some(Outcome::Done(summary)) => (Some("done"), Some(summary.clone())),
            Some(Outcome::Failed(reason)) => (Some("failed"), Some(reason.clone())),
            Some(Outcome::Uncertain(reason)) => (Some("uncertain"), Some(reason.clone())),
            None => (None, None),
        };
        Self {
            step: act.step.clone(),
            uses: act.uses.clone(),
            args: act.args.clone(),
            at: moment(act.at),
            outcome,
            summary,
            recovered: act.recovered,
        }
    }
}

/// Whether something can be seen.
#[derive(Default, Serialize)]
struct Seen {
    /// Since when it cannot be looked at.
    since: Option<String>,
    /// Why it cannot be looked at.
    reason: Option<String>,
    /// When it was last collected, or last answered.
    last_seen: Option<String>,
    /// The number of the open incident that is about it: of its loss, or of an alert that watches it.
    incident: Option<u64>,
}

impl Seen {
    fn new(sight: &Sight) -> Self {
        match sight {
            Sight::CannotLook { since, reason, seen_at, incident } => Self {
                since: Some(moment(*since)),
                reason: Some(reason.clone()),
                last_seen: seen_at.map(moment),
                incident: incident.as_ref().map(|(id, _)| id.0),
            },
            Sight::Seen(at) => Self { last_seen: at.map(moment), ..Self::default() },
            Sight::NotYet | Sight::NothingToCollect => Self::default(),
        }
    }
}

/// One system.
#[derive(Serialize)]
pub(crate) struct System {
    name: String,
    kind: &'static str,
    title: &'static str,
    instance: String,
    /// `healthy`, `incident`, `cannot-look`, `not-looked-yet` or `not-collected`.
    state: &'static str,
    #[serde(flatten)]
    seen: Seen,
    contact: Option<String>,
    /// The numbers of its open incidents.
    incidents: Vec<u64>,
}

impl System {
    pub fn new(system: &SystemView) -> Self {
        Self {
            name: system.name.to_string(),
            kind: system.kind,
            title: system.title,
            instance: system.instance.clone(),
            state: system.state(),
            seen: Seen::new(&system.sight),
            contact: system.contact.clone(),
            incidents: system.open.iter().map(|(id, _)| id.0).collect(),
        }
    }
}

/// One target that is no system.
#[derive(Serialize)]
pub(crate) struct Target {
    /// `job/instance`.
    target: String,
    /// `seen`, `cannot-look` or `not-looked-yet`.
    state: &'static str,
    #[serde(flatten)]
    seen: Seen,
}

impl Target {
    pub fn new(target: &TargetView) -> Self {
        Self {
            target: target.id.clone(),
            state: target.sight.word(),
            seen: Seen::new(&target.sight),
        }
    }
}

/// The server as a whole.
#[derive(Serialize)]
pub(crate) struct Status {
    /// The server's own time; in the lab it runs fast.
    now: String,
    /// Grows whenever something changes.
    version: u64,
    lab: bool,
    open_incidents: usize,
    /// The same without those that stand under another one.
    open_outages: usize,
    pending_alerts: usize,
    systems: usize,
    systems_cannot_look: usize,
    /// Targets that were not collected since the start; rules wait for them.
    targets_awaited: usize,
    rules: usize,
    runbooks: usize,
    versions: BTreeMap<String, String>,
}

impl Status {
    pub fn new(engine: &Engine, now: TimeMs, version: u64, lab: bool) -> Self {
        let systems = view::systems(engine);
        let blind = |system: &&SystemView| matches!(system.sight, Sight::CannotLook { .. });
        let targets = engine.targets().keys();
        Self {
            now: moment(now),
            version,
            lab,
            open_incidents: view::open_count(engine),
            open_outages: view::outage_count(engine),
            pending_alerts: view::pending(engine).len(),
            systems: systems.len(),
            systems_cannot_look: systems.iter().filter(blind).count(),
            targets_awaited: targets.filter(|target| !engine.was_collected(target)).count(),
            rules: engine.groups().iter().map(|group| group.rules().len()).sum(),
            runbooks: engine.pages().len(),
            versions: engine.versions().iter().cloned().collect(),
        }
    }
}
