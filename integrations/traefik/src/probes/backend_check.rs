//! `traefik/backend-check`: repeats Traefik's own health check against each server of a service.
//!
//! The URLs come from Traefik's answers, that is, from outside. So only those that the operator
//! wrote down under `backends` are asked; the others are reported as skipped. No header that the
//! configuration holds is sent along, since such headers carry credentials.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Method};
use paramedic_catalog::{Args, Evidence, Field, FieldType, Param, ParamKind, ProbeSignature};
use paramedic_integration::{
    Environment, HttpClient, HttpRequest, Look, Probe, ProbeError, TlsSettings, TlsTrust, UrlPath,
};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::service_health::SERVICE_CHARS_MAX;
use super::{counted, evidence};
use crate::api::{HealthCheck, LoadBalancer};
use crate::client::{Answer, Client, DEADLINE};

pub(crate) const NAME: &str = "backend-check";

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Connects to each server of a service directly, as Traefik's health check does",
        params: vec![Param::required(
            "service",
            ParamKind::Text { max_chars: SERVICE_CHARS_MAX },
            "the qualified name, as in the label `service`",
        )],
        facts: vec![
            Field::new(
                "servers",
                FieldType::records(vec![
                    Field::new("url", FieldType::Text, "its URL"),
                    Field::new(
                        "outcome",
                        FieldType::Text,
                        "healthy, status (another than the check wants), refused, closed, timeout, \
                         unreachable, impossible (no such check can succeed), or skipped (not \
                         listed under `backends`)",
                    ),
                    Field::new("check_status", FieldType::Int.or_null(), "status of the check"),
                    Field::new("serves", FieldType::Bool, "its own address answers below 500"),
                    Field::new("serve_status", FieldType::Int.or_null(), "status of that"),
                ]),
                "the servers",
            ),
            Field::new("asked", FieldType::Int, "how many were asked"),
            Field::new("skipped", FieldType::Int, "how many were not"),
            Field::new("healthy", FieldType::Int, "how many pass the check from here"),
            Field::new("dead", FieldType::Int, "how many refuse or hang up"),
            Field::new("slow", FieldType::Int, "how many do not answer in time"),
            Field::new("wrong_status", FieldType::Int, "how many answer with a wrong status"),
            Field::new("all_dead", FieldType::Bool, "all that were asked refuse or hang up"),
            Field::new("all_healthy", FieldType::Bool, "all that were asked pass the check"),
            Field::new(
                "serving_but_failing",
                FieldType::Bool,
                "a server answers at its own address and fails the check by its status",
            ),
        ],
        privilege: "a connection from Paramedic to the servers listed under `backends`",
    }
}

pub(crate) struct BackendCheck {
    pub client: Arc<Client>,
    pub environment: Environment,
}

/// What one server said.
struct Checked {
    url: String,
    outcome: &'static str,
    check_status: Option<u16>,
    serve_status: Option<u16>,
    detail: String,
}

impl Checked {
    fn serves(&self) -> bool {
        self.serve_status.is_some_and(|status| status < 500)
    }

    fn dead(&self) -> bool {
        matches!(self.outcome, "refused" | "closed")
    }
}

impl Probe for BackendCheck {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let name = args.text("service");
            let services = self.client.services().await?;
            let service = services.iter().find(|service| service.name == name);
            let Some(balancer) = service.and_then(|service| service.load_balancer.as_ref()) else {
                let reason = format!("Traefik lists no service {name:?} with servers of its own");
                return Err(ProbeError::unable(reason));
            };
            let checked = self.check_all(balancer).await;
            let asked: Vec<_> = checked.iter().filter(|c| c.outcome != "skipped").collect();
            if asked.is_empty() {
                return Err(ProbeError::unable(format!(
                    "no server of {name:?} is listed under the setting `backends`, so none was asked"
                )));
            }
            let count = |outcome: &str| asked.iter().filter(|c| c.outcome == outcome).count();
            let dead = asked.iter().filter(|c| c.dead()).count();
            let failing = asked.iter().any(|c| c.serves() && c.outcome != "healthy");
            let facts = json!({
                "servers": checked.iter().map(|c| json!({
                    "url": c.url,
                    "outcome": c.outcome,
                    "check_status": c.check_status,
                    "serves": c.serves(),
                    "serve_status": c.serve_status,
                })).collect::<Vec<_>>(),
                "asked": asked.len(),
                "skipped": checked.len() - asked.len(),
                "healthy": count("healthy"),
                "dead": dead,
                "slow": count("timeout"),
                "wrong_status": count("status"),
                "all_dead": dead == asked.len(),
                "all_healthy": count("healthy") == asked.len(),
                "serving_but_failing": failing,
            });
            let first = asked.iter().find(|c| c.outcome != "healthy").unwrap_or(&asked[0]);
            let summary = format!(
                "asked directly, {} of {} pass the check; {}",
                count("healthy"),
                counted(asked.len(), "server"),
                first.detail
            );
            let excerpt = checked.iter().map(|c| format!("{}\n", c.detail)).collect::<String>();
            Ok(evidence(facts, summary, self.environment.redactor.clean(&excerpt)))
        })
    }
}

