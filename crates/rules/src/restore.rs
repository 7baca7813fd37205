//! What a restart leaves of the alerts.
//!
//! [`Restore::Journal`]: all of it, from a [`GroupSnapshot`] that the caller persisted after each
//! round. The time that was pending counts, the time down does not; firing alerts go on firing.
//!
//! [`Restore::Prometheus`]: what Prometheus keeps, from the series `ALERTS_FOR_STATE`, after the
//! second evaluation. An alert with a long `for` gets its start back, so that it does not wait
//! anew; a grace period keeps it from firing before anybody could have scraped the recovery.

use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_model::{Labels, METRIC_NAME, Sample, TimeMs, is_stale};
use paramedic_promql::{RowRef, Source};

use crate::alert::{ALERT_NAME, Alert, series_labels};
use crate::file::Rule;
use crate::group::{Group, is_same_written};
use crate::life::State;

/// How alerts come back after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restore {
    /// From the journal.
    #[default]
    Journal,
    /// From `ALERTS_FOR_STATE`, by Prometheus's rules.
    Prometheus {
        /// `--rules.alert.for-grace-period`, 10 min there: alerts with a shorter `for` are not
        /// restored, the others fire no earlier than this after the restart.
        for_grace_period: Duration,
        /// `--rules.alert.for-outage-tolerance`, 1 h there: how old the series may be.
        for_outage_tolerance: Duration,
    },
}

/// The state of a group after a round: what a journal keeps of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupSnapshot {
    /// When the group was last evaluated.
    pub evaluated_at: Option<TimeMs>,
    /// Its alerting rules, in order.
    pub rules: Vec<RuleSnapshot>,
}

/// The state of one alerting rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSnapshot {
    /// The alert's name.
    pub name: String,
    /// The rule's labels as written, sorted by name: with the name its identity.
    pub labels: Vec<(String, String)>,
    /// Its alerts.
    pub alerts: Vec<Alert>,
}

impl Group {
    /// What to persist of the group after a round.
    pub fn snapshot(&self) -> GroupSnapshot {
        let rules = self.rules.iter().filter_map(|state| match state.rule() {
            Rule::Alert(rule) => Some(RuleSnapshot {
                name: rule.name.clone(),
                labels: state
                    .rule()
                    .labels_as_written()
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                alerts: state.alerts().cloned().collect(),
            }),
            Rule::Record(_) => None,
        });
        GroupSnapshot { evaluated_at: self.evaluated_at(), rules: rules.collect() }
    }

    /// Takes back what was persisted, at `now`, after nothing had run since `down_since`.
    ///
    /// The waits of pending alerts, and of firing ones that only `keep_firing_for` bridges, go on
    /// where they stood: the time down does not count for them. Rules are matched as in
    /// [`Group::take_over`]; the alerts of a rule that is gone are forgotten.
    pub fn restore(&mut self, snapshot: GroupSnapshot, down_since: TimeMs, now: TimeMs) {
        let down = now.since(down_since);
        let mut saved: Vec<Option<RuleSnapshot>> = snapshot.rules.into_iter().map(Some).collect();
        for state in &mut self.rules {
            let found = saved.iter_mut().find(|saved| {
                saved
                    .as_ref()
                    .is_some_and(|saved| is_same_written(state.rule(), &saved.name, &saved.labels))
            });
            let Some(RuleSnapshot { alerts, .. }) = found.and_then(Option::take) else { continue };
            let later = |alert: Alert| Alert { state: shifted(alert.state, down), ..alert };
            state.alerts.replace(alerts.into_iter().map(later));
            // They were written before, so those that do not come back end with a marker.
            let Rule::Alert(rule) = state.rule() else { continue };
            let series = state.alerts.series(rule);
            state.written = series.into_iter().map(|series| series.labels).collect();
        }
    }

    /// Makes the group restore its alerts by Prometheus's rules after its second evaluation; until
    /// then it writes no `ALERTS`. To be called before the first one.
    pub fn restore_from_series(&mut self, restore: Restore) {
        self.restore = restore;
        if self.restores_from_series() {
            self.rules.iter_mut().for_each(|state| state.restored = false);
        }
    }

    /// Whether the alerts come back from series, and not from a snapshot.
    pub fn restores_from_series(&self) -> bool {
        self.restore != Restore::Journal
    }

