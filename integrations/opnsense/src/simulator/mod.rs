//! Simulated firewalls that speak the API of OPNsense with its quirks.
//!
//! ```text
//!   api      one request: route (404), key (401), privilege (403), body (400), back end, answer
//!   answers  what each path answers, from the state; `wireguard` and `jobs` for those pages
//!   changes  what each path changes, and whether that was right
//!   state    services, tunnels, logs, disks; the far sides of the tunnels as functions of time
//!   faults   one switch per root cause
//! ```
//!
//! # Invariants
//!
//! - Nothing happens behind the clock: every request first brings the state to the present moment,
//!   and the same seed and requests give the same answers.
//! - Where a fault's story takes longer than a responder should wait in a drill (an interface that
//!   was created forty minutes ago and has not heard of a peer since), the fault begins in the
//!   middle of it.
//!
//! Not here: other pages of the API than the integration and the exporter's collectors use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paramedic_catalog::Settings;
use paramedic_integration::{
    Address, BoxStream, Fault, Recorded, Simulator, SimulatorEnvironment, SimulatorFactory,
    UnknownFault, serve_http,
};
use paramedic_model::{BoxFuture, Clock};

mod answers;
mod api;
mod changes;
mod faults;
mod jobs;
mod state;
mod tunnels;
mod wireguard;

use state::State;

/// The key and secret that a simulated firewall accepts.
const KEY: &str = "w86XNZob/8Oq8aC5r0kbNarNtdpoQU781fyoeaOBQsBwkXUt";
const SECRET: &str = "XeD26XVrJ5ilAc/EmglCRC+0j2e57tRsjHwFepOseySWLM53pJASeTA3";

/// The versions whose API a simulated firewall can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// 25.1.1: camelCase privileges, no `peer-status`.
    V25_1,
    /// 26.1: snake_case privileges, secrets in grids.
    V26_1,
}

/// Makes simulated firewalls of one version.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedFirewalls {
    /// The version.
    pub release: Release,
}

impl SimulatorFactory for SimulatedFirewalls {
    fn ports(&self) -> &'static [&'static str] {
        &["api"]
    }

    fn faults(&self) -> &'static [Fault] {
        faults::FAULTS
    }

    fn start(&self, environment: SimulatorEnvironment) -> Arc<dyn Simulator> {
        Arc::new(FirewallSimulator::new(self.release, environment))
    }
}

/// One simulated firewall.
pub struct FirewallSimulator {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    address: Option<Address>,
}

impl FirewallSimulator {
    /// A healthy firewall that has been up for twelve days.
    pub fn new(release: Release, environment: SimulatorEnvironment) -> Self {
        let state = State::healthy(release, environment.seed, environment.clock.now());
        Self {
            state: Arc::new(Mutex::new(state)),
            clock: environment.clock,
            address: environment.addresses.into_iter().next(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(self.clock.now());
        state
    }
}

impl Simulator for FirewallSimulator {
    fn settings(&self) -> Settings {
        let address = self.address.as_ref().map(ToString::to_string).unwrap_or_default();
        Settings::default()
            .with_text("url", format!("http://{address}"))
            .with_secret("api_key", KEY)
            .with_secret("api_secret", SECRET)
    }

    fn inject(&self, fault: &str) -> Result<(), UnknownFault> {
        let known = faults::FAULTS.iter().find(|known| known.id == fault);
        let known = known.ok_or_else(|| UnknownFault::new(fault, faults::FAULTS))?;
        self.lock().inject(known);
        Ok(())
    }

    fn heal(&self) {
        self.lock().heal();
    }

    fn serve(&self, _port: &str, stream: BoxStream) -> BoxFuture<'static, ()> {
        let (state, clock) = (self.state.clone(), self.clock.clone());
        Box::pin(serve_http(stream, move |request| {
            Box::pin(api::handle(state.clone(), clock.clone(), request))
        }))
    }

    fn recorded(&self) -> Vec<Recorded> {
        self.lock().recorded.clone()
    }
}
