//! The host that Traefik runs on, in Traefik's terms.

use paramedic_catalog::Settings;
use paramedic_generic::{HostChannel, OwnAnswer, Unit};
use paramedic_integration::{
    Acted, ActionError, Environment, Happened, Look, Precondition, ProbeError, SettingsError,
};
use paramedic_model::{SystemName, TimeMs};

use crate::api;
use crate::log::Line;

/// The host channel, which reads moments and lines as Traefik's log has them.
pub(crate) struct Host(HostChannel);

/// When the state of `unit` last changed, where the host says so.
pub(crate) fn since(unit: &Unit) -> Option<TimeMs> {
    unit.since.as_deref().and_then(api::parse_time)
}

impl Host {
    /// The host of these settings of a Traefik.
    pub fn open(
        name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        HostChannel::open(name, settings, environment).map(Self)
    }

    /// The state of `service`.
    pub async fn unit(&self, service: &str, look: Look) -> Result<Unit, ProbeError> {
        self.0.unit(service, look).await
    }

    /// What `service` itself logged within the last day.
    pub async fn log(&self, service: &str, look: Look) -> Result<Vec<Line>, ProbeError> {
        let lines = self.0.log(service, look).await?;
        let own = lines.into_iter().filter(|line| !line.manager);
        Ok(own.map(|line| Line { at: api::parse_time(&line.at), text: line.text }).collect())
    }

    /// Whether `service` answers its own host, and how.
    pub async fn answers(&self, service: &str, look: Look) -> Result<OwnAnswer, ProbeError> {
        self.0.answers(service, look).await
    }

    /// Whether the host channel would restart `service`.
    pub async fn may_restart(&self, service: &str, look: Look) -> Result<Precondition, ProbeError> {
        self.0.may_restart(service, look).await
    }

    /// Restarts `service`.
    pub async fn restart(&self, service: &str, look: Look) -> Result<Acted, ActionError> {
        self.0.restart(service, look).await
    }

    /// Whether a restart that was meant at `intended` reached `service`.
    pub async fn restarted(
        &self,
        service: &str,
        intended: TimeMs,
        look: Look,
    ) -> Result<Happened, ProbeError> {
        self.0.restarted(service, intended, look).await
    }
}
