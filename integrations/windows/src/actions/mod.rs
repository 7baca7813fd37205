//! The actions: one file each, with its signature and its code.
//!
//! What they share is here: the fresh look before ([`Ground`]), the wait after ([`settle`]), and
//! the question after a crash ([`started_since`]).
//!
//! The name of a service comes from a label. It is compared with what the host lists, and what is
//! sent is the host's own spelling, as the value of a selector.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{ActionSignature, Args};
use paramedic_integration::{ActionError, Happened, Kit, Look, ProbeError};
use paramedic_model::TimeMs;

use crate::codes::{self, Class};
use crate::history::{CRASH_LOOP, History};
use crate::host::{
    Control, Dependency, Hands, Log, LogEvent, OperatingSystem, Operator, PendingReboot, Service,
    ServiceKey, State, Viewer,
};
use crate::probes::{self, LOOKBACK};
use crate::settings::Site;

mod service_restart;
mod service_start;
mod service_start_dependency;

/// How often a state is read while it is waited for.
const POLL: Duration = Duration::from_secs(2);
/// How long a start or stop may take at least, and at most whatever the service asks for.
const SETTLE_MIN: Duration = Duration::from_secs(30);
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// For how long a started service must keep its process to count as started.
const HOLD: Duration = Duration::from_secs(6);
/// The log keeps whole seconds, so a moment may be that much older there.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// Services that are never touched: the host, its logins, its network, its protection, or the way
/// in depend on them.
const UNTOUCHABLE: [&str; 24] = [
    "RpcSs",
    "RpcEptMapper",
    "DcomLaunch",
    "LSM",
    "SamSs",
    "Netlogon",
    "NTDS",
    "Kdc",
    "DNS",
    "EventLog",
    "Winmgmt",
    "ClusSvc",
    "vmms",
    "TermService",
    "Dhcp",
    "nsi",
    "Dnscache",
    "BFE",
    "mpssvc",
    "WinDefend",
    "WinRM",
    "sshd",
    "windows_exporter",
    "PlugPlay",
];

/// What the actions declare.
pub(crate) fn signatures() -> Vec<ActionSignature> {
    vec![
        service_start::signature(),
        service_restart::signature(),
        service_start_dependency::signature(),
    ]
}

/// `kit` with all actions.
pub(crate) fn add_to(kit: Kit, site: &Arc<Site>, hands: Hands) -> Kit {
    let tools = Arc::new(Tools { site: site.clone(), hands });
    kit.with_action("service-start", service_start::Start(tools.clone()))
        .with_action("service-restart", service_restart::Restart(tools.clone()))
        .with_action("service-start-dependency", service_start_dependency::StartDependency(tools))
}

/// What an action works with.
struct Tools {
    site: Arc<Site>,
    hands: Hands,
}

/// A fresh look at everything that speaks for or against touching a service.
struct Ground {
    services: Vec<Service>,
    edges: Vec<Dependency>,
    events: Vec<LogEvent>,
    reboot: PendingReboot,
    os: OperatingSystem,
    now: TimeMs,
}

impl Tools {
    async fn ground(&self, look: Look) -> Result<(Ground, Viewer), ProbeError> {
        let mut viewer = self.site.lookout.view().await?;
        let services = viewer.services().await?;
        let edges = viewer.dependencies().await?;
        let events = viewer.events(Log::System, look.since - LOOKBACK).await?;
        let reboot = viewer.pending_reboot().await?;
        let os = viewer.operating_system().await?;
        Ok((Ground { services, edges, events, reboot, os, now: look.now }, viewer))
    }

    async fn sleep(&self, duration: Duration) {
        self.site.lookout.clock().sleep(duration).await;
    }
}

impl Ground {
    /// The service that is meant, or why it is not touched whatever its state.
    fn service(&self, args: &Args) -> Result<&Service, String> {
        let found = probes::find(&self.services, args);
        let service = found.ok_or("the host lists no service of this name")?;
        self.may_touch(service)?;
        Ok(service)
    }

    fn may_touch(&self, service: &Service) -> Result<(), String> {
        if UNTOUCHABLE.iter().any(|name| service.is(name)) {
            return Err(format!(
                "{} is one of those that the host or the way in depends on: a person must",
                service.title()
            ));
        }
        let installers = probes::installers(&self.services);
        if !installers.is_empty() {
            let names = installers.join(" and ");
            return Err(format!("something is being installed ({names} runs)"));
        }
        if self.reboot.is_update() {
            return Err("an update waits for a restart of the host: a start now may run \
                        half-replaced files"
                .to_owned());
        }
        let cluster = self.services.iter().any(|s| s.is("ClusSvc") && s.state == State::Running);
        if cluster {
            return Err("the host is a cluster node: services move through the cluster".to_owned());
        }
        Ok(())
    }

    fn history(&self, service: &Service) -> History {
        History::of(&self.events, service, self.now)
    }

