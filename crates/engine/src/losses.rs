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
//! - After a restart a loss stays open until its target has answered this process.
//!
//! Not here: what Alertmanagers hear of a loss (`notify`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use paramedic_incident::{
    Ending, FAILURES_MIN, Incident, Input as IncidentInput, LossStep, Lost, Opened, Sighting,
    Signal, TARGET_LOST, TargetSight, Watcher,
};
use paramedic_model::{IncidentId, Labels, METRIC_NAME, TimeMs, is_stale};
use paramedic_promql::Source;
use paramedic_scrape::Target;

use crate::Engine;
use crate::signal::row_of;
use crate::standing::{Readers, Standing, TargetSeries};

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
    /// When it last answered, where the samples still say it.
    seen_at: Option<TimeMs>,
    /// When this process first saw it fail.
    first_at: TimeMs,
    /// How many collections failed since, one after the other, each about an interval after the last one.
    in_a_row: u32,
    /// When the last of these began.
    counted_at: TimeMs,
    /// Which rules stand on it, once that is asked for.
    standing: Option<Standing>,
}

/// What the incidents say of losses, by target.
#[derive(Default)]
struct Known {
    /// The open incidents that are blind because of it.
    blind: Vec<IncidentId>,
    /// The open incident of its loss.
    open: Option<IncidentId>,
    /// When a person closed the last one.
    dismissed_at: Option<TimeMs>,
}

/// A target that fails and matters.
struct Missed<'a> {
    id: &'a String,
    labels: Labels,
    failing: &'a Failing,
    read_at: TimeMs,
}

impl Missed<'_> {
    fn key(&self) -> (&str, &str) {
        (self.labels.value("job"), self.labels.value("instance"))
    }

    fn series<'a>(&'a self, source: &'a dyn Source) -> TargetSeries<'a> {
        let seen_at = self.failing.seen_at.unwrap_or(TimeMs(i64::MIN));
        TargetSeries { source, labels: &self.labels, seen_at, read_at: self.read_at }
    }
}

impl Engine {
    /// Notes that a collection of a target failed.
    pub(crate) fn fails(&mut self, target: &str, at: TimeMs, reason: String) {
        self.losses_due = true;
        let interval = self.targets.get(target).map_or(Duration::ZERO, |target| target.interval);
        if let Some(failing) = self.failures.get_mut(target) {
            // A target that is read anew out of turn may fail many times in a moment; but one that is
            // late once is not late again, and its next collection begins a little early.
            if at >= failing.counted_at + interval * 3 / 4 {
                (failing.in_a_row, failing.counted_at) = (failing.in_a_row + 1, at);
            }
            if failing.why.1 != reason {
                tracing::warn!(target, "could not look: {reason}");
                failing.why.1 = reason;
            }
            return;
        }
        tracing::warn!(target, "could not look: {reason}");
        let (seen_at, since) = match self.targets.get(target) {
            Some(known) => last_seen(&self.window, &labels_of(known), at),
            None => (None, at),
        };
        let why = (since, reason);
        let (first_at, counted_at, in_a_row) = (at, at, 1);
        let failing = Failing { why, seen_at, first_at, in_a_row, counted_at, standing: None };
        self.failures.insert(target.to_owned(), failing);
    }

    /// Notes that a collection of a target succeeded; `is_first` since the start.
    pub(crate) fn answers(&mut self, target: &str, is_first: bool) {
        let failed = self.failures.remove(target).is_some();
        if failed {
            tracing::info!(target, "can be looked at again");
        }
        self.losses_due |= failed || is_first;
    }

