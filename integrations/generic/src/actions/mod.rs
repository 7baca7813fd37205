//! The actions: one file each, and what they share in `change`.

mod change;
mod service_restart;
mod service_start;

use std::sync::Arc;

use paramedic_catalog::{ActionSignature, Param, ParamKind};
use paramedic_integration::Kit;

use crate::host::{ActingHost, Host};
use crate::probes::service_param;
use change::Change;

/// What every action declares.
pub(crate) fn signatures() -> Vec<ActionSignature> {
    vec![service_start::signature(), service_restart::signature()]
}

/// Adds the actions of `host` to `kit`.
pub(crate) fn add(kit: Kit, host: &Arc<Host>, acting: ActingHost) -> Kit {
    let change = Arc::new(Change { host: host.clone(), acting });
    kit.with_action("service-start", service_start::ServiceStart(change.clone()))
        .with_action("service-restart", service_restart::ServiceRestart(change))
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
