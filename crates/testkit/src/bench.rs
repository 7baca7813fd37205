use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Param};
use paramedic_integration::{
    Acted, Action, ActionError, Address, BlastRadius, Collection, Environment, Finished, Happened,
    Integration, Look, Precondition, ProbeError, Processes, ScaledClock, Simulator,
    SimulatorEnvironment, System,
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
    /// The host that it runs on, where [`Bench::with_host`] opened one.
    pub host: Option<Host>,
}

/// The host of a system, as its `host` block makes it.
pub struct Host {
    /// The kind whose probes and actions go to the host.
    pub kind: &'static str,
    /// The host as Paramedic sees it.
    pub system: System,
}

/// What kept an action from a good outcome, by the stage that it came to.
#[derive(Debug, thiserror::Error)]
pub enum ActFailure {
    /// The arguments do not fit, or the precondition or the blast radius could not be had.
    #[error("could not look: {0}")]
    Look(ProbeError),
    /// The precondition does not hold.
    #[error("the precondition fails: {0}")]
    Precondition(String),
    /// It was carried out, or should have been.
    #[error("{0}")]
    Action(ActionError),
}

/// An action that came to a good outcome, with what was known before it.
#[derive(Debug)]
pub struct Performed {
    /// Why it was allowed to run.
    pub reason: String,
    /// What it was to hit.
    pub blast_radius: BlastRadius,
    /// How it ended.
    pub acted: Acted,
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
        Self { network, clock, environment, simulator, system, host: None }
    }

    /// As [`Bench::new`], with the simulator's own host opened by `host`, so that probes and
    /// actions of that integration reach it.
    ///
    /// # Panics
    ///
    /// As [`Bench::new`], and where the simulator has no host.
    pub fn with_host(integration: &dyn Integration, host: &dyn Integration) -> Self {
        let mut bench = Self::new(integration);
        let settings = bench.simulator.host().expect("the simulator has a host");
        let system = host
            .open(&SystemName::from("sut"), &settings, &bench.environment)
            .expect("a simulator's host settings open its host");
        bench.host = Some(Host { kind: host.catalog().kind, system });
        bench
    }

    /// The present look, for an alert that began `seconds` ago.
    pub fn look(&self, seconds: u64) -> Look {
        let now = self.clock.now();
        Look { now, since: now - std::time::Duration::from_secs(seconds) }
    }

    /// Runs the collector once.
    ///
    /// # Panics
    ///
    /// Where the system has no collector.
    pub async fn collect(&self) -> Collection {
        let collector = self.system.collector.as_ref().expect("the system has a collector");
        collector.collect(self.look(120)).await
    }

    /// The system that `integration` looks at and acts on: the host or the system itself.
    fn target(&self, integration: &dyn Integration) -> &System {
        let kind = integration.catalog().kind;
        match &self.host {
            Some(host) if host.kind == kind => &host.system,
            _ => &self.system,
        }
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
        let kit = &self.target(integration).kit;
        let probe = kit.probe(name).expect("the probe is in the kit");
        let evidence = probe.look(&args, self.look(120)).await?;
        if let Err(error) = signature.check_facts(&evidence.facts) {
            panic!("probe {name} breaks its signature: {error}");
        }
        Ok(evidence)
    }

    /// Runs an action with textual arguments as the engine would: precondition, blast radius, act.
    ///
    /// # Errors
    ///
    /// The stage that it did not pass, and why.
    ///
    /// # Panics
    ///
    /// Where the integration declares no such action.
    pub async fn act(
        &self,
        integration: &dyn Integration,
        name: &str,
        with: &[(&str, &str)],
    ) -> Result<Performed, ActFailure> {
        let (action, args) = self.action(integration, name, with).map_err(ActFailure::Look)?;
        let held = action.precondition(&args, self.look(120)).await.map_err(ActFailure::Look)?;
        let reason = match held {
            Precondition::Holds(reason) => reason,
            Precondition::Fails(reason) => return Err(ActFailure::Precondition(reason)),
        };
        let blast_radius = action.blast_radius(&args, self.look(120)).await;
        let blast_radius = blast_radius.map_err(ActFailure::Look)?;
        let acted = action.act(&args, self.look(120)).await.map_err(ActFailure::Action)?;
        Ok(Performed { reason, blast_radius, acted })
    }

    /// Asks whether an action that was intended at `intended` was carried out.
    ///
    /// # Errors
    ///
    /// As the action; arguments that do not fit are [`ProbeError::Unable`].
    ///
    /// # Panics
    ///
    /// Where the integration declares no such action.
    pub async fn happened(
        &self,
        integration: &dyn Integration,
        name: &str,
        with: &[(&str, &str)],
        intended: TimeMs,
    ) -> Result<Happened, ProbeError> {
        let (action, args) = self.action(integration, name, with)?;
        action.happened(&args, intended, self.look(120)).await
    }

    fn action(
        &self,
        integration: &dyn Integration,
        name: &str,
        with: &[(&str, &str)],
    ) -> Result<(Arc<dyn Action>, Args), ProbeError> {
        let signature = integration.catalog().action(name).expect("the action is declared");
        let args = bind(&signature.params, with)?;
        let kit = &self.target(integration).kit;
        Ok((kit.action(name).expect("the action is in the kit"), args))
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
