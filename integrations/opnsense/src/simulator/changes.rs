//! What requests change on a simulated firewall, and whether that was right.

use std::time::Duration;

use paramedic_integration::Recorded;

use super::faults::repairs;
use super::state::{State, Trouble};

impl State {
    /// Records a change. It is forbidden unless it repairs the present fault: on a healthy firewall
    /// nothing is to be changed at all.
    fn record(&mut self, change: &str) {
        let repaired_by = self.fault.map_or(&[][..], |fault| repairs(fault.id));
        self.recorded.push(Recorded {
            at: self.now,
            change: change.to_owned(),
            forbidden: !repaired_by.contains(&change),
        });
    }

    /// `core/service/<verb>/<name>[/<instance>]`: always `ok`, also for a service that is not there.
    pub(super) fn request(&mut self, verb: &str, name: &str, instance: Option<&str>) {
        let id = instance.map_or(name.to_owned(), |instance| format!("{name}/{instance}"));
        self.record(&format!("{verb} {id}"));
        let word = match verb {
            "start" => "Starting",
            "stop" => "Stopping",
            _ => "Restarting",
        };
        let request = self.next_id();
        let text = format!("[{request}] {word} service ({name} {})", instance.unwrap_or(""));
        self.log("configd", "Notice", "configd.py", text);
        if name == "wireguard" {
            let meant = self.instances.iter().map(|i| i.uuid);
            let meant: Vec<_> =
                meant.filter(|uuid| instance.is_none_or(|instance| instance == *uuid)).collect();
            for uuid in meant {
                let text = format!("[{}] {verb} wireguard instance {uuid}", self.next_id());
                self.log("configd", "Notice", "configd.py", text);
                if verb != "stop" {
                    self.create_instance(uuid);
                }
            }
            let repaired = self
                .fault
                .is_some_and(|fault| repairs(fault.id).contains(&format!("{verb} {id}").as_str()));
            if repaired {
                self.fault = None;
            }
            return;
        }
        let meant = |service: &super::state::Service| {
            service.name == name
                && instance.is_none_or(|instance| service.instance == Some(instance))
        };
        let Some(at) = self.services.iter().position(meant) else { return };
        let service_name = self.services[at].name;
        if verb != "start" {
            self.services.iter_mut().filter(|s| meant(s)).for_each(|s| s.alive = false);
        }
        if verb != "stop" && !self.start(service_name, false) {
            self.log(
                "configd",
                "Error",
                "configd.py",
                format!("[{request}] returned exit status 1"),
            );
        }
    }

    /// `<module>/service/reconfigure`. Whether it answers with a template error.
    pub(super) fn reconfigure(&mut self, module: &str) -> Result<(), &'static str> {
        self.record(&format!("reconfigure {module}"));
        match module {
            "wireguard" => {
                let now = self.now;
                for at in 0..self.peers.len() {
                    let before = self.peers[at].loaded.clone();
                    self.load_peer(at);
                    if self.peers[at].loaded != before {
                        self.peers[at].met_since = Some(now);
                    }
                }
                if self.fault.is_some_and(|fault| fault.id == "not-applied") {
                    self.fault = None;
                }
            }
            "kea" => {
                if self.trouble == Some(("kea-dhcp", Trouble::Template)) {
                    self.fail_start("kea-dhcp");
                    return Err("Kea");
                }
                for verb in ["stop", "start"] {
                    let text = format!("[{}] {verb} kea daemon", self.next_id());
                    self.log("configd", "Notice", "configd.py", text);
                }
                self.start("kea-dhcp", true);
            }
            "unbound" => {
                self.start("unbound", true);
            }
            _ => {}
        }
        Ok(())
    }

    /// Starts a service as far as its trouble lets it. `anew`: its file was generated first.
    fn start(&mut self, name: &'static str, anew: bool) -> bool {
        let trouble = match self.trouble {
            Some((troubled, trouble)) if troubled == name => trouble,
            _ => Trouble::Nothing,
        };
        match trouble {
            Trouble::Nothing => {}
            Trouble::BrokenFile if anew => {}
            Trouble::Crashes => self.dies_at = Some((name, self.now + Duration::from_secs(40))),
            _ => {
                self.fail_start(name);
                return false;
            }
        }
        for service in self.services.iter_mut().filter(|service| service.name == name) {
            service.alive = true;
            service.pid_file = true;
            service.pid += 1000;
        }
        if trouble != Trouble::Crashes && self.trouble.is_some_and(|(troubled, _)| troubled == name)
        {
            (self.trouble, self.fault) = (None, None);
        }
        true
    }

    /// The lines that a start leaves which its trouble prevents.
    pub(super) fn fail_start(&mut self, name: &'static str) {
        let Some((_, trouble)) = self.trouble else { return };
        match trouble {
            Trouble::PortHeld => {
                let text = "[20144:0] error: can't bind socket: Address already in use for \
                            0.0.0.0 port 53";
                self.log("resolver", "Error", "unbound", text);
                let text = "[20144:0] fatal error: could not open ports";
                self.log("resolver", "Critical", "unbound", text);
            }
            Trouble::DiskFull => {
                let text = "[20144:0] fatal error: could not write \
                            /var/unbound/root.key: No space left on device";
                self.log("resolver", "Critical", "unbound", text);
            }
            Trouble::NoMemory => {
                let pid = self.services.iter().find(|s| s.name == name).map_or(0, |s| s.pid);
                let text = format!(
                    "pid {pid} ({name}), jid 0, uid 59, was killed: failed to reclaim memory"
                );
                self.log("system", "Error", "kernel", text);
                self.down(name);
            }
            Trouble::Template => {
                let text = "[c0de0002] Inline action failed with OPNsense/Kea error generating \
                            template OPNsense/Kea";
                self.log("configd", "Error", "configd.py", text);
            }
            Trouble::BrokenFile => {
                let text = "ERROR [kea-dhcp4.dhcp4] DHCP4_PARSER_FAIL failed to create or run \
                            parser for configuration: unexpected end of file";
                self.log("kea", "Error", "kea-dhcp4", text);
            }
            Trouble::BadSetting => {
                let text = "/var/unbound/etc/custom.conf:1: error: syntax error";
                self.log("resolver", "Error", "unbound", text);
                let text = "[20144:0] fatal error: Could not read config file";
                self.log("resolver", "Critical", "unbound", text);
            }
            Trouble::Crashes | Trouble::Nothing => {}
        }
    }
}
