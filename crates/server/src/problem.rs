use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use paramedic_engine::Stopped;

/// Why a request is not answered as asked: for the person or program that sent it.
///
/// A handler returns it; whether it becomes a page or JSON is decided in one place, by the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub status: StatusCode,
    /// One sentence without a full stop.
    pub message: String,
}

impl Problem {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The request cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The request comes from where it may not come from.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// There is no such thing.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The incident, or the lab, refuses.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// What the status is called on the page.
    pub fn title(&self) -> &'static str {
        match self.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::CONFLICT => "Refused",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::METHOD_NOT_ALLOWED => "Not possible here",
            StatusCode::MISDIRECTED_REQUEST => "Wrong address",
            StatusCode::SERVICE_UNAVAILABLE => "Not available",
            status if status.is_client_error() => "Not understood",
            _ => "Something failed",
        }
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{stopped}, so nothing is watched; its log says why"),
        )
    }
}

/// Carries the problem to where it is dressed as a page or as JSON.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
