//! The life of one alert: `inactive`, `pending`, `firing`, `resolved`, and back.
//!
//! [`step`] is the only way an alert changes. It is pure: no clock, no I/O, no logging. A group
//! calls it once per label set and evaluation; its caller persists the change, then acts on it.
//!
//! ```text
//!              present                 present, held for at least `for`
//!  Inactive -----------> Pending --------------------------------------------> Firing <--+
//!      ^ ^                  | absent (`Forgotten`)                             |     |   | present, or absent
//!      | +------------------+                       absent, held long enough  |     +---+ for less than
//!      |                                                (`Resolved`)          |           `keep_firing_for`
//!      +--- absent for more than 15 min --- Resolved <------------------------+
//! ```
//!
//! # Invariants
//!
//! - `active_at <= fired_at <= resolved_at`; all are evaluation times, never the wall clock, but for
//!   a start that `restore: prometheus` gave back.
//! - `for: 0s` fires in the evaluation that first sees the series, with no `Pended` before it.
//! - A failed query is not an absence: [`step`] is not called, so nothing resolves.
//! - A resolved alert that comes back is a new one: it waits its full `for` again.
//!
//! Not here: templates (`gotmpl`), sending and its repetition (`send`), grouping and silences
//! (`incident`).

use std::time::Duration;

use paramedic_model::TimeMs;

/// How long a resolved alert is remembered, so that the news of its end can be repeated.
pub const RESOLVED_RETENTION: Duration = Duration::from_secs(15 * 60);

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not there. An alert in this state is not kept.
    #[default]
    Inactive,
    /// The condition holds, but not yet for long enough.
    Pending {
        /// Since when the condition holds.
        active_at: TimeMs,
    },
    /// The condition has held for long enough.
    Firing {
        /// Since when the condition holds.
        active_at: TimeMs,
        /// When that had been long enough.
        fired_at: TimeMs,
        /// Since when the condition does not hold any more, while `keep_firing_for` bridges it.
        keep_firing_since: Option<TimeMs>,
    },
    /// Fired, and is over.
    Resolved {
        /// Since when the condition held.
        active_at: TimeMs,
        /// When it fired.
        fired_at: TimeMs,
        /// When it ended.
        resolved_at: TimeMs,
    },
}

impl State {
    /// Whether it is pending or firing: the states that count and that `ALERTS` shows.
    pub fn is_active(self) -> bool {
        matches!(self, State::Pending { .. } | State::Firing { .. })
    }

    /// Whether it is firing.
    pub fn is_firing(self) -> bool {
        matches!(self, State::Firing { .. })
    }

    /// Prometheus's word for it; a resolved alert is `inactive` there.
    pub fn word(self) -> &'static str {
        match self {
            State::Inactive | State::Resolved { .. } => "inactive",
            State::Pending { .. } => "pending",
            State::Firing { .. } => "firing",
        }
    }

    /// Since when the condition held last; none for what never was.
    pub fn active_at(self) -> Option<TimeMs> {
        match self {
            State::Inactive => None,
            State::Pending { active_at }
            | State::Firing { active_at, .. }
            | State::Resolved { active_at, .. } => Some(active_at),
        }
    }

    /// When it fired, where it did.
    pub fn fired_at(self) -> Option<TimeMs> {
        match self {
            State::Inactive | State::Pending { .. } => None,
            State::Firing { fired_at, .. } | State::Resolved { fired_at, .. } => Some(fired_at),
        }
    }
}

/// The two waits of an alert rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// `for`: how long the condition must hold before the alert fires.
    pub hold: Duration,
    /// `keep_firing_for`: how long a firing alert stays so without its condition.
    pub keep_firing_for: Duration,
}

/// What one evaluation changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The condition began to hold; or a firing alert waits anew because a reload raised its `for`.
    Pended,
    /// It fires.
    Fired,
    /// It fired, and its condition does not hold any more.
    Resolved,
    /// It was pending and its condition does not hold any more; or its rule exceeded its limit and
    /// dropped it, whatever its state was.
    Forgotten,
}

/// Advances one alert to the evaluation at `at`; `present` says whether its condition holds.
pub fn step(state: State, present: bool, waits: Waits, at: TimeMs) -> (State, Option<Change>) {
    let pending_or_firing = |active_at: TimeMs| {
        if at.since(active_at) >= waits.hold {
            let state = State::Firing { active_at, fired_at: at, keep_firing_since: None };
            (state, Some(Change::Fired))
        } else {
            (State::Pending { active_at }, None)
        }
    };
    match (state, present) {
        (State::Inactive, false) => (state, None),
        (State::Inactive | State::Resolved { .. }, true) => match pending_or_firing(at) {
            (state, None) => (state, Some(Change::Pended)),
            fired => fired,
        },
        (State::Pending { active_at }, true) => pending_or_firing(active_at),
        (State::Pending { .. }, false) => (State::Inactive, Some(Change::Forgotten)),
        (State::Firing { active_at, fired_at, .. }, true) => {
            if at.since(active_at) < waits.hold {
                return (State::Pending { active_at }, Some(Change::Pended));
            }
            (State::Firing { active_at, fired_at, keep_firing_since: None }, None)
        }
        (State::Firing { active_at, fired_at, keep_firing_since }, false) => {
            let since = keep_firing_since.unwrap_or(at);
            if at.since(since) < waits.keep_firing_for {
                let keep_firing_since = Some(since);
                return (State::Firing { active_at, fired_at, keep_firing_since }, None);
            }
            (State::Resolved { active_at, fired_at, resolved_at: at }, Some(Change::Resolved))
        }
        (State::Resolved { resolved_at, .. }, false) => {
            let is_over = at.since(resolved_at) > RESOLVED_RETENTION;
            (if is_over { State::Inactive } else { state }, None)
        }
    }
}

