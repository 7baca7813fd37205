//! The samples of one test: what its input series brought so far, and what its rules wrote.
//!
//! Writing has the rules of Prometheus's storage: a series goes forward in time, and a moment that
//! has a value keeps it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use paramedic_model::{
    Histogram, Labels, METRIC_NAME, ResetHint, Sample, Series, TimeMs, histogram_nan, is_stale,
};
use paramedic_promql::{Column, Family, FamilyId, NO_VALUE, RowRef, Source, Symbol, all_buckets};

use crate::Store;

/// All samples of a test, by family.
pub(crate) struct TestSamples {
    texts: Vec<String>,
    symbols: HashMap<String, Symbol>,
    families: Vec<Stored>,
    by_name: HashMap<String, usize>,
    rows: HashMap<Labels, RowRef>,
}

struct Stored {
    name: String,
    columns: Vec<Column>,
    newest_at: Vec<TimeMs>,
    newest_value: Vec<f64>,
    samples: Vec<Vec<Sample>>,
    histograms: Vec<BTreeMap<TimeMs, Arc<Histogram>>>,
}

impl TestSamples {
    pub(crate) fn new() -> Self {
        Self {
            texts: vec![String::new()],
            symbols: HashMap::from([(String::new(), Symbol::EMPTY)]),
            families: Vec::new(),
            by_name: HashMap::new(),
            rows: HashMap::new(),
        }
    }

    /// Writes one sample; one that is there already with this value is no mistake.
    pub(crate) fn put(&mut self, labels: &Labels, at: TimeMs, value: f64) -> Result<(), String> {
        let row = self.row(labels);
        let family = &mut self.families[row.family.0 as usize];
        let (row, newest_at) = (row.row as usize, family.newest_at[row.row as usize]);
        if at < newest_at {
            return Err("out of order sample".to_owned());
        }
        if at == newest_at {
            let same = family.newest_value[row].to_bits() == value.to_bits();
            let reason = || "duplicate sample for timestamp".to_owned();
            return if same { Ok(()) } else { Err(reason()) };
        }
        family.newest_at[row] = at;
        family.newest_value[row] = value;
        family.samples[row].push(Sample { at, value });
        Ok(())
    }

    /// Writes one native histogram, with what the storage knows of a counter reset before it.
    pub(crate) fn put_histogram(
        &mut self,
        labels: &Labels,
        at: TimeMs,
        histogram: &Arc<Histogram>,
    ) -> Result<(), String> {
        let row = self.row(labels);
        let before = self.families[row.family.0 as usize].histograms[row.row as usize]
            .last_key_value()
            .filter(|(at, _)| **at == self.family(row.family).newest_at[row.row as usize])
            .map(|(_, histogram)| histogram.clone());
        self.put(labels, at, histogram_nan())?;
        let mut histogram = histogram.clone();
        let hint = reset_hint(&histogram, before.as_deref());
        if histogram.reset_hint != hint {
            Arc::make_mut(&mut histogram).reset_hint = hint;
        }
        let histograms = &mut self.families[row.family.0 as usize].histograms;
        histograms[row.row as usize].entry(at).or_insert(histogram);
        Ok(())
    }

    fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.symbols.get(text) {
            return *symbol;
        }
        let symbol = Symbol(self.texts.len() as u32);
        self.texts.push(text.to_owned());
        self.symbols.insert(text.to_owned(), symbol);
        symbol
    }

    fn row(&mut self, labels: &Labels) -> RowRef {
        if let Some(row) = self.rows.get(labels) {
            return *row;
        }
        let name = labels.value(METRIC_NAME);
        let id = self.by_name.get(name).copied().unwrap_or_else(|| {
            self.families.push(Stored {
                name: name.to_owned(),
                columns: Vec::new(),
                newest_at: Vec::new(),
                newest_value: Vec::new(),
                samples: Vec::new(),
                histograms: Vec::new(),
            });
            self.by_name.insert(name.to_owned(), self.families.len() - 1);
            self.families.len() - 1
        });
        let pairs: Vec<(&str, Symbol)> = labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME)
            .map(|(name, value)| (name, self.intern(value)))
            .collect();
        let family = &mut self.families[id];
        let at = family.samples.len();
        family.columns.iter_mut().for_each(|column| column.codes.push(NO_VALUE));
        for (name, symbol) in pairs {
            let known = family.columns.iter().position(|column| column.name == name);
            let column = known.unwrap_or_else(|| {
                let (values, codes) = (vec![Symbol::EMPTY], vec![NO_VALUE; at + 1]);
                family.columns.push(Column { name: name.to_owned(), values, codes });
                family.columns.len() - 1
            });
            let column = &mut family.columns[column];
            let known = column.values.iter().position(|known| *known == symbol);
            let code = known.unwrap_or_else(|| {
                column.values.push(symbol);
                column.values.len() - 1
            });
            column.codes[at] = code as u32;
        }
        family.newest_at.push(Family::NEVER);
        family.newest_value.push(0.0);
        family.samples.push(Vec::new());
        family.histograms.push(BTreeMap::new());
        let row = RowRef { family: FamilyId(id as u32), row: at as u32 };
        self.rows.insert(labels.clone(), row);
        row
    }
}

/// What Prometheus's storage notes of a counter reset when it appends a histogram; `before` is the
/// sample right before it, where that is a histogram too.
fn reset_hint(histogram: &Histogram, before: Option<&Histogram>) -> ResetHint {
    match (histogram.reset_hint, before) {
        (ResetHint::Gauge, _) => ResetHint::Gauge,
        (ResetHint::Reset, _) => ResetHint::Reset,
        (_, None) => ResetHint::Unknown,
        (_, Some(before)) if before.reset_hint == ResetHint::Gauge => ResetHint::Unknown,
        (_, Some(before)) if is_reset(histogram, before) => ResetHint::Reset,
        _ => ResetHint::NotReset,
    }
}

