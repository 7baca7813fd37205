//! The groups of rules at work, and their state as the journal keeps it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use paramedic_journal::GroupRow;
use paramedic_model::{Histogram, Labels, Series, TimeMs};
use paramedic_promql::{EvalOptions, Source};
use paramedic_rules::{
    ALERT_NAME, Alert, AlertEvent, Change, Context, Group, Health, Outgoing, RuleState, State,
    Store,
};
use paramedic_samples::{Commit, Window};
use tokio::time::Instant;

use crate::restore;
use crate::vitals::RuleVitals;

/// All groups.
pub(crate) struct Alerts {
    groups: Vec<Group>,
    /// Where the rules of each name are: the group, and the position in it.
    by_name: HashMap<String, Vec<(usize, usize)>>,
    /// Groups that a reload took away, and when, until their series have ended.
    ending: Vec<(TimeMs, Group)>,
    options: EvalOptions,
    external_labels: Labels,
    external_url: String,
    /// How long after it was told an alert is told again; `None` where nobody is told.
    resend_delay: Option<Duration>,
    /// When the row of each group was last written.
    kept: BTreeMap<String, TimeMs>,
    vitals: RuleVitals,
}

/// How much of the time that an alert has waited a crash may cost.
const KEEP: Duration = Duration::from_secs(1);

/// An alert that began to fire.
pub(crate) struct Fired {
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    pub value: f64,
    pub expr: String,
    pub active_at: TimeMs,
    pub origins: Vec<Labels>,
}

/// What the groups that were due brought.
#[derive(Default)]
pub(crate) struct Evaluated {
    pub fired: Vec<Fired>,
    /// What Alertmanagers are to be told.
    pub outgoing: Vec<Outgoing>,
    /// The state to write, of the groups whose alerts changed or wait.
    pub rows: BTreeMap<String, GroupRow>,
    /// The names of the rules that were evaluated.
    pub names: HashSet<String>,
}

impl Alerts {
    /// The groups with the state that an earlier process wrote: the time already pending counts,
    /// the time that nobody looked does not. Those that restore from series have none yet.
    pub fn restore(
        mut groups: Vec<Group>,
        rows: &BTreeMap<String, GroupRow>,
        options: EvalOptions,
        external_labels: Labels,
        external_url: String,
        resend_delay: Option<Duration>,
        now: TimeMs,
    ) -> Self {
        for group in groups.iter_mut().filter(|group| !group.restores_from_series()) {
            if let Some(row) = rows.get(&group.key()) {
                restore::restore(group, row, now);
            }
        }
        Self {
            by_name: by_name(&groups),
            groups,
            ending: Vec::new(),
            options,
            external_labels,
            external_url,
            resend_delay,
            kept: BTreeMap::new(),
            vitals: RuleVitals::default(),
        }
    }

    /// The groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Takes all groups away, for a reload.
    pub fn take_groups(&mut self) -> Vec<Group> {
        self.by_name.clear();
        std::mem::take(&mut self.groups)
    }

    /// Puts groups in place of those that are there.
    pub fn put_groups(&mut self, groups: Vec<Group>) {
        self.by_name = by_name(&groups);
        self.groups = groups;
    }

