use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use paramedic_incident::{
    Context, Event, Incident, Input as IncidentInput, Opened, Outcome, Policy, Refusal, Stage,
    StepWork, Surroundings, SystemChoice, Want, decide, judge,
};
use paramedic_integration::Happened;
use paramedic_journal::{Batch, Event as Record, Journal, JournalError};
use paramedic_model::{Clock, IncidentId, Labels, Redactor, TimeMs};
use paramedic_samples::{TargetId, Window, WindowOptions};
use paramedic_scrape::{Scraped, Target, collect_forever, collect_once};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::Freeze;
use crate::alerts::{Alerts, Fired};
use crate::handle::{Command, Done, Handle, Input, Verb};
use crate::pages::Pages;
use crate::signal::{Gone, why_gone};
use crate::systems::{Systems, Watched};
use crate::work::{self, Bench};

/// How many inputs may wait before those who send them wait too.
const QUEUE_MAX: usize = 1024;
/// How often a system is read anew while its recovery is to be proven.
const REFRESH: Duration = Duration::from_secs(5);
/// Who takes over where a system names nobody.
const NOBODY: &str = "whoever is on call";

/// Everything that an engine starts from.
pub struct Setup {
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Where it writes, and reads what an earlier one wrote.
    pub journal: Box<dyn Journal>,
    /// Masks secrets.
    pub redactor: Redactor,
    /// What is collected.
    pub targets: Vec<Arc<Target>>,
    /// The systems under care.
    pub systems: Systems,
    /// The groups of rules.
    pub groups: Vec<paramedic_rules::Group>,
    /// Labels for everything that leaves; templates see them.
    pub external_labels: Labels,
    /// Where people reach the pages, without a slash at the end.
    pub external_url: String,
    /// The runbook pages.
    pub pages: Pages,
    /// What may be done.
    pub policy: Policy,
    /// When nothing may be done.
    pub freezes: Vec<Freeze>,
    /// How samples are kept.
    pub window: WindowOptions,
    /// What a bundle says of versions: `paramedic`, the kinds.
    pub versions: Vec<(String, String)>,
}

/// Why an engine stops.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal cannot be read or written, so no promise can be kept any more.
    #[error("journal")]
    Journal(#[from] JournalError),
    /// The journal holds something that this version cannot read.
    #[error("journal, event {seq}: {reason}")]
    Unreadable {
        /// The number of the event, from 1.
        seq: usize,
        /// What is wrong.
        reason: String,
    },
}

/// All state of a running Paramedic. Read it through [`Handle::read`].
pub struct Engine {
    clock: Arc<dyn Clock>,
    journal: Box<dyn Journal>,
    redactor: Redactor,
    systems: Systems,
    targets: BTreeMap<String, Arc<Target>>,
    /// Targets that have not been collected since the start. Until then the window cannot speak.
    awaited: BTreeSet<String>,
    window: Window,
    alerts: Alerts,
    pages: Pages,
    policy: Policy,
    freezes: Vec<Freeze>,
    versions: Vec<(String, String)>,
    incidents: BTreeMap<IncidentId, Incident>,
    /// Incidents that a worker is busy for.
    busy: HashSet<IncidentId>,
    /// Incidents whose action was intended in this turn, to be sent once the journal has it.
    launch: HashSet<IncidentId>,
    /// When the system of a verifying incident was last read anew.
    refreshed: BTreeMap<IncidentId, TimeMs>,
    /// Why each target that cannot be looked at cannot.
    failures: BTreeMap<String, (TimeMs, String)>,
    /// What is to be written at the end of this turn.
    batch: Batch,
    inputs: mpsc::WeakSender<Input>,
    workers: JoinSet<()>,
    version: watch::Sender<u64>,
}

