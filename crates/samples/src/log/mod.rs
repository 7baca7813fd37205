//! The write-ahead log: what a window keeps over a restart.
//!
//! ```text
//! lock                  held while a window is open
//! 00000007.checkpoint   all that the window held before segment 7
//! 00000007.segment      commits, in order
//! 00000008.segment      goes on where 7 grew too large, or after a restart
//! ```
//!
//! A commit is written before it returns. A checkpoint is written beside the commits, from a
//! snapshot, and replaces every file with a lower number. Segments of which every sample is older
//! than the retention go with the next checkpoint.
//!
//! # Invariants
//!
//! - Every file stands alone: it names the series and targets that it speaks of.
//! - Nothing is appended to a file that was there at the start, or to one that could not be written.
//! - A file ends with the last record, or in the middle of one that no caller was told of. What is
//!   after a torn record is cut off, what is after a damaged one is put aside, and both are reported.
//!
//! Not here: what a commit means (`window.rs`); the bytes of a record (`records.rs`, `frame.rs`).

mod checkpoint;
mod frame;
mod records;
mod replay;
mod write;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use checkpoint::Checkpoint;
pub(crate) use records::LabelColumn;
pub(crate) use replay::open;
pub(crate) use write::{Layout, Log};

/// When what was written is forced to the disk.
///
/// With each of them a commit that returned survives the end of the process, however it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before each commit returns: a commit that returned survives a power cut. Costs a write to the
    /// disk per commit.
    Always,
    /// With the first commit whose time is so much after the last one that forced it: a power cut
    /// loses at most what was committed within that time.
    Interval(Duration),
    /// When the system pleases, mostly within half a minute.
    Never,
}

/// What is done with a file in which something else stands than was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// Keeps what stands before it, renames the file to `NAME.damaged`, and says so.
    SetAside,
    /// Refuses to open the window, and changes nothing.
    Refuse,
}

/// The settings of a log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// When it is forced to the disk. Default: every 5 s.
    pub fsync: Fsync,
    /// A segment that has so many bytes is followed by a new one. Default: 64 MiB.
    pub segment_bytes: u64,
    /// Once so many bytes were logged since the last checkpoint, and at least a quarter of what the
    /// window takes in memory, a thread writes one while commits go on: what a restart has to replay
    /// stays within that. `None`: only when it is asked for. Default: 8 MiB.
    pub checkpoint_bytes: Option<u64>,
    /// What is done about damage. Default: the file is set aside.
    pub on_damage: OnDamage,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            fsync: Fsync::Interval(Duration::from_secs(5)),
            segment_bytes: 64 << 20,
            checkpoint_bytes: Some(8 << 20),
            on_damage: OnDamage::SetAside,
        }
    }
}

/// What was found when a window was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many series have samples.
    pub series: usize,
    /// How many samples were read from segments, those of a checkpoint not counted.
    pub samples: u64,
    /// How many of them the window did not take: expired since, or over a limit that is lower now.
    pub rejected: u64,
    /// How many files were read.
    pub files: usize,
    /// Files that ended in the middle of a record, and were cut.
    pub torn: Vec<Flaw>,
    /// Files that were damaged, and were set aside.
    pub damaged: Vec<Flaw>,
}

/// A place of a file where it is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The file, as it was named when it was found.
    pub file: PathBuf,
    /// The byte at which the record begins that cannot be read.
    pub offset: u64,
    /// How many bytes there are from it to the end of the file.
    pub len: u64,
    /// What is wrong, in a few words.
    pub reason: &'static str,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, len, reason } = self;
        write!(f, "{}: byte {offset}: {reason} ({len} bytes from there on)", file.display())
    }
}

/// Why a window cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A later version wrote it.
    #[error("{} has the format {found}; this version reads up to {}", .file.display(), records::VERSION)]
    Version {
        /// The file.
        file: PathBuf,
        /// The version of its format.
        found: u64,
    },
    /// It is damaged, and [`OnDamage::Refuse`] is set.
    #[error("{0}")]
    Damaged(Flaw),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] LogError),
}

/// Why something could not be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not {action} {}: {reason}", .file.display())]
pub struct LogError {
    /// The file.
    pub file: PathBuf,
    /// What was tried: `write`, `create`.
    pub action: &'static str,
    /// What the system says.
    pub reason: String,
    /// The kind of it.
    pub kind: io::ErrorKind,
}

impl LogError {
    fn new(action: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self {
            file: file.to_owned(),
            action,
            reason: error.to_string(),
            kind: error.kind(),
        }
    }
}

const SEGMENT: &str = "segment";
const CHECKPOINT: &str = "checkpoint";

fn file_path(dir: &Path, number: u64, what: &str) -> PathBuf {
    dir.join(format!("{number:08}.{what}"))
}

/// Makes the names in a directory durable, where the system can.
fn sync_dir(dir: &Path) -> Result<(), LogError> {
    // Windows cannot open a directory; there a rename is durable by itself.
    if cfg!(windows) {
        return Ok(());
    }
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(LogError::new("sync", dir))
}

/// The beginning of a file of the log.
fn header(number: u64, is_checkpoint: bool) -> Vec<u8> {
    let mut out = frame::MAGIC.to_vec();
    frame::put_record(&mut out, records::kind::HEADER, |out| {
        crate::codec::put_varint(out, records::VERSION);
        out.push(u8::from(is_checkpoint));
        crate::codec::put_varint(out, number);
    });
    out
}
