use std::fmt;

use paramedic_yaml::nearest;

/// A mistake on a page, at its place.
///
/// Prints as `page.md:12:5: unknown key `us`; did you mean `uses`?`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PageError {
    /// The name that the page was given.
    pub page: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.page, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// A mistake whose place is still a byte offset in the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub at: usize,
    pub message: String,
    pub hint: Option<String>,
}

impl Mistake {
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds `did you mean`, or else the list of what there is.
    pub fn near(self, word: &str, known: &[&str]) -> Self {
        match nearest(word, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => {
                const SHOWN: usize = 12;
                let shown = known[..known.len().min(SHOWN)].join(", ");
                let more = if known.len() > SHOWN { ", …" } else { "" };
                self.hint(format!("there is {shown}{more}"))
            }
        }
    }

    pub fn on(self, page: &str, source: &str) -> PageError {
        let (line, column) = place(source, self.at);
        PageError { page: page.to_owned(), line, column, message: self.message, hint: self.hint }
    }
}

/// Line and column, both counted from 1, of the byte at `at`.
pub(crate) fn place(source: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (1 + before.matches('\n').count(), 1 + before[line_start..].chars().count())
}
