use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Batch, Contents, Journal, JournalError};

/// A journal in memory, which outlives the engine that writes it and crashes on request.
///
/// Clones share the contents: a test keeps one, gives one to an engine, lets it crash, and gives
/// another to the next engine.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    contents: Contents,
    commits: u64,
    crash: Option<Crash>,
}

#[derive(Debug, Clone, Copy)]
struct Crash {
    /// The number of the commit that fails, from 0.
    at: u64,
    /// Whether that commit is written before the crash, as when the machine dies on the way back.
    written: bool,
}

impl MemoryJournal {
    /// The commit numbered `at` (from 0, since the start) and all after it fail. With `written`,
    /// that one commit is kept all the same.
    pub fn crash_at(&self, at: u64, written: bool) {
        self.lock().crash = Some(Crash { at, written });
    }

    /// No more crashes.
    pub fn recover(&self) {
        self.lock().crash = None;
    }

    /// How many commits were tried.
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// What it holds now.
    pub fn contents(&self) -> Contents {
        self.lock().contents.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn load(&mut self) -> Result<Contents, JournalError> {
        Ok(self.contents())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let mut state = self.lock();
        let number = state.commits;
        state.commits += 1;
        let crash = state.crash.filter(|crash| number >= crash.at);
        if crash.is_none_or(|crash| crash.written && number == crash.at) {
            state.contents.events.extend(batch.events.iter().cloned());
            state.contents.groups.extend(batch.groups.clone());
        }
        match crash {
            Some(_) => Err(JournalError::Crash),
            None => Ok(()),
        }
    }
}
