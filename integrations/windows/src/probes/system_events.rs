//! What the System log holds about the service: the words of the Service Control Manager.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, begin, count, evidence, name_param, require, since_param};
use crate::codes;
use crate::history::{self, History, SCM};
use crate::host::{Log, Service};
use crate::settings::Site;

/// How many events the facts list.
const EVENTS_MAX: usize = 20;
/// The kinds of event that are trouble.
const WARNING: u64 = 2;

pub(super) fn signature() -> ProbeSignature {
    let event = vec![
        Field::new("at", FieldType::Text, "When."),
        Field::new("id", FieldType::Int, "The number of the event."),
        Field::new("text", FieldType::Text, "Its parameters."),
        Field::new("by", FieldType::Text, "Whose doing it was; empty where not said."),
    ];
    ProbeSignature {
        name: "system-events",
        summary: "The events of the Service Control Manager about the service, and other errors \
                  in the System log",
        params: vec![name_param(), since_param()],
        facts: vec![
            Field::new("events", FieldType::records(event), "About the service, newest first."),
            Field::new("crash_count", FieldType::Int, "Unexpected ends (7031, 7034)."),
            Field::new("recovery_pending", FieldType::Bool, "Its own recovery starts it soon."),
            Field::new("failed", FieldType::Bool, "A failure with a code is among them."),
            Field::new("code", FieldType::Int, "The code of the last failure; 0 for none."),
            Field::new("code_class", FieldType::Text, "`logon`, `port`, …; of log and exit code."),
            Field::new("code_text", FieldType::Text, "The code of the last failure in words."),
            Field::new("start_timed_out", FieldType::Bool, "It did not answer a start (7009)."),
            Field::new("hung_starting", FieldType::Bool, "It hung while starting (7022)."),
            Field::new("not_answering", FieldType::Bool, "Controls get no answer (7011, 7046)."),
            Field::new("failed_dependency", FieldType::Text, "What it needs and failed (7001)."),
            Field::new("missing_dependency", FieldType::Text, "What it needs and is not there."),
            Field::new("refused_account", FieldType::Text, "The account that cannot log on."),
            Field::new("mode_changed", FieldType::Text, "`auto start to disabled`; or empty."),
            Field::new("mode_changed_by", FieldType::Text, "Who did that, where it is said."),
            Field::new("stopped_on_request", FieldType::Bool, "It was asked to stop, and did."),
            Field::new("stopped_by", FieldType::Text, "Who asked, where it is said."),
            Field::new("other_errors", FieldType::texts(), "Other errors and warnings there."),
        ],
        privilege: "Event Log Readers",
    }
}

pub(super) fn look<'a>(site: &'a Site, args: &'a Args, look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut viewer = site.lookout.view().await?;
        let services = viewer.services().await?;
        let service = require(&services, args)?;
        let all = viewer.events(Log::System, begin(args, look)).await?;
        let history = History::of(&all, service, look.now);
        let others: Vec<String> = all
            .iter()
            .filter(|event| event.source != SCM && (1..=WARNING).contains(&event.kind))
            .map(history::line)
            .take(EVENTS_MAX)
            .collect();
        let events = history.events.iter().take(EVENTS_MAX).map(|event| {
            json!({
                "at": event.at.to_string(),
                "id": event.code,
                "text": history::words(event),
                "by": event.user,
            })
        });
        let code = history.failure.as_ref().map_or(0, |failure| failure.code);
        let change = history.mode_change.as_ref();
        let facts = json!({
            "events": events.collect::<Vec<_>>(),
            "crash_count": history.crash_count,
            "recovery_pending": history.recovery_due.is_some(),
            "failed": history.failure.is_some(),
            "code": code,
            "code_class": history.failure_class(service).as_str(),
            "code_text": if code == 0 { String::new() } else { codes::explain(code) },
            "start_timed_out": history.start_timed_out,
            "hung_starting": history.hung_starting,
            "not_answering": history.not_answering,
            "failed_dependency": history.failed_dependency,
            "missing_dependency": history.missing_dependency,
            "refused_account": history.refused_account,
            "mode_changed": change.map_or("", |change| change.text.as_str()),
            "mode_changed_by": change.map_or("", |change| change.by.as_str()),
            "stopped_on_request": history.stopped_on_request,
            "stopped_by": history.stopped_by,
            "other_errors": others,
        });
        let summary = summary(&history, service, others.len());
        let lines = history.events.iter().map(history::line).chain(others);
        Ok(evidence(facts, summary, site.lookout.excerpt(lines)))
    })
}

fn summary(history: &History, service: &Service, others: usize) -> String {
    let by = |who: &str| if who.is_empty() { String::new() } else { format!(" by {who}") };
    let mut parts = Vec::new();
    if !history.refused_account.is_empty() {
        parts.push(format!("account {} could not log on", history.refused_account));
    }
    if let Some(failure) = &history.failure {
        parts.push(format!("event {}: {}", failure.event, codes::explain(failure.code)));
    }
    if history.crash_count > 0 {
        parts.push(count(history.crash_count, "unexpected end"));
    }
    if history.recovery_due.is_some() {
        parts.push("its own recovery will start it".to_owned());
    }
    if history.not_answering {
        parts.push("it does not answer control messages".to_owned());
    }
    if history.hung_starting {
        parts.push("it hung while starting".to_owned());
    }
    if let Some(change) = &history.mode_change {
        parts.push(format!("start mode changed from {}{}", change.text, by(&change.by)));
    }
    if history.stopped_on_request {
        parts.push(format!("asked to stop{}, without an error", by(&history.stopped_by)));
    }
    if parts.is_empty() {
        let events = count(history.events.len(), "event");
        parts.push(format!("{events} about {}", service.title()));
    }
    if others > 0 {
        parts.push(format!("other sources wrote {}", count(others, "warning")));
    }
    parts.join("; ")
}
