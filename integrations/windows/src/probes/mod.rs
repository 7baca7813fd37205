//! The probes: one file each, with its signature and its code.
//!
//! A probe holds a [`Site`], which gives out viewers only: it cannot change what it looks at. The
//! name of a service comes from a label; it is compared with the services that the host lists and
//! is never sent.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{Args, Evidence, Param, ParamKind, ProbeSignature};
use paramedic_integration::{Kit, Look, Probe, ProbeError};
use paramedic_model::{BoxFuture, TimeMs};
use serde_json::{Map, Value};

use crate::host::Service;
use crate::settings::Site;

mod application_events;
mod host_resources;
mod port_owner;
mod recent_changes;
mod service_config;
mod service_dependencies;
mod service_status;
mod system_events;
mod winrm_reach;

pub(crate) use recent_changes::{STARTING_UP_S, installers};
pub(crate) use service_dependencies::{dependents, needs};

/// What a look yields.
type Looked<'a> = BoxFuture<'a, Result<Evidence, ProbeError>>;

/// The code of one probe.
type LookFn = for<'a> fn(&'a Site, &'a Args, Look) -> Looked<'a>;

/// One probe: what it declares and what it does.
type Entry = (fn() -> ProbeSignature, LookFn);

const PROBES: &[Entry] = &[
    (service_status::signature, service_status::look),
    (system_events::signature, system_events::look),
    (application_events::signature, application_events::look),
    (service_config::signature, service_config::look),
    (service_dependencies::signature, service_dependencies::look),
    (host_resources::signature, host_resources::look),
    (recent_changes::signature, recent_changes::look),
    (port_owner::signature, port_owner::look),
    (winrm_reach::signature, winrm_reach::look),
];

/// What the probes declare.
pub(crate) fn signatures() -> Vec<ProbeSignature> {
    PROBES.iter().map(|(signature, _)| signature()).collect()
}

/// `kit` with all probes, looking at `site`.
pub(crate) fn add_to(kit: Kit, site: &Arc<Site>) -> Kit {
    PROBES.iter().fold(kit, |kit, (signature, look)| {
        kit.with_probe(signature().name, Run { site: site.clone(), look: *look })
    })
}

struct Run {
    site: Arc<Site>,
    look: LookFn,
}

impl Probe for Run {
    fn look<'a>(&'a self, args: &'a Args, look: Look) -> Looked<'a> {
        (self.look)(&self.site, args, look)
    }
}

/// The parameter for the service that is meant: longer than any service name there can be.
pub(crate) fn name_param() -> Param {
    const CHARS_MAX: usize = 256;
    let kind = ParamKind::Text { max_chars: CHARS_MAX };
    Param::required("name", kind, "The service name, as in the label; compared, never sent.")
}

/// The parameter for how far before the alert a look reaches back.
fn since_param() -> Param {
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    let doc = "How far before the alert to begin. Default: 1h.";
    Param::optional("since", ParamKind::Duration { max: LONGEST }, doc)
}

/// How far back the logs are read where nobody says otherwise.
pub(crate) const LOOKBACK: Duration = Duration::from_secs(3600);

/// From when on a look reads the logs.
fn begin(args: &Args, look: Look) -> TimeMs {
    look.since - args.duration("since").unwrap_or(LOOKBACK)
}

/// The service that the argument `name` means.
pub(crate) fn find<'a>(services: &'a [Service], args: &Args) -> Option<&'a Service> {
    services.iter().find(|service| service.is(args.text("name")))
}

/// As [`find`], where nothing can be said without it.
fn require<'a>(services: &'a [Service], args: &Args) -> Result<&'a Service, ProbeError> {
    let missing = || ProbeError::unable("the host lists no service of this name");
    find(services, args).ok_or_else(missing)
}

/// Evidence of `facts`, which must be an object.
fn evidence(facts: Value, summary: impl Into<String>, excerpt: String) -> Evidence {
    let facts = match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    };
    Evidence { facts, summary: summary.into(), excerpt }
}

/// `no errors`, `1 error`, `3 errors`.
fn count(number: usize, singular: &str) -> String {
    match number {
        0 => format!("no {singular}s"),
        1 => format!("1 {singular}"),
        _ => format!("{number} {singular}s"),
    }
}

/// `a, b and c`, or `none`.
fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// A share of a whole in percent, rounded down; 0 of nothing.
fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}
