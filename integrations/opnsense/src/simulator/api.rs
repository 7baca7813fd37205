//! One request to a simulated firewall, judged in the order of the real one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use paramedic_model::{Clock, TimeMs};
use serde_json::{Value, json};

use super::answers::{Answer, Asked, Dead, ROUTES, Route};
use super::state::State;
use super::{KEY, Release, SECRET};

/// The delay before a refused key is told so.
const REFUSAL: Duration = Duration::from_secs(2);
/// How long the API waits for a dead back end.
const BACK_END: Duration = Duration::from_secs(10);

/// Answers one request; `None` closes the connection.
pub(super) async fn handle(
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    request: Request<Bytes>,
) -> Option<Response<Full<Bytes>>> {
    let lock = || {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(clock.now());
        state
    };
    // While packages of the web server itself are replaced there is a page, and no API.
    if lock().web_is_away() {
        let page = "<!DOCTYPE html><html><head><title>Request Denied</title></head></html>";
        return Some(respond(
            StatusCode::SERVICE_UNAVAILABLE,
            "text/html",
            page.into(),
            clock.now(),
        ));
    }
    let raw = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let path = request.uri().path();
    let Some((route, params)) = find(path) else {
        let body = json!({ "errorMessage": "Endpoint not found" });
        return Some(reply(StatusCode::NOT_FOUND, &body, clock.now()));
    };
    let Some(authorization) = request.headers().get(AUTHORIZATION) else {
        let page = respond(StatusCode::UNAUTHORIZED, "text/html", String::new(), clock.now());
        return Some(page);
    };
    if lock().key_revoked || !is_ours(authorization) {
        clock.sleep(REFUSAL).await;
        let body = json!({ "status": 401, "message": "Authentication Failed" });
        return Some(reply(StatusCode::UNAUTHORIZED, &body, clock.now()));
    }
    let release = lock().release;
    if !may(release, &raw) {
        let body = json!({ "status": 403, "message": "Forbidden" });
        return Some(reply(StatusCode::FORBIDDEN, &body, clock.now()));
    }
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type
        .is_some_and(|text| text.to_lowercase().replace(' ', "").starts_with("application/json"));
    if is_json && request.body().is_empty() {
        let body = json!({ "status": 400, "message": "Invalid JSON syntax" });
        return Some(reply(StatusCode::BAD_REQUEST, &body, clock.now()));
    }
    let asked = Asked {
        post: request.method() == Method::POST,
        params: params.iter().map(|param| (*param).to_owned()).collect(),
        query: request.uri().query().unwrap_or("").to_owned(),
        // A body that is no JSON counts as none at all.
        body: if is_json {
            serde_json::from_slice(request.body()).unwrap_or(Value::Null)
        } else {
            Value::Null
        },
    };
    if lock().back_end_dead {
        let answer = match route.dead {
            Dead::Unaffected => None,
            Dead::Rows => Some(Answer::Json(json!({"total":0,"rowCount":0,"current":1,"rows":[]}))),
            Dead::List => Some(Answer::Json(json!([]))),
            Dead::Empty => Some(Answer::Empty),
            Dead::Error => Some(Answer::Error("Unexpected error, check log for details")),
            Dead::Ok => Some(Answer::Json(json!({ "result": "ok" }))),
        };
        if let Some(answer) = answer {
            clock.sleep(BACK_END).await;
            return Some(render(answer, clock.now()));
        }
    }
    let answer = (route.answer)(&mut lock(), &asked);
    Some(render(answer, clock.now()))
}

/// The route of a path, and its parameters. Module, controller and action are matched in snake
/// case, however they are written; surplus parameters are ignored.
fn find(path: &str) -> Option<(&'static Route, Vec<&str>)> {
    let segments: Vec<&str> = path.strip_prefix("/api/")?.split('/').collect();
    let [module, controller, action, params @ ..] = segments.as_slice() else { return None };
    let name = format!("{module}/{controller}/{}", snake(action));
    let fits = |route: &&Route| {
        // The log controller takes any module and scope in place of an action.
        let name = if route.path == "diagnostics/log" {
            format!("{module}/{controller}")
        } else {
            name.clone()
        };
        route.path == name
    };
    let route = ROUTES.iter().find(fits)?;
    let mut params = params.to_vec();
    if route.path == "diagnostics/log" {
        params.insert(0, action);
    }
    params.retain(|param| !param.is_empty());
    (params.len() >= route.params).then_some((route, params))
}

fn snake(action: &str) -> String {
    let mut out = String::new();
    for c in action.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn is_ours(authorization: &HeaderValue) -> bool {
    let text = authorization.to_str().unwrap_or_default();
    let encoded = text.split_whitespace().nth(1).unwrap_or_default();
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
    decoded == format!("{KEY}:{SECRET}").into_bytes()
}

/// The privileges of the key: a least-privilege one, whose patterns name single actions in the
/// spelling of the version and are compared with the raw URL.
fn may(release: Release, raw: &str) -> bool {
    const NAMED: &[(&str, &str)] = &[
        (
            "diagnostics/interface/get_socket_statistics",
            "diagnostics/interface/getSocketStatistics",
        ),
        ("diagnostics/system/system_resources", "diagnostics/system/systemResources"),
        ("diagnostics/system/system_disk", "diagnostics/system/systemDisk"),
        ("diagnostics/system/system_swap", "diagnostics/system/systemSwap"),
        ("diagnostics/system/system_time", "diagnostics/system/systemTime"),
    ];
    let refused = |(snake, camel): &(&str, &str)| {
        let refused = if release == Release::V25_1 { snake } else { camel };
        raw.starts_with(&format!("/api/{refused}"))
    };
    // No pattern with a wildcard covers it, so a query breaks it.
    let exact = raw.starts_with("/api/diagnostics/interface/get_vip_status?");
    !NAMED.iter().any(refused) && !exact
}

fn render(answer: Answer, now: TimeMs) -> Response<Full<Bytes>> {
    match answer {
        Answer::Json(value) => reply(StatusCode::OK, &value, now),
        Answer::Empty => respond(StatusCode::OK, "text/html", String::new(), now),
        Answer::Error(message) => {
            let body = json!({ "errorMessage": message });
            reply(StatusCode::INTERNAL_SERVER_ERROR, &body, now)
        }
    }
}

fn reply(status: StatusCode, body: &Value, now: TimeMs) -> Response<Full<Bytes>> {
    // A slash stands only inside strings, and PHP escapes it there.
    let text = body.to_string().replace('/', "\\/");
    respond(status, "application/json; charset=UTF-8", text, now)
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: String,
    now: TimeMs,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let cookie = HeaderValue::from_static("PHPSESSID=0; path=/; secure; HttpOnly");
    headers.insert(SET_COOKIE, cookie);
    let date = civil(now).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        headers.insert(DATE, date);
    }
    response
}

/// The moment as a civil time of UTC, which is the zone of a simulated firewall.
pub(super) fn civil(at: TimeMs) -> jiff::Zoned {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(jiff::tz::TimeZone::UTC)
}
