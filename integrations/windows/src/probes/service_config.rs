//! How the service is set up: program, account, start, recovery, and whether that can work.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, evidence, name_param, require};
use crate::settings::Site;

pub(super) fn signature() -> ProbeSignature {
    let step = vec![
        Field::new("action", FieldType::Text, "`restart`, `none`, `reboot` or `command`."),
        Field::new("delay_s", FieldType::Int, "After how long."),
    ];
    ProbeSignature {
        name: "service-config",
        summary: "Program, account, start mode, triggers and recovery of the service",
        params: vec![name_param()],
        facts: vec![
            Field::new("program", FieldType::Text, "Without its arguments."),
            Field::new("program_exists", FieldType::Bool, "The file is there."),
            Field::new("unquoted", FieldType::Bool, "A path with blanks and no quotes: a risk."),
            Field::new("account", FieldType::Text, "Who it runs as."),
            Field::new("has_password", FieldType::Bool, "An account whose password can expire."),
            Field::new("start_mode", FieldType::Text, "`Auto`, `Manual` or `Disabled`."),
            Field::new("delayed", FieldType::Bool, "Starts some minutes after boot."),
            Field::new("triggered", FieldType::Bool, "Starts and stops by triggers."),
            Field::new("marked_for_deletion", FieldType::Bool, "It is being removed."),
            Field::new(
                "recovery",
                FieldType::records(step),
                "For the 1st, 2nd and later failures.",
            ),
            Field::new("restarts_itself", FieldType::Bool, "Some step of that is `restart`."),
        ],
        privilege: "WMI root/cimv2 and root/default, read of the service's registry key",
    }
}

pub(super) fn look<'a>(site: &'a Site, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut viewer = site.lookout.view().await?;
        let services = viewer.services().await?;
        let service = require(&services, args)?;
        let key = viewer.service_key(service).await?;
        let program = service.image().to_owned();
        let program_exists = !program.is_empty() && viewer.file_exists(&program).await?;
        let unquoted = program.contains(' ') && !service.path.trim_start().starts_with('"');
        let has_password = has_password(&service.account);
        let steps = &key.failure_actions.steps;
        let recovery: Vec<_> = steps
            .iter()
            .map(|step| json!({ "action": step.action, "delay_s": step.delay_ms / 1000 }))
            .collect();
        let restarts_itself = steps.iter().any(|step| step.action == "restart");
        let delayed = service.delayed == Some(true);
        let facts = json!({
            "program": program,
            "program_exists": program_exists,
            "unquoted": unquoted,
            "account": service.account,
            "has_password": has_password,
            "start_mode": service.start_mode,
            "delayed": delayed,
            "triggered": key.has_triggers,
            "marked_for_deletion": key.marked_for_deletion,
            "recovery": recovery,
            "restarts_itself": restarts_itself,
        });
        let mut parts = vec![format!("start mode {}", service.start_mode.to_lowercase())];
        let mut note = |holds: bool, text: &str| {
            if holds {
                parts.push(text.to_owned());
            }
        };
        note(delayed, "delayed");
        note(key.has_triggers, "started by triggers");
        note(key.marked_for_deletion, "marked for deletion");
        note(!program_exists, "its program is not there");
        note(unquoted, "its path has blanks and no quotes");
        note(restarts_itself, "restarts itself after a failure");
        parts.push(format!("runs as {}", service.account));
        let excerpt = site.lookout.excerpt([
            format!("PathName {program}"),
            format!("StartName {}", service.account),
            format!("FailureActions {:?}", key.failure_actions),
        ]);
        Ok(evidence(facts, parts.join("; "), excerpt))
    })
}

/// Whether an account has a password of its own: not the built-in ones, not virtual ones, and not
/// managed ones, whose names end in a dollar sign.
fn has_password(account: &str) -> bool {
    let lower = account.to_ascii_lowercase();
    let built_in = ["localsystem", "nt authority\\", "nt service\\", ".\\localsystem"];
    !lower.is_empty()
        && !lower.ends_with('$')
        && !built_in.iter().any(|name| lower.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_and_managed_accounts_have_no_password() {
        for account in
            ["LocalSystem", r"NT AUTHORITY\NetworkService", r"NT Service\X", r"C\gm$", ""]
        {
            assert!(!has_password(account), "{account}");
        }
        assert!(has_password(r".\svc-shop") && has_password(r"CORP\svc-shop"));
    }
}
