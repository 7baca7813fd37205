//! Prints expressions in Prometheus's normalised form.

use std::fmt;

use crate::Expr;

/// `text` as a double-quoted string of the language.
pub(crate) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}
