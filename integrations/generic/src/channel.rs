//! The host channel as other integrations use it: through what `generic` declares, and no further.
//!
//! Its signatures bind the arguments and its facts are read by name, so whatever `generic` learns to
//! do (another init system, another transport) works for them at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Param, Settings};
use paramedic_integration::{
    Acted, Action, ActionError, Environment, Happened, Kit, Look, Precondition, ProbeError,
    SettingsError,
};
use paramedic_model::{SystemName, TimeMs};
use serde::Deserialize;
use serde_json::Value;

use crate::integration;

const STATUS: &str = "service-status";
const LOG: &str = "service-log";
const ANSWER: &str = "service-answer";
const RESTART: &str = "service-restart";
/// The most lines that `service-log` reads.
const LINES_MAX: &str = "1000";

/// What systemd, or a command in its place, says of a service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Unit {
    /// Whether it runs.
    pub running: bool,
    /// `active`, `failed`, `activating`, …
    pub active_state: String,
    /// When its state last changed, RFC 3339, where the host says so.
    pub since: Option<String>,
}

/// One line that a service wrote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogLine {
    /// When, as the host says.
    pub at: String,
    /// What.
    pub text: String,
    /// Whether the service manager wrote it about the service.
    pub manager: bool,
}

/// How a service answers HTTP on its own host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OwnAnswer {
    /// Whether an HTTP answer came.
    pub answers: bool,
    /// `refused`, `timeout`, `other`, or empty where it answers.
    pub failure: String,
    /// The same for a person.
    #[serde(skip)]
    pub summary: String,
}

impl OwnAnswer {
    /// Why a restart is wrong for a service that does not answer us, where something speaks against
    /// it. `silent`: nothing at all came back from here, not even a refusal.
    ///
    /// From here a firewall that drops looks like a process that hangs. A process hangs where its own
    /// host hears nothing either; where that host is refused, somebody asked the wrong door.
    pub fn against_restart(&self, silent: bool) -> Option<String> {
        let how = &self.summary;
        if self.answers {
            return Some(format!("{how}: the way to it is blocked, not the process"));
        }
        (silent && self.failure != "timeout").then(|| {
            format!(
                "{how}, and from here nothing comes: `local_url` may name another door than its own"
            )
        })
    }
}

/// The host of a system; without a `host` block every look says so.
pub struct HostChannel(Option<Kit>);

impl HostChannel {
    /// The host of the system `name` with these settings: their table `host`.
    ///
    /// # Errors
    ///
    /// A setting of the host that cannot work, as `host.NAME`.
    pub fn open(
        name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let Some(host) = settings.table("host") else { return Ok(Self(None)) };
        let opened = integration().open(name, host, environment);
        let nested = |error: SettingsError| {
            SettingsError::new(format!("host.{}", error.setting), error.reason)
        };
        Ok(Self(Some(opened.map_err(nested)?.kit)))
    }

    /// The state of `service`.
    ///
    /// # Errors
    ///
    /// Where the host could not be asked.
    pub async fn unit(&self, service: &str, look: Look) -> Result<Unit, ProbeError> {
        let found = self.probe(STATUS, &[("service", service)], look).await?;
        understand(Value::Object(found.facts))
    }

    /// What `service` logged within the last day, the oldest line first.
    ///
    /// # Errors
    ///
    /// Where the host could not be asked.
    pub async fn log(&self, service: &str, look: Look) -> Result<Vec<LogLine>, ProbeError> {
        let with = [("service", service), ("since", "1d"), ("lines", LINES_MAX)];
        let mut found = self.probe(LOG, &with, look).await?;
        understand(found.facts.remove("lines").unwrap_or_default())
    }

    /// Whether `service` answers HTTP on its own host, and how.
    ///
    /// # Errors
    ///
    /// Where the host could not be asked, or nobody said where the service answers.
    pub async fn answers(&self, service: &str, look: Look) -> Result<OwnAnswer, ProbeError> {
        let found = self.probe(ANSWER, &[("service", service)], look).await?;
        let answer = understand::<OwnAnswer>(Value::Object(found.facts))?;
        Ok(OwnAnswer { summary: found.summary, ..answer })
    }

    /// Whether the host channel would restart `service`.
    ///
    /// # Errors
    ///
    /// Where the host could not be asked.
    pub async fn may_restart(&self, service: &str, look: Look) -> Result<Precondition, ProbeError> {
        let (action, args) = self.restarting(service)?;
        action.precondition(&args, look).await
    }

    /// Restarts `service`.
    ///
    /// # Errors
    ///
    /// As `generic/service-restart`.
    pub async fn restart(&self, service: &str, look: Look) -> Result<Acted, ActionError> {
        let (action, args) = self.restarting(service).map_err(ActionError::Refused)?;
        action.act(&args, look).await
    }

    /// Whether a restart that was meant at `intended` reached `service`.
    ///
    /// # Errors
    ///
    /// Where the host could not be asked.
    pub async fn restarted(
        &self,
        service: &str,
        intended: TimeMs,
        look: Look,
    ) -> Result<Happened, ProbeError> {
        let (action, args) = self.restarting(service)?;
        action.happened(&args, intended, look).await
    }

    fn kit(&self) -> Result<&Kit, ProbeError> {
        self.0.as_ref().ok_or_else(|| {
            ProbeError::unable("this system has no `host` block, so its host cannot be reached")
        })
    }

    fn restarting(&self, service: &str) -> Result<(Arc<dyn Action>, Args), ProbeError> {
        let signature = integration().catalog().action(RESTART);
        let found = signature.zip(self.kit()?.action(RESTART));
        let (signature, action) = found.ok_or_else(|| lacking(RESTART))?;
        Ok((action, bind(&signature.params, &[("service", service)])?))
    }

    async fn probe(
        &self,
        name: &str,
        with: &[(&str, &str)],
        look: Look,
    ) -> Result<Evidence, ProbeError> {
        let found = integration().catalog().probe(name).zip(self.kit()?.probe(name));
        let (signature, probe) = found.ok_or_else(|| lacking(name))?;
        probe.look(&bind(&signature.params, with)?, look).await
    }
}

fn bind(params: &[Param], with: &[(&str, &str)]) -> Result<Args, ProbeError> {
    let given: BTreeMap<_, _> =
        with.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Args::bind(params, &given).map_err(|error| ProbeError::unable(error.to_string()))
}

fn lacking(name: &str) -> ProbeError {
    ProbeError::unable(format!("the host channel has no {name}"))
}

fn understand<T: serde::de::DeserializeOwned>(facts: Value) -> Result<T, ProbeError> {
    serde_json::from_value(facts)
        .map_err(|error| ProbeError::unable(format!("the host channel says it otherwise: {error}")))
}
