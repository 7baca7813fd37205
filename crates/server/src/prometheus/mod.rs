//! Prometheus's HTTP API: what Grafana, `promtool query` and a sending Prometheus call.
//!
//! ```text
//! request --site, token--> params --> plan --place, deadline--> evaluation on a snapshot --> JSON
//!                                                               (a thread of its own)
//! ```
//!
//! Parameters, shapes, numbers and error texts are Prometheus 3's. What differs, and why:
//!
//! - Other sites' pages get nothing: no CORS headers are sent, and a request that a browser says is
//!   another site's is refused. Everything else on this machine may read, as it may read the pages.
//! - Samples are taken where the configuration says so, from whoever has the token.
//! - A body of a query is at most [`QUERY_BODY_BYTES_MAX`] long.
//!
//! # Invariants
//!
//! - A query never holds up the engine: it reads a snapshot, in a thread of its own.
//! - A query that is over time, or whose asker has gone, is stopped, and its place is free again only
//!   when it has stopped.
//! - A write is acknowledged after the engine has committed it.
//!
//! Not here: federation; remote read; alerts that others send (`outside`).

mod answer;
mod graph;
mod json;
mod labels;
mod metadata;
mod params;
mod query;
mod rules;
mod status;
mod targets;
mod tree;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use paramedic_engine::Stopped;
use paramedic_model::TimeMs;
use paramedic_promql::{EvalOptions, Source};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::problem::Problem;
use answer::{Failure, Success};

pub(crate) use answer::problem;
pub(crate) use params::parse_time;
pub(crate) use status::PROMETHEUS_VERSION;

/// The longest body of a query, in bytes.
const QUERY_BODY_BYTES_MAX: usize = 1 << 20;
/// The longest body of a write, in bytes, compressed or not.
const WRITE_BYTES_MAX: usize = 32 << 20;
/// How many writes are read at once; more wait.
const WRITES_MAX: usize = 8;

/// The settings of Prometheus's API.
#[derive(Clone, Debug)]
pub struct PrometheusOptions {
    /// How long a query may take, waiting included. Default: 2 min.
    pub query_timeout: Duration,
    /// How many queries are evaluated at once; more wait. Default: 20.
    pub query_concurrency: usize,
    /// Whether samples are taken by remote write, from whoever has the token. Default: no.
    pub remote_write: bool,
    /// How long samples are kept, to be told. Default: 2 h.
    pub retention: Duration,
    /// The configuration file, without secrets, to be told.
    pub config: String,
}

impl Default for PrometheusOptions {
    fn default() -> Self {
        Self {
            query_timeout: Duration::from_secs(120),
            query_concurrency: 20,
            remote_write: false,
            retention: Duration::from_secs(2 * 3600),
            config: String::new(),
        }
    }
}

/// What the API keeps between requests.
pub(crate) struct Prometheus {
    options: PrometheusOptions,
    started: TimeMs,
    queries: Arc<Semaphore>,
    writes: Semaphore,
}

impl Prometheus {
    pub fn new(options: PrometheusOptions, started: TimeMs) -> Self {
        let places = options.query_concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let (queries, writes) = (Arc::new(Semaphore::new(places)), Semaphore::new(WRITES_MAX));
        Self { options, started, queries, writes }
    }

    /// When the server was made.
    pub fn started(&self) -> TimeMs {
        self.started
    }

    /// How many queries are evaluated now, and how many may be.
    pub fn queries(&self) -> (usize, usize) {
        let places = self.options.query_concurrency.clamp(1, Semaphore::MAX_PERMITS);
        (places.saturating_sub(self.queries.available_permits()), places)
    }
}

/// Everything below `/api/v1`.
pub(crate) fn routes(app: &App) -> Router<App> {
    let reads = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values))
        .route("/series", get(labels::series).post(labels::series))
        .route("/format_query", get(query::format).post(query::format))
        .route("/parse_query", get(query::tree).post(query::tree))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(metadata::of_targets))
        .route("/scrape_pools", get(targets::pools))
        .route("/alertmanagers", get(targets::alertmanagers))
        .route("/metadata", get(metadata::of_metrics))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/walreplay", get(status::wal_replay))
        .route("/status/buildinfo", get(status::build_info))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .route_layer(from_fn_with_state(app.clone(), refuse_sites))
        .layer(DefaultBodyLimit::max(QUERY_BODY_BYTES_MAX));
    Router::new()
        .merge(reads)
        .route("/admin/tsdb/{what}", post(status::no_admin).put(status::no_admin))
        .route("/write", post(write::write).layer(DefaultBodyLimit::max(WRITE_BYTES_MAX)))
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
}