    /// The rules of this name.
    fn named(&self, name: &str) -> impl Iterator<Item = &RuleState> {
        let places = self.by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|(group, rule)| &self.groups[*group].rules()[*rule])
    }

    /// Ends the series of groups that are gone as of `now`, which come without rules.
    pub fn end(&mut self, gone: impl Iterator<Item = Group>, now: TimeMs) {
        self.ending.extend(gone.map(|group| (now, group)));
    }

    /// Whether there is a rule for alerts of this name.
    pub fn has_rule(&self, alert: &str) -> bool {
        self.by_name.contains_key(alert)
    }

    /// What rounds cost.
    pub fn vitals(&self) -> &RuleVitals {
        &self.vitals
    }

    /// Labels for everything that leaves.
    pub fn external_labels(&self) -> &Labels {
        &self.external_labels
    }

    /// Where people reach the pages.
    pub fn external_url(&self) -> &str {
        &self.external_url
    }

    /// The settings of expressions.
    pub fn options(&self) -> &EvalOptions {
        &self.options
    }

    /// Tells the groups that families changed.
    pub fn changed(&mut self, families: &BTreeSet<Arc<str>>, at: TimeMs) {
        for group in &mut self.groups {
            group.changed(families.iter().map(|family| &**family), at);
        }
    }

    /// When the first group is due.
    pub fn next_due(&self) -> Option<TimeMs> {
        let ends = self.ending.iter().map(|(gone_at, group)| ends_at(*gone_at, group));
        self.groups.iter().map(Group::next_due).chain(ends).min()
    }

    /// Evaluates the groups that are due.
    pub fn evaluate_due(&mut self, window: &mut Window, now: TimeMs) -> Evaluated {
        let mut evaluated = Evaluated::default();
        self.end_series(window, now);
        for group in &mut self.groups {
            let Some(at) = group.due(now) else { continue };
            let names = group.rules().iter().map(|state| state.rule().name().to_owned());
            evaluated.names.extend(names);
            let context = Context {
                options: &self.options,
                external_labels: &self.external_labels,
                external_url: &self.external_url,
            };
            let (began, previous) = (Instant::now(), group.evaluated_at());
            let round = group.evaluate(&mut Rows { window, began }, at, &context);
            group.restore_if_due(window, now);
            self.vitals.count(group, previous, &round, began.elapsed());
            for (rule, reason) in &round.failures {
                let name = group.rules()[*rule].rule().name();
                tracing::warn!(group = group.name(), rule = name, "evaluation failed: {reason}");
            }
            if let Some(delay) = self.resend_delay {
                evaluated.outgoing.append(&mut group.take_outgoing(at, delay));
            }
            let fired = round.events.iter().filter(|event| event.change == Change::Fired);
            evaluated.fired.extend(fired.map(|event| fired_alert(group, event)));
            // A group without pending alerts and without news is as the journal has it.
            let mut alerts = group.rules().iter().flat_map(|rule| rule.alerts());
            if !round.events.is_empty() || alerts.any(|alert| alert.state.is_active()) {
                evaluated.rows.insert(group.key(), restore::row(group, at));
                self.kept.insert(group.key(), now);
            }
        }
        evaluated
    }

    /// Ends the series of the groups that are gone and due.
    fn end_series(&mut self, window: &mut Window, now: TimeMs) {
        let context = Context {
            options: &self.options,
            external_labels: &self.external_labels,
            external_url: &self.external_url,
        };
        self.ending.retain_mut(|(gone_at, group)| {
            let is_due = ends_at(*gone_at, group) <= now;
            if is_due {
                let mut rows = Rows { window, began: Instant::now() };
                group.evaluate(&mut rows, *gone_at, &context);
            }
            !is_due
        });
    }

    /// The state of the groups in which an alert waits, as it stands without another evaluation:
    /// where the data does not change there is none for a while, and the wait counts all the same.
    pub fn waits(&mut self, now: TimeMs) -> BTreeMap<String, GroupRow> {
        let mut rows = BTreeMap::new();
        for group in &self.groups {
            let mut alerts = group.rules().iter().flat_map(|rule| rule.alerts());
            let key = group.key();
            let old = self.kept.get(&key).is_none_or(|kept| now.since(*kept) >= KEEP);
            if old && alerts.any(|alert| waits(alert.state)) {
                rows.insert(key.clone(), restore::row(group, now));
                self.kept.insert(key, now);
            }
        }
        rows
    }

    /// Whether this process has evaluated the alert's rule. Until then it knows of the alert only
    /// what an earlier process wrote.
    pub fn is_current(&self, alert: &str) -> bool {
        self.named(alert).all(|state| state.evaluated_at().is_some())
    }

    /// Whether the expression of the alert with these labels holds on the samples that there are
    /// now, whenever its group is due.
    ///
    /// # Errors
    ///
    /// Why the rule has no result.
    pub fn holds(&self, labels: &Labels, window: &Window, now: TimeMs) -> Result<bool, String> {
        let alert = labels.value("alertname");
        let context = self.context();
        for group in &self.groups {
            if !group.rules().iter().any(|state| state.rule().name() == alert) {
                continue;
            }
            // A copy, because an evaluation out of turn must leave no trace.
            let mut group = group.clone();
            let round = group.evaluate(&mut Untouched(window), now, &context);
            let of_alert =
                |(rule, _): &&(usize, String)| group.rules()[*rule].rule().name() == alert;
            if let Some((_, reason)) = round.failures.iter().find(of_alert) {
                return Err(reason.clone());
            }
            let mut alerts = group.rules().iter().flat_map(|rule| rule.alerts());
            if alerts.any(|alert| alert.state.is_active() && alert.labels == *labels) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn context(&self) -> Context<'_> {
        Context {
            options: &self.options,
            external_labels: &self.external_labels,
            external_url: &self.external_url,
        }
    }

    /// Why the rule of an alert has no result, where it has none: then nobody knows of its alerts.
    pub fn failure(&self, alert: &str) -> Option<&str> {
        self.named(alert).find_map(|state| match state.health() {
            Health::Err(reason) => Some(reason.as_str()),
            Health::Unknown | Health::Ok => None,
        })
    }

    /// The alert with these labels, while it is pending or fires.
    pub fn active(&self, labels: &Labels) -> Option<&Alert> {
        let mut alerts = self.named(labels.value(ALERT_NAME)).filter_map(|rule| rule.alert(labels));
        alerts.find(|alert| alert.state.is_active())
    }
}

