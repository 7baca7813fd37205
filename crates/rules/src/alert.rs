use std::collections::{BTreeMap, BTreeSet, HashSet};

use paramedic_gotmpl::{Functions, Value, alert_data, format_shortest};
use paramedic_model::{Histogram, Labels, METRIC_NAME, Series, TimeMs};
use paramedic_promql::{Bucket, Element, Origins, Source, all_buckets};

use crate::file::AlertRule;
use crate::group::{Context, RuleFailure, template_query};
use crate::life::{Change, State, step};

/// The label that names an alert.
pub const ALERT_NAME: &str = "alertname";

/// One alert of one rule: plain data, to be persisted as it is and restored from.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its identity: the labels of the result without the metric name, those of the rule, and
    /// `alertname`.
    pub labels: Labels,
    /// Its annotations, rendered; an empty one is kept.
    pub annotations: Vec<(String, String)>,
    /// The value of the expression when it was last present; 0 where that is a native histogram.
    pub value: f64,
    /// Where it is in its life; never [`State::Inactive`].
    pub state: State,
    /// When it was last sent to Alertmanagers.
    pub last_sent: Option<TimeMs>,
    /// Provenance: the label sets of the series that it came from when it was last present, metric
    /// names included. Of more than 64 the first ones, and of each metric one of each target (`job`
    /// and `instance`) that is not among these: what vanishes is never only in what was left out.
    pub origins: Vec<Labels>,
}

/// What happened to an alert in one evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertEvent {
    /// The alert's rule, as a position in the group: names need not be unique.
    pub rule: usize,
    /// What changed.
    pub change: Change,
    /// The time of the evaluation.
    pub at: TimeMs,
    /// The alert after the change; of one that is [`Change::Forgotten`] as it was before.
    pub alert: Alert,
}

/// All alerts of one rule, by label set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    by_labels: BTreeMap<Labels, Alert>,
}

/// What one evaluation of a rule has besides the rule and its result.
pub(crate) struct Evaluation<'a> {
    pub source: &'a dyn Source,
    pub at: TimeMs,
    pub context: &'a Context<'a>,
    /// The rule's position in its group.
    pub position: usize,
    /// How many alerts the rule may have.
    pub limit: Option<usize>,
    /// Whether templates may ask for the external address.
    pub has_address: bool,
}

/// An element of the result with its alert's labels and texts.
struct Found {
    labels: Labels,
    annotations: Vec<(String, String)>,
    value: f64,
    origins: Vec<Labels>,
}

impl Alerts {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.by_labels.values()
    }

    pub(crate) fn get(&self, labels: &Labels) -> Option<&Alert> {
        self.by_labels.get(labels)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Alert> {
        self.by_labels.values_mut()
    }

    /// Puts alerts in place of those that are there.
    pub(crate) fn replace(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        self.by_labels = alerts.into_iter().map(|alert| (alert.labels.clone(), alert)).collect();
    }

    /// Advances all alerts of `rule` to an evaluation, which returned `result`.
    ///
    /// On an error the alerts are untouched, except where the limit is exceeded: then all are
    /// dropped, as in Prometheus.
    pub(crate) fn evaluate(
        &mut self,
        rule: &AlertRule,
        result: Vec<Element>,
        evaluation: &Evaluation<'_>,
        events: &mut Vec<AlertEvent>,
    ) -> Result<(), RuleFailure> {
        let Evaluation { at, position: rule_at, .. } = *evaluation;
        let found = find(rule, result, evaluation)?;
        let mut present = BTreeSet::new();
        for Found { labels, annotations, value, origins } in found {
            let known = self.by_labels.get(&labels);
            let before = known.map_or(State::Inactive, |alert| alert.state);
            // A resolved alert that comes back is a new one, so its sendings do not count for it.
            let last_sent = known.filter(|_| before.is_active()).and_then(|alert| alert.last_sent);
            let (state, change) = step(before, true, rule.waits, at);
            let last_sent = last_sent.filter(|_| state.is_firing());
            let alert =
                Alert { labels: labels.clone(), annotations, value, state, last_sent, origins };
            if let Some(change) = change {
                events.push(AlertEvent { rule: rule_at, change, at, alert: alert.clone() });
            }
            self.by_labels.insert(labels.clone(), alert);
            present.insert(labels);
        }
        self.by_labels.retain(|labels, alert| {
            if present.contains(labels) {
                return true;
            }
            let (state, change) = step(alert.state, false, rule.waits, at);
            if state != State::Inactive {
                alert.state = state;
            }
            if let Some(change) = change {
                events.push(AlertEvent { rule: rule_at, change, at, alert: alert.clone() });
            }
            state != State::Inactive
        });
        let active = self.iter().filter(|alert| alert.state.is_active()).count();
        match evaluation.limit {
            Some(limit) if active > limit => {
                let dropped = std::mem::take(&mut self.by_labels);
                // What this evaluation began is not news: it is gone already. What was there before
                // it must not vanish without a word.
                events.retain(|event| matches!(event.change, Change::Resolved | Change::Forgotten));
                let was_there =
                    |alert: &Alert| alert.state.is_active() && alert.state.active_at() < Some(at);
                events.extend(dropped.into_values().filter(was_there).map(|alert| AlertEvent {
                    rule: rule_at,
                    change: Change::Forgotten,
                    at,
                    alert,
                }));
                Err(RuleFailure(format!("exceeded limit of {limit} with {active} alerts")))
            }
            _ => Ok(()),
        }
    }

    /// The series `ALERTS` and `ALERTS_FOR_STATE` of the active alerts.
    pub(crate) fn series(&self, rule: &AlertRule) -> Vec<Series> {
        let mut series = Vec::new();
        for alert in self.iter().filter(|alert| alert.state.is_active()) {
            let Some(active_at) = alert.state.active_at() else { continue };
            let mut labels = series_labels(rule, &alert.labels).to_builder();
            labels.set(METRIC_NAME, "ALERTS_FOR_STATE");
            let since_s = active_at.0.div_euclid(1000) as f64;
            series.push(Series { labels: labels.clone().build(), value: since_s });
            labels.set(METRIC_NAME, "ALERTS").set("alertstate", alert.state.word());
            series.push(Series { labels: labels.build(), value: 1.0 });
        }
        series
    }
}

