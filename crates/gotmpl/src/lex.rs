//! Text to tokens, with Go's own rules for delimiters, trim markers and comments.
//!
//! The whole text is scanned at once. Scanning never fails: what is no token becomes one
//! [`Kind::Error`] token whose text is the reason, and it is the last. The parser reports it where
//! it meets it, so an earlier mistake of grammar is named first, as in Go.

use std::borrow::Cow;
use std::fmt;

use crate::quote::{quote, quote_truncated};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Declare,
    Assign,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    // Keywords stand after all the rest: they print in angle brackets.
    Dot,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

const KEYWORDS: [(&str, Kind); 12] = [
    ("block", Kind::Block),
    ("break", Kind::Break),
    ("continue", Kind::Continue),
    ("define", Kind::Define),
    ("else", Kind::Else),
    ("end", Kind::End),
    ("if", Kind::If),
    ("nil", Kind::Nil),
    ("range", Kind::Range),
    ("template", Kind::Template),
    ("with", Kind::With),
    (".", Kind::Dot),
];

/// One token: its text is a slice of the input, for an error the reason.
#[derive(Clone, Debug)]
pub(crate) struct Item<'a> {
    pub kind: Kind,
    /// Byte offset of the first byte.
    pub pos: usize,
    /// Line of the first byte, counted from 1.
    pub line: usize,
    pub text: Cow<'a, str>,
}

/// As Go prints a token in a message.
impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Eof => f.write_str("EOF"),
            Kind::Error => f.write_str(&self.text),
            kind if kind >= Kind::Dot => write!(f, "<{}>", self.text),
            _ if self.text.len() > 10 => write!(f, "{}...", quote_truncated(&self.text, 10)),
            _ => f.write_str(&quote(&self.text)),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];
/// A minus and the space that must stand between it and the content.
const TRIM_MARKER_BYTES: usize = 2;

/// All tokens of `input`; the last one is [`Kind::Eof`] or [`Kind::Error`].
pub(crate) fn lex(input: &str) -> Vec<Item<'_>> {
    let mut lexer = Lexer { input, pos: 0, start: 0, line: 1, paren_depth: 0, items: Vec::new() };
    let mut inside = false;
    // Each turn either consumes input or ends the scan.
    while let Some(next_inside) = if inside { lexer.action() } else { lexer.text() } {
        inside = next_inside;
    }
    lexer.items
}

struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    start: usize,
    /// The line of `start`.
    line: usize,
    paren_depth: usize,
    items: Vec<Item<'a>>,
}

