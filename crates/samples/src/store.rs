//! All series: what readers see, and the index beside it.

use std::sync::Arc;

use paramedic_model::{Histogram, Labels, METRIC_NAME, Sample, TimeMs};
use paramedic_promql::{Family, FamilyId, RowRef, Source};

use crate::Snapshot;
use crate::chunk::{CHUNK, CHUNK_BYTES};
use crate::family::{FamilyRows, Outcome, Pushed, row_bytes};
use crate::index::{FamilyIndex, ROW_INDEX_BYTES, RowState, SeriesRef, Shared};
use crate::log::LabelColumn;

/// What a family takes beside its rows.
const FAMILY_BYTES: usize = 512;

/// The series of a window.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub data: Snapshot,
    families: Vec<FamilyIndex>,
    shared: Shared,
    /// The last generation given out.
    generation: u32,
    made: u64,
    /// Families without rows, whose place the next new one takes.
    empty_families: Vec<u32>,
    /// An estimate of the memory in use but for the texts, exact after each expiry.
    row_bytes: usize,
}

impl Store {
    /// How many series were ever made.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// An estimate of the memory in use.
    pub fn bytes(&self) -> usize {
        self.row_bytes + self.shared.symbols.bytes()
    }

    fn find_in(&self, family: u32, labels: &Labels, hash: u64) -> Option<SeriesRef> {
        let index = &self.families[family as usize];
        let rows = &self.data.families[family as usize];
        let row = index.find(rows, labels, hash, &self.data.texts)?;
        Some(SeriesRef { family, row, generation: index.states[row as usize].generation })
    }

    /// The series with these labels, made where there is none; `None` where it would have to be made
    /// and the memory in use is at `bytes_max`.
    pub fn resolve(&mut self, labels: &Labels, bytes_max: Option<usize>) -> Option<SeriesRef> {
        let hash = self.shared.hash_of(labels);
        let name = labels.value(METRIC_NAME);
        let family = self.data.by_name.get(name).map(|id| id.0);
        if let Some(found) = family.and_then(|family| self.find_in(family, labels, hash)) {
            return Some(found);
        }
        if bytes_max.is_some_and(|most| self.bytes() >= most) {
            return None;
        }
        let family = family.unwrap_or_else(|| self.add_family(name));
        // Zero is the generation of what is free.
        self.generation = self.generation.wrapping_add(1).max(1);
        self.made += 1;
        let rows = Arc::make_mut(&mut self.data.families[family as usize]);
        let (count, values) = (rows.row_count(), dictionary_len(rows));
        let row = self.families[family as usize].add(
            rows,
            labels,
            self.generation,
            &mut self.shared,
            &mut self.data.texts,
        );
        let columns = rows.columns.len();
        if rows.row_count() > count {
            self.row_bytes += row_bytes(columns, row) + ROW_INDEX_BYTES;
        }
        // A dictionary entry, and its place in the table of codes.
        self.row_bytes += (dictionary_len(rows) - values) * 20;
        self.data.renew_generation();
        Some(SeriesRef { family, row, generation: self.generation })
    }

