//! The state of a service: read from systemd or from a configured command, and what follows.

use std::time::Duration;

use paramedic_integration::{Finished, ProbeError};
use paramedic_model::{TimeMs, format_duration};
use serde_json::{Map, Value, json};

use crate::command::{LookCommand, UnitName};
use crate::config::{Service, ServiceCommands};
use crate::host::{Host, Looking, describe};
use crate::journal;
use crate::timestamp;

/// How many lines of the journal are searched for the last stop.
const STOP_LINE_COUNT_MAX: u32 = 500;
/// How long before it is down a unit may have been asked to stop: systemd's own limit for a stop.
const STOP_SPAN: Duration = Duration::from_secs(120);
/// The exit code of a status command that says: it does not run (Linux Standard Base).
const LSB_STOPPED: i32 = 3;

/// The state of a service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Status {
    /// What the host says of it.
    pub unit: UnitStatus,
    /// The host's own time of the look; `None` for a local command, whose service has no times.
    pub host_now: Option<TimeMs>,
    /// Whether its last stop was asked for; `None` where the journal does not tell or it runs.
    pub stopped_on_request: Option<bool>,
}

/// What `systemctl show` says of a unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnitStatus {
    /// The unit; empty for a local command.
    pub unit: String,
    pub load_state: String,
    pub active_state: String,
    pub sub_state: String,
    pub result: String,
    pub unit_file_state: String,
    pub exit_code: Option<i64>,
    pub signal: Option<i64>,
    pub restart_count: i64,
    pub restart_delay: Option<Duration>,
    pub pid: Option<i64>,
    pub changed: Option<TimeMs>,
    pub active_since: Option<TimeMs>,
    pub inactive_since: Option<TimeMs>,
}

/// Reads the state of `service`.
///
/// # Errors
///
/// Where it could not be looked at, or the answer says nothing.
pub(crate) async fn read(host: &Host, service: &Service) -> Result<Status, ProbeError> {
    match service {
        Service::Unit(unit) => {
            let mut looking = host.open().await?;
            read_unit(&mut looking, unit).await
        }
        Service::Commands(commands) => read_commands(host, commands).await,
    }
}

/// Reads the state of a unit over an open connection.
pub(crate) async fn read_unit(
    looking: &mut Looking<'_>,
    unit: &UnitName,
) -> Result<Status, ProbeError> {
    let host_now = looking.now().await?;
    let text = looking.read(LookCommand::Show(unit)).await?;
    let status = UnitStatus::parse(&text).map_err(|reason| looking.misread(reason))?;
    let mut stopped_on_request = None;
    if !status.is_running() && status.exists() {
        // Not to be allowed to read the journal is no reason not to tell the state.
        stopped_on_request = match status.inactive_since {
            Some(at) => last_stop(looking, unit, at - STOP_SPAN).await.unwrap_or(None),
            None => None,
        };
    }
    Ok(Status { unit: status, host_now: Some(host_now), stopped_on_request })
}

async fn last_stop(
    looking: &mut Looking<'_>,
    unit: &UnitName,
    since: TimeMs,
) -> Result<Option<bool>, ProbeError> {
    let command = LookCommand::Journal { unit, since, line_count_max: STOP_LINE_COUNT_MAX };
    let text = looking.read(command).await?;
    let lines = journal::parse(&text).map_err(|reason| looking.misread(reason))?;
    // Silence tells only where all of the time is shown: a stop that was asked for has its line.
    let complete = !lines.is_empty() && lines.len() < STOP_LINE_COUNT_MAX as usize;
    Ok(journal::stopped_on_request(&lines).or(complete.then_some(false)))
}

async fn read_commands(host: &Host, commands: &ServiceCommands) -> Result<Status, ProbeError> {
    let finished = host.run_here(&commands.status).await?;
    let running = lsb(&commands.status, &finished)
        .map_err(|reason| ProbeError::answer("the status command", host.clean(&reason)))?;
    let active = if running { "active" } else { "inactive" };
    let unit = UnitStatus {
        unit: String::new(),
        load_state: "loaded".to_owned(),
        active_state: active.to_owned(),
        sub_state: String::new(),
        result: String::new(),
        unit_file_state: String::new(),
        exit_code: None,
        signal: None,
        restart_count: 0,
        restart_delay: None,
        pid: None,
        changed: None,
        active_since: None,
        inactive_since: None,
    };
    Ok(Status { unit, host_now: None, stopped_on_request: None })
}

