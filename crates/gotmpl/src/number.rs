//! Numbers as Go's `strconv` reads and prints them.

/// Why a text is no float; the words are Go's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatError {
    Syntax,
    Range,
}

/// Reads a float: decimal or hexadecimal with a `p` exponent, single underscores between digits,
/// `inf`, `infinity` and `nan` in any case; no blanks.
pub(crate) fn parse_float(text: &str) -> Result<f64, FloatError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_hex = unsigned.starts_with("0x") || unsigned.starts_with("0X");
    let plain;
    let text = if text.contains('_') {
        if !underscores_separate_digits(unsigned) {
            return Err(FloatError::Syntax);
        }
        plain = text.replace('_', "");
        plain.as_str()
    } else {
        text
    };
    if is_hex {
        return parse_hex_float(text);
    }
    let value: f64 = text.parse().map_err(|_| FloatError::Syntax)?;
    if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
        return Err(FloatError::Range);
    }
    Ok(value)
}

/// Whether every underscore stands after a digit (or a base prefix) and before another.
fn underscores_separate_digits(unsigned: &str) -> bool {
    let is_hex = unsigned.starts_with("0x") || unsigned.starts_with("0X");
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_digit(if is_hex { 16 } else { 10 }));
    let chars: Vec<char> = unsigned.chars().collect();
    let has_prefix = chars.len() > 1 && chars[0] == '0' && chars[1].is_ascii_alphabetic();
    chars.iter().enumerate().filter(|(_, c)| **c == '_').all(|(i, _)| {
        let before = i.checked_sub(1).map(|i| chars[i]);
        (is_digit(before) || (has_prefix && i == 2)) && is_digit(chars.get(i + 1).copied())
    })
}

fn parse_hex_float(text: &str) -> Result<f64, FloatError> {
    let negative = text.starts_with('-');
    let digits = &text.trim_start_matches(['+', '-'])[2..];
    let (mantissa, exponent) = digits.split_once(['p', 'P']).ok_or(FloatError::Syntax)?;
    let exponent: i32 = exponent.parse().map_err(|_| FloatError::Syntax)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 {
        return Err(FloatError::Syntax);
    }
    let mut value = 0.0f64;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16).ok_or(FloatError::Syntax)?);
    }
    let fraction_bits = i32::try_from(fraction.len()).unwrap_or(i32::MAX / 8) * 4;
    value *= 2f64.powi(exponent.saturating_sub(fraction_bits));
    if value.is_infinite() {
        return Err(FloatError::Range);
    }
    Ok(if negative { -value } else { value })
}

pub(crate) enum ParsedInt {
    Int(i64),
    /// Fits 64 bits without a sign only.
    TooLarge,
    Overflow,
    Bad,
}

/// Reads an int constant with Go's base prefixes: `0x`, `0o`, `0b`, and a leading zero for octal.
pub(crate) fn parse_int(text: &str) -> ParsedInt {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, &*lower)
    };
    if unsigned.contains('_') && !underscores_separate_digits(unsigned) {
        return ParsedInt::Bad;
    }
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return ParsedInt::Bad;
    }
    match i128::from_str_radix(&digits, radix) {
        Ok(value) => {
            let value = if negative { -value } else { value };
            match i64::try_from(value) {
                Ok(value) => ParsedInt::Int(value),
                Err(_) if u64::try_from(value).is_ok() => ParsedInt::TooLarge,
                Err(_) => ParsedInt::Overflow,
            }
        }
        Err(_) => ParsedInt::Overflow,
    }
}

/// More decimals than any finite float has; beyond them stand zeros only.
const DECIMALS_MAX: usize = 1100;

/// Prints `value` as `strconv.FormatFloat` does, for the verbs `e E f g G x X`.
///
/// Without `precision` the shortest digits that read back exactly are printed.
pub(crate) fn format_float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = match verb.to_ascii_lowercase() {
        'e' => exponent_form(&digits(value, precision.map(|p| p + 1)), precision),
        'f' => decimals(value, precision),
        'x' => hex_form(value, precision),
        _ => general(value, precision),
    };
    let text = if verb.is_ascii_uppercase() { text.to_uppercase() } else { text };
    if value.is_sign_negative() { format!("-{text}") } else { text }
}

/// `value` with Go's `%v` and `%g`: `1e+06`, `0.5`, `123456`.
pub fn format_shortest(value: f64) -> String {
    format_float(value, 'g', None)
}

/// Decimal digits `d.ddd` times ten to the `exponent`, without trailing zeros.
struct Digits {
    digits: String,
    exponent: i32,
}

fn digits(value: f64, significant: Option<usize>) -> Digits {
    let text = match significant {
        Some(n) => format!("{:.*e}", n.clamp(1, DECIMALS_MAX) - 1, value.abs()),
        None => format!("{:e}", value.abs()),
    };
    let (mantissa, exponent) = text.split_once('e').expect("`{:e}` prints an exponent");
    let digits = mantissa.replace('.', "");
    Digits {
        digits: digits.trim_end_matches('0').to_owned(),
        exponent: exponent.parse().expect("`{:e}` prints a decimal exponent"),
    }
}

