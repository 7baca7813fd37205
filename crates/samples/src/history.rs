//! The packed samples of one row: sealed blocks, and the block that grows.

use std::sync::Arc;

use paramedic_model::{Sample, TimeMs};
use paramedic_promql::Rise;

use crate::codec::{PACK, Reader, Stream, Unpacked, pass, rise, unpack};

/// A block that has so many samples is sealed.
const BLOCK_SAMPLES: u32 = 256;

/// What a sealed block takes beside its bytes: its entry, two counts, the allocator's own.
const SEALED_OVERHEAD: usize = 64;

/// A block that never changes again: snapshots share it.
#[derive(Clone, Debug)]
struct Sealed {
    first_at: TimeMs,
    last_at: TimeMs,
    bytes: Arc<[u8]>,
}

impl Sealed {
    fn memory(&self) -> usize {
        self.bytes.len() + SEALED_OVERHEAD
    }
}

/// The block that packs are added to; empty where the row has none.
#[derive(Clone, Debug, Default)]
struct Open {
    first_at: TimeMs,
    last_at: TimeMs,
    stream: Stream,
    count: u32,
    /// How many bytes at the end are a pack that has room for what comes next; none, for most.
    unfilled: u16,
    bytes: Vec<u8>,
}

impl Open {
    fn get(&self) -> Option<&Self> {
        (self.count > 0).then_some(self)
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + 16
    }

    /// Appends samples as a pack, or in one with those of the last pack where it has room for them.
    fn add(&mut self, times: &[i64], values: &[f64]) {
        // A marker of an end gets a pack of its own, so it is never half of one.
        let is_run = !values.iter().any(|value| value.is_nan());
        let count = match self.unfilled {
            0 => None,
            _ if is_run => self.fill(times, values),
            _ => None,
        };
        let count = count.unwrap_or_else(|| {
            let before = self.bytes.len();
            self.stream.pack(times, values, &mut self.bytes);
            self.unfilled = u16::try_from(self.bytes.len() - before).unwrap_or(0);
            values.len()
        });
        if !is_run || count > PACK / 2 {
            self.unfilled = 0;
        }
    }

    /// Writes the last pack anew, with these samples behind its own. Gives how many it has then;
    /// `None` where they do not fit.
    fn fill(&mut self, times: &[i64], values: &[f64]) -> Option<usize> {
        let from = self.bytes.len() - usize::from(self.unfilled);
        let (mut reader, mut stream) =
            (Reader::new(&self.bytes[..from]), Stream::new(self.first_at.0));
        let mut pack = Unpacked::new();
        while !reader.is_empty() {
            unpack(&mut reader, &mut stream, i64::MAX, &mut pack)?;
        }
        let mut after = stream;
        unpack(&mut Reader::new(&self.bytes[from..]), &mut after, i64::MIN, &mut pack)?;
        let (had, count) = (pack.times().len(), pack.times().len() + times.len());
        if count > PACK {
            return None;
        }
        let (mut all_times, mut all_values) = ([0; PACK], [0.0; PACK]);
        all_times[..had].copy_from_slice(pack.times());
        all_times[had..count].copy_from_slice(times);
        all_values[..had].copy_from_slice(pack.values());
        all_values[had..count].copy_from_slice(values);
        self.bytes.truncate(from);
        stream.pack(&all_times[..count], &all_values[..count], &mut self.bytes);
        self.stream = stream;
        Some(count)
    }
}

/// The samples of a row that are packed, in the order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    sealed: Vec<Sealed>,
    /// In place: a range mostly reads this block, and each pointer on the way is a wait for memory.
    open: Open,
}

