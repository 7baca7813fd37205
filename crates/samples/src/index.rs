//! From label sets to rows: what the writer of a window knows beside what readers see.
//!
//! # Invariants
//!
//! - Every row in use is in the table of its family under the hash of its labels.
//! - A [`SeriesRef`] is good while its row has its generation; no two series ever share one.
//! - Symbols are counted by the dictionary entries that use them; an entry that no row uses goes
//!   when its dictionary is made anew, which happens before half of it is unused.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use paramedic_model::{Labels, METRIC_NAME};
use paramedic_promql::{Column, NO_VALUE, Selections, Symbol};

use crate::chunk::Chunk;
use crate::family::FamilyRows;
use crate::log::LabelColumn;
use crate::symbols::{SymbolIndex, Texts};

/// A series of a window, for whoever commits to it again and again.
///
/// Unlike `RowRef` it is never mistaken for another series: once the series is gone because all of
/// its samples expired, a commit refuses it, and the caller asks for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef {
    pub(crate) family: u32,
    pub(crate) row: u32,
    pub(crate) generation: u32,
}

impl SeriesRef {
    /// No series of any window.
    pub(crate) const NONE: Self = Self { family: u32::MAX, row: u32::MAX, generation: FREE };
}

/// What a row that is free has as its generation.
const FREE: u32 = 0;

/// An unused part of a dictionary or a family smaller than this is left alone.
const SLACK: usize = 32;

/// What a row costs in the table and in [`RowState`].
pub(crate) const ROW_INDEX_BYTES: usize = size_of::<RowState>() + 8;

/// What the writer knows of one row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowState {
    pub generation: u32,
    /// The commit that last had a sample for it.
    pub seen: u32,
    /// The log segment that last named it, and as what.
    pub segment: u32,
    pub log_id: u32,
}

#[derive(Debug, Default)]
pub(crate) struct FamilyIndex {
    rows: HashTable<u32>,
    /// Per column, the code of each value.
    codes: Vec<HashMap<Symbol, u32>>,
    pub states: Vec<RowState>,
    /// Rows that no series uses, the lowest last.
    free: Vec<u32>,
    /// The commit that last reported a change of this family.
    pub changed_in: u32,
}

impl FamilyIndex {
    /// The number of rows in use, those without samples included.
    pub fn in_use(&self) -> usize {
        self.rows.len()
    }

    pub fn is_current(&self, series: SeriesRef) -> bool {
        let state = self.states.get(series.row as usize);
        state.is_some_and(|state| state.generation == series.generation)
    }

    /// The row with these labels.
    pub fn find(
        &self,
        family: &FamilyRows,
        labels: &Labels,
        hash: u64,
        texts: &Texts,
    ) -> Option<u32> {
        self.rows.find(hash, |row| family.has_labels(*row, labels, texts)).copied()
    }

