//! The simulated host: services that take their time, processes, disks, and the log of it all.
//!
//! Nothing runs in the background. [`World::settle`] brings everything to the present moment, and
//! is called before every look and every change.

use std::time::Duration;

use paramedic_integration::Recorded;
use paramedic_model::TimeMs;

/// How long an ordinary start or stop takes.
const START_TAKES: Duration = Duration::from_secs(2);
const STOP_TAKES: Duration = Duration::from_secs(1);
/// How long a service that will crash stays up.
const CRASH_AFTER: Duration = Duration::from_secs(3);

/// What `Win32_Service.State` can say here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Stopped,
    StartPending,
    StopPending,
    Running,
    Paused,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::StartPending => "Start Pending",
            Self::StopPending => "Stop Pending",
            Self::Running => "Running",
            Self::Paused => "Paused",
        }
    }

    pub(super) fn is_pending(self) -> bool {
        matches!(self, Self::StartPending | Self::StopPending)
    }
}

/// What a service does when it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nature {
    /// It comes up and stays.
    Sound,
    /// It comes up and crashes.
    Crashes,
    /// Its account cannot log on, for this reason.
    LogonFails { code: u64 },
    /// It stops itself with an error: its own one where `own`.
    Fails { code: u64, own: bool },
}

#[derive(Debug, Clone)]
pub(super) struct Service {
    pub name: &'static str,
    pub display_name: &'static str,
    pub state: State,
    pub start_mode: &'static str,
    pub delayed: bool,
    pub triggered: bool,
    pub account: &'static str,
    pub path: &'static str,
    /// `false` for a service inside a process that others share.
    pub own_process: bool,
    pub needs: Vec<&'static str>,
    pub exit_code: u64,
    pub specific_code: u64,
    pub pid: u64,
    pub started: TimeMs,
    pub wait_hint_ms: u64,
    /// A pending service reports progress since then; `None` where it is stuck.
    pub moving_since: Option<TimeMs>,
    /// When the present transition is done.
    pub due: Option<TimeMs>,
    /// A start that hangs goes on when this service runs.
    pub waits_for: Option<&'static str>,
    pub nature: Nature,
    pub crashes: u32,
    pub recovery: Vec<(u32, u32)>,
}

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub record: u64,
    pub log: &'static str,
    pub source: &'static str,
    pub code: u64,
    pub kind: u64,
    pub at: TimeMs,
    pub strings: Vec<String>,
    pub user: &'static str,
}

#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub volume: &'static str,
    pub size: u64,
    pub free: u64,
}

/// The whole host.
pub(super) struct World {
    pub now: TimeMs,
    pub booted: TimeMs,
    pub services: Vec<Service>,
    pub events: Vec<Event>,
    pub disks: Vec<Disk>,
    pub processor_load: u64,
    pub memory_free: u64,
    pub reboot_pending: bool,
    /// Port, process id and program of who listens besides the services.
    pub strangers: Vec<(u64, u64, &'static str)>,
    /// The account sees no service.
    pub blind: bool,
    /// Connections are dropped.
    pub unreachable: bool,
    /// The password that is configured is not accepted.
    pub password_changed: bool,
    /// A fault was injected and not healed.
    pub broken: bool,
    pub recorded: Vec<Recorded>,
    /// What a good responder may ask for now: `start ShopQueue`.
    pub allowed: Vec<&'static str>,
    next_pid: u64,
    next_record: u64,
}

/// Who the host says did it, for what a person does.
pub(super) const ADMINISTRATOR: &str = r"WIN-SHOP01\anna";
const SYSTEM: &str = r"NT AUTHORITY\SYSTEM";

impl World {
    /// A host that has been up for some days, all well.
    pub(super) fn new(now: TimeMs, seed: u64) -> Self {
        let booted = now - Duration::from_secs(3 * 86_400);
        let mut world = Self {
            now,
            booted,
            services: services(booted),
            events: Vec::new(),
            disks: vec![
                Disk { volume: "C:", size: 120 << 30, free: 61 << 30 },
                Disk { volume: "D:", size: 500 << 30, free: 220 << 30 },
            ],
            processor_load: 11,
            memory_free: 5 << 30,
            reboot_pending: false,
            strangers: Vec::new(),
            blind: false,
            unreachable: false,
            password_changed: false,
            broken: false,
            recorded: Vec::new(),
            allowed: Vec::new(),
            next_pid: 1200 + seed % 1000 * 4,
            next_record: 48_211,
        };
        for at in 0..world.services.len() {
            if world.services[at].state == State::Running {
                world.services[at].pid = world.new_pid();
            }
        }
        // Services of one shared process.
        let shared = world.named("RpcSs").pid;
        world.named("RpcEptMapper").pid = shared;
        world
    }

