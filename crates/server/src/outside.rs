//! Alerts that other programs send: `POST /api/v2/alerts` as to an Alertmanager, and the webhook of
//! one.
//!
//! Both are off unless the configuration says otherwise, and both want the token: an alert may start
//! repairs. What is wrong with an alert is said in an Alertmanager's words, and what is right beside
//! it is taken all the same.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use jiff::Timestamp;
use paramedic_engine::OutsideAlert;
use paramedic_incident::{Outside, Via};
use paramedic_model::{Labels, TimeMs};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;

/// The longest body, in bytes.
pub(crate) const BYTES_MAX: usize = 4 << 20;
/// How many alerts one request may hold.
const ALERTS_MAX: usize = 10_000;
/// How many labels or annotations an alert may have.
const TEXTS_MAX: usize = 100;
/// How long a name, a label's value and an annotation may be, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// `POST /api/v2/alerts`.
pub(crate) async fn alerts(
    State(app): State<App>,
    request: Request,
) -> Result<StatusCode, Refused> {
    let body = admit(&app, request).await?;
    let posted: Vec<Posted> = serde_json::from_slice(&body).map_err(|error| {
        Refused::schema(StatusCode::BAD_REQUEST, 400, format!("parsing alerts body: {error}"))
    })?;
    check_count(posted.len())?;
    if let Some(at) = posted.iter().position(|one| one.labels.is_none()) {
        let message = format!("{at}.labels in body is required");
        return Err(Refused::schema(StatusCode::UNPROCESSABLE_ENTITY, 602, message));
    }
    let (taken, wrong) = read_all(posted, Via::Alerts, None);
    hear(&app, taken, wrong).await
}

/// The payload of an Alertmanager's webhook, version 4. Unknown keys are later additions.
#[derive(Deserialize)]
struct Payload {
    version: String,
    #[serde(rename = "externalURL", default)]
    external_url: String,
    alerts: Vec<Posted>,
}

/// `POST /api/paramedic/v1/webhook`.
pub(crate) async fn webhook(
    State(app): State<App>,
    request: Request,
) -> Result<StatusCode, Refused> {
    let body = admit(&app, request).await?;
    let bad = |message: String| Refused::new(StatusCode::BAD_REQUEST, &message);
    let payload: Payload = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("no webhook payload: {error}")))?;
    if payload.version != "4" {
        let message = format!("a payload of version 4 is expected, not {:?}", payload.version);
        return Err(bad(message));
    }
    check_count(payload.alerts.len())?;
    let (taken, wrong) = read_all(payload.alerts, Via::Webhook, Some(&payload.external_url));
    hear(&app, taken, wrong).await
}

/// The body of a request that may be made.
async fn admit(app: &App, request: Request) -> Result<Bytes, Refused> {
    if !app.takes_alerts() {
        let text = "alerts are taken only with `server: { alerts: true }` in the configuration";
        return Err(Refused::new(StatusCode::NOT_FOUND, text));
    }
    let allowed = app.access().check_token(request.headers());
    allowed.map_err(|problem| Refused::new(problem.status, &problem.message))?;
    check_kind(request.headers())?;
    Bytes::from_request(request, app).await.map_err(|error| {
        let text = match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => format!("the body is longer than {BYTES_MAX} bytes"),
            _ => error.body_text(),
        };
        Refused::new(error.status(), &text)
    })
}

fn check_kind(headers: &HeaderMap) -> Result<(), Refused> {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let media = kind.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
    match media.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => {
            let message =
                format!("unsupported media type {media:?}, only [application/json] are allowed");
            Err(Refused::schema(StatusCode::UNSUPPORTED_MEDIA_TYPE, 415, message))
        }
    }
}

async fn hear(
    app: &App,
    alerts: Vec<OutsideAlert>,
    wrong: Vec<String>,
) -> Result<StatusCode, Refused> {
    let heard =
        app.handle().hear(alerts).await.map_err(|stopped| {
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, &stopped.to_string())
        })?;
    if heard.refused > 0 {
        // The sender repeats itself, and there may be room by then.
        let text = format!("{} alerts opened no incident: too many are open", heard.refused);
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, &text));
    }
    match wrong.is_empty() {
        true => Ok(StatusCode::OK),
        false => Err(Refused::new(StatusCode::BAD_REQUEST, &wrong.join("; "))),
    }
}

/// Why a request is not taken.
pub(crate) struct Refused {
    status: StatusCode,
    body: Value,
}

