use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use paramedic_catalog::{Catalog, Settings};
use paramedic_model::{Clock, Redactor, SystemName};

use crate::{Action, Collector, Probe, Processes, SimulatorFactory, Transport};

/// All that Paramedic knows about one kind of system.
pub trait Integration: Send + Sync {
    /// What it declares.
    fn catalog(&self) -> &'static Catalog;

    /// The rule files that it ships.
    fn rules(&self) -> &'static [Asset];

    /// The runbooks that it ships.
    fn runbooks(&self) -> &'static [Asset];

    /// Makes a configured system ready to be looked at. Sends nothing.
    ///
    /// # Errors
    ///
    /// A setting whose value cannot work, by its name.
    fn open(
        &self,
        name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<System, SettingsError>;

    /// Makes simulated systems of this kind, where the kind has a simulator.
    fn simulator(&self) -> Option<&dyn SimulatorFactory>;
}

/// What a system is given to work with: the only ways to time, network and processes.
#[derive(Clone)]
pub struct Environment {
    /// Time for decisions.
    pub clock: Arc<dyn Clock>,
    /// Opens byte streams.
    pub transport: Arc<dyn Transport>,
    /// Starts local processes, for allow-listed commands.
    pub processes: Arc<dyn Processes>,
    /// Masks secrets in everything that is kept or shown.
    pub redactor: Redactor,
}

/// One system, ready to be looked at.
pub struct System {
    /// Yields samples; `None` where the kind has nothing to collect (a mere host).
    pub collector: Option<Box<dyn Collector>>,
    /// Where it is reached, for the `instance` label: `192.0.2.1:443`.
    pub instance: String,
    /// Its probes and actions by name.
    pub kit: Kit,
}

/// Probes and actions by the name that the catalogue gives them.
#[derive(Default)]
pub struct Kit {
    probes: BTreeMap<&'static str, Arc<dyn Probe>>,
    actions: BTreeMap<&'static str, Arc<dyn Action>>,
}

impl Kit {
    /// Adds a probe.
    #[must_use]
    pub fn with_probe(mut self, name: &'static str, probe: impl Probe + 'static) -> Self {
        self.probes.insert(name, Arc::new(probe));
        self
    }

    /// Adds an action.
    #[must_use]
    pub fn with_action(mut self, name: &'static str, action: impl Action + 'static) -> Self {
        self.actions.insert(name, Arc::new(action));
        self
    }

    /// The probe of this name.
    pub fn probe(&self, name: &str) -> Option<Arc<dyn Probe>> {
        self.probes.get(name).cloned()
    }

    /// The action of this name.
    pub fn action(&self, name: &str) -> Option<Arc<dyn Action>> {
        self.actions.get(name).cloned()
    }

    /// Names that the catalogue declares and the kit lacks, or the other way round; empty where
    /// they agree. Each integration holds this empty in a test.
    pub fn differences(&self, catalog: &Catalog) -> Vec<String> {
        let declared = catalog.probes.iter().map(|probe| probe.name);
        let declared = declared.chain(catalog.actions.iter().map(|action| action.name));
        let declared: Vec<_> = declared.collect();
        let kept: Vec<_> = self.probes.keys().chain(self.actions.keys()).copied().collect();
        let lacking = declared.iter().filter(|name| !kept.contains(name));
        let surplus = kept.iter().filter(|name| !declared.contains(name));
        lacking
            .map(|name| format!("declared but not in the kit: {name}"))
            .chain(surplus.map(|name| format!("in the kit but not declared: {name}")))
            .collect()
    }
}

/// A file that is compiled into the binary.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its path inside the project: `integrations/opnsense/rules/opnsense.yml`.
    pub path: &'static str,
    /// Its content.
    pub text: &'static str,
}

/// A setting whose value cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The key, with dots where it is nested: `ssh.host_key`.
    pub setting: String,
    /// What is wrong and what to write.
    pub reason: String,
}

impl SettingsError {
    /// The setting `setting` cannot work because of `reason`.
    pub fn new(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { setting: setting.into(), reason: reason.into() }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting {:?}: {}", self.setting, self.reason)
    }
}

impl std::error::Error for SettingsError {}
