//! Starting and restarting a service: what each declares. How they do it stands in `change`.

use std::sync::Arc;

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_integration::{
    Acted, Action, ActionError, BlastRadius, Happened, Look, Precondition, ProbeError,
};
use paramedic_model::{BoxFuture, TimeMs};

use super::change::{Change, Verb};
use super::{PRIVILEGE, params};

pub(super) fn start() -> ActionSignature {
    ActionSignature {
        name: "service-start",
        summary: "Starts a service that is not running",
        params: params(),
        risk: Risk::Low,
        privilege: PRIVILEGE,
        precondition: "It exists and does not run, is not masked, was not stopped on request, \
                       systemd has not given up on it and is not about to start it by itself",
        blast_radius: "Nothing: it does not run",
        verification: "Its state is read until it has been active for 5 s with one process",
        undo: "Stop the service",
    }
}

pub(super) fn restart() -> ActionSignature {
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

/// Asks one thing of a service.
pub(super) struct ServiceAction {
    pub verb: Verb,
    pub change: Arc<Change>,
}

impl Action for ServiceAction {
    fn precondition<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>> {
        Box::pin(self.change.precondition(self.verb, args))
    }

    fn blast_radius<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        Box::pin(self.change.blast_radius(self.verb, args))
    }

    fn act<'a>(&'a self, args: &'a Args, _look: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        Box::pin(self.change.act(self.verb, args))
    }

    fn happened<'a>(
        &'a self,
        args: &'a Args,
        intended: TimeMs,
        _look: Look,
    ) -> BoxFuture<'a, Result<Happened, ProbeError>> {
        Box::pin(self.change.happened(args, intended))
    }
}