impl Refused {
    /// As an Alertmanager's handlers write it: a JSON text.
    fn new(status: StatusCode, message: &str) -> Self {
        Self { status, body: Value::from(message) }
    }

    /// As an Alertmanager's check of the format writes it.
    fn schema(status: StatusCode, code: u16, message: String) -> Self {
        Self { status, body: json!({ "code": code, "message": message }) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

fn check_count(count: usize) -> Result<(), Refused> {
    if count <= ALERTS_MAX {
        return Ok(());
    }
    let message = format!("{count} alerts in one request; {ALERTS_MAX} are read");
    Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, &message))
}

/// An alert as it is sent: to an Alertmanager, or by its webhook.
#[derive(Deserialize)]
struct Posted {
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(rename = "startsAt", default)]
    starts_at: Option<String>,
    #[serde(rename = "endsAt", default)]
    ends_at: Option<String>,
    #[serde(rename = "generatorURL", default)]
    generator_url: Option<String>,
    /// In a webhook: `firing` or `resolved`.
    #[serde(default)]
    status: Option<String>,
}

/// The alerts that are right, and what is wrong with the others.
fn read_all(posted: Vec<Posted>, via: Via, from: Option<&str>) -> (Vec<OutsideAlert>, Vec<String>) {
    let (mut taken, mut wrong) = (Vec::new(), Vec::new());
    for one in posted {
        match read(one, via, from) {
            Ok(alert) => taken.push(alert),
            Err(reason) => wrong.push(reason),
        }
    }
    (taken, wrong)
}

fn read(posted: Posted, via: Via, from: Option<&str>) -> Result<OutsideAlert, String> {
    let labels = posted.labels.unwrap_or_default();
    let annotations = posted.annotations.unwrap_or_default();
    for texts in [&labels, &annotations] {
        if texts.len() > TEXTS_MAX {
            return Err(format!("more than {TEXTS_MAX} labels or annotations"));
        }
        if let Some((name, _)) =
            texts.iter().find(|(name, value)| name.len().max(value.len()) > TEXT_BYTES_MAX)
        {
            let name: String = name.chars().take(64).collect();
            return Err(format!("{name:?} is longer than {TEXT_BYTES_MAX} bytes"));
        }
        if texts.contains_key("") {
            return Err("invalid label set: a name is empty".to_owned());
        }
    }
    let labels: Labels = labels.iter().filter(|(_, value)| !value.is_empty()).collect();
    if labels.iter().next().is_none() {
        return Err("at least one label pair required".to_owned());
    }
    if labels.get("alertname").is_none() {
        return Err("a label `alertname` is required: it names the runbook".to_owned());
    }
    let starts_at = moment("startsAt", posted.starts_at.as_deref())?;
    let mut ends_at = moment("endsAt", posted.ends_at.as_deref())?;
    if let Some(status) = &posted.status
        && via == Via::Webhook
    {
        match (&**status, ends_at) {
            ("firing", _) => ends_at = None,
            ("resolved", Some(_)) => {}
            ("resolved", None) => return Err("a resolved alert without endsAt".to_owned()),
            (other, _) => return Err(format!("status is firing or resolved, not {other:?}")),
        }
    }
    if let (Some(starts_at), Some(ends_at)) = (starts_at, ends_at)
        && ends_at < starts_at
    {
        return Err("start time must be before end time".to_owned());
    }
    let url = posted.generator_url.unwrap_or_default();
    let is_web = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    if !(url.is_empty() || is_web(&url)) || url.len() > TEXT_BYTES_MAX {
        return Err("generatorURL is no URL of the web".to_owned());
    }
    let url = match url.is_empty() {
        true => from.filter(|from| is_web(from)).unwrap_or_default().to_owned(),
        false => url,
    };
    Ok(OutsideAlert {
        labels,
        annotations,
        starts_at: starts_at.or(ends_at),
        ends_at,
        outside: Outside { via, url },
    })
}

/// A moment; `None` where it is not there, or Go's zero.
fn moment(name: &str, text: Option<&str>) -> Result<Option<TimeMs>, String> {
    let Some(text) = text.filter(|text| !text.is_empty() && *text != "0001-01-01T00:00:00Z") else {
        return Ok(None);
    };
    let parsed = text.parse::<Timestamp>();
    let parsed = parsed.map_err(|_| format!("{name} is no moment as in RFC 3339: {text:?}"))?;
    Ok(Some(TimeMs(parsed.as_millisecond())))
}
