//! The canonical text of a native histogram: promtool compares these.

use std::fmt::Write as _;

use paramedic_model::{BucketSpan, Histogram, ResetHint};

/// `{{schema:1 count:3 sum:4 buckets:[1 2]}}`, without what is at its default and without empty
/// buckets at either end.
pub(crate) fn canonical(histogram: &Histogram) -> String {
    let mut items = Vec::new();
    let mut number = |key: &str, value: f64| {
        if value != 0.0 {
            items.push(format!("{key}:{value}"));
        }
    };
    number("schema", f64::from(histogram.schema));
    number("count", histogram.count);
    number("sum", histogram.sum);
    number("z_bucket", histogram.zero_count);
    number("z_bucket_w", histogram.zero_threshold);
    if histogram.schema == Histogram::CUSTOM_BUCKETS {
        items.push(format!("custom_values:{}", list(&histogram.custom_values)));
    }
    match histogram.reset_hint {
        ResetHint::Unknown => {}
        ResetHint::Reset => items.push("counter_reset_hint:reset".to_owned()),
        ResetHint::NotReset => items.push("counter_reset_hint:not_reset".to_owned()),
        ResetHint::Gauge => items.push("counter_reset_hint:gauge".to_owned()),
    }
    let mut side = |key: &str, offset_key: &str, spans: &[BucketSpan], counts: &[f64]| {
        let (offset, counts) = dense(spans, counts);
        if offset != 0 {
            items.push(format!("{offset_key}:{offset}"));
        }
        if !counts.is_empty() {
            items.push(format!("{key}:{}", list(&counts)));
        }
    };
    side("buckets", "offset", &histogram.positive_spans, &histogram.positive_buckets);
    side("n_buckets", "n_offset", &histogram.negative_spans, &histogram.negative_buckets);
    format!("{{{{{}}}}}", items.join(" "))
}

fn list(numbers: &[f64]) -> String {
    let mut text = "[".to_owned();
    for (i, number) in numbers.iter().enumerate() {
        let blank = if i == 0 { "" } else { " " };
        let _ = write!(text, "{blank}{number}");
    }
    text + "]"
}

/// How many empty buckets between two spans are written out. Spans further apart than this are of no
/// histogram that a person writes down, and the text would be as long as they are apart.
const GAP_MAX: i64 = 100_000;

/// The counts as one run, gaps filled with zeros, and the index of its first bucket.
fn dense(spans: &[BucketSpan], counts: &[f64]) -> (i64, Vec<f64>) {
    let (mut index, mut first, mut run, mut counts) = (0i64, 0i64, Vec::new(), counts.iter());
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            let count = counts.next().copied().unwrap_or(0.0);
            if count != 0.0 {
                if run.is_empty() {
                    first = index;
                }
                let gap = index - first - run.len() as i64;
                run.extend((0..gap.min(GAP_MAX)).map(|_| 0.0));
                run.push(count);
            }
            index += 1;
        }
    }
    (first, run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_histograms_have_one_text() {
        let check = |text: &str, want: &str| {
            let series = paramedic_promql::parse_series(&format!("x {text}")).expect(text);
            let written = series.histograms.get(&0).expect("a histogram");
            assert_eq!(canonical(&written.histogram), want, "{text}");
        };
        check("{{}}", "{{}}");
        check("{{buckets:[0 1 2 0] sum:3 count:3}}", "{{count:3 sum:3 offset:1 buckets:[1 2]}}");
        check("{{n_buckets:[1 0 2] n_offset:-1}}", "{{n_offset:-1 n_buckets:[1 0 2]}}");
        check(
            "{{schema:-53 custom_values:[1 2.5] buckets:[1 1] counter_reset_hint:gauge}}",
            "{{schema:-53 custom_values:[1 2.5] counter_reset_hint:gauge buckets:[1 1]}}",
        );
    }
}
