//! Targets that cannot be looked at, and the one incident that each of them has.
//!
//! ```text
//!   a collection that failed --> Failing --+
//!   alerts that fire, incidents that are   +--> Sighting::step (`incident`) --> open, clear, taken over
//!   blind, rules that read its series -----+                      |
//!                                                                 +--> incidents of blind alerts join
//! ```
//!
//! What is decided, and when an alert watches a loss, stands in [`Sighting`]. Here is gathered what that
//! decision reads. Since when a target fails, and when it answered last, is read from its `up` series,
//! so that both outlive a restart.
//!
//! # Invariants
//!
//! - Nothing is opened before every target was collected once: until then rules wait too.
//! - After a restart a loss stays open until its target has answered this process, or every job has
//!   told of its targets and it is none of them.
//! - Only what was read from a target since it last came, and since it last failed, is an answer.
//!
//! A thousand targets that fail at once are a thousand turns per interval, so what a turn does here is
//! linear in the targets that fail, the alerts that are active and the incidents that are open.
//!
//! Not here: what Alertmanagers hear of a loss (`notify`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use paramedic_incident::{
    Ending, FAILURES_MIN, Incident, Input as IncidentInput, LossStep, Lost, Opened, Sighting,
    Signal, TARGET_LOST, TargetSight, Watcher,
};
use paramedic_model::{IncidentId, Labels, METRIC_NAME, TimeMs, is_stale};
use paramedic_promql::Source;

use crate::Engine;
use crate::signal::row_of;
use crate::standing::{Brought, Readers, Standing, TargetSeries};

/// How long a loss waits for rules that could watch it and are not evaluated.
const LISTEN_MAX: Duration = Duration::from_secs(300);
/// How long it is remembered that a target was taken away: rules may not have run since.
const GONE_KEPT: Duration = Duration::from_secs(3600);
/// Of how many lost targets a turn finds out which rules stand on them: it looks at every rule for each.
const ASKED_PER_TURN: usize = 16;
/// How many of the rules that are blind an incident names.
const RULES_NAMED_MAX: usize = 64;
/// How many its description does, which Alertmanagers hear.
const RULES_TOLD_MAX: usize = 8;

/// A target whose newest collection failed.
#[derive(Debug)]
pub(crate) struct Failing {
    /// Since when, and why the newest one did.
    pub why: (TimeMs, String),
    /// The labels of its series.
    labels: Labels,
    /// When it last answered, where the samples still say it.
    seen_at: Option<TimeMs>,
    /// When this process first saw it fail.
    first_at: TimeMs,
    /// How many collections failed since, one after the other, each about an interval after the last one.
    in_a_row: u32,
    /// When the last of these began.
    counted_at: TimeMs,
    /// Whether nobody waits any more for rules that could watch it.
    is_overdue: bool,
    /// Which rules stand on it, once that is asked for.
    standing: Option<Standing>,
}

impl Failing {
    /// As of its first collection that failed, which began at `at`.
    fn new(why: (TimeMs, String), labels: Labels, seen_at: Option<TimeMs>, at: TimeMs) -> Self {
        let (first_at, counted_at, in_a_row) = (at, at, 1);
        let (is_overdue, standing) = (false, None);
        Self { why, labels, seen_at, first_at, in_a_row, counted_at, is_overdue, standing }
    }

    /// How many alert rules read series that ended with it.
    fn rule_count(&self) -> usize {
        self.standing.as_ref().map_or(0, |standing| standing.blind.len())
    }

    /// Takes the next collection that failed. Returns whether it changes what the incident of the loss
    /// depends on, which most of them do not.
    fn fails_again(&mut self, at: TimeMs, interval: Duration, reason: String) -> bool {
        let state = |one: &Self| (one.in_a_row >= FAILURES_MIN, one.is_overdue);
        let before = state(self);
        // A target that is read anew out of turn may fail many times in a moment; but one that is late
        // once is not late again, and its next collection begins a little early.
        if at >= self.counted_at + interval * 3 / 4 {
            (self.in_a_row, self.counted_at) = (self.in_a_row + 1, at);
        }
        self.is_overdue = at >= self.first_at + LISTEN_MAX;
        let is_other = self.why.1 != reason;
        self.why.1 = reason;
        is_other || state(self) != before
    }
}

