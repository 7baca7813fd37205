//! The engines: how each is told what to do, started, and asked about itself.
//!
//! All are given the same: targets, scrape interval, rules, retention, loopback. Beyond that each runs
//! with its defaults.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::scrape::Rounds;
use super::{http, process};
use crate::peers;

/// How often groups of rules run.
pub const RULE_INTERVAL_S: u64 = 15;
/// How long samples are kept: the day that is backfilled, and what comes while it is asked for.
const RETENTION: &str = "25h";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// This project's.
    Ours,
    /// The program `prometheus` on `PATH`.
    Prometheus,
    /// The programs `victoria-metrics` and `vmalert` on `PATH`.
    Victoria,
}

impl Engine {
    /// All, in the order in which they are started and asked.
    pub const ALL: [Self; 3] = [Self::Ours, Self::Prometheus, Self::Victoria];

    /// As results and the command line call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Prometheus => "prometheus",
            Self::Victoria => "victoria",
        }
    }

    /// Why it is left out, where it is.
    pub fn absent(self) -> Option<&'static str> {
        let missing = |program, reason| (!peers::is_here(program)).then_some(reason);
        match self {
            Self::Ours => None,
            Self::Prometheus => {
                missing("prometheus", "prometheus is not on PATH; apt-get install prometheus")
            }
            Self::Victoria => missing(
                "victoria-metrics",
                "victoria-metrics is not on PATH; apt-get install victoria-metrics",
            )
            .or_else(|| {
                missing("vmalert", "vmalert is not on PATH; apt-get install victoria-metrics")
            }),
        }
    }
}

/// One engine on its ports, with its files.
pub struct Setup {
    pub engine: Engine,
    pub program: PathBuf,
    pub folder: PathBuf,
    pub address: SocketAddr,
    /// Of the program that runs the rules, where it is one of its own.
    alerting: SocketAddr,
}

impl Setup {
    /// Chooses free ports.
    pub fn new(engine: Engine, program: PathBuf, folder: PathBuf) -> Result<Self> {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        // Both are held until both are known, so that they differ.
        let (one, other) = (free()?, free()?);
        let (address, alerting) = (one.local_addr()?, other.local_addr()?);
        Ok(Self { engine, program, folder, address, alerting })
    }

    fn config(&self) -> PathBuf {
        self.folder.join("config.yml")
    }

    /// Where it keeps its samples.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes the configuration; without targets there is nothing to scrape.
    pub fn configure(&self, targets: &[SocketAddr], every_s: u64, rules: &[PathBuf]) -> Result<()> {
        let mut text =
            format!("global:\n  scrape_interval: {every_s}s\n  scrape_timeout: {every_s}s\n");
        if self.engine != Engine::Victoria {
            let _ = writeln!(text, "  evaluation_interval: {RULE_INTERVAL_S}s");
            if !rules.is_empty() {
                text.push_str("rule_files:\n");
            }
            for path in rules {
                let _ = writeln!(text, "- {}", path.display());
            }
        }
        if !targets.is_empty() {
            text.push_str("scrape_configs:\n- job_name: bench\n  static_configs:\n  - targets:\n");
        }
        for target in targets {
            let _ = writeln!(text, "    - \"{target}\"");
        }
        if self.engine == Engine::Ours {
            let _ = write!(
                text,
                "shipped: {{ rules: false, runbooks: false }}\nserver: {{ listen: \"{}\", remote_write: true }}\n\
                 data_dir: {}\nretention: {RETENTION}\n",
                self.address,
                self.data().display()
            );
        }
        fs::write(self.config(), text).context("write a configuration")
    }

    /// How what scrapes and answers queries is started.
    pub fn command(&self) -> Command {
        let mut command = process::program(&self.program);
        let (config, data) = (self.config(), self.data());
        let (config, data, address) = (config.display(), data.display(), self.address);
        match self.engine {
            Engine::Ours => {
                command.arg("serve").arg("--config").arg(self.config()).args(["--log", "error"]);
            }
            Engine::Prometheus => {
                command.arg(format!("--config.file={config}"));
                command.arg(format!("--storage.tsdb.path={data}"));
                command.arg(format!("--storage.tsdb.retention.time={RETENTION}"));
                command.arg(format!("--web.listen-address={address}"));
                // Off by default; the day before the start comes by it.
                command.args(["--web.enable-remote-write-receiver", "--log.level=error"]);
            }
            Engine::Victoria => {
                command.arg(format!("-promscrape.config={config}"));
                command.arg(format!("-storageDataPath={data}"));
                command.arg(format!("-retentionPeriod={RETENTION}"));
                command.arg(format!("-httpListenAddr={address}"));
                command.arg("-loggerLevel=ERROR");
            }
        }
        command
    }

    /// How what runs the rules is started, where that is a program of its own.
    pub fn alerting_command(&self, rules: &[PathBuf]) -> Result<Option<Command>> {
        if self.engine != Engine::Victoria || rules.is_empty() {
            return Ok(None);
        }
        // It insists on a notifier, and is content with none in a list; the others send nothing either.
        let notifiers = self.folder.join("notifiers.yml");
        fs::write(&notifiers, "static_configs: []\n")?;
        let mut command = process::program("vmalert");
        command.args(rules.iter().map(|path| format!("-rule={}", path.display())));
        command.arg(format!("-notifier.config={}", notifiers.display()));
        command.arg(format!("-datasource.url=http://{}", self.address));
        command.arg(format!("-remoteWrite.url=http://{}", self.address));
        command.arg(format!("-evaluationInterval={RULE_INTERVAL_S}s"));
        command.arg(format!("-httpListenAddr={}", self.alerting));
        // What it cannot read is counted as failed evaluations rather than refused as a whole.
        command.args(["-rule.validateTemplates=false", "-rule.validateExpressions=false"]);
        command.arg("-loggerLevel=FATAL");
        Ok(Some(command))
    }

    /// The token for remote write, where one is needed.
    pub fn token(&self) -> Option<String> {
        let text = fs::read_to_string(self.data().join("token")).ok()?;
        Some(text.trim().to_owned())
    }

    /// Whether it answers.
    pub fn is_ready(&self) -> bool {
        let answer = http::get(self.address, "/-/ready", Duration::from_secs(2));
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Its own account of evaluation; `None` where it gives none.
    pub fn rounds(&self) -> Option<Rounds> {
        let address = match self.engine {
            Engine::Ours | Engine::Prometheus => self.address,
            Engine::Victoria => self.alerting,
        };
        let answer = http::get(address, "/metrics", Duration::from_secs(20)).ok()?;
        match self.engine {
            _ if answer.status != 200 => None,
            Engine::Ours | Engine::Prometheus => Rounds::of_prometheus(&answer.body),
            Engine::Victoria => Rounds::of_vmalert(&answer.body),
        }
    }
}

/// The version that `program` prints; for one that prints none, as Debian builds VictoriaMetrics, the
/// package's.
pub fn version(program: &Path) -> String {
    let first_line = |command: &mut Command| {
        let output = command.output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().next()?.split(" (").next()?.trim().to_owned();
        (output.status.success() && !line.is_empty()).then_some(line)
    };
    let package = || {
        let mut query = process::program("dpkg-query");
        first_line(query.args(["-W", "-f=${Package}, version ${Version}"]).arg(program))
    };
    let told = first_line(process::program(program).arg("--version"));
    told.or_else(package).unwrap_or_else(|| "unknown".to_owned())
}
