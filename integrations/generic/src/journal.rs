//! A unit's journal, as `journalctl -o json` prints it.

use paramedic_model::TimeMs;
use serde_json::Value;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// When, by the host's own clock; `None` where the log does not say.
    pub at: Option<TimeMs>,
    /// Who wrote it.
    pub source: String,
    /// The syslog level.
    pub priority: u8,
    /// Whether systemd itself wrote it.
    pub manager: bool,
    /// What it says, without colours.
    pub text: String,
}

/// The level of everyday life, for lines that state none.
const INFO: u8 = 6;
/// The level of an error.
const ERROR: u8 = 3;

/// Reads the entries that `journalctl -o json` printed.
///
/// # Errors
///
/// A line that is no entry, shortened.
pub(crate) fn parse(text: &str) -> Result<Vec<Line>, String> {
    // `-- No entries --` and `-- Boot ... --` are said in any format.
    let entries = text.lines().filter(|line| !line.is_empty() && !line.starts_with("-- "));
    let entry = |line: &str| {
        let error = || format!("expected a journal entry, got {:?}", crate::shorten(line));
        let entry: Value = serde_json::from_str(line).map_err(|_| error())?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let us: i64 =
            text("__REALTIME_TIMESTAMP").and_then(|us| us.parse().ok()).ok_or_else(error)?;
        Ok(Line {
            at: Some(TimeMs(us.div_euclid(1000))),
            source: text("SYSLOG_IDENTIFIER").or(text("_COMM")).unwrap_or_default().to_owned(),
            priority: text("PRIORITY").and_then(|level| level.parse().ok()).unwrap_or(INFO),
            manager: text("_PID") == Some("1"),
            text: message(entry.get("MESSAGE")),
        })
    };
    entries.map(entry).collect()
}

/// A log that is plain text, as a configured command prints it.
pub(crate) fn plain(text: &str) -> Vec<Line> {
    let line = |text: &str| Line {
        at: None,
        source: String::new(),
        priority: INFO,
        manager: false,
        text: without_colours(text),
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

/// A message is a text, or bytes where it is not printable, or null where it is too long.
fn message(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => without_colours(text),
        Some(Value::Array(bytes)) => {
            let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes: Vec<u8> = bytes.iter().filter_map(byte).collect();
            without_colours(&String::from_utf8_lossy(&bytes))
        }
        _ => String::new(),
    }
}

/// `text` without terminal sequences and other control characters.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            // A sequence ends with its first letter.
            chars.by_ref().find(|c| ('@'..='~').contains(c));
        } else if !c.is_control() {
            plain.push(c);
        } else if c == '\n' || c == '\t' {
            plain.push(' ');
        }
    }
    plain.trim_end().to_owned()
}

impl Line {
    /// Whether the service itself complains here, by the level or by the wording.
    pub(crate) fn is_error(&self) -> bool {
        const WORDS: [&str; 8] =
            ["error", "fatal", "panic", "exception", "failed", "failure", "cannot", "could not"];
        const LEVELS: [&str; 3] = ["ERR", "FTL", "PNC"];
        let text = self.text.to_lowercase();
        let worded = WORDS.iter().any(|word| text.contains(word));
        let levelled = self.text.split_whitespace().any(|word| LEVELS.contains(&word));
        !self.manager && (self.priority <= ERROR || worded || levelled)
    }

    /// Whether systemd says here that the unit was started.
    pub(crate) fn is_start(&self) -> bool {
        self.manager && self.text.starts_with("Started ")
    }

    /// Whether systemd says here that it was asked to stop the unit: by a person, a script, or
    /// another unit. A process that ends by itself has no such line.
    pub(crate) fn is_requested_stop(&self) -> bool {
        self.manager && self.text.starts_with("Stopping ")
    }

    /// Whether systemd says here that it starts the unit again by itself.
    pub(crate) fn is_own_restart(&self) -> bool {
        self.manager && self.text.contains("Scheduled restart job")
    }
}

/// Whether the unit's last change was a stop that was asked for; `None` where the lines show
/// neither a start nor such a stop.
pub(crate) fn stopped_on_request(lines: &[Line]) -> Option<bool> {
    let change = |line: &&Line| line.is_start() || line.is_requested_stop();
    lines.iter().rev().find(change).map(Line::is_requested_stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_whatever_their_message_is() {
        let check = |message: &str, text: &str| {
            let entry = format!(
                r#"{{"__REALTIME_TIMESTAMP":"1795227720000000","_PID":"1","MESSAGE":{message}}}"#
            );
            let lines = parse(&format!("-- No entries --\n\n{entry}\n")).unwrap();
            assert_eq!(lines[0].text, text);
            assert_eq!(lines[0].at, Some(TimeMs(1_795_227_720_000)));
            assert!(lines[0].manager && lines.len() == 1);
        };
        check(r#""Started x""#, "Started x");
        check("[27,91,51,49,109,69,82,82,27,91,48,109,32,120]", "ERR x");
        check("null", "");
        check(r#""a\nb""#, "a b");
        for bad in ["<html>", "{}", r#"{"MESSAGE":"x"}"#, r#"{"__REALTIME_TIMESTAMP":"x"}"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stop_on_request_is_told_from_an_end() {
        let line = |text: &str| Line { manager: true, ..plain(text).remove(0) };
        let check = |texts: &[&str], expected: Option<bool>| {
            let lines: Vec<_> = texts.iter().map(|text| line(text)).collect();
            assert_eq!(stopped_on_request(&lines), expected, "{texts:?}");
        };
        check(&[], None);
        check(&["Started x.service - X."], Some(false));
        check(&["Started X.", "Stopping X...", "x.service: Succeeded.", "Stopped X."], Some(true));
        check(&["Stopping X...", "Stopped X.", "Started X.", "x.service: Failed"], Some(false));
    }
}
