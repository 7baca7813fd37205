//! The Traefik integration: API, ping and metrics of one proxy, and a restart that is refused where
//! it would make things worse.
//!
//! ```text
//!   /metrics --> collector ----------------> samples
//!   /api, /ping --> client --> probes        evidence
//!   host channel (generic) --> log, unit --> probes/log, actions/restart
//! ```
//!
//! # Invariants
//!
//! - Traefik's API is read only, so nothing here changes anything through it. The only changes are
//!   made to units of the host, through the host channel of `generic`.
//! - `UP` in the API is no evidence of health; see [`probes::service_health`].
//! - Traefik is never restarted while its log knows of a configuration that it could not use: the
//!   last good one then lives in its memory only.
//!
//! Not here: starting a dead backend or a dead Traefik (`generic/service-start`).

mod actions;
mod api;
mod catalog;
mod client;
mod collector;
mod exposition;
mod host;
mod log;
mod probes;
mod simulator;

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{Catalog, Settings};
use paramedic_integration::{
    Asset, Environment, Integration, Kit, SettingsError, SimulatorFactory, System,
};
use paramedic_model::SystemName;

use crate::actions::restart::Restart;
use crate::client::Client;
use crate::collector::TraefikCollector;
use crate::host::Host;
use crate::probes::backend_check::BackendCheck;
use crate::probes::config_errors::ConfigErrors;
use crate::probes::log::Log;
use crate::probes::overview::Overview;
use crate::probes::ping::Ping;
use crate::probes::service_health::ServiceHealth;

/// A change this long before the trouble began may be its cause.
const SHORTLY_BEFORE: Duration = Duration::from_secs(600);

/// The integration of kind `traefik`.
pub fn integration() -> &'static dyn Integration {
    &Traefik
}

struct Traefik;

impl Integration for Traefik {
    fn catalog(&self) -> &'static Catalog {
        &catalog::CATALOG
    }

    fn rules(&self) -> &'static [Asset] {
        &[Asset {
            path: "integrations/traefik/rules/traefik.yml",
            text: include_str!("../rules/traefik.yml"),
        }]
    }

    fn runbooks(&self) -> &'static [Asset] {
        &[Asset {
            path: "integrations/traefik/runbooks/TraefikServiceDown.md",
            text: include_str!("../runbooks/TraefikServiceDown.md"),
        }]
    }

    fn open(
        &self,
        name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<System, SettingsError> {
        let client = Arc::new(Client::new(settings, environment)?);
        let host = Arc::new(Host::open(name, settings, environment)?);
        let environment = environment.clone();
        let kit = Kit::default()
            .with_probe(probes::ping::NAME, Ping(client.clone()))
            .with_probe(probes::overview::NAME, Overview(client.clone()))
            .with_probe(probes::config_errors::NAME, ConfigErrors(client.clone()))
            .with_probe(probes::service_health::NAME, ServiceHealth(client.clone()))
            .with_probe(
                probes::backend_check::NAME,
                BackendCheck { client: client.clone(), environment: environment.clone() },
            )
            .with_probe(probes::log::NAME, Log { client: client.clone(), host: host.clone() })
            .with_action(
                actions::restart::NAME,
                Restart { client: client.clone(), host, clock: environment.clock },
            );
        Ok(System {
            instance: client.instance.clone(),
            collector: Some(Box::new(TraefikCollector(client))),
            kit,
        })
    }

    fn simulator(&self) -> Option<&dyn SimulatorFactory> {
        Some(&simulator::FACTORY)
    }
}
