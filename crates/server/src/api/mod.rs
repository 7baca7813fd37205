//! The JSON API, version 1. A field may be added; one that is renamed or removed needs version 2.

mod shapes;
mod why;

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use futures_core::Stream;
use futures_util::stream::unfold;
use paramedic_incident::bundle;
use serde_json::{Value, json};

use crate::app::App;
use crate::forms::{self, Ask};
use crate::pages;
use crate::problem::Problem;
use crate::view::{CLOSED_LISTED, IncidentView, Rows, open_count, other_targets, systems};

/// How often a reader is told at most that something changed.
const EVENT_PACE: Duration = Duration::from_millis(500);
/// How often a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Everything below `/api/paramedic/v1`.
pub(crate) fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/incidents", get(incidents))
        .route("/incidents/{id}", get(incident))
        .route("/incidents/{id}/bundle", get(incident_bundle))
        .route("/incidents/{id}/{verb}", axum::routing::post(act))
        .route("/systems", get(list_systems))
        .route("/status", get(status))
        .route("/alerts/{name}/why", get(why::why))
        .route("/events", get(events))
        .route_layer(from_fn_with_state(app.clone(), authorize))
}

/// Before every request of the API.
async fn authorize(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match request.method().is_safe() {
        true => app.access().check_read(request.headers())?,
        false => app.access().check_token(request.headers())?,
    }
    Ok(next.run(request).await)
}

/// A problem as JSON.
pub(crate) fn problem(problem: &Problem) -> Response {
    (problem.status, Json(json!({ "error": problem.message }))).into_response()
}

async fn incidents(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let rows = app.read(|engine, _| Rows::new(engine, CLOSED_LISTED)).await?;
    let all: Vec<_> = rows.open.iter().chain(&rows.closed).map(shapes::Row::new).collect();
    Ok(Json(json!({ "incidents": all, "left_off": rows.left_off })))
}

async fn view(app: &App, id: &str) -> Result<IncidentView, Problem> {
    let id = forms::incident_id(id)?;
    let view = app.read(move |engine, now| IncidentView::new(engine, now, id)).await?;
    view.ok_or_else(|| Problem::missing(format!("there is no incident {id}")))
}

async fn incident(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<shapes::Incident>, Problem> {
    Ok(Json(shapes::Incident::new(&view(&app, &id).await?)))
}

async fn incident_bundle(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let view = view(&app, &id).await?;
    let text = bundle(&view.incident, &view.versions);
    Ok(([(header::CONTENT_TYPE, pages::MARKDOWN)], text).into_response())
}

async fn act(
    State(app): State<App>,
    Path((id, verb)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let ask: Ask = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad(format!("the body is not as expected: {error}")))?;
    forms::carry_out(&app, ask.command(forms::incident_id(&id)?, &verb)?).await?;
    Ok(Json(json!({})))
}

async fn list_systems(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let (systems, targets) = app.read(|engine, _| (systems(engine), other_targets(engine))).await?;
    let systems: Vec<_> = systems.iter().map(shapes::System::new).collect();
    let targets: Vec<_> = targets.iter().map(shapes::Target::new).collect();
    Ok(Json(json!({ "systems": systems, "targets": targets })))
}

async fn status(State(app): State<App>) -> Result<Json<shapes::Status>, Problem> {
    let version = *app.handle().version().borrow();
    let is_lab = app.is_lab();
    let status = app.read(move |engine, now| shapes::Status::new(engine, now, version, is_lab));
    Ok(Json(status.await?))
}

/// Tells at once, and whenever something that a page shows has changed, but not too often.
async fn events(
    State(app): State<App>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = app.stream()?;
    let mut versions = app.handle().version();
    versions.mark_changed();
    let stream = unfold((versions, place, Duration::ZERO), async |(mut versions, place, rest)| {
        tokio::time::sleep(rest).await;
        // An engine that has stopped ends the stream, and the reader asks again and is told so.
        versions.changed().await.ok()?;
        let version = *versions.borrow_and_update();
        let event = Event::default().event("changed").data(version.to_string());
        Some((Ok(event), (versions, place, EVENT_PACE)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// That the process answers.
pub(crate) async fn healthy() -> &'static str {
    "Paramedic is healthy.\n"
}

/// That the engine answers.
pub(crate) async fn ready(State(app): State<App>) -> Result<String, Problem> {
    let open = app.read(|engine, _| open_count(engine)).await?;
    Ok(format!("Paramedic is ready; open incidents: {open}.\n"))
}
