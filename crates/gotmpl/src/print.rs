//! Go's `fmt`: `print`, `println` and `printf` with all verbs, flags and complaints.

use crate::number::{format_float, format_shortest};
use crate::quote::{quote, quote_with};
use crate::time::{month_name, weekday_name};
use crate::value::Value;

/// The text limit was reached; what was written so far is of no use.
#[derive(Debug)]
pub(crate) struct TooLong;

/// Text that grows up to a limit.
pub(crate) struct Text {
    text: String,
    bytes_max: usize,
}

type Result<T = ()> = std::result::Result<T, TooLong>;

impl Text {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max }
    }

    pub(crate) fn push_str(&mut self, text: &str) -> Result {
        if self.text.len() + text.len() > self.bytes_max {
            return Err(TooLong);
        }
        self.text.push_str(text);
        Ok(())
    }

    fn push(&mut self, c: char) -> Result {
        self.push_str(c.encode_utf8(&mut [0; 4]))
    }

    fn repeat(&mut self, c: char, count: usize) -> Result {
        if self.text.len().saturating_add(count) > self.bytes_max {
            return Err(TooLong);
        }
        self.text.extend(std::iter::repeat_n(c, count));
        Ok(())
    }

    pub(crate) fn into_string(self) -> String {
        self.text
    }
}

/// What `{{ value }}` writes.
pub(crate) fn action(out: &mut Text, value: &Value) -> Result {
    match value {
        Value::Nil => out.push_str("<no value>"),
        // A pointer: the action looks through it, `print` does not.
        Value::Sample(_) => Printer::new(out).value(value, 'v', 1),
        _ => Printer::new(out).value(value, 'v', 0),
    }
}

/// `fmt.Sprint`: a blank between two operands only where neither is text.
pub(crate) fn print(out: &mut Text, args: &[Value]) -> Result {
    let mut previous_is_text = true;
    for arg in args {
        let is_text = matches!(arg, Value::String(_));
        if !previous_is_text && !is_text {
            out.push(' ')?;
        }
        Printer::new(out).value(arg, 'v', 0)?;
        previous_is_text = is_text;
    }
    Ok(())
}

/// `fmt.Sprintln`: blanks between all operands, and a line feed.
pub(crate) fn println(out: &mut Text, args: &[Value]) -> Result {
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            out.push(' ')?;
        }
        Printer::new(out).value(arg, 'v', 0)?;
    }
    out.push('\n')
}

/// Widths and precisions beyond this are no numbers to Go.
const NUMBER_MAX: usize = 1_000_000;

/// `fmt.Sprintf`.
pub(crate) fn printf(out: &mut Text, format: &str, args: &[Value]) -> Result {
    let mut directive =
        Directives { format, at: 0, args, arg: 0, good_arg: true, reordered: false };
    while let Some(literal_end) = directive.rest().find('%') {
        out.push_str(&directive.rest()[..literal_end])?;
        directive.at += literal_end + 1;
        if !directive.one(out)? {
            break;
        }
    }
    out.push_str(directive.rest())?;
    if !directive.reordered && directive.arg < args.len() {
        out.push_str("%!(EXTRA ")?;
        for (i, arg) in args[directive.arg..].iter().enumerate() {
            if i > 0 {
                out.push_str(", ")?;
            }
            if *arg == Value::Nil {
                out.push_str("<nil>")?;
            } else {
                out.push_str(&arg.type_name())?;
                out.push('=')?;
                Printer::new(out).value(arg, 'v', 0)?;
            }
        }
        out.push(')')?;
    }
    Ok(())
}

/// Walks a format text and its operands.
struct Directives<'a> {
    format: &'a str,
    at: usize,
    args: &'a [Value],
    arg: usize,
    good_arg: bool,
    reordered: bool,
}

