//! What a simulated firewall is at a moment.

use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_integration::{Fault, Recorded};
use paramedic_model::TimeMs;

use super::Release;
use super::tunnels::{FarPeer, Instance};

/// How long a healthy firewall has been up: 12 days, 3 hours.
const UP: Duration = Duration::from_secs(12 * 86_400 + 3 * 3600);

/// One service in the list.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) instance: Option<&'static str>,
    pub(super) description: &'static str,
    pub(super) locked: bool,
    /// Always called running.
    pub(super) nocheck: bool,
    /// Its process lives.
    pub(super) alive: bool,
    /// Its pid file names the process. Without one a live process counts as stopped.
    pub(super) pid_file: bool,
    pub(super) pid: u64,
    pub(super) command: &'static str,
    pub(super) ports: &'static [(&'static str, u16)],
}

impl Service {
    pub(super) fn running(&self) -> bool {
        self.nocheck || (self.alive && self.pid_file)
    }
}

/// One line of a log.
pub(super) struct Line {
    pub(super) at: TimeMs,
    pub(super) scope: &'static str,
    pub(super) severity: &'static str,
    pub(super) process: &'static str,
    pub(super) text: String,
}

/// What keeps a service from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another process has its port.
    PortHeld,
    /// Nothing can be written.
    DiskFull,
    /// Its configuration cannot be generated.
    Template,
    /// The generated file is damaged; generating it anew repairs it.
    BrokenFile,
    /// Its settings themselves are wrong; generating them anew brings the same.
    BadSetting,
    /// It starts and soon dies.
    Crashes,
    /// Started while the firewall has no memory, it is killed.
    NoMemory,
    /// It starts well: whatever stopped it is over.
    Nothing,
}

/// A kept revision of the configuration.
pub(super) struct Revision {
    pub(super) at: TimeMs,
    pub(super) user: &'static str,
    pub(super) description: String,
    /// The changed lines of the diff to the revision before, as `config.xml` has them.
    pub(super) diff: Vec<String>,
}

/// A packet that the firewall log shows.
pub(super) struct Packet {
    pub(super) source: &'static str,
    pub(super) port: u16,
    pub(super) label: &'static str,
}

/// A ping job.
pub(super) struct Ping {
    pub(super) target: String,
    pub(super) started: Option<TimeMs>,
    pub(super) stopped: Option<TimeMs>,
}

