//! The looks at one Traefik: API, ping and metrics, which may sit on three ports.
//!
//! All of them are GETs from a compiled-in list. Nothing here decides whether an answer is good
//! news; [`Endpoint`] and the types of [`crate::api`] only say what came.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use paramedic_catalog::Settings;
use paramedic_integration::{
    Allow, Auth, Environment, HttpClient, HttpResponse, LookingClient, ProbeError, SettingsError,
    TlsSettings, TlsTrust, UrlPath,
};
use paramedic_model::TimeMs;

use crate::api::{self, EntryPoint, Object, Overview, Version};
use crate::exposition::{self, Metrics};

/// How long one request may take. A healthy Traefik answers within milliseconds.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
/// The logical name that Traefik's own unit has on its host unless the settings say otherwise.
const HOST_SERVICE: &str = "traefik";
/// Lists are read page by page; this many pages of 100 objects are more than one proxy can serve.
const PAGES_MAX: u32 = 100;

const ALLOWED: &[Allow] = &[
    Allow { method: "GET", path: "/ping" },
    Allow { method: "GET", path: "/metrics" },
    Allow { method: "GET", path: "/api/version" },
    Allow { method: "GET", path: "/api/overview" },
    Allow { method: "GET", path: "/api/entrypoints" },
    Allow { method: "GET", path: "/api/http/routers" },
    Allow { method: "GET", path: "/api/http/services" },
    Allow { method: "GET", path: "/api/http/middlewares" },
    Allow { method: "GET", path: "/api/tcp/routers" },
    Allow { method: "GET", path: "/api/tcp/services" },
    Allow { method: "GET", path: "/api/tcp/middlewares" },
    Allow { method: "GET", path: "/api/udp/routers" },
    Allow { method: "GET", path: "/api/udp/services" },
];

/// One configured Traefik.
pub(crate) struct Client {
    api: LookingClient,
    ping: LookingClient,
    metrics: LookingClient,
    /// The API's address: the `instance` of the samples.
    pub instance: String,
    /// The name of Traefik's own unit in the `services` of its host.
    pub host_service: String,
    /// The name of the host service behind each server URL, as the operator wrote it down.
    pub backends: BTreeMap<String, String>,
}

/// How one of Traefik's three doors answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// What came.
    pub answer: Answer,
    /// The same in words, with the reason.
    pub detail: String,
}

/// What came from a door. Only [`Answer::Ok`] is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200 with what belongs there.
    Ok,
    /// 503 from ping: a graceful stop is under way.
    Stopping,
    /// 404: not enabled there.
    Missing,
    /// 401, 403 or a redirect to a login.
    Denied,
    /// Some other status, or a body that does not belong there.
    Garbled,
    /// Nothing listens there.
    Refused,
    /// Accepted, then closed without an answer.
    Closed,
    /// No answer in time.
    Timeout,
    /// The network does not lead there: no route, no such host, no common TLS.
    Unreachable,
}

impl Answer {
    /// The word in facts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stopping => "stopping",
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::Garbled => "garbled",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether some process spoke HTTP.
    pub fn spoke(self) -> bool {
        match self {
            Self::Ok | Self::Stopping | Self::Missing | Self::Denied | Self::Garbled => true,
            Self::Refused | Self::Closed | Self::Timeout | Self::Unreachable => false,
        }
    }

    /// What the failure of a request to a known door means.
    pub fn of_error(error: &ProbeError) -> Self {
        match error {
            ProbeError::Deadline { .. } => Self::Timeout,
            ProbeError::Denied { .. } => Self::Denied,
            ProbeError::Answer { .. } => Self::Garbled,
            ProbeError::Unable { .. } => Self::Unreachable,
            ProbeError::Connect { reason, .. } => {
                // The kind of an I/O error does not survive in the text of another crate's error,
                // so its words have to do.
                let reason = reason.to_ascii_lowercase();
                if reason.contains("refused") {
                    Self::Refused
                } else if ["closed", "reset", "broken pipe", "incomplete", "end of file"]
                    .iter()
                    .any(|word| reason.contains(word))
                {
                    Self::Closed
                } else {
                    Self::Unreachable
                }
            }
        }
    }

    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::Missing,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied,
            status if status.is_redirection() => Self::Denied,
            status if status.is_success() => Self::Ok,
            _ => Self::Garbled,
        }
    }
}