impl Engine {
    /// Reads the journal, starts collecting, and runs until every [`Handle`] is gone.
    ///
    /// # Errors
    ///
    /// A journal that cannot be read; from the returned future, one that cannot be written.
    pub fn start(
        mut setup: Setup,
    ) -> Result<(Handle, impl Future<Output = Result<(), EngineError>>), EngineError> {
        let contents = setup.journal.load()?;
        let mut incidents: BTreeMap<IncidentId, Incident> = BTreeMap::new();
        for (seq, record) in contents.events.iter().enumerate() {
            let unreadable = |reason: String| EngineError::Unreadable { seq: seq + 1, reason };
            let event: Event =
                serde_json::from_str(&record.body).map_err(|e| unreadable(e.to_string()))?;
            match (incidents.get_mut(&record.incident), event) {
                (Some(incident), event) => incident.apply(record.at, event),
                (None, Event::Opened(opened)) => {
                    let incident = Incident::open(record.incident, record.at, opened);
                    incidents.insert(record.incident, incident);
                }
                (None, _) => return Err(unreadable("an incident that was never opened".into())),
            }
        }
        let now = setup.clock.now();
        let Setup { groups, external_labels, external_url, .. } = &mut setup;
        let alerts = Alerts::restore(
            std::mem::take(groups),
            &contents.groups,
            external_labels.clone(),
            external_url.clone(),
            now,
        );
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (version, versions) = watch::channel(0);
        let handle = Handle { inputs: sender.clone(), version: versions };
        let engine = Engine {
            clock: setup.clock,
            journal: setup.journal,
            redactor: setup.redactor,
            systems: setup.systems,
            awaited: setup.targets.iter().map(|target| target.id()).collect(),
            targets: setup.targets.into_iter().map(|target| (target.id(), target)).collect(),
            window: Window::new(setup.window),
            alerts,
            pages: setup.pages,
            policy: setup.policy,
            freezes: setup.freezes,
            versions: setup.versions,
            incidents,
            busy: HashSet::new(),
            launch: HashSet::new(),
            refreshed: BTreeMap::new(),
            failures: BTreeMap::new(),
            batch: Batch::default(),
            inputs: sender.downgrade(),
            workers: JoinSet::new(),
            version,
        };
        Ok((handle, engine.run(receiver)))
    }

    async fn run(mut self, mut inputs: mpsc::Receiver<Input>) -> Result<(), EngineError> {
        self.collect();
        self.turn(None)?;
        loop {
            let now = self.clock.now();
            let wake = self.next_wake();
            let nap = wake.map(|wake| self.clock.sleep(wake.since(now)));
            let input = tokio::select! {
                biased;
                input = inputs.recv() => match input {
                    Some(input) => Some(input),
                    None => return Ok(()),
                },
                () = async { match nap { Some(nap) => nap.await, None => std::future::pending().await } } => None,
            };
            while self.workers.try_join_next().is_some() {}
            self.turn(input)?;
        }
    }

