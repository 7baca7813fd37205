//! A host with systemd, simulated: units, journal, resources, and a true SSH server before them.
//!
//! ```text
//!   another simulator ── unit_running, log, on_start ──> SimulatedHost <── serve ── byte stream
//!   (traefik, oxidized)                                   units, journal, df, ss      (true SSH)
//! ```
//!
//! # Invariants
//!
//! - What happens depends on the clock, the seed and what was asked, on nothing else.
//! - Hooks run while nothing is locked, so they may call the host.
//! - A unit's state changes in [`SimulatedHost::set_unit`] and by `systemctl` alone, and each
//!   change writes the lines that systemd would write.
//!
//! Not here: what the units do. Their owners decide that in hooks.

mod resources;
mod server;
mod shell;
mod unit;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paramedic_catalog::{SettingValue, Settings};
use paramedic_integration::{Address, BoxStream, Finished, Recorded};
use paramedic_model::{BoxFuture, Clock, TimeMs};

use crate::command::{LocalUrl, LookCommand};
pub use resources::{Listener, Mount, Resources};
use server::Keys;
pub use unit::{Failure, JournalLine, Start, UnitModel, UnitState};
use unit::{StartHook, StopHook};

/// Who may log in to a simulated host.
const USER: &str = "paramedic";
/// How long after giving up systemd refuses another start: `StartLimitIntervalSec=`.
const START_LIMIT_INTERVAL: Duration = Duration::from_secs(10);
/// How long a simulated host was up before it is looked at.
const UPTIME: Duration = Duration::from_secs(86_400);

/// What a simulated host is answered that asks a service of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locally {
    /// An HTTP answer with this status.
    Answers(u16),
    /// The connection is taken and no answer comes.
    Silent,
    /// Nothing listens.
    Closed,
}

/// A host with systemd that speaks true SSH.
///
/// Clones share one host. See the crate's documentation for how another simulator uses it.
#[derive(Clone)]
pub struct SimulatedHost {
    clock: Arc<dyn Clock>,
    keys: Arc<Keys>,
    state: Arc<Mutex<State>>,
}

struct State {
    units: BTreeMap<String, Unit>,
    resources: Resources,
    answers: BTreeMap<String, Arc<dyn Fn() -> Finished + Send + Sync>>,
    /// Where services answer on the host itself, by the name of the service.
    local_urls: BTreeMap<String, String>,
    recorded: Vec<Recorded>,
    command_lines: Vec<String>,
    next_pid: u32,
    may_change: bool,
    may_read_journal: bool,
}

struct Unit {
    model: UnitModel,
    on_start: Option<StartHook>,
    on_stop: Option<StopHook>,
    forbidden: bool,
}

impl SimulatedHost {
    /// A healthy host with these units. Names are full: `traefik.service`.
    pub fn new<'a>(
        clock: Arc<dyn Clock>,
        seed: u64,
        units: impl IntoIterator<Item = (&'a str, UnitModel)>,
    ) -> Self {
        let state = State {
            units: BTreeMap::new(),
            resources: Resources::default(),
            answers: BTreeMap::new(),
            local_urls: BTreeMap::new(),
            recorded: Vec::new(),
            command_lines: Vec::new(),
            next_pid: 800 + u32::try_from(seed % 100).unwrap_or(0),
            may_change: true,
            may_read_journal: true,
        };
        let keys = Arc::new(Keys::new(seed));
        let host = Self { clock, keys, state: Arc::new(Mutex::new(state)) };
        for (name, unit) in units {
            host.add_unit(name, unit);
        }
        host
    }

    /// Adds a unit, or replaces the one of this name together with its hooks.
    ///
    /// A unit without times has been in its state for a day, with the journal lines of its start.
    pub fn add_unit(&self, name: &str, mut unit: UnitModel) {
        let began = self.clock.now() - UPTIME;
        let mut state = self.lock();
        if unit.state == UnitState::Running {
            unit.pid = unit.pid.or_else(|| Some(state.take_pid()));
            unit.active_since = unit.active_since.or(Some(began));
        } else {
            unit.inactive_since = unit.inactive_since.or(Some(began));
        }
        if unit.changed == TimeMs(0) {
            unit.changed = began;
        }
        if unit.journal.is_empty() && unit.state == UnitState::Running {
            unit.systemd(began, format!("Started {name} - {}.", unit.description));
        }
        let unit = Unit { model: unit, on_start: None, on_stop: None, forbidden: false };
        state.units.insert(name.to_owned(), unit);
    }

    /// From now on `hook` decides how a start of the unit goes; without one it succeeds.
    ///
    /// It is called for `systemctl start`, for `systemctl restart`, and when systemd starts the
    /// unit again by itself.
    pub fn on_start(&self, unit: &str, hook: impl Fn() -> Start + Send + Sync + 'static) {
        if let Some(unit) = self.lock().units.get_mut(unit) {
            unit.on_start = Some(Arc::new(hook));
        }
    }

