//! What Traefik's log says about the one thing that its API and metrics hide: a configuration that
//! it was given and could not use.
//!
//! A wrong dynamic file is rejected and the last good configuration keeps serving, with no metric
//! and no word in the API. The log alone knows, at ERROR, which is the default level. The patterns
//! are those of versions 3.0 to 3.7; 2.11 says `msg` instead of `message`, and the same words.
//!
//! Pure: the lines come from the host channel.

use paramedic_model::TimeMs;
use serde_json::{Map, Value};

use crate::api;

/// One line as the host gives it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// When it was written, where the host knows.
    pub at: Option<TimeMs>,
    /// The text.
    pub text: String,
}

/// What one line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The dynamic configuration was not understood and not applied.
    DynamicFile,
    /// A provider (Docker, Kubernetes, Consul) cannot be reached.
    Provider,
    /// The static configuration was not understood; the process ended.
    Static,
    /// An entry point's port is taken, or may not be had.
    Port,
    /// File descriptors ran out.
    Descriptors,
    /// A server failed its health check.
    HealthCheck,
    /// The certificate of a server was not believed, or was none.
    BackendTls,
    /// The watchdog found that the process stalled.
    Watchdog,
    /// A graceful stop began.
    Stopping,
}

/// A line that tells something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When, by the line itself, else by the host.
    pub at: Option<TimeMs>,
    /// What about.
    pub topic: Topic,
    /// The message and the error, without colours.
    pub text: String,
    /// The server that it is about; empty where none.
    pub url: String,
}

/// The lines that tell something, in their order.
pub(crate) fn read(lines: &[Line]) -> Vec<Entry> {
    lines.iter().filter_map(entry).collect()
}

/// What the running process says of its configuration; the log's errors are judged by it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    /// When the process started.
    pub started: TimeMs,
    /// When the present configuration was applied.
    pub at: TimeMs,
    /// How many were applied since the start; with 1, only what it started with.
    pub reloads: u64,
    /// Whether the file provider is the only one. Others move `at` while a file is still broken.
    pub file_only: bool,
}

/// The newest entry about a dynamic file that was rejected and not replaced by a good one since, as
/// far as that can be known. Where the process does not say what it applied, none is cleared.
///
/// A process that started later has read the file anew and would have said so again. In one run, a
/// later change clears an error. Moments are compared by the second, as metrics and log count.
pub(crate) fn unresolved<'a>(entries: &'a [Entry], applied: Option<&Applied>) -> Option<&'a Entry> {
    let second = |at: TimeMs| at.0.div_euclid(1000);
    let cleared = |entry: &Entry| {
        let (Some(at), Some(applied)) = (entry.at, applied) else { return false };
        let changed = applied.reloads > 1 && second(at) < second(applied.at);
        second(at) < second(applied.started) || (applied.file_only && changed)
    };
    entries.iter().rev().find(|entry| entry.topic == Topic::DynamicFile && !cleared(entry))
}

fn entry(line: &Line) -> Option<Entry> {
    let plain = strip_colours(&line.text);
    let parsed = serde_json::from_str::<Map<String, Value>>(&plain).ok();
    let field = |name: &str| {
        parsed.as_ref().and_then(|fields| fields.get(name)).and_then(Value::as_str).unwrap_or("")
    };
    let (text, at, url) = match &parsed {
        Some(_) => {
            let message = [field("message"), field("msg")].concat();
            let parts = [message.trim(), field("error").trim()];
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            (parts.join(": "), api::parse_time(field("time")), field("targetURL").to_owned())
        }
        None => {
            let first = plain.split_whitespace().next().unwrap_or("");
            (plain.trim().to_owned(), api::parse_time(first), word(&plain, "targetURL="))
        }
    };
    let topic = topic(&text)?;
    Some(Entry { at: at.or(line.at), topic, text, url })
}

/// What a text is about; the first that fits, the most telling first.
fn topic(text: &str) -> Option<Topic> {
    const TOPICS: &[(&str, Topic)] = &[
        ("Error occurred during watcher callback", Topic::DynamicFile),
        ("Error while building configuration", Topic::DynamicFile),
        ("Cannot start the provider *file.Provider", Topic::DynamicFile),
        ("address already in use", Topic::Port),
        ("bind: permission denied", Topic::Port),
        ("cannot assign requested address", Topic::Port),
        ("Command error", Topic::Static),
        ("command traefik error", Topic::Static),
        ("Provider error, retrying", Topic::Provider),
        ("too many open files", Topic::Descriptors),
        ("Watchdog timeout", Topic::Watchdog),
        ("Health check failed", Topic::HealthCheck),
        ("Health check still failing", Topic::HealthCheck),
        ("failed to verify certificate", Topic::BackendTls),
        ("does not look like a TLS handshake", Topic::BackendTls),
        ("I have to go...", Topic::Stopping),
    ];
    TOPICS.iter().find(|(words, _)| text.contains(words)).map(|(_, topic)| *topic)
}

