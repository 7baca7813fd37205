//! An instant vector in columns: who the elements are, their values, and where they came from.
//!
//! An element is identified by a row of the source or by a tuple of symbols, one per label name. A
//! label that is not there has the empty symbol, so projecting a vector onto a list of label names
//! ([`Vector::project`]) is all that grouping, matching and telling elements apart need: no text is
//! touched. Label sets are built for a result only ([`Labeller`](super::labels::Labeller)).

use std::collections::BTreeSet;
use std::sync::Arc;

use paramedic_model::METRIC_NAME;

use super::index::{Groups, TupleIndex};
use crate::eval::METADATA;
use crate::{Column, FamilyId, Origins, RowRef, Source, Symbol};

/// Who the elements of a vector are.
#[derive(Clone, Debug)]
pub(super) enum Ids {
    /// Series of the source, with all of their labels or without what describes the metric.
    Rows { rows: Vec<RowRef>, nameless: bool },
    /// Tuples of symbols, one after the other, as long as `names`, which are sorted and distinct.
    Tuples { names: Arc<[String]>, symbols: Vec<Symbol>, count: usize },
}

/// Where the elements of a vector came from.
#[derive(Clone, Debug)]
pub(super) enum Provenance {
    /// From no series.
    None,
    /// Each from the row that it is: only where the elements are rows.
    Own,
    /// Each from one row.
    Rows(Vec<RowRef>),
    /// Each from what is said here.
    Each(Vec<Origins>),
}

/// The elements of an instant vector.
#[derive(Clone, Debug)]
pub(super) struct Vector {
    pub ids: Ids,
    pub values: Vec<f64>,
    pub origins: Provenance,
}

/// Where the symbol of one label of the rows of one family is found.
enum Part<'s> {
    Column(&'s Column),
    Constant(Symbol),
}

/// What stands for a metric name in a tuple. Unlike other texts it is no symbol of the source, and
/// it is compared with other metric names only.
pub(super) fn name_symbol(source: &dyn Source, family: FamilyId) -> Symbol {
    if source.family(family).name.is_empty() { Symbol::EMPTY } else { Symbol(family.0 + 1) }
}

fn parts<'s>(
    source: &'s dyn Source,
    family: FamilyId,
    nameless: bool,
    names: &[String],
) -> Vec<Part<'s>> {
    let columns = source.family(family);
    let part = |name: &String| {
        if nameless && METADATA.contains(&name.as_str()) {
            Part::Constant(Symbol::EMPTY)
        } else if name == METRIC_NAME {
            Part::Constant(name_symbol(source, family))
        } else {
            columns.column(name).map_or(Part::Constant(Symbol::EMPTY), Part::Column)
        }
    };
    names.iter().map(part).collect()
}

impl Vector {
    pub fn empty() -> Self {
        Self::of_rows(Vec::new(), Vec::new())
    }

    /// Samples of series, as they are.
    pub fn of_rows(rows: Vec<RowRef>, values: Vec<f64>) -> Self {
        debug_assert_eq!(rows.len(), values.len());
        Self { ids: Ids::Rows { rows, nameless: false }, values, origins: Provenance::Own }
    }

