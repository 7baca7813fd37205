//! The Windows integration: the services of one host over WinRM, and starts that are refused where
//! they would make things worse.
//!
//! ```text
//!   WQL over WS-Management --> host::Viewer --> collector   samples of windows_exporter, old and new
//!                                          \--> probes      evidence
//!   StartService, StopService --> host::Operator --> actions
//! ```
//!
//! # Invariants
//!
//! - No shell is opened and no script runs. Looking is queries and reads of the registry; acting is
//!   two methods of one class, on a service that the host itself listed.
//! - A process is never ended, a start mode never changed, a host never restarted: those are for a
//!   person.
//! - A service that a person stopped, disabled, or that rests by design is left alone.
//!
//! Not here: Kerberos, SSH, PowerShell remoting and JEA.

mod actions;
mod catalog;
mod codes;
mod collector;
mod history;
mod host;
mod probes;
mod settings;
mod simulator;
mod winrm;

use paramedic_catalog::{Catalog, Settings};
use paramedic_integration::{
    Asset, Environment, Integration, Kit, SettingsError, SimulatorFactory, System,
};
use paramedic_model::SystemName;

/// The integration of kind `windows`.
pub fn integration() -> &'static dyn Integration {
    &Windows
}

struct Windows;

impl Integration for Windows {
    fn catalog(&self) -> &'static Catalog {
        &catalog::CATALOG
    }

    fn rules(&self) -> &'static [Asset] {
        &[Asset {
            path: "integrations/windows/rules/windows.yml",
            text: include_str!("../rules/windows.yml"),
        }]
    }

    fn runbooks(&self) -> &'static [Asset] {
        &[
            Asset {
                path: "integrations/windows/runbooks/WindowsServerServiceStatus.md",
                text: include_str!("../runbooks/WindowsServerServiceStatus.md"),
            },
            Asset {
                path: "integrations/windows/runbooks/WindowsHostUnreachable.md",
                text: include_str!("../runbooks/WindowsHostUnreachable.md"),
            },
        ]
    }

    fn open(
        &self,
        _name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<System, SettingsError> {
        let opened = settings::open(settings, environment)?;
        let kit = probes::add_to(Kit::default(), &opened.site);
        let kit = actions::add_to(kit, &opened.site, opened.hands);
        let collector = collector::HostCollector::new(opened.site);
        Ok(System { collector: Some(Box::new(collector)), instance: opened.instance, kit })
    }

    fn simulator(&self) -> Option<&dyn SimulatorFactory> {
        Some(&simulator::FACTORY)
    }
}
