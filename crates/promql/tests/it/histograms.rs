//! Native histograms in scripts: how Prometheus stores them, and when two of them are equal.

use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_model::{BucketSpan, Histogram, Labels, METRIC_NAME, ResetHint, histogram_nan};
use paramedic_promql::{HistogramNotation, SeriesNotation};

/// The populated buckets by their indexes.
fn buckets(spans: &[BucketSpan], counts: &[f64]) -> BTreeMap<i32, f64> {
    let (mut found, mut counts, mut index) = (BTreeMap::new(), counts.iter(), 0);
    for span in spans {
        index += span.offset;
        for _ in 0..span.length {
            found.insert(index, *counts.next().expect("a count for each bucket"));
            index += 1;
        }
    }
    found.retain(|_, count| *count != 0.0);
    found
}

fn sides(histogram: &Histogram) -> [BTreeMap<i32, f64>; 2] {
    [
        buckets(&histogram.positive_spans, &histogram.positive_buckets),
        buckets(&histogram.negative_spans, &histogram.negative_buckets),
    ]
}

/// The rule of the scripts for equal histograms.
pub fn equal(a: &Histogram, b: &Histogram, with_hint: bool) -> bool {
    let same = crate::script::equal;
    let numbers = |h: &Histogram| [h.count, h.sum, h.zero_count];
    let alike = |a: &BTreeMap<i32, f64>, b: &BTreeMap<i32, f64>| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(*a.1, *b.1))
    };
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && a.custom_values == b.custom_values
        && numbers(a).into_iter().zip(numbers(b)).all(|(a, b)| same(a, b))
        && sides(a).iter().zip(&sides(b)).all(|(a, b)| alike(a, b))
        && (!with_hint || a.reset_hint == b.reset_hint)
}

/// What Prometheus's storage knows of counter resets: within a chunk there is none. A reset begins a
/// chunk, and of the first sample of a chunk nothing is known.
#[derive(Default)]
pub struct StoredHints(Option<Histogram>);

impl StoredHints {
    /// The histogram as it is read after it was appended.
    pub fn stored(&mut self, histogram: &Histogram) -> Histogram {
        let reset_hint = match (histogram.reset_hint, &self.0) {
            (ResetHint::Gauge, _) => ResetHint::Gauge,
            (ResetHint::Reset, _) | (_, None) => ResetHint::Unknown,
            (_, Some(before)) if before.reset_hint == ResetHint::Gauge => ResetHint::Unknown,
            (_, Some(before))
                if before.schema != histogram.schema
                    || before.zero_threshold != histogram.zero_threshold =>
            {
                ResetHint::Unknown
            }
            (_, Some(before)) => {
                let fewer = |(before, now): (&BTreeMap<i32, f64>, &BTreeMap<i32, f64>)| {
                    before.iter().any(|(at, count)| now.get(at).is_none_or(|now| now < count))
                };
                let reset = histogram.count < before.count
                    || histogram.zero_count < before.zero_count
                    || histogram.custom_values != before.custom_values
                    || sides(before).iter().zip(&sides(histogram)).any(fewer);
                if reset { ResetHint::Unknown } else { ResetHint::NotReset }
            }
        };
        let stored = Histogram { reset_hint, ..histogram.clone() };
        self.0 = Some(stored.clone());
        stored
    }
}

/// A classic histogram at one step.
#[derive(Default)]
struct Classic {
    /// The counts up to each bound, by the order of the bounds.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The native histograms with custom buckets that the classic ones among `loaded` say the same as.
pub fn with_custom_buckets(loaded: &[SeriesNotation]) -> Vec<SeriesNotation> {
    let mut found: BTreeMap<Labels, BTreeMap<usize, Classic>> = BTreeMap::new();
    for series in loaded {
        let Some(name) = series.labels.metric_name() else { continue };
        let ending = ["_bucket", "_count", "_sum"]
            .into_iter()
            .find_map(|ending| Some((name.strip_suffix(ending)?, ending)));
        let Some((base, ending)) = ending else { continue };
        let bound = series.labels.value("le").parse::<f64>().ok().filter(|le| !le.is_nan());
        if ending == "_bucket" && bound.is_none() {
            continue;
        }
        let labels = series.labels.without(&["le"]).with(METRIC_NAME, base);
        let steps = found.entry(labels).or_default();
        for (step, value) in series.values.iter().enumerate() {
            let Some(value) = *value else { continue };
            let classic = steps.entry(step).or_default();
            match (ending, bound) {
                ("_bucket", Some(bound)) => classic.buckets.push((bound, value)),
                ("_count", _) => classic.count = Some(value),
                _ => classic.sum = value,
            }
        }
    }
    let native = found.into_iter().map(|(labels, steps)| {
        let length = steps.keys().last().map_or(0, |last| last + 1);
        let mut values = vec![None; length];
        let histograms = steps.into_iter().map(|(step, classic)| {
            values[step] = Some(histogram_nan());
            let histogram = Arc::new(classic.native());
            (step, HistogramNotation { histogram, has_reset_hint: false })
        });
        let histograms = histograms.collect();
        SeriesNotation { labels, values, histograms }
    });
    native.collect()
}

impl Classic {
    fn native(mut self) -> Histogram {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let infinite = self.buckets.iter().find(|(bound, _)| *bound == f64::INFINITY);
        let highest = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let count = infinite.map(|(_, count)| *count).or(self.count).unwrap_or(highest);
        let finite = self.buckets.iter().filter(|(bound, _)| bound.is_finite());
        let (mut below, mut counts, mut bounds) = (0.0, Vec::new(), Vec::new());
        for (bound, up_to) in finite {
            bounds.push(*bound);
            counts.push(up_to - below);
            below = *up_to;
        }
        counts.push(count - below);
        let length = u32::try_from(counts.len()).expect("few buckets");
        Histogram {
            schema: Histogram::CUSTOM_BUCKETS,
            count,
            sum: self.sum,
            positive_spans: vec![BucketSpan { offset: 0, length }],
            positive_buckets: counts,
            custom_values: bounds,
            ..Histogram::default()
        }
    }
}
