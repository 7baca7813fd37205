//! A group at work: its rules run one after the other, and each sees what the ones before it wrote.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paramedic_gotmpl::QueryFn;
use paramedic_model::{Histogram, Labels, METRIC_NAME, Series, TimeMs, stale_nan};
use paramedic_promql::{Element, EvalOptions, Origins, Plan, SelectorCache, Source, Value, parse};

use crate::alert::{Alert, AlertEvent, Alerts, Evaluation};
use crate::file::{GroupSpec, RecordingRule, Rule, Trigger};
use crate::restore::Restore;
use crate::schedule::Schedule;

/// Where a round reads samples and writes its own.
///
/// Few methods and no supertrait, so that a caller wraps its window in a few lines.
pub trait Store {
    /// What expressions read. What was appended before is in it.
    fn source(&self) -> &dyn Source;

    /// Takes the samples of one rule, staleness markers included, all of them at `at`.
    ///
    /// # Errors
    ///
    /// Why some were not taken; the rule is then unhealthy, its alerts stand.
    fn append(&mut self, at: TimeMs, series: &[Series]) -> Result<(), String>;

    /// Takes the native histograms that a recording rule yields, all of them at `at`.
    ///
    /// # Errors
    ///
    /// As [`Store::append`]; a store that does not say how refuses them.
    fn append_histograms(
        &mut self,
        at: TimeMs,
        series: &[(Labels, Arc<Histogram>)],
    ) -> Result<(), String> {
        let _ = (at, series);
        Err("native histograms that rules yield are not kept here".to_owned())
    }

    /// What a stopwatch shows that never goes back, to tell how long rules took: no decision reads it.
    /// Always zero in a store that measures nothing.
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// What is the same for all evaluations of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The settings of expressions.
    pub options: &'a EvalOptions,
    /// `external_labels`: visible to templates, not added to alerts here.
    pub external_labels: &'a Labels,
    /// The address under which people reach the product, without a slash at the end.
    pub external_url: &'a str,
}

/// What holds for a group that does not say it.
#[derive(Clone, Copy, Debug)]
pub struct GroupDefaults {
    /// `evaluation_interval`. At least a millisecond.
    pub interval: Duration,
    /// `rule_query_offset`.
    pub query_offset: Duration,
}

impl Default for GroupDefaults {
    /// Prometheus's: every minute, without offset.
    fn default() -> Self {
        Self { interval: Duration::from_secs(60), query_offset: Duration::ZERO }
    }
}

/// Why a rule has no result. Prints in Prometheus's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RuleFailure(pub String);

/// Whether a rule works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// Its last evaluation succeeded.
    Ok,
    /// Its last evaluation failed, for this reason. Its alerts are as they were before it.
    Err(String),
}

/// One rule of a group with what it knows.
#[derive(Clone, Debug)]
pub struct RuleState {
    rule: Rule,
    pub(crate) alerts: Alerts,
    /// The series that the last successful evaluation wrote.
    pub(crate) written: BTreeSet<Labels>,
    /// Whether `ALERTS` may be written: a rule that still has to be restored would overwrite what
    /// it is restored from.
    pub(crate) restored: bool,
    health: Health,
    warnings: Vec<String>,
    evaluated_at: Option<TimeMs>,
    took: Duration,
}

impl RuleState {
    fn new(rule: Rule) -> Self {
        Self {
            rule,
            alerts: Alerts::default(),
            written: BTreeSet::new(),
            restored: true,
            health: Health::Unknown,
            warnings: Vec::new(),
            evaluated_at: None,
            took: Duration::ZERO,
        }
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Its alerts, sorted by labels: pending, firing, and resolved within the last 15 minutes.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter()
    }

    /// The alert with these labels.
    pub fn alert(&self, labels: &Labels) -> Option<&Alert> {
        self.alerts.get(labels)
    }

    /// Whether it works.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What its last evaluation warned of.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// When it was last evaluated.
    pub fn evaluated_at(&self) -> Option<TimeMs> {
        self.evaluated_at
    }

    /// How long its last evaluation took, by the store's [stopwatch](Store::elapsed).
    pub fn took(&self) -> Duration {
        self.took
    }
}

/// What one evaluation of a group brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// The time of the evaluation.
    pub at: TimeMs,
    /// What happened to alerts, in the order of the rules, then of the labels.
    pub events: Vec<AlertEvent>,
    /// The rules that failed, by position from 0, with the reason.
    pub failures: Vec<(usize, String)>,
    /// How many samples were written, staleness markers included.
    pub samples: usize,
}