    /// Starts the loop of every target.
    fn collect(&mut self) {
        for target in self.targets.values().cloned() {
            let (sink, mut scraped) = mpsc::channel(1);
            let (clock, inputs) = (self.clock.clone(), self.inputs.clone());
            self.workers.spawn(async move {
                let forward = async {
                    while let Some(scraped) = scraped.recv().await {
                        let Some(inputs) = inputs.upgrade() else { return };
                        if inputs.send(Input::Scraped(scraped)).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    _ = collect_forever(target, clock, sink) => {}
                    () = forward => {}
                }
            });
        }
    }

    /// When something is due although nothing comes.
    fn next_wake(&self) -> Option<TimeMs> {
        let rules = self.awaited.is_empty().then(|| self.alerts.next_due()).flatten();
        let incidents = self.incidents.values().filter(|incident| incident.is_open());
        let wakes = incidents.filter_map(|incident| match self.want(incident) {
            Want::Wake(at) => Some(match incident.stage {
                Stage::Verifying { .. } => at.min(self.refresh_due(incident)),
                _ => at,
            }),
            _ => None,
        });
        rules.into_iter().chain(wakes).min()
    }

    fn refresh_due(&self, incident: &Incident) -> TimeMs {
        self.refreshed.get(&incident.id).map_or(incident.opened_at, |at| *at + REFRESH)
    }

    /// Takes one input, or a deadline that has come, to its end.
    fn turn(&mut self, input: Option<Input>) -> Result<(), EngineError> {
        let now = self.clock.now();
        match input {
            None => {}
            Some(Input::Read(read)) => {
                read(self);
                return Ok(());
            }
            Some(Input::Scraped(scraped)) => self.take_in(scraped),
            Some(Input::Done(id, done)) => self.take_back(id, done, now),
            Some(Input::Command(command, reply)) => {
                let result = self.obey(command, now);
                self.write()?;
                // Whoever asked may have gone; what they asked for is done all the same.
                let _ = reply.send(result);
            }
        }
        self.evaluate(now);
        self.wake(now);
        self.write()?;
        self.pursue(now);
        self.write()?;
        self.version.send_modify(|version| *version += 1);
        Ok(())
    }

    /// Commits what a target yielded.
    fn take_in(&mut self, scraped: Scraped) {
        let id = TargetId::from(scraped.target.as_str());
        let commit = self.window.commit_target(&id, scraped.at, &scraped.series);
        self.alerts.changed(&commit.changed, scraped.at);
        self.awaited.remove(&scraped.target);
        match scraped.failure {
            Some(failure) => {
                let reason = self.redactor.clean(&failure.to_string());
                let since = self.failures.get(&scraped.target).map_or(scraped.at, |(at, _)| *at);
                tracing::warn!(target = scraped.target, "could not look: {reason}");
                self.failures.insert(scraped.target, (since, reason));
            }
            None => {
                self.failures.remove(&scraped.target);
            }
        }
    }

    /// Runs the groups that are due, and lets their alerts open and move incidents.
    fn evaluate(&mut self, now: TimeMs) {
        if !self.awaited.is_empty() {
            return;
        }
        let round = self.alerts.evaluate_due(&mut self.window, now);
        self.batch.groups.extend(round.rows);
        for fired in round.fired {
            self.alert_fired(fired, now);
        }
        if round.evaluated {
            self.signals(now);
        }
    }

    /// Opens an incident for an alert that began to fire, unless one is open for it.
    fn alert_fired(&mut self, fired: Fired, now: TimeMs) {
        let open = self.incidents.values().find(|incident| {
            incident.is_open() && as_labels(&incident.opened.labels) == fired.labels
        });
        if open.is_some() {
            return;
        }
        let system = self.systems.about(&fired.labels, &fired.origins);
        let page = self.pages.serving(fired.labels.value("alertname"));
        let texts = |labels: &Labels| {
            labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let opened = Opened {
            alert: fired.labels.value("alertname").to_owned(),
            labels: texts(&fired.labels),
            annotations: fired.annotations,
            value: fired.value.to_string(),
            expr: fired.expr,
            active_at_ms: fired.active_at.0,
            system,
            runbook: page.map(|page| page.title().to_owned()),
            origins: fired.origins.iter().take(ORIGINS_MAX).map(texts).collect(),
        };
        let id = IncidentId(self.incidents.keys().next_back().map_or(1, |last| last.0 + 1));
        self.record(id, now, &Event::Opened(opened.clone()));
        self.incidents.insert(id, Incident::open(id, now, opened));
        tracing::info!(incident = id.0, "opened: {}", fired.labels);
    }

    /// Tells every open incident what its alert does.
    fn signals(&mut self, now: TimeMs) {
        let open: Vec<_> = self.incidents.values().filter(|i| i.is_open()).map(|i| i.id).collect();
        for id in open {
            let incident = &self.incidents[&id];
            let labels = as_labels(&incident.opened.labels);
            let input = if self.alerts.firing(&labels).is_some() {
                IncidentInput::Firing
            } else {
                let origins: Vec<_> = incident.opened.origins.iter().map(as_labels).collect();
                match why_gone(&self.window, &origins, now) {
                    Gone::Clear(reason) => IncidentInput::Clear { reason },
                    Gone::Blind(reason) => IncidentInput::Blind { reason },
                    Gone::Removed(reason) => IncidentInput::Removed { reason },
                }
            };
            // Most rounds bring nothing new, and then the incident refuses.
            let _ = self.feed(id, input, now);
        }
    }

    /// Wakes the incidents whose moment has come.
    fn wake(&mut self, now: TimeMs) {
        let due = self.incidents.values().filter(|incident| {
            incident.is_open() && matches!(self.want(incident), Want::Wake(at) if at <= now)
        });
        let due: Vec<_> = due.map(|incident| incident.id).collect();
        for id in due {
            let _ = self.feed(id, IncidentInput::Wake, now);
        }
    }

    /// Takes what a worker came back with.
    fn take_back(&mut self, id: IncidentId, done: Done, now: TimeMs) {
        self.busy.remove(&id);
        match done {
            Done::Refreshed => {}
            Done::Input(input) => {
                if let Err(refusal) = self.feed(id, input, now) {
                    tracing::info!(incident = id.0, "a late answer was dropped: {refusal}");
                }
            }
            Done::Fresh { step, fresh } => self.guard(id, step, fresh, now),
        }
    }

    /// Asks the guards, and if all let it pass, writes the intent.
    fn guard(
        &mut self,
        id: IncidentId,
        step: String,
        fresh: Result<paramedic_incident::Fresh, String>,
        now: TimeMs,
    ) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let Some(proposal) = incident.proposal.clone() else { return };
        let alert = &incident.opened.alert;
        let others = || self.incidents.values().filter(|other| other.id != id);
        let on_system =
            |other: &&Incident| other.opened.system.name() == Some(proposal.system.as_str());
        let acting = |other: &&Incident| matches!(other.stage, Stage::InFlight);
        let same = |other: &&Incident| other.is_open() && other.opened.alert == *alert;
        let mut systems: BTreeSet<&str> =
            others().filter(same).filter_map(|other| other.opened.system.name()).collect();
        systems.insert(&proposal.system);
        let earlier = self.incidents.values().filter(|other| on_system(other)).flat_map(|other| {
            let acts = other.acts.iter();
            acts.filter(|act| act.uses == proposal.uses && act.args == proposal.args)
        });
        let frozen = self.freezes.iter().find(|freeze| freeze.holds(&proposal.system, now));
        let around = Surroundings {
            now,
            signal: incident.signal,
            frozen: frozen.map(|freeze| freeze.name.clone()),
            busy: others().filter(on_system).find(acting).map(|other| other.id),
            earlier: earlier.map(|act| act.at).collect(),
            systems_with_alert: systems.len(),
            fresh,
        };
        let verdicts = judge(&proposal, &self.policy, &around);
        let _ = self.feed(id, IncidentInput::Judged { step, verdicts }, now);
        if self.incidents.get(&id).is_some_and(|incident| incident.stage == Stage::InFlight) {
            self.launch.insert(id);
        }
    }

    /// Carries out what a person asks.
    fn obey(&mut self, command: Command, now: TimeMs) -> Result<(), String> {
        let Command { incident: id, by, verb } = command;
        let incident =
            self.incidents.get(&id).ok_or_else(|| format!("there is no incident {id}"))?;
        let page = incident.opened.runbook.as_ref().and_then(|title| self.pages.titled(title));
        let find = |step: &str| {
            let planned =
                page.and_then(|page| page.mitigation().into_iter().find(|s| s.id == step));
            planned.ok_or_else(|| format!("the page has no mitigation step `{step}`"))
        };
        let input = match verb {
            Verb::Approve(digest) => IncidentInput::Approve { by, digest },
            Verb::Reject(reason) => IncidentInput::Reject { by, reason },
            Verb::Tick(step) => {
                if !page.is_some_and(|page| page.has_step(&step)) {
                    return Err(format!("the page has no step `{step}`"));
                }
                IncidentInput::Tick { by, step }
            }
            Verb::Request(step) => IncidentInput::Request { by, step: find(&step)? },
            Verb::LookAgain => IncidentInput::LookAgain { by },
            Verb::Note(text) => IncidentInput::Note { by, text },
            Verb::Close(reason) => IncidentInput::Close { by, reason },
        };
        self.feed(id, input, now).map_err(|refusal| refusal.to_string())
    }

    /// Lets an incident decide, and takes the events in.
    fn feed(&mut self, id: IncidentId, input: IncidentInput, now: TimeMs) -> Result<(), Refusal> {
        let Some(incident) = self.incidents.get(&id) else { return Ok(()) };
        let page = incident.opened.runbook.as_ref().and_then(|title| self.pages.titled(title));
        let system = incident.opened.system.name().and_then(|name| self.systems.get(name));
        let contact = system.and_then(|system| system.contact.clone());
        let advice = page.map(|page| page.advice()).unwrap_or_default();
        let context = Context {
            policy: &self.policy,
            contact: contact.as_deref().unwrap_or(NOBODY),
            watch: page.and_then(|page| page.watch()),
            advice: &advice,
        };
        let events = decide(incident, &context, input, now)?;
        for event in &events {
            self.record(id, now, event);
        }
        if let Some(incident) = self.incidents.get_mut(&id) {
            events.into_iter().for_each(|event| incident.apply(now, event));
        }
        Ok(())
    }

    fn record(&mut self, incident: IncidentId, at: TimeMs, event: &Event) {
        let body = serde_json::to_string(event).expect("an event has text keys only");
        let kind = event.kind().to_owned();
        self.batch.events.push(Record { incident, at, kind, body });
    }

    /// Writes what has gathered. Nothing may be started before this returns.
    fn write(&mut self) -> Result<(), EngineError> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.journal.commit(&batch)?;
        }
        Ok(())
    }

    fn want(&self, incident: &Incident) -> Want {
        let page = incident.opened.runbook.as_ref().and_then(|title| self.pages.titled(title));
        let steps = page.map(|page| page.probe_steps()).unwrap_or_default();
        incident.wants(&steps, &self.policy)
    }

    /// Starts what the incidents want, as far as nobody is at it.
    fn pursue(&mut self, now: TimeMs) {
        let open = self.incidents.values().filter(|incident| incident.is_open());
        let idle = open.filter(|incident| !self.busy.contains(&incident.id));
        let wants: Vec<_> = idle.map(|incident| (incident.id, self.want(incident))).collect();
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
        self.busy.insert(id);
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
        let plan = page.map(|page| page.look(&step, incident));
        let could_not =
            |reason: String| paramedic_incident::Looked::CouldNot { reason, took_ms: 0 };
        let looked = match (plan, self.system_of(incident)) {
            (Some(Ok(look)), Some(system)) => {
                let bench = self.bench(incident);
                self.work(id, async move {
                    let looked =
                        work::look(system, look.uses, look.args, look.timeout, bench).await;
                    Done::Input(IncidentInput::Looked { step, looked })
                });
                return;
            }
            (Some(Err(looked)), _) => looked,
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
            None => paramedic_incident::Diagnosis {
                causes: Vec::new(),
                likely: None,
                plan: Vec::new(),
                nothing_to_do: None,
            },
        };
        self.answer(id, IncidentInput::Diagnosis(diagnosis), now);
    }

    /// The action step `step` with its arguments rendered.
    fn action_step(
        &self,
        incident: &Incident,
        step: &str,
    ) -> Result<(Arc<Watched>, String, BTreeMap<String, String>), String> {
        let page = incident.opened.runbook.as_ref().and_then(|title| self.pages.titled(title));
        let page = page.ok_or("no page has this step any more")?;
        let system = self.system_of(incident).ok_or("no configured system is meant")?;
        let (uses, args) = page.action(step, incident)?;
        Ok((system, uses, args))
    }

    fn start_prepare(&mut self, id: IncidentId, step: String, now: TimeMs) {
        let incident = &self.incidents[&id];
        let planned = incident.plan.first().map(|planned| planned.work.clone());
        let Some(StepWork::Action { approval, .. }) = planned else { return };
        match self.action_step(incident, &step) {
            Ok((system, uses, args)) => {
                let bench = self.bench(incident);
                self.work(id, async move {
                    let offer = work::prepare(system, step.clone(), uses, args, approval, bench);
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
                let target = self.target_of(&system);
                let inputs = self.inputs.clone();
                self.work(id, async move {
                    read_anew(target, clock, inputs).await;
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

    fn target_of(&self, system: &Watched) -> Option<Arc<Target>> {
        let (job, instance) = &system.target;
        self.targets.get(&format!("{job}/{instance}")).cloned()
    }

    /// Reads the system of a verifying incident anew, now and then.
    fn refresh(&mut self, id: IncidentId, now: TimeMs) {
        let incident = &self.incidents[&id];
        let verifying = matches!(incident.stage, Stage::Verifying { .. });
        if !verifying || self.refresh_due(incident) > now {
            return;
        }
        let target = self.system_of(incident).and_then(|system| self.target_of(&system));
        let (clock, inputs) = (self.clock.clone(), self.inputs.clone());
        self.refreshed.insert(id, now);
        self.work(id, async move {
            read_anew(target, clock, inputs).await;
            Done::Refreshed
        });
    }
}

/// What readers see.
impl Engine {
    /// The present moment.
    pub fn now(&self) -> TimeMs {
        self.clock.now()
    }

    /// All incidents, the oldest first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// One incident.
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// The page that an incident follows.
    pub fn page_of(&self, incident: &Incident) -> Option<&crate::Page> {
        self.pages.titled(incident.opened.runbook.as_ref()?)
    }

    /// The pages.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The systems under care.
    pub fn systems(&self) -> &Systems {
        &self.systems
    }

    /// The targets, by their id `job/instance`.
    pub fn targets(&self) -> &BTreeMap<String, Arc<Target>> {
        &self.targets
    }

    /// Since when and why a target cannot be looked at; `None` where it can, or was not yet.
    pub fn failure(&self, target: &str) -> Option<&(TimeMs, String)> {
        self.failures.get(target)
    }

    /// Whether a target was collected since the start.
    pub fn was_collected(&self, target: &str) -> bool {
        !self.awaited.contains(target)
    }

    /// The groups of rules with their alerts.
    pub fn groups(&self) -> &[paramedic_rules::Group] {
        self.alerts.groups()
    }

    /// The recent samples.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The settings of expressions.
    pub fn eval_options(&self) -> &paramedic_promql::EvalOptions {
        self.alerts.options()
    }

    /// What a bundle says of versions.
    pub fn versions(&self) -> &[(String, String)] {
        &self.versions
    }
}

/// How many series an incident remembers that its alert came from.
const ORIGINS_MAX: usize = 64;

fn as_labels(pairs: &BTreeMap<String, String>) -> Labels {
    pairs.iter().collect()
}

/// Collects `target` out of turn and sends what comes.
async fn read_anew(
    target: Option<Arc<Target>>,
    clock: Arc<dyn Clock>,
    inputs: mpsc::WeakSender<Input>,
) {
    let Some(target) = target else { return };
    let scraped = collect_once(&target, clock.as_ref()).await;
    if let Some(inputs) = inputs.upgrade() {
        // An engine that has stopped needs no samples.
        let _ = inputs.send(Input::Scraped(scraped)).await;
    }
}
