//! From what discovery says to what is scraped: labels, relabelling, URL. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paramedic_model::{Labels, LabelsBuilder, format_duration, parse_duration};
use paramedic_relabel::relabel;

use crate::job::{Job, TargetGroup};

/// The address of a target, before and after relabelling.
pub(crate) const ADDRESS: &str = "__address__";
const META: &str = "__meta_";
const PARAM: &str = "__param_";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const METRICS_PATH: &str = "__metrics_path__";
const SCHEME: &str = "__scheme__";

/// What becomes of the targets of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is scraped, in the order of the labels.
    pub active: Vec<Planned>,
    /// What was discovered of targets that relabelling dropped, as many as are kept.
    pub dropped: Vec<Labels>,
    /// How many were dropped.
    pub dropped_count: usize,
    /// Why targets cannot be scraped.
    pub failures: Vec<String>,
}

/// One target that is scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What was discovered, with the defaults of the job.
    pub discovered: Labels,
    /// The labels that its samples get.
    pub labels: Labels,
    /// `http` or `https`, as relabelling left it.
    pub scheme: String,
    /// The address, with or without a port.
    pub address: String,
    /// Path and query.
    pub path: String,
    /// How often.
    pub interval: Duration,
    /// How long a scrape may take.
    pub timeout: Duration,
}

impl Planned {
    /// The whole URL.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.address, self.path)
    }
}

/// What becomes of the targets of `groups` in `job`. Of two that are the same, one is scraped.
pub fn plan(job: &Job, groups: &[TargetGroup]) -> Plan {
    let mut plan = Plan::default();
    let mut seen = BTreeSet::new();
    for group in groups {
        for address in &group.targets {
            let discovered = discovered(job, address, &group.labels);
            match planned(job, &discovered) {
                Ok(Some((identity, target))) => {
                    if seen.insert((identity, target.url())) {
                        plan.active.push(target);
                    }
                }
                Ok(None) => {
                    plan.dropped_count += 1;
                    if job.keep_dropped == 0 || plan.dropped.len() < job.keep_dropped {
                        plan.dropped.push(discovered);
                    }
                }
                Err(reason) => plan.failures.push(format!("{discovered}: {reason}")),
            }
        }
    }
    plan.active.sort_by(|a, b| (&a.labels, a.url()).cmp(&(&b.labels, b.url())));
    plan
}

/// A discovered target with the defaults of its job.
fn discovered(job: &Job, address: &str, shared: &Labels) -> Labels {
    let mut builder = shared.to_builder();
    builder.set(ADDRESS, address);
    let mut default = |name: &str, value: &str| {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    };
    default("job", &job.name);
    default(INTERVAL, &format_duration(job.interval));
    default(TIMEOUT, &format_duration(job.timeout));
    default(METRICS_PATH, &job.metrics_path);
    default(SCHEME, &job.scheme);
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            default(&format!("{PARAM}{name}"), first);
        }
    }
    builder.build()
}

/// The target that relabelling makes of it, and all its labels; `None` where it is dropped.
fn planned(job: &Job, discovered: &Labels) -> Result<Option<(Labels, Planned)>, String> {
    let Some(labels) = relabel(discovered, &job.relabel) else { return Ok(None) };
    let address = labels.get(ADDRESS).ok_or("no address")?.to_owned();
    if address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    let duration = |name, what: &str| {
        let text = labels.value(name);
        let duration = parse_duration(text)
            .map_err(|error| format!("error parsing scrape {what}: {error}"))?;
        match duration.is_zero() {
            true => Err(format!("scrape {what} cannot be 0")),
            false => Ok(duration),
        }
    };
    let (interval, timeout) = (duration(INTERVAL, "interval")?, duration(TIMEOUT, "timeout")?);
    if timeout > interval {
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({:?} > {:?})",
            labels.value(TIMEOUT),
            labels.value(INTERVAL)
        ));
    }
    let scheme = labels.value(SCHEME);
    if !matches!(scheme, "http" | "https") {
        return Err(format!("unsupported protocol scheme {scheme:?}"));
    }
    let mut identity = LabelsBuilder::default();
    labels.iter().filter(|(name, _)| !name.starts_with(META)).for_each(|(name, value)| {
        identity.set(name, value);
    });
    if identity.get("instance").is_none() {
        identity.set("instance", &address);
    }
    let identity = identity.build();
    let target = Planned {
        discovered: discovered.clone(),
        labels: identity.iter().filter(|(name, _)| !name.starts_with("__")).collect(),
        scheme: scheme.to_owned(),
        path: path(job, &identity),
        address,
        interval,
        timeout,
    };
    Ok(Some((identity, target)))
}

/// Path and query, as Go writes them.
fn path(job: &Job, labels: &Labels) -> String {
    let mut params: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in &job.params {
        params.insert(name, values.iter().map(String::as_str).collect());
    }
    for (name, value) in labels.iter() {
        let Some(name) = name.strip_prefix(PARAM) else { continue };
        let values = params.entry(name).or_default();
        match values.first_mut() {
            Some(first) => *first = value,
            None => values.push(value),
        }
    }
    let mut text = String::new();
    let path = labels.value(METRICS_PATH);
    if !path.starts_with('/') {
        text.push('/');
    }
    escape(path, b"-_.~$&+,/:;=@", &mut text);
    let mut mark = '?';
    for (name, values) in params {
        for value in values {
            text.push(mark);
            escape(name, b"-_.~ ", &mut text);
            text.push('=');
            escape(value, b"-_.~ ", &mut text);
            mark = '&';
        }
    }
    text
}

/// Percent-encodes all but letters, digits and `safe`. A safe blank becomes `+`.
fn escape(text: &str, safe: &[u8], out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b' ' if safe.contains(&b' ') => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || safe.contains(&byte) => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