/// A group of rules with its state. Reads no clock: the caller says when it runs.
#[derive(Clone, Debug)]
pub struct Group {
    file: String,
    name: String,
    limit: Option<usize>,
    query_offset: Duration,
    pub(crate) rules: Vec<RuleState>,
    /// Series of rules that a reload removed; they end in the next evaluation.
    leftover: BTreeSet<Labels>,
    schedule: Schedule,
    pub(crate) restore: Restore,
    /// Whether the functions `externalURL` and `pathPrefix` of templates work: not in unit tests.
    has_address: bool,
    /// Since the process started or the file brought the group.
    pub(crate) evaluations: usize,
    /// What the expressions of its rules have in common.
    selectors: SelectorCache,
}

impl Group {
    /// The group that `spec`, from the file at `path`, describes; it starts at `now`.
    pub fn new(path: &str, spec: &GroupSpec, defaults: &GroupDefaults, now: TimeMs) -> Self {
        let interval = spec.interval.unwrap_or(defaults.interval);
        Self {
            file: path.to_owned(),
            name: spec.name.clone(),
            limit: spec.limit,
            query_offset: spec.query_offset.unwrap_or(defaults.query_offset),
            rules: spec.rules.iter().cloned().map(RuleState::new).collect(),
            leftover: BTreeSet::new(),
            schedule: Schedule::new(&format!("{path};{}", spec.name), spec, interval, now),
            restore: Restore::Journal,
            has_address: true,
            evaluations: 0,
            selectors: SelectorCache::default(),
        }
    }

    /// As promtool's unit tests have it: templates see an external address, and cannot ask for it.
    pub(crate) fn leave_without_address(&mut self) {
        self.has_address = false;
    }

    /// The identity across reloads and restarts: `file;name`.
    pub fn key(&self) -> String {
        format!("{};{}", self.file, self.name)
    }

    /// The file that it stands in.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its name, unique in its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often it runs at least.
    pub fn interval(&self) -> Duration {
        self.schedule.interval()
    }

    /// How far in the past its expressions are evaluated.
    pub fn query_offset(&self) -> Duration {
        self.query_offset
    }

    /// How many alerts or series one rule may have.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Its rules with their state, in order.
    pub fn rules(&self) -> &[RuleState] {
        &self.rules
    }

    /// When it was last evaluated.
    pub fn evaluated_at(&self) -> Option<TimeMs> {
        self.schedule.evaluated_at()
    }

