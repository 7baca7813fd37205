//! The series of one metric name, in columns.

use std::sync::Arc;

use paramedic_model::{Histogram, Labels, METRIC_NAME, Sample, TimeMs, is_stale};
use paramedic_promql::{Column, Family, NO_VALUE, Rise, Selections};

use crate::chunk::{CHUNK, CHUNK_BYTES, Chunk};
use crate::symbols::Texts;

/// What became of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is the newest of its series now, and differs from the one before.
    Changed,
    /// It is the newest of its series now, with the value of the one before.
    Unchanged,
    /// It found its place before newer ones.
    Late,
    /// The series has this very sample.
    Known,
    OutOfOrder,
    Duplicate,
}

/// What became of the samples of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pushed {
    /// Whether some series appeared or got another value.
    pub changed: bool,
    pub accepted: usize,
    pub out_of_order: usize,
    pub duplicate: usize,
    /// How many bytes of memory more they take.
    pub grown: isize,
}

/// What readers see of a family, and where its samples are.
#[derive(Clone, Debug)]
pub(crate) struct FamilyRows {
    pub name: Arc<str>,
    pub columns: Arc<Vec<Column>>,
    pub newest_at: Vec<TimeMs>,
    newest_value: Vec<f64>,
    chunks: Vec<Arc<Chunk>>,
    /// How many rows have samples.
    series: usize,
    /// What selectors found among these rows.
    pub selections: Arc<Selections>,
}

