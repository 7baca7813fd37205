use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_catalog::{ActionSignature, Catalog, ProbeSignature};
use paramedic_incident::SystemChoice;
use paramedic_integration::{Action, Probe, System};
use paramedic_model::{Labels, SystemName};

/// One system under care, as the engine meets it.
pub struct Watched {
    /// Its name.
    pub name: SystemName,
    /// What its kind declares.
    pub catalog: &'static Catalog,
    /// The system.
    pub system: System,
    /// The host that it runs on, with what its kind declares, where one is configured.
    pub host: Option<(&'static Catalog, System)>,
    /// The two parts of its target's name.
    pub target: (String, String),
    /// The `job` and `instance` of the samples that it yields: these two, unless labels are configured in
    /// their place.
    pub series: (String, String),
    /// Labels of an alert that is about it.
    pub matches: BTreeMap<String, String>,
    /// Who takes over.
    pub contact: Option<String>,
}

/// Why a step's `uses` leads nowhere on a system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

impl Watched {
    /// The probe that `uses` names, on this system or on its host.
    pub fn probe(&self, uses: &str) -> Result<(&'static ProbeSignature, Arc<dyn Probe>), Unusable> {
        let (catalog, system, name) = self.part(uses)?;
        let found = catalog.probe(name).zip(system.kit.probe(name));
        found.ok_or_else(|| Unusable(format!("there is no probe `{uses}`")))
    }

    /// The action that `uses` names, on this system or on its host.
    pub fn action(
        &self,
        uses: &str,
    ) -> Result<(&'static ActionSignature, Arc<dyn Action>), Unusable> {
        let (catalog, system, name) = self.part(uses)?;
        let found = catalog.action(name).zip(system.kit.action(name));
        found.ok_or_else(|| Unusable(format!("there is no action `{uses}`")))
    }

    fn part<'a>(
        &'a self,
        uses: &'a str,
    ) -> Result<(&'static Catalog, &'a System, &'a str), Unusable> {
        let error = || Unusable(format!("`{uses}` is not of the form kind/name"));
        let (kind, name) = uses.split_once('/').ok_or_else(error)?;
        if kind == self.catalog.kind {
            return Ok((self.catalog, &self.system, name));
        }
        match &self.host {
            Some((catalog, host)) if kind == catalog.kind => Ok((catalog, host, name)),
            _ => Err(Unusable(format!(
                "`{uses}` needs {}, and {} is a system of kind {} without it",
                if kind == "generic" { "a `host` block" } else { "a system of that kind" },
                self.name,
                self.catalog.kind
            ))),
        }
    }
}

/// All systems under care.
#[derive(Default)]
pub struct Systems(BTreeMap<SystemName, Arc<Watched>>);

impl Systems {
    /// These systems; of two with one name the later counts.
    pub fn new(systems: impl IntoIterator<Item = Watched>) -> Self {
        Self(systems.into_iter().map(|system| (system.name.clone(), Arc::new(system))).collect())
    }

    /// The system of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Watched>> {
        self.0.get(&SystemName::from(name))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Watched>> {
        self.0.values()
    }

    /// Which system an alert is about: by the targets of the series that it came from, else by the
    /// labels that systems state. An empty `match` states nothing and matches nothing.
    pub fn about(&self, alert: &Labels, origins: &[Labels]) -> SystemChoice {
        let yielded = |system: &&Arc<Watched>| {
            let (job, instance) = &system.series;
            let theirs = |o: &Labels| o.value("job") == job && o.value("instance") == instance;
            origins.iter().any(theirs)
        };
        let by_target: Vec<_> = self.iter().filter(yielded).collect();
        let states = |system: &&Arc<Watched>| {
            let all = system.matches.iter().all(|(name, value)| alert.value(name) == value);
            !system.matches.is_empty() && all
        };
        let found = match by_target.as_slice() {
            [] => self.iter().filter(states).collect(),
            _ => by_target,
        };
        match found.as_slice() {
            [] => SystemChoice::None,
            [one] => {
                SystemChoice::One { name: one.name.to_string(), kind: one.catalog.kind.to_owned() }
            }
            several => SystemChoice::Several(several.iter().map(|s| s.name.to_string()).collect()),
        }
    }
}
