use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use paramedic_incident::{
    Context, Event, Incident, Input as IncidentInput, Opened, Policy, Refusal, Signal, Stage,
    Surroundings, Want, decide, judge,
};
use paramedic_journal::{Batch, Event as Record, Journal, JournalError};
use paramedic_model::{Clock, IncidentId, Labels, Redactor, TimeMs};
use paramedic_promql::EvalOptions;
use paramedic_rules::Alert;
use paramedic_samples::{LogError, Rejected, Window, WindowOptions};
use paramedic_scrape::{Pool, Target};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::Freeze;
use crate::alerts::{Alerts, Fired};
use crate::handle::{Command, Done, Handle, Input, Verb};
use crate::incidents::Incidents;
use crate::losses::Failing;
use crate::notify::{Outbox, Sending};
use crate::outside::Words;
use crate::pages::Pages;
use crate::signal::{Gone, why_gone};
use crate::standing::Readers;
use crate::systems::Systems;
use crate::vitals::{IngestVitals, RuleVitals};
use crate::yields::Yields;

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
    /// The jobs whose targets come and go: of each, [`Handle::discovered`] tells sooner or later.
    pub jobs: Vec<Arc<str>>,
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
    /// How expressions are evaluated, those of rules and those of queries.
    pub eval: EvalOptions,
    /// What a bundle says of versions: `paramedic`, the kinds.
    pub versions: Vec<(String, String)>,
    /// Who is told of alerts.
    pub sending: Sending,
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
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) redactor: Redactor,
    pub(crate) systems: Systems,
    pub(crate) targets: BTreeMap<String, Arc<Target>>,
    /// The loop of each target.
    pub(crate) loops: BTreeMap<String, AbortHandle>,
    /// What the discovery of each job said last.
    pub(crate) pools: BTreeMap<Arc<str>, Pool>,
    /// The jobs of which a discovery tells.
    pub(crate) jobs: Vec<Arc<str>>,
    /// Targets that have not been collected since the start. Until then the window cannot speak.
    pub(crate) awaited: BTreeSet<String>,
    /// Since when the series of targets that went away have ended, to be written down soon.
    pub(crate) ending: BTreeMap<String, TimeMs>,
    /// What is known of what targets yield, besides their samples.
    pub(crate) yields: Yields,
    /// When the newest collection of each target that has ended began.
    pub(crate) read_at: BTreeMap<String, TimeMs>,
    /// The same of each target whose newest collection succeeded.
    pub(crate) answered: BTreeMap<String, TimeMs>,
    pub(crate) window: Window,
    pub(crate) ingest: IngestVitals,
    pub(crate) alerts: Alerts,
    pub(crate) pages: Pages,
    pub(crate) policy: Policy,
    pub(crate) freezes: Vec<Freeze>,
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) incidents: Incidents,
    /// Whether any rule was evaluated since the start.
    has_looked: bool,
    /// Incidents that a worker is busy for, and the round that it works for.
    pub(crate) busy: BTreeMap<IncidentId, u32>,
    /// Incidents whose action was intended in this turn, to be sent once the journal has it.
    pub(crate) launch: HashSet<IncidentId>,
    /// When the system of a verifying incident was last read anew.
    pub(crate) refreshed: BTreeMap<IncidentId, TimeMs>,
    /// The targets that cannot be looked at.
    pub(crate) failures: BTreeMap<String, Failing>,
    /// What the alert rules read, once that was asked for.
    pub(crate) readers: Option<Readers>,
    /// When each target that discovery took away went.
    pub(crate) gone: BTreeMap<String, TimeMs>,
    /// Whether anything changed that losses of targets depend on.
    pub(crate) losses_due: bool,
    /// What was not taken of the newest collection of each target, where something was not.
    pub(crate) refused: BTreeMap<String, Rejected>,
    /// Why samples cannot be logged at present.
    pub(crate) unlogged: Option<LogError>,
    /// Alerts on their way to Alertmanagers.
    pub(crate) outbox: Outbox,
    /// What the senders of alerts from outside said last.
    pub(crate) outside: Words,
    /// What is to be written at the end of this turn.
    pub(crate) batch: Batch,
    pub(crate) inputs: mpsc::WeakSender<Input>,
    pub(crate) workers: JoinSet<()>,
    pub(crate) version: watch::Sender<u64>,
}

