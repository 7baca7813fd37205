use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_integration::{Address, Fault, Integration, Simulator, SimulatorEnvironment};
use paramedic_model::{Clock, Labels};

use crate::config::{Contact, SystemConfig};

/// Who takes over in the lab.
pub const CONTACT: &str = "the person at the keyboard";

/// One simulated system and where it is reached.
pub struct Simulated {
    /// Its name as a system under care.
    pub name: String,
    /// Its integration.
    pub integration: &'static dyn Integration,
    /// The system.
    pub simulator: Arc<dyn Simulator>,
    /// Where each of its logical ports is, by the port's name.
    pub ports: Vec<(&'static str, Address)>,
}

impl Simulated {
    /// A healthy system of a kind that has a simulator, on these addresses: one per logical port.
    pub fn start(
        name: &str,
        integration: &'static dyn Integration,
        addresses: Vec<Address>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Option<Self> {
        let factory = integration.simulator()?;
        let ports = factory.ports().iter().copied().zip(addresses.iter().cloned()).collect();
        let simulator = factory.start(SimulatorEnvironment { clock, seed, addresses });
        Some(Self { name: name.to_owned(), integration, simulator, ports })
    }

    /// What it can be broken with.
    pub fn faults(&self) -> &'static [Fault] {
        self.integration.simulator().map_or(&[], |factory| factory.faults())
    }

    /// The configuration of this system.
    pub fn config(&self, interval: Duration) -> SystemConfig {
        let (mut settings, host) = (self.simulator.settings(), self.simulator.host());
        if let Some(host) = &host {
            settings.set("host", paramedic_catalog::SettingValue::Table(host.clone()));
        }
        SystemConfig {
            name: self.name.clone(),
            kind: self.integration.catalog().kind.to_owned(),
            interval,
            timeout: Duration::from_secs(30),
            labels: Labels::empty(),
            matches: BTreeMap::new(),
            contact: Some(Contact { name: CONTACT.to_owned(), reach: Vec::new() }),
            settings,
            host,
        }
    }
}
