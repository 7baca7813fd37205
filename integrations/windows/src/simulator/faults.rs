//! One switch per root cause. Each sets the host up as that cause would have left it.

use std::time::Duration;

use paramedic_integration::{Ending, Fault};
use paramedic_model::TimeMs;

use super::world::{Nature, State, World};

const STATUS: &str = "WindowsServerServiceStatus";
const NOT_RUNNING: &str = "WindowsServiceNotRunning";
const MISSING: &str = "WindowsServiceMissing";
const UNREACHABLE: &str = "WindowsHostUnreachable";

const fn fault(
    id: &'static str,
    alert: &'static str,
    title: &'static str,
    cause: &'static str,
    ending: Ending,
) -> Fault {
    Fault { id, alert, title, cause, ending }
}

/// Every fault.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "hung-stopping",
        STATUS,
        "Shop Worker hangs while stopping",
        "hung-stopping",
        Ending::HandedOver,
    ),
    fault(
        "hung-starting",
        STATUS,
        "Shop Worker hangs while starting, with all that it needs running",
        "hung-starting",
        Ending::HandedOver,
    ),
    fault(
        "slow-start",
        STATUS,
        "Shop Worker starts slowly: it replays its journal for six minutes",
        "still-on-its-way",
        Ending::LeftAlone,
    ),
    fault(
        "start-waits-for-dependency",
        STATUS,
        "Shop Worker waits in its start for Shop Queue, which crashed",
        "waits-for-dependency",
        Ending::Repaired(&["start-dependency"]),
    ),
    fault(
        "crashed",
        NOT_RUNNING,
        "Shop Worker crashed once",
        "crashed",
        Ending::Repaired(&["start"]),
    ),
    fault(
        "crash-loop",
        NOT_RUNNING,
        "Shop Worker crashes again and again",
        "crash-loop",
        Ending::HandedOver,
    ),
    fault(
        "logon-failure",
        NOT_RUNNING,
        "The password of Shop Worker's account was changed",
        "logon-failure",
        Ending::HandedOver,
    ),
    fault(
        "dependency-stopped",
        NOT_RUNNING,
        "Shop Queue did not start in time, so Shop Worker did not start at all",
        "dependency-stopped",
        Ending::Repaired(&["start-dependency", "start"]),
    ),
    fault(
        "start-timeout",
        NOT_RUNNING,
        "Shop Worker did not answer its start in time while the host was busy",
        "start-timeout",
        Ending::Repaired(&["start"]),
    ),
    fault(
        "paused",
        NOT_RUNNING,
        "A backup paused Shop Worker and never resumed it",
        "paused",
        Ending::Repaired(&["restart"]),
    ),
    fault(
        "port-conflict",
        NOT_RUNNING,
        "Another program holds the port of Shop Web",
        "port-conflict",
        Ending::HandedOver,
    ),
    fault(
        "disk-full",
        NOT_RUNNING,
        "Drive D: is full, and Shop Worker stopped over it",
        "disk-full",
        Ending::HandedOver,
    ),
    fault(
        "stopped-by-person",
        NOT_RUNNING,
        "An administrator stopped Shop Worker",
        "stopped-by-person",
        Ending::LeftAlone,
    ),
    fault(
        "disabled-by-person",
        NOT_RUNNING,
        "An administrator stopped and disabled Shop Worker",
        "disabled",
        Ending::LeftAlone,
    ),
    fault(
        "trigger-start",
        NOT_RUNNING,
        "Shop Import, started by triggers, has nothing to do and rests",
        "triggered",
        Ending::LeftAlone,
    ),
    fault(
        "delayed-start",
        NOT_RUNNING,
        "The host rebooted, and Shop Reports starts late by its configuration",
        "delayed",
        Ending::LeftAlone,
    ),
    fault(
        "update-in-progress",
        NOT_RUNNING,
        "An installer stopped Shop Worker to replace it",
        "update-in-progress",
        Ending::LeftAlone,
    ),
    fault(
        "recovery-pending",
        NOT_RUNNING,
        "Shop Worker crashed, and its own recovery starts it in five minutes",
        "recovery-pending",
        Ending::LeftAlone,
    ),
    fault(
        "uninstalled",
        MISSING,
        "Shop Reports was removed and is still watched",
        "not-installed",
        Ending::HandedOver,
    ),
    fault(
        "host-unreachable",
        UNREACHABLE,
        "WinRM does not take connections",
        "no-answer",
        Ending::HandedOver,
    ),
    fault(
        "password-expired",
        UNREACHABLE,
        "The password of Paramedic's own account has expired",
        "login-refused",
        Ending::HandedOver,
    ),
    fault(
        "rights-lost",
        UNREACHABLE,
        "Paramedic's account lost its right to enumerate services",
        "no-rights",
        Ending::HandedOver,
    ),
];

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl World {
    /// Breaks the host, which must be whole; an id that there is not breaks nothing.
    pub(super) fn inject(&mut self, fault: &str) {
        self.broken = true;
        match fault {
            "hung-stopping" => {
                self.scm(seconds(70), 7011, &["30000", "ShopWorker"]);
                self.scm(seconds(40), 7011, &["30000", "ShopWorker"]);
                self.hang(State::StopPending);
            }
            "hung-starting" => {
                self.scm(seconds(5), 7022, &["Shop Worker"]);
                self.hang(State::StartPending);
            }
            "slow-start" => {
                let now = self.now;
                self.hang(State::StartPending);
                let worker = self.named("ShopWorker");
                worker.moving_since = Some(now);
                worker.due = Some(now + minutes(6));
            }
            "start-waits-for-dependency" => {
                self.scm(seconds(20), 7034, &["Shop Queue", "1"]);
                self.stop_with("ShopQueue", 1067);
                self.hang(State::StartPending);
                self.named("ShopWorker").waits_for = Some("ShopQueue");
                self.allowed = vec!["start ShopQueue"];
            }
            "crashed" => {
                self.scm(seconds(2), 7034, &["Shop Worker", "1"]);
                self.crash_dump("0xc0000005");
                self.stop_with("ShopWorker", 1067);
                self.allowed = vec!["start ShopWorker"];
            }
            "crash-loop" => {
                for (count, ago) in ["1", "2", "3"].iter().zip([190, 125, 60]) {
                    let delay = if *count == "3" { "0" } else { "60000" };
                    let action = if *count == "3" { "0" } else { "1" };
                    let strings = ["Shop Worker", count, delay, action, "Restart the service"];
                    self.scm(seconds(ago), 7031, &strings);
                }
                self.crash_dump("0xc0000409");
                self.stop_with("ShopWorker", 1067);
                let worker = self.named("ShopWorker");
                (worker.nature, worker.crashes) = (Nature::Crashes, 3);
            }
            "recovery-pending" => {
                let strings = ["Shop Worker", "1", "300000", "1", "Restart the service"];
                self.scm(Duration::ZERO, 7031, &strings);
                self.stop_with("ShopWorker", 1067);
                let due = self.now + minutes(5);
                self.named("ShopWorker").due = Some(due);
            }
            "logon-failure" => {
                self.scm(seconds(3), 7038, &["ShopWorker", r".\svc-shop", "%%1326"]);
                self.scm(seconds(3), 7000, &["Shop Worker", "%%1069"]);
                self.stop_with("ShopWorker", 1069);
                self.named("ShopWorker").nature = Nature::LogonFails { code: 1326 };
            }
            "dependency-stopped" => {
                self.scm(seconds(35), 7009, &["30000", "ShopQueue"]);
                self.scm(seconds(35), 7000, &["Shop Queue", "%%1053"]);
                self.scm(seconds(35), 7001, &["Shop Worker", "Shop Queue", "%%1053"]);
                self.stop_with("ShopQueue", 1053);
                self.stop_with("ShopWorker", 1068);
                self.stop_with("ShopNotify", 0);
                self.allowed = vec!["start ShopQueue", "start ShopWorker"];
            }
            "start-timeout" => {
                self.scm(seconds(30), 7009, &["30000", "ShopWorker"]);
                self.scm(seconds(30), 7000, &["Shop Worker", "%%1053"]);
                self.stop_with("ShopWorker", 1053);
                self.allowed = vec!["start ShopWorker"];
            }
            "paused" => {
                self.scm(seconds(1), 7036, &["Shop Worker", "paused"]);
                self.named("ShopWorker").state = State::Paused;
                self.allowed = vec![
                    "stop ShopNotify",
                    "stop ShopWorker",
                    "start ShopWorker",
                    "start ShopNotify",
                ];
            }
            "port-conflict" => {
                self.scm(seconds(1), 7024, &["Shop Web", "%%10048"]);
                self.stop_with("ShopWeb", 1066);
                let web = self.named("ShopWeb");
                web.specific_code = 10_048;
                web.nature = Nature::Fails { code: 10_048, own: true };
                self.strangers.push((8080, 7312, "node.exe"));
            }
            "disk-full" => {
                self.disks[1].free = 0;
                self.scm(seconds(1), 7023, &["Shop Worker", "%%112"]);
                let strings = [
                    "Shop Worker",
                    "write D:\\Shop\\journal: There is not enough space on the disk.",
                ];
                self.log(seconds(2), ("Application", "Shop Worker", 300, 1), &strings, "");
                self.stop_with("ShopWorker", 112);
                self.named("ShopWorker").nature = Nature::Fails { code: 112, own: false };
            }
            "stopped-by-person" => {
                let strings = ["Shop Worker", "stop", "Other (Planned)", "0x40000000", "None"];
                self.scm_by(seconds(1), 7042, &strings);
                self.scm(seconds(1), 7036, &["Shop Worker", "stopped"]);
                self.stop_with("ShopWorker", 0);
            }
            "disabled-by-person" => {
                self.scm(seconds(9), 7036, &["Shop Worker", "stopped"]);
                let strings = ["Shop Worker", "auto start", "disabled", "ShopWorker"];
                self.scm_by(seconds(1), 7040, &strings);
                self.stop_with("ShopWorker", 0);
                self.named("ShopWorker").start_mode = "Disabled";
            }
            "trigger-start" => {
                self.scm(seconds(1), 7036, &["Shop Import", "stopped"]);
                self.stop_with("ShopImport", 0);
            }
            "delayed-start" => {
                self.booted = self.now;
                let (now, started) = (self.now, self.now + seconds(4));
                self.services.iter_mut().for_each(|service| service.started = started);
                self.stop_with("ShopReports", 1077);
                self.named("ShopReports").due = Some(now + minutes(14));
            }
            "update-in-progress" => {
                let (pid, now) = (9012, self.now);
                let installer = self.named("msiserver");
                (installer.state, installer.pid, installer.started) = (State::Running, pid, now);
                self.scm(seconds(3), 7036, &["Windows Installer", "running"]);
                self.scm(seconds(1), 7036, &["Shop Worker", "stopped"]);
                self.stop_with("ShopWorker", 0);
            }
            "uninstalled" => self.services.retain(|service| service.name != "ShopReports"),
            "host-unreachable" => self.unreachable = true,
            "password-expired" => self.password_changed = true,
            "rights-lost" => self.blind = true,
            _ => self.broken = false,
        }
    }

    /// Undoes every fault, as if its cause had gone by itself. What was recorded stays.
    pub(super) fn heal(&mut self, now: TimeMs, seed: u64) {
        let mut healthy = Self::new(self.booted + minutes(3 * 24 * 60), seed);
        healthy.now = now;
        healthy.recorded = std::mem::take(&mut self.recorded);
        healthy.events = std::mem::take(&mut self.events);
        healthy.continue_log_of(self);
        for service in &mut healthy.services {
            let before = self.services.iter().find(|other| other.name == service.name);
            if before.is_none_or(|before| before.state != State::Running) {
                service.started = now;
            }
        }
        *self = healthy;
    }

    fn hang(&mut self, state: State) {
        let worker = self.named("ShopWorker");
        (worker.state, worker.wait_hint_ms, worker.moving_since) = (state, 20_000, None);
    }

    fn stop_with(&mut self, name: &str, exit_code: u64) {
        let service = self.named(name);
        (service.state, service.pid, service.exit_code) = (State::Stopped, 0, exit_code);
    }

    fn crash_dump(&mut self, exception: &str) {
        let strings = [
            "worker.exe",
            "4.2.0.0",
            "66aa0101",
            "ShopPlugin.dll",
            "1.9.3.0",
            "66aa0202",
            exception,
            "000000000001f2a0",
            "1c40",
            "01dc5ab6f1",
            r"C:\Program Files\Shop\worker.exe",
            r"C:\Program Files\Shop\ShopPlugin.dll",
            "b7c1",
            "",
            "",
        ];
        self.log(seconds(2), ("Application", "Application Error", 1000, 1), &strings, "");
    }
}
