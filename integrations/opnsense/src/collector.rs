//! Samples under the names and labels of AthennaMind/opnsense-exporter, from five calls.
//!
//! # Invariants
//!
//! - A part that could not be read yields no samples and fails the collection: it never reads as
//!   "no services" or "no peers".
//! - Of several objects under one label set, the worst is yielded, so that none hides another.
//!
//! The calls are made one after the other: the firewall has few workers and each call starts one.

use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_integration::{Collection, Collector, Look, ProbeError};
use paramedic_model::{BoxFuture, Labels, METRIC_NAME, Series};
use serde_json::Value;

use crate::client::{Carp, Firewall};
use crate::json::{field, flag, leading_number};
use crate::services::Service;
use crate::wireguard::{Peer, PeerStatus, Tunnel};

/// The label that the exporter puts on every series.
const INSTANCE: &str = "opnsense_instance";

/// The parts of a collection that the setting `skip` may name.
pub(crate) const PARTS: &[&str] = &["status", "wireguard", "carp", "gateways"];

pub(crate) struct FirewallCollector {
    firewall: Arc<Firewall>,
    instance: String,
}

impl FirewallCollector {
    pub(crate) fn new(firewall: Arc<Firewall>, instance: String) -> Self {
        Self { firewall, instance }
    }

    async fn run(&self) -> Collection {
        let mut samples = Samples::new(&self.instance);
        let mut failure = None;
        match self.firewall.services().await {
            Ok(services) => {
                add_services(&mut samples, &services);
                failure = self.add_rest(&mut samples, &services).await;
            }
            // Without the list of services nothing else can be believed, and an unreachable
            // firewall should not be waited for five times.
            Err(error) => {
                samples.add("opnsense_up", &[], 0.0);
                failure.get_or_insert(error);
            }
        }
        let success = if failure.is_some() { 0.0 } else { 1.0 };
        samples.add("opnsense_collector_success", &[], success);
        Collection { series: samples.finish(), failure }
    }

    /// Adds all parts but the services, and returns the first failure.
    async fn add_rest(&self, samples: &mut Samples, services: &[Service]) -> Option<ProbeError> {
        let mut failure: Option<ProbeError> = None;
        for part in PARTS {
            let gone = |error: &ProbeError| {
                matches!(error, ProbeError::Connect { .. } | ProbeError::Deadline { .. })
            };
            if self.firewall.skips(part) || failure.as_ref().is_some_and(gone) {
                continue;
            }
            let result = match *part {
                "status" => self.add_status(samples).await,
                "wireguard" => self.add_wireguard(samples, services).await,
                "carp" => self.firewall.carp().await.map(|carp| add_carp(samples, &carp)),
                _ => self.add_gateways(samples).await,
            };
            if let Err(error) = result {
                failure.get_or_insert(error);
            }
        }
        failure
    }

    async fn add_status(&self, samples: &mut Samples) -> Result<(), ProbeError> {
        let status = self.firewall.status().await;
        // As the exporter: 0 on any pending notice, and where the status cannot be read.
        let up = status.as_ref().is_ok_and(|status| status.ok);
        samples.add("opnsense_up", &[], if up { 1.0 } else { 0.0 });
        let booting = if status?.booting { 1.0 } else { 0.0 };
        samples.add("opnsense_system_booting", &[], booting);
        Ok(())
    }

    async fn add_wireguard(
        &self,
        samples: &mut Samples,
        services: &[Service],
    ) -> Result<(), ProbeError> {
        // Where the list of services has an instance, an empty answer has to be confirmed: it was
        // stopped by hand, or the back end died between the two calls.
        let (tunnels, peers) = if services.iter().any(|service| service.name == "wireguard") {
            self.firewall.tunnels().await?
        } else {
            self.firewall.tunnels_unconfirmed().await?
        };
        for tunnel in &tunnels {
            add_tunnel(samples, tunnel);
        }
        for peer in &peers {
            add_peer(samples, peer);
        }
        Ok(())
    }

    async fn add_gateways(&self, samples: &mut Samples) -> Result<(), ProbeError> {
        for row in &self.firewall.gateways().await? {
            add_gateway(samples, row);
        }
        Ok(())
    }
}

impl Collector for FirewallCollector {
    fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
        Box::pin(self.run())
    }
}

fn add_services(samples: &mut Samples, services: &[Service]) {
    for service in services {
        let labels = [("name", &*service.name), ("description", &*service.description)];
        let value = if service.running { 1.0 } else { 0.0 };
        samples.add_worst("opnsense_services_status", &labels, value, |value| value);
    }
    let running = services.iter().filter(|service| service.running).count();
    samples.add("opnsense_services_running_total", &[], running as f64);
    samples.add("opnsense_services_stopped_total", &[], (services.len() - running) as f64);
}

fn add_tunnel(samples: &mut Samples, tunnel: &Tunnel) {
    let labels =
        [("device", &*tunnel.device), ("device_type", "interface"), ("device_name", &*tunnel.name)];
    let value = match tunnel.status.as_str() {
        "up" => 1.0,
        "down" => 0.0,
        _ => 2.0,
    };
    samples.add("opnsense_wireguard_interfaces_status", &labels, value);
}

