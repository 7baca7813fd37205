//! What Traefik's `/metrics` says, and which of its families are kept.

use paramedic_integration::{HttpResponse, ProbeError};
use paramedic_model::{Series, TimeMs};

use crate::log::Applied;

/// The families that rules and probes read. The rest is left where it is: histograms alone would
/// be hundreds of series that no rule here looks at.
const KEPT: &[&str] = &[
    "traefik_config_last_reload_success",
    "traefik_config_reloads_total",
    "traefik_entrypoint_requests_total",
    "traefik_open_connections",
    "traefik_router_requests_total",
    "traefik_service_requests_total",
    "traefik_service_retries_total",
    "traefik_service_server_up",
    "traefik_tls_certs_not_after",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];

/// One complete reading of `/metrics`.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Vec<Series>);

/// Reads a successful answer of `/metrics`.
///
/// # Errors
///
/// A body that is no exposition, or none of Traefik's: a login page, another program, nothing.
pub(crate) fn read(response: &HttpResponse) -> Result<Metrics, ProbeError> {
    let error = |reason: String| ProbeError::answer(&response.target, reason);
    let content_type = response.header("content-type").unwrap_or("");
    let scrape = paramedic_exposition::parse(content_type, &response.body)
        .map_err(|reason| error(format!("expected metrics: {reason}")))?;
    let metrics = Metrics(scrape.samples.into_iter().map(|sample| sample.series).collect());
    if metrics.value("traefik_config_reloads_total").is_none() {
        let reason = "metrics without traefik_config_reloads_total: not those of a Traefik";
        return Err(error(reason.to_owned()));
    }
    Ok(metrics)
}

impl Metrics {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The samples of the families that are kept.
    pub fn into_kept(self) -> Vec<Series> {
        let kept =
            |series: &Series| series.labels.metric_name().is_some_and(|name| KEPT.contains(&name));
        self.0.into_iter().filter(kept).collect()
    }

    /// What the health check of `service` last said of the server at `url`; `None` where it never
    /// checked it.
    pub fn server_up(&self, service: &str, url: &str) -> Option<bool> {
        self.family("traefik_service_server_up")
            .find(|up| up.labels.value("service") == service && up.labels.value("url") == url)
            .map(|up| up.value != 0.0)
    }

    /// When the present configuration was applied.
    pub fn last_reload(&self) -> Option<TimeMs> {
        self.value("traefik_config_last_reload_success").and_then(seconds)
    }

    /// When the process started.
    pub fn process_started(&self) -> Option<TimeMs> {
        self.value("process_start_time_seconds").and_then(seconds)
    }

    /// What was applied and when, where all of it is told.
    pub fn applied(&self, file_only: bool) -> Option<Applied> {
        Some(Applied {
            started: self.process_started()?,
            at: self.last_reload()?,
            reloads: self.value("traefik_config_reloads_total")? as u64,
            file_only,
        })
    }

    /// Whether the process has hardly any file descriptor left.
    pub fn descriptors_used_up(&self) -> bool {
        const SHARE_MAX: f64 = 0.95;
        let (open, max) = (self.value("process_open_fds"), self.value("process_max_fds"));
        matches!((open, max), (Some(open), Some(max)) if max > 0.0 && open >= max * SHARE_MAX)
    }

    /// The only sample of `name`.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.family(name).next().map(|series| series.value)
    }

    /// The samples of `name`.
    pub fn family<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Series> {
        self.0.iter().filter(move |series| series.labels.metric_name() == Some(name))
    }
}

/// A moment in Unix seconds; none where the number cannot be one.
fn seconds(value: f64) -> Option<TimeMs> {
    const LATEST: f64 = 32_503_680_000.0; // The year 3000.
    (0.0..LATEST).contains(&value).then_some(TimeMs((value * 1000.0) as i64))
}
