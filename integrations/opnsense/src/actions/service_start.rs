//! Starts one service by the id that the firewall lists. Unlike a restart it does not first run
//! the stop script, which for some services waits for a process that is not there.

use paramedic_catalog::{ActionSignature, Risk};

use super::{Entry, service};
use crate::services::{Aim, Request};

pub(super) const ENTRY: Entry = Entry {
    signature,
    precondition: |acting, args, look| Box::pin(service::precondition(acting, args, look)),
    blast_radius: |acting, args, _| Box::pin(service::blast_radius(acting, args)),
    act: |acting, args, _| Box::pin(service::request(acting, args, "start")),
    happened: |acting, args, intended, _| {
        Box::pin(service::happened(acting, args, &[Request::Start], intended))
    },
};

fn signature() -> ActionSignature {
    ActionSignature {
        name: "service-start",
        summary: "Starts one service that is down",
        params: Aim::params(),
        risk: Risk::Low,
        privilege: service::PRIVILEGE,
        precondition: service::PRECONDITION,
        blast_radius: service::BLAST_RADIUS,
        verification: service::VERIFICATION,
        undo: "Stop the service again",
    }
}
