//! `metadata` and `targets/metadata`: types, help texts and units of metric families.
//!
//! What tells of them is taken from the engine, and read in a thread of its own, as a query is, with a
//! place among those and a deadline: it is as long as what the targets sent.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use paramedic_engine::Described;
use paramedic_model::{Labels, Metadata};
use paramedic_promql::Matcher;
use serde_json::{Value, json};

use super::answer::{Failure, Success};
use super::json::html_safe_json;
use super::labels::selector;
use super::params::Params;
use super::read_apart;
use crate::app::App;

/// What is said of each metric family, by targets and by senders of samples, each thing once.
pub(super) async fn of_metrics(
    State(app): State<App>,
    params: Params,
) -> Result<Response, Failure> {
    let limit = number(&params, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    let per_metric = number(&params, "limit_per_metric")?;
    let per_metric = per_metric.and_then(|limit| usize::try_from(limit).ok()).filter(|n| *n > 0);
    let metric = params.first("metric").to_owned();
    let found = app.handle().read(|engine| (engine.described(), engine.sent_metadata()));
    let working = move |(described, sent): (_, Vec<Metadata>)| {
        let described = in_order(described);
        let said = described.iter().flat_map(|(_, described)| described.metadata()).chain(sent);
        let mut by_name: BTreeMap<String, Vec<Said>> = BTreeMap::new();
        for said in said.filter(|said| metric.is_empty() || said.name == metric) {
            let known = by_name.entry(said.name.clone()).or_default();
            let is_full = per_metric.is_some_and(|most| known.len() >= most);
            let said = Said::from(said);
            if !is_full && !known.contains(&said) {
                known.push(said);
            }
        }
        let shown = by_name.into_iter().take(limit.unwrap_or(usize::MAX));
        let shown = shown.map(|(name, said)| (name, said.iter().map(Said::json).collect()));
        answer(&Value::Object(shown.collect()))
    };
    Ok(read_apart(&app, None, found, working).await?)
}

/// What each target says of its metric families.
pub(super) async fn of_targets(
    State(app): State<App>,
    params: Params,
) -> Result<Response, Failure> {
    let limit = number(&params, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    let matchers = match params.first("match_target") {
        "" => Vec::new(),
        text => selector(text).map_err(|error| Failure::parameter("match_target", error))?,
    };
    let metric = params.first("metric").to_owned();
    let described = app.handle().read(|engine| engine.described());
    let working = move |described| {
        let mut shown = Vec::new();
        let targets = in_order(described).into_iter();
        for (labels, target) in targets.filter(|(labels, _)| are_met(&matchers, labels)) {
            // As there: a target is shown whole, or not at all.
            if limit.is_some_and(|limit| shown.len() >= limit) {
                break;
            }
            let labels: BTreeMap<_, _> = labels.iter().collect();
            let said = target.metadata().into_iter();
            for said in said.filter(|said| metric.is_empty() || said.name == metric) {
                let mut one = json!({ "target": labels });
                if metric.is_empty() {
                    one["metric"] = said.name.as_str().into();
                }
                let said = Said::from(said);
                for (key, text) in said.fields() {
                    one[key] = text.into();
                }
                shown.push(one);
            }
        }
        answer(&Value::Array(shown))
    };
    Ok(read_apart(&app, None, described, working).await?)
}

/// What is said of a family, whichever it is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    metric_type: &'static str,
    help: String,
    unit: String,
}

impl From<Metadata> for Said {
    fn from(said: Metadata) -> Self {
        Self { metric_type: said.metric_type.word(), help: said.help, unit: said.unit }
    }
}

impl Said {
    fn fields(&self) -> [(&'static str, &str); 3] {
        [("type", self.metric_type), ("help", &self.help), ("unit", &self.unit)]
    }

    fn json(&self) -> Value {
        Value::Object(
            self.fields().map(|(key, text)| (key.to_owned(), text.into())).into_iter().collect(),
        )
    }
}

/// A number that may be there; a negative one is none.
fn number(params: &Params, name: &str) -> Result<Option<i64>, Failure> {
    match params.first(name) {
        "" => Ok(None),
        text => {
            let number = text.parse().map(Some);
            number.map_err(|_| Failure::bad(format!("{name} must be a number")))
        }
    }
}

fn are_met(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.value(matcher.name())))
}

/// By pool and target, each with its labels.
fn in_order(described: Vec<Described>) -> Vec<(Labels, Described)> {
    let labelled = described.into_iter().map(|described| (described.labels(), described));
    let mut labelled: Vec<_> = labelled.collect();
    labelled.sort_by(|(a, one), (b, two)| (one.pool(), a).cmp(&(two.pool(), b)));
    labelled
}

/// A large answer is written in the thread that made it.
fn answer(data: &Value) -> Response {
    Success::new(html_safe_json(&data.to_string())).into_response()
}
