//! Starts a stopped service.

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
        name: "service-start",
        summary: "Starts the service, where it is stopped",
        params: vec![probes::name_param()],
        risk: Risk::Low,
        privilege: "Start on the service (RP), WMI Execute Methods",
        precondition: "The service is listed and stopped; not disabled, not stopped by a person, \
                       not at rest by triggers or delay, not in a crash loop, not about to be \
                       restarted by its own recovery; no cause that a start cannot mend (logon, \
                       port, disk, program, rights); no needed service is down; nothing is being \
                       installed, no update waits for a restart, no cluster node; not one of the \
                       services that the host or the way in depends on",
        blast_radius: "None: what it needs and does not run is started with it",
        verification: "State `Running`, with the same process some seconds later",
        undo: "Stop the service",
    }
}

pub(super) struct Start(pub Arc<Tools>);

impl Action for Start {
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
            let title = service.title();
            if service.state != State::Stopped {
                let state = service.state.as_str().to_lowercase();
                return Ok(Precondition::Fails(format!("{title} is {state}, not stopped")));
            }
            let key = viewer.service_key(service).await?;
            if let Some(reason) = ground.against_start(service, &key) {
                return Ok(Precondition::Fails(reason));
            }
            if let Some(needed) = ground.stopped_needs(service).first() {
                return Ok(Precondition::Fails(format!(
                    "{title} needs {}, which does not run: start that first",
                    needed.title()
                )));
            }
            Ok(Precondition::Holds(format!(
                "{title} is stopped and nothing speaks against a start"
            )))
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
            let mut operator = self.0.hands.operate().await?;
            let after = change(&self.0, &mut operator, service, Control::Start).await?;
            let (title, pid) = (after.title(), after.pid);
            Ok(Acted { summary: format!("started {title}; it runs as process {pid}") })
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
            match probes::find(&services, args) {
                Some(service) => started_since(&mut viewer, service, intended, look).await,
                None => Ok(Happened::Unknown("the service is not listed any more".to_owned())),
            }
        })
    }
}
