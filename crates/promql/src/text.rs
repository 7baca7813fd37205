//! Strings of the language: what they hold, and how they are written.

use std::fmt;

use crate::print::quoted;

/// A string of the language: bytes, as in Go. Nearly always they are UTF-8; labels always are.
///
/// Prints in quotes, as Go's `%q`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl Text {
    /// The text, where the bytes are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text with U+FFFD for each byte that is not UTF-8: what Prometheus's JSON says.
    pub fn to_lossy(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        text
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.0))
    }
}

/// What an escape sequence stands for.
pub(crate) enum Escaped {
    Char(char),
    Byte(u8),
}

/// Reads an escape sequence of a string in `quote`s from behind its backslash, and says how long it
/// is. The error is the reason as Prometheus words it.
pub(crate) fn read_escape(text: &str, quote: char) -> Result<(Escaped, usize), String> {
    let mut rest = text.chars();
    let escape = rest.next().ok_or("escape sequence not terminated")?;
    let (digits, radix) = match escape {
        'a' => return Ok((Escaped::Char('\u{7}'), 1)),
        'b' => return Ok((Escaped::Char('\u{8}'), 1)),
        'f' => return Ok((Escaped::Char('\u{c}'), 1)),
        'n' => return Ok((Escaped::Char('\n'), 1)),
        'r' => return Ok((Escaped::Char('\r'), 1)),
        't' => return Ok((Escaped::Char('\t'), 1)),
        'v' => return Ok((Escaped::Char('\u{b}'), 1)),
        '\\' => return Ok((Escaped::Char('\\'), 1)),
        c if c == quote => return Ok((Escaped::Char(quote), 1)),
        '0'..='7' => (3, 8),
        'x' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        c => return Err(format!("unknown escape sequence {}", code_point(c))),
    };
    // The first octal digit is the one that tells it.
    let first = usize::from(radix != 8);
    let mut value: u32 = 0;
    for c in text.chars().map(Some).chain(std::iter::repeat(None)).skip(first).take(digits) {
        let c = c.ok_or("escape sequence not terminated")?;
        let digit = c
            .to_digit(radix)
            .ok_or_else(|| format!("illegal character {} in escape sequence", code_point(c)))?;
        value = value.wrapping_mul(radix).wrapping_add(digit);
    }
    let escaped = match (escape, u8::try_from(value), char::from_u32(value)) {
        ('u' | 'U', _, Some(c)) => Escaped::Char(c),
        ('x' | '0'..='7', Ok(byte), _) => Escaped::Byte(byte),
        _ => return Err("escape sequence is an invalid Unicode code point".to_owned()),
    };
    Ok((escaped, first + digits))
}

/// A character as Go's `%#U` prints it.
fn code_point(c: char) -> String {
    let shown = if c.is_control() { String::new() } else { format!(" '{c}'") };
    format!("U+{:04X}{shown}", c as u32)
}

/// The text between the quotes of a string token, its escapes replaced.
///
/// # Errors
///
/// The reason as Prometheus words it. The tokens of the lexer have none.
pub(crate) fn unquote(token: &str) -> Result<Text, String> {
    let quote = token.chars().next().unwrap_or('"');
    let inner = &token[quote.len_utf8()..token.len() - quote.len_utf8()];
    if quote == '`' {
        return Ok(inner.replace('\r', "").into());
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(inner.len()), inner);
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (value, length) = read_escape(escaped, quote)?;
        match value {
            Escaped::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Escaped::Byte(byte) => bytes.push(byte),
        }
        rest = &escaped[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(Text(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_hold_what_their_escapes_name() {
        let check = |token: &str, lossy: &str, printed: &str| {
            let text = unquote(token).expect(token);
            assert_eq!((text.to_lossy().as_str(), text.to_string().as_str()), (lossy, printed));
        };
        check(r#""a\x41\101\u00e9\U0001F600""#, "aAAé😀", "\"aAAé😀\"");
        check(r"'it\'s\n'", "it's\n", r#""it's\n""#);
        check(r"`raw\n`", r"raw\n", r#""raw\\n""#);
        // One mark for each byte, and not one for a sequence that breaks off.
        check(r#""a\xc5z\xe2\x82""#, "a\u{fffd}z\u{fffd}\u{fffd}", r#""a\xc5z\xe2\x82""#);
        check(r#""\xc3\xa9""#, "é", "\"é\"");
        assert_eq!(unquote(r#""\xff""#).expect("bytes").as_str(), None);
    }
}
