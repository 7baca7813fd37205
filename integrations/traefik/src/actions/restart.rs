//! `traefik/restart`: restarts Traefik, where that can help and does no harm.
//!
//! Restarting is the reflex, and with Traefik mostly the wrong one. Dead back ends stay dead, and
//! for one interval a quick 503 becomes a slow 502, because a new process believes every server to
//! be up. A configuration file that is broken was rejected while the last good one kept serving; a
//! new process has no last good one, so a harmless error becomes a full outage behind which ping
//! says 200. What a restart does help against is a process that no longer answers.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_generic::Unit;
use paramedic_integration::{
    Acted, Action, ActionError, BlastRadius, Happened, Look, Precondition, ProbeError,
};
use paramedic_model::{BoxFuture, Clock, TimeMs};

use crate::client::{Answer, Client};
use crate::host::{self, Host};
use crate::log::{self, Topic};
use crate::probes::counted;
use crate::probes::log::unresolved_file;
use crate::probes::service_health::{State, witnessed};

pub(crate) const NAME: &str = "restart";

/// How long a new process may take until it answers its ping.
const READY_WITHIN: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_secs(1);

pub(crate) fn signature() -> ActionSignature {
    ActionSignature {
        name: NAME,
        summary: "Restarts Traefik's unit on its host",
        params: vec![],
        risk: Risk::Medium,
        privilege: "to restart Traefik's unit on its host",
        precondition: "its unit runs and it does not answer, not even its own host, or its \
                       descriptors are used up; its log knows of no configuration that it could not read; it is not stopping",
        blast_radius: "every connection through this Traefik; counted are the servers that it \
                       serves from now",
        verification: "ping answers 200 and the process is a new one",
        undo: "none; connections that were cut are made anew by their clients",
    }
}

pub(crate) struct Restart {
    pub client: Arc<Client>,
    pub host: Arc<Host>,
    pub clock: Arc<dyn Clock>,
}

/// All that the decision needs.
#[derive(Debug, Clone)]
struct Seen {
    ping: Answer,
    unit: Unit,
    /// The unread dynamic file, by the log.
    rejected: Option<String>,
    /// An unreachable provider, by the log.
    provider: Option<String>,
    /// Used up descriptors, by the log or the metrics.
    descriptors: bool,
    /// Servers that are down, where Traefik answers.
    down: usize,
}

/// Whether a restart makes sense.
fn judge(seen: &Seen) -> Precondition {
    let refuse = |reason: String| Precondition::Fails(reason);
    if let Some(error) = &seen.rejected {
        return refuse(format!(
            "Traefik rejected a configuration file and serves from the last good one, which a \
             restart would lose; correct the file first: {error}"
        ));
    }
    if let Some(error) = &seen.provider {
        return refuse(format!(
            "a provider cannot be reached, and a new process would start without what it gave: {error}"
        ));
    }
    if seen.ping == Answer::Stopping {
        return refuse("Traefik is stopping gracefully".to_owned());
    }
    if !seen.unit.running {
        let state = &seen.unit.active_state;
        return refuse(format!("it does not run ({state}), so there is nothing to restart"));
    }
    if seen.ping.spoke() && !seen.descriptors {
        let down = match seen.down {
            0 => String::new(),
            1 => "; 1 server behind it is down, which no restart repairs".to_owned(),
            down => format!("; {down} servers behind it are down, which no restart repairs"),
        };
        return refuse(format!("Traefik answers{down}"));
    }
    if seen.ping.spoke() {
        return Precondition::Holds("its file descriptors are used up".to_owned());
    }
    let how = match seen.ping {
        Answer::Timeout => "takes connections and answers none",
        _ => "does not answer",
    };
    Precondition::Holds(format!("its unit runs and it {how}"))
}

