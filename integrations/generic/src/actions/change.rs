//! What starting and restarting have in common: the judgement before, the proof after.
//!
//! `systemctl start` reports success as soon as a process exists; one that dies a second later
//! was "started" too. So an action succeeds only where the service has been active for
//! [`PROVEN`] with one and the same process.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::Args;
use paramedic_integration::{
    Acted, ActionError, BlastRadius, Finished, Happened, Precondition, ProbeError,
};
use paramedic_model::{TimeMs, format_duration};

use super::{AFTER_START_LIMIT, ALTHOUGH_STOPPED};
use crate::command::{ActCommand, LookCommand, UnitName};
use crate::config::{Service, ServiceCommands};
use crate::host::{ActingHost, Host, Looking, describe, is_denial};
use crate::journal;
use crate::status::{self, Status};

/// How long a service must have been active to count as started.
const PROVEN: Duration = Duration::from_secs(5);
/// How long it may take to get there.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many looks it is given at least: on a fast clock the looks themselves take their time.
const LOOK_COUNT_MIN: u32 = 10;
/// How often its state is read meanwhile.
const INTERVAL: Duration = Duration::from_secs(1);
/// A restart that systemd does by itself this soon is worth waiting for.
const IMMINENT: Duration = Duration::from_secs(30);
/// The host's `date` and `systemctl` count whole seconds: two moments may be off by one each.
const ROUNDING: Duration = Duration::from_secs(2);
/// How many lines of the journal are searched for a start.
const START_LINE_COUNT_MAX: u32 = 1000;

/// What an action asks of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Restart,
}

/// Changes the services of one host.
pub(super) struct Change {
    pub host: Arc<Host>,
    pub acting: ActingHost,
}

impl Change {
    pub(super) async fn precondition(
        &self,
        verb: Verb,
        args: &Args,
    ) -> Result<Precondition, ProbeError> {
        let name = args.text("service");
        let service = self.host.service(name)?;
        if let Service::Commands(commands) = service {
            verb.words(name, commands)?;
        }
        let status = status::read(&self.host, service).await?;
        let held = Held {
            although_stopped: args.flag(ALTHOUGH_STOPPED),
            after_start_limit: args.flag(AFTER_START_LIMIT),
            has_journal: matches!(service, Service::Unit(_)),
        };
        Ok(match judge(verb, &status, held) {
            Ok(()) => Precondition::Holds(format!("{name} {}", status.describe())),
            Err(reason) => Precondition::Fails(format!("{name} {}: {reason}", status.describe())),
        })
    }

    pub(super) async fn blast_radius(
        &self,
        verb: Verb,
        args: &Args,
    ) -> Result<BlastRadius, ProbeError> {
        let name = args.text("service");
        let status = status::read(&self.host, self.host.service(name)?).await?;
        Ok(if verb == Verb::Restart && status.unit.is_running() {
            let summary = format!("{name} runs, so what it serves now is interrupted");
            BlastRadius { count: 1, summary }
        } else {
            BlastRadius { count: 0, summary: format!("{name} serves nothing now") }
        })
    }

    pub(super) async fn act(&self, verb: Verb, args: &Args) -> Result<Acted, ActionError> {
        let name = args.text("service");
        let service = self.host.service(name).map_err(ActionError::Refused)?;
        let before = status::read(&self.host, service).await.map_err(ActionError::Refused)?;
        let (words, finished) = match service {
            Service::Unit(unit) => {
                let command = match verb {
                    Verb::Start => ActCommand::Start(unit),
                    Verb::Restart => ActCommand::Restart(unit),
                };
                (command.words(false), self.acting.run(command).await?)
            }
            Service::Commands(commands) => {
                let words = verb.words(name, commands).map_err(ActionError::Refused)?;
                (words.to_vec(), self.acting.run_here(words).await?)
            }
        };
        if finished.code != Some(0) && is_denial(&finished.stderr) {
            let reason = self.host.clean(&describe(&words, &finished));
            let denied = ProbeError::Denied { target: self.host.target(), reason };
            return Err(ActionError::Refused(denied));
        }
        let proven = self.prove(service, &before, verb).await;
        let state = match proven.map_err(ActionError::Uncertain)? {
            Proof::Active(state) => state,
            Proof::Not(state) => {
                let reason = self.failure(name, service, &state, &words, &finished).await;
                return Err(ActionError::Ineffective(reason));
            }
        };
        let done = match verb {
            Verb::Start => "started",
            Verb::Restart => "restarted",
        };
        Ok(Acted { summary: format!("{done} {name}; it {state}") })
    }

