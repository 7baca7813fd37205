//! How far a call to the API gets. Unlike every other probe, this one looks at the looking itself:
//! a failure is what it was sent to find.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, ProbeError};
use serde_json::json;

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::collector::PARTS;

pub(super) fn signature() -> ProbeSignature {
    let flag = |name, doc| Field::new(name, FieldType::Bool, doc);
    ProbeSignature {
        name: "api-reach",
        summary: "How far the calls of a collection get: connection, answer, key, back end",
        params: vec![],
        facts: vec![
            flag("connects", "A connection stands and an answer comes in time."),
            flag("accepts_key", "The key and its secret are accepted, with their privileges."),
            flag("answers", "The answer is what a healthy firewall gives."),
            Field::new(
                "class",
                FieldType::Text,
                "`ok`, `connect`, `deadline`, `denied`, `answer`, or `unable`.",
            ),
            Field::new("error", FieldType::Text, "What went wrong, or empty."),
        ],
        privilege: "Status: Services",
    }
}

/// Looks at the parts of a collection until one fails.
async fn first_failure(firewall: &Firewall) -> Result<(), ProbeError> {
    firewall.services().await?;
    for part in PARTS.iter().filter(|part| !firewall.skips(part)) {
        match *part {
            "status" => drop(firewall.status().await?),
            "wireguard" => drop(firewall.tunnels().await?),
            "carp" => drop(firewall.carp().await?),
            _ => drop(firewall.gateways().await?),
        }
    }
    Ok(())
}

pub(super) fn look<'a>(firewall: &'a Firewall, _args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let error = first_failure(firewall).await.err();
        let class = error.as_ref().map_or("ok", ProbeError::class);
        let text = error.map(|error| firewall.excerpt([error.to_string()])).unwrap_or_default();
        let facts = json!({
            "connects": !matches!(class, "connect" | "deadline" | "unable"),
            "accepts_key": matches!(class, "ok" | "answer"),
            "answers": class == "ok",
            "class": class,
            "error": text,
        });
        let summary = if text.is_empty() {
            "the API answers as it should".to_owned()
        } else {
            format!("could not {text}")
        };
        Ok(evidence(facts, summary, String::new()))
    })
}
