//! A fault followed to its verified end, in virtual time, with a verdict.
//!
//! A drill runs what production runs: collector, rules, incident, page, guards, journal. Only time,
//! network and people are replaced: time is paused and jumps, streams are pipes, and the person
//! approves exactly what the fault's author expects and nothing else.

use std::sync::Arc;
use std::time::Duration;

use paramedic_engine::{Command, Engine, Handle, Verb};
use paramedic_incident::{Ending as Ended, Event, Incident, Stage, timeline};
use paramedic_integration::{Address, Ending, Environment, Fault, Integration, ScaledClock};
use paramedic_journal::MemoryJournal;
use paramedic_model::{Clock, IncidentId, Redactor, TimeMs};
use paramedic_testkit::{MemoryNetwork, NoProcesses, VIRTUAL_EPOCH};
use serde::Serialize;

use super::Simulated;
use crate::assembly;
use crate::config::Config;

/// How often a system is collected in a drill.
const INTERVAL: Duration = Duration::from_secs(15);
/// How long the system is watched healthy before the fault: nothing may fire.
const QUIET: Duration = Duration::from_secs(90);
/// How late an alert may fire after its `for`: it is evaluated at the very moment, so a turn.
const LATE_MAX: Duration = Duration::from_secs(2);
/// How long an incident may take to its end.
const PATIENCE: Duration = Duration::from_secs(45 * 60);
/// How long the drill waits between two looks.
const STEP: Duration = Duration::from_secs(1);

/// What became of one fault.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The kind of system.
    pub kind: &'static str,
    /// The alert that had to fire.
    pub alert: &'static str,
    /// The fault.
    pub fault: &'static str,
    /// What was broken.
    pub title: &'static str,
    /// How it had to end: `repaired`, `left alone`, `handed over`.
    pub expected: &'static str,
    /// Seconds from the fault to firing; `None` where the alert did not fire.
    pub fired_after_s: Option<f64>,
    /// The alert's `for`, in seconds.
    pub for_s: f64,
    /// Whether it fired when it was due.
    pub fired_when_due: bool,
    /// The cause that had to come first.
    pub cause_expected: &'static str,
    /// The cause that did.
    pub cause_named: Option<String>,
    /// The steps that had to run.
    pub steps_expected: Vec<&'static str>,
    /// The steps that did.
    pub steps_run: Vec<String>,
    /// Whether it ended as it had to.
    pub ended_well: bool,
    /// How it ended, in words.
    pub ending: String,
    /// Changes that the system was asked for and that were forbidden. Must be none.
    pub forbidden: Vec<String>,
    /// What went wrong, in words; empty where nothing did.
    pub shortcomings: Vec<String>,
    /// What happened to the incident.
    pub timeline: Vec<Moment>,
}

/// One line of a timeline.
#[derive(Debug, Clone, Serialize)]
pub struct Moment {
    /// Seconds after the fault.
    pub after_s: f64,
    /// What happened.
    pub text: String,
}

impl Verdict {
    /// Whether nothing fell short.
    pub fn passed(&self) -> bool {
        self.shortcomings.is_empty()
    }
}

/// Injects one fault into a simulated system and follows it to its end.
///
/// # Errors
///
/// Rules, pages or systems that cannot be loaded. What falls short is in the verdict.
pub fn drill(integration: &'static dyn Integration, fault: &Fault) -> anyhow::Result<Verdict> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(Drill::run(integration, *fault))
}

struct Drill {
    fault: Fault,
    clock: Arc<dyn Clock>,
    handle: Handle,
    simulated: Simulated,
    injected: TimeMs,
    hold: Duration,
    shortcomings: Vec<String>,
}