/// Whether a status command says that its service runs.
fn lsb(words: &[String], finished: &Finished) -> Result<bool, String> {
    match finished.code {
        Some(0) => Ok(true),
        Some(LSB_STOPPED) => Ok(false),
        _ => Err(format!("expected the exit code 0 or 3: {}", describe(words, finished))),
    }
}

impl UnitStatus {
    /// Reads what `systemctl show` printed.
    ///
    /// # Errors
    ///
    /// A text without the states of a unit.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value = |name: &str| {
            let line = |line: &'_ str| -> bool {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
            };
            text.lines().find(|text| line(text)).map(|line| &line[name.len() + 1..])
        };
        let stated = |name: &str| {
            value(name).filter(|value| !value.is_empty()).map(str::to_owned).ok_or_else(|| {
                format!("expected the property {name} of a unit, got {:?}", crate::shorten(text))
            })
        };
        let given = |name: &str| value(name).unwrap_or_default().to_owned();
        let number = |name: &str| value(name).and_then(|value| value.parse::<i64>().ok());
        let ended = number("ExecMainCode");
        let status = number("ExecMainStatus");
        let pid = number("MainPID").filter(|pid| *pid > 0);
        Ok(Self {
            unit: given("Id"),
            load_state: stated("LoadState")?,
            active_state: stated("ActiveState")?,
            sub_state: stated("SubState")?,
            result: given("Result"),
            unit_file_state: given("UnitFileState"),
            exit_code: status.filter(|_| ended == Some(1) && pid.is_none()),
            signal: status.filter(|_| matches!(ended, Some(2 | 3)) && pid.is_none()),
            restart_count: number("NRestarts").unwrap_or(0),
            restart_delay: value("RestartUSec").and_then(timestamp::parse_span),
            pid,
            changed: value("StateChangeTimestamp").and_then(timestamp::parse),
            active_since: value("ActiveEnterTimestamp").and_then(timestamp::parse),
            inactive_since: value("InactiveEnterTimestamp").and_then(timestamp::parse),
        })
    }

    /// Whether the host has such a unit.
    pub(crate) fn exists(&self) -> bool {
        self.load_state != "not-found"
    }

    /// Whether it is active.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.active_state.as_str(), "active" | "reloading" | "refreshing")
    }

    /// Whether it is on its way up or down.
    pub(crate) fn is_changing(&self) -> bool {
        matches!(self.active_state.as_str(), "activating" | "deactivating") && !self.auto_restart()
    }

    /// Whether systemd is about to start it again.
    pub(crate) fn auto_restart(&self) -> bool {
        self.sub_state.starts_with("auto-restart")
    }

    /// Whether an administrator forbade its start.
    pub(crate) fn masked(&self) -> bool {
        self.load_state == "masked" || self.unit_file_state.starts_with("masked")
    }

    /// Whether systemd gave up on it.
    pub(crate) fn start_limit_hit(&self) -> bool {
        self.result == "start-limit-hit"
    }
}

impl Status {
    /// How long until systemd starts it again.
    pub(crate) fn restart_in(&self) -> Option<Duration> {
        let due = self.unit.changed.filter(|_| self.unit.auto_restart())?;
        let due = due + self.unit.restart_delay?;
        self.host_now.map(|now| due.since(now))
    }

    /// How long it has been in its state.
    pub(crate) fn age(&self) -> Option<Duration> {
        Some(self.host_now?.since(self.unit.changed?))
    }