    /// Opens, moves and closes the incidents of losses, where anything changed that they depend on.
    pub(crate) fn losses(&mut self, now: TimeMs) {
        if !self.losses_due || !self.awaited.is_empty() {
            return;
        }
        self.losses_due = false;
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for incident in self.incidents.values() {
            if let Some(target) = incident.blind_on.as_ref().filter(|_| incident.is_open()) {
                known.entry(target.clone()).or_default().blind.push(incident.id);
            }
            if let Some(Lost { target, .. }) = &incident.opened.lost {
                let of_target = known.entry(target.clone()).or_default();
                of_target.open = incident.is_open().then_some(incident.id);
                let dismissed = incident.ending == Some(Ending::ByPerson);
                of_target.dismissed_at =
                    incident.events.last().filter(|_| dismissed).map(|(at, _)| *at);
            }
        }
        for target in self.failures.keys() {
            known.entry(target.clone()).or_default();
        }
        self.ask_who_stands();
        self.gone.retain(|id, at| now.since(*at) < GONE_KEPT || known.contains_key(id));
        let watchers = self.watchers(&known);
        for (target, known) in known {
            let watcher = watchers.get(&target).copied().unwrap_or_default();
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
            let others: Vec<_> = known.blind.into_iter().filter(|id| !stands(id)).collect();
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
            let target = self.targets.get(id).zip(self.read_at.get(id).copied());
            failing.standing = Some(match (target, failing.seen_at) {
                (Some((target, read_at)), Some(seen_at)) => {
                    let (source, labels) = (&self.window, &labels_of(target));
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
            let stands = failing.standing.as_ref().is_some_and(|rules| !rules.blind.is_empty());
            let told = known.get(id).is_some_and(|of| of.open.is_some() || !of.blind.is_empty());
            let target = self.targets.get(id).zip(self.read_at.get(id));
            if let Some((target, read_at)) = target.filter(|_| stands || told) {
                missed.push(Missed { id, labels: labels_of(target), failing, read_at: *read_at });
            }
        }
        let by_labels: HashMap<_, _> = missed.iter().map(|one| (one.key(), one)).collect();
        let mut watchers: BTreeMap<String, Watcher> = BTreeMap::new();
        let oldest = missed.iter().map(|one| one.failing.why.0).min();
        let Some(oldest) = oldest else { return watchers };
        let states = self.alerts.groups().iter().flat_map(|group| group.rules());
        for (state, alert) in states.flat_map(|s| s.alerts().map(move |alert| (s, alert))) {
            let Some(since) = alert.state.active_at().filter(|_| alert.state.is_active()) else {
                continue;
            };
            let own = alert.labels.get("instance").filter(|own| !own.is_empty());
            if since < oldest && !missed.iter().any(|one| own == one.labels.get("instance")) {
                continue;
            }
            let is_about = |one: &Missed<'_>| {
                since >= one.failing.why.0
                    || own.is_some_and(|own| one.labels.value("instance") == own)
            };
            let mut watched = BTreeSet::new();
            for origin in &alert.origins {
                let one = by_labels.get(&(origin.value("job"), origin.value("instance")));
                if let Some(one) = one.filter(|one| is_about(one))
                    && one.series(&self.window).brought(origin)
                {
                    watched.insert(one.id);
                }
            }
            // What fires on an absence comes from no series.
            if alert.origins.is_empty() {
                let name = state.rule().name();
                watched.extend(missed.iter().filter_map(|one| {
                    let absent = &one.failing.standing.as_ref()?.absent;
                    (since >= one.failing.why.0 && absent.contains(name)).then_some(one.id)
                }));
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

    fn sighting(&self, target: &str, known: &Known, watcher: Watcher, now: TimeMs) -> Sighting {
        let failing = self.failures.get(target);
        let standing = failing.and_then(|failing| failing.standing.as_ref());
        let lost_at = failing.map(|failing| failing.why.0).or(self.gone.get(target).copied());
        // Asked only where it decides: of a thousand targets that are lost it takes its time.
        let heard = known.open.is_none()
            && watcher == Watcher::Nobody
            && failing.is_none_or(|failing| self.were_heard(failing, now));
        Sighting {
            sight: self.target_sight(target),
            watcher,
            rule_count: standing.map_or(0, |standing| standing.blind.len()),
            blind_count: known.blind.len(),
            heard,
            dismissed: known.dismissed_at.zip(lost_at).is_some_and(|(closed, lost)| closed >= lost),
            incident: known.open,
        }
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
        match (self.failures.get(target), self.read_at.get(target)) {
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
        let labels = self.targets.get(id).map_or_else(named, |target| labels_of(target));
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
        let mut failing = self.failures.keys().filter_map(|id| self.targets.get_key_value(id));
        let found = failing.find(|(_, target)| {
            let labels = labels_of(target);
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

/// The labels of all series of a target.
fn labels_of(target: &Target) -> Labels {
    match &target.discovered {
        Some(discovered) => discovered.target_labels.clone(),
        None => target.labels.with("job", &target.job).with("instance", &target.instance),
    }
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
