//! A target that cannot be looked at is one outage, whatever stands on its samples.
//!
//! When an exporter or a system stops answering, its series end, and every alert that stood on them
//! is *blind*: nobody can say whether it fires, and rules that were silent say nothing any more. That
//! is one outage and not one per rule, so one incident *leads*: the one of the alert that watches the
//! loss (`up == 0`), or where there is none, an incident that opens by itself, [`TARGET_LOST`]. The
//! incidents of blind alerts stay open and stand under the one that leads.
//!
//! ```text
//!           failed twice in a row, rules or open incidents stand on its samples,
//!           and no alert watches although each that could was evaluated since
//!   seen -----------------------------------------------------------------> lost --+--> watching --> closed
//!     ^ |                                                                   ^  |   |        |
//!     +-+ failed once; or an alert that watches is pending or fires         |  |   | a fresh sample
//!                                                                           +--|------------+
//!                                                    fails twice again         |
//!                                                                              +--> closed, taken over:
//!                                                                                   an alert that watches fires
//! ```
//!
//! An alert *watches* the loss of a target while it is pending or fires, and came either from a sample
//! that the failed collection itself brought (`up`, or a value that says "could not look"), or from no
//! series at all, by a rule that reads series which ended with the target (`absent`). It must have
//! become true after the target failed, or carry its `instance`: an alert on the number of all targets
//! that has been firing for days is not about this one. A pending alert counts, because its `for` is
//! how long its author wants to wait.
//!
//! # Invariants
//!
//! - At most one incident of a loss is open per target, and none that leads beside a watching alert's.
//! - One failed collection is no loss, and one that fails while the recovery is watched is no proof.
//! - A loss ends by a sample that is newer than it, or by a person; never because nobody looks.
//! - A target on whose samples nothing stands is no outage: it is shown as one that cannot be seen.
//! - What a person closed stays closed until the target has answered.
//!
//! Not here: who watches and what stands on a target's samples (`engine`), the life of the incident
//! after that ([`decide`](crate::decide)).

use std::fmt;

use paramedic_model::{IncidentId, TimeMs};

use crate::{Input, Lost};

/// What an incident of a loss has as its alert: the name that a page serves it by, and that
/// Alertmanagers hear.
pub const TARGET_LOST: &str = "TargetLost";

/// How many collections in a row fail before a target is lost, each about an interval after the last one.
pub const FAILURES_MIN: u32 = 2;

/// How a target is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetSight {
    /// Nobody has looked since the start.
    Unknown,
    /// The newest collection of it succeeded.
    Answers {
        /// When it began.
        at: TimeMs,
    },
    /// The newest collections of it failed.
    Fails {
        /// How many, one after the other.
        in_a_row: u32,
    },
    /// It was a target, and is none any more.
    Gone,
}

/// Whether an alert watches the loss of a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Watcher {
    /// None does.
    #[default]
    Nobody,
    /// One does and has no open incident: it is pending, or a person closed its incident.
    Quiet,
    /// One does, or did until discovery took the target away, and this is its incident.
    Leads(IncidentId),
}

/// What is known of a target that fails, or whose loss has an open incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// How it is.
    pub sight: TargetSight,
    /// Who watches it.
    pub watcher: Watcher,
    /// How many alert rules read series that ended with it.
    pub rule_count: usize,
    /// How many open incidents are blind because of it.
    pub blind_count: usize,
    /// Whether every rule that could watch was evaluated since it was lost.
    pub heard: bool,
    /// Whether a person closed the last incident of its loss, and it is not known to have answered since.
    pub dismissed: bool,
    /// The incident of the loss, while it is open.
    pub incident: Option<IncidentId>,
}

/// What is to be done about a target.
#[derive(Debug, Clone, PartialEq)]
pub enum LossStep {
    /// Open an incident.
    Open,
    /// Tell the open one.
    Tell(Input),
}

impl Sighting {
    /// What is to be done now; `target` is its name, for people. Most of the time nothing is, and the
    /// incident refuses what it knows already.
    pub fn step(&self, target: &str) -> Option<LossStep> {
        let is_open = self.incident.is_some();
        match self.sight {
            TargetSight::Unknown => None,
            TargetSight::Answers { at } => is_open.then(|| {
                let reason = format!("{target} answers again: it was read at {at}");
                LossStep::Tell(Input::Clear { reason })
            }),
            TargetSight::Fails { in_a_row } if in_a_row < FAILURES_MIN => {
                is_open.then_some(LossStep::Tell(Input::Holding))
            }
            TargetSight::Gone if is_open && self.blind_count == 0 => {
                let reason = format!("{target} is no target any more, and no alert waits for it");
                Some(LossStep::Tell(Input::Removed { reason }))
            }
            // Rules that are silent on a target which was taken away have nothing to say.
            TargetSight::Gone if self.blind_count == 0 => None,
            TargetSight::Fails { .. } | TargetSight::Gone => self.lost(target),
        }
    }