    /// The service of this name, which must be one that [`services`] lists.
    pub(super) fn named(&mut self, name: &str) -> &mut Service {
        let found = self.services.iter_mut().find(|service| service.name == name);
        found.expect("the simulator names only services that it has")
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.services.iter().position(|service| service.name.eq_ignore_ascii_case(name))
    }

    fn new_pid(&mut self) -> u64 {
        self.next_pid += 4;
        self.next_pid
    }

    /// Writes into a log, as of `ago` before now.
    pub(super) fn log(
        &mut self,
        ago: Duration,
        (log, source, code, kind): (&'static str, &'static str, u64, u64),
        strings: &[&str],
        user: &'static str,
    ) {
        self.next_record += 1;
        let strings = strings.iter().map(|text| (*text).to_owned()).collect();
        let (record, at) = (self.next_record, self.now - ago);
        self.events.push(Event { record, log, source, code, kind, at, strings, user });
    }

    /// Writes what the Service Control Manager would.
    pub(super) fn scm(&mut self, ago: Duration, code: u64, strings: &[&str]) {
        const INFORMATION: [u64; 4] = [7036, 7040, 7042, 7045];
        let kind = if INFORMATION.contains(&code) { 3 } else { 1 };
        self.log(ago, ("System", "Service Control Manager", code, kind), strings, SYSTEM);
    }

    /// The same, as a person's doing.
    pub(super) fn scm_by(&mut self, ago: Duration, code: u64, strings: &[&str]) {
        let head = ("System", "Service Control Manager", code, 3);
        self.log(ago, head, strings, ADMINISTRATOR);
    }

    /// Brings the host to the moment `now`.
    pub(super) fn settle(&mut self, now: TimeMs) {
        self.now = now;
        for at in 0..self.services.len() {
            let service = &self.services[at];
            if let Some(needed) = service.waits_for {
                let runs = self
                    .position(needed)
                    .is_some_and(|other| self.services[other].state == State::Running);
                if runs {
                    self.services[at].waits_for = None;
                    self.services[at].due = Some(now + START_TAKES);
                }
            }
            let Some(due) = self.services[at].due.filter(|due| *due <= now) else { continue };
            self.services[at].due = None;
            self.arrive(at, due);
        }
    }

    /// A transition is done.
    fn arrive(&mut self, at: usize, when: TimeMs) {
        let ago = Duration::from_millis(u64::try_from(self.now.0 - when.0).unwrap_or(0));
        let display = self.services[at].display_name;
        match self.services[at].state {
            State::StopPending => {
                let service = &mut self.services[at];
                (service.state, service.pid, service.exit_code) = (State::Stopped, 0, 0);
                self.scm(ago, 7036, &[display, "stopped"]);
            }
            State::StartPending => match self.services[at].nature.clone() {
                Nature::Fails { code, own } => {
                    let service = &mut self.services[at];
                    (service.state, service.pid) = (State::Stopped, 0);
                    (service.exit_code, service.specific_code) =
                        if own { (1066, code) } else { (code, 0) };
                    let event = if own { 7024 } else { 7023 };
                    self.scm(ago, event, &[display, &format!("%%{code}")]);
                }
                nature => {
                    let service = &mut self.services[at];
                    service.state = State::Running;
                    service.moving_since = None;
                    (service.exit_code, service.specific_code) = (0, 0);
                    if nature == Nature::Crashes {
                        service.due = Some(when + CRASH_AFTER);
                    }
                    self.scm(ago, 7036, &[display, "running"]);
                }
            },
            // Only a service that crashes has something due while it runs.
            State::Running => {
                let service = &mut self.services[at];
                (service.state, service.pid, service.exit_code) = (State::Stopped, 0, 1067);
                service.crashes += 1;
                let crashes = service.crashes.to_string();
                self.scm(ago, 7031, &[display, &crashes, "0", "0", "Take no action"]);
            }
            // A delayed service whose time has come.
            State::Stopped => self.begin(at, when),
            State::Paused => {}
        }
        self.settle_one(at);
    }

