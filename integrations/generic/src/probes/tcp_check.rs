//! Whether a TCP connection from here to a configured place opens.

use std::io;
use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::{FAILURE_DOC, check_param, evidence};
use crate::config::{CHECK_DEADLINE, Check};
use crate::host::Host;

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "tcp-check",
        summary: "Whether a TCP connection from here to a configured place opens",
        params: vec![check_param()],
        facts: vec![
            Field::new("target", FieldType::Text, "the address that was tried"),
            Field::new("reachable", FieldType::Bool, "the connection opened"),
            Field::new("failure", FieldType::Text, FAILURE_DOC),
            Field::new("error", FieldType::Text, "what went wrong; empty where reachable"),
            Field::new("latency_ms", FieldType::Int, "how long it took, in milliseconds"),
        ],
        privilege: "",
    }
}

pub(super) struct TcpCheck(pub(super) Arc<Host>);

impl Probe for TcpCheck {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let name = args.text("check");
            let address = match self.0.check(name)? {
                Check::Tcp(address) => address,
                Check::Http { client, .. } => client.address(),
            };
            let began = self.0.clock.now();
            let connect = self.0.environment().transport.connect(address);
            let outcome = tokio::time::timeout(CHECK_DEADLINE, connect).await;
            let latency_ms = self.0.clock.now().since(began).as_millis();
            let (failure, error) = match &outcome {
                Ok(Ok(_)) => ("", String::new()),
                Ok(Err(error)) => (failure(error.kind()), error.to_string()),
                Err(_) => ("timeout", format!("no answer within {} s", CHECK_DEADLINE.as_secs())),
            };
            let summary = match failure {
                "" => format!("{address} accepts connections"),
                _ => format!("{address} cannot be reached: {error}"),
            };
            let facts = json!({
                "target": address.to_string(),
                "reachable": failure.is_empty(),
                "failure": failure,
                "error": error,
                "latency_ms": u64::try_from(latency_ms).unwrap_or(u64::MAX),
            });
            Ok(evidence(&self.0, facts, &summary, ""))
        })
    }
}

fn failure(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::TimedOut => "timeout",
        _ => "other",
    }
}