/// What the open incidents say of losses, by target.
#[derive(Default)]
struct Known {
    /// The open incidents that are blind because of it.
    blind: Vec<IncidentId>,
    /// The open incident of its loss.
    open: Option<IncidentId>,
}

impl Known {
    fn is_told(&self) -> bool {
        self.open.is_some() || !self.blind.is_empty()
    }
}

/// A target that fails and matters.
struct Missed<'a> {
    id: &'a String,
    failing: &'a Failing,
    read_at: TimeMs,
}

impl<'a> Missed<'a> {
    fn instance(&self) -> &'a str {
        self.failing.labels.value("instance")
    }

    fn key(&self) -> (&'a str, &'a str) {
        (self.failing.labels.value("job"), self.instance())
    }
}

impl Engine {
    /// Notes that a collection of a target failed.
    pub(crate) fn fails(&mut self, target: &str, at: TimeMs, reason: String) {
        let Some(known) = self.targets.get(target) else { return };
        self.answered.remove(target);
        let (labels, interval) = (known.all_labels(), known.interval);
        if let Some(failing) = self.failures.get_mut(target) {
            if failing.why.1 != reason {
                tracing::warn!(target, "could not look: {reason}");
            }
            failing.labels = labels;
            self.losses_due |= failing.fails_again(at, interval, reason);
            return;
        }
        tracing::warn!(target, "could not look: {reason}");
        let (seen_at, since) = last_seen(&self.window, &labels, at);
        let failing = Failing::new((since, reason), labels, seen_at, at);
        self.failures.insert(target.to_owned(), failing);
        self.losses_due = true;
    }

    /// Notes that a collection of a target succeeded; `is_first` since the start.
    pub(crate) fn answers(&mut self, target: &str, is_first: bool) {
        let failed = self.failures.remove(target).is_some();
        if failed {
            tracing::info!(target, "can be looked at again");
        }
        let Some(at) = self.read_at.get(target).copied() else { return };
        self.incidents.answers(target, at);
        let did_not = self.answered.insert(target.to_owned(), at).is_none();
        self.losses_due |= did_not || is_first;
    }

    /// Opens, moves and closes the incidents of losses, where anything changed that they depend on.
    pub(crate) fn losses(&mut self, now: TimeMs) {
        if !self.losses_due {
            return;
        }
        // What answered before it was taken away has not answered since it came back.
        self.gone.keys().for_each(|id| _ = self.answered.remove(id));
        if !self.awaited.is_empty() {
            return;
        }
        self.losses_due = false;
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for incident in self.incidents.open() {
            if let Some(target) = &incident.blind_on {
                known.entry(target.clone()).or_default().blind.push(incident.id);
            }
            if let Some(Lost { target, .. }) = &incident.opened.lost {
                known.entry(target.clone()).or_default().open = Some(incident.id);
            }
        }
        self.miss_what_went_unseen(&known, now);
        let is_told = |id: &String| known.get(id).is_some_and(Known::is_told);
        self.gone.retain(|id, at| now.since(*at) < GONE_KEPT || is_told(id));
        for target in self.failures.keys() {
            known.entry(target.clone()).or_default();
        }
        self.ask_who_stands();
        let watchers = self.watchers(&known);
        for (target, known) in known {
            let watcher = match self.failures.contains_key(&target) {
                true => watchers.get(&target).copied().unwrap_or_default(),
                false => self.watcher_before(&known),
            };
            let sighting = self.sighting(&target, &known, watcher, now);
            let mut lead = sighting.leads();
            match sighting.step(&target) {
                Some(LossStep::Open) => lead = Some(self.open_loss(&target, &known, now)),
                // Most of the time it is nothing new, and then the incident refuses.
                Some(LossStep::Tell(input)) => {
                    let open = known.open.and_then(|id| self.incidents.get(&id));
                    let is_known = |incident: &&Incident| match input {
                        IncidentInput::Firing => incident.signal == Signal::Firing,
                        IncidentInput::Clear { .. } => incident.signal == Signal::Clear,
                        _ => false,
                    };
                    if let Some(id) = open.filter(|one| !is_known(one)).map(|one| one.id) {
                        let _ = self.feed(id, input, now);
                    }
                }
                None => {}
            }
            let is_lost = matches!(sighting.sight, TargetSight::Fails { .. } | TargetSight::Gone);
            let Some(lead) = lead.filter(|_| is_lost) else { continue };
            let stands = |id: &IncidentId| {
                self.incidents.get(id).is_some_and(|incident| incident.under == Some(lead))
            };
            let others = known.blind.into_iter().filter(|id| *id != lead && !stands(id));
            let others: Vec<_> = others.collect();
            for id in others {
                let input = IncidentInput::Join { lead, target: target.clone() };
                let _ = self.feed(id, input, now);
            }
        }
    }

