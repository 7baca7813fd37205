//! `/-/reload`: rules and pages are read anew.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use paramedic_model::{BoxFuture, TimeMs};

use crate::app::App;

/// What reads rules and pages anew.
pub trait Reloader: Send + Sync {
    /// Reads all of them, and gives them to the engine if none has a mistake. Says, for people, what
    /// else the configuration says by now and only a restart applies.
    ///
    /// # Errors
    ///
    /// All mistakes, for people; then nothing has changed.
    fn reload(&self) -> BoxFuture<'_, Result<Option<String>, String>>;

    /// Whether the last time went well, and when it was that one last did.
    fn last(&self) -> (bool, TimeMs);

    /// Whether the configuration says something, as far as was read, that only a restart applies.
    fn needs_restart(&self) -> bool;
}

/// `POST /-/reload`. It changes what is watched, so it wants the token.
pub(crate) async fn reload(State(app): State<App>, headers: HeaderMap) -> Response {
    let Some(reloader) = app.reloader() else {
        return (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.\n").into_response();
    };
    if let Err(problem) = app.access().check_token(&headers) {
        return (problem.status, format!("{}\n", problem.message)).into_response();
    }
    match reloader.reload().await {
        Ok(None) => StatusCode::OK.into_response(),
        Ok(Some(waiting)) => format!("{waiting}\n").into_response(),
        Err(mistakes) => {
            let text = format!("failed to reload config: {mistakes}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}
