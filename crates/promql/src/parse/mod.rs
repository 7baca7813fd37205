//! Text to tree: a Pratt parser over the tokens of [`lex`](crate::lex).
//!
//! ```text
//! expr    := unary (operator modifiers expr)*            binds as `BinaryOp::precedence` says
//! unary   := ('+' | '-') expr | postfix                  binds as `*`: `-a ^ b` is `-(a ^ b)`
//! postfix := primary (range | subquery | offset | '@' ...)*
//! primary := number | string | selector | aggregation | call | '(' expr ')'
//! ```
//!
//! The first mistake ends the parse. Types are checked afterwards (`typecheck`), as in Prometheus.

mod durations;
mod modifiers;
mod selectors;

use crate::ast::{AggregateExpr, BinaryExpr, CallExpr, VectorMatching};
use crate::lex::{Keyword, Token, TokenKind, lex};
use crate::span::Place;
use crate::text::unquote;
use crate::{
    AggregateOp, BinaryOp, Cardinality, Expr, ExprKind, Fill, Function, Grouping, Span, Text,
    UnaryOp, typecheck,
};

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
    /// How deep expressions may nest. A chain of `n` operators nests `n` deep. Default: 200, which
    /// parses and evaluates on a thread with 2 MiB of stack.
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
pub fn parse_with(text: &str, options: &ParseOptions) -> Result<Expr, ParseError> {
    let mut parser = Parser { text, tokens: lex(text), at: 0, options, depth: 0, aggregations: 0 };
    if parser.peek() == &TokenKind::End {
        return Err(ParseError::new(Span::default(), "no expression found in input", text));
    }
    let mut expr = parser.expr(0)?.expr;
    if parser.peek() != &TokenKind::End {
        return parser.unexpected("", "");
    }
    typecheck::check(&mut expr, text)?;
    Ok(expr)
}

type Result<T, E = ParseError> = std::result::Result<T, E>;

/// An expression and how deep it nests.
struct Parsed {
    expr: Expr,
    height: usize,
}

/// What stands between the parentheses of a call.
struct Arguments {
    args: Vec<Expr>,
    /// The closing parenthesis.
    end: Span,
    /// How deep the deepest nests.
    height: usize,
}

struct Parser<'a> {
    text: &'a str,
    /// The last one is `End` or `Error`, and is never passed.
    tokens: Vec<Token>,
    at: usize,
    options: &'a ParseOptions,
    /// How many expressions are open.
    depth: usize,
    /// How many aggregations are: Prometheus names them where a mistake has no nearer context.
    aggregations: usize,
}