fn add_peer(samples: &mut Samples, peer: &Peer) {
    let labels = [
        ("device", &*peer.device),
        ("device_type", "peer"),
        ("device_name", &*peer.instance),
        ("peer_name", &*peer.name),
    ];
    // Peers whose keys are not in the configuration have no name and share one label set.
    let rank = |value: f64| {
        let order =
            [PeerStatus::Offline, PeerStatus::Stale, PeerStatus::Unknown, PeerStatus::Online];
        order.iter().position(|status| status.value() == value).unwrap_or(order.len()) as f64
    };
    samples.add_worst("opnsense_wireguard_peer_status", &labels, peer.status.value(), rank);
    let mut add = |name: &str, value: i64| samples.add(name, &labels, value as f64);
    add("opnsense_wireguard_peer_last_handshake_seconds", peer.handshake);
    add("opnsense_wireguard_peer_received_bytes_total", peer.rx_bytes);
    add("opnsense_wireguard_peer_transmitted_bytes_total", peer.tx_bytes);
}

fn add_carp(samples: &mut Samples, carp: &Carp) {
    for vip in &carp.vips {
        let labels =
            [("interface", &*vip.interface), ("vhid", &*vip.vhid), ("subnet", &*vip.subnet)];
        let value = match vip.status.as_str() {
            "MASTER" => 1.0,
            "BACKUP" => 0.0,
            _ => 2.0,
        };
        samples.add("opnsense_carp_status", &labels, value);
    }
    samples.add("opnsense_carp_demotion", &[], carp.demotion as f64);
    samples.add("opnsense_carp_maintenance", &[], if carp.maintenance { 1.0 } else { 0.0 });
}

fn add_gateway(samples: &mut Samples, row: &Value) {
    let (name, address) = (field(row, "name"), field(row, "monitor"));
    let default = if flag(row, "defaultgw") == Some(true) { "true" } else { "false" };
    let short = [("name", &*name), ("address", &*address)];
    let status = match field(row, "status").as_str() {
        "Online" => 1.0,
        "Offline" => 0.0,
        "Pending" => 3.0,
        _ => 2.0,
    };
    let labels = [("name", &*name), ("address", &*address), ("default_gateway", default)];
    samples.add("opnsense_gateways_status", &labels, status);
    let measured = |key: &str| leading_number(&field(row, key)).unwrap_or(-1.0);
    samples.add("opnsense_gateways_loss_percentage", &short, measured("loss"));
    samples.add("opnsense_gateways_rtt_milliseconds", &short, measured("delay"));
    samples.add("opnsense_gateways_rttd_milliseconds", &short, measured("stddev"));
}

/// Samples with distinct label sets, each with the instance label.
struct Samples {
    base: Labels,
    values: BTreeMap<Labels, f64>,
}

impl Samples {
    fn new(instance: &str) -> Self {
        Self { base: Labels::from([(INSTANCE, instance)]), values: BTreeMap::new() }
    }

    fn labels(&self, name: &str, pairs: &[(&str, &str)]) -> Labels {
        let mut labels = self.base.to_builder();
        labels.set(METRIC_NAME, name);
        for (name, value) in pairs {
            labels.set(name, value);
        }
        labels.build()
    }

    /// Adds a sample; the first of two with one label set stays, as in the exporter.
    fn add(&mut self, name: &str, pairs: &[(&str, &str)], value: f64) {
        let labels = self.labels(name, pairs);
        self.values.entry(labels).or_insert(value);
    }

    /// Adds a sample; of two with one label set the one of the lower rank stays.
    fn add_worst(
        &mut self,
        name: &str,
        pairs: &[(&str, &str)],
        value: f64,
        rank: impl Fn(f64) -> f64,
    ) {
        let labels = self.labels(name, pairs);
        let held = self.values.entry(labels).or_insert(value);
        if rank(value) < rank(*held) {
            *held = value;
        }
    }

    fn finish(self) -> Vec<Series> {
        self.values.into_iter().map(|(labels, value)| Series { labels, value }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_services_under_one_label_set_the_stopped_one_is_seen() {
        let service = |id: &str, running| Service {
            id: id.to_owned(),
            name: "openvpn".to_owned(),
            description: "OpenVPN server ".to_owned(),
            locked: false,
            running,
        };
        for states in [[true, false], [false, true]] {
            let mut samples = Samples::new("fw1");
            let services = [service("openvpn/1", states[0]), service("openvpn/2", states[1])];
            add_services(&mut samples, &services);
            let values: Vec<_> = samples.finish().into_iter().map(|s| s.value).collect();
            // running_total, status, stopped_total
            assert_eq!(values, [1.0, 0.0, 1.0]);
        }
    }

    #[test]
    fn a_nameless_peer_that_is_offline_is_not_hidden_by_one_that_is_online() {
        let row = |status: &str| {
            serde_json::json!({ "if": "wg0", "ifname": "wgsite", "type": "peer", "name": "",
                "transfer-rx": 0, "transfer-tx": 0, "peer-status": status })
        };
        let mut samples = Samples::new("fw1");
        for status in ["online", "offline", "stale"] {
            add_peer(&mut samples, &Peer::read(&row(status)).expect("a peer"));
        }
        let series = samples.finish();
        let is_status = |s: &&Series| s.labels.value(METRIC_NAME).ends_with("peer_status");
        let status: Vec<_> = series.iter().filter(is_status).map(|s| s.value).collect();
        assert_eq!(status, [0.0]);
    }
}
