//! The segment that commits go to.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::thread::JoinHandle;

use paramedic_model::{Histogram, Labels, Sample, TimeMs};

use super::frame::put_record;
use super::records::{changes, kind, put_change, put_histogram, put_ids, put_labels, put_target};
use super::{Checkpoint, Fsync, LogError, LogOptions, SEGMENT, file_path, header, sync_dir};
use crate::codec::{put_signed, put_varint};
use crate::store::Store;
use crate::{SeriesRef, TargetId};

/// Where a target's series were last written as a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    segment: u32,
    number: u32,
    /// The numbers of the series in the segment.
    ids: Box<[u32]>,
}

/// The log of a window that is open.
#[derive(Debug)]
pub(crate) struct Log {
    pub dir: PathBuf,
    /// Held as long as the log is.
    _lock: File,
    options: LogOptions,
    segment: Option<Segment>,
    /// The number of the newest segment.
    number: u64,
    /// How many bytes were written since the last checkpoint.
    since_checkpoint: u64,
    synced_at: Option<TimeMs>,
    /// The checkpoint that is being written.
    checkpoint: Option<JoinHandle<Result<(), LogError>>>,
    buffer: Vec<u8>,
    /// What is to be written with the end of a batch, and the newest moment in it.
    batch: Option<(Vec<u8>, Option<TimeMs>)>,
}

/// A file that is written to, and what its records refer to.
#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Per series of this file its last value.
    values: Vec<f64>,
    layouts: u32,
    previous: Labels,
    at: i64,
}

impl Log {
    /// A log that goes on with the segment after `number`.
    pub fn new(dir: PathBuf, lock: File, options: LogOptions, number: u64) -> Self {
        Self {
            dir,
            _lock: lock,
            options,
            segment: None,
            number,
            since_checkpoint: 0,
            synced_at: None,
            checkpoint: None,
            buffer: Vec::new(),
            batch: None,
        }
    }

    /// Holds back what is logged until the batch ends.
    pub fn begin_batch(&mut self) {
        self.batch.get_or_insert_default();
    }

    /// Writes what a batch logged.
    pub fn end_batch(&mut self) -> Result<(), LogError> {
        match (self.batch.take(), self.segment.take()) {
            (Some((bytes, at)), Some(segment)) if !bytes.is_empty() => {
                self.write_now(segment, bytes, at)
            }
            (_, segment) => {
                self.segment = segment;
                Ok(())
            }
        }
    }

    /// The number that a checkpoint of all that was logged so far has.
    pub fn begin_checkpoint(&mut self) -> Result<u64, LogError> {
        self.next_segment()?;
        self.since_checkpoint = 0;
        Ok(self.number)
    }

    /// Whether it is time for a checkpoint of a window that takes so much memory.
    pub fn is_checkpoint_due(&self, memory_bytes: usize) -> bool {
        let due = |bytes: u64| self.since_checkpoint >= bytes.max(memory_bytes as u64 / 4);
        self.checkpoint.is_none() && self.options.checkpoint_bytes.is_some_and(due)
    }

    /// Writes a checkpoint while commits go on.
    pub fn start(&mut self, checkpoint: Checkpoint) {
        self.checkpoint = Some(std::thread::spawn(move || checkpoint.write()));
    }

    /// What became of a checkpoint that was being written, if it is done, or at any rate.
    pub fn finish_checkpoint(&mut self, wait: bool) -> Result<(), LogError> {
        match self.checkpoint.take() {
            Some(thread) if wait || thread.is_finished() => thread.join().unwrap_or_else(|_| {
                let panicked = std::io::Error::other("its thread panicked");
                Err(LogError::new("write a checkpoint in", &self.dir)(panicked))
            }),
            thread => {
                self.checkpoint = thread;
                Ok(())
            }
        }
    }

