//! What stands behind an operand: `[5m]`, `[1h:1m]`, `offset 5m`, `@ 1234`, `anchored`, `smoothed`.

use std::time::Duration;

use paramedic_model::{TimeMs, parse_duration};

use super::durations::{DURATION, STEP};
use super::{Parsed, Parser, Result};
use crate::ast::{RangeExpr, SubqueryExpr};
use crate::lex::{Keyword, TokenKind};
use crate::print::format_number;
use crate::{At, Expr, ExprKind, RangeExtent, Span};

impl Parser<'_> {
    pub(super) fn postfix(&mut self) -> Result<Parsed> {
        let mut parsed = self.primary()?;
        loop {
            match self.peek() {
                TokenKind::LeftBracket => parsed = self.bracket(parsed)?,
                TokenKind::Keyword(Keyword::Offset) => {
                    self.advance();
                    self.offset(&mut parsed.expr)?;
                }
                TokenKind::At => {
                    self.advance();
                    self.at_modifier(&mut parsed.expr)?;
                }
                TokenKind::Keyword(Keyword::Anchored) => {
                    self.extent(&mut parsed.expr, RangeExtent::Anchored)?;
                }
                TokenKind::Keyword(Keyword::Smoothed) => {
                    self.extent(&mut parsed.expr, RangeExtent::Smoothed)?;
                }
                _ => return Ok(parsed),
            }
        }
    }

    /// `[5m]` or `[1h:1m]`.
    fn bracket(&mut self, parsed: Parsed) -> Result<Parsed> {
        let start = self.advance().span;
        let (range, range_expr) = self.positive_duration("subquery or range selector", DURATION)?;
        if self.accept(&TokenKind::Colon).is_some() {
            let step = match self.peek() {
                TokenKind::RightBracket => None,
                _ => Some(self.positive_duration("subquery selector", STEP)?),
            };
            let (step, step_expr) = step.map_or((None, None), |(step, expr)| (Some(step), expr));
            let end = self.closing_bracket("subquery selector", "\"]\"")?;
            let (span, height) = (parsed.expr.span.to(end), parsed.height + 1);
            self.check_height(height, end)?;
            let kind = ExprKind::Subquery(Box::new(SubqueryExpr {
                expr: parsed.expr,
                range,
                range_expr,
                step,
                step_expr,
                offset_ms: 0,
                offset_expr: None,
                at: None,
            }));
            return Ok(Parsed { expr: Expr { span, kind }, height });
        }
        let end = self.closing_bracket("subquery or range", "\":\" or \"]\"")?;
        let span = parsed.expr.span.to(end);
        let ExprKind::Selector(selector) = parsed.expr.kind else {
            return self.fail(start.to(end), "ranges only allowed for vector selectors");
        };
        if selector.offset_ms != 0 || selector.offset_expr.is_some() {
            return self.fail(start.to(end), "no offset modifiers allowed before range");
        }
        if selector.at.is_some() {
            return self.fail(start.to(end), "no @ modifiers allowed before range");
        }
        let (selector, selector_span) = (*selector, parsed.expr.span);
        let range = RangeExpr { selector, selector_span, range, range_expr };
        let kind = ExprKind::Range(Box::new(range));
        Ok(Parsed { expr: Expr { span, kind }, height: parsed.height })
    }

    fn closing_bracket(&mut self, context: &str, expected: &str) -> Result<Span> {
        match self.peek() {
            TokenKind::RightBracket => Ok(self.advance().span),
            _ => self.unexpected(context, expected),
        }
    }

    pub(super) fn duration_text(&self, span: Span) -> Result<Duration> {
        parse_duration(span.of(self.text)).or_else(|error| self.fail(span, error.to_string()))
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<()> {
        let (offset_ms, offset_expr) = self.offset_duration()?;
        let end = self.tokens[self.at - 1].span;
        let (slot, expr_slot) = match &mut expr.kind {
            ExprKind::Selector(selector) => (&mut selector.offset_ms, &mut selector.offset_expr),
            ExprKind::Range(range) => {
                (&mut range.selector.offset_ms, &mut range.selector.offset_expr)
            }
            ExprKind::Subquery(subquery) => (&mut subquery.offset_ms, &mut subquery.offset_expr),
            _ => {
                return self.fail(
                    expr.span,
                    "offset modifier must be preceded by an instant vector selector or range \
                     vector selector or a subquery",
                );
            }
        };
        if *slot != 0 || expr_slot.is_some() {
            return self.fail(expr.span, "offset may not be set multiple times");
        }
        (*slot, *expr_slot) = (offset_ms, offset_expr);
        expr.span = expr.span.to(end);
        Ok(())
    }

    fn at_modifier(&mut self, expr: &mut Expr) -> Result<()> {
        let at = match self.peek() {
            TokenKind::Keyword(keyword @ (Keyword::Start | Keyword::End)) => {
                let at = if *keyword == Keyword::Start { At::Start } else { At::End };
                self.advance();
                for wanted in [TokenKind::LeftParen, TokenKind::RightParen] {
                    if self.accept(&wanted).is_none() {
                        return self.unexpected("@", "timestamp");
                    }
                }
                at
            }
            _ => self.at_time(expr.span)?,
        };
        let end = self.tokens[self.at - 1].span;
        let slot = match &mut expr.kind {
            ExprKind::Selector(selector) => &mut selector.at,
            ExprKind::Range(range) => &mut range.selector.at,
            ExprKind::Subquery(subquery) => &mut subquery.at,
            _ => {
                return self.fail(
                    expr.span,
                    "@ modifier must be preceded by an instant vector selector or range vector \
                     selector or a subquery",
                );
            }
        };
        if slot.is_some() {
            return self.fail(expr.span, "@ <timestamp> may not be set multiple times");
        }
        *slot = Some(at);
        expr.span = expr.span.to(end);
        Ok(())
    }

    fn at_time(&mut self, expr: Span) -> Result<At> {
        let sign = self.sign();
        let span = self.token().span;
        let seconds = match self.peek() {
            TokenKind::Number => sign * self.number(span)?,
            TokenKind::Duration => sign * self.duration_text(span)?.as_secs_f64(),
            _ => return self.unexpected("@", "timestamp"),
        };
        self.advance();
        let milliseconds = (seconds * 1000.0).round();
        if !milliseconds.is_finite() || milliseconds.abs() >= i64::MAX as f64 {
            let shown =
                if seconds.is_finite() { format!("{seconds:.6}") } else { format_number(seconds) };
            let message = format!("timestamp out of bounds for @ modifier: {shown}");
            return self.fail(expr, message);
        }
        Ok(At::Time(TimeMs(milliseconds as i64)))
    }

    fn extent(&mut self, expr: &mut Expr, extent: RangeExtent) -> Result<()> {
        let keyword = self.advance().span;
        let word = match extent {
            RangeExtent::Anchored => "anchored",
            RangeExtent::Smoothed => "smoothed",
        };
        if !self.options.experimental {
            return self
                .fail(expr.span, format!("{word} modifier is experimental and not enabled"));
        }
        let slot = match &mut expr.kind {
            ExprKind::Selector(selector) => &mut selector.extent,
            ExprKind::Range(range) => &mut range.selector.extent,
            _ => {
                return self.fail(
                    expr.span,
                    format!(
                        "{word} modifier must be preceded by an instant vector selector or range \
                         vector selector"
                    ),
                );
            }
        };
        if slot.is_some() {
            return self.fail(expr.span, format!("{word} modifier may not be set multiple times"));
        }
        *slot = Some(extent);
        expr.span = expr.span.to(keyword);
        Ok(())
    }
}
