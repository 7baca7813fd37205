//! What clients ask of the server itself.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use paramedic_model::{TimeMs, format_duration};
use paramedic_promql::{EvalOptions, Family, FamilyId, NO_VALUE, Source};
use serde_json::{Value, json};

use super::answer::{Failure, Success};
use super::params::Params;
use super::{go_time, look};
use crate::app::App;

/// The version that clients read to know which requests there are. What this API knows of later ones
/// is additions, and no client need ask for them.
pub(crate) const PROMETHEUS_VERSION: &str = "3.0.0";

pub(super) async fn build_info() -> Response {
    let data = json!({
        "version": PROMETHEUS_VERSION,
        "revision": concat!("paramedic-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Paramedic",
    });
    Success::new(data.to_string()).into_response()
}

pub(super) async fn runtime_info(State(app): State<App>) -> Response {
    let api = app.prometheus();
    let (is_loaded, loaded_at) =
        app.reloader().map_or((true, api.started), |reloader| reloader.last());
    let data = json!({
        "startTime": go_time(api.started),
        "CWD": "",
        "hostname": "",
        "serverTime": go_time(app.now()),
        "reloadConfigSuccess": is_loaded,
        "lastConfigTime": go_time(loaded_at),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": 0,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": format_duration(api.options.retention),
    });
    Success::new(data.to_string()).into_response()
}

/// How far the log has been read: whoever can ask is asked after that.
pub(super) async fn wal_replay() -> Response {
    Success::new(json!({ "min": 0, "max": 0, "current": 0 }).to_string()).into_response()
}

/// Samples are not deleted and not copied on request.
pub(super) async fn no_admin() -> Failure {
    Failure::unavailable("admin APIs disabled")
}

/// The configuration as the options have it, which is without its secrets.
pub(super) async fn config(State(app): State<App>) -> Response {
    let yaml = &app.prometheus().options.config;
    Success::new(json!({ "yaml": yaml }).to_string()).into_response()
}

/// The settings that Prometheus has as flags and that mean here what they mean there.
pub(super) async fn flags(State(app): State<App>) -> Response {
    let options = &app.prometheus().options;
    let data = json!({
        "query.max-concurrency": options.query_concurrency.to_string(),
        "query.timeout": format_duration(options.query_timeout),
        "storage.tsdb.retention.time": format_duration(options.retention),
        "web.enable-lifecycle": app.reloader().is_some().to_string(),
        "web.enable-remote-write-receiver": options.remote_write.to_string(),
    });
    Success::new(data.to_string()).into_response()
}

/// How many entries a list of `status/tsdb` has unless the request says so.
const TOP: usize = 10;

/// Which names and labels have the most series.
pub(super) async fn tsdb(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    let top = params.limit()?.unwrap_or(TOP);
    let work = move |source: &dyn Source, _: &EvalOptions| {
        Ok(Success::new(cardinality(source, top).to_string()))
    };
    look(&app, None, work).await
}

fn cardinality(source: &dyn Source, top: usize) -> Value {
    let mut names = BTreeMap::new();
    let mut values: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut pairs: BTreeMap<String, u64> = BTreeMap::new();
    let (mut series, mut first, mut last) = (0, TimeMs(i64::MAX), TimeMs(i64::MIN));
    for id in (0..source.family_count() as u32).map(FamilyId) {
        let family = source.family(id);
        let live = |row: &u32| family.newest_at[*row as usize] != Family::NEVER;
        let rows: Vec<_> = (0..family.row_count() as u32).filter(live).collect();
        if rows.is_empty() {
            continue;
        }
        series += rows.len();
        *names.entry(family.name.to_owned()).or_insert(0) += rows.len() as u64;
        *pairs.entry(format!("__name__={}", family.name)).or_insert(0) += rows.len() as u64;
        values.entry("__name__".to_owned()).or_default().insert(family.name);
        for row in &rows {
            let at = family.newest_at[*row as usize];
            (first, last) = (first.min(at), last.max(at));
        }
        for column in family.columns {
            let mut counts = vec![0_u64; column.values.len()];
            let used = rows.iter().map(|row| column.codes[*row as usize]);
            used.filter(|code| *code != NO_VALUE).for_each(|code| counts[code as usize] += 1);
            for (symbol, count) in column.values.iter().zip(counts).filter(|(_, n)| *n > 0) {
                let text = source.text(*symbol);
                values.entry(column.name.clone()).or_default().insert(text);
                *pairs.entry(format!("{}={text}", column.name)).or_insert(0) += count;
            }
        }
    }
    let counts = values.iter().map(|(name, texts)| (name.clone(), texts.len() as u64)).collect();
    let bytes = values
        .iter()
        .map(|(name, texts)| (name.clone(), texts.iter().map(|text| text.len() as u64).sum()));
    json!({
        "headStats": {
            "numSeries": series,
            "numLabelPairs": pairs.len(),
            "chunkCount": 0,
            "minTime": first.0,
            "maxTime": last.0,
        },
        "seriesCountByMetricName": most(names, top),
        "labelValueCountByLabelName": most(counts, top),
        "memoryInBytesByLabelName": most(bytes.collect(), top),
        "seriesCountByLabelValuePair": most(pairs, top),
    })
}

/// The entries with the largest numbers.
fn most(counts: BTreeMap<String, u64>, top: usize) -> Vec<Value> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(top);
    counts.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}
