//! Runs one test.

use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{TimeMs, is_histogram};
use paramedic_promql::{EvalOptions, Plan, SeriesNotation, Value};
use paramedic_yaml::Place;

use super::compare::compare;
use super::file::{
    AlertCheck, ExpectedAlert, ExpectedSample, ExprCheck, SampleValue, TestFile, UnitTest,
};
use super::report::{Failure, Mismatch, Parts, Standing};
use super::store::TestSamples;
use crate::{Context, Group, GroupDefaults, Rule, RuleError, RuleFile, RuleState, State};

/// How many samples an expression may hold at once: promtool's limit.
const SAMPLES_MAX: usize = 10_000;

/// Runs `test` of `file` over the rules of `rules`, and tells what is not as expected; nothing means
/// that it passes.
///
/// As in promtool, a rule that fails ends its test at that moment.
pub fn run(file: &TestFile, test: &UnitTest, rules: &[RuleFile]) -> Vec<Failure> {
    let mistakes = test.input.iter().filter_map(|series| series.as_ref().err());
    let mut failures: Vec<Failure> = mistakes.map(unreadable).collect();
    if let Some(check) = test.alerts.iter().find(|check| check.alertname.is_empty()) {
        let what = Mismatch::Text(test.no_alertname(check.at));
        failures.push(Failure { place: check.place, at: Some(check.at), what });
    }
    if !failures.is_empty() {
        return failures;
    }
    let mut runner = Runner::new(file, test, rules);
    if runner.steps() {
        for check in &test.exprs {
            runner.failures.extend(runner.expr(check));
        }
    }
    runner.failures
}

fn unreadable(error: &RuleError) -> Failure {
    let place = Place { line: error.line, column: error.column };
    Failure { place, at: None, what: Mismatch::Text(error.reason.clone()) }
}

struct Runner<'a> {
    file: &'a TestFile,
    test: &'a UnitTest,
    options: EvalOptions,
    samples: TestSamples,
    /// Every input series with the number of its next value.
    input: Vec<(&'a SeriesNotation, usize)>,
    groups: Vec<Group>,
    /// The time of the last step.
    stepped_to: Duration,
    failures: Vec<Failure>,
}

impl<'a> Runner<'a> {
    fn new(file: &'a TestFile, test: &'a UnitTest, rules: &[RuleFile]) -> Self {
        let defaults = GroupDefaults { interval: test.interval, query_offset: Duration::ZERO };
        let mut groups: Vec<Group> = rules
            .iter()
            .flat_map(|file| file.groups.iter().map(move |spec| (&file.path, spec)))
            .map(|(path, spec)| {
                let mut group = Group::new(path, spec, &defaults, test.start);
                group.leave_without_address();
                group
            })
            .collect();
        let order = |group: &Group| {
            let at = file.group_eval_order.iter().position(|name| name == group.name());
            at.unwrap_or(0)
        };
        groups.sort_by_key(order);
        // A series that stands twice is what it is the second time.
        let readable: Vec<&SeriesNotation> = test.input.iter().flatten().collect();
        let is_last = |i: usize| {
            let later = &readable[i + 1..];
            later.iter().all(|series| series.labels != readable[i].labels)
        };
        let input = (0..readable.len()).filter(|i| is_last(*i)).map(|i| (readable[i], 0)).collect();
        let options = EvalOptions {
            subquery_step: file.evaluation_interval,
            samples_max: SAMPLES_MAX,
            ..EvalOptions::default()
        };
        let (samples, stepped_to) = (TestSamples::new(), Duration::ZERO);
        Self { file, test, options, samples, input, groups, stepped_to, failures: Vec::new() }
    }

