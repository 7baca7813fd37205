//! Whether a service runs, since when, and how it ended.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;

use super::{evidence, service_param};
use crate::host::Host;
use crate::status;

pub(super) fn signature() -> ProbeSignature {
    let text = |name, doc| Field::new(name, FieldType::Text, doc);
    let flag = |name, doc| Field::new(name, FieldType::Bool, doc);
    let some_int = |name, doc| Field::new(name, FieldType::Int.or_null(), doc);
    let some_float = |name, doc| Field::new(name, FieldType::Float.or_null(), doc);
    ProbeSignature {
        name: "service-status",
        summary: "Whether a service runs, since when, and how it ended",
        params: vec![service_param()],
        facts: vec![
            text("service", "the service, as the step named it"),
            text("unit", "its systemd unit; empty for local commands"),
            flag("exists", "the host has such a unit"),
            flag("running", "it is active"),
            flag("failed", "systemd counts it as failed"),
            text(
                "active_state",
                "`active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`",
            ),
            text("sub_state", "`running`, `dead`, `failed`, `auto-restart`, ..."),
            text(
                "result",
                "how it last ended: `success`, `exit-code`, `signal`, `core-dump`, `oom-kill`, \
                 `watchdog`, `timeout`, `start-limit-hit`, ...",
            ),
            some_int("exit_code", "the exit code of its last process, where it does not run"),
            some_int("signal", "the signal that ended its last process, where it does not run"),
            Field::new("restart_count", FieldType::Int, "how often systemd restarted it by itself"),
            flag("auto_restart", "systemd is about to start it again"),
            some_float("restart_in_seconds", "how long until systemd starts it again"),
            flag("start_limit_hit", "it failed so often that systemd gave up"),
            flag("enabled", "it starts at boot"),
            flag("masked", "an administrator forbade its start"),
            text("unit_file_state", "`enabled`, `disabled`, `masked`, ..."),
            Field::new(
                "stopped_on_request",
                FieldType::Bool.or_null(),
                "whether its last stop was asked for, by a person, a script or another unit, \
                 rather than its own end; null where it runs or the journal does not tell",
            ),
            some_int("pid", "its main process"),
            Field::new("since", FieldType::Text.or_null(), "when its state last changed, RFC 3339"),
            some_float("since_seconds", "how long ago that was, by the host's own clock"),
        ],
        privilege: "none; `stopped_on_request` needs the group systemd-journal",
    }
}

pub(super) struct ServiceStatus(pub(super) Arc<Host>);

impl Probe for ServiceStatus {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let name = args.text("service");
            let status = status::read(&self.0, self.0.service(name)?).await?;
            let summary = format!("{name} {}", status.describe());
            Ok(evidence(&self.0, status.facts(name).into(), &summary, ""))
        })
    }
}
