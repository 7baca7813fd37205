use paramedic_catalog::{Args, Evidence};
use paramedic_model::{BoxFuture, TimeMs};

use crate::ProbeError;

/// The moment of a look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Now.
    pub now: TimeMs,
    /// Since when the alert's condition has held; what "shortly before" refers to.
    pub since: TimeMs,
}

/// A read-only look at one system.
///
/// A probe that ran and found trouble is a success: it returns evidence. It holds looking clients
/// only, so it cannot change what it looks at.
pub trait Probe: Send + Sync {
    /// Looks, and returns the facts that the probe's signature declares.
    ///
    /// # Errors
    ///
    /// A [`ProbeError`] where it could not look, or could not be sure of what it saw.
    fn look<'a>(
        &'a self,
        args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>>;
}