    /// Reads the state until it proves a start or its absence.
    async fn prove(
        &self,
        service: &Service,
        before: &Status,
        verb: Verb,
    ) -> Result<Proof, ProbeError> {
        let clock = &self.host.clock;
        let began = clock.now();
        let mut looking = match service {
            Service::Unit(unit) => Some((self.host.open().await?, unit)),
            Service::Commands(_) => None,
        };
        // The process that is seen running, and since when.
        let mut seen: Option<(Option<i64>, TimeMs)> = None;
        let mut look_count = 0;
        loop {
            look_count += 1;
            let status = match &mut looking {
                Some((looking, unit)) => status::read_unit(looking, unit).await?,
                None => status::read(&self.host, service).await?,
            };
            let now = clock.now();
            let is_new = verb == Verb::Start || !same_process(before, &status);
            if status.unit.is_running() && is_new {
                let pid = status.unit.pid;
                let since = match seen {
                    Some((seen_pid, since)) if seen_pid == pid => since,
                    _ => now,
                };
                seen = Some((pid, since));
                if now.since(since) >= PROVEN {
                    return Ok(Proof::Active(status.describe()));
                }
            } else if !status.unit.is_changing() {
                return Ok(Proof::Not(status.describe()));
            }
            if now.since(began) >= PATIENCE && look_count >= LOOK_COUNT_MIN {
                return Ok(Proof::Not(status.describe()));
            }
            clock.sleep(INTERVAL).await;
        }
    }

    /// Why a start did not work: the state, what the service wrote last, what the command said.
    async fn failure(
        &self,
        name: &str,
        service: &Service,
        state: &str,
        words: &[String],
        finished: &Finished,
    ) -> String {
        let mut reason = format!("{name} {state}");
        if finished.code != Some(0) {
            reason.push_str(&format!("; {}", describe(words, finished)));
        }
        if let Service::Unit(unit) = service
            && let Ok(Some(line)) = self.last_words(unit).await
        {
            reason.push_str(&format!("; it last wrote: {}", crate::shorten(&line)));
        }
        self.host.clean(&reason)
    }

    async fn last_words(&self, unit: &UnitName) -> Result<Option<String>, ProbeError> {
        let mut looking = self.host.open().await?;
        let since = looking.now().await? - PATIENCE;
        let lines = journal(&mut looking, unit, since).await?;
        let mut own = lines.into_iter().rev().filter(|line| !line.manager).peekable();
        let last = own.peek().map(|line| line.text.clone());
        Ok(own.find(journal::Line::is_error).map(|line| line.text).or(last))
    }

    pub(super) async fn happened(
        &self,
        args: &Args,
        intended: TimeMs,
    ) -> Result<Happened, ProbeError> {
        let name = args.text("service");
        let Service::Unit(unit) = self.host.service(name)? else {
            let reason = format!("{name} is no systemd unit, so nothing tells when it was started");
            return Ok(Happened::Unknown(reason));
        };
        let mut looking = self.host.open().await?;
        let status = status::read_unit(&mut looking, unit).await?;
        let Some(host_now) = status.host_now else {
            return Ok(Happened::Unknown("the host does not tell its time".to_owned()));
        };
        // What was intended so long ago here was so long ago there, whatever its clock shows.
        let ago = self.host.clock.now().since(intended);
        let intended = host_now - ago - ROUNDING;
        let lines = journal(&mut looking, unit, intended).await;
        Ok(verdict(&status, intended, lines.ok().as_deref()))
    }
}

