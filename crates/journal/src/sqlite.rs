use std::path::Path;

use paramedic_model::{IncidentId, TimeMs};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::{Batch, Contents, Event, GroupRow, Journal, JournalError, chain};

/// The format that this version writes, kept in SQLite's `user_version`.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE events (
        seq      INTEGER PRIMARY KEY,
        incident INTEGER NOT NULL,
        at_ms    INTEGER NOT NULL,
        kind     TEXT NOT NULL,
        body     TEXT NOT NULL,
        hash     BLOB NOT NULL
    ) STRICT;
    CREATE TABLE groups (
        key             TEXT PRIMARY KEY,
        evaluated_at_ms INTEGER NOT NULL,
        state           TEXT NOT NULL
    ) STRICT;
";

/// A journal in an SQLite file.
///
/// Every commit is one transaction, synced to the disk before it returns. The file is locked for
/// as long as it is open, so that two servers never write one journal.
pub struct SqliteJournal {
    connection: Connection,
    /// The hash of the newest event; zeros before the first.
    head: [u8; 32],
}

impl SqliteJournal {
    /// Opens the journal at `path`, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// A file that another process has open, of a later format, or that is no journal.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let shown = path.display().to_string();
        let mut connection = Connection::open(path)?;
        let prepared = prepare(&mut connection);
        let found = prepared.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                JournalError::InUse { path: shown.clone() }
            }
            _ => error.into(),
        })?;
        if found > FORMAT {
            return Err(JournalError::Format { path: shown, found, known: FORMAT });
        }
        let head = connection
            .query_row("SELECT hash FROM events ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
            .optional()?;
        Ok(Self { connection, head: head.unwrap_or_default() })
    }
}

/// Locks the file, makes the tables of a new one, and returns its format.
fn prepare(connection: &mut Connection) -> Result<i64, rusqlite::Error> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // An immediate transaction takes the lock now rather than at the first commit.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let format = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    transaction.commit()?;
    Ok(format)
}

impl Journal for SqliteJournal {
    fn load(&mut self) -> Result<Contents, JournalError> {
        let mut contents = Contents::default();
        let mut previous = [0; 32];
        let mut statement = self
            .connection
            .prepare("SELECT incident, at_ms, kind, body, hash FROM events ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let event = Event {
                incident: IncidentId(row.get::<_, i64>(0)?.cast_unsigned()),
                at: TimeMs(row.get(1)?),
                kind: row.get(2)?,
                body: row.get(3)?,
            };
            let hash: [u8; 32] = row.get(4)?;
            if chain(&previous, &event) != hash {
                return Err(JournalError::Chain { seq: contents.events.len() as u64 + 1 });
            }
            previous = hash;
            contents.events.push(event);
        }
        let mut statement =
            self.connection.prepare("SELECT key, evaluated_at_ms, state FROM groups")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let group = GroupRow { evaluated_at: TimeMs(row.get(1)?), state: row.get(2)? };
            contents.groups.insert(row.get(0)?, group);
        }
        Ok(contents)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let mut head = self.head;
        let transaction = self.connection.transaction()?;
        for event in &batch.events {
            head = chain(&head, event);
            let incident = event.incident.0.cast_signed();
            transaction
                .prepare_cached(
                    "INSERT INTO events (incident, at_ms, kind, body, hash) VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![incident, event.at.0, event.kind, event.body, head])?;
        }
        for (key, group) in &batch.groups {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)")?
                .execute(params![key, group.evaluated_at.0, group.state])?;
        }
        transaction.commit()?;
        self.head = head;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        let (kind, body) = ("noted".to_owned(), text.to_owned());
        Event { incident: IncidentId(1), at: TimeMs(5), kind, body }
    }

    fn batch(texts: &[&str]) -> Batch {
        Batch { events: texts.iter().map(|text| event(text)).collect(), ..Batch::default() }
    }

    #[test]
    fn what_was_committed_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut journal = SqliteJournal::open(&path).unwrap();
        journal.commit(&batch(&["a", "b"])).unwrap();
        let mut second = batch(&["c"]);
        let row = GroupRow { evaluated_at: TimeMs(7), state: "{}".to_owned() };
        second.groups.insert("g".to_owned(), row.clone());
        journal.commit(&second).unwrap();
        drop(journal);
        let mut journal = SqliteJournal::open(&path).unwrap();
        journal.commit(&batch(&["d"])).unwrap();
        let contents = journal.load().unwrap();
        assert_eq!(contents.events, ["a", "b", "c", "d"].map(event));
        assert_eq!(contents.groups["g"], row);
    }

    #[test]
    fn two_servers_cannot_share_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let _first = SqliteJournal::open(&path).unwrap();
        assert!(matches!(SqliteJournal::open(&path), Err(JournalError::InUse { .. })));
    }

    #[test]
    fn a_changed_event_is_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut journal = SqliteJournal::open(&path).unwrap();
        journal.commit(&batch(&["a", "b", "c"])).unwrap();
        journal.connection.execute("UPDATE events SET body = 'x' WHERE seq = 2", []).unwrap();
        assert!(matches!(journal.load(), Err(JournalError::Chain { seq: 2 })));
    }

    #[test]
    fn a_later_format_and_a_foreign_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = SqliteJournal::open(&path).unwrap();
        journal.connection.pragma_update(None, "user_version", 99).unwrap();
        drop(journal);
        assert!(matches!(SqliteJournal::open(&path), Err(JournalError::Format { found: 99, .. })));
        let foreign = folder.path().join("foreign.db");
        std::fs::write(&foreign, "no database at all, but long enough to be looked at").unwrap();
        assert!(matches!(SqliteJournal::open(&foreign), Err(JournalError::Storage(_))));
    }
}
