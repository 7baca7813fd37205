//! What the engine starts: a worker for each thing that an incident wants.

use std::collections::BTreeSet;
use std::sync::Arc;

use paramedic_incident::{
    Diagnosis, Incident, Input as IncidentInput, Looked, Outcome, Stage, StepWork, SystemChoice,
    Want,
};
use paramedic_integration::Happened;
use paramedic_model::{Clock, IncidentId, TimeMs};
use paramedic_scrape::{Last, Target, collect_once};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Engine;
use crate::handle::{Done, Input};
use crate::pages::{Call, NextLook};
use crate::systems::Watched;
use crate::work::{self, Bench};

impl Engine {
    /// Starts what the incidents want, as far as nobody is at it.
    pub(crate) fn pursue(&mut self, now: TimeMs) {
        let open = self.incidents.open();
        let idle = open.filter(|incident| !self.busy.contains_key(&incident.id));
        let wants = idle.map(|incident| match self.want(incident) {
            // Nothing is changed before this process has looked at the alert itself.
            Want::Act { .. } if !self.is_current(incident) => (incident.id, Want::Nothing),
            want => (incident.id, want),
        });
        let wants: Vec<_> = wants.collect();
        for (id, want) in wants {
            match want {
                Want::Nothing => {}
                Want::Wake(_) => self.refresh(id, now),
                Want::Look { step } => self.start_look(id, step, now),
                Want::Diagnose => self.diagnose(id, now),
                Want::Prepare { step } => self.start_prepare(id, step, now),
                Want::Act { step } => self.start_guard(id, step, now),
                // An intent of this process goes out now; one of an earlier process is looked into.
                Want::Reconcile { step, .. } if self.launch.remove(&id) => {
                    self.start_act(id, step, now);
                }
                Want::Reconcile { step, intended } => self.start_reconcile(id, step, intended, now),
            }
        }
    }

    /// Starts a worker for an incident.
    fn work(&mut self, id: IncidentId, work: impl Future<Output = Done> + Send + 'static) {
        let Some(round) = self.incidents.get(&id).map(|incident| incident.round) else { return };
        self.busy.insert(id, round);
        let inputs = self.inputs.clone();
        self.workers.spawn(async move {
            let done = work.await;
            if let Some(inputs) = inputs.upgrade() {
                // An engine that has stopped needs no answer: the next one looks again.
                let _ = inputs.send(Input::Done(id, done)).await;
            }
        });
    }

    fn bench(&self, incident: &Incident) -> Bench {
        let (clock, redactor) = (self.clock.clone(), self.redactor.clone());
        Bench { clock, redactor, since: incident.since() }
    }

    fn system_of(&self, incident: &Incident) -> Option<Arc<Watched>> {
        self.systems.get(incident.opened.system.name()?).cloned()
    }

    fn start_look(&mut self, id: IncidentId, step: String, now: TimeMs) {
        let incident = &self.incidents[&id];
        let page = incident.opened.runbook.as_ref().and_then(|title| self.pages.titled(title));
        let could_not = |reason: String| Looked::CouldNot { reason, took_ms: 0 };
        let looked = match (page.map(|page| page.look(&step, incident)), self.system_of(incident)) {
            (Some(NextLook::Take(call, deadline)), Some(system)) => {
                let bench = self.bench(incident);
                self.work(id, async move {
                    let looked = work::look(system, call, deadline, bench).await;
                    Done::Input(IncidentInput::Looked { step, looked })
                });
                return;
            }
            (Some(NextLook::Leave(looked)), _) => looked,
            (None, _) => could_not("no page has this step any more".to_owned()),
            (_, None) => could_not(match &incident.opened.system {
                SystemChoice::Several(names) => {
                    format!("the alert could be about {}", names.join(" or "))
                }
                SystemChoice::One { name, .. } => format!("{name} is no longer configured"),
                SystemChoice::None => "no configured system matches the alert".to_owned(),
            }),
        };
        self.answer(id, IncidentInput::Looked { step, looked }, now);
    }

    /// Feeds an answer that needed no worker, and lets the incident go on in the next turn.
    fn answer(&mut self, id: IncidentId, input: IncidentInput, now: TimeMs) {
        let _ = self.feed(id, input, now);
        self.work(id, async { Done::Refreshed });
    }

    fn diagnose(&mut self, id: IncidentId, now: TimeMs) {
        let incident = &self.incidents[&id];
        let page = incident.opened.runbook.as_ref().and_then(|title| self.pages.titled(title));
        let diagnosis = match page {
            Some(page) => page.diagnose(incident),
            None => Diagnosis {
                causes: Vec::new(),
                likely: None,
                plan: Vec::new(),
                nothing_to_do: None,
            },
        };
        self.answer(id, IncidentInput::Diagnosis(diagnosis), now);
    }

    /// The action step `step` with its arguments rendered.
    fn action_step(&self, incident: &Incident, step: &str) -> Result<(Arc<Watched>, Call), String> {
        let page = incident.opened.runbook.as_ref().and_then(|title| self.pages.titled(title));
        let page = page.ok_or("no page has this step any more")?;
        let system = self.system_of(incident).ok_or("no configured system is meant")?;
        Ok((system, page.action(step, incident)?))
    }

