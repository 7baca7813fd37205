//! Functions of histograms: classic ones (series with the label `le` that count up to a bound each)
//! and native ones.

use std::collections::HashMap;
use std::sync::Arc;

use paramedic_model::{Histogram, Labels, TimeMs};

use super::{Evaluator, Item, Result};
use crate::print::{format_number, quoted};
use crate::{Expr, Origins, Severity, Span, histogram};

pub(crate) const BOUND_LABEL: &str = "le";

/// The count of all observations up to a bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub upper: f64,
    pub count: f64,
}

/// The buckets of one histogram, or a native one, and where they came from.
struct Distribution {
    labels: Labels,
    drop_name: bool,
    buckets: Vec<Bucket>,
    native: Option<Arc<Histogram>>,
    origins: Vec<Origins>,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(&mut self, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        let q = self.scalar(&args[0], at)?;
        self.check_quantile(q, args[0].span);
        let histograms = self.histograms(&args[1], at)?;
        let mut items = Vec::new();
        for histogram in histograms {
            let value = self.bucket_quantile(q, &histogram, args[1].span);
            items.push(self.of_histogram(&histogram, value));
        }
        Ok(items)
    }

    pub(super) fn histogram_quantiles(&mut self, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        let label = self.string(&args[1], at)?.to_lossy();
        let mut quantiles = Vec::new();
        for arg in &args[2..] {
            let q = self.scalar(arg, at)?;
            self.check_quantile(q, arg.span);
            quantiles.push(q);
        }
        let histograms = self.histograms(&args[0], at)?;
        let mut items = Vec::new();
        for q in quantiles {
            for histogram in &histograms {
                let value = self.bucket_quantile(q, histogram, args[0].span);
                let mut item = self.of_histogram(histogram, value);
                item.labels = item.labels.with(&label, &open_metrics_number(q));
                items.push(item);
            }
        }
        Ok(items)
    }

    pub(super) fn histogram_fraction(&mut self, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        let lower = self.scalar(&args[0], at)?;
        let upper = self.scalar(&args[1], at)?;
        let histograms = self.histograms(&args[2], at)?;
        let mut items = Vec::new();
        for histogram in &histograms {
            let value = match &histogram.native {
                None => fraction(lower, upper, histogram.buckets.clone()),
                Some(native) => {
                    let (value, has_nan) = histogram::fraction(lower, upper, native);
                    if has_nan {
                        let name = self.known_name(histogram);
                        let message = format!(
                            "input to histogram_fraction has NaN observations, which are excluded \
                             from all fractions{name}"
                        );
                        self.annotate(Severity::Info, args[2].span, message);
                    }
                    value
                }
            };
            items.push(self.of_histogram(histogram, value));
        }
        Ok(items)
    }

    /// A function of native histograms; other elements have no value.
    pub(super) fn of_native(
        &mut self,
        args: &[Expr],
        at: TimeMs,
        value: impl Fn(&Histogram) -> f64,
    ) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for mut item in self.vector(&args[0], at)? {
            let Some(histogram) = item.histogram.take() else { continue };
            item.value = value(&histogram);
            self.drop_name(&mut item);
            items.push(item);
        }
        Ok(items)
    }

    fn of_histogram(&self, histogram: &Distribution, value: f64) -> Item {
        let mut item = Item {
            labels: histogram.labels.clone(),
            drop_name: histogram.drop_name,
            value,
            histogram: None,
            origins: Origins::union(histogram.origins.iter().cloned()),
        };
        self.drop_name(&mut item);
        item
    }

    /// Puts the buckets of a vector together. What has no bound is left out, with a warning; so is
    /// what is a classic and a native histogram at once.
    fn histograms(&mut self, arg: &Expr, at: TimeMs) -> Result<Vec<Distribution>> {
        let mut histograms: Vec<Distribution> = Vec::new();
        let mut natives: Vec<Distribution> = Vec::new();
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        for item in self.vector(arg, at)? {
            if let Some(native) = item.histogram {
                natives.push(Distribution {
                    labels: item.labels,
                    drop_name: item.drop_name,
                    buckets: Vec::new(),
                    native: Some(native),
                    origins: vec![item.origins],
                });
                continue;
            }
            let bound = item.labels.value(BOUND_LABEL);
            let Ok(upper) = bound.parse::<f64>() else {
                let name = of_metric(item.labels.metric_name());
                let message = format!(
                    "bucket label \"le\" is missing or has a malformed value of {}{name}",
                    quoted(bound)
                );
                self.annotate(Severity::Warning, arg.span, message);
                continue;
            };
            let labels = item.labels.without(&[BOUND_LABEL]);
            let index = *by_labels.entry(labels).or_insert_with_key(|labels| {
                histograms.push(Distribution {
                    labels: labels.clone(),
                    drop_name: item.drop_name,
                    buckets: Vec::new(),
                    native: None,
                    origins: Vec::new(),
                });
                histograms.len() - 1
            });
            histograms[index].buckets.push(Bucket { upper, count: item.value });
            histograms[index].origins.push(item.origins);
        }
        for native in natives {
            let Some(classic) = by_labels.get(&native.labels) else {
                histograms.push(native);
                continue;
            };
            let name = of_metric(native.labels.metric_name());
            let message = format!("vector contains a mix of classic and native histograms{name}");
            self.annotate(Severity::Warning, arg.span, message);
            histograms[*classic].buckets.clear();
        }
        histograms.retain(|histogram| histogram.native.is_some() || !histogram.buckets.is_empty());
        Ok(histograms)
    }

    /// The name of the metric for a message, as long as it is not dropped.
    fn known_name(&self, histogram: &Distribution) -> String {
        let known = self.options.delayed_name_removal;
        of_metric(histogram.labels.metric_name().filter(|_| known))
    }

    fn bucket_quantile(&mut self, q: f64, histogram: &Distribution, span: Span) -> f64 {
        if let Some(native) = &histogram.native {
            let quantile = histogram::quantile(q, native);
            if quantile.is_lost || quantile.is_skewed {
                let effect = if quantile.is_lost { "NaN" } else { "skewed higher" };
                let name = self.known_name(histogram);
                let message = format!(
                    "input to histogram_quantile has NaN observations, result is {effect}{name}"
                );
                self.annotate(Severity::Info, span, message);
            }
            return quantile.value;
        }
        let Quantile { value, forced } = quantile(q, histogram.buckets.clone());
        if forced {
            let name = self.known_name(histogram);
            let message = format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/\
                 #histogram_quantile){name}"
            );
            self.annotate(Severity::Info, span, message);
        }
        value
    }
}

