//! `write`: the receiver of remote write, 1.0 and 2.0.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use paramedic_model::TimeMs;
use paramedic_samples::{Commit, Rejected};
use paramedic_scrape::remote_write::{self, DecodeError, Written, WrittenSeries};

use super::WRITE_BYTES_MAX;
use crate::app::App;

/// How far into the future a sample may be, as there. One that were years ahead would make all
/// others too old to be kept.
const AHEAD: Duration = Duration::from_secs(600);

pub(super) async fn write(State(app): State<App>, request: Request) -> Response {
    let mut taken = Taken::default();
    let mut response = match take(&app, request, &mut taken).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err((status, text)) => (status, format!("{text}\n")).into_response(),
    };
    if taken.version == Version::V2 {
        let counts =
            [("samples", taken.samples), ("histograms", taken.histograms), ("exemplars", 0)];
        for (what, count) in counts {
            let name = format!("x-prometheus-remote-write-{what}-written");
            if let Ok(name) = HeaderName::try_from(name) {
                response.headers_mut().insert(name, count.into());
            }
        }
    }
    response
}

/// The protocol that a sender speaks.
#[derive(Clone, Copy, Default, PartialEq)]
enum Version {
    #[default]
    V1,
    V2,
}

/// How much of a request was taken, for the sender to compare.
#[derive(Default)]
struct Taken {
    version: Version,
    samples: usize,
    histograms: usize,
}

async fn take(app: &App, request: Request, taken: &mut Taken) -> Result<(), (StatusCode, String)> {
    if !app.prometheus().options.remote_write {
        let text = "remote write receiver needs to be enabled with `server: { remote_write: true }` \
                    in the configuration";
        return Err((StatusCode::NOT_FOUND, text.to_owned()));
    }
    let allowed = app.access().check_token(request.headers());
    allowed.map_err(|problem| (problem.status, problem.message))?;
    let version = check_kind(request.headers());
    let version = version.map_err(|text| (StatusCode::UNSUPPORTED_MEDIA_TYPE, text))?;
    taken.version = version;
    // Before the body is read, so that bodies wait at their senders and not here.
    let place = app.prometheus().writes.acquire().await;
    let _place = place.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let body = Bytes::from_request(request, app).await.map_err(|error| {
        let text = match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                format!("the body is longer than {WRITE_BYTES_MAX} bytes")
            }
            _ => error.body_text(),
        };
        (error.status(), text)
    })?;
    let decoding = tokio::task::spawn_blocking(move || match version {
        Version::V1 => remote_write::decode(&body, WRITE_BYTES_MAX),
        Version::V2 => remote_write::decode_v2(&body, WRITE_BYTES_MAX),
    });
    let decoded = decoding.await.map_err(|_| {
        let text = "the body could not be read; the log says more".to_owned();
        (StatusCode::INTERNAL_SERVER_ERROR, text)
    })?;
    let mut written = decoded.map_err(|error| {
        let status = match error {
            DecodeError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            DecodeError::Snappy(_) | DecodeError::Protobuf(_) => StatusCode::BAD_REQUEST,
        };
        (status, error.to_string())
    })?;
    let ahead = leave_out_ahead(&mut written.series, app.now() + AHEAD);
    let Written { series, metadata, invalid, first_invalid } = written;
    if !metadata.is_empty() {
        let described = app.handle().describe(metadata).await;
        described.map_err(|stopped| (StatusCode::INTERNAL_SERVER_ERROR, stopped.to_string()))?;
    }
    // Apart, so that each kind can be counted. All of one series goes together.
    let (histograms, samples): (Vec<_>, Vec<_>) =
        series.into_iter().partition(|one| !one.histograms.is_empty());
    let mut commit = Commit::default();
    for (series, count) in [(samples, &mut taken.samples), (histograms, &mut taken.histograms)] {
        if series.is_empty() {
            continue;
        }
        let appended = app.handle().append(series).await;
        let appended =
            appended.map_err(|stopped| (StatusCode::INTERNAL_SERVER_ERROR, stopped.to_string()))?;
        *count = appended.accepted;
        commit.merge(appended);
    }
    // Read, but perhaps lost by a restart: the sender tries again.
    if let Some(error) = commit.unlogged {
        return Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string()));
    }
    match refusal(commit.rejected, ahead, invalid, first_invalid) {
        None => Ok(()),
        Some(reason) => {
            let text = format!("{reason}; taken: {}", commit.accepted);
            Err((StatusCode::BAD_REQUEST, text))
        }
    }
}

/// That the body is what this receiver reads. Headers that are not there are not held against an old
/// sender.
fn check_kind(headers: &HeaderMap) -> Result<Version, String> {
    let mut version = Version::V1;
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(kind) = text(header::CONTENT_TYPE) {
        let mut parts = kind.split(';').map(str::trim);
        if parts.next() != Some("application/x-protobuf") {
            return Err(format!(
                "expected application/x-protobuf as the first (media) part, got {kind} content-type"
            ));
        }
        match parts.find_map(|part| part.strip_prefix("proto=")) {
            None | Some("prometheus.WriteRequest") => {}
            Some("io.prometheus.write.v2.Request") => version = Version::V2,
            Some(message) => {
                return Err(format!(
                    "{message} protobuf message is not accepted by this server; only accepts \
                     prometheus.WriteRequest, io.prometheus.write.v2.Request"
                ));
            }
        }
    }
    match text(header::CONTENT_ENCODING) {
        None | Some("snappy") => Ok(version),
        Some(other) => Err(format!(
            "{other} encoding (compression) is not accepted by this server; only snappy is acceptable"
        )),
    }
}

/// Takes out what is later than `latest`, and counts it.
fn leave_out_ahead(series: &mut Vec<WrittenSeries>, latest: TimeMs) -> usize {
    let count = |series: &[WrittenSeries]| -> usize {
        series.iter().map(|one| one.samples.len() + one.histograms.len()).sum()
    };
    let before = count(series);
    for one in &mut *series {
        one.samples.retain(|sample| sample.at <= latest);
        one.histograms.retain(|(at, _)| *at <= latest);
    }
    before - count(series)
}

/// Prometheus's word for what was not taken, and how much that was.
fn refusal(
    rejected: Rejected,
    ahead: usize,
    invalid: usize,
    first_invalid: Option<String>,
) -> Option<String> {
    let mut reasons = Vec::new();
    let mut add = |count: usize, word: &str, detail: &str| {
        if count > 0 {
            reasons.push(format!("{word} ({count} {detail})"));
        }
    };
    add(rejected.out_of_order, "out of order sample", "came late");
    add(rejected.duplicate, "duplicate sample for timestamp", "came twice with another value");
    add(rejected.expired, "out of bounds", "older than the window");
    add(ahead, "out of bounds", "more than 10 minutes ahead");
    add(rejected.over_limit, "too many series", "of new ones beyond the memory limit");
    add(rejected.unknown, "unknown series", "of series that are gone");
    add(invalid, "invalid series", &first_invalid.unwrap_or_default());
    (!reasons.is_empty()).then(|| reasons.join(", "))
}