    /// Its schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Tells that a commit at `at` changed families of these names. A group that runs on data and
    /// reads one of them becomes due.
    pub fn changed<'n>(&mut self, families: impl IntoIterator<Item = &'n str>, at: TimeMs) {
        self.schedule.changed(families, at);
    }

    /// When the group is due next; never in the past of its last evaluation.
    pub fn next_due(&self) -> TimeMs {
        let holds = self.rules.iter().filter_map(|state| match &state.rule {
            Rule::Alert(rule) => {
                state.alerts.iter().filter_map(|a| crate::life::due(a.state, rule.waits)).min()
            }
            Rule::Record(_) => None,
        });
        // Asked at every turn of the engine: alerts are looked at only where it depends on them.
        let by_data = self.schedule.trigger() == Trigger::Data;
        self.schedule.next(if by_data { holds.min() } else { None })
    }

    /// The time to evaluate at, where the group is due at `now`: the slot of its interval, as in
    /// Prometheus, or `now` for what happens besides. Slots that were missed are skipped.
    pub fn due(&self, now: TimeMs) -> Option<TimeMs> {
        (self.next_due() <= now).then(|| self.schedule.evaluation_time(now))
    }

    /// Runs all rules at `at`, which is later than the last time.
    ///
    /// Expressions are evaluated at `at` minus the group's offset, and samples are written there;
    /// alerts, templates and `query` in them know `at`.
    pub fn evaluate(&mut self, store: &mut dyn Store, at: TimeMs, context: &Context<'_>) -> Round {
        let mut round = Round { at, ..Round::default() };
        let sample_at = at - self.query_offset;
        self.selectors.begin();
        for (i, state) in self.rules.iter_mut().enumerate() {
            let mut events = Vec::new();
            let (limit, has_address) = (self.limit, self.has_address);
            let moment = Moment { at, sample_at, position: i, limit, has_address };
            let began = store.elapsed();
            let outcome = state.evaluate(store, moment, context, &mut self.selectors, &mut events);
            state.took = store.elapsed().saturating_sub(began);
            round.events.append(&mut events);
            state.evaluated_at = Some(at);
            match outcome {
                Ok(samples) => {
                    round.samples += samples;
                    state.health = Health::Ok;
                }
                Err(RuleFailure(reason)) => {
                    round.failures.push((i, reason.clone()));
                    state.health = Health::Err(reason);
                }
            }
        }
        self.selectors.begin();
        // Series of rules that are gone end only now, as in Prometheus: another rule may go on with
        // them. Nobody is left to be unhealthy about it.
        let leftover = std::mem::take(&mut self.leftover);
        let written = |labels: &Labels| self.rules.iter().any(|rule| rule.written.contains(labels));
        let ended: Vec<_> =
            leftover.into_iter().filter(|labels| !written(labels)).map(ended).collect();
        if !ended.is_empty() && store.append(sample_at, &ended).is_ok() {
            round.samples += ended.len();
        }
        self.evaluations += 1;
        self.schedule.evaluated(at);
        round
    }

    /// Takes over the state of the group that this one replaces after a reload.
    ///
    /// Rules are matched by name and labels as written, the n-th of equal ones to the n-th; so
    /// expression, `for` and annotations may change and alerts stay. What is not matched ends: its
    /// series in the next evaluation, its alerts without a word, as in Prometheus.
    pub fn take_over(&mut self, old: Group) {
        let mut old_rules: Vec<Option<RuleState>> = old.rules.into_iter().map(Some).collect();
        for state in &mut self.rules {
            let matches = |candidate: &Option<RuleState>| {
                candidate.as_ref().is_some_and(|candidate| is_same(&candidate.rule, &state.rule))
            };
            if let Some(found) =
                old_rules.iter_mut().find(|old| matches(old)).and_then(Option::take)
            {
                state.alerts = found.alerts;
                state.written = found.written;
                state.restored = found.restored;
            }
        }
        self.leftover = old.leftover;
        self.leftover.extend(old_rules.into_iter().flatten().flat_map(|state| state.written));
        (self.evaluations, self.restore) = (old.evaluations, old.restore);
        self.schedule.continue_from(&old.schedule);
    }
}

/// Whether two rules are the same across a reload.
fn is_same(a: &Rule, b: &Rule) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
        && a.name() == b.name()
        && a.labels_as_written() == b.labels_as_written()
}

/// Whether `rule` is the alerting rule with this name and these labels.
pub(crate) fn is_same_written(rule: &Rule, name: &str, labels: &[(String, String)]) -> bool {
    let labels = labels.iter().map(|(name, value)| (&**name, &**value));
    matches!(rule, Rule::Alert(_))
        && rule.name() == name
        && rule.labels_as_written().into_iter().eq(labels)
}

/// When and as which rule of its group a rule is evaluated.
#[derive(Clone, Copy)]
struct Moment {
    at: TimeMs,
    /// The same, moved by the group's offset.
    sample_at: TimeMs,
    position: usize,
    limit: Option<usize>,
    has_address: bool,
}

impl RuleState {
    /// How many samples were written.
    fn evaluate(
        &mut self,
        store: &mut dyn Store,
        moment: Moment,
        context: &Context<'_>,
        selectors: &mut SelectorCache,
        events: &mut Vec<AlertEvent>,
    ) -> Result<usize, RuleFailure> {
        let Moment { at, sample_at, position, limit, has_address } = moment;
        self.warnings.clear();
        let source = store.source();
        let (result, warnings) = instant(self.rule.expr(), source, sample_at, context, selectors)?;
        self.warnings = warnings;
        let mut histograms = Vec::new();
        let mut series = match &self.rule {
            Rule::Alert(rule) => {
                let evaluation = Evaluation { source, at, context, position, limit, has_address };
                self.alerts.evaluate(rule, result, &evaluation, events)?;
                if self.restored { self.alerts.series(rule) } else { Vec::new() }
            }
            Rule::Record(rule) => {
                let (numbers, others) = record(rule, result, limit)?;
                histograms = others;
                numbers
            }
        };
        let mut now: BTreeSet<Labels> = series.iter().map(|series| series.labels.clone()).collect();
        now.extend(histograms.iter().map(|(labels, _)| labels.clone()));
        series.extend(self.written.difference(&now).cloned().map(ended));
        self.written = now;
        if !series.is_empty() {
            let appended = store.append(sample_at, &series);
            let names = series.iter().filter_map(|series| series.labels.metric_name());
            selectors.changed(names.collect::<BTreeSet<_>>());
            appended.map_err(RuleFailure)?;
        }
        if !histograms.is_empty() {
            let appended = store.append_histograms(sample_at, &histograms);
            selectors.changed([self.rule.name()]);
            appended.map_err(RuleFailure)?;
        }
        Ok(series.len() + histograms.len())
    }
}

