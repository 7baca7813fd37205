//! The series of one metric name, in columns.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use paramedic_model::{Labels, METRIC_NAME, Sample, TimeMs, is_stale};
use paramedic_promql::{Column, Family, NO_VALUE, Symbol};

use crate::snapshot::Symbols;

/// What became of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is the newest of its series now, and differs from the one before.
    Changed,
    /// It is the newest of its series now, with the value of the one before.
    Unchanged,
    /// The series has this very sample.
    Known,
    OutOfOrder,
    Duplicate,
}

#[derive(Clone, Debug)]
pub(crate) struct FamilyRows {
    name: Arc<str>,
    columns: Vec<Column>,
    /// Per column, the code of each value.
    codes: Vec<HashMap<Symbol, u32>>,
    newest_at: Vec<TimeMs>,
    newest_value: Vec<f64>,
    /// Per row, its samples, oldest first, the newest included.
    history: Vec<VecDeque<Sample>>,
    rows: HashMap<Labels, u32>,
    /// Rows that no series uses.
    free: Vec<u32>,
}

impl FamilyRows {
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            columns: Vec::new(),
            codes: Vec::new(),
            newest_at: Vec::new(),
            newest_value: Vec::new(),
            history: Vec::new(),
            rows: HashMap::new(),
            free: Vec::new(),
        }
    }

    pub fn view(&self) -> Family<'_> {
        Family {
            name: &self.name,
            columns: &self.columns,
            newest_at: &self.newest_at,
            newest_value: &self.newest_value,
        }
    }

    pub fn series_count(&self) -> usize {
        self.rows.len()
    }

    /// The samples of a row with `after < at <= until`.
    pub fn range(&self, row: u32, after: TimeMs, until: TimeMs) -> impl Iterator<Item = Sample> {
        let history = &self.history[row as usize];
        let start = history.partition_point(|sample| sample.at <= after);
        let end = history.partition_point(|sample| sample.at <= until);
        history.range(start..end.max(start)).copied()
    }

    /// The newest sample of a row with `after < at <= until`.
    pub fn newest_in(&self, row: u32, after: TimeMs, until: TimeMs) -> Option<Sample> {
        let history = &self.history[row as usize];
        let end = history.partition_point(|sample| sample.at <= until);
        history.get(end.checked_sub(1)?).copied().filter(|sample| sample.at > after)
    }

    /// Appends a sample, and drops those of its series that are not after `horizon`.
    pub fn append(
        &mut self,
        labels: &Labels,
        sample: Sample,
        horizon: TimeMs,
        symbols: &mut Arc<Symbols>,
    ) -> Outcome {
        let row = match self.rows.get(labels) {
            Some(row) => *row,
            None => self.add_row(labels, symbols),
        } as usize;
        let (newest_at, newest_value) = (self.newest_at[row], self.newest_value[row]);
        let first = newest_at == Family::NEVER;
        let same = newest_value.to_bits() == sample.value.to_bits();
        if !first && sample.at <= newest_at {
            return match sample.at == newest_at {
                true if same => Outcome::Known,
                true => Outcome::Duplicate,
                false => Outcome::OutOfOrder,
            };
        }
        let history = &mut self.history[row];
        while history.front().is_some_and(|oldest| oldest.at <= horizon) {
            history.pop_front();
        }
        history.push_back(sample);
        self.newest_at[row] = sample.at;
        self.newest_value[row] = sample.value;
        if first || !same { Outcome::Changed } else { Outcome::Unchanged }
    }

    /// Whether the series is there and has not ended.
    pub fn is_live(&self, labels: &Labels) -> bool {
        self.rows.get(labels).is_some_and(|row| !is_stale(self.newest_value[*row as usize]))
    }

    fn add_row(&mut self, labels: &Labels, symbols: &mut Arc<Symbols>) -> u32 {
        let row = self.free.pop().unwrap_or_else(|| {
            for column in &mut self.columns {
                column.codes.push(NO_VALUE);
            }
            self.newest_at.push(Family::NEVER);
            self.newest_value.push(0.0);
            self.history.push(VecDeque::new());
            self.newest_at.len() as u32 - 1
        });
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            let column = self.column(name);
            let symbol = Symbols::intern(symbols, value);
            let dictionary = &mut self.columns[column].values;
            let code = *self.codes[column].entry(symbol).or_insert_with(|| {
                dictionary.push(symbol);
                dictionary.len() as u32 - 1
            });
            self.columns[column].codes[row as usize] = code;
        }
        self.rows.insert(labels.clone(), row);
        row
    }

    /// The index of the column of a label, made where there is none.
    fn column(&mut self, label: &str) -> usize {
        let found = self.columns.iter().position(|column| column.name == label);
        found.unwrap_or_else(|| {
            self.columns.push(Column {
                name: label.to_owned(),
                values: vec![Symbol::EMPTY],
                codes: vec![NO_VALUE; self.newest_at.len()],
            });
            self.codes.push(HashMap::new());
            self.columns.len() - 1
        })
    }

    /// Whether a sample stands at or before `horizon`.
    pub fn has_expired(&self, horizon: TimeMs) -> bool {
        self.history.iter().any(|row| row.front().is_some_and(|oldest| oldest.at <= horizon))
    }

    /// Drops every sample that is not after `horizon`, and frees the rows that have none left.
    pub fn expire(&mut self, horizon: TimeMs) {
        for history in &mut self.history {
            let expired = history.partition_point(|sample| sample.at <= horizon);
            history.drain(..expired);
        }
        let (columns, newest_at) = (&mut self.columns, &mut self.newest_at);
        let (history, free) = (&self.history, &mut self.free);
        self.rows.retain(|_, row| {
            let index = *row as usize;
            let keep = !history[index].is_empty();
            if !keep {
                columns.iter_mut().for_each(|column| column.codes[index] = NO_VALUE);
                newest_at[index] = Family::NEVER;
                free.push(*row);
            }
            keep
        });
    }
}