/// Whether the scan goes on inside an action, or `None` at its end.
type Next = Option<bool>;

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, valid: &str) -> bool {
        let found = self.peek().is_some_and(|c| valid.contains(c));
        if found {
            self.pos += 1;
        }
        found
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn ignore(&mut self) {
        self.line += self.input[self.start..self.pos].matches('\n').count();
        self.start = self.pos;
    }

    fn emit(&mut self, kind: Kind) -> Next {
        let text = Cow::Borrowed(&self.input[self.start..self.pos]);
        self.items.push(Item { kind, pos: self.start, line: self.line, text });
        self.ignore();
        Some(true)
    }

    fn fail(&mut self, reason: impl Into<String>) -> Next {
        // The line is that of the place where scanning stopped; the offset that of the token.
        let line = self.line + self.input[self.start..self.pos].matches('\n').count();
        let text = Cow::Owned(reason.into());
        self.items.push(Item { kind: Kind::Error, pos: self.start, line, text });
        None
    }

    fn text(&mut self) -> Next {
        let Some(at) = self.rest().find(LEFT) else {
            self.pos = self.input.len();
            if self.pos > self.start {
                self.emit(Kind::Text);
            }
            self.emit(Kind::Eof);
            return None;
        };
        let delim = self.pos + at;
        let mut text = &self.input[self.start..delim];
        let trims = has_left_trim_marker(&self.input[delim + LEFT.len()..]);
        if trims {
            text = text.trim_end_matches(SPACES);
        }
        self.pos = self.start + text.len();
        if !text.is_empty() {
            self.emit(Kind::Text);
        }
        self.pos = delim;
        self.ignore();

        self.pos += LEFT.len();
        let after_marker = if trims { TRIM_MARKER_BYTES } else { 0 };
        if self.rest()[after_marker..].starts_with("/*") {
            self.pos += after_marker;
            self.ignore();
            return self.comment();
        }
        self.emit(Kind::LeftDelim);
        self.pos += after_marker;
        self.ignore();
        self.paren_depth = 0;
        Some(true)
    }

    fn comment(&mut self) -> Next {
        let Some(at) = self.rest()[2..].find("*/") else {
            return self.fail("unclosed comment");
        };
        self.pos += 2 + at + 2;
        let Some(trims) = self.at_right_delim() else {
            return self.fail("comment ends before closing delimiter");
        };
        self.right_delim(trims, false);
        Some(false)
    }

    /// Whether a right delimiter stands here, and whether it trims.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest) && rest[TRIM_MARKER_BYTES..].starts_with(RIGHT) {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn right_delim(&mut self, trims: bool, emit: bool) {
        if trims {
            self.pos += TRIM_MARKER_BYTES;
            self.ignore();
        }
        self.pos += RIGHT.len();
        if emit {
            self.emit(Kind::RightDelim);
        } else {
            self.ignore();
        }
        if trims {
            self.pos = self.input.len() - self.rest().trim_start_matches(SPACES).len();
            self.ignore();
        }
    }

    fn action(&mut self) -> Next {
        if let Some(trims) = self.at_right_delim() {
            if self.paren_depth > 0 {
                return self.fail("unclosed left paren");
            }
            self.right_delim(trims, true);
            return Some(false);
        }
        let Some(c) = self.bump() else {
            return self.fail("unclosed action");
        };
        match c {
            _ if SPACES.contains(&c) => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' => match self.bump() {
                Some('=') => self.emit(Kind::Declare),
                _ => self.fail("expected :="),
            },
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => match self.rest().find('`') {
                Some(at) => {
                    self.pos += at + 1;
                    self.emit(Kind::RawString)
                }
                None => {
                    self.pos = self.input.len();
                    self.fail("unterminated raw quoted string")
                }
            },
            '$' => self.name(Kind::Variable),
            '.' if !self.peek().is_none_or(|c| c.is_ascii_digit()) => self.name(Kind::Field),
            '.' | '+' | '-' | '0'..='9' => {
                self.pos = self.start;
                self.number()
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                if self.paren_depth == 0 {
                    return self.fail("unexpected right paren");
                }
                self.paren_depth -= 1;
                self.emit(Kind::RightParen)
            }
            c if is_alphanumeric(c) => self.identifier(),
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => self.fail(format!("unrecognized character in action: {}", code_point(c))),
        }
    }

    /// A run of spaces, the first of which is consumed already; its last may open a trim marker.
    fn space(&mut self) -> Next {
        while self.accept(" \t\r\n") {}
        let from_last = &self.input[self.pos - 1..];
        if has_right_trim_marker(from_last) && from_last[TRIM_MARKER_BYTES..].starts_with(RIGHT) {
            self.pos -= 1;
            if self.pos == self.start {
                return Some(true);
            }
        }
        self.emit(Kind::Space)
    }

    /// The rest of a quoted text; its escapes are checked by the parser.
    fn quoted(&mut self, close: char, kind: Kind, unterminated: &str) -> Next {
        loop {
            match self.bump() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.bump();
                }
                None | Some('\\' | '\n') => return self.fail(unterminated),
                Some(c) if c == close => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    /// A field or a variable, whose first character is consumed already.
    fn name(&mut self, kind: Kind) -> Next {
        while self.peek().is_some_and(is_alphanumeric) {
            self.bump();
        }
        let bare = self.pos == self.start + 1;
        if let Some(bad) = self.not_a_terminator() {
            return self.fail(format!("bad character {}", code_point(bad)));
        }
        self.emit(if bare && kind == Kind::Field { Kind::Dot } else { kind })
    }

    fn identifier(&mut self) -> Next {
        while self.peek().is_some_and(is_alphanumeric) {
            self.bump();
        }
        if let Some(bad) = self.not_a_terminator() {
            return self.fail(format!("bad character {}", code_point(bad)));
        }
        let word = &self.input[self.start..self.pos];
        let kind = match KEYWORDS.iter().find(|(keyword, _)| *keyword == word) {
            Some((_, kind)) => *kind,
            None if word == "true" || word == "false" => Kind::Bool,
            None => Kind::Identifier,
        };
        self.emit(kind)
    }

    /// The next character, where it may not follow a name.
    fn not_a_terminator(&self) -> Option<char> {
        self.peek().filter(|c| !SPACES.contains(c) && !".,|:)(}".contains(*c))
    }

    fn number(&mut self) -> Next {
        let mut good = self.scan_number();
        let mut kind = Kind::Number;
        if good && matches!(self.peek(), Some('+' | '-')) {
            kind = Kind::Complex;
            good = self.scan_number() && self.input[..self.pos].ends_with('i');
        }
        if good {
            return self.emit(kind);
        }
        let text = &self.input[self.start..self.pos];
        self.fail(format!("bad number syntax: {}", quote(text)))
    }

    /// Not a perfect scanner, on purpose: what it lets through wrongly the parser refuses.
    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let (mut digits, mut exponent) = ("0123456789_", "eE");
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            return false;
        }
        true
    }
}

fn has_left_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(|c| SPACES.contains(&c))
}

fn has_right_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| SPACES.contains(&c)) && chars.next() == Some('-')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// A character as Go's `%#U` prints it: `U+002D '-'`.
fn code_point(c: char) -> String {
    if crate::quote::is_print(c) {
        format!("U+{:04X} '{c}'", u32::from(c))
    } else {
        format!("U+{:04X}", u32::from(c))
    }
}
