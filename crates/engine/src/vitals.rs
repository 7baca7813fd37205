//! What the engine counts of its own work since its start, for whoever watches the watcher.
//!
//! Durations are measured with tokio's clock, so they are zero in virtual time and a drill stays the
//! same whichever machine runs it. No decision reads them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use paramedic_model::TimeMs;
use paramedic_rules::{Group, Round};
use paramedic_samples::{Commit, Rejected};

/// How many of the latest rounds quantiles are taken of.
const RECENT_MAX: usize = 1024;

/// Of the evaluation of rules.
#[derive(Debug, Clone, Default)]
pub struct RuleVitals {
    groups: BTreeMap<String, GroupVitals>,
    rounds: u64,
    duration: Duration,
    recent: VecDeque<Duration>,
}

/// Of one group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupVitals {
    /// How many rounds there were, without those that were missed.
    pub rounds: u64,
    /// How many were not held because the one before was not done in time.
    pub missed: u64,
    /// How many rules were evaluated, failures included.
    pub evaluations: u64,
    /// How many of them failed.
    pub failures: u64,
    /// How long the last round took.
    pub last_duration: Duration,
    /// How many samples the last round wrote, staleness markers included.
    pub last_samples: usize,
}

impl RuleVitals {
    /// Counts a round of `group` that took `duration`; `previous` is when the one before was.
    pub(crate) fn count(
        &mut self,
        group: &Group,
        previous: Option<TimeMs>,
        round: &Round,
        duration: Duration,
    ) {
        let vitals = self.groups.entry(group.key()).or_default();
        vitals.rounds += 1;
        vitals.missed += missed(previous, round.at, group.interval());
        vitals.evaluations += group.rules().len() as u64;
        vitals.failures += round.failures.len() as u64;
        vitals.last_duration = duration;
        vitals.last_samples = round.samples;
        self.rounds += 1;
        self.duration += duration;
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(duration);
    }

    /// Of each group that was evaluated, by its [key](Group::key).
    pub fn groups(&self) -> &BTreeMap<String, GroupVitals> {
        &self.groups
    }

    /// How many rounds of groups there were, and how long they took together.
    pub fn total(&self) -> (u64, Duration) {
        (self.rounds, self.duration)
    }

    /// The durations that these shares of the latest 1,024 rounds did not exceed; `None` before the
    /// first round. A share is from 0 to 1.
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[Duration; N]> {
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        let rank = |share: f64| (share * sorted.len() as f64).ceil() as usize;
        Some(shares.map(|share| sorted[rank(share).saturating_sub(1).min(last)]))
    }
}

/// How many whole intervals passed without a round between two.
fn missed(previous: Option<TimeMs>, at: TimeMs, interval: Duration) -> u64 {
    let Some(previous) = previous else { return 0 };
    let intervals = at.since(previous).as_millis() / interval.as_millis().max(1);
    u64::try_from(intervals).unwrap_or(u64::MAX).saturating_sub(1)
}

/// Of samples that came in from targets and senders; what rules write is not among them.
#[derive(Debug, Clone, Copy, Default)]
pub struct IngestVitals {
    /// How many samples were taken, staleness markers not counted.
    pub appended: u64,
    /// How many samples were older than their series allows.
    pub out_of_order: u64,
    /// How many samples contradicted another one of their moment.
    pub duplicate: u64,
    /// How many samples were older than what is kept, or stated a time that is too far ahead.
    pub expired: u64,
    /// How many samples were of series beyond the memory limit.
    pub over_limit: u64,
    /// How many samples were taken but not logged: a restart would not find them.
    pub unlogged: u64,
}

impl IngestVitals {
    pub(crate) fn count(&mut self, commit: &Commit) {
        let Rejected { out_of_order, duplicate, expired, ahead, over_limit, .. } = commit.rejected;
        self.appended += commit.accepted as u64;
        self.out_of_order += out_of_order as u64;
        self.duplicate += duplicate as u64;
        self.expired += (expired + ahead) as u64;
        self.over_limit += over_limit as u64;
        if commit.unlogged.is_some() {
            self.unlogged += commit.accepted as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_missed_when_a_whole_interval_had_none() {
        let s = |s: i64| TimeMs(s * 1000);
        let check = |previous, at, expected| {
            assert_eq!(missed(previous, at, Duration::from_secs(15)), expected);
        };
        check(None, s(100), 0);
        check(Some(s(15)), s(16), 0);
        check(Some(s(15)), s(30), 0);
        check(Some(s(15)), s(44), 0);
        check(Some(s(15)), s(45), 1);
        check(Some(s(15)), s(90), 4);
        // A clock that was set back misses nothing.
        check(Some(s(15)), s(0), 0);
    }

    #[test]
    fn samples_that_were_not_logged_are_counted() {
        let mut vitals = IngestVitals::default();
        let mut commit = Commit { accepted: 3, ..Commit::default() };
        commit.rejected.over_limit = 2;
        (commit.rejected.expired, commit.rejected.ahead) = (1, 2);
        vitals.count(&commit);
        commit.unlogged = Some(paramedic_samples::LogError {
            file: "1.segment".into(),
            action: "write",
            reason: "no space".to_owned(),
            kind: std::io::ErrorKind::StorageFull,
        });
        vitals.count(&commit);
        assert_eq!((vitals.appended, vitals.over_limit, vitals.unlogged), (6, 4, 3));
        assert_eq!(vitals.expired, 6);
    }

    #[test]
    fn quantiles_are_of_the_latest_rounds() {
        let mut vitals = RuleVitals::default();
        assert_eq!(vitals.quantiles([0.5]), None);
        vitals.recent = (1..=100).rev().map(Duration::from_millis).collect();
        let ms = [0.01, 0.5, 0.99, 1.0].map(|share| vitals.quantiles([share]).unwrap()[0]);
        assert_eq!(ms, [1, 50, 99, 100].map(Duration::from_millis));
    }
}
