use std::sync::Arc;

use paramedic_model::TimeMs;

/// A unit of a simulated host: what systemd would say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitModel {
    /// What `Description=` says.
    pub description: String,
    /// What it is doing.
    pub state: UnitState,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// How often systemd restarted it by itself since it was last started by request.
    pub restart_count: u32,
    /// What `RestartSec=` says, in milliseconds.
    pub restart_ms: u64,
    /// Its main process, where it runs.
    pub pid: Option<u32>,
    /// When it last became active.
    pub active_since: Option<TimeMs>,
    /// When it last became inactive.
    pub inactive_since: Option<TimeMs>,
    /// When its state last changed.
    pub changed: TimeMs,
    /// Its journal, the oldest line first.
    pub journal: Vec<JournalLine>,
}

/// What a unit is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitState {
    /// `active (running)`.
    Running,
    /// `inactive (dead)` because a person or a script ran `systemctl stop`.
    Stopped,
    /// `inactive (dead)` because its process ended by itself with exit code 0.
    Ended,
    /// `failed`.
    Failed(Failure),
    /// `activating (auto-restart)`: it failed, and systemd starts it again at `due`.
    AutoRestart {
        /// How it failed.
        failure: Failure,
        /// When systemd starts it again.
        due: TimeMs,
    },
    /// Masked by an administrator, hence stopped.
    Masked,
    /// There is no such unit.
    NotFound,
}

/// How a unit failed: the property `Result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// `exit-code`: its process ended with this code.
    ExitCode(i32),
    /// `signal`: this signal killed its process.
    Signal(i32),
    /// `core-dump`: this signal killed it, and it left a core.
    CoreDump(i32),
    /// `oom-kill`: the kernel ended it for want of memory.
    OomKill,
    /// `watchdog`: it did not answer systemd in time.
    Watchdog,
    /// `timeout`: it did not come up in time.
    Timeout,
    /// `start-limit-hit`: it failed so often that systemd gave up.
    StartLimit,
}

/// How the start of a unit goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It comes up and stays up.
    Succeeds,
    /// `systemctl` reports success, and the process writes these lines and ends soon after.
    Dies {
        /// What it writes before it ends.
        lines: Vec<String>,
        /// How it ends.
        failure: Failure,
    },
    /// `systemctl` itself reports the failure, as for a unit that says when it is ready.
    Fails {
        /// What it writes before it ends.
        lines: Vec<String>,
        /// How it ends.
        failure: Failure,
    },
}

/// One line of a unit's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    /// When it was written.
    pub at: TimeMs,
    /// Who wrote it: `traefik`, or `systemd` for the service manager itself.
    pub identifier: String,
    /// The process that wrote it.
    pub pid: u32,
    /// The syslog level: 3 is an error, 6 a notice of everyday life.
    pub priority: u8,
    /// What it says.
    pub text: String,
}

/// What a simulated host calls when a unit starts; it decides how that goes.
pub(super) type StartHook = Arc<dyn Fn() -> Start + Send + Sync>;
/// What a simulated host calls when a running unit stops.
pub(super) type StopHook = Arc<dyn Fn() + Send + Sync>;

impl UnitModel {
    /// A unit that is running and enabled, with this description.
    pub fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            state: UnitState::Running,
            enabled: true,
            restart_count: 0,
            restart_ms: 100,
            pid: None,
            active_since: None,
            inactive_since: None,
            changed: TimeMs(0),
            journal: Vec::new(),
        }
    }

    /// The same with another `RestartSec=`.
    #[must_use]
    pub fn with_restart_ms(mut self, restart_ms: u64) -> Self {
        self.restart_ms = restart_ms;
        self
    }
}

impl UnitState {
    /// `ActiveState` and `SubState`.
    pub(super) fn active_and_sub(self) -> (&'static str, &'static str) {
        match self {
            Self::Running => ("active", "running"),
            Self::Stopped | Self::Ended | Self::Masked | Self::NotFound => ("inactive", "dead"),
            Self::Failed(_) => ("failed", "failed"),
            Self::AutoRestart { .. } => ("activating", "auto-restart"),
        }
    }

    /// How it failed, where it did.
    pub(super) fn failure(self) -> Option<Failure> {
        match self {
            Self::Failed(failure) | Self::AutoRestart { failure, .. } => Some(failure),
            Self::Running | Self::Stopped | Self::Ended | Self::Masked | Self::NotFound => None,
        }
    }
}

impl Failure {
    /// `Result`.
    pub(super) fn result(self) -> &'static str {
        match self {
            Self::ExitCode(_) => "exit-code",
            Self::Signal(_) => "signal",
            Self::CoreDump(_) => "core-dump",
            Self::OomKill => "oom-kill",
            Self::Watchdog => "watchdog",
            Self::Timeout => "timeout",
            Self::StartLimit => "start-limit-hit",
        }
    }

    /// `ExecMainCode` (1 exited, 2 killed, 3 dumped) and `ExecMainStatus` (exit code or signal).
    pub(super) fn code_and_status(self) -> (i32, i32) {
        match self {
            Self::ExitCode(code) => (1, code),
            Self::Signal(signal) => (2, signal),
            Self::CoreDump(signal) => (3, signal),
            Self::OomKill => (2, 9),
            Self::Watchdog => (3, 6),
            Self::Timeout => (2, 15),
            Self::StartLimit => (1, 1),
        }
    }

    /// How systemd's journal words the end of the main process.
    pub(super) fn journal_words(self) -> String {
        let signal = |number: i32| match number {
            6 => "ABRT".to_owned(),
            9 => "KILL".to_owned(),
            11 => "SEGV".to_owned(),
            15 => "TERM".to_owned(),
            other => format!("RTMIN+{}", other - 34),
        };
        match self.code_and_status() {
            (1, code) => {
                let word = match code {
                    1 => "FAILURE",
                    2 => "INVALIDARGUMENT",
                    203 => "EXEC",
                    217 => "USER",
                    _ => "n/a",
                };
                format!("code=exited, status={code}/{word}")
            }
            (2, number) => format!("code=killed, status={number}/{}", signal(number)),
            (_, number) => format!("code=dumped, status={number}/{}", signal(number)),
        }
    }
}
