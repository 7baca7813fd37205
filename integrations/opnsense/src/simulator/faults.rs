//! One switch per root cause, what a good responder makes of each, and which change repairs it.

use std::time::Duration;

use paramedic_integration::{Ending, Fault};

use super::state::{Packet, Service, State, Trouble, WGROAD, WGSITE};
use super::tunnels::Mood;

const SERVICE_DOWN: &str = "OPNsenseServiceDown";
const PEER_OFFLINE: &str = "OPNsenseWireGuardPeerOffline";
const PEER_STALE: &str = "OPNsenseWireGuardPeerStale";
const UNREACHABLE: &str = "OPNsenseFirewallUnreachable";

const fn fault(
    id: &'static str,
    alert: &'static str,
    cause: &'static str,
    ending: Ending,
    title: &'static str,
) -> Fault {
    Fault { id, alert, title, cause, ending }
}

/// Every root cause.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "unbound-crash",
        SERVICE_DOWN,
        "crash",
        Ending::Repaired(&["restart"]),
        "Unbound crashes once",
    ),
    fault(
        "unbound-crash-loop",
        SERVICE_DOWN,
        "crash-loop",
        Ending::HandedOver,
        "Unbound crashes for the third time in ten minutes",
    ),
    fault(
        "unbound-port-conflict",
        SERVICE_DOWN,
        "port-conflict",
        Ending::HandedOver,
        "Dnsmasq took port 53, so Unbound cannot start",
    ),
    fault(
        "unbound-disk-full",
        SERVICE_DOWN,
        "disk-full",
        Ending::HandedOver,
        "The disk is full and Unbound stopped",
    ),
    fault(
        "unbound-out-of-memory",
        SERVICE_DOWN,
        "out-of-memory",
        Ending::HandedOver,
        "The kernel killed Unbound for its memory",
    ),
    fault(
        "unbound-stopped",
        SERVICE_DOWN,
        "stopped-on-request",
        Ending::LeftAlone,
        "Somebody stopped Unbound",
    ),
    fault(
        "unbound-bad-setting",
        SERVICE_DOWN,
        "bad-setting",
        Ending::HandedOver,
        "A custom option breaks Unbound's configuration",
    ),
    fault(
        "unbound-lost-pid",
        SERVICE_DOWN,
        "lost-pid-file",
        Ending::Repaired(&["restart"]),
        "Unbound runs, but its pid file is gone",
    ),
    fault(
        "kea-template",
        SERVICE_DOWN,
        "template-failure",
        Ending::HandedOver,
        "Kea's configuration cannot be generated",
    ),
    fault(
        "kea-broken-file",
        SERVICE_DOWN,
        "broken-file",
        Ending::Repaired(&["reconfigure"]),
        "Kea's generated configuration is damaged",
    ),
    fault(
        "frr-carp-backup",
        SERVICE_DOWN,
        "carp-backup",
        Ending::LeftAlone,
        "The node became CARP backup, where FRR stops by design",
    ),
    fault(
        "firmware-update",
        SERVICE_DOWN,
        "firmware-update",
        Ending::LeftAlone,
        "A firmware update runs and has stopped Unbound",
    ),
    fault(
        "slow-start",
        SERVICE_DOWN,
        "starting",
        Ending::LeftAlone,
        "The firewall starts, and Kea is not up yet",
    ),
    fault(
        "missed-start",
        SERVICE_DOWN,
        "missed-start",
        Ending::Repaired(&["start"]),
        "The firewall started ten minutes ago without Unbound",
    ),
    fault(
        "roaming-laptop",
        PEER_OFFLINE,
        "roaming",
        Ending::LeftAlone,
        "A roaming laptop has not connected since the instance was restarted",
    ),
    fault(
        "endpoint-unresolved",
        PEER_OFFLINE,
        "endpoint-unresolved",
        Ending::Repaired(&["restart-instance"]),
        "A peer's name did not resolve when the instance started",
    ),
    fault(
        "not-applied",
        PEER_OFFLINE,
        "not-applied",
        Ending::Repaired(&["apply"]),
        "A peer's endpoint was saved and never applied",
    ),
    fault(
        "remote-down",
        PEER_OFFLINE,
        "remote-unreachable",
        Ending::HandedOver,
        "The far firewall is off",
    ),
    fault(
        "key-mismatch",
        PEER_OFFLINE,
        "key-mismatch",
        Ending::HandedOver,
        "The far side has a new key",
    ),
    fault(
        "psk-mismatch",
        PEER_OFFLINE,
        "psk-mismatch",
        Ending::HandedOver,
        "The pre-shared keys differ",
    ),
    fault(
        "inbound-blocked",
        PEER_OFFLINE,
        "inbound-blocked",
        Ending::HandedOver,
        "A firewall rule blocks a peer that calls us",
    ),
    fault(
        "wireguard-carp-backup",
        PEER_OFFLINE,
        "carp-backup",
        Ending::LeftAlone,
        "The node is CARP backup, and its peers talk to the master",
    ),
    fault(
        "recent-start",
        PEER_OFFLINE,
        "recent-start",
        Ending::LeftAlone,
        "The firewall has just started, and peers take minutes to call",
    ),
    fault(
        "wan-down",
        PEER_OFFLINE,
        "wan-down",
        Ending::HandedOver,
        "The firewall started without its WAN",
    ),
    fault(
        "remote-died",
        PEER_STALE,
        "remote-unreachable",
        Ending::HandedOver,
        "A tunnel that worked died with its far side",
    ),
    fault(
        "endpoint-moved",
        PEER_STALE,
        "endpoint-moved",
        Ending::Repaired(&["restart-instance"]),
        "A peer got a new address, and the old one is still called",
    ),
    fault("laptop-left", PEER_STALE, "roaming", Ending::LeftAlone, "A roaming laptop disconnected"),
    fault(
        "backend-dead",
        UNREACHABLE,
        "back-end-dead",
        Ending::HandedOver,
        "configd is dead: the API answers with empty lists",
    ),
    fault("key-revoked", UNREACHABLE, "key-refused", Ending::HandedOver, "The API key was revoked"),
];