    /// Makes the series of one name at once, where there are none yet: their number and labels.
    /// Those beyond `bytes_max` are refused, and have [`SeriesRef::NONE`]. `None` where there are
    /// series of this name, or two with one label set.
    pub fn restore_family(
        &mut self,
        name: &str,
        count: usize,
        columns: &[LabelColumn],
        bytes_max: Option<usize>,
    ) -> Option<Vec<SeriesRef>> {
        if self.data.by_name.contains_key(name) {
            return None;
        }
        let chunk = CHUNK_BYTES.div_ceil(CHUNK);
        let bytes = 16 + columns.len() * 4 + ROW_INDEX_BYTES + chunk;
        let room = bytes_max.map(|most| most.saturating_sub(self.bytes()) / bytes);
        let fitting = room.map_or(count, |room| room.min(count));
        let first = self.generation.wrapping_add(1);
        let (shared, texts) = (&mut self.shared, &mut self.data.texts);
        let (index, columns) = FamilyIndex::restored(fitting, columns, first, shared, texts)?;
        let family = self.add_family(name);
        self.families[family as usize] = index;
        let rows = Arc::make_mut(&mut self.data.families[family as usize]);
        rows.restore(columns, fitting, &self.shared.empty);
        self.generation = self.generation.wrapping_add(fitting as u32);
        self.made += fitting as u64;
        self.row_bytes += bytes * fitting;
        self.data.renew_generation();
        let made = (0..fitting as u32).map(|row| SeriesRef {
            family,
            row,
            generation: first.wrapping_add(row),
        });
        Some(made.chain(std::iter::repeat_n(SeriesRef::NONE, count - fitting)).collect())
    }

    fn add_family(&mut self, name: &str) -> u32 {
        let name = Arc::<str>::from(name);
        let by_name = Arc::make_mut(&mut self.data.by_name);
        while let Some(id) = self.empty_families.pop() {
            if self.families[id as usize].in_use() > 0 {
                continue;
            }
            let family = &mut self.data.families[id as usize];
            by_name.remove(&family.name);
            by_name.insert(name.clone(), FamilyId(id));
            *family = Arc::new(FamilyRows::new(name));
            self.families[id as usize] = FamilyIndex::default();
            return id;
        }
        let id = self.families.len() as u32;
        by_name.insert(name.clone(), FamilyId(id));
        self.data.families.push(Arc::new(FamilyRows::new(name)));
        self.families.push(FamilyIndex::default());
        self.row_bytes += FAMILY_BYTES;
        id
    }

    pub fn is_current(&self, series: SeriesRef) -> bool {
        let family = self.families.get(series.family as usize);
        family.is_some_and(|family| family.is_current(series))
    }

    /// Whether this is a current series, the one with these labels.
    pub fn is_series(&self, series: SeriesRef, labels: &Labels) -> bool {
        if !self.is_current(series) {
            return false;
        }
        let family = &self.data.families[series.family as usize];
        *family.name == *labels.value(METRIC_NAME)
            && family.has_labels(series.row, labels, &self.data.texts)
    }

    /// What the writer knows of a current series.
    pub fn state_mut(&mut self, series: SeriesRef) -> &mut RowState {
        &mut self.families[series.family as usize].states[series.row as usize]
    }

    /// The same, to be read.
    pub fn state(&self, series: SeriesRef) -> &RowState {
        &self.families[series.family as usize].states[series.row as usize]
    }

    /// The name of the family of a series.
    pub fn name(&self, series: SeriesRef) -> &Arc<str> {
        &self.data.families[series.family as usize].name
    }

    /// Whether `commit` reports a change of this series' family for the first time.
    pub fn is_first_change(&mut self, series: SeriesRef, commit: u32) -> bool {
        let changed_in = &mut self.families[series.family as usize].changed_in;
        std::mem::replace(changed_in, commit) != commit
    }

    /// Whether a current series has samples and has not ended.
    pub fn is_live(&self, series: SeriesRef) -> bool {
        self.data.families[series.family as usize].is_live(series.row)
    }

    pub fn labels(&self, series: SeriesRef) -> Labels {
        self.data.labels(RowRef { family: FamilyId(series.family), row: series.row })
    }

    /// Appends a sample to a current series; see [`FamilyRows::push`].
    pub fn push(&mut self, series: SeriesRef, sample: Sample, late_after: TimeMs) -> Outcome {
        let family = Arc::make_mut(&mut self.data.families[series.family as usize]);
        let mut grown = 0;
        let outcome = family.push(series.row, sample, late_after, &mut grown);
        self.row_bytes = self.row_bytes.saturating_add_signed(grown);
        outcome
    }

