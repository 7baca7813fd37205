//! `rules` and `alerts`: what the groups know, in Prometheus's shapes.
//!
//! The evaluation time of a single rule is not measured and shown as 0; that of its group is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use paramedic_engine::Engine;
use paramedic_model::{Labels, TimeMs};
use paramedic_promql::Matcher;
use paramedic_rules::{Alert, AlertRule, Group, Health, Rule, RuleState, State as AlertState};
use sha2::{Digest, Sha256};

use super::answer::{Failure, Success};
use super::labels::selector;
use super::params::Params;
use super::{go_time, json};
use crate::access::hex;
use crate::app::App;

/// The groups with their rules and alerts, by file and name.
pub(super) async fn rules(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    let filter = Filter::new(&params)?;
    let page = Page::new(&params)?;
    let answer = app.handle().read(move |engine| groups(engine, &filter, page)).await?;
    Ok(answer?.into_response())
}

/// The alerts that are pending or fire.
pub(super) async fn alerts(State(app): State<App>) -> Result<Response, Failure> {
    let data = app.handle().read(|engine| {
        let rules = engine.groups().iter().flat_map(Group::rules);
        let mut out = r#"{"alerts":"#.to_owned();
        json::list(&mut out, rules.flat_map(active), alert);
        out.push('}');
        out
    });
    Ok(Success::new(data.await?).into_response())
}

/// Which rules are wanted.
struct Filter {
    alerting: bool,
    recording: bool,
    names: BTreeSet<String>,
    groups: BTreeSet<String>,
    files: BTreeSet<String>,
    selectors: Vec<Vec<Matcher>>,
    exclude_alerts: bool,
}

impl Filter {
    fn new(params: &Params) -> Result<Self, Failure> {
        let (alerting, recording) = match &*params.first("type").to_lowercase() {
            "" => (true, true),
            "alert" => (true, false),
            "record" => (false, true),
            other => {
                return Err(Failure::parameter("type", format!("not supported value {other:?}")));
            }
        };
        let exclude_alerts = match params.first("exclude_alerts") {
            "" => false,
            text => go_bool(text).ok_or_else(|| {
                let message = format!(
                    "error converting exclude_alerts: strconv.ParseBool: parsing {text:?}: invalid \
                     syntax"
                );
                Failure::parameter("exclude_alerts", message)
            })?,
        };
        let selectors = params.all("match[]").map(selector).collect::<Result<_, _>>();
        let set = |name: &str| params.all(name).map(str::to_owned).collect();
        Ok(Self {
            alerting,
            recording,
            names: set("rule_name[]"),
            groups: set("rule_group[]"),
            files: set("file[]"),
            selectors: selectors.map_err(|message| Failure::parameter("match[]", message))?,
            exclude_alerts,
        })
    }

    fn wants_group(&self, group: &Group) -> bool {
        let any = |set: &BTreeSet<String>, name| set.is_empty() || set.contains(name);
        any(&self.groups, group.name()) && any(&self.files, group.file())
    }

    fn wants(&self, rule: &Rule) -> bool {
        let of_type = match rule {
            Rule::Alert(_) => self.alerting,
            Rule::Record(_) => self.recording,
        };
        let named = self.names.is_empty() || self.names.contains(rule.name());
        let written = written_labels(rule);
        let holds = |matchers: &Vec<Matcher>| {
            matchers.iter().all(|matcher| {
                let label = written.iter().find(|(name, _)| *name == matcher.name());
                matcher.matches(label.map_or("", |(_, value)| value))
            })
        };
        of_type && named && (self.selectors.is_empty() || self.selectors.iter().any(holds))
    }
}

/// How many groups are wanted, and from which one on.
struct Page {
    groups_max: usize,
    from: Option<String>,
}