impl Parser<'_> {
    fn token(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn peek(&self) -> &TokenKind {
        &self.token().kind
    }

    fn peek_second(&self) -> &TokenKind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    fn advance(&mut self) -> Token {
        let token = self.token().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn accept(&mut self, kind: &TokenKind) -> Option<Span> {
        (self.peek() == kind).then(|| self.advance().span)
    }

    fn accept_keyword(&mut self, keyword: Keyword) -> Option<Span> {
        self.accept(&TokenKind::Keyword(keyword))
    }

    fn fail<T>(&self, span: Span, message: impl Into<String>) -> Result<T> {
        Err(ParseError::new(span, message, self.text))
    }

    /// Fails at the current token: "unexpected ... in `context`, expected `expected`".
    fn unexpected<T>(&self, context: &str, expected: &str) -> Result<T> {
        let token = self.token();
        let in_aggregation = context.is_empty() && self.aggregations > 0;
        let context = if in_aggregation { "aggregation" } else { context };
        let mut message = token.describe(self.text);
        if !matches!(token.kind, TokenKind::Error(_)) {
            message.insert_str(0, "unexpected ");
            if !context.is_empty() {
                message.push_str(" in ");
                message.push_str(context);
            }
            if !expected.is_empty() {
                message.push_str(", expected ");
                message.push_str(expected);
            }
        }
        self.fail(token.span, message)
    }

    fn check_height(&self, height: usize, span: Span) -> Result<()> {
        let max = self.options.depth_max;
        if height > max {
            return self.fail(span, format!("expression nests more than {max} deep"));
        }
        Ok(())
    }

    /// An expression of operators that bind stronger than `binding`.
    fn expr(&mut self, binding: u8) -> Result<Parsed> {
        self.depth += 1;
        self.check_height(self.depth, self.token().span)?;
        let mut left = self.unary()?;
        while let TokenKind::Operator(op) = *self.peek() {
            let precedence = op.precedence();
            if precedence <= binding {
                break;
            }
            left = self.binary(left, op)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn binary(&mut self, left: Parsed, op: BinaryOp) -> Result<Parsed> {
        let op_span = self.advance().span;
        let return_bool = self.accept_keyword(Keyword::Bool).is_some();
        let matching = self.vector_matching()?;
        let precedence = op.precedence();
        // `^` alone is right-associative.
        let binding = if op == BinaryOp::Pow { precedence - 1 } else { precedence };
        let right = self.expr(binding)?;
        let height = left.height.max(right.height) + 1;
        self.check_height(height, op_span)?;
        let (lhs, rhs) = (left.expr, right.expr);
        let span = lhs.span.to(rhs.span);
        if matching.fill != Fill::default() && !self.options.experimental {
            return self.fail(span, "binop fill modifiers are experimental and not enabled");
        }
        let matching = Some(matching);
        let binary = BinaryExpr { op, op_span, lhs, rhs, return_bool, matching };
        Ok(Parsed { expr: Expr { span, kind: ExprKind::Binary(Box::new(binary)) }, height })
    }

    fn unary(&mut self) -> Result<Parsed> {
        let op = match self.peek() {
            TokenKind::Operator(BinaryOp::Add) => UnaryOp::Plus,
            TokenKind::Operator(BinaryOp::Sub) => UnaryOp::Minus,
            _ => return self.postfix(),
        };
        let start = self.advance().span;
        let mut inner = self.expr(BinaryOp::Mul.precedence())?;
        let span = start.to(inner.expr.span);
        if let ExprKind::Number { value, .. } = &mut inner.expr.kind {
            if op == UnaryOp::Minus {
                *value = -*value;
            }
            inner.expr.span = span;
            return Ok(inner);
        }
        let height = inner.height + 1;
        self.check_height(height, start)?;
        let kind = ExprKind::Unary(op, Box::new(inner.expr));
        Ok(Parsed { expr: Expr { span, kind }, height })
    }

    /// Kept apart from [`Parser::leaf`] so that nesting costs little stack.
    fn primary(&mut self) -> Result<Parsed> {
        let next = self.peek_second();
        match self.peek() {
            TokenKind::LeftParen => self.paren(),
            TokenKind::Aggregate(op)
                if matches!(
                    next,
                    TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without)
                ) =>
            {
                self.aggregate(*op)
            }
            TokenKind::Identifier
            | TokenKind::Keyword(Keyword::Start | Keyword::End | Keyword::Step | Keyword::Range)
                if *next == TokenKind::LeftParen =>
            {
                self.call()
            }
            _ => self.leaf(),
        }
    }

    fn leaf(&mut self) -> Result<Parsed> {
        let token = self.token().clone();
        let kind = match &token.kind {
            TokenKind::Number => {
                self.advance();
                ExprKind::Number { value: self.number(token.span)?, is_duration: false }
            }
            TokenKind::Duration => {
                self.advance();
                let value = self.duration_text(token.span)?.as_secs_f64();
                ExprKind::Number { value, is_duration: true }
            }
            TokenKind::Quoted => {
                self.advance();
                ExprKind::String(self.unquoted(token.span)?)
            }
            kind if is_metric_name(kind) || *kind == TokenKind::LeftBrace => {
                return self.selector();
            }
            _ => return self.unexpected("", ""),
        };
        Ok(Parsed { expr: Expr { span: token.span, kind }, height: 1 })
    }

    fn paren(&mut self) -> Result<Parsed> {
        let start = self.advance().span;
        let inner = self.expr(0)?;
        let Some(end) = self.accept(&TokenKind::RightParen) else {
            return self.unexpected("", "");
        };
        let kind = ExprKind::Paren(Box::new(inner.expr));
        let height = inner.height + 1;
        Ok(Parsed { expr: Expr { span: start.to(end), kind }, height })
    }

    fn call(&mut self) -> Result<Parsed> {
        let name = self.advance().span;
        let arguments = self.arguments()?;
        self.finish_call(name, arguments)
    }

    fn finish_call(&self, name: Span, arguments: Arguments) -> Result<Parsed> {
        let Arguments { args, end, height } = arguments;
        let written = name.of(self.text);
        let Some(function) = Function::find(written) else {
            return self.fail(name, format!("unknown function with name {written:?}"));
        };
        if function.experimental && !self.options.experimental {
            return self.fail(name, format!("function {written:?} is not enabled"));
        }
        let kind = ExprKind::Call(CallExpr { function, args });
        Ok(Parsed { expr: Expr { span: name.to(end), kind }, height: height + 1 })
    }

    /// `(a, b)`
    fn arguments(&mut self) -> Result<Arguments> {
        if self.accept(&TokenKind::LeftParen).is_none() {
            return self.unexpected("", "");
        }
        let (mut args, mut height) = (Vec::new(), 0);
        if let Some(end) = self.accept(&TokenKind::RightParen) {
            return Ok(Arguments { args, end, height });
        }
        loop {
            let arg = self.expr(0)?;
            height = height.max(arg.height);
            args.push(arg.expr);
            if let Some(end) = self.argument_end()? {
                return Ok(Arguments { args, end, height });
            }
        }
    }

    /// The closing parenthesis, or nothing where another argument follows.
    fn argument_end(&mut self) -> Result<Option<Span>> {
        if let Some(end) = self.accept(&TokenKind::RightParen) {
            return Ok(Some(end));
        }
        let Some(comma) = self.accept(&TokenKind::Comma) else {
            return self.unexpected("", "");
        };
        match self.peek() {
            // What cannot be split is a mistake of its own, and comes first.
            TokenKind::Error(_) => self.unexpected("", ""),
            next if begins_expr(next) => Ok(None),
            _ => self.fail(comma, "trailing commas not allowed in function call args"),
        }
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<Parsed> {
        let start = self.advance().span;
        self.aggregations += 1;
        let grouping = self.grouping()?;
        let arguments = self.arguments()?;
        self.aggregations -= 1;
        self.finish_aggregate(op, start, grouping, arguments)
    }

    fn finish_aggregate(
        &mut self,
        op: AggregateOp,
        start: Span,
        mut grouping: Option<Grouping>,
        arguments: Arguments,
    ) -> Result<Parsed> {
        let Arguments { mut args, mut end, height } = arguments;
        if grouping.is_none() {
            grouping = self.grouping()?;
            if grouping.is_some() {
                end = self.tokens[self.at - 1].span;
            } else if matches!(self.peek(), TokenKind::Error(_)) {
                // To see that there is no grouping Prometheus has to split the text further.
                return self.unexpected("", "");
            }
        }
        let span = start.to(end);
        if args.is_empty() {
            return self.fail(span, "no arguments for aggregate expression provided");
        }
        if op.is_experimental() && !self.options.experimental {
            let hint = "must be enabled with --enable-feature=promql-experimental-functions";
            return self.fail(span, format!("{}() is experimental and {hint}", op.name()));
        }
        let wanted = if op.param_type().is_some() { 2 } else { 1 };
        if args.len() != wanted {
            let message = "wrong number of arguments for aggregate expression provided";
            return self.fail(span, format!("{message}, expected {wanted}, got {}", args.len()));
        }
        let expr = args.remove(wanted - 1);
        let param = args.pop();
        let grouping = grouping.unwrap_or(Grouping::By(Vec::new()));
        let kind = ExprKind::Aggregate(Box::new(AggregateExpr { op, expr, param, grouping }));
        Ok(Parsed { expr: Expr { span, kind }, height: height + 1 })
    }

    /// `by (a, b)` or `without (a, b)`, where one stands here.
    fn grouping(&mut self) -> Result<Option<Grouping>> {
        if self.accept_keyword(Keyword::By).is_some() {
            return Ok(Some(Grouping::By(self.label_list()?)));
        }
        if self.accept_keyword(Keyword::Without).is_some() {
            return Ok(Some(Grouping::Without(self.label_list()?)));
        }
        Ok(None)
    }

    /// `(a, "b.c")`: label names, where keywords are names too.
    fn label_list(&mut self) -> Result<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        if self.accept(&TokenKind::LeftParen).is_none() {
            return self.unexpected(CONTEXT, "\"(\"");
        }
        let mut labels = Vec::new();
        loop {
            if self.accept(&TokenKind::RightParen).is_some() {
                return Ok(labels);
            }
            let token = self.token().clone();
            labels.push(match token.kind {
                TokenKind::Quoted => {
                    let text = self.unquoted(token.span)?;
                    match text.as_str().filter(|name| !name.is_empty()) {
                        Some(name) => name.to_owned(),
                        None => {
                            let message = format!("invalid label name for grouping: {text}");
                            return self.fail(token.span, message);
                        }
                    }
                }
                TokenKind::Keyword(
                    Keyword::Without | Keyword::Fill | Keyword::FillLeft | Keyword::FillRight,
                ) => return self.unexpected(CONTEXT, "label"),
                TokenKind::Identifier
                | TokenKind::MetricIdentifier
                | TokenKind::Aggregate(_)
                | TokenKind::Keyword(_) => token.span.of(self.text).to_owned(),
                TokenKind::Operator(
                    BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2,
                ) => token.span.of(self.text).to_owned(),
                _ => return self.unexpected(CONTEXT, "label"),
            });
            self.advance();
            match self.peek() {
                TokenKind::Comma => {
                    self.advance();
                }
                TokenKind::RightParen => {}
                _ => return self.unexpected(CONTEXT, "\",\" or \")\""),
            }
        }
    }

    /// `on (a) group_left (b) fill (0)`, each of it optional.
    fn vector_matching(&mut self) -> Result<VectorMatching> {
        let mut matching = VectorMatching {
            cardinality: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill: Fill::default(),
        };
        let on = self.accept_keyword(Keyword::On).is_some();
        if on || self.accept_keyword(Keyword::Ignoring).is_some() {
            matching.on = on;
            matching.labels = self.label_list()?;
            let left = self.accept_keyword(Keyword::GroupLeft).is_some();
            if left || self.accept_keyword(Keyword::GroupRight).is_some() {
                matching.cardinality =
                    if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                // Prometheus, too, takes a parenthesis here for the label list.
                let next = self.peek();
                let fills = matches!(
                    next,
                    TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)
                );
                if *next == TokenKind::LeftParen || !(fills || begins_expr(next)) {
                    matching.include = self.label_list()?;
                }
            }
        }
        if self.accept_keyword(Keyword::Fill).is_some() {
            let value = Some(self.fill_value()?);
            matching.fill = Fill { left: value, right: value };
            return Ok(matching);
        }
        loop {
            if self.accept_keyword(Keyword::FillLeft).is_some() {
                matching.fill.left = Some(self.fill_value()?);
            } else if self.accept_keyword(Keyword::FillRight).is_some() {
                matching.fill.right = Some(self.fill_value()?);
            } else {
                return Ok(matching);
            }
        }
    }

    fn fill_value(&mut self) -> Result<f64> {
        if self.accept(&TokenKind::LeftParen).is_none() {
            return self.unexpected("fill value", "\"(\"");
        }
        let sign = self.sign();
        if *self.peek() != TokenKind::Number {
            return self.unexpected("fill value", "number");
        }
        let number = self.advance().span;
        let value = sign * self.number(number)?;
        if self.accept(&TokenKind::RightParen).is_none() {
            return self.unexpected("fill value", "\")\"");
        }
        Ok(value)
    }

    /// An optional sign: 1 or -1.
    fn sign(&mut self) -> f64 {
        if self.accept(&TokenKind::Operator(BinaryOp::Sub)).is_some() {
            return -1.0;
        }
        self.accept(&TokenKind::Operator(BinaryOp::Add));
        1.0
    }

    fn unquoted(&self, span: Span) -> Result<Text> {
        unquote(span.of(self.text)).or_else(|message| self.fail(span, message))
    }

    /// The text of a string that is compared with names and values of labels, which are UTF-8.
    fn unquoted_utf8(&self, span: Span) -> Result<String> {
        match self.unquoted(span)?.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => self.fail(span, "string is not valid UTF-8"),
        }
    }

    fn number(&self, span: Span) -> Result<f64> {
        let written = span.of(self.text);
        if let Some(value) = parse_number(written) {
            return Ok(value);
        }
        let is_too_large = written.parse::<f64>().is_ok_and(f64::is_infinite);
        let reason = if is_too_large { "value out of range" } else { "invalid syntax" };
        let reason = format!("strconv.ParseFloat: parsing {written:?}: {reason}");
        self.fail(span, format!("error parsing number: {reason}"))
    }
}

