//! `traefik/ping`: asks the three doors of Traefik whether somebody is there.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::evidence;
use crate::client::{Answer, Client};

pub(crate) const NAME: &str = "ping";

const ANSWERS: &str = "ok, stopping (a graceful stop is under way), missing (404), denied, garbled \
                       (not what belongs there), refused, closed (accepted and hung up) or timeout, \
                       unreachable";

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Asks ping, API and metrics endpoint once each and says how each answered",
        params: vec![],
        facts: vec![
            Field::new("ok", FieldType::Bool, "ping says 200 OK"),
            Field::new("alive", FieldType::Bool, "some endpoint spoke HTTP"),
            Field::new(
                "silent",
                FieldType::Bool,
                "connections are taken and none is answered in time",
            ),
            Field::new("ping", FieldType::Text, ANSWERS),
            Field::new("api", FieldType::Text, ANSWERS),
            Field::new("metrics", FieldType::Text, ANSWERS),
            Field::new("host_service", FieldType::Text, "the name of Traefik's unit on its host"),
        ],
        privilege: "GET /ping, /api/version and /metrics",
    }
}

pub(crate) struct Ping(pub Arc<Client>);

impl Probe for Ping {
    /// A refused or silent endpoint is what this probe is there to find, hence evidence; only where
    /// the network leads to none of the three could it not look.
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            // At once, so that a silent Traefik costs one deadline and not three.
            let (ping, api, metrics) = futures_util::future::join3(
                self.0.knock_ping(),
                self.0.knock_api(),
                self.0.knock_metrics(),
            )
            .await;
            let all = [&ping, &api, &metrics];
            if all.iter().all(|endpoint| endpoint.answer == Answer::Unreachable) {
                return Err(ProbeError::Connect {
                    target: self.0.target(),
                    reason: ping.detail.clone(),
                });
            }
            let alive = all.iter().any(|endpoint| endpoint.answer.spoke());
            let silent = all.iter().all(|endpoint| endpoint.answer == Answer::Timeout);
            let summary = match ping.answer {
                Answer::Ok if api.answer == Answer::Ok && metrics.answer == Answer::Ok => {
                    "Traefik answers: ping, API and metrics are well".to_owned()
                }
                Answer::Ok => format!(
                    "Traefik answers its ping; API: {}, metrics: {}",
                    api.answer.as_str(),
                    metrics.answer.as_str()
                ),
                Answer::Stopping => "Traefik is stopping gracefully".to_owned(),
                _ if alive => format!("Traefik speaks HTTP; ping: {}", ping.answer.as_str()),
                _ if silent => "Traefik takes connections and answers none".to_owned(),
                answer => format!("Traefik does not answer: {}", answer.as_str()),
            };
            let facts = json!({
                "ok": ping.answer == Answer::Ok,
                "alive": alive,
                "silent": silent,
                "ping": ping.answer.as_str(),
                "api": api.answer.as_str(),
                "metrics": metrics.answer.as_str(),
                "host_service": self.0.host_service,
            });
            let excerpt =
                format!("ping: {}\napi: {}\nmetrics: {}", ping.detail, api.detail, metrics.detail);
            Ok(evidence(facts, summary, excerpt))
        })
    }
}
