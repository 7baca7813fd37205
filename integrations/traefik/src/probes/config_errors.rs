//! `traefik/config-errors`: what Traefik itself calls wrong in its configuration.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::{counted, evidence};
use crate::client::Client;

pub(crate) const NAME: &str = "config-errors";

/// The lists, with the noun for one of their objects.
const LISTS: &[(&str, &str)] = &[
    ("/api/http/routers", "router"),
    ("/api/http/services", "service"),
    ("/api/http/middlewares", "middleware"),
    ("/api/tcp/routers", "TCP router"),
    ("/api/tcp/services", "TCP service"),
    ("/api/tcp/middlewares", "TCP middleware"),
    ("/api/udp/routers", "UDP router"),
    ("/api/udp/services", "UDP service"),
];

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Lists the routers, services and middlewares that Traefik disabled or warns about",
        params: vec![],
        facts: vec![
            Field::new("count", FieldType::Int, "how many are disabled or warned about"),
            Field::new("disabled", FieldType::Int, "how many of them are disabled"),
            Field::new(
                "objects",
                FieldType::records(vec![
                    Field::new("kind", FieldType::Text, "router, service, middleware, …"),
                    Field::new("name", FieldType::Text, "the qualified name"),
                    Field::new("status", FieldType::Text, "disabled or warning"),
                    Field::new("error", FieldType::Text, "what Traefik says"),
                ]),
                "the objects",
            ),
            Field::new(
                "empty",
                FieldType::Bool,
                "there is no router but Traefik's own: every request is answered 404",
            ),
        ],
        privilege: "GET /api/{http,tcp,udp}/{routers,services,middlewares}",
    }
}

pub(crate) struct ConfigErrors(pub Arc<Client>);

impl Probe for ConfigErrors {
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let (mut objects, mut empty) = (Vec::new(), true);
            for (path, kind) in LISTS {
                let list = self.0.list(path).await?;
                empty &=
                    !kind.ends_with("router") || list.iter().all(|object| object.is_internal());
                for object in list.into_iter().filter(|object| object.status != "enabled") {
                    objects.push((*kind, object));
                }
            }
            let disabled = objects.iter().filter(|(_, object)| object.status == "disabled").count();
            let lines: Vec<_> = objects
                .iter()
                .map(|(kind, object)| {
                    format!(
                        "{kind} {} is {}: {}",
                        object.name,
                        object.status,
                        object.errors.join("; ")
                    )
                })
                .collect();
            let summary = match (lines.first(), empty) {
                (_, true) => "there is no router but Traefik's own".to_owned(),
                (Some(first), _) if lines.len() > 1 => {
                    format!("{first}, and {} more", lines.len() - 1)
                }
                (Some(first), _) => first.clone(),
                (None, _) => format!("{} in the configuration", counted(0, "error")),
            };
            let facts = json!({
                "count": objects.len(),
                "disabled": disabled,
                "objects": objects
                    .iter()
                    .map(|(kind, object)| json!({
                        "kind": kind,
                        "name": object.name,
                        "status": object.status,
                        "error": object.errors.join("; "),
                    }))
                    .collect::<Vec<_>>(),
                "empty": empty,
            });
            Ok(evidence(facts, summary, lines.join("\n")))
        })
    }
}
