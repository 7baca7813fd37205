//! The notation of histograms in tests: `schema:1 sum:5 count:3 buckets:[1 2]`.

use paramedic_model::{BucketSpan, Histogram, ResetHint};

use crate::parse::parse_number;

/// Reads what stands between `{{` and `}}`. The flag says whether a counter reset hint is written.
pub(crate) fn parse_histogram(text: &str) -> Result<(Histogram, bool), String> {
    let mut histogram = Histogram::default();
    let (mut offset, mut negative_offset, mut has_hint) = (0, 0, false);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once(':') else {
            return Err(format!("unexpected {rest:?} in histogram description"));
        };
        let end = match after.starts_with('[') {
            true => {
                after.find(']').map(|at| at + 1).ok_or("unclosed \"[\" in histogram description")?
            }
            false => after.find([' ', '\t']).unwrap_or(after.len()),
        };
        let (value, after) = after.split_at(end);
        rest = after.trim_start();
        match key {
            "schema" => histogram.schema = integer(value)?,
            "sum" => histogram.sum = number(value)?,
            "count" => histogram.count = number(value)?,
            "z_bucket" => histogram.zero_count = number(value)?,
            "z_bucket_w" => histogram.zero_threshold = number(value)?,
            "buckets" => histogram.positive_buckets = numbers(value)?,
            "n_buckets" => histogram.negative_buckets = numbers(value)?,
            "custom_values" => histogram.custom_values = numbers(value)?,
            "offset" => offset = integer(value)?,
            "n_offset" => negative_offset = integer(value)?,
            "counter_reset_hint" => {
                has_hint = true;
                histogram.reset_hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    _ => return Err(format!("bad histogram descriptor found: {value:?}")),
                };
            }
            _ => return Err(format!("bad histogram descriptor found: {key:?}")),
        }
    }
    let span = |offset, counts: &[f64]| match u32::try_from(counts.len()) {
        Ok(length) if length > 0 => vec![BucketSpan { offset, length }],
        _ => Vec::new(),
    };
    histogram.positive_spans = span(offset, &histogram.positive_buckets);
    histogram.negative_spans = span(negative_offset, &histogram.negative_buckets);
    Ok((histogram, has_hint))
}

fn number(text: &str) -> Result<f64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = parse_number(digits).ok_or_else(|| format!("bad number syntax: {text:?}"))?;
    Ok(sign * number)
}

fn integer(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("bad number syntax: {text:?}"))
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    let list = text.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    let list = list.ok_or_else(|| format!("expected a list of numbers, found {text:?}"))?;
    list.split_whitespace().map(number).collect()
}
