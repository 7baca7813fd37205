//! When a group runs.
//!
//! ```text
//!   slots of the interval   |           |           |           |       (all groups)
//!   commits that matter        x x x          x
//!   a `for` comes due                    o                              (`evaluation: data`)
//!   evaluations             |  x   x     |o    x    |           |
//!                              <-1s->
//! ```
//!
//! Slots are `k * interval + jitter` from the epoch, where the jitter is a hash of file and name:
//! groups spread over the interval, and each keeps its place over restarts. What a group on data
//! does besides happens at once, and then at most once a second.

use std::collections::BTreeSet;
use std::time::Duration;

use paramedic_model::{Labels, TimeMs};
use paramedic_promql::ReadSet;

use crate::file::{GroupSpec, Trigger};

/// The shortest time between an evaluation and the next one that data or a `for` asks for.
pub const DATA_PACE: Duration = Duration::from_secs(1);

/// When one group runs. Pure: it is told what happens, and asked when.
#[derive(Clone, Debug)]
pub struct Schedule {
    trigger: Trigger,
    interval_ms: i64,
    jitter_ms: i64,
    reads: ReadSet,
    started_at: TimeMs,
    evaluated_at: Option<TimeMs>,
    /// The first commit since the last evaluation that changed what the group reads.
    changed_at: Option<TimeMs>,
}