    /// Finds out once per loss which rules stand on its target; of many at once some now, and the
    /// others in the next turns, so that nothing waits for it.
    fn ask_who_stands(&mut self) {
        let mut asked = 0;
        for (id, failing) in &mut self.failures {
            if failing.standing.is_some() || failing.in_a_row < FAILURES_MIN {
                continue;
            }
            if asked == ASKED_PER_TURN {
                self.losses_due = true;
                return;
            }
            asked += 1;
            let readers = self.readers.get_or_insert_with(|| Readers::new(self.alerts.groups()));
            failing.standing = Some(match (self.read_at.get(id), failing.seen_at) {
                (Some(read_at), Some(seen_at)) => {
                    let (source, labels, read_at) = (&self.window, &failing.labels, *read_at);
                    TargetSeries { source, labels, seen_at, read_at }.standing(readers)
                }
                // It never answered, as far as is known: nothing ended with it.
                _ => Standing::default(),
            });
        }
    }

    /// The rules are others, so others may stand on what is lost.
    pub(crate) fn forget_who_stands(&mut self) {
        self.readers = None;
        self.failures.values_mut().for_each(|failing| failing.standing = None);
        self.losses_due = true;
    }

    /// Which alerts watch the targets that fail and matter.
    fn watchers(&self, known: &BTreeMap<String, Known>) -> BTreeMap<String, Watcher> {
        let mut missed = Vec::new();
        for (id, failing) in &self.failures {
            let matters = failing.rule_count() > 0 || known.get(id).is_some_and(Known::is_told);
            if let Some(read_at) = self.read_at.get(id).copied().filter(|_| matters) {
                missed.push(Missed { id, failing, read_at });
            }
        }
        let mut watchers: BTreeMap<String, Watcher> = BTreeMap::new();
        let oldest = missed.iter().map(|one| one.failing.why.0).min();
        let Some(oldest) = oldest else { return watchers };
        let by_labels: HashMap<_, _> = missed.iter().map(|one| (one.key(), one)).collect();
        let instances: HashSet<_> = missed.iter().map(Missed::instance).collect();
        let mut by_absent: HashMap<&str, Vec<&Missed<'_>>> = HashMap::new();
        for one in &missed {
            for rule in one.failing.standing.iter().flat_map(|standing| &standing.absent) {
                by_absent.entry(rule).or_default().push(one);
            }
        }
        let mut brought = Brought::new(&self.window);
        let states = self.alerts.groups().iter().flat_map(|group| group.rules());
        for (state, alert) in states.flat_map(|s| s.alerts().map(move |alert| (s, alert))) {
            let Some(since) = alert.state.active_at().filter(|_| alert.state.is_active()) else {
                continue;
            };
            let own = alert.labels.get("instance").filter(|own| !own.is_empty());
            if since < oldest && !own.is_some_and(|own| instances.contains(own)) {
                continue;
            }
            let is_about =
                |one: &Missed<'_>| since >= one.failing.why.0 || own == Some(one.instance());
            let mut watched = BTreeSet::new();
            for origin in &alert.origins {
                let one = by_labels.get(&(origin.value("job"), origin.value("instance")));
                if let Some(one) = one.filter(|one| is_about(one))
                    && brought.has(origin, one.read_at)
                {
                    watched.insert(one.id);
                }
            }
            // What fires on an absence comes from no series.
            if alert.origins.is_empty() {
                let asked = by_absent.get(state.rule().name()).into_iter().flatten();
                watched.extend(asked.filter(|one| since >= one.failing.why.0).map(|one| one.id));
            }
            for id in watched {
                let watcher = self.watcher(&alert.labels);
                let best = watchers.entry(id.clone()).or_insert(watcher);
                *best = match (*best, watcher) {
                    (Watcher::Leads(a), Watcher::Leads(b)) => Watcher::Leads(a.min(b)),
                    (Watcher::Leads(a), _) | (_, Watcher::Leads(a)) => Watcher::Leads(a),
                    _ => watcher,
                };
            }
        }
        watchers
    }

