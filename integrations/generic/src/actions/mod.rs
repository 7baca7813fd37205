//! The actions: what they declare in `service`, how they are done in `change`.

mod change;
mod service;

use std::sync::Arc;

use paramedic_catalog::{ActionSignature, Param, ParamKind};
use paramedic_integration::Kit;

use crate::host::{ActingHost, Host};
use crate::probes::service_param;
use change::{Change, Verb};
use service::ServiceAction;

/// What every action declares.
pub(crate) fn signatures() -> Vec<ActionSignature> {
    vec![service::start(), service::restart()]
}

/// Adds the actions of `host` to `kit`.
pub(crate) fn add(kit: Kit, host: &Arc<Host>, acting: ActingHost) -> Kit {
    let change = Arc::new(Change { host: host.clone(), acting });
    let start = ServiceAction { verb: Verb::Start, change: change.clone() };
    let restart = ServiceAction { verb: Verb::Restart, change };
    kit.with_action("service-start", start).with_action("service-restart", restart)
}

/// Lets a step start what a person stopped.
const ALTHOUGH_STOPPED: &str = "although_stopped";
/// Lets a step start what systemd gave up on.
const AFTER_START_LIMIT: &str = "after_start_limit";

/// The parameters of both actions.
fn params() -> Vec<Param> {
    vec![
        service_param(),
        Param::optional(
            ALTHOUGH_STOPPED,
            ParamKind::Bool,
            "start it even where a person or a script stopped it; false where left out",
        ),
        Param::optional(
            AFTER_START_LIMIT,
            ParamKind::Bool,
            "start it even where systemd gave up on it: for a step that comes after another one \
             which removed the reason; false where left out",
        ),
    ]
}

const PRIVILEGE: &str =
    "a polkit rule, or a sudoers line with `ssh.sudo`, for `systemctl` with this verb and unit";
