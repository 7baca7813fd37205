//! Who holds the ports that the service usually serves.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, ProbeError};
use serde_json::{Value, json};

use super::{Looked, evidence};
use crate::client::{Firewall, SOCKETS};
use crate::json::field;
use crate::services::{Aim, known};

pub(super) fn signature() -> ProbeSignature {
    let holder = vec![
        Field::new("port", FieldType::Int, "The port."),
        Field::new("protocol", FieldType::Text, "`tcp4`, `udp6`, …"),
        Field::new("command", FieldType::Text, "The process that holds it; empty where not known."),
        Field::new("pid", FieldType::Text, "Its process id; empty where not known."),
    ];
    ProbeSignature {
        name: "port-conflicts",
        summary: "Which processes hold the ports that the service usually serves",
        params: Aim::params(),
        facts: vec![
            Field::new(
                "ports",
                FieldType::List(Box::new(FieldType::Int)),
                "The ports that services of this name usually serve; none for an unfamiliar one.",
            ),
            Field::new("holders", FieldType::records(holder), "Who listens on them."),
            Field::new("held_by_other", FieldType::Bool, "A process of another service does."),
            Field::new("held_by_self", FieldType::Bool, "A process of this service does."),
            Field::new("other", FieldType::Text, "The first such other process, or empty."),
        ],
        privilege: "Diagnostics: Netstat",
    }
}

/// A listener on one of a service's ports.
pub(crate) struct Holder {
    port: u16,
    protocol: String,
    pub(crate) command: String,
    pid: String,
    pub(crate) own: bool,
}

/// Who listens on the usual ports of services called `name`.
pub(crate) async fn holders(firewall: &Firewall, name: &str) -> Result<Vec<Holder>, ProbeError> {
    let value = firewall.get_spelled(SOCKETS, "Diagnostics: Netstat").await?;
    let sockets = value["statistics"]["Active Internet connections"].as_object();
    let sockets = sockets.filter(|sockets| !sockets.is_empty()).ok_or_else(|| {
        firewall.answer("/api/diagnostics/interface", "expected sockets, got none")
    })?;
    let known = known(name);
    let commands = known.commands(name);
    let holder = |socket: &Value| {
        let port = field(&socket["local"], "port").parse().ok()?;
        let protocol = field(socket, "protocol");
        let listens = protocol.starts_with("udp") || field(&socket["remote"], "port") == "*";
        let command = field(socket, "command");
        let own = commands.contains(&command.as_str());
        (listens && known.ports.contains(&port)).then(|| Holder {
            port,
            protocol,
            own,
            command,
            pid: field(socket, "pid"),
        })
    };
    Ok(sockets.values().filter_map(holder).collect())
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let name = Aim::of(args).name;
        let ports = known(name).ports;
        let holders = holders(firewall, name).await?;
        let own = holders.iter().any(|holder| holder.own);
        let other = holders.iter().find(|holder| !holder.own && !holder.command.is_empty());
        let summary = match (other, own) {
            _ if ports.is_empty() => "the ports of this service are not known".to_owned(),
            (Some(holder), _) => {
                format!("port {} is held by {}", holder.port, holder.command)
            }
            (None, true) => "its own process holds its port".to_owned(),
            (None, false) => "its ports are free".to_owned(),
        };
        let list: Vec<Value> = holders
            .iter()
            .map(|h| {
                json!({
                    "port": h.port, "protocol": h.protocol, "command": h.command, "pid": h.pid,
                })
            })
            .collect();
        let lines = holders
            .iter()
            .map(|h| format!("{} port {} {} (pid {})", h.protocol, h.port, h.command, h.pid));
        let excerpt = firewall.excerpt(lines);
        let facts = json!({
            "ports": ports,
            "holders": list,
            "held_by_other": other.is_some(),
            "held_by_self": own,
            "other": other.map_or("", |holder| holder.command.as_str()),
        });
        Ok(evidence(facts, summary, excerpt))
    })
}