    /// Evaluates all groups at every step; whether no rule failed.
    fn steps(&mut self) -> bool {
        let (until, step) = (self.test.until(), self.file.evaluation_interval);
        let mut checks: Vec<&AlertCheck> = self.test.alerts.iter().collect();
        checks.sort_by_key(|check| check.at);
        let mut checks = checks.into_iter().peekable();
        let mut at = Duration::ZERO;
        while at <= until {
            self.stepped_to = at;
            self.load(self.test.start + at);
            if !self.evaluate(at) {
                return false;
            }
            while let Some(check) = checks.next_if(|check| check.at < at + step) {
                self.failures.extend(self.alerts(check));
            }
            at += step;
        }
        true
    }

    /// Loads the samples up to a moment.
    fn load(&mut self, until: TimeMs) {
        for (series, next) in &mut self.input {
            while let Some(value) = series.values.get(*next) {
                let steps = u32::try_from(*next).unwrap_or(u32::MAX);
                let at = self.test.start + self.test.interval.saturating_mul(steps);
                if at > until {
                    break;
                }
                let written = match (value, series.histograms.get(next)) {
                    (Some(_), Some(histogram)) => {
                        self.samples.put_histogram(&series.labels, at, &histogram.histogram)
                    }
                    (Some(value), None) => self.samples.put(&series.labels, at, *value),
                    (None, _) => Ok(()),
                };
                *next += 1;
                if let Err(reason) = written {
                    let text = format!("input series {}: {reason}", series.labels);
                    let (place, at) = (self.test.place, Some(at.since(self.test.start)));
                    self.failures.push(Failure { place, at, what: Mismatch::Text(text) });
                }
            }
        }
    }

    fn evaluate(&mut self, at: Duration) -> bool {
        let context = Context {
            options: &self.options,
            external_labels: &self.test.external_labels,
            external_url: &self.test.external_url,
        };
        let mut failed = Vec::new();
        for (i, group) in self.groups.iter_mut().enumerate() {
            let round = group.evaluate(&mut self.samples, self.test.start + at, &context);
            failed.extend(round.failures.into_iter().map(|(rule, reason)| (i, rule, reason)));
        }
        let is_fine = failed.is_empty();
        for (group, rule, reason) in failed {
            let group = &self.groups[group];
            let rule = &group.rules()[rule];
            let what = Mismatch::Rule {
                rule: rule.rule().name().to_owned(),
                reason,
                parts: self.rule_parts(group, rule),
            };
            self.failures.push(Failure { place: self.test.place, at: Some(at), what });
        }
        is_fine
    }

    /// The parts of a rule's expression, as of the last step.
    fn rule_parts(&self, group: &Group, rule: &RuleState) -> Parts {
        let Place { line, column } = rule.rule().place();
        let source = format!("{}:{line}:{column}", group.file());
        self.parts(Some(source), rule.rule().expr(), self.stepped_to, group.query_offset())
    }

    fn parts(
        &self,
        rule: Option<String>,
        plan: &Arc<Plan>,
        at: Duration,
        query_offset: Duration,
    ) -> Parts {
        let moment = self.test.start + at - query_offset;
        let explanation = plan.explain(&self.samples, moment, &self.options);
        Parts { rule, start: self.test.start, plan: plan.clone(), explanation }
    }

    fn alerts(&self, check: &AlertCheck) -> Option<Failure> {
        let (mut got, mut standing) = (Vec::new(), Vec::new());
        for group in &self.groups {
            for rule in group.rules() {
                let Rule::Alert(spec) = rule.rule() else { continue };
                if spec.name != check.alertname {
                    continue;
                }
                let firing = rule.alerts().filter(|alert| alert.state.is_firing());
                got.extend(firing.map(|alert| ExpectedAlert {
                    labels: owned(alert.labels.iter()),
                    annotations: alert.annotations.iter().cloned().collect(),
                }));
                standing.push((group, rule, spec));
            }
        }
        let differences = compare(check.expected.clone(), got, self.file.fuzzy_compare);
        if differences.is_empty() {
            return None;
        }
        let since = |at: TimeMs| at.since(self.test.start);
        let standing = standing.into_iter().map(|(group, rule, spec)| Standing {
            hold: spec.waits.hold,
            pending: rule
                .alerts()
                .filter_map(|alert| match alert.state {
                    State::Pending { active_at } => Some((alert.labels.clone(), since(active_at))),
                    _ => None,
                })
                .collect(),
            parts: self.rule_parts(group, rule),
        });
        let what = Mismatch::Alerts {
            alertname: check.alertname.clone(),
            differences,
            standing: standing.collect(),
            evaluated_at: self.stepped_to,
        };
        Some(Failure { place: check.place, at: Some(check.at), what })
    }

