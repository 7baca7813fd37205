//! Whether this firewall blocks the peer's own packets.

use std::net::IpAddr;

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{HttpRequest, Look, ProbeError, UrlPath};
use serde_json::{Value, json};

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::json::{field, flag};
use crate::wireguard::{Aim, endpoint_address};

pub(super) fn signature() -> ProbeSignature {
    let int = |name, doc| Field::new(name, FieldType::Int, doc);
    ProbeSignature {
        name: "wireguard-inbound",
        summary: "Blocked packets to the instance's listen port, and the rules that let it in",
        params: Aim::params(),
        facts: vec![
            Field::new("port", FieldType::Text, "The listen port."),
            int(
                "blocked",
                "Packets to it that the live log shows blocked; of this peer's \
                 address where that is known, else of anyone.",
            ),
            Field::new("sources", FieldType::texts(), "Where they came from."),
            Field::new("rule", FieldType::Text, "The rule that blocked the newest, or empty."),
            Field::new(
                "pass_rules",
                FieldType::Int.or_null(),
                "Enabled rules that let UDP to this port in; null where the key may not read \
                 rules. Before 25.7 only rules made through the API are seen.",
            ),
        ],
        privilege: "Diagnostics: Firewall: Log, and Firewall: Rules [new] for the rules",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let aim = Aim::of(args);
        let (tunnels, peers) = firewall.tunnels().await?;
        let tunnel = tunnels.iter().find(|tunnel| tunnel.name == aim.instance);
        let port = tunnel.map(|tunnel| tunnel.listen_port.clone()).unwrap_or_default();
        if port.is_empty() {
            return Err(ProbeError::unable("the instance has no interface, hence no listen port"));
        }
        let address = aim.find(&peers)?.and_then(|peer| endpoint_address(&peer.endpoint));
        let records = blocked(firewall, &port).await?;
        let of_peer = |record: &&Value| {
            address.is_none_or(|address| field(record, "src").parse::<IpAddr>() == Ok(address))
        };
        let records: Vec<&Value> = records.iter().filter(of_peer).collect();
        let mut sources: Vec<_> = records.iter().map(|record| field(record, "src")).collect();
        sources.sort();
        sources.dedup();
        let rule = records.first().map(|record| field(record, "label")).unwrap_or_default();
        let pass_rules = pass_rules(firewall, &port).await?;
        let summary = match (records.len(), pass_rules) {
            (0, Some(0)) => format!("nothing blocked on port {port}; no rule seen that lets it in"),
            (0, _) => format!("nothing blocked on port {port}"),
            (number, _) => {
                format!("{number} packets to port {port} blocked by rule {rule:?}")
            }
        };
        let lines = records.iter().take(10).map(|record| {
            format!(
                "{} block in on {} {}:{} -> port {} ({})",
                field(record, "__timestamp__"),
                field(record, "interface"),
                field(record, "src"),
                field(record, "srcport"),
                field(record, "dstport"),
                field(record, "label")
            )
        });
        let excerpt = firewall.excerpt(lines);
        let facts = json!({
            "port": port,
            "blocked": records.len(),
            "sources": sources,
            "rule": rule,
            "pass_rules": pass_rules,
        });
        Ok(evidence(facts, firewall.excerpt([summary]), excerpt))
    })
}

/// The newest blocked inbound UDP packets to `port`, newest first.
async fn blocked(firewall: &Firewall, port: &str) -> Result<Vec<Value>, ProbeError> {
    const PATH: &str = "/api/diagnostics/firewall/log";
    let path = UrlPath::fixed(PATH).with_query("limit", "1000").with_query("digest", "");
    let value = firewall.send(HttpRequest::get(path), "Diagnostics: Firewall: Log").await?;
    let Value::Array(records) = value else {
        return Err(firewall.answer(PATH, "expected a list of packets"));
    };
    let hit = |record: &Value| {
        field(record, "action") == "block"
            && field(record, "dir") == "in"
            && field(record, "protoname") == "udp"
            && field(record, "dstport") == port
    };
    Ok(records.into_iter().filter(hit).collect())
}

/// How many enabled rules pass UDP to `port`; `None` where the key may not read rules, which is a
/// privilege that also edits them and is therefore often not granted.
async fn pass_rules(firewall: &Firewall, port: &str) -> Result<Option<usize>, ProbeError> {
    let rows = firewall.rows("/api/firewall/filter/search_rule", "Firewall: Rules [new]").await;
    let rows = match rows {
        Ok(rows) => rows,
        Err(ProbeError::Denied { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let passes = |row: &&Value| {
        flag(row, "enabled") == Some(true)
            && field(row, "action") == "pass"
            && matches!(field(row, "protocol").to_lowercase().as_str(), "udp" | "any" | "tcp/udp")
            && matches!(field(row, "destination_port").as_str(), "" | "any")
                | (field(row, "destination_port") == port)
    };
    Ok(Some(rows.iter().filter(passes).count()))
}