fn of_metric(name: Option<&str>) -> String {
    name.map(|name| format!(" for metric name {}", quoted(name))).unwrap_or_default()
}

/// A number as OpenMetrics writes it: `1` is `1.0`.
fn open_metrics_number(value: f64) -> String {
    let text = format_number(value);
    if value.is_finite() && !text.contains('.') { text + ".0" } else { text }
}

/// Sorts the buckets and joins those of one bound. Empty where the last bound is not infinite: then
/// nobody knows how many observations there are.
fn prepare(mut buckets: Vec<Bucket>) -> Vec<Bucket> {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return Vec::new();
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    buckets
}

/// The quantile of a classic histogram, where its buckets did not have to be mended.
pub(crate) fn bucket_quantile(q: f64, buckets: Vec<Bucket>) -> Option<f64> {
    let Quantile { value, forced } = quantile(q, buckets);
    (!forced).then_some(value)
}

struct Quantile {
    value: f64,
    /// Whether counts went down from a bucket to the next.
    forced: bool,
}

/// Relative differences below this are rounding.
const SMALL_DIFFERENCE: f64 = 1e-12;

fn almost_equal(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DIFFERENCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DIFFERENCE
}

/// Makes counts never go down. Returns whether some did by more than rounding explains.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let Some(mut before) = buckets.first().map(|bucket| bucket.count) else { return false };
    let mut forced = false;
    for bucket in buckets {
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            forced = true;
        }
        before = bucket.count;
    }
    forced
}

/// The quantile, interpolated linearly within its bucket.
fn quantile(q: f64, buckets: Vec<Bucket>) -> Quantile {
    let plain = |value| Quantile { value, forced: false };
    if q.is_nan() {
        return plain(f64::NAN);
    }
    if q < 0.0 {
        return plain(f64::NEG_INFINITY);
    }
    if q > 1.0 {
        return plain(f64::INFINITY);
    }
    let mut buckets = prepare(buckets);
    let forced = make_monotonic(&mut buckets);
    let [finite @ .., last] = &buckets[..] else { return plain(f64::NAN) };
    if finite.is_empty() || last.count == 0.0 || last.count.is_nan() {
        return plain(f64::NAN);
    }
    let rank = q * last.count;
    let index = finite.partition_point(|bucket| bucket.count < rank);
    let value = match finite.get(index) {
        // In the last bucket: its bound is all that is known.
        None => finite[finite.len() - 1].upper,
        Some(bucket) if index == 0 && bucket.upper <= 0.0 => bucket.upper,
        Some(bucket) => {
            let below = index.checked_sub(1).map(|index| finite[index]);
            let Bucket { upper: start, count } = below.unwrap_or(Bucket { upper: 0.0, count: 0.0 });
            start + (bucket.upper - start) * ((rank - count) / (bucket.count - count))
        }
    };
    Quantile { value, forced }
}

/// The share of the observations between two bounds, interpolated linearly within buckets.
fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let buckets = prepare(buckets);
    let Some(total) = buckets.last().map(|last| last.count) else { return f64::NAN };
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |bound: f64| {
        let (mut start, mut below) = (f64::NEG_INFINITY, 0.0);
        for (index, bucket) in buckets.iter().enumerate() {
            if index == 0 && bucket.upper > 0.0 {
                start = 0.0;
            }
            if bound <= start {
                return below;
            }
            if bound < bucket.upper {
                // Of a bucket without an end on one side nothing is known between its bounds.
                if start == f64::NEG_INFINITY {
                    return bucket.count;
                }
                let share = (bound - start) / (bucket.upper - start);
                return below + (bucket.count - below) * share;
            }
            (start, below) = (bucket.upper, bucket.count);
        }
        total
    };
    (rank(upper).min(total) - rank(lower).min(total)) / total
}
