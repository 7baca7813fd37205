//! Stops a service and starts it again; starts it where it does not run.

use std::sync::Arc;

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_integration::{
    Acted, Action, ActionError, BlastRadius, Happened, Look, Precondition, ProbeError,
};
use paramedic_model::{BoxFuture, TimeMs};

use super::change::{Change, Verb};
use super::{PRIVILEGE, params};

pub(super) fn signature() -> ActionSignature {
    ActionSignature {
        name: "service-restart",
        summary: "Stops a service and starts it again; starts it where it does not run",
        params: params(),
        risk: Risk::Medium,
        privilege: PRIVILEGE,
        precondition: "As for service-start, except that the service may run",
        blast_radius: "The service itself where it runs: what it serves is interrupted",
        verification: "Another process than before has been active for 5 s",
        undo: "Cannot be undone: connections that broke stay broken",
    }
}

pub(super) struct ServiceRestart(pub(super) Arc<Change>);

impl Action for ServiceRestart {
    fn precondition<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>> {
        Box::pin(self.0.precondition(Verb::Restart, args))
    }

    fn blast_radius<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        Box::pin(self.0.blast_radius(Verb::Restart, args))
    }

    fn act<'a>(&'a self, args: &'a Args, _look: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        Box::pin(self.0.act(Verb::Restart, args))
    }

    fn happened<'a>(
        &'a self,
        args: &'a Args,
        intended: TimeMs,
        _look: Look,
    ) -> BoxFuture<'a, Result<Happened, ProbeError>> {
        Box::pin(self.0.happened(args, intended))
    }
}