    fn start_prepare(&mut self, id: IncidentId, step: String, now: TimeMs) {
        let incident = &self.incidents[&id];
        let planned = incident.plan.first().map(|planned| planned.work.clone());
        let Some(StepWork::Action { approval, .. }) = planned else { return };
        match self.action_step(incident, &step) {
            Ok((system, call)) => {
                let bench = self.bench(incident);
                self.work(id, async move {
                    let offer = work::prepare(system, step.clone(), call, approval, bench);
                    let proposal = offer.await;
                    Done::Input(IncidentInput::Prepared { step, proposal })
                });
            }
            Err(reason) => {
                self.answer(id, IncidentInput::Prepared { step, proposal: Err(reason) }, now);
            }
        }
    }

    /// The action that was offered, bound anew from the arguments in the proposal: what people
    /// agreed to, whatever the page says now.
    fn offered(&self, incident: &Incident) -> Result<(Arc<Watched>, work::Bound), String> {
        let proposal = incident.proposal.as_ref().ok_or("nothing is on offer")?;
        let system = self.systems.get(&proposal.system).cloned();
        let system =
            system.ok_or_else(|| format!("{} is no longer configured", proposal.system))?;
        let bound = work::bind(&system, &proposal.uses, &proposal.args)?;
        Ok((system, bound))
    }

    /// Reads the system and the action's precondition anew, for the guards.
    fn start_guard(&mut self, id: IncidentId, step: String, now: TimeMs) {
        let incident = &self.incidents[&id];
        let (bench, clock) = (self.bench(incident), self.clock.clone());
        match self.offered(incident) {
            Ok((system, bound)) => {
                let targets = self.targets_of(incident, Some(&system));
                let inputs = self.inputs.clone();
                self.work(id, async move {
                    read_anew(targets, clock, inputs).await;
                    let fresh = work::fresh(&bound, &bench).await;
                    Done::Fresh { step, fresh }
                });
            }
            Err(reason) => {
                self.guard(id, step, Err(reason), now);
                self.work(id, async { Done::Refreshed });
            }
        }
    }

    /// Sends the action whose intent is in the journal.
    fn start_act(&mut self, id: IncidentId, step: String, now: TimeMs) {
        let incident = &self.incidents[&id];
        let bench = self.bench(incident);
        match self.offered(incident) {
            Ok((_, bound)) => self.work(id, async move {
                let outcome = work::act(bound, bench).await;
                Done::Input(IncidentInput::Acted { step, outcome })
            }),
            Err(reason) => {
                let outcome = Outcome::Failed(reason);
                self.answer(id, IncidentInput::Acted { step, outcome }, now);
            }
        }
    }

    fn start_reconcile(&mut self, id: IncidentId, step: String, intended: TimeMs, now: TimeMs) {
        let incident = &self.incidents[&id];
        let bench = self.bench(incident);
        match self.offered(incident) {
            Ok((_, bound)) => self.work(id, async move {
                let outcome = match work::reconcile(bound, intended, bench).await {
                    Happened::Yes(how) => Outcome::Done(format!("found after a restart: {how}")),
                    Happened::No(reason) => {
                        return Done::Input(IncidentInput::NotActed { step, reason });
                    }
                    Happened::Unknown(why) => Outcome::Uncertain(why),
                };
                Done::Input(IncidentInput::Acted { step, outcome })
            }),
            Err(reason) => {
                let outcome = Outcome::Uncertain(reason);
                self.answer(id, IncidentInput::Acted { step, outcome }, now);
            }
        }
    }

    /// The targets that say whether the alert still fires: those of its series, and the system's.
    fn targets_of(&self, incident: &Incident, system: Option<&Watched>) -> Vec<Arc<Target>> {
        let of_series = incident.opened.origins.iter().filter_map(|origin| {
            Some(format!("{}/{}", origin.get("job")?, origin.get("instance")?))
        });
        let of_system = system.map(|system| format!("{}/{}", system.target.0, system.target.1));
        let ids: BTreeSet<_> = of_series.chain(of_system).collect();
        ids.iter().filter_map(|id| self.targets.get(id).cloned()).collect()
    }

    /// Reads the system of a verifying incident anew, now and then.
    fn refresh(&mut self, id: IncidentId, now: TimeMs) {
        let incident = &self.incidents[&id];
        let verifying = matches!(incident.stage, Stage::Verifying { .. });
        if !verifying || self.refresh_due(incident) > now {
            return;
        }
        let targets = self.targets_of(incident, self.system_of(incident).as_deref());
        let (clock, inputs) = (self.clock.clone(), self.inputs.clone());
        self.refreshed.insert(id, now);
        self.work(id, async move {
            read_anew(targets, clock, inputs).await;
            Done::Refreshed
        });
    }
}

/// Collects `targets` out of turn, all at once, and sends what comes.
async fn read_anew(
    targets: Vec<Arc<Target>>,
    clock: Arc<dyn Clock>,
    inputs: mpsc::WeakSender<Input>,
) {
    let mut reads = JoinSet::new();
    for target in targets {
        let clock = clock.clone();
        reads.spawn(
            async move { collect_once(&target, clock.as_ref(), &mut Last::default()).await },
        );
    }
    while let Some(read) = reads.join_next().await {
        let (Ok(scraped), Some(inputs)) = (read, inputs.upgrade()) else { continue };
        // An engine that has stopped needs no samples.
        let _ = inputs.send(Input::Scraped(scraped)).await;
    }
}
