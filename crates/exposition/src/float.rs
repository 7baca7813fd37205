//! Numbers as both formats have them.

/// Reads a sample's value: decimal, `NaN`, `Inf` with or without sign, in any case. Hexadecimal
/// floats and underscores are refused, as in Prometheus.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    // Digits that yield infinity are out of range.
    let out_of_range = value.is_infinite() && text.contains(|c: char| c.is_ascii_digit());
    (!out_of_range).then_some(value)
}

/// A whole number of few digits at the start of a line's rest, and how long it is: most values are,
/// and so are read in a fraction of the time.
pub(crate) fn leading_whole(rest: &[u8]) -> Option<(f64, usize)> {
    /// So many digits fit into a float whatever they are.
    const DIGITS_MAX: usize = 15;
    let (mut value, mut len) = (0u64, 0);
    while let Some(digit) = rest.get(len).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        len += 1;
    }
    let ends = matches!(rest.get(len), None | Some(b' ' | b'\t' | b'\n'));
    (ends && (1..=DIGITS_MAX).contains(&len)).then_some((value as f64, len))
}

/// Prints the shortest digits that read back exactly: `1`, `0.25`, `1e+06`, `+Inf`.
pub(crate) fn format(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("`{:e}` prints an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` prints a decimal exponent");
    // The limits at which Go turns to the exponent form.
    if (-4..21).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// The form in which `le` and `quantile` values are kept: always recognizable as a float.
pub(crate) fn normalize(text: &str) -> Option<String> {
    let value = parse(text)?;
    if value.is_nan() || value.is_infinite() {
        return Some(format(value));
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("`{:e}` prints an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` prints a decimal exponent");
    // Go's `%g` with shortest digits decides as if six were the precision.
    if (-4..6).contains(&exponent) {
        let plain = format!("{value}");
        return Some(if plain.contains('.') { plain } else { plain + ".0" });
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("{digits}e{sign}{:02}", exponent.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_have_one_spelling() {
        let check = |text: &str, want: &str| assert_eq!(normalize(text).as_deref(), Some(want));
        check("1", "1.0");
        check("1.50", "1.5");
        check("1e3", "1000.0");
        check("1000000", "1e+06");
        check("0.00001", "1e-05");
        check("+Inf", "+Inf");
        check("inf", "+Inf");
        assert_eq!(normalize("fast"), None);
    }

    #[test]
    fn whole_numbers_are_read_as_any_other() {
        for text in ["0", "00", "7", "999999999999999", "120034"] {
            let found = leading_whole(format!("{text} 5").as_bytes());
            assert_eq!(found, Some((parse(text).unwrap(), text.len())));
            assert_eq!(leading_whole(text.as_bytes()), found);
        }
        for text in ["", "-1", "1.5", "1e3", "9999999999999999", "1\r", "NaN"] {
            assert_eq!(leading_whole(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn values_read_and_print() {
        let check = |text: &str, want: Option<f64>| assert_eq!(parse(text), want, "{text}");
        check("1", Some(1.0));
        check("-1.5e-3", Some(-0.0015));
        check("Inf", Some(f64::INFINITY));
        check("-inf", Some(f64::NEG_INFINITY));
        for bad in ["", "1_000", "0x10", "0x1p3", "1e999", "one", "1 "] {
            check(bad, None);
        }
        assert!(parse("nan").is_some_and(f64::is_nan));
        assert_eq!(format(1e6), "1000000");
        assert_eq!(format(1e21), "1e+21");
        assert_eq!(format(1.0e-7), "1e-07");
        assert_eq!(format(0.25), "0.25");
    }
}
