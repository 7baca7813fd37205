//! Sixteen rows of a family: the newest samples of each as they came, the older ones packed.
//!
//! ```text
//! values   sample 0: row 0 .. row 15 | sample 1: row 0 .. row 15 | ...  up to 16
//! tails    per row: when the first of these was, the step, how many
//! history  per row: packed blocks
//! ```
//!
//! The rows of a target stand side by side and get their samples together, so a commit writes
//! neighbouring numbers. A row whose tail is full is packed when its next sample comes.
//!
//! # Invariants
//!
//! - Every sample of a row's tail is newer than the packed ones.
//! - What snapshots share is copied a chunk at a time, and histories only when a tail is packed.

use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_model::{Histogram, Sample, TimeMs};
use paramedic_promql::Rise;

use crate::codec::PACK;
use crate::history::History;

/// How many rows a chunk has.
pub(crate) const CHUNK: usize = 16;

/// How many samples a row has as they came: half a pack, the other half of which is made with the
/// next so many. More would be read a little faster, and take most of what a series takes.
const TAIL: usize = PACK / 2;

/// What a chunk without packed samples takes.
pub(crate) const CHUNK_BYTES: usize =
    CHUNK * (TAIL * size_of::<f64>() + size_of::<Tail>() + size_of::<History>()) + 192;

/// What a histogram takes beside its buckets.
const HISTOGRAM_BYTES: usize = size_of::<Histogram>() + 64;

/// The times of the samples of a row that are not packed.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    first_at: i64,
    /// The distance of all of them, while there are no offsets.
    step: u32,
    len: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    values: Box<[f64]>,
    /// How long after the first of its tail each sample was: where some row is not even.
    offsets: Option<Box<[u32]>>,
    tails: [Tail; CHUNK],
    history: Arc<Vec<History>>,
    histograms: BTreeMap<(u8, TimeMs), Arc<Histogram>>,
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            values: vec![0.0; CHUNK * TAIL].into(),
            offsets: None,
            tails: [Tail::default(); CHUNK],
            history: Arc::new(vec![History::default(); CHUNK]),
            histograms: BTreeMap::new(),
        }
    }
}

impl Chunk {
    /// Appends a sample that is newer than all of its row. Gives how many bytes of memory more that
    /// takes.
    pub fn push(&mut self, row: usize, sample: Sample) -> isize {
        let mut grown = 0;
        let tail = self.tails[row];
        let offset = u32::try_from(sample.at.0.wrapping_sub(tail.first_at) as u64);
        match offset {
            Ok(offset) if tail.len > 0 && usize::from(tail.len) < TAIL => {
                self.push_offset(row, offset);
            }
            _ => {
                grown = self.pack(row);
                self.tails[row] = Tail { first_at: sample.at.0, step: 0, len: 0 };
                if let Some(offsets) = &mut self.offsets {
                    offsets[row] = 0;
                }
            }
        }
        let tail = &mut self.tails[row];
        self.values[usize::from(tail.len) * CHUNK + row] = sample.value;
        tail.len += 1;
        grown
    }

    fn push_offset(&mut self, row: usize, offset: u32) {
        let tail = &mut self.tails[row];
        let index = usize::from(tail.len);
        if let Some(offsets) = &mut self.offsets {
            offsets[index * CHUNK + row] = offset;
            return;
        }
        if index == 1 {
            tail.step = offset;
        } else if u64::from(tail.step) * index as u64 != u64::from(offset) {
            let mut offsets = vec![0; CHUNK * TAIL];
            for (row, tail) in self.tails.iter().enumerate() {
                for index in 1..usize::from(tail.len) {
                    offsets[index * CHUNK + row] = tail.step * index as u32;
                }
            }
            offsets[index * CHUNK + row] = offset;
            self.offsets = Some(offsets.into());
        }
    }

    fn at(&self, row: usize, index: usize) -> i64 {
        let tail = &self.tails[row];
        let offset = match &self.offsets {
            Some(offsets) => i64::from(offsets[index * CHUNK + row]),
            None => i64::from(tail.step) * index as i64,
        };
        tail.first_at + offset
    }

    fn tail_sample(&self, row: usize, index: usize) -> Sample {
        Sample { at: TimeMs(self.at(row, index)), value: self.values[index * CHUNK + row] }
    }

    /// The first index of the tail whose sample is after `at`.
    fn tail_after(&self, row: usize, at: TimeMs) -> usize {
        let tail = &self.tails[row];
        if at.0 < tail.first_at {
            return 0;
        }
        let len = usize::from(tail.len);
        (0..len).rev().find(|index| self.at(row, *index) <= at.0).map_or(0, |index| index + 1)
    }

    /// Moves the tail of a row to its history.
    fn pack(&mut self, row: usize) -> isize {
        let len = usize::from(self.tails[row].len);
        if len == 0 {
            return 0;
        }
        let (mut times, mut values) = ([0; TAIL], [0.0; TAIL]);
        for index in 0..len {
            times[index] = self.at(row, index);
            values[index] = self.values[index * CHUNK + row];
        }
        self.tails[row].len = 0;
        Arc::make_mut(&mut self.history)[row].push(&times[..len], &values[..len])
    }

