//! Simulated systems, network, time and journal, which outlive the engine that watches them.
//!
//! Everything here runs under a paused tokio runtime ([`run`]): nothing waits, and a run always
//! goes the same way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paramedic::assembly::{self, Loaded};
use paramedic::config::Config;
use paramedic::kinds;
use paramedic::lab::Simulated;
use paramedic_engine::{Command, Engine, EngineError, Handle, Pages, Stopped, Verb};
use paramedic_incident::{Incident, Looked, Outcome, Stage};
use paramedic_integration::{Address, BoxStream, Environment, ScaledClock};
use paramedic_journal::{Journal, MemoryJournal};
use paramedic_model::{Clock, IncidentId, Redactor, TimeMs};
use paramedic_rules::RuleFile;
use paramedic_runbook::Runbook;
use paramedic_scrape::{Discovery, Job, Pool};
use paramedic_testkit::{MemoryNetwork, NoProcesses, VIRTUAL_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

/// How often a system is collected.
pub const INTERVAL: Duration = Duration::from_secs(15);
/// How long between two looks at the engine.
pub const STEP: Duration = Duration::from_secs(1);

/// Runs a test in virtual time.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime starts");
    runtime.block_on(test)
}

/// Seconds, for short.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What is there without an engine.
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub network: MemoryNetwork,
    pub systems: Vec<Simulated>,
    pub journal: MemoryJournal,
    pub config: Config,
    /// The rules and the page of [`World::with`], in place of the shipped ones.
    own: Option<(String, String)>,
}

impl World {
    /// `count` healthy systems of one kind, with the shipped rules and pages.
    pub fn new(kind: &str, count: usize) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0));
        let network = MemoryNetwork::default();
        let integration = kinds::kind(kind).expect("the kind is built in");
        let factory = integration.simulator().expect("the kind has a simulator");
        let start = |number: usize| {
            let host = format!("{kind}{number}.test");
            let ports = (9001..).take(factory.ports().len());
            let addresses = ports.map(|port| Address::new(host.as_str(), port)).collect();
            let name = format!("{kind}-{number}");
            let seed = number as u64;
            Simulated::start(&name, integration, addresses, clock.clone(), seed)
                .expect("the kind has a simulator")
        };
        let systems: Vec<_> = (1..=count).map(start).collect();
        let config = Config {
            systems: systems.iter().map(|system| system.config(INTERVAL)).collect(),
            ..Config::default()
        };
        let world =
            Self { clock, network, systems, journal: MemoryJournal::default(), config, own: None };
        (0..count).for_each(|number| world.connect(number));
        world
    }

    /// Replaces the shipped rules and pages by one file of rules and one page.
    pub fn with(mut self, rules: &str, page: &str) -> Self {
        self.own = Some((rules.to_owned(), page.to_owned()));
        self
    }

    /// Adds the target `app/app.test:9100`, and returns what it shows.
    pub fn exporter(&mut self) -> Exporter {
        let address = Address::new("app.test", 9100);
        let text = format!(
            "scrape_configs: [{{ job_name: app, scrape_interval: {}s, scrape_timeout: 10s, \
             static_configs: [{{ targets: ['{address}'] }}] }}]",
            INTERVAL.as_secs()
        );
        let read = Config::parse(std::path::Path::new("prometheus.yml"), &text, &[]);
        self.config.jobs.extend(read.expect("a configuration without a mistake").jobs);
        let exporter = Exporter::default();
        let shown = exporter.clone();
        self.network.listen(address, move |stream| Box::pin(shown.clone().answer(stream)));
        exporter
    }

    /// Puts a system on the network, again after [`World::hang`].
    pub fn connect(&self, number: usize) {
        let system = &self.systems[number];
        for (port, address) in &system.ports {
            self.network.attach(address.clone(), system.simulator.clone(), port);
        }
    }

    /// From now on, a system accepts connections and never answers.
    pub fn hang(&self, number: usize) {
        self.systems[number].ports.iter().for_each(|(_, address)| {
            self.network.hang(address.clone());
        });
    }

    pub fn inject(&self, number: usize, fault: &str) {
        self.systems[number].simulator.inject(fault).expect("the simulator has the fault");
    }

    /// What the simulated system was asked to change.
    pub fn changes(&self, number: usize) -> Vec<String> {
        let recorded = self.systems[number].simulator.recorded();
        recorded.into_iter().map(|recorded| recorded.change).collect()
    }

    fn environment(&self) -> Environment {
        Environment {
            clock: self.clock.clone(),
            transport: Arc::new(self.network.clone()),
            processes: Arc::new(NoProcesses),
            redactor: Redactor::default(),
        }
    }

    /// What the discoveries of the jobs say.
    pub fn pools(&self) -> Vec<Pool> {
        let environment = self.environment();
        let discovery =
            |job: &Arc<Job>| Discovery::new(job.clone(), environment.clone(), 0).at_once();
        self.config.jobs.iter().map(discovery).collect()
    }

    /// Starts an engine on the journal, as a server that starts would.
    pub fn start(&self) -> Server {
        let environment = self.environment();
        let loaded = match &self.own {
            // Not from the disk: a group runs at moments that follow from the path of its file.
            Some((rules, page)) => {
                let files = vec![RuleFile::parse("rules.yml", rules).expect("the rules are right")];
                let page = Runbook::parse("page.md", page).expect("the page is right");
                let catalogs = kinds::catalogs();
                assert!(page.check(&catalogs).is_empty(), "{:?}", page.check(&catalogs));
                Loaded { files, pages: Pages::new(vec![page], &catalogs) }
            }
            None => assembly::load(&self.config).expect("rules and pages load"),
        };
        let journal: Box<dyn Journal> = Box::new(self.journal.clone());
        let setup = assembly::setup(&self.config, loaded, &environment, journal);
        let mut setup = setup.expect("the systems open");
        // Collected at moments that do not depend on the name of this machine.
        setup.targets.retain(|target| target.discovered.is_none());
        setup.targets.extend(self.pools().into_iter().flat_map(|pool| pool.targets));
        let (handle, running) = Engine::start(setup).expect("the journal can be read");
        Server { handle, task: tokio::spawn(running), clock: self.clock.clone() }
    }
}

