//! The command lines that the client sends, answered as the real programs answer them.

use std::fmt::Write as _;

use paramedic_integration::{Finished, Recorded};
use paramedic_model::TimeMs;
use serde_json::{Value, json};

use super::{Failure, START_LIMIT_INTERVAL, SimulatedHost, Start, UnitModel, UnitState};
use crate::timestamp;

/// What a login shell says of a program that is not there.
const NOT_FOUND: i32 = 127;

impl SimulatedHost {
    /// Runs one command line.
    pub(super) fn shell(&self, line: &str) -> Finished {
        let words: Vec<&str> = line.split(' ').collect();
        let words = words.strip_prefix(&["env", "LC_ALL=C", "TZ=UTC"]).unwrap_or(&words);
        let words = words.strip_prefix(&["sudo", "-n"]).unwrap_or(words);
        let line = words.join(" ");
        let answer = {
            let mut state = self.lock();
            state.command_lines.push(line.clone());
            state.answers.get(&line).cloned()
        };
        if let Some(answer) = answer {
            return answer();
        }
        match words {
            ["systemctl", "show", "--no-pager", "-p", properties, "--", unit] => {
                self.show(properties, unit)
            }
            ["systemctl", "--no-ask-password", verb @ ("start" | "restart"), "--", unit] => {
                self.change(verb, unit)
            }
            ["journalctl", "--no-pager", "-o", "json", count, since, "-u", unit] => {
                self.journal(count, since, unit)
            }
            ["date", "+%s"] => done(format!("{}\n", self.clock.now().0.div_euclid(1000))),
            ["df", "-P", "-k"] => done(self.df(false)),
            ["df", "-P", "-i"] => done(self.df(true)),
            ["cat", "/proc/meminfo"] => done(self.meminfo()),
            ["cat", "/proc/loadavg"] => {
                let [one, five, fifteen] = self.lock().resources.load;
                done(format!("{one:.2} {five:.2} {fifteen:.2} 1/213 4711\n"))
            }
            ["nproc"] => done(format!("{}\n", self.lock().resources.cpu_count)),
            ["ss", "-H", "-ltnp"] => done(self.ss()),
            _ => failed(NOT_FOUND, format!("sh: 1: {line}: not found\n")),
        }
    }

    fn show(&self, properties: &str, name: &str) -> Finished {
        let unit = self.unit(name);
        let unit = unit.unwrap_or_else(|| {
            let mut unit = UnitModel::new(name);
            unit.state = UnitState::NotFound;
            unit
        });
        let (active, sub) = unit.state.active_and_sub();
        let failure = unit.state.failure();
        let (code, status) = match failure {
            Some(failure) => failure.code_and_status(),
            None if unit.state == UnitState::Ended => (1, 0),
            None if unit.state == UnitState::Stopped => (2, 15),
            None => (0, 0),
        };
        let load = match unit.state {
            UnitState::Masked => "masked",
            UnitState::NotFound => "not-found",
            _ => "loaded",
        };
        let file_state = match unit.state {
            UnitState::Masked => "masked",
            UnitState::NotFound => "",
            _ if unit.enabled => "enabled",
            _ => "disabled",
        };
        let time = |at: Option<TimeMs>| at.map(timestamp::format).unwrap_or_default();
        let all = [
            ("Restart", "on-failure".to_owned()),
            ("RestartUSec", span(unit.restart_ms)),
            ("ExecMainStartTimestamp", time(unit.active_since)),
            ("MainPID", unit.pid.unwrap_or(0).to_string()),
            ("Result", failure.map_or("success", Failure::result).to_owned()),
            ("NRestarts", unit.restart_count.to_string()),
            ("ExecMainCode", code.to_string()),
            ("ExecMainStatus", status.to_string()),
            ("Id", name.to_owned()),
            ("Description", unit.description.clone()),
            ("LoadState", load.to_owned()),
            ("ActiveState", active.to_owned()),
            ("SubState", sub.to_owned()),
            ("UnitFileState", file_state.to_owned()),
            ("StateChangeTimestamp", time(Some(unit.changed))),
            ("ActiveEnterTimestamp", time(unit.active_since)),
            ("InactiveEnterTimestamp", time(unit.inactive_since)),
            ("NeedDaemonReload", "no".to_owned()),
        ];
        let asked = |name: &str| properties.split(',').any(|property| property == name);
        let lines = all.iter().filter(|(name, _)| asked(name));
        done(lines.map(|(name, value)| format!("{name}={value}\n")).collect())
    }

    fn change(&self, verb: &str, name: &str) -> Finished {
        let now = self.clock.now();
        let Some(unit) = self.unit(name).filter(|unit| unit.state != UnitState::NotFound) else {
            self.record(verb, name, false);
            return failed(5, format!("Failed to {verb} {name}: Unit {name} not found.\n"));
        };
        let against_a_person = matches!(unit.state, UnitState::Stopped | UnitState::Masked);
        self.record(verb, name, against_a_person);
        if !self.lock().may_change {
            let text = format!(
                "Failed to {verb} {name}: Interactive authentication required.\n\
                 See system logs and 'systemctl status {name}' for details.\n"
            );
            return failed(1, text);
        }
        let gave_up = unit.state == UnitState::Failed(Failure::StartLimit);
        match unit.state {
            UnitState::Masked => {
                return failed(1, format!("Failed to {verb} {name}: Unit {name} is masked.\n"));
            }
            UnitState::Running if verb == "start" => return done(String::new()),
            UnitState::Running => self.stop(name, now),
            _ if gave_up && now.since(unit.changed) < START_LIMIT_INTERVAL => {
                let text = format!(
                    "Job for {name} failed because start of the service was attempted too often.\n\
                     See \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details.\n\
                     To force a start use \"systemctl reset-failed {name}\"\n\
                     followed by \"systemctl start {name}\" again.\n"
                );
                return failed(1, text);
            }
            _ => {}
        }
        if let Some(unit) = self.lock().units.get_mut(name) {
            unit.model.restart_count = 0;
        }
        match self.start(name, now) {
            Start::Succeeds | Start::Dies { .. } => done(String::new()),
            Start::Fails { .. } => {
                let text = format!(
                    "Job for {name} failed because the control process exited with error code.\n\
                     See \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details.\n"
                );
                failed(1, text)
            }
        }
    }