/// One simulated firewall.
pub(super) struct State {
    pub(super) release: Release,
    seed: u64,
    pub(super) now: TimeMs,
    pub(super) booted: TimeMs,
    pub(super) services: Vec<Service>,
    /// What happens when a start of this service is tried.
    pub(super) trouble: Option<(&'static str, Trouble)>,
    /// When a service dies that was started while it crashes.
    pub(super) dies_at: Option<(&'static str, TimeMs)>,
    pub(super) logs: Vec<Line>,
    pub(super) instances: Vec<Instance>,
    pub(super) peers: Vec<FarPeer>,
    /// What the firewall's resolver says.
    pub(super) names: BTreeMap<&'static str, &'static str>,
    /// Addresses that do not answer a ping.
    pub(super) dark: Vec<&'static str>,
    pub(super) master: bool,
    pub(super) wan_up: bool,
    pub(super) disk_pct: i64,
    pub(super) memory_pct: i64,
    pub(super) swap_pct: i64,
    pub(super) booting_until: Option<TimeMs>,
    pub(super) update: Option<(TimeMs, TimeMs)>,
    pub(super) packets: Vec<Packet>,
    pub(super) revisions: Vec<Revision>,
    pub(super) pings: BTreeMap<String, Ping>,
    pub(super) ids: u64,
    /// configd answers nobody.
    pub(super) back_end_dead: bool,
    pub(super) key_revoked: bool,
    pub(super) fault: Option<&'static Fault>,
    pub(super) recorded: Vec<Recorded>,
}

pub(super) const WGSITE: &str = "44444444-4444-4444-8444-444444444444";
pub(super) const WGROAD: &str = "55555555-5555-4555-8555-555555555555";

impl State {
    /// A firewall on which all is well.
    pub(super) fn healthy(release: Release, seed: u64, now: TimeMs) -> Self {
        let booted = now - UP;
        let mut state = Self {
            release,
            seed,
            now,
            booted,
            services: services(seed),
            trouble: None,
            dies_at: None,
            logs: Vec::new(),
            instances: Instance::all(booted),
            peers: FarPeer::all(),
            names: BTreeMap::from([("branch-b.example.net", "203.0.113.77")]),
            dark: Vec::new(),
            master: true,
            wan_up: true,
            disk_pct: 8,
            memory_pct: 22,
            swap_pct: 0,
            booting_until: None,
            update: None,
            packets: Vec::new(),
            revisions: vec![Revision {
                at: now - Duration::from_secs(9 * 86_400),
                user: "root@192.0.2.20",
                description: "/api/unbound/settings/set made changes".to_owned(),
                diff: Vec::new(),
            }],
            pings: BTreeMap::new(),
            ids: seed << 16,
            back_end_dead: false,
            key_revoked: false,
            fault: None,
            recorded: Vec::new(),
        };
        state.load_tunnels();
        let day = Duration::from_secs(86_400);
        state.log_at(now - day, "configd", "Notice", "configd.py", "[c0de0001] Reloading filter");
        state.log_at(now - day, "system", "Notice", "kernel", "igb0: link state changed to UP");
        state
    }

    /// All is well again; what was recorded and logged stays, and so does the last start.
    pub(super) fn heal(&mut self) {
        let mut healthy = Self::healthy(self.release, self.seed, self.now);
        healthy.recorded = std::mem::take(&mut self.recorded);
        healthy.logs = std::mem::take(&mut self.logs);
        healthy.revisions = std::mem::take(&mut self.revisions);
        healthy.ids = self.ids;
        *self = healthy;
    }

    /// Brings the state to `now`.
    pub(super) fn advance(&mut self, now: TimeMs) {
        self.now = now;
        if self.booting_until.is_some_and(|until| now >= until) {
            self.heal_after_start();
        }
        if self.update.is_some_and(|(_, until)| now >= until) {
            self.log("system", "Notice", "pkg", "opnsense upgraded: 26.1.10 -> 26.1.11");
            self.heal();
        }
        if let Some((name, at)) = self.dies_at
            && now >= at
        {
            self.dies_at = None;
            self.crash(name, at);
        }
    }

    /// The start-up is over: every service has come up.
    fn heal_after_start(&mut self) {
        let booted = self.booted;
        self.heal();
        self.booted = booted;
    }

    /// Writes a line at the present moment.
    pub(super) fn log(
        &mut self,
        scope: &'static str,
        severity: &'static str,
        process: &'static str,
        text: impl Into<String>,
    ) {
        self.log_at(self.now, scope, severity, process, text);
    }

    pub(super) fn log_at(
        &mut self,
        at: TimeMs,
        scope: &'static str,
        severity: &'static str,
        process: &'static str,
        text: impl Into<String>,
    ) {
        self.logs.push(Line { at, scope, severity, process, text: text.into() });
    }

    /// The service's process is gone.
    pub(super) fn down(&mut self, name: &str) {
        for service in self.services.iter_mut().filter(|service| service.name == name) {
            service.alive = false;
        }
    }

    /// The service's process dies on a signal, as the kernel logs it.
    pub(super) fn crash(&mut self, name: &'static str, at: TimeMs) {
        let dying = self.services.iter().find(|service| service.name == name);
        if let Some(service) = dying {
            let text = format!(
                "pid {} ({}), jid 0, uid 59: exited on signal 11 (core dumped)",
                service.pid, service.command
            );
            self.log_at(at, "system", "Notice", "kernel", text);
        }
        self.down(name);
    }

    /// An id as configd puts in front of what it logs, and jobs are called by.
    pub(super) fn next_id(&mut self) -> String {
        self.ids += 1;
        let id = self.ids;
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            id * 2_654_435_761 % 0xffff_ffff,
            id % 0xffff,
            id % 0xfff,
            id % 0xfff,
            id
        )
    }

    pub(super) fn changed(&mut self, ago_s: u64, description: &str, diff: &[&str]) {
        self.revisions.push(Revision {
            at: self.now - Duration::from_secs(ago_s),
            user: "anna@192.0.2.20",
            description: description.to_owned(),
            diff: diff.iter().map(|line| (*line).to_owned()).collect(),
        });
    }
}

fn services(seed: u64) -> Vec<Service> {
    const DNS: &[(&str, u16)] = &[("udp4", 53), ("tcp4", 53)];
    const DHCP: &[(&str, u16)] = &[("udp4", 67)];
    let mut pid = 400 + seed % 97 * 10;
    let mut service = |name, description, command, ports| {
        pid += 37;
        Service {
            name,
            instance: None,
            description,
            locked: false,
            nocheck: false,
            alive: true,
            pid_file: true,
            pid,
            command,
            ports,
        }
    };
    let mut list = vec![
        service("configd", "Configd", "python3.11", &[]),
        service("webgui", "Web GUI", "lighttpd", &[("tcp4", 443), ("tcp4", 80)]),
        service("login", "Users and Groups", "", &[]),
        service("routing", "System routing", "", &[]),
        service("sysctl", "System tunables", "", &[]),
        service("cron", "Cron", "cron", &[]),
        service("syslog-ng", "Remote Syslog", "syslog-ng", &[]),
        service("ntpd", "Network Time Daemon", "ntpd", &[("udp4", 123)]),
        service("openssh", "Secure Shell Daemon", "sshd", &[("tcp4", 22)]),
        service("unbound", "Unbound DNS", "unbound", DNS),
        service("kea-dhcp", "KEA DHCPv4 server", "kea-dhcp4", DHCP),
        service("frr", "FRRouting Daemon", "watchfrr", &[("tcp4", 179)]),
        service("dpinger", "Gateway Monitor (WAN_GW)", "dpinger", &[]),
        // Two servers without a description of their own: one label set, and the exporter's
        // downfall.
        service("openvpn", "OpenVPN server ", "openvpn", &[("udp4", 1194)]),
        service("openvpn", "OpenVPN server ", "openvpn", &[("udp4", 1195)]),
        service("wireguard", "WireGuard wgsite", "", &[]),
        service("wireguard", "WireGuard wgroad", "", &[]),
    ];
    let mut openvpn =
        ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"]
            .into_iter();
    let mut wireguard = [WGSITE, WGROAD].into_iter();
    for service in &mut list {
        match service.name {
            "configd" | "webgui" => service.locked = true,
            "login" | "routing" | "sysctl" => (service.locked, service.nocheck) = (true, true),
            "wireguard" => {
                (service.locked, service.nocheck) = (true, true);
                service.instance = wireguard.next();
            }
            "openvpn" => service.instance = openvpn.next(),
            "kea-dhcp" => service.instance = Some("v4"),
            "dpinger" => service.instance = Some("WAN_GW"),
            _ => {}
        }
    }
    list
}
