//! The probes: one file each, with its signature, its code and its test.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{Args, Evidence, Field, FieldType, Param, ParamKind, ProbeSignature};
use paramedic_integration::{Kit, Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::{Map, Value};

use crate::client::{Firewall, LogLine};

mod api_reach;
mod carp_role;
mod config_changes;
mod firmware;
mod network;
mod port_conflicts;
mod resources;
mod service_config;
pub(crate) mod service_log;
mod service_process;
mod service_status;
mod system_status;
mod wireguard_config;
pub(crate) mod wireguard_endpoint;
mod wireguard_inbound;
mod wireguard_log;
mod wireguard_peer;
mod wireguard_ping;

pub(crate) use port_conflicts::holders;
pub(crate) use resources::full_disk;

/// What a look yields.
type Looked<'a> = BoxFuture<'a, Result<Evidence, ProbeError>>;

/// The code of one probe.
type LookFn = for<'a> fn(&'a Firewall, &'a Args, Look) -> Looked<'a>;

/// One probe: what it declares and what it does.
type Entry = (fn() -> ProbeSignature, LookFn);

/// Every probe.
const PROBES: &[Entry] = &[
    (service_status::signature, service_status::look),
    (service_log::signature, service_log::look),
    (service_config::signature, service_config::look),
    (service_process::signature, service_process::look),
    (port_conflicts::signature, port_conflicts::look),
    (config_changes::signature, config_changes::look),
    (firmware::signature, firmware::look),
    (resources::signature, resources::look),
    (network::signature, network::look),
    (carp_role::signature, carp_role::look),
    (system_status::signature, system_status::look),
    (api_reach::signature, api_reach::look),
    (wireguard_config::signature, wireguard_config::look),
    (wireguard_peer::signature, wireguard_peer::look),
    (wireguard_log::signature, wireguard_log::look),
    (wireguard_endpoint::signature, wireguard_endpoint::look),
    (wireguard_ping::signature, wireguard_ping::look),
    (wireguard_inbound::signature, wireguard_inbound::look),
];

/// What the probes declare.
pub(crate) fn signatures() -> Vec<ProbeSignature> {
    PROBES.iter().map(|(signature, _)| signature()).collect()
}

/// `kit` with all probes, looking at `firewall`.
pub(crate) fn add_to(kit: Kit, firewall: &Arc<Firewall>) -> Kit {
    PROBES.iter().fold(kit, |kit, (signature, look)| {
        kit.with_probe(signature().name, Run { firewall: firewall.clone(), look: *look })
    })
}

struct Run {
    firewall: Arc<Firewall>,
    look: LookFn,
}

impl Probe for Run {
    fn look<'a>(&'a self, args: &'a Args, look: Look) -> Looked<'a> {
        (self.look)(&self.firewall, args, look)
    }
}

/// Evidence of `facts`, which must be an object.
fn evidence(facts: Value, summary: impl Into<String>, excerpt: String) -> Evidence {
    let facts = match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    };
    Evidence { facts, summary: summary.into(), excerpt }
}

/// `no lines`, `1 line`, `3 lines`.
fn count(number: usize, singular: &str, plural: &str) -> String {
    match number {
        0 => format!("no {plural}"),
        1 => format!("1 {singular}"),
        _ => format!("{number} {plural}"),
    }
}

/// The parameter for how far before the alert a look reaches back.
fn since_param(doc: &'static str) -> Param {
    const LONGEST: Duration = Duration::from_secs(7 * 86_400);
    Param::optional("since", ParamKind::Duration { max: LONGEST }, doc)
}

/// The declared type of log lines.
fn lines_field() -> Field {
    let line = vec![
        Field::new("at", FieldType::Text, "When, in the firewall's local time."),
        Field::new("scope", FieldType::Text, "Which log: `system`, `configd`, `resolver`, …"),
        Field::new("severity", FieldType::Text, "`Error`, `Notice`, …, or empty."),
        Field::new("process", FieldType::Text, "The process that wrote it."),
        Field::new("text", FieldType::Text, "The line itself."),
    ];
    Field::new("lines", FieldType::records(line), "The lines that concern it, newest first.")
}

/// Log lines as facts, secrets masked.
fn line_facts(firewall: &Firewall, lines: &[LogLine]) -> Value {
    let fact = |line: &LogLine| {
        serde_json::json!({
            "at": line.at, "scope": line.scope, "severity": line.severity,
            "process": line.process, "text": firewall.excerpt([line.text.clone()]),
        })
    };
    lines.iter().map(fact).collect()
}

/// Log lines as an excerpt.
fn line_excerpt(firewall: &Firewall, lines: &[LogLine]) -> String {
    const SHOWN: usize = 20;
    let text = |line: &LogLine| format!("{} {}: {}", line.at, line.process, line.text);
    firewall.excerpt(lines.iter().take(SHOWN).map(text))
}