    fn lost(&self, target: &str) -> Option<LossStep> {
        match (self.incident, self.watcher) {
            (None, Watcher::Leads(_) | Watcher::Quiet) => None,
            (None, Watcher::Nobody) => {
                let matters = self.rule_count + self.blind_count > 0;
                (matters && self.heard && !self.dismissed).then_some(LossStep::Open)
            }
            (Some(_), Watcher::Leads(id)) => {
                let reason = format!("the alert of incident {id} watches {target}");
                Some(LossStep::Tell(Input::TakenOver { reason }))
            }
            (Some(_), Watcher::Quiet | Watcher::Nobody) => Some(LossStep::Tell(Input::Firing)),
        }
    }

    /// The incident under which those of blind alerts stand.
    pub fn leads(&self) -> Option<IncidentId> {
        match self.watcher {
            Watcher::Leads(id) => Some(id),
            Watcher::Nobody | Watcher::Quiet => self.incident,
        }
    }
}

/// As the summary of an incident has it.
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be looked at: {}", self.target, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::{Context, Diagnosis, Incident, Opened, Policy, SystemChoice, decide, timeline};

    fn at(seconds: i64) -> TimeMs {
        TimeMs(seconds * 1000)
    }

    /// A target with two rules that are blind, on which nothing is open.
    fn failing(in_a_row: u32) -> Sighting {
        Sighting {
            sight: TargetSight::Fails { in_a_row },
            watcher: Watcher::Nobody,
            rule_count: 2,
            blind_count: 0,
            heard: true,
            dismissed: false,
            incident: None,
        }
    }

    #[test]
    fn a_loss_opens_only_where_it_is_one_and_nobody_else_tells_of_it() {
        let check = |change: fn(&mut Sighting), opens: bool| {
            let mut sighting = failing(2);
            change(&mut sighting);
            let expected = opens.then_some(LossStep::Open);
            assert_eq!(sighting.step("app/a"), expected, "{sighting:?}");
        };
        check(|_| {}, true);
        check(|s| s.sight = TargetSight::Fails { in_a_row: 1 }, false);
        check(|s| s.sight = TargetSight::Unknown, false);
        check(|s| s.sight = TargetSight::Answers { at: at(0) }, false);
        check(|s| s.watcher = Watcher::Quiet, false);
        check(|s| s.watcher = Watcher::Leads(IncidentId(4)), false);
        check(|s| s.heard = false, false);
        check(|s| s.dismissed = true, false);
        check(|s| s.rule_count = 0, false);
        check(|s| (s.rule_count, s.blind_count) = (0, 1), true);
        // Of a target that was taken away only what fired before is an outage.
        check(|s| s.sight = TargetSight::Gone, false);
        check(|s| (s.sight, s.blind_count) = (TargetSight::Gone, 1), true);
    }

    #[test]
    fn blind_alerts_stand_under_the_watching_alert_or_the_loss() {
        let check = |incident: Option<u64>, watcher, leads: Option<u64>| {
            let incident = incident.map(IncidentId);
            let sighting = Sighting { incident, watcher, ..failing(2) };
            assert_eq!(sighting.leads(), leads.map(IncidentId));
        };
        check(None, Watcher::Nobody, None);
        check(None, Watcher::Quiet, None);
        check(Some(7), Watcher::Nobody, Some(7));
        check(Some(7), Watcher::Quiet, Some(7));
        check(None, Watcher::Leads(IncidentId(3)), Some(3));
        check(Some(7), Watcher::Leads(IncidentId(3)), Some(3));
    }

    fn open() -> Incident {
        let lost = Lost {
            target: "app/a".to_owned(),
            reason: "connection refused".to_owned(),
            seen_at_ms: Some(0),
            rules: vec!["AppDown".to_owned(), "AppSlow".to_owned()],
            rule_count: 2,
        };
        let opened = Opened {
            alert: TARGET_LOST.to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            value: "0".to_owned(),
            expr: "up == 0".to_owned(),
            active_at_ms: 0,
            system: SystemChoice::None,
            runbook: None,
            origins: Vec::new(),
            outside: None,
            lost: Some(lost),
        };
        let mut incident = Incident::open(IncidentId(1), at(0), opened);
        let diagnosis =
            Diagnosis { causes: Vec::new(), likely: None, plan: Vec::new(), nothing_to_do: None };
        feed(&mut incident, Input::Diagnosis(diagnosis), at(0));
        incident
    }

    fn feed(incident: &mut Incident, input: Input, now: TimeMs) {
        let policy = Policy { watch: Duration::from_secs(120), ..Policy::default() };
        let context = Context { policy: &policy, contact: "Ann", watch: None, advice: &[] };
        for event in decide(incident, &context, input, now).unwrap_or_default() {
            incident.apply(now, event);
        }
    }

    /// What becomes of an open loss: a letter per collection, one every 60 s. `x` failed for the second
    /// time or more, `1` failed once, `+` answered, `?` unknown, `-` no target any more, and `w` failed
    /// while the alert of incident 9 watches.
    fn check(drawing: &str, expected: &[&str]) {
        let mut incident = open();
        for (i, letter) in drawing.chars().filter(|c| *c != ' ').enumerate() {
            let now = at((i as i64 + 1) * 60);
            let (sight, watcher) = match letter {
                'x' => (TargetSight::Fails { in_a_row: 2 }, Watcher::Nobody),
                '1' => (TargetSight::Fails { in_a_row: 1 }, Watcher::Nobody),
                '+' => (TargetSight::Answers { at: now }, Watcher::Nobody),
                '?' => (TargetSight::Unknown, Watcher::Nobody),
                '-' => (TargetSight::Gone, Watcher::Nobody),
                'w' => (TargetSight::Fails { in_a_row: 2 }, Watcher::Leads(IncidentId(9))),
                other => panic!("no such letter: {other}"),
            };
            let own = incident.is_open().then_some(incident.id);
            let sighting = Sighting { sight, watcher, incident: own, ..failing(0) };
            match sighting.step("app/a") {
                Some(LossStep::Tell(input)) => feed(&mut incident, input, now),
                Some(LossStep::Open) => panic!("another one opens"),
                None => {}
            }
            if own.is_some() && sight != (TargetSight::Fails { in_a_row: 1 }) {
                feed(&mut incident, Input::Wake, now);
            }
        }
        let told = timeline(&incident).into_iter().skip(3);
        let told: Vec<_> = told.map(|(at, line)| format!("{} {line}", at.0 / 1000)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn it_ends_when_the_target_answers_and_goes_on_answering() {
        check(
            "x x + + + +",
            &[
                "180 Seen: app/a answers again: it was read at 1970-01-01T00:03:00.000Z",
                "180 Watching until 1970-01-01T00:05:00.000Z",
                "300 Closed: handed over",
            ],
        );
    }

    #[test]
    fn it_is_the_same_outage_when_the_target_fails_again() {
        check(
            "x + 1 x + + +",
            &[
                "120 Seen: app/a answers again: it was read at 1970-01-01T00:02:00.000Z",
                "120 Watching until 1970-01-01T00:04:00.000Z",
                "240 app/a is lost again",
                "240 Diagnosis 2 begins: it is lost again",
                "300 Seen: app/a answers again: it was read at 1970-01-01T00:05:00.000Z",
                "300 Watching until 1970-01-01T00:07:00.000Z",
                "420 Closed: handed over",
            ],
        );
    }

    #[test]
    fn one_failure_at_the_end_of_the_watch_is_no_proof() {
        check(
            "+ + 1 + +",
            &[
                "60 Seen: app/a answers again: it was read at 1970-01-01T00:01:00.000Z",
                "60 Watching until 1970-01-01T00:03:00.000Z",
                "180 Watching until 1970-01-01T00:05:00.000Z",
                "300 Closed: handed over",
            ],
        );
    }

    #[test]
    fn nobody_looking_ends_nothing() {
        check("x ? ? ? ? ?", &[]);
    }

    #[test]
    fn an_alert_that_watches_takes_it_over() {
        check("x w", &["120 Closed: taken over by an alert"]);
    }

    #[test]
    fn a_target_that_was_taken_away_is_no_loss_any_more() {
        check(
            "x -",
            &[
                "120 discovery noted: app/a is no target any more, and no alert waits for it",
                "120 Closed: removed",
            ],
        );
    }
}
