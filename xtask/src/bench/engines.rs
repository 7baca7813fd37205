//! The engines: how each is told what to do, started, and asked about itself.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::exporter::Exporter;
use super::{http, process};
use crate::peers;

/// How often groups of rules run.
pub const RULE_INTERVAL_S: u64 = 15;

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

/// One engine on one port, with its files.
pub struct Setup {
    pub engine: Engine,
    pub program: PathBuf,
    pub folder: PathBuf,
    pub address: SocketAddr,
}

/// What rules cost since the start, where the engine says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rounds {
    /// Seconds that evaluation took.
    pub seconds: f64,
    /// Evaluations of groups.
    pub groups: f64,
    /// Those that did not happen because the one before was not done.
    pub missed: f64,
}

impl Engine {
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
        match self {
            Self::Ours => None,
            Self::Prometheus => {
                (!peers::is_here("prometheus")).then_some("prometheus is not on PATH")
            }
            Self::Victoria if !peers::is_here("victoria-metrics") => {
                Some("victoria-metrics is not on PATH")
            }
            Self::Victoria => Some("victoria-metrics is here, but nothing drives it yet"),
        }
    }
}

impl Setup {
    /// Chooses a free port.
    pub fn new(engine: Engine, program: PathBuf, folder: PathBuf) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        Ok(Self { engine, program, folder, address })
    }

    fn config(&self) -> PathBuf {
        self.folder.join("config.yml")
    }

    /// Where it keeps its samples.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes the configuration: nothing to scrape without an exporter.
    pub fn configure(
        &self,
        exporter: Option<&Exporter>,
        every_s: u64,
        rules: &[PathBuf],
    ) -> Result<()> {
        let mut text = format!(
            "global:\n  scrape_interval: {every_s}s\n  scrape_timeout: {every_s}s\n  evaluation_interval: {RULE_INTERVAL_S}s\n"
        );
        if !rules.is_empty() {
            text.push_str("rule_files:\n");
            for path in rules {
                let _ = writeln!(text, "- {}", path.display());
            }
        }
        if let Some(exporter) = exporter {
            text.push_str("scrape_configs:\n- job_name: bench\n  static_configs:\n  - targets:\n");
            for target in exporter.targets() {
                let _ = writeln!(text, "    - \"{target}\"");
            }
        }
        if self.engine == Engine::Ours {
            let _ = write!(
                text,
                "shipped: {{ rules: false, runbooks: false }}\nserver: {{ listen: \"{}\", remote_write: true }}\n\
                 data_dir: {}\nretention: 25h\n",
                self.address,
                self.data().display()
            );
        }
        fs::write(self.config(), text).context("write a configuration")
    }

    /// How it is started.
    pub fn command(&self) -> Command {
        let mut command = process::program(&self.program);
        match self.engine {
            Engine::Ours => {
                command.arg("serve").arg("--config").arg(self.config()).args(["--log", "warn"]);
            }
            Engine::Prometheus | Engine::Victoria => {
                command.arg(format!("--config.file={}", self.config().display()));
                command.arg(format!("--storage.tsdb.path={}", self.data().display()));
                command.arg(format!("--web.listen-address={}", self.address));
                command.args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
            }
        }
        command
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
        let answer = http::get(self.address, "/metrics", Duration::from_secs(20)).ok()?;
        let metric = |name: &str| (answer.status == 200).then(|| sum(&answer.body, name)).flatten();
        Some(Rounds {
            seconds: metric("prometheus_rule_group_duration_seconds_sum")?,
            groups: metric("prometheus_rule_group_duration_seconds_count")?,
            missed: metric("prometheus_rule_group_iterations_missed_total").unwrap_or(0.0),
        })
    }
}

/// The version that `program` prints.
pub fn version(program: &Path) -> String {
    let Ok(output) = process::program(program).arg("--version").output() else {
        return "unknown".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    line.split(" (").next().unwrap_or_default().trim().to_owned()
}

/// The sum of a metric over its series in an exposition; `None` where it is not there.
fn sum(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_metric_is_summed_over_its_series() {
        let text = "# HELP a x\na{g=\"1 }\"} 2\na{g=\"2\"} 3.5\nab 7\n";
        assert_eq!(super::sum(text, "a"), Some(5.5));
        assert_eq!(super::sum(text, "b"), None);
    }
}