/// Whether a start was carried out since `intended`, which is the host's time.
fn verdict(status: &Status, intended: TimeMs, lines: Option<&[journal::Line]>) -> Happened {
    let state = format!("it {}", status.describe());
    let since = |at: Option<TimeMs>| at.is_some_and(|at| at >= intended);
    let began = since(status.unit.active_since);
    let lines_since = lines.unwrap_or_default().iter().filter(|line| since(line.at));
    let (mut started, mut by_itself) = (false, false);
    for line in lines_since {
        started |= line.is_start();
        by_itself |= line.is_own_restart();
    }
    match lines {
        _ if by_itself => {
            Happened::Unknown(format!("{state}, and systemd restarted it by itself since then"))
        }
        _ if began || started => Happened::Yes(format!("it was started since then; now {state}")),
        Some(_) => Happened::No(format!("it was not started since then; {state}")),
        // A running unit tells by itself since when; one that is down may have come and gone.
        None if status.unit.is_running() => {
            Happened::No(format!("it was not started since then; {state}"))
        }
        None => Happened::Unknown(format!("{state}, and its journal cannot be read")),
    }
}

async fn journal(
    looking: &mut Looking<'_>,
    unit: &UnitName,
    since: TimeMs,
) -> Result<Vec<journal::Line>, ProbeError> {
    let line_count_max = START_LINE_COUNT_MAX;
    let text = looking.read(LookCommand::Journal { unit, since, line_count_max }).await?;
    journal::parse(&text).map_err(|reason| looking.misread(reason))
}

/// How a start ended.
enum Proof {
    /// It has been active long enough; its state.
    Active(String),
    /// It has not; its state.
    Not(String),
}

/// Whether the process that runs now is the one that ran before. A service without a known
/// process, as one of commands, is taken to be another one.
fn same_process(before: &Status, now: &Status) -> bool {
    before.unit.is_running() && before.unit.pid.is_some() && before.unit.pid == now.unit.pid
}

/// What a step says besides the service, and what the service is.
#[derive(Debug, Clone, Copy)]
struct Held {
    although_stopped: bool,
    after_start_limit: bool,
    has_journal: bool,
}

/// Whether a change makes sense in this state; else why not.
fn judge(verb: Verb, status: &Status, held: Held) -> Result<(), String> {
    let unit = &status.unit;
    let refuse = |reason: &str| Err(reason.to_owned());
    if !unit.exists() {
        return refuse("there is nothing to start");
    }
    if unit.masked() {
        return refuse("unmasking it is for the administrator who masked it");
    }
    if unit.is_running() {
        return match verb {
            Verb::Start => refuse("it need not be started"),
            Verb::Restart => Ok(()),
        };
    }
    if unit.is_changing() {
        return refuse("a start or stop is under way");
    }
    if unit.auto_restart() && status.restart_in().is_none_or(|due| due <= IMMINENT) {
        return refuse("systemd starts it by itself, so another start changes nothing");
    }
    if unit.start_limit_hit() && !held.after_start_limit {
        return refuse("one more start would end as the ones before; remove the reason first");
    }
    if !held.although_stopped && unit.active_state == "inactive" && held.has_journal {
        match status.stopped_on_request {
            Some(true) => return refuse("who stopped it may have had a reason"),
            Some(false) => {}
            // It went down in good order and nothing says why: it may be meant so.
            None => {
                let age = status.age().map(format_duration);
                let age = age.map_or_else(String::new, |age| format!(" for {age}"));
                return Err(format!(
                    "it has been down{age} in good order, and the journal does not tell whether a \
                     person stopped it"
                ));
            }
        }
    }
    if !held.although_stopped && status.stopped_on_request == Some(true) {
        return refuse("who stopped it may have had a reason");
    }
    Ok(())
}