    fn watcher(&self, labels: &Labels) -> Watcher {
        let mut open = self.incidents.open_for(labels);
        match open.find(|incident| incident.opened.is_of_rule()) {
            Some(incident) => Watcher::Leads(incident.id),
            None => Watcher::Quiet,
        }
    }

    /// Who watched a target before discovery took it away: the alert leads for as long as its incident
    /// is open, although nobody can look any more whether it fires.
    fn watcher_before(&self, known: &Known) -> Watcher {
        let blind = known.blind.iter().filter_map(|id| self.incidents.get(id));
        let leads = blind.filter_map(|one| self.incidents.get(&one.under?));
        let mut watcher = Watcher::Nobody;
        for lead in leads.filter(|lead| lead.opened.is_of_rule()) {
            if lead.is_open() {
                return Watcher::Leads(lead.id);
            }
            if lead.ending == Some(Ending::ByPerson) {
                watcher = Watcher::Quiet;
            }
        }
        watcher
    }

    /// Puts the targets of losses that an earlier process left among those that are gone, where no job
    /// has them any more. Until every job has told of its targets nobody knows.
    fn miss_what_went_unseen(&mut self, known: &BTreeMap<String, Known>, now: TimeMs) {
        let mut pools = self.jobs.iter().map(|job| self.pools.get(job));
        if !pools.all(|pool| pool.is_some_and(|pool| pool.is_complete)) {
            return;
        }
        for (target, _) in known.iter().filter(|(_, known)| known.open.is_some()) {
            if !self.targets.contains_key(target) {
                self.gone.entry(target.clone()).or_insert(now);
            }
        }
    }

    fn sighting(&self, target: &str, known: &Known, watcher: Watcher, now: TimeMs) -> Sighting {
        let failing = self.failures.get(target);
        let rule_count = failing.map_or(0, Failing::rule_count);
        let blind_count = known.blind.len();
        let seen_at = failing.and_then(|failing| failing.seen_at);
        let closed_at = self.incidents.dismissed_at(target);
        let dismissed = closed_at.is_some_and(|closed| seen_at.is_none_or(|seen| seen <= closed));
        // Asked only where it decides: of a thousand targets that are lost it takes its time.
        let decides = known.open.is_none()
            && watcher == Watcher::Nobody
            && !dismissed
            && rule_count + blind_count > 0;
        let heard = decides && failing.is_none_or(|failing| self.were_heard(failing, now));
        let sight = self.target_sight(target);
        let incident = known.open;
        Sighting { sight, watcher, rule_count, blind_count, heard, dismissed, incident }
    }

