//! `targets`, `scrape_pools` and `alertmanagers`: what is collected from, and whom alerts are sent to.
//!
//! A system under care is a target too: of the pool that its kind is, at its own address.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use paramedic_engine::Engine;
use paramedic_model::{Labels, format_duration};
use paramedic_promql::{Family, Source};
use paramedic_scrape::Target;
use serde::Serialize;
use serde_json::json;

use super::answer::{Failure, Success};
use super::go_time;
use super::params::Params;
use crate::app::App;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Active {
    discovered_labels: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    scrape_pool: String,
    scrape_url: String,
    global_url: String,
    last_error: String,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

pub(super) async fn targets(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    let state = params.first("state").to_lowercase();
    let with_active = matches!(&*state, "" | "any" | "active");
    let pool = params.first("scrapePool").to_owned();
    let with_dropped = matches!(&*state, "" | "any" | "dropped");
    let (mut active, dropped) =
        app.handle().read(|engine| (active(engine), dropped(engine))).await?;
    active.sort_by(|a, b| (&a.scrape_pool, &a.scrape_url).cmp(&(&b.scrape_pool, &b.scrape_url)));
    let mut counts: BTreeMap<_, _> =
        active.iter().map(|one| (one.scrape_pool.clone(), 0)).collect();
    counts.extend(dropped.iter().map(|(pool, (count, _))| (pool.clone(), *count)));
    counts.retain(|name, _| pool.is_empty() || *name == pool);
    let mut gone = Vec::new();
    for (name, (_, targets)) in dropped {
        if with_dropped && (pool.is_empty() || name == pool) {
            let one = |labels| json!({ "discoveredLabels": labels, "scrapePool": name });
            gone.extend(targets.into_iter().map(one));
        }
    }
    active.retain(|one| with_active && (pool.is_empty() || one.scrape_pool == pool));
    let data = json!({
        "activeTargets": active,
        "droppedTargets": gone,
        "droppedTargetCounts": counts,
    });
    Ok(Success::new(data.to_string()).into_response())
}

pub(super) async fn pools(State(app): State<App>) -> Result<Response, Failure> {
    let pools = app.handle().read(|engine| {
        // A pool may be without targets.
        let empty = engine.pools().keys().map(ToString::to_string);
        let of_targets = engine.targets().values().map(|target| pool(target));
        let mut pools: Vec<_> = of_targets.chain(empty).collect();
        pools.sort_unstable();
        pools.dedup();
        pools
    });
    Ok(Success::new(json!({ "scrapePools": pools.await? }).to_string()).into_response())
}

pub(super) async fn alertmanagers(State(app): State<App>) -> Result<Response, Failure> {
    let read = |engine: &Engine| (engine.alertmanagers(), engine.dropped_alertmanagers());
    let (active, dropped) = app.handle().read(read).await?;
    let shown =
        |urls: Vec<String>| -> Vec<_> { urls.iter().map(|url| json!({ "url": url })).collect() };
    let data =
        json!({ "activeAlertmanagers": shown(active), "droppedAlertmanagers": shown(dropped) });
    Ok(Success::new(data.to_string()).into_response())
}

fn pool(target: &Target) -> String {
    target.discovered.as_ref().map_or(target.job.clone(), |found| found.pool.to_string())
}

fn texts(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The targets that relabelling dropped, those that are kept, by pool, with the number of all.
fn dropped(engine: &Engine) -> BTreeMap<String, (usize, Vec<BTreeMap<String, String>>)> {
    let pools = engine.pools().values();
    let of = |pool: &paramedic_scrape::Pool| {
        let labels = pool.dropped.iter().map(texts).collect();
        (pool.name.to_string(), (pool.dropped_count, labels))
    };
    pools.map(of).collect()
}

fn active(engine: &Engine) -> Vec<Active> {
    engine.targets().iter().map(|(id, target)| one(engine, id, target)).collect()
}

fn one(engine: &Engine, id: &str, target: &Target) -> Active {
    let (discovered_labels, labels, url) = match &target.discovered {
        Some(found) => (texts(&found.labels), texts(&found.target_labels), found.url.clone()),
        None => {
            let mut labels = texts(&target.labels);
            labels.insert("job".to_owned(), target.job.clone());
            labels.insert("instance".to_owned(), target.instance.clone());
            (BTreeMap::new(), labels, target.instance.clone())
        }
    };
    let failure = engine.failure(id).map(|(_, reason)| reason.clone());
    let health = match &failure {
        _ if !engine.was_collected(id) => "unknown",
        Some(_) => "down",
        None => "up",
    };
    let of_series = |name: &str, value: &str| labels.get(name).map_or("", String::as_str) == value;
    let took = newest(engine.window(), "scrape_duration_seconds", of_series);
    Active {
        discovered_labels,
        scrape_pool: pool(target),
        global_url: url.clone(),
        scrape_url: url,
        last_error: failure.unwrap_or_default(),
        last_scrape: engine.read_at(id).map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), go_time),
        last_scrape_duration: took.unwrap_or(0.0),
        health,
        scrape_interval: format_duration(target.interval),
        scrape_timeout: format_duration(target.timeout),
        labels,
    }
}

/// The newest value of the series of this name whose `job` and `instance` are as `is` says.
fn newest(source: &dyn Source, name: &str, is: impl Fn(&str, &str) -> bool) -> Option<f64> {
    let family = source.family(source.find_family(name)?);
    let value = |label: &str, row: u32| {
        let symbol = family.column(label).and_then(|column| column.symbol(row));
        symbol.map_or("", |symbol| source.text(symbol))
    };
    let row = (0..family.row_count() as u32).find(|row| {
        family.newest_at[*row as usize] != Family::NEVER
            && ["job", "instance"].iter().all(|label| is(label, value(label, *row)))
    })?;
    Some(family.newest_value[row as usize]).filter(|value| value.is_finite())
}