/// The next moment at which [`step`] would change the state though its presence does not change.
pub(crate) fn due(state: State, waits: Waits) -> Option<TimeMs> {
    match state {
        State::Pending { active_at } => Some(active_at + waits.hold),
        State::Firing { keep_firing_since: Some(since), .. } => Some(since + waits.keep_firing_for),
        State::Inactive | State::Firing { .. } | State::Resolved { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use paramedic_model::parse_duration;

    use super::*;

    /// `for 2m keep 3m every 1m: # # . #`: `#` says that the expression returned the series, `.`
    /// that it did not, `!` that the query failed. A step may be repeated: `.*16`.
    fn check(drawing: &str, want: Expect) {
        let (settings, steps) = drawing.split_once(':').expect("settings, a colon, steps");
        let words: Vec<_> = settings.split_whitespace().collect();
        let setting = |name: &str| {
            let at = words.iter().position(|word| *word == name);
            at.map_or(Duration::ZERO, |at| parse_duration(words[at + 1]).expect("a duration"))
        };
        let waits = Waits { hold: setting("for"), keep_firing_for: setting("keep") };
        let every = setting("every");
        let (mut at, mut state, mut transcript) = (TimeMs(0), State::Inactive, String::new());
        for step_text in steps.split_whitespace() {
            let (mark, times) = step_text.split_once('*').unwrap_or((step_text, "1"));
            for _ in 0..times.parse().expect("a count") {
                if mark != "!" {
                    let (next, change) = step(state, mark == "#", waits, at);
                    if let Some(change) = change {
                        transcript += &format!("{}s {change:?}\n", at.0 / 1000);
                    } else if next == State::Inactive && state != State::Inactive {
                        transcript += &format!("{}s (removed)\n", at.0 / 1000);
                    }
                    state = next;
                }
                at = at + every;
            }
        }
        want.assert_eq(&transcript);
    }

    #[test]
    fn a_condition_must_hold_for_the_whole_wait() {
        check(
            "for 2m every 1m: # # # #",
            expect![[r#"
                0s Pended
                120s Fired
            "#]],
        );
    }

    #[test]
    fn one_absent_evaluation_restarts_the_wait() {
        check(
            "for 2m every 30s: # # . # # # # # .",
            expect![[r#"
                0s Pended
                60s Forgotten
                90s Pended
                210s Fired
                240s Resolved
            "#]],
        );
    }

    #[test]
    fn without_a_wait_it_fires_at_once() {
        check(
            "for 0s every 15s: # . #",
            expect![[r#"
                0s Fired
                15s Resolved
                30s Fired
            "#]],
        );
    }

    #[test]
    fn a_failed_query_is_not_an_absence() {
        check(
            "for 2m every 1m: # ! ! # . # ! !*9 .",
            expect![[r#"
                0s Pended
                180s Fired
                240s Resolved
                300s Pended
                960s Forgotten
            "#]],
        );
    }

    #[test]
    fn the_worked_example_of_prometheus() {
        check(
            "for 2m keep 3m every 1m: # # # # .*20",
            expect![[r#"
                0s Pended
                120s Fired
                420s Resolved
                1380s (removed)
            "#]],
        );
    }

    #[test]
    fn coming_back_ends_the_bridge_and_it_starts_anew() {
        check(
            "for 0s keep 2m every 1m: # . # . . . .",
            expect![[r#"
                0s Fired
                300s Resolved
            "#]],
        );
    }

    #[test]
    fn a_resolved_alert_that_returns_waits_again() {
        check(
            "for 1m every 1m: # # . # #",
            expect![[r#"
                0s Pended
                60s Fired
                120s Resolved
                180s Pended
                240s Fired
            "#]],
        );
    }

    #[test]
    fn a_raised_wait_sends_a_firing_alert_back() {
        let (at, second) = (TimeMs(60_000), Duration::from_secs(1));
        let waits = Waits { hold: 60 * second, ..Waits::default() };
        let (firing, _) = step(State::Pending { active_at: TimeMs(0) }, true, waits, at);
        assert!(firing.is_firing());
        let raised = Waits { hold: 300 * second, ..waits };
        assert_eq!(
            step(firing, true, raised, at + second),
            (State::Pending { active_at: TimeMs(0) }, Some(Change::Pended))
        );
    }
}
