//! One group in virtual time, at the moments at which Prometheus evaluated it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paramedic_model::{Labels, Sample, Series, TimeMs, stale_nan};
use paramedic_promql::{EvalOptions, Plan, Source, Value, parse};
use paramedic_rules::{Alert, Context, Group, GroupDefaults, GroupSpec, Health, Outgoing};
use paramedic_rules::{Restore, Store};
use paramedic_samples::Window;

use super::scenario::{GRACE, LOOKBACK, RESEND};

/// Where templates think that they are.
pub const EXTERNAL_URL: &str = "http://prometheus.test:9090";

/// Samples by series, then by time.
pub type Points = BTreeMap<Labels, BTreeMap<i64, String>>;

/// An alert as it stood after an evaluation.
pub type Seen = (String, TimeMs, String, Vec<(String, String)>);

/// What Alertmanagers were told of each alert, and when.
pub type Told = BTreeMap<Labels, Vec<(TimeMs, Outgoing)>>;

pub struct Replay {
    window: Rows,
    path: String,
    spec: GroupSpec,
    group: Group,
    /// The samples to come, the next one last.
    input: Vec<(TimeMs, Series)>,
    options: EvalOptions,
    external_labels: Labels,
    /// Of each rule and alert, what was seen of it, by evaluation.
    pub alerts: BTreeMap<(usize, Labels), Vec<Seen>>,
    /// What was told of each alert since the start.
    pub told: Told,
    /// What each rule was found to be: `None` is well.
    pub health: BTreeMap<usize, BTreeSet<Option<String>>>,
    pub evaluations: usize,
    /// Which rules failed, and when.
    pub failed: BTreeSet<(usize, TimeMs)>,
}

/// The window as the engine lends it to rules.
struct Rows(Window);

impl Store for Rows {
    fn source(&self) -> &dyn Source {
        &self.0
    }

    fn append(&mut self, at: TimeMs, series: &[Series]) -> Result<(), String> {
        let commit = self.0.append(at, series);
        if commit.rejected.total() == 0 { Ok(()) } else { Err(commit.rejected.to_string()) }
    }
}

impl Replay {
    /// The group of a file at `path`, over these samples.
    pub fn new(path: &str, spec: &GroupSpec, data: &[(Labels, Vec<Sample>)]) -> Self {
        let mut input: Vec<_> = data
            .iter()
            .flat_map(|(labels, samples)| {
                let series = |sample: &Sample| {
                    (sample.at, Series { labels: labels.clone(), value: sample.value })
                };
                samples.iter().map(series)
            })
            .collect();
        input.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Self {
            window: Rows(Window::default()),
            path: path.to_owned(),
            spec: spec.clone(),
            group: Group::new(path, spec, &GroupDefaults::default(), TimeMs(0)),
            input,
            options: EvalOptions { lookback: LOOKBACK, ..EvalOptions::default() },
            external_labels: Labels::from([("cluster", "c1")]),
            alerts: BTreeMap::new(),
            told: BTreeMap::new(),
            health: BTreeMap::new(),
            evaluations: 0,
            failed: BTreeSet::new(),
        }
    }

    /// Evaluates at these moments. After a restart `restored_at` is when the alerts came back.
    pub fn run(&mut self, moments: &[TimeMs], restored_at: Option<TimeMs>) {
        for (i, at) in moments.iter().enumerate() {
            self.evaluate(*at);
            // Prometheus restores before the next evaluation, however late that is.
            let now = if i == 1 { restored_at } else { None };
            self.group.restore_if_due(&self.window.0, now.unwrap_or(*at));
            if now.is_some() {
                self.see();
            }
        }
    }

    fn see(&mut self) {
        for (i, state) in self.group.rules().iter().enumerate() {
            for alert in state.alerts().filter(|alert| alert.state.is_active()) {
                self.alerts.entry((i, alert.labels.clone())).or_default().push(seen(alert));
            }
        }
    }

    /// Nothing but the samples is left.
    pub fn restart(&mut self) {
        self.group = Group::new(&self.path, &self.spec, &GroupDefaults::default(), TimeMs(0));
        self.group.restore_from_series(Restore::Prometheus {
            for_grace_period: GRACE,
            for_outage_tolerance: Duration::from_secs(3600),
        });
        self.told.clear();
    }

