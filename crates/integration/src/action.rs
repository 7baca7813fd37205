use paramedic_catalog::Args;
use paramedic_model::{BoxFuture, TimeMs};

use crate::{Look, ProbeError};

/// A change to one system, with what must be known before and after it.
///
/// The engine calls, in this order: [`precondition`](Action::precondition) and
/// [`blast_radius`](Action::blast_radius) when it proposes the action and again right before it
/// acts; [`act`](Action::act) once, after the intent is in the journal; then it reads the alert's
/// own expression. After a crash between intent and outcome it calls
/// [`happened`](Action::happened) and never repeats blindly.
pub trait Action: Send + Sync {
    /// Whether the action makes sense now, from a fresh look.
    ///
    /// # Errors
    ///
    /// Where it could not look. The engine then does not act.
    fn precondition<'a>(
        &'a self,
        args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>>;

    /// What the action would hit besides its aim, counted now.
    ///
    /// # Errors
    ///
    /// Where it could not count. The engine then does not act.
    fn blast_radius<'a>(
        &'a self,
        args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>>;

    /// Makes the change and reads the state again.
    ///
    /// # Errors
    ///
    /// [`ActionError::Refused`] where nothing was changed, [`ActionError::Uncertain`] where it may
    /// have been.
    fn act<'a>(&'a self, args: &'a Args, look: Look) -> BoxFuture<'a, Result<Acted, ActionError>>;

    /// Whether an action that was intended at `intended` reached the system, from a fresh look.
    ///
    /// # Errors
    ///
    /// Where it could not look.
    fn happened<'a>(
        &'a self,
        args: &'a Args,
        intended: TimeMs,
        look: Look,
    ) -> BoxFuture<'a, Result<Happened, ProbeError>>;
}

/// The action's own verdict on whether it may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// It may, because of this.
    Holds(String),
    /// It must not, because of this: it would do harm or could not help.
    Fails(String),
}

/// What an action would hit besides its aim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlastRadius {
    /// How many other things that work now would be interrupted.
    pub count: u32,
    /// The same for a person: `2 peers that are online now lose their session for a moment`.
    pub summary: String,
}

/// The outcome of an action that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// What was done and what the state is now, read again after it.
    pub summary: String,
}

/// Why an action has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// Nothing was changed.
    #[error("nothing was changed")]
    Refused(#[source] ProbeError),
    /// The system said that it did it, and its state says that it did not work.
    #[error("the system answered, but {0}")]
    Ineffective(String),
    /// The request may or may not have been carried out. Never repeated without a look.
    #[error("it is not known whether anything was changed")]
    Uncertain(#[source] ProbeError),
}

/// What a look after a crash says of an intended action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// It was carried out.
    Yes(String),
    /// It was not.
    No(String),
    /// The system does not tell. A person must decide.
    Unknown(String),
}
