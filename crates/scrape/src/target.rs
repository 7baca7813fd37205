use std::sync::Arc;
use std::time::Duration;

use paramedic_integration::{Collected, Collection, Collector, Listing, Look, ProbeError};
use paramedic_model::{Clock, Labels, METRIC_NAME, Series, SeriesList, TimeMs};
use tokio::sync::mpsc;

use crate::admit::{Admission, Admitted};
use crate::list::{Sets, TargetLabels, TargetList};
use crate::slot::Slot;
use crate::timed::{Timed, TimedSamples, missing};

/// One thing that is collected.
pub struct Target {
    /// The `job` label.
    pub job: String,
    /// The `instance` label.
    pub instance: String,
    /// Labels added to every sample.
    pub labels: Labels,
    /// How often, in the clock's time.
    pub interval: Duration,
    /// How long one collection may take, in wall time.
    pub timeout: Duration,
    /// What collects.
    pub collector: Arc<dyn Collector>,
    /// Where it comes from, where a job of `scrape_configs` discovered it.
    pub discovered: Option<Discovered>,
}

/// What is known of a target that a job of `scrape_configs` discovered.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The name of the job, which its `job` label need not be.
    pub pool: Arc<str>,
    /// The target's identity: unique among the targets of a process.
    pub id: String,
    /// What is scraped.
    pub url: String,
    /// Its labels before relabelling.
    pub labels: Labels,
    /// The labels of its samples, `job` and `instance` among them unless relabelling took them.
    pub target_labels: Labels,
    /// What is done with its series.
    pub admission: Admission,
    /// When in its interval it is collected.
    pub slot: Slot,
    /// Why it is not scraped although it is there: its pool holds too many.
    pub refused: Option<String>,
}

/// What the last collection of a target left, so that the next one says what is the same.
#[derive(Debug, Default)]
pub struct Last {
    labels: Option<Arc<TargetLabels>>,
    sets: Option<Arc<Sets>>,
    list: Option<Arc<TargetList>>,
    admitted: Option<Arc<Admitted>>,
    timed: Option<Arc<Timed>>,
}

/// What one collection of one target yields, ready to be committed.
#[derive(Debug)]
pub struct Scraped {
    /// The target's identity: unique among the targets of a process.
    pub target: String,
    /// The moment that all samples stand at that do not state another.
    pub at: TimeMs,
    /// The series with the target's labels, `up` and its companions among them: the same list as
    /// last time where they are the same.
    pub list: Arc<dyn SeriesList>,
    /// The value of each.
    pub values: Vec<f64>,
    /// Samples that state their own time, apart from the list.
    pub timed: TimedSamples,
    /// What tells of the families of the target, where it could be read: a list that has
    /// [metadata](SeriesList::metadata).
    pub described: Option<Arc<dyn SeriesList>>,
    /// Why the target could not be looked at.
    pub failure: Option<ProbeError>,
    /// How long it took, in wall time.
    pub took: Duration,
}

/// The receiver is gone, so collecting is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetError;

impl Target {
    /// The identity of this target: `job/instance`, unless several that were discovered share it.
    pub fn id(&self) -> String {
        match &self.discovered {
            Some(discovered) => discovered.id.clone(),
            None => format!("{}/{}", self.job, self.instance),
        }
    }

    /// Whether `other` is scraped just as this one, so that a running loop may go on.
    pub fn is_same(&self, other: &Target) -> bool {
        let (Some(a), Some(b)) = (&self.discovered, &other.discovered) else { return false };
        (a.pool == b.pool && a.url == b.url && a.labels == b.labels)
            && (&a.target_labels, &a.refused) == (&b.target_labels, &b.refused)
            && (self.interval, self.timeout) == (other.interval, other.timeout)
    }

    /// When it is to be collected after a collection that began at `last`, as seen from `now`.
    pub fn next_after(&self, last: TimeMs, now: TimeMs) -> TimeMs {
        match &self.discovered {
            Some(discovered) => discovered.slot.next_after(now.max(last), self.interval),
            None => last + self.interval,
        }
    }

    /// The labels that all its series get, `job` and `instance` among them.
    pub fn all_labels(&self) -> Labels {
        self.target_labels().into_labels()
    }

    fn target_labels(&self) -> TargetLabels {
        match &self.discovered {
            Some(discovered) => TargetLabels::discovered(discovered.target_labels.clone()),
            None => TargetLabels::new(&self.job, &self.instance, &self.labels),
        }
    }
}

/// Collects `target` once. `last` is what the last collection of it left.
pub async fn collect_once(target: &Target, clock: &dyn Clock, last: &mut Last) -> Scraped {
    collect_at(target, clock.now(), last).await
}