impl Engine {
    /// Reads the journal, starts collecting, and runs until every [`Handle`] is gone.
    ///
    /// # Errors
    ///
    /// A journal that cannot be read; from the returned future, one that cannot be written.
    pub fn start(
        setup: Setup,
    ) -> Result<(Handle, impl Future<Output = Result<(), EngineError>>), EngineError> {
        let window = Window::new(setup.window.clone());
        Self::start_with(setup, window)
    }

    /// As [`Engine::start`], with the samples that a window has already, and its log.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_with(
        mut setup: Setup,
        window: Window,
    ) -> Result<(Handle, impl Future<Output = Result<(), EngineError>>), EngineError> {
        let contents = setup.journal.load()?;
        let mut incidents = Incidents::default();
        for (seq, record) in contents.events.iter().enumerate() {
            let unreadable = |reason: String| EngineError::Unreadable { seq: seq + 1, reason };
            let event: Event =
                serde_json::from_str(&record.body).map_err(|e| unreadable(e.to_string()))?;
            match (incidents.get(&record.incident).is_some(), event) {
                (true, event) => {
                    incidents.change(record.incident, |incident| incident.apply(record.at, event));
                }
                (false, Event::Opened(opened)) => {
                    incidents.insert(Incident::open(record.incident, record.at, opened));
                }
                (false, _) => return Err(unreadable("an incident that was never opened".into())),
            }
        }
        let now = setup.clock.now();
        let mut outbox = Outbox::new(std::mem::take(&mut setup.sending));
        outbox.hold_again(incidents.values());
        let outside = Words::after_restart(incidents.values(), now);
        let Setup { groups, external_labels, external_url, eval, .. } = &mut setup;
        let alerts = Alerts::restore(
            std::mem::take(groups),
            &contents.groups,
            eval.clone(),
            external_labels.clone(),
            external_url.clone(),
            outbox.is_used().then_some(outbox.resend_delay),
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
            loops: BTreeMap::new(),
            pools: BTreeMap::new(),
            jobs: setup.jobs,
            ending: BTreeMap::new(),
            yields: Yields::default(),
            read_at: BTreeMap::new(),
            answered: BTreeMap::new(),
            window,
            ingest: IngestVitals::default(),
            alerts,
            pages: setup.pages,
            policy: setup.policy,
            freezes: setup.freezes,
            versions: setup.versions,
            incidents,
            has_looked: false,
            busy: BTreeMap::new(),
            launch: HashSet::new(),
            refreshed: BTreeMap::new(),
            failures: BTreeMap::new(),
            readers: None,
            gone: BTreeMap::new(),
            losses_due: true,
            refused: BTreeMap::new(),
            unlogged: None,
            outbox,
            outside,
            batch: Batch::default(),
            inputs: sender.downgrade(),
            workers: JoinSet::new(),
            version,
        };
        Ok((handle, engine.run(receiver)))
    }

    async fn run(mut self, mut inputs: mpsc::Receiver<Input>) -> Result<(), EngineError> {
        for target in self.targets.values().cloned().collect::<Vec<_>>() {
            self.collect(target);
        }
        self.outbox.lines.start(&self.clock, &mut self.workers);
        self.turn(None)?;
        loop {
            let now = self.clock.now();
            let wake = self.next_wake();
            let nap = wake.map(|wake| self.clock.sleep(wake.since(now)));
            let input = tokio::select! {
                biased;
                input = inputs.recv() => match input {
                    Some(input) => Some(input),
                    None => {
                        self.close();
                        self.outbox.drain().await;
                        return Ok(());
                    }
                },
                () = async { match nap { Some(nap) => nap.await, None => std::future::pending().await } } => None,
            };
            while self.workers.try_join_next().is_some() {}
            self.turn(input)?;
        }
    }

    /// When something is due although nothing comes.
    fn next_wake(&self) -> Option<TimeMs> {
        let rules = self.awaited.is_empty().then(|| self.alerts.next_due()).flatten();
        let wakes = self.incidents.open().filter_map(|incident| {
            let wake = self.wake_of(incident);
            // While a worker is busy there is no other refresh, and its end is a turn anyway.
            let idle = !self.busy.contains_key(&incident.id);
            let refresh = (idle && matches!(incident.stage, Stage::Verifying { .. }))
                .then(|| self.refresh_due(incident));
            wake.into_iter().chain(refresh).min()
        });
        let words = self.outside.due(self.clock.now());
        rules.into_iter().chain(wakes).chain(words).chain(self.held_due()).min()
    }

    pub(crate) fn refresh_due(&self, incident: &Incident) -> TimeMs {
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
            Some(Input::Scraped(scraped)) => {
                self.take_in(scraped);
                if self.awaited.is_empty() {
                    self.batch.groups.extend(self.alerts.waits(now));
                }
            }
            Some(Input::Discovered(pool)) => {
                self.take_pool(pool, now);
                self.losses_due = true;
            }
            Some(Input::Alertmanagers(set, found)) => self.take_alertmanagers(set, found),
            Some(Input::Ended(target, at)) => self.end(&target, at, now),
            Some(Input::Described(metadata)) => self.yields.describe(metadata, now),
            Some(Input::Written(series, reply)) => {
                let commit = self.append(&series, now);
                self.write()?;
                // Whoever sent them may have gone; they are kept all the same.
                let _ = reply.send(commit);
            }
            Some(Input::Reload(reload, reply)) => {
                let reloaded = self.reload(*reload, now);
                if self.awaited.is_empty() {
                    self.signals(now, |_| true);
                }
                self.write()?;
                let _ = reply.send(reloaded);
            }
            Some(Input::Outside(alerts, reply)) => {
                let heard = self.hear(alerts, now);
                self.write()?;
                // Whoever sent them may have gone; their incidents are open all the same.
                let _ = reply.send(heard);
            }
            Some(Input::Done(id, done)) => self.take_back(id, done, now),
            Some(Input::Command(command, reply)) => {
                let result = self.obey(command, now);
                self.write()?;
                // Whoever asked may have gone; what they asked for is done all the same.
                let _ = reply.send(result);
            }
        }
        self.evaluate(now);
        self.outside_signals(now);
        self.losses(now);
        self.wake(now);
        self.write()?;
        self.tell(now);
        self.pursue(now);
        self.write()?;
        self.version.send_modify(|version| *version += 1);
        Ok(())
    }

    /// Runs the groups that are due, and lets their alerts open and move incidents.
    fn evaluate(&mut self, now: TimeMs) {
        if !self.awaited.is_empty() {
            return;
        }
        let round = self.alerts.evaluate_due(&mut self.window, now);
        self.batch.groups.extend(round.rows);
        self.outbox.gather(round.outgoing);
        for fired in round.fired {
            self.alert_fired(fired, now);
        }
        if !round.names.is_empty() {
            // Rules come and go with a reload, which tells all; the first round is such a moment, too.
            let all = !std::mem::replace(&mut self.has_looked, true);
            self.signals(now, |rule| all || round.names.contains(rule));
            self.losses_due |= !self.failures.is_empty();
        }
    }

    /// Opens an incident for an alert that began to fire, unless one is open for it.
    fn alert_fired(&mut self, fired: Fired, now: TimeMs) {
        let of_alert = |incident: &Incident| incident.opened.lost.is_none();
        if self.incidents.open_for(&fired.labels).any(of_alert) {
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
            origins: fired.origins.iter().map(texts).collect(),
            outside: None,
            lost: None,
        };
        self.open(opened, now);
    }

    /// Opens an incident.
    pub(crate) fn open(&mut self, opened: Opened, now: TimeMs) -> IncidentId {
        let id = self.incidents.next_id();
        let from = if opened.outside.is_some() { " from outside" } else { "" };
        tracing::info!(incident = id.0, "opened{from}: {}", as_labels(&opened.labels));
        self.record(id, now, &Event::Opened(opened.clone()));
        self.incidents.insert(Incident::open(id, now, opened));
        id
    }

    /// Tells the open incidents of some rules what their alerts do.
    fn signals(&mut self, now: TimeMs, of: impl Fn(&str) -> bool) {
        let by_rule = self.incidents.by_rule().iter();
        let open: BTreeSet<_> =
            by_rule.filter(|(rule, _)| of(rule)).flat_map(|(_, ids)| ids).copied().collect();
        for id in open {
            let incident = &self.incidents[&id];
            let input = if let Some(alert) = self.active_of(incident) {
                match alert.state.is_firing() {
                    true => IncidentInput::Firing,
                    false => IncidentInput::Holding,
                }
            } else if !self.alerts.has_rule(&incident.opened.alert) {
                let reason = format!("no rule {} is loaded any more", incident.opened.alert);
                IncidentInput::Blind { reason, target: None }
            } else if let Some(reason) = self.alerts.failure(&incident.opened.alert) {
                IncidentInput::Blind {
                    reason: format!("the rule could not be evaluated: {reason}"),
                    target: None,
                }
            } else {
                match self.gone(incident, now) {
                    Gone::Clear(reason) => IncidentInput::Clear { reason },
                    Gone::Blind { reason, job, instance } => {
                        let target = self.target_of(&job, &instance);
                        IncidentInput::Blind { reason, target }
                    }
                    Gone::Removed(reason) => IncidentInput::Removed { reason },
                }
            };
            // Most rounds bring nothing new, and then the incident refuses.
            let _ = self.feed(id, input, now);
        }
    }

    /// The alert of an open incident, while it is pending or fires.
    fn active_of(&self, incident: &Incident) -> Option<&Alert> {
        self.alerts.active(self.incidents.labels(incident.id)?)
    }

    /// What the samples say of an alert that its rule does not have.
    fn gone(&self, incident: &Incident, now: TimeMs) -> Gone {
        let origins: Vec<_> = incident.opened.origins.iter().map(as_labels).collect();
        why_gone(&self.window, &origins, now)
    }

    /// Wakes the incidents whose moment has come.
    fn wake(&mut self, now: TimeMs) {
        let is_due = |incident: &&Incident| self.wake_of(incident).is_some_and(|at| at <= now);
        let due = self.incidents.open().filter(is_due);
        let due = due.map(|incident| {
            let holds = match &incident.opened.lost {
                Some(lost) => self.failures.contains_key(&lost.target),
                None => {
                    let active = self.active_of(incident);
                    active.is_some_and(|alert| !alert.state.is_firing())
                }
            };
            match holds {
                true => (incident.id, IncidentInput::Holding),
                false => (incident.id, IncidentInput::Wake),
            }
        });
        for (id, input) in due.collect::<Vec<_>>() {
            let _ = self.feed(id, input, now);
        }
    }

    /// The moment that an incident waits for. None comes before this process has looked at the
    /// alert: a deadline that passed while nobody ran says nothing about the alert.
    fn wake_of(&self, incident: &Incident) -> Option<TimeMs> {
        match self.want(incident) {
            Want::Wake(at) if self.is_current(incident) => Some(at),
            _ => None,
        }
    }

    /// Whether this process has looked at the incident's alert.
    pub(crate) fn is_current(&self, incident: &Incident) -> bool {
        if let Some(lost) = &incident.opened.lost {
            return self.awaited.is_empty() && self.loss_signal(lost) != Signal::Blind;
        }
        match incident.opened.outside {
            Some(_) => self.outside_is_current(incident),
            None => self.awaited.is_empty() && self.alerts.is_current(&incident.opened.alert),
        }
    }

    /// Takes what a worker came back with.
    fn take_back(&mut self, id: IncidentId, done: Done, now: TimeMs) {
        let round = self.busy.remove(&id);
        if round != self.incidents.get(&id).map(|incident| incident.round) {
            tracing::info!(incident = id.0, "an answer from an earlier round was dropped");
            return;
        }
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
    pub(crate) fn guard(
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
        let same = |other: &&Incident| {
            other.is_open() && other.signal != Signal::Clear && other.opened.alert == *alert
        };
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
            signal: self.signal_now(incident, now),
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

    /// Whether the alert fires, by an evaluation on the samples that there are now. Its group may
    /// not be due for a while, and a change must not be made on what was true a minute ago.
    fn signal_now(&self, incident: &Incident, now: TimeMs) -> Signal {
        if incident.opened.outside.is_some() {
            return self.outside_signal(incident, now);
        }
        if let Some(lost) = &incident.opened.lost {
            return self.loss_signal(lost);
        }
        match self.alerts.holds(&as_labels(&incident.opened.labels), &self.window, now) {
            Ok(true) => Signal::Firing,
            Err(_) => Signal::Blind,
            Ok(false) => match self.gone(incident, now) {
                Gone::Clear(_) => Signal::Clear,
                Gone::Blind { .. } | Gone::Removed(_) => Signal::Blind,
            },
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
    pub(crate) fn feed(
        &mut self,
        id: IncidentId,
        input: IncidentInput,
        now: TimeMs,
    ) -> Result<(), Refusal> {
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
        self.losses_due = true;
        for event in &events {
            self.record(id, now, event);
        }
        self.incidents.change(id, |incident| {
            events.into_iter().for_each(|event| incident.apply(now, event));
        });
        Ok(())
    }

    pub(crate) fn record(&mut self, incident: IncidentId, at: TimeMs, event: &Event) {
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

    pub(crate) fn want(&self, incident: &Incident) -> Want {
        let page = incident.opened.runbook.as_ref().and_then(|title| self.pages.titled(title));
        let steps = page.map(|page| page.probe_steps()).unwrap_or_default();
        incident.wants(&steps, &self.policy)
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

    /// What the discovery of each job of `scrape_configs` said last.
    pub fn pools(&self) -> &BTreeMap<Arc<str>, Pool> {
        &self.pools
    }

    /// The targets, by their id `job/instance`.
    pub fn targets(&self) -> &BTreeMap<String, Arc<Target>> {
        &self.targets
    }

    /// Since when and why a target cannot be looked at; `None` where it can, or was not yet.
    pub fn failure(&self, target: &str) -> Option<&(TimeMs, String)> {
        self.failures.get(target).map(|failing| &failing.why)
    }

    /// What was not taken of the newest collection of a target, and why; `None` where all was.
    pub fn refused(&self, target: &str) -> Option<&Rejected> {
        self.refused.get(target)
    }

    /// Why samples cannot be logged at present: readers see them, a restart would not.
    pub fn unlogged(&self) -> Option<&LogError> {
        self.unlogged.as_ref()
    }

    /// When the newest collection of a target that has ended began.
    pub fn read_at(&self, target: &str) -> Option<TimeMs> {
        self.read_at.get(target).copied()
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

    /// What evaluating rules took since the start.
    pub fn rule_vitals(&self) -> &RuleVitals {
        self.alerts.vitals()
    }

    /// What came in since the start.
    pub fn ingest_vitals(&self) -> &IngestVitals {
        &self.ingest
    }

    /// The settings of expressions.
    pub fn eval_options(&self) -> &EvalOptions {
        self.alerts.options()
    }

    /// What a bundle says of versions.
    pub fn versions(&self) -> &[(String, String)] {
        &self.versions
    }
}

fn as_labels(pairs: &BTreeMap<String, String>) -> Labels {
    pairs.iter().collect()
}
