//! The rules under measurement: the five alerts of the shipped pages, published rule files, and
//! generated ones.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::exporter::SERVICES;

/// How many rules the largest set generates.
const GENERATED: usize = 2_000;
/// Every so many generated rules one scans a whole family and one a family's rates.
const SCAN_EVERY: usize = 40;

const FIVE: [(&str, &str, &str); 5] = [
    ("OPNsenseServiceDown", "opnsense_services_status == 0", "2m"),
    (
        "OPNsenseWireGuardPeerOffline",
        "opnsense_wireguard_peer_status == 0 and on(device_name) opnsense_wireguard_interfaces_status == 1",
        "2m",
    ),
    ("OxidizedConnectionDown", "oxidized_status == 0", "5m"),
    ("TraefikServiceDown", "count(traefik_service_server_up) by (service) == 0", "0m"),
    ("WindowsServerServiceStatus", "windows_service_status{status=\"ok\"} != 1", "1m"),
];

/// The groups of the set that makes many alerts, the rules of each, and the alerts of each rule.
const ALERT_GROUPS: usize = 100;
const ALERT_RULES: usize = 50;
const ALERTS_EACH: usize = 2;
/// How many alerts that set makes where there are at least as many hosts as it has groups.
pub const ALERTS: usize = ALERT_GROUPS * ALERT_RULES * ALERTS_EACH;

/// Which rules run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Rules {
    /// None: what ingest alone costs.
    None,
    /// The five and the published ones, about 960.
    #[value(name = "960")]
    Published,
    /// The same and 2,000 generated ones.
    #[value(name = "2960")]
    Generated,
    /// 5,000 rules whose alerts all fire.
    #[value(skip)]
    Alerts,
}

impl Rules {
    /// As results and the command line call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Published => "960",
            Self::Generated => "2960",
            Self::Alerts => "alerts",
        }
    }

    /// Writes the rule files into `folder`; their paths and how many rules they hold.
    pub fn write(
        self,
        folder: &Path,
        corpus: &Path,
        hosts: usize,
    ) -> Result<(Vec<PathBuf>, usize)> {
        let mut files = Vec::new();
        if self == Self::None {
            return Ok((files, 0));
        }
        let mut keep = |name: String, text: &str| -> Result<usize> {
            let path = folder.join(name);
            fs::write(&path, text)?;
            files.push(path);
            Ok(count(text))
        };
        if self == Self::Alerts {
            let rules = keep("alerts.yml".to_owned(), &alerting(hosts))?;
            return Ok((files, rules));
        }
        let mut rules = keep("five.yml".to_owned(), &five())?;
        let mut published = Vec::new();
        collect(corpus, &mut published)
            .with_context(|| format!("published rules in {}", corpus.display()))?;
        if published.is_empty() {
            bail!("no rule files in {}", corpus.display());
        }
        for (i, path) in published.iter().enumerate() {
            rules += keep(format!("published-{i}.yml"), &fs::read_to_string(path)?)?;
        }
        if self == Self::Generated {
            rules += keep("generated.yml".to_owned(), &generated(hosts))?;
        }
        Ok((files, rules))
    }
}

fn count(text: &str) -> usize {
    let is_rule = |line: &&str| {
        let line = line.trim_start().trim_start_matches("- ").trim_start();
        line.starts_with("alert:") || line.starts_with("record:")
    };
    text.lines().filter(is_rule).count()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(path);
        }
    }
    Ok(())
}

fn five() -> String {
    let mut text = String::from("groups:\n- name: five\n  rules:\n");
    for (name, expr, hold) in FIVE {
        rule(&mut text, name, expr, hold);
    }
    text
}

fn rule(text: &mut String, name: &str, expr: &str, hold: &str) {
    let _ = write!(
        text,
        "  - alert: {name}\n    expr: '{expr}'\n    for: {hold}\n    labels: {{ severity: critical }}\n    \
         annotations: {{ summary: '{name} (instance {{{{ $labels.instance }}}})' }}\n"
    );
}

/// Groups of a hundred, as people keep them: most look at one host, some at all.
fn generated(hosts: usize) -> String {
    let mut text = String::from("groups:\n");
    for i in 0..GENERATED {
        if i % 100 == 0 {
            let _ = write!(text, "- name: generated{}\n  rules:\n", i / 100);
        }
        let host = (i * 7) % hosts.max(1);
        let expr = match (i % SCAN_EVERY, i % 4) {
            (0, _) => format!("opnsense_services_status == {}", 2 + i),
            (1, _) => format!(
                "sum by (host) (rate(http_requests_total{{code=\"500\"}}[5m])) > {}",
                100 + i
            ),
            (_, 0) => format!("opnsense_services_status{{opnsense_instance=\"fw{host}\"}} == 3"),
            (_, 1) => format!(
                "sum(rate(http_requests_total{{host=\"host{host}\",code=~\"5..\"}}[5m])) > 100"
            ),
            (_, 2) => format!(
                "node_memory_MemAvailable_bytes{{host=\"host{host}\"}} / node_memory_MemTotal_bytes{{host=\"host{host}\"}} < 0.05"
            ),
            (_, _) => {
                format!("avg_over_time(room_temperature_celsius{{host=~\"host{host}\"}}[5m]) > 45")
            }
        };
        rule(&mut text, &format!("Generated{i}"), &expr, "1m");
    }
    text
}

/// A group for each host, whose rules have two services each: all of them are something.
fn alerting(hosts: usize) -> String {
    let mut text = String::from("groups:\n");
    for group in 0..ALERT_GROUPS {
        let host = group % hosts.max(1);
        let _ = write!(text, "- name: host{group}\n  rules:\n");
        let pairs = SERVICES
            .iter()
            .enumerate()
            .flat_map(|(at, one)| SERVICES[at + 1..].iter().map(move |other| (one, other)));
        for (number, (one, other)) in pairs.take(ALERT_RULES).enumerate() {
            let expr = format!(
                "opnsense_services_status{{opnsense_instance=\"fw{host}\",name=~\"{one}|{other}\"}} < 2"
            );
            rule(&mut text, &format!("Service{group}x{number}"), &expr, "0s");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_counted_in_both_spellings() {
        assert_eq!(count("  - alert: A\n    expr: x\n  - expr: alert\n    record: b\n"), 2);
        assert_eq!((count(&five()), count(&generated(1000))), (5, GENERATED));
        assert_eq!(count(&alerting(100)) * ALERTS_EACH, ALERTS);
    }
}
