//! Whether the service of the alert runs now, and which of the listed services it is.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, count, evidence};
use crate::client::Firewall;
use crate::services::{Aim, Service};

pub(super) fn signature() -> ProbeSignature {
    let instance = vec![
        Field::new("id", FieldType::Text, "What a restart takes: `name` or `name/instance`."),
        Field::new("description", FieldType::Text, "For people."),
        Field::new("running", FieldType::Bool, "A live process for its pid file."),
        Field::new("locked", FieldType::Bool, "The firewall offers no stop for it."),
    ];
    ProbeSignature {
        name: "service-status",
        summary: "Whether the service is enabled and runs now, by the firewall's own list",
        params: Aim::params(),
        facts: vec![
            Field::new("listed", FieldType::Bool, "Enabled: a disabled service is not listed."),
            Field::new("running", FieldType::Bool, "Listed, and all of this name run."),
            Field::new("id", FieldType::Text, "The one that is down; empty for none or several."),
            Field::new("locked", FieldType::Bool, "The firewall keeps the one that is down."),
            Field::new("instances", FieldType::records(instance), "All of this name."),
            Field::new("others_down", FieldType::texts(), "Other services that are down."),
        ],
        privilege: "Status: Services",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let listed = firewall.services().await?;
        let aim = Aim::of(args);
        let meant = aim.find(&listed);
        let down: Vec<&Service> = meant.iter().filter(|service| !service.running).collect();
        let is_other =
            |service: &&Service| !service.running && meant.iter().all(|s| s.id != service.id);
        let others: Vec<&Service> = listed.iter().filter(is_other).collect();
        let summary = match (meant.as_slice(), down.as_slice()) {
            ([], _) => "not listed: disabled, removed, or never there".to_owned(),
            (_, []) => "runs now".to_owned(),
            (_, [one]) => format!("{} is down", one.title()),
            (_, several) => format!("{} services of this name are down", several.len()),
        };
        let other_text = count(others.len(), "other service is down", "other services are down");
        let instances: Vec<_> = meant
            .iter()
            .map(|s| {
                json!({
                    "id": s.id, "description": s.description,
                    "running": s.running, "locked": s.locked,
                })
            })
            .collect();
        let facts = json!({
            "listed": !meant.is_empty(),
            "running": !meant.is_empty() && down.is_empty(),
            "id": if let [one] = down.as_slice() { one.id.as_str() } else { "" },
            "locked": matches!(down.as_slice(), [one] if one.locked),
            "instances": instances,
            "others_down": others.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
        });
        let shown = meant.iter().chain(others.iter().copied()).map(|service| {
            let state = if service.running { "running" } else { "stopped" };
            format!("{state} {}", service.title())
        });
        Ok(evidence(facts, format!("{summary}; {other_text}"), firewall.excerpt(shown)))
    })
}
