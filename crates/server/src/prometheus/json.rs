//! Values as Prometheus writes them, to the byte.

use std::fmt::Write as _;

use paramedic_model::{Histogram, Labels, TimeMs, is_histogram};
use paramedic_promql::{Bucket, Value, all_buckets};

/// `{"resultType":...,"result":...}` with at most `limit` series, and whether some were left out. An
/// instant value stands at `at`.
pub(super) fn result(value: &Value, at: TimeMs, limit: Option<usize>) -> (String, bool) {
    let mut out = String::new();
    let kind = match value {
        Value::Scalar(_) => "scalar",
        Value::String(_) => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    };
    let _ = write!(out, r#"{{"resultType":"{kind}","result":"#);
    let mut is_cut = false;
    let mut shown = |count: usize| {
        let most = limit.unwrap_or(count);
        is_cut = count > most;
        count.min(most)
    };
    match value {
        // The two that Prometheus writes with another encoder than the rest.
        Value::Scalar(value) => {
            let _ = write!(out, r#"[{},"{}"]"#, at.as_secs_f64(), plain(*value));
        }
        Value::String(text) => {
            let _ = write!(out, "[{},", at.as_secs_f64());
            html_safe(&mut out, text);
            out.push(']');
        }
        Value::Vector(elements) => {
            list(&mut out, &elements[..shown(elements.len())], |out, element| {
                out.push_str(r#"{"metric":"#);
                labels(out, &element.labels);
                match &element.histogram {
                    Some(value) => {
                        out.push_str(r#","histogram":"#);
                        histogram(out, at, value);
                    }
                    None => {
                        out.push_str(r#","value":"#);
                        sample(out, at, element.value);
                    }
                }
                out.push('}');
            });
        }
        Value::Matrix(series) => {
            list(&mut out, &series[..shown(series.len())], |out, series| {
                out.push_str(r#"{"metric":"#);
                labels(out, &series.labels);
                let numbers = series.samples.iter().filter(|one| !is_histogram(one.value));
                if series.samples.len() > series.histograms.len() {
                    out.push_str(r#","values":"#);
                    list(out, numbers, |out, one| sample(out, one.at, one.value));
                }
                if !series.histograms.is_empty() {
                    out.push_str(r#","histograms":"#);
                    list(out, &series.histograms, |out, one| {
                        histogram(out, one.at, &one.histogram)
                    });
                }
                out.push('}');
            });
        }
    }
    out.push('}');
    (out, is_cut)
}

/// JSON with what may be taken for markup escaped, as Go's encoder does. Outside of texts these
/// characters do not occur.
pub(super) fn html_safe_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// A list of what `write` makes of each item.
pub(super) fn list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// A label set as an object.
pub(super) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        text(out, name);
        out.push(':');
        text(out, value);
    }
    out.push('}');
}

fn sample(out: &mut String, at: TimeMs, value: f64) {
    out.push('[');
    timestamp(out, at);
    out.push_str(",\"");
    number(out, value);
    out.push_str("\"]");
}

fn histogram(out: &mut String, at: TimeMs, histogram: &Histogram) {
    out.push('[');
    timestamp(out, at);
    out.push_str(r#",{"count":""#);
    number(out, histogram.count);
    out.push_str(r#"","sum":""#);
    number(out, histogram.sum);
    out.push('"');
    let is_custom = histogram.schema == Histogram::CUSTOM_BUCKETS;
    let mut buckets = all_buckets(histogram);
    buckets.retain(|bucket| bucket.count != 0.0);
    if !buckets.is_empty() {
        out.push_str(r#","buckets":"#);
        list(out, buckets, |out, bucket| {
            // Which bounds belong to it: 0 the upper, 1 the lower, 2 none, 3 both.
            let bounds = match bucket {
                Bucket { lower: f64::NEG_INFINITY, .. } if is_custom => 3,
                _ if is_custom => 0,
                Bucket { lower, upper, .. } if lower <= 0.0 && upper >= 0.0 => 3,
                Bucket { lower, .. } if lower < 0.0 => 1,
                _ => 0,
            };
            let _ = write!(out, "[{bounds}");
            for value in [bucket.lower, bucket.upper, bucket.count] {
                out.push_str(",\"");
                number(out, value);
                out.push('"');
            }
            out.push(']');
        });
    }
    out.push_str("}]");
}

/// Seconds: whole ones, or exactly three decimals.
fn timestamp(out: &mut String, at: TimeMs) {
    let ms = at.0.unsigned_abs();
    let sign = if at.0 < 0 { "-" } else { "" };
    let _ = match ms % 1000 {
        0 => write!(out, "{sign}{}", ms / 1000),
        rest => write!(out, "{sign}{}.{rest:03}", ms / 1000),
    };
}

/// The shortest digits that read back exactly; an exponent where Go's encoder has one.
pub(super) fn number(out: &mut String, value: f64) {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        let _ = write!(out, "{value}");
    } else if value.is_finite() {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { '-' } else { '+' };
        let _ = write!(out, "{digits}e{sign}{:0>2}", exponent.trim_start_matches('-'));
    } else {
        out.push_str(&plain(value));
    }
}

/// Never with an exponent.
fn plain(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// A text as JSON.
pub(super) fn text(out: &mut String, text: &str) {
    escaped(out, text, |_| false);
}

/// A text as JSON that is harmless in HTML, as Prometheus writes everything but labels.
pub(super) fn html_safe(out: &mut String, text: &str) {
    escaped(out, text, |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'));
}

fn escaped(out: &mut String, text: &str, also: impl Fn(char) -> bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || also(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_go_writes_them() {
        let check = |value: f64, expected: &str| {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, expected);
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(-2.5, "-2.5");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1e-6, "0.000001");
        check(1e-7, "1e-07");
        check(-1.25e-7, "-1.25e-07");
        check(5e-324, "5e-324");
        check(123_456_789_012_345_680_000.0, "123456789012345680000");
        check(1e21, "1e+21");
        check(f64::MAX, "1.7976931348623157e+308");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
    }

    #[test]
    fn times_are_seconds() {
        let check = |at: i64, expected: &str| {
            let mut out = String::new();
            timestamp(&mut out, TimeMs(at));
            assert_eq!(out, expected);
        };
        check(0, "0");
        check(1_435_781_430_781, "1435781430.781");
        check(1_795_228_932_670, "1795228932.670");
        check(1_000, "1");
        check(7, "0.007");
        check(-1_500, "-1.500");
        check(i64::MIN, "-9223372036854775.808");
    }

    #[test]
    fn texts_of_labels_are_not_made_safe_for_html() {
        let check = |write: fn(&mut String, &str), given: &str, expected: &str| {
            let mut out = String::new();
            write(&mut out, given);
            assert_eq!(out, expected);
        };
        check(text, "a\"\\\n\r\t\u{8}ä<&>", "\"a\\\"\\\\\\n\\r\\t\\u0008ä<&>\"");
        check(html_safe, "a < b && c", r#""a \u003c b \u0026\u0026 c""#);
    }
}
