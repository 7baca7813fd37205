//! The loop that carries out what the pure crates decide.
//!
//! ```text
//!   targets --Scraped--+                                   +--> window (samples)
//!   workers --Done-----+--> one queue --> Engine::turn ----+--> rules --> incident::decide
//!   people  --Command--+        ^                          +--> journal, then workers
//!   clock   --due------+        +------------------------------------------+
//! ```
//!
//! [`Engine`] owns all state and is touched by one task. A turn takes one input, evaluates the
//! groups that are due, lets every incident decide, writes the journal, and only then starts what
//! the incidents want. So an effect never precedes its intent, and a restart is a turn like any
//! other: it reads the journal and looks what is wanted.
//!
//! # Invariants
//!
//! - Nothing is applied that the journal has not taken. A journal that fails stops the engine.
//! - Per incident one worker at a time; per system one action at a time.
//! - The engine meets systems only through the integration contract and names no kind.
//!
//! Not here: HTTP, configuration files, sockets.

mod alerts;
mod delivery;
mod engine;
mod handle;
mod incidents;
mod intake;
mod losses;
mod notify;
mod outside;
mod pages;
mod plot;
mod pursue;
mod reload;
mod restore;
mod signal;
mod standing;
mod systems;
mod vitals;
mod work;
mod yields;

pub use delivery::{Alertmanager, AlertmanagerSet, SendingVitals};
pub use engine::{Engine, EngineError, Setup};
pub use handle::{Command, Handle, Stopped, Verb};
pub use notify::{Sending, WhenBlind};
pub use outside::{Heard, OutsideAlert};
pub use pages::{Page, Pages};
pub use plot::{Plot, PlotSeries};
pub use reload::{Reload, Reloaded};
pub use systems::{Systems, Unusable, Watched};
pub use vitals::{GroupVitals, IngestVitals, RuleVitals};
pub use yields::Described;

/// A time in which nothing is changed: a change freeze, or maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// What it is called.
    pub name: String,
    /// Its beginning.
    pub from: paramedic_model::TimeMs,
    /// Its end.
    pub until: paramedic_model::TimeMs,
    /// The systems that it holds for; empty for all.
    pub systems: Vec<String>,
}

impl Freeze {
    /// Whether it holds for `system` at `now`.
    pub fn holds(&self, system: &str, now: paramedic_model::TimeMs) -> bool {
        let concerned = self.systems.is_empty() || self.systems.iter().any(|name| name == system);
        concerned && self.from <= now && now < self.until
    }
}
