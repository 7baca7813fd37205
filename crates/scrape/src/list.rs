//! The series of a target with its labels, as a list that is the same while they are.

use std::sync::{Arc, Weak};

use paramedic_model::{Labels, LabelsBuilder, Run, SeriesList, is_same_list};

/// The labels that every series of a target gets.
#[derive(Debug)]
pub(crate) struct TargetLabels(Labels);

impl TargetLabels {
    /// `job`, `instance` and others, which go before those two.
    pub fn new(job: &str, instance: &str, others: &Labels) -> Self {
        let mut builder = LabelsBuilder::default();
        builder.set("job", job).set("instance", instance);
        others.iter().for_each(|(name, value)| _ = builder.set(name, value));
        Self(builder.build())
    }

    /// `labels` with these. Where a series brings one of its own by such a name, it is kept as
    /// `exported_<name>`, as Prometheus does.
    pub fn add_to(&self, labels: &Labels) -> Labels {
        let mut builder = labels.to_builder();
        for (name, value) in self.0.iter() {
            if let Some(theirs) = labels.get(name).filter(|theirs| *theirs != value) {
                builder.set(&format!("exported_{name}"), theirs);
            }
            builder.set(name, value);
        }
        builder.build()
    }
}

/// What a target yielded, and behind it what is said of its collection.
#[derive(Debug)]
pub(crate) struct TargetList {
    target: Arc<TargetLabels>,
    collected: Arc<dyn SeriesList>,
    own: Vec<Labels>,
    previous: Weak<TargetList>,
}

impl TargetList {
    /// The list of these series: `last` where it is that.
    pub fn next(
        last: Option<&Arc<TargetList>>,
        target: &Arc<TargetLabels>,
        collected: Arc<dyn SeriesList>,
        own: Vec<Labels>,
    ) -> Arc<TargetList> {
        let same = last.filter(|last| is_same_list(&last.collected, &collected) && last.own == own);
        same.cloned().unwrap_or_else(|| {
            let previous = last.map_or_else(Weak::new, Arc::downgrade);
            Arc::new(TargetList { target: target.clone(), collected, own, previous })
        })
    }
}

impl SeriesList for TargetList {
    fn len(&self) -> usize {
        self.collected.len() + self.own.len()
    }

    fn labels(&self, index: usize) -> Labels {
        match index.checked_sub(self.collected.len()) {
            Some(own) => self.target.add_to(&self.own[own]),
            None => self.target.add_to(&self.collected.labels(index)),
        }
    }

    fn runs_of(&self, previous: &Arc<dyn SeriesList>) -> Vec<Run> {
        let known = self.previous.upgrade();
        let known =
            known.filter(|last| std::ptr::addr_eq(Arc::as_ptr(last), Arc::as_ptr(previous)));
        let Some(last) = known else { return Vec::new() };
        let mut runs = match is_same_list(&last.collected, &self.collected) {
            true => vec![Run { at: 0, was: 0, len: self.collected.len() as u32 }],
            false => self.collected.runs_of(&last.collected),
        };
        for (index, own) in self.own.iter().enumerate() {
            if let Some(was) = last.own.iter().position(|other| other == own) {
                let (at, was) = (self.collected.len() + index, last.collected.len() + was);
                Run::extend(&mut runs, at, was);
            }
        }
        runs
    }
}

/// A list of label sets that knows where they stood in the list before.
#[derive(Debug)]
pub(crate) struct Sets {
    sets: Vec<Labels>,
    previous: Weak<Sets>,
}

impl Sets {
    /// The list of these: `last` where it is that.
    pub fn next(last: Option<&Arc<Sets>>, sets: Vec<Labels>) -> Arc<Sets> {
        last.filter(|last| last.sets == sets).cloned().unwrap_or_else(|| {
            Arc::new(Sets { sets, previous: last.map_or_else(Weak::new, Arc::downgrade) })
        })
    }
}

impl SeriesList for Sets {
    fn len(&self) -> usize {
        self.sets.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.sets[index].clone()
    }

    /// Of those that stand where they stood: mostly some come at the end, or none.
    fn runs_of(&self, previous: &Arc<dyn SeriesList>) -> Vec<Run> {
        let known = self.previous.upgrade();
        let known =
            known.filter(|last| std::ptr::addr_eq(Arc::as_ptr(last), Arc::as_ptr(previous)));
        let mut runs = Vec::new();
        for (at, (labels, other)) in
            self.sets.iter().zip(known.iter().flat_map(|l| &l.sets)).enumerate()
        {
            if labels == other {
                Run::extend(&mut runs, at, at);
            }
        }
        runs
    }
}
