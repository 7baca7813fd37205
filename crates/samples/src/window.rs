use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{
    Histogram, Labels, Run, Sample, Series, SeriesList, TimeMs, histogram_nan, is_same_list,
    stale_nan,
};
use paramedic_promql::{Family, FamilyId, Rise, RowRef, Selections, Source, Symbol};

use crate::family::Outcome;
use crate::log::{self, LabelColumn, Layout, Log};
use crate::store::Store;
use crate::{
    Checkpoint, Commit, LogError, LogOptions, OpenError, Replayed, SeriesRef, Snapshot, TargetId,
};

/// The settings of a window.
#[derive(Clone, Debug)]
pub struct WindowOptions {
    /// How long samples are kept, counted back from the newest commit. Default: 2 h.
    pub retention: Duration,
    /// How much memory samples may take, by the estimate [`Window::memory_bytes`]: beyond it the
    /// oldest samples of all series go before their time. Default: no bound.
    pub retention_bytes: Option<usize>,
    /// How much older than the newest commit a sample may be that is older than the newest one of
    /// its series. Default: zero, none may.
    pub out_of_order: Duration,
    /// The memory, by the same estimate, from which on no new series are taken. Known ones go on.
    /// The last tenth of it is for others than those who fill it: there, a target that has lately
    /// brought more new series than the average target brings no more. Default: no bound.
    pub memory_limit: Option<usize>,
    /// How what is committed is logged, where the window has a directory ([`Window::open`]).
    pub log: LogOptions,
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(2 * 3600),
            retention_bytes: None,
            out_of_order: Duration::ZERO,
            memory_limit: None,
            log: LogOptions::default(),
        }
    }
}

/// Expired samples are looked for when this part of the retention has passed: a row may keep its
/// samples so much longer.
const SWEEPS_PER_RETENTION: u32 = 8;

/// This part of the memory limit is kept from targets that bring more series than others.
const RESERVED_PART: usize = 10;

/// How many series of a target's last list are looked at to find where it goes on.
const RESYNC_MAX: usize = 64;

/// What a target yielded last time.
#[derive(Debug, Default)]
struct Target {
    /// [`SeriesRef::NONE`] stands for a series that was refused.
    series: Vec<SeriesRef>,
    /// The list that these are the series of, where it came as one.
    list: Option<Arc<dyn SeriesList>>,
    /// Where the log has this list.
    layout: Layout,
    /// How many series it brought lately: an eighth of it is forgotten with each sweep.
    brought: u64,
}

/// The recent samples of all series.
#[derive(Debug, Default)]
pub struct Window {
    options: WindowOptions,
    store: Store,
    targets: HashMap<TargetId, Target>,
    newest_commit: Option<TimeMs>,
    last_sweep: Option<TimeMs>,
    /// The number of this commit.
    commit: u32,
    /// Nothing in memory, and while a log is replayed.
    log: Option<Log>,
    /// Whether the next commit starts a checkpoint: a commit is logged before it is in memory, so in
    /// the middle of one they differ.
    checkpoint_is_due: bool,
}

