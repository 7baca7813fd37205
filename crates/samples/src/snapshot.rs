use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paramedic_model::{Histogram, Sample, TimeMs};
use paramedic_promql::{Family, FamilyId, Rise, RowRef, Selections, Source, Symbol};

use crate::family::FamilyRows;
use crate::symbols::Texts;

/// The samples of a window as they were at one moment.
///
/// Taking one costs a reference count per family. While it is held, the first commit that touches a
/// family copies its newest samples, and of its rows the chunks that it writes to; packed samples
/// are shared.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) families: Vec<Arc<FamilyRows>>,
    pub(crate) by_name: Arc<HashMap<Arc<str>, FamilyId>>,
    pub(crate) texts: Texts,
    /// Samples up to this moment are gone.
    pub(crate) floor: TimeMs,
    /// See [`Source::generation`].
    generation: u64,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            families: Vec::new(),
            by_name: Arc::default(),
            texts: Texts::default(),
            floor: Family::NEVER,
            generation: 0,
        }
    }
}

/// The last generation of any window. One count for all of them, so that what was remembered of one
/// window is never taken for true of another.
static GENERATION: AtomicU64 = AtomicU64::new(0);

impl Snapshot {
    /// Rows began or went.
    pub(crate) fn renew_generation(&mut self) {
        self.generation = GENERATION.fetch_add(1, Ordering::Relaxed) + 1;
    }

    /// The number of series that have samples.
    pub fn series_count(&self) -> usize {
        self.families.iter().map(|family| family.series_count()).sum()
    }
}

impl Source for Snapshot {
    fn family_count(&self) -> usize {
        self.families.len()
    }

    fn find_family(&self, metric_name: &str) -> Option<FamilyId> {
        self.by_name.get(metric_name).copied()
    }

    fn family(&self, id: FamilyId) -> Family<'_> {
        self.families[id.0 as usize].view()
    }

    fn text(&self, symbol: Symbol) -> &str {
        self.texts.text(symbol)
    }

    fn range(&self, row: RowRef, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        let family = &self.families[row.family.0 as usize];
        family.range(row.row, after.max(self.floor), until, out);
    }

    fn rise(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Rise> {
        let family = &self.families[row.family.0 as usize];
        family.rise(row.row, after.max(self.floor), until)
    }

    fn newest_in(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Sample> {
        let family = &self.families[row.family.0 as usize];
        family.newest_in(row.row, after.max(self.floor), until)
    }

    fn histogram(&self, row: RowRef, at: TimeMs) -> Option<Arc<Histogram>> {
        if at <= self.floor {
            return None;
        }
        self.families[row.family.0 as usize].histogram(row.row, at).cloned()
    }

    fn selections(&self, family: FamilyId) -> Option<&Selections> {
        Some(&self.families[family.0 as usize].selections)
    }

    fn generation(&self) -> Option<u64> {
        Some(self.generation)
    }
}
