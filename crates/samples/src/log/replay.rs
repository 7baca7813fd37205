//! Opening a log: reads what is there into a window, and says what was wrong with it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paramedic_model::{Labels, Sample, TimeMs};

use super::checkpoint::list;
use super::frame::{Found, MAGIC, record_at};
use super::records::{
    VERSION, changes, kind, read_change, read_family, read_histogram, read_ids, read_labels,
};
use super::{CHECKPOINT, Flaw, Log, LogError, OnDamage, OpenError, Replayed, SEGMENT};
use crate::codec::{Reader, Stream, Unpacked, unpack};
use crate::{SeriesRef, TargetId, Window, WindowOptions};

/// So many segments are made one checkpoint when a log is opened.
const SEGMENTS_MAX: usize = 8;

/// Opens the log in `dir`, which is made where it is not there.
pub(crate) fn open(dir: &Path, options: WindowOptions) -> Result<(Window, Replayed), OpenError> {
    fs::create_dir_all(dir).map_err(LogError::new("create", dir))?;
    let lock = lock(dir)?;
    let (log_options, mut replayed) = (options.log.clone(), Replayed::default());
    let mut window = Window::new(options);
    let files = files(dir)?;
    let newest = files.iter().map(|(number, _, _)| *number).max().unwrap_or(0);
    let mut aside = Vec::new();
    for (_, what, path) in &files {
        let bytes = fs::read(path).map_err(LogError::new("read", path))?;
        replayed.files += 1;
        let is_checkpoint = what == CHECKPOINT;
        let mut reading = Reading::new(&mut window, &mut replayed, is_checkpoint);
        let Some((offset, fault)) = reading.read(&bytes, path)? else { continue };
        let len = (bytes.len() - offset) as u64;
        let reason = match fault {
            // A checkpoint gets its name when it is complete: one that is torn is damaged.
            Fault::Torn if is_checkpoint => "the checkpoint is not complete",
            Fault::Torn => "the file ends in the middle of a record",
            Fault::Damaged(reason) => reason,
        };
        let flaw = Flaw { file: path.clone(), offset: offset as u64, len, reason };
        if matches!(fault, Fault::Torn) && !is_checkpoint {
            let file = OpenOptions::new().write(true).open(path);
            let cut =
                file.and_then(|file| file.set_len(offset as u64).and_then(|()| file.sync_all()));
            cut.map_err(LogError::new("cut", path))?;
            replayed.torn.push(flaw);
        } else {
            if log_options.on_damage == OnDamage::Refuse {
                return Err(OpenError::Damaged(flaw));
            }
            aside.push(path.clone());
            replayed.damaged.push(flaw);
        }
    }
    window.finish_replay(Log::new(dir.to_owned(), lock, log_options, newest));
    replayed.series = window.series_count();
    if !aside.is_empty() || files.len() > SEGMENTS_MAX {
        let mut checkpoint = window.checkpoint()?.expect("the window has a log");
        checkpoint.aside = aside;
        checkpoint.write()?;
    }
    Ok((window, replayed))
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let lock = File::create(&path).map_err(LogError::new("create", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(LogError::new("lock", &path)(error).into()),
    }
}

/// The files to read, in order: the newest checkpoint, and the segments after it. What a crash left
/// behind is removed.
fn files(dir: &Path) -> Result<Vec<(u64, String, PathBuf)>, LogError> {
    let mut files = list(dir)?;
    let checkpoints = files.iter().filter(|(_, what, _)| what == CHECKPOINT);
    let newest = checkpoints.map(|(number, _, _)| *number).max().unwrap_or(0);
    for (number, what, path) in &files {
        let replaced = *number < newest && (what == SEGMENT || what == CHECKPOINT);
        if replaced || what == "partial" {
            fs::remove_file(path).map_err(LogError::new("remove", path))?;
        }
    }
    files.retain(|(number, what, _)| *number >= newest && (what == SEGMENT || what == CHECKPOINT));
    // Of one number the checkpoint comes first, as its name does.
    files.sort();
    Ok(files)
}

/// Why reading a file ended before its end.
enum Fault {
    Torn,
    Damaged(&'static str),
}

/// What a record that has its checksum and yet makes no sense is called.
const NONSENSE: &str = "a record says what cannot be";

/// One file that is read, and what its records refer to.
struct Reading<'a> {
    window: &'a mut Window,
    replayed: &'a mut Replayed,
    is_checkpoint: bool,
    series: Vec<(SeriesRef, Labels)>,
    values: Vec<f64>,
    layouts: Vec<(TargetId, Vec<u32>)>,
    at: i64,
    /// The samples of one collection.
    sampled: (Vec<SeriesRef>, Vec<f64>),
    is_complete: bool,
}

impl<'a> Reading<'a> {
    fn new(window: &'a mut Window, replayed: &'a mut Replayed, is_checkpoint: bool) -> Self {
        Self {
            window,
            replayed,
            is_checkpoint,
            series: Vec::new(),
            values: Vec::new(),
            layouts: Vec::new(),
            at: 0,
            sampled: Default::default(),
            is_complete: false,
        }
    }

    /// Reads a file; where it is not whole, from where on and why.
    fn read(&mut self, bytes: &[u8], path: &Path) -> Result<Option<(usize, Fault)>, OpenError> {
        let mut at = MAGIC.len();
        if bytes.len() < at || bytes.iter().all(|byte| *byte == 0) {
            let is_flaw = self.is_checkpoint || !bytes.is_empty();
            return Ok(is_flaw.then_some((0, Fault::Torn)));
        }
        if &bytes[..at] != MAGIC {
            return Ok(Some((0, Fault::Damaged("it does not begin as a file of the log does"))));
        }
        loop {
            match record_at(bytes, at) {
                Found::Record { kind: kind::HEADER, payload, next } => {
                    let version = Reader::new(payload).varint().unwrap_or(0);
                    if version > VERSION {
                        return Err(OpenError::Version { file: path.into(), found: version });
                    }
                    at = next;
                }
                Found::Record { kind, payload, next } => {
                    if self.record(kind, &mut Reader::new(payload)).is_none() {
                        return Ok(Some((at, Fault::Damaged(NONSENSE))));
                    }
                    at = next;
                }
                Found::End if self.is_checkpoint && !self.is_complete => {
                    return Ok(Some((at, Fault::Torn)));
                }
                Found::End => return Ok(None),
                Found::Torn => return Ok(Some((at, Fault::Torn))),
                Found::Damaged(reason) => return Ok(Some((at, Fault::Damaged(reason)))),
            }
        }
    }

    fn record(&mut self, kind: u8, reader: &mut Reader) -> Option<()> {
        match kind {
            kind::SERIES => self.define(reader)?,
            kind::LAYOUT => {
                let target = TargetId::from(reader.text()?);
                let ids = read_ids(reader, self.series.len())?;
                if self.is_checkpoint {
                    let series = ids.iter().map(|id| self.series[*id as usize].0).collect();
                    self.window.restore_target(target, series);
                } else {
                    self.layouts.push((target, ids));
                }
            }
            kind::SAMPLES if !self.is_checkpoint => self.samples(reader)?,
            kind::POINTS if !self.is_checkpoint => self.points(reader)?,
            kind::HISTOGRAM => {
                let (id, at) = (self.id(reader)?, self.at(reader)?);
                let histogram = Arc::new(read_histogram(reader)?);
                let (series, labels) = &self.series[id];
                if self.is_checkpoint {
                    self.window.restore_histogram(*series, at, histogram);
                } else {
                    let commit = self.window.append_histograms(labels, &[(at, histogram)]);
                    self.replayed.samples += 1;
                    self.replayed.rejected += commit.rejected.total() as u64;
                }
            }
            kind::RETIRED if !self.is_checkpoint => {
                let target = TargetId::from(reader.text()?);
                let at = self.at(reader)?;
                self.window.retire_target(&target, at);
            }
            kind::CLOCK if self.is_checkpoint => {
                let (newest, floor) = (TimeMs(reader.signed()?), TimeMs(reader.signed()?));
                self.window.restore_clock((newest.0 != i64::MIN).then_some(newest), floor);
            }
            kind::FAMILY if self.is_checkpoint => {
                let (name, count, columns) = read_family(reader)?;
                let series = self.window.restore_family(name, count, &columns)?;
                // Who they are is not asked again: a checkpoint has its samples before any expire.
                self.series.extend(series.into_iter().map(|series| (series, Labels::empty())));
            }
            kind::BLOCKS if self.is_checkpoint => self.blocks(reader)?,
            kind::END if self.is_checkpoint => {
                self.is_complete = reader.varint()? == self.series.len() as u64;
                self.is_complete.then_some(())?;
            }
            _ => return None,
        }
        reader.is_empty().then_some(())
    }

    fn define(&mut self, reader: &mut Reader) -> Option<()> {
        for _ in 0..reader.count()? {
            let empty = Labels::empty();
            let previous = self.series.last().map_or(&empty, |(_, labels)| labels);
            let labels = read_labels(reader, previous)?;
            // Beyond a memory limit that is lower now the reference is to nothing, and commits count
            // what they refuse.
            let series = self.window.series_ref(&labels).unwrap_or(SeriesRef::NONE);
            self.series.push((series, labels));
            self.values.push(0.0);
        }
        Some(())
    }

    fn id(&self, reader: &mut Reader) -> Option<usize> {
        usize::try_from(reader.varint()?).ok().filter(|id| *id < self.series.len())
    }

    fn at(&mut self, reader: &mut Reader) -> Option<TimeMs> {
        self.at = self.at.wrapping_add(reader.signed()?);
        Some(TimeMs(self.at))
    }

    /// The series of a number, which may have expired since by a retention that is shorter now.
    fn current(&mut self, id: usize) -> SeriesRef {
        let (series, labels) = &mut self.series[id];
        if !self.window.is_current(*series) {
            *series = self.window.series_ref(labels).unwrap_or(SeriesRef::NONE);
        }
        *series
    }

    fn points(&mut self, reader: &mut Reader) -> Option<()> {
        let count = reader.count()?;
        let mut points = Vec::with_capacity(count);
        for _ in 0..count {
            let (id, at) = (self.id(reader)?, self.at(reader)?);
            let value = read_change(reader, self.values[id])?;
            self.values[id] = value;
            points.push((id, Sample { at, value }));
        }
        if let Some(newest) = points.iter().map(|(_, sample)| sample.at).max() {
            self.window.advance(newest);
        }
        let points = points.into_iter().map(|(id, sample)| (self.current(id), sample));
        let points: Vec<_> = points.collect();
        let commit = self.window.append_refs(&points);
        self.replayed.samples += count as u64;
        self.replayed.rejected += commit.rejected.total() as u64;
        Some(())
    }

    fn samples(&mut self, reader: &mut Reader) -> Option<()> {
        let layout = usize::try_from(reader.varint()?).ok()?;
        let at = self.at(reader)?;
        let (target, ids) = self.layouts.get_mut(layout)?;
        let (target, ids) = (target.clone(), std::mem::take(ids));
        let (is_all, bits): (bool, &[u8]) = match reader.byte()? {
            changes::NONE => (false, &[]),
            changes::ALL => (true, &[]),
            changes::SOME => (false, reader.take(ids.len().div_ceil(8))?),
            _ => return None,
        };
        // Before series are asked for: what has no sample yet goes with what expires.
        self.window.advance(at);
        let (mut series, mut sampled) = std::mem::take(&mut self.sampled);
        series.clear();
        sampled.clear();
        for (index, id) in ids.iter().enumerate() {
            let value = &mut self.values[*id as usize];
            if is_all || bits.get(index / 8).is_some_and(|byte| byte & 1 << (index % 8) != 0) {
                *value = read_change(reader, *value)?;
            }
            sampled.push(*value);
            series.push(self.current(*id as usize));
        }
        self.layouts[layout].1 = ids;
        let commit = self.window.restore_target_samples(&target, at, &series, &sampled);
        self.replayed.samples += series.len() as u64;
        self.replayed.rejected += commit.rejected.total() as u64;
        self.sampled = (series, sampled);
        Some(())
    }

    fn blocks(&mut self, reader: &mut Reader) -> Option<()> {
        let first = usize::try_from(reader.varint()?).ok()?;
        let count = reader.count()?;
        let series = self.series.get(first..first.checked_add(count)?)?;
        for (series, _) in series {
            let is_known = *series != SeriesRef::NONE;
            for _ in 0..reader.count()? {
                let (first_at, bytes) = block(reader)?;
                if is_known {
                    self.window.restore_block(*series, first_at, bytes, false)?;
                }
            }
            let (first_at, bytes) = block(reader)?;
            if is_known && !bytes.is_empty() {
                self.window.restore_block(*series, first_at, bytes, true)?;
            }
            let (first_at, bytes) = block(reader)?;
            let (mut packs, mut pack) = (Reader::new(bytes), Unpacked::new());
            let mut stream = Stream::new(first_at.0);
            while is_known && !packs.is_empty() {
                unpack(&mut packs, &mut stream, i64::MIN, &mut pack)?;
                for (at, value) in pack.times().iter().zip(pack.values()) {
                    let sample = Sample { at: TimeMs(*at), value: *value };
                    self.window.restore_sample(*series, sample)?;
                }
            }
        }
        Some(())
    }
}

fn block<'a>(reader: &mut Reader<'a>) -> Option<(TimeMs, &'a [u8])> {
    let first_at = TimeMs(reader.signed()?);
    let len = reader.count()?;
    Some((first_at, reader.take(len)?))
}
