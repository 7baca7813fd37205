//! Text to tokens.
//!
//! The whole text is split at once. What cannot be split becomes an [`TokenKind::Error`] token, the
//! last one, so that the parser reports whichever mistake comes first in the text.

use std::fmt;

use crate::text::read_escape;
use crate::{AggregateOp, BinaryOp, Span};

/// One token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    End,
    /// What is wrong with the text from here on.
    Error(String),
    /// A name without colons that is no keyword, or any name within braces.
    Identifier,
    /// A name with colons.
    MetricIdentifier,
    Number,
    Duration,
    /// Quotes included.
    Quoted,
    Aggregate(AggregateOp),
    Operator(BinaryOp),
    Keyword(Keyword),
    /// `=`
    Assign,
    /// `=~`, within braces
    MatchRegex,
    /// `!~`, within braces
    MatchNotRegex,
    /// `@`
    At,
    Comma,
    Colon,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
    Start,
    End,
    Step,
    Range,
}

const KEYWORDS: [(&str, Keyword); 17] = [
    ("offset", Keyword::Offset),
    ("smoothed", Keyword::Smoothed),
    ("anchored", Keyword::Anchored),
    ("by", Keyword::By),
    ("without", Keyword::Without),
    ("on", Keyword::On),
    ("ignoring", Keyword::Ignoring),
    ("group_left", Keyword::GroupLeft),
    ("group_right", Keyword::GroupRight),
    ("fill", Keyword::Fill),
    ("fill_left", Keyword::FillLeft),
    ("fill_right", Keyword::FillRight),
    ("bool", Keyword::Bool),
    ("start", Keyword::Start),
    ("end", Keyword::End),
    ("step", Keyword::Step),
    ("range", Keyword::Range),
];

const WORD_OPERATORS: [BinaryOp; 4] =
    [BinaryOp::And, BinaryOp::Or, BinaryOp::Unless, BinaryOp::Atan2];

impl Token {
    /// How Prometheus names it in "unexpected ...".
    pub fn describe(&self, text: &str) -> String {
        let written = self.span.of(text);
        match &self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Error(message) => message.clone(),
            TokenKind::Identifier => format!("identifier {written:?}"),
            TokenKind::MetricIdentifier => format!("metric identifier {written:?}"),
            TokenKind::Number => format!("number {}", shortened(written)),
            TokenKind::Duration => format!("duration {}", shortened(written)),
            TokenKind::Quoted => format!("string {}", shortened(written)),
            TokenKind::Aggregate(_) => format!("<aggr:{written}>"),
            TokenKind::Operator(_) | TokenKind::At => format!("<op:{written}>"),
            TokenKind::MatchRegex | TokenKind::MatchNotRegex => format!("<op:{written}>"),
            TokenKind::Keyword(Keyword::Start | Keyword::End | Keyword::Step | Keyword::Range) => {
                format!("{written:?}")
            }
            TokenKind::Keyword(_) => format!("<{written}>"),
            _ => format!("{written:?}"),
        }
    }
}

/// Prometheus quotes at most ten characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(10) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A character in Go's quotes, as Prometheus's messages have it.
struct Quote(char);

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            '\'' => f.write_str(r"'\''"),
            '"' => f.write_str("'\"'"),
            c => write!(f, "{c:?}"),
        }
    }
}

/// Splits `text`. The last token is [`TokenKind::End`] or [`TokenKind::Error`].
pub(crate) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        start: 0,
        tokens: Vec::new(),
        parens: 0,
        in_braces: false,
        in_brackets: None,
    };
    if let Err((start, message)) = lexer.run() {
        let span = Span::new(start, text.len());
        lexer.tokens.push(Token { kind: TokenKind::Error(message), span });
    }
    lexer.tokens
}

/// Where the text cannot be split, and why.
type LexError = (usize, String);

struct Lexer<'a> {
    text: &'a str,
    /// The next character to read.
    at: usize,
    /// Where the current token began.
    start: usize,
    tokens: Vec<Token>,
    parens: usize,
    in_braces: bool,
    in_brackets: Option<Brackets>,
}

