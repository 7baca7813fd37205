//! The targets of a job as they come and go: fixed ones, those of files, those of servers.
//!
//! A source that cannot be read keeps what it said last; a file that is gone takes its targets with
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{ACCEPT, HeaderName, HeaderValue};
use paramedic_integration::{Collection, Collector, Environment, Look, ProbeError};
use paramedic_model::{BoxFuture, Labels, TimeMs};

use crate::admit::Admission;
use crate::groups::{find_files, read_groups};
use crate::http::{Fetcher, HttpCollector};
use crate::job::{HttpSource, Job, TargetGroup};
use crate::plan::{Plan, Planned, plan};
use crate::slot::Slot;
use crate::target::{Discovered, Target};

/// How often files are looked at: a look costs one call of the system for each.
const FILES_EVERY: Duration = Duration::from_secs(5);
/// The largest list of groups that a server may give.
const GROUPS_BYTES_MAX: usize = 64 << 20;

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
}

/// Finds the targets of a job again and again.
pub struct Discovery {
    job: Arc<Job>,
    environment: Environment,
    /// What spreads the targets of this server otherwise than those of another one.
    seed: u64,
    files: BTreeMap<PathBuf, ReadFile>,
    servers: Vec<Asked>,
    /// What was said of the plan last, so that it is said once.
    told: Vec<String>,
}

struct ReadFile {
    changed: Option<(SystemTime, u64)>,
    groups: Vec<TargetGroup>,
}

#[derive(Default)]
struct Asked {
    due: Option<TimeMs>,
    groups: Vec<TargetGroup>,
}

impl Discovery {
    /// Of `job`, whose targets are collected at moments that `seed` decides besides their labels.
    /// Nothing is read yet.
    pub fn new(job: Arc<Job>, environment: Environment, seed: u64) -> Self {
        let servers = job.sources.http.iter().map(|_| Asked::default()).collect();
        Self { job, environment, seed, files: BTreeMap::new(), servers, told: Vec::new() }
    }

    /// What is there now without asking anybody: fixed targets and files.
    pub fn at_once(&mut self) -> Pool {
        self.read_files();
        self.pool()
    }

    /// Waits until others are there than `last` says. For ever, where nothing can change.
    pub async fn next(&mut self, last: &Pool) -> Pool {
        loop {
            let now = self.environment.clock.now();
            self.ask_servers(now).await;
            self.read_files();
            let pool = self.pool();
            if !same(last, &pool) {
                return pool;
            }
            let now = self.environment.clock.now();
            let files = (!self.job.sources.files.is_empty()).then(|| now + FILES_EVERY);
            let due = self.servers.iter().filter_map(|server| server.due).chain(files).min();
            match due {
                Some(due) => self.environment.clock.sleep(due.since(now)).await,
                None => std::future::pending().await,
            }
        }
    }

    fn pool(&mut self) -> Pool {
        let job = &self.job;
        let sources = &job.sources;
        let mut groups = sources.fixed.clone();
        groups.extend(self.files.values().flat_map(|file| file.groups.iter().cloned()));
        groups.extend(self.servers.iter().flat_map(|server| server.groups.iter().cloned()));
        let Plan { active, dropped, dropped_count, mut failures } = plan(job, &groups);
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
        Pool { name: job.name.as_str().into(), targets, dropped, dropped_count }
    }

    fn read_files(&mut self) {
        let sources = self.job.sources.files.iter();
        let found: BTreeSet<_> = sources
            .flat_map(|source| &source.patterns)
            .flat_map(|pattern| find_files(pattern))
            .collect();
        self.files.retain(|path, _| found.contains(path));
        for path in found {
            let changed =
                std::fs::metadata(&path).and_then(|data| Ok((data.modified()?, data.len()))).ok();
            let known = self.files.get(&path);
            if known.is_some_and(|known| known.changed == changed) {
                continue;
            }
            let groups = match read_file(&path) {
                Ok(groups) => groups,
                Err(reason) => {
                    tracing::warn!(job = self.job.name, "{}: {reason}", path.display());
                    known.map(|known| known.groups.clone()).unwrap_or_default()
                }
            };
            self.files.insert(path, ReadFile { changed, groups });
        }
    }

    async fn ask_servers(&mut self, now: TimeMs) {
        for (source, server) in self.job.sources.http.iter().zip(&mut self.servers) {
            if server.due.is_some_and(|due| due > now) {
                continue;
            }
            match ask(source, &self.environment).await {
                Ok(groups) => server.groups = groups,
                Err(reason) => {
                    let reason = self.environment.redactor.clean(&reason);
                    tracing::warn!(job = self.job.name, "{}: {reason}", source.url);
                }
            }
            server.due = Some(now + source.refresh);
        }
    }
}

/// Whether the two differ in nothing that is scraped or shown.
fn same(a: &Pool, b: &Pool) -> bool {
    let targets = a.targets.len() == b.targets.len()
        && a.targets.iter().zip(&b.targets).all(|(a, b)| a.id() == b.id() && a.is_same(b));
    targets && a.dropped == b.dropped && a.dropped_count == b.dropped_count
}

fn read_file(path: &Path) -> Result<Vec<TargetGroup>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let groups = read_groups(&text, is_json)?;
    let name = path.display().to_string();
    Ok(groups.into_iter().map(|group| with_meta(group, "__meta_filepath", &name)).collect())
}

fn with_meta(group: TargetGroup, name: &str, value: &str) -> TargetGroup {
    TargetGroup { labels: group.labels.with(name, value), ..group }
}

async fn ask(source: &HttpSource, environment: &Environment) -> Result<Vec<TargetGroup>, String> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let seconds = source.refresh.as_secs_f64().to_string();
    let name = HeaderName::from_static("x-prometheus-refresh-interval-seconds");
    headers.insert(name, HeaderValue::from_str(&seconds).map_err(|error| error.to_string())?);
    let fetcher = Fetcher {
        environment: environment.clone(),
        options: source.client.clone(),
        headers,
        deadline: source.refresh,
        body_bytes_max: GROUPS_BYTES_MAX,
    };
    let response = fetcher.get(&source.url).await.map_err(|error| error.to_string())?;
    let content_type = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next() == Some("application/json")
        && parts.all(|part| matches!(part, "" | "charset=utf-8" | "charset=\"utf-8\""));
    if !is_json {
        return Err(format!("unsupported content type {content_type:?}"));
    }
    let body = fetcher.body(&response).map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(&body).map_err(|error| error.to_string())?;
    let groups = read_groups(text, true)?;
    Ok(groups.into_iter().map(|group| with_meta(group, "__meta_url", &source.url)).collect())
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
