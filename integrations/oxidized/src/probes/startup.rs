//! `oxidized/startup`: why Oxidized does not start, or that it is still at it, from its own log.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_generic::{HostChannel, LogLine};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::{BoxFuture, Redactor};
use serde_json::json;

use super::evidence;
use crate::client::Client;

pub(crate) const NAME: &str = "startup";

pub(crate) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: NAME,
        summary: "Reads in its log how the last start of Oxidized went",
        params: Vec::new(),
        facts: vec![
            Field::new(
                "failure",
                FieldType::Text,
                "port_in_use, config_broken, already_running, disk_full, source_unreachable, \
                 source_empty, git_locked, permission, gem_missing or crashed; empty where the \
                 last start says nothing of the kind",
            ),
            Field::new("line", FieldType::Text, "the line that says so"),
            Field::new(
                "loading",
                FieldType::Bool,
                "whether it is still loading its list of devices",
            ),
            Field::new("listening", FieldType::Bool, "whether the last start came to listen"),
        ],
        privilege: "the group systemd-journal on the host",
    }
}

/// What the last start left in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Started {
    pub failure: &'static str,
    pub line: String,
    pub loading: bool,
    pub listening: bool,
}

/// Texts of a start that ends before Oxidized says that it starts. Nothing else has them.
const EARLY: &[(&str, &str)] = &[
    ("A server is already running", "already_running"),
    ("Error loading config", "config_broken"),
    ("Unknown logger", "config_broken"),
    (", edit ", "config_broken"),
    ("LoadError", "gem_missing"),
];

/// Texts of a start that fails later, or of a crash, the most telling first. While it runs, Oxidized
/// says some of them of a device.
const LATE: &[(&str, &str)] = &[
    ("Address already in use", "port_in_use"),
    ("No space left on device", "disk_full"),
    ("MethodNotFound", "config_broken"),
    ("failed to lock file", "git_locked"),
    ("the index is locked", "git_locked"),
    ("index.lock", "git_locked"),
    ("source returns no usable nodes", "source_empty"),
    ("Permission denied", "permission"),
    ("Failed to open TCP connection", "source_unreachable"),
    (CRASHED, "crashed"),
];

const CRASHED: &str = "Oxidized crashed";

/// Judges the lines since the last start, the oldest first.
pub(crate) fn judge(lines: &[LogLine]) -> Started {
    let own: Vec<&str> =
        lines.iter().filter(|line| !line.manager).map(|line| line.text.as_str()).collect();
    let begun = own.iter().rposition(|line| line.contains("Oxidized starting"));
    let last = &own[begun.unwrap_or(0)..];
    let first = |text: &str| last.iter().position(|line| line.contains(text));
    let listens = first("Oxidized-web server listening");
    // Up to where it listens it says how its start goes, and from a crash on what became of it.
    let start = if begun.is_some() { &last[..listens.unwrap_or(last.len())] } else { &[] };
    let crash = first(CRASHED).map_or(&[][..], |at| &last[at..]);
    let find = |known: &[(&'static str, &'static str)], lines: &[&str]| {
        known.iter().find_map(|(text, word)| {
            let line = lines.iter().rev().find(|line| line.contains(text))?;
            Some((*word, (*line).to_owned()))
        })
    };
    // A start that fails early leaves its line behind all that an older process said.
    let failed = find(EARLY, last).or_else(|| find(LATE, crash)).or_else(|| find(LATE, start));
    let (failure, line) = failed.unwrap_or_default();
    let loaded = first("Loaded ").is_some();
    let loading = first("Loading nodes").is_some() && !loaded && failure.is_empty();
    Started { failure, line, loading, listening: listens.is_some() }
}

pub(crate) struct Startup {
    pub client: Arc<Client>,
    pub host: Arc<HostChannel>,
    pub redactor: Redactor,
}

impl Probe for Startup {
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let lines = self.host.log(&self.client.service, look).await?;
            let started = judge(&lines);
            // A line about a device that was dropped holds its password.
            let line = self.redactor.clean(without_secrets(&started.line));
            let summary = match &started {
                Started { failure: "", loading: true, .. } => {
                    "it is still loading its list of devices".to_owned()
                }
                Started { failure: "", listening: true, .. } => {
                    "its last start went well".to_owned()
                }
                Started { failure: "", .. } => "its log tells nothing of a start".to_owned(),
                _ => format!("its last start failed: {line}"),
            };
            let facts = json!({
                "failure": started.failure, "line": line,
                "loading": started.loading, "listening": started.listening,
            });
            Ok(evidence(facts, summary, String::new()))
        })
    }
}

/// The line up to where Oxidized prints a row of its source, passwords included.
fn without_secrets(line: &str) -> &str {
    line.split("node {").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<LogLine> {
        let line =
            |text: &&str| LogLine { at: String::new(), text: (*text).to_owned(), manager: false };
        texts.iter().map(line).collect()
    }

    #[test]
    fn the_last_start_counts() {
        let good = [
            "Oxidized starting, running as pid 1",
            "Loading nodes",
            "Loaded 2 nodes",
            "Oxidized-web server listening on 127.0.0.1:8888",
        ];
        let started = judge(&lines(&good));
        assert!(started.listening && started.failure.is_empty() && !started.loading);
        let bad = [
            "Oxidized starting, running as pid 2",
            "Loading nodes",
            "Loaded 2 nodes",
            "Oxidized crashed, crashfile written in /var/lib/oxidized/crash",
            "Address already in use - bind(2) for \"127.0.0.1\" port 8888 [Errno::EADDRINUSE]",
        ];
        assert_eq!(judge(&lines(&[&good[..], &bad].concat())).failure, "port_in_use");
        assert_eq!(judge(&lines(&[&bad[..], &good].concat())).failure, "");
        assert!(judge(&lines(&bad[..2])).loading);
        assert_eq!(judge(&lines(&["Error loading config: line 3"])).failure, "config_broken");
        assert_eq!(judge(&[]), Started::default());
    }

    #[test]
    fn what_it_says_of_a_device_is_not_about_its_start() {
        let good =
            ["Oxidized starting, running as pid 1", "Oxidized-web server listening on :8888"];
        let device = ["10.0.0.1 raised Errno::EACCES with msg \"Permission denied\""];
        assert_eq!(judge(&lines(&[&good[..], &device].concat())).failure, "");
        assert_eq!(judge(&lines(&device)).failure, "", "the start is older than the log");
        let crash = ["Oxidized crashed, crashfile written in /x", "No space left on device"];
        assert_eq!(judge(&lines(&[&good[..], &device, &crash].concat())).failure, "disk_full");
        assert_eq!(judge(&lines(&[&device[..], &crash].concat())).failure, "disk_full");
        let early = ["Error loading config: line 3"];
        assert_eq!(judge(&lines(&[&good[..], &device, &early].concat())).failure, "config_broken");
    }

    #[test]
    fn a_row_of_the_source_is_cut_off() {
        assert_eq!(without_secrets("node {name: a, password: x} is not resolvable"), "");
    }
}
