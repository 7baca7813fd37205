//! Starts what the service needs and does not run, one level deep.

use std::sync::Arc;

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_integration::{
    Acted, Action, ActionError, BlastRadius, Happened, Look, Precondition, ProbeError,
};
use paramedic_model::{BoxFuture, TimeMs};

use super::{Tools, change, started_since};
use crate::host::{Control, State};
use crate::probes;

pub(super) fn signature() -> ActionSignature {
    ActionSignature {
        name: "service-start-dependency",
        summary: "Starts the stopped services that the service needs, not the service itself",
        params: vec![probes::name_param()],
        risk: Risk::Low,
        privilege: "Start on those services (RP), WMI Execute Methods",
        precondition: "The service is listed and needs one that is stopped; each of those may be \
                       started, as service-start has it",
        blast_radius: "None",
        verification: "Each of them is `Running`, with the same process some seconds later",
        undo: "Stop them",
    }
}

pub(super) struct StartDependency(pub Arc<Tools>);

impl Action for StartDependency {
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
            let needed = ground.stopped_needs(service);
            if needed.is_empty() {
                let reason = format!("all that {} needs is running", service.title());
                return Ok(Precondition::Fails(reason));
            }
            for other in &needed {
                let title = other.title();
                if let Err(reason) = ground.may_touch(other) {
                    return Ok(Precondition::Fails(reason));
                }
                if other.state != State::Stopped {
                    let state = other.state.as_str().to_lowercase();
                    return Ok(Precondition::Fails(format!("{title} is {state}, not stopped")));
                }
                let key = viewer.service_key(other).await?;
                if let Some(reason) = ground.against_start(other, &key) {
                    return Ok(Precondition::Fails(reason));
                }
            }
            let names: Vec<_> = needed.iter().map(|other| other.title()).collect();
            Ok(Precondition::Holds(format!("stopped and needed: {}", names.join(", "))))
        })
    }

    fn blast_radius<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        let summary = "nothing that works now is interrupted".to_owned();
        Box::pin(async { Ok(BlastRadius { count: 0, summary }) })
    }

    fn act<'a>(&'a self, args: &'a Args, look: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        Box::pin(async move {
            let (ground, _) = self.0.ground(look).await.map_err(ActionError::Refused)?;
            let refuse = |reason| ActionError::Refused(ProbeError::unable(reason));
            let service = ground.service(args).map_err(refuse)?;
            let needed = ground.stopped_needs(service);
            if needed.is_empty() {
                return Err(refuse(format!("all that {} needs is running", service.title())));
            }
            for other in &needed {
                ground.may_touch(other).map_err(refuse)?;
            }
            let mut operator = self.0.hands.operate().await?;
            let mut started = Vec::new();
            for other in needed {
                let after = change(&self.0, &mut operator, other, Control::Start).await?;
                started.push(format!("{} as process {}", after.title(), after.pid));
            }
            Ok(Acted { summary: format!("started {}", started.join(" and ")) })
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
            let edges = viewer.dependencies().await?;
            let Some(service) = probes::find(&services, args) else {
                return Ok(Happened::Unknown("the service is not listed any more".to_owned()));
            };
            let needed = probes::needs(service, &edges);
            let mut answer = Happened::No("none of what it needs was started".to_owned());
            for edge in needed {
                let Some(other) = services.iter().find(|other| other.is(&edge.on)) else {
                    continue;
                };
                match started_since(&mut viewer, other, intended, look).await? {
                    Happened::Yes(how) => return Ok(Happened::Yes(how)),
                    Happened::No(_) => {}
                    // A shared process may be older than the start of one service in it; such a
                    // needed service, running all along, says nothing.
                    Happened::Unknown(_) if other.state == State::Running && !other.own_process => {
                    }
                    Happened::Unknown(how) => answer = Happened::Unknown(how),
                }
            }
            Ok(answer)
        })
    }
}