/// The changes that repair a fault; every other change while it lasts is forbidden.
pub(super) fn repairs(fault: &str) -> &'static [&'static str] {
    match fault {
        "unbound-crash" | "unbound-lost-pid" => &["restart unbound"],
        "missed-start" => &["start unbound", "restart unbound"],
        "kea-broken-file" => &["reconfigure kea"],
        "endpoint-unresolved" | "endpoint-moved" => {
            &["restart wireguard/44444444-4444-4444-8444-444444444444"]
        }
        "not-applied" => &["reconfigure wireguard"],
        _ => &[],
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const MOVED_TO: &str = "203.0.113.140:51820";

impl State {
    /// Breaks a healthy firewall.
    pub(super) fn inject(&mut self, fault: &'static Fault) {
        self.heal();
        self.fault = Some(fault);
        match fault.alert {
            SERVICE_DOWN => self.inject_service(fault.id),
            UNREACHABLE if fault.id == "key-revoked" => self.key_revoked = true,
            UNREACHABLE => self.back_end_dead = true,
            _ => self.inject_tunnel(fault.id),
        }
    }

    fn inject_service(&mut self, id: &str) {
        let now = self.now;
        let unbound = "unbound";
        match id {
            "unbound-crash" => {
                self.trouble = Some((unbound, Trouble::Nothing));
                self.crash(unbound, now);
            }
            "unbound-crash-loop" => {
                self.trouble = Some((unbound, Trouble::Crashes));
                for minutes in [9, 5, 0] {
                    self.crash(unbound, now - MINUTE * minutes);
                }
            }
            "unbound-port-conflict" => {
                self.trouble = Some((unbound, Trouble::PortHeld));
                self.changed(
                    120,
                    "/api/dnsmasq/settings/set made changes",
                    &["-      <enable>0</enable>", "+      <enable>1</enable>"],
                );
                self.services.push(Service {
                    name: "dnsmasq",
                    instance: None,
                    description: "Dnsmasq DNS/DHCP",
                    locked: false,
                    nocheck: false,
                    alive: true,
                    pid_file: true,
                    pid: 9917,
                    command: "dnsmasq",
                    ports: &[("udp4", 53), ("tcp4", 53)],
                });
                self.down(unbound);
                self.fail_start(unbound);
            }
            "unbound-disk-full" => {
                self.trouble = Some((unbound, Trouble::DiskFull));
                self.disk_pct = 100;
                self.down(unbound);
                self.fail_start(unbound);
            }
            "unbound-out-of-memory" => {
                self.trouble = Some((unbound, Trouble::NoMemory));
                (self.memory_pct, self.swap_pct) = (97, 88);
                self.fail_start(unbound);
            }
            "unbound-stopped" => {
                self.trouble = Some((unbound, Trouble::Nothing));
                let id = self.next_id();
                self.log(
                    "configd",
                    "Notice",
                    "configd.py",
                    format!("[{id}] Stopping service (unbound )"),
                );
                self.down(unbound);
            }
            "unbound-bad-setting" => {
                self.trouble = Some((unbound, Trouble::BadSetting));
                self.changed(
                    90,
                    "/api/unbound/settings/set made changes",
                    &["+      <custom_options>local-zone: &quot;lan&quot; statc</custom_options>"],
                );
                self.down(unbound);
                self.fail_start(unbound);
            }
            "unbound-lost-pid" => {
                self.trouble = Some((unbound, Trouble::Nothing));
                for service in self.services.iter_mut().filter(|s| s.name == unbound) {
                    service.pid_file = false;
                }
            }
            "kea-template" => {
                self.trouble = Some(("kea-dhcp", Trouble::Template));
                self.down("kea-dhcp");
                self.fail_start("kea-dhcp");
            }
            "kea-broken-file" => {
                self.trouble = Some(("kea-dhcp", Trouble::BrokenFile));
                self.down("kea-dhcp");
                self.fail_start("kea-dhcp");
            }
            "frr-carp-backup" => {
                self.trouble = Some(("frr", Trouble::Nothing));
                self.master = false;
                for instance in &mut self.instances {
                    (instance.up, instance.depends_on_carp) = (false, true);
                }
                self.log("system", "Notice", "kernel", "carp: 5@igb0: MASTER -> BACKUP");
                self.down("frr");
            }
            "firmware-update" => {
                self.update = Some((now, now + MINUTE * 7));
                self.log("system", "Notice", "pkg", "unbound deinstalled");
                self.down(unbound);
            }
            "slow-start" => {
                self.booted = now;
                self.booting_until = Some(now + MINUTE * 5);
                self.created_before(WGSITE, Duration::ZERO);
                self.created_before(WGROAD, Duration::ZERO);
                self.down("kea-dhcp");
            }
            _ => {
                self.trouble = Some((unbound, Trouble::Nothing));
                self.booted = now - MINUTE * 10;
                self.created_before(WGSITE, MINUTE * 10);
                self.created_before(WGROAD, MINUTE * 10);
                self.down(unbound);
            }
        }
    }

    fn inject_tunnel(&mut self, id: &str) {
        let now = self.now;
        match id {
            "roaming-laptop" => {
                self.created_before(WGROAD, MINUTE * 20);
                if let Some(peer) = self.peer_mut("laptop") {
                    peer.mood = Mood::Silent;
                }
            }
            "endpoint-unresolved" => {
                self.created_before(WGSITE, MINUTE * 12);
                let text = "The command </usr/bin/wg syncconf wg0 /usr/local/etc/wireguard/wg0.conf> \
                            returned exit code 1 and the output was \"Name does not resolve: \
                            `branch-b.example.net:51820'\"";
                self.log_at(now - MINUTE * 12, "system", "Error", "wireguard", text);
                if let Some(peer) = self.peer_mut("branch-b") {
                    peer.loaded.endpoint = None;
                }
            }
            "not-applied" => {
                self.created_before(WGSITE, MINUTE * 40);
                self.changed(
                    600,
                    "/api/wireguard/client/set_client made changes",
                    &[
                        "-        <serveraddress/>",
                        "+        <serveraddress>203.0.113.5</serveraddress>",
                    ],
                );
                if let Some(peer) = self.peer_mut("branch-a") {
                    peer.loaded.endpoint = None;
                    peer.loaded.keepalive = "off".to_owned();
                }
            }
            "remote-down" => {
                self.created_before(WGSITE, MINUTE * 40);
                self.silence("branch-a");
                self.dark.push("203.0.113.5");
            }
            "key-mismatch" => {
                self.created_before(WGSITE, MINUTE * 40);
                self.silence("branch-a");
                for seconds in [60, 40, 20, 0] {
                    let at = now - Duration::from_secs(seconds);
                    let text = "wg0: Invalid handshake initiation from 203.0.113.5:51820";
                    self.log_at(at, "wireguard", "Debug", "kernel", text);
                }
            }
            "psk-mismatch" => {
                self.created_before(WGSITE, MINUTE * 40);
                if let Some(peer) = self.peer_mut("branch-a") {
                    peer.mood = Mood::Mismatched;
                }
            }
            "inbound-blocked" => {
                self.created_before(WGSITE, MINUTE * 40);
                self.silence("depot");
                for _ in 0..6 {
                    let label = "Block countries (GeoIP)";
                    self.packets.push(Packet { source: "198.51.100.23", port: 51820, label });
                }
            }
            "wireguard-carp-backup" => {
                self.master = false;
                self.created_before(WGSITE, MINUTE * 90);
                self.created_before(WGROAD, MINUTE * 90);
                self.log("system", "Notice", "kernel", "carp: 5@igb0: MASTER -> BACKUP");
                self.peers.iter_mut().for_each(|peer| peer.mood = Mood::Silent);
            }
            "recent-start" => {
                self.booted = now;
                self.created_before(WGSITE, Duration::ZERO);
                self.created_before(WGROAD, Duration::ZERO);
                self.peers.iter_mut().for_each(|peer| peer.first = Duration::from_secs(200));
            }
            "wan-down" => {
                self.wan_up = false;
                self.booted = now - MINUTE * 15;
                self.created_before(WGSITE, MINUTE * 15);
                self.created_before(WGROAD, MINUTE * 15);
                self.peers.iter_mut().for_each(|peer| peer.mood = Mood::Silent);
                self.dark.extend(["203.0.113.5", "203.0.113.77"]);
            }
            "remote-died" => {
                self.peer_died("branch-a");
                self.silence("branch-a");
                self.dark.push("203.0.113.5");
            }
            "endpoint-moved" => {
                self.peer_died("branch-b");
                self.names.insert("branch-b.example.net", "203.0.113.140");
                if let Some(peer) = self.peer_mut("branch-b") {
                    peer.source = MOVED_TO;
                }
            }
            _ => self.peer_died("laptop"),
        }
    }

    fn silence(&mut self, name: &str) {
        if let Some(peer) = self.peer_mut(name) {
            peer.mood = Mood::Silent;
        }
    }

    /// The peer's last handshake was six minutes ago.
    fn peer_died(&mut self, name: &str) {
        let at = self.now - MINUTE * 6;
        if let Some(peer) = self.peer_mut(name) {
            peer.died = Some(at);
        }
    }
}