impl Window {
    /// An empty window in memory.
    pub fn new(options: WindowOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// The window that is logged in `dir`, with what the log has; the directory is made where it is
    /// not there. One process at a time.
    ///
    /// A record at the end of a file that was never completed is cut off: no caller was told that it
    /// was taken. What `Replayed` says of damage is worth telling a person.
    ///
    /// # Errors
    ///
    /// The directory is in use, a later version wrote it, it cannot be read or written, or it is
    /// damaged and the settings say to refuse that.
    pub fn open(dir: &Path, options: WindowOptions) -> Result<(Self, Replayed), OpenError> {
        log::open(dir, options)
    }

    /// Begins a checkpoint of all that was committed so far; the caller writes it, on another thread
    /// if it likes. `None` where nothing is logged.
    ///
    /// # Errors
    ///
    /// A new segment could not be begun.
    pub fn checkpoint(&mut self) -> Result<Option<Checkpoint>, LogError> {
        let Some(log) = &mut self.log else { return Ok(None) };
        log.finish_checkpoint(true)?;
        let targets = self.targets.iter().map(|(target, last)| {
            let current = last.series.iter().filter(|series| self.store.is_current(**series));
            (target.clone(), current.copied().collect())
        });
        Ok(Some(Checkpoint {
            dir: log.dir.clone(),
            number: log.begin_checkpoint()?,
            data: self.store.data.clone(),
            targets: targets.collect(),
            newest_commit: self.newest_commit,
            aside: Vec::new(),
        }))
    }

    /// Lets `commits` commit, and logs all of it at once when it returns: in one write, and forced to
    /// the disk once. What could not be logged is told here, not by each of them.
    pub fn batch<R>(&mut self, commits: impl FnOnce(&mut Self) -> R) -> (R, Option<LogError>) {
        if let Some(log) = &mut self.log {
            log.begin_batch();
        }
        let done = commits(self);
        let logged = self.log.as_mut().map_or(Ok(()), Log::end_batch);
        (done, logged.err())
    }

    /// Forces all that was committed to the disk, whatever the policy.
    ///
    /// # Errors
    ///
    /// The system could not.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.log.as_ref().map_or(Ok(()), Log::sync)
    }

    /// The settings.
    pub fn options(&self) -> &WindowOptions {
        &self.options
    }

    /// The samples as they are now, for a reader that must not hold up commits.
    pub fn snapshot(&self) -> Snapshot {
        self.store.data.clone()
    }

    /// The number of series that have samples.
    pub fn series_count(&self) -> usize {
        self.store.data.series_count()
    }

