//! What the WireGuard pages of a simulated firewall answer.

use paramedic_model::TimeMs;
use serde_json::{Value, json};

use super::Release;
use super::answers::{Answer, Asked, grid};
use super::api::civil;
use super::state::State;
use super::tunnels::{FarPeer, Instance};

pub(super) fn show(state: &mut State, asked: &Asked) -> Answer {
    let old = state.release == Release::V25_1;
    let mut rows = Vec::new();
    for instance in &state.instances {
        rows.push(interface_row(instance, old));
        let on_it = |peer: &&FarPeer| peer.instance == instance.uuid && peer.loaded.present;
        for peer in state.peers.iter().filter(on_it) {
            rows.push(peer_row(peer, instance, state.now, old));
        }
    }
    Answer::Json(grid(rows, asked))
}

fn interface_row(instance: &Instance, old: bool) -> Value {
    let port = instance.port.to_string();
    let mut row = json!({
        "if": instance.device, "type": "interface", "public-key": instance.public_key,
        "listen-port": port, "fwmark": "off", "endpoint": port,
        "status": if instance.up { "up" } else { "down" }, "name": instance.name,
        "latest-handshake-age": null, "latest-handshake-epoch": null,
        "peer-status": "offline", "ifname": instance.name,
    });
    strip_status(&mut row, old);
    row
}

fn peer_row(peer: &FarPeer, instance: &Instance, now: TimeMs, old: bool) -> Value {
    const ONLINE_S: i64 = 300;
    let figures = peer.figures(instance.created, now);
    let handshake = figures.handshake.map_or(0, |at| at.0 / 1000);
    let age = figures.handshake.map(|at| now.0 / 1000 - at.0 / 1000);
    let status = match age {
        None => "offline",
        Some(age) if age <= ONLINE_S => "online",
        Some(_) => "stale",
    };
    let mut row = json!({
        "if": instance.device, "type": "peer", "public-key": peer.public_key,
        "endpoint": figures.endpoint.as_deref().unwrap_or("(none)"),
        "allowed-ips": peer.loaded.allowed_ips, "latest-handshake": handshake,
        "transfer-rx": figures.rx_bytes, "transfer-tx": figures.tx_bytes,
        "persistent-keepalive": peer.loaded.keepalive, "name": peer.name,
        "latest-handshake-age": age,
        "latest-handshake-epoch": figures.handshake
            .map(|at| civil(at).strftime("%Y-%m-%d %H:%M:%S").to_string()),
        "peer-status": status, "ifname": instance.name,
    });
    strip_status(&mut row, old);
    row
}

/// Before 25.1.2 there was no status of a peer.
fn strip_status(row: &mut Value, old: bool) {
    if let (true, Some(fields)) = (old, row.as_object_mut()) {
        fields.retain(|name, _| name != "peer-status" && !name.starts_with("latest-handshake-"));
    }
}

pub(super) fn servers(state: &mut State, asked: &Asked) -> Answer {
    let row = |instance: &Instance| {
        let on_it = state.peers.iter().filter(|peer| peer.instance == instance.uuid);
        let names: Vec<_> = on_it.clone().map(|peer| peer.name).collect();
        let ids: Vec<_> = on_it.map(|peer| peer.uuid).collect();
        if state.release == Release::V25_1 {
            return json!({
                "uuid": instance.uuid, "enabled": "1", "instance": "0",
                "peers": names.join(","), "name": instance.name, "pubkey": instance.public_key,
                "port": instance.port.to_string(), "tunneladdress": "10.9.0.1/16",
                "interface": instance.device,
            });
        }
        json!({
            "uuid": instance.uuid, "enabled": "1", "name": instance.name, "instance": "0",
            "pubkey": instance.public_key,
            "privkey": "cHJpdmF0ZSBrZXkgb2YgdGhlIGZpcmV3YWxsCg==",
            "port": instance.port.to_string(), "mtu": "", "dns": "",
            "tunneladdress": "10.9.0.1/16", "disableroutes": "0", "gateway": "",
            "carp_depend_on": if instance.depends_on_carp { "77777777-7777-4777-8777-777777777777" }
                else { "" },
            "peers": ids.join(","), "%peers": names.join(","), "debug": "0",
            "interface": instance.device,
        })
    };
    Answer::Json(grid(state.instances.iter().map(row).collect(), asked))
}

pub(super) fn clients(state: &mut State, asked: &Asked) -> Answer {
    let name_of = |uuid: &str| {
        state.instances.iter().find(|instance| instance.uuid == uuid).map_or("", |i| i.name)
    };
    let row = |peer: &FarPeer| {
        let mut row = json!({
            "uuid": peer.uuid, "enabled": "1", "name": peer.name, "pubkey": peer.public_key,
            "tunneladdress": peer.allowed_ips, "serveraddress": peer.address,
            "serverport": peer.port, "servers": name_of(peer.instance),
        });
        if state.release != Release::V25_1 {
            row["psk"] = json!("cHJlLXNoYXJlZCBrZXkgb2YgdGhlIHR1bm5lbAo=");
            row["keepalive"] = json!(peer.keepalive);
            row["servers"] = json!(peer.instance);
            row["%servers"] = json!(name_of(peer.instance));
        }
        row
    };
    Answer::Json(grid(state.peers.iter().map(row).collect(), asked))
}
