use std::sync::Arc;

use paramedic_catalog::Settings;
use paramedic_generic::{SimulatedHost, UnitModel, integration};
use paramedic_integration::{
    Address, BoxStream, Environment, Recorded, ScaledClock, Simulator, UnknownFault,
};
use paramedic_model::{BoxFuture, Clock, Redactor, SystemName};
use paramedic_testkit::{Bench, MemoryNetwork, NoProcesses, VIRTUAL_EPOCH};

/// The unit that most tests are about.
pub const TRAEFIK: &str = "traefik.service";
/// Its name in the configuration.
pub const SERVICE: (&str, &str) = ("service", "traefik");

/// A bench with a mere host.
pub struct World {
    pub bench: Bench,
    pub host: SimulatedHost,
}

impl World {
    /// A healthy host with Traefik and Oxidized.
    pub fn new() -> Self {
        Self::with(|settings| settings)
    }

    /// The same, under changed settings.
    pub fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0));
        let oxidized = UnitModel::new("Oxidized").with_restart_ms(300_000);
        let units = [(TRAEFIK, unit()), ("oxidized.service", oxidized)];
        let host = SimulatedHost::new(clock.clone(), 1, units);
        let simulator: Arc<dyn Simulator> = Arc::new(MereHost(host.clone()));
        let network = MemoryNetwork::default();
        network.attach(address(), simulator.clone(), "ssh");
        let environment = Environment {
            clock: clock.clone(),
            transport: Arc::new(network.clone()),
            processes: Arc::new(NoProcesses),
            redactor: Redactor::default(),
        };
        let settings = change(simulator.settings());
        let system = integration().open(&SystemName::from("sut"), &settings, &environment);
        let system = system.expect("the settings open a host");
        let bench = Bench { network, clock, environment, simulator, system, host: None };
        Self { bench, host }
    }

    /// Lets virtual time pass.
    pub async fn pass(&self, seconds: u64) {
        self.bench.clock.sleep(std::time::Duration::from_secs(seconds)).await;
    }

    /// What was asked of the host so far.
    pub fn changes(&self) -> Vec<String> {
        self.host.recorded().into_iter().map(|recorded| recorded.change).collect()
    }
}

/// The unit that most tests are about, healthy.
pub fn unit() -> UnitModel {
    UnitModel::new("Traefik Proxy")
}

/// Where the host is.
pub fn address() -> Address {
    Address::new("sut.test", 22)
}

struct MereHost(SimulatedHost);

impl Simulator for MereHost {
    fn settings(&self) -> Settings {
        self.0.settings(&address())
    }

    fn inject(&self, fault: &str) -> Result<(), UnknownFault> {
        Err(UnknownFault::new(fault, &[]))
    }

    fn heal(&self) {}

    fn serve(&self, _port: &str, stream: BoxStream) -> BoxFuture<'static, ()> {
        self.0.serve(stream)
    }

    fn recorded(&self) -> Vec<Recorded> {
        self.0.recorded()
    }
}