    /// Whether every group that can tell of a loss was evaluated since it began.
    fn were_heard(&self, failing: &Failing, now: TimeMs) -> bool {
        let Some(standing) = &failing.standing else { return false };
        if standing.listening.is_empty() || now >= failing.first_at + LISTEN_MAX {
            return true;
        }
        let groups = self.alerts.groups().iter();
        let mut listening = groups.filter(|group| standing.listening.contains(&group.key()));
        listening.all(|group| {
            let looked_at = group.evaluated_at().map(|at| at - group.query_offset());
            looked_at.is_some_and(|at| at >= failing.first_at)
        })
    }

    fn target_sight(&self, target: &str) -> TargetSight {
        match (self.failures.get(target), self.answered.get(target)) {
            (Some(failing), _) => TargetSight::Fails { in_a_row: failing.in_a_row },
            (None, Some(at)) if self.targets.contains_key(target) => {
                TargetSight::Answers { at: *at }
            }
            (None, _) if self.gone.contains_key(target) => TargetSight::Gone,
            (None, _) => TargetSight::Unknown,
        }
    }

    fn open_loss(&mut self, id: &str, known: &Known, now: TimeMs) -> IncidentId {
        let lost = self.lost(id, known, now);
        let (job, instance) = id.split_once('/').unwrap_or(("", id));
        let named = || Labels::from([("job", job), ("instance", instance)]);
        let labels = self.targets.get(id).map_or_else(named, |target| target.all_labels());
        let since = match (self.failures.get(id), self.gone.get(id)) {
            (Some(failing), _) => failing.why.0,
            (None, gone) => gone.copied().unwrap_or(now),
        };
        let up = labels.with(METRIC_NAME, "up");
        let labels = labels.with("alertname", TARGET_LOST);
        let texts = |labels: &Labels| {
            labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let opened = Opened {
            alert: TARGET_LOST.to_owned(),
            labels: texts(&labels),
            annotations: annotations(&lost, known.blind.len()),
            value: "0".to_owned(),
            expr: format!("{up} == 0"),
            active_at_ms: since.0,
            system: self.systems.about(&labels, std::slice::from_ref(&up)),
            runbook: self.pages.serving(TARGET_LOST).map(|page| page.title().to_owned()),
            origins: vec![texts(&up)],
            outside: None,
            lost: Some(lost),
        };
        self.open(opened, now)
    }

    /// What is lost with a target.
    fn lost(&self, id: &str, known: &Known, now: TimeMs) -> Lost {
        let failing = self.failures.get(id);
        let standing = failing.and_then(|failing| failing.standing.as_ref());
        let of_incidents = known.blind.iter().filter_map(|id| self.incidents.get(id));
        // What fired stands on it too, though its series be forgotten by now.
        let mut rules: BTreeSet<&str> =
            of_incidents.map(|incident| incident.opened.alert.as_str()).collect();
        if let Some((standing, readers)) = standing.zip(self.readers.as_ref()) {
            rules.append(&mut readers.blind(standing));
        }
        let reason = match failing {
            Some(failing) => failing.why.1.clone(),
            None => "it is no target any more, and nothing takes its place".to_owned(),
        };
        let seen_at = match failing {
            Some(failing) => failing.seen_at,
            None => self.gone.get(id).map(|at| (*at).min(now)),
        };
        Lost {
            target: id.to_owned(),
            reason,
            seen_at_ms: seen_at.map(|at| at.0),
            rule_count: rules.len(),
            rules: rules.into_iter().take(RULES_NAMED_MAX).map(str::to_owned).collect(),
        }
    }

    /// The target whose series have this `job` and `instance`, where there is or was one.
    pub(crate) fn target_of(&self, job: &str, instance: &str) -> Option<String> {
        let id = format!("{job}/{instance}");
        if self.targets.contains_key(&id) || self.gone.contains_key(&id) {
            return Some(id);
        }
        // Several may share both; the one that fails is the one that is missed.
        let mut failing = self.failures.iter();
        let found = failing.find(|(_, Failing { labels, .. })| {
            labels.value("job") == job && labels.value("instance") == instance
        });
        found.map(|(id, _)| id.clone())
    }

    /// Whether the target of a loss answers, on what this process has seen of it.
    pub(crate) fn loss_signal(&self, lost: &Lost) -> Signal {
        match self.target_sight(&lost.target) {
            TargetSight::Answers { .. } => Signal::Clear,
            TargetSight::Fails { .. } => Signal::Firing,
            TargetSight::Gone | TargetSight::Unknown => Signal::Blind,
        }
    }
}

/// What readers see.
impl Engine {
    /// The open incident that leads where this target is lost: of the loss itself, or of an alert that
    /// watches it and that others stand under.
    pub fn loss_of(&self, target: &str) -> Option<&Incident> {
        let open = || self.incidents.open();
        let is_of = |incident: &&Incident| {
            incident.opened.lost.as_ref().is_some_and(|lost| lost.target == target)
        };
        open().find(is_of).or_else(|| {
            let mut blind = open().filter(|one| one.blind_on.as_deref() == Some(target));
            let lead = self.incidents.get(&blind.find_map(|one| one.under)?)?;
            lead.is_open().then_some(lead)
        })
    }

