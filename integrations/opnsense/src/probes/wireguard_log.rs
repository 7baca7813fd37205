//! What the logs say of the instance: starts and stops, names that do not resolve, handshakes that
//! do not fit (the last only where the instance's debug switch is on).

use std::time::Duration;

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, count, evidence, line_excerpt, line_facts, lines_field, since_param};
use crate::client::{Firewall, LogLine};
use crate::wireguard::Aim;

/// A peer with a keepalive shakes hands within two minutes of a start; before five are over,
/// nothing can be judged.
pub(crate) const SETTLING: Duration = Duration::from_secs(300);
const DEFAULT_BACK: Duration = Duration::from_secs(3600);

pub(super) fn signature() -> ProbeSignature {
    let flag = |name, doc| Field::new(name, FieldType::Bool, doc);
    let mut params = Aim::params();
    params.push(since_param("How far before the alert began; 1h where left out."));
    ProbeSignature {
        name: "wireguard-log",
        summary: "The lines about the instance in the logs of WireGuard, configd and the system",
        params,
        facts: vec![
            lines_field(),
            flag("started_recently", "The instance was started in the last five minutes."),
            flag("resolve_failed", "A name could not be resolved."),
            flag("invalid_initiation", "A caller used keys that do not fit (debug only)."),
            flag("invalid_response", "An answer did not fit: pre-shared key (debug only)."),
            flag("invalid_mac", "A caller has a wrong public key of ours (debug only)."),
            flag("address_in_use", "The listen port was taken."),
            Field::new("last_error", FieldType::Text, "The newest line that tells why, or empty."),
        ],
        privilege: "VPN: WireGuard: Log, and Status: System logs",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, look: Look) -> Looked<'a> {
    Box::pin(async move {
        let aim = Aim::of(args);
        let (tunnels, _) = firewall.tunnels().await?;
        let device = tunnels.iter().find(|tunnel| tunnel.name == aim.instance);
        let device = device.map_or("", |tunnel| tunnel.device.as_str());
        let concerns = |line: &LogLine| {
            let word = |name: &str| {
                !name.is_empty()
                    && line
                        .text
                        .split(|c: char| !(c.is_alphanumeric() || "_-.".contains(c)))
                        .any(|part| part == name)
            };
            word(aim.instance) || word(device)
        };
        let since = look.since - args.duration("since").unwrap_or(DEFAULT_BACK);
        let mut lines = firewall.log("wireguard", "", since).await?;
        lines.retain(concerns);
        let mut configd = firewall.log("configd", "wireguard", since).await?;
        // A request without an id concerns every instance, and ids are not names.
        configd.retain(|line| line.text.contains("wireguard"));
        let mut system = firewall.log("system", "wg", since).await?;
        system.retain(concerns);
        let recent = firewall.log("wireguard", "started", look.now - SETTLING).await?;
        let started_recently = recent.iter().any(concerns);
        lines.extend(configd);
        lines.extend(system);
        let find = |parts: &[&str]| {
            lines.iter().find(|line| parts.iter().any(|part| line.text.contains(part)))
        };
        let resolve = find(&["Name does not resolve", "Name or service not known", "resolve host"]);
        let initiation = find(&["Invalid handshake initiation"]);
        let response = find(&["Invalid handshake response"]);
        let mac = find(&["Invalid initiation MAC"]);
        let in_use = find(&["ddress already in use"]);
        let error = [resolve, initiation, response, mac, in_use].into_iter().flatten().next();
        let error = error.map_or(String::new(), |line| firewall.excerpt([line.text.clone()]));
        let started = if started_recently { "; started in the last five minutes" } else { "" };
        let summary = if error.is_empty() {
            let lines = count(lines.len(), "line concerns it", "lines concern it");
            format!("{lines}; none tells why{started}")
        } else {
            format!("{error}{started}")
        };
        let facts = json!({
            "lines": line_facts(firewall, &lines),
            "started_recently": started_recently,
            "resolve_failed": resolve.is_some(),
            "invalid_initiation": initiation.is_some(),
            "invalid_response": response.is_some(),
            "invalid_mac": mac.is_some(),
            "address_in_use": in_use.is_some(),
            "last_error": error,
        });
        Ok(evidence(facts, summary, line_excerpt(firewall, &lines)))
    })
}