    /// An estimate of the memory that series and samples take, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.store.bytes()
    }

    /// The targets that yielded something and were not retired.
    pub fn targets(&self) -> impl Iterator<Item = &TargetId> {
        self.targets.keys()
    }

    /// The series with these labels, for [`Window::commit_refs`], made where there is none. `None`
    /// where that would take more memory than the limit.
    ///
    /// A series that gets no sample soon is gone again.
    pub fn series_ref(&mut self, labels: &Labels) -> Option<SeriesRef> {
        self.store.resolve(labels, self.options.memory_limit)
    }

    /// Appends one sample to each of `series`, all at the moment `at`. No series ends by it.
    pub fn append(&mut self, at: TimeMs, series: &[Series]) -> Commit {
        let mut commit = self.begin(at);
        let mut points = Vec::with_capacity(series.len());
        for series in series {
            match self.store.resolve(&series.labels, self.options.memory_limit) {
                Some(found) => points.push((found, Sample { at, value: series.value })),
                None => commit.rejected.over_limit += 1,
            }
        }
        self.log_with(&mut commit, |log, store| log.points(store, &points));
        for (series, sample) in points {
            self.push(series, sample, &mut commit);
        }
        commit
    }

    /// Appends what `target` yielded at the moment `at`, and ends each series that it yielded last
    /// time and does not yield now. A target that could not be read yields no series, or only `up`.
    ///
    /// A list with the label sets of last time, in their order, costs a comparison with the rows and
    /// no look-up; [`Window::commit_refs`] does without that, too.
    pub fn commit_target(&mut self, target: &TargetId, at: TimeMs, series: &[Series]) -> Commit {
        let mut commit = self.begin(at);
        let mut last = self.targets.remove(target).unwrap_or_default();
        let (before, others) = (self.store.made(), self.brought());
        let mut refs = Vec::with_capacity(series.len());
        // Where the next series is expected in the list of last time.
        let mut expected = 0;
        for Series { labels, value } in series {
            let known = last.series.get(expected).copied();
            if let Some(known) = known.filter(|known| self.store.is_series(*known, labels)) {
                expected += 1;
                refs.push((known, *value));
                continue;
            }
            let own = last.brought + (self.store.made() - before);
            let most = self.limit_for(own, others);
            let Some(found) = self.store.resolve(labels, most) else {
                commit.rejected.over_limit += 1;
                continue;
            };
            refs.push((found, *value));
            // Some that were there are missing, mostly: after them the lists are the same again.
            let rest = last.series.get(expected..).unwrap_or_default();
            if let Some(skipped) = rest.iter().take(RESYNC_MAX).position(|known| *known == found) {
                expected += skipped + 1;
            }
        }
        last.brought += self.store.made() - before;
        let (refs, values): (Vec<_>, Vec<_>) = refs.into_iter().unzip();
        self.take(target, last, None, at, refs, &values, &mut commit);
        commit
    }

    /// As [`Window::commit_target`], of a list that mostly comes again: then no label set is looked
    /// at. Of another list only those series are looked up of which it does not know where they
    /// stood in the last one.
    ///
    /// Panics where there are not as many values as series.
    pub fn commit_list(
        &mut self,
        target: &TargetId,
        at: TimeMs,
        list: &Arc<dyn SeriesList>,
        values: &[f64],
    ) -> Commit {
        assert_eq!(list.len(), values.len(), "each series of a list has a value");
        let mut commit = self.begin(at);
        let mut last = self.targets.remove(target).unwrap_or_default();
        let same = last.list.as_ref().is_some_and(|known| is_same_list(known, list));
        if same && last.series.iter().all(|series| self.store.is_current(*series)) {
            self.take_again(target, last, at, values, &mut commit);
            return commit;
        }
        let mut series = vec![SeriesRef::NONE; list.len()];
        match &last.list {
            Some(_) if same => series.copy_from_slice(&last.series),
            Some(known) => {
                for Run { at, was, len } in list.runs_of(known) {
                    let was = &last.series[was as usize..(was + len) as usize];
                    series[at as usize..(at + len) as usize].copy_from_slice(was);
                }
            }
            None => {}
        }
        let (before, others) = (self.store.made(), self.brought());
        for (index, series) in series.iter_mut().enumerate() {
            // What was refused may be there by now, and what expired must be made anew.
            if !self.store.is_current(*series) {
                let own = last.brought + (self.store.made() - before);
                let most = self.limit_for(own, others);
                let found = self.store.resolve(&list.labels(index), most);
                commit.rejected.over_limit += usize::from(found.is_none());
                *series = found.unwrap_or(SeriesRef::NONE);
            }
        }
        last.brought += self.store.made() - before;
        self.take(target, last, Some(list.clone()), at, series, values, &mut commit);
        commit
    }

    /// As [`Window::commit_target`], of series that the caller has asked for before: no label set is
    /// looked at.
    pub fn commit_refs(
        &mut self,
        target: &TargetId,
        at: TimeMs,
        samples: &[(SeriesRef, f64)],
    ) -> Commit {
        let mut commit = self.begin(at);
        let last = self.targets.remove(target).unwrap_or_default();
        let current = samples.iter().filter(|(series, _)| self.store.is_current(*series));
        let (series, values): (Vec<_>, Vec<_>) = current.copied().unzip();
        commit.rejected.unknown += samples.len() - series.len();
        self.take(target, last, None, at, series, &values, &mut commit);
        commit
    }

    /// Takes the samples of a target that yields the series of last time, which are all current.
    fn take_again(
        &mut self,
        target: &TargetId,
        mut last: Target,
        at: TimeMs,
        values: &[f64],
        commit: &mut Commit,
    ) {
        let Target { series, layout, .. } = &mut last;
        self.log_with(commit, |log, store| {
            log.samples(store, target, layout, true, at, series, values)
        });
        self.push_all(&last.series, at, values, commit);
        self.targets.insert(target.clone(), last);
    }

    /// Takes the samples of a target; where the series are not those of last time, what is missing
    /// ends.
    #[expect(clippy::too_many_arguments, reason = "all that is known of one collection")]
    fn take(
        &mut self,
        target: &TargetId,
        mut last: Target,
        list: Option<Arc<dyn SeriesList>>,
        at: TimeMs,
        series: Vec<SeriesRef>,
        values: &[f64],
        commit: &mut Commit,
    ) {
        last.list = list;
        let is_refused = |series: &SeriesRef| *series == SeriesRef::NONE;
        if last.series == series && !series.iter().any(is_refused) {
            return self.take_again(target, last, at, values, commit);
        }
        let taken = series.iter().zip(values).filter(|(series, _)| !is_refused(series));
        let (taken, values): (Vec<_>, Vec<_>) = taken.map(|(s, v)| (*s, *v)).unzip();
        let same = last.series == series;
        let layout = &mut last.layout;
        self.log_with(commit, |log, store| {
            log.samples(store, target, layout, same, at, &taken, &values)
        });
        self.push_all(&taken, at, &values, commit);
        for series in &taken {
            self.store.state_mut(*series).seen = self.commit;
        }
        for series in &last.series {
            if self.store.is_current(*series) && self.store.state_mut(*series).seen != self.commit {
                self.end(*series, at, commit);
            }
        }
        last.series = series;
        self.targets.insert(target.clone(), last);
    }

    /// Appends a sample to each of these series, all at one moment.
    fn push_all(&mut self, series: &[SeriesRef], at: TimeMs, values: &[f64], commit: &mut Commit) {
        if at <= self.store.data.floor {
            commit.rejected.expired += series.len();
            return;
        }
        let late_after = self.late_after();
        let mut done = 0;
        while let Some(first) = series.get(done) {
            let run = series[done..].iter().take_while(|other| other.family == first.family);
            let run = done..done + run.count();
            done = run.end;
            let rows = &series[run.clone()];
            let pushed = self.store.push_run(rows, at, &values[run], late_after);
            if pushed.changed {
                self.report_change(*first, commit);
            }
            commit.accepted += pushed.accepted;
            commit.rejected.out_of_order += pushed.out_of_order;
            commit.rejected.duplicate += pushed.duplicate;
        }
    }

    /// How many series the targets have brought lately. The one that is being committed is not among
    /// them.
    fn brought(&self) -> u64 {
        self.targets.values().map(|target| target.brought).sum()
    }

    /// Up to which memory a target may bring one more series, after `own` of them, where the others
    /// brought so many. See [`WindowOptions::memory_limit`].
    fn limit_for(&self, own: u64, others: u64) -> Option<usize> {
        let limit = self.options.memory_limit?;
        let average = (others + own) / (self.targets.len() as u64 + 1);
        Some(if own > average { limit - limit / RESERVED_PART } else { limit })
    }

    /// Logs, and starts a checkpoint where it is time for one. What fails is told with the commit.
    fn log_with(
        &mut self,
        commit: &mut Commit,
        write: impl FnOnce(&mut Log, &mut Store) -> Result<(), LogError>,
    ) {
        let Some(log) = &mut self.log else { return };
        let done = write(log, &mut self.store).and_then(|()| log.finish_checkpoint(false));
        self.checkpoint_is_due = log.is_checkpoint_due(self.store.bytes());
        if let Err(error) = done {
            commit.unlogged.get_or_insert(error);
        }
    }

    /// Ends every series that `target` yielded last time, and forgets the target.
    pub fn retire_target(&mut self, target: &TargetId, at: TimeMs) -> Commit {
        let mut commit = self.begin(at);
        self.log_with(&mut commit, |log, _| log.retired(target, at));
        for series in self.targets.remove(target).unwrap_or_default().series {
            if self.store.is_current(series) {
                self.end(series, at, &mut commit);
            }
        }
        commit
    }

    /// Appends samples of one series, oldest first: what a restore or a test script has.
    pub fn append_samples(&mut self, labels: &Labels, samples: &[Sample]) -> Commit {
        let mut commit = Commit::default();
        let mut points = Vec::with_capacity(samples.len());
        for sample in samples {
            commit.merge(self.begin(sample.at));
            match self.store.resolve(labels, self.options.memory_limit) {
                Some(series) => {
                    self.push(series, *sample, &mut commit);
                    points.push((series, *sample));
                }
                None => commit.rejected.over_limit += 1,
            }
        }
        // A series of which all samples expired while the newest were appended has nothing to log.
        points.retain(|(series, _)| self.store.is_current(*series));
        self.log_with(&mut commit, |log, store| log.points(store, &points));
        commit
    }

    /// Appends samples of series that the caller has asked for before, those of one series oldest
    /// first. No series ends by it.
    pub fn append_refs(&mut self, samples: &[(SeriesRef, Sample)]) -> Commit {
        let Some(newest) = samples.iter().map(|(_, sample)| sample.at).max() else {
            return Commit::default();
        };
        let mut commit = self.begin(newest);
        let current = samples.iter().filter(|(series, _)| self.store.is_current(*series));
        let current: Vec<_> = current.copied().collect();
        commit.rejected.unknown += samples.len() - current.len();
        self.log_with(&mut commit, |log, store| log.points(store, &current));
        for (series, sample) in current {
            self.push(series, sample, &mut commit);
        }
        commit
    }

    /// Appends samples that series of `target` state a time of, those of one series oldest first. What
    /// is new among the series counts as brought by the target, as what its lists bring does. None ends
    /// by it.
    pub fn append_timed(&mut self, target: &TargetId, samples: &[(&Labels, Sample)]) -> Commit {
        let Some(newest) = samples.iter().map(|(_, sample)| sample.at).max() else {
            return Commit::default();
        };
        let mut commit = self.begin(newest);
        let mut last = self.targets.remove(target).unwrap_or_default();
        let (before, others) = (self.store.made(), self.brought());
        let mut points = Vec::with_capacity(samples.len());
        for (labels, sample) in samples {
            let own = last.brought + (self.store.made() - before);
            let most = self.limit_for(own, others);
            match self.store.resolve(labels, most) {
                Some(series) => points.push((series, *sample)),
                None => commit.rejected.over_limit += 1,
            }
        }
        last.brought += self.store.made() - before;
        self.targets.insert(target.clone(), last);
        self.log_with(&mut commit, |log, store| log.points(store, &points));
        for (series, sample) in points {
            self.push(series, sample, &mut commit);
        }
        commit
    }

    /// Ends those of these series that have neither ended nor a sample at `at` or later: others are
    /// not there, or something else yields them.
    pub fn end_series(&mut self, series: &[Labels], at: TimeMs) -> Commit {
        if series.is_empty() {
            return Commit::default();
        }
        let mut commit = self.begin(at);
        let mut ending = Vec::new();
        for labels in series {
            // With no room for a new one, it is found or not.
            let Some(series) = self.store.resolve(labels, Some(0)) else { continue };
            let family = self.store.data.family(FamilyId(series.family));
            if self.store.is_live(series) && family.newest_at[series.row as usize] < at {
                ending.push((series, Sample { at, value: stale_nan() }));
            }
        }
        self.log_with(&mut commit, |log, store| log.points(store, &ending));
        for (series, _) in ending {
            self.end(series, at, &mut commit);
        }
        commit
    }

    /// Appends native histograms of one series, oldest first.
    pub fn append_histograms(
        &mut self,
        labels: &Labels,
        histograms: &[(TimeMs, Arc<Histogram>)],
    ) -> Commit {
        let mut commit = Commit::default();
        for (at, histogram) in histograms {
            commit.merge(self.begin(*at));
            match self.store.resolve(labels, self.options.memory_limit) {
                Some(series) => {
                    self.log_with(&mut commit, |log, store| {
                        log.histogram(store, series, *at, histogram)
                    });
                    self.push_histogram(series, *at, histogram, &mut commit);
                }
                None => commit.rejected.over_limit += 1,
            }
        }
        commit
    }

    fn push_histogram(
        &mut self,
        series: SeriesRef,
        at: TimeMs,
        histogram: &Arc<Histogram>,
        commit: &mut Commit,
    ) {
        if self.store.histogram(series, at).is_some_and(|known| known != histogram) {
            commit.rejected.duplicate += 1;
            return;
        }
        let before = commit.accepted;
        self.push(series, Sample { at, value: histogram_nan() }, commit);
        if commit.accepted > before {
            self.store.put_histogram(series, at, histogram.clone());
            // One after another is a change even though what stands for them is the same.
            self.report_change(series, commit);
        }
    }

    fn push(&mut self, series: SeriesRef, sample: Sample, commit: &mut Commit) {
        if sample.at <= self.store.data.floor {
            commit.rejected.expired += 1;
            return;
        }
        match self.store.push(series, sample, self.late_after()) {
            Outcome::Changed | Outcome::Late => {
                self.report_change(series, commit);
                commit.accepted += 1;
            }
            Outcome::Unchanged | Outcome::Known => commit.accepted += 1,
            Outcome::OutOfOrder => commit.rejected.out_of_order += 1,
            Outcome::Duplicate => commit.rejected.duplicate += 1,
        }
    }

    /// Until when a sample may be late.
    fn late_after(&self) -> TimeMs {
        match self.newest_commit {
            Some(newest) if !self.options.out_of_order.is_zero() => {
                newest - self.options.out_of_order
            }
            _ => TimeMs(i64::MAX),
        }
    }

    fn report_change(&mut self, series: SeriesRef, commit: &mut Commit) {
        if self.store.is_first_change(series, self.commit) {
            commit.changed.insert(self.store.name(series).clone());
        }
    }

    /// Writes the staleness marker of a series that has not ended. Where the series has a sample at
    /// this moment or a newer one, another target yields it: it goes on.
    fn end(&mut self, series: SeriesRef, at: TimeMs, commit: &mut Commit) {
        let marker = Sample { at, value: stale_nan() };
        if self.store.is_live(series)
            && self.store.push(series, marker, TimeMs(i64::MAX)) == Outcome::Changed
        {
            self.report_change(series, commit);
        }
    }

    /// Begins a commit at the moment `at`: what is too old by then goes.
    fn begin(&mut self, at: TimeMs) -> Commit {
        self.commit = self.commit.wrapping_add(1).max(1);
        let newest = self.newest_commit.map_or(at, |newest| newest.max(at));
        self.newest_commit = Some(newest);
        let last_sweep = *self.last_sweep.get_or_insert(newest);
        if newest.since(last_sweep) > self.options.retention / SWEEPS_PER_RETENTION {
            self.last_sweep = Some(newest);
            self.store.expire(newest - self.options.retention);
            for target in self.targets.values_mut() {
                target.brought -= target.brought.div_ceil(u64::from(SWEEPS_PER_RETENTION));
            }
        }
        if self.options.retention_bytes.is_some_and(|most| self.store.bytes() > most) {
            self.expire_by_bytes(newest);
        }
        let mut commit = Commit::default();
        if std::mem::take(&mut self.checkpoint_is_due) {
            commit.unlogged = self.start_checkpoint().err();
        }
        commit
    }

    fn start_checkpoint(&mut self) -> Result<(), LogError> {
        let checkpoint = self.checkpoint()?;
        if let (Some(log), Some(checkpoint)) = (&mut self.log, checkpoint) {
            log.start(checkpoint);
        }
        Ok(())
    }

    /// Drops the oldest samples, an eighth of the time that they span at once, until a tenth of the
    /// room is free or nothing but the newest is left.
    fn expire_by_bytes(&mut self, newest: TimeMs) {
        let Some(most) = self.options.retention_bytes else { return };
        for _ in 0..SWEEPS_PER_RETENTION {
            let Some(oldest) = self.store.first_at() else { return };
            let oldest = oldest.max(self.store.data.floor);
            self.store.expire(oldest + newest.since(oldest) / SWEEPS_PER_RETENTION);
            if self.store.bytes() <= most / 10 * 9 {
                return;
            }
        }
    }
}