/// A target in the exposition format that shows what a test wants; nothing to begin with.
#[derive(Clone, Default)]
pub struct Exporter(Arc<Mutex<Shown>>);

#[derive(Clone, Default)]
enum Shown {
    #[default]
    Nothing,
    Lines(String),
    Hang,
}

impl Exporter {
    /// From now on it shows these lines.
    pub fn shows(&self, lines: &str) {
        self.set(Shown::Lines(format!("{lines}\n")));
    }

    /// From now on it closes connections without an answer.
    pub fn dies(&self) {
        self.set(Shown::Nothing);
    }

    /// From now on it does not answer; connections that come before the next change never will.
    pub fn hangs(&self) {
        self.set(Shown::Hang);
    }

    fn set(&self, shown: Shown) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    async fn answer(self, mut stream: BoxStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            request.push(byte);
        }
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let body = match shown {
            Shown::Lines(lines) => lines,
            Shown::Nothing => return,
            Shown::Hang => std::future::pending().await,
        };
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        // A client that hangs up early is no concern of an exporter.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

/// A running engine.
pub struct Server {
    pub handle: Handle,
    task: JoinHandle<Result<(), EngineError>>,
    clock: Arc<dyn Clock>,
}

impl Server {
    /// All incidents, the oldest first.
    pub async fn incidents(&self) -> Result<Vec<Incident>, Stopped> {
        self.handle.read(|engine| engine.incidents().cloned().collect()).await
    }

    /// Tells what a discovery says.
    pub async fn discovered(&self, pool: Pool) {
        self.handle.discovered(pool).await.expect("the engine runs");
    }

    /// The incident with this number; it must be there.
    pub async fn incident(&self, id: u64) -> Incident {
        let read = self.handle.read(move |engine| engine.incident(IncidentId(id)).cloned());
        read.await.expect("the engine runs").expect("the incident is there")
    }

    /// Asks something of an incident.
    pub async fn ask(&self, id: u64, by: &str, verb: Verb) -> Result<(), String> {
        let command = Command { incident: IncidentId(id), by: by.to_owned(), verb };
        self.handle.command(command).await.expect("the engine runs")
    }

    /// Waits until an incident is as wanted; fails with its transcript after half an hour.
    pub async fn until(&self, id: u64, wanted: impl Fn(&Incident) -> bool) -> Incident {
        let mut version = self.handle.version();
        let deadline = self.clock.now() + seconds(1800);
        loop {
            version.mark_unchanged();
            let found = self.incidents().await.expect("the engine runs");
            let found = found.into_iter().find(|incident| incident.id.0 == id);
            match found {
                Some(incident) if wanted(&incident) => return incident,
                found if self.clock.now() > deadline => {
                    let transcript = found.as_ref().map(transcript).unwrap_or_default();
                    panic!("incident {id} is not as wanted after half an hour:\n{transcript}");
                }
                _ => {
                    let news = version.changed();
                    let _ = tokio::time::timeout(seconds(1800), news).await;
                }
            }
        }
    }

