use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paramedic_integration::Simulator;
use paramedic_server::{Breakable, Workbench};
use tokio::net::TcpListener;

use super::Simulated;

/// Serves a logical port of a simulated system on a socket, for ever.
pub async fn listen(listener: TcpListener, simulator: Arc<dyn Simulator>, port: &'static str) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(simulator.serve(port, Box::new(stream)));
    }
}

/// What the lab's page can break and heal.
pub struct LabBench {
    systems: Vec<Simulated>,
    /// The fault in each broken system, by the system's name.
    broken: Mutex<BTreeMap<String, String>>,
}

impl LabBench {
    /// A bench with these systems, all healthy.
    pub fn new(systems: Vec<Simulated>) -> Self {
        Self { systems, broken: Mutex::default() }
    }

    /// Injects a fault into the system that has it.
    pub fn inject(&self, fault: &str) -> anyhow::Result<()> {
        let has = |system: &&Simulated| system.faults().iter().any(|known| known.id == fault);
        let system = self.systems.iter().find(has);
        let system = system.ok_or_else(|| anyhow::anyhow!("no simulated system has {fault:?}"))?;
        self.break_system(&system.name, fault).map_err(anyhow::Error::msg)
    }

    fn broken(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> Result<&Simulated, String> {
        let system = self.systems.iter().find(|system| system.name == name);
        system.ok_or_else(|| format!("there is no simulated system {name:?}"))
    }
}

impl Workbench for LabBench {
    fn breakables(&self) -> Vec<Breakable> {
        let broken = self.broken();
        let describe = |system: &Simulated| Breakable {
            system: system.name.clone(),
            title: system.integration.catalog().title.to_owned(),
            faults: system.faults().to_vec(),
            broken: broken.get(&system.name).cloned(),
        };
        self.systems.iter().map(describe).collect()
    }

    fn break_system(&self, name: &str, fault: &str) -> Result<(), String> {
        let system = self.find(name)?;
        // Faults do not stack.
        system.simulator.heal();
        system.simulator.inject(fault).map_err(|error| error.to_string())?;
        self.broken().insert(name.to_owned(), fault.to_owned());
        Ok(())
    }

    fn heal_system(&self, name: &str) -> Result<(), String> {
        self.find(name)?.simulator.heal();
        self.broken().remove(name);
        Ok(())
    }
}
