//! What this integration declares: settings, metrics, probes and actions of a Windows host.

use std::sync::LazyLock;

use paramedic_catalog::{Catalog, Metric, MetricKind, ValueDomain};

use crate::collector::WATCHED;
use crate::{actions, probes, settings};

pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog {
    kind: "windows",
    title: "Windows host",
    summary: "The services of a Windows host, looked at and started over WinRM by queries and \
              method calls; no shell is opened and no script runs",
    versions: &[
        "a simulator of WS-Management that pywinrm 0.5.0 accepts",
        "not yet a real Server 2016, 2019, 2022 or 2025",
    ],
    settings: settings::declared(),
    metrics: metrics(),
    probes: probes::signatures(),
    actions: actions::signatures(),
});

fn metrics() -> Vec<Metric> {
    const FLAG: &[(f64, &str)] = &[(0.0, "no"), (1.0, "yes")];
    const EVERY: &str = "every windows_exporter";
    const CURRENT: &str = "windows_exporter 0.31 and newer, and the collector of Paramedic";
    const OURS: &str = "the collector of Paramedic";
    let metric = |name, help, labels, values, versions| Metric {
        name,
        kind: MetricKind::Gauge,
        help,
        labels,
        values,
        versions,
    };
    let flag = |name, help, labels, versions| {
        metric(name, help, labels, ValueDomain::States(FLAG), versions)
    };
    let amount = |name, help, labels, versions| {
        metric(name, help, labels, ValueDomain::NonNegative, versions)
    };
    vec![
        flag(
            "windows_service_status",
            "Win32_Service.Status: one series per status, one of them 1. ok for a stopped or \
             crashed service too; degraded for one that is stuck on its way",
            &["name", "status"],
            "windows_exporter 0.13 to 0.28, Fluent Bit, and the collector of Paramedic; gone in \
             windows_exporter 0.29.0",
        ),
        flag(
            "windows_service_state",
            "What the service is doing: one series per state, one of them 1",
            &["name", "state"],
            EVERY,
        ),
        flag(
            "windows_service_start_mode",
            "How it is started: one series per mode, one of them 1. auto for delayed and \
             triggered services too",
            &["name", "start_mode"],
            EVERY,
        ),
        flag(
            "windows_service_info",
            "Always 1. The collector of Paramedic leaves the arguments out of path_name",
            &["name", "display_name", "path_name", "run_as"],
            EVERY,
        ),
        amount(
            "windows_service_process",
            "When the process of the service was created, in Unix seconds; absent without one",
            &["name", "process_id"],
            "windows_exporter 0.29 and newer, and the collector of Paramedic",
        ),
        flag(
            WATCHED,
            "Whether a service that the configuration names is installed",
            &["name"],
            OURS,
        ),
        flag(
            "windows_exporter_collector_success",
            "Whether this part could be read",
            &["collector"],
            EVERY,
        ),
        flag(
            "windows_os_info",
            "Always 1",
            &["product", "version", "major_version", "minor_version", "build_number"],
            EVERY,
        ),
        amount(
            "windows_system_boot_time_timestamp",
            "When the host booted, in Unix seconds",
            &[],
            "windows_exporter 0.30 and newer, and the collector of Paramedic",
        ),
        amount("windows_memory_physical_total_bytes", "Memory", &[], CURRENT),
        amount("windows_memory_physical_free_bytes", "Memory that is free", &[], CURRENT),
        amount("windows_memory_commit_limit", "Bytes that can be promised at most", &[], EVERY),
        amount("windows_memory_committed_bytes", "Bytes that are promised", &[], EVERY),
        amount("windows_logical_disk_size_bytes", "Size of a local disk", &["volume"], EVERY),
        amount("windows_logical_disk_free_bytes", "Free on a local disk", &["volume"], EVERY),
    ]
}