impl Schedule {
    /// The schedule of the group `key`, from `now` on.
    pub(crate) fn new(key: &str, spec: &GroupSpec, interval: Duration, now: TimeMs) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let hash = Labels::from([("group", key)]).fingerprint().0;
        let jitter_ms = i64::try_from(hash % interval_ms.unsigned_abs()).unwrap_or(0);
        let mut names = BTreeSet::new();
        let mut reads_all = false;
        for rule in &spec.rules {
            match rule.expr().reads() {
                ReadSet::Names(read) => names.extend(read.iter().cloned()),
                ReadSet::All => reads_all = true,
            }
        }
        Self {
            trigger: spec.evaluation,
            interval_ms,
            jitter_ms,
            reads: if reads_all { ReadSet::All } else { ReadSet::Names(names) },
            started_at: now,
            evaluated_at: None,
            changed_at: None,
        }
    }

    /// How often the group runs at least.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.unsigned_abs())
    }

    /// What makes the group run.
    pub fn trigger(&self) -> Trigger {
        self.trigger
    }

    /// The families that its rules read.
    pub fn reads(&self) -> &ReadSet {
        &self.reads
    }

    /// When the group was last evaluated.
    pub fn evaluated_at(&self) -> Option<TimeMs> {
        self.evaluated_at
    }

    pub(crate) fn changed<'n>(&mut self, families: impl IntoIterator<Item = &'n str>, at: TimeMs) {
        if self.trigger == Trigger::Data
            && self.changed_at.is_none()
            && families.into_iter().any(|family| self.reads.contains(family))
        {
            self.changed_at = Some(at);
        }
    }

    pub(crate) fn evaluated(&mut self, at: TimeMs) {
        self.evaluated_at = Some(at);
        // A late evaluation of a slot has not seen what came after the slot.
        self.changed_at = self.changed_at.filter(|changed_at| *changed_at > at);
    }

    /// Keeps the pace of the group that this one replaces, and what it had still to look at.
    pub(crate) fn continue_from(&mut self, old: &Schedule) {
        self.evaluated_at = old.evaluated_at;
        self.changed_at = old.changed_at.filter(|_| self.trigger == Trigger::Data);
    }

    /// The last slot at or before `at`.
    fn slot_before(&self, at: TimeMs) -> TimeMs {
        let since_slot = (at.0.saturating_sub(self.jitter_ms)).rem_euclid(self.interval_ms);
        TimeMs(at.0.saturating_sub(since_slot))
    }

    /// When the group is due; `wait_over` is when the first of its alerts' waits ends.
    pub(crate) fn next(&self, wait_over: Option<TimeMs>) -> TimeMs {
        let last = self.evaluated_at.unwrap_or(self.started_at);
        let slot = self.slot_before(last) + self.interval();
        let besides = match self.trigger {
            Trigger::Interval => None,
            Trigger::Data => self.changed_at.into_iter().chain(wait_over).min(),
        };
        // The first evaluation need not keep a distance from the start.
        let pace = self.evaluated_at.map_or(self.started_at, |at| at + DATA_PACE);
        besides.map_or(slot, |besides| besides.max(pace).min(slot))
    }

    /// The time that a group which is due at `now` evaluates at.
    pub(crate) fn evaluation_time(&self, now: TimeMs) -> TimeMs {
        let last = self.evaluated_at.unwrap_or(self.started_at);
        let slot = self.slot_before(now);
        if slot > last { slot } else { now }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::RuleFile;

    /// Walks through `seconds` in steps of 100 ms and says when the group ran. `commits` says when
    /// families changed, `wait` when a `for` comes due.
    fn check(
        trigger: &str,
        commits: &[(f64, &str)],
        wait: Option<f64>,
        seconds: i64,
        want: Expect,
    ) {
        let text = format!(
            "groups: [{{name: g, interval: 5s, evaluation: {trigger}, rules: [{{alert: A, expr: up == 0}}]}}]"
        );
        let file = RuleFile::parse("r.yml", &text).expect("a rule file");
        let moment = |s: f64| TimeMs((s * 1000.0) as i64);
        let mut schedule = Schedule::new("g", &file.groups[0], Duration::from_secs(5), TimeMs(0));
        schedule.jitter_ms = 2000;
        let (mut transcript, mut wait) = (Vec::new(), wait.map(moment));
        for now in (0..=seconds * 10).map(|tenths| TimeMs(tenths * 100)) {
            for (_, family) in commits.iter().filter(|(at, _)| moment(*at) == now) {
                schedule.changed([*family], now);
            }
            if schedule.next(wait) <= now {
                let at = schedule.evaluation_time(now);
                transcript.push(format!("{}", at.as_secs_f64()));
                schedule.evaluated(at);
                wait = wait.filter(|wait| *wait > at);
            }
        }
        want.assert_eq(&transcript.join(" "));
    }

    #[test]
    fn an_interval_has_slots_and_nothing_else() {
        check("interval", &[(3.0, "up")], Some(4.0), 15, expect!["2 7 12"]);
    }

    #[test]
    fn data_that_is_read_runs_the_group_at_once() {
        check("data", &[(3.5, "up"), (5.0, "other")], None, 13, expect!["2 3.5 7 12"]);
    }

    #[test]
    fn a_burst_runs_it_once_a_second() {
        let burst: Vec<_> = (30..=45).map(|tenths| (f64::from(tenths) / 10.0, "up")).collect();
        check("data", &burst, None, 8, expect!["2 3 4 5 7"]);
    }

    #[test]
    fn a_wait_that_ends_runs_it_at_that_moment() {
        check("data", &[], Some(4.3), 8, expect!["2 4.3 7"]);
    }

    #[test]
    fn what_comes_after_a_slot_is_not_lost_when_the_slot_runs_late() {
        let text = "groups: [{name: g, evaluation: data, rules: [{alert: A, expr: up}]}]";
        let file = RuleFile::parse("r.yml", text).expect("a rule file");
        let mut schedule = Schedule::new("g", &file.groups[0], Duration::from_secs(5), TimeMs(0));
        schedule.jitter_ms = 2000;
        schedule.changed(["up"], TimeMs(2300));
        assert_eq!(schedule.evaluation_time(TimeMs(2400)), TimeMs(2000));
        schedule.evaluated(TimeMs(2000));
        assert_eq!(schedule.next(None), TimeMs(3000));
        schedule.evaluated(TimeMs(3000));
        assert_eq!(schedule.next(None), TimeMs(7000));
    }

    #[test]
    fn missed_slots_are_skipped() {
        let file = RuleFile::parse("r.yml", "groups: [{name: g}]").expect("a rule file");
        let mut schedule = Schedule::new("g", &file.groups[0], Duration::from_secs(5), TimeMs(0));
        schedule.jitter_ms = 2000;
        assert_eq!(schedule.next(None), TimeMs(2000));
        schedule.evaluated(TimeMs(2000));
        assert_eq!(schedule.evaluation_time(TimeMs(23_100)), TimeMs(22_000));
        schedule.evaluated(TimeMs(22_000));
        assert_eq!(schedule.next(None), TimeMs(27_000));
    }
}
