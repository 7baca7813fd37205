use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Labels, Sample, Series, TimeMs};
use paramedic_promql::{Family, FamilyId, RowRef, Source, Symbol};

/// Who yields a whole set of series each time: a scrape target, or a rule that writes series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(Arc<str>);

impl<T: Into<Arc<str>>> From<T> for TargetId {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// The settings of a window.
#[derive(Clone, Debug)]
pub struct WindowOptions {
    /// How long samples are kept, counted back from the newest commit. Default: 2 h.
    pub retention: Duration,
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self { retention: Duration::from_secs(2 * 3600) }
    }
}

/// What one commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The metric names of which some series appeared, ended or got another value.
    pub changed: BTreeSet<Arc<str>>,
    /// How many samples were taken, staleness markers not counted.
    pub accepted: usize,
    /// How many were not.
    pub rejected: Rejected,
}

/// How many samples were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Older than the newest sample of their series.
    pub out_of_order: usize,
    /// At the moment of the newest sample of their series, with another value.
    pub duplicate: usize,
}

/// The recent samples of all series.
#[derive(Debug, Default)]
pub struct Window {
    options: WindowOptions,
}

impl Window {
    /// An empty window.
    pub fn new(options: WindowOptions) -> Self {
        Self { options }
    }

    /// The settings.
    pub fn options(&self) -> &WindowOptions {
        &self.options
    }

    /// Appends one sample to each of `series`, all at the moment `at`.
    pub fn append(&mut self, _at: TimeMs, _series: &[Series]) -> Commit {
        Commit::default()
    }

    /// Appends what `target` yielded at the moment `at`, and ends each series that it yielded last
    /// time and does not yield now.
    pub fn commit_target(&mut self, _target: &TargetId, at: TimeMs, series: &[Series]) -> Commit {
        self.append(at, series)
    }

    /// Ends every series that `target` yielded last time, and forgets the target.
    pub fn retire_target(&mut self, target: &TargetId, at: TimeMs) -> Commit {
        self.commit_target(target, at, &[])
    }

    /// Appends samples of one series, oldest first: what a restore or a test script has.
    pub fn append_samples(&mut self, _labels: &Labels, _samples: &[Sample]) -> Commit {
        Commit::default()
    }

    /// The number of series that have samples.
    pub fn series_count(&self) -> usize {
        0
    }
}

impl Source for Window {
    fn family_count(&self) -> usize {
        0
    }

    fn find_family(&self, _metric_name: &str) -> Option<FamilyId> {
        None
    }

    fn family(&self, _id: FamilyId) -> Family<'_> {
        Family { name: "", columns: &[], newest_at: &[], newest_value: &[] }
    }

    fn text(&self, _symbol: Symbol) -> &str {
        ""
    }

    fn range(&self, _row: RowRef, _after: TimeMs, _until: TimeMs, _out: &mut Vec<Sample>) {}
}
