//! `traefik/service-health`: which servers of a service are up, by the API and by the gauge.

use std::collections::BTreeSet;
use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, Param, ParamKind, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::{Value, json};

use super::{counted, evidence};
use crate::api::Object;
use crate::client::Client;
use crate::exposition::Metrics;

pub(crate) const NAME: &str = "service-health";
/// The longest qualified service name; Traefik sets no limit, Kubernetes names stay below this.
pub(crate) const SERVICE_CHARS_MAX: usize = 512;

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Says which servers of a service are up or down, and what is behind them",
        params: vec![Param::optional(
            "service",
            ParamKind::Text { max_chars: SERVICE_CHARS_MAX },
            "the qualified name, as in the label `service`; without it, all services",
        )],
        facts: vec![
            Field::new("service", FieldType::Text, "the service asked for; empty for all"),
            Field::new("found", FieldType::Bool, "the configuration has this service"),
            Field::new("in_use", FieldType::Bool, "a router uses it, so it serves and is checked"),
            Field::new("checked", FieldType::Bool, "it has a health check"),
            Field::new("check_path", FieldType::Text, "the path of its health check"),
            Field::new(
                "servers",
                FieldType::records(vec![
                    Field::new("service", FieldType::Text, "the service it belongs to"),
                    Field::new("url", FieldType::Text, "its URL"),
                    Field::new("state", FieldType::Text, "up, down, or unchecked"),
                    Field::new("api", FieldType::Text, "UP, DOWN, or empty; UP also if unchecked"),
                    Field::new("gauge", FieldType::Int.or_null(), "its traefik_service_server_up"),
                    Field::new("backend", FieldType::Text, "the host service behind it, or empty"),
                ]),
                "the servers",
            ),
            Field::new("up", FieldType::Int, "how many are up"),
            Field::new("down", FieldType::Int, "how many are down"),
            Field::new("all_down", FieldType::Bool, "there are servers and all of them are down"),
            Field::new("down_urls", FieldType::texts(), "the URLs of those that are down"),
            Field::new("down_backends", FieldType::texts(), "the host services behind those"),
            Field::new("first_down_url", FieldType::Text, "the first of them, or empty"),
            Field::new("first_down_backend", FieldType::Text, "the first of those, or empty"),
            Field::new("others_up", FieldType::Int, "servers of other services that are up"),
        ],
        privilege: "GET /api/http/services and /metrics",
    }
}

/// One server of one service, with both witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Witnessed {
    pub service: String,
    pub url: String,
    pub state: State,
    api: String,
    gauge: Option<bool>,
}

/// What is known of a server. "Unchecked" is not "up".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    Down,
    Unchecked,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unchecked => "unchecked",
        }
    }
}

/// The servers of all services, judged by API and gauge together.
///
/// After any change of the configuration the API says `UP` of every server until the next check,
/// while the gauge keeps its last word. So the gauge is believed first; without a gauge `DOWN` is
/// evidence and `UP` is none.
pub(crate) fn witnessed(services: &[Object], metrics: &Metrics) -> Vec<Witnessed> {
    let servers = services.iter().flat_map(|service| {
        let balancer = service.load_balancer.as_ref();
        let servers = balancer.map(|balancer| balancer.servers.as_slice()).unwrap_or_default();
        servers.iter().map(move |server| (service, server.url.as_str()))
    });
    servers
        .map(|(service, url)| {
            let api = service.server_status.get(url).cloned().unwrap_or_default();
            let gauge = metrics.server_up(&service.name, url);
            let state = match (gauge, api.as_str()) {
                (Some(true), "UP" | "") => State::Up,
                (Some(false), _) | (_, "DOWN") => State::Down,
                _ => State::Unchecked,
            };
            Witnessed { service: service.name.clone(), url: url.to_owned(), state, api, gauge }
        })
        .collect()
}

pub(crate) struct ServiceHealth(pub Arc<Client>);