async fn collect_at(target: &Target, at: TimeMs, last: &mut Last) -> Scraped {
    let begun = tokio::time::Instant::now();
    let collecting = target.collector.collect_again(Look { now: at, since: at });
    let collected = match tokio::time::timeout(target.timeout, collecting).await {
        Ok(collected) => collected,
        Err(_) => Collected::Sets(Collection::failed(ProbeError::Deadline {
            target: target.instance.clone(),
            deadline: target.timeout,
        })),
    };
    let took = begun.elapsed();
    let mut described = None;
    let (listing, mut failure) = match collected {
        Collected::Listed(listing) => {
            described = Some(listing.series.clone());
            (listing, None)
        }
        Collected::Sets(Collection { series, failure }) => {
            let split = |Series { labels, value }| (labels, value);
            let (sets, values) = series.into_iter().map(split).unzip();
            let sets = Sets::next(last.sets.as_ref(), sets);
            last.sets = Some(sets.clone());
            (Listing { series: sets, values, times: None }, failure)
        }
    };
    let collected = listing.series.len();
    let labels = last.labels.get_or_insert_with(|| Arc::new(target.target_labels())).clone();
    let (listing, is_labelled) = last.admit(target, &labels, listing).unwrap_or_else(|reason| {
        failure = Some(ProbeError::answer(&target.instance, reason));
        let series = Sets::next(None, Vec::new());
        (Listing { series, values: Vec::new(), times: None }, false)
    });
    let taken = listing.series.len();
    let (list, mut values, timed, came) = last.set_apart(target, &labels, listing, is_labelled);
    let own = |name| Labels::from([(METRIC_NAME, name)]);
    let mut series = vec![
        own("up"),
        own("scrape_duration_seconds"),
        own("scrape_samples_scraped"),
        own("scrape_samples_post_metric_relabeling"),
        own("scrape_series_added"),
    ];
    let up = if failure.is_none() { 1.0 } else { 0.0 };
    let added = TargetList::count_new(last.list.as_ref(), &list) + came;
    values.extend([up, took.as_secs_f64(), collected as f64, taken as f64, added as f64]);
    if let Some(failure) = &failure {
        series.push(own("paramedic_collect_failed").with("reason", failure.class()));
        values.push(1.0);
    }
    let list = TargetList::next(last.list.as_ref(), &labels, (list, is_labelled), series);
    last.list = Some(list.clone());
    Scraped { target: target.id(), at, list, values, timed, described, failure, took }
}

impl Last {
    /// What is taken of a collection, and whether it has the target's labels already.
    fn admit(
        &mut self,
        target: &Target,
        labels: &TargetLabels,
        listing: Listing,
    ) -> Result<(Listing, bool), String> {
        let admission = target.discovered.as_ref().map(|discovered| &discovered.admission);
        let Some(admission) = admission.filter(|admission| !admission.is_plain()) else {
            return Ok((listing, false));
        };
        let Listing { series, values, times } = listing;
        let admitted = admission.admit(labels, series, self.admitted.as_ref())?;
        self.admitted = Some(admitted.clone());
        let (values, times) = (admitted.pick(&values), times.map(|times| admitted.pick(&times)));
        Ok((Listing { series: admitted, values, times }, true))
    }

    /// The series that stand at the time of their collection, and apart from them the samples that
    /// state another; and how many of those are of series that are new.
    fn set_apart(
        &mut self,
        target: &Target,
        labels: &TargetLabels,
        listing: Listing,
        is_labelled: bool,
    ) -> (Arc<dyn SeriesList>, Vec<f64>, TimedSamples, usize) {
        let Listing { series, values, times } = listing;
        let before = self.timed.take();
        let (list, values, mut timed) = match times {
            None => (series, values, TimedSamples::default()),
            Some(times) => {
                let found = Timed::next(before.as_ref(), labels, &series, is_labelled, &times);
                let (rest, others) = found.rest(&values);
                let samples = found.samples(&values, &times);
                let labels = found.labels().clone();
                self.timed = Some(found);
                (rest, others, TimedSamples { labels, samples, is_tracked: false })
            }
        };
        let admission = target.discovered.as_ref().map(|discovered| &discovered.admission);
        timed.is_tracked = admission.is_some_and(|admission| admission.track_times);
        let before = before.as_ref().map_or(&[][..], |before| &before.labels()[..]);
        let came = missing(&timed.labels, before).len();
        (list, values, timed, came)
    }
}

impl Scraped {
    /// The value of each series, with its labels.
    pub fn samples(&self) -> impl Iterator<Item = Series> {
        let labels = (0..self.list.len()).map(|index| self.list.labels(index));
        let timed = self.timed.labels.iter().cloned();
        let timed = timed.zip(self.timed.samples.iter().map(|sample| &sample.value));
        let all = labels.zip(&self.values).chain(timed);
        all.map(|(labels, value)| Series { labels, value: *value })
    }
}

/// A collection that begins so little after it was due stands at the moment when it was due, as in
/// Prometheus: timers are a little late, and samples at even distances take far less room.
const LATE_MAX: Duration = Duration::from_millis(2);