impl Client {
    /// A client with these settings. Sends nothing.
    pub fn new(settings: &Settings, environment: &Environment) -> Result<Self, SettingsError> {
        let url = required(settings, "url")?;
        let auth = auth(settings)?;
        let urls = ["url", "ping_url", "metrics_url"];
        let is_https = |name| settings.text(name).is_some_and(|url| url.starts_with("https:"));
        let tls = TlsSettings::read(settings, urls.into_iter().any(is_https))?;
        let open = |setting: &str, url: &str| {
            HttpClient::new(setting, url, tls.clone(), auth.clone(), environment)
                .map(|http| Arc::new(http.with_deadline(DEADLINE)))
        };
        let api = open("url", url)?;
        let other = |setting: &str| match settings.text(setting) {
            Some(url) => open(setting, url),
            None => Ok(api.clone()),
        };
        let (ping, metrics) = (other("ping_url")?, other("metrics_url")?);
        let backends = settings.map("backends").cloned().unwrap_or_default();
        for url in backends.keys() {
            let plain = || TlsSettings::new("tls", &TlsTrust::Anyone);
            HttpClient::new(&format!("backends.{url}"), url, plain()?, None, environment)?;
        }
        Ok(Self {
            instance: api.address().to_string(),
            api: LookingClient::new(api, ALLOWED),
            ping: LookingClient::new(ping, ALLOWED),
            metrics: LookingClient::new(metrics, ALLOWED),
            host_service: settings.text("host_service").unwrap_or(HOST_SERVICE).to_owned(),
            backends,
        })
    }

    /// Where the API is, for messages.
    pub fn target(&self) -> String {
        self.api.target()
    }

    /// `/api/version`.
    pub async fn version(&self) -> Result<Version, ProbeError> {
        api::decode(&self.api_get("/api/version").await?)
    }

    /// `/api/overview`.
    pub async fn overview(&self) -> Result<Overview, ProbeError> {
        api::decode(&self.api_get("/api/overview").await?)
    }

    /// All objects of one list, every page of it.
    ///
    /// The lists of routers and services of HTTP are never empty, since the API that answers is
    /// itself among them; an empty one is an answer that is not understood.
    pub async fn list(&self, path: &'static str) -> Result<Vec<Object>, ProbeError> {
        let mut objects = Vec::new();
        let mut page = 1;
        loop {
            let path = UrlPath::fixed(path).with_query("page", &page.to_string());
            let response = refuse_redirect(self.api.get(path).await?)?;
            let more: Vec<Object> = api::decode(&response)?;
            objects.extend(more);
            // The last page names page 1 as its next one.
            let next = response.header("x-next-page").and_then(|next| next.parse().ok());
            match next.filter(|next| *next > page) {
                Some(next) if next <= PAGES_MAX => page = next,
                Some(_) => {
                    let reason = format!("more than {PAGES_MAX} pages");
                    return Err(ProbeError::answer(response.target, reason));
                }
                None if objects.is_empty() && path_has_internals(&response.target) => {
                    let reason = "an empty list, although Traefik lists its own objects there";
                    return Err(ProbeError::answer(response.target, reason));
                }
                None => return Ok(objects),
            }
        }
    }

    /// Names and addresses of the entry points.
    pub async fn entrypoints(&self) -> Result<Vec<(String, String)>, ProbeError> {
        let points: Vec<EntryPoint> = api::decode(&self.api_get("/api/entrypoints").await?)?;
        Ok(points.into_iter().map(|point| (point.name, point.address)).collect())
    }

    /// The HTTP services.
    pub async fn services(&self) -> Result<Vec<Object>, ProbeError> {
        self.list("/api/http/services").await
    }

    /// `/metrics`, whole.
    pub async fn metrics(&self) -> Result<Metrics, ProbeError> {
        let response = refuse_redirect(self.metrics.get(UrlPath::fixed("/metrics")).await?)?;
        response.successful()?;
        exposition::read(&response)
    }