impl Probe for ServiceHealth {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let asked = args.text("service");
            let services = self.0.services().await?;
            let metrics = self.0.metrics().await?;
            let all = witnessed(&services, &metrics);
            let chosen = |name: &str| asked.is_empty() || name == asked;
            let (servers, others): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|server| chosen(&server.service));
            let found: Vec<_> =
                services.iter().filter(|s| !s.is_internal() && chosen(&s.name)).collect();
            let check = found
                .iter()
                .filter_map(|service| service.load_balancer.as_ref()?.health_check.as_ref())
                .next();
            let of = |state| servers.iter().filter(move |server| server.state == state);
            let down: Vec<_> = of(State::Down).map(|server| server.url.as_str()).collect();
            let named: BTreeSet<_> =
                down.iter().map(|url| self.0.backend(url)).filter(|n| !n.is_empty()).collect();
            let first_backend = down.iter().map(|url| self.0.backend(url)).find(|n| !n.is_empty());
            let up = of(State::Up).count();
            let all_down = !servers.is_empty() && down.len() == servers.len();
            let in_use = !found.is_empty() && found.iter().all(|s| !s.used_by.is_empty());
            let summary = summary(asked, &found, in_use, &down, up, servers.len());
            let facts = json!({
                "service": asked,
                "found": !found.is_empty(),
                "in_use": in_use,
                "checked": check.is_some(),
                "check_path": check.and_then(|check| check.path.as_deref()).unwrap_or(""),
                "servers": servers.iter().map(|s| self.fact(s)).collect::<Vec<_>>(),
                "up": up,
                "down": down.len(),
                "all_down": all_down,
                "down_urls": down,
                "down_backends": named,
                "first_down_url": down.first().copied().unwrap_or(""),
                "first_down_backend": first_backend.unwrap_or(""),
                "others_up": others.iter().filter(|server| server.state == State::Up).count(),
            });
            let excerpt = servers
                .iter()
                .map(|s| format!("{} {} {} (API: {})\n", s.service, s.url, s.state.as_str(), s.api))
                .collect::<String>();
            Ok(evidence(facts, summary, excerpt))
        })
    }
}

impl ServiceHealth {
    fn fact(&self, server: &Witnessed) -> Value {
        json!({
            "service": server.service,
            "url": server.url,
            "state": server.state.as_str(),
            "api": server.api,
            "gauge": server.gauge.map(u8::from),
            "backend": self.0.backend(&server.url),
        })
    }
}

fn summary(
    asked: &str,
    found: &[&Object],
    in_use: bool,
    down: &[&str],
    up: usize,
    servers: usize,
) -> String {
    let subject = if asked.is_empty() { "all services" } else { asked };
    if found.is_empty() && asked.is_empty() {
        "the configuration has no services".to_owned()
    } else if found.is_empty() {
        format!("the configuration has no service {asked}")
    } else if !asked.is_empty() && !in_use {
        format!("no router uses {asked}, so its servers are neither used nor checked any more")
    } else if down.is_empty() {
        format!("{subject}: {up} of {} up, none known to be down", counted(servers, "server"))
    } else {
        let (down_count, first) = (down.len(), down[0]);
        format!(
            "{subject}: {down_count} of {} down, the first is {first}",
            counted(servers, "server")
        )
    }
}

#[cfg(test)]
mod tests {
    use paramedic_integration::HttpResponse;

    use super::*;
    use crate::exposition;

    fn metrics(up: &str) -> Metrics {
        let text = format!("traefik_config_reloads_total 1\n{up}");
        let response = HttpResponse {
            target: "test".to_owned(),
            status: http::StatusCode::OK,
            headers: http::HeaderMap::new(),
            body: text.into(),
        };
        exposition::read(&response).unwrap()
    }

    #[test]
    fn up_needs_a_check_and_down_needs_one_witness() {
        let check = |api: &str, gauge: &str, expected: State| {
            let service = json!([{
                "name": "a@file", "status": "enabled", "usedBy": ["a@file"],
                "loadBalancer": { "servers": [{ "url": "http://b:1" }] },
                "serverStatus": if api.is_empty() { json!({}) } else { json!({ "http://b:1": api }) },
            }]);
            let services: Vec<Object> = serde_json::from_value(service).unwrap();
            let line = format!(
                "traefik_service_server_up{{service=\"a@file\",url=\"http://b:1\"}} {gauge}\n"
            );
            let metrics = metrics(if gauge.is_empty() { "" } else { &line });
            let state = witnessed(&services, &metrics)[0].state;
            assert_eq!(state, expected, "API {api:?}, gauge {gauge:?}");
        };
        check("UP", "1", State::Up);
        check("UP", "0", State::Down); // After a reload, before the next check.
        check("DOWN", "1", State::Down);
        check("DOWN", "", State::Down); // A TCP check has no gauge.
        check("UP", "", State::Unchecked); // No health check, or not one yet.
        check("", "0", State::Down); // The router is gone, the series is frozen.
        check("", "", State::Unchecked);
    }
}
