use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use paramedic_integration::{Collection, Collector, Look, ProbeError};
use paramedic_model::{BoxFuture, Clock, Series};
use serde_json::Value;

use crate::client::Client;
use crate::reach::Reach;

/// Yields the exporter's families from one request.
///
/// Unlike the exporter it fetches no stored configuration, checks status and content, and says
/// `oxidized_status 0` also of a server that hangs.
pub(crate) struct OxidizedCollector {
    pub client: Arc<Client>,
    pub clock: Arc<dyn Clock>,
}

impl Collector for OxidizedCollector {
    fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
        Box::pin(async {
            let begun = self.clock.now();
            let reach = self.client.list().await;
            let took = self.clock.now().since(begun);
            let mut series =
                vec![Series::new("paramedic_oxidized_reach", [("reason", reach.reason())], 1.0)];
            let Reach::List(nodes) = &reach else {
                series.push(Series::new("oxidized_status", [], 0.0));
                let failure = ProbeError::answer(self.client.target(), reach.describe());
                return Collection { series, failure: Some(failure) };
            };
            series.push(Series::new("oxidized_status", [], 1.0));
            let millis = took.as_secs_f64() * 1000.0;
            series.push(Series::new("oxidized_exporter_collect_duration", [], millis));
            series.extend(nodes.iter().flat_map(device));
            Collection::complete(series)
        })
    }
}

/// The series of one device, as the exporter has them.
pub(crate) fn device(node: &Value) -> Vec<Series> {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    let labels = [
        ("full_name", text("full_name")),
        ("name", text("name")),
        ("group", text("group")),
        ("model", text("model")),
    ];
    let mut series = vec![Series::new("oxidized_device_status", labels, status(text("status")))];
    let last = &node["last"];
    if let Some(word) = last["status"].as_str() {
        series.push(Series::new("oxidized_device_last_backup_status", labels, status(word)));
        for (key, family) in [
            ("start", "oxidized_device_last_backup_start"),
            ("end", "oxidized_device_last_backup_end"),
        ] {
            if let Some(at) = last[key].as_str().and_then(seconds) {
                series.push(Series::new(family, labels, at));
            }
        }
        if let Some(took) = last["time"].as_f64().filter(|took| *took != 0.0) {
            // The exporter keeps 32 bits of it.
            let took = f64::from(took as f32);
            series.push(Series::new("oxidized_device_last_backup_time", labels, took));
        }
    }
    series
}

/// The exporter's number for a job's word.
fn status(word: &str) -> f64 {
    match word {
        "success" => 2.0,
        "never" => 1.0,
        _ => 0.0,
    }
}

/// Seconds since the epoch of `2026-11-21 02:38:43 UTC`.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let text = text.strip_suffix(" UTC")?;
    let at = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(at.timestamp().as_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device of the recorded list, beside what the recorded exporter made of it.
    #[test]
    fn a_device_is_what_the_exporter_makes_of_it() {
        let node = serde_json::json!({
            "name": "rtr-edge-01", "full_name": "edge/rtr-edge-01", "ip": "127.0.0.1",
            "group": "edge", "model": "LinuxGeneric",
            "last": {
                "start": "2026-11-21 02:42:51 UTC", "end": "2026-11-21 02:42:51 UTC",
                "status": "no_connection", "time": 0.006156393
            },
            "vars": { "enable": "hunter2" }, "mtime": "unknown",
            "status": "no_connection", "time": "2026-11-21 02:42:51 UTC"
        });
        let shown: Vec<_> =
            device(&node).iter().map(|s| format!("{} {}", s.labels, s.value)).collect();
        let with = r#"{full_name="edge/rtr-edge-01", group="edge", model="LinuxGeneric", name="rtr-edge-01"}"#;
        assert_eq!(
            shown,
            [
                format!("oxidized_device_status{with} 0"),
                format!("oxidized_device_last_backup_status{with} 0"),
                format!("oxidized_device_last_backup_start{with} 1795228971"),
                format!("oxidized_device_last_backup_end{with} 1795228971"),
                format!("oxidized_device_last_backup_time{with} {}", f64::from(0.006156393_f32)),
            ]
        );
        let never = serde_json::json!({ "name": "a", "status": "never", "last": null });
        assert_eq!(device(&never).len(), 1);
        assert_eq!(device(&serde_json::json!(7)).len(), 1, "nonsense does not panic");
    }
}