    /// How ping answers.
    pub async fn knock_ping(&self) -> Endpoint {
        match self.ping.get(UrlPath::fixed("/ping")).await {
            Ok(response) => {
                let answer = match Answer::of_status(response.status) {
                    _ if response.status == StatusCode::SERVICE_UNAVAILABLE => Answer::Stopping,
                    Answer::Ok if response.text().trim() != "OK" => Answer::Garbled,
                    answer => answer,
                };
                let status = response.status.as_u16();
                Endpoint { answer, detail: format!("{}: HTTP {status}", response.target) }
            }
            Err(error) => Endpoint::failed(&error),
        }
    }

    /// How the API answers.
    pub async fn knock_api(&self) -> Endpoint {
        Self::knock(self.api.get(UrlPath::fixed("/api/version")).await, |response| {
            api::decode::<Version>(response).map(|version| format!("version {}", version.version))
        })
    }

    /// How the metrics endpoint answers.
    pub async fn knock_metrics(&self) -> Endpoint {
        Self::knock(self.metrics.get(UrlPath::fixed("/metrics")).await, |response| {
            exposition::read(response).map(|metrics| format!("{} samples", metrics.len()))
        })
    }

    fn knock(
        response: Result<HttpResponse, ProbeError>,
        understand: impl Fn(&HttpResponse) -> Result<String, ProbeError>,
    ) -> Endpoint {
        let response = match response {
            Ok(response) => response,
            Err(error) => return Endpoint::failed(&error),
        };
        let status = response.status;
        match Answer::of_status(status) {
            Answer::Ok => match understand(&response) {
                Ok(detail) => Endpoint { answer: Answer::Ok, detail },
                Err(error) => Endpoint { answer: Answer::Garbled, detail: error.to_string() },
            },
            answer => Endpoint {
                answer,
                detail: format!("{}: HTTP {}", response.target, status.as_u16()),
            },
        }
    }

    async fn api_get(&self, path: &'static str) -> Result<HttpResponse, ProbeError> {
        refuse_redirect(self.api.get(UrlPath::fixed(path)).await?)
    }

    /// The logical host service behind a server URL; empty where the operator named none.
    pub fn backend(&self, url: &str) -> &str {
        let bare = url.trim_end_matches('/');
        self.backends
            .iter()
            .find(|(known, _)| known.trim_end_matches('/') == bare)
            .map_or("", |(_, name)| name)
    }

    /// When the process that answers now started, by its API or its metrics.
    pub async fn started(&self) -> Result<Option<TimeMs>, ProbeError> {
        match self.version().await {
            Ok(version) => Ok(version.started()),
            Err(_) => Ok(self.metrics().await?.process_started()),
        }
    }
}

impl Endpoint {
    fn failed(error: &ProbeError) -> Self {
        Self { answer: Answer::of_error(error), detail: error.to_string() }
    }
}

/// A redirect is a login page in front of the API: following it would prove nothing.
fn refuse_redirect(response: HttpResponse) -> Result<HttpResponse, ProbeError> {
    if response.status.is_redirection() {
        let to = response.header("location").unwrap_or("nowhere");
        let reason = format!(
            "HTTP {} to {to}: an authentication in front of it wants a person; set `auth`",
            response.status.as_u16()
        );
        return Err(ProbeError::Denied { target: response.target, reason });
    }
    Ok(response)
}

fn path_has_internals(target: &str) -> bool {
    target.ends_with("/api/http/routers") || target.ends_with("/api/http/services")
}

fn required<'a>(settings: &'a Settings, name: &str) -> Result<&'a str, SettingsError> {
    settings.text(name).ok_or_else(|| {
        SettingsError::new(name, "missing; write the API's address: http://127.0.0.1:8080")
    })
}

fn auth(settings: &Settings) -> Result<Option<Auth>, SettingsError> {
    let Some(auth) = settings.table("auth") else { return Ok(None) };
    match (auth.text("user"), auth.secret("password"), auth.secret("token")) {
        (Some(user), Some(password), None) => Ok(Some(Auth::Basic {
            user: paramedic_model::Secret::new(user),
            password: password.clone(),
        })),
        (None, None, Some(token)) => Ok(Some(Auth::Bearer(token.clone()))),
        _ => Err(SettingsError::new("auth", "write user and password, or token alone")),
    }
}