impl History {
    /// Adds samples that are all newer than what is there, at most `PACK` of them. Gives how many
    /// bytes of memory more that takes.
    pub fn push(&mut self, times: &[i64], values: &[f64]) -> isize {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return 0 };
        let open = &mut self.open;
        let before = open.memory();
        if open.count == 0 {
            open.first_at = TimeMs(*first);
            open.stream = Stream::new(*first);
        }
        if open.bytes.capacity() - open.bytes.len() < 32 {
            // Doubling would leave half of it unused: there are as many of these as series.
            open.bytes.reserve_exact(32);
        }
        open.add(times, values);
        open.last_at = TimeMs(*last);
        open.count += times.len() as u32;
        if open.count >= BLOCK_SAMPLES {
            self.sealed.push(Sealed {
                first_at: open.first_at,
                last_at: open.last_at,
                bytes: open.bytes.as_slice().into(),
            });
            *open = Open::default();
            let sealed = self.sealed.last().map_or(0, Sealed::memory) + open.memory();
            return sealed as isize - before as isize;
        }
        open.memory() as isize - before as isize
    }

    /// Adds a block that was read from elsewhere, where it is the last of its row as the one that
    /// grows. Gives its newest sample; `None` where it is no block, or not newer than what is there.
    pub fn push_block(&mut self, first_at: TimeMs, bytes: &[u8], last: bool) -> Option<Sample> {
        let before = self.sealed.last().map(|block| block.last_at);
        if self.open.count > 0 || before.is_some_and(|before| before >= first_at) {
            return None;
        }
        let (mut reader, mut stream, mut count) = (Reader::new(bytes), Stream::new(first_at.0), 0);
        let (mut at_last_pack, mut pack) = ((reader, stream), Unpacked::new());
        while !reader.is_empty() {
            at_last_pack = (reader, stream);
            count += pass(&mut reader, &mut stream, &mut pack)? as u32;
        }
        let (mut reader, mut stream) = at_last_pack;
        unpack(&mut reader, &mut stream, i64::MIN, &mut pack)?;
        let (at, value) = (*pack.times().last()?, *pack.values().last()?);
        let last_at = TimeMs(at);
        if last_at < first_at {
            return None;
        }
        if last {
            let bytes = bytes.to_vec();
            self.open = Open { first_at, last_at, stream, count, unfilled: 0, bytes };
        } else {
            self.sealed.push(Sealed { first_at, last_at, bytes: bytes.into() });
        }
        Some(Sample { at: last_at, value })
    }

    /// The sealed blocks: when each begins, and its bytes.
    pub fn sealed(&self) -> impl ExactSizeIterator<Item = (TimeMs, &[u8])> {
        self.sealed.iter().map(|block| (block.first_at, &*block.bytes))
    }

    /// The block that grows.
    pub fn open(&self) -> Option<(TimeMs, &[u8])> {
        self.open.get().map(|open| (open.first_at, open.bytes.as_slice()))
    }

    /// The blocks that may have samples with `after < at <= until`, by when each begins.
    fn within(&self, after: TimeMs, until: TimeMs) -> impl Iterator<Item = (TimeMs, &[u8])> {
        let from = self.sealed.partition_point(|block| block.last_at <= after);
        let open = self.open.get().filter(|open| open.last_at > after);
        let sealed = self.sealed[from..].iter().map(|block| (block.first_at, &*block.bytes));
        let open = open.map(|open| (open.first_at, open.bytes.as_slice()));
        sealed.chain(open).take_while(move |(first_at, _)| *first_at <= until)
    }

    /// The samples with `after < at <= until` by their ends, `Some(None)` where there are none;
    /// `None` where a value falls, or reading all would be needed to know.
    pub fn rise(&self, after: TimeMs, until: TimeMs) -> Option<Option<Rise>> {
        let (mut all, mut room) = (None::<Rise>, Unpacked::new());
        for (first_at, bytes) in self.within(after, until) {
            let (mut reader, mut stream) = (Reader::new(bytes), Stream::new(first_at.0));
            while !reader.is_empty() {
                let (next, is_last) = rise(&mut reader, &mut stream, after.0, until.0, &mut room)?;
                all = match (all, next) {
                    (Some(rise), Some(next)) => Some(rise.then(next)?),
                    (rise, next) => rise.or(next),
                };
                if is_last {
                    break;
                }
            }
        }
        Some(all)
    }

    /// Appends the samples with `after < at <= until` to `out`.
    pub fn range(&self, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        for (first_at, bytes) in self.within(after, until) {
            walk(bytes, first_at, after, |times, values| {
                let from = times.partition_point(|at| *at <= after.0);
                let to = times.partition_point(|at| *at <= until.0).max(from);
                let samples = times[from..to].iter().zip(&values[from..to]);
                out.extend(samples.map(|(at, value)| Sample { at: TimeMs(*at), value: *value }));
                to == times.len()
            });
        }
    }

    /// The newest sample with `after < at <= until`.
    pub fn newest_in(&self, after: TimeMs, until: TimeMs) -> Option<Sample> {
        let open = self.open();
        let sealed = self.sealed.iter().rev().map(|block| (block.first_at, &*block.bytes));
        let (first_at, bytes) =
            open.into_iter().chain(sealed).find(|(first, _)| *first <= until)?;
        let mut found = None;
        walk(bytes, first_at, after, |times, values| {
            let to = times.partition_point(|at| *at <= until.0);
            if let Some(index) = to.checked_sub(1) {
                found = Some(Sample { at: TimeMs(times[index]), value: values[index] });
            }
            to == times.len()
        });
        found.filter(|sample| sample.at > after)
    }

    /// Drops the blocks that have nothing after `horizon`.
    pub fn expire(&mut self, horizon: TimeMs) {
        let gone = self.sealed.partition_point(|block| block.last_at <= horizon);
        self.sealed.drain(..gone);
        if self.open.last_at <= horizon {
            self.open = Open::default();
        }
    }

    /// Whether [`History::expire`] would drop something.
    pub fn has_expired(&self, horizon: TimeMs) -> bool {
        let oldest = self.sealed.first().map(|block| block.last_at);
        oldest.or(self.open.get().map(|open| open.last_at)).is_some_and(|at| at <= horizon)
    }

    /// When the oldest packed sample was.
    pub fn first_at(&self) -> Option<TimeMs> {
        let sealed = self.sealed.first().map(|block| block.first_at);
        sealed.or(self.open.get().map(|open| open.first_at))
    }

    /// An estimate of the memory behind this value.
    pub fn bytes(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(Sealed::memory).sum();
        sealed + self.open.memory()
    }
}

/// Calls `see` with each pack of a block that has something after a moment, until it says false, and
/// gives where the times stand then; `None` where the bytes are no block.
fn walk(
    bytes: &[u8],
    first_at: TimeMs,
    after: TimeMs,
    mut see: impl FnMut(&[i64], &[f64]) -> bool,
) -> Option<Stream> {
    let (mut reader, mut stream) = (Reader::new(bytes), Stream::new(first_at.0));
    let mut pack = Unpacked::new();
    while !reader.is_empty() {
        unpack(&mut reader, &mut stream, after.0, &mut pack)?;
        if !pack.values().is_empty() && !see(pack.times(), pack.values()) {
            break;
        }
    }
    Some(stream)
}
