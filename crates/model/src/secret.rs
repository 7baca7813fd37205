use std::fmt;
use std::sync::{Arc, RwLock};

/// What stands in place of a secret in every output.
const MASK: &str = "[redacted]";

/// A text that no output may show: it prints as `[redacted]`, also in `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into_boxed_str())
    }

    /// The text itself, for the one place that sends it to the system it belongs to.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Replaces every secret it was told of, wherever it occurs in a text.
///
/// One redactor serves a whole process: secrets are added when the configuration is read, and each
/// excerpt, error and log line that holds an answer of a system passes through [`Redactor::clean`].
/// Secrets shorter than four bytes are not replaced: they would garble every text and hide nothing.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<RwLock<Vec<Secret>>>);

impl Redactor {
    /// From now on `secret` is replaced.
    pub fn add(&self, secret: &Secret) {
        const SHORTEST: usize = 4;
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if secret.expose().len() >= SHORTEST && !known.contains(secret) {
            known.push(secret.clone());
            // The longest first, so that a secret that contains another is replaced whole.
            known.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        }
    }

    /// `text` with every known secret masked.
    pub fn clean(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.expose()) { text.replace(secret.expose(), MASK) } else { text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter22");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
    }

    #[test]
    fn the_longest_secret_is_masked_whole() {
        let redactor = Redactor::default();
        redactor.add(&Secret::new("abcd"));
        redactor.add(&Secret::new("abcdef"));
        redactor.add(&Secret::new("a"));
        assert_eq!(redactor.clean("a=abcdef b=abcd"), "a=[redacted] b=[redacted]");
    }
}
