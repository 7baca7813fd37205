//! The incidents: all that the journal has, and at hand those that are open.
//!
//! # Invariants
//!
//! - `open` and `by_labels` have exactly the open ones of `all`: whatever changes an incident goes
//!   through [`Incidents::change`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Index;

use paramedic_incident::Incident;
use paramedic_model::{IncidentId, Labels};

#[derive(Default)]
pub(crate) struct Incidents {
    all: BTreeMap<IncidentId, Incident>,
    /// The open ones, with the labels of their alerts.
    open: BTreeMap<IncidentId, Labels>,
    by_labels: HashMap<Labels, BTreeSet<IncidentId>>,
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
                self.open.insert(id, labels);
            }
            (false, true) => {
                let Some(labels) = self.open.remove(&id) else { return };
                if let Some(ids) = self.by_labels.get_mut(&labels) {
                    ids.remove(&id);
                    if ids.is_empty() {
                        self.by_labels.remove(&labels);
                    }
                }
            }
            (true, true) | (false, false) => {}
        }
    }
}

impl Index<&IncidentId> for Incidents {
    type Output = Incident;

    fn index(&self, id: &IncidentId) -> &Incident {
        &self.all[id]
    }
}