/// Whether an expression can begin with a token.
fn begins_expr(kind: &TokenKind) -> bool {
    match kind {
        TokenKind::Number | TokenKind::Duration | TokenKind::Quoted => true,
        TokenKind::LeftParen | TokenKind::LeftBrace => true,
        TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub) => true,
        kind => is_metric_name(kind),
    }
}

/// Whether a token can be the name of a metric where an operand is expected.
fn is_metric_name(kind: &TokenKind) -> bool {
    match kind {
        TokenKind::Identifier | TokenKind::MetricIdentifier | TokenKind::Aggregate(_) => true,
        TokenKind::Operator(op) => op.is_set(),
        TokenKind::Keyword(keyword) => !matches!(
            keyword,
            Keyword::Bool
                | Keyword::On
                | Keyword::Ignoring
                | Keyword::GroupLeft
                | Keyword::GroupRight
                | Keyword::Fill
                | Keyword::FillLeft
                | Keyword::FillRight
        ),
        _ => false,
    }
}

/// A number as Go reads it: `0x1F`, `017` (octal), `1_000`, `1e3`, `.5`, `Inf`, `NaN`.
pub(crate) fn parse_number(written: &str) -> Option<f64> {
    let digits = written.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    if let Some(hexadecimal) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hexadecimal, 16).ok().map(|value| value as f64);
    }
    // Go falls back to a decimal where there is an 8 or a 9.
    let is_octal = digits.len() > 1 && digits.starts_with('0');
    if let Some(octal) = is_octal.then(|| i64::from_str_radix(&digits, 8).ok()).flatten() {
        return Some(octal as f64);
    }
    let value: f64 = lower.parse().ok()?;
    // A finite text beyond the range is an error in Go, not infinity.
    (value.is_finite() || !lower.bytes().any(|b| b.is_ascii_digit())).then_some(value)
}
