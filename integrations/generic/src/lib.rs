//! The host channel: systemd units and their journal over SSH, and allow-listed local commands.
//!
//! A system of kind `generic` is a host; a system of any other kind may carry a `host` block with
//! the same settings, and its runbook then uses `generic/service-status` and the rest beside its
//! own probes and actions.
//!
//! # A simulated host for other simulators
//!
//! [`SimulatedHost`] is a host with systemd that speaks true SSH. A simulator whose process lives
//! in a unit shares one with its own state:
//!
//! ```
//! use std::sync::Arc;
//! use paramedic_generic::{Failure, SimulatedHost, Start, UnitModel, UnitState};
//! use paramedic_integration::{Address, ScaledClock};
//! use paramedic_model::TimeMs;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # let _inside = runtime.enter();
//! let clock = Arc::new(ScaledClock::new(TimeMs(1_795_227_720_000), 1.0));
//! let units = [("traefik.service", UnitModel::new("Traefik Proxy"))];
//! let host = SimulatedHost::new(clock, 1, units);
//!
//! // A fault: the port is taken, so the process died and dies again.
//! let reason = "error while building entryPoint web: listen tcp :80: bind: address already in use";
//! host.log("traefik.service", reason);
//! host.set_unit("traefik.service", UnitState::Failed(Failure::ExitCode(1)));
//! host.on_start("traefik.service", move || Start::Dies {
//!     lines: vec![reason.to_owned()],
//!     failure: Failure::ExitCode(1),
//! });
//! assert!(!host.unit_running("traefik.service")); // the API of the simulator refuses connections
//!
//! // `Simulator::host` gives these settings, `Simulator::serve("ssh", stream)` calls `host.serve`,
//! // `Simulator::recorded` adds `host.recorded()`.
//! let settings = host.settings(&Address::new("sut.test", 1001));
//! assert!(settings.table("ssh").is_some() && host.recorded().is_empty());
//! ```

mod actions;
mod catalog;
mod channel;
mod command;
mod config;
mod host;
mod journal;
mod probes;
mod simulator;
mod ssh;
mod status;
mod timestamp;

use std::sync::Arc;

use paramedic_catalog::{Catalog, Settings};
use paramedic_integration::{
    Asset, Environment, Integration, Kit, SettingsError, SimulatorFactory, System,
};
use paramedic_model::SystemName;
use serde_json::{Map, Value};

pub use channel::{HostChannel, LogLine, OwnAnswer, Unit};
use config::Config;
use host::Host;
pub use simulator::{
    Failure, JournalLine, Listener, Locally, Mount, Resources, SimulatedHost, Start, UnitModel,
    UnitState,
};

/// The integration of kind `generic`.
pub fn integration() -> &'static dyn Integration {
    &Generic
}

struct Generic;

impl Integration for Generic {
    fn catalog(&self) -> &'static Catalog {
        &catalog::CATALOG
    }

    fn rules(&self) -> &'static [Asset] {
        &[]
    }

    fn runbooks(&self) -> &'static [Asset] {
        &[]
    }

    fn open(
        &self,
        _name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<System, SettingsError> {
        let config = Config::read(settings, environment)?;
        let instance = settings.table("ssh").and_then(|ssh| ssh.text("address"));
        let instance = instance.unwrap_or("localhost").to_owned();
        let (host, acting) = Host::new(config, environment);
        let host = Arc::new(host);
        let kit = actions::add(probes::add(Kit::default(), &host), &host, acting);
        Ok(System { collector: None, instance, kit })
    }

    /// A mere host has no alerts of its own; hosts are simulated as parts of other systems.
    fn simulator(&self) -> Option<&dyn SimulatorFactory> {
        None
    }
}

/// The first words of a text on one line, for a message.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 240;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// The entries of a JSON object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
