//! What the service of the alert is doing now, and whether it is getting anywhere.

use std::time::Duration;

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, evidence, find, list, name_param};
use crate::codes;
use crate::host::{Service, State};
use crate::settings::Site;

/// How long a pending service is watched for progress: what it asks for, within these bounds.
const WATCH_MIN: Duration = Duration::from_secs(5);
const WATCH_MAX: Duration = Duration::from_secs(20);

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "service-status",
        summary: "State, start mode, exit code and process of the service, by the host's own \
                  list; a service that is on its way is looked at twice",
        params: vec![name_param()],
        facts: vec![
            Field::new("listed", FieldType::Bool, "The host has it, and this user may see it."),
            Field::new("name", FieldType::Text, "As the host spells it; empty if not listed."),
            Field::new("display_name", FieldType::Text, "For people."),
            Field::new("state", FieldType::Text, "`Running`, `Stopped`, `Start Pending`, …"),
            Field::new("running", FieldType::Bool, "The state is `Running`."),
            Field::new("status", FieldType::Text, "`OK`, `Degraded`, …; `OK` when stopped too."),
            Field::new("start_mode", FieldType::Text, "`Auto`, `Manual` or `Disabled`."),
            Field::new("pending", FieldType::Bool, "It is on the way to another state."),
            Field::new("progressing", FieldType::Bool, "It is, and got further while watched."),
            Field::new("accepts_stop", FieldType::Bool, "It would take a stop now."),
            Field::new("code", FieldType::Int, "Its exit code, or its own where it has one."),
            Field::new("code_class", FieldType::Text, "`clean`, `crash`, `logon`, `port`, …"),
            Field::new("code_text", FieldType::Text, "The exit code in words."),
            Field::new("pid", FieldType::Int, "Its process; 0 for none."),
            Field::new("running_s", FieldType::Int.or_null(), "For how long its process runs."),
            Field::new("shares_process", FieldType::texts(), "Other services in that process."),
        ],
        privilege: "WMI root/cimv2, Service Control Manager: connect and enumerate",
    }
}

pub(super) fn look<'a>(site: &'a Site, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut viewer = site.lookout.view().await?;
        let first = viewer.services().await?;
        let Some(before) = find(&first, args) else {
            return Ok(not_listed(site, first.len()));
        };
        // A second sample tells a slow service from one that hangs.
        let services = if before.state.is_pending() {
            let hint = Duration::from_millis(before.wait_hint_ms).clamp(WATCH_MIN, WATCH_MAX);
            drop(viewer);
            site.lookout.clock().sleep(hint).await;
            viewer = site.lookout.view().await?;
            viewer.services().await?
        } else {
            first.clone()
        };
        let Some(service) = find(&services, args) else {
            return Ok(not_listed(site, services.len()));
        };
        let progressing = before.state.is_pending()
            && (service.state != before.state || service.check_point != before.check_point);
        let os = viewer.operating_system().await?;
        let processes = viewer.processes().await?;
        let process = processes.iter().find(|p| service.pid > 0 && p.pid == service.pid);
        let running_s =
            process.and_then(|p| p.created).map(|created| os.now.since(created).as_secs());
        let shares: Vec<String> = services
            .iter()
            .filter(|other| service.pid > 0 && other.pid == service.pid && !other.is(&service.name))
            .map(|other| other.name.clone())
            .collect();
        let facts = json!({
            "listed": true,
            "name": service.name,
            "display_name": service.display_name,
            "state": service.state.as_str(),
            "running": service.state == State::Running,
            "status": service.status,
            "start_mode": service.start_mode,
            "pending": service.state.is_pending(),
            "progressing": progressing,
            "accepts_stop": service.accepts_stop,
            "code": service.code(),
            "code_class": codes::class(service.code()).as_str(),
            "code_text": codes::explain(service.code()),
            "pid": service.pid,
            "running_s": running_s,
            "shares_process": shares,
        });
        let summary = summary(service, progressing);
        let excerpt = site.lookout.excerpt([
            format!("State {}, Status {}", service.state.as_str(), service.status),
            format!("StartMode {}", service.start_mode),
            format!("ExitCode {}, own {}", service.exit_code, service.specific_code),
            format!("ProcessId {}, shared with {}", service.pid, list(&shares)),
            format!("CheckPoint {}, WaitHint {} ms", service.check_point, service.wait_hint_ms),
        ]);
        Ok(evidence(facts, summary, excerpt))
    })
}

fn summary(service: &Service, progressing: bool) -> String {
    let title = service.title();
    let mode = service.start_mode.to_lowercase();
    match service.state {
        State::Running => format!("{title} runs, as process {}", service.pid),
        State::Stopped => {
            let why = codes::explain(service.code());
            format!("{title} is stopped (exit {why}); start mode {mode}")
        }
        State::Paused => format!("{title} is paused"),
        pending => {
            let state = pending.as_str().to_lowercase();
            let moves = if progressing { "and gets further" } else { "and does not move" };
            format!("{title} is in state {state}, {moves}")
        }
    }
}

fn not_listed(site: &Site, listed: usize) -> paramedic_catalog::Evidence {
    let facts = json!({
        "listed": false,
        "name": "",
        "display_name": "",
        "state": "",
        "running": false,
        "status": "",
        "start_mode": "",
        "pending": false,
        "progressing": false,
        "accepts_stop": false,
        "code": 0,
        "code_class": "",
        "code_text": "",
        "pid": 0,
        "running_s": null,
        "shares_process": [],
    });
    let summary = "the host lists no service of this name: not installed, or hidden from this user";
    let excerpt = site.lookout.excerpt([format!("{listed} services are listed")]);
    evidence(facts, summary, excerpt)
}