    /// See [`History::push_block`]; the row has no samples that are not packed.
    pub fn push_block(
        &mut self,
        row: usize,
        first_at: TimeMs,
        bytes: &[u8],
        last: bool,
    ) -> Option<Sample> {
        if self.tails[row].len > 0 {
            return None;
        }
        Arc::make_mut(&mut self.history)[row].push_block(first_at, bytes, last)
    }

    /// The packed samples of a row.
    pub fn history(&self, row: usize) -> &History {
        &self.history[row]
    }

    /// The samples of a row that are not packed.
    pub fn tail(&self, row: usize) -> impl Iterator<Item = Sample> {
        (0..usize::from(self.tails[row].len)).map(move |index| self.tail_sample(row, index))
    }

    /// Appends the samples with `after < at <= until` to `out`.
    pub fn range(&self, row: usize, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        let tail = &self.tails[row];
        if tail.len == 0 || after.0 < tail.first_at {
            self.history[row].range(after, until, out);
        }
        let (from, to) = (self.tail_after(row, after), self.tail_after(row, until));
        out.extend((from..to).map(|index| self.tail_sample(row, index)));
    }

    /// See [`Source::rise`](paramedic_promql::Source::rise).
    pub fn rise(&self, row: usize, after: TimeMs, until: TimeMs) -> Option<Rise> {
        let tail = &self.tails[row];
        let packed = match tail.len == 0 || after.0 < tail.first_at {
            true => self.history[row].rise(after, until)?,
            false => None,
        };
        let (from, to) = (self.tail_after(row, after), self.tail_after(row, until));
        (from..to).try_fold(packed, |rise, index| {
            let sample = self.tail_sample(row, index);
            let next = Rise { first: sample, last: sample, count: 1 };
            match rise {
                Some(rise) => rise.then(next).map(Some),
                None => (!sample.value.is_nan()).then_some(Some(next)),
            }
        })?
    }

    /// The newest sample with `after < at <= until`.
    pub fn newest_in(&self, row: usize, after: TimeMs, until: TimeMs) -> Option<Sample> {
        let found = match self.tail_after(row, until).checked_sub(1) {
            Some(index) => Some(self.tail_sample(row, index)),
            None => self.history[row].newest_in(after, until),
        };
        found.filter(|sample| sample.at > after)
    }

    /// Puts a sample between others; `Err` has the value that the row has at this moment already.
    ///
    /// The whole row is written anew: late samples are rare, and their rows are short.
    pub fn insert(&mut self, row: usize, sample: Sample) -> Result<(), f64> {
        let mut samples = Vec::new();
        self.range(row, TimeMs(i64::MIN), TimeMs(i64::MAX), &mut samples);
        match samples.binary_search_by_key(&sample.at, |sample| sample.at) {
            Ok(index) => return Err(samples[index].value),
            Err(index) => samples.insert(index, sample),
        }
        Arc::make_mut(&mut self.history)[row] = History::default();
        self.tails[row].len = 0;
        for sample in samples {
            self.push(row, sample);
        }
        Ok(())
    }

    /// The histogram that a row has at a moment.
    pub fn histogram(&self, row: usize, at: TimeMs) -> Option<&Arc<Histogram>> {
        self.histograms.get(&(row as u8, at))
    }

    /// Keeps the histogram behind a sample.
    pub fn put_histogram(&mut self, row: usize, at: TimeMs, histogram: Arc<Histogram>) {
        self.histograms.insert((row as u8, at), histogram);
    }

    /// The histograms of a row, oldest first.
    pub fn histograms(&self, row: usize) -> impl Iterator<Item = (TimeMs, &Arc<Histogram>)> {
        let range = (row as u8, TimeMs(i64::MIN))..=(row as u8, TimeMs(i64::MAX));
        self.histograms.range(range).map(|((_, at), histogram)| (*at, histogram))
    }

    /// Forgets all samples of a row.
    pub fn clear(&mut self, row: usize) {
        self.tails[row].len = 0;
        Arc::make_mut(&mut self.history)[row] = History::default();
        self.histograms.retain(|(other, _), _| usize::from(*other) != row);
    }

    /// Whether [`Chunk::expire`] would drop something.
    pub fn has_expired(&self, horizon: TimeMs) -> bool {
        self.history.iter().any(|history| history.has_expired(horizon))
            || self.histograms.keys().any(|(_, at)| *at <= horizon)
    }

    /// Drops packed blocks and histograms that are not after `horizon`.
    pub fn expire(&mut self, horizon: TimeMs) {
        for history in Arc::make_mut(&mut self.history) {
            history.expire(horizon);
        }
        self.histograms.retain(|(_, at), _| *at > horizon);
    }

