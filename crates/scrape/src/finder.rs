//! The target groups of a job as they come and go: fixed ones, those of files, those of servers.
//!
//! A source that cannot be read keeps what it said last; a file that is gone takes its targets with
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{ACCEPT, HeaderName, HeaderValue};
use paramedic_integration::{Environment, without_query};
use paramedic_model::TimeMs;
use tokio::task::JoinSet;

use crate::groups::read_groups;
use crate::http::Fetcher;
use crate::job::{HttpSource, Sources, TargetGroup};
use crate::patterns::find_files;

/// How often files are looked at: a look costs one call of the system for each.
const FILES_EVERY: Duration = Duration::from_secs(5);
/// The largest list of groups that a server may give.
const GROUPS_BYTES_MAX: usize = 64 << 20;

/// Finds target groups again and again.
pub struct Finder {
    /// Whose they are, for the log.
    owner: String,
    sources: Sources,
    environment: Environment,
    files: BTreeMap<PathBuf, ReadFile>,
    servers: Vec<Asked>,
    /// Answers that are waited for, each with the place of its server.
    asking: JoinSet<(usize, Result<Vec<TargetGroup>, String>)>,
    /// What was found last.
    found: Vec<TargetGroup>,
    is_complete: bool,
}

struct ReadFile {
    changed: Option<(SystemTime, u64)>,
    groups: Vec<TargetGroup>,
    /// Whether it could ever be read.
    is_heard: bool,
}

#[derive(Default)]
struct Asked {
    due: Option<TimeMs>,
    is_asked: bool,
    /// Whether it ever answered.
    is_heard: bool,
    groups: Vec<TargetGroup>,
}

impl Finder {
    /// Of what `owner` names as its `sources`. Nothing is read yet.
    pub fn new(owner: &str, sources: Sources, environment: Environment) -> Self {
        let servers = sources.http.iter().map(|_| Asked::default()).collect();
        Self {
            owner: owner.to_owned(),
            sources,
            environment,
            files: BTreeMap::new(),
            servers,
            asking: JoinSet::new(),
            found: Vec::new(),
            is_complete: false,
        }
    }

    /// Whether what was found last has something of every source: each file was read and each server
    /// answered, once at least.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn is_heard(&self) -> bool {
        self.files.values().all(|file| file.is_heard)
            && self.servers.iter().all(|server| server.is_heard)
    }

    /// What is there now without asking anybody: fixed groups and files.
    pub fn at_once(&mut self) -> &[TargetGroup] {
        self.read_files();
        self.found = self.groups();
        self.is_complete = self.is_heard();
        &self.found
    }

    /// Waits until others are there than last time, or all of them for the first time. For ever, where
    /// nothing can change.
    pub async fn next(&mut self) -> &[TargetGroup] {
        loop {
            let now = self.environment.clock.now();
            self.ask_servers(now);
            self.read_files();
            let (groups, is_complete) = (self.groups(), self.is_heard());
            if groups != self.found || is_complete != self.is_complete {
                (self.found, self.is_complete) = (groups, is_complete);
                return &self.found;
            }
            let files = (!self.sources.files.is_empty()).then(|| now + FILES_EVERY);
            let idle = self.servers.iter().filter(|server| !server.is_asked);
            let due = idle.filter_map(|server| server.due).chain(files).min();
            let nap = due.map(|due| self.environment.clock.sleep(due.since(now)));
            let nap = async {
                match nap {
                    Some(nap) => nap.await,
                    None => std::future::pending().await,
                }
            };
            // In this order, because without one tokio rolls dice, and drills must not.
            tokio::select! {
                biased;
                Some(answered) = self.asking.join_next() => {
                    let Ok((at, answer)) = answered else { continue };
                    self.take_answer(at, answer);
                }
                () = nap => {}
            }
        }
    }

    fn groups(&self) -> Vec<TargetGroup> {
        let files = self.files.values().flat_map(|file| &file.groups);
        let servers = self.servers.iter().flat_map(|server| &server.groups);
        self.sources.fixed.iter().chain(files).chain(servers).cloned().collect()
    }

    fn read_files(&mut self) {
        let sources = self.sources.files.iter();
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
            let (groups, is_heard) = match read_file(&path) {
                Ok(groups) => (groups, true),
                Err(reason) => {
                    tracing::warn!(owner = self.owner, "{}: {reason}", path.display());
                    let before = known.map(|known| (known.groups.clone(), known.is_heard));
                    before.unwrap_or_default()
                }
            };
            self.files.insert(path, ReadFile { changed, groups, is_heard });
        }
    }

    /// Asks the servers that are due, each in a task of its own: one that hangs holds up nobody.
    fn ask_servers(&mut self, now: TimeMs) {
        for (at, (source, server)) in self.sources.http.iter().zip(&mut self.servers).enumerate() {
            if server.is_asked || server.due.is_some_and(|due| due > now) {
                continue;
            }
            (server.is_asked, server.due) = (true, Some(now + source.refresh));
            let (source, environment) = (source.clone(), self.environment.clone());
            self.asking.spawn(async move { (at, ask(&source, &environment).await) });
        }
    }

    fn take_answer(&mut self, at: usize, answer: Result<Vec<TargetGroup>, String>) {
        let server = &mut self.servers[at];
        server.is_asked = false;
        match answer {
            Ok(groups) => (server.groups, server.is_heard) = (groups, true),
            Err(reason) => {
                let reason = self.environment.redactor.clean(&reason);
                let url = without_query(&self.sources.http[at].url);
                tracing::warn!(owner = self.owner, "{url}: {reason}");
            }
        }
    }
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
