//! The same expression at many moments: range queries and subqueries.

use std::collections::HashMap;
use std::sync::Arc;

use paramedic_model::{Labels, Sample, TimeMs};

use super::index::TupleIndex;
use super::labels::Labeller;
use super::vector::{Ids, Vector};
use super::{Columns, Result, Val};
use crate::eval::ItemSeries;
use crate::{Expr, Origins, RowRef, Source};

/// Elements of many moments, collected by their label sets.
struct Collected<'s> {
    labeller: Labeller<'s>,
    series: Vec<ItemSeries>,
    parts: Vec<Vec<Origins>>,
    /// The one row that the last element of each series came from.
    last_row: Vec<Option<RowRef>>,
    by_labels: HashMap<Labels, u32>,
    /// The series of each identity that was met: label sets are built once per identity.
    by_row: HashMap<(RowRef, bool), u32>,
    by_tuple: HashMap<Arc<[String]>, (TupleIndex, Vec<u32>)>,
}

impl Columns<'_> {
    /// The series of an expression over `count` steps, around which `held` samples are in use.
    pub fn steps(
        &mut self,
        expr: &Expr,
        start: TimeMs,
        step_ms: i64,
        count: i64,
        held: usize,
    ) -> Option<Vec<ItemSeries>> {
        self.stepping = true;
        self.attempt(expr, held, |columns| columns.collect(expr, start, step_ms, count))
    }

    fn collect(
        &mut self,
        expr: &Expr,
        start: TimeMs,
        step_ms: i64,
        count: i64,
    ) -> Result<Vec<ItemSeries>> {
        let mut collected = Collected::new(self.source);
        for step in 0..count {
            let at = TimeMs(start.0 + step * step_ms);
            let held_before = self.held;
            let vector = match self.eval(expr, at)? {
                Val::Vector(vector) => vector,
                Val::Scalar(value) => Vector::of_number(value),
            };
            self.held = held_before + vector.len();
            collected.add(at, &vector);
        }
        Ok(collected.finish())
    }
}

impl<'s> Collected<'s> {
    fn new(source: &'s dyn Source) -> Self {
        Self {
            labeller: Labeller::new(source),
            series: Vec::new(),
            parts: Vec::new(),
            last_row: Vec::new(),
            by_labels: HashMap::new(),
            by_row: HashMap::new(),
            by_tuple: HashMap::new(),
        }
    }

    fn add(&mut self, at: TimeMs, vector: &Vector) {
        let origin_rows = vector.origin_rows();
        for (element, value) in vector.values.iter().enumerate() {
            let series = self.series_of(vector, element) as usize;
            self.series[series].samples.push(Sample { at, value: *value });
            let row = origin_rows.map(|rows| rows[element]);
            if row.is_some() && self.last_row[series] == row {
                continue;
            }
            self.last_row[series] = row;
            let origins = vector.origins_of(element);
            let parts = &mut self.parts[series];
            if !parts.last().is_some_and(|last| last.is(&origins) || last.has_rows_of(&origins)) {
                parts.push(origins);
            }
        }
    }

    fn series_of(&mut self, vector: &Vector, element: usize) -> u32 {
        let known = match &vector.ids {
            Ids::Rows { rows, nameless } => self.by_row.get(&(rows[element], *nameless)).copied(),
            Ids::Tuples { names, symbols, .. } => {
                let tuple = &symbols[element * names.len()..(element + 1) * names.len()];
                let known = self.by_tuple.get(names);
                known.and_then(|(index, series)| Some(series[index.find(tuple)? as usize]))
            }
        };
        if let Some(series) = known {
            return series;
        }
        let labels = self.labeller.labels(vector, element);
        let number = *self.by_labels.entry(labels).or_insert_with_key(|labels| {
            self.series.push(ItemSeries::new(labels.clone()));
            self.parts.push(Vec::new());
            self.last_row.push(None);
            self.series.len() as u32 - 1
        });
        match &vector.ids {
            Ids::Rows { rows, nameless } => {
                self.by_row.insert((rows[element], *nameless), number);
            }
            Ids::Tuples { names, symbols, .. } => {
                let tuple = &symbols[element * names.len()..(element + 1) * names.len()];
                let (index, series) = self
                    .by_tuple
                    .entry(names.clone())
                    .or_insert_with(|| (TupleIndex::with_capacity(names.len(), 0), Vec::new()));
                if index.insert(tuple).is_ok() {
                    series.push(number);
                }
            }
        }
        number
    }

    fn finish(self) -> Vec<ItemSeries> {
        let mut series = self.series;
        for (series, parts) in series.iter_mut().zip(self.parts) {
            series.origins = Origins::union(parts);
        }
        series
    }
}