    /// Another group takes the place of this one, as after a reload.
    pub fn edit(&mut self, spec: &GroupSpec) {
        let new = Group::new(&self.path, spec, &GroupDefaults::default(), TimeMs(0));
        let old = std::mem::replace(&mut self.group, new);
        self.group.take_over(old);
        // These are by the positions of rules.
        self.alerts.clear();
        self.health.clear();
        self.failed.clear();
        self.told.clear();
    }

    fn evaluate(&mut self, at: TimeMs) {
        while let Some((sample_at, series)) = self.input.pop_if(|(of_sample, _)| *of_sample <= at) {
            self.window.0.append(sample_at, &[series]);
        }
        let context = Context {
            options: &self.options,
            external_labels: &self.external_labels,
            external_url: EXTERNAL_URL,
        };
        let round = self.group.evaluate(&mut self.window, at, &context);
        self.evaluations += 1;
        self.failed.extend(round.failures.iter().map(|(rule, _)| (*rule, at)));
        for (i, state) in self.group.rules().iter().enumerate() {
            let reason = match state.health() {
                Health::Err(reason) => Some(reason.clone()),
                Health::Ok | Health::Unknown => None,
            };
            self.health.entry(i).or_default().insert(reason);
        }
        self.see();
        for outgoing in self.group.take_outgoing(at, RESEND) {
            self.told.entry(outgoing.labels.clone()).or_default().push((at, outgoing));
        }
    }

    /// Takes what somebody else wrote at `at`: of `samples` those of that moment, and the ends of
    /// series that are not `there` right after it.
    pub fn copy(&mut self, selector: &str, at: TimeMs, samples: &Points, there: &Points) {
        for (labels, points) in samples {
            let Some(value) = points.get(&at.0) else { continue };
            let value = value.parse().expect("a number");
            self.window.0.append(at, &[Series { labels: labels.clone(), value }]);
        }
        let later = at + Duration::from_millis(1);
        let mut here = self.presence(selector, later, later, Duration::from_secs(1));
        here.retain(|labels, _| !there.contains_key(labels));
        for labels in here.into_keys() {
            self.window.0.append(at, &[Series { labels, value: stale_nan() }]);
        }
    }

    /// All samples of a metric, staleness markers not among them, as a matrix selector has them.
    pub fn samples(&self, metric: &str, at: TimeMs) -> Points {
        match self.ask(&format!("{metric}[1h]"), at, None) {
            Value::Matrix(matrix) => points(matrix.iter().map(|s| (&s.labels, &*s.samples))),
            other => panic!("{metric}: {other:?}"),
        }
    }

    /// What is there of a metric in steps of `step`, as an instant selector has it.
    pub fn presence(&self, metric: &str, from: TimeMs, to: TimeMs, step: Duration) -> Points {
        match self.ask(metric, from, Some((to, step))) {
            Value::Matrix(matrix) => points(matrix.iter().map(|s| (&s.labels, &*s.samples))),
            other => panic!("{metric}: {other:?}"),
        }
    }

    fn ask(&self, text: &str, at: TimeMs, range: Option<(TimeMs, Duration)>) -> Value {
        let plan = Plan::new(parse(text).expect("a selector"), text).expect("a selector");
        let window = &self.window.0;
        let found = match range {
            None => plan.eval_instant(window, at, &self.options),
            Some((to, step)) => plan.eval_range(window, at, to, step, &self.options),
        };
        found.expect("a selector has a result").value
    }

    pub fn group(&self) -> &Group {
        &self.group
    }
}

fn seen(alert: &Alert) -> Seen {
    let active_at = alert.state.active_at().expect("it is active");
    let word = alert.state.word().to_owned();
    (word, active_at, alert.value.to_string(), alert.annotations.clone())
}

fn points<'s>(series: impl Iterator<Item = (&'s Labels, &'s [Sample])>) -> Points {
    let text = |sample: &Sample| (sample.at.0, sample.value.to_string());
    series.map(|(labels, samples)| (labels.clone(), samples.iter().map(text).collect())).collect()
}
