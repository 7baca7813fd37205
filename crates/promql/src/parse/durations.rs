//! Durations in brackets and behind `offset`, and the experimental arithmetic on them.

use std::time::Duration;

use super::{Parser, Result};
use crate::duration::{DurationExpr, milliseconds, positive};
use crate::lex::{Keyword, TokenKind};
use crate::{BinaryOp, Span};

/// How tightly an operator of durations binds. Signs bind as `*`.
fn precedence(op: BinaryOp) -> Option<usize> {
    match op {
        BinaryOp::Add | BinaryOp::Sub => Some(1),
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => Some(2),
        BinaryOp::Pow => Some(3),
        _ => None,
    }
}

fn is_arithmetic(kind: &TokenKind) -> bool {
    matches!(kind, TokenKind::Operator(op) if precedence(*op).is_some())
}

const EXPECTED: &str = "number, duration, step(), or range()";

/// A value that is known, and otherwise how it is found.
type Written = Option<Box<DurationExpr>>;

impl Parser<'_> {
    /// A duration above zero, in brackets.
    pub(super) fn positive_duration(&mut self, context: &str) -> Result<(Duration, Written)> {
        let start = self.token().span;
        let is_expression = match self.peek() {
            TokenKind::Number | TokenKind::Duration => is_arithmetic(self.peek_second()),
            TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub)
            | TokenKind::LeftParen
            | TokenKind::Identifier
            | TokenKind::Keyword(_) => true,
            _ => return self.unexpected(context, EXPECTED),
        };
        let (expr, _) = match is_expression {
            true => self.enabled_duration_expr(context)?,
            false => (self.duration_literal()?, 1),
        };
        let span = start.to(self.tokens[self.at - 1].span);
        // Until the query is known, anything above zero will do.
        self.settle(expr, span, positive, Duration::from_millis(1))
    }

    /// A duration behind `offset`, in milliseconds: signed, and in parentheses where it is more than
    /// one operand.
    pub(super) fn offset_duration(&mut self) -> Result<(i64, Written)> {
        let start = self.token().span;
        let sign = self.sign();
        let expr = match self.peek() {
            TokenKind::Number | TokenKind::Duration => self.duration_literal()?,
            TokenKind::LeftParen | TokenKind::Keyword(_) | TokenKind::Identifier => {
                self.check_durations_enabled(self.token().span)?;
                self.duration_operand("offset", 1)?.0
            }
            _ => return self.unexpected("offset", EXPECTED),
        };
        let expr = if sign < 0.0 { DurationExpr::Negate(Box::new(expr)) } else { expr };
        let span = start.to(self.tokens[self.at - 1].span);
        self.settle(expr, span, milliseconds, 0)
    }

    fn settle<T>(
        &self,
        expr: DurationExpr,
        span: Span,
        convert: fn(f64) -> std::result::Result<T, &'static str>,
        unknown: T,
    ) -> Result<(T, Written)> {
        if !expr.is_constant() {
            return Ok((unknown, Some(Box::new(expr))));
        }
        match expr.seconds(0.0, 0.0).and_then(convert) {
            Ok(value) => Ok((value, None)),
            Err(message) => self.fail(span, message),
        }
    }

    fn check_durations_enabled(&self, span: Span) -> Result<()> {
        match self.options.experimental {
            true => Ok(()),
            false => self.fail(span, "experimental duration expression is not enabled"),
        }
    }

    fn enabled_duration_expr(&mut self, context: &str) -> Result<(DurationExpr, usize)> {
        let is_literal = matches!(self.peek(), TokenKind::Number | TokenKind::Duration);
        self.check_durations_enabled(self.tokens[self.at + usize::from(is_literal)].span)?;
        self.duration_expr(context, 1, 1)
    }

    /// Operators that bind at least as `tightly`. With the height of the tree.
    fn duration_expr(
        &mut self,
        context: &str,
        tightly: usize,
        depth: usize,
    ) -> Result<(DurationExpr, usize)> {
        self.check_height(depth, self.token().span)?;
        let (mut expr, mut height) = match self.peek() {
            TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub) => {
                let sign = self.sign();
                let (operand, height) = self.duration_expr(context, 3, depth + 1)?;
                let negate = |operand| DurationExpr::Negate(Box::new(operand));
                (if sign < 0.0 { negate(operand) } else { operand }, height + 1)
            }
            _ => self.duration_operand(context, depth)?,
        };
        while let TokenKind::Operator(op) = *self.peek()
            && let Some(binds) = precedence(op).filter(|binds| *binds >= tightly)
        {
            let span = self.advance().span;
            let above = if op == BinaryOp::Pow { binds } else { binds + 1 };
            let (right, right_height) = self.duration_expr(context, above, depth + 1)?;
            height = height.max(right_height) + 1;
            self.check_height(height, span)?;
            expr = DurationExpr::Binary(op, Box::new(expr), Box::new(right));
        }
        Ok((expr, height))
    }

    fn duration_operand(&mut self, context: &str, depth: usize) -> Result<(DurationExpr, usize)> {
        match self.peek() {
            TokenKind::Number | TokenKind::Duration => Ok((self.duration_literal()?, 1)),
            TokenKind::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                let step = *keyword == Keyword::Step;
                self.advance();
                self.expect_duration_token(&TokenKind::LeftParen, context, "\"(\"")?;
                self.expect_duration_token(&TokenKind::RightParen, context, "\")\"")?;
                Ok((if step { DurationExpr::Step } else { DurationExpr::Range }, 1))
            }
            TokenKind::LeftParen => {
                self.advance();
                let (inner, height) = self.duration_expr(context, 1, depth + 1)?;
                self.expect_duration_token(&TokenKind::RightParen, context, "\")\"")?;
                Ok((inner, height + 1))
            }
            TokenKind::Identifier => {
                let is_min = match self.token().span.of(self.text) {
                    "min_of" => true,
                    "max_of" => false,
                    _ => return self.unexpected(context, EXPECTED),
                };
                self.advance();
                self.expect_duration_token(&TokenKind::LeftParen, context, "\"(\"")?;
                let (a, a_height) = self.duration_expr(context, 1, depth + 1)?;
                self.expect_duration_token(&TokenKind::Comma, context, "\",\"")?;
                let (b, b_height) = self.duration_expr(context, 1, depth + 1)?;
                self.expect_duration_token(&TokenKind::RightParen, context, "\")\"")?;
                let (a, b) = (Box::new(a), Box::new(b));
                let expr =
                    if is_min { DurationExpr::MinOf(a, b) } else { DurationExpr::MaxOf(a, b) };
                Ok((expr, a_height.max(b_height) + 1))
            }
            _ => self.unexpected(context, EXPECTED),
        }
    }

    fn expect_duration_token(
        &mut self,
        kind: &TokenKind,
        context: &str,
        expected: &str,
    ) -> Result<()> {
        match self.accept(kind) {
            Some(_) => Ok(()),
            None => self.unexpected(context, expected),
        }
    }

    fn duration_literal(&mut self) -> Result<DurationExpr> {
        let span = self.token().span;
        let (value, is_duration) = match self.peek() {
            TokenKind::Duration => (self.duration_text(span)?.as_secs_f64(), true),
            _ => (self.number(span)?, false),
        };
        self.advance();
        Ok(DurationExpr::Seconds { value, is_duration })
    }
}