impl Restart {
    async fn look(&self, look: Look) -> Result<Seen, ProbeError> {
        let service = &self.client.host_service;
        let unit = self.host.unit(service, look).await?;
        // Without the log nobody knows whether the file on disk can be read, so there is no restart.
        let lines = self.host.log(service, look).await?;
        let entries = log::read(&lines);
        let rejected = unresolved_file(&self.client, &entries).await;
        // Of a provider only what was written since this process started concerns it.
        let newest = |topic: Topic| entries.iter().rev().find(|entry| entry.topic == topic);
        let of_this_run = |at: Option<TimeMs>| match (host::since(&unit), at) {
            (Some(since), Some(at)) => at >= since,
            _ => true,
        };
        let provider = newest(Topic::Provider).filter(|entry| of_this_run(entry.at));
        let descriptors = newest(Topic::Descriptors).is_some_and(|entry| of_this_run(entry.at));
        let ping = self.client.knock_ping().await;
        let used_up = ping.answer.spoke()
            && self.client.metrics().await.is_ok_and(|metrics| metrics.descriptors_used_up());
        let down =
            if ping.answer.spoke() { self.servers(State::Down).await.unwrap_or(0) } else { 0 };
        Ok(Seen {
            ping: ping.answer,
            rejected: rejected.map(|entry| entry.text.clone()),
            provider: provider.map(|entry| entry.text.clone()),
            unit,
            descriptors: descriptors || used_up,
            down,
        })
    }

    /// Whether a restart makes sense, with a look from Traefik's own host where it is silent: from
    /// here a firewall that drops looks like a process that hangs.
    async fn decide(&self, look: Look) -> Result<Precondition, ProbeError> {
        let seen = self.look(look).await?;
        let verdict = judge(&seen);
        if matches!(verdict, Precondition::Holds(_)) && !seen.ping.spoke() {
            let at_home = self.host.answers(&self.client.host_service, look).await?;
            let silent = matches!(seen.ping, Answer::Timeout | Answer::Unreachable);
            if let Some(reason) = at_home.against_restart(silent) {
                return Ok(Precondition::Fails(reason));
            }
        }
        Ok(verdict)
    }

    /// How many servers are in `state`.
    async fn servers(&self, state: State) -> Result<usize, ProbeError> {
        let services = self.client.services().await?;
        let metrics = self.client.metrics().await?;
        Ok(witnessed(&services, &metrics).iter().filter(|server| server.state == state).count())
    }
}

impl Action for Restart {
    fn precondition<'a>(
        &'a self,
        _args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>> {
        Box::pin(async move {
            match self.decide(look).await? {
                Precondition::Fails(reason) => Ok(Precondition::Fails(reason)),
                Precondition::Holds(reason) => {
                    // The host has its own reasons, such as a person who stopped the unit.
                    match self.host.may_restart(&self.client.host_service, look).await? {
                        Precondition::Holds(_) => Ok(Precondition::Holds(reason)),
                        fails => Ok(fails),
                    }
                }
            }
        })
    }