fn is_reset(now: &Histogram, before: &Histogram) -> bool {
    if now.count < before.count
        || now.schema != before.schema
        || now.zero_threshold.to_bits() != before.zero_threshold.to_bits()
        || now.zero_count < before.zero_count
        || now.custom_values != before.custom_values
    {
        return true;
    }
    let bounds = |lower: f64, upper: f64| (lower.to_bits(), upper.to_bits());
    let counts: HashMap<_, f64> = all_buckets(now)
        .into_iter()
        .map(|bucket| (bounds(bucket.lower, bucket.upper), bucket.count))
        .collect();
    all_buckets(before).into_iter().any(|bucket| {
        let count = counts.get(&bounds(bucket.lower, bucket.upper)).copied();
        count.unwrap_or(0.0) < bucket.count
    })
}

impl Source for TestSamples {
    fn family_count(&self) -> usize {
        self.families.len()
    }

    fn find_family(&self, metric_name: &str) -> Option<FamilyId> {
        self.by_name.get(metric_name).map(|at| FamilyId(*at as u32))
    }

    fn family(&self, id: FamilyId) -> Family<'_> {
        let family = &self.families[id.0 as usize];
        Family {
            name: &family.name,
            columns: &family.columns,
            newest_at: &family.newest_at,
            newest_value: &family.newest_value,
        }
    }

    fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.0 as usize]
    }

    fn range(&self, row: RowRef, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        let samples = &self.families[row.family.0 as usize].samples[row.row as usize];
        let start = samples.partition_point(|sample| sample.at <= after);
        let end = samples.partition_point(|sample| sample.at <= until);
        out.extend(samples.get(start..end).unwrap_or_default());
    }

    fn newest_in(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Sample> {
        let samples = &self.families[row.family.0 as usize].samples[row.row as usize];
        let end = samples.partition_point(|sample| sample.at <= until);
        samples[..end].last().filter(|sample| sample.at > after).copied()
    }

    fn histogram(&self, row: RowRef, at: TimeMs) -> Option<Arc<Histogram>> {
        self.families[row.family.0 as usize].histograms[row.row as usize].get(&at).cloned()
    }

    fn generation(&self) -> Option<u64> {
        // Rows are only ever added.
        Some(self.rows.len() as u64)
    }
}

impl Store for TestSamples {
    fn source(&self) -> &dyn Source {
        self
    }

    fn append(&mut self, at: TimeMs, series: &[Series]) -> Result<(), String> {
        let mut outcome = Ok(());
        for Series { labels, value } in series {
            // A marker that comes too late marks nothing; nobody minds.
            if let Err(reason) = self.put(labels, at, *value)
                && !is_stale(*value)
            {
                outcome = Err(reason);
            }
        }
        outcome
    }

    fn append_histograms(
        &mut self,
        at: TimeMs,
        series: &[(Labels, Arc<Histogram>)],
    ) -> Result<(), String> {
        let put = |(labels, histogram): &(Labels, Arc<Histogram>)| {
            self.put_histogram(labels, at, histogram)
        };
        // Every one is tried: one that fails takes no other with it.
        let outcomes: Vec<Result<(), String>> = series.iter().map(put).collect();
        outcomes.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use paramedic_model::is_histogram;

    use super::*;

    #[test]
    fn a_series_goes_forward_in_time() {
        let mut samples = TestSamples::new();
        let labels = Labels::from([(METRIC_NAME, "up"), ("job", "a")]);
        assert_eq!(samples.put(&labels, TimeMs(10), 1.0), Ok(()));
        assert_eq!(samples.put(&labels, TimeMs(10), 1.0), Ok(()));
        assert!(samples.put(&labels, TimeMs(10), 2.0).is_err());
        assert!(samples.put(&labels, TimeMs(9), 1.0).is_err());
        let row = samples.row(&labels);
        assert_eq!(samples.labels(row), labels);
        let newest = samples.newest_in(row, TimeMs(9), TimeMs(10));
        assert_eq!(newest, Some(Sample { at: TimeMs(10), value: 1.0 }));
        assert_eq!(samples.newest_in(row, TimeMs(10), TimeMs(20)), None);
    }

    #[test]
    fn histograms_know_of_resets() {
        let mut samples = TestSamples::new();
        let labels = Labels::from([(METRIC_NAME, "latency")]);
        let series = paramedic_promql::parse_series(
            "latency {{count:2 buckets:[2]}} {{count:3 buckets:[3]}} {{count:3 buckets:[2 1]}} \
             {{count:1}} {{count:1 counter_reset_hint:gauge}} stale {{count:1}}",
        )
        .expect("a series");
        let mut hints = Vec::new();
        for (i, value) in series.values.iter().enumerate() {
            let at = TimeMs(i as i64);
            let Some(written) = series.histograms.get(&i) else {
                samples.put(&labels, at, value.expect("a value")).expect("goes forward");
                continue;
            };
            samples.put_histogram(&labels, at, &written.histogram).expect("goes forward");
            let row = samples.row(&labels);
            let kept = samples.histogram(row, at).expect("it is kept");
            assert!(is_histogram(samples.family(row.family).newest_value[0]));
            hints.push(kept.reset_hint);
        }
        use ResetHint::*;
        assert_eq!(hints, [Unknown, NotReset, Reset, Reset, Gauge, Unknown]);
    }
}