/// The marker that a series has ended.
fn ended(labels: Labels) -> Series {
    Series { labels, value: stale_nan() }
}

/// The elements that an expression returns, and the warnings; a scalar is one element without
/// labels.
fn instant(
    plan: &Plan,
    source: &dyn Source,
    at: TimeMs,
    context: &Context<'_>,
    selectors: &mut SelectorCache,
) -> Result<(Vec<Element>, Vec<String>), RuleFailure> {
    let evaluation = plan
        .eval_instant_shared(source, at, context.options, selectors)
        // Without the place, as there: `lastError` has one expression to speak of.
        .map_err(|error| RuleFailure(error.message))?;
    let warnings = evaluation.annotations.iter().map(ToString::to_string).collect();
    match evaluation.value {
        Value::Vector(elements) => Ok((elements, warnings)),
        Value::Scalar(value) => {
            let labels = Labels::empty();
            Ok((vec![Element::number(labels, value, Origins::none())], warnings))
        }
        Value::String(_) | Value::Matrix(_) => {
            Err(RuleFailure("rule result is not a vector or scalar".to_owned()))
        }
    }
}

/// Fails where an element is a native histogram.
fn numbers_only(elements: &[Element]) -> Result<(), RuleFailure> {
    match elements.iter().any(|element| element.histogram.is_some()) {
        true => Err(RuleFailure("the result is a native histogram, which has no value".to_owned())),
        false => Ok(()),
    }
}

/// What `query` means in a template: an instant query at the time of the evaluation, without the
/// group's offset.
pub(crate) fn template_query<'q>(
    source: &'q dyn Source,
    at: TimeMs,
    context: &'q Context<'q>,
) -> impl Fn(&str) -> Result<Vec<Series>, String> + 'q {
    let query = move |text: &str| {
        let expr = parse(text).map_err(|error| error.to_string())?;
        let plan = Plan::new(expr, text).map_err(|error| error.to_string())?;
        let mut selectors = SelectorCache::default();
        let (elements, _) =
            instant(&plan, source, at, context, &mut selectors).map_err(|error| error.0)?;
        numbers_only(&elements).map_err(|error| error.0)?;
        let series = |element: Element| Series { labels: element.labels, value: element.value };
        Ok(elements.into_iter().map(series).collect())
    };
    // Fixes the closure's type to what templates take.
    let _: &QueryFn<'q> = &query;
    query
}

type HistogramSeries = (Labels, Arc<Histogram>);

/// The series that a recording rule yields: numbers and native histograms.
fn record(
    rule: &RecordingRule,
    result: Vec<Element>,
    limit: Option<usize>,
) -> Result<(Vec<Series>, Vec<HistogramSeries>), RuleFailure> {
    let mut seen = BTreeSet::new();
    let (mut series, mut histograms) = (Vec::with_capacity(result.len()), Vec::new());
    for element in result {
        let mut labels = element.labels.to_builder();
        labels.set(METRIC_NAME, &rule.name);
        for (name, value) in &rule.labels {
            labels.set(name, value);
        }
        let labels = labels.build();
        if !seen.insert(labels.clone()) {
            return Err(RuleFailure(
                "vector contains metrics with the same labelset after applying rule labels"
                    .to_owned(),
            ));
        }
        match element.histogram {
            Some(histogram) => histograms.push((labels, histogram)),
            None => series.push(Series { labels, value: element.value }),
        }
    }
    let count = seen.len();
    match limit {
        Some(limit) if count > limit => {
            Err(RuleFailure(format!("exceeded limit of {limit} with {count} series")))
        }
        _ => Ok((series, histograms)),
    }
}
