//! Starts a service that is not running.

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

pub(super) struct ServiceStart(pub(super) Arc<Change>);

impl Action for ServiceStart {
    fn precondition<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>> {
        Box::pin(self.0.precondition(Verb::Start, args))
    }

    fn blast_radius<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        Box::pin(self.0.blast_radius(Verb::Start, args))
    }

    fn act<'a>(&'a self, args: &'a Args, _look: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        Box::pin(self.0.act(Verb::Start, args))
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
