//! What of a scrape is taken: the labels of its target, metric relabelling, limits.
//!
//! All of it depends on the series alone, so it happens once for each list of series.

use std::sync::{Arc, Weak};

use paramedic_model::{Labels, Run, SeriesList, is_same_list};
use paramedic_relabel::{Rule, relabel};

use crate::job::Limits;
use crate::list::{TargetLabels, runs_of_parts, same_list};

/// What is done with the series of a target before they are taken.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Whether labels of a sample win over those of its target.
    pub honor_labels: bool,
    /// `metric_relabel_configs`
    pub rules: Arc<[Rule]>,
    /// What a scrape may hold.
    pub limits: Limits,
    /// `track_timestamps_staleness`: whether a series whose samples state their own time ends when
    /// the target no longer yields it.
    pub track_times: bool,
}

impl Admission {
    /// Whether there is nothing to look at but the target's labels.
    pub(crate) fn is_plain(&self) -> bool {
        let Limits { samples, labels, label_name_bytes, label_value_bytes, .. } = self.limits;
        let limits = [samples, labels, label_name_bytes, label_value_bytes];
        !self.honor_labels && self.rules.is_empty() && limits.iter().all(|limit| *limit == 0)
    }

    /// The series that are taken, with all their labels.
    ///
    /// # Errors
    ///
    /// Why nothing of the scrape is taken, in Prometheus's words.
    pub(crate) fn admit(
        &self,
        target: &TargetLabels,
        series: Arc<dyn SeriesList>,
        last: Option<&Arc<Admitted>>,
    ) -> Result<Arc<Admitted>, String> {
        if let Some(last) = last.filter(|last| is_same_list(&last.inner, &series)) {
            return Ok(last.clone());
        }
        let (mut labels, mut kept) = (Vec::new(), Vec::new());
        for index in 0..series.len() {
            let theirs = series.labels(index);
            let merged = match self.honor_labels {
                true => target.add_missing_to(&theirs, &series.empty_labels(index)),
                false => target.add_to(&theirs),
            };
            let Some(taken) = relabel(&merged, &self.rules).filter(|labels| !labels.is_empty())
            else {
                continue;
            };
            if taken.metric_name().is_none() {
                return Err("missing metric name (__name__ label)".to_owned());
            }
            self.limits.check(&taken)?;
            labels.push(taken);
            kept.push(index as u32);
        }
        if self.limits.samples > 0 && labels.len() > self.limits.samples {
            return Err("sample limit exceeded".to_owned());
        }
        let previous = last.map_or_else(Weak::new, Arc::downgrade);
        Ok(Arc::new(Admitted { labels, kept, inner: series, previous }))
    }
}

impl Limits {
    fn check(&self, labels: &Labels) -> Result<(), String> {
        let metric = || shorten(labels.metric_name().unwrap_or_default());
        let over = |count: usize, limit: usize| limit > 0 && count > limit;
        if over(labels.len(), self.labels) {
            return Err(format!(
                "label_limit exceeded (metric: {}, number of labels: {}, limit: {})",
                metric(),
                labels.len(),
                self.labels
            ));
        }
        for (name, value) in labels.iter() {
            if over(name.len(), self.label_name_bytes) {
                return Err(format!(
                    "label_name_length_limit exceeded (metric: {}, label name: {}, length: {}, \
                     limit: {})",
                    metric(),
                    shorten(name),
                    name.len(),
                    self.label_name_bytes
                ));
            }
            if over(value.len(), self.label_value_bytes) {
                return Err(format!(
                    "label_value_length_limit exceeded (metric: {}, label name: {}, value: {:?}, \
                     length: {}, limit: {})",
                    metric(),
                    shorten(name),
                    shorten(value),
                    value.len(),
                    self.label_value_bytes
                ));
            }
        }
        Ok(())
    }
}

/// The first characters of a name or a value, for a message.
fn shorten(text: &str) -> &str {
    text.char_indices().nth(50).map_or(text, |(at, _)| &text[..at])
}

/// The series of a list that are taken, with all their labels.
#[derive(Debug)]
pub(crate) struct Admitted {
    labels: Vec<Labels>,
    /// Where each stands in `inner`, ascending.
    kept: Vec<u32>,
    inner: Arc<dyn SeriesList>,
    previous: Weak<Admitted>,
}

impl Admitted {
    /// What `of` says of those that are taken.
    pub fn pick<T: Copy>(&self, of: &[T]) -> Vec<T> {
        self.kept.iter().filter_map(|at| of.get(*at as usize).copied()).collect()
    }
}

impl SeriesList for Admitted {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.labels[index].clone()
    }

    fn runs_of(&self, previous: &Arc<dyn SeriesList>) -> Vec<Run> {
        let Some(last) = same_list(&self.previous, previous) else { return Vec::new() };
        runs_of_parts((&self.inner, &self.kept), (&last.inner, &last.kept))
    }
}
