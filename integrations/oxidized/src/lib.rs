//! The Oxidized integration: the REST API of one configuration backup server, the exporter beside
//! it where one is deployed, and a restart that is refused where it would make things worse.
//!
//! ```text
//!   /nodes.json --> client --> collector, probes   (a list, or exactly how there was none)
//!   / ------------> client                         (takes no lock: busy, or dead?)
//!   host channel (generic) --> why it does not start, actions/restart
//! ```
//!
//! # Invariants
//!
//! - Oxidized changes state on `GET` (`/reload`, `/node/next/...`), so what may be asked is a list
//!   of two paths, and no link in a page is ever followed.
//! - Stored configurations and the `vars` of devices are secrets: the former are never fetched, the
//!   latter never kept.
//! - A server that hangs is `oxidized_status 0` here, where the exporter yields nothing.
//!
//! Not here: starting a dead process (`generic/service-start`).

mod actions;
mod catalog;
mod client;
mod collector;
mod probes;
mod reach;
mod simulator;

use std::sync::Arc;

use paramedic_catalog::{Catalog, Settings};
use paramedic_generic::HostChannel;
use paramedic_integration::{
    Asset, Environment, Integration, Kit, SettingsError, SimulatorFactory, System,
};
use paramedic_model::SystemName;

use crate::actions::restart::Restart;
use crate::client::Client;
use crate::collector::OxidizedCollector;
use crate::probes::exporter::ExporterProbe;
use crate::probes::nodes::Nodes;
use crate::probes::reach::ReachProbe;
use crate::probes::startup::Startup;

/// The integration of kind `oxidized`.
pub fn integration() -> &'static dyn Integration {
    &Oxidized
}

struct Oxidized;

impl Integration for Oxidized {
    fn catalog(&self) -> &'static Catalog {
        &catalog::CATALOG
    }

    fn rules(&self) -> &'static [Asset] {
        &[Asset {
            path: "integrations/oxidized/rules/oxidized.yml",
            text: include_str!("../rules/oxidized.yml"),
        }]
    }

    fn runbooks(&self) -> &'static [Asset] {
        &[Asset {
            path: "integrations/oxidized/runbooks/OxidizedConnectionDown.md",
            text: include_str!("../runbooks/OxidizedConnectionDown.md"),
        }]
    }

    fn open(
        &self,
        name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<System, SettingsError> {
        let client = Arc::new(Client::new(settings, environment)?);
        let host = Arc::new(HostChannel::open(name, settings, environment)?);
        let clock = environment.clock.clone();
        let redactor = environment.redactor.clone();
        let kit = Kit::default()
            .with_probe(probes::reach::NAME, ReachProbe(client.clone()))
            .with_probe(probes::nodes::NAME, Nodes(client.clone()))
            .with_probe(probes::exporter::NAME, ExporterProbe(client.clone()))
            .with_probe(
                probes::startup::NAME,
                Startup { client: client.clone(), host: host.clone(), redactor },
            )
            .with_action(
                actions::restart::NAME,
                Restart { client: client.clone(), host, clock: clock.clone() },
            );
        Ok(System {
            instance: client.instance.clone(),
            collector: Some(Box::new(OxidizedCollector { client, clock })),
            kit,
        })
    }

    fn simulator(&self) -> Option<&dyn SimulatorFactory> {
        Some(&simulator::FACTORY)
    }
}
