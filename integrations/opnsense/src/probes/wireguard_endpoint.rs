//! Whether the peer's endpoint, where it is a name, resolves now and to the address in use.

use std::net::IpAddr;

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{HttpRequest, Look, ProbeError, UrlPath};
use serde_json::{Value, json};

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::wireguard::{Aim, Config, endpoint_address};

pub(super) fn signature() -> ProbeSignature {
    let flag = |name, doc| Field::new(name, FieldType::Bool, doc);
    ProbeSignature {
        name: "wireguard-endpoint",
        summary: "Asks the firewall's resolver for the peer's endpoint and compares the answer",
        params: Aim::params(),
        facts: vec![
            Field::new("address", FieldType::Text, "The configured endpoint, or empty."),
            flag("is_name", "It is a name, which is resolved only when the instance starts."),
            flag("resolves", "The name has an address now; true for an address."),
            Field::new("addresses", FieldType::texts(), "What the resolver says now."),
            flag("in_use", "The kernel calls one of these addresses."),
        ],
        privilege: "VPN: WireGuard: configuration, and Diagnostics: DNS (no read-only user)",
    }
}

/// What the firewall's resolver says of `name`, which comes from its own configuration.
///
/// # Errors
///
/// Where the question could not be asked; a name without an address is an empty answer.
pub(crate) async fn resolve(firewall: &Firewall, name: &str) -> Result<Vec<IpAddr>, ProbeError> {
    const PATH: &str = "/api/diagnostics/dns_diagnostics/set";
    let body = json!({ "dns": { "settings": { "hostname": name, "server": "" } } });
    let request = HttpRequest::post_json(UrlPath::fixed(PATH), &body);
    let value = firewall.send(request, "Diagnostics: DNS").await?;
    let answers = match (value.get("result").and_then(Value::as_str), value.get("response")) {
        (Some("ok"), Some(Value::Object(response))) => response,
        // Nothing of any type: the resolver answered, with nothing.
        (Some("ok"), Some(Value::Array(_)) | None) => return Ok(Vec::new()),
        _ => return Err(firewall.answer(PATH, "the question was not accepted")),
    };
    let lines = ["A", "AAAA"].into_iter().filter_map(|kind| answers.get(kind));
    let lines = lines.filter_map(|kind| kind.get("answers")?.as_array()).flatten();
    let last = |line: &Value| line.as_str()?.split_whitespace().next_back()?.parse().ok();
    Ok(lines.filter_map(last).collect())
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let aim = Aim::of(args);
        let config = Config::read(firewall).await?;
        let (_, peers) = firewall.tunnels().await?;
        let (_, client) = aim.find_config(&config)?;
        let address = client.map_or("", |client| client.address.as_str());
        let is_name = client.is_some_and(|client| client.has_name());
        let endpoint = aim.find(&peers)?.and_then(|peer| endpoint_address(&peer.endpoint));
        let addresses = if is_name {
            resolve(firewall, address).await?
        } else {
            address.parse().into_iter().collect()
        };
        let in_use = endpoint.is_some_and(|endpoint| addresses.contains(&endpoint));
        let texts: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
        let summary = match (is_name, texts.as_slice(), endpoint) {
            _ if address.is_empty() => "no endpoint is configured".to_owned(),
            (false, ..) => format!("the endpoint is the address {address}"),
            (true, [], _) => format!("{address} does not resolve"),
            (true, found, None) => {
                format!("{address} resolves to {}, but no endpoint is in use", found.join(", "))
            }
            (true, found, Some(_)) if in_use => {
                format!("{address} resolves to {}, which is in use", found.join(", "))
            }
            (true, found, Some(endpoint)) => {
                format!("{address} resolves to {}, but {endpoint} is in use", found.join(", "))
            }
        };
        let facts = json!({
            "address": address,
            "is_name": is_name,
            "resolves": !address.is_empty() && !texts.is_empty(),
            "addresses": texts,
            "in_use": in_use,
        });
        Ok(evidence(facts, summary, String::new()))
    })
}
