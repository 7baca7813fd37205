//! Samples that state their own time, apart from those that stand at the time of their collection.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use paramedic_model::{Labels, Run, Sample, SeriesList, TimeMs, is_same_list};

use crate::list::{TargetLabels, runs_of_parts, same_list};

/// Samples that state their own time, of one collection.
#[derive(Debug, Default)]
pub struct TimedSamples {
    /// Their series, with all labels.
    pub labels: Arc<[Labels]>,
    /// The sample of each.
    pub samples: Vec<Sample>,
    /// Whether a series ends when the target no longer yields it: `track_timestamps_staleness`.
    pub is_tracked: bool,
}

impl TimedSamples {
    /// The series of `before` that are not among these. Where such series are tracked, they end.
    pub fn missing_of(&self, before: &[Labels]) -> Vec<Labels> {
        missing(before, &self.labels)
    }
}

/// Which series of a list state their own time.
#[derive(Debug)]
pub(crate) struct Timed {
    inner: Arc<dyn SeriesList>,
    /// Where they stand in `inner`, ascending.
    places: Vec<u32>,
    labels: Arc<[Labels]>,
    rest: Arc<Rest>,
}

impl Timed {
    /// Of the series of `inner`, which state these times: `last` where it is that.
    pub fn next(
        last: Option<&Arc<Timed>>,
        target: &TargetLabels,
        inner: &Arc<dyn SeriesList>,
        is_labelled: bool,
        times: &[Option<TimeMs>],
    ) -> Arc<Timed> {
        let places = times.iter().enumerate().filter(|(_, at)| at.is_some());
        let places: Vec<_> = places.map(|(index, _)| index as u32).collect();
        let same = |last: &&Arc<Timed>| is_same_list(&last.inner, inner) && last.places == places;
        if let Some(last) = last.filter(same) {
            return last.clone();
        }
        let labels = places.iter().map(|index| match is_labelled {
            true => inner.labels(*index as usize),
            false => target.add_to(&inner.labels(*index as usize)),
        });
        let kept = times.iter().enumerate().filter(|(_, at)| at.is_none());
        let rest = Rest {
            inner: inner.clone(),
            kept: kept.map(|(index, _)| index as u32).collect(),
            previous: last.map_or_else(Weak::new, |last| Arc::downgrade(&last.rest)),
        };
        Arc::new(Timed {
            labels: labels.collect(),
            inner: inner.clone(),
            places,
            rest: Arc::new(rest),
        })
    }

    /// The series that state none, and their values.
    pub fn rest(&self, values: &[f64]) -> (Arc<dyn SeriesList>, Vec<f64>) {
        let values = self.rest.kept.iter().map(|index| values[*index as usize]).collect();
        (self.rest.clone(), values)
    }

    /// The samples that state one.
    pub fn samples(&self, values: &[f64], times: &[Option<TimeMs>]) -> Vec<Sample> {
        let sample = |index: &u32| {
            let index = *index as usize;
            Some(Sample { at: times[index]?, value: values[index] })
        };
        self.places.iter().filter_map(sample).collect()
    }

    pub fn labels(&self) -> &Arc<[Labels]> {
        &self.labels
    }
}

/// The series of the one that are not among those of the other.
pub(crate) fn missing(of: &[Labels], among: &[Labels]) -> Vec<Labels> {
    if of.is_empty() || std::ptr::eq(of, among) {
        return Vec::new();
    }
    let among: HashSet<_> = among.iter().collect();
    of.iter().filter(|labels| !among.contains(labels)).cloned().collect()
}

/// The series of a list that state no time.
#[derive(Debug)]
struct Rest {
    inner: Arc<dyn SeriesList>,
    /// Where they stand in `inner`, ascending.
    kept: Vec<u32>,
    previous: Weak<Rest>,
}

impl SeriesList for Rest {
    fn len(&self) -> usize {
        self.kept.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.inner.labels(self.kept[index] as usize)
    }

    fn runs_of(&self, previous: &Arc<dyn SeriesList>) -> Vec<Run> {
        let Some(last) = same_list(&self.previous, previous) else { return Vec::new() };
        runs_of_parts((&self.inner, &self.kept), (&last.inner, &last.kept))
    }
}
