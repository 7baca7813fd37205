//! What the kind `oxidized` declares.

use std::sync::LazyLock;

use paramedic_catalog::{Catalog, Metric, MetricKind, Setting, SettingKind, ValueDomain};
use paramedic_integration::TlsSettings;

use crate::reach::REASONS;
use crate::{actions, probes};

pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog {
    kind: "oxidized",
    title: "Oxidized",
    summary: "An Oxidized configuration backup server, over the REST API of oxidized-web",
    versions: &["Oxidized 0.37.0 with oxidized-web 0.18.1"],
    settings: settings(),
    metrics: metrics(),
    probes: vec![
        probes::reach::signature(),
        probes::nodes::signature(),
        probes::exporter::signature(),
        probes::startup::signature(),
    ],
    actions: vec![actions::restart::signature()],
});

fn setting(
    name: &'static str,
    kind: SettingKind,
    required: bool,
    doc: &'static str,
    example: &'static str,
) -> Setting {
    Setting { name, kind, required, doc, example }
}

fn settings() -> Vec<Setting> {
    use SettingKind::{Duration, Secret, Text, Url};
    vec![
        setting(
            "url",
            Url,
            true,
            "the REST API, with Oxidized's `url_prefix` where it has one",
            "http://192.0.2.7:8888",
        ),
        setting("user", Text, false, "for a reverse proxy that asks for a login", "paramedic"),
        setting(
            "password",
            Secret,
            false,
            "the password of that user",
            "{ env: OXIDIZED_PASSWORD }",
        ),
        TlsSettings::declared(),
        setting(
            "deadline",
            Duration,
            false,
            "how long the list may take before it counts as hanging; default 20s",
            "20s",
        ),
        setting(
            "service",
            Text,
            false,
            "the name of Oxidized among the services of the `host` block; default oxidized",
            "oxidized",
        ),
        setting(
            "exporter_url",
            Url,
            false,
            "the metrics of an akquinet/oxidized-exporter, where one is deployed",
            "http://192.0.2.7:8080/metrics",
        ),
    ]
}

const DEVICE: &[&str] = &["full_name", "name", "group", "model"];
const EXPORTER: &str = "akquinet/oxidized-exporter; yielded natively too";

fn metrics() -> Vec<Metric> {
    let gauge = |name, help, labels, values, versions| Metric {
        name,
        kind: MetricKind::Gauge,
        help,
        labels,
        values,
        versions,
    };
    vec![
        gauge(
            "oxidized_status",
            "whether the list of devices could be read",
            &[],
            ValueDomain::States(&[(0.0, "could not be read"), (1.0, "read")]),
            EXPORTER,
        ),
        gauge(
            "oxidized_exporter_collect_duration",
            "how long the collection took, in milliseconds; absent where it failed",
            &[],
            ValueDomain::NonNegative,
            EXPORTER,
        ),
        gauge(
            "oxidized_device_status",
            "what became of the last attempt",
            DEVICE,
            ValueDomain::States(&[
                (0.0, "failed"),
                (1.0, "none since the start"),
                (2.0, "success"),
            ]),
            EXPORTER,
        ),
        gauge(
            "oxidized_device_last_backup_status",
            "the same, and absent where there was none since the start",
            DEVICE,
            ValueDomain::States(&[(0.0, "failed"), (2.0, "success")]),
            EXPORTER,
        ),
        gauge(
            "oxidized_device_last_backup_start",
            "when the last attempt began, in seconds since the epoch",
            DEVICE,
            ValueDomain::NonNegative,
            EXPORTER,
        ),
        gauge(
            "oxidized_device_last_backup_end",
            "when the last attempt ended, in seconds since the epoch",
            DEVICE,
            ValueDomain::NonNegative,
            EXPORTER,
        ),
        gauge(
            "oxidized_device_last_backup_time",
            "how long the last attempt took, in seconds",
            DEVICE,
            ValueDomain::NonNegative,
            EXPORTER,
        ),
        gauge(
            "paramedic_oxidized_reach",
            "how the list was read, or why not",
            &["reason"],
            ValueDomain::States(REASONS),
            "Paramedic only",
        ),
    ]
}
