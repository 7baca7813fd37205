//! The host that Traefik runs on, through the probes and actions of `generic`.
//!
//! Only what `generic` declares is used: its signatures bind the arguments, its facts are read by
//! name. So whatever it learns to do (another init system, another transport) works here at once.

use std::collections::BTreeMap;

use paramedic_catalog::{Args, Settings};
use paramedic_integration::{
    Acted, ActionError, Environment, Happened, Kit, Look, Precondition, ProbeError, SettingsError,
};
use paramedic_model::{SystemName, TimeMs};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api;
use crate::log::Line;

const STATUS: &str = "service-status";
const LOG: &str = "service-log";
const RESTART: &str = "service-restart";
/// The most lines that `generic/service-log` reads.
const LINES_MAX: &str = "1000";

/// What systemd, or a command in its place, says of a service.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Unit {
    pub running: bool,
    /// `active`, `failed`, `activating`, …
    pub active_state: String,
    since: Option<String>,
}

impl Unit {
    /// When its state last changed, where the host says so.
    pub fn since(&self) -> Option<TimeMs> {
        self.since.as_deref().and_then(api::parse_time)
    }
}

/// The host channel; without a `host` block every look says so.
pub(crate) struct Host(Option<Kit>);

impl Host {
    /// The host of these settings of a Traefik.
    pub fn open(
        name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let Some(host) = settings.table("host") else { return Ok(Self(None)) };
        let opened = paramedic_generic::integration().open(name, host, environment);
        let nested = |error: SettingsError| SettingsError {
            setting: format!("host.{}", error.setting),
            reason: error.reason,
        };
        Ok(Self(Some(opened.map_err(nested)?.kit)))
    }

    /// The state of `service`.
    pub async fn unit(&self, service: &str, look: Look) -> Result<Unit, ProbeError> {
        let facts = self.probe(STATUS, &[("service", service)], look).await?;
        understand(Value::Object(facts))
    }

    /// What `service` logged, as far back as the host channel reads by itself: the last day.
    pub async fn log(&self, service: &str, look: Look) -> Result<Vec<Line>, ProbeError> {
        #[derive(Deserialize)]
        struct Entry {
            at: String,
            text: String,
            manager: bool,
        }
        let with = [("service", service), ("since", "1d"), ("lines", LINES_MAX)];
        let mut facts = self.probe(LOG, &with, look).await?;
        let lines: Vec<Entry> = understand(facts.remove("lines").unwrap_or_default())?;
        let own = lines.into_iter().filter(|entry| !entry.manager);
        Ok(own.map(|entry| Line { at: api::parse_time(&entry.at), text: entry.text }).collect())
    }

    /// Whether the host channel would restart `service`.
    pub async fn may_restart(&self, service: &str, look: Look) -> Result<Precondition, ProbeError> {
        let args = bind_action(service)?;
        self.action()?.precondition(&args, look).await
    }

    /// Restarts `service`.
    pub async fn restart(&self, service: &str, look: Look) -> Result<Acted, ActionError> {
        let args = bind_action(service).map_err(ActionError::Refused)?;
        let action = self.action().map_err(ActionError::Refused)?;
        action.act(&args, look).await
    }

    /// Whether a restart that was meant at `intended` reached `service`.
    pub async fn restarted(
        &self,
        service: &str,
        intended: TimeMs,
        look: Look,
    ) -> Result<Happened, ProbeError> {
        let args = bind_action(service)?;
        self.action()?.happened(&args, intended, look).await
    }

    fn kit(&self) -> Result<&Kit, ProbeError> {
        self.0.as_ref().ok_or_else(|| {
            ProbeError::unable("this system has no `host` block, so its host cannot be reached")
        })
    }

    fn action(&self) -> Result<std::sync::Arc<dyn paramedic_integration::Action>, ProbeError> {
        self.kit()?.action(RESTART).ok_or_else(|| lacking(RESTART))
    }

    async fn probe(
        &self,
        name: &str,
        with: &[(&str, &str)],
        look: Look,
    ) -> Result<Map<String, Value>, ProbeError> {
        let probe = self.kit()?.probe(name).ok_or_else(|| lacking(name))?;
        let signature = paramedic_generic::integration().catalog().probe(name);
        let params = &signature.ok_or_else(|| lacking(name))?.params;
        let args = Args::bind(params, &texts(with));
        let args = args.map_err(|error| ProbeError::unable(error.to_string()))?;
        Ok(probe.look(&args, look).await?.facts)
    }
}

fn bind_action(service: &str) -> Result<Args, ProbeError> {
    let signature = paramedic_generic::integration().catalog().action(RESTART);
    let params = &signature.ok_or_else(|| lacking(RESTART))?.params;
    Args::bind(params, &texts(&[("service", service)]))
        .map_err(|error| ProbeError::unable(error.to_string()))
}

fn texts(with: &[(&str, &str)]) -> BTreeMap<String, String> {
    with.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn lacking(name: &str) -> ProbeError {
    ProbeError::unable(format!("the host channel has no {name}"))
}

fn understand<T: serde::de::DeserializeOwned>(facts: Value) -> Result<T, ProbeError> {
    serde_json::from_value(facts)
        .map_err(|error| ProbeError::unable(format!("the host channel says it otherwise: {error}")))
}
