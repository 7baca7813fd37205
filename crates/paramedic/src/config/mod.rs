//! The configuration file: a strict superset of `prometheus.yml`.
//!
//! Every mistake is reported with file, line and column, all of them at once; a key that nobody
//! knows is a mistake. What Prometheus has and we do not is refused by name, with what to do
//! instead, because a key that is silently ignored is worse than one that is missing.

mod guards;
mod prometheus;
mod restoring;
mod samples;
mod sending;
mod serving;
mod shown;
mod systems;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::Catalog;
use paramedic_engine::Freeze;
use paramedic_incident::Policy;
use paramedic_integration::TlsSettings;
use paramedic_model::{Secret, parse_duration};
use paramedic_rules::Restore;
use paramedic_scrape::{Alerting, Job, find_files};
use paramedic_yaml::{Key, Place};

pub use samples::SamplesConfig;
pub use sending::SendingConfig;
pub use serving::{QueryConfig, ServerConfig};
pub use systems::{Contact, SystemConfig};
use yaml::{Mistake, Node, Read as _, Table};

/// The commented default, as `paramedic config default` prints it.
pub const DEFAULT: &str = include_str!("default.yml");

/// A configuration that was read without a mistake.
#[derive(Debug)]
pub struct Config {
    /// `global`.
    pub global: Global,
    /// Rule files, as found on the disk, in order.
    pub rule_files: Vec<PathBuf>,
    /// Runbook pages, as found on the disk, in order.
    pub runbooks: Vec<PathBuf>,
    /// Whether the rules that the integrations ship are loaded for the kinds in use.
    pub shipped_rules: bool,
    /// Whether the pages that the integrations ship are loaded.
    pub shipped_runbooks: bool,
    /// Jobs whose targets show the exposition format.
    pub jobs: Vec<Arc<Job>>,
    /// Whom alerts are sent to.
    pub alerting: Alerting,
    /// How alerts are sent; whom to, says `alerting`.
    pub sending: SendingConfig,
    /// The systems under care.
    pub systems: Vec<SystemConfig>,
    /// What may be done, and when not.
    pub policy: Policy,
    /// When nothing may be done.
    pub freezes: Vec<Freeze>,
    /// Where the journal and the token file are.
    pub data_dir: PathBuf,
    /// Where API and pages are served, and what they take.
    pub server: ServerConfig,
    /// What expressions may cost.
    pub query: QueryConfig,
    /// How long samples are kept.
    pub retention: Duration,
    /// What samples may cost, and what a power cut may.
    pub samples: SamplesConfig,
    /// How alerts come back after a restart. Default: from the journal.
    pub restore: Restore,
    /// The file as it may be shown: YAML without comments, `<secret>` in place of every secret.
    pub shown: String,
    /// The secrets that stand in it.
    pub secrets: Vec<Secret>,
    /// What each key says that only a restart applies.
    pub restarted: Restarted,
}

/// What the keys of a configuration say, by their names.
pub type Restarted = BTreeMap<String, Secret>;

/// `global`, as in Prometheus, with its defaults.
#[derive(Debug, Clone)]
pub struct Global {
    /// How often a target is collected. Default: 1 min.
    pub scrape_interval: Duration,
    /// How long a collection may take. Default: 10 s.
    pub scrape_timeout: Duration,
    /// How often a group of rules is evaluated. Default: 1 min.
    pub evaluation_interval: Duration,
    /// How far back rules look. Default: none.
    pub rule_query_offset: Duration,
    /// Labels for everything that leaves.
    pub external_labels: BTreeMap<String, String>,
    /// What jobs do that say nothing else.
    jobs: prometheus::JobDefaults,
}

/// Every mistake of a configuration.
#[derive(Debug)]
pub struct ConfigErrors {
    /// The files, each with its mistakes.
    files: Vec<(PathBuf, Vec<Mistake>)>,
    unreadable: bool,
}