/// Collects `target` every interval and sends what comes, until nobody receives.
///
/// The first collection is soon, so that a person who starts a server sees something and rules need
/// not wait; that of a discovered target is not at once, so that a thousand do not begin together.
/// From the second on these are collected at their [`Slot`], all others an interval after the last
/// time. A slow collection delays the next one; none are made up for.
pub async fn collect_forever(
    target: Arc<Target>,
    clock: Arc<dyn Clock>,
    sink: mpsc::Sender<Scraped>,
) -> TargetError {
    let mut last = Last::default();
    let mut due = clock.now();
    if let Some(discovered) = &target.discovered {
        let delay = discovered.slot.first(target.interval);
        due = due + delay;
        clock.sleep(delay).await;
    }
    loop {
        let now = clock.now();
        let at = if now.since(due) <= LATE_MAX.min(target.interval / 100) { due } else { now };
        let scraped = collect_at(&target, at, &mut last).await;
        let at = scraped.at;
        if sink.send(scraped).await.is_err() {
            return TargetError;
        }
        let now = clock.now();
        due = target.next_after(at, now);
        clock.sleep(due.since(now)).await;
    }
}

#[cfg(test)]
mod tests {
    use paramedic_integration::ScaledClock;
    use paramedic_model::{BoxFuture, is_same_list};

    use super::*;

    struct Fixed(fn() -> Collection);

    impl Collector for Fixed {
        fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
            Box::pin(async { (self.0)() })
        }
    }

    struct Hangs;

    impl Collector for Hangs {
        fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
            Box::pin(std::future::pending())
        }
    }

    fn target(collector: impl Collector + 'static) -> Target {
        Target {
            job: "opnsense".to_owned(),
            instance: "fw1:443".to_owned(),
            labels: Labels::from([("site", "a")]),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            collector: Arc::new(collector),
            discovered: None,
        }
    }

    async fn scrape(collector: impl Collector + 'static) -> Vec<String> {
        let clock = ScaledClock::new(TimeMs(0), 1.0);
        let scraped = collect_once(&target(collector), &clock, &mut Last::default()).await;
        let samples = scraped.samples();
        let shown = samples.filter(|s| !s.labels.value("__name__").starts_with("scrape"));
        shown.map(|sample| format!("{} {}", sample.labels, sample.value)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_always_says_whether_it_could_be_looked_at() {
        let up = Fixed(|| Collection::complete(vec![Series::new("x", [("job", "theirs")], 2.0)]));
        assert_eq!(
            scrape(up).await,
            [
                r#"x{exported_job="theirs", instance="fw1:443", job="opnsense", site="a"} 2"#,
                r#"up{instance="fw1:443", job="opnsense", site="a"} 1"#,
            ]
        );
        let silent = [
            r#"up{instance="fw1:443", job="opnsense", site="a"} 0"#.to_owned(),
            r#"paramedic_collect_failed{instance="fw1:443", job="opnsense", reason="deadline", site="a"} 1"#
                .to_owned(),
        ];
        assert_eq!(scrape(Hangs).await, silent);
    }

    /// Yields what it was told to.
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<Series>>);

    impl Collector for Told {
        fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
            Box::pin(async { Collection::complete(self.0.lock().unwrap().clone()) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_again_is_the_same_list_and_the_rest_knows_where_it_stood() {
        let told = Arc::new(Told::default());
        let target = Target { collector: told.clone(), ..target(Hangs) };
        let (clock, mut last) = (ScaledClock::new(TimeMs(0), 1.0), Last::default());
        let mut before: Option<Scraped> = None;
        let lists: [&[&str]; 6] =
            [&["a", "b", "c"], &["a", "b", "c"], &["a", "x", "c", "d"], &["a"], &[], &["a"]];
        let mut same = Vec::new();
        for names in lists {
            let series = names.iter().map(|name| Series::new(name, [("job", "theirs")], 1.0));
            *told.0.lock().unwrap() = series.collect();
            let scraped = collect_once(&target, &clock, &mut last).await;
            let anew = collect_once(&target, &clock, &mut Last::default()).await;
            assert_eq!(
                scraped.samples().map(|sample| sample.labels).collect::<Vec<_>>(),
                anew.samples().map(|sample| sample.labels).collect::<Vec<_>>(),
            );
            if let Some(before) = &before {
                same.push(is_same_list(&before.list, &scraped.list));
                let runs = scraped.list.runs_of(&before.list);
                for n in runs.iter().flat_map(|run| (0..run.len).map(|n| (run.at + n, run.was + n)))
                {
                    let labels = scraped.list.labels(n.0 as usize);
                    assert_eq!(labels, before.list.labels(n.1 as usize));
                }
                // What is said of the collection is always known.
                assert!(same[same.len() - 1] || runs.iter().map(|run| run.len).sum::<u32>() >= 3);
            }
            before = Some(scraped);
        }
        assert_eq!(same, [true, false, false, false, false]);
    }
}
