//! Restarts one service by the id that the firewall lists.

use paramedic_catalog::{ActionSignature, Risk};

use super::{Entry, service};
use crate::services::{Aim, Request};

pub(super) const ENTRY: Entry = Entry {
    signature,
    precondition: |acting, args, look| Box::pin(service::precondition(acting, args, look)),
    blast_radius: |acting, args, _| Box::pin(service::blast_radius(acting, args)),
    act: |acting, args, _| Box::pin(service::request(acting, args, "restart")),
    happened: |acting, args, intended, _| {
        Box::pin(service::happened(acting, args, &[Request::Restart], intended))
    },
};

fn signature() -> ActionSignature {
    ActionSignature {
        name: "service-restart",
        summary: "Restarts one service that is down",
        params: Aim::params(),
        risk: Risk::Low,
        privilege: service::PRIVILEGE,
        precondition: service::PRECONDITION,
        blast_radius: service::BLAST_RADIUS,
        verification: service::VERIFICATION,
        undo: "Stop the service again",
    }
}
