//! The targets of a job as they come and go: what is made of the groups that are found.

use std::collections::BTreeSet;
use std::sync::Arc;

use paramedic_integration::{Collection, Collector, Environment, Look, ProbeError};
use paramedic_model::{BoxFuture, Labels};

use crate::admit::Admission;
use crate::finder::Finder;
use crate::http::HttpCollector;
use crate::job::{Job, TargetGroup};
use crate::plan::{Plan, Planned, plan};
use crate::slot::Slot;
use crate::target::{Discovered, Target};

/// The targets of one job, as they are at a moment.
#[derive(Clone)]
pub struct Pool {
    /// The job.
    pub name: Arc<str>,
    /// What is scraped.
    pub targets: Vec<Arc<Target>>,
    /// Labels of discovered targets that relabelling dropped, as many as are kept.
    pub dropped: Vec<Labels>,
    /// How many were dropped.
    pub dropped_count: usize,
    /// Whether every source was heard, once at least: until then there may be others.
    pub is_complete: bool,
}

/// Finds the targets of a job again and again.
pub struct Discovery {
    job: Arc<Job>,
    environment: Environment,
    /// What spreads the targets of this server otherwise than those of another one.
    seed: u64,
    finder: Finder,
    /// What was said of the plan last, so that it is said once.
    told: Vec<String>,
}

impl Discovery {
    /// Of `job`, whose targets are collected at moments that `seed` decides besides their labels.
    /// Nothing is read yet.
    pub fn new(job: Arc<Job>, environment: Environment, seed: u64) -> Self {
        let finder = Finder::new(&job.name, job.sources.clone(), environment.clone());
        Self { job, environment, seed, finder, told: Vec::new() }
    }

    /// What is there now without asking anybody: fixed targets and files.
    pub fn at_once(&mut self) -> Pool {
        let groups = self.finder.at_once().to_vec();
        self.pool(&groups)
    }

    /// Waits until others are there than `last` says. For ever, where nothing can change.
    pub async fn next(&mut self, last: &Pool) -> Pool {
        loop {
            let groups = self.finder.next().await.to_vec();
            let pool = self.pool(&groups);
            if !same(last, &pool) {
                return pool;
            }
        }
    }

    fn pool(&mut self, groups: &[TargetGroup]) -> Pool {
        let job = &self.job;
        let Plan { active, dropped, dropped_count, mut failures } = plan(job, groups);
        let count = active.len();
        let over = (job.target_limit > 0 && count > job.target_limit).then(|| {
            let limit = job.target_limit;
            format!("target_limit exceeded (number of targets: {count}, limit: {limit})")
        });
        let mut ids = BTreeSet::new();
        let mut targets = Vec::with_capacity(count);
        for planned in &active {
            let at = Slot::new(&planned.labels, &planned.url(), self.seed);
            match target(job, planned, at, over.clone(), &mut ids, &self.environment) {
                Ok(target) => targets.push(Arc::new(target)),
                Err(reason) => failures.push(format!("{}: {reason}", planned.discovered)),
            }
        }
        for failure in failures.iter().filter(|failure| !self.told.contains(failure)) {
            tracing::warn!(job = job.name, "cannot scrape a target: {failure}");
        }
        self.told = failures;
        let is_complete = self.finder.is_complete();
        Pool { name: job.name.as_str().into(), targets, dropped, dropped_count, is_complete }
    }
}

/// Whether the two differ in nothing that is scraped or shown.
fn same(a: &Pool, b: &Pool) -> bool {
    let targets = a.targets.len() == b.targets.len()
        && a.targets.iter().zip(&b.targets).all(|(a, b)| a.id() == b.id() && a.is_same(b));
    let counts = |pool: &Pool| (pool.dropped_count, pool.is_complete);
    targets && a.dropped == b.dropped && counts(a) == counts(b)
}

/// The target of a plan. `over` is why none of the pool may be scraped.
fn target(
    job: &Job,
    planned: &Planned,
    slot: Slot,
    over: Option<String>,
    ids: &mut BTreeSet<String>,
    environment: &Environment,
) -> Result<Target, String> {
    let labels = &planned.labels;
    let (name, instance) = (labels.value("job"), labels.value("instance"));
    // What people see is `job/instance`; where that is not enough, more is said.
    let mut id = match name == job.name {
        true => format!("{name}/{instance}"),
        false => format!("{}/{name}/{instance}", job.name),
    };
    if !ids.insert(id.clone()) {
        id = format!("{id} {} {labels}", planned.url());
        ids.insert(id.clone());
    }
    let collector: Arc<dyn Collector> = match over.clone() {
        Some(reason) => Arc::new(Refused { instance: instance.to_owned(), reason }),
        None => {
            let collector = HttpCollector::new(job, planned, environment);
            Arc::new(collector.map_err(|error| error.to_string())?)
        }
    };
    let discovered = Discovered {
        pool: job.name.as_str().into(),
        id,
        url: planned.url(),
        labels: planned.discovered.clone(),
        target_labels: labels.clone(),
        admission: Admission {
            honor_labels: job.honor_labels,
            rules: job.metric_relabel.clone(),
            limits: job.limits.clone(),
            track_times: job.track_timestamps,
        },
        slot,
        refused: over,
    };
    Ok(Target {
        job: name.to_owned(),
        instance: instance.to_owned(),
        labels: labels.without(&["job", "instance"]),
        interval: planned.interval,
        timeout: planned.timeout,
        collector,
        discovered: Some(discovered),
    })
}

/// A target of a pool that holds too many.
struct Refused {
    instance: String,
    reason: String,
}

impl Collector for Refused {
    fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
        let failure = ProbeError::answer(&self.instance, self.reason.as_str());
        Box::pin(async { Collection::failed(failure) })
    }
}
