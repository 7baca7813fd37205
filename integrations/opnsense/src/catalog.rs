//! What this integration declares.

use std::sync::LazyLock;

use paramedic_catalog::{Catalog, Metric, MetricKind, Setting, SettingKind, ValueDomain};
use paramedic_integration::TlsSettings;

use crate::{actions, probes};

/// The catalogue, made once.
pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog {
    kind: "opnsense",
    title: "OPNsense firewall",
    summary: "An OPNsense firewall, reached over its REST API with an API key",
    versions: &["25.1", "26.1"],
    settings: settings(),
    metrics: metrics(),
    probes: probes::signatures(),
    actions: actions::signatures(),
});

fn settings() -> Vec<Setting> {
    let setting =
        |name, kind, required, doc, example| Setting { name, kind, required, doc, example };
    vec![
        setting(
            "url",
            SettingKind::Url,
            true,
            "Where the web interface is. Plain http sends the key in clear.",
            "https://fw1.example.net",
        ),
        setting(
            "api_key",
            SettingKind::Secret,
            true,
            "The key to look with, and to act with where there is no `act_key`.",
            "{ file: /etc/paramedic/fw1.key }",
        ),
        setting(
            "api_secret",
            SettingKind::Secret,
            true,
            "The secret of `api_key`.",
            "{ file: /etc/paramedic/fw1.secret }",
        ),
        setting(
            "act_key",
            SettingKind::Secret,
            false,
            "A key of its own for actions.",
            "{ file: /etc/paramedic/fw1-act.key }",
        ),
        setting(
            "act_secret",
            SettingKind::Secret,
            false,
            "The secret of `act_key`.",
            "{ file: /etc/paramedic/fw1-act.secret }",
        ),
        TlsSettings::declared(),
        setting(
            "opnsense_instance",
            SettingKind::Text,
            false,
            "The label `opnsense_instance` of every series; default the system's name. Give it the \
             exporter's `--exporter.instance-label` to keep dashboards working.",
            "fw1",
        ),
        setting(
            "skip",
            SettingKind::TextList,
            false,
            "Parts not to collect, for keys without their privileges: `status`, `wireguard`, \
             `carp`, `gateways`. Alerts on them cannot fire; default none.",
            "[wireguard]",
        ),
    ]
}

const EXPORTER: &str = "opnsense-exporter v0.0.14 and later";
const OURS: &str = "yielded by Paramedic, not by the exporter";

fn metrics() -> Vec<Metric> {
    const PEER: &[&str] =
        &["opnsense_instance", "device", "device_type", "device_name", "peer_name"];
    const INSTANCE: &[&str] = &["opnsense_instance"];
    const GATEWAY: &[&str] = &["opnsense_instance", "name", "address"];
    const RUNNING: ValueDomain = ValueDomain::States(&[(0.0, "stopped"), (1.0, "running")]);
    const YES: ValueDomain = ValueDomain::States(&[(0.0, "no"), (1.0, "yes")]);
    let gauge = |name, help, labels, values, versions| Metric {
        name,
        kind: MetricKind::Gauge,
        help,
        labels,
        values,
        versions,
    };
    let counter = |name, help| Metric {
        name,
        kind: MetricKind::Counter,
        help,
        labels: PEER,
        values: ValueDomain::NonNegative,
        versions: EXPORTER,
    };
    vec![
        gauge(
            "opnsense_up",
            "1 where the system status is OK: 0 on any pending notification, not only on failure.",
            INSTANCE,
            ValueDomain::States(&[(0.0, "a notification is pending, or no answer"), (1.0, "OK")]),
            EXPORTER,
        ),
        gauge(
            "opnsense_services_status",
            "Whether an enabled service has a live process. Disabled ones have no series.",
            &["opnsense_instance", "name", "description"],
            RUNNING,
            EXPORTER,
        ),
        gauge(
            "opnsense_services_running_total",
            "Enabled services that run.",
            INSTANCE,
            ValueDomain::NonNegative,
            EXPORTER,
        ),
        gauge(
            "opnsense_services_stopped_total",
            "Enabled services that do not run.",
            INSTANCE,
            ValueDomain::NonNegative,
            EXPORTER,
        ),
        gauge(
            "opnsense_wireguard_interfaces_status",
            "The state of a WireGuard interface; down on a CARP backup.",
            &["opnsense_instance", "device", "device_type", "device_name"],
            ValueDomain::States(&[(0.0, "down"), (1.0, "up"), (2.0, "other")]),
            EXPORTER,
        ),
        gauge(
            "opnsense_wireguard_peer_status",
            "The state of a peer by its last handshake; offline means never since the interface \
             was created.",
            PEER,
            ValueDomain::States(&[
                (0.0, "offline: never since the interface was created"),
                (1.0, "online: within 300 s"),
                (2.0, "unknown: OPNsense before 25.1.2"),
                (3.0, "stale: more than 300 s ago"),
            ]),
            EXPORTER,
        ),
        counter(
            "opnsense_wireguard_peer_last_handshake_seconds",
            "When the last handshake was, in seconds since the epoch; 0 for never.",
        ),
        counter(
            "opnsense_wireguard_peer_received_bytes_total",
            "Bytes received; starts anew with the interface.",
        ),
        counter(
            "opnsense_wireguard_peer_transmitted_bytes_total",
            "Bytes sent; starts anew with the interface.",
        ),
        gauge(
            "opnsense_gateways_status",
            "The state of a gateway by its monitor.",
            &["opnsense_instance", "name", "address", "default_gateway"],
            ValueDomain::States(&[
                (0.0, "offline"),
                (1.0, "online"),
                (2.0, "loss, latency, or forced"),
                (3.0, "pending"),
            ]),
            EXPORTER,
        ),
        gauge(
            "opnsense_gateways_loss_percentage",
            "Lost probes in percent; -1 where not measured.",
            GATEWAY,
            ValueDomain::Any,
            EXPORTER,
        ),
        gauge(
            "opnsense_gateways_rtt_milliseconds",
            "Round-trip time; -1 where not measured.",
            GATEWAY,
            ValueDomain::Any,
            EXPORTER,
        ),
        gauge(
            "opnsense_gateways_rttd_milliseconds",
            "Its deviation; -1 where not measured.",
            GATEWAY,
            ValueDomain::Any,
            EXPORTER,
        ),
        gauge(
            "opnsense_collector_success",
            "Whether every part of this collection could be read.",
            INSTANCE,
            YES,
            OURS,
        ),
        gauge(
            "opnsense_system_booting",
            "Whether the start-up has not finished.",
            INSTANCE,
            YES,
            OURS,
        ),
        gauge(
            "opnsense_carp_status",
            "The role of this node for a CARP address.",
            &["opnsense_instance", "interface", "vhid", "subnet"],
            ValueDomain::States(&[(0.0, "backup"), (1.0, "master"), (2.0, "other")]),
            OURS,
        ),
        gauge(
            "opnsense_carp_demotion",
            "Above 0 where the node holds itself back.",
            INSTANCE,
            ValueDomain::Any,
            OURS,
        ),
        gauge(
            "opnsense_carp_maintenance",
            "Whether persistent CARP maintenance mode is on.",
            INSTANCE,
            YES,
            OURS,
        ),
    ]
}
