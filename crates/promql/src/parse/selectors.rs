//! Selectors: `name{label="value"}`.

use paramedic_model::METRIC_NAME;

use super::{Parsed, Parser, Result};
use crate::lex::TokenKind;
use crate::{BinaryOp, Expr, ExprKind, MatchOp, Matcher, Selector, Span};

const CONTEXT: &str = "label matching";

impl Parser<'_> {
    /// A selector, without the modifiers behind it.
    pub(super) fn selector(&mut self) -> Result<Parsed> {
        let mut span = self.token().span;
        let (mut name, mut matchers) = (None, Vec::new());
        if *self.peek() != TokenKind::LeftBrace {
            self.advance();
            name = Some(span.of(self.text).to_owned());
        }
        if *self.peek() == TokenKind::LeftBrace {
            self.advance();
            let end;
            (matchers, end) = self.matchers()?;
            span = span.to(end);
        }
        if let Some(name) = &name {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        let selector =
            Selector { name, matchers, offset_ms: 0, offset_expr: None, at: None, extent: None };
        let kind = ExprKind::Selector(Box::new(selector));
        Ok(Parsed { expr: Expr { span, kind }, height: 1 })
    }

    /// What stands between the braces, and the closing brace.
    fn matchers(&mut self) -> Result<(Vec<Matcher>, Span)> {
        let mut matchers = Vec::new();
        loop {
            if let Some(end) = self.accept(&TokenKind::RightBrace) {
                return Ok((matchers, end));
            }
            matchers.push(self.matcher()?);
            match self.peek() {
                TokenKind::Comma => {
                    self.advance();
                }
                TokenKind::RightBrace => {}
                _ => return self.unexpected(CONTEXT, "\",\" or \"}\""),
            }
        }
    }

    /// `label="value"`, or a quoted metric name.
    fn matcher(&mut self) -> Result<Matcher> {
        let label = self.token().clone();
        let quoted = label.kind == TokenKind::Quoted;
        let name = match label.kind {
            TokenKind::Identifier => label.span.of(self.text).to_owned(),
            TokenKind::Quoted => self.unquoted_utf8(label.span)?,
            _ => return self.unexpected(CONTEXT, "identifier or \"}\""),
        };
        self.advance();
        let op = match self.peek() {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Operator(BinaryOp::Ne) => MatchOp::NotEqual,
            TokenKind::MatchRegex => MatchOp::Regex,
            TokenKind::MatchNotRegex => MatchOp::NotRegex,
            _ if quoted => return Ok(Matcher::equal(METRIC_NAME, &name)),
            _ => return self.unexpected(CONTEXT, "label matching operator"),
        };
        self.advance();
        if *self.peek() != TokenKind::Quoted {
            return self.unexpected(CONTEXT, "string");
        }
        let value = self.advance().span;
        let text = self.unquoted_utf8(value)?;
        Matcher::new(&name, op, &text).or_else(|error| {
            let span = label.span.to(value);
            self.fail(span, error.to_string())
        })
    }
}