    /// One element without labels that came from no series.
    pub fn of_number(value: f64) -> Self {
        let ids = Ids::Tuples { names: Arc::from([]), symbols: Vec::new(), count: 1 };
        Self { ids, values: vec![value], origins: Provenance::None }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Every label name that an element may have.
    pub fn label_names(&self, source: &dyn Source) -> BTreeSet<String> {
        match &self.ids {
            Ids::Rows { rows, nameless } => {
                let (mut names, mut last) = (BTreeSet::new(), None);
                for row in rows {
                    if last != Some(row.family) {
                        last = Some(row.family);
                        let columns = source.family(row.family).columns;
                        names.extend(columns.iter().map(|column| column.name.clone()));
                        names.insert(METRIC_NAME.to_owned());
                    }
                }
                if *nameless {
                    names.retain(|name| !METADATA.contains(&name.as_str()));
                }
                names
            }
            Ids::Tuples { names, .. } => names.iter().cloned().collect(),
        }
    }

    /// The symbols of the labels `names` of all elements, one tuple after the other.
    pub fn project(&self, source: &dyn Source, names: &[String]) -> Vec<Symbol> {
        let mut out = Vec::with_capacity(self.len() * names.len());
        match &self.ids {
            Ids::Rows { rows, nameless } => {
                for run in rows.chunk_by(|a, b| a.family == b.family) {
                    let parts = parts(source, run[0].family, *nameless, names);
                    if let [Part::Column(column)] = &parts[..] {
                        let symbol =
                            |row: &RowRef| column.values[column.codes[row.row as usize] as usize];
                        out.extend(run.iter().map(symbol));
                        continue;
                    }
                    for row in run {
                        out.extend(parts.iter().map(|part| match part {
                            Part::Column(column) => {
                                column.values[column.codes[row.row as usize] as usize]
                            }
                            Part::Constant(symbol) => *symbol,
                        }));
                    }
                }
            }
            Ids::Tuples { names: own, symbols, count } => {
                let places: Vec<Option<usize>> =
                    names.iter().map(|name| own.binary_search(name).ok()).collect();
                for index in 0..*count {
                    let tuple = &symbols[index * own.len()..(index + 1) * own.len()];
                    let symbol =
                        |place: &Option<usize>| place.map_or(Symbol::EMPTY, |at| tuple[at]);
                    out.extend(places.iter().map(symbol));
                }
            }
        }
        out
    }

    /// Puts elements with the same labels `names` into groups, in the order in which these appear.
    pub fn group(&self, source: &dyn Source, names: &[String]) -> Groups {
        Groups::new(&self.project(source, names), names.len(), self.len())
    }

    /// Whether no two elements have one label set.
    pub fn is_distinct(&self, source: &dyn Source) -> bool {
        match &self.ids {
            // Rows differ in their labels, and those of one family in others than the name.
            Ids::Rows { rows, nameless } if !nameless || rows_differ_beyond_name(source, rows) => {
                true
            }
            _ if self.len() < 2 => true,
            _ => {
                let names: Vec<String> = self.label_names(source).into_iter().collect();
                let keys = self.project(source, &names);
                let mut index = TupleIndex::with_capacity(names.len(), self.len());
                (0..self.len())
                    .all(|at| index.insert(&keys[at * names.len()..(at + 1) * names.len()]).is_ok())
            }
        }
    }

    /// Takes the metric name, and what else describes the metric, off the elements.
    pub fn drop_names(&mut self, source: &dyn Source) {
        match &mut self.ids {
            Ids::Rows { nameless, .. } => *nameless = true,
            Ids::Tuples { names, .. } => {
                let described = names.iter().any(|name| METADATA.contains(&name.as_str()));
                if described {
                    let kept = names.iter().filter(|name| !METADATA.contains(&name.as_str()));
                    let kept: Vec<String> = kept.cloned().collect();
                    self.reduce_to(source, kept);
                }
            }
        }
    }

    /// Leaves the elements the labels `names` only, which are sorted and distinct.
    pub fn reduce_to(&mut self, source: &dyn Source, names: Vec<String>) {
        let symbols = self.project(source, &names);
        let count = self.len();
        self.own_origins();
        self.ids = Ids::Tuples { names: names.into(), symbols, count };
    }

    /// States origins without reference to who the elements are.
    fn own_origins(&mut self) {
        if let (Provenance::Own, Ids::Rows { rows, .. }) = (&self.origins, &mut self.ids) {
            self.origins = Provenance::Rows(std::mem::take(rows));
        }
    }

    /// The elements with these indexes, in this order.
    pub fn take(mut self, picks: &[u32]) -> Self {
        fn pick<T: Clone>(from: &[T], picks: &[u32]) -> Vec<T> {
            picks.iter().map(|at| from[*at as usize].clone()).collect()
        }
        match &mut self.ids {
            Ids::Rows { rows, .. } => *rows = pick(rows, picks),
            Ids::Tuples { names, symbols, count } => {
                let width = names.len();
                let tuple = |at: &u32| &symbols[*at as usize * width..(*at as usize + 1) * width];
                *symbols = picks.iter().flat_map(tuple).copied().collect();
                *count = picks.len();
            }
        }
        self.values = pick(&self.values, picks);
        match &mut self.origins {
            Provenance::None | Provenance::Own => {}
            Provenance::Rows(rows) => *rows = pick(rows, picks),
            Provenance::Each(origins) => *origins = pick(origins, picks),
        }
        self
    }

    /// The elements of this vector, then those of `other`.
    pub fn append(mut self, source: &dyn Source, mut other: Vector) -> Self {
        if other.is_empty() {
            return self;
        }
        if self.is_empty() {
            return other;
        }
        let alike = match (&self.ids, &other.ids) {
            (Ids::Rows { nameless: a, .. }, Ids::Rows { nameless: b, .. }) => a == b,
            _ => false,
        };
        if !alike {
            let mut names = self.label_names(source);
            names.extend(other.label_names(source));
            let names: Vec<String> = names.into_iter().collect();
            self.reduce_to(source, names.clone());
            other.reduce_to(source, names);
        }
        if !matches!((&self.origins, &other.origins), (Provenance::Own, Provenance::Own)) {
            let both = (0..self.len()).map(|at| self.origins_of(at));
            let both = both.chain((0..other.len()).map(|at| other.origins_of(at)));
            self.origins = Provenance::Each(both.collect());
        }
        match (&mut self.ids, other.ids) {
            (Ids::Rows { rows, .. }, Ids::Rows { rows: more, .. }) => rows.extend(more),
            (Ids::Tuples { symbols, count, .. }, Ids::Tuples { symbols: more, count: n, .. }) => {
                symbols.extend(more);
                *count += n;
            }
            _ => debug_assert!(false, "both were made tuples"),
        }
        self.values.extend(other.values);
        self
    }

    /// The origins of an element.
    pub fn origins_of(&self, at: usize) -> Origins {
        match (&self.origins, &self.ids) {
            (Provenance::Own, Ids::Rows { rows, .. }) => rows[at].into(),
            (Provenance::None | Provenance::Own, _) => Origins::none(),
            (Provenance::Rows(rows), _) => rows[at].into(),
            (Provenance::Each(origins), _) => origins[at].clone(),
        }
    }

    /// The one row that each element came from, where it is so.
    pub fn origin_rows(&self) -> Option<&[RowRef]> {
        match (&self.origins, &self.ids) {
            (Provenance::Own, Ids::Rows { rows, .. }) => Some(rows),
            (Provenance::Rows(rows), _) => Some(rows),
            _ => None,
        }
    }

    /// The origins of each group: everything that its elements came from.
    pub fn grouped_origins(&self, groups: &Groups) -> Provenance {
        if let Some(rows) = self.origin_rows() {
            let shared: Arc<[RowRef]> = groups.arrange(rows).into();
            let group = |range| Origins::rows_of(&shared, range);
            return Provenance::Each(groups.ranges().map(group).collect());
        }
        match &self.origins {
            Provenance::Each(origins) => {
                let arranged = groups.arrange(origins);
                let union =
                    |range: std::ops::Range<usize>| Origins::union(arranged[range].to_vec());
                Provenance::Each(groups.ranges().map(union).collect())
            }
            _ => Provenance::None,
        }
    }
}

/// Whether rows that differ differ in more than their metric names and what else describes metrics.
pub(super) fn rows_differ_beyond_name(source: &dyn Source, rows: &[RowRef]) -> bool {
    let Some(first) = rows.first() else { return true };
    rows.iter().all(|row| row.family == first.family) && differ_beyond_name(source, first.family)
}

/// As [`rows_differ_beyond_name`], for all rows of a family.
pub(super) fn differ_beyond_name(source: &dyn Source, family: FamilyId) -> bool {
    let family = source.family(family);
    METADATA.iter().all(|name| family.column(name).is_none())
}