impl Verb {
    /// The configured command for this verb.
    fn words<'a>(
        self,
        name: &str,
        commands: &'a ServiceCommands,
    ) -> Result<&'a [String], ProbeError> {
        let (key, words) = match self {
            Self::Start => ("start", &commands.start),
            Self::Restart => ("restart", &commands.restart),
        };
        if words.is_empty() {
            let reason = format!("the service {name} has no `{key}` command, so nothing was done");
            return Err(ProbeError::unable(reason));
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::UnitStatus;

    const NOW: TimeMs = TimeMs(1_795_227_720_000);

    fn status(load: &str, active: &str, sub: &str, more: &str) -> Status {
        let text = format!(
            "{more}\nId=x.service\nLoadState={load}\nActiveState={active}\nSubState={sub}\n\
             Result=success\nRestartUSec=5min\nMainPID=0\n\
             StateChangeTimestamp=Sat 2026-11-21 02:21:00 UTC"
        );
        let unit = UnitStatus::parse(&text).unwrap();
        Status { unit, host_now: Some(NOW), stopped_on_request: None }
    }

    #[test]
    fn a_change_is_refused_where_it_cannot_help_or_is_not_wanted() {
        let held = Held { although_stopped: false, after_start_limit: false, has_journal: true };
        let check = |verb, status: &Status, held, allowed: bool| {
            assert_eq!(judge(verb, status, held).is_ok(), allowed, "{verb:?} {status:?}");
        };
        let both = |status: &Status, held, allowed| {
            check(Verb::Start, status, held, allowed);
            check(Verb::Restart, status, held, allowed);
        };
        let running = status("loaded", "active", "running", "");
        check(Verb::Start, &running, held, false);
        check(Verb::Restart, &running, held, true);
        both(&status("loaded", "failed", "failed", "Result=exit-code"), held, true);
        both(&status("masked", "inactive", "dead", ""), held, false);
        both(&status("not-found", "inactive", "dead", ""), held, false);
        both(&status("loaded", "activating", "start", ""), held, false);
        both(&status("loaded", "deactivating", "stop-sigterm", ""), held, false);
        // Due in four minutes is too late to wait for; due in a second is not.
        both(&status("loaded", "activating", "auto-restart", ""), held, true);
        let soon = "RestartUSec=1min 1s";
        both(&status("loaded", "activating", "auto-restart", soon), held, false);
        let limit = status("loaded", "failed", "failed", "Result=start-limit-hit");
        both(&limit, held, false);
        both(&limit, Held { after_start_limit: true, ..held }, true);
        let although = Held { although_stopped: true, ..held };
        for (on_request, allowed) in [(Some(true), false), (Some(false), true), (None, false)] {
            let mut stopped = status("loaded", "inactive", "dead", "");
            stopped.stopped_on_request = on_request;
            both(&stopped, held, allowed);
            both(&stopped, although, true);
        }
        // `KillSignal=SIGKILL` makes a unit that a person stopped look failed.
        let mut killed = status("loaded", "failed", "failed", "Result=signal");
        killed.stopped_on_request = Some(true);
        both(&killed, held, false);
        // A service of commands has no journal that could tell.
        let commands = Held { has_journal: false, ..held };
        both(&status("loaded", "inactive", "dead", ""), commands, true);
    }

    #[test]
    fn after_a_crash_the_host_tells_whether_it_was_started() {
        let intended = TimeMs(1_795_227_690_000); // 02:21:30
        let line = |text: &str, at: i64| journal::Line {
            at: Some(TimeMs(at)),
            source: "systemd".to_owned(),
            priority: 6,
            manager: true,
            text: text.to_owned(),
        };
        let check = |status: &Status, lines: Option<&[journal::Line]>, word: &str| {
            let verdict = format!("{:?}", verdict(status, intended, lines));
            assert!(verdict.starts_with(word), "{verdict}");
        };
        let up_before = "ActiveEnterTimestamp=Sat 2026-11-21 02:20:00 UTC";
        let up_after = "ActiveEnterTimestamp=Sat 2026-11-21 02:21:40 UTC";
        let running = |when| status("loaded", "active", "running", when);
        check(&running(up_after), Some(&[]), "Yes");
        check(&running(up_after), None, "Yes");
        check(&running(up_before), Some(&[]), "No");
        check(&running(up_before), None, "No");
        let down = status("loaded", "failed", "failed", up_before);
        check(&down, Some(&[line("Started x.service - X.", intended.0 + 1)]), "Yes");
        check(&down, Some(&[line("Started x.service - X.", intended.0 - 1)]), "No");
        check(&down, Some(&[]), "No");
        check(&down, None, "Unknown");
        let own = line("x.service: Scheduled restart job, restart counter is at 2.", intended.0);
        check(&running(up_after), Some(&[own]), "Unknown");
    }
}