/// The labels of an alert in the series `ALERTS`. As in Prometheus, a label of the rule that expanded
/// to nothing, which the alert does not have, stands there as it is written.
pub(crate) fn series_labels(rule: &AlertRule, alert: &Labels) -> Labels {
    let mut labels = alert.to_builder();
    for (name, text) in rule.labels.iter().filter(|(name, _)| alert.get(name).is_none()) {
        labels.set(name, &text.source);
    }
    labels.build()
}

/// The alerts that a result means.
fn find(
    rule: &AlertRule,
    result: Vec<Element>,
    evaluation: &Evaluation<'_>,
) -> Result<Vec<Found>, RuleFailure> {
    let Evaluation { source, at, context, has_address, .. } = *evaluation;
    let query = template_query(source, at, context);
    let external_url = has_address.then_some(context.external_url);
    let functions = Functions { query: &query, now: at, external_url };
    let mut seen = BTreeSet::new();
    result
        .into_iter()
        .map(|element| {
            let (value, shown) = match &element.histogram {
                Some(histogram) => (0.0, Value::Histogram(text(histogram).into())),
                None => (element.value, element.value.into()),
            };
            let (external_labels, external_url) = (context.external_labels, context.external_url);
            let data = alert_data(&element.labels, external_labels, external_url, shown);
            let mut labels = element.labels.to_builder();
            labels.remove(METRIC_NAME);
            for (name, text) in &rule.labels {
                labels.set(name, &text.expand(&data, &functions));
            }
            labels.set(ALERT_NAME, &rule.name);
            let labels = labels.build();
            if !seen.insert(labels.clone()) {
                return Err(RuleFailure(
                    "vector contains metrics with the same labelset after applying alert labels"
                        .to_owned(),
                ));
            }
            let annotations = rule
                .annotations
                .iter()
                .map(|(name, text)| (name.clone(), text.expand(&data, &functions)))
                .collect();
            let origins = labels_of(&element.origins, source);
            Ok(Found { labels, annotations, value, origins })
        })
        .collect()
}

/// A native histogram as Go prints it: `{count:3, sum:10, [-0.001,0.001]:1, (0.5,1]:2}`.
fn text(histogram: &Histogram) -> String {
    let number = format_shortest;
    let mut text = format!("{{count:{}, sum:{}", number(histogram.count), number(histogram.sum));
    let is_custom = histogram.schema == Histogram::CUSTOM_BUCKETS;
    for Bucket { lower, upper, count } in all_buckets(histogram) {
        let (has_lower, has_upper) = match is_custom {
            true => (lower == f64::NEG_INFINITY, true),
            false => (lower < 0.0, upper > 0.0),
        };
        if count != 0.0 {
            text += if has_lower { ", [" } else { ", (" };
            text += &format!("{},{}", number(lower), number(upper));
            text += if has_upper { "]:" } else { "):" };
            text += &number(count);
        }
    }
    text + "}"
}

/// Of how many series an alert tells, where one of each metric and target is among these. An alert on
/// a count of all series comes from every one of them, and would be told of anew in each round.
const ORIGINS_MAX: usize = 64;

/// The label sets of the rows that a result came from, as [`Alert::origins`] has them.
fn labels_of(origins: &Origins, source: &dyn Source) -> Vec<Labels> {
    let rows = origins.rows();
    let mut labels = Vec::new();
    for of_family in rows.chunk_by(|a, b| a.family == b.family) {
        let family = source.family(of_family[0].family);
        let columns = ["job", "instance"].map(|label| family.column(label));
        let (mut last, mut targets) = (None, HashSet::new());
        for row in of_family {
            let target = columns.map(|column| column.and_then(|column| column.symbol(row.row)));
            // Rows of one target stand together.
            let is_other = last.replace(target) != Some(target) && targets.insert(target);
            if is_other || labels.len() < ORIGINS_MAX {
                labels.push(source.labels(*row));
            }
        }
    }
    labels
}
