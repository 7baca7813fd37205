use std::sync::Arc;
use std::time::Duration;

use paramedic_integration::{Collector, Look, ProbeError};
use paramedic_model::{Clock, Labels, Series, TimeMs};
use tokio::sync::mpsc;

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
}

/// The series of a target as they came last time, and with its labels: most come again.
#[derive(Debug, Default)]
pub struct Labelled(Vec<(Labels, Labels)>);

/// What one collection of one target yields, ready to be committed.
#[derive(Debug)]
pub struct Scraped {
    /// The target's identity: unique among the targets of a process.
    pub target: String,
    /// The moment that all samples stand at.
    pub at: TimeMs,
    /// The samples with the target's labels, `up` and its companions among them.
    pub series: Vec<Series>,
    /// Why the target could not be looked at.
    pub failure: Option<ProbeError>,
    /// How long it took, in wall time.
    pub took: Duration,
}

/// The receiver is gone, so collecting is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetError;

impl Target {
    /// The identity of this target: `job/instance`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.job, self.instance)
    }

    /// `sample` with the labels of this target. Where the sample brings one of its own by that
    /// name, it is kept as `exported_<name>`, as Prometheus does.
    fn label(&self, labels: &Labels) -> Labels {
        let mut builder = labels.to_builder();
        let own = [("job", self.job.as_str()), ("instance", self.instance.as_str())];
        for (name, value) in own.into_iter().chain(self.labels.iter()) {
            if let Some(theirs) = labels.get(name).filter(|theirs| *theirs != value) {
                builder.set(&format!("exported_{name}"), theirs);
            }
            builder.set(name, value);
        }
        builder.build()
    }

    /// `series` with the labels of this target, which are built only for what stands elsewhere in
    /// `last`; and `series` is what stands there afterwards.
    fn label_all(&self, series: Vec<Series>, last: &mut Labelled) -> Vec<Series> {
        last.0.truncate(series.len());
        let mut out = Vec::with_capacity(series.len());
        for (at, Series { labels, value }) in series.into_iter().enumerate() {
            match last.0.get(at) {
                Some((known, labelled)) if *known == labels => {
                    out.push(Series { labels: labelled.clone(), value });
                }
                _ => {
                    let labelled = self.label(&labels);
                    out.push(Series { labels: labelled.clone(), value });
                    match last.0.get_mut(at) {
                        Some(place) => *place = (labels, labelled),
                        None => last.0.push((labels, labelled)),
                    }
                }
            }
        }
        out
    }
}

/// Collects `target` once. `last` is what the last collection of it left.
pub async fn collect_once(target: &Target, clock: &dyn Clock, last: &mut Labelled) -> Scraped {
    collect_at(target, clock.now(), last).await
}

async fn collect_at(target: &Target, at: TimeMs, last: &mut Labelled) -> Scraped {
    let begun = tokio::time::Instant::now();
    let collecting = target.collector.collect(Look { now: at, since: at });
    let collection = match tokio::time::timeout(target.timeout, collecting).await {
        Ok(collection) => collection,
        Err(_) => paramedic_integration::Collection::failed(ProbeError::Deadline {
            target: target.instance.clone(),
            deadline: target.timeout,
        }),
    };
    let took = begun.elapsed();
    let mut series = collection.series;
    let collected = series.len();
    let up = if collection.failure.is_none() { 1.0 } else { 0.0 };
    series.push(Series::new("up", [], up));
    series.push(Series::new("scrape_duration_seconds", [], took.as_secs_f64()));
    series.push(Series::new("scrape_samples_scraped", [], collected as f64));
    if let Some(failure) = &collection.failure {
        series.push(Series::new("paramedic_collect_failed", [("reason", failure.class())], 1.0));
    }
    let series = target.label_all(series, last);
    Scraped { target: target.id(), at, series, failure: collection.failure, took }
}

/// A collection that begins so little after it was due stands at the moment when it was due, as in
/// Prometheus: timers are a little late, and samples at even distances take far less room.
const LATE_MAX: Duration = Duration::from_millis(2);

/// Collects `target` every interval and sends what comes, until nobody receives.
///
/// The first collection is at once, so that a person who starts a server sees something. A slow
/// collection delays the next one; none are made up for.
pub async fn collect_forever(
    target: Arc<Target>,
    clock: Arc<dyn Clock>,
    sink: mpsc::Sender<Scraped>,
) -> TargetError {
    let mut last = Labelled::default();
    let mut due = clock.now();
    loop {
        let now = clock.now();
        let at = if now.since(due) <= LATE_MAX.min(target.interval / 100) { due } else { now };
        let scraped = collect_at(&target, at, &mut last).await;
        let next = scraped.at + target.interval;
        due = next;
        if sink.send(scraped).await.is_err() {
            return TargetError;
        }
        clock.sleep(next.since(clock.now())).await;
    }
}

#[cfg(test)]
mod tests {
    use paramedic_integration::{Collection, ScaledClock};
    use paramedic_model::BoxFuture;

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
        }
    }

    async fn scrape(collector: impl Collector + 'static) -> Vec<String> {
        let clock = ScaledClock::new(TimeMs(0), 1.0);
        let scraped = collect_once(&target(collector), &clock, &mut Labelled::default()).await;
        let shown =
            scraped.series.iter().filter(|s| !s.labels.value("__name__").starts_with("scrape"));
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

    #[test]
    fn what_comes_again_is_not_labelled_anew() {
        let target = target(Hangs);
        let mut last = Labelled::default();
        let series = |names: &[&str]| -> Vec<Series> {
            names.iter().map(|name| Series::new(name, [("job", "theirs")], 1.0)).collect()
        };
        let first = target.label_all(series(&["a", "b", "c"]), &mut last);
        let second = target.label_all(series(&["a", "x", "c", "d"]), &mut last);
        assert!(first[0].labels.is(&second[0].labels) && first[2].labels.is(&second[2].labels));
        for names in [&["a", "x"][..], &["d", "a", "x"], &[], &["a"]] {
            let anew = target.label_all(series(names), &mut Labelled::default());
            assert_eq!(target.label_all(series(names), &mut last), anew, "{names:?}");
        }
    }
}
