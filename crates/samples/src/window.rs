use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Labels, Sample, Series, TimeMs, stale_nan};
use paramedic_promql::{Family, FamilyId, RowRef, Source, Symbol};

use crate::Snapshot;
use crate::family::Outcome;

/// Who yields a whole set of series each time: a scrape target, or a rule that writes series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(Arc<str>);

impl<T: Into<Arc<str>>> From<T> for TargetId {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    /// How many samples were taken, staleness markers not counted. A sample that its series has
    /// already, with the same value, counts as taken.
    pub accepted: usize,
    /// How many were not.
    pub rejected: Rejected,
}

impl Commit {
    /// Adds what another commit did.
    pub fn merge(&mut self, other: Commit) {
        self.changed.extend(other.changed);
        self.accepted += other.accepted;
        self.rejected.out_of_order += other.rejected.out_of_order;
        self.rejected.duplicate += other.rejected.duplicate;
    }
}

/// How many samples were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Older than the newest sample of their series.
    pub out_of_order: usize,
    /// At the moment of the newest sample of their series, with another value.
    pub duplicate: usize,
}

impl Rejected {
    /// All of them.
    pub fn total(self) -> usize {
        self.out_of_order + self.duplicate
    }
}

/// Expired samples are looked for when this part of the retention has passed: a row may keep its
/// samples so much longer.
const SWEEPS_PER_RETENTION: u32 = 8;

/// The recent samples of all series.
#[derive(Clone, Debug, Default)]
pub struct Window {
    options: WindowOptions,
    samples: Snapshot,
    /// What each target yielded last time.
    targets: HashMap<TargetId, HashSet<Labels>>,
    newest_commit: Option<TimeMs>,
    last_sweep: Option<TimeMs>,
}

impl Window {
    /// An empty window.
    pub fn new(options: WindowOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// The settings.
    pub fn options(&self) -> &WindowOptions {
        &self.options
    }

    /// The samples as they are now, for a reader that must not hold up commits.
    pub fn snapshot(&self) -> Snapshot {
        self.samples.clone()
    }

    /// The number of series that have samples.
    pub fn series_count(&self) -> usize {
        self.samples.series_count()
    }

    /// The targets that yielded something and were not retired.
    pub fn targets(&self) -> impl Iterator<Item = &TargetId> {
        self.targets.keys()
    }

    /// Appends one sample to each of `series`, all at the moment `at`. No series ends by it.
    pub fn append(&mut self, at: TimeMs, series: &[Series]) -> Commit {
        let mut commit = Commit::default();
        self.advance(at);
        for series in series {
            self.append_one(&series.labels, Sample { at, value: series.value }, &mut commit);
        }
        commit
    }

    /// Appends what `target` yielded at the moment `at`, and ends each series that it yielded last
    /// time and does not yield now. A target that could not be read yields no series, or only `up`.
    pub fn commit_target(&mut self, target: &TargetId, at: TimeMs, series: &[Series]) -> Commit {
        let mut commit = self.append(at, series);
        let now: HashSet<Labels> = series.iter().map(|series| series.labels.clone()).collect();
        let before = self.targets.insert(target.clone(), now.clone()).unwrap_or_default();
        for labels in before.difference(&now) {
            self.end(labels, at, &mut commit);
        }
        commit
    }

    /// Ends every series that `target` yielded last time, and forgets the target.
    pub fn retire_target(&mut self, target: &TargetId, at: TimeMs) -> Commit {
        let mut commit = Commit::default();
        self.advance(at);
        for labels in self.targets.remove(target).unwrap_or_default() {
            self.end(&labels, at, &mut commit);
        }
        commit
    }

    /// Appends samples of one series, oldest first: what a restore or a test script has.
    pub fn append_samples(&mut self, labels: &Labels, samples: &[Sample]) -> Commit {
        let mut commit = Commit::default();
        for sample in samples {
            self.advance(sample.at);
            self.append_one(labels, *sample, &mut commit);
        }
        commit
    }

    fn append_one(&mut self, labels: &Labels, sample: Sample, commit: &mut Commit) {
        let horizon = self.horizon();
        let (family, name) = self.samples.family_name(labels);
        match self.samples.append(family, labels, sample, horizon) {
            Outcome::Changed => {
                commit.changed.insert(name);
                commit.accepted += 1;
            }
            Outcome::Unchanged | Outcome::Known => commit.accepted += 1,
            Outcome::OutOfOrder => commit.rejected.out_of_order += 1,
            Outcome::Duplicate => commit.rejected.duplicate += 1,
        }
    }

    /// Writes the staleness marker of a series that has not ended. Where the series has a sample at
    /// this moment or a newer one, another target yields it: it goes on.
    fn end(&mut self, labels: &Labels, at: TimeMs, commit: &mut Commit) {
        let horizon = self.horizon();
        let (family, name) = self.samples.family_name(labels);
        let marker = Sample { at, value: stale_nan() };
        if self.samples.is_live(family, labels)
            && self.samples.append(family, labels, marker, horizon) == Outcome::Changed
        {
            commit.changed.insert(name);
        }
    }

    /// The moment up to which samples are dropped.
    fn horizon(&self) -> TimeMs {
        self.newest_commit.map_or(Family::NEVER, |newest| newest - self.options.retention)
    }

    fn advance(&mut self, at: TimeMs) {
        let newest = self.newest_commit.map_or(at, |newest| newest.max(at));
        self.newest_commit = Some(newest);
        let last_sweep = *self.last_sweep.get_or_insert(newest);
        if newest.since(last_sweep) > self.options.retention / SWEEPS_PER_RETENTION {
            self.last_sweep = Some(newest);
            self.samples.expire(self.horizon());
        }
    }
}

impl Source for Window {
    fn family_count(&self) -> usize {
        self.samples.family_count()
    }

    fn find_family(&self, metric_name: &str) -> Option<FamilyId> {
        self.samples.find_family(metric_name)
    }

    fn family(&self, id: FamilyId) -> Family<'_> {
        self.samples.family(id)
    }

    fn text(&self, symbol: Symbol) -> &str {
        self.samples.text(symbol)
    }

    fn range(&self, row: RowRef, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        self.samples.range(row, after, until, out);
    }

    fn newest_in(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Sample> {
        self.samples.newest_in(row, after, until)
    }
}
