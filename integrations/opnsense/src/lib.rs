//! OPNsense firewalls over their REST API: services and WireGuard tunnels.
//!
//! ```text
//!   FirewallCollector --\                        /--> LookingClient (LOOKS, key to look with)
//!   probes --------------+--> Firewall (client) -
//!   actions: guards ----/
//!   actions: requests -------------------------------> ActingClient (ACTS, key to act with)
//! ```
//!
//! # Invariants
//!
//! - Empty rows, empty bodies and pages are "could not look": a dead back end answers HTTP 200.
//! - What names an object in a request comes from the firewall's own list, never from a label.
//! - `{"result":"ok"}` proves nothing; the state is read again.
//!
//! The facts behind all this stand in the README. Not here: any rule or runbook logic, which is in
//! `rules/` and `runbooks/` as text.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{Catalog, Settings};
use paramedic_integration::{
    ActingClient, Asset, Auth, Environment, HttpClient, Integration, Kit, LookingClient,
    SettingsError, SimulatorFactory, System, TlsSettings,
};
use paramedic_model::SystemName;

mod actions;
mod catalog;
mod client;
mod collector;
mod json;
mod probes;
mod services;
mod simulator;
mod wireguard;

pub use simulator::{FirewallSimulator, Release, SimulatedFirewalls};

/// The integration for OPNsense firewalls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opnsense;

/// The integration for OPNsense firewalls.
pub fn integration() -> &'static dyn Integration {
    &Opnsense
}

/// The back end may take two minutes for a start before the API answers.
const ACT_DEADLINE: Duration = Duration::from_secs(130);

const RULES: &[Asset] = &[Asset {
    path: "integrations/opnsense/rules/opnsense.yml",
    text: include_str!("../rules/opnsense.yml"),
}];

const RUNBOOKS: &[Asset] = &[
    Asset {
        path: "integrations/opnsense/runbooks/OPNsenseServiceDown.md",
        text: include_str!("../runbooks/OPNsenseServiceDown.md"),
    },
    Asset {
        path: "integrations/opnsense/runbooks/OPNsenseWireGuardPeerOffline.md",
        text: include_str!("../runbooks/OPNsenseWireGuardPeerOffline.md"),
    },
    Asset {
        path: "integrations/opnsense/runbooks/OPNsenseFirewallUnreachable.md",
        text: include_str!("../runbooks/OPNsenseFirewallUnreachable.md"),
    },
];

impl Integration for Opnsense {
    fn catalog(&self) -> &'static Catalog {
        &catalog::CATALOG
    }

    fn rules(&self) -> &'static [Asset] {
        RULES
    }

    fn runbooks(&self) -> &'static [Asset] {
        RUNBOOKS
    }

    fn open(
        &self,
        name: &SystemName,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<System, SettingsError> {
        let url = settings.text("url").unwrap_or_default();
        let tls = TlsSettings::read(settings, url.starts_with("https://"))?;
        let skip = settings.list("skip").to_vec();
        if let Some(part) = skip.iter().find(|part| !collector::PARTS.contains(&part.as_str())) {
            let known = collector::PARTS.join(", ");
            return Err(SettingsError::new("skip", format!("{part:?} is none of {known}")));
        }
        let look_auth = auth(settings, "api_key", "api_secret", environment)?
            .ok_or_else(|| SettingsError::new("api_key", "give the key and `api_secret`"))?;
        let act_auth = auth(settings, "act_key", "act_secret", environment)?;
        let act_auth = act_auth.unwrap_or_else(|| look_auth.clone());
        let client = |auth| HttpClient::new("url", url, tls.clone(), Some(auth), environment);
        let look_http = Arc::new(client(look_auth)?);
        let act_http = Arc::new(client(act_auth)?.with_deadline(ACT_DEADLINE));
        let instance = look_http.address().to_string();
        let firewall = Arc::new(client::Firewall::new(
            LookingClient::new(look_http, client::LOOKS),
            environment.clock.clone(),
            environment.redactor.clone(),
            skip,
        ));
        let acting = actions::Acting {
            firewall: firewall.clone(),
            client: ActingClient::new(act_http, actions::ACTS),
            redactor: environment.redactor.clone(),
        };
        let label = settings.text("opnsense_instance").unwrap_or(name.as_str()).to_owned();
        let kit = actions::add_to(probes::add_to(Kit::default(), &firewall), &acting);
        let collector = collector::FirewallCollector::new(firewall, label);
        Ok(System { collector: Some(Box::new(collector)), instance, kit })
    }

    fn simulator(&self) -> Option<&dyn SimulatorFactory> {
        Some(&SimulatedFirewalls { release: Release::V26_1 })
    }
}

/// The credentials under two keys; `None` where neither is given.
fn auth(
    settings: &Settings,
    key: &str,
    secret: &str,
    environment: &Environment,
) -> Result<Option<Auth>, SettingsError> {
    match (settings.secret(key), settings.secret(secret)) {
        (Some(user), Some(password)) => {
            environment.redactor.add(user);
            Ok(Some(Auth::Basic { user: user.clone(), password: password.clone() }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(SettingsError::new(secret, format!("belongs to `{key}`"))),
        (None, Some(_)) => Err(SettingsError::new(key, format!("belongs to `{secret}`"))),
    }
}
