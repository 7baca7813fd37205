//! Samples under the names and labels of windows_exporter, from a few queries.
//!
//! One enumeration of `Win32_Service` yields both generations: `windows_service_status`, which the
//! exporter dropped in 0.29.0, and `windows_service_state` with its companions. Names keep the case
//! that the host gives them, as since 0.29.0.
//!
//! # Invariants
//!
//! - A part that could not be read yields no samples and fails the collection; the exporter's own
//!   `windows_exporter_collector_success` says which.
//! - An empty list of services is a failure: see [`crate::host`].
//! - Command lines may hold secrets, so `path_name` is the program without its arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_integration::{Collection, Collector, Look, ProbeError};
use paramedic_model::{BoxFuture, Series};

use crate::host::{Service, State, Viewer, same_name};
use crate::settings::Site;

/// Whether a service that the configuration names is installed.
pub(crate) const WATCHED: &str = "paramedic_windows_service_watched";

const START_MODES: [&str; 5] = ["boot", "system", "auto", "manual", "disabled"];
const STATUSES: [&str; 12] = [
    "ok",
    "error",
    "degraded",
    "unknown",
    "pred fail",
    "starting",
    "stopping",
    "service",
    "stressed",
    "nonrecover",
    "no contact",
    "lost comm",
];

pub(crate) struct HostCollector {
    site: Arc<Site>,
}

impl HostCollector {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self { site }
    }

    async fn run(&self) -> Collection {
        let mut series = Vec::new();
        let mut viewer = match self.site.lookout.view().await {
            Ok(viewer) => viewer,
            Err(error) => {
                succeed(&mut series, "service", false);
                return Collection { series, failure: Some(error) };
            }
        };
        let mut failure: Option<ProbeError> = None;
        for part in ["service", "os", "logical_disk"] {
            let gone = failure.as_ref().is_some_and(|error| {
                matches!(error, ProbeError::Connect { .. } | ProbeError::Deadline { .. })
            });
            // The connection is lost, and a session does not outlive it.
            if gone {
                succeed(&mut series, part, false);
                continue;
            }
            let found = match part {
                "service" => self.services(&mut viewer).await,
                "os" => operating_system(&mut viewer).await,
                _ => disks(&mut viewer).await,
            };
            succeed(&mut series, part, found.is_ok());
            match found {
                Ok(found) => series.extend(found),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        Collection { series, failure }
    }

    async fn services(&self, viewer: &mut Viewer) -> Result<Vec<Series>, ProbeError> {
        let services = viewer.services().await?;
        let started: BTreeMap<u64, f64> = viewer
            .processes()
            .await?
            .into_iter()
            .filter_map(|process| Some((process.pid, whole_seconds(process.created?.0))))
            .collect();
        let watched = &self.site.watched;
        let mut series = Vec::new();
        for service in &services {
            let meant = if watched.is_empty() {
                service.is_automatic()
            } else {
                watched.iter().any(|name| service.is(name))
            };
            if meant {
                let started = started.get(&service.pid).copied().filter(|_| service.pid > 0);
                add_service(&mut series, service, started);
            }
        }
        for name in watched {
            // A watched service is named as the host names it, so that the series join.
            let found = services.iter().find(|service| service.is(name));
            let installed = if found.is_some() { 1.0 } else { 0.0 };
            let name = found.map_or(name.as_str(), |service| service.name.as_str());
            series.push(Series::new(WATCHED, [("name", name)], installed));
        }
        Ok(series)
    }
}

impl Collector for HostCollector {
    fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
        Box::pin(self.run())
    }
}

fn succeed(series: &mut Vec<Series>, part: &str, well: bool) {
    let value = if well { 1.0 } else { 0.0 };
    let name = "windows_exporter_collector_success";
    series.push(Series::new(name, [("collector", part)], value));
}

fn add_service(series: &mut Vec<Series>, service: &Service, started: Option<f64>) {
    let name = service.name.as_str();
    let one = |yes: bool| if yes { 1.0 } else { 0.0 };
    let info = [
        ("name", name),
        ("display_name", service.display_name.as_str()),
        ("path_name", service.image()),
        ("run_as", service.account.as_str()),
    ];
    series.push(Series::new("windows_service_info", info, 1.0));
    if let Some(started) = started {
        let pid = service.pid.to_string();
        let labels = [("name", name), ("process_id", pid.as_str())];
        series.push(Series::new("windows_service_process", labels, started));
    }
    for state in State::ALL {
        let word = state.as_str().to_ascii_lowercase();
        let labels = [("name", name), ("state", word.as_str())];
        series.push(Series::new("windows_service_state", labels, one(service.state == state)));
    }
    for mode in START_MODES {
        let labels = [("name", name), ("start_mode", mode)];
        let value = one(same_name(&service.start_mode, mode));
        series.push(Series::new("windows_service_start_mode", labels, value));
    }
    for status in STATUSES {
        let labels = [("name", name), ("status", status)];
        let value = one(same_name(&service.status, status));
        series.push(Series::new("windows_service_status", labels, value));
    }
}

async fn operating_system(viewer: &mut Viewer) -> Result<Vec<Series>, ProbeError> {
    let os = viewer.operating_system().await?;
    let mut numbers = os.version.split('.');
    let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
    let info = [
        ("product", os.caption.as_str()),
        ("version", os.version.as_str()),
        ("major_version", major),
        ("minor_version", minor),
        ("build_number", os.build.as_str()),
    ];
    let gauge = |name: &str, value: u64| Series::new(name, [], value as f64);
    let booted = whole_seconds(os.booted.0);
    Ok(vec![
        Series::new("windows_os_info", info, 1.0),
        Series::new("windows_system_boot_time_timestamp", [], booted),
        gauge("windows_memory_physical_total_bytes", os.memory_bytes),
        gauge("windows_memory_physical_free_bytes", os.memory_free_bytes),
        gauge("windows_memory_commit_limit", os.commit_limit_bytes),
        gauge(
            "windows_memory_committed_bytes",
            os.commit_limit_bytes.saturating_sub(os.commit_free_bytes),
        ),
    ])
}

async fn disks(viewer: &mut Viewer) -> Result<Vec<Series>, ProbeError> {
    let disks = viewer.disks().await?;
    Ok(disks
        .iter()
        .flat_map(|disk| {
            let gauge = |name: &str, value: u64| {
                Series::new(name, [("volume", disk.volume.as_str())], value as f64)
            };
            [
                gauge("windows_logical_disk_size_bytes", disk.size_bytes),
                gauge("windows_logical_disk_free_bytes", disk.free_bytes),
            ]
        })
        .collect())
}

/// Whole Unix seconds, as the exporter has them.
fn whole_seconds(ms: i64) -> f64 {
    ms.div_euclid(1000) as f64
}
