/// Why a body is no exposition. Prints as `line 3, column 14: expected a value`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct ExpositionError {
    /// Counted from 1.
    pub line: usize,
    /// In bytes, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

impl ExpositionError {
    /// The error at the byte `pos` of `body`.
    pub(crate) fn at(body: &[u8], pos: usize, reason: impl Into<String>) -> Self {
        let before = &body[..pos.min(body.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        Self { line, column, reason: reason.into() }
    }
}
