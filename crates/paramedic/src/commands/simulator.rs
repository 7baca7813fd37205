use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use paramedic_catalog::Settings;
use paramedic_integration::{Address, ScaledClock};
use tokio::net::TcpListener;

use crate::commands::serve::stopped;
use crate::lab::{Simulated, listen};
use crate::out::outln;
use crate::{exit, kinds};

/// Run one simulated system alone, for tests with other clients.
///
/// Its first port is the one given, further ones follow it. Prints where each port is and the
/// settings that reach it, simulated secrets included, as JSON.
///
/// Example: paramedic simulator opnsense --listen 127.0.0.1:8443
#[derive(Args)]
pub struct SimulatorArgs {
    /// The kind of system.
    kind: String,
    /// A loopback address.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Break this at once: the id of a fault, as `paramedic drill` lists them.
    #[arg(long, value_name = "FAULT")]
    inject: Option<String>,
}

pub fn run(args: SimulatorArgs) -> anyhow::Result<ExitCode> {
    if !args.listen.ip().is_loopback() {
        bail!("--listen must be a loopback address: a simulator has published secrets");
    }
    let Some(integration) = kinds::kind(&args.kind) else {
        bail!("unknown kind {:?}; paramedic catalog lists them", args.kind);
    };
    let Some(factory) = integration.simulator() else {
        bail!("systems of kind {} cannot be simulated alone", args.kind);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for (port, offset) in factory.ports().iter().zip(0..) {
            // Port 0 takes free ports, each of them.
            let number = match args.listen.port() {
                0 => 0,
                first => first.checked_add(offset).context("the ports end at 65535")?,
            };
            let address = SocketAddr::new(args.listen.ip(), number);
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("could not listen on {address} for port {port}"))?;
            let local = listener.local_addr()?;
            addresses.push(Address::new(local.ip().to_string(), local.port()));
            listeners.push(listener);
        }
        let clock = Arc::new(ScaledClock::wall());
        let simulated = Simulated::start(&args.kind, integration, addresses, clock, 1)
            .context("the kind has no simulator")?;
        if let Some(fault) = &args.inject {
            simulated.simulator.inject(fault)?;
        }
        for (listener, (port, _)) in listeners.into_iter().zip(&simulated.ports) {
            tokio::spawn(listen(listener, simulated.simulator.clone(), port));
        }
        outln!("{}", serde_json::to_string_pretty(&describe(&simulated))?);
        stopped().await?;
        Ok(exit::answer(true))
    })
}

fn describe(simulated: &Simulated) -> serde_json::Value {
    let ports: serde_json::Map<_, _> = simulated
        .ports
        .iter()
        .map(|(port, address)| ((*port).to_owned(), address.to_string().into()))
        .collect();
    let host = simulated.simulator.host();
    serde_json::json!({
        "kind": simulated.integration.catalog().kind,
        "ports": ports,
        "settings": settings(&simulated.simulator.settings()),
        "host": host.as_ref().map(settings),
        "faults": simulated.faults().iter().map(|fault| fault.id).collect::<Vec<_>>(),
    })
}

/// Settings with their secrets in clear: they protect nothing but a simulation.
fn settings(settings: &Settings) -> serde_json::Value {
    let value = |name: &str| -> serde_json::Value {
        if let Some(text) = settings.text(name) {
            text.into()
        } else if let Some(secret) = settings.secret(name) {
            secret.expose().into()
        } else if let Some(flag) = settings.flag(name) {
            flag.into()
        } else if let Some(nested) = settings.table(name) {
            self::settings(nested)
        } else if let Some(map) = settings.map(name) {
            map.iter()
                .map(|(name, text)| (name.clone(), serde_json::Value::from(text.clone())))
                .collect()
        } else if let Some(tables) = settings.tables(name) {
            tables.iter().map(|(name, nested)| (name.clone(), self::settings(nested))).collect()
        } else {
            settings.list(name).into()
        }
    };
    settings.names().map(|name| (name.to_owned(), value(name))).collect()
}
