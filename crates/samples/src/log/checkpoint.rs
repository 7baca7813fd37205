//! A checkpoint: a whole window in one file, which replaces what was logged before.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use paramedic_model::TimeMs;
use paramedic_promql::{Column, Family, FamilyId, NO_VALUE, RowRef, Source};

use super::frame::put_record;
use super::records::{LabelColumn, kind, put_family, put_histogram, put_ids, put_target};
use super::{CHECKPOINT, LogError, SEGMENT, file_path, header, sync_dir};
use crate::codec::{PACK, Stream, put_signed, put_varint};
use crate::{SeriesRef, Snapshot, TargetId};

/// How many series have their blocks in one record.
const SERIES_PER_RECORD: usize = 1024;

/// What a series is numbered as that is not in the checkpoint.
const ABSENT: u32 = u32::MAX;

/// A checkpoint that is to be written: a window as it was at one moment.
///
/// It holds a snapshot and shares nothing else with the window, so another thread can write it while
/// commits go on. Dropping it is harmless: the log is longer then.
#[derive(Debug)]
pub struct Checkpoint {
    pub(crate) dir: PathBuf,
    pub(crate) number: u64,
    pub(crate) data: Snapshot,
    pub(crate) targets: Vec<(TargetId, Vec<SeriesRef>)>,
    pub(crate) newest_commit: Option<TimeMs>,
    /// Files that are to be renamed once their content is safe.
    pub(crate) aside: Vec<PathBuf>,
}

impl Checkpoint {
    /// Writes the file, makes it durable, and removes the files that it replaces.
    ///
    /// # Errors
    ///
    /// A file could not be written; the log is as good as before, but longer.
    pub fn write(self) -> Result<(), LogError> {
        let path = file_path(&self.dir, self.number, CHECKPOINT);
        let partial = path.with_extension("partial");
        let file = File::create(&partial).map_err(LogError::new("create", &partial))?;
        let mut file = BufWriter::new(file);
        self.write_records(&mut file).map_err(LogError::new("write", &partial))?;
        let file = file.into_inner().map_err(|error| error.into_error());
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(LogError::new("write", &partial))?;
        fs::rename(&partial, &path).map_err(LogError::new("rename", &partial))?;
        sync_dir(&self.dir)?;
        for path in &self.aside {
            let mut name = path.clone().into_os_string();
            name.push(".damaged");
            fs::rename(path, &name).map_err(LogError::new("rename", path))?;
        }
        for (number, what, path) in list(&self.dir)? {
            if number < self.number && (what == SEGMENT || what == CHECKPOINT) {
                fs::remove_file(&path).map_err(LogError::new("remove", &path))?;
            }
        }
        Ok(())
    }

    fn write_records(&self, file: &mut impl Write) -> std::io::Result<()> {
        let mut buffer = header(self.number, true);
        put_record(&mut buffer, kind::CLOCK, |out| {
            put_signed(out, self.newest_commit.map_or(i64::MIN, |at| at.0));
            put_signed(out, self.data.floor.0);
        });
        let rows = self.rows();
        let mut first = 0;
        for rows in rows.chunk_by(|a, b| a.family == b.family) {
            let family = self.data.family(rows[0].family);
            let columns: Vec<_> =
                family.columns.iter().map(|column| self.column(column, rows)).collect();
            put_record(&mut buffer, kind::FAMILY, |out| {
                put_family(out, family.name, rows.len(), &columns);
            });
            for rows in rows.chunks(SERIES_PER_RECORD) {
                put_record(&mut buffer, kind::BLOCKS, |out| {
                    put_varint(out, first);
                    put_varint(out, rows.len() as u64);
                    rows.iter().for_each(|row| self.put_row(*row, out));
                });
                file.write_all(&buffer)?;
                buffer.clear();
                first += rows.len() as u64;
            }
        }
        let ids = self.ids(&rows);
        let mut at = 0;
        for (id, row) in rows.iter().enumerate() {
            let (chunk, index) = self.data.families[row.family.0 as usize].chunk(row.row);
            for (moment, histogram) in chunk.histograms(index) {
                put_record(&mut buffer, kind::HISTOGRAM, |out| {
                    put_varint(out, id as u64);
                    put_signed(out, moment.0.wrapping_sub(at));
                    put_histogram(out, histogram);
                });
                at = moment.0;
            }
        }
        for (target, series) in &self.targets {
            let id = |series: &SeriesRef| {
                let rows = ids.get(series.family as usize);
                rows.and_then(|rows| rows.get(series.row as usize)).copied()
            };
            let known = series.iter().filter_map(id).filter(|id| *id != ABSENT);
            let known: Vec<u32> = known.collect();
            put_record(&mut buffer, kind::LAYOUT, |out| {
                put_target(out, target.as_ref());
                put_ids(out, known.into_iter());
            });
        }
        put_record(&mut buffer, kind::END, |out| put_varint(out, rows.len() as u64));
        file.write_all(&buffer)
    }

