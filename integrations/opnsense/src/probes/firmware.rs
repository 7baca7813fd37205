//! The version, pending updates, and whether an update runs or went wrong.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::{Value, json};

use super::{Looked, count, evidence};
use crate::client::{FIRMWARE_PRIVILEGE, Firewall};
use crate::json::{field, flag};

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "firmware",
        summary: "The version, pending updates, and whether an update runs now or failed last",
        params: vec![],
        facts: vec![
            Field::new("version", FieldType::Text, "The installed version."),
            Field::new("checked", FieldType::Bool, "Updates were looked for since the start."),
            Field::new("updates", FieldType::Int, "Packages that would change; 0 if not checked."),
            Field::new("major", FieldType::Text, "The major version that is offered, or empty."),
            Field::new("needs_reboot", FieldType::Bool, "The firewall waits for a reboot."),
            Field::new("busy", FieldType::Bool, "A check, update or upgrade runs now."),
            Field::new("last_run", FieldType::Text, "`done`, `running`, `reboot`, or `error`."),
            Field::new("partial_failure", FieldType::Bool, "The last run failed half-way."),
        ],
        privilege: FIRMWARE_PRIVILEGE,
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, _args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let busy = firewall.firmware_busy().await?;
        let status = firewall.get("/api/core/firmware/status", FIRMWARE_PRIVILEGE).await?;
        let run = firewall.get("/api/core/firmware/upgradestatus", FIRMWARE_PRIVILEGE).await?;
        let inner = &status["product"];
        let version = Some(field(&status, "product_version")).filter(|text| !text.is_empty());
        let version = version.unwrap_or_else(|| field(inner, "product_version"));
        // Without a check since the start the answer has no `last_check`, and "none" means nothing.
        let checked = !field(&status, "last_check").is_empty();
        let length = |name: &str| status.get(name).and_then(Value::as_array).map_or(0, Vec::len);
        let updates = length("new_packages") + length("upgrade_packages");
        let last_run = field(&run, "status");
        let partial_failure = field(&run, "log").contains("Partial update failure");
        let state = if busy {
            "a firmware task runs now".to_owned()
        } else if partial_failure {
            "the last update failed half-way".to_owned()
        } else if !checked {
            "updates were not looked for since the start".to_owned()
        } else {
            count(updates, "update is pending", "updates are pending")
        };
        let facts = json!({
            "version": version,
            "checked": checked,
            "updates": updates,
            "major": field(&status, "upgrade_major_version"),
            "needs_reboot": flag(&status, "needs_reboot").unwrap_or(false),
            "busy": busy,
            "last_run": last_run,
            "partial_failure": partial_failure,
        });
        let excerpt = firewall.excerpt([field(&status, "status_msg"), last_run]);
        Ok(evidence(facts, format!("version {version}; {state}"), excerpt))
    })
}