impl ConfigErrors {
    /// Whether the file could not be read at all.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.iter();
        let all = files.flat_map(|(path, mistakes)| mistakes.iter().map(move |m| (path, m)));
        for (i, (path, mistake)) in all.enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            let path = path.display();
            match mistake.place {
                Place { line: 0, .. } => write!(f, "{newline}{path}: {}", mistake.message)?,
                Place { line, column } => {
                    write!(f, "{newline}{path}:{line}:{column}: {}", mistake.message)?;
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// What a `prometheus.yml` holds.
#[derive(Default)]
struct Prometheus {
    global: Global,
    rule_files: Vec<PathBuf>,
    jobs: Vec<Arc<Job>>,
    alerting: Alerting,
}

/// Where the reader finds what a configuration refers to.
struct Reader<'a> {
    /// The folder that relative paths start from: the one of the file.
    folder: PathBuf,
    catalogs: &'a [&'static Catalog],
    mistakes: Vec<Mistake>,
    /// Mistakes of other files that the configuration names.
    others: Vec<(PathBuf, Vec<Mistake>)>,
    /// Whom the system believes, once that was read.
    system_tls: Option<Option<TlsSettings>>,
    /// The secrets that stand in the files themselves.
    secrets: Vec<Secret>,
    /// What each key says that only a restart applies, those of other files with their paths.
    restarted: Restarted,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// All mistakes in it, and files that it names and that are not there.
    pub fn load(path: &Path, catalogs: &[&'static Catalog]) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot read it: {error}");
            let mistakes = vec![Mistake { place: Place::default(), message }];
            ConfigErrors { files: vec![(path.to_owned(), mistakes)], unreadable: true }
        })?;
        Self::parse(path, &text, catalogs)
    }

    /// How many targets are listed in the configuration itself, before relabelling.
    pub fn target_count(&self) -> usize {
        let groups = self.jobs.iter().flat_map(|job| &job.sources.fixed);
        groups.map(|group| group.targets.len()).sum()
    }

    /// The keys that say something else than they did and that only a restart applies, those of
    /// files that the configuration names with their paths.
    pub fn needs_restart(&self, before: &Restarted) -> Vec<String> {
        let now = &self.restarted;
        let names: BTreeSet<_> = now.keys().chain(before.keys()).collect();
        names.into_iter().filter(|name| now.get(*name) != before.get(*name)).cloned().collect()
    }

    /// Reads `text`, which stands at `path`.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn parse(
        path: &Path,
        text: &str,
        catalogs: &[&'static Catalog],
    ) -> Result<Self, ConfigErrors> {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let mut reader = Reader {
            folder,
            catalogs,
            mistakes: Vec::new(),
            others: Vec::new(),
            system_tls: None,
            secrets: Vec::new(),
            restarted: BTreeMap::new(),
        };
        let config = yaml::read(text).and_then(|root| {
            let shown = shown::without_secrets(&root, text);
            Ok(Config { shown, ..reader.config(&root)? })
        });
        match config {
            Ok(config) if reader.mistakes.is_empty() && reader.others.is_empty() => Ok(config),
            Ok(_) => Err(reader.errors(path)),
            Err(mistake) => {
                reader.mistakes.push(mistake);
                Err(reader.errors(path))
            }
        }
    }
}