    /// When the oldest sample of a row was.
    pub fn first_at(&self, row: usize) -> Option<TimeMs> {
        let tail = &self.tails[row];
        let tail = (tail.len > 0).then_some(TimeMs(tail.first_at));
        self.history[row].first_at().or(tail)
    }

    /// An estimate of the memory that this chunk takes.
    pub fn bytes(&self) -> usize {
        let history: usize = self.history.iter().map(History::bytes).sum();
        let offsets = self.offsets.as_ref().map_or(0, |offsets| size_of_val(&**offsets));
        let histograms: usize = self.histograms.values().map(|h| histogram_bytes(h)).sum();
        CHUNK_BYTES + history + offsets + histograms
    }
}

fn histogram_bytes(histogram: &Histogram) -> usize {
    let buckets = histogram.positive_buckets.len()
        + histogram.negative_buckets.len()
        + histogram.positive_spans.len()
        + histogram.negative_spans.len()
        + histogram.custom_values.len();
    HISTOGRAM_BYTES + buckets * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(chunk: &Chunk, row: usize) -> Vec<(i64, f64)> {
        let mut out = Vec::new();
        chunk.range(row, TimeMs(i64::MIN), TimeMs(i64::MAX), &mut out);
        out.iter().map(|sample| (sample.at.0, sample.value)).collect()
    }

    #[test]
    fn even_uneven_and_far_apart_samples_come_back() {
        let mut chunk = Chunk::default();
        let times: [fn(i64) -> i64; 4] =
            [|n| n * 15_000, |n| n * 15_000 + n * n % 11, |n| n << 33, |n| n * 5];
        for n in 0..700 {
            for (row, time) in times.iter().enumerate().filter(|(row, _)| *row != 3 || n < 3) {
                chunk.push(row, Sample { at: TimeMs(time(n)), value: (n % 5) as f64 });
            }
        }
        for (row, time) in times.iter().enumerate() {
            let count = if row == 3 { 3 } else { 700 };
            let all: Vec<_> = (0..count).map(|n| (time(n), (n % 5) as f64)).collect();
            assert_eq!(samples(&chunk, row), all);
            for (after, until) in [(3, 4), (0, 690), (600, 699), (650, 660), (5, 5)] {
                let (after, until) = (TimeMs(time(after)), TimeMs(time(until)));
                let mut found = Vec::new();
                chunk.range(row, after, until, &mut found);
                let within = all.iter().filter(|(at, _)| *at > after.0 && *at <= until.0);
                assert_eq!(found.len(), within.count());
                assert_eq!(chunk.newest_in(row, after, until), found.last().copied());
            }
        }
    }

    #[test]
    fn what_never_falls_is_known_by_its_ends() {
        let mut chunk = Chunk::default();
        let courses: [fn(i64) -> f64; 6] = [
            |n| (n * 7 + n * n % 5) as f64,
            |n| (n / 20) as f64 / 10.0,
            |_| 3.0,
            |n| (n % 300) as f64,
            |n| (n as f64).sqrt(),
            |n| if n == 400 { paramedic_model::stale_nan() } else { n as f64 },
        ];
        for n in 0..700 {
            for (row, course) in courses.iter().enumerate() {
                let at = TimeMs(n * 5_000 + if row == 0 { n % 3 } else { 0 });
                chunk.push(row, Sample { at, value: course(n) });
            }
        }
        let mut told = [0; 6];
        for (after, until) in [(0, 699), (639, 699), (100, 250), (0, 10), (698, 699), (350, 500)] {
            let (after, until) = (TimeMs(after * 5_000), TimeMs(until * 5_000 + 2));
            for (row, told) in told.iter_mut().enumerate() {
                let mut samples = Vec::new();
                chunk.range(row, after, until, &mut samples);
                let falls = !samples.is_sorted_by(|a, b| a.value <= b.value);
                let Some(rise) = chunk.rise(row, after, until) else { continue };
                assert!(!falls && !samples[0].value.is_nan());
                let ends = (samples[0], samples[samples.len() - 1], samples.len());
                assert_eq!((rise.first, rise.last, rise.count), ends);
                *told += 1;
            }
            assert_eq!(chunk.rise(0, until, until), None);
        }
        // The square roots are floats, of which only the newest are at hand.
        assert_eq!(told, [6, 6, 6, 5, 1, 4]);
    }

    #[test]
    fn a_late_sample_finds_its_place() {
        let mut chunk = Chunk::default();
        for n in 0..400 {
            chunk.push(2, Sample { at: TimeMs(n * 10), value: n as f64 });
        }
        for at in [-5, 5, 3985, 2005] {
            assert_eq!(chunk.insert(2, Sample { at: TimeMs(at), value: -1.0 }), Ok(()));
            assert_eq!(chunk.insert(2, Sample { at: TimeMs(at), value: -2.0 }), Err(-1.0));
        }
        let found = samples(&chunk, 2);
        assert_eq!((found.len(), found[0], found[2]), (404, (-5, -1.0), (5, -1.0)));
        assert!(found.is_sorted_by(|a, b| a.0 < b.0));
    }
}
