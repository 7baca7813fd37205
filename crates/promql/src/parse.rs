//! Text to tree.

use crate::span::Place;
use crate::{Expr, Span};

/// Why a text is no expression.
///
/// Prints as Prometheus does: `1:5: parse error: unexpected end of input`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: parse error: {message}")]
pub struct ParseError {
    /// The part of the text that is wrong.
    pub span: Span,
    /// Prometheus's text.
    pub message: String,
    place: Place,
}

impl ParseError {
    pub(crate) fn new(span: Span, message: impl Into<String>, text: &str) -> Self {
        Self { span, message: message.into(), place: Place::of(span, text) }
    }
}

/// The settings of the parser.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    /// Whether what Prometheus has only behind feature flags is accepted. Default: no.
    pub experimental: bool,
    /// How deep expressions may nest. Default: 200.
    pub depth_max: usize,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { experimental: false, depth_max: 200 }
    }
}

/// Parses and type-checks an expression with the default settings.
///
/// # Errors
///
/// What Prometheus refuses, with its place and its text.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, &ParseOptions::default())
}

/// Parses and type-checks an expression.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_with(text: &str, _options: &ParseOptions) -> Result<Expr, ParseError> {
    Err(ParseError::new(Span::new(0, text.len()), "no expression found in input", text))
}
