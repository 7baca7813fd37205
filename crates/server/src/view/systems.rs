use std::collections::BTreeMap;

use paramedic_engine::{Engine, Watched};
use paramedic_incident::Incident;
use paramedic_model::{IncidentId, SystemName, TimeMs, is_stale};
use paramedic_promql::{Family, Source};

use super::lead;

/// Whether a system can be seen. Only [`Sight::Seen`] may render as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It was read; when last.
    Seen(Option<TimeMs>),
    /// It cannot be looked at.
    CannotLook {
        /// Since when.
        since: TimeMs,
        /// Why.
        reason: String,
        /// When it last answered, where that is known.
        seen_at: Option<TimeMs>,
        /// The open incident that is about it, by number and alert.
        incident: Option<(IncidentId, String)>,
    },
    /// Nobody has looked since the start.
    NotYet,
    /// Its kind has nothing to collect.
    NothingToCollect,
}

impl Sight {
    /// One word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Seen(_) => "seen",
            Self::CannotLook { .. } => "cannot-look",
            Self::NotYet => "not-looked-yet",
            Self::NothingToCollect => "not-collected",
        }
    }

    /// Whether it is seen now.
    pub fn is_seen(&self) -> bool {
        matches!(self, Self::Seen(_))
    }
}

/// One system under care.
pub(crate) struct SystemView {
    pub name: SystemName,
    pub kind: &'static str,
    /// What its kind is, for people.
    pub title: &'static str,
    pub instance: String,
    pub contact: Option<String>,
    /// The kind of its host, where one is configured.
    pub host: Option<&'static str>,
    pub sight: Sight,
    /// Its open incidents, but those that stand under another one.
    pub open: Vec<(IncidentId, String)>,
}

impl SystemView {
    fn new(
        system: &Watched,
        engine: &Engine,
        newest_up: &BTreeMap<(String, String), TimeMs>,
    ) -> Self {
        let on_it = |incident: &&Incident| {
            incident.is_open()
                && incident.opened.system.name() == Some(system.name.as_str())
                && lead(engine, incident).is_none()
        };
        let open = engine.incidents().filter(on_it);
        Self {
            name: system.name.clone(),
            kind: system.catalog.kind,
            title: system.catalog.title,
            instance: system.system.instance.clone(),
            contact: system.contact.clone(),
            host: system.host.as_ref().map(|(catalog, _)| catalog.kind),
            sight: sight(system, engine, newest_up),
            open: open.map(|incident| (incident.id, incident.opened.alert.clone())).collect(),
        }
    }

    /// One word for programs: `healthy` only where it was seen and no incident is open on it.
    pub fn state(&self) -> &'static str {
        match &self.sight {
            Sight::Seen(_) | Sight::NothingToCollect if !self.open.is_empty() => "incident",
            Sight::Seen(_) => "healthy",
            sight => sight.word(),
        }
    }
}

/// All systems, by name.
pub(crate) fn systems(engine: &Engine) -> Vec<SystemView> {
    let newest = newest_up(engine.window());
    engine.systems().iter().map(|system| SystemView::new(system, engine, &newest)).collect()
}

fn sight(
    system: &Watched,
    engine: &Engine,
    newest_up: &BTreeMap<(String, String), TimeMs>,
) -> Sight {
    let (job, instance) = &system.target;
    sight_of(&format!("{job}/{instance}"), system.series.clone(), engine, newest_up)
}

/// A target that is no system under care: what `scrape_configs` lists.
pub(crate) struct TargetView {
    /// `job/instance`.
    pub id: String,
    pub sight: Sight,
}

/// The targets of no system, by job and instance.
pub(crate) fn other_targets(engine: &Engine) -> Vec<TargetView> {
    let newest = newest_up(engine.window());
    let is_system = |job: &str, instance: &str| {
        let mut systems = engine.systems().iter();
        systems.any(|system| system.target.0 == job && system.target.1 == instance)
    };
    let targets = engine.targets().iter();
    let others = targets.filter(|(_, target)| !is_system(&target.job, &target.instance));
    let view = |(id, target): (&String, &std::sync::Arc<paramedic_scrape::Target>)| TargetView {
        id: id.clone(),
        sight: sight_of(id, (target.job.clone(), target.instance.clone()), engine, &newest),
    };
    others.map(view).collect()
}

fn sight_of(
    target: &str,
    labels: (String, String),
    engine: &Engine,
    newest_up: &BTreeMap<(String, String), TimeMs>,
) -> Sight {
    if !engine.targets().contains_key(target) {
        return Sight::NothingToCollect;
    }
    match engine.failure(target) {
        Some((since, reason)) => Sight::CannotLook {
            since: *since,
            reason: reason.clone(),
            seen_at: engine.seen_at(target),
            incident: engine.loss_of(target).map(|one| (one.id, one.opened.alert.clone())),
        },
        None if !engine.was_collected(target) => Sight::NotYet,
        None => Sight::Seen(newest_up.get(&labels).copied()),
    }
}

/// When each target, by job and instance, was last collected.
fn newest_up(source: &dyn Source) -> BTreeMap<(String, String), TimeMs> {
    let mut newest = BTreeMap::new();
    let Some(id) = source.find_family("up") else { return newest };
    let family = source.family(id);
    let value = |label: &str, row: u32| {
        let symbol = family.column(label).and_then(|column| column.symbol(row));
        symbol.map(|symbol| source.text(symbol).to_owned()).unwrap_or_default()
    };
    for (row, (at, up)) in family.newest_at.iter().zip(family.newest_value).enumerate() {
        if *at != Family::NEVER && !is_stale(*up) {
            let row = row as u32;
            newest.insert((value("job", row), value("instance", row)), *at);
        }
    }
    newest
}