/// The value after `key` in the common format, without quotes.
fn word(text: &str, key: &str) -> String {
    let Some((_, rest)) = text.split_once(key) else { return String::new() };
    rest.split_whitespace().next().unwrap_or("").trim_matches('"').to_owned()
}

/// `text` without ANSI escapes, which Traefik writes even into a pipe.
fn strip_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        let escape = escape.strip_prefix('[').unwrap_or(escape);
        rest = match escape.find(|c: char| c.is_ascii_alphabetic()) {
            Some(end) => &escape[end + 1..],
            None => "",
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<Entry> {
        read(&[Line { at: None, text: text.to_owned() }]).pop()
    }

    #[test]
    fn lines_of_every_format_tell_the_same() {
        let check = |text: &str, topic: Topic, expected: &str| {
            let entry = one(text).expect(text);
            assert_eq!((entry.topic, entry.text.as_str()), (topic, expected));
        };
        check(
            r#"{"level":"error","providerName":"file","error":"yaml: line 3: did not find expected node content","time":"2026-11-21T05:56:29Z","message":"Error occurred during watcher callback"}"#,
            Topic::DynamicFile,
            "Error occurred during watcher callback: yaml: line 3: did not find expected node content",
        );
        check(
            "\u{1b}[90m2026-11-21T02:24:20Z\u{1b}[0m \u{1b}[31mERR\u{1b}[0m Error occurred during watcher callback \u{1b}[36merror=\u{1b}[0m\"yaml: line 3\" providerName=file",
            Topic::DynamicFile,
            "2026-11-21T02:24:20Z ERR Error occurred during watcher callback error=\"yaml: line 3\" providerName=file",
        );
        check(
            r#"time="2026-11-21T02:24:20Z" level=error msg="Error occurred during watcher callback" providerName=file"#,
            Topic::DynamicFile,
            r#"time="2026-11-21T02:24:20Z" level=error msg="Error occurred during watcher callback" providerName=file"#,
        );
        check(
            r#"{"level":"error","providerName":"a","providerName":"b","message":"Provider error, retrying"}"#,
            Topic::Provider,
            "Provider error, retrying",
        );
        check(
            r#"{"level":"error","error":"command traefik error: error while building entryPoint web: building listener: error opening listener: listen tcp 127.0.0.1:80: bind: address already in use","message":"Command error"}"#,
            Topic::Port,
            "Command error: command traefik error: error while building entryPoint web: building listener: error opening listener: listen tcp 127.0.0.1:80: bind: address already in use",
        );
        assert_eq!(one(r#"{"level":"info","message":"Starting provider *file.Provider"}"#), None);
    }

    #[test]
    fn a_health_check_names_its_server() {
        let json = r#"{"level":"warn","serviceName":"app@file","targetURL":"http://127.0.0.1:19002","error":"checking HTTP health: HTTP request failed: Get \"http://127.0.0.1:19002/health\": dial tcp 127.0.0.1:19002: connect: connection refused","time":"2026-11-21T05:56:03Z","message":"Health check failed."}"#;
        assert_eq!(one(json).unwrap().url, "http://127.0.0.1:19002");
        let common = r#"2026-11-21T02:24:20Z WRN Health check failed. error="x" serviceName=app@file targetURL=http://127.0.0.1:19002"#;
        assert_eq!(one(common).unwrap().url, "http://127.0.0.1:19002");
    }

    #[test]
    fn a_later_good_file_or_a_later_process_clears_an_error() {
        let text = "2026-11-21T02:24:20Z ERR Error occurred during watcher callback";
        let entries = read(&[Line { at: None, text: text.to_owned() }]);
        let moment = |second: u32| api::parse_time(&format!("2026-11-21T02:24:{second:02}Z"));
        let check = |started: u32, at: u32, reloads: u64, file_only: bool, kept: bool| {
            let (started, at) = (moment(started).unwrap(), moment(at).unwrap());
            let applied = Applied { started, at, reloads, file_only };
            let found = unresolved(&entries, Some(&applied)).is_some();
            assert_eq!(found, kept, "{applied:?}");
        };
        check(10, 19, 2, true, true);
        check(10, 20, 2, true, true);
        check(10, 21, 2, true, false);
        // Another provider's change says nothing of the file.
        check(10, 21, 2, false, true);
        // Written at the start itself; what was applied is what it started with.
        check(20, 21, 1, true, true);
        // A later process has read the file anew.
        check(21, 21, 1, true, false);
        check(21, 21, 1, false, false);
        assert!(unresolved(&entries, None).is_some());
    }

    #[test]
    fn odd_escapes_do_not_panic() {
        for text in ["\u{1b}", "\u{1b}[", "\u{1b}[31", "é\u{1b}[0mé", "\u{1b}é"] {
            let _ = strip_colours(text);
        }
        assert_eq!(strip_colours("a\u{1b}[31mb\u{1b}[0mc"), "abc");
    }
}
