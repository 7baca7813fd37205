//! What a `prometheus.yml` holds: `global`, `scrape_configs`, `alerting`.
//!
//! Every key of Prometheus is either read here or refused here by name.

mod alerting;
mod client;
mod discovery;
mod relabel;
mod scrape;

use std::path::{Path, PathBuf};
use std::time::Duration;

use paramedic_scrape::Limits;

use super::yaml::{self, Mistake, Node, Read as _, Table};
use super::{Global, Reader, shown};

/// What `global` says of jobs that say nothing else.
#[derive(Debug, Clone)]
pub(super) struct JobDefaults {
    pub limits: Limits,
    pub target_limit: usize,
    pub keep_dropped: usize,
    pub names: paramedic_relabel::NameScheme,
    pub protocols: Vec<String>,
}

impl Default for JobDefaults {
    fn default() -> Self {
        let protocols = scrape::DEFAULT_PROTOCOLS.map(str::to_owned).to_vec();
        Self {
            limits: Limits::default(),
            target_limit: 0,
            keep_dropped: 0,
            names: paramedic_relabel::NameScheme::default(),
            protocols,
        }
    }
}

/// Keys of `global` and of jobs that are about native histograms in scrapes.
const NATIVE: [&str; 4] = [
    "scrape_native_histograms",
    "convert_classic_histograms_to_nhcb",
    "always_scrape_classic_histograms",
    "extra_scrape_metrics",
];

impl Reader<'_> {
    /// The file that the key `prometheus` names, read by `read`. Its mistakes stand at its own path.
    pub(super) fn other_file<T>(
        &mut self,
        path: PathBuf,
        read: impl FnOnce(&mut Self, &Node) -> Result<T, Mistake>,
    ) -> Result<Option<T>, String> {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let folder = std::mem::replace(&mut self.folder, folder);
        let mistakes = std::mem::take(&mut self.mistakes);
        let result = yaml::read(&text).and_then(|root| {
            let keys = shown::restarted(&root).into_iter();
            let in_file = keys.map(|(name, says)| (format!("{name} in {}", path.display()), says));
            self.restarted.extend(in_file);
            read(self, &root)
        });
        let result = self.note(result);
        self.folder = folder;
        let found = std::mem::replace(&mut self.mistakes, mistakes);
        if !found.is_empty() {
            self.others.push((path, found));
        }
        Ok(result)
    }

    pub(super) fn global(&mut self, node: &Node) -> Result<Global, Mistake> {
        let mut table = Table::new(node, "global")?;
        let default = Global::default();
        let mut read = |key, default: Duration| {
            let read = self.duration(table.get(key), key);
            read.filter(|duration| !duration.is_zero()).unwrap_or(default)
        };
        let scrape_interval = read("scrape_interval", default.scrape_interval);
        let scrape_timeout = read("scrape_timeout", default.scrape_timeout.min(scrape_interval));
        let evaluation_interval = read("evaluation_interval", default.evaluation_interval);
        let rule_query_offset = read("rule_query_offset", Duration::ZERO);
        if scrape_timeout > scrape_interval {
            let message = "global scrape timeout greater than scrape interval";
            self.mistakes.push(node.mistake(message));
        }
        let labels = self.map(table.get("external_labels"), "external_labels");
        let external_labels = labels.into_iter().map(|(name, text)| (name, from_env(&text)));
        let external_labels = external_labels.collect();
        let jobs = self.job_defaults(&mut table, &default.jobs)?;
        const REFUSED: [(&str, &str); 2] = [
            ("query_log_file", "queries are not logged; leave it out"),
            ("scrape_failure_log_file", "failed scrapes are on standard error and on the pages"),
        ];
        self.refuse(&mut table, &REFUSED);
        self.mistakes.extend(table.unknown());
        Ok(Global {
            scrape_interval,
            scrape_timeout,
            evaluation_interval,
            rule_query_offset,
            external_labels,
            jobs,
        })
    }

    /// What both `global` and a job may say.
    fn job_defaults<'a>(
        &mut self,
        table: &mut Table<'a>,
        default: &JobDefaults,
    ) -> Result<JobDefaults, Mistake> {
        let mut count = |key: &'static str, default: usize| {
            let read = self.count(table.get(key), key);
            read.and_then(|count| usize::try_from(count).ok()).unwrap_or(default)
        };
        let limits = &default.limits;
        let limits = Limits {
            samples: count("sample_limit", limits.samples),
            labels: count("label_limit", limits.labels),
            label_name_bytes: count("label_name_length_limit", limits.label_name_bytes),
            label_value_bytes: count("label_value_length_limit", limits.label_value_bytes),
            body_bytes: limits.body_bytes,
        };
        let target_limit = count("target_limit", default.target_limit);
        let keep_dropped = count("keep_dropped_targets", default.keep_dropped);
        let body_bytes = match table.get("body_size_limit") {
            None => limits.body_bytes,
            Some(node) => {
                let text = node.text("body_size_limit")?;
                bytes(text).ok_or_else(|| {
                    node.mistake(format!(
                        "`body_size_limit` must be a size such as 10MB, not {text:?}"
                    ))
                })?
            }
        };
        let names = match table.get("metric_name_validation_scheme") {
            None => default.names,
            Some(node) => match node.text("metric_name_validation_scheme")? {
                "utf8" => paramedic_relabel::NameScheme::Utf8,
                "legacy" => paramedic_relabel::NameScheme::Legacy,
                other => {
                    let message = format!("the scheme is `utf8` or `legacy`, not {other:?}");
                    return Err(node.mistake(message));
                }
            },
        };
        let protocols = match table.get("scrape_protocols") {
            None => default.protocols.clone(),
            Some(node) => scrape::protocols(node)?,
        };
        for key in NATIVE {
            let node = table.get(key);
            if let (Some(true), Some(node)) = (self.flag(node, key), node) {
                let message = format!(
                    "`{key}` is not supported: targets are scraped in the text formats, without \
                     further series; leave it out"
                );
                self.mistakes.push(node.mistake(message));
            }
        }
        if let Some(node) = table.get("metric_name_escaping_scheme")
            && !matches!(node.text("metric_name_escaping_scheme")?, "allow-utf-8" | "underscores")
        {
            let message = "`metric_name_escaping_scheme` is not supported but for `allow-utf-8` and \
                           `underscores`: names are taken as they come";
            self.mistakes.push(node.mistake(message));
        }
        let limits = Limits { body_bytes, ..limits };
        Ok(JobDefaults { limits, target_limit, keep_dropped, names, protocols })
    }
}

