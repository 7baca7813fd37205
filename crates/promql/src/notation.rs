//! The notation of series in tests: `up{job="a"} 1 1 0 _ stale 1+2x3`.

use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_model::{Histogram, Labels, METRIC_NAME, histogram_nan, stale_nan};

use crate::histogram::{HistogramSum, parse_histogram, scaled};
use crate::lex::{Token, TokenKind, lex};
use crate::parse::parse_number;
use crate::text::unquote;
use crate::{ParseError, Span};

/// A series and its values at successive steps, as rule unit tests and promqltest scripts write it.
#[derive(Clone, Debug)]
pub struct SeriesNotation {
    /// The label set.
    pub labels: Labels,
    /// The value at each step; `None` where there is no sample. Where it is a native histogram, the
    /// NaN that stands for it.
    pub values: Vec<Option<f64>>,
    /// The histograms, by step.
    pub histograms: BTreeMap<usize, HistogramNotation>,
}

/// A native histogram, as `{{schema:1 count:3 sum:4 buckets:[1 2]}}` writes it.
#[derive(Clone, Debug)]
pub struct HistogramNotation {
    /// The histogram.
    pub histogram: Arc<Histogram>,
    /// Whether it is written what is known of a counter reset: only then it is meant.
    pub has_reset_hint: bool,
}

/// How many values a notation may stand for: `1x1000000000` is a mistake, not a test.
const VALUES_MAX: usize = 10_000_000;

/// Reads one series with its values: `up{job="a"} 1 1 0 _x3 stale 1+2x3`.
///
/// # Errors
///
/// Where the text is no such series.
pub fn parse_series(text: &str) -> Result<SeriesNotation, ParseError> {
    let (labels, end) = parse_labels(text)?;
    let mut values = Vec::new();
    let mut histograms = BTreeMap::new();
    let mut at = end;
    while at < text.len() {
        let item = &text[at..at + item_length(&text[at..])];
        let span = Span::new(at, at + item.len());
        at += item.len() + 1;
        if item.is_empty() {
            continue;
        }
        let fail = |message: String| ParseError::new(span, message, text);
        if item.starts_with("{{") {
            for histogram in parse_histograms(item).map_err(fail)? {
                histograms.insert(values.len(), histogram);
                values.push(Some(histogram_nan()));
            }
            continue;
        }
        let repeated = parse_item(item).map_err(fail)?;
        if values.len() + repeated.count > VALUES_MAX {
            return Err(fail(format!("more than {VALUES_MAX} values")));
        }
        let mut value = repeated.first;
        for _ in 0..repeated.count {
            values.push(value);
            // By repeated addition, as in Prometheus, and not by multiplication.
            // (A staleness marker does not survive the addition of 0.)
            if repeated.growth != 0.0 {
                value = value.map(|value| value + repeated.growth);
            }
        }
    }
    Ok(SeriesNotation { labels, values, histograms })
}

/// How long the item is that a text begins with: up to a blank that is not within `{{` and `}}`.
fn item_length(text: &str) -> usize {
    let (mut at, bytes) = (0, text.as_bytes());
    while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t') {
        let inside = text[at..].starts_with("{{").then(|| text[at..].find("}}")).flatten();
        at += inside.map_or(1, |length| length + 2);
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    at
}

/// `{{a}}`, `{{a}}x3`, `{{a}}+{{b}}x3` and `{{a}}-{{b}}x3`.
fn parse_histograms(item: &str) -> Result<Vec<HistogramNotation>, String> {
    let unclosed = || "unclosed histogram description".to_owned();
    let one = |text: &str| -> Result<(Histogram, bool, String), String> {
        let inner = text.strip_prefix("{{").ok_or_else(unclosed)?;
        let (inner, rest) = inner.split_once("}}").ok_or_else(unclosed)?;
        let (histogram, has_reset_hint) = parse_histogram(inner)?;
        Ok((histogram, has_reset_hint, rest.to_owned()))
    };
    let (histogram, mut has_reset_hint, mut rest) = one(item)?;
    let mut growth = None;
    if let Some(grows) = rest.strip_prefix(['+', '-']) {
        let (mut by, by_has_hint, after) = one(grows)?;
        if by.schema < histogram.schema {
            return Err(format!(
                "error combining histograms: cannot merge from schema {} to {}",
                by.schema, histogram.schema
            ));
        }
        if rest.starts_with('-') {
            let hint = by.reset_hint;
            by = Histogram { reset_hint: hint, ..scaled(&by, -1.0) };
        }
        (growth, has_reset_hint, rest) = (Some(by), by_has_hint, after);
    }
    let count = match rest.strip_prefix('x') {
        Some(count) => times(count)?.saturating_add(1),
        None if rest.is_empty() => 1,
        None => return Err(format!("unexpected {rest:?} in series values")),
    };
    if count > VALUES_MAX {
        return Err(format!("more than {VALUES_MAX} values"));
    }
    let mut histogram = histogram;
    let mut histograms = Vec::new();
    for _ in 0..count {
        histograms
            .push(HistogramNotation { histogram: Arc::new(histogram.clone()), has_reset_hint });
        if let Some(growth) = &growth {
            let mut sum = HistogramSum::of(&histogram);
            sum.add(growth).map_err(|_| "error combining histograms".to_owned())?;
            histogram = sum.histogram();
        }
    }
    Ok(histograms)
}

fn times(count: &str) -> Result<usize, String> {
    count.parse().map_err(|_| format!("invalid repetition in series values: {count:?}"))
}

