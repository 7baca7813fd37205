use std::time::Duration;

/// Why a look has no answer.
///
/// This type is only for "we could not look", which must never read as "all is well". Messages are
/// fragments that follow "could not look: "; the cause stays in `source`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProbeError {
    /// Connecting or talking failed. Worth another try within the incident's probe budget.
    #[error("connect to {target}: {reason}")]
    Connect {
        /// Where to: an address or URL without credentials.
        target: String,
        /// What the network said.
        reason: String,
    },
    /// No complete answer in time. Not tried again: it would double the responder's wait.
    #[error("wait for {target}: no answer within {} s", .deadline.as_secs_f64())]
    Deadline {
        /// Where to.
        target: String,
        /// How long it waited.
        deadline: Duration,
    },
    /// The system knows us and says no. Never tried again: tries lock accounts.
    #[error("log in to {target}: {reason}")]
    Denied {
        /// Where to.
        target: String,
        /// What it said, and which privilege or key to look at.
        reason: String,
    },
    /// An answer came, but not one that this system gives when it is well: HTML, empty rows, an
    /// error page, a type that it should not have.
    #[error("understand the answer of {target}: {reason}")]
    Answer {
        /// Where from.
        target: String,
        /// What was expected and what came, shortened and redacted.
        reason: String,
    },
    /// The look is not possible with this configuration or these arguments, so nothing was sent.
    #[error("{reason}")]
    Unable {
        /// Why, and what to configure.
        reason: String,
    },
}

impl ProbeError {
    /// The answer of `target` is not what it should be.
    pub fn answer(target: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Answer { target: target.into(), reason: reason.into() }
    }

    /// The look is not possible as configured.
    pub fn unable(reason: impl Into<String>) -> Self {
        Self::Unable { reason: reason.into() }
    }

    /// Whether asking again soon can help. No `_` arm: a new variant must decide.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } => true,
            Self::Deadline { .. }
            | Self::Denied { .. }
            | Self::Answer { .. }
            | Self::Unable { .. } => false,
        }
    }

    /// A word for metrics and tests, one per variant.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Deadline { .. } => "deadline",
            Self::Denied { .. } => "denied",
            Self::Answer { .. } => "answer",
            Self::Unable { .. } => "unable",
        }
    }
}
