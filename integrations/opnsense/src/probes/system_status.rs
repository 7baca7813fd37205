//! Whether the firewall itself is in a state in which anything can be judged.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, count, evidence};
use crate::client::Firewall;

pub(super) fn signature() -> ProbeSignature {
    let notice = vec![
        Field::new("subsystem", FieldType::Text, "`diskspace`, `firewall`, `crashreporter`, …"),
        Field::new("message", FieldType::Text, "What it says."),
    ];
    ProbeSignature {
        name: "system-status",
        summary: "Whether the firewall is still starting, how long it is up, and what it notifies",
        params: vec![],
        facts: vec![
            Field::new("booting", FieldType::Bool, "The start-up has not finished."),
            Field::new("uptime_s", FieldType::Int, "Seconds since its start."),
            Field::new("ok", FieldType::Bool, "No notification is pending."),
            Field::new("notices", FieldType::records(notice), "The pending notifications."),
            Field::new("clock_ahead_s", FieldType::Int, "Its clock minus ours, to about 2 s."),
        ],
        privilege: "System: Status, and Lobby: Dashboard",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, _args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let status = firewall.status().await?;
        let uptime = firewall.uptime().await?;
        let state = if status.booting { "still starting" } else { "started" };
        let notices = count(status.notices.len(), "notification", "notifications");
        let minutes = uptime.as_secs() / 60;
        let summary = format!("{state}, up for {minutes} min, {notices}");
        let facts = json!({
            "booting": status.booting,
            "uptime_s": uptime.as_secs(),
            "ok": status.ok,
            "notices": status
                .notices
                .iter()
                .map(|(subsystem, message)| {
                    json!({
                        "subsystem": subsystem, "message": firewall.excerpt([message.clone()]),
                    })
                })
                .collect::<Vec<_>>(),
            "clock_ahead_s": firewall.skew_ms() / 1000,
        });
        let lines = status.notices.iter().map(|(name, message)| format!("{name}: {message}"));
        Ok(evidence(facts, summary, firewall.excerpt(lines)))
    })
}
