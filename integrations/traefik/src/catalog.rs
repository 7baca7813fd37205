//! What this integration declares: settings, metrics, probes and actions of a Traefik.

use std::sync::LazyLock;

use paramedic_catalog::{Catalog, Metric, MetricKind, Setting, SettingKind, ValueDomain};
use paramedic_integration::TlsSettings;

use crate::collector::{CONFIG_ERRORS, USER_ROUTERS};
use crate::{actions, probes};

/// The name of the kind.
pub(crate) const KIND: &str = "traefik";

pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog {
    kind: KIND,
    title: "Traefik proxy",
    summary: "A Traefik reverse proxy, looked at through its API, ping and metrics; started and \
              restarted through the host it runs on",
    versions: &["3.7.9", "3.7.15"],
    settings: settings(),
    metrics: metrics(),
    probes: vec![
        probes::ping::signature(),
        probes::overview::signature(),
        probes::config_errors::signature(),
        probes::service_health::signature(),
        probes::backend_check::signature(),
        probes::log::signature(),
    ],
    actions: vec![actions::restart::signature()],
});

fn settings() -> Vec<Setting> {
    let setting =
        |name, kind, required, doc, example| Setting { name, kind, required, doc, example };
    vec![
        setting(
            "url",
            SettingKind::Url,
            true,
            "Where /api is reached, with the prefix of api.basePath where it has one",
            "http://127.0.0.1:8080",
        ),
        setting(
            "metrics_url",
            SettingKind::Url,
            false,
            "Where /metrics is reached, where that is another address. Default: url",
            "http://127.0.0.1:9100",
        ),
        setting(
            "ping_url",
            SettingKind::Url,
            false,
            "Where /ping is reached, where that is another address. Default: url",
            "http://127.0.0.1:8082",
        ),
        setting(
            "auth",
            SettingKind::Table(vec![
                setting(
                    "user",
                    SettingKind::Text,
                    false,
                    "The user of basic authentication",
                    "paramedic",
                ),
                setting(
                    "password",
                    SettingKind::Secret,
                    false,
                    "Their password",
                    "{ file: /etc/paramedic/traefik-password }",
                ),
                setting(
                    "token",
                    SettingKind::Secret,
                    false,
                    "A bearer token, instead of user and password",
                    "{ env: TRAEFIK_TOKEN }",
                ),
            ]),
            false,
            "What the middleware in front of the API asks for",
            "{ user: paramedic, password: { file: /etc/paramedic/traefik-password } }",
        ),
        TlsSettings::declared(),
        setting(
            "backends",
            SettingKind::TextMap,
            false,
            "For each server URL, as Traefik lists it, the name of the host service behind it. Only \
             these servers are asked directly, and only these host services are started",
            "{ \"http://127.0.0.1:9001\": shop }",
        ),
        setting(
            "host_service",
            SettingKind::Text,
            false,
            "The name of Traefik's own unit in the services of its host. Default: traefik",
            "edge-proxy",
        ),
    ]
}

fn metrics() -> Vec<Metric> {
    const EVERY: &str = "Traefik 2.0 and newer";
    const V3: &str = "Traefik 3.0 and newer";
    const UP: &[(f64, &str)] = &[(0.0, "down"), (1.0, "up")];
    let metric = |name, kind, help, labels, values, versions| Metric {
        name,
        kind,
        help,
        labels,
        values,
        versions,
    };
    let gauge = |name, help, labels, versions| {
        metric(name, MetricKind::Gauge, help, labels, ValueDomain::NonNegative, versions)
    };
    let counter = |name, help, labels, versions| {
        metric(name, MetricKind::Counter, help, labels, ValueDomain::NonNegative, versions)
    };
    vec![
        metric(
            "traefik_service_server_up",
            MetricKind::Gauge,
            "Whether the health check of a service last found this server up; absent without a \
             health check, and until the first check after a start",
            &["service", "url"],
            ValueDomain::States(UP),
            "Traefik 2.0 and newer; 3.0.0 to 3.1.0 have a hash per server as `service`",
        ),
        gauge(
            "traefik_config_last_reload_success",
            "When the present configuration was applied, in Unix seconds; does not move on failure",
            &[],
            EVERY,
        ),
        counter("traefik_config_reloads_total", "Applied changes since the start", &[], EVERY),
        gauge("traefik_open_connections", "Open connections", &["entrypoint", "protocol"], V3),
        gauge(
            "traefik_tls_certs_not_after",
            "When a served certificate expires, in Unix seconds",
            &["cn", "sans", "serial"],
            EVERY,
        ),
        counter(
            "traefik_entrypoint_requests_total",
            "Requests by entry point",
            &["code", "method", "protocol", "entrypoint"],
            EVERY,
        ),
        counter(
            "traefik_router_requests_total",
            "Requests by router, where addRoutersLabels is on",
            &["code", "method", "protocol", "router", "service"],
            EVERY,
        ),
        counter(
            "traefik_service_requests_total",
            "Requests by service; a 503 for want of any server is not among them",
            &["code", "method", "protocol", "service"],
            EVERY,
        ),
        counter("traefik_service_retries_total", "Retries by service", &["service"], EVERY),
        gauge("process_start_time_seconds", "When the process started", &[], EVERY),
        gauge("process_open_fds", "Open file descriptors", &[], EVERY),
        gauge("process_max_fds", "The most file descriptors there may be", &[], EVERY),
        gauge("process_resident_memory_bytes", "Memory in use", &[], EVERY),
        counter("process_cpu_seconds_total", "Processor time used", &[], EVERY),
        gauge(
            USER_ROUTERS,
            "Routers of all protocols besides Traefik's own",
            &[],
            "the collector of Paramedic, from the API",
        ),
        gauge(
            CONFIG_ERRORS,
            "Objects that Traefik disabled because of an error in them",
            &["protocol", "kind"],
            "the collector of Paramedic, from the API",
        ),
    ]
}