impl Reader<'_> {
    fn errors(mut self, path: &Path) -> ConfigErrors {
        let mut files = vec![(path.to_owned(), self.mistakes)];
        files.append(&mut self.others);
        for (_, mistakes) in &mut files {
            mistakes.sort_by_key(|mistake| mistake.place);
        }
        ConfigErrors { files, unreadable: false }
    }

    /// The value, or `None` and a mistake more.
    fn note<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    fn config(&mut self, root: &Node) -> Result<Config, Mistake> {
        let mut table = Table::new(root, "the configuration")?;
        self.restarted.extend(shown::restarted(root));
        let Prometheus { global, mut rule_files, jobs, alerting } = self.prometheus(&mut table)?;
        if let Some(node) = table.get("rule_files") {
            rule_files.extend(self.files(Some(node), "rule_files"));
        }
        let runbooks = self.files(table.get("runbooks"), "runbooks");
        let (mut shipped_rules, mut shipped_runbooks) = (true, true);
        if let Some(node) = table.get("shipped") {
            let mut shipped = Table::new(node, "shipped")?;
            shipped_rules = self.flag(shipped.get("rules"), "rules").unwrap_or(true);
            shipped_runbooks = self.flag(shipped.get("runbooks"), "runbooks").unwrap_or(true);
            self.mistakes.extend(shipped.unknown());
        }
        let systems = self.systems(table.get("systems"), &global);
        let (policy, freezes) = self.guards(table.get("guards"));
        let data_dir = match table.get("data_dir") {
            Some(node) => self.path(node.text("data_dir")?),
            None => Config::default().data_dir,
        };
        let server = self.server(table.get("server"));
        let query = self.query(table.get("query"));
        let sending = self.sending(table.get("sending"));
        let retention = self.duration(table.get("retention"), "retention");
        let retention = retention.unwrap_or(Config::default().retention);
        let samples = self.samples(table.get("samples"));
        let restore = self.restore(table.get("restore"));
        self.mistakes.extend(table.unknown());
        Ok(Config {
            global,
            rule_files,
            runbooks,
            shipped_rules,
            shipped_runbooks,
            jobs,
            alerting,
            sending,
            systems,
            policy,
            freezes,
            data_dir,
            server,
            query,
            retention,
            samples,
            restore,
            shown: String::new(),
            secrets: std::mem::take(&mut self.secrets),
            restarted: std::mem::take(&mut self.restarted),
        })
    }

    /// What a `prometheus.yml` holds besides its rule files: from the file that `prometheus` names, or
    /// from this one.
    fn prometheus<'a>(&mut self, table: &mut Table<'a>) -> Result<Prometheus, Mistake> {
        let Some(node) = table.get("prometheus") else { return self.own_prometheus(table) };
        let path = self.path(node.text("prometheus")?);
        for key in ["global", "scrape_configs", "scrape_config_files", "alerting"] {
            if let Some(node) = table.get(key) {
                let message = format!("`{key}` stands in {} then, not here", path.display());
                self.mistakes.push(node.mistake(message));
            }
        }
        let read = self.other_file(path, |reader, root| {
            let mut table = Table::new(root, "a prometheus.yml")?;
            let mut read = reader.own_prometheus(&mut table)?;
            read.rule_files = reader.files(table.get("rule_files"), "rule_files");
            reader.mistakes.extend(table.unknown());
            Ok(read)
        });
        Ok(read.map_err(|message| node.mistake(message))?.unwrap_or_default())
    }

    fn own_prometheus<'a>(&mut self, table: &mut Table<'a>) -> Result<Prometheus, Mistake> {
        let global = match table.get("global") {
            Some(node) => self.global(node)?,
            None => Global::default(),
        };
        let mut jobs = self.jobs(table.get("scrape_configs"), &global);
        if let Some(node) = table.get("scrape_config_files") {
            for path in self.files(Some(node), "scrape_config_files") {
                let read = self.other_file(path, |reader, root| {
                    let mut table = Table::new(root, "a file of `scrape_config_files`")?;
                    let jobs = reader.jobs(table.get("scrape_configs"), &global);
                    reader.mistakes.extend(table.unknown());
                    Ok(jobs)
                });
                let read = self.note(read.map_err(|message| node.mistake(message)));
                for job in read.flatten().unwrap_or_default() {
                    if jobs.iter().any(|earlier| earlier.name == job.name) {
                        let name = &job.name;
                        let message =
                            format!("found multiple scrape configs with job name {name:?}");
                        self.mistakes.push(node.mistake(message));
                    }
                    jobs.push(job);
                }
            }
        }
        let alerting = match table.get("alerting") {
            Some(node) => self.alerting(node, global.jobs.names)?,
            None => Alerting::default(),
        };
        const REFUSED: [(&str, &str); 6] = [
            ("remote_write", "samples are not sent on; let a Prometheus beside it do that"),
            ("remote_read", "samples are not read from elsewhere; scrape or receive them"),
            ("storage", "use `retention` and `samples` for how samples are kept"),
            ("tracing", "traces are not sent; leave it out"),
            ("otlp", "OTLP is not received; use `/api/v1/write`"),
            ("runtime", "it is about Go's runtime; leave it out"),
        ];
        self.refuse(table, &REFUSED);
        Ok(Prometheus { global, rule_files: Vec::new(), jobs, alerting })
    }

    /// One mistake for each key that Prometheus has and we do not.
    fn refuse(&mut self, table: &mut Table<'_>, keys: &[(&'static str, &str)]) {
        for (key, instead) in keys {
            if let Some(node) = table.get(key) {
                let message = format!("`{key}` is not supported: {instead}");
                self.mistakes.push(node.mistake(message));
            }
        }
    }

    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    fn duration(&mut self, node: Option<&Node>, key: &str) -> Option<Duration> {
        let node = node?;
        let result = node.text(key).and_then(|text| {
            parse_duration(text).map_err(|_| {
                node.mistake(format!("`{key}` must be a duration such as 30s or 5m, not {text:?}"))
            })
        });
        self.note(result)
    }

    fn flag(&mut self, node: Option<&Node>, key: &str) -> Option<bool> {
        let node = node?;
        let result = node.text(key).and_then(|text| {
            text.parse()
                .map_err(|_| node.mistake(format!("`{key}` must be true or false, not {text:?}")))
        });
        self.note(result)
    }

    fn count(&mut self, node: Option<&Node>, key: &str) -> Option<u32> {
        let node = node?;
        let result = node.text(key).and_then(|text| {
            text.parse()
                .map_err(|_| node.mistake(format!("`{key}` must be a whole number, not {text:?}")))
        });
        self.note(result)
    }

    /// The texts of a map.
    fn map(&mut self, node: Option<&Node>, key: &str) -> BTreeMap<String, String> {
        let Some(node) = node else { return BTreeMap::new() };
        let result = node.pairs(key).and_then(|pairs| {
            let text = |(name, value): &(Key, Node)| {
                Ok((name.text.as_str().to_owned(), value.text(name.text.as_str())?.to_owned()))
            };
            pairs.iter().map(text).collect()
        });
        self.note(result).unwrap_or_default()
    }

    /// The files that a list of paths names. A path may hold `*`, as in Prometheus; one without must
    /// exist.
    fn files(&mut self, node: Option<&Node>, key: &str) -> Vec<PathBuf> {
        let Some(node) = node else { return Vec::new() };
        let Some(items) = self.note(node.list(key)) else { return Vec::new() };
        let mut found = Vec::new();
        for item in items {
            let Some(pattern) = self.note(item.text(key)) else { continue };
            let path = self.path(pattern);
            let files = find_files(&path);
            if files.is_empty() && !pattern.contains(['*', '?', '[']) {
                self.mistakes.push(item.mistake(format!("there is no file {}", path.display())));
            }
            found.extend(files);
        }
        found
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            global: Global::default(),
            rule_files: Vec::new(),
            runbooks: Vec::new(),
            shipped_rules: true,
            shipped_runbooks: true,
            jobs: Vec::new(),
            alerting: Alerting::default(),
            sending: SendingConfig::default(),
            systems: Vec::new(),
            policy: Policy::default(),
            freezes: Vec::new(),
            data_dir: PathBuf::from("paramedic-data"),
            server: ServerConfig::default(),
            query: QueryConfig::default(),
            retention: Duration::from_secs(2 * 3600),
            samples: SamplesConfig::default(),
            restore: Restore::default(),
            shown: String::new(),
            secrets: Vec::new(),
            restarted: BTreeMap::new(),
        }
    }
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            evaluation_interval: Duration::from_secs(60),
            rule_query_offset: Duration::ZERO,
            external_labels: BTreeMap::new(),
            jobs: prometheus::JobDefaults::default(),
        }
    }
}
