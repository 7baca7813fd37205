//! Why a service stopped, by its own log and those of configd and the system.

use std::time::Duration;

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, ProbeError};
use paramedic_model::TimeMs;
use serde_json::json;

use super::{Looked, count, evidence, line_excerpt, line_facts, lines_field, since_param};
use crate::client::{Firewall, LogLine};
use crate::services::{Aim, Known, Request, Service, known, requested};

pub(super) fn signature() -> ProbeSignature {
    let mut params = Aim::params();
    params.push(since_param("How far before the alert began; 15m where left out."));
    let flag = |name, doc| Field::new(name, FieldType::Bool, doc);
    ProbeSignature {
        name: "service-log",
        summary: "The service's own log, and the lines about it in the logs of configd and system",
        params,
        facts: vec![
            lines_field(),
            Field::new("crash_count", FieldType::Int, "How often the kernel saw it die."),
            flag("killed_for_memory", "The kernel killed it to get memory back."),
            flag("port_in_use", "It could not open its port."),
            flag("no_space", "Something could not write: no space left."),
            flag("stopped_by_request", "The latest request to configd for it was a stop."),
            flag("template_failed", "configd could not write its configuration."),
            flag("start_failed", "configd started it and the script failed."),
            flag("config_error", "It refused its configuration."),
            flag("certificate", "A certificate or revocation list is missing or expired."),
            flag("database_corrupt", "Its database is damaged."),
            flag("missing_library", "A shared library that it needs is not there."),
            Field::new("last_error", FieldType::Text, "The newest line that tells why, or empty."),
        ],
        privilege: "Status: System logs (system, and the service's own)",
    }
}

/// What the lines say.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) crash_count: usize,
    pub(crate) killed_for_memory: bool,
    pub(crate) port_in_use: bool,
    pub(crate) no_space: bool,
    pub(crate) stopped_by_request: bool,
    pub(crate) template_failed: bool,
    pub(crate) start_failed: bool,
    pub(crate) config_error: bool,
    pub(crate) certificate: bool,
    pub(crate) database_corrupt: bool,
    pub(crate) missing_library: bool,
    pub(crate) last_error: String,
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, look: Look) -> Looked<'a> {
    Box::pin(async move {
        let back = args.duration("since").unwrap_or(DEFAULT_BACK);
        let listed = firewall.services().await?;
        let aim = Aim::of(args);
        let service = aim.find(&listed).into_iter().min_by_key(|service| service.running);
        let service = service.ok_or_else(|| {
            ProbeError::unable("the firewall lists no such service, so it has no log to read")
        })?;
        let lines = read(firewall, &service, look.since - back).await?;
        let found = Findings::of(&lines, &service);
        let text = count(lines.len(), "line concerns it", "lines concern it");
        let summary = match found.last_error.as_str() {
            "" if found.stopped_by_request => "stopped on request; no error".to_owned(),
            "" => format!("{text}; none tells why it stopped"),
            error => firewall.excerpt([error.to_owned()]),
        };
        let facts = json!({
            "lines": line_facts(firewall, &lines),
            "crash_count": found.crash_count,
            "killed_for_memory": found.killed_for_memory,
            "port_in_use": found.port_in_use,
            "no_space": found.no_space,
            "stopped_by_request": found.stopped_by_request,
            "template_failed": found.template_failed,
            "start_failed": found.start_failed,
            "config_error": found.config_error,
            "certificate": found.certificate,
            "database_corrupt": found.database_corrupt,
            "missing_library": found.missing_library,
            "last_error": firewall.excerpt([found.last_error.clone()]),
        });
        Ok(evidence(facts, summary, line_excerpt(firewall, &lines)))
    })
}

/// How far before the alert a look at the log goes where nothing else is said.
pub(crate) const DEFAULT_BACK: Duration = Duration::from_secs(15 * 60);

