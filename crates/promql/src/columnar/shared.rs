//! Values that several expressions have in common, evaluated once.
//!
//! Rules of one group ask the same again and again: `sum(rate(x[5m]))` above, below, and divided by
//! something. Each such part of a plan has a text ([`Shareable`]); equal texts at one moment over one
//! state of the source have one value.
//!
//! # Invariants
//!
//! - A value is shared only where its evaluation had nothing to say: notes have places of their own.
//! - A value is shared only where evaluating it again would stay within `samples_max`, too.
//! - Values are clones: labels, order and origins are those of an evaluation of one's own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::TimeMs;

use super::vector::Vector;
use super::{Columns, Val};
use crate::plan::Shareable;
use crate::{Expr, ReadSet, Source};

/// The values that the expressions of one round have in common.
///
/// What it holds is true of one state of the source: say [`SelectorCache::begin`] when samples may
/// have come, and [`SelectorCache::changed`] when they came to few families. By itself it sees only
/// where rows come and go, and only of a source that states its
/// [`generation`](Source::generation). It learns what is worth keeping, so let it live on.
#[derive(Clone, Debug, Default)]
pub struct SelectorCache {
    generation: Option<u64>,
    entries: HashMap<Arc<str>, Entry>,
    /// Whether some entry has a value.
    holds: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    at: TimeMs,
    lookback: Duration,
    reads: Arc<ReadSet>,
    value: Option<Arc<Kept>>,
    /// Whether the next value is kept: it was asked for more than once at one moment.
    wanted: bool,
    /// Whether the value was of use.
    used: bool,
}

/// A value and what evaluating it took.
#[derive(Debug)]
struct Kept {
    vector: Vector,
    /// How many samples more than before were in use at most.
    peak: usize,
}

impl SelectorCache {
    /// How many expressions are known; above it all are forgotten.
    const ENTRIES_MAX: usize = 10_000;

    /// Forgets all values: a round begins, or is over.
    pub fn begin(&mut self) {
        if std::mem::take(&mut self.holds) {
            for entry in self.entries.values_mut() {
                entry.forget();
            }
        }
    }

    /// Forgets the values that read one of these families.
    pub fn changed<'n>(&mut self, families: impl IntoIterator<Item = &'n str>) {
        if !self.holds {
            return;
        }
        for family in families {
            for entry in self.entries.values_mut().filter(|entry| entry.reads.contains(family)) {
                entry.forget();
            }
        }
    }

    /// Forgets what was found in another state of the source, as far as that can be told.
    pub(crate) fn enter(&mut self, source: &dyn Source) {
        let generation = source.generation();
        if generation.is_none() || generation != self.generation {
            self.begin();
            self.generation = generation;
        }
        if self.entries.len() > Self::ENTRIES_MAX {
            self.entries.clear();
        }
    }

    fn recall(&mut self, asked: &Shareable, at: TimeMs, lookback: Duration) -> Option<Arc<Kept>> {
        let Some(entry) = self.entries.get_mut(&asked.text) else {
            let (text, reads) = (asked.text.clone(), asked.reads.clone());
            let (value, wanted, used) = (None, asked.repeated, false);
            self.entries.insert(text, Entry { at, lookback, reads, value, wanted, used });
            return None;
        };
        if (entry.at, entry.lookback) == (at, lookback) {
            entry.used |= entry.value.is_some();
            entry.wanted |= entry.value.is_none();
            return entry.value.clone();
        }
        entry.forget();
        (entry.at, entry.lookback) = (at, lookback);
        None
    }

    fn wants(&self, asked: &Shareable) -> bool {
        self.entries.get(&asked.text).is_some_and(|entry| entry.wanted)
    }

    fn keep(&mut self, asked: &Shareable, kept: Kept) {
        if let Some(entry) = self.entries.get_mut(&asked.text) {
            (entry.value, entry.used) = (Some(Arc::new(kept)), false);
            self.holds = true;
        }
    }
}

impl Entry {
    /// The value goes; what was of no use is not kept again until it is asked for twice.
    fn forget(&mut self) {
        if self.value.take().is_some() {
            self.wanted = self.used;
        }
        // Neither is what comes at the same moment of a changed source taken for the same.
        self.at = TimeMs(i64::MIN);
    }
}

impl Columns<'_> {
    fn shared(&mut self) -> &mut SelectorCache {
        match &mut self.cache {
            Some(cache) => cache,
            None => &mut self.own,
        }
    }

    /// What is known of a part of the plan, where other parts or plans may have the same one.
    pub(super) fn shareable(&self, expr: &Expr) -> Option<Arc<Shareable>> {
        let asked = self.plan.shareable(expr.span).filter(|_| !self.stepping)?;
        (self.cache.is_some() || asked.repeated).then(|| asked.clone())
    }

    /// The value of that part, where it is known.
    pub(super) fn recall(&mut self, asked: &Shareable, at: TimeMs) -> Option<Val> {
        let lookback = self.options.lookback;
        let kept = self.shared().recall(asked, at, lookback)?;
        if self.held + kept.peak > self.options.samples_max {
            return None;
        }
        self.peak.set(self.peak.get().max(self.held + kept.peak));
        self.held += kept.vector.len();
        Some(Val::Vector(kept.vector.clone()))
    }

    /// Keeps the value of that part, if it is of use: at most `peak` samples were in use for it.
    pub(super) fn keep(&mut self, asked: &Shareable, val: &Val, peak: usize) {
        if let Val::Vector(vector) = val
            && self.shared().wants(asked)
        {
            let vector = vector.clone();
            self.shared().keep(asked, Kept { vector, peak });
        }
    }
}