/// `/graph`, which the links of alerts lead to.
pub(crate) fn graph_route() -> MethodRouter<App> {
    get(graph::show)
}

/// Before everything that is read.
async fn refuse_sites(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    app.access().check_site(request.headers())?;
    Ok(next.run(request).await)
}

/// Why the samples could not be read.
pub(crate) enum Unread {
    /// The time was over while others were served.
    Queued,
    /// The time was over while it worked.
    Working,
    /// It broke off.
    Broken,
    /// The engine has stopped.
    Stopped(Stopped),
}

/// What `work` makes of the samples as they are now, in a thread of its own, within the time limit
/// and, where it is shorter, `timeout`.
pub(crate) async fn read_samples<T: Send + 'static>(
    app: &App,
    timeout: Option<Duration>,
    work: impl FnOnce(&dyn Source, &EvalOptions) -> T + Send + 'static,
) -> Result<T, Unread> {
    let stop = Stop::default();
    let stopped = stop.0.clone();
    read_apart(app, timeout, app.handle().snapshot(), |(snapshot, mut options)| {
        options.stop = Some(stopped);
        work(&snapshot, &options)
    })
    .await
}

/// What `work` makes, in a thread of its own, of what is `taken` from the engine once there is a place
/// among the queries; within the time limit and, where it is shorter, `timeout`.
async fn read_apart<V: Send + 'static, T: Send + 'static>(
    app: &App,
    timeout: Option<Duration>,
    taken: impl Future<Output = Result<V, Stopped>>,
    work: impl FnOnce(V) -> T + Send + 'static,
) -> Result<T, Unread> {
    let api = app.prometheus();
    let limit = api.options.query_timeout;
    let timeout = timeout.map_or(limit, |timeout| timeout.min(limit));
    let deadline = Instant::now() + timeout;
    let place = timeout_at(deadline, api.queries.clone().acquire_owned()).await;
    let place = place.map_err(|_| Unread::Queued)?.map_err(|_| Unread::Broken)?;
    let taken = timeout_at(deadline, taken).await;
    let taken = taken.map_err(|_| Unread::Queued)?.map_err(Unread::Stopped)?;
    let working = tokio::task::spawn_blocking(move || {
        let result = work(taken);
        drop(place);
        result
    });
    match timeout_at(deadline, working).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::Working),
    }
}

/// As [`read_samples`], as an answer of this API.
async fn look(
    app: &App,
    timeout: Option<Duration>,
    work: impl FnOnce(&dyn Source, &EvalOptions) -> Result<Success, Failure> + Send + 'static,
) -> Result<Response, Failure> {
    // A large answer is written in that thread, too.
    let work = |source: &dyn Source, options: &EvalOptions| {
        work(source, options).map(IntoResponse::into_response)
    };
    read_samples(app, timeout, work).await?
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Queued => Failure::timeout("query timed out in query queue"),
            Unread::Working => Failure::timeout("query timed out in expression evaluation"),
            Unread::Broken => Failure::internal("the evaluation broke off; the log says more"),
            Unread::Stopped(stopped) => Failure::internal(stopped.to_string()),
        }
    }
}

/// A moment as Go prints it: without zeros at the end of the fraction.
fn go_time(at: TimeMs) -> String {
    let text = at.to_string();
    let fraction = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{fraction}Z")
}

/// Stops an evaluation when it is dropped: nobody waits for it any more.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_no_zeros_at_the_end() {
        let check = |ms: i64, expected: &str| assert_eq!(go_time(TimeMs(ms)), expected);
        check(0, "1970-01-01T00:00:00Z");
        check(1_500, "1970-01-01T00:00:01.5Z");
        check(10_000, "1970-01-01T00:00:10Z");
        check(1_795_228_932_670, "2026-11-21T02:42:12.67Z");
    }
}