/// What was read since the left bracket. Up to the first number Prometheus reads with other words
/// for what is wrong than behind it.
#[derive(Clone, Copy, Default)]
struct Brackets {
    number_seen: bool,
    keyword_seen: bool,
    colon_seen: bool,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        if found {
            self.next();
        }
        found
    }

    fn accept_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.accept(&wanted) {}
    }

    fn emit(&mut self, kind: TokenKind) {
        self.tokens.push(Token { kind, span: Span::new(self.start, self.at) });
        self.start = self.at;
    }

    fn error<T>(&self, message: String) -> Result<T, LexError> {
        Err((self.start, message))
    }

    fn run(&mut self) -> Result<(), LexError> {
        loop {
            self.accept_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            self.start = self.at;
            let Some(c) = self.next() else {
                return self.finish();
            };
            match c {
                _ if self.in_brackets.is_some_and(|brackets| !brackets.number_seen) => {
                    self.within_brackets(c)?;
                }
                '#' => self.accept_while(|c| !matches!(c, '\n' | '\r')),
                ',' => self.emit(TokenKind::Comma),
                '"' | '\'' => self.quoted(c)?,
                '`' => self.raw()?,
                _ if self.in_braces => self.within_braces(c)?,
                _ => self.statement(c)?,
            }
        }
    }

    fn finish(&mut self) -> Result<(), LexError> {
        if self.in_braces {
            return self.error("unexpected end of input inside braces".to_owned());
        }
        if self.in_brackets.is_some_and(|brackets| !brackets.number_seen) {
            return self.error("unexpected end of input in duration expression".to_owned());
        }
        if self.parens > 0 {
            return self.error("unclosed left parenthesis".to_owned());
        }
        if self.in_brackets.is_some() {
            return self.error("unclosed left bracket".to_owned());
        }
        self.emit(TokenKind::End);
        Ok(())
    }

    fn within_braces(&mut self, c: char) -> Result<(), LexError> {
        match c {
            '=' if self.accept(|c| c == '~') => self.emit(TokenKind::MatchRegex),
            '=' => self.emit(TokenKind::Assign),
            '!' => match self.next() {
                Some('~') => self.emit(TokenKind::MatchNotRegex),
                Some('=') => self.emit(TokenKind::Operator(BinaryOp::Ne)),
                other => {
                    let other = described(other);
                    return self
                        .error(format!("unexpected character after '!' inside braces: {other}"));
                }
            },
            '{' => return self.error("unexpected left brace '{'".to_owned()),
            '}' => {
                self.in_braces = false;
                self.emit(TokenKind::RightBrace);
            }
            c if is_letter(c) => {
                self.accept_while(is_word);
                self.emit(TokenKind::Identifier);
            }
            c => {
                return self.error(format!("unexpected character inside braces: {}", Quote(c)));
            }
        }
        Ok(())
    }

    fn statement(&mut self, c: char) -> Result<(), LexError> {
        let operator = |op| TokenKind::Operator(op);
        match c {
            '*' => self.emit(operator(BinaryOp::Mul)),
            '/' => self.emit(operator(BinaryOp::Div)),
            '%' => self.emit(operator(BinaryOp::Mod)),
            '+' => self.emit(operator(BinaryOp::Add)),
            '-' => self.emit(operator(BinaryOp::Sub)),
            '^' => self.emit(operator(BinaryOp::Pow)),
            '@' => self.emit(TokenKind::At),
            '=' => match self.peek() {
                Some('=') => {
                    self.next();
                    self.emit(operator(BinaryOp::Eq));
                }
                Some('~') => {
                    return self.error("unexpected character after '=': '~'".to_owned());
                }
                _ => self.emit(TokenKind::Assign),
            },
            '!' => match self.next() {
                Some('=') => self.emit(operator(BinaryOp::Ne)),
                other => {
                    let other = described(other);
                    return self.error(format!("unexpected character after '!': {other}"));
                }
            },
            '<' if self.accept(|c| c == '=') => self.emit(operator(BinaryOp::Le)),
            '<' if self.accept(|c| c == '/') => self.emit(operator(BinaryOp::TrimUpper)),
            '<' => self.emit(operator(BinaryOp::Lt)),
            '>' if self.accept(|c| c == '=') => self.emit(operator(BinaryOp::Ge)),
            '>' if self.accept(|c| c == '/') => self.emit(operator(BinaryOp::TrimLower)),
            '>' => self.emit(operator(BinaryOp::Gt)),
            '(' => {
                self.parens += 1;
                self.emit(TokenKind::LeftParen);
            }
            ')' if self.parens == 0 => {
                // Prometheus reports the place behind it.
                let message = "unexpected right parenthesis ')'".to_owned();
                return Err((self.at, message));
            }
            ')' => {
                self.parens -= 1;
                self.emit(TokenKind::RightParen);
            }
            '{' => {
                self.in_braces = true;
                self.emit(TokenKind::LeftBrace);
            }
            '[' if self.in_brackets.is_some() => {
                return self.error("unexpected left bracket '['".to_owned());
            }
            '[' => {
                self.in_brackets = Some(Brackets::default());
                self.emit(TokenKind::LeftBracket);
            }
            ']' if self.in_brackets.is_none() => {
                return self.error("unexpected right bracket ']'".to_owned());
            }
            ']' => {
                self.in_brackets = None;
                self.emit(TokenKind::RightBracket);
            }
            c if c.is_ascii_digit()
                || (c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit())) =>
            {
                self.at = self.start;
                self.number_or_duration()?;
            }
            c if is_letter(c) || c == ':' => match &mut self.in_brackets {
                None => self.word(),
                Some(brackets) if c == ':' => {
                    if std::mem::replace(&mut brackets.colon_seen, true) {
                        return self.error("unexpected colon ':'".to_owned());
                    }
                    self.emit(TokenKind::Colon);
                }
                Some(_) => self.duration_word(|| {
                    format!("unexpected character: {}, expected ':'", Quote(c))
                })?,
            },
            c => return self.error(format!("unexpected character: {}", Quote(c))),
        }
        Ok(())
    }

    /// What stands between a left bracket and the first number.
    fn within_brackets(&mut self, c: char) -> Result<(), LexError> {
        let unexpected = || format!("unexpected character in duration expression: {}", Quote(c));
        match c {
            ']' | '(' | ')' | '+' | '-' | '*' | '/' | '%' | '^' => self.statement(c)?,
            ',' => self.emit(TokenKind::Comma),
            ':' => {
                let brackets = self.in_brackets.get_or_insert_default();
                let problem = if !brackets.keyword_seen {
                    "unexpected colon before duration in duration expression"
                } else if brackets.colon_seen {
                    "unexpected repeated colon in duration expression"
                } else {
                    brackets.colon_seen = true;
                    self.emit(TokenKind::Colon);
                    return Ok(());
                };
                // Prometheus reports the place behind it.
                return Err((self.at, problem.to_owned()));
            }
            c if is_letter(c) => self.duration_word(unexpected)?,
            c if c.is_ascii_digit()
                || (c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit())) =>
            {
                self.in_brackets.get_or_insert_default().number_seen = true;
                self.statement(c)?;
            }
            _ => return self.error(unexpected()),
        }
        Ok(())
    }

    /// A word within brackets.
    fn duration_word(&mut self, unexpected: impl Fn() -> String) -> Result<(), LexError> {
        self.accept_while(is_letter);
        let kind = match &*self.text[self.start..self.at].to_ascii_lowercase() {
            "step" => TokenKind::Keyword(Keyword::Step),
            "range" => TokenKind::Keyword(Keyword::Range),
            "min_of" | "max_of" => TokenKind::Identifier,
            _ => return self.error(unexpected()),
        };
        self.in_brackets.get_or_insert_default().keyword_seen = true;
        self.emit(kind);
        Ok(())
    }

    fn word(&mut self) {
        self.accept_while(|c| is_word(c) || c == ':');
        let word = self.text[self.start..self.at].to_ascii_lowercase();
        let keyword = KEYWORDS.iter().find(|(name, _)| *name == word).map(|(_, keyword)| *keyword);
        let aggregate = AggregateOp::ALL.into_iter().find(|op| op.name() == word);
        let operator = WORD_OPERATORS.into_iter().find(|op| op.name() == word);
        let kind = match (keyword, aggregate, operator) {
            // These came late to the language: they stay usable as metric names.
            (Some(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight), ..)
                if !self.text[self.at..].trim_start().starts_with('(') =>
            {
                TokenKind::Identifier
            }
            (Some(keyword), ..) => TokenKind::Keyword(keyword),
            (_, Some(op), _) => TokenKind::Aggregate(op),
            (.., Some(op)) => TokenKind::Operator(op),
            _ if word == "inf" || word == "nan" => TokenKind::Number,
            _ if word.contains(':') => TokenKind::MetricIdentifier,
            _ => TokenKind::Identifier,
        };
        self.emit(kind);
    }

    fn number_or_duration(&mut self) -> Result<(), LexError> {
        if self.number() {
            self.emit(TokenKind::Number);
            return Ok(());
        }
        if self.rest_of_duration() {
            self.emit(TokenKind::Duration);
            return Ok(());
        }
        let written = &self.text[self.start..self.at];
        self.error(format!("bad number or duration syntax: {written:?}"))
    }

    /// Reads what may be a number, with `_` between digits and hexadecimal integers. Where it returns
    /// false, it stands where Prometheus sees that it is none: the message shows what it has read.
    fn number(&mut self) -> bool {
        let hexadecimal = self.accept(|c| c == '0') && self.accept(|c| matches!(c, 'x' | 'X'));
        if hexadecimal {
            self.accept(|c| c == '_');
        }
        let is_digit =
            |c: char| if hexadecimal { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        self.accept(|c| c == '.');
        self.accept(is_digit);
        let (mut dot_seen, mut exponent_seen) = (false, false);
        loop {
            match self.peek() {
                Some(c) if is_digit(c) => self.accept_while(is_digit),
                Some('.') => {
                    self.next();
                    if dot_seen || self.accept(|c| matches!(c, '_' | '.')) || hexadecimal {
                        return false;
                    }
                    dot_seen = true;
                }
                Some('e' | 'E') => {
                    self.next();
                    if exponent_seen {
                        return false;
                    }
                    exponent_seen = true;
                    self.accept(|c| matches!(c, '+' | '-'));
                    if self.is_no_digit_next() {
                        return false;
                    }
                }
                Some('_') => {
                    self.next();
                    if self.is_no_digit_next() {
                        return false;
                    }
                }
                other => return !other.is_some_and(is_word),
            }
        }
    }

    /// Whether the text ends or goes on with what never follows an exponent or `_`, and reads it.
    fn is_no_digit_next(&mut self) -> bool {
        self.accept(|c| matches!(c, '.' | '_' | 'e' | 'E')) || self.peek().is_none()
    }

    /// Reads the rest of a duration of which the first count was read.
    fn rest_of_duration(&mut self) -> bool {
        if !self.accept(|c| "smhdwy".contains(c)) {
            return false;
        }
        self.accept(|c| c == 's'); // Of `ms`; a bad unit such as `hs` is found when it is read.
        while self.accept(|c| c.is_ascii_digit()) {
            self.accept_while(|c| c.is_ascii_digit());
            if !self.accept(|c| "smhdw".contains(c)) {
                return false;
            }
            self.accept(|c| c == 's');
        }
        !self.accept(is_word)
    }

    fn quoted(&mut self, quote: char) -> Result<(), LexError> {
        loop {
            match self.next() {
                Some('\\') => {
                    let rest = &self.text[self.at..];
                    match read_escape(rest, quote) {
                        Ok((_, length)) => self.at += length,
                        Err(message) => return self.error(message),
                    }
                }
                None | Some('\n') => return self.error("unterminated quoted string".to_owned()),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(TokenKind::Quoted);
        Ok(())
    }

    fn raw(&mut self) -> Result<(), LexError> {
        loop {
            match self.next() {
                None => return self.error("unterminated raw string".to_owned()),
                Some('`') => break,
                Some(_) => {}
            }
        }
        self.emit(TokenKind::Quoted);
        Ok(())
    }
}

/// What Go's `%q` makes of a character or of the end of the text.
fn described(c: Option<char>) -> String {
    c.map_or_else(|| "'\u{fffd}'".to_owned(), |c| Quote(c).to_string())
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
