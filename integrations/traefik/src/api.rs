//! What Traefik's API says, as types: decoding only, nothing is sent here.
//!
//! The decoders are lenient about what is new (unknown keys) and strict about what must be there:
//! an answer without a name or a status is not understood, and never an empty inventory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use paramedic_integration::{HttpResponse, ProbeError};
use paramedic_model::TimeMs;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `GET /api/version`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Version {
    #[serde(rename = "Version")]
    pub version: String,
    /// When the process started; what proves a restart.
    #[serde(rename = "startDate")]
    pub start_date: Option<String>,
}

impl Version {
    /// When the process started, where the answer says so.
    pub fn started(&self) -> Option<TimeMs> {
        self.start_date.as_deref().and_then(parse_time)
    }
}

/// `GET /api/overview`, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Overview {
    pub http: Counts,
    #[serde(default)]
    pub tcp: Counts,
    #[serde(default)]
    pub udp: Counts,
    /// Names of the configured providers: `File`, `Docker`. Traefik says null where there is none.
    #[serde(default)]
    pub providers: Option<Vec<String>>,
}

impl Overview {
    /// The counts with the protocol in front, in a fixed order.
    pub fn sections(&self) -> [(&'static str, &'static str, Count); 8] {
        [
            ("http", "routers", self.http.routers),
            ("http", "services", self.http.services),
            ("http", "middlewares", self.http.middlewares),
            ("tcp", "routers", self.tcp.routers),
            ("tcp", "services", self.tcp.services),
            ("tcp", "middlewares", self.tcp.middlewares),
            ("udp", "routers", self.udp.routers),
            ("udp", "services", self.udp.services),
        ]
    }

    /// The providers' names; empty where there is none.
    pub fn providers(&self) -> &[String] {
        self.providers.as_deref().unwrap_or_default()
    }
}

/// The counts of one protocol; `@internal` objects are among them.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub routers: Count,
    pub services: Count,
    pub middlewares: Count,
}

/// The count of one kind of object.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Count {
    pub total: u32,
    pub warnings: u32,
    /// Objects whose status is `disabled`.
    pub errors: u32,
}

/// One element of `GET /api/entrypoints`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EntryPoint {
    pub name: String,
    #[serde(default)]
    pub address: String,
}

/// One router, service or middleware of `GET /api/http/...`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Object {
    /// The qualified name: `shop@file`.
    pub name: String,
    /// `enabled`, `warning` or `disabled`. It describes the configuration, never health.
    pub status: String,
    /// Why the status is not `enabled`. The key is singular although it is a list.
    #[serde(default, rename = "error")]
    pub errors: Vec<String>,
    /// For services: the routers that use it; empty means that it was never built.
    #[serde(default, rename = "usedBy")]
    pub used_by: Vec<String>,
    #[serde(default, rename = "loadBalancer")]
    pub load_balancer: Option<LoadBalancer>,
    /// For services: `UP` or `DOWN` by server URL. `UP` also stands for "never checked".
    #[serde(default, rename = "serverStatus")]
    pub server_status: BTreeMap<String, String>,
}

impl Object {
    /// Whether Traefik made this object itself.
    pub fn is_internal(&self) -> bool {
        self.name.ends_with("@internal")
    }
}

/// The servers of a service and how they are checked.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LoadBalancer {
    #[serde(default)]
    pub servers: Vec<Server>,
    #[serde(default, rename = "healthCheck")]
    pub health_check: Option<HealthCheck>,
}

/// One server.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Server {
    #[serde(default)]
    pub url: String,
}

/// All that is needed to repeat Traefik's own check.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HealthCheck {
    pub scheme: Option<String>,
    pub mode: Option<String>,
    pub path: Option<String>,
    pub method: Option<String>,
    /// The only status that counts as healthy; without it, 200 to 399.
    pub status: Option<u16>,
    pub port: Option<u16>,
    pub interval: Option<String>,
    pub timeout: Option<String>,
    pub hostname: Option<String>,
    pub headers: Option<BTreeMap<String, String>>,
}

/// Decodes a successful answer.
pub(crate) fn decode<T: DeserializeOwned>(response: &HttpResponse) -> Result<T, ProbeError> {
    let value = response.json()?;
    serde_json::from_value(value).map_err(|error| {
        let reason = format!("this is not what Traefik's API says: {error}");
        ProbeError::answer(&response.target, reason)
    })
}

/// A moment in RFC 3339.
pub(crate) fn parse_time(text: &str) -> Option<TimeMs> {
    text.parse::<Timestamp>().ok().map(|at| TimeMs(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_service_decodes() {
        let text = include_str!("../tests/answers/v3.7.9/http-services.json");
        let services: Vec<Object> = serde_json::from_str(text).unwrap();
        let app = services.iter().find(|service| service.name == "app@file").unwrap();
        let check = app.load_balancer.as_ref().unwrap().health_check.as_ref().unwrap();
        assert_eq!(check.path.as_deref(), Some("/health"));
        assert_eq!(app.server_status["http://127.0.0.1:19001"], "DOWN");
        assert!(services.iter().any(|service| service.is_internal()));
    }

    #[test]
    fn a_recorded_overview_decodes() {
        let text = include_str!("../tests/answers/v3.7.9/overview.json");
        let overview: Overview = serde_json::from_str(text).unwrap();
        assert_eq!(overview.http.routers.errors, 1);
        assert_eq!(overview.providers(), ["File"]);
    }

    #[test]
    fn the_start_is_read_to_the_millisecond() {
        let text = include_str!("../tests/answers/v3.7.9/version.json");
        let version: Version = serde_json::from_str(text).unwrap();
        assert_eq!(version.started().unwrap().to_string(), "2026-11-21T05:56:02.162Z");
    }
}