    /// Logs one sample of each series of a target, which yielded the `same` series last time.
    #[expect(clippy::too_many_arguments, reason = "all that is known of one collection")]
    pub fn samples(
        &mut self,
        store: &mut Store,
        target: &TargetId,
        layout: &mut Layout,
        same: bool,
        at: TimeMs,
        series: &[SeriesRef],
        values: &[f64],
    ) -> Result<(), LogError> {
        let (mut segment, number, mut buffer) = self.segment()?;
        if !same || layout.segment != number {
            segment.define(store, number, series.iter().copied(), &mut buffer);
            let ids = series.iter().map(|series| store.state(*series).log_id).collect();
            *layout = Layout { segment: number, number: segment.layouts, ids };
            segment.layouts += 1;
            put_record(&mut buffer, kind::LAYOUT, |out| {
                put_target(out, target.as_ref());
                put_ids(out, layout.ids.iter().copied());
            });
        }
        put_record(&mut buffer, kind::SAMPLES, |out| {
            put_varint(out, u64::from(layout.number));
            segment.put_at(out, at);
            segment.put_values(out, &layout.ids, values);
        });
        self.write(segment, buffer, Some(at))
    }

    /// Logs samples of current series, whatever their times.
    pub fn points(
        &mut self,
        store: &mut Store,
        points: &[(SeriesRef, Sample)],
    ) -> Result<(), LogError> {
        if points.is_empty() {
            return Ok(());
        }
        let (mut segment, number, mut buffer) = self.segment()?;
        segment.define(store, number, points.iter().map(|(series, _)| *series), &mut buffer);
        put_record(&mut buffer, kind::POINTS, |out| {
            put_varint(out, points.len() as u64);
            for (series, sample) in points {
                let id = store.state(*series).log_id;
                put_varint(out, u64::from(id));
                segment.put_at(out, sample.at);
                put_change(out, segment.values[id as usize], sample.value);
                segment.values[id as usize] = sample.value;
            }
        });
        let newest = points.iter().map(|(_, sample)| sample.at).max();
        self.write(segment, buffer, newest)
    }

    /// Logs a native histogram of a current series.
    pub fn histogram(
        &mut self,
        store: &mut Store,
        series: SeriesRef,
        at: TimeMs,
        histogram: &Histogram,
    ) -> Result<(), LogError> {
        let (mut segment, number, mut buffer) = self.segment()?;
        segment.define(store, number, [series].into_iter(), &mut buffer);
        put_record(&mut buffer, kind::HISTOGRAM, |out| {
            put_varint(out, u64::from(store.state(series).log_id));
            segment.put_at(out, at);
            put_histogram(out, histogram);
        });
        self.write(segment, buffer, Some(at))
    }

    /// Logs that a target is gone.
    pub fn retired(&mut self, target: &TargetId, at: TimeMs) -> Result<(), LogError> {
        let (mut segment, _, mut buffer) = self.segment()?;
        put_record(&mut buffer, kind::RETIRED, |out| {
            put_target(out, target.as_ref());
            segment.put_at(out, at);
        });
        self.write(segment, buffer, Some(at))
    }

    /// Forces what was logged to the disk.
    pub fn sync(&self) -> Result<(), LogError> {
        let Some(segment) = &self.segment else { return Ok(()) };
        segment.file.sync_data().map_err(LogError::new("sync", &segment.path))
    }

    /// Takes the segment out, to be given back by [`Log::write`]: one that could not be written is
    /// so never written to again.
    fn segment(&mut self) -> Result<(Segment, u32, Vec<u8>), LogError> {
        if self.segment.as_ref().is_none_or(|segment| segment.bytes >= self.options.segment_bytes) {
            self.next_segment()?;
        }
        let segment = self.segment.take().expect("there is a segment after one was begun");
        self.buffer.clear();
        Ok((segment, self.number as u32, std::mem::take(&mut self.buffer)))
    }