impl BackendCheck {
    async fn check_all(&self, balancer: &LoadBalancer) -> Vec<Checked> {
        let check = balancer.health_check.clone().unwrap_or_default();
        let servers = balancer.servers.iter().map(|server| self.check(&server.url, &check));
        futures_util::future::join_all(servers).await
    }

    async fn check(&self, url: &str, check: &HealthCheck) -> Checked {
        let mut checked = Checked {
            url: url.to_owned(),
            outcome: "skipped",
            check_status: None,
            serve_status: None,
            detail: format!("{url}: not listed under `backends`, so not asked"),
        };
        if self.client.backend(url).is_empty() {
            return checked;
        }
        let (target, request) = match plan(url, check) {
            Ok(planned) => planned,
            Err(reason) => {
                checked.outcome = "impossible";
                checked.detail = format!("{url}: {reason}");
                checked.serve_status = self.status(url, own_path(url)).await;
                return checked;
            }
        };
        let deadline = check.timeout.as_deref().and_then(go_duration).unwrap_or(DEADLINE);
        let answer = match self.http(&target) {
            Ok(http) => http.with_deadline(deadline.min(DEADLINE)).send(request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(response) => {
                let status = response.status;
                let wanted = match check.status.filter(|status| *status != 0) {
                    Some(wanted) => status.as_u16() == wanted,
                    None => status.is_success() || status.is_redirection(),
                };
                checked.outcome = if wanted { "healthy" } else { "status" };
                checked.check_status = Some(status.as_u16());
                checked.detail = format!("{} answers HTTP {}", response.target, status.as_u16());
            }
            Err(error) => {
                let (outcome, detail) = match Answer::of_error(&error) {
                    Answer::Refused => ("refused", "refuses connections".to_owned()),
                    Answer::Closed => ("closed", "takes a connection and hangs up".to_owned()),
                    Answer::Timeout => ("timeout", "does not answer in time".to_owned()),
                    _ => ("unreachable", format!("cannot be reached: {error}")),
                };
                checked.outcome = outcome;
                checked.detail = format!("{url} {detail}");
            }
        }
        if !checked.dead() && checked.outcome != "unreachable" {
            checked.serve_status = self.status(url, own_path(url)).await;
        }
        checked
    }

    /// The status of a plain GET at a server's own address, where it answers.
    async fn status(&self, url: &str, path: Result<UrlPath, ProbeError>) -> Option<u16> {
        let http = self.http(origin(url)?).ok()?.with_deadline(DEADLINE);
        let response = http.send(HttpRequest::get(path.ok()?)).await.ok()?;
        Some(response.status.as_u16())
    }

    /// A client without credentials that believes any certificate: it only asks who is there.
    fn http(&self, origin: &str) -> Result<HttpClient, ProbeError> {
        let anyone = TlsSettings::new("backends", &TlsTrust::Anyone);
        anyone
            .and_then(|tls| HttpClient::new("backends", origin, tls, None, &self.environment))
            .map_err(|error| ProbeError::unable(error.to_string()))
    }
}

/// `scheme://host:port` of a URL.
fn origin(url: &str) -> Option<&str> {
    let authority = url.find("://")? + 3;
    let end = url[authority..].find('/').map_or(url.len(), |at| authority + at);
    Some(&url[..end])
}

/// The path of a URL; `/` where it has none.
fn own_path(url: &str) -> Result<UrlPath, ProbeError> {
    let path = origin(url).map_or("", |origin| &url[origin.len()..]);
    if path.is_empty() { Ok(UrlPath::fixed("/")) } else { UrlPath::given(path) }
}

/// Where the check goes and what it sends: Traefik resolves the path against the server's URL, then
/// applies the overrides. An error says why no such check can ever succeed.
fn plan(url: &str, check: &HealthCheck) -> Result<(String, HttpRequest), String> {
    let path = check.path.as_deref().unwrap_or("");
    if path.contains("://") || path.starts_with("//") {
        return Err(format!("its check has an absolute URL for a path: {path:?}"));
    }
    let origin = origin(url).ok_or("its URL has no scheme")?;
    let (scheme, authority) = origin.split_once("://").unwrap_or(("http", origin));
    let scheme = check.scheme.as_deref().filter(|scheme| !scheme.is_empty()).unwrap_or(scheme);
    let target = match check.port.filter(|port| *port != 0) {
        Some(port) => {
            let bracketed = authority.ends_with(']');
            let host = match authority.rsplit_once(':') {
                Some((host, _)) if !bracketed => host,
                _ => authority,
            };
            format!("{scheme}://{host}:{port}")
        }
        None => format!("{scheme}://{authority}"),
    };
    let path = if path.is_empty() {
        own_path(url)
    } else {
        let slash = if path.starts_with('/') { "" } else { "/" };
        UrlPath::given(&format!("{slash}{path}"))
    };
    let path = path.map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    if let Some(host) = check.hostname.as_deref().filter(|host| !host.is_empty()) {
        let host = HeaderValue::from_str(host).map_err(|_| "its hostname is no header value")?;
        headers.insert(HOST, host);
    }
    // Only a method that changes nothing is repeated; the server is asked with GET otherwise.
    let method = match check.method.as_deref() {
        Some("HEAD") => Method::HEAD,
        Some("OPTIONS") => Method::OPTIONS,
        _ => Method::GET,
    };
    Ok((target, HttpRequest { method, headers, ..HttpRequest::get(path) }))
}

/// A duration as Go writes it: `1m30s`, `500ms`, `1.5s`; a bare number counts seconds.
fn go_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count: f64 = rest[..number].parse().ok()?;
        rest = &rest[number..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(count * seconds).ok()?)?;
        rest = &rest[unit..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_goes_where_traefik_sends_it() {
        let check = |url: &str, check: HealthCheck, expected: &str| {
            let got = match plan(url, &check) {
                Ok((target, request)) => format!("{} {target}{}", request.method, request.path),
                Err(reason) => reason,
            };
            assert_eq!(got, expected);
        };
        let path =
            |path: &str| HealthCheck { path: Some(path.to_owned()), ..HealthCheck::default() };
        check("http://b:1", path("/health"), "GET http://b:1/health");
        check("http://b:1/base", path("/health?x=1"), "GET http://b:1/health?x=1");
        check("http://b:1", path("health"), "GET http://b:1/health");
        check("http://b:1/base", HealthCheck::default(), "GET http://b:1/base");
        let port = HealthCheck { port: Some(9), scheme: Some("https".to_owned()), ..path("/h") };
        check("http://[2001:db8::1]:80/x", port.clone(), "GET https://[2001:db8::1]:9/h");
        check("http://b", port, "GET https://b:9/h");
        let head = HealthCheck { method: Some("HEAD".to_owned()), ..path("/") };
        check("http://b:1", head, "HEAD http://b:1/");
        let post = HealthCheck { method: Some("POST".to_owned()), ..path("/") };
        check("http://b:1", post, "GET http://b:1/");
        check(
            "http://b:1",
            path("http://x/health"),
            r#"its check has an absolute URL for a path: "http://x/health""#,
        );
    }

    #[test]
    fn durations_read_as_in_go() {
        let check = |text: &str, ms: Option<u64>| {
            assert_eq!(go_duration(text), ms.map(Duration::from_millis), "{text}");
        };
        check("500ms", Some(500));
        check("1m30s", Some(90_000));
        check("1.5s", Some(1500));
        check("3", Some(3000));
        check("3x", None);
        check("99999999999999999999999h", None);
        check("s", None);
    }
}