    /// Appends one sample to each of these current series of one family, all at one moment.
    pub fn push_run(
        &mut self,
        series: &[SeriesRef],
        at: TimeMs,
        values: &[f64],
        late_after: TimeMs,
    ) -> Pushed {
        let Some(first) = series.first() else { return Pushed::default() };
        let family = Arc::make_mut(&mut self.data.families[first.family as usize]);
        let rows = series.iter().map(|series| series.row).zip(values.iter().copied());
        let pushed = family.push_run(rows, at, late_after);
        self.row_bytes = self.row_bytes.saturating_add_signed(pushed.grown);
        pushed
    }

    /// Keeps the histogram behind a sample of a current series.
    pub fn put_histogram(&mut self, series: SeriesRef, at: TimeMs, histogram: Arc<Histogram>) {
        let family = Arc::make_mut(&mut self.data.families[series.family as usize]);
        let (chunk, row) = family.chunk_mut(series.row);
        chunk.put_histogram(row, at, histogram);
    }

    /// The histogram of a current series at a moment.
    pub fn histogram(&self, series: SeriesRef, at: TimeMs) -> Option<&Arc<Histogram>> {
        self.data.families[series.family as usize].histogram(series.row, at)
    }

    /// Adds a packed block to a current series, the growing one of its row where it is the `last`;
    /// `None` where it is none, or not newer than what is there.
    pub fn push_block(
        &mut self,
        series: SeriesRef,
        first_at: TimeMs,
        bytes: &[u8],
        last: bool,
    ) -> Option<()> {
        let family = Arc::make_mut(&mut self.data.families[series.family as usize]);
        let (chunk, row) = family.chunk_mut(series.row);
        let newest = chunk.push_block(row, first_at, bytes, last)?;
        family.set_newest(series.row, newest);
        Some(())
    }

    /// Drops every sample that is not after `horizon`, frees the series that have none left, and
    /// gives back what only they used.
    pub fn expire(&mut self, horizon: TimeMs) {
        self.data.floor = self.data.floor.max(horizon);
        let Self { data, families, shared, .. } = self;
        let mut freed = false;
        for (family, index) in data.families.iter_mut().zip(families.iter_mut()) {
            let unused = index.in_use() > family.series_count();
            if !unused && !family.has_expired(horizon) {
                continue;
            }
            let family = Arc::make_mut(family);
            family.expire(horizon);
            let gone: Vec<u32> = (0..family.row_count() as u32)
                .filter(|row| {
                    let at = family.newest_at[*row as usize];
                    // A series that was asked for and never got a sample has the oldest time.
                    at <= horizon && index.states[*row as usize].generation != 0
                })
                .collect();
            for row in &gone {
                index.remove(family, *row, shared, &data.texts);
            }
            if !gone.is_empty() {
                freed = true;
                index.reclaim(family, shared, &mut data.texts);
            }
        }
        if freed {
            data.renew_generation();
        }
        self.empty_families =
            (0..families.len() as u32).filter(|id| families[*id as usize].in_use() == 0).collect();
        self.row_bytes = self.count_bytes();
    }

    /// Estimates the memory anew, after blocks were added.
    pub fn recount(&mut self) {
        self.row_bytes = self.count_bytes();
    }

    fn count_bytes(&self) -> usize {
        let families = self.data.families.iter().zip(&self.families);
        families
            .map(|(rows, index)| rows.bytes(&self.shared.empty) + index.bytes() + FAMILY_BYTES)
            .sum()
    }

    /// When the oldest sample was.
    pub fn first_at(&self) -> Option<TimeMs> {
        self.data.families.iter().filter_map(|family| family.first_at()).min()
    }
}

fn dictionary_len(family: &FamilyRows) -> usize {
    family.columns.iter().map(|column| column.values.len()).sum()
}

const _: () = assert!(CHUNK <= u8::MAX as usize, "histograms know their row by a byte");
const _: () = assert!(Family::NEVER.0 == i64::MIN, "a sample's time is after it");