/// The lines since `since` that concern `service`: all of its own log, and those that name it in
/// the logs of configd and the system.
pub(crate) async fn read(
    firewall: &Firewall,
    service: &Service,
    since: TimeMs,
) -> Result<Vec<LogLine>, ProbeError> {
    let known = known(&service.name);
    let mut lines = Vec::new();
    if let Some(scope) = known.log {
        lines.extend(firewall.log(scope, "", since).await?);
    }
    let configd = firewall.log("configd", "", since).await?;
    // The exit status names only the request's id, so the requests for this service come first.
    let id = |text: &str| text.split_whitespace().next().map(str::to_owned);
    let asked = configd.iter().filter(|line| requested(&line.text, service).is_some());
    let ids: Vec<_> = asked.filter_map(|line| id(&line.text)).collect();
    let ours = |line: &LogLine| {
        requested(&line.text, service).is_some()
            || is_template_error(&line.text, service, known)
            || (line.text.contains("returned exit status")
                && id(&line.text).is_some_and(|id| id.starts_with('[') && ids.contains(&id)))
    };
    lines.extend(configd.into_iter().filter(ours));
    let system = firewall.log("system", "", since).await?;
    lines.extend(system.into_iter().filter(|line| names(&line.text, service, known)));
    Ok(lines)
}

/// Whether a line of the system log is about this service, or about a full disk.
fn names(text: &str, service: &Service, known: &Known) -> bool {
    let of_process = |command: &str| {
        text.contains(&format!("({command})")) || text.contains(&format!("\"{command}\""))
    };
    known.commands(&service.name).into_iter().any(of_process) || text.contains(NO_SPACE)
}

fn is_template_error(text: &str, service: &Service, known: &Known) -> bool {
    let lower = text.to_lowercase();
    let names_it = lower.contains(&service.name.to_lowercase())
        || (!known.module.is_empty() && lower.contains(known.module));
    names_it && (lower.contains("error generating template") || lower.contains(TEMPLATE_FAILED))
}

const NO_SPACE: &str = "No space left on device";
const TEMPLATE_FAILED: &str = "template generation failed";

impl Findings {
    /// Reads `lines` (newest first in each scope) as [`read`] returns them.
    pub(crate) fn of(lines: &[LogLine], service: &Service) -> Self {
        let mut found = Self::default();
        let latest = lines.iter().find_map(|line| requested(&line.text, service));
        found.stopped_by_request = latest == Some(Request::Stop);
        for line in lines {
            let text = line.text.as_str();
            let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
            let mut tells = true;
            if has(&["exited on signal"]) {
                found.crash_count += 1;
            } else if has(&["was killed:"]) {
                found.killed_for_memory = true;
            } else if has(&["ddress already in use", "could not open ports"]) {
                found.port_in_use = true;
            } else if has(&[NO_SPACE]) {
                found.no_space = true;
            } else if line.scope == "configd" && has(&["emplate"]) {
                found.template_failed = true;
            } else if has(&["returned exit status"]) {
                found.start_failed = true;
            } else if has(&["syntax error", "parse error", "PARSER_FAIL", "CONFIG_LOAD_FAIL"]) {
                found.config_error = true;
            } else if has(&["certificate has expired", "crl-verify fails"]) {
                found.certificate = true;
            } else if has(&["database disk image is malformed"]) {
                found.database_corrupt = true;
            } else if has(&["Shared object"]) && has(&["not found"]) {
                found.missing_library = true;
            } else {
                tells = false;
            }
            // An exit status says that it failed, not why; any other line says more.
            let weak = found.last_error.contains("returned exit status");
            if tells && (found.last_error.is_empty() || weak) {
                found.last_error = text.to_owned();
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(scope: &str, text: &str) -> LogLine {
        LogLine {
            at: String::new(),
            scope: scope.to_owned(),
            severity: String::new(),
            process: String::new(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_latest_request_decides_whether_it_was_stopped() {
        let service = Service {
            id: "unbound".to_owned(),
            name: "unbound".to_owned(),
            description: String::new(),
            locked: false,
            running: false,
        };
        let check = |lines: &[&str], stopped: bool| {
            let lines: Vec<_> = lines.iter().map(|text| line("configd", text)).collect();
            assert_eq!(Findings::of(&lines, &service).stopped_by_request, stopped, "{lines:?}");
        };
        check(&[], false);
        check(&["[a] Stopping service (unbound)"], true);
        check(&["[b] Starting service (unbound)", "[a] Stopping service (unbound)"], false);
        check(&["[b] Stopping service (dnsmasq)"], false);
    }
}
