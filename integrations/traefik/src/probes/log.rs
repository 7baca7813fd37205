//! `traefik/log`: what Traefik's own log knows and nothing else tells.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::{counted, evidence};
use crate::client::Client;
use crate::host::Host;
use crate::log::{self, Entry, Topic};

pub(crate) const NAME: &str = "log";

/// A file that was rejected this long before the trouble began may have to do with it.
const LATELY: Duration = Duration::from_secs(3600);

pub(crate) fn signature() -> ProbeSignature {
    let text = |name, doc| Field::new(name, FieldType::Text, doc);
    ProbeSignature {
        name: NAME,
        summary: "Reads Traefik's log on its host: rejected files, taken ports, exhausted descriptors",
        params: vec![],
        facts: vec![
            Field::new(
                "file_rejected",
                FieldType::Bool,
                "a dynamic file was rejected and, as far as is known, not replaced by a good one",
            ),
            Field::new(
                "rejected_lately",
                FieldType::Bool,
                "that was not earlier than an hour before the trouble began",
            ),
            text("file_error", "what was wrong with it"),
            Field::new(
                "rejected_at_start",
                FieldType::Bool,
                "that was when Traefik started, so it runs without that configuration",
            ),
            text("provider_error", "a provider that cannot be reached, newest line, or empty"),
            text("start_error", "why the process could not start, newest line, or empty"),
            text("port_error", "a port that it could not have, newest line, or empty"),
            Field::new("descriptors_exhausted", FieldType::Bool, "file descriptors ran out"),
            Field::new("watchdog", FieldType::Bool, "the watchdog found that it stalled"),
            Field::new("stopping", FieldType::Bool, "the newest of these lines is a graceful stop"),
            Field::new(
                "failed_checks",
                FieldType::Int,
                "failed health checks; logged at WARN, which is not the default",
            ),
            text("backend_tls_error", "a server whose certificate was not believed, or empty"),
            Field::new("read", FieldType::Int, "how many lines were read"),
            Field::new(
                "lines",
                FieldType::texts(),
                "the newest lines that tell something, 20 at most",
            ),
        ],
        privilege: "to read the log of Traefik's unit on its host",
    }
}

pub(crate) struct Log {
    pub client: Arc<Client>,
    pub host: Arc<Host>,
}

/// The newest rejected file that Traefik is not known to have replaced since.
pub(crate) async fn unresolved_file<'a>(
    client: &Client,
    entries: &'a [Entry],
) -> Option<&'a Entry> {
    // At once, so that a Traefik that hangs costs one deadline.
    let (metrics, overview) = futures_util::future::join(client.metrics(), client.overview()).await;
    let file_only = overview.is_ok_and(|overview| overview.providers() == ["File"]);
    let applied = metrics.ok().and_then(|metrics| metrics.applied(file_only));
    log::unresolved(entries, applied.as_ref())
}

impl Probe for Log {
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let lines = self.host.log(&self.client.host_service, look).await?;
            let entries = log::read(&lines);
            let rejected = unresolved_file(&self.client, &entries).await;
            let newest = |topic: Topic| {
                let found = entries.iter().rev().find(|entry| entry.topic == topic);
                found.map(|entry| entry.text.as_str()).unwrap_or("")
            };
            let is = |topic: Topic| entries.iter().any(|entry| entry.topic == topic);
            let failed_checks = entries.iter().filter(|e| e.topic == Topic::HealthCheck).count();
            let mut telling: Vec<_> = entries
                .iter()
                .rev()
                .filter(|entry| entry.topic != Topic::HealthCheck)
                .take(20)
                .map(|entry| entry.text.as_str())
                .collect();
            telling.reverse();
            let at_start = rejected.is_some_and(|entry| entry.text.contains("for the first time"));
            let summary = match (rejected, newest(Topic::Port), newest(Topic::Static)) {
                (Some(entry), _, _) => format!("a configuration file was rejected: {}", entry.text),
                (None, port, _) if !port.is_empty() => format!("a port could not be had: {port}"),
                (None, _, error) if !error.is_empty() => format!("it could not start: {error}"),
                _ if is(Topic::Descriptors) => "file descriptors ran out".to_owned(),
                _ => match telling.last() {
                    Some(line) => format!("the newest telling line: {line}"),
                    None => {
                        format!("nothing of note in {} of one day", counted(lines.len(), "line"))
                    }
                },
            };
            let facts = json!({
                "file_rejected": rejected.is_some(),
                "rejected_lately": rejected
                    .is_some_and(|entry| entry.at.is_none_or(|at| at >= look.since - LATELY)),
                "file_error": rejected.map(|entry| entry.text.as_str()).unwrap_or(""),
                "rejected_at_start": at_start,
                "provider_error": newest(Topic::Provider),
                "start_error": newest(Topic::Static),
                "port_error": newest(Topic::Port),
                "descriptors_exhausted": is(Topic::Descriptors),
                "watchdog": is(Topic::Watchdog),
                "stopping": entries.last().is_some_and(|entry| entry.topic == Topic::Stopping),
                "failed_checks": failed_checks,
                "backend_tls_error": newest(Topic::BackendTls),
                "read": lines.len(),
                "lines": telling,
            });
            let excerpt = telling.join("\n");
            Ok(evidence(facts, summary, excerpt))
        })
    }
}
