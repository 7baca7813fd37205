//! `oxidized/nodes`: what Oxidized says of its devices, once it answers.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::evidence;
use crate::client::Client;
use crate::reach::Reach;

pub(crate) const NAME: &str = "nodes";

/// How many names of failing devices an excerpt holds.
const SHOWN: usize = 20;

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Counts the devices by what became of their last backup",
        params: Vec::new(),
        facts: vec![
            Field::new("count", FieldType::Int, "devices in the list"),
            Field::new("success", FieldType::Int, "whose last attempt succeeded"),
            Field::new("failed", FieldType::Int, "whose last attempt failed"),
            Field::new("never", FieldType::Int, "without an attempt since the start"),
        ],
        privilege: "",
    }
}

pub(crate) struct Nodes(pub Arc<Client>);

impl Probe for Nodes {
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async {
            let reach = self.0.list().await;
            let Reach::List(nodes) = reach else {
                return Err(ProbeError::answer(self.0.target(), reach.describe()));
            };
            let of = |word: &str| nodes.iter().filter(|node| node["status"] == word).count();
            let (count, success, never) = (nodes.len(), of("success"), of("never"));
            let failed = count - success - never;
            // Names and words only: `vars` holds passwords.
            let failing = nodes.iter().filter(|node| node["status"] != "success");
            let line = |node: &serde_json::Value| {
                let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
                format!("{} {}", text("full_name"), text("status"))
            };
            let excerpt: Vec<_> = failing.take(SHOWN).map(line).collect();
            let facts = json!({
                "count": count, "success": success, "failed": failed, "never": never,
            });
            let summary = format!(
                "{count} devices: {success} backed up, {failed} failed, {never} not yet tried"
            );
            Ok(evidence(facts, summary, excerpt.join("\n")))
        })
    }
}
