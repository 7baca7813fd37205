//! The incidents: all that the journal has, and at hand those that are open.
//!
//! # Invariants
//!
//! - `open`, `by_labels` and `by_rule` have exactly the open ones of `all`: whatever changes an
//!   incident goes through [`Incidents::change`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Index;

use paramedic_incident::{Ending, Event, Incident};
use paramedic_model::{IncidentId, Labels, TimeMs};

#[derive(Default)]
pub(crate) struct Incidents {
    all: BTreeMap<IncidentId, Incident>,
    /// The open ones, with the labels of their alerts.
    open: BTreeMap<IncidentId, Labels>,
    by_labels: HashMap<Labels, BTreeSet<IncidentId>>,
    /// Those of our own rules, by the names of these.
    by_rule: HashMap<String, BTreeSet<IncidentId>>,
    /// When a person closed the last incident of the loss of a target, unless the target is known to
    /// have answered since.
    dismissed: HashMap<String, TimeMs>,
}

impl Incidents {
    /// The number of the next one.
    pub fn next_id(&self) -> IncidentId {
        IncidentId(self.all.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    pub fn get(&self, id: &IncidentId) -> Option<&Incident> {
        self.all.get(id)
    }

    /// All, the oldest first.
    pub fn values(&self) -> impl Iterator<Item = &Incident> + Clone {
        self.all.values()
    }

    /// Those that are open, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Incident> + Clone {
        self.open.keys().map(|id| &self.all[id])
    }

    /// Those that are open for an alert with these labels.
    pub fn open_for(&self, labels: &Labels) -> impl Iterator<Item = &Incident> {
        self.by_labels.get(labels).into_iter().flatten().map(|id| &self.all[id])
    }

    /// Those that are open for alerts of our own rules, by the names of these.
    pub fn by_rule(&self) -> &HashMap<String, BTreeSet<IncidentId>> {
        &self.by_rule
    }

    /// When a person closed the last incident of the loss of this target, unless it is known to have
    /// answered since.
    pub fn dismissed_at(&self, target: &str) -> Option<TimeMs> {
        self.dismissed.get(target).copied()
    }

    /// Notes that a target answered: its next loss is another one.
    pub fn answers(&mut self, target: &str, at: TimeMs) {
        if self.dismissed_at(target).is_some_and(|closed_at| closed_at < at) {
            self.dismissed.remove(target);
        }
    }

    /// The labels of the alert of an open incident.
    pub fn labels(&self, id: IncidentId) -> Option<&Labels> {
        self.open.get(&id)
    }

    pub fn insert(&mut self, incident: Incident) {
        let id = incident.id;
        self.all.insert(id, incident);
        self.file(id);
    }

    /// Changes an incident, where there is one of this number.
    pub fn change<R>(
        &mut self,
        id: IncidentId,
        change: impl FnOnce(&mut Incident) -> R,
    ) -> Option<R> {
        let result = change(self.all.get_mut(&id)?);
        self.file(id);
        Some(result)
    }

    /// Puts an incident among the open ones, or takes it from them.
    fn file(&mut self, id: IncidentId) {
        let incident = &self.all[&id];
        match (incident.is_open(), self.open.contains_key(&id)) {
            (true, false) => {
                let labels: Labels = incident.opened.labels.iter().collect();
                self.by_labels.entry(labels.clone()).or_default().insert(id);
                if incident.opened.is_of_rule() {
                    self.by_rule.entry(incident.opened.alert.clone()).or_default().insert(id);
                }
                self.open.insert(id, labels);
            }
            (false, true) => {
                let Some(labels) = self.open.remove(&id) else { return };
                take(&mut self.by_labels, &labels, id);
                take(&mut self.by_rule, &incident.opened.alert, id);
                if let Some(lost) = &incident.opened.lost {
                    let mut events = incident.events.iter().rev();
                    let closed = events.find(|(_, event)| matches!(event, Event::Closed { .. }));
                    match closed.filter(|_| incident.ending == Some(Ending::ByPerson)) {
                        Some((at, _)) => _ = self.dismissed.insert(lost.target.clone(), *at),
                        None => _ = self.dismissed.remove(&lost.target),
                    }
                }
            }
            (true, true) | (false, false) => {}
        }
    }
}

/// Takes an incident from those of a key, which goes with its last one.
fn take<K: Eq + Hash>(from: &mut HashMap<K, BTreeSet<IncidentId>>, key: &K, id: IncidentId) {
    if let Some(ids) = from.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            from.remove(key);
        }
    }
}

impl Index<&IncidentId> for Incidents {
    type Output = Incident;

    fn index(&self, id: &IncidentId) -> &Incident {
        &self.all[id]
    }
}
