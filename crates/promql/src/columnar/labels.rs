//! Label sets for the elements of a result.

use std::collections::HashMap;
use std::sync::Arc;

use paramedic_model::{Labels, LabelsBuilder, METRIC_NAME};

use super::vector::{Ids, Vector, name_symbol};
use crate::eval::METADATA;
use crate::{Column, FamilyId, Source, Symbol};

/// Builds label sets that share their texts: elements of one result have few different ones.
pub(super) struct Labeller<'s> {
    source: &'s dyn Source,
    texts: HashMap<Symbol, Arc<str>>,
    layout: Option<Layout>,
    /// The labels of that layout, in the order of their names.
    entries: Vec<Entry<'s>>,
}

/// What elements have the same labels, if not the same values.
#[derive(PartialEq, Eq)]
enum Layout {
    Rows(FamilyId, bool),
    Tuples(Arc<[String]>),
}

struct Entry<'s> {
    name: Arc<str>,
    place: Place<'s>,
    /// The value that was asked for last: neighbours often share it.
    last: Option<(Symbol, Arc<str>)>,
}

/// Where the symbol of a label is found.
enum Place<'s> {
    Metric(Symbol),
    Column(&'s Column),
    Tuple(usize),
}

impl<'s> Labeller<'s> {
    pub fn new(source: &'s dyn Source) -> Self {
        Self { source, texts: HashMap::new(), layout: None, entries: Vec::new() }
    }

    /// The label set of an element.
    pub fn labels(&mut self, vector: &Vector, element: usize) -> Labels {
        let (row, tuple): (usize, &[Symbol]) = match &vector.ids {
            Ids::Rows { rows, nameless } => {
                let row = rows[element];
                self.lay_out_rows(row.family, *nameless);
                (row.row as usize, &[])
            }
            Ids::Tuples { names, symbols, .. } => {
                self.lay_out_tuples(names);
                (0, &symbols[element * names.len()..])
            }
        };
        let mut labels = LabelsBuilder::default();
        for entry in &mut self.entries {
            let symbol = match entry.place {
                Place::Metric(symbol) => symbol,
                Place::Column(column) => column.values[column.codes[row] as usize],
                Place::Tuple(at) => tuple[at],
            };
            if symbol == Symbol::EMPTY {
                continue;
            }
            if entry.last.as_ref().is_none_or(|(last, _)| *last != symbol) {
                let text = if *entry.name == *METRIC_NAME {
                    self.source.family(FamilyId(symbol.0 - 1)).name.into()
                } else {
                    let text = self.texts.entry(symbol);
                    text.or_insert_with(|| self.source.text(symbol).into()).clone()
                };
                entry.last = Some((symbol, text));
            }
            if let Some((_, text)) = &entry.last {
                labels.set_shared(&entry.name, text);
            }
        }
        labels.build()
    }

    fn lay_out_rows(&mut self, family: FamilyId, nameless: bool) {
        if self.layout == Some(Layout::Rows(family, nameless)) {
            return;
        }
        let columns = self.source.family(family).columns.iter();
        let entry = |column: &'s Column| entry(&column.name, Place::Column(column));
        self.entries = columns.map(entry).collect();
        self.entries
            .push(self::entry(METRIC_NAME, Place::Metric(name_symbol(self.source, family))));
        self.entries.retain(|entry| !nameless || !METADATA.contains(&&*entry.name));
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.layout = Some(Layout::Rows(family, nameless));
    }

    fn lay_out_tuples(&mut self, names: &Arc<[String]>) {
        if matches!(&self.layout, Some(Layout::Tuples(known)) if Arc::ptr_eq(known, names)) {
            return;
        }
        let entries = names.iter().enumerate().map(|(at, name)| entry(name, Place::Tuple(at)));
        self.entries = entries.collect();
        self.layout = Some(Layout::Tuples(names.clone()));
    }
}

fn entry<'s>(name: &str, place: Place<'s>) -> Entry<'s> {
    Entry { name: name.into(), place, last: None }
}
