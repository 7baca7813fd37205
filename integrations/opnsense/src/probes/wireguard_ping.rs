//! Whether the peer's endpoint answers a ping from the firewall.
//!
//! The firewall runs pings as jobs that would go on for a day, so the job is stopped and removed
//! whatever happened in between. Only an address that the firewall itself uses is pinged.

use std::time::Duration;

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{HttpRequest, Look, ProbeError, UrlPath};
use serde_json::{Value, json};

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::json::{field, int};
use crate::wireguard::{Aim, endpoint_address};

const PRIVILEGE: &str = "Diagnostics: Ping";
/// One packet a second, so about this many.
const RUN: Duration = Duration::from_secs(5);

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "wireguard-ping",
        summary: "Pings the peer's endpoint from the firewall for five seconds",
        params: Aim::params(),
        facts: vec![
            Field::new("target", FieldType::Text, "The address, or empty where none is known."),
            Field::new("sent", FieldType::Int, "Packets sent; 0 without a target."),
            Field::new("received", FieldType::Int, "Packets that came back."),
            Field::new("answers", FieldType::Bool, "At least one came back."),
        ],
        privilege: "Diagnostics: Ping (no read-only user)",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let (_, peers) = firewall.tunnels().await?;
        let peer = Aim::of(args).find(&peers)?;
        let Some(target) = peer.and_then(|peer| endpoint_address(&peer.endpoint)) else {
            let facts = json!({ "target": "", "sent": 0, "received": 0, "answers": false });
            return Ok(evidence(facts, "no endpoint is known to ping", String::new()));
        };
        let family = if target.is_ipv6() { "ip6" } else { "ip" };
        let target = target.to_string();
        let settings = json!({ "ping": { "settings": {
            "hostname": target, "fam": family, "source_address": "", "packetsize": "",
            "disable_frag": "0", "interval": "1",
        } } });
        let path = UrlPath::fixed("/api/diagnostics/ping/set");
        let answer =
            firewall.send(HttpRequest::post_json(path.clone(), &settings), PRIVILEGE).await?;
        let job = field(&answer, "uuid");
        if job.is_empty() {
            return Err(firewall.answer(path.path(), "the ping was not accepted"));
        }
        let result = run(firewall, &job).await;
        // Removing also stops it; both are sent so that a failed stop leaves nothing running.
        let stopped = job_call(firewall, "stop", &job).await;
        job_call(firewall, "remove", &job).await?;
        stopped?;
        let (sent, received) = result?;
        let summary = format!("{target} answered {received} of {sent} pings");
        let facts = json!({
            "target": target, "sent": sent, "received": received, "answers": received > 0,
        });
        Ok(evidence(facts, summary, String::new()))
    })
}

/// Lets the job run, and reads how many packets were sent and came back.
async fn run(firewall: &Firewall, job: &str) -> Result<(i64, i64), ProbeError> {
    const JOBS: &str = "/api/diagnostics/ping/search_jobs";
    job_call(firewall, "start", job).await?;
    firewall.clock.sleep(RUN).await;
    let rows = firewall.rows(JOBS, PRIVILEGE).await?;
    let row = rows.iter().find(|row| field(row, "id") == job);
    let row = row.ok_or_else(|| firewall.answer(JOBS, "the ping is not among the jobs"))?;
    match (int(row, "send"), int(row, "received")) {
        (Some(sent), Some(received)) if sent > 0 => Ok((sent, received)),
        _ => Err(firewall.answer(JOBS, "the ping has no figures yet")),
    }
}

async fn job_call(firewall: &Firewall, verb: &str, job: &str) -> Result<Value, ProbeError> {
    let path = UrlPath::new(&["api", "diagnostics", "ping", verb, job])?;
    firewall.send(HttpRequest::post(path), PRIVILEGE).await
}
