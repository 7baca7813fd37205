//! What the Application log holds about the service's program: crashes with the faulting module.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, begin, count, evidence, name_param, require, since_param};
use crate::history;
use crate::host::{Log, LogEvent, Service, same_name};
use crate::settings::Site;

/// How many errors the facts list.
const EVENTS_MAX: usize = 20;

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "application-events",
        summary: "Errors in the Application log that name the service or its program",
        params: vec![name_param(), since_param()],
        facts: vec![
            Field::new("errors", FieldType::texts(), "That name it, newest first."),
            Field::new("module", FieldType::Text, "The module that crashed; or empty."),
            Field::new("exception", FieldType::Text, "Its exception code; or empty."),
            Field::new("no_space", FieldType::Bool, "One of them says that a disk is full."),
        ],
        privilege: "Event Log Readers",
    }
}

pub(super) fn look<'a>(site: &'a Site, args: &'a Args, look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut viewer = site.lookout.view().await?;
        let services = viewer.services().await?;
        let service = require(&services, args)?;
        let all = viewer.events(Log::Application, begin(args, look)).await?;
        let mine: Vec<&LogEvent> = all.iter().filter(|event| names(event, service)).collect();
        // `Application Error` 1000: application, version, stamp, module, version, stamp, exception.
        let crash = mine.iter().find(|e| e.source == "Application Error" && e.code == 1000);
        let part = |number: usize| crash.map_or("", |event| event.parameter(number));
        let (module, exception) = (part(4), part(7));
        let no_space = mine.iter().any(|event| {
            let text = event.strings.join(" ").to_lowercase();
            text.contains("not enough space on the disk") || text.contains("0x80070070")
        });
        let lines: Vec<_> = mine.iter().map(|event| history::line(event)).collect();
        let facts = json!({
            "errors": lines.iter().take(EVENTS_MAX).collect::<Vec<_>>(),
            "module": module,
            "exception": exception,
            "no_space": no_space,
        });
        let mut summary = format!("{} about its program", count(mine.len(), "error"));
        if !module.is_empty() {
            summary.push_str(&format!("; it crashed in {module} with {exception}"));
        }
        if no_space {
            summary.push_str("; a disk had no space left");
        }
        Ok(evidence(facts, summary, site.lookout.excerpt(lines)))
    })
}

/// Whether an error is about the service: from a source of its name, or about its program. A
/// program that many services share names none of them.
fn names(event: &LogEvent, service: &Service) -> bool {
    let program = service.image().rsplit('\\').next().unwrap_or_default().to_lowercase();
    let shared = program.is_empty() || program == "svchost.exe";
    let by_name = [&service.name, &service.display_name]
        .into_iter()
        .any(|name| same_name(&event.source, name) || same_name(event.parameter(1), name));
    by_name || !shared && event.strings.iter().any(|text| text.to_lowercase().contains(&program))
}
