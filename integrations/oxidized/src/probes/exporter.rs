//! `oxidized/exporter`: what a deployed exporter says, beside what Oxidized itself says.
//!
//! An exporter that says 0 while Oxidized answers here has another URL, another login or another
//! network than we have: its configuration is at fault, and a restart of Oxidized is not the cure.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_exposition::{Format, parse_as};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::evidence;
use crate::client::Client;

pub(crate) const NAME: &str = "exporter";

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Asks the exporter, where one is deployed, whether it reads Oxidized",
        params: Vec::new(),
        facts: vec![
            Field::new("deployed", FieldType::Bool, "whether `exporter_url` is configured"),
            Field::new("answers", FieldType::Bool, "whether it answers with metrics"),
            Field::new(
                "reads_oxidized",
                FieldType::Bool.or_null(),
                "its `oxidized_status`; null where it does not say",
            ),
        ],
        privilege: "",
    }
}

pub(crate) struct ExporterProbe(pub Arc<Client>);

impl Probe for ExporterProbe {
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async {
            let facts = |deployed, answers, reads: Option<bool>| json!({ "deployed": deployed, "answers": answers, "reads_oxidized": reads });
            let Some(answer) = self.0.exporter().await else {
                let summary = "no exporter is configured: Paramedic reads Oxidized itself";
                return Ok(evidence(facts(false, false, None), summary.to_owned(), String::new()));
            };
            let text = match answer {
                Ok(text) => text,
                Err(error) => {
                    let summary = format!("the exporter does not answer: {error}");
                    return Ok(evidence(facts(true, false, None), summary, String::new()));
                }
            };
            let target = self.0.exporter_target().unwrap_or_default();
            let scrape = parse_as(Format::Text, text.as_bytes())
                .map_err(|error| ProbeError::answer(&target, error.to_string()))?;
            let own = scrape.samples.iter().find(|sample| {
                let labels = &sample.series.labels;
                // With labels it is the other exporter, whose family of that name means a device.
                labels.metric_name() == Some("oxidized_status") && labels.len() == 1
            });
            let reads = own.map(|sample| sample.series.value == 1.0);
            let summary = match reads {
                Some(true) => "the exporter reads Oxidized",
                Some(false) => "the exporter answers, and cannot read Oxidized",
                None => "what answers is not the exporter: it has no oxidized_status of its own",
            };
            Ok(evidence(facts(true, true, reads), summary.to_owned(), String::new()))
        })
    }
}
