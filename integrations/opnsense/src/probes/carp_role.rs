//! Which node of a high-availability pair this firewall is.

use paramedic_catalog::{Args, Field, FieldType, Param, ParamKind, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::json::{field, flag};
use crate::services::known;

pub(super) fn signature() -> ProbeSignature {
    let vip = vec![
        Field::new("interface", FieldType::Text, "The interface."),
        Field::new("subnet", FieldType::Text, "The shared address."),
        Field::new("status", FieldType::Text, "`MASTER`, `BACKUP`, `INIT`, `DISABLED`."),
    ];
    ProbeSignature {
        name: "carp-role",
        summary: "The node's role in a CARP pair, and whether its partner runs the service",
        params: vec![Param::optional(
            "service",
            ParamKind::Text { max_chars: 200 },
            "The service that the partner is asked about.",
        )],
        facts: vec![
            Field::new("role", FieldType::Text, "`none`, `master`, `backup`, or `mixed`."),
            Field::new("vips", FieldType::records(vip), "The shared addresses."),
            Field::new("demotion", FieldType::Int, "Above 0 where the node holds itself back."),
            Field::new("maintenance", FieldType::Bool, "Persistent maintenance mode is on."),
            Field::new(
                "stops_on_backup",
                FieldType::Bool,
                "Services of this name are, or may be, stopped on a backup node by design.",
            ),
            Field::new(
                "partner_runs",
                FieldType::Bool.or_null(),
                "The partner runs the service; null where it could not be asked or has none.",
            ),
        ],
        privilege: "Interfaces: Virtual IPs: Status; for the partner System: HA: Status",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let carp = firewall.carp().await?;
        let (role, service) = (carp.role(), args.text("service"));
        let partner_runs = if service.is_empty() || role == "none" {
            None
        } else {
            // The partner is reached through this firewall; that it cannot be is not this one's
            // fault, and the fact says "null".
            let rows =
                firewall.rows("/api/core/hasync_status/services", "System: HA: Status").await;
            let rows = rows.unwrap_or_default();
            let mut named = rows.iter().filter(|row| field(row, "name") == service).peekable();
            named.peek().is_some().then(|| named.any(|row| flag(row, "status") == Some(true)))
        };
        let partner = match partner_runs {
            Some(true) => "; the partner runs the service",
            Some(false) => "; the partner does not run the service either",
            None => "",
        };
        let summary = match role {
            "none" => "not part of a CARP pair".to_owned(),
            "mixed" => format!("neither master nor backup of all addresses{partner}"),
            role => format!("this node is {role}{partner}"),
        };
        let vips: Vec<_> = carp
            .vips
            .iter()
            .map(|v| json!({ "interface": v.interface, "subnet": v.subnet, "status": v.status }))
            .collect();
        let lines = carp.vips.iter().map(|vip| {
            format!("{} vhid {} on {}: {}", vip.subnet, vip.vhid, vip.interface, vip.status)
        });
        let excerpt = firewall.excerpt(lines);
        let facts = json!({
            "role": role,
            "vips": vips,
            "demotion": carp.demotion,
            "maintenance": carp.maintenance,
            "stops_on_backup": known(service).stops_on_backup,
            "partner_runs": partner_runs,
        });
        Ok(evidence(facts, summary, excerpt))
    })
}