/// `text` with `${NAME}` and `$NAME` replaced by variables of the environment, as in Go's `os.Expand`;
/// `$$` is a dollar sign.
fn from_env(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let word = |text: &str| {
            text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
        };
        let (name, next) = if let Some(next) = after.strip_prefix('$') {
            out.push('$');
            ("", next)
        } else if let Some((name, next)) = after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            (name, next)
        } else {
            after.split_at(word(after))
        };
        out.push_str(&std::env::var(name).unwrap_or_default());
        rest = next;
    }
    out.push_str(rest);
    out
}

/// A size in bytes: `10MB` and `10MiB` are both powers of 1024, as there.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if unit.is_empty() && number == "0" {
        return Some(0);
    }
    const UNITS: &str = "KMGTPE";
    let power = match unit {
        "B" => 0,
        _ => {
            let letter = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B'))?;
            UNITS.find(letter).filter(|_| letter.len() == 1)? as i32 + 1
        }
    };
    let bytes = number.parse::<f64>().ok()? * 1024f64.powi(power);
    (bytes.is_finite() && bytes <= usize::MAX as f64).then_some(bytes as usize)
}

/// The scheme of addresses, where one is written; http else.
fn scheme(node: Option<&Node>) -> Result<String, Mistake> {
    let Some(node) = node else { return Ok("http".to_owned()) };
    match node.text("scheme")? {
        scheme @ ("http" | "https") => Ok(scheme.to_owned()),
        other => Err(node.mistake(format!("`scheme` is http or https, not {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let check =
            |text: &str, expected: Option<usize>| assert_eq!(bytes(text), expected, "{text}");
        check("0", Some(0));
        check("10B", Some(10));
        check("10MB", Some(10 << 20));
        check("10MiB", Some(10 << 20));
        check("1.5KB", Some(1536));
        check("10", None);
        check("10mb", None);
        check("MB", None);
        check("10KMB", None);
    }

    #[test]
    fn variables_are_replaced_in_external_labels() {
        assert_eq!(from_env("a$$b"), "a$b");
        assert_eq!(from_env("a${PARAMEDIC_NOT_SET}b$PARAMEDIC_NOT_SET-c"), "ab-c");
        assert_eq!(from_env("plain"), "plain");
        assert_ne!(from_env("${PATH}"), "");
    }
}
