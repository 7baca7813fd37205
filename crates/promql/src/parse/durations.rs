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

/// What may stand where a duration must.
pub(super) const DURATION: &str = "number, duration, step(), or range()";
/// And where the step of a subquery may.
pub(super) const STEP: &str = "number, duration, step(), range(), or \"]\"";

/// Where a duration stands, and what may stand there.
type Context = (&'static str, &'static str);

/// A value that is known, and otherwise how it is found.
type Written = Option<Box<DurationExpr>>;

impl Parser<'_> {
    /// A duration above zero, in brackets.
    pub(super) fn positive_duration(
        &mut self,
        context: &'static str,
        expected: &'static str,
    ) -> Result<(Duration, Written)> {
        let start = self.token().span;
        let (expr, _) = self.duration_expr((context, expected), 1, 1)?;
        let span = start.to(self.tokens[self.at - 1].span);
        // Until the query is known, anything above zero will do.
        self.settle(expr, span, positive, Duration::from_millis(1))
    }

    /// A duration behind `offset`, in milliseconds: signed, and in parentheses where it is more than
    /// one operand.
    pub(super) fn offset_duration(&mut self) -> Result<(i64, Written)> {
        let start = self.token().span;
        let sign = self.sign();
        let expr = self.duration_operand(("offset", DURATION), 1)?.0;
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

    /// Operators that bind at least as `tightly`. With the height of the tree.
    fn duration_expr(
        &mut self,
        context: Context,
        tightly: usize,
        depth: usize,
    ) -> Result<(DurationExpr, usize)> {
        let start = self.token().span;
        self.check_height(depth, start)?;
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
            self.check_durations_enabled(start)?;
            expr = DurationExpr::Binary(op, Box::new(expr), Box::new(right));
        }
        Ok((expr, height))
    }

    fn duration_operand(
        &mut self,
        context: Context,
        depth: usize,
    ) -> Result<(DurationExpr, usize)> {
        let start = self.token().span;
        match self.peek() {
            TokenKind::Number | TokenKind::Duration => Ok((self.duration_literal()?, 1)),
            TokenKind::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                let step = *keyword == Keyword::Step;
                self.advance();
                self.expect_duration_token(&TokenKind::LeftParen, context)?;
                self.expect_duration_token(&TokenKind::RightParen, context)?;
                self.check_durations_enabled(start)?;
                Ok((if step { DurationExpr::Step } else { DurationExpr::Range }, 1))
            }
            TokenKind::LeftParen => {
                self.advance();
                let inner_start = self.token().span;
                let (inner, height) = self.duration_expr(context, 1, depth + 1)?;
                self.expect_duration_token(&TokenKind::RightParen, context)?;
                self.check_durations_enabled(inner_start)?;
                Ok((inner, height + 1))
            }
            TokenKind::Identifier if matches!(start.of(self.text), "min_of" | "max_of") => {
                let is_min = start.of(self.text) == "min_of";
                self.advance();
                self.expect_duration_token(&TokenKind::LeftParen, context)?;
                let (a, a_height) = self.duration_expr(context, 1, depth + 1)?;
                self.expect_duration_token(&TokenKind::Comma, context)?;
                let (b, b_height) = self.duration_expr(context, 1, depth + 1)?;
                self.expect_duration_token(&TokenKind::RightParen, context)?;
                self.check_durations_enabled(start)?;
                let (a, b) = (Box::new(a), Box::new(b));
                let expr =
                    if is_min { DurationExpr::MinOf(a, b) } else { DurationExpr::MaxOf(a, b) };
                Ok((expr, a_height.max(b_height) + 1))
            }
            _ => self.unexpected(context.0, context.1),
        }
    }

    /// Whatever is wrong within a duration, Prometheus says what it would have begun with.
    fn expect_duration_token(&mut self, kind: &TokenKind, context: Context) -> Result<()> {
        match self.accept(kind) {
            Some(_) => Ok(()),
            None => self.unexpected(context.0, context.1),
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
