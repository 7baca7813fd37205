//! Stops a service that runs or is paused, and starts it again, with those that depend on it.

use std::sync::Arc;

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_integration::{
    Acted, Action, ActionError, BlastRadius, Happened, Look, Precondition, ProbeError,
};
use paramedic_model::{BoxFuture, TimeMs};

use super::{Ground, Tools, change, started_since};
use crate::host::{Control, Service, State};
use crate::probes;

pub(super) fn signature() -> ActionSignature {
    ActionSignature {
        name: "service-restart",
        summary: "Stops the service and starts it again; running services that depend on it are \
                  stopped before and started after",
        params: vec![probes::name_param()],
        risk: Risk::Medium,
        privilege: "Start and stop on the service and its dependents (RP, WP), WMI Execute Methods",
        precondition: "The service is listed, runs or is paused, and takes a stop; it may be \
                       started again (as service-start has it); nothing is being installed, no \
                       update waits for a restart, no cluster node; neither it nor a dependent is \
                       one that the host or the way in depends on. A service that hangs on its way \
                       to another state is refused: it takes no control",
        blast_radius: "The running services that depend on it, counted",
        verification: "State `Running` with a new process that stays, and every dependent that \
                       ran runs again",
        undo: "None: what was in flight is lost",
    }
}

pub(super) struct Restart(pub Arc<Tools>);

/// Why the service must not be restarted.
fn against(ground: &Ground, service: &Service) -> Option<String> {
    let title = service.title();
    let state = service.state.as_str().to_lowercase();
    match service.state {
        State::Running | State::Paused => {}
        State::Stopped => return Some(format!("{title} is stopped: start it instead")),
        _ => {
            return Some(format!(
                "{title} hangs in state {state} and takes no control; ending its process is for \
                 a person"
            ));
        }
    }
    if !service.accepts_stop {
        return Some(format!("{title} takes no stop"));
    }
    // A running service that is disabled by now would not come back.
    if service.is_disabled() {
        return Some(format!("{title} is disabled and would not start again"));
    }
    let untouchable = |other: &&&Service| ground.may_touch(other).is_err();
    let dependents = ground.running_dependents(service);
    let bad = dependents.iter().find(untouchable)?;
    Some(format!("{} depends on it and may not be stopped", bad.title()))
}

impl Action for Restart {
    fn precondition<'a>(
        &'a self,
        args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>> {
        Box::pin(async move {
            let (ground, mut viewer) = self.0.ground(look).await?;
            let service = match ground.service(args) {
                Ok(service) => service,
                Err(reason) => return Ok(Precondition::Fails(reason)),
            };
            if let Some(reason) = against(&ground, service) {
                return Ok(Precondition::Fails(reason));
            }
            if viewer.service_key(service).await?.marked_for_deletion {
                let reason = format!("{} is being removed", service.title());
                return Ok(Precondition::Fails(reason));
            }
            let state = service.state.as_str().to_lowercase();
            Ok(Precondition::Holds(format!("{} is {state} and takes a stop", service.title())))
        })
    }

    fn blast_radius<'a>(
        &'a self,
        args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        Box::pin(async move {
            let (ground, _) = self.0.ground(look).await?;
            let Ok(service) = ground.service(args) else {
                let summary = "the service is not touched".to_owned();
                return Ok(BlastRadius { count: 0, summary });
            };
            let dependents = ground.running_dependents(service);
            let names: Vec<String> = dependents.iter().map(|other| other.title()).collect();
            let summary = if names.is_empty() {
                "no running service depends on it".to_owned()
            } else {
                format!("stopped for a moment: {}", names.join(", "))
            };
            let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
            Ok(BlastRadius { count, summary })
        })
    }

    fn act<'a>(&'a self, args: &'a Args, look: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        Box::pin(async move {
            let (ground, _) = self.0.ground(look).await.map_err(ActionError::Refused)?;
            let refuse = |reason| ActionError::Refused(ProbeError::unable(reason));
            let service = ground.service(args).map_err(refuse)?;
            if let Some(reason) = against(&ground, service) {
                return Err(refuse(reason));
            }
            let dependents = ground.running_dependents(service);
            let mut operator = self.0.hands.operate().await?;
            let tools = &self.0;
            let mut down: Vec<&Service> = Vec::new();
            let mut stopped = Ok(());
            for target in dependents.iter().copied().chain([service]) {
                match change(tools, &mut operator, target, Control::Stop).await {
                    Ok(_) => down.push(target),
                    Err(error) => {
                        stopped = Err(error);
                        break;
                    }
                }
            }
            // Whatever was stopped is started again, the last one first, also when a later stop
            // failed: a half-done restart must not leave more down than there was before.
            let mut failure = stopped.err();
            let mut pid = 0;
            for target in down.into_iter().rev() {
                match change(tools, &mut operator, target, Control::Start).await {
                    Ok(after) if after.is(&service.name) => pid = after.pid,
                    Ok(_) => {}
                    Err(error) => {
                        failure.get_or_insert(error);
                    }
                }
            }
            match failure {
                Some(error) => Err(error),
                None => {
                    let title = service.title();
                    let others = match dependents.len() {
                        0 => String::new(),
                        n => format!(", and {n} that depend on it run again"),
                    };
                    let summary = format!("restarted {title}; it runs as process {pid}{others}");
                    Ok(Acted { summary })
                }
            }
        })
    }

    fn happened<'a>(
        &'a self,
        args: &'a Args,
        intended: TimeMs,
        look: Look,
    ) -> BoxFuture<'a, Result<Happened, ProbeError>> {
        Box::pin(async move {
            let mut viewer = self.0.site.lookout.view().await?;
            let services = viewer.services().await?;
            let Some(service) = probes::find(&services, args) else {
                return Ok(Happened::Unknown("the service is not listed any more".to_owned()));
            };
            // It ran before, so a stopped service was stopped since, perhaps by this action.
            if service.state != State::Running && service.state != State::Paused {
                let title = service.title();
                let reason = format!("{title} is not running: the restart may have got half-way");
                return Ok(Happened::Unknown(reason));
            }
            let mut running = service.clone();
            running.state = State::Running;
            started_since(&mut viewer, &running, intended, look).await
        })
    }
}
