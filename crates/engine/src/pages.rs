//! Runbook pages as the engine uses them: what to look at, what it means, what to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{Catalog, Risk};
use paramedic_incident::{
    ApprovalWord, CauseVerdict, Diagnosis, Incident, Judgement, Looked, Manual, PlannedStep,
    StepWork, SystemChoice,
};
use paramedic_model::Labels;
use paramedic_runbook::{
    Alert, Finding, Judgement as PageJudgement, Manual as PageManual, Runbook, Situation, Step,
    System, Work,
};

/// One page, with the catalogues that its steps refer to.
pub struct Page {
    runbook: Runbook,
    catalogs: Arc<[&'static Catalog]>,
}

/// A probe or an action with its arguments rendered.
pub(crate) struct Call {
    /// `kind/name`.
    pub uses: String,
    pub args: BTreeMap<String, String>,
}

/// What is to become of a diagnosis step.
pub(crate) enum NextLook {
    /// It is to be taken, within this time.
    Take(Call, Duration),
    /// It is not, and this is to be noted.
    Leave(Looked),
}

/// All pages, by the alerts that they serve.
#[derive(Default)]
pub struct Pages(Vec<Page>);

impl Pages {
    /// These pages. Of two that serve one alert, the later counts: a user's own page goes before a
    /// shipped one.
    pub fn new(runbooks: Vec<Runbook>, catalogs: &[&'static Catalog]) -> Self {
        let catalogs: Arc<[_]> = catalogs.into();
        let page = |runbook| Page { runbook, catalogs: catalogs.clone() };
        Self(runbooks.into_iter().map(page).collect())
    }

    /// The page that serves an alert.
    pub fn serving(&self, alert: &str) -> Option<&Page> {
        self.0.iter().rev().find(|page| page.runbook.alerts.iter().any(|served| served == alert))
    }

    /// The page of this title.
    pub fn titled(&self, title: &str) -> Option<&Page> {
        self.0.iter().rev().find(|page| page.runbook.title == title)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Page> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Page {
    /// The page itself.
    pub fn runbook(&self) -> &Runbook {
        &self.runbook
    }

    /// Its title.
    pub fn title(&self) -> &str {
        &self.runbook.title
    }

    /// The ids of the diagnosis steps that a probe takes, in order.
    pub fn probe_steps(&self) -> Vec<String> {
        let probes = self.runbook.diagnosis().filter(|step| matches!(step.work, Work::Probe(_)));
        probes.map(|step| step.id.clone()).collect()
    }

    /// Whether it has a step of this id.
    pub fn has_step(&self, id: &str) -> bool {
        self.runbook.step(id).is_some()
    }

    /// Its mitigation steps, in order.
    pub fn mitigation(&self) -> Vec<PlannedStep> {
        self.runbook.mitigation().filter_map(|step| self.planned(step)).collect()
    }

    pub(crate) fn watch(&self) -> Option<Duration> {
        self.runbook.watch()
    }

    pub(crate) fn advice(&self) -> Vec<String> {
        self.runbook.advice()
    }

    /// What is to become of a diagnosis step for this incident.
    pub(crate) fn look(&self, id: &str, incident: &Incident) -> NextLook {
        let could_not = |reason| NextLook::Leave(Looked::CouldNot { reason, took_ms: 0 });
        let step = self.runbook.step(id).map(|step| &step.work);
        let Some(Work::Probe(probe)) = step else {
            return could_not("the page has no such probe any more".to_owned());
        };
        let situation = situation(incident);
        if let Some(condition) = &probe.when
            && let PageJudgement::Refuted { by } = condition.judge(&situation)
        {
            return NextLook::Leave(Looked::Skipped { reason: format!("`{by}` does not hold") });
        }
        match probe.with.bind(&situation) {
            Ok(args) => {
                NextLook::Take(Call { uses: probe.uses.as_str().to_owned(), args }, probe.timeout)
            }
            Err(error) => could_not(format!("nothing was sent: {error}")),
        }
    }

    /// What the action of a mitigation step uses, and its arguments for this incident.
    pub(crate) fn action(&self, id: &str, incident: &Incident) -> Result<Call, String> {
        let step = self.runbook.step(id).map(|step| &step.work);
        let Some(Work::Action(action)) = step else {
            return Err("the page has no such action any more".to_owned());
        };
        let situation = situation(incident);
        if let Some(condition) = &action.when {
            match condition.judge(&situation) {
                PageJudgement::Supported => {}
                PageJudgement::Refuted { by } => return Err(format!("`{by}` does not hold")),
                PageJudgement::Unknown(gap) => return Err(gap.to_string()),
            }
        }
        let args = action.with.bind(&situation).map_err(|error| error.to_string())?;
        Ok(Call { uses: action.uses.as_str().to_owned(), args })
    }

    /// Judges the causes on what this incident's steps found.
    pub(crate) fn diagnose(&self, incident: &Incident) -> Diagnosis {
        let situation = situation(incident);
        let found = self.runbook.diagnose(&situation);
        let likely = found.likely();
        let plan = likely.map(|judged| judged.cause.fix()).unwrap_or_default();
        let plan = plan.iter().filter_map(|id| self.planned(self.runbook.step(id)?)).collect();
        let verdict = |judged: &paramedic_runbook::JudgedCause<'_>| CauseVerdict {
            id: judged.cause.id.clone(),
            title: judged.cause.title.clone(),
            judgement: match judged.judgement {
                PageJudgement::Supported => Judgement::Supported,
                PageJudgement::Refuted { .. } => Judgement::Refuted,
                PageJudgement::Unknown(_) => Judgement::Unknown,
            },
            because: judged.because.clone(),
        };
        Diagnosis {
            causes: found.causes.iter().map(verdict).collect(),
            likely: likely.map(|judged| judged.cause.id.clone()),
            plan,
            nothing_to_do: likely.and_then(|judged| judged.nothing_to_do.clone()),
        }
    }

    /// A mitigation step as the incident plans it; `None` for one that is not done in an incident:
    /// a watch and advice come at its end.
    fn planned(&self, step: &Step) -> Option<PlannedStep> {
        let work = match &step.work {
            Work::Action(action) => {
                let catalog = self.catalogs.iter().find(|c| c.kind == action.uses.kind());
                let signature = catalog.and_then(|catalog| catalog.action(action.uses.name()));
                // An action that nobody declares is refused later; until then it is the riskiest.
                let risk = signature.map_or(Risk::High, |signature| signature.risk);
                StepWork::Action {
                    uses: action.uses.as_str().to_owned(),
                    approval: ApprovalWord(action.approval(risk)),
                    verify_ms: action.verify.as_millis() as u64,
                }
            }
            Work::Manual(PageManual::Handover) => StepWork::Manual(Manual::Handover),
            Work::Manual(PageManual::Checklist | PageManual::Link(_)) => {
                StepWork::Manual(Manual::Checklist)
            }
            Work::Manual(PageManual::Watch(_) | PageManual::Advice) | Work::Probe(_) => {
                return None;
            }
        };
        Some(PlannedStep { id: step.id.clone(), title: step.title.clone(), work })
    }
}

/// What conditions and templates of a page see of an incident.
fn situation(incident: &Incident) -> Situation {
    let finding = |looked: &Looked| match looked {
        Looked::Saw(seen) => {
            Finding::Looked { facts: seen.facts.clone(), summary: seen.summary.clone() }
        }
        Looked::CouldNot { reason, .. } => {
            Finding::Nothing { reason: format!("could not look: {reason}") }
        }
        Looked::Skipped { reason } => Finding::Nothing { reason: format!("left out: {reason}") },
    };
    let opened = &incident.opened;
    Situation {
        alert: Alert {
            labels: opened.labels.iter().collect::<Labels>(),
            annotations: opened.annotations.clone(),
            value: opened.value.parse().unwrap_or(f64::NAN),
        },
        system: match &opened.system {
            SystemChoice::One { name, kind } => {
                Some(System { name: name.clone(), kind: kind.clone() })
            }
            SystemChoice::None | SystemChoice::Several(_) => None,
        },
        findings: incident
            .looked
            .iter()
            .map(|(step, looked)| (step.clone(), finding(looked)))
            .collect(),
    }
}
