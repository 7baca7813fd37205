use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::{Config, DEFAULT};
use crate::out::{out, outln};
use crate::{exit, kinds};

/// Print or check a configuration.
#[derive(Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    task: ConfigTask,
}

#[derive(Subcommand)]
enum ConfigTask {
    /// Print the commented default: a place to start from.
    ///
    /// Example: paramedic config default > paramedic.yml
    Default,
    /// Read a configuration and everything that it names; print every mistake with its place.
    ///
    /// Example: paramedic config check paramedic.yml
    Check {
        /// The configuration, or a prometheus.yml.
        file: PathBuf,
    },
}

pub fn run(args: ConfigArgs) -> anyhow::Result<ExitCode> {
    match args.task {
        ConfigTask::Default => {
            out!("{DEFAULT}");
            Ok(exit::answer(true))
        }
        ConfigTask::Check { file } => {
            let config = match Config::load(&file, &kinds::catalogs()) {
                Ok(config) => config,
                Err(errors) => {
                    eprintln!("{errors}");
                    return Ok(exit::mistakes(&errors));
                }
            };
            let loaded = match crate::assembly::load(&config) {
                Ok(loaded) => loaded,
                Err(errors) => {
                    eprintln!("{errors}");
                    return Ok(exit::answer(false));
                }
            };
            outln!(
                "{}: {} systems, {} targets, {} rules in {} groups, {} runbooks",
                file.display(),
                config.systems.len(),
                config.target_count(),
                loaded.rule_count(),
                loaded.group_count(),
                loaded.pages.len(),
            );
            Ok(exit::answer(true))
        }
    }
}