    /// When a target that cannot be looked at last answered, where the samples say it.
    pub fn seen_at(&self, target: &str) -> Option<TimeMs> {
        self.failures.get(target)?.seen_at
    }
}

/// For people, as of an alert.
fn annotations(lost: &Lost, blind_count: usize) -> BTreeMap<String, String> {
    let named: Vec<_> = lost.rules.iter().take(RULES_TOLD_MAX).map(String::as_str).collect();
    let and_more = match lost.rule_count - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let rules = match lost.rule_count {
        1 => "1 alert rule reads its samples and cannot speak".to_owned(),
        count => format!("{count} alert rules read its samples and cannot speak"),
    };
    let fired = match blind_count {
        0 => "none of their alerts fired before".to_owned(),
        1 => "1 alert that fired before is not known to be over".to_owned(),
        count => format!("{count} alerts that fired before are not known to be over"),
    };
    let named = named.join(", ");
    let description = format!("{}. {rules}: {named}{and_more}; {fired}.", lost.reason);
    let summary = format!("{} cannot be looked at", lost.target);
    [("summary".to_owned(), summary), ("description".to_owned(), description)].into()
}

/// When a target that fails at `at` last answered, and since when it has failed: by its `up`.
fn last_seen(source: &dyn Source, labels: &Labels, at: TimeMs) -> (Option<TimeMs>, TimeMs) {
    let Some(row) = row_of(source, &labels.with(METRIC_NAME, "up")) else { return (None, at) };
    let mut samples = Vec::new();
    source.range(row, TimeMs(i64::MIN), at, &mut samples);
    samples.retain(|sample| !is_stale(sample.value));
    let failed = samples.iter().rev().take_while(|sample| sample.value == 0.0).count();
    let (answered, failed) = samples.split_at(samples.len() - failed);
    (answered.last().map(|sample| sample.at), failed.first().map_or(at, |sample| sample.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_changes_nothing_moves_nothing() {
        let at = |seconds: i64| TimeMs(seconds * 1000);
        let why = (at(0), "refused".to_owned());
        let mut failing = Failing::new(why, Labels::empty(), None, at(0));
        let mut check = |seconds: i64, reason: &str, expected: bool| {
            let moves =
                failing.fails_again(at(seconds), Duration::from_secs(15), reason.to_owned());
            assert_eq!(moves, expected, "at {seconds} s: {failing:?}");
        };
        // Read anew out of turn, then for the second time in a row.
        check(5, "refused", false);
        check(15, "refused", true);
        check(30, "refused", false);
        check(45, "no answer", true);
        check(60, "no answer", false);
        // Nobody waits any more for rules that might watch it.
        check(299, "no answer", false);
        check(300, "no answer", true);
        check(315, "no answer", false);
    }
}