    fn record(&self, verb: &str, name: &str, against_a_person: bool) {
        let at = self.clock.now();
        let mut state = self.lock();
        let forbidden =
            against_a_person || state.units.get(name).is_some_and(|unit| unit.forbidden);
        state.recorded.push(Recorded { at, change: format!("{verb} {name}"), forbidden });
    }

    fn journal(&self, count: &str, since: &str, name: &str) -> Finished {
        if !self.lock().may_read_journal {
            let text = "Hint: You are currently not seeing messages from other users and the \
                        system.\n      Users in groups 'adm', 'systemd-journal' can see all \
                        messages.\n      Pass -q to turn off this notice.\n\
                        No journal files were opened due to insufficient permissions.\n";
            return failed(1, text.to_owned());
        }
        let count: Option<usize> =
            count.strip_prefix("--lines=").and_then(|count| count.parse().ok());
        let since: Option<i64> = since.strip_prefix("--since=@").and_then(|at| at.parse().ok());
        let (Some(count), Some(since)) = (count, since) else {
            return failed(1, "Failed to parse timestamp or number of lines\n".to_owned());
        };
        let lines = self.unit(name).map(|unit| unit.journal).unwrap_or_default();
        let lines: Vec<_> = lines.iter().filter(|line| line.at.0 >= since * 1000).collect();
        let last = &lines[lines.len().saturating_sub(count)..];
        let mut text = String::new();
        for (i, line) in last.iter().enumerate() {
            let entry = json!({
                "__CURSOR": format!("s=5f2d;i={i:x}"),
                "__REALTIME_TIMESTAMP": (line.at.0 * 1000 + i as i64).to_string(),
                "_BOOT_ID": "6d0f5b2f9d6f4c0c8d1f0e9f6a3b7c21",
                "_HOSTNAME": "host",
                "SYSLOG_IDENTIFIER": line.identifier,
                "_PID": line.pid.to_string(),
                "PRIORITY": line.priority.to_string(),
                "MESSAGE": message(&line.text),
            });
            let _ = writeln!(text, "{entry}");
        }
        if last.is_empty() {
            text.push_str("-- No entries --\n");
        }
        done(text)
    }

    fn df(&self, inodes: bool) -> String {
        let units = if inodes { "Inodes" } else { "1024-blocks" };
        let mut text = format!("Filesystem     {units}    Used Available Capacity Mounted on\n");
        for mount in &self.lock().resources.mounts {
            let (total, used) = match inodes {
                true => (mount.inodes_total, mount.inodes_used),
                false => (mount.total_kib, mount.used_kib),
            };
            let free = total.saturating_sub(used);
            let percent = (used * 100).div_ceil(total.max(1));
            let (device, path) = (&mount.device, &mount.path);
            let _ =
                writeln!(text, "{device:<14} {total:>11} {used:>7} {free:>9} {percent:>7}% {path}");
        }
        text
    }

    fn meminfo(&self) -> String {
        let state = self.lock();
        let r = &state.resources;
        let lines = [
            ("MemTotal", r.memory_total_kib),
            ("MemFree", r.memory_available_kib / 3),
            ("MemAvailable", r.memory_available_kib),
            ("Buffers", 20_480),
            ("Cached", r.memory_available_kib / 2),
            ("SwapTotal", r.swap_total_kib),
            ("SwapFree", r.swap_free_kib),
        ];
        lines.map(|(name, kib)| format!("{:<16}{kib:>8} kB\n", format!("{name}:"))).concat()
    }

    fn ss(&self) -> String {
        let line = |l: &super::Listener| {
            let (address, program, pid) = (&l.address, &l.program, l.pid);
            format!(
                "LISTEN 0      4096   {address:>20}      0.0.0.0:*    \
                 users:((\"{program}\",pid={pid},fd=7))\n"
            )
        };
        self.lock().resources.listeners.iter().map(line).collect()
    }
}

/// `MESSAGE` as journald writes it: bytes where the text holds what JSON readers may choke on.
fn message(text: &str) -> Value {
    let plain = text.chars().all(|c| c == '\t' || c == '\n' || !c.is_control());
    if plain { Value::from(text) } else { Value::from(text.as_bytes().to_vec()) }
}

/// A time span as `systemctl show` prints it.
fn span(ms: u64) -> String {
    match (ms / 60_000, ms / 1000 % 60, ms % 1000) {
        (0, 0, ms) => format!("{ms}ms"),
        (0, s, 0) => format!("{s}s"),
        (m, 0, 0) => format!("{m}min"),
        (0, s, ms) => format!("{s}s {ms}ms"),
        (m, s, _) => format!("{m}min {s}s"),
    }
}

fn done(stdout: String) -> Finished {
    Finished { code: Some(0), stdout, stderr: String::new() }
}

fn failed(code: i32, stderr: String) -> Finished {
    Finished { code: Some(code), stdout: String::new(), stderr }
}
