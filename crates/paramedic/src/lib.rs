//! The first responder to Prometheus alerts: configuration, command line, wiring.
//!
//! This crate alone names the integrations ([`kinds`]). It reads a configuration ([`config`]), makes
//! an engine of it ([`assembly`]), and runs it against real systems (`serve`), against simulated
//! ones on loopback (`lab`) or in virtual time ([`lab::drill`]).

mod alerting;
pub mod assembly;
mod commands;
pub mod config;
mod exit;
pub mod kinds;
pub mod lab;
mod out;
mod reload;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// The first responder to Prometheus alerts.
///
/// Watches systems, evaluates alert rules, opens the runbook of the alert that fires, runs its
/// diagnosis, names the likely cause, offers or runs the mitigation under guard, and proves that
/// the service recovered.
///
/// Exit codes: 0 yes or done, 1 no (a drill fell short, a file has mistakes, a request was
/// refused), 2 wrong usage, 3 could not run.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(commands::serve::ServeArgs),
    Lab(commands::lab::LabArgs),
    Drill(commands::drill::DrillArgs),
    Incidents(commands::incidents::IncidentsArgs),
    Incident(commands::incidents::IncidentArgs),
    Explain(commands::explain::ExplainArgs),
    Approve(commands::incidents::ApproveArgs),
    Reject(commands::incidents::RejectArgs),
    Config(commands::config::ConfigArgs),
    Check(commands::check::CheckArgs),
    Test(commands::test::TestArgs),
    Catalog(commands::catalog::CatalogArgs),
    Simulator(commands::simulator::SimulatorArgs),
    /// Print the completions of a shell.
    ///
    /// Example: paramedic completions bash > /etc/bash_completion.d/paramedic
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command line, and says how it ended.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => commands::serve::run(args),
        Command::Lab(args) => commands::lab::run(args),
        Command::Drill(args) => commands::drill::run(args),
        Command::Incidents(args) => commands::incidents::list(args),
        Command::Incident(args) => commands::incidents::incident(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Approve(args) => commands::incidents::approve(args),
        Command::Reject(args) => commands::incidents::reject(args),
        Command::Config(args) => commands::config::run(args),
        Command::Check(args) => commands::check::run(args),
        Command::Test(args) => commands::test::run(args),
        Command::Catalog(args) => commands::catalog::run(args),
        Command::Simulator(args) => commands::simulator::run(args),
        Command::Completions { shell } => {
            let mut command = Cli::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "paramedic", &mut script);
            out::out!("{}", String::from_utf8_lossy(&script));
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("paramedic: {error:#}");
        ExitCode::from(exit::FAILED)
    })
}