    /// From now on `hook` is told when the running unit is stopped by a restart.
    pub fn on_stop(&self, unit: &str, hook: impl Fn() + Send + Sync + 'static) {
        if let Some(unit) = self.lock().units.get_mut(unit) {
            unit.on_stop = Some(Arc::new(hook));
        }
    }

    /// From now on a start or restart of the unit is recorded as forbidden, or is not. Whatever
    /// is said here, a start of what a person stopped or masked is recorded as forbidden.
    pub fn forbid(&self, unit: &str, forbidden: bool) {
        if let Some(unit) = self.lock().units.get_mut(unit) {
            unit.forbidden = forbidden;
        }
    }

    /// Whether the unit is running now.
    pub fn unit_running(&self, unit: &str) -> bool {
        self.unit(unit).is_some_and(|unit| unit.state == UnitState::Running)
    }

    /// The unit as it is now.
    pub fn unit(&self, unit: &str) -> Option<UnitModel> {
        self.settle(unit);
        self.lock().units.get(unit).map(|unit| unit.model.clone())
    }

    /// Puts the unit into `state` now, with the lines that systemd writes then. Hooks are not
    /// called, and nothing is recorded: this is fate, not a request.
    pub fn set_unit(&self, unit: &str, state: UnitState) {
        let now = self.clock.now();
        self.lock().enter(unit, state, now);
    }

    /// The unit's process writes a line into the journal now.
    pub fn log(&self, unit: &str, line: impl Into<String>) {
        let now = self.clock.now();
        if let Some(unit) = self.lock().units.get_mut(unit) {
            unit.write(now, line.into());
        }
    }

    /// Changes what the host has.
    pub fn change_resources(&self, change: impl FnOnce(&mut Resources)) {
        change(&mut self.lock().resources);
    }

    /// From now on `answer` answers this command line, without `env` and `sudo` in front: for the
    /// commands that a system's `commands` setting allows, and to let a host answer nonsense.
    pub fn answer(
        &self,
        command_line: &str,
        answer: impl Fn() -> Finished + Send + Sync + 'static,
    ) {
        self.lock().answers.insert(command_line.to_owned(), Arc::new(answer));
    }

    /// From now on `hook` says what the host is answered that asks `service` at `url` itself: a
    /// status, nothing in time, or no connection. The settings name the URL.
    ///
    /// # Panics
    ///
    /// Where the URL holds anything that a shell reads.
    pub fn answer_locally(
        &self,
        service: &str,
        url: &str,
        hook: impl Fn() -> Locally + Send + Sync + 'static,
    ) {
        let parsed = LocalUrl::parse(url).expect("a plain URL");
        let words = LookCommand::Fetch(&parsed).words();
        self.lock().local_urls.insert(service.to_owned(), url.to_owned());
        self.answer(&words.join(" "), move || {
            let (code, stdout, stderr) = match hook() {
                Locally::Answers(status) => (0, format!("HTTP/1.1 {status} \r\n\r\n"), ""),
                Locally::Silent => {
                    (28, String::new(), "curl: (28) Operation timed out after 5001 milliseconds\n")
                }
                Locally::Closed => (7, String::new(), "curl: (7) Failed to connect\n"),
            };
            Finished { code: Some(code), stdout, stderr: stderr.to_owned() }
        });
    }

    /// Whether the login may start and restart units: true until told otherwise.
    pub fn set_may_change(&self, may: bool) {
        self.lock().may_change = may;
    }

    /// Whether the login may read the journal: true until told otherwise.
    pub fn set_may_read_journal(&self, may: bool) {
        self.lock().may_read_journal = may;
    }

