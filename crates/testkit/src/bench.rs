use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Param};
use paramedic_integration::{
    Address, Environment, Finished, Integration, Look, ProbeError, Processes, ScaledClock,
    Simulator, SimulatorEnvironment, System,
};
use paramedic_model::{BoxFuture, Clock, Redactor, SystemName, TimeMs};

use crate::MemoryNetwork;

/// When virtual time begins: 2026-11-21T02:22:00Z.
pub const VIRTUAL_EPOCH: TimeMs = TimeMs(1_795_227_720_000);

/// One simulated system with everything that looks at it, in memory and virtual time.
///
/// Must be made inside a paused tokio runtime.
pub struct Bench {
    /// The network that the system is on.
    pub network: MemoryNetwork,
    /// Virtual time.
    pub clock: Arc<dyn Clock>,
    /// What the system was opened with.
    pub environment: Environment,
    /// The simulated system.
    pub simulator: Arc<dyn Simulator>,
    /// The same system as Paramedic sees it.
    pub system: System,
}

impl Bench {
    /// Starts a simulated system of `integration` and opens it as `sut`, its ports being
    /// `sut.test:1000`, `sut.test:1001`, and so on.
    ///
    /// # Panics
    ///
    /// Where the integration has no simulator or refuses its own simulator's settings: a defect
    /// that a test is there to find.
    pub fn new(integration: &dyn Integration) -> Self {
        let network = MemoryNetwork::default();
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0));
        let factory = integration.simulator().expect("the integration has a simulator");
        let ports = factory.ports();
        let addresses: Vec<_> =
            (1000..).take(ports.len()).map(|p| Address::new("sut.test", p)).collect();
        let simulator = factory.start(SimulatorEnvironment {
            clock: clock.clone(),
            seed: 1,
            addresses: addresses.clone(),
        });
        for (address, port) in addresses.into_iter().zip(ports) {
            network.attach(address, simulator.clone(), port);
        }
        let environment = Environment {
            clock: clock.clone(),
            transport: Arc::new(network.clone()),
            processes: Arc::new(NoProcesses),
            redactor: Redactor::default(),
        };
        let name = SystemName::from("sut");
        let system = integration
            .open(&name, &simulator.settings(), &environment)
            .expect("a simulator's settings open its system");
        Self { network, clock, environment, simulator, system }
    }

    /// The present look, for an alert that began `seconds` ago.
    pub fn look(&self, seconds: u64) -> Look {
        let now = self.clock.now();
        Look { now, since: now - std::time::Duration::from_secs(seconds) }
    }

    /// Runs a probe with textual arguments, as a step would.
    ///
    /// # Errors
    ///
    /// As the probe; arguments that do not fit are [`ProbeError::Unable`].
    ///
    /// # Panics
    ///
    /// Where the integration declares no such probe, or its facts are not as declared.
    pub async fn probe(
        &self,
        integration: &dyn Integration,
        name: &str,
        with: &[(&str, &str)],
    ) -> Result<Evidence, ProbeError> {
        let signature = integration.catalog().probe(name).expect("the probe is declared");
        let args = bind(&signature.params, with)?;
        let probe = self.system.kit.probe(name).expect("the probe is in the kit");
        let evidence = probe.look(&args, self.look(120)).await?;
        if let Err(error) = signature.check_facts(&evidence.facts) {
            panic!("probe {name} breaks its signature: {error}");
        }
        Ok(evidence)
    }
}

/// Binds textual arguments to parameters.
fn bind(params: &[Param], with: &[(&str, &str)]) -> Result<Args, ProbeError> {
    let given: BTreeMap<_, _> =
        with.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Args::bind(params, &given).map_err(|error| ProbeError::unable(error.to_string()))
}

/// A machine on which no process can be started.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProcesses;

impl Processes for NoProcesses {
    fn run<'a>(
        &'a self,
        _program: &'a str,
        _args: &'a [String],
        _environment: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, io::Result<Finished>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}