    /// Restores the alerts, where [`Group::restore_from_series`] asked for it and the second
    /// evaluation was the last one. To be called after each evaluation, with the present moment: it
    /// is somewhat later than the evaluation's, and the grace period counts from there.
    pub fn restore_if_due(&mut self, source: &dyn Source, now: TimeMs) {
        const EVALUATIONS_BEFORE: usize = 2;
        let Restore::Prometheus { for_grace_period: grace, for_outage_tolerance: tolerance } =
            self.restore
        else {
            return;
        };
        if self.evaluations != EVALUATIONS_BEFORE {
            return;
        }
        // What is exactly as old as is tolerated counts.
        let after = now - tolerance - Duration::from_millis(1);
        for state in &mut self.rules {
            state.restored = true;
            let Rule::Alert(rule) = state.rule() else { continue };
            let hold = rule.waits.hold;
            if hold < grace {
                continue;
            }
            let rule = rule.clone();
            let mut active = state.alerts.iter_mut().filter(|alert| alert.state.is_active());
            let Some(first) = active.next() else { continue };
            let last = last_samples(source, &rule.name, after, now);
            for alert in std::iter::once(first).chain(active) {
                let Some(last) = last.get(&series_labels(&rule, &alert.labels)) else { continue };
                alert.state = since(alert.state, restored_active_at(hold, *last, now, grace));
            }
        }
    }
}

/// The state with another start.
fn since(state: State, active_at: TimeMs) -> State {
    match state {
        State::Pending { .. } => State::Pending { active_at },
        State::Firing { fired_at, keep_firing_since, .. } => {
            State::Firing { active_at, fired_at, keep_firing_since }
        }
        State::Inactive | State::Resolved { .. } => state,
    }
}

/// The state with its waits moved by the time down.
fn shifted(state: State, down: Duration) -> State {
    match state {
        State::Pending { active_at } => State::Pending { active_at: active_at + down },
        State::Firing { active_at, fired_at, keep_firing_since } => {
            let keep_firing_since = keep_firing_since.map(|since| since + down);
            State::Firing { active_at, fired_at, keep_firing_since }
        }
        State::Inactive | State::Resolved { .. } => state,
    }
}

/// Of all alerts of this name the last sample of `ALERTS_FOR_STATE`, by the alert's labels there;
/// without those that were not active any more.
fn last_samples(
    source: &dyn Source,
    name: &str,
    after: TimeMs,
    until: TimeMs,
) -> BTreeMap<Labels, Sample> {
    let Some(id) = source.find_family("ALERTS_FOR_STATE") else { return BTreeMap::new() };
    let family = source.family(id);
    let Some(names) = family.column(ALERT_NAME) else { return BTreeMap::new() };
    let rows = u32::try_from(family.row_count()).unwrap_or(u32::MAX);
    let of_alert = |row: &u32| names.symbol(*row).is_some_and(|found| source.text(found) == name);
    let last = (0..rows).filter(of_alert).filter_map(|row| {
        let row = RowRef { family: id, row };
        let last = source.newest_in(row, after, until).filter(|last| !is_stale(last.value))?;
        Some((source.labels(row).without(&[METRIC_NAME]), last))
    });
    last.collect()
}

/// When the alert became active, as it is to be believed after the outage that began with `last`.
fn restored_active_at(hold: Duration, last: Sample, now: TimeMs, grace: Duration) -> TimeMs {
    let second = |at: TimeMs| TimeMs(at.0.div_euclid(1000) * 1000);
    let down_at = second(last.at);
    let active_at = TimeMs((last.value * 1000.0) as i64);
    let spent = down_at.since(active_at);
    if spent >= hold {
        // It was firing, and fires again in the next evaluation.
        active_at
    } else if hold - spent < grace {
        now + grace - hold
    } else {
        active_at + now.since(down_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_come_back_as_in_prometheus() {
        let minutes = |n: i64| TimeMs(n * 60_000);
        let check = |hold_min: u64, active, down, now, want| {
            let hold = Duration::from_secs(60 * hold_min);
            let last = Sample { at: minutes(down), value: minutes(active).as_secs_f64() };
            let got = restored_active_at(hold, last, minutes(now), Duration::from_secs(600));
            assert_eq!(got, minutes(want), "for {hold_min}m, {active} {down} {now}");
        };
        // It had fired.
        check(10, 0, 10, 15, 0);
        // Five minutes were left, less than the grace period: it fires ten minutes from now.
        check(30, 0, 25, 40, 20);
        // Forty minutes were left: the fifteen that it was down do not count.
        check(60, 0, 20, 35, 15);
        check(60, 0, 20, 79, 59);
    }
}