    /// Serves one SSH connection until it ends.
    pub fn serve(&self, stream: BoxStream) -> BoxFuture<'static, ()> {
        server::serve(self.clone(), stream)
    }

    /// The settings of kind `generic` that reach this host at `address`, each unit being a service
    /// of the same name without `.service`. More can be set on what is returned.
    pub fn settings(&self, address: &Address) -> Settings {
        let mut ssh = Settings::default()
            .with_text("address", address.to_string())
            .with_text("user", USER)
            .with_text("host_key", self.keys.host_key_line())
            .with_secret("key", &self.keys.client_key_file());
        ssh.set("sudo", SettingValue::Bool(false));
        let state = self.lock();
        let service = |name: &String| {
            let short = name.strip_suffix(".service").unwrap_or(name).to_owned();
            let mut service = Settings::default().with_text("unit", name.clone());
            if let Some(url) = state.local_urls.get(&short) {
                service = service.with_text("local_url", url.clone());
            }
            (short, service)
        };
        let services = state.units.keys().map(service).collect();
        let mut settings = Settings::default();
        settings.set("ssh", SettingValue::Table(ssh));
        settings.set("services", SettingValue::TableMap(services));
        settings
    }

    /// The host's private key, to let a real server stand in for this one.
    pub fn host_key_file(&self) -> String {
        self.keys.host_key_file()
    }

    /// The public key of the one who may log in, as in `authorized_keys`.
    pub fn client_key_line(&self) -> String {
        self.keys.client_key_line()
    }

    /// Every start and restart that was asked for, in order: `start traefik.service`.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.lock().recorded.clone()
    }

    /// Every command line that arrived, in order.
    pub fn command_lines(&self) -> Vec<String> {
        self.lock().command_lines.clone()
    }

    /// Carries out the restart that systemd owes the unit, where it is due.
    fn settle(&self, name: &str) {
        let due = match self.lock().units.get(name).map(|unit| unit.model.state) {
            Some(UnitState::AutoRestart { due, .. }) if due <= self.clock.now() => due,
            _ => return,
        };
        {
            let mut state = self.lock();
            if let Some(unit) = state.units.get_mut(name) {
                unit.model.restart_count += 1;
                let count = unit.model.restart_count;
                let text = format!("{name}: Scheduled restart job, restart counter is at {count}.");
                unit.model.systemd(due, text);
            }
        }
        self.start(name, due);
    }

    /// Starts a unit that is not running; returns how that went.
    fn start(&self, name: &str, at: TimeMs) -> Start {
        let hook = self.lock().units.get(name).and_then(|unit| unit.on_start.clone());
        let start = hook.map_or(Start::Succeeds, |hook| hook());
        let mut state = self.lock();
        state.enter(name, UnitState::Running, at);
        if let Start::Dies { lines, failure } | Start::Fails { lines, failure } = &start {
            if let Some(unit) = state.units.get_mut(name) {
                for line in lines {
                    unit.write(at, line.clone());
                }
            }
            state.enter(name, UnitState::Failed(*failure), at);
        }
        start
    }

    /// Stops a running unit, as the first half of a restart does.
    fn stop(&self, name: &str, at: TimeMs) {
        let hook = self.lock().units.get(name).and_then(|unit| unit.on_stop.clone());
        if let Some(hook) = hook {
            hook();
        }
        self.lock().enter(name, UnitState::Stopped, at);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_pid(&mut self) -> u32 {
        self.next_pid += 7;
        self.next_pid
    }

    /// Moves a unit into a state and writes systemd's lines about it.
    fn enter(&mut self, name: &str, to: UnitState, at: TimeMs) {
        let pid = self.take_pid();
        let Some(unit) = self.units.get_mut(name) else { return };
        let model = &mut unit.model;
        let was_running = model.state == UnitState::Running;
        let label = format!("{name} - {}", model.description);
        model.changed = at;
        model.state = to;
        match to {
            UnitState::Running => {
                if !was_running {
                    model.pid = Some(pid);
                    model.active_since = Some(at);
                    model.systemd(at, format!("Started {label}."));
                }
                return;
            }
            UnitState::Stopped | UnitState::Masked => {
                if was_running {
                    model.systemd(at, format!("Stopping {label}..."));
                    model.systemd(at, format!("{name}: Deactivated successfully."));
                    model.systemd(at, format!("Stopped {label}."));
                }
            }
            UnitState::Ended => model.systemd(at, format!("{name}: Deactivated successfully.")),
            UnitState::Failed(failure) | UnitState::AutoRestart { failure, .. } => {
                model.failed(name, &label, failure, at);
            }
            UnitState::NotFound => {}
        }
        model.pid = None;
        model.inactive_since = Some(at);
    }
}

impl Unit {
    /// The unit's own process writes a line.
    fn write(&mut self, at: TimeMs, text: String) {
        let model = &mut self.model;
        let pid = model.pid.or_else(|| model.journal.iter().rev().find_map(JournalLine::own_pid));
        let identifier = model.description.split_whitespace().next().unwrap_or("process");
        let identifier = identifier.to_lowercase();
        let line = JournalLine { at, identifier, pid: pid.unwrap_or(799), priority: 6, text };
        model.journal.push(line);
    }
}

impl JournalLine {
    fn own_pid(&self) -> Option<u32> {
        (self.pid != 1).then_some(self.pid)
    }
}

impl UnitModel {
    /// Systemd writes a line about the unit.
    fn systemd(&mut self, at: TimeMs, text: impl Into<String>) {
        let (identifier, text) = ("systemd".to_owned(), text.into());
        self.journal.push(JournalLine { at, identifier, pid: 1, priority: 6, text });
    }

    fn failed(&mut self, name: &str, label: &str, failure: Failure, at: TimeMs) {
        match failure {
            Failure::StartLimit => {
                self.systemd(at, format!("{name}: Start request repeated too quickly."));
            }
            Failure::OomKill => {
                self.systemd(
                    at,
                    format!("{name}: A process of this unit has been killed by the OOM killer."),
                );
            }
            Failure::Watchdog => {
                self.systemd(at, format!("{name}: Watchdog timeout (limit 10s)!"));
            }
            Failure::Timeout => {
                self.systemd(at, format!("{name}: start operation timed out. Terminating."));
            }
            Failure::ExitCode(_) | Failure::Signal(_) | Failure::CoreDump(_) => {}
        }
        if failure != Failure::StartLimit {
            let words = failure.journal_words();
            self.systemd(at, format!("{name}: Main process exited, {words}"));
        }
        self.systemd(at, format!("{name}: Failed with result '{}'.", failure.result()));
        if failure == Failure::StartLimit {
            self.systemd(at, format!("Failed to start {label}."));
        }
    }
}