/// The labels that a text begins with, and where they end.
fn parse_labels(text: &str) -> Result<(Labels, usize), ParseError> {
    let end = match text.find(['{', ' ', '\t']) {
        Some(at) if text[at..].starts_with('{') => closing_brace(text, at),
        Some(at) => at,
        None => text.len(),
    };
    let head = &text[..end];
    let fail = |token: &Token| {
        let message = match &token.kind {
            TokenKind::Error(message) => message.clone(),
            _ => format!("unexpected {} in series", token.describe(head)),
        };
        ParseError::new(token.span, message, text)
    };
    let tokens = lex(head);
    let mut rest = tokens.iter().peekable();
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(name) = rest.next_if(|token| token.kind != TokenKind::LeftBrace) {
        if matches!(name.kind, TokenKind::End | TokenKind::Error(_)) {
            return Err(fail(name));
        }
        pairs.push((METRIC_NAME.to_owned(), name.span.of(head).to_owned()));
    }
    let text_of = |token: &Token| match token.kind {
        TokenKind::Identifier => Ok(token.span.of(head).to_owned()),
        TokenKind::Quoted => unquote(token.span.of(head))
            .map(|text| text.to_lossy())
            .map_err(|message| ParseError::new(token.span, message, text)),
        _ => Err(fail(token)),
    };
    if rest.next_if(|token| token.kind == TokenKind::LeftBrace).is_some() {
        while rest.next_if(|token| token.kind == TokenKind::RightBrace).is_none() {
            let Some(first) = rest.next() else { break };
            let name = text_of(first)?;
            if rest.next_if(|token| token.kind == TokenKind::Assign).is_some() {
                let Some(value) = rest.next() else { break };
                pairs.push((name, text_of(value)?));
            } else if first.kind == TokenKind::Quoted {
                pairs.push((METRIC_NAME.to_owned(), name));
            } else {
                return Err(fail(rest.peek().copied().unwrap_or(first)));
            }
            rest.next_if(|token| token.kind == TokenKind::Comma);
        }
    }
    match rest.next() {
        Some(token) if token.kind != TokenKind::End => Err(fail(token)),
        _ => Ok((pairs.into_iter().collect(), end)),
    }
}

/// The byte after the brace that closes the one at `open`, or the end of the text.
fn closing_brace(text: &str, open: usize) -> usize {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in text[open..].char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"' | '\'') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' => return open + at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `count` values, the first one as it is and each further one grown.
struct Repeated {
    first: Option<f64>,
    growth: f64,
    count: usize,
}

fn parse_item(item: &str) -> Result<Repeated, String> {
    if let Some(rest) = item.strip_prefix('_') {
        let count = match rest.strip_prefix('x') {
            Some(count) => times(count)?,
            None if rest.is_empty() => 1,
            None => return Err(format!("unexpected {item:?} in series values")),
        };
        return Ok(Repeated { first: None, growth: 0.0, count });
    }
    let (value, count) = match item.split_once('x') {
        // `0+1x3` has four values.
        Some((value, count)) => (value, times(count)?.saturating_add(1)),
        None => (item, 1),
    };
    // A sign within, which does not belong to an exponent, parts the value from its growth.
    let growth_at = value
        .char_indices()
        .skip(1)
        .find(|(at, c)| matches!(c, '+' | '-') && !value[..*at].ends_with(['e', 'E']));
    let (value, growth) = match growth_at {
        Some((at, _)) => (&value[..at], signed_number(&value[at..])?),
        None => (value, 0.0),
    };
    Ok(Repeated { first: Some(signed_number(value)?), growth, count })
}

fn signed_number(text: &str) -> Result<f64, String> {
    if text == "stale" {
        return Ok(stale_nan());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let letters = digits.chars().all(|c| c.is_ascii_alphabetic());
    if letters && !matches!(&*digits.to_ascii_lowercase(), "inf" | "nan") {
        return Err(format!(
            "unexpected identifier {digits:?} in series values, expected number or \"stale\""
        ));
    }
    let number = parse_number(digits).ok_or_else(|| format!("bad number syntax: {digits:?}"))?;
    Ok(sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_stand_for_their_values() {
        let check = |text: &str, expected: &str| {
            let found = match parse_series(text) {
                Ok(series) => {
                    let values = series.values.iter().map(|value| match value {
                        None => "_".to_owned(),
                        Some(value) if paramedic_model::is_stale(*value) => "stale".to_owned(),
                        Some(value) => value.to_string(),
                    });
                    format!("{}: {}", series.labels, values.collect::<Vec<_>>().join(" "))
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{text}");
        };
        check("up 5", "up: 5");
        check("up{a=\"}\", b='c',} 1", r#"up{a="}", b="c"}: 1"#);
        check("{__name__=\"up\"}\t-2 +3", "up: -2 3");
        check("{\"odd.name\"} 1", r#"{__name__="odd.name"}: 1"#);
        check("up", "up: ");
        check("up _ _x3 7x3", "up: _ _ _ _ 7 7 7 7");
        check("up 1+2x3 10-4x2 -2+4x3", "up: 1 3 5 7 10 6 2 -2 2 6 10");
        check("up stalex2 1x0 _x0", "up: stale stale stale 1");
        check("up 0+0.1x3", "up: 0 0.1 0.2 0.30000000000000004");
        check("up 1e3 1e-3 Inf -inf NaN 1_000", "up: 1000 0.001 inf -inf NaN 1000");
        check("up {{count:1  sum:2 }}x1 3", "up: NaN NaN 3");
        check("up {{}}+{{buckets:[1]}}x2", "up: NaN NaN NaN");
        check("up {{count:x}}", "1:4: parse error: bad number syntax: \"x\"");
        check(
            "up 1 foo",
            "1:6: parse error: unexpected identifier \"foo\" in series values, expected number or \
             \"stale\"",
        );
        check("up{a=} 1", "1:6: parse error: unexpected \"}\" in series");
        check("up{", "1:4: parse error: unexpected end of input inside braces");
    }
}
