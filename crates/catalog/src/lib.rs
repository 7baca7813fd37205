//! What an integration declares about one kind of system, as data.
//!
//! [`Catalog`] lists the metrics that a collector yields, the settings that a system of this kind
//! takes, and the signatures of its probes and actions. The configuration reader, the runbook
//! checker, `paramedic catalog` and the documentation are all written from it, so what is declared
//! here is what a user meets.
//!
//! Pure data and its validation. The code behind a signature lives in the integration.

mod args;
mod evidence;
mod metric;
mod setting;
mod signature;

pub use args::{ArgError, ArgValue, Args, Param, ParamKind};
pub use evidence::{Evidence, FactError, Field, FieldType};
pub use metric::{Metric, MetricKind, ValueDomain};
pub use setting::{Setting, SettingKind, SettingValue, Settings};
pub use signature::{ActionSignature, Approval, ProbeSignature, Risk};

/// All that one integration declares.
#[derive(Debug)]
pub struct Catalog {
    /// The name of the kind, as in `kind: opnsense` and in `uses: opnsense/service-log`.
    pub kind: &'static str,
    /// For people: `OPNsense firewall`.
    pub title: &'static str,
    /// What this kind of system is and how it is reached, in a sentence.
    pub summary: &'static str,
    /// The versions that the integration was checked against.
    pub versions: &'static [&'static str],
    /// The keys that a system of this kind takes in the configuration, beside the common ones.
    pub settings: Vec<Setting>,
    /// The families that the collector yields.
    pub metrics: Vec<Metric>,
    /// What a diagnosis step may use.
    pub probes: Vec<ProbeSignature>,
    /// What a mitigation step may use.
    pub actions: Vec<ActionSignature>,
}

impl Catalog {
    /// The probe of this name (without the kind in front).
    pub fn probe(&self, name: &str) -> Option<&ProbeSignature> {
        self.probes.iter().find(|probe| probe.name == name)
    }

    /// The action of this name (without the kind in front).
    pub fn action(&self, name: &str) -> Option<&ActionSignature> {
        self.actions.iter().find(|action| action.name == name)
    }
}
