//! What the simulated Traefik answers to one request, with the quirks of version 3.7.9.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use paramedic_model::TimeMs;
use serde_json::{Value, json};

use super::config;
use super::process::Process;

/// The version that it plays.
const VERSION: &str = "3.7.9";
/// The longest page of a list.
const PER_PAGE: usize = 100;

/// Answers one request to the entry point `traefik`, where `api` is that entry point's address.
pub(super) fn answer(
    process: &mut Process,
    now: TimeMs,
    api: &str,
    request: &Request<Bytes>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    // A path prefix is all that ping's rule asks for.
    if path.starts_with("/ping") {
        return plain(StatusCode::OK, "OK", None);
    }
    if path == "/metrics" {
        let kind = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
        return plain(StatusCode::OK, &process.metrics(now), Some(kind));
    }
    let Some(path) = path.strip_prefix("/api/") else { return not_found() };
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "", None);
    }
    match path {
        "version" => {
            let body = json!({
                "Version": VERSION,
                "Codename": "langres",
                "startDate": process.started.to_string(),
            });
            // The only answer whose charset is in capitals.
            plain(StatusCode::OK, &body.to_string(), Some("application/json; charset=UTF-8"))
        }
        "overview" => object(&process.config.overview_json()),
        "entrypoints" => list(config::entrypoints_json(api), request.uri()),
        "http/routers" => list(process.config.routers_json(), request.uri()),
        "http/services" => list(services(process), request.uri()),
        "http/middlewares" => list(config::middlewares_json(), request.uri()),
        "tcp/routers" | "tcp/services" | "tcp/middlewares" | "udp/routers" | "udp/services" => {
            list(Vec::new(), request.uri())
        }
        _ => match path.strip_prefix("http/services/") {
            Some(name) => {
                let name = name.replace("%40", "@");
                match services(process).into_iter().find(|service| service["name"] == *name) {
                    Some(service) => object(&service),
                    None => message(StatusCode::NOT_FOUND, &format!("service not found: {name}")),
                }
            }
            None => not_found(),
        },
    }
}

fn services(process: &Process) -> Vec<Value> {
    process.config.services_json(|service, url| process.api_up(service, url))
}

/// A page of a list; the last page names page 1 as the next.
fn list(objects: Vec<Value>, uri: &Uri) -> Response<Full<Bytes>> {
    let query = uri.query().unwrap_or("");
    let number = |key: &str, default: usize| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        value.map_or(Some(default), |value| value.parse().ok().filter(|n| *n > 0))
    };
    let (Some(page), Some(per_page)) = (number("page", 1), number("per_page", PER_PAGE)) else {
        return message(StatusCode::BAD_REQUEST, "invalid request: page or per_page");
    };
    let from = (page - 1).saturating_mul(per_page);
    if from > 0 && from >= objects.len() {
        let text = format!("invalid request: page: {page}, per_page: {per_page}");
        return message(StatusCode::BAD_REQUEST, &text);
    }
    let next = if from + per_page < objects.len() { page + 1 } else { 1 };
    let chosen: Vec<_> = objects.into_iter().skip(from).take(per_page).collect();
    let mut response = object(&Value::Array(chosen));
    if let Ok(next) = next.to_string().parse() {
        response.headers_mut().insert("x-next-page", next);
    }
    response
}

/// JSON as Traefik writes it, with a line feed at its end.
fn object(value: &Value) -> Response<Full<Bytes>> {
    plain(StatusCode::OK, &format!("{value}\n"), Some("application/json"))
}

/// An error of a known path: JSON that calls itself plain text.
fn message(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let body = format!("{}\n", json!({ "message": text }));
    plain(status, &body, Some("text/plain; charset=utf-8"))
}

fn not_found() -> Response<Full<Bytes>> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n", Some("text/plain; charset=utf-8"))
}

pub(super) fn plain(status: StatusCode, body: &str, kind: Option<&str>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    if let Some(Ok(kind)) = kind.map(str::parse) {
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    }
    response
}
