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
    pub series: usize,
    pub scrape_interval_s: u64,
    pub rule_interval_s: u64,
    /// How long each set of rules was looked at.
    pub minutes: f64,
    /// By name of the engine.
    pub engines: BTreeMap<String, EngineResult>,
}

/// What one engine showed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineResult {
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

    /// As a part of a file's name: `2core-23gib`.
    pub fn class(&self) -> String {
        format!("{}core-{}gib", self.cores, self.memory_gib)
    }
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

impl ResultFile {
    /// A file of today without any engine.
    pub fn new(series: usize, scrape_interval_s: u64, rule_interval_s: u64, minutes: f64) -> Self {
        Self {
            date: clock::date(clock::unix_ms()),
            machine: Machine::here(),
            series,
            scrape_interval_s,
            rule_interval_s,
            minutes,
            engines: BTreeMap::new(),
        }
    }

    /// `<date>-<machine class>-<series>.json` in `folder`.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}-{}-{}.json", self.date, self.machine.class(), self.series))
    }

    /// Writes the file; engines that it held before under the same settings and that were not
    /// measured now stay.
    pub fn save(mut self, path: &Path) -> Result<()> {
        if let Ok(before) = Self::read(path) {
            let same = before.minutes == self.minutes
                && before.scrape_interval_s == self.scrape_interval_s
                && before.machine == self.machine;
            for (name, engine) in before.engines.into_iter().filter(|_| same) {
                self.engines.entry(name).or_insert(engine);
            }
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&self)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// Reads one file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The newest file of `folder` for each number of series, fewest series first.
    pub fn newest(folder: &Path) -> Result<Vec<Self>> {
        let mut newest: BTreeMap<usize, Self> = BTreeMap::new();
        let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let file = Self::read(&path)?;
            match newest.get(&file.series) {
                Some(known) if known.date >= file.date => {}
                _ => drop(newest.insert(file.series, file)),
            }
        }
        Ok(newest.into_values().collect())
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
}
