use crate::RegexpError;

/// The largest count of a repetition, as in Go.
const REPEAT_MAX: u32 = 1000;

/// `pattern`, written in Go's syntax, in the syntax of the crate `regex`.
///
/// # Errors
///
/// What Go refuses. Some mistakes are left for the compiler to find.
pub(crate) fn translate(pattern: &str) -> Result<String, RegexpError> {
    let mut translator =
        Translator { pattern, at: 0, depth: 0, out: String::new(), last: Last::None };
    translator.run()?;
    Ok(translator.out)
}

/// What stands before the place that is read.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    /// Nothing that can be repeated.
    None,
    /// Something that can.
    Piece,
    /// A repetition, which began at this byte.
    Repetition(usize),
}

struct Translator<'p> {
    pattern: &'p str,
    at: usize,
    depth: usize,
    out: String,
    last: Last,
}

type Result<T, E = RegexpError> = std::result::Result<T, E>;

fn fail<T>(reason: &str, at: &str) -> Result<T> {
    Err(RegexpError { reason: reason.to_owned(), at: at.to_owned() })
}

impl<'p> Translator<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn run(&mut self) -> Result<()> {
        while let Some(c) = self.peek() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    if self.depth == 0 {
                        return fail("unexpected )", self.pattern);
                    }
                    self.depth -= 1;
                    self.push_piece(c);
                }
                '|' => {
                    self.out.push(c);
                    self.at += 1;
                    self.last = Last::None;
                }
                '*' | '+' | '?' => self.repetition(1)?,
                '{' => match counts(self.rest()) {
                    Some((length, low, high)) => {
                        let shown = &self.rest()[..length];
                        if low > REPEAT_MAX
                            || high.is_some_and(|high| high > REPEAT_MAX || high < low)
                        {
                            return fail("invalid repeat count", shown);
                        }
                        self.repetition(length)?;
                    }
                    None => {
                        self.out.push('\\');
                        self.push_piece(c);
                    }
                },
                '.' | '^' | '$' => self.push_piece(c),
                _ => {
                    self.at += c.len_utf8();
                    self.literal(c);
                }
            }
        }
        match self.depth {
            0 => Ok(()),
            _ => fail("missing closing )", self.pattern),
        }
    }

    fn push_piece(&mut self, c: char) {
        self.out.push(c);
        self.at += c.len_utf8();
        self.last = Last::Piece;
    }

    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
        self.last = Last::Piece;
    }

    /// Copies a repetition of so many bytes, and the `?` that makes it lazy.
    fn repetition(&mut self, length: usize) -> Result<()> {
        let start = self.at;
        let lazy = self.rest()[length..].starts_with('?');
        let end = start + length + usize::from(lazy);
        let shown = &self.pattern[start..end];
        match self.last {
            Last::None => return fail("missing argument to repetition operator", &shown[..length]),
            Last::Repetition(first) => {
                let nested = &self.pattern[first..start + length];
                return fail("invalid nested repetition operator", nested);
            }
            Last::Piece => {}
        }
        self.out.push_str(shown);
        self.at = end;
        self.last = Last::Repetition(start);
        Ok(())
    }

    fn group(&mut self) -> Result<()> {
        let rest = self.rest();
        let Some(special) = rest.strip_prefix("(?") else {
            self.out.push('(');
            self.at += 1;
            self.depth += 1;
            self.last = Last::None;
            return Ok(());
        };
        let named = special.strip_prefix("P<").or_else(|| special.strip_prefix('<'));
        if let Some(named) = named {
            let name = named.split_once('>').map(|(name, _)| name);
            let valid = |name: &&str| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            let Some(name) = name.filter(valid) else {
                return fail("invalid named capture", rest);
            };
            // The name is kept, even one that begins with a digit, which the crate refuses: Go
            // takes it, and no template can mean another group by it.
            self.out.push_str("(?P<");
            self.out.push_str(name);
            self.out.push('>');
            self.at = self.pattern.len() - named.len() + name.len() + 1;
            self.depth += 1;
            self.last = Last::None;
            return Ok(());
        }
        for (index, c) in special.char_indices() {
            let upto = 2 + index + c.len_utf8();
            match c {
                'i' | 'm' | 's' | 'U' => {}
                '-' if !special[..index].contains('-') => {}
                ':' | ')' => {
                    if special[..index].ends_with('-') || (c == ')' && index == 0) {
                        return fail("missing argument to repetition operator", "?");
                    }
                    self.out.push_str(&rest[..upto]);
                    self.at += upto;
                    self.depth += usize::from(c == ':');
                    self.last = Last::None;
                    return Ok(());
                }
                _ => return fail("invalid or unsupported Perl syntax", &rest[..upto]),
            }
        }
        fail("missing closing )", self.pattern)
    }

    /// Outside a class.
    fn escape(&mut self) -> Result<()> {
        if let Some(quoted) = self.rest().strip_prefix("\\Q") {
            let (quoted, length) = match quoted.find("\\E") {
                Some(end) => (&quoted[..end], end + 4),
                None => (quoted, quoted.len() + 2),
            };
            quoted.chars().for_each(|c| self.literal(c));
            self.at += length;
            return Ok(());
        }
        let text = match self.rest()[1..].chars().next() {
            Some('A') => r"\A",
            Some('z') => r"\z",
            Some('b') => r"(?-u:\b)",
            Some('B') => r"(?-u:\B)",
            // The end of a quotation that did not begin.
            Some('E') => return fail("invalid escape sequence", r"\E"),
            _ => {
                let class = self.escaped_class()?;
                match class {
                    Some(class) => {
                        self.out.push('[');
                        self.out.push_str(&class);
                        self.out.push(']');
                    }
                    None => {
                        let c = self.escaped_char()?;
                        self.literal(c);
                    }
                }
                self.last = Last::Piece;
                return Ok(());
            }
        };
        self.out.push_str(text);
        self.at += 2;
        self.last = Last::Piece;
        Ok(())
    }

    /// `\d`, `\pL` and their like, as they stand within brackets.
    fn escaped_class(&mut self) -> Result<Option<String>> {
        let text = match self.rest()[1..].chars().next() {
            Some('d') => "0-9",
            Some('D') => "[^0-9]",
            Some('w') => "0-9A-Za-z_",
            Some('W') => "[^0-9A-Za-z_]",
            Some('s') => r"\t\n\x0c\r\x20",
            Some('S') => r"[^\t\n\x0c\r\x20]",
            Some(sign @ ('p' | 'P')) => {
                let rest = &self.rest()[2..];
                let (name, length) = match rest.strip_prefix('{') {
                    Some(inner) => match inner.split_once('}') {
                        Some((name, _)) => (name, name.len() + 4),
                        None => return fail("invalid character class range", self.rest()),
                    },
                    None => {
                        let one = rest.chars().next().map_or(0, char::len_utf8);
                        (&rest[..one], one + 2)
                    }
                };
                let shown = &self.rest()[..length];
                let (negated, name) = match name.strip_prefix('^') {
                    Some(name) => (true, name),
                    None => (false, name),
                };
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') {
                    return fail("invalid character class range", shown);
                }
                self.at += length;
                let sign = if negated == (sign == 'P') { 'p' } else { 'P' };
                return Ok(Some(format!("\\{sign}{{{name}}}")));
            }
            _ => return Ok(None),
        };
        self.at += 2;
        Ok(Some(text.to_owned()))
    }

    /// The one character that an escape stands for.
    fn escaped_char(&mut self) -> Result<char> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.bump() else {
            return fail("trailing backslash at end of expression", "");
        };
        let bad = |translator: &Self| {
            fail("invalid escape sequence", &translator.pattern[start..translator.at])
        };
        Ok(match c {
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '1'..='7' if !self.peek().is_some_and(|c| ('0'..='7').contains(&c)) => {
                return bad(self);
            }
            '0'..='7' => {
                let mut value = u32::from(c) - u32::from('0');
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    self.at += 1;
                }
                match char::from_u32(value) {
                    Some(c) => c,
                    None => return bad(self),
                }
            }
            'x' => {
                let digits = match self.rest().strip_prefix('{') {
                    Some(inner) => {
                        let Some((digits, _)) = inner.split_once('}') else { return bad(self) };
                        self.at += digits.len() + 2;
                        digits
                    }
                    None => {
                        let Some(digits) = self.rest().get(..2) else { return bad(self) };
                        self.at += 2;
                        digits
                    }
                };
                let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
                let value = u32::from_str_radix(digits, 16).ok().filter(|_| hex);
                match value.and_then(char::from_u32) {
                    Some(c) => c,
                    None => return bad(self),
                }
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            _ => return bad(self),
        })
    }

    fn class(&mut self) -> Result<()> {
        let whole = self.rest();
        self.at += 1;
        self.out.push('[');
        if self.rest().starts_with('^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.peek() else { return fail("missing closing ]", whole) };
            if c == ']' && !first {
                self.at += 1;
                break;
            }
            first = false;
            if let Some(named) = self.rest().strip_prefix("[:")
                && let Some((name, _)) = named.split_once(":]")
            {
                const NAMES: [&str; 14] = [
                    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower",
                    "print", "punct", "space", "upper", "word", "xdigit",
                ];
                let shown = &self.rest()[..name.len() + 4];
                if !NAMES.contains(&name.trim_start_matches('^')) {
                    return fail("invalid character class range", shown);
                }
                self.out.push_str(shown);
                self.at += shown.len();
                continue;
            }
            if c == '\\'
                && let Some(class) = self.escaped_class()?
            {
                self.out.push_str(&class);
                continue;
            }
            let start = self.at;
            let low = self.class_char(whole)?;
            push_literal(&mut self.out, low);
            let is_range = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            if is_range && self.rest().len() > 1 {
                self.at += 1;
                let high = self.class_char(whole)?;
                if high < low {
                    let shown = &self.pattern[start..self.at];
                    return fail("invalid character class range", shown);
                }
                self.out.push('-');
                push_literal(&mut self.out, high);
            }
        }
        self.out.push(']');
        self.last = Last::Piece;
        Ok(())
    }

    fn class_char(&mut self, whole: &str) -> Result<char> {
        match self.peek() {
            Some('\\') => self.escaped_char(),
            Some(_) => self.bump().map_or_else(|| fail("missing closing ]", whole), Ok),
            None => fail("missing closing ]", whole),
        }
    }
}

/// `c` itself, within brackets and outside them.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() && c != '_' && c != '<' && c != '>' {
        out.push('\\');
    }
    out.push(c);
}

/// `{2}`, `{2,}` and `{2,3}` at the start of `text`: its length and its counts. What is written
/// otherwise repeats nothing.
fn counts(text: &str) -> Option<(usize, u32, Option<u32>)> {
    let (inner, _) = text.strip_prefix('{')?.split_once('}')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let plain = digits && (text == "0" || !text.starts_with('0'));
        plain.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let (low, high) = match inner.split_once(',') {
        None => (number(inner)?, Some(number(inner)?)),
        Some((low, "")) => (number(low)?, None),
        Some((low, high)) => (number(low)?, Some(number(high)?)),
    };
    Some((inner.len() + 2, low, high))
}
