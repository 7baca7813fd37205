//! The configuration file: a strict superset of `prometheus.yml`.
//!
//! Every mistake is reported with file, line and column, all of them at once; a key that nobody
//! knows is a mistake. What Prometheus has and we do not is refused by name, with what to do
//! instead, because a key that is silently ignored is worse than one that is missing.

mod guards;
mod samples;
mod scrape;
mod serving;
mod systems;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paramedic_catalog::Catalog;
use paramedic_engine::Freeze;
use paramedic_incident::Policy;
use paramedic_model::parse_duration;
use paramedic_yaml::{Key, Place};

pub use samples::SamplesConfig;
pub use scrape::{HttpScrape, Scheme};
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
    /// Targets in the exposition format.
    pub scrapes: Vec<HttpScrape>,
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
}

/// `global`, as in Prometheus, with its defaults.
#[derive(Debug, Clone)]
pub struct Global {
    /// How often a target is collected. Default: 1 min.
    pub scrape_interval: Duration,
    /// How long a collection may take. Default: 10 s.
    pub scrape_timeout: Duration,
    /// How often a group of rules is evaluated. Default: 1 min.
    pub evaluation_interval: Duration,
    /// Labels for everything that leaves.
    pub external_labels: BTreeMap<String, String>,
}

/// Every mistake of a configuration.
#[derive(Debug)]
pub struct ConfigErrors {
    path: PathBuf,
    mistakes: Vec<Mistake>,
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
        for (i, mistake) in self.mistakes.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            let path = self.path.display();
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

/// Where the reader finds what a configuration refers to.
struct Reader<'a> {
    /// The folder that relative paths start from: the one of the file.
    folder: PathBuf,
    catalogs: &'a [&'static Catalog],
    mistakes: Vec<Mistake>,
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
            ConfigErrors { path: path.to_owned(), mistakes, unreadable: true }
        })?;
        Self::parse(path, &text, catalogs)
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
        let mut reader = Reader { folder, catalogs, mistakes: Vec::new() };
        let config = yaml::read(text).and_then(|root| reader.config(&root));
        match config {
            Ok(config) if reader.mistakes.is_empty() => Ok(config),
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
        self.mistakes.sort_by_key(|mistake| mistake.place);
        ConfigErrors { path: path.to_owned(), mistakes: self.mistakes, unreadable: false }
    }

    /// The value, or `None` and a mistake more.
    fn note<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    fn config(&mut self, root: &Node) -> Result<Config, Mistake> {
        let mut table = Table::new(root, "the configuration")?;
        let global = match table.get("global") {
            Some(node) => self.global(node)?,
            None => Global::default(),
        };
        let rule_files = self.files(table.get("rule_files"), "rule_files");
        let runbooks = self.files(table.get("runbooks"), "runbooks");
        let (mut shipped_rules, mut shipped_runbooks) = (true, true);
        if let Some(node) = table.get("shipped") {
            let mut shipped = Table::new(node, "shipped")?;
            shipped_rules = self.flag(shipped.get("rules"), "rules").unwrap_or(true);
            shipped_runbooks = self.flag(shipped.get("runbooks"), "runbooks").unwrap_or(true);
            self.mistakes.extend(shipped.unknown());
        }
        let scrapes = self.scrapes(table.get("scrape_configs"), &global);
        let systems = self.systems(table.get("systems"), &global);
        let (policy, freezes) = self.guards(table.get("guards"));
        let data_dir = match table.get("data_dir") {
            Some(node) => self.path(node.text("data_dir")?),
            None => Config::default().data_dir,
        };
        let server = self.server(table.get("server"));
        let query = self.query(table.get("query"));
        let retention = self.duration(table.get("retention"), "retention");
        let retention = retention.unwrap_or(Config::default().retention);
        let samples = self.samples(table.get("samples"));
        const LATER: [(&str, &str); 6] = [
            ("alerting", "incidents are opened here; alerts are not sent to an Alertmanager yet"),
            ("remote_write", "samples are not sent on; let a Prometheus beside it do that"),
            ("remote_read", "samples are not read from elsewhere"),
            ("storage", "use `retention` and `samples` for how samples are kept"),
            ("tracing", "traces are not sent"),
            ("scrape_config_files", "write the jobs under `scrape_configs`"),
        ];
        self.refuse(&mut table, &LATER);
        self.mistakes.extend(table.unknown());
        Ok(Config {
            global,
            rule_files,
            runbooks,
            shipped_rules,
            shipped_runbooks,
            scrapes,
            systems,
            policy,
            freezes,
            data_dir,
            server,
            query,
            retention,
            samples,
        })
    }

    /// One mistake for each key that Prometheus has and we do not.
    fn refuse<'a>(&mut self, table: &mut Table<'a>, keys: &[(&'static str, &str)]) {
        for (key, instead) in keys {
            if let Some(node) = table.get(key) {
                let message = format!("`{key}` is not supported: {instead}");
                self.mistakes.push(node.mistake(message));
            }
        }
    }

    fn global(&mut self, node: &Node) -> Result<Global, Mistake> {
        let mut table = Table::new(node, "global")?;
        let default = Global::default();
        let mut read = |key, default| self.duration(table.get(key), key).unwrap_or(default);
        let scrape_interval = read("scrape_interval", default.scrape_interval);
        let scrape_timeout = read("scrape_timeout", default.scrape_timeout.min(scrape_interval));
        let evaluation_interval = read("evaluation_interval", default.evaluation_interval);
        let external_labels = self.map(table.get("external_labels"), "external_labels");
        self.mistakes.extend(table.unknown());
        Ok(Global { scrape_interval, scrape_timeout, evaluation_interval, external_labels })
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

    /// The files that a list of paths names. The last part of a path may hold `*`, as in
    /// Prometheus; a path without one must exist.
    fn files(&mut self, node: Option<&Node>, key: &str) -> Vec<PathBuf> {
        let Some(node) = node else { return Vec::new() };
        let Some(items) = self.note(node.list(key)) else { return Vec::new() };
        let mut found = Vec::new();
        for item in items {
            let result = item.text(key).and_then(|pattern| {
                expand(&self.path(pattern)).map_err(|message| item.mistake(message))
            });
            found.extend(self.note(result).unwrap_or_default());
        }
        found
    }
}

/// The files that match `pattern`, sorted.
fn expand(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains('*') {
        return match pattern.is_file() {
            true => Ok(vec![pattern.to_owned()]),
            false => Err(format!("there is no file {}", pattern.display())),
        };
    }
    let folder = pattern.parent().unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read the folder {}: {error}", folder.display()))?;
    let matches = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str());
        path.is_file() && file.is_some_and(|file| wildcard(name, file))
    };
    let mut files: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(matches).collect();
    files.sort();
    Ok(files)
}

/// Whether `name` matches `pattern`, in which `*` stands for any characters.
fn wildcard(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| wildcard(after, &rest[at..]))
        }),
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
            scrapes: Vec::new(),
            systems: Vec::new(),
            policy: Policy::default(),
            freezes: Vec::new(),
            data_dir: PathBuf::from("paramedic-data"),
            server: ServerConfig::default(),
            query: QueryConfig::default(),
            retention: Duration::from_secs(2 * 3600),
            samples: SamplesConfig::default(),
        }
    }
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            evaluation_interval: Duration::from_secs(60),
            external_labels: BTreeMap::new(),
        }
    }
}