impl Page {
    fn new(params: &Params) -> Result<Self, Failure> {
        let (limit, from) = (params.first("group_limit"), params.first("group_next_token"));
        let from = (!from.is_empty()).then(|| from.to_owned());
        if limit.is_empty() {
            return match from {
                None => Ok(Self { groups_max: usize::MAX, from: None }),
                Some(_) => Err(Failure::parameter(
                    "group_next_token",
                    "group_limit needs to be present in order to paginate over the groups",
                )),
            };
        }
        let Ok(groups_max) = limit.parse::<i32>() else {
            let message = format!(
                "group_limit needs to be a valid number: strconv.ParseInt: parsing {limit:?}: \
                 invalid syntax"
            );
            return Err(Failure::parameter("group_limit", message));
        };
        match usize::try_from(groups_max) {
            Ok(groups_max) if groups_max > 0 => Ok(Self { groups_max, from }),
            _ => Err(Failure::parameter("group_limit", "group_limit needs to be greater than 0")),
        }
    }
}

/// The token of a page that begins with this group.
fn token(group: &Group) -> String {
    hex(&Sha256::digest(group.key().as_bytes()))
}

fn groups(engine: &Engine, filter: &Filter, page: Page) -> Result<Success, Failure> {
    let mut all: Vec<&Group> = engine.groups().iter().collect();
    all.sort_by_key(|group| (group.file(), group.name()));
    if let Some(from) = &page.from {
        let Some(first) = all.iter().position(|group| token(group) == *from) else {
            return Err(Failure::bad(format!(
                "invalid group_next_token '{from}'. were rule groups changed?"
            )));
        };
        all.drain(..first);
    }
    let wanted = all.into_iter().filter_map(|group| {
        let rules = filter.wants_group(group).then(|| group.rules().iter())?;
        let rules: Vec<_> = rules.filter(|state| filter.wants(state.rule())).collect();
        (!rules.is_empty()).then_some((group, rules))
    });
    let mut wanted = wanted.peekable();
    let mut out = r#"{"groups":"#.to_owned();
    json::list(&mut out, wanted.by_ref().take(page.groups_max), |out, (group, rules)| {
        let vitals = engine.rule_vitals().groups().get(&group.key());
        let took = vitals.map_or(Duration::ZERO, |vitals| vitals.last_duration);
        write_group(out, group, &rules, took, filter.exclude_alerts);
    });
    if let Some((next, _)) = wanted.peek() {
        let _ = write!(out, r#","groupNextToken":"{}""#, token(next));
    }
    out.push('}');
    Ok(Success::new(out))
}

fn write_group(
    out: &mut String,
    group: &Group,
    rules: &[&RuleState],
    took: Duration,
    exclude_alerts: bool,
) {
    field(out, "{", "name", group.name());
    field(out, ",", "file", group.file());
    out.push_str(r#","rules":"#);
    json::list(out, rules, |out, state| match state.rule() {
        Rule::Alert(rule) => alerting(out, rule, state, exclude_alerts),
        Rule::Record(rule) => {
            field(out, "{", "name", &rule.name);
            field(out, ",", "query", &rule.expr.expr().to_string());
            if !rule.labels.is_empty() {
                out.push_str(r#","labels":"#);
                pairs(out, rule.labels.iter().map(|(name, value)| (&**name, &**value)));
            }
            outcome(out, state);
            out.push_str(r#","type":"recording"}"#);
        }
    });
    let limit = group.limit().unwrap_or(0);
    let _ = write!(out, r#","interval":{},"limit":{limit}"#, group.interval().as_secs_f64());
    out.push_str(r#","evaluationTime":"#);
    json::number(out, took.as_secs_f64());
    let _ = write!(out, r#","lastEvaluation":"{}"}}"#, moment(group.evaluated_at()));
}

fn alerting(out: &mut String, rule: &AlertRule, state: &RuleState, exclude_alerts: bool) {
    let word = active(state).map(|alert| alert.state.is_firing()).max();
    let word = match word {
        Some(true) => "firing",
        Some(false) => "pending",
        None => "inactive",
    };
    field(out, "{", "state", word);
    field(out, ",", "name", &rule.name);
    field(out, ",", "query", &rule.expr.expr().to_string());
    let (hold, keep) = (rule.waits.hold, rule.waits.keep_firing_for);
    let _ = write!(
        out,
        r#","duration":{},"keepFiringFor":{},"labels":"#,
        hold.as_secs_f64(),
        keep.as_secs_f64()
    );
    pairs(out, rule.labels.iter().map(|(name, text)| (&**name, &*text.source)));
    out.push_str(r#","annotations":"#);
    pairs(out, rule.annotations.iter().map(|(name, text)| (&**name, &*text.source)));
    out.push_str(r#","alerts":"#);
    match exclude_alerts {
        true => out.push_str("null"),
        false => json::list(out, active(state), alert),
    }
    outcome(out, state);
    out.push_str(r#","type":"alerting"}"#);
}

/// Whether a rule works, and when that was seen.
fn outcome(out: &mut String, state: &RuleState) {
    let (word, error) = match state.health() {
        Health::Unknown => ("unknown", None),
        Health::Ok => ("ok", None),
        Health::Err(reason) => ("err", Some(reason)),
    };
    field(out, ",", "health", word);
    if let Some(error) = error {
        field(out, ",", "lastError", error);
    }
    let at = moment(state.evaluated_at());
    out.push_str(r#","evaluationTime":"#);
    json::number(out, state.took().as_secs_f64());
    let _ = write!(out, r#","lastEvaluation":"{at}""#);
}

fn active(state: &RuleState) -> impl Iterator<Item = &Alert> {
    state.alerts().filter(|alert| alert.state.is_active())
}

fn alert(out: &mut String, alert: &Alert) {
    out.push_str(r#"{"labels":"#);
    json::labels(out, &alert.labels);
    out.push_str(r#","annotations":"#);
    pairs(out, alert.annotations.iter().map(|(name, value)| (&**name, &**value)));
    field(out, ",", "state", alert.state.word());
    if let Some(at) = alert.state.active_at() {
        let _ = write!(out, r#","activeAt":"{}""#, go_time(at));
    }
    if let AlertState::Firing { keep_firing_since: Some(since), .. } = alert.state {
        let _ = write!(out, r#","keepFiringSince":"{}""#, go_time(since));
    }
    let _ = write!(out, r#","value":"{}"}}"#, exponent(alert.value));
}

/// Labels of a rule as written, without an allocation per label.
fn written_labels(rule: &Rule) -> Vec<(&str, &str)> {
    match rule {
        Rule::Alert(rule) => rule.labels.iter().map(|(n, text)| (&**n, &*text.source)).collect(),
        Rule::Record(rule) => rule.labels.iter().map(|(n, value)| (&**n, &**value)).collect(),
    }
}

fn field(out: &mut String, before: &str, name: &str, value: &str) {
    let _ = write!(out, r#"{before}"{name}":"#);
    json::html_safe(out, value);
}

fn pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    // Through a label set, which has the order that Prometheus shows.
    let sorted: Labels = pairs.collect::<Vec<_>>().into_iter().collect();
    json::labels(out, &sorted);
}

/// Go's word for a moment that never was.
fn moment(at: Option<TimeMs>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), go_time)
}

/// A value with the shortest digits, always with an exponent: `1e+00`.
fn exponent(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { '-' } else { '+' };
            format!("{digits}e{sign}{:0>2}", exponent.trim_start_matches('-'))
        }
    }
}

/// What Go reads as a boolean.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_alerts_have_an_exponent() {
        let check = |value: f64, expected: &str| assert_eq!(exponent(value), expected);
        check(0.0, "0e+00");
        check(-0.0, "-0e+00");
        check(1.0, "1e+00");
        check(1_234_567.0, "1.234567e+06");
        check(1e-7, "1e-07");
        check(1e300, "1e+300");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
    }
}
