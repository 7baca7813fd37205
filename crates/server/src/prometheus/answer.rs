//! The envelope of every answer: `{"status":"success","data":...}` or an error with its type.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use paramedic_engine::Stopped;
use paramedic_promql::Annotations;

use super::json;
use crate::problem::Problem;

/// How many warnings are told, and how many infos; of the rest their number.
const ANNOTATIONS_TOLD: usize = 10;

/// What came of a request.
#[derive(Debug)]
pub(super) struct Success {
    /// JSON.
    data: String,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Success {
    /// `data` is JSON.
    pub fn new(data: String) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new() }
    }

    /// As [`new`](Self::new), with what there is to say about it; `is_cut` where the limit of the
    /// request left something out.
    pub fn annotated(data: String, annotations: &Annotations, is_cut: bool) -> Self {
        let mut warnings: Vec<_> = annotations.warnings().map(ToString::to_string).collect();
        if is_cut {
            warnings.push(TRUNCATED.to_owned());
        }
        let infos = annotations.infos().map(ToString::to_string).collect();
        Self { data, warnings: told(warnings, "warning"), infos: told(infos, "info") }
    }

    /// As [`new`](Self::new); `is_cut` where the limit of the request left something out.
    pub fn cut(data: String, is_cut: bool) -> Self {
        Self::annotated(data, &Annotations::default(), is_cut)
    }
}

/// What is said where the parameter `limit` left something out.
const TRUNCATED: &str = "results truncated due to limit";

fn told(mut texts: Vec<String>, kind: &str) -> Vec<String> {
    let more = texts.len().saturating_sub(ANNOTATIONS_TOLD);
    if more > 0 {
        texts.truncate(ANNOTATIONS_TOLD);
        texts.push(format!("{more} more {kind} annotations omitted"));
    }
    texts
}

impl IntoResponse for Success {
    fn into_response(self) -> Response {
        let mut body = String::with_capacity(self.data.len() + 64);
        body.push_str(r#"{"status":"success","data":"#);
        body.push_str(&self.data);
        for (key, texts) in [("warnings", &self.warnings), ("infos", &self.infos)] {
            if !texts.is_empty() {
                body.push_str(&format!(r#","{key}":"#));
                json::list(&mut body, texts, |body, text| json::html_safe(body, text));
            }
        }
        body.push('}');
        answer(StatusCode::OK, body)
    }
}

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    kind: Kind,
    message: String,
}

/// The `errorType` of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    BadData,
    TooLarge,
    Execution,
    Timeout,
    Internal,
    Unavailable,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::BadData | Kind::TooLarge => "bad_data",
            Kind::Execution => "execution",
            Kind::Timeout => "timeout",
            Kind::Internal => "internal",
            Kind::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Kind::BadData => StatusCode::BAD_REQUEST,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Internal | Kind::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Failure {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The request is wrong.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(Kind::BadData, message)
    }

    /// One parameter of the request is wrong.
    pub fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::bad(format!("invalid parameter {name:?}: {message}"))
    }

    /// The request is longer than what is read.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// The expression cannot be evaluated on these samples.
    pub fn execution(message: impl Into<String>) -> Self {
        Self::new(Kind::Execution, message)
    }

    /// The time is over.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// It is not offered here.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// It is not the asker's fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::internal(stopped.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        error(self.kind.status(), self.kind.name(), &self.message)
    }
}

/// A problem of the server around the API, in the API's own shape.
pub(crate) fn problem(problem: &Problem) -> Response {
    let kind = match problem.status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "bad_data",
        _ => "internal",
    };
    error(problem.status, kind, &problem.message)
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let mut body = format!(r#"{{"status":"error","errorType":"{kind}","error":"#);
    json::html_safe(&mut body, message);
    body.push('}');
    answer(status, body)
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
