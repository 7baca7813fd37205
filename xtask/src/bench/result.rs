//! A result file: what was measured, on what kind of machine, with which versions.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::clock;

/// One file in `benches/results`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultFile {
    pub date: String,
    pub machine: Machine,
    /// Of each engine, by its name.
    pub versions: BTreeMap<String, String>,
    /// Fewest series first.
    pub sizes: Vec<SizeResult>,
    /// With many rules and alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<SizeResult>,
    /// Of what was left out, and why.
    pub notes: Vec<String>,
}

/// What was measured at one number of series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SizeResult {
    pub series: usize,
    pub scrape_interval_s: u64,
    pub rule_interval_s: u64,
    /// How long engines were watched without rules.
    pub minutes_idle: f64,
    /// How long each set of rules was watched.
    pub minutes_rules: f64,
    /// Whether the engines ran at the same time.
    pub side_by_side: bool,
    /// By name of the engine.
    pub engines: BTreeMap<String, EngineResult>,
}

impl SizeResult {
    /// One figure of an engine.
    pub fn get(&self, engine: &str, key: &str) -> Option<f64> {
        self.engines.get(engine)?.measures.get(key).copied()
    }
}

/// What one engine showed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineResult {
    /// As it prints it; a file keeps it once for all sizes.
    #[serde(skip)]
    pub version: String,
    /// By the names that `measures` knows. What is missing was not possible; a note says why.
    pub measures: BTreeMap<String, f64>,
    pub notes: Vec<String>,
}

/// The class of a machine: nothing that tells which one it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cores: usize,
    pub memory_gib: u64,
    pub cpu: String,
}

impl Machine {
    /// The one that this runs on.
    pub fn here() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: field(&memory, "MemTotal")
                .and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok())
                .map_or(0, |kib| (kib + (1 << 19)) >> 20),
            cpu: field(&cpu, "model name").unwrap_or("unknown").to_owned(),
        }
    }
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

impl ResultFile {
    /// A file of today on this machine without any figure.
    pub fn new() -> Self {
        Self {
            date: clock::date(clock::unix_ms()),
            machine: Machine::here(),
            versions: BTreeMap::new(),
            sizes: Vec::new(),
            alerts: None,
            notes: Vec::new(),
        }
    }

    /// Takes in what was measured at one size, in place of what there was of it.
    pub fn add(&mut self, size: SizeResult) {
        self.add_versions(&size);
        self.sizes.retain(|other| other.series != size.series);
        self.sizes.push(size);
        self.sizes.sort_by_key(|size| size.series);
    }

    /// Takes in what was measured with many rules and alerts.
    pub fn add_alerts(&mut self, size: SizeResult) {
        self.add_versions(&size);
        self.alerts = Some(size);
    }

    fn add_versions(&mut self, size: &SizeResult) {
        let versions = size.engines.iter().map(|(name, e)| (name.clone(), e.version.clone()));
        self.versions.extend(versions.filter(|(_, version)| !version.is_empty()));
    }

    /// `<date>-<cores>c.json` in `folder`.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}-{}c.json", self.date, self.machine.cores))
    }

    /// Writes the file. What it held before, of this machine, and was not measured now, stays.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut whole = self.clone();
        if let Ok(before) = Self::read(path)
            && before.machine == self.machine
        {
            for size in before.sizes {
                if whole.sizes.iter().all(|now| now.series != size.series) {
                    whole.add(size);
                }
            }
            whole.alerts = whole.alerts.or(before.alerts);
            for (name, version) in before.versions {
                whole.versions.entry(name).or_insert(version);
            }
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&whole)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// Reads one file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The newest file of `folder`: the last by name, which begins with the date.
    pub fn newest(folder: &Path) -> Result<Option<Self>> {
        let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        let is_result = |path: &&PathBuf| path.extension().is_some_and(|e| e == "json");
        paths.iter().filter(is_result).max().map(|path| Self::read(path)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        assert_eq!(field("a : 1\nmodel name\t: X 3000\n", "model name"), Some("X 3000"));
        assert_eq!(field("a : 1\n", "b"), None);
    }

    #[test]
    fn a_size_replaces_what_there_was_of_it() {
        let size = |series, minutes_idle| SizeResult { series, minutes_idle, ..Default::default() };
        let mut file = ResultFile::new();
        for size in [size(100, 1.0), size(10, 1.0), size(100, 2.0)] {
            file.add(size);
        }
        assert_eq!(file.sizes, [size(10, 1.0), size(100, 2.0)]);
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<ResultFile>(&text).unwrap(), file);
    }
}