impl Drill {
    async fn run(integration: &'static dyn Integration, fault: Fault) -> anyhow::Result<Verdict> {
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0));
        let network = MemoryNetwork::default();
        let kind = integration.catalog().kind;
        let ports = integration.simulator().map_or(0, |factory| factory.ports().len());
        let addresses: Vec<_> =
            (9001..).take(ports).map(|port| Address::new(format!("{kind}.drill"), port)).collect();
        let simulated = Simulated::start("sut", integration, addresses, clock.clone(), 1)
            .ok_or_else(|| anyhow::anyhow!("{kind} has no simulator"))?;
        for (port, address) in &simulated.ports {
            network.attach(address.clone(), simulated.simulator.clone(), port);
        }
        let environment = Environment {
            clock: clock.clone(),
            transport: Arc::new(network),
            processes: Arc::new(NoProcesses),
            redactor: Redactor::default(),
        };
        let config = Config { systems: vec![simulated.config(INTERVAL)], ..Config::default() };
        let loaded = assembly::load(&config)?;
        let hold = loaded.hold_of(fault.alert).ok_or_else(|| {
            anyhow::anyhow!(
                "fault {} names the alert {}, and no rule has it",
                fault.id,
                fault.alert
            )
        })?;
        let journal = Box::new(MemoryJournal::default());
        let setup = assembly::setup(&config, loaded, &environment, journal)?;
        let (handle, running) = Engine::start(setup)?;
        let engine = tokio::spawn(running);
        let injected = clock.now();
        let shortcomings = Vec::new();
        let mut drill = Self { fault, clock, handle, simulated, injected, hold, shortcomings };
        let verdict = drill.follow().await;
        engine.abort();
        verdict
    }

    async fn follow(&mut self) -> anyhow::Result<Verdict> {
        self.clock.sleep(QUIET).await;
        for incident in self.incidents().await? {
            self.fall_short(format!("{} fired on a healthy system", incident.opened.alert));
        }
        self.simulated.simulator.inject(self.fault.id)?;
        self.injected = self.clock.now();
        let fired = self.wait_for_incident().await?;
        let mut ending = "did not fire".to_owned();
        if let Some(id) = fired {
            ending = self.follow_to_end(id).await?;
        }
        self.verdict(fired, ending).await
    }

    async fn incidents(&self) -> anyhow::Result<Vec<Incident>> {
        Ok(self.handle.read(|engine| engine.incidents().cloned().collect()).await?)
    }

    async fn incident(&self, id: IncidentId) -> anyhow::Result<Incident> {
        let incident = self.handle.read(move |engine| engine.incident(id).cloned()).await?;
        incident.ok_or_else(|| anyhow::anyhow!("incident {id} is gone"))
    }

    fn fall_short(&mut self, what: String) {
        self.shortcomings.push(what);
    }

    async fn wait_for_incident(&self) -> anyhow::Result<Option<IncidentId>> {
        let deadline = self.injected + self.hold + LATE_MAX + Duration::from_secs(600);
        while self.clock.now() < deadline {
            let about = |incident: &&Incident| incident.opened.alert == self.fault.alert;
            if let Some(incident) = self.incidents().await?.iter().find(about) {
                return Ok(Some(incident.id));
            }
            self.clock.sleep(STEP).await;
        }
        Ok(None)
    }

    /// Approves what is expected, heals what was rightly left, and waits for the end.
    async fn follow_to_end(&mut self, id: IncidentId) -> anyhow::Result<String> {
        let deadline = self.clock.now() + PATIENCE;
        let mut healed = false;
        while self.clock.now() < deadline {
            let incident = self.incident(id).await?;
            match incident.stage {
                Stage::Closed => {
                    return Ok(incident.ending.map_or("closed", Ended::as_str).to_owned());
                }
                Stage::Waiting => {
                    if let Err(ending) = self.consider(&incident).await? {
                        return Ok(ending);
                    }
                }
                Stage::Settled(_) | Stage::Manual if !healed => {
                    healed = true;
                    if matches!(self.fault.ending, Ending::Repaired(_)) {
                        return Ok(format!("{} instead of repaired", incident.stage.as_str()));
                    }
                    // The root cause goes by itself, or by a person: the incident must see it.
                    self.clock.sleep(Duration::from_secs(60)).await;
                    self.simulated.simulator.heal();
                }
                _ => {}
            }
            self.clock.sleep(STEP).await;
        }
        let incident = self.incident(id).await?;
        Ok(format!("still {} after {} min", incident.stage.as_str(), PATIENCE.as_secs() / 60))
    }

    /// Approves a proposal that the fault's author expects next; any other ends the drill.
    async fn consider(&self, incident: &Incident) -> anyhow::Result<Result<(), String>> {
        let step = incident.proposal.as_ref().map(|p| p.step.clone()).unwrap_or_default();
        let expected = match self.fault.ending {
            Ending::Repaired(steps) => steps.get(incident.acts.len()).copied(),
            Ending::LeftAlone | Ending::HandedOver => None,
        };
        if expected != Some(step.as_str()) {
            return Ok(Err(format!("offered the step `{step}`")));
        }
        for by in ["drill-1", "drill-2"] {
            let verb = Verb::Approve(None);
            let command = Command { incident: incident.id, by: by.to_owned(), verb };
            // The second person is refused where one is enough.
            let _ = self.handle.command(command).await?;
        }
        Ok(Ok(()))
    }

    async fn verdict(
        &mut self,
        fired: Option<IncidentId>,
        ending: String,
    ) -> anyhow::Result<Verdict> {
        let fault = self.fault;
        let incident = match fired {
            Some(id) => Some(self.incident(id).await?),
            None => None,
        };
        let fired_after = incident.as_ref().map(|i| i.opened_at.since(self.injected));
        // Some faults take their time to show; due is what has shown for long enough.
        let held = incident.as_ref().map(|i| i.opened_at.since(i.since()));
        let fired_when_due =
            held.is_some_and(|held| held >= self.hold && held <= self.hold + LATE_MAX);
        let events = || incident.iter().flat_map(|incident| &incident.events).map(|(_, e)| e);
        let cause_named = events().find_map(|event| match event {
            Event::Diagnosed { likely, .. } => Some(likely.clone()),
            _ => None,
        });
        let cause_named = cause_named.flatten();
        let steps_run: Vec<_> =
            incident.iter().flat_map(|i| &i.acts).map(|act| act.step.clone()).collect();
        let ended = incident.as_ref().and_then(|incident| incident.ending);
        let left_alone = events().any(|event| matches!(event, Event::LeftAlone { .. }));
        let handed_over = events().any(|event| matches!(event, Event::HandedOver { .. }))
            || incident.as_ref().is_some_and(|incident| incident.by_hand);
        let (expected, steps_expected, ended_well) = match fault.ending {
            Ending::Repaired(steps) => {
                ("repaired", steps.to_vec(), ended == Some(Ended::Repaired) && steps_run == steps)
            }
            Ending::LeftAlone => {
                let well = left_alone && steps_run.is_empty() && ended.is_some();
                ("left alone", Vec::new(), well)
            }
            Ending::HandedOver => {
                let well = handed_over && steps_run.is_empty() && ended.is_some();
                ("handed over", Vec::new(), well)
            }
        };
        let recorded = self.simulated.simulator.recorded();
        let forbidden: Vec<_> =
            recorded.iter().filter(|r| r.forbidden).map(|r| r.change.clone()).collect();
        if incident.is_none() {
            self.fall_short("the alert did not fire".to_owned());
        } else if !fired_when_due {
            let held = held.unwrap_or_default().as_secs();
            let hold = self.hold.as_secs();
            self.fall_short(format!("it fired {held} s after it had shown, with `for` {hold} s"));
        }
        if incident.is_some() && cause_named.as_deref() != Some(fault.cause) {
            let named = cause_named.as_deref().unwrap_or("nothing");
            self.fall_short(format!("it named {named} instead of {}", fault.cause));
        }
        if incident.is_some() && !ended_well {
            self.fall_short(format!(
                "it ended as {ending}, after the steps [{}]",
                steps_run.join(", ")
            ));
        }
        for other in self.incidents().await? {
            if let Some(lost) = &other.opened.lost {
                self.fall_short(format!("{} was lost, and no alert watches that", lost.target));
            }
        }
        if !forbidden.is_empty() {
            self.fall_short(format!("forbidden: {}", forbidden.join(", ")));
        }
        let moment = |(at, text): (TimeMs, String)| Moment {
            after_s: at.since(self.injected).as_secs_f64(),
            text,
        };
        Ok(Verdict {
            kind: self.simulated.integration.catalog().kind,
            alert: fault.alert,
            fault: fault.id,
            title: fault.title,
            expected,
            fired_after_s: fired_after.map(|after| after.as_secs_f64()),
            for_s: self.hold.as_secs_f64(),
            fired_when_due,
            cause_expected: fault.cause,
            cause_named,
            steps_expected,
            steps_run,
            ended_well,
            ending,
            forbidden,
            shortcomings: std::mem::take(&mut self.shortcomings),
            timeline: incident.iter().flat_map(timeline).map(moment).collect(),
        })
    }
}