impl<'a> Directives<'a> {
    fn rest(&self) -> &'a str {
        &self.format[self.at..]
    }

    fn accept(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        self.at += usize::from(found);
        found
    }

    /// One directive after its percent sign; false where the text ended inside it.
    fn one(&mut self, out: &mut Text) -> Result<bool> {
        self.good_arg = true;
        let mut flags = Flags::default();
        loop {
            match self.rest().chars().next() {
                Some('#') => flags.sharp = true,
                Some('0') => flags.zero = true,
                Some('+') => flags.plus = true,
                Some('-') => flags.minus = true,
                Some(' ') => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut after_index = self.index();
        if self.accept('*') {
            match self.int_operand() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => out.push_str("%!(BADWIDTH)")?,
            }
            after_index = false;
        } else {
            flags.width = self.number();
            if after_index && flags.width.is_some() {
                self.good_arg = false;
            }
        }
        if self.accept('.') {
            if after_index {
                self.good_arg = false;
            }
            after_index = self.index();
            if self.accept('*') {
                match self.int_operand() {
                    // A negative precision counts as none.
                    Some(precision) => flags.precision = usize::try_from(precision).ok(),
                    None => out.push_str("%!(BADPREC)")?,
                }
                after_index = false;
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let Some(verb) = self.rest().chars().next() else {
            out.push_str("%!(NOVERB)")?;
            return Ok(false);
        };
        self.at += verb.len_utf8();
        match self.args.get(self.arg) {
            _ if verb == '%' => out.push('%')?,
            _ if !self.good_arg => out.push_str(&format!("%!{verb}(BADINDEX)"))?,
            None => out.push_str(&format!("%!{verb}(MISSING)"))?,
            Some(arg) => {
                if verb == 'v' {
                    (flags.sharp_v, flags.sharp) = (flags.sharp, false);
                    (flags.plus_v, flags.plus) = (flags.plus, false);
                }
                Printer { out, flags, complaining: false }.value(arg, verb, 0)?;
                self.arg += 1;
            }
        }
        Ok(true)
    }

    /// Decimal digits, where some stand here.
    fn number(&mut self) -> Option<usize> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        self.at += digits;
        rest[..digits].parse().ok().filter(|number| *number <= NUMBER_MAX)
    }

    /// An operand that a `*` takes for width or precision.
    fn int_operand(&mut self) -> Option<i64> {
        let arg = self.args.get(self.arg)?;
        self.arg += 1;
        match arg {
            Value::Int(value)
                if usize::try_from(value.unsigned_abs()).is_ok_and(|v| v <= NUMBER_MAX) =>
            {
                Some(*value)
            }
            _ => None,
        }
    }

    /// An explicit operand index `[n]`, where one stands here.
    fn index(&mut self) -> bool {
        if !self.rest().starts_with('[') {
            return false;
        }
        self.reordered = true;
        let Some(close) = self.rest().find(']') else {
            self.good_arg = false;
            self.at += 1;
            return false;
        };
        let number: Option<usize> = self.rest()[1..close].parse().ok();
        self.at += close + 1;
        match number.and_then(|n| n.checked_sub(1)).filter(|n| *n < self.args.len()) {
            Some(index) => {
                self.arg = index;
                true
            }
            None => {
                self.good_arg = false;
                number.is_some()
            }
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    sharp_v: bool,
    plus_v: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'a> {
    out: &'a mut Text,
    flags: Flags,
    /// A complaint about a verb prints its operand; it does not complain again.
    complaining: bool,
}

impl<'a> Printer<'a> {
    fn new(out: &'a mut Text) -> Self {
        Self { out, flags: Flags::default(), complaining: false }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) -> Result {
        if verb == 'T' {
            return self.string(&value.type_name(), 's', value);
        }
        match value {
            Value::Nil if verb == 'v' => self.pad("<nil>"),
            Value::Nil => self.complain(verb, value),
            Value::Bool(b) => match verb {
                't' | 'v' => self.pad(if *b { "true" } else { "false" }),
                _ => self.complain(verb, value),
            },
            Value::Int(int) => self.int(*int, verb, value),
            Value::Float(float) => self.float(*float, verb, value),
            Value::Complex(re, im) => match verb {
                'v' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'x' | 'X' => {
                    self.out.push('(')?;
                    self.float(*re, verb, value)?;
                    let plus = std::mem::replace(&mut self.flags.plus, true);
                    self.float(*im, verb, value)?;
                    self.flags.plus = plus;
                    self.out.push_str("i)")
                }
                _ => self.complain(verb, value),
            },
            Value::String(text) => self.string(text, verb, value),
            Value::Time(time) => self.string(&time.text(), verb, value),
            Value::Histogram(text) => self.string(text, verb, value),
            Value::Duration(duration) => self.named(&duration.text(), duration.nanos, verb, value),
            Value::Month(month) => self.named(month_name(*month), i64::from(*month), verb, value),
            Value::Weekday(day) => self.named(weekday_name(*day), i64::from(*day), verb, value),
            Value::Labels(labels) => self.map(
                "map[string]string",
                labels.iter().map(|(name, value)| (name, Value::from(value))),
                verb,
                depth,
            ),
            Value::Map(map) => self.map(
                "map[string]interface {}",
                map.iter().map(|(name, value)| (name, value.clone())),
                verb,
                depth,
            ),
            Value::List(list) => self.list(list.iter().cloned(), verb, depth),
            Value::Samples(samples) => {
                self.list(samples.iter().cloned().map(Value::Sample), verb, depth)
            }
            Value::Sample(sample) => {
                let fields = [
                    ("Labels", Value::from(sample.labels.clone())),
                    ("Value", sample.value.into()),
                ];
                if depth == 0 {
                    self.out.push('&')?;
                }
                self.record(fields.iter().map(|(name, value)| (*name, value)), verb, depth)
            }
            Value::Record(record) => {
                self.record(record.fields.iter().map(|(name, value)| (*name, value)), verb, depth)
            }
        }
    }

    fn map<'v>(
        &mut self,
        type_name: &str,
        entries: impl Iterator<Item = (&'v str, Value)>,
        verb: char,
        depth: usize,
    ) -> Result {
        let go_syntax = self.flags.sharp_v;
        self.out.push_str(if go_syntax { type_name } else { "map" })?;
        self.out.push(if go_syntax { '{' } else { '[' })?;
        for (i, (name, value)) in entries.enumerate() {
            if i > 0 {
                self.out.push_str(if go_syntax { ", " } else { " " })?;
            }
            self.value(&Value::from(name), verb, depth + 1)?;
            self.out.push(':')?;
            self.value(&value, verb, depth + 1)?;
        }
        self.out.push(if go_syntax { '}' } else { ']' })
    }

    fn list(&mut self, items: impl Iterator<Item = Value>, verb: char, depth: usize) -> Result {
        self.out.push('[')?;
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.out.push(' ')?;
            }
            self.value(&item, verb, depth + 1)?;
        }
        self.out.push(']')
    }

    fn record<'v>(
        &mut self,
        fields: impl Iterator<Item = (&'static str, &'v Value)>,
        verb: char,
        depth: usize,
    ) -> Result {
        let named = self.flags.plus_v || self.flags.sharp_v;
        self.out.push('{')?;
        for (i, (name, value)) in fields.enumerate() {
            if i > 0 {
                self.out.push_str(if self.flags.sharp_v { ", " } else { " " })?;
            }
            if named {
                self.out.push_str(name)?;
                self.out.push(':')?;
            }
            self.value(value, verb, depth + 1)?;
        }
        self.out.push('}')
    }

    /// `%!d(string=x)`: the verb does not suit the operand.
    fn complain(&mut self, verb: char, value: &Value) -> Result {
        if self.complaining {
            return self.out.push_str("?");
        }
        self.out.push_str(&format!("%!{verb}("))?;
        if *value == Value::Nil {
            self.out.push_str("<nil>")?;
        } else {
            self.out.push_str(&value.type_name())?;
            self.out.push('=')?;
            self.complaining = true;
            self.value(value, 'v', 0)?;
            self.complaining = false;
        }
        self.out.push(')')
    }

    /// A number that has a name: text to the verbs of text, a number to the others.
    fn named(&mut self, name: &str, number: i64, verb: char, value: &Value) -> Result {
        if "vsqxX".contains(verb) && !self.flags.sharp_v {
            self.string(name, verb, value)
        } else {
            self.int(number, verb, value)
        }
    }

    fn pad(&mut self, text: &str) -> Result {
        let width = self.flags.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.flags.minus {
            self.out.push_str(text)?;
            return self.out.repeat(' ', width);
        }
        self.out.repeat(if self.flags.zero { '0' } else { ' ' }, width)?;
        self.out.push_str(text)
    }

    fn pad_with_blanks(&mut self, text: &str) -> Result {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text)?;
        self.flags.zero = zero;
        Ok(())
    }

    fn string(&mut self, text: &str, verb: char, value: &Value) -> Result {
        let truncated: String;
        let text = match self.flags.precision {
            Some(runes) if !"xX".contains(verb) => {
                truncated = text.chars().take(runes).collect();
                &truncated
            }
            _ => text,
        };
        match verb {
            'v' if self.flags.sharp_v => self.pad(&quote(text)),
            's' | 'v' => self.pad(text),
            'q' if self.flags.sharp && can_back_quote(text) => self.pad(&format!("`{text}`")),
            'q' => self.pad(&quote_with(text, '"', self.flags.plus)),
            'x' | 'X' => {
                let hex = self.hex(text.as_bytes(), verb);
                self.pad(&hex)
            }
            _ => self.complain(verb, value),
        }
    }

    fn hex(&self, bytes: &[u8], verb: char) -> String {
        let bytes = &bytes[..self.flags.precision.unwrap_or(bytes.len()).min(bytes.len())];
        let prefix = if self.flags.sharp { "0x" } else { "" };
        let pairs: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let text = if bytes.is_empty() {
            String::new()
        } else if self.flags.space {
            pairs.iter().map(|pair| format!("{prefix}{pair}")).collect::<Vec<_>>().join(" ")
        } else {
            format!("{prefix}{}", pairs.concat())
        };
        if verb == 'X' { text.to_uppercase() } else { text }
    }

    fn int(&mut self, int: i64, verb: char, value: &Value) -> Result {
        let magnitude = int.unsigned_abs();
        let code = || u32::try_from(int).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
        let (digits, prefix) = match verb {
            'd' | 'v' => (magnitude.to_string(), ""),
            'b' => (format!("{magnitude:b}"), "0b"),
            'o' => (format!("{magnitude:o}"), "0"),
            'O' => (format!("{magnitude:o}"), ""),
            'x' => (format!("{magnitude:x}"), "0x"),
            'X' => (format!("{magnitude:X}"), "0X"),
            'c' => return self.pad(&code().to_string()),
            'q' => {
                let quoted = quote_with(&code().to_string(), '\'', self.flags.plus);
                return self.pad(&quoted);
            }
            'U' => {
                let digits = self.flags.precision.unwrap_or(4).max(4);
                let shown = crate::quote::is_print(code()) && self.flags.sharp;
                let character = if shown { format!(" '{}'", code()) } else { String::new() };
                return self.pad_with_blanks(&format!("U+{magnitude:0digits$X}{character}"));
            }
            _ => return self.complain(verb, value),
        };
        let sign = match (int < 0, self.flags.plus, self.flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        if self.flags.precision == Some(0) && int == 0 {
            return self.pad_with_blanks("");
        }
        // Zeros go between sign and digits, so they are digits and no padding.
        let digits_min = match (self.flags.precision, self.flags.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width.saturating_sub(sign.len())
            }
            _ => 0,
        };
        let zeros = "0".repeat(digits_min.saturating_sub(digits.len()));
        let prefix = match verb {
            'O' => "0o",
            _ if self.flags.sharp => prefix,
            _ => "",
        };
        self.pad_with_blanks(&format!("{sign}{prefix}{zeros}{digits}"))
    }

    fn float(&mut self, float: f64, verb: char, value: &Value) -> Result {
        let (form, default) = match verb {
            'v' => ('g', None),
            'e' | 'E' => (verb, Some(6)),
            'f' | 'F' => ('f', Some(6)),
            'g' | 'G' | 'x' | 'X' => (verb, None),
            _ => return self.complain(verb, value),
        };
        let precision = self.flags.precision.or(default);
        let mut text = format_float(float, form, precision);
        if self.flags.sharp && float.is_finite() {
            text = with_decimal_point(&text, form, precision);
        }
        let (sign, digits) = match text.strip_prefix(['+', '-']) {
            Some(digits) => (&text[..1], digits),
            None => ("+", &*text),
        };
        let sign = if sign == "+" && self.flags.space && !self.flags.plus { " " } else { sign };
        if float.is_infinite() {
            return self.pad_with_blanks(&format!("{sign}{digits}"));
        }
        if float.is_nan() {
            let sign = if self.flags.space || self.flags.plus { sign } else { "" };
            return self.pad_with_blanks(&format!("{sign}{digits}"));
        }
        if sign == "+" && !self.flags.plus {
            return self.pad(digits);
        }
        match self.flags.width {
            Some(width) if self.flags.zero && !self.flags.minus => {
                self.out.push_str(sign)?;
                self.out.repeat('0', width.saturating_sub(sign.len() + digits.len()))?;
                self.out.push_str(digits)
            }
            _ => self.pad(&format!("{sign}{digits}")),
        }
    }
}