    /// Ends the engine, as a killed process ends: whatever it was at is dropped.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// The engine's own end.
    pub async fn end(self) -> Result<(), EngineError> {
        self.task.await.expect("the engine does not panic")
    }
}

/// Where an incident stands, without its data.
pub fn stands(stage: &'static str) -> impl Fn(&Incident) -> bool {
    move |incident| incident.stage.as_str() == stage
}

/// Whether a proposal waits for people.
pub fn waiting(incident: &Incident) -> bool {
    incident.stage == Stage::Waiting
}

pub fn closed(incident: &Incident) -> bool {
    !incident.is_open()
}

/// The story of an incident, one line per event, with seconds since it was opened. Looks that
/// succeeded are left out: they are the affair of the integration's tests.
pub fn transcript(incident: &Incident) -> String {
    use paramedic_incident::Event;
    let mut text = String::new();
    for (at, event) in &incident.events {
        let line = match event {
            Event::Opened(opened) => match opened.system.name() {
                Some(system) => format!("opened about {system}"),
                None => format!("opened about {:?}", opened.system),
            },
            Event::RoundStarted { round, reason } => format!("round {round}: {reason}"),
            Event::Probed { step, looked } => match looked {
                Looked::Saw(_) => continue,
                Looked::CouldNot { reason, .. } => format!("{step}: could not look: {reason}"),
                Looked::Skipped { reason } => format!("{step}: left out: {reason}"),
            },
            Event::Diagnosed { likely, .. } => {
                format!("diagnosed {}", likely.as_deref().unwrap_or("nothing"))
            }
            Event::Requested { step, by } => format!("{by} asks for {}", step.id),
            Event::Proposed(proposal) => format!("proposed {}", proposal.step),
            Event::Unavailable { step, reason } => format!("{step} unavailable: {reason}"),
            Event::Approved { step, by, .. } => format!("{step} approved by {by}"),
            Event::Rejected { step, by, reason } => format!("{step} refused by {by}: {reason}"),
            Event::Judged { verdicts, .. } => {
                let against = verdicts.iter().filter(|verdict| !verdict.pass);
                let against: Vec<_> =
                    against.map(|v| format!("{}: {}", v.guard, v.reason)).collect();
                match against.is_empty() {
                    true => "guards pass".to_owned(),
                    false => format!("held back: {}", against.join("; ")),
                }
            }
            Event::Intended { step, attempt } => format!("intended {step}, attempt {attempt}"),
            Event::Acted { outcome, .. } => match outcome {
                Outcome::Done(_) => "done".to_owned(),
                Outcome::Failed(reason) => format!("failed: {reason}"),
                Outcome::Uncertain(reason) => format!("uncertain: {reason}"),
            },
            Event::NotSent { step, .. } => format!("{step} was not sent"),
            Event::Verified { recovered: true, .. } => "verified".to_owned(),
            Event::Verified { reason, .. } => format!("not verified: {reason}"),
            Event::HandedOver { contact, reason } => format!("handed over to {contact}: {reason}"),
            Event::LeftAlone { .. } => "left alone".to_owned(),
            Event::Ticked { step, by } => format!("{step} ticked by {by}"),
            Event::Noted { by, text } => format!("{by}: {text}"),
            Event::Cleared { .. } => "clear".to_owned(),
            Event::Blind { reason, .. } => format!("blind: {reason}"),
            Event::Joined { lead, target } => format!("part of {lead}: {target} is lost"),
            Event::Firing => "fires again".to_owned(),
            Event::Watching { until_ms } => {
                format!("watching for {} s", tenths(TimeMs(*until_ms).since(*at)))
            }
            Event::Closed { ending, .. } => format!("closed: {}", ending.as_str()),
        };
        let after = tenths(at.since(incident.opened_at));
        // Aligned to the left: an expectation loses what all of its lines are indented by.
        text.push_str(&format!("{:<5} {line}\n", format!("{after}s")));
    }
    text
}

/// Seconds to the nearest tenth: the timers behind virtual time are a millisecond early or late.
fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}
