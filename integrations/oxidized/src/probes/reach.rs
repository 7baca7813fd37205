//! `oxidized/reach`: whether the REST API answers, and if not, how.
//!
//! The list of devices stands under a lock that a reload or a long history walk holds; the root
//! page does not. So a list that hangs while the root answers means busy, and not dead.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::evidence;
use crate::client::Client;
use crate::reach::Reach;

pub(crate) const NAME: &str = "reach";

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Asks the REST API for its list and for its root page",
        params: Vec::new(),
        facts: vec![
            Field::new(
                "reason",
                FieldType::Text,
                "ok, closed, unresolved, silent, host_denied, prefix_missing, login_refused, \
                 gateway, exception or foreign",
            ),
            Field::new(
                "root_answers",
                FieldType::Bool,
                "whether the root page, which takes no lock, answers",
            ),
            Field::new("url", FieldType::Text, "what was asked"),
        ],
        privilege: "",
    }
}

pub(crate) struct ReachProbe(pub Arc<Client>);

impl Probe for ReachProbe {
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async {
            let reach = self.0.list().await;
            let root_answers = match reach {
                // Nothing listens for either, or both were answered.
                Reach::Closed(_) | Reach::Unresolved(_) => false,
                Reach::Silent(_) => self.0.root_answers().await,
                _ => true,
            };
            let url = self.0.target();
            let facts =
                json!({ "reason": reach.reason(), "root_answers": root_answers, "url": url });
            let busy = matches!(reach, Reach::Silent(_)) && root_answers;
            let but = if busy { ", while its root page does: the list is locked" } else { "" };
            Ok(evidence(facts, format!("{}{but}", reach.describe()), String::new()))
        })
    }
}
