//! What an HTTP GET from here to a configured place answers.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{HttpRequest, Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::{FAILURE_DOC, check_param, evidence};
use crate::config::Check;
use crate::host::Host;

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "http-check",
        summary: "What an HTTP GET from here to a configured place answers",
        params: vec![check_param()],
        facts: vec![
            Field::new("target", FieldType::Text, "the URL that was tried"),
            Field::new("reachable", FieldType::Bool, "an HTTP answer came"),
            Field::new("ok", FieldType::Bool, "its status is 200 to 299"),
            Field::new("status", FieldType::Int.or_null(), "its status"),
            Field::new("body", FieldType::Text, "the beginning of its body, on one line"),
            Field::new("failure", FieldType::Text, FAILURE_DOC),
            Field::new("error", FieldType::Text, "what went wrong; empty where reachable"),
            Field::new("latency_ms", FieldType::Int, "how long it took, in milliseconds"),
        ],
        privilege: "",
    }
}

pub(super) struct HttpCheck(pub(super) Arc<Host>);

impl Probe for HttpCheck {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let name = args.text("check");
            let Check::Http { client, path, url } = self.0.check(name)? else {
                let reason = format!("the check {name:?} is no URL; use tcp-check");
                return Err(ProbeError::unable(reason));
            };
            let began = self.0.clock.now();
            let answer = client.send(HttpRequest::get(path.clone())).await;
            let latency_ms = self.0.clock.now().since(began).as_millis();
            let (failure, error) = match &answer {
                Ok(_) => ("", String::new()),
                Err(error @ ProbeError::Deadline { .. }) => ("timeout", error.to_string()),
                Err(error) if error.to_string().contains("refused") => {
                    ("refused", error.to_string())
                }
                Err(error) => ("other", error.to_string()),
            };
            let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
            let ok = answer.as_ref().is_ok_and(|answer| answer.status.is_success());
            let body = answer.as_ref().map(|answer| answer.text()).unwrap_or_default();
            let summary = match status {
                Some(status) => format!("{url} answers {status}"),
                None => format!("{url} does not answer: {error}"),
            };
            let facts = json!({
                "target": url,
                "reachable": failure.is_empty(),
                "ok": ok,
                "status": status,
                "body": crate::shorten(&body),
                "failure": failure,
                "error": error,
                "latency_ms": u64::try_from(latency_ms).unwrap_or(u64::MAX),
            });
            Ok(evidence(&self.0, facts, &summary, &crate::shorten(&body)))
        })
    }
}