    /// Why a stopped service must not be started, or could not.
    fn against_start(&self, service: &Service, key: &ServiceKey) -> Option<String> {
        let title = service.title();
        let history = self.history(service);
        let booted_s = self.os.now.since(self.os.booted).as_secs();
        let starts_late = service.delayed == Some(true)
            && booted_s < probes::STARTING_UP_S
            && codes::class(service.code()) == Class::NeverStarted;
        let by = |who: &str| if who.is_empty() { String::new() } else { format!(" by {who}") };
        if service.is_disabled() {
            return Some(format!("{title} is disabled, which a person decided"));
        }
        if key.marked_for_deletion {
            return Some(format!("{title} is being removed"));
        }
        if key.has_triggers && codes::class(service.code()) == Class::Clean {
            return Some(format!("{title} is started by triggers: stopped is how it rests"));
        }
        if starts_late {
            return Some(format!(
                "{title} starts late by its configuration, and the host booted {booted_s} s ago"
            ));
        }
        if history.stopped_on_request {
            let by = by(&history.stopped_by);
            return Some(format!("{title} was asked to stop{by} and did; ask them first"));
        }
        if let Some(due) = history.recovery_due {
            return Some(format!("its own recovery starts {title} at {due}"));
        }
        if history.crash_count >= CRASH_LOOP {
            return Some(format!(
                "{title} ended unexpectedly {} times: one more start adds one more crash",
                history.crash_count
            ));
        }
        history.failure_class(service).against_starting().map(|reason| format!("{title}: {reason}"))
    }

    /// The needed services that do not run.
    fn stopped_needs(&self, service: &Service) -> Vec<&Service> {
        probes::needs(service, &self.edges)
            .into_iter()
            .filter_map(|edge| self.services.iter().find(|other| other.is(&edge.on)))
            .filter(|other| other.state != State::Running)
            .collect()
    }

    /// The services that run and would be stopped with this one, in the order to stop them.
    fn running_dependents(&self, service: &Service) -> Vec<&Service> {
        let dependents = probes::dependents(service, &self.services, &self.edges);
        dependents.into_iter().filter(|other| other.state == State::Running).collect()
    }
}

/// Asks for one change, and waits until the service is where it should be.
async fn change(
    tools: &Tools,
    operator: &mut Operator,
    service: &Service,
    control: Control,
) -> Result<Service, ActionError> {
    let goal = match control {
        Control::Start => State::Running,
        Control::Stop => State::Stopped,
    };
    let returned = operator.control(service, control).await?;
    // Whatever it returned, only the state says what happened: a start that "timed out" may go on,
    // and one that was "accepted" may fail a moment later.
    let after = settle(tools, service, goal).await?;
    if after.state == goal {
        return Ok(after);
    }
    let word = match control {
        Control::Start => "start",
        Control::Stop => "stop",
    };
    Err(ActionError::Ineffective(format!(
        "{} did not {word} ({}): it is {}, exit {}",
        service.title(),
        codes::return_value(returned),
        after.state.as_str().to_lowercase(),
        codes::explain(after.code()),
    )))
}

/// Reads the state until it is `goal` and stays so, or is final, or time is up.
async fn settle(tools: &Tools, service: &Service, goal: State) -> Result<Service, ActionError> {
    let hint = Duration::from_millis(service.wait_hint_ms);
    let limit = hint.clamp(SETTLE_MIN, SETTLE_MAX);
    let mut waited = Duration::ZERO;
    loop {
        let now = read(tools, service).await?;
        if now.state == goal {
            if goal != State::Running {
                return Ok(now);
            }
            tools.sleep(HOLD).await;
            let held = read(tools, service).await?;
            if held.state == goal && held.pid == now.pid {
                return Ok(held);
            }
            let reason = format!("{} started and did not stay up", service.title());
            return Err(ActionError::Ineffective(reason));
        }
        if !now.state.is_pending() && waited >= POLL * 2 || waited >= limit {
            return Ok(now);
        }
        tools.sleep(POLL).await;
        waited += POLL;
    }
}

async fn read(tools: &Tools, service: &Service) -> Result<Service, ActionError> {
    let services = async { tools.site.lookout.view().await?.services().await };
    let services = services.await.map_err(ActionError::Uncertain)?;
    let found = services.into_iter().find(|other| other.is(&service.name));
    let gone = || format!("{} is not listed any more", service.title());
    found.ok_or_else(|| ActionError::Ineffective(gone()))
}

/// Whether `service` was started since `intended`, by the age of its process and the log.
async fn started_since(
    viewer: &mut Viewer,
    service: &Service,
    intended: TimeMs,
    look: Look,
) -> Result<Happened, ProbeError> {
    let os = viewer.operating_system().await?;
    // The moment of the intent on the host's clock.
    let skew_ms = os.now.0 - look.now.0;
    let intended = TimeMs(intended.0 + skew_ms) - CLOCK_SLACK;
    let title = service.title();
    if service.state == State::Running || service.state == State::StartPending {
        let processes = viewer.processes().await?;
        let process = processes.iter().find(|process| process.pid == service.pid);
        return Ok(match process.and_then(|process| process.created) {
            Some(created) if created >= intended => {
                Happened::Yes(format!("the process of {title} was created at {created}"))
            }
            // A shared process may be older than the service in it.
            Some(_) if !service.own_process => {
                Happened::Unknown(format!("{title} runs in a process that others share"))
            }
            Some(created) => {
                Happened::No(format!("the process of {title} has run since {created}"))
            }
            None => Happened::Unknown(format!("{title} runs, and its process shows no age")),
        });
    }
    let events = viewer.events(Log::System, intended).await?;
    let history = History::of(&events, service, look.now);
    Ok(match history.events.first() {
        Some(event) => {
            let at = event.at;
            Happened::Yes(format!("{title} does not run; event {} of {at} is about it", event.code))
        }
        None => Happened::No(format!("{title} does not run, and no event says that it was tried")),
    })
}
