//! The peer as the kernel has it now, and what its counters say.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::wireguard::{Aim, PeerStatus};

pub(super) fn signature() -> ProbeSignature {
    let flag = |name, doc| Field::new(name, FieldType::Bool, doc);
    let text = |name, doc| Field::new(name, FieldType::Text, doc);
    let int = |name, doc| Field::new(name, FieldType::Int, doc);
    ProbeSignature {
        name: "wireguard-peer",
        summary: "The peer's state now, what its counters say, and how its neighbours fare",
        params: Aim::params(),
        facts: vec![
            flag("found", "The kernel has the peer; a disabled one it has not."),
            text("status", "`online`, `stale`, `offline` (never since creation), `unknown`."),
            text(
                "reading",
                "`connected`; `died` (worked once); `silent` (no endpoint, nothing heard); \
                 `unanswered` (we call, nothing comes); `unconfirmed` (both call, no session); \
                 `idle` (nothing triggers a handshake); empty without the peer.",
            ),
            text("endpoint", "Where it was last heard or is called, or empty."),
            int("handshake_age_s", "Since the last handshake; -1 for never."),
            int("rx_bytes", "Received since the interface was created."),
            int("tx_bytes", "Sent since then."),
            flag("interface_up", "The interface is up."),
            text("listen_port", "The port that the interface listens on."),
            int("peers", "Peers on the same instance."),
            int("others_online", "Of them, others that are online."),
        ],
        privilege: "VPN: WireGuard: Status",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let aim = Aim::of(args);
        let (tunnels, peers) = firewall.tunnels().await?;
        let tunnel = tunnels.iter().find(|tunnel| tunnel.name == aim.instance);
        let peer = aim.find(&peers)?;
        let all: Vec<_> = peers.iter().filter(|peer| peer.instance == aim.instance).collect();
        let others_online = all
            .iter()
            .filter(|other| other.name != aim.peer && other.status == PeerStatus::Online)
            .count();
        let others = format!("{others_online} of {} others online", all.len().saturating_sub(1));
        let summary = match peer {
            None => "the kernel has no such peer: disabled, removed, or not applied".to_owned(),
            Some(peer) => {
                let told = match peer.reading() {
                    "connected" => "connected",
                    "died" => "worked and died",
                    "silent" => "no endpoint known, nothing ever heard",
                    "unanswered" => "we call, nothing comes back",
                    "unconfirmed" => "packets both ways, but no session",
                    _ => "an endpoint, but nothing triggers a handshake",
                };
                format!("{}: {told}; {others}", peer.status.as_str())
            }
        };
        let line = peer.map(|peer| {
            let endpoint = if peer.endpoint.is_empty() { "(none)" } else { &peer.endpoint };
            format!(
                "{} endpoint {endpoint} handshake {} rx {} tx {} keepalive {}",
                peer.name, peer.handshake, peer.rx_bytes, peer.tx_bytes, peer.keepalive
            )
        });
        let facts = json!({
            "found": peer.is_some(),
            "status": peer.map_or("unknown", |peer| peer.status.as_str()),
            "reading": peer.map_or("", |peer| peer.reading()),
            "endpoint": peer.map_or("", |peer| peer.endpoint.as_str()),
            "handshake_age_s": peer.and_then(|peer| peer.handshake_age).unwrap_or(-1),
            "rx_bytes": peer.map_or(0, |peer| peer.rx_bytes),
            "tx_bytes": peer.map_or(0, |peer| peer.tx_bytes),
            "interface_up": tunnel.is_some_and(|tunnel| tunnel.status == "up"),
            "listen_port": tunnel.map_or("", |tunnel| tunnel.listen_port.as_str()),
            "peers": all.len(),
            "others_online": others_online,
        });
        Ok(evidence(facts, summary, firewall.excerpt(line)))
    })
}
