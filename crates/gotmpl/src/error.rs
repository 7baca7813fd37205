use std::fmt;

/// Why a template does not parse, or stopped while it ran.
///
/// Prints as Go does: `template: NAME:1: function "nofn" not defined` where it does not parse,
/// `template: NAME:1:115: executing "NAME" at <humanize "abc">: ...` where it stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError(pub(crate) Box<Detail>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) name: String,
    /// The line that Go names.
    pub(crate) line_shown: usize,
    /// The line where the mistake starts, counted from 1.
    pub(crate) line: usize,
    /// Byte offset in the line, counted from 0, the prelude included: Go's column.
    pub(crate) column: usize,
    /// Bytes that the prelude put in front of the first line.
    pub(crate) prelude_bytes: usize,
    /// The template that ran and the snippet that failed; none where parsing failed.
    pub(crate) at: Option<(String, String)>,
    pub(crate) reason: String,
}

impl TemplateError {
    /// The line in the template's own text, counted from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// The column in the template's own text: bytes, counted from 1, prelude not included.
    pub fn column(&self) -> usize {
        let prelude_bytes = if self.0.line == 1 { self.0.prelude_bytes } else { 0 };
        self.0.column.saturating_sub(prelude_bytes) + 1
    }

    /// What is wrong, without the place: `function "nofn" not defined`.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Whether the text is no template; otherwise it is one that failed on its data.
    pub fn is_syntax(&self) -> bool {
        self.0.at.is_none()
    }

    /// What Prometheus puts in the place of a label or an annotation that could not be expanded.
    pub fn in_place(&self) -> String {
        let doing = if self.is_syntax() { "parsing" } else { "executing" };
        format!("<error expanding template: error {doing} template {}: {self}>", self.0.name)
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Detail { name, line_shown: line, column, reason, .. } = &*self.0;
        match &self.0.at {
            None => write!(f, "template: {name}:{line}: {reason}"),
            Some((template, snippet)) => {
                let template = crate::quote::quote(template);
                write!(f, "template: {name}:{line}:{column}: ")?;
                write!(f, "executing {template} at <{snippet}>: {reason}")
            }
        }
    }
}

impl std::error::Error for TemplateError {}

/// Line (from 1) and byte offset in it (from 0) of the byte at `pos`.
pub(crate) fn place(text: &str, pos: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..pos.min(text.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    (1 + before.iter().filter(|b| **b == b'\n').count(), before.len() - line_start)
}
