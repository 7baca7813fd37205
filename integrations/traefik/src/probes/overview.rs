//! `traefik/overview`: what runs there, since when, and how much configuration it has.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::{BoxFuture, format_duration};
use serde_json::json;

use super::{counted, evidence};
use crate::client::Client;

pub(crate) const NAME: &str = "overview";

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Reads version, start, configuration counts and the process's own resources",
        params: vec![],
        facts: vec![
            Field::new("version", FieldType::Text, "the running version"),
            Field::new("uptime_seconds", FieldType::Int.or_null(), "seconds since the start"),
            Field::new(
                "applied_seconds_ago",
                FieldType::Int.or_null(),
                "seconds since the present configuration was applied",
            ),
            Field::new(
                "applied_shortly_before",
                FieldType::Bool,
                "the present configuration was applied within ten minutes before the trouble began",
            ),
            Field::new("reloads", FieldType::Int.or_null(), "applied changes since the start"),
            Field::new("providers", FieldType::texts(), "the configured providers"),
            Field::new("user_routers", FieldType::Int, "routers besides Traefik's own"),
            Field::new("errors", FieldType::Int, "objects that are disabled by an error"),
            Field::new("warnings", FieldType::Int, "objects with a warning"),
            Field::new("open_fds", FieldType::Int.or_null(), "open file descriptors"),
            Field::new("max_fds", FieldType::Int.or_null(), "the most there may be"),
            Field::new("fds_exhausted", FieldType::Bool, "hardly any descriptor is left"),
            Field::new("resident_bytes", FieldType::Int.or_null(), "memory in use, in bytes"),
            Field::new(
                "entrypoints",
                FieldType::records(vec![
                    Field::new("name", FieldType::Text, "its name"),
                    Field::new("address", FieldType::Text, "where it listens"),
                ]),
                "the entry points",
            ),
        ],
        privilege: "GET /api/version, /api/overview, /api/entrypoints, /api/http/routers, /metrics",
    }
}

pub(crate) struct Overview(pub Arc<Client>);

impl Probe for Overview {
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let version = self.0.version().await?;
            let overview = self.0.overview().await?;
            let entrypoints = self.0.entrypoints().await?;
            let routers = self.0.list("/api/http/routers").await?;
            let metrics = self.0.metrics().await?;
            let http = routers.iter().filter(|router| !router.is_internal()).count();
            let others = overview.tcp.routers.total + overview.udp.routers.total;
            let user_routers = http + others as usize;
            let sections = overview.sections();
            let errors: u32 = sections.iter().map(|(_, _, count)| count.errors).sum();
            let warnings: u32 = sections.iter().map(|(_, _, count)| count.warnings).sum();
            let uptime = version.started().map(|started| look.now.since(started));
            let applied = metrics.last_reload();
            let lately = look.since - crate::SHORTLY_BEFORE;
            let whole = |name: &str| metrics.value(name).map(|value| value as i64);
            let (open, max) = (whole("process_open_fds"), whole("process_max_fds"));
            let facts = json!({
                "version": version.version,
                "uptime_seconds": uptime.map(|uptime| uptime.as_secs()),
                "applied_seconds_ago": applied.map(|applied| look.now.since(applied).as_secs()),
                "applied_shortly_before": applied.is_some_and(|applied| applied >= lately),
                "reloads": whole("traefik_config_reloads_total"),
                "providers": overview.providers(),
                "user_routers": user_routers,
                "errors": errors,
                "warnings": warnings,
                "open_fds": open,
                "max_fds": max,
                "fds_exhausted": metrics.descriptors_used_up(),
                "resident_bytes": whole("process_resident_memory_bytes"),
                "entrypoints": entrypoints
                    .iter()
                    .map(|(name, address)| json!({ "name": name, "address": address }))
                    .collect::<Vec<_>>(),
            });
            let up = match uptime {
                Some(uptime) => format!("up {}", format_duration(whole_seconds(uptime))),
                None => "start unknown".to_owned(),
            };
            let summary = format!(
                "Traefik {}, {up}, {}, {} in its configuration",
                version.version,
                counted(user_routers, "router"),
                counted(errors as usize, "error")
            );
            let excerpt = entrypoints
                .iter()
                .map(|(name, address)| format!("entry point {name}: {address}\n"))
                .collect::<String>();
            Ok(evidence(facts, summary, excerpt))
        })
    }
}

fn whole_seconds(duration: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_secs(duration.as_secs())
}
