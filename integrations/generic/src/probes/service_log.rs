//! The last lines that a service and its service manager logged.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{Args, Evidence, Field, FieldType, Param, ParamKind, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::{Value, json};

use super::{evidence, service_param};
use crate::command::{LookCommand, UnitName};
use crate::config::Service;
use crate::host::{Host, describe, is_denial};
use crate::journal::{self, Line};

/// How far before the alert a look goes where nothing else is said.
const DEFAULT_BACK: Duration = Duration::from_secs(15 * 60);
/// How many lines are read where nothing else is said.
const DEFAULT_LINE_COUNT: i64 = 200;
/// How many lines are read at most.
const LINE_COUNT_MAX: i64 = 1000;
/// How far a look may go back.
const BACK_MAX: Duration = Duration::from_secs(7 * 86_400);

pub(super) fn signature() -> ProbeSignature {
    let line = vec![
        Field::new("at", FieldType::Text, "when, RFC 3339; empty where the log does not say"),
        Field::new("text", FieldType::Text, "what it says, without colours"),
        Field::new("source", FieldType::Text, "who wrote it: `traefik`, `systemd`"),
        Field::new("priority", FieldType::Int, "the syslog level: 3 and less are errors"),
        Field::new("manager", FieldType::Bool, "the service manager wrote it"),
    ];
    ProbeSignature {
        name: "service-log",
        summary: "The last lines that a service and its service manager logged",
        params: vec![
            service_param(),
            Param::optional(
                "since",
                ParamKind::Duration { max: BACK_MAX },
                "how far before the alert began to read; 15m where left out",
            ),
            Param::optional(
                "lines",
                ParamKind::Integer { min: 1, max: LINE_COUNT_MAX },
                "how many lines at most, the last ones; 200 where left out",
            ),
        ],
        facts: vec![
            Field::new("service", FieldType::Text, "the service, as the step named it"),
            Field::new("line_count", FieldType::Int, "how many lines there are"),
            Field::new("lines", FieldType::records(line), "the lines, the oldest first"),
            Field::new(
                "error_count",
                FieldType::Int,
                "how many lines of the service itself are of level 3 and less or read like errors",
            ),
            Field::new("last_error", FieldType::Text, "the last of these; empty where none"),
            Field::new("start_count", FieldType::Int, "how often it was started in this time"),
            Field::new(
                "stopped_on_request",
                FieldType::Bool,
                "its last change in this time was a stop that was asked for",
            ),
        ],
        privilege: "the group systemd-journal",
    }
}

pub(super) struct ServiceLog(pub(super) Arc<Host>);

impl Probe for ServiceLog {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let name = args.text("service");
            let before = args.duration("since").unwrap_or(DEFAULT_BACK);
            let back = look.now.since(look.since) + before;
            let count = args.integer("lines").unwrap_or(DEFAULT_LINE_COUNT);
            let count = u32::try_from(count).unwrap_or(1);
            let lines = match self.0.service(name)? {
                Service::Unit(unit) => read_journal(&self.0, unit, back, count).await?,
                Service::Commands(commands) => {
                    read_command(&self.0, name, &commands.log, count as usize).await?
                }
            };
            let last_error = lines.iter().rev().find(|line| line.is_error());
            let last_error = last_error.map_or("", |line| line.text.as_str());
            let summary = summary(name, &lines, last_error);
            let facts = json!({
                "service": name,
                "line_count": lines.len(),
                "lines": lines.iter().map(facts).collect::<Vec<_>>(),
                "error_count": lines.iter().filter(|line| line.is_error()).count(),
                "last_error": last_error,
                "start_count": lines.iter().filter(|line| line.is_start()).count(),
                "stopped_on_request": journal::stopped_on_request(&lines) == Some(true),
            });
            Ok(evidence(&self.0, facts, &summary, &excerpt(&lines)))
        })
    }
}

/// Reads the last `count` lines about `unit`, `back` from the host's present.
async fn read_journal(
    host: &Host,
    unit: &UnitName,
    back: Duration,
    count: u32,
) -> Result<Vec<Line>, ProbeError> {
    let mut looking = host.open().await?;
    let since = looking.now().await? - back;
    let command = LookCommand::Journal { unit, since, line_count_max: count };
    let finished = looking.run(command).await?;
    let understood = journal::parse(&finished.stdout);
    match (finished.code, understood) {
        // An empty journal that one may not read says nothing.
        (_, Ok(lines)) if lines.is_empty() && unreadable(&finished.stderr) => {
            let reason = format!(
                "the login may not read the journal of {unit}: add it to the group systemd-journal"
            );
            Err(ProbeError::Denied { target: host.target(), reason })
        }
        (Some(0), Ok(lines)) => Ok(lines),
        (Some(0), Err(reason)) => Err(looking.misread(reason)),
        _ => Err(looking.misread(describe(&command.words(), &finished))),
    }
}

/// Whether journalctl says that it shows less than there is.
fn unreadable(stderr: &str) -> bool {
    stderr.contains("not seeing messages from other users") || is_denial(stderr)
}

/// Reads the log that a configured command prints.
async fn read_command(
    host: &Host,
    name: &str,
    words: &[String],
    count: usize,
) -> Result<Vec<Line>, ProbeError> {
    if words.is_empty() {
        let reason = format!("the service {name} has no `log` command, so its log cannot be read");
        return Err(ProbeError::unable(reason));
    }
    let finished = host.run_here(words).await?;
    if finished.code != Some(0) {
        let reason = host.clean(&describe(words, &finished));
        return Err(ProbeError::answer("the log command", reason));
    }
    let mut lines = journal::plain(&finished.stdout);
    Ok(lines.split_off(lines.len().saturating_sub(count)))
}

fn facts(line: &Line) -> Value {
    json!({
        "at": line.at.map(|at| at.to_string()).unwrap_or_default(),
        "text": line.text,
        "source": line.source,
        "priority": line.priority,
        "manager": line.manager,
    })
}

fn summary(name: &str, lines: &[Line], last_error: &str) -> String {
    if lines.is_empty() {
        return format!("{name} logged nothing in this time");
    }
    if !last_error.is_empty() {
        return crate::shorten(last_error);
    }
    if journal::stopped_on_request(lines) == Some(true) {
        return format!("{name} was stopped on request; no error in {} lines", lines.len());
    }
    format!("no error in {} lines", lines.len())
}

fn excerpt(lines: &[Line]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let at = line.at.map(|at| at.to_string()).unwrap_or_default();
        let _ = writeln!(text, "{at} {}: {}", line.source, line.text);
        text
    })
}