/// When the series of a group that is gone end, as of the moment when it went. As in Prometheus, a
/// group that was renamed has gone on with them by then, and no gap is seen.
fn ends_at(gone_at: TimeMs, group: &Group) -> TimeMs {
    gone_at + 2 * group.interval()
}

fn by_name(groups: &[Group]) -> HashMap<String, Vec<(usize, usize)>> {
    let mut by_name = HashMap::<_, Vec<_>>::new();
    for (at, group) in groups.iter().enumerate() {
        for (rule, state) in group.rules().iter().enumerate() {
            by_name.entry(state.rule().name().to_owned()).or_default().push((at, rule));
        }
    }
    by_name
}

/// Whether time is being counted for an alert.
fn waits(state: State) -> bool {
    match state {
        State::Pending { .. } | State::Firing { keep_firing_since: Some(_), .. } => true,
        State::Firing { keep_firing_since: None, .. }
        | State::Inactive
        | State::Resolved { .. } => false,
    }
}

fn fired_alert(group: &Group, event: &AlertEvent) -> Fired {
    let alert = &event.alert;
    let rule = group.rules().get(event.rule);
    Fired {
        labels: alert.labels.clone(),
        annotations: alert.annotations.iter().cloned().collect(),
        value: alert.value,
        expr: rule.map(|state| state.rule().expr().text().to_owned()).unwrap_or_default(),
        active_at: alert.state.active_at().unwrap_or_default(),
        origins: alert.origins.clone(),
    }
}

/// The window as rules read it when nothing may come of it.
struct Untouched<'a>(&'a Window);

impl Store for Untouched<'_> {
    fn source(&self) -> &dyn Source {
        self.0
    }

    fn append(&mut self, _at: TimeMs, _series: &[Series]) -> Result<(), String> {
        Ok(())
    }
}

/// The window as rules read and write it, and when their round began.
struct Rows<'a> {
    window: &'a mut Window,
    began: Instant,
}

impl Store for Rows<'_> {
    fn source(&self) -> &dyn Source {
        self.window
    }

    fn append(&mut self, at: TimeMs, series: &[Series]) -> Result<(), String> {
        let Commit { rejected, unlogged, .. } = self.window.append(at, series);
        if let Some(error) = unlogged {
            tracing::error!("{error}");
        }
        if rejected.total() == 0 { Ok(()) } else { Err(rejected.to_string()) }
    }

    fn append_histograms(
        &mut self,
        at: TimeMs,
        series: &[(Labels, Arc<Histogram>)],
    ) -> Result<(), String> {
        let mut all = Commit::default();
        for (labels, histogram) in series {
            all.merge(self.window.append_histograms(labels, &[(at, histogram.clone())]));
        }
        let Commit { rejected, unlogged, .. } = all;
        if let Some(error) = unlogged {
            tracing::error!("{error}");
        }
        if rejected.total() == 0 { Ok(()) } else { Err(rejected.to_string()) }
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
