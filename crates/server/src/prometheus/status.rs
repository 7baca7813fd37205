//! What clients ask of the server itself.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use paramedic_model::format_duration;
use serde_json::json;

use super::answer::Success;
use crate::app::App;

/// The version that clients read to know which requests there are. What this API knows of later ones
/// is additions, and no client need ask for them.
pub(crate) const PROMETHEUS_VERSION: &str = "3.0.0";

pub(super) async fn build_info() -> Response {
    let data = json!({
        "version": PROMETHEUS_VERSION,
        "revision": concat!("paramedic-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Paramedic",
    });
    Success::new(data.to_string()).into_response()
}

pub(super) async fn runtime_info(State(app): State<App>) -> Response {
    let api = app.prometheus();
    let data = json!({
        "startTime": api.started.to_string(),
        "CWD": "",
        "hostname": "",
        "serverTime": app.now().to_string(),
        "reloadConfigSuccess": true,
        "lastConfigTime": api.started.to_string(),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": 0,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": format_duration(api.options.retention),
    });
    Success::new(data.to_string()).into_response()
}

/// Types and help texts of metrics are not kept.
pub(super) async fn metadata() -> Response {
    Success::new("{}".to_owned()).into_response()
}
