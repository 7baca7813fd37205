use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use paramedic_engine::Engine;
use paramedic_integration::{Address, Environment, OsProcesses, ScaledClock, TcpTransport};
use paramedic_journal::SqliteJournal;
use paramedic_model::Redactor;
use paramedic_server::{Server, ServerOptions};
use tokio::net::TcpListener;

use crate::commands::serve::{log_to_stderr, stopped, write_token};
use crate::config::Config;
use crate::lab::{LabBench, Simulated, listen};
use crate::{assembly, exit, kinds};

/// Run simulated systems and a full server that watches them, to click through.
///
/// Break something on the page, watch the alert fire, be diagnosed, approve the repair, watch it
/// recover. Everything stays on loopback and in a temporary folder; Ctrl-C leaves nothing behind.
///
/// Example: paramedic lab --speed 30
#[derive(Args)]
pub struct LabArgs {
    /// How many seconds of the lab pass in one: with 30, an alert with `for: 5m` fires in 10 s.
    #[arg(long, default_value_t = 30.0, value_parser = speed)]
    speed: f64,
    /// Where pages and API are served; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9190")]
    listen: SocketAddr,
    /// Break this at once: the id of a fault, as `paramedic drill` lists them.
    #[arg(long, value_name = "FAULT")]
    inject: Option<String>,
    /// What to log.
    #[arg(long, env = "PARAMEDIC_LOG", default_value = "warn")]
    log: String,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=200.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.1 to 200".to_owned()),
    }
}

pub fn run(args: LabArgs) -> anyhow::Result<ExitCode> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "--listen must be a loopback address: the lab can be broken by anyone who reaches it"
        );
    }
    log_to_stderr(&args.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(lab(args))
}

async fn lab(args: LabArgs) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("could not make a temporary folder")?;
    let clock = Arc::new(ScaledClock::wall_at_speed(args.speed));
    let environment = Environment {
        clock: clock.clone(),
        transport: Arc::new(TcpTransport),
        processes: Arc::new(OsProcesses),
        redactor: Redactor::default(),
    };
    let mut systems = Vec::new();
    for (integration, seed) in kinds::all().zip(1..) {
        let Some(factory) = integration.simulator() else { continue };
        let mut listeners = Vec::new();
        for _ in factory.ports() {
            listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        }
        let addresses = listeners.iter().map(|listener| {
            let port = listener.local_addr()?.port();
            Ok(Address::new("127.0.0.1", port))
        });
        let addresses = addresses.collect::<std::io::Result<Vec<_>>>()?;
        let name = format!("{}-1", integration.catalog().kind);
        let Some(simulated) = Simulated::start(&name, integration, addresses, clock.clone(), seed)
        else {
            continue;
        };
        for (listener, (port, _)) in listeners.into_iter().zip(&simulated.ports) {
            tokio::spawn(listen(listener, simulated.simulator.clone(), port));
        }
        systems.push(simulated);
    }
    let config = Config {
        systems: systems.iter().map(|system| system.config(Duration::from_secs(15))).collect(),
        data_dir: folder.path().to_owned(),
        ..Config::default()
    };
    let loaded = assembly::load(&config)?;
    let journal = SqliteJournal::open(&folder.path().join("journal.db"))?;
    let token = write_token(folder.path())?;
    let setup = assembly::setup(&config, loaded, &environment, Box::new(journal))?;
    let (handle, running) = Engine::start(setup)?;
    let bench = Arc::new(LabBench::new(systems));
    if let Some(fault) = &args.inject {
        bench.inject(fault)?;
    }
    let listen = Address::new(args.listen.ip().to_string(), args.listen.port());
    let options = ServerOptions { listen, workbench: Some(bench), ..ServerOptions::new(token) };
    let server = Server::bind(handle, clock, options).await?;
    eprintln!("paramedic lab: open http://{}/ and break something", server.address());
    eprintln!("  time runs {} times as fast; Ctrl-C ends it and leaves nothing behind", args.speed);
    eprintln!(
        "  in a terminal: paramedic incidents --server http://{} --token-file {}",
        server.address(),
        folder.path().join("token").display()
    );
    tokio::select! {
        result = running => result.context("the engine stopped")?,
        result = server.run() => result.context("the server stopped")?,
        result = stopped() => result?,
    }
    Ok(exit::answer(true))
}