/// What a log puts back when it is opened.
impl Window {
    /// Lets expire what does when something is committed at the moment `at`.
    pub(crate) fn advance(&mut self, at: TimeMs) {
        self.begin(at);
    }

    pub(crate) fn is_current(&self, series: SeriesRef) -> bool {
        self.store.is_current(series)
    }

    pub(crate) fn restore_clock(&mut self, newest_commit: Option<TimeMs>, floor: TimeMs) {
        self.newest_commit = newest_commit;
        self.last_sweep = newest_commit;
        self.store.data.floor = floor;
    }

    pub(crate) fn restore_target(&mut self, target: TargetId, series: Vec<SeriesRef>) {
        self.targets.insert(target, Target { series, ..Target::default() });
    }

    /// As [`Window::commit_refs`], of series that are current or refused.
    pub(crate) fn restore_target_samples(
        &mut self,
        target: &TargetId,
        at: TimeMs,
        series: &[SeriesRef],
        values: &[f64],
    ) -> Commit {
        let mut commit = self.begin(at);
        let refused = series.iter().filter(|series| **series == SeriesRef::NONE).count();
        commit.rejected.over_limit += refused;
        let last = self.targets.remove(target).unwrap_or_default();
        if refused == 0 && last.series == series {
            self.take_again(target, last, at, values, &mut commit);
        } else {
            self.take(target, last, None, at, series.to_vec(), values, &mut commit);
        }
        commit
    }

