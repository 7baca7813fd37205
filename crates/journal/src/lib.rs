//! The durable log: what happened to incidents, and the state of the alert rules.
//!
//! An event that [`Journal::commit`] has returned for survives a crash. Events are append-only and
//! hash-chained: each carries the SHA-256 of its content and of the event before it, so a change
//! or a gap is found when the journal is read. Alert states are rows that are replaced, one
//! transaction per round together with the events of that round.
//!
//! Bodies are opaque texts here. What an event means is the affair of `incident`; when to write is
//! the affair of `engine`.

mod memory;
mod sqlite;

use std::collections::BTreeMap;

use paramedic_model::{IncidentId, TimeMs};
use sha2::{Digest, Sha256};

pub use memory::MemoryJournal;
pub use sqlite::SqliteJournal;

/// Where the log is kept. One writer at a time.
pub trait Journal: Send {
    /// Everything that was committed, oldest first.
    ///
    /// # Errors
    ///
    /// Storage that cannot be read, or a broken chain.
    fn load(&mut self) -> Result<Contents, JournalError>;

    /// Writes all of `batch` or nothing of it; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// Storage that cannot be written. The caller must then stop: it can no longer keep promises.
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError>;
}

/// What is written in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events, in order.
    pub events: Vec<Event>,
    /// The new state of the groups that were evaluated, by their key.
    pub groups: BTreeMap<String, GroupRow>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.groups.is_empty()
    }
}

/// One thing that happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// To which.
    pub incident: IncidentId,
    /// When.
    pub at: TimeMs,
    /// What, as a word.
    pub kind: String,
    /// All about it, as JSON.
    pub body: String,
}

/// The state of one group of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// Until when it is known: its last evaluation, or a later moment at which nothing had changed.
    pub evaluated_at: TimeMs,
    /// Its alerts, as JSON.
    pub state: String,
}

/// Everything that a journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// All events, oldest first.
    pub events: Vec<Event>,
    /// The last state of each group.
    pub groups: BTreeMap<String, GroupRow>,
}

/// Why the journal cannot be read or written. Messages follow "journal: ".
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it open.
    #[error(
        "{path} is in use by another process; stop that one, or give this one a directory of its own"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// It was written by a later version of Paramedic.
    #[error("{path} has format {found}, and this version reads formats up to {known}")]
    Format {
        /// The file.
        path: String,
        /// Its format.
        found: i64,
        /// The last format that this version knows.
        known: i64,
    },
    /// An event is not the one that was written.
    #[error("event {seq} does not fit its hash: the file was changed or damaged there")]
    Chain {
        /// The number of the event, from 1.
        seq: u64,
    },
    /// The storage says no.
    #[error("storage")]
    Storage(#[from] rusqlite::Error),
    /// A crash that a test asked for.
    #[error("crashed on purpose")]
    Crash,
}

/// The hash of `event` where the one before it has the hash `previous`.
fn chain(previous: &[u8; 32], event: &Event) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(event.incident.0.to_be_bytes());
    hash.update(event.at.0.to_be_bytes());
    // Lengths in front, so that no two events read the same.
    for text in [&event.kind, &event.body] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().into()
}
