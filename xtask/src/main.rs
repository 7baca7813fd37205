//! The project's own tasks: `cargo xtask test`, `cargo xtask peers install`.

mod bench;
mod fuzz;
mod peers;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

/// Tasks of the project.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check formatting, tidiness, lints and licences, and run all tests.
    ///
    /// A test whose real peer is not installed is skipped by name; with CI=true in the environment
    /// it fails instead.
    Test,
    /// Feed arbitrary input to parsers and evaluation, under libFuzzer.
    ///
    /// Example: cargo xtask fuzz expression --seconds 600
    Fuzz {
        /// One target; all where none is named.
        target: Option<String>,
        /// How long each runs.
        #[arg(long, default_value_t = 30)]
        seconds: u32,
    },
    /// Measure the engine against the real ones, or one part of it.
    Bench {
        #[command(subcommand)]
        task: bench::BenchTask,
    },
    /// The real programs that tests run against: Prometheus, Traefik, sshd, pywinrm.
    Peers {
        #[command(subcommand)]
        task: PeersTask,
    },
}

#[derive(Subcommand)]
enum PeersTask {
    /// Say which are here.
    List,
    /// Install what is missing, with apt, pip and cargo. Needs root.
    Install,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Test => test(),
        Task::Fuzz { target, seconds } => fuzz::fuzz(target.as_deref(), seconds),
        Task::Bench { task } => bench::run(task),
        Task::Peers { task: PeersTask::List } => peers::list(),
        Task::Peers { task: PeersTask::Install } => peers::install(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> Result<()> {
    run("cargo", &["fmt", "--all", "--check"])?;
    tidy::check(&root())?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    if peers::is_here("cargo-deny") {
        run("cargo", &["deny", "check", "bans", "licenses", "sources"])?;
    } else {
        peers::absent("cargo-deny", "the check of licences and bans")?;
    }
    // The output is shown, so that a skipped test is seen.
    run("cargo", &["test", "--workspace", "--no-fail-fast", "--", "--show-output"])
}

/// The root of the repository: the folder above this crate's.
fn root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.parent().unwrap_or(folder).to_owned()
}

/// Runs a program in the root, with its output passed through.
fn run(program: &str, args: &[&str]) -> Result<()> {
    eprintln!("> {program} {}", args.join(" "));
    #[expect(clippy::disallowed_methods, reason = "a task runner runs programs")]
    let status = Command::new(program).args(args).current_dir(root()).status();
    let status = status.with_context(|| format!("could not start {program}"))?;
    if !status.success() {
        bail!("{program} {} failed", args.join(" "));
    }
    Ok(())
}
