use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use paramedic_engine::Engine;
use paramedic_integration::{Environment, OsProcesses, ScaledClock, TcpTransport};
use paramedic_journal::SqliteJournal;
use paramedic_model::{Redactor, Secret};
use paramedic_samples::{Window, WindowOptions};
use paramedic_server::{PrometheusOptions, Server, ServerOptions};

use crate::config::Config;
use crate::reload::Rereader;
use crate::{alerting, assembly, exit, kinds};

/// Watch the configured systems: collect, evaluate, diagnose, wait for approval, act, verify.
///
/// Serves pages and API on a loopback address until Ctrl-C.
///
/// Example: paramedic serve --config paramedic.yml
#[derive(Args)]
pub struct ServeArgs {
    /// The configuration, or a prometheus.yml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What to log: error, warn, info, debug, or per module as `paramedic_engine=debug`.
    #[arg(long, env = "PARAMEDIC_LOG", default_value = "info")]
    log: String,
}

/// How long the end may take once all alerts were sent. What was taken is safe by then; the next
/// start is faster for it.
const CLOSING_MAX: Duration = Duration::from_secs(20);

pub fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    log_to_stderr(&args.log);
    let config = match Config::load(&args.config, &kinds::catalogs()) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(exit::mistakes(&errors));
        }
    };
    let loaded = match assembly::load(&config) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(exit::answer(false));
        }
    };
    let environment = Environment {
        clock: Arc::new(ScaledClock::wall()),
        transport: Arc::new(TcpTransport),
        processes: Arc::new(OsProcesses),
        redactor: Redactor::default(),
    };
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("could not make {}", config.data_dir.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let journal = SqliteJournal::open(&config.data_dir.join("journal.db"))?;
        let token = write_token(&config.data_dir)?;
        let setup = assembly::setup(&config, loaded, &environment, Box::new(journal))?;
        let window = open_samples(&config.data_dir.join("samples"), setup.window.clone())?;
        let (handle, running) = Engine::start_with(setup, window)?;
        let clock = environment.clock.clone();
        let rereader = Arc::new(Rereader::new(&args.config, &config, handle.clone(), clock));
        let options = ServerOptions {
            reloader: Some(rereader.clone()),
            listen: config.server.listen.clone(),
            prometheus: PrometheusOptions {
                query_timeout: config.query.timeout,
                query_concurrency: config.query.concurrency,
                remote_write: config.server.remote_write,
                retention: config.retention,
                config: config.shown.clone(),
            },
            alerts: config.server.alerts,
            ..ServerOptions::new(token)
        };
        let mut discoveries = tokio::task::JoinSet::new();
        discoveries.spawn(rereader.watch());
        for discovery in assembly::discoveries(&config, &environment) {
            discoveries.spawn(assembly::discover(discovery, handle.clone()));
        }
        for (at, configured) in config.alerting.alertmanagers.iter().cloned().enumerate() {
            let engine = handle.clone();
            discoveries.spawn(alerting::discover(at, configured, environment.clone(), engine));
        }
        let server = Server::bind(handle, environment.clock.clone(), options).await?;
        eprintln!("paramedic: pages and API on http://{}/", server.address());
        let mut running = std::pin::pin!(running);
        tokio::select! {
            result = &mut running => return result.context("the engine stopped").map(|()| exit::answer(true)),
            result = server.run() => result.context("the server stopped")?,
            result = stopped() => result?,
        }
        discoveries.shutdown().await;
        // Without anybody to answer, the engine closes its files and ends.
        let closing_max = CLOSING_MAX + config.sending.drain_timeout;
        if let Ok(result) = tokio::time::timeout(closing_max, running).await {
            result.context("the engine stopped")?;
        }
        Ok(exit::answer(true))
    })
}

/// Returns when somebody wants the process to end: Ctrl-C, or a service manager.
pub async fn stopped() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

/// Logs go to standard error, one line each.
pub fn log_to_stderr(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .init();
}

/// Writes a new token for the command line into `data_dir`, readable by its owner only.
pub fn write_token(data_dir: &Path) -> anyhow::Result<Secret> {
    use std::fmt::Write as _;
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut random = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .context("could not read /dev/urandom for a token")?;
    let mut token = String::new();
    for byte in random {
        write!(token, "{byte:02x}")?;
    }
    let path = data_dir.join("token");
    // Made anew rather than overwritten, so that it never has an older file's wider permissions.
    let _ = std::fs::remove_file(&path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("could not write {}", path.display()))?;
    writeln!(file, "{token}")?;
    Ok(Secret::new(token))
}

/// The samples of before, told what is wrong with their log: a person may want to know.
fn open_samples(dir: &Path, options: WindowOptions) -> anyhow::Result<Window> {
    let (window, replayed) = Window::open(dir, options).context("could not open the samples")?;
    for flaw in &replayed.torn {
        eprintln!("paramedic: the log of samples was cut: {flaw}");
    }
    for flaw in &replayed.damaged {
        eprintln!("paramedic: the log of samples is damaged, and the file was set aside: {flaw}");
    }
    Ok(window)
}