    fn blast_radius<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        Box::pin(async move {
            if !self.client.knock_ping().await.answer.spoke() {
                let summary = "nothing: Traefik does not answer, so nothing works through it now";
                return Ok(BlastRadius { count: 0, summary: summary.to_owned() });
            }
            let down = self.servers(State::Down).await?;
            let all =
                down + self.servers(State::Up).await? + self.servers(State::Unchecked).await?;
            let count = all - down;
            let summary = format!(
                "every connection to the {} behind this Traefik is cut once",
                counted(count, "server")
            );
            Ok(BlastRadius { count: u32::try_from(count).unwrap_or(u32::MAX), summary })
        })
    }

    fn act<'a>(&'a self, _args: &'a Args, look: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        Box::pin(async move {
            // The world may have moved between approval and now; the last look is the one that counts.
            match self.decide(look).await.map_err(ActionError::Refused)? {
                Precondition::Holds(_) => {}
                Precondition::Fails(reason) => {
                    return Err(ActionError::Refused(ProbeError::unable(reason)));
                }
            }
            self.host.restart(&self.client.host_service, look).await?;
            let begun = self.clock.now();
            let mut last = String::new();
            while self.clock.now().since(begun) <= READY_WITHIN {
                let ping = self.client.knock_ping().await;
                if ping.answer == Answer::Ok {
                    let version = self.client.version().await;
                    let version = version.map(|v| format!(" {}", v.version)).unwrap_or_default();
                    let summary = format!("Traefik{version} was restarted and answers its ping");
                    return Ok(Acted { summary });
                }
                last = ping.detail;
                self.clock.sleep(READY_POLL).await;
            }
            Err(ActionError::Ineffective(format!("Traefik still does not answer its ping: {last}")))
        })
    }

    fn happened<'a>(
        &'a self,
        _args: &'a Args,
        intended: TimeMs,
        look: Look,
    ) -> BoxFuture<'a, Result<Happened, ProbeError>> {
        Box::pin(async move {
            let service = &self.client.host_service;
            // A process that answers names its start to the millisecond; else the host is asked.
            let Ok(Some(started)) = self.client.started().await else {
                return self.host.restarted(service, intended, look).await;
            };
            if started >= intended {
                return Ok(Happened::Yes(format!(
                    "Traefik runs since {started}, after it was meant"
                )));
            }
            // The old process answers for as long as it takes to stop gracefully.
            let unit = self.host.unit(service, look).await?;
            Ok(match unit.active_state.as_str() {
                "active" => {
                    Happened::No(format!("Traefik runs since {started}, before it was meant"))
                }
                state => Happened::Unknown(format!(
                    "the Traefik of {started} still answers, and its unit is {state}"
                )),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(running: bool, active_state: &str) -> Unit {
        let facts = serde_json::json!({ "running": running, "active_state": active_state });
        serde_json::from_value(facts).unwrap()
    }

    #[test]
    fn a_restart_is_for_a_process_that_does_not_answer() {
        let wedged = Seen {
            ping: Answer::Timeout,
            unit: unit(true, "active"),
            rejected: None,
            provider: None,
            descriptors: false,
            down: 0,
        };
        let check = |seen: Seen, expected: &str| {
            let got = match judge(&seen) {
                Precondition::Holds(why) => format!("holds: {why}"),
                Precondition::Fails(why) => format!("fails: {why}"),
            };
            assert_eq!(got, expected);
        };
        check(wedged.clone(), "holds: its unit runs and it takes connections and answers none");
        let seen = Seen { ping: Answer::Refused, ..wedged.clone() };
        check(seen, "holds: its unit runs and it does not answer");
        let seen = Seen { ping: Answer::Ok, ..wedged.clone() };
        check(seen.clone(), "fails: Traefik answers");
        check(
            Seen { down: 2, ..seen.clone() },
            "fails: Traefik answers; 2 servers behind it are down, which no restart repairs",
        );
        check(Seen { descriptors: true, ..seen }, "holds: its file descriptors are used up");
        let seen = Seen { ping: Answer::Stopping, ..wedged.clone() };
        check(seen, "fails: Traefik is stopping gracefully");
        let seen = Seen { unit: unit(false, "failed"), ..wedged.clone() };
        check(seen, "fails: it does not run (failed), so there is nothing to restart");
        // Even a wedged Traefik is left alone while its file is broken: afterwards it would answer
        // 404 to everything and look healthy.
        check(
            Seen { rejected: Some("yaml: line 3".to_owned()), ..wedged.clone() },
            "fails: Traefik rejected a configuration file and serves from the last good one, which a \
             restart would lose; correct the file first: yaml: line 3",
        );
        check(
            Seen { provider: Some("docker".to_owned()), ..wedged },
            "fails: a provider cannot be reached, and a new process would start without what it gave: \
             docker",
        );
    }
}
