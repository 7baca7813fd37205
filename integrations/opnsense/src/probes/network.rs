//! Gateways and interfaces: whether the firewall itself is connected.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::{Value, json};

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::json::{field, flag};

pub(super) fn signature() -> ProbeSignature {
    let gateway = vec![
        Field::new("name", FieldType::Text, "Its name."),
        Field::new("status", FieldType::Text, "`Online`, `Offline`, `Packetloss`, …"),
        Field::new("default", FieldType::Bool, "It is the default gateway."),
        Field::new("loss", FieldType::Text, "Lost probes: `0.0 %`, or `~` if not measured."),
    ];
    let interface = vec![
        Field::new("name", FieldType::Text, "Its name for people: `WAN`."),
        Field::new("device", FieldType::Text, "Its device."),
        Field::new("status", FieldType::Text, "`up`, `down`, `no carrier`."),
        Field::new("address", FieldType::Text, "Its IPv4 address, or empty."),
    ];
    ProbeSignature {
        name: "network",
        summary: "Gateways and assigned interfaces, and which of them are down",
        params: vec![],
        facts: vec![
            Field::new("gateways", FieldType::records(gateway), "The gateways in use."),
            Field::new("down", FieldType::texts(), "Gateways that are offline or forced so."),
            Field::new("default_down", FieldType::Bool, "A default gateway is among them."),
            Field::new("interfaces", FieldType::records(interface), "The enabled interfaces."),
            Field::new("no_link", FieldType::texts(), "Interfaces without a link."),
        ],
        privilege: "System: Gateways, and Status: Interfaces",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, _args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        const INTERFACES: &str = "/api/interfaces/overview/interfaces_info";
        let used = firewall.gateways().await?;
        let rows = firewall.rows(INTERFACES, "Status: Interfaces").await?;
        if rows.is_empty() || rows.iter().any(|row| field(row, "device").is_empty()) {
            return Err(firewall.answer(INTERFACES, "expected interfaces, each with its device"));
        }
        let is_down = |row: &&Value| field(row, "status").starts_with("Offline");
        let down: Vec<&Value> = used.iter().filter(is_down).collect();
        let is_default = |row: &Value| flag(row, "defaultgw") == Some(true);
        let default_down = down.iter().any(|row| is_default(row));
        let assigned: Vec<_> = rows
            .iter()
            .filter(|row| {
                !field(row, "identifier").is_empty() && flag(row, "enabled") == Some(true)
            })
            .collect();
        let no_link: Vec<_> = assigned
            .iter()
            .filter(|row| field(row, "status") != "up")
            .map(|row| field(row, "description"))
            .collect();
        let down_names: Vec<_> = down.iter().map(|row| field(row, "name")).collect();
        let summary = match (down_names.as_slice(), no_link.as_slice()) {
            ([], []) => "gateways and links are up".to_owned(),
            (gateways, []) => format!("gateway down: {}", gateways.join(", ")),
            ([], links) => format!("no link: {}", links.join(", ")),
            (gateways, links) => {
                format!("gateway down: {}; no link: {}", gateways.join(", "), links.join(", "))
            }
        };
        let gateway_facts: Vec<_> = used
            .iter()
            .map(|row| {
                json!({
                    "name": field(row, "name"), "status": field(row, "status"),
                    "default": is_default(row), "loss": field(row, "loss"),
                })
            })
            .collect();
        let interface_facts: Vec<_> = assigned
            .iter()
            .map(|row| {
                json!({
                    "name": field(row, "description"), "device": field(row, "device"),
                    "status": field(row, "status"), "address": field(row, "addr4"),
                })
            })
            .collect();
        let gateway_line =
            |row: &Value| format!("gateway {} {}", field(row, "name"), field(row, "status"));
        let interface_line = |row: &&Value| {
            format!("interface {} {}", field(row, "description"), field(row, "status"))
        };
        let lines = used.iter().map(gateway_line).chain(assigned.iter().map(interface_line));
        let excerpt = firewall.excerpt(lines);
        let facts = json!({
            "gateways": gateway_facts,
            "down": down_names,
            "default_down": default_down,
            "interfaces": interface_facts,
            "no_link": no_link,
        });
        Ok(evidence(facts, summary, excerpt))
    })
}