fn exponent_form(digits: &Digits, precision: Option<usize>) -> String {
    let mut chars = digits.digits.chars();
    let mut text = String::from(chars.next().unwrap_or('0'));
    let mut rest: String = chars.collect();
    if let Some(precision) = precision {
        rest.extend(std::iter::repeat_n('0', precision.saturating_sub(rest.len())));
    }
    if !rest.is_empty() {
        text.push('.');
        text.push_str(&rest);
    }
    let sign = if digits.exponent < 0 { '-' } else { '+' };
    format!("{text}e{sign}{:02}", digits.exponent.unsigned_abs())
}

fn decimals(value: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision else {
        // Rust's plain form is the shortest without an exponent, as Go's `%f` with precision -1.
        return format!("{}", value.abs());
    };
    let mut text = format!("{:.*}", precision.min(DECIMALS_MAX), value.abs());
    text.extend(std::iter::repeat_n('0', precision.saturating_sub(DECIMALS_MAX)));
    text
}

fn general(value: f64, precision: Option<usize>) -> String {
    /// Where the digits are the shortest, six decides between the two forms.
    const SHORTEST_THRESHOLD: i32 = 6;
    let precision = precision.map(|p| p.max(1));
    let found = digits(value, precision);
    let threshold = precision.map_or(SHORTEST_THRESHOLD, |p| i32::try_from(p).unwrap_or(i32::MAX));
    let exponent = if found.digits.is_empty() { 0 } else { found.exponent };
    if exponent < -4 || exponent >= threshold {
        return exponent_form(&found, None);
    }
    if found.digits.is_empty() {
        return "0".to_owned();
    }
    let mut digits = found.digits;
    if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("0.{}{digits}", "0".repeat(zeros));
    }
    let point = usize::try_from(exponent).unwrap_or(0) + 1;
    if digits.len() <= point {
        digits.extend(std::iter::repeat_n('0', point - digits.len()));
        return digits;
    }
    digits.insert(point, '.');
    digits
}

fn hex_form(value: f64, precision: Option<usize>) -> String {
    let bits = value.abs().to_bits();
    let mut exponent = i64::try_from(bits >> 52).unwrap_or(0);
    let mut mantissa = bits & ((1 << 52) - 1);
    if bits == 0 {
        exponent = 0;
    } else if exponent == 0 {
        // Subnormal: shift the leading one into its place.
        let shift = mantissa.leading_zeros() - 11;
        mantissa = (mantissa << shift) & ((1 << 52) - 1);
        exponent = -1022 - i64::from(shift);
    } else {
        exponent -= 1023;
    }
    let mut leading = u64::from(bits != 0);
    let mut hex = format!("{mantissa:013x}");
    match precision {
        None => hex.truncate(hex.trim_end_matches('0').len()),
        Some(precision) if precision < 13 => {
            let dropped_bits = 4 * (13 - precision);
            let full = (leading << 52) | mantissa;
            let half = 1u64 << (dropped_bits - 1);
            let mut kept = full >> dropped_bits;
            let rest = full & ((1 << dropped_bits) - 1);
            if rest > half || (rest == half && kept & 1 == 1) {
                kept += 1;
            }
            leading = kept >> (4 * precision);
            let kept = kept & ((1u64 << (4 * precision)) - 1);
            hex = if precision == 0 { String::new() } else { format!("{kept:0precision$x}") };
        }
        Some(precision) => hex.extend(std::iter::repeat_n('0', precision - 13)),
    }
    let point = if hex.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{leading}{point}{hex}p{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go() {
        let check = |value: f64, verb, precision, text: &str| {
            assert_eq!(format_float(value, verb, precision), text, "{value} %.{precision:?}{verb}");
        };
        check(999_999.0, 'g', None, "999999");
        check(1e6, 'g', None, "1e+06");
        check(1_234_567.0, 'g', None, "1.234567e+06");
        check(0.0001, 'g', None, "0.0001");
        check(0.00001, 'g', None, "1e-05");
        check(-0.0, 'g', None, "-0");
        check(0.125, 'f', Some(2), "0.12");
        check(2.675, 'f', Some(2), "2.67");
        check(0.5, 'f', Some(0), "0");
        check(1.5, 'f', Some(0), "2");
        check(2.5, 'f', Some(0), "2");
        check(1.25, 'e', Some(1), "1.2e+00");
        check(1e300, 'f', Some(0), &format!("{:.0}", 1e300));
        check(99.95, 'g', Some(3), "100");
        check(999.99, 'g', Some(4), "1000");
        check(9999.9, 'g', Some(4), "1e+04");
        check(1.0, 'x', None, "0x1p+00");
        check(3.5, 'x', None, "0x1.cp+01");
        check(1.0 / 3.0, 'f', Some(2000), &format!("{:.1100}{}", 1.0 / 3.0, "0".repeat(900)));
    }

    #[test]
    fn reads_as_go() {
        let check = |text: &str, want: Result<f64, FloatError>| {
            assert_eq!(parse_float(text), want, "{text}");
        };
        check("1e3", Ok(1000.0));
        check("1_000", Ok(1000.0));
        check("0x1p3", Ok(8.0));
        check("-0x1.8p1", Ok(-3.0));
        check("+Inf", Ok(f64::INFINITY));
        for bad in ["", " 1", "1 ", "_1", "1_", "1__0", "0x10", "0x", "0xp1", "abc", "1_e3"] {
            check(bad, Err(FloatError::Syntax));
        }
        check("1e999", Err(FloatError::Range));
    }
}