    /// A row for these labels, which no other has.
    pub fn add(
        &mut self,
        family: &mut FamilyRows,
        labels: &Labels,
        generation: u32,
        shared: &mut Shared,
        texts: &mut Texts,
    ) -> u32 {
        let row = self.free.pop().unwrap_or_else(|| {
            self.states.push(RowState::default());
            family.add_row(&shared.empty)
        });
        self.states[row as usize] = RowState { generation, ..RowState::default() };
        let rows = family.row_count();
        let columns = Arc::make_mut(&mut family.columns);
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            let found = columns.iter().position(|column| column.name == name);
            let index = found.unwrap_or_else(|| {
                let (name, codes) = (name.to_owned(), vec![NO_VALUE; rows]);
                columns.push(Column { name, values: vec![Symbol::EMPTY], codes });
                self.codes.push(HashMap::new());
                columns.len() - 1
            });
            let (column, codes) = (&mut columns[index], &mut self.codes[index]);
            let known = shared.symbols.find(value).and_then(|symbol| codes.get(&symbol).copied());
            column.codes[row as usize] = known.unwrap_or_else(|| {
                let symbol = shared.symbols.take(value, texts);
                let code = column.values.len() as u32;
                column.values.push(symbol);
                codes.insert(symbol, code);
                code
            });
        }
        Selections::rows_changed(&mut family.selections);
        let family = &*family;
        let (hash, texts) = (shared.hash_of(labels), &*texts);
        self.rows.insert_unique(hash, row, |row| shared.hash_of_row(family, *row, texts));
        row
    }

    /// The index of a family with these rows, and their labels. `first` is the generation of the
    /// first. `None` where two have one label set, or the columns are none of label sets.
    pub fn restored(
        count: usize,
        columns: &[LabelColumn],
        first: u32,
        shared: &mut Shared,
        texts: &mut Texts,
    ) -> Option<(Self, Vec<Column>)> {
        // All is looked at before anything is taken.
        let mut hashes = vec![0u64; count];
        let mut names = HashSet::new();
        for LabelColumn { name, values, codes } in columns {
            let distinct: HashSet<_> = values.iter().collect();
            let is_label = *name != METRIC_NAME && names.insert(*name);
            if !is_label || distinct.len() != values.len() || distinct.contains(&"") {
                return None;
            }
            let pairs = values.iter().map(|value| shared.hasher.hash_one((*name, *value)));
            let pairs: Vec<_> = [0].into_iter().chain(pairs).collect();
            for (hash, code) in hashes.iter_mut().zip(codes.get(..count)?) {
                *hash = hash.wrapping_add(*pairs.get(*code as usize)?);
            }
        }
        let is_one = |a: u32, b: u32| {
            columns.iter().all(|column| column.codes[a as usize] == column.codes[b as usize])
        };
        let mut index = Self::default();
        let hash = |row: &u32| hashes[*row as usize];
        index.rows.reserve(count, hash);
        for row in 0..count as u32 {
            match index.rows.entry(hash(&row), |other| is_one(row, *other), hash) {
                Entry::Occupied(_) => return None,
                Entry::Vacant(entry) => entry.insert(row),
            };
            let generation = first.wrapping_add(row);
            index.states.push(RowState { generation, ..RowState::default() });
        }
        let restored = columns.iter().map(|LabelColumn { name, values, codes }| {
            let symbols = values.iter().map(|value| shared.symbols.take(value, texts));
            let values: Vec<_> = [Symbol::EMPTY].into_iter().chain(symbols).collect();
            index.codes.push(values.iter().copied().zip(0..).skip(1).collect());
            Column { name: (*name).to_owned(), values, codes: codes[..count].to_vec() }
        });
        let restored = restored.collect();
        Some((index, restored))
    }

    /// Frees a row.
    pub fn remove(&mut self, family: &mut FamilyRows, row: u32, shared: &Shared, texts: &Texts) {
        let hash = shared.hash_of_row(family, row, texts);
        if let Ok(entry) = self.rows.find_entry(hash, |other| *other == row) {
            entry.remove();
        }
        family.clear_row(row);
        self.states[row as usize].generation = FREE;
        self.free.push(row);
    }

    /// Gives back what no row uses after some were freed: dictionary entries, columns, the memory of
    /// chunks, rows at the end.
    pub fn reclaim(&mut self, family: &mut FamilyRows, shared: &mut Shared, texts: &mut Texts) {
        Selections::start_over(&mut family.selections);
        self.reclaim_dictionaries(family, shared, texts);
        family.release_chunks(&shared.empty);
        let is_free = |state: &RowState| state.generation == FREE;
        let unused = self.states.iter().rev().take_while(|state| is_free(state)).count();
        let len = self.states.len() - unused;
        if unused > SLACK.max(len) {
            family.truncate(len);
            self.states.truncate(len);
            self.states.shrink_to_fit();
            self.free.retain(|row| (*row as usize) < len);
            let family = &*family;
            self.rows.shrink_to_fit(|row| shared.hash_of_row(family, *row, texts));
        }
        // The lowest rows are taken first, so that the last ones can go.
        self.free.sort_unstable_by(|a, b| b.cmp(a));
    }

    fn reclaim_dictionaries(
        &mut self,
        family: &mut FamilyRows,
        shared: &mut Shared,
        texts: &mut Texts,
    ) {
        let columns = Arc::make_mut(&mut family.columns);
        for (column, codes) in columns.iter_mut().zip(&mut self.codes) {
            // Per old code the new one, given out in the order of the rows.
            let mut renamed = vec![NO_VALUE; column.values.len()];
            let mut used = 0;
            for code in column.codes.iter().filter(|code| **code != NO_VALUE) {
                let new = &mut renamed[*code as usize];
                if *new == NO_VALUE {
                    used += 1;
                    *new = used;
                }
            }
            let unused = column.values.len() - 1 - used as usize;
            if used > 0 && unused <= SLACK.max(used as usize) {
                continue;
            }
            let mut values = vec![Symbol::EMPTY; used as usize + 1];
            codes.clear();
            for (symbol, new) in column.values.iter().zip(&renamed).skip(1) {
                if *new == NO_VALUE {
                    shared.symbols.give_back(*symbol, texts);
                } else {
                    values[*new as usize] = *symbol;
                    codes.insert(*symbol, *new);
                }
            }
            codes.shrink_to_fit();
            column.values = values;
            column.codes.iter_mut().for_each(|code| *code = renamed[*code as usize]);
        }
        let mut index = 0;
        while index < columns.len() {
            if columns[index].values.len() == 1 {
                columns.swap_remove(index);
                self.codes.swap_remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// An estimate of the memory that this index takes.
    pub fn bytes(&self) -> usize {
        let codes: usize = self.codes.iter().map(|codes| codes.capacity() * 9).sum();
        codes + self.states.len() * ROW_INDEX_BYTES
    }
}

/// What all families share on the writer's side.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub symbols: SymbolIndex,
    hasher: RandomState,
    /// What every chunk without samples is.
    pub empty: Arc<Chunk>,
}

impl Shared {
    /// The hash of a label set but for the metric name. Sums, so that the order does not matter.
    pub fn hash_of(&self, labels: &Labels) -> u64 {
        let pairs = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
        pairs.fold(0, |hash, pair| hash.wrapping_add(self.hasher.hash_one(pair)))
    }

    fn hash_of_row(&self, family: &FamilyRows, row: u32, texts: &Texts) -> u64 {
        let pairs = family
            .columns
            .iter()
            .filter_map(|column| Some((column.name.as_str(), texts.text(column.symbol(row)?))));
        pairs.fold(0, |hash, pair| hash.wrapping_add(self.hasher.hash_one(pair)))
    }
}
