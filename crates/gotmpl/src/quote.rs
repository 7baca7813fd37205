//! Go's quoting of strings, both ways.

use std::fmt::Write as _;

/// Whether Go would print `c` as itself: letters, marks, numbers, punctuation, symbols, the blank.
pub(crate) fn is_print(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace() || is_format(c))
}

/// Invisible characters: formatting, private use, byte-order mark.
fn is_format(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e
        | 0x2060..=0x206f | 0xe000..=0xf8ff | 0xfeff | 0xfff0..=0xfffb | 0xe0000..=0x0010_ffff)
}

/// `text` in double quotes with Go's escapes.
pub(crate) fn quote(text: &str) -> String {
    quote_with(text, '"', false)
}

/// The first `runes` characters of `text`, quoted.
pub(crate) fn quote_truncated(text: &str, runes: usize) -> String {
    quote(&text.chars().take(runes).collect::<String>())
}

/// `text` between two `mark`s; with `ascii`, everything beyond ASCII is escaped.
pub(crate) fn quote_with(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for c in text.chars() {
        match c {
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if c == mark || c == '\\' => out.extend(['\\', c]),
            c if is_print(c) && (c.is_ascii() || !ascii) => out.push(c),
            c => {
                let code = u32::from(c);
                let written = match code {
                    0..0x80 => write!(out, "\\x{code:02x}"),
                    0x80..0x10000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                written.expect("a String takes every write");
            }
        }
    }
    out.push(mark);
    out
}

/// The text that a Go literal in double or back quotes stands for, or `None` where it is malformed.
pub(crate) fn unquote(literal: &str) -> Option<String> {
    let mark = literal.chars().next()?;
    let inner = literal.get(1..literal.len().checked_sub(1)?)?;
    if mark == '`' {
        return Some(inner.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        match unescape(&mut rest, mark)? {
            Unescaped::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Unescaped::Byte(b) => bytes.push(b),
        }
    }
    // Go strings may hold any bytes; ours are UTF-8, so stray bytes become U+FFFD.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The code point of a Go character constant with its quotes.
pub(crate) fn unquote_char(literal: &str) -> Option<u32> {
    let mut rest = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let value = match unescape(&mut rest, '\'')? {
        Unescaped::Char(c) => u32::from(c),
        Unescaped::Byte(b) => u32::from(b),
    };
    rest.is_empty().then_some(value)
}

enum Unescaped {
    Char(char),
    Byte(u8),
}

fn unescape(rest: &mut &str, mark: char) -> Option<Unescaped> {
    let mut chars = rest.chars();
    let first = chars.next()?;
    if first != '\\' {
        *rest = chars.as_str();
        return (first != mark && first != '\n').then_some(Unescaped::Char(first));
    }
    let escape = chars.next()?;
    *rest = chars.as_str();
    let mut digits = |count: usize, radix: u32| {
        let text = rest.get(..count)?;
        let value = u32::from_str_radix(text, radix).ok()?;
        // `from_str_radix` takes a sign, a Go escape does not.
        *rest = &rest[count..];
        (!text.starts_with('+')).then_some(value)
    };
    Some(match escape {
        'a' => Unescaped::Char('\x07'),
        'b' => Unescaped::Char('\x08'),
        'f' => Unescaped::Char('\x0c'),
        'n' => Unescaped::Char('\n'),
        'r' => Unescaped::Char('\r'),
        't' => Unescaped::Char('\t'),
        'v' => Unescaped::Char('\x0b'),
        '\\' => Unescaped::Char('\\'),
        c if c == mark && (mark == '"' || mark == '\'') => Unescaped::Char(c),
        'x' => Unescaped::Byte(u8::try_from(digits(2, 16)?).ok()?),
        'u' => Unescaped::Char(char::from_u32(digits(4, 16)?)?),
        'U' => Unescaped::Char(char::from_u32(digits(8, 16)?)?),
        c @ '0'..='7' => {
            let value = digits(2, 8)? + 64 * c.to_digit(8)?;
            Unescaped::Byte(u8::try_from(value).ok()?)
        }
        _ => return None,
    })
}
