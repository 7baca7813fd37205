//! What the service's own module says of its configuration.

use http::StatusCode;
use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{HttpRequest, Look, ProbeError, UrlPath};
use serde_json::json;

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::json::field;
use crate::services::{Aim, known};

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "service-config",
        summary: "What the service's module says of it, and whether a custom override is in force",
        params: Aim::params(),
        facts: vec![
            Field::new("module", FieldType::Text, "The API module; empty where none has a status."),
            Field::new(
                "status",
                FieldType::Text,
                "`running`, `stopped`, `disabled`, `unknown`; empty without a module.",
            ),
            Field::new(
                "regenerates",
                FieldType::Bool,
                "A start writes its configuration anew; else only a reconfigure does.",
            ),
            Field::new("can_reconfigure", FieldType::Bool, "The module can write it anew."),
            Field::new("override", FieldType::Text, "What a custom override says, or empty."),
        ],
        privilege: "the page of the service itself, and System: Status",
    }
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let known = known(Aim::of(args).name);
        let (mut status, mut banner) = (String::new(), String::new());
        if !known.module.is_empty() {
            let path = UrlPath::new(&["api", known.module, "service", "status"])?;
            let page = format!("the page of {}", known.module);
            let answer = firewall.send(HttpRequest::get(path.clone()), &page).await?;
            status = field(&answer, "status");
            if status.is_empty() {
                return Err(firewall.answer(path.path(), "no status in it"));
            }
            banner = self::banner(firewall, known.module).await?;
        }
        let summary = match (known.module, status.as_str(), banner.as_str()) {
            ("", ..) => "the API has no module for this service".to_owned(),
            (module, status, "") => format!("module {module} says {status}"),
            (module, status, banner) => format!("module {module} says {status}; {banner}"),
        };
        let excerpt = firewall.excerpt([summary.clone()]);
        let facts = json!({
            "module": known.module,
            "status": status,
            "regenerates": known.regenerates,
            "can_reconfigure": !known.module.is_empty(),
            "override": firewall.excerpt([banner]),
        });
        Ok(evidence(facts, excerpt.clone(), excerpt))
    })
}

/// The message of an override banner of `module`, which the status shows only for its page.
async fn banner(firewall: &Firewall, module: &str) -> Result<String, ProbeError> {
    let path = UrlPath::fixed("/api/core/system/status").with_query("path", &page(module));
    match firewall.send(HttpRequest::get(path), "System: Status").await {
        Ok(status) => {
            let name = format!("{module}override");
            let items = status.get("subsystems").and_then(|items| items.get(&name)).cloned();
            Ok(items.map(|item| field(&item, "message")).unwrap_or_default())
        }
        // The query is part of what privileges are compared with, so a key may be refused this
        // and nothing else; the banner only adds to what the module said.
        Err(ProbeError::Denied { reason, .. })
            if reason.contains(StatusCode::FORBIDDEN.as_str()) =>
        {
            Ok(String::new())
        }
        Err(error) => Err(error),
    }
}

fn page(module: &str) -> String {
    format!("/ui/{module}/")
}