/// What the flag `#` does to a float: a decimal point always, and `%g` keeps its zeros.
fn with_decimal_point(text: &str, form: char, precision: Option<usize>) -> String {
    let split = if form.eq_ignore_ascii_case(&'x') { ['p', 'P'] } else { ['e', 'E'] };
    let (mantissa, exponent) = text.split_at(text.find(split).unwrap_or(text.len()));
    let mut mantissa = mantissa.to_owned();
    if !mantissa.contains('.') {
        mantissa.push('.');
    }
    if form.eq_ignore_ascii_case(&'g') {
        let significant = mantissa
            .chars()
            .filter(char::is_ascii_digit)
            .skip_while(|c| *c == '0')
            .count()
            .max(usize::from(text == "0"));
        let wanted = precision.unwrap_or(6);
        mantissa.extend(std::iter::repeat_n('0', wanted.saturating_sub(significant)));
    }
    format!("{mantissa}{exponent}")
}

fn can_back_quote(text: &str) -> bool {
    !text.chars().any(|c| c == '`' || c == '\u{feff}' || (c.is_control() && c != '\t'))
}

/// `value` as `%v` prints it, for messages.
pub(crate) fn shown(value: &Value) -> String {
    const SHOWN_BYTES_MAX: usize = 4096;
    if let Value::Float(float) = value {
        return format_shortest(*float);
    }
    let mut out = Text::new(SHOWN_BYTES_MAX);
    match print(&mut out, std::slice::from_ref(value)) {
        Ok(()) => out.into_string(),
        Err(TooLong) => format!("{}...", out.into_string()),
    }
}
