//! The words of a commit: who, what it did, what was refused.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::LogError;

/// Who yields a whole set of series each time: a scrape target, or a rule that writes series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(Arc<str>);

impl<T: Into<Arc<str>>> From<T> for TargetId {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for TargetId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What one commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The metric names of which some series appeared, ended or got another value.
    pub changed: BTreeSet<Arc<str>>,
    /// How many samples were taken, staleness markers not counted. A sample that its series has
    /// already, with the same value, counts as taken.
    pub accepted: usize,
    /// How many were not.
    pub rejected: Rejected,
    /// Why the log does not have all that is due: readers see the commit, a restart may not. The next
    /// commit tries a new file.
    pub unlogged: Option<LogError>,
}

impl Commit {
    /// Adds what another commit did.
    pub fn merge(&mut self, other: Commit) {
        self.changed.extend(other.changed);
        self.accepted += other.accepted;
        self.unlogged = self.unlogged.take().or(other.unlogged);
        self.rejected.out_of_order += other.rejected.out_of_order;
        self.rejected.duplicate += other.rejected.duplicate;
        self.rejected.expired += other.rejected.expired;
        self.rejected.ahead += other.rejected.ahead;
        self.rejected.over_limit += other.rejected.over_limit;
        self.rejected.unknown += other.rejected.unknown;
    }
}

/// How many samples were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Older than the newest sample of their series, and than the out-of-order window allows.
    pub out_of_order: usize,
    /// At the moment of another sample of their series, with another value.
    pub duplicate: usize,
    /// Older than what the window keeps.
    pub expired: usize,
    /// Further ahead of the present than whoever takes them allows.
    pub ahead: usize,
    /// Of series that would be new, while the memory limit is reached.
    pub over_limit: usize,
    /// Of a [`SeriesRef`](crate::SeriesRef) whose series is gone: ask for a new one.
    pub unknown: usize,
}

impl Rejected {
    /// Whether samples were not taken for all the reasons of `other`.
    pub fn has_reasons_of(self, other: &Self) -> bool {
        [
            (self.out_of_order, other.out_of_order),
            (self.duplicate, other.duplicate),
            (self.expired, other.expired),
            (self.ahead, other.ahead),
            (self.over_limit, other.over_limit),
            (self.unknown, other.unknown),
        ]
        .iter()
        .all(|(own, others)| *others == 0 || *own > 0)
    }

    /// All of them.
    pub fn total(self) -> usize {
        let times = self.out_of_order + self.duplicate + self.expired + self.ahead;
        times + self.over_limit + self.unknown
    }
}

/// The reasons that apply, each with its number: `samples not taken: 2 late, 1 twice`.
impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = [
            (self.out_of_order, "late"),
            (self.duplicate, "twice"),
            (self.expired, "older than the window"),
            (self.ahead, "too far ahead"),
            (self.over_limit, "of new series beyond the memory limit"),
            (self.unknown, "of series that are gone"),
        ];
        let mut separator = "samples not taken: ";
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {reason}")?;
            separator = ", ";
        }
        Ok(())
    }
}
