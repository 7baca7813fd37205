//! The rows that selectors select in a family, remembered beside it.
//!
//! A selection is a matter of label columns, not of samples: while no row gets other labels it stays,
//! so rules and queries look it up. A source keeps one [`Selections`] per family, says when the rows
//! of the family change, and lets its snapshots share it.
//!
//! # Invariants
//!
//! - What is remembered is true of the rows that the [`Selections`] was kept for: a change gives the
//!   writer a new one, and readers of the old rows keep the old one.
//! - Dictionaries only grow between two [`Selections::start_over`], so what a regular expression says
//!   of an entry is asked once, however rows come and go.
//! - The lock is held for a look-up, never while rows are read; writers do not take it at all, but
//!   for a moment while nobody else has it.
//! - What is remembered takes a few bytes per row: above it all is forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use paramedic_model::METRIC_NAME;

use crate::{Column, Family, MatchOp, Matcher, Source};

/// How many selections of one family are remembered.
const SELECTIONS_MAX: usize = 4096;
/// How many rows they may have together: so many, and twice as many as the family has.
const ROWS_MAX: usize = 16 * 1024;
/// How many matchers of one family are remembered by dictionary.
const MATCHERS_MAX: usize = 64;

/// The rows of one family that satisfy some matchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// No row does.
    None,
    /// All that it has do, those out of use included.
    All,
    /// These, in ascending order; some may be out of use.
    Rows(Arc<[u32]>),
}

/// What one matcher says of each entry of a dictionary.
type Said = Arc<Vec<bool>>;

/// The same, by label, operation and text of the matcher.
type SaidBy = HashMap<(String, MatchOp, String), Said>;

/// The selections of one family. See the module for who keeps it and when it is renewed.
#[derive(Debug, Default)]
pub struct Selections {
    known: Mutex<Known>,
    dictionaries: Arc<Mutex<SaidBy>>,
}

/// Selections by the matchers that asked for them.
#[derive(Debug, Default)]
struct Known {
    hasher: RandomState,
    table: HashTable<(Box<[Matcher]>, Selected)>,
    rows: usize,
}

impl Known {
    fn clear(&mut self) {
        self.table.clear();
        self.rows = 0;
    }

    fn find(&self, matchers: &[Matcher]) -> Option<Selected> {
        let hash = hash(&self.hasher, of_labels(matchers));
        let is = |kept: &[Matcher]| kept.iter().eq(of_labels(matchers));
        let found = self.table.find(hash, |(kept, _)| is(kept));
        found.map(|(_, selected)| selected.clone())
    }

    /// Remembers what was not known, of at most `rows_max` rows in all.
    fn insert(&mut self, matchers: &[Matcher], selected: Selected, rows_max: usize) {
        let rows = if let Selected::Rows(rows) = &selected { rows.len() } else { 0 };
        if self.table.len() >= SELECTIONS_MAX || self.rows + rows > rows_max {
            self.clear();
        }
        self.rows += rows;
        let kept: Box<[Matcher]> = of_labels(matchers).cloned().collect();
        let hasher = &self.hasher;
        let rehash = |(kept, _): &(Box<[Matcher]>, Selected)| hash(hasher, kept.iter());
        self.table.insert_unique(hash(hasher, kept.iter()), (kept, selected), rehash);
    }
}

/// The matchers that are not on the metric name.
fn of_labels(matchers: &[Matcher]) -> impl Iterator<Item = &Matcher> {
    matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME)
}

fn hash<'m>(hasher: &RandomState, matchers: impl Iterator<Item = &'m Matcher>) -> u64 {
    matchers.fold(0, |hash: u64, matcher| {
        let part = (matcher.name(), matcher.op(), matcher.value());
        hash.rotate_left(5).wrapping_add(hasher.hash_one(part))
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked left a map that is whole: entries are put in and never changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Selections {
    /// The writer added rows, or gave a row other labels. Dictionaries may have grown.
    pub fn rows_changed(this: &mut Arc<Self>) {
        match Arc::get_mut(this) {
            Some(own) => {
                own.known.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
            }
            None => {
                let dictionaries = this.dictionaries.clone();
                *this = Arc::new(Self { known: Mutex::default(), dictionaries });
            }
        }
    }

    /// The writer took rows away, or gave dictionary entries other codes.
    pub fn start_over(this: &mut Arc<Self>) {
        *this = Arc::default();
    }

    /// What `matcher` says of the entries of a dictionary.
    fn said(&self, source: &dyn Source, matcher: &Matcher, column: &Column) -> Said {
        let key = (column.name.clone(), matcher.op(), matcher.value().to_owned());
        let known = locked(&self.dictionaries).get(&key).cloned();
        // A reader of older rows has a shorter dictionary, which is the beginning of this one.
        if let Some(said) = known.filter(|said| said.len() >= column.values.len()) {
            return said;
        }
        let said = Arc::new(wanted(source, matcher, column));
        let mut dictionaries = locked(&self.dictionaries);
        if dictionaries.len() >= MATCHERS_MAX {
            dictionaries.clear();
        }
        dictionaries.insert(key, said.clone());
        said
    }
}

fn wanted(source: &dyn Source, matcher: &Matcher, column: &Column) -> Vec<bool> {
    column.values.iter().map(|symbol| matcher.matches(source.text(*symbol))).collect()
}

/// The rows of `family` that satisfy all matchers but those on the metric name.
pub(crate) fn rows_of(
    source: &dyn Source,
    family: &Family<'_>,
    selections: Option<&Selections>,
    matchers: &[Matcher],
) -> Selected {
    if of_labels(matchers).next().is_none() {
        return Selected::All;
    }
    match selections {
        Some(selections) => {
            if let Some(known) = locked(&selections.known).find(matchers) {
                return known;
            }
            // Not under the lock: others look up meanwhile, and at worst find the same.
            let selected = search(source, family, Some(selections), matchers);
            let rows_max = ROWS_MAX + 2 * family.row_count();
            let mut known = locked(&selections.known);
            if known.find(matchers).is_none() {
                known.insert(matchers, selected.clone(), rows_max);
            }
            selected
        }
        None => search(source, family, None, matchers),
    }
}

fn search(
    source: &dyn Source,
    family: &Family<'_>,
    selections: Option<&Selections>,
    matchers: &[Matcher],
) -> Selected {
    let mut filters: Vec<(&[u32], Said)> = Vec::new();
    for matcher in of_labels(matchers) {
        let Some(column) = family.column(matcher.name()) else {
            if matcher.matches("") {
                continue;
            }
            return Selected::None;
        };
        // A matcher is asked once per value, not once per row, and a costly one is remembered.
        let costly = matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex);
        let said = match selections.filter(|_| costly) {
            Some(selections) => selections.said(source, matcher, column),
            None => Arc::new(wanted(source, matcher, column)),
        };
        if said.iter().take(column.values.len()).any(|wanted| !wanted) {
            filters.push((&column.codes, said));
        }
    }
    let Some((first, rest)) = filters.split_first() else { return Selected::All };
    let wants = |(codes, said): &(&[u32], Said), row: usize| said[codes[row] as usize];
    let mut rows: Vec<u32> = Vec::new();
    for row in 0..family.row_count() {
        if wants(first, row) {
            rows.push(row as u32);
        }
    }
    for filter in rest {
        rows.retain(|row| wants(filter, *row as usize));
    }
    if rows.is_empty() { Selected::None } else { Selected::Rows(rows.into()) }
}