impl FamilyRows {
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            columns: Arc::default(),
            newest_at: Vec::new(),
            newest_value: Vec::new(),
            chunks: Vec::new(),
            series: 0,
            selections: Arc::default(),
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
        self.series
    }

    pub fn row_count(&self) -> usize {
        self.newest_at.len()
    }

    /// Whether the row has these labels, the metric name aside.
    pub fn has_labels(&self, row: u32, labels: &Labels, texts: &Texts) -> bool {
        let mut count = 0;
        let all = labels.iter().filter(|(name, _)| *name != METRIC_NAME).all(|(name, value)| {
            // Columns mostly stand in the order of the labels, after the first row that had them.
            let guess = self.columns.get(count).filter(|column| column.name == name);
            count += 1;
            let find = || self.columns.iter().find(|column| column.name == name);
            let symbol = guess.or_else(find).and_then(|column| column.symbol(row));
            symbol.is_some_and(|symbol| texts.text(symbol) == value)
        });
        let used = |column: &&Column| column.codes[row as usize] != NO_VALUE;
        all && self.columns.iter().filter(used).count() == count
    }

    /// Whether the row has samples and has not ended.
    pub fn is_live(&self, row: u32) -> bool {
        let row = row as usize;
        self.newest_at[row] != Family::NEVER && !is_stale(self.newest_value[row])
    }

    /// Appends the samples of a row with `after < at <= until` to `out`.
    pub fn range(&self, row: u32, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        let newest_at = self.newest_at[row as usize];
        if newest_at > after && newest_at != Family::NEVER {
            let (chunk, row) = self.chunk(row);
            chunk.range(row, after, until, out);
        }
    }

    /// See [`Source::rise`](paramedic_promql::Source::rise).
    pub fn rise(&self, row: u32, after: TimeMs, until: TimeMs) -> Option<Rise> {
        let (chunk, row) = self.chunk(row);
        chunk.rise(row, after, until)
    }

    /// The newest sample of a row with `after < at <= until`.
    pub fn newest_in(&self, row: u32, after: TimeMs, until: TimeMs) -> Option<Sample> {
        let newest_at = self.newest_at[row as usize];
        if newest_at <= after || newest_at == Family::NEVER {
            return None;
        }
        if newest_at <= until {
            return Some(Sample { at: newest_at, value: self.newest_value[row as usize] });
        }
        let (chunk, row) = self.chunk(row);
        chunk.newest_in(row, after, until)
    }

    pub fn histogram(&self, row: u32, at: TimeMs) -> Option<&Arc<Histogram>> {
        let (chunk, row) = self.chunk(row);
        chunk.histogram(row, at)
    }

    /// Where the samples of a row are: the chunk, and the row in it.
    pub fn chunk(&self, row: u32) -> (&Chunk, usize) {
        (&self.chunks[row as usize / CHUNK], row as usize % CHUNK)
    }

    pub fn chunk_mut(&mut self, row: u32) -> (&mut Chunk, usize) {
        (Arc::make_mut(&mut self.chunks[row as usize / CHUNK]), row as usize % CHUNK)
    }

    /// Appends a sample, or inserts it where it is late but after `late_after`. `grown` counts bytes.
    pub fn push(
        &mut self,
        row: u32,
        sample: Sample,
        late_after: TimeMs,
        grown: &mut isize,
    ) -> Outcome {
        let index = row as usize;
        let (newest_at, newest_value) = (self.newest_at[index], self.newest_value[index]);
        let same = newest_value.to_bits() == sample.value.to_bits();
        if sample.at <= newest_at {
            return match sample.at == newest_at {
                true if same => Outcome::Known,
                true => Outcome::Duplicate,
                false if sample.at > late_after => self.insert(row, sample),
                false => Outcome::OutOfOrder,
            };
        }
        self.newest_at[index] = sample.at;
        self.newest_value[index] = sample.value;
        let chunk = Arc::make_mut(&mut self.chunks[index / CHUNK]);
        *grown += chunk.push(index % CHUNK, sample);
        let first = newest_at == Family::NEVER;
        self.series += usize::from(first);
        if first || !same { Outcome::Changed } else { Outcome::Unchanged }
    }

    /// Appends one sample to each of some rows, all at one moment. Neighbours cost least.
    pub fn push_run(
        &mut self,
        rows: impl Iterator<Item = (u32, f64)>,
        at: TimeMs,
        late_after: TimeMs,
    ) -> Pushed {
        let mut pushed = Pushed::default();
        let mut rows = rows.peekable();
        while let Some((first, _)) = rows.peek().copied() {
            let index = first as usize / CHUNK;
            let chunk = Arc::make_mut(&mut self.chunks[index]);
            let mut odd = None;
            while let Some((row, value)) = rows.next_if(|(row, _)| *row as usize / CHUNK == index) {
                let row = row as usize;
                let (newest_at, newest_value) =
                    (&mut self.newest_at[row], &mut self.newest_value[row]);
                if at <= *newest_at {
                    odd = Some((row as u32, value));
                    break;
                }
                let first = *newest_at == Family::NEVER;
                self.series += usize::from(first);
                pushed.changed |= first || newest_value.to_bits() != value.to_bits();
                pushed.accepted += 1;
                (*newest_at, *newest_value) = (at, value);
                pushed.grown += chunk.push(row % CHUNK, Sample { at, value });
            }
            let Some((row, value)) = odd else { continue };
            match self.push(row, Sample { at, value }, late_after, &mut pushed.grown) {
                Outcome::Changed | Outcome::Late => {
                    pushed.changed = true;
                    pushed.accepted += 1;
                }
                Outcome::Unchanged | Outcome::Known => pushed.accepted += 1,
                Outcome::OutOfOrder => pushed.out_of_order += 1,
                Outcome::Duplicate => pushed.duplicate += 1,
            }
        }
        pushed
    }

    fn insert(&mut self, row: u32, sample: Sample) -> Outcome {
        let (chunk, row) = self.chunk_mut(row);
        match chunk.insert(row, sample) {
            Ok(()) => Outcome::Late,
            Err(value) if value.to_bits() == sample.value.to_bits() => Outcome::Known,
            Err(_) => Outcome::Duplicate,
        }
    }

    /// Sets the newest sample of a row whose samples were put into its chunk.
    pub fn set_newest(&mut self, row: u32, newest: Sample) {
        let at = &mut self.newest_at[row as usize];
        self.series += usize::from(*at == Family::NEVER);
        *at = newest.at;
        self.newest_value[row as usize] = newest.value;
    }

    /// Adds a row without labels and samples. `empty` is a chunk to share.
    pub fn add_row(&mut self, empty: &Arc<Chunk>) -> u32 {
        let row = self.newest_at.len();
        self.newest_at.push(Family::NEVER);
        self.newest_value.push(0.0);
        if row.is_multiple_of(CHUNK) {
            self.chunks.push(empty.clone());
        }
        for column in Arc::make_mut(&mut self.columns) {
            column.codes.push(NO_VALUE);
        }
        row as u32
    }

    /// Adds rows with these labels and without samples where there are none.
    pub fn restore(&mut self, columns: Vec<Column>, count: usize, empty: &Arc<Chunk>) {
        self.columns = Arc::new(columns);
        self.newest_at = vec![Family::NEVER; count];
        self.newest_value = vec![0.0; count];
        self.chunks = vec![empty.clone(); count.div_ceil(CHUNK)];
    }

    /// Takes labels and samples from a row.
    pub fn clear_row(&mut self, row: u32) {
        for column in Arc::make_mut(&mut self.columns) {
            column.codes[row as usize] = NO_VALUE;
        }
        let at = &mut self.newest_at[row as usize];
        self.series -= usize::from(*at != Family::NEVER);
        *at = Family::NEVER;
        let (chunk, row) = self.chunk_mut(row);
        chunk.clear(row);
    }

    /// Gives back the memory of chunks of which no row is in use.
    pub fn release_chunks(&mut self, empty: &Arc<Chunk>) {
        for (chunk, rows) in self.chunks.iter_mut().zip(self.newest_at.chunks(CHUNK)) {
            if rows.iter().all(|at| *at == Family::NEVER) {
                *chunk = empty.clone();
            }
        }
    }

    /// Removes the rows from `len` on, which are not in use.
    pub fn truncate(&mut self, len: usize) {
        self.newest_at.truncate(len);
        self.newest_at.shrink_to_fit();
        self.newest_value.truncate(len);
        self.newest_value.shrink_to_fit();
        self.chunks.truncate(len.div_ceil(CHUNK));
        for column in Arc::make_mut(&mut self.columns) {
            column.codes.truncate(len);
            column.codes.shrink_to_fit();
        }
    }

    /// Drops packed samples that are not after `horizon`.
    pub fn expire(&mut self, horizon: TimeMs) {
        for chunk in &mut self.chunks {
            if chunk.has_expired(horizon) {
                Arc::make_mut(chunk).expire(horizon);
            }
        }
    }

    /// Whether a row or a packed block has nothing after `horizon`.
    pub fn has_expired(&self, horizon: TimeMs) -> bool {
        let ended = |at: &TimeMs| *at <= horizon && *at != Family::NEVER;
        self.newest_at.iter().any(ended)
            || self.chunks.iter().any(|chunk| chunk.has_expired(horizon))
    }

    /// When the oldest sample of all rows was.
    pub fn first_at(&self) -> Option<TimeMs> {
        let rows = 0..self.row_count() as u32;
        rows.filter_map(|row| {
            let (chunk, row) = self.chunk(row);
            chunk.first_at(row)
        })
        .min()
    }

    /// An estimate of the memory that this family takes.
    pub fn bytes(&self, empty: &Arc<Chunk>) -> usize {
        let chunks = self.chunks.iter().filter(|chunk| !Arc::ptr_eq(chunk, empty));
        let columns: usize = self
            .columns
            .iter()
            .map(|column| column.codes.len() * 4 + column.values.len() * 4)
            .sum();
        chunks.map(|chunk| chunk.bytes()).sum::<usize>() + columns + self.newest_at.len() * 16
    }
}

/// What the samples of a new row take, the chunk that it may begin included.
pub(crate) fn row_bytes(columns: usize, row: u32) -> usize {
    let chunk = if (row as usize).is_multiple_of(CHUNK) { CHUNK_BYTES } else { 0 };
    16 + columns * 4 + chunk
}