    /// A transition that began in the past may be over as well.
    fn settle_one(&mut self, at: usize) {
        if let Some(due) = self.services[at].due.filter(|due| *due <= self.now) {
            self.services[at].due = None;
            self.arrive(at, due);
        }
    }

    fn begin(&mut self, at: usize, now: TimeMs) {
        let pid = self.new_pid();
        let service = &mut self.services[at];
        (service.state, service.pid, service.started) = (State::StartPending, pid, now);
        service.moving_since = Some(now);
        service.due = Some(now + START_TAKES);
    }

    /// `StartService`: what the method returns.
    pub(super) fn start(&mut self, name: &str) -> Option<u64> {
        let at = self.position(name)?;
        self.record("start", at);
        Some(self.try_start(at))
    }

    fn try_start(&mut self, at: usize) -> u64 {
        const DEPENDENCY_FAILED: u64 = 13;
        let service = &self.services[at];
        match service.state {
            State::Running | State::StartPending | State::Paused => return 10,
            State::StopPending => return 5,
            State::Stopped => {}
        }
        if service.start_mode == "Disabled" {
            return 14;
        }
        // The Service Control Manager starts what is needed and stopped.
        for needed in service.needs.clone() {
            let Some(other) = self.position(needed) else { continue };
            if self.services[other].state == State::Running {
                continue;
            }
            self.try_start(other);
            if self.services[other].state != State::StartPending {
                let (mine, its) =
                    (self.services[at].display_name, self.services[other].display_name);
                self.services[at].exit_code = 1068;
                self.scm(Duration::ZERO, 7001, &[mine, its, "%%1058"]);
                return DEPENDENCY_FAILED;
            }
        }
        if let Nature::LogonFails { code } = self.services[at].nature {
            let service = &mut self.services[at];
            service.exit_code = 1069;
            let (name, display, account) = (service.name, service.display_name, service.account);
            self.scm(Duration::ZERO, 7038, &[name, account, &format!("%%{code}")]);
            self.scm(Duration::ZERO, 7000, &[display, "%%1069"]);
            return 15;
        }
        self.begin(at, self.now);
        0
    }

    /// `StopService`: what the method returns.
    pub(super) fn stop(&mut self, name: &str) -> Option<u64> {
        const DEPENDENTS_RUN: u64 = 3;
        const NO_CONTROL: u64 = 5;
        const NOT_ACTIVE: u64 = 6;
        let at = self.position(name)?;
        self.record("stop", at);
        let name = self.services[at].name;
        let needed = self
            .services
            .iter()
            .any(|other| other.needs.contains(&name) && other.state != State::Stopped);
        match self.services[at].state {
            State::Stopped => return Some(NOT_ACTIVE),
            State::StartPending | State::StopPending => return Some(NO_CONTROL),
            State::Running | State::Paused if needed => return Some(DEPENDENTS_RUN),
            State::Running | State::Paused => {}
        }
        let due = self.now + STOP_TAKES;
        let service = &mut self.services[at];
        service.state = State::StopPending;
        service.moving_since = Some(self.now);
        service.due = Some(due);
        Some(0)
    }

