//! The series of a target with its labels, as a list that is the same while they are.

use std::sync::{Arc, Weak};

use paramedic_model::{Labels, LabelsBuilder, Run, SeriesList, is_same_list};

/// The labels that every series of a target gets.
#[derive(Debug)]
pub(crate) struct TargetLabels {
    labels: Labels,
    /// Whether a label of a series by such a name is renamed even where its value is the same.
    renames_equal: bool,
}

impl TargetLabels {
    /// `job`, `instance` and others, which go before those two.
    pub fn new(job: &str, instance: &str, others: &Labels) -> Self {
        let mut builder = LabelsBuilder::default();
        builder.set("job", job).set("instance", instance);
        others.iter().for_each(|(name, value)| _ = builder.set(name, value));
        Self { labels: builder.build(), renames_equal: false }
    }

    /// All the labels of a target that was discovered.
    pub fn discovered(labels: Labels) -> Self {
        Self { labels, renames_equal: true }
    }

    pub fn into_labels(self) -> Labels {
        self.labels
    }

    /// `labels` with these. Where a series brings one of its own by such a name, it is kept as
    /// `exported_<name>`, as Prometheus does.
    pub fn add_to(&self, labels: &Labels) -> Labels {
        let mut builder = labels.to_builder();
        let mut theirs = Vec::new();
        for (name, value) in self.labels.iter() {
            let conflict = labels.get(name).filter(|their| self.renames_equal || *their != value);
            theirs.extend(conflict.map(|their| (name, their)));
            builder.set(name, value);
        }
        // From the shortest name on, so that `exported_job` makes way for `job`.
        theirs.sort_by_key(|(name, _)| name.len());
        for (name, value) in theirs {
            let mut name = format!("exported_{name}");
            while builder.get(&name).is_some() {
                name.insert_str(0, "exported_");
            }
            builder.set(&name, value);
        }
        builder.build()
    }

    /// `labels` with those of these that it does not have. One that the series states as `empty` it
    /// has: Pushgateway says so that a group has no `instance`.
    pub fn add_missing_to(&self, labels: &Labels, empty: &[String]) -> Labels {
        let mut builder = labels.to_builder();
        for (name, value) in self.labels.iter() {
            if labels.get(name).is_none() && !empty.iter().any(|stated| stated == name) {
                builder.set(name, value);
            }
        }
        builder.build()
    }
}

/// What a target yielded, and behind it what is said of its collection.
#[derive(Debug)]
pub(crate) struct TargetList {
    target: Arc<TargetLabels>,
    collected: Arc<dyn SeriesList>,
    /// Whether what was collected has the target's labels already.
    is_labelled: bool,
    own: Vec<Labels>,
    previous: Weak<TargetList>,
}

impl TargetList {
    /// The list of these series: `last` where it is that.
    pub fn next(
        last: Option<&Arc<TargetList>>,
        target: &Arc<TargetLabels>,
        (collected, is_labelled): (Arc<dyn SeriesList>, bool),
        own: Vec<Labels>,
    ) -> Arc<TargetList> {
        let same = last.filter(|last| is_same_list(&last.collected, &collected) && last.own == own);
        same.cloned().unwrap_or_else(|| {
            let previous = last.map_or_else(Weak::new, Arc::downgrade);
            let target = target.clone();
            Arc::new(TargetList { target, collected, is_labelled, own, previous })
        })
    }
}

impl TargetList {
    /// How many of `collected` are not known to have been collected last time.
    pub fn count_new(last: Option<&Arc<TargetList>>, collected: &Arc<dyn SeriesList>) -> usize {
        let Some(last) = last else { return collected.len() };
        if is_same_list(&last.collected, collected) {
            return 0;
        }
        let runs = collected.runs_of(&last.collected);
        collected.len() - runs.iter().map(|run| run.len as usize).sum::<usize>()
    }
}

impl SeriesList for TargetList {
    fn len(&self) -> usize {
        self.collected.len() + self.own.len()
    }

    fn labels(&self, index: usize) -> Labels {
        match index.checked_sub(self.collected.len()) {
            Some(own) => self.target.add_to(&self.own[own]),
            None if self.is_labelled => self.collected.labels(index),
            None => self.target.add_to(&self.collected.labels(index)),
        }
    }

    fn runs_of(&self, previous: &Arc<dyn SeriesList>) -> Vec<Run> {
        let Some(last) = same_list(&self.previous, previous) else { return Vec::new() };
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

/// The list that a list was made after, where that is `previous`.
pub(crate) fn same_list<L>(last: &Weak<L>, previous: &Arc<dyn SeriesList>) -> Option<Arc<L>> {
    let is_previous = |last: &Arc<L>| std::ptr::addr_eq(Arc::as_ptr(last), Arc::as_ptr(previous));
    last.upgrade().filter(is_previous)
}

/// Which entries of a part of a list stood in a part of the list before; a part says where its
/// entries stand in the whole, ascending.
pub(crate) fn runs_of_parts(
    (whole, kept): (&Arc<dyn SeriesList>, &[u32]),
    (last_whole, last_kept): (&Arc<dyn SeriesList>, &[u32]),
) -> Vec<Run> {
    let in_whole = match is_same_list(whole, last_whole) {
        true => vec![Run { at: 0, was: 0, len: whole.len() as u32 }],
        false => whole.runs_of(last_whole),
    };
    let mut runs = Vec::new();
    for Run { at, was, len } in in_whole {
        let first = kept.partition_point(|kept| *kept < at);
        for (index, kept) in kept.iter().enumerate().skip(first) {
            if *kept >= at + len {
                break;
            }
            if let Ok(before) = last_kept.binary_search(&(kept - at + was)) {
                Run::extend(&mut runs, index, before);
            }
        }
    }
    runs
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
        let known = same_list(&self.previous, previous);
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
