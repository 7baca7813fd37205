use std::fmt;

/// One mistake in a rule file, at its place.
///
/// Prints as `rules.yml:12:9: group "g", rule 1, "Down": field 'expr' must be set in rule`, with
/// Prometheus's words for what it refuses too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The file, as it was named when it was read.
    pub file: String,
    /// Counted from 1; 0 where the file has no such place.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
    /// What was probably meant: a known key near the unknown one.
    pub hint: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, " (did you mean `{hint}`?)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RuleError {}