    /// The rows with samples, numbered as the file does.
    fn rows(&self) -> Vec<RowRef> {
        let families = (0..self.data.family_count() as u32).map(FamilyId);
        let rows = families.flat_map(|family| {
            let newest = self.data.family(family).newest_at.iter().enumerate();
            let used = newest.filter(|(_, at)| **at != Family::NEVER);
            used.map(move |(row, _)| RowRef { family, row: row as u32 })
        });
        rows.collect()
    }

    /// A label of some rows of its family.
    fn column<'a>(&'a self, column: &'a Column, rows: &[RowRef]) -> LabelColumn<'a> {
        let mut values = Vec::new();
        // The dictionary may have values that no row has any more.
        let mut renamed = vec![0; column.values.len()];
        let codes = rows.iter().map(|row| {
            let code = column.codes[row.row as usize];
            let new = &mut renamed[code as usize];
            if *new == 0 && code != NO_VALUE {
                values.push(self.data.text(column.values[code as usize]));
                *new = values.len() as u32;
            }
            *new
        });
        let codes = codes.collect();
        LabelColumn { name: &column.name, values, codes }
    }

    /// Per family and row, its number in the file.
    fn ids(&self, rows: &[RowRef]) -> Vec<Vec<u32>> {
        let families = self.data.families.iter();
        let mut ids: Vec<_> = families.map(|family| vec![ABSENT; family.row_count()]).collect();
        for (id, row) in rows.iter().enumerate() {
            ids[row.family.0 as usize][row.row as usize] = id as u32;
        }
        ids
    }

    /// Appends the blocks of a row: sealed ones, the one that grows, and what is not packed.
    fn put_row(&self, row: RowRef, out: &mut Vec<u8>) {
        let (chunk, index) = self.data.families[row.family.0 as usize].chunk(row.row);
        let history = chunk.history(index);
        let sealed = history.sealed();
        put_varint(out, sealed.len() as u64);
        sealed.for_each(|block| put_block(out, block));
        // An empty block stands where there is none.
        put_block(out, history.open().unwrap_or((TimeMs(0), &[])));
        let mut tail = Vec::new();
        let (mut times, mut values) = (Vec::with_capacity(PACK), Vec::with_capacity(PACK));
        for sample in chunk.tail(index) {
            times.push(sample.at.0);
            values.push(sample.value);
        }
        let first_at = times.first().copied().unwrap_or(0);
        if !times.is_empty() {
            Stream::new(first_at).pack(&times, &values, &mut tail);
        }
        put_block(out, (TimeMs(first_at), &tail));
    }
}

fn put_block(out: &mut Vec<u8>, (first_at, bytes): (TimeMs, &[u8])) {
    put_signed(out, first_at.0);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// The files of the log with their numbers and kinds, in no order.
pub(super) fn list(dir: &std::path::Path) -> Result<Vec<(u64, String, PathBuf)>, LogError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(LogError::new("read", dir))? {
        let path = entry.map_err(LogError::new("read", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((number, what)) = name.split_once('.') else { continue };
        if let Ok(number) = number.parse() {
            found.push((number, what.to_owned(), path.clone()));
        }
    }
    Ok(found)
}
