//! The peer as configured, beside the peer as the kernel has it.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::wireguard::{Aim, Config};

pub(super) fn signature() -> ProbeSignature {
    let flag = |name, doc| Field::new(name, FieldType::Bool, doc);
    let text = |name, doc| Field::new(name, FieldType::Text, doc);
    ProbeSignature {
        name: "wireguard-config",
        summary: "The peer's configuration, and where what runs differs from it (public keys only)",
        params: Aim::params(),
        facts: vec![
            flag("enabled", "WireGuard, the instance and the peer are all enabled."),
            flag("configured", "The instance has a peer of this name."),
            flag("running", "The kernel has a peer of this name on this instance."),
            flag("roaming", "No endpoint is configured: the peer connects from anywhere."),
            text("address", "The configured endpoint: an address, a name, or empty."),
            text("port", "The configured port of the endpoint."),
            text("keepalive", "Seconds, or empty."),
            flag("applied", "What runs is what is configured."),
            Field::new("differences", FieldType::texts(), "What differs, where it does."),
            flag("own_key_matches", "The interface has the configured instance's public key."),
            flag("port_matches", "The interface listens on the configured port."),
            flag("depends_on_carp", "The instance is up on the CARP master only."),
            Field::new("overlaps", FieldType::texts(), "Peers with one of its allowed IPs."),
        ],
        privilege: "VPN: WireGuard: configuration (reads private keys, which are dropped)",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let aim = Aim::of(args);
        let config = Config::read(firewall).await?;
        let (tunnels, peers) = firewall.tunnels().await?;
        let (server, client) = aim.find_config(&config)?;
        let tunnel = tunnels.iter().find(|tunnel| tunnel.name == aim.instance);
        let peer = aim.find(&peers)?;
        let differences = match (client, peer) {
            (Some(client), Some(peer)) => client.differences(peer),
            (Some(_), None) => vec!["the peer itself"],
            _ => Vec::new(),
        };
        let enabled = config.enabled
            && server.is_some_and(|server| server.enabled)
            && client.is_some_and(|client| client.enabled);
        let own_key = server.zip(tunnel).is_some_and(|(s, t)| s.public_key == t.public_key);
        let port = server.zip(tunnel).is_some_and(|(s, t)| s.port == t.listen_port);
        let overlaps: Vec<&str> = client.map_or_else(Vec::new, |client| {
            let ips: Vec<_> = client.allowed_ips.split(',').map(str::trim).collect();
            let shares = |ip: &str| ips.contains(&ip.trim());
            let other = config.clients.iter().filter(|other| other.uuid != client.uuid);
            let other = other.filter(|other| other.allowed_ips.split(',').any(shares));
            other.map(|other| other.name.as_str()).collect()
        });
        let summary = match (server, client) {
            (None, _) => "no instance of this name is configured".to_owned(),
            (_, None) => "the instance has no peer of this name".to_owned(),
            _ if !enabled => "disabled in the configuration".to_owned(),
            _ if !own_key => "the interface runs with another key than configured".to_owned(),
            _ if !differences.is_empty() => {
                format!("saved but not applied: {} differ", differences.join(", "))
            }
            (_, Some(client)) if client.roams() => {
                "enabled and applied; a roaming peer: nothing here ever calls it".to_owned()
            }
            (_, Some(client)) => format!("enabled and applied; its endpoint is {}", client.address),
        };
        let line = client.map(|client| {
            format!(
                "peer {} key {} allowed {} endpoint {}:{} keepalive {}",
                client.name,
                client.public_key,
                client.allowed_ips,
                client.address,
                client.port,
                client.keepalive.as_deref().unwrap_or("")
            )
        });
        let facts = json!({
            "enabled": enabled,
            "configured": client.is_some(),
            "running": peer.is_some(),
            "roaming": client.is_some_and(|client| client.roams()),
            "address": client.map_or("", |client| client.address.as_str()),
            "port": client.map_or("", |client| client.port.as_str()),
            "keepalive": client.and_then(|client| client.keepalive.as_deref()).unwrap_or(""),
            "applied": client.is_some() && differences.is_empty() && own_key,
            "differences": differences,
            "own_key_matches": own_key,
            "port_matches": port,
            "depends_on_carp": server.is_some_and(|server| server.depends_on_carp),
            "overlaps": overlaps,
        });
        Ok(evidence(facts, summary, firewall.excerpt(line)))
    })
}