    fn expr(&self, check: &ExprCheck) -> Option<Failure> {
        let fail = |place: Place, reason: String, parts: Vec<Parts>| {
            let what = Mismatch::Expr { expr: check.text.clone(), reason, parts };
            Some(Failure { place, at: Some(check.at), what })
        };
        let of_error = |error: &RuleError| {
            let place = Place { line: error.line, column: error.column };
            fail(place, error.reason.clone(), Vec::new())
        };
        let plan = match &check.expr {
            Ok(plan) => plan,
            Err(error) => return of_error(error),
        };
        let at = self.test.start + check.at;
        let value = match plan.eval_instant(&self.samples, at, &self.options) {
            Ok(evaluation) => evaluation.value,
            Err(error) => {
                let parts = vec![self.parts(None, plan, check.at, Duration::ZERO)];
                return fail(check.place, error.to_string(), parts);
            }
        };
        let got = match value {
            Value::Vector(elements) => elements
                .into_iter()
                .map(|element| ExpectedSample {
                    labels: element.labels,
                    value: match element.histogram {
                        Some(histogram) if is_histogram(element.value) => {
                            SampleValue::Histogram(histogram)
                        }
                        _ => SampleValue::Number(element.value),
                    },
                })
                .collect(),
            Value::Scalar(value) => {
                let labels = paramedic_model::Labels::empty();
                vec![ExpectedSample { labels, value: SampleValue::Number(value) }]
            }
            Value::String(_) | Value::Matrix(_) => {
                let reason = "rule result is not a vector or scalar".to_owned();
                return fail(check.place, reason, Vec::new());
            }
        };
        let expected = match &check.expected {
            Ok(expected) => expected.clone(),
            Err(error) => return of_error(error),
        };
        let differences = compare(expected, got, self.file.fuzzy_compare);
        if differences.is_empty() {
            return None;
        }
        let mut parts = vec![self.parts(None, plan, check.at, Duration::ZERO)];
        parts.extend(self.recorded(plan, check.at));
        let what = Mismatch::Samples { expr: check.text.clone(), differences, parts };
        Some(Failure { place: check.place, at: Some(check.at), what })
    }

    /// The recording rules whose series an expression names, each at the last step before `at`.
    fn recorded(&self, plan: &Arc<Plan>, at: Duration) -> Vec<Parts> {
        let step = self.file.evaluation_interval;
        let steps = u32::try_from(at.as_millis() / step.as_millis().max(1)).unwrap_or(u32::MAX);
        let stepped = (step.saturating_mul(steps)).min(self.stepped_to);
        let selectors = plan.expr().selectors();
        let names: Vec<&str> = selectors.iter().filter_map(|(_, s)| s.name.as_deref()).collect();
        let mut parts = Vec::new();
        for group in &self.groups {
            for rule in group.rules() {
                let Rule::Record(spec) = rule.rule() else { continue };
                if names.contains(&spec.name.as_str()) {
                    let Place { line, column } = spec.place;
                    let source = format!("{}:{line}:{column}", group.file());
                    parts.push(self.parts(Some(source), &spec.expr, stepped, group.query_offset()));
                }
            }
        }
        parts
    }
}

fn owned<'l>(
    pairs: impl Iterator<Item = (&'l str, &'l str)>,
) -> std::collections::BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