    /// The series of one name that a new window has; see [`Store::restore_family`].
    pub(crate) fn restore_family(
        &mut self,
        name: &str,
        count: usize,
        columns: &[LabelColumn],
    ) -> Option<Vec<SeriesRef>> {
        self.store.restore_family(name, count, columns, self.options.memory_limit)
    }

    pub(crate) fn restore_block(
        &mut self,
        series: SeriesRef,
        first_at: TimeMs,
        bytes: &[u8],
        last: bool,
    ) -> Option<()> {
        self.store.push_block(series, first_at, bytes, last)
    }

    /// `None` where the sample is not the newest of its series.
    pub(crate) fn restore_sample(&mut self, series: SeriesRef, sample: Sample) -> Option<()> {
        let outcome = self.store.push(series, sample, TimeMs(i64::MAX));
        matches!(outcome, Outcome::Changed | Outcome::Unchanged).then_some(())
    }

    pub(crate) fn restore_histogram(
        &mut self,
        series: SeriesRef,
        at: TimeMs,
        histogram: Arc<Histogram>,
    ) {
        if self.store.is_current(series) {
            self.store.put_histogram(series, at, histogram);
        }
    }

    /// Whatever is committed from now on is logged.
    pub(crate) fn finish_replay(&mut self, log: Log) {
        self.store.recount();
        self.log = Some(log);
    }
}

impl Source for Window {
    fn family_count(&self) -> usize {
        self.store.data.family_count()
    }

    fn find_family(&self, metric_name: &str) -> Option<FamilyId> {
        self.store.data.find_family(metric_name)
    }

    fn family(&self, id: FamilyId) -> Family<'_> {
        self.store.data.family(id)
    }

    fn text(&self, symbol: Symbol) -> &str {
        self.store.data.text(symbol)
    }

    fn range(&self, row: RowRef, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        self.store.data.range(row, after, until, out);
    }

    fn rise(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Rise> {
        self.store.data.rise(row, after, until)
    }

    fn newest_in(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Sample> {
        self.store.data.newest_in(row, after, until)
    }

    fn histogram(&self, row: RowRef, at: TimeMs) -> Option<Arc<Histogram>> {
        self.store.data.histogram(row, at)
    }

    fn selections(&self, family: FamilyId) -> Option<&Selections> {
        self.store.data.selections(family)
    }

    fn generation(&self) -> Option<u64> {
        self.store.data.generation()
    }
}