    fn next_segment(&mut self) -> Result<(), LogError> {
        if self.batch.is_some() {
            let ended = self.end_batch();
            self.begin_batch();
            ended?;
        }
        if self.options.fsync != Fsync::Never {
            self.sync()?;
        }
        self.segment = None;
        self.number += 1;
        let path = file_path(&self.dir, self.number, SEGMENT);
        let mut file = File::create_new(&path).map_err(LogError::new("create", &path))?;
        let header = header(self.number, false);
        file.write_all(&header).map_err(LogError::new("write", &path))?;
        if self.options.fsync != Fsync::Never {
            sync_dir(&self.dir)?;
        }
        self.segment = Some(Segment {
            file,
            path,
            bytes: header.len() as u64,
            values: Vec::new(),
            layouts: 0,
            previous: Labels::empty(),
            at: 0,
        });
        Ok(())
    }

    fn write(
        &mut self,
        segment: Segment,
        buffer: Vec<u8>,
        at: Option<TimeMs>,
    ) -> Result<(), LogError> {
        let Some((bytes, newest)) = &mut self.batch else {
            return self.write_now(segment, buffer, at);
        };
        bytes.extend(&buffer);
        *newest = (*newest).max(at);
        self.buffer = buffer;
        self.segment = Some(segment);
        Ok(())
    }

    fn write_now(
        &mut self,
        mut segment: Segment,
        buffer: Vec<u8>,
        at: Option<TimeMs>,
    ) -> Result<(), LogError> {
        segment.file.write_all(&buffer).map_err(LogError::new("write", &segment.path))?;
        let due = match self.options.fsync {
            Fsync::Always => true,
            Fsync::Interval(interval) => at.is_some_and(|at| {
                let synced_at = *self.synced_at.get_or_insert(at);
                at.since(synced_at) >= interval
            }),
            Fsync::Never => false,
        };
        if due {
            segment.file.sync_data().map_err(LogError::new("sync", &segment.path))?;
            self.synced_at = at;
        }
        segment.bytes += buffer.len() as u64;
        self.since_checkpoint += buffer.len() as u64;
        self.segment = Some(segment);
        self.buffer = buffer;
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The lock must not go before the last one who writes here; nobody is left to be told.
        let _ = self.finish_checkpoint(true);
    }
}

impl Segment {
    /// Names the series that this file does not know yet.
    fn define(
        &mut self,
        store: &mut Store,
        number: u32,
        series: impl Iterator<Item = SeriesRef>,
        buffer: &mut Vec<u8>,
    ) {
        let mut new = Vec::new();
        for series in series {
            let state = store.state_mut(series);
            if state.segment != number {
                state.segment = number;
                state.log_id = self.values.len() as u32;
                self.values.push(0.0);
                new.push(series);
            }
        }
        if new.is_empty() {
            return;
        }
        put_record(buffer, kind::SERIES, |out| {
            put_varint(out, new.len() as u64);
            for series in new {
                let labels = store.labels(series);
                put_labels(out, &self.previous, &labels);
                self.previous = labels;
            }
        });
    }

    fn put_at(&mut self, out: &mut Vec<u8>, at: TimeMs) {
        put_signed(out, at.0.wrapping_sub(self.at));
        self.at = at.0;
    }

    fn put_values(&mut self, out: &mut Vec<u8>, ids: &[u32], values: &[f64]) {
        let mut bits = vec![0u8; ids.len().div_ceil(8)];
        let mut changed = 0;
        for (index, (id, value)) in ids.iter().zip(values).enumerate() {
            if self.values[*id as usize].to_bits() != value.to_bits() {
                bits[index / 8] |= 1 << (index % 8);
                changed += 1;
            }
        }
        // A value that did not change takes a byte, a bit for each an eighth of one.
        if changed == 0 {
            out.push(changes::NONE);
            return;
        } else if (ids.len() - changed) * 8 < ids.len() {
            out.push(changes::ALL);
            bits.fill(u8::MAX);
        } else {
            out.push(changes::SOME);
            out.extend(&bits);
        }
        for (index, (id, value)) in ids.iter().zip(values).enumerate() {
            if bits[index / 8] & 1 << (index % 8) != 0 {
                let last = &mut self.values[*id as usize];
                put_change(out, *last, *value);
                *last = *value;
            }
        }
    }
}
