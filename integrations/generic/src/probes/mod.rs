//! The probes: one file each, with signature, code and test.

mod command;
mod host_resources;
mod http_check;
mod listeners;
mod service_answer;
mod service_log;
mod service_status;
mod tcp_check;

use std::sync::Arc;

use paramedic_catalog::{Evidence, Param, ParamKind, ProbeSignature};
use paramedic_integration::Kit;
use serde_json::Value;

use crate::host::Host;

/// The most of a raw answer that evidence keeps.
const EXCERPT_BYTES_MAX: usize = 4096;

/// What every probe declares.
pub(crate) fn signatures() -> Vec<ProbeSignature> {
    vec![
        service_status::signature(),
        service_log::signature(),
        service_answer::signature(),
        host_resources::signature(),
        listeners::signature(),
        http_check::signature(),
        tcp_check::signature(),
        command::signature(),
    ]
}

/// Adds the probes of `host` to `kit`.
pub(crate) fn add(kit: Kit, host: &Arc<Host>) -> Kit {
    kit.with_probe("service-status", service_status::ServiceStatus(host.clone()))
        .with_probe("service-log", service_log::ServiceLog(host.clone()))
        .with_probe("service-answer", service_answer::ServiceAnswer(host.clone()))
        .with_probe("host-resources", host_resources::HostResources(host.clone()))
        .with_probe("listeners", listeners::Listeners(host.clone()))
        .with_probe("http-check", http_check::HttpCheck(host.clone()))
        .with_probe("tcp-check", tcp_check::TcpCheck(host.clone()))
        .with_probe("command", command::Command(host.clone()))
}

/// The parameter that names a service.
pub(crate) fn service_param() -> Param {
    Param::required("service", ParamKind::Token, "a name under the system's `services`")
}

/// The parameter that names a check.
fn check_param() -> Param {
    Param::required("check", ParamKind::Token, "a name under the system's `checks`")
}

/// What `failure` means in the facts of a check.
const FAILURE_DOC: &str = "`refused`, `timeout`, `other`, or empty where reachable: a refusal \
                           comes from a host that is up, silence from a firewall or a host that \
                           is down";

/// Evidence from `host`, redacted. The excerpt keeps the end of `excerpt`, where the news is.
fn evidence(host: &Host, facts: Value, summary: &str, excerpt: &str) -> Evidence {
    let start = excerpt.len().saturating_sub(EXCERPT_BYTES_MAX);
    let start = (start..=excerpt.len()).find(|at| excerpt.is_char_boundary(*at)).unwrap_or(0);
    Evidence {
        facts: crate::object(clean(host, facts)),
        summary: host.clean(summary),
        excerpt: host.clean(&excerpt[start..]),
    }
}

/// `value` with every known secret masked.
fn clean(host: &Host, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(host.clean(&text)),
        Value::Array(items) => items.into_iter().map(|item| clean(host, item)).collect(),
        Value::Object(facts) => {
            facts.into_iter().map(|(name, value)| (name, clean(host, value))).collect()
        }
        other => other,
    }
}