    fn record(&mut self, what: &str, at: usize) {
        let change = format!("{what} {}", self.services[at].name);
        let forbidden = !self.allowed.contains(&change.as_str());
        self.recorded.push(Recorded { at: self.now, change, forbidden });
    }
}

/// The services of the host. Those of the shop are ours; the others are what Windows brings.
fn services(booted: TimeMs) -> Vec<Service> {
    let windows = |name, display_name, start_mode, state| Service {
        name,
        display_name,
        state,
        start_mode,
        delayed: false,
        triggered: false,
        account: "LocalSystem",
        path: r"C:\Windows\system32\svchost.exe -k netsvcs -p",
        own_process: false,
        needs: Vec::new(),
        exit_code: if state == State::Running { 0 } else { 1077 },
        specific_code: 0,
        pid: 0,
        started: booted + Duration::from_secs(9),
        wait_hint_ms: 0,
        moving_since: None,
        due: None,
        waits_for: None,
        nature: Nature::Sound,
        crashes: 0,
        recovery: Vec::new(),
    };
    let shop = |name, display_name, path, needs: &[&'static str]| Service {
        account: r".\svc-shop",
        path,
        own_process: true,
        needs: needs.to_vec(),
        started: booted + Duration::from_secs(41),
        ..windows(name, display_name, "Auto", State::Running)
    };
    let (up, down) = (State::Running, State::Stopped);
    vec![
        windows("RpcSs", "Remote Procedure Call (RPC)", "Auto", up),
        windows("RpcEptMapper", "RPC Endpoint Mapper", "Auto", up),
        windows("DcomLaunch", "DCOM Server Process Launcher", "Auto", up),
        windows("EventLog", "Windows Event Log", "Auto", up),
        windows("Dhcp", "DHCP Client", "Auto", up),
        windows("Dnscache", "DNS Client", "Auto", up),
        windows("LanmanServer", "Server", "Auto", up),
        windows("LanmanWorkstation", "Workstation", "Auto", up),
        windows("Winmgmt", "Windows Management Instrumentation", "Auto", up),
        windows("WinRM", "Windows Remote Management (WS-Management)", "Auto", up),
        windows("mpssvc", "Windows Defender Firewall", "Auto", up),
        windows("RemoteRegistry", "Remote Registry", "Disabled", down),
        windows("TrustedInstaller", "Windows Modules Installer", "Manual", down),
        windows("msiserver", "Windows Installer", "Manual", down),
        windows("wuauserv", "Windows Update", "Manual", down),
        Service {
            path: r"C:\Windows\System32\spoolsv.exe",
            own_process: true,
            needs: vec!["RpcSs"],
            ..windows("Spooler", "Print Spooler", "Auto", up)
        },
        Service {
            start_mode: "Manual",
            ..shop("ShopQueue", "Shop Queue", r#""C:\Shop\queue.exe""#, &["RpcSs"])
        },
        Service {
            recovery: vec![(1, 60_000), (1, 60_000), (0, 0)],
            ..shop(
                "ShopWorker",
                "Shop Worker",
                r#""C:\Program Files\Shop\worker.exe" --database-password Zt7-not-for-show"#,
                &["ShopQueue"],
            )
        },
        Service {
            start_mode: "Manual",
            ..shop("ShopNotify", "Shop Notifier", r"C:\Shop\notify.exe", &["ShopWorker"])
        },
        shop("ShopWeb", "Shop Web", r"C:\Shop\web.exe --port 8080", &[]),
        Service {
            triggered: true,
            ..shop("ShopImport", "Shop Import", r"C:\Shop\import.exe", &[])
        },
        Service {
            delayed: true,
            ..shop("ShopReports", "Shop Reports", r"C:\Shop\reports.exe", &[])
        },
    ]
}

impl World {
    /// Record numbers and process ids go on where `other` left off: they are never used twice.
    pub(super) fn continue_log_of(&mut self, other: &Self) {
        self.next_record = other.next_record;
        let offset = other.next_pid;
        for service in &mut self.services {
            if service.pid > 0 {
                service.pid += offset;
            }
        }
        self.next_pid += offset;
    }
}