    /// The state for a person, after the service's name: `is failed (exit-code 1) since 3m`.
    pub(crate) fn describe(&self) -> String {
        let unit = &self.unit;
        if !unit.exists() {
            return format!("is not there: the host has no unit {}", unit.unit);
        }
        if unit.masked() {
            return "is masked: an administrator forbade its start".to_owned();
        }
        let mut text = format!("is {}", unit.active_state);
        let end = match (unit.exit_code, unit.signal) {
            (Some(code), _) => format!("{} {code}", unit.result),
            (None, Some(signal)) if unit.result != "success" => {
                format!("{}, signal {signal}", unit.result)
            }
            _ => unit.result.clone(),
        };
        match unit.is_running() || unit.is_changing() {
            true if !unit.sub_state.is_empty() => text.push_str(&format!(" ({})", unit.sub_state)),
            false if !end.is_empty() => text.push_str(&format!(" ({end})")),
            _ => {}
        }
        if let Some(age) = self.age() {
            text.push_str(&format!(" since {}", format_duration(whole_seconds(age))));
        }
        if self.stopped_on_request == Some(true) {
            text.push_str(", stopped on request");
        }
        if unit.auto_restart() {
            let due = self.restart_in().map(|due| format_duration(whole_seconds(due)));
            let due = due.map_or_else(String::new, |due| format!(" in {due}"));
            text.push_str(&format!("; systemd starts it again{due}"));
        }
        if unit.restart_count > 0 {
            let times = match unit.restart_count {
                1 => "once".to_owned(),
                count => format!("{count} times"),
            };
            text.push_str(&format!("; systemd restarted it {times}"));
        }
        text
    }

    /// The facts of `service-status`.
    pub(crate) fn facts(&self, service: &str) -> Map<String, Value> {
        let unit = &self.unit;
        let facts = json!({
            "service": service,
            "unit": unit.unit,
            "exists": unit.exists(),
            "running": unit.is_running(),
            "failed": unit.active_state == "failed",
            "active_state": unit.active_state,
            "sub_state": unit.sub_state,
            "result": unit.result,
            "exit_code": unit.exit_code,
            "signal": unit.signal,
            "restart_count": unit.restart_count,
            "auto_restart": unit.auto_restart(),
            "restart_in_seconds": self.restart_in().map(|due| due.as_secs_f64()),
            "start_limit_hit": unit.start_limit_hit(),
            "enabled": unit.unit_file_state.starts_with("enabled"),
            "masked": unit.masked(),
            "unit_file_state": unit.unit_file_state,
            "stopped_on_request": self.stopped_on_request,
            "pid": unit.pid,
            "since": unit.changed.map(|at| at.to_string()),
            "since_seconds": self.age().map(|age| age.as_secs_f64()),
        });
        crate::object(facts)
    }
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(changes: &str) -> UnitStatus {
        let text = "MainPID=0\nResult=exit-code\nNRestarts=2\nExecMainCode=1\nExecMainStatus=203\n\
                    Id=x.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n\
                    UnitFileState=enabled\nRestartUSec=5min\n\
                    StateChangeTimestamp=Sat 2026-11-21 02:21:00 UTC\n\
                    ActiveEnterTimestamp=\nInactiveEnterTimestamp=Sat 2026-11-21 02:21:00 UTC\n";
        UnitStatus::parse(&format!("{changes}\n{text}")).unwrap()
    }

    fn at_22(unit: UnitStatus) -> Status {
        let host_now = Some(TimeMs(1_795_227_720_000));
        Status { unit, host_now, stopped_on_request: None }
    }

    #[test]
    fn a_state_reads_as_a_sentence() {
        let check = |changes: &str, text: &str| {
            assert_eq!(at_22(shown(changes)).describe(), text);
        };
        check("", "is failed (exit-code 203) since 1m; systemd restarted it 2 times");
        check(
            "ActiveState=activating\nSubState=auto-restart\nNRestarts=0",
            "is activating (exit-code 203) since 1m; systemd starts it again in 4m",
        );
        check("ActiveState=active\nSubState=running\nNRestarts=0", "is active (running) since 1m");
        check("LoadState=masked", "is masked: an administrator forbade its start");
        check("LoadState=not-found", "is not there: the host has no unit x.service");
    }

    #[test]
    fn a_text_without_states_is_no_status() {
        for text in ["", "<html>", "LoadState=loaded\nActiveState=\nSubState=x", "ActiveStateX=a"] {
            assert!(UnitStatus::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_status_command_answers_by_its_exit_code() {
        let check = |code: Option<i32>, expected: Option<bool>| {
            let finished = Finished { code, stdout: String::new(), stderr: "no".to_owned() };
            assert_eq!(lsb(&["x".to_owned()], &finished).ok(), expected, "{code:?}");
        };
        check(Some(0), Some(true));
        check(Some(3), Some(false));
        for code in [Some(1), Some(4), Some(127), None] {
            check(code, None);
        }
    }
}
