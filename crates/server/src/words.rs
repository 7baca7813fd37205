//! How moments, spans and states are said to people. Meaning is in the word; a colour only repeats it.

use std::time::Duration;

use maud::{Markup, html};
use paramedic_incident::{Ending, Settled, Stage};
use paramedic_model::TimeMs;

/// What a mark on a page means; its class in the style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// A person must do something, or something is wrong.
    Bad,
    /// Something to know: not known, held back, waiting.
    Warn,
    /// All is well.
    Good,
    /// Under way.
    Busy,
    /// Nothing to do.
    Calm,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Calm => "calm",
        }
    }
}

/// A word with a tone.
pub(crate) fn mark(tone: Tone, word: &str) -> Markup {
    html! { span.mark.(tone.class()) { (word) } }
}

/// The tone of a stage.
pub(crate) fn stage_tone(stage: &Stage) -> Tone {
    match stage {
        Stage::Waiting | Stage::Manual | Stage::Settled(Settled::HandedOver) => Tone::Bad,
        Stage::Diagnosing
        | Stage::Proposing
        | Stage::Acting
        | Stage::InFlight
        | Stage::Verifying { .. } => Tone::Busy,
        Stage::Watching { .. } => Tone::Good,
        Stage::Settled(Settled::LeftAlone) | Stage::Closed => Tone::Calm,
    }
}

/// The word of a stage, the ending where it is over.
pub(crate) fn stage_word(stage: &Stage, ending: Option<Ending>) -> &'static str {
    match (stage, ending) {
        (Stage::Closed, Some(ending)) => ending.as_str(),
        _ => stage.as_str(),
    }
}

/// A span, coarse as people say it: `4 min 12 s`, `3 h 5 min`, `2 days`.
pub(crate) fn span(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0 if duration.is_zero() => "0 s".to_owned(),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{s} s"),
        60..3600 if s.is_multiple_of(60) => format!("{} min", s / 60),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..172_800 if s % 3600 < 60 => format!("{} h", s / 3600),
        3600..172_800 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} days", s / 86_400),
    }
}

/// A number with its noun: `1 rule`, `40 rules`.
pub(crate) fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// How long ago `at` was: `12 s ago`.
pub(crate) fn ago(at: TimeMs, now: TimeMs) -> String {
    match now.since(at) {
        passed if passed < Duration::from_secs(1) => "just now".to_owned(),
        passed => format!("{} ago", span(passed)),
    }
}

/// A moment in UTC: the time of day, with the date where it is not today.
pub(crate) fn moment(at: TimeMs, now: TimeMs) -> Markup {
    let (at, now) = (at.to_string(), now.to_string());
    let seconds = at.split('.').next().unwrap_or(&at);
    let (date, time) = seconds.split_once('T').unwrap_or(("", seconds));
    let today = now.starts_with(date);
    html! {
        time datetime=(at) title=(format!("{date} {time} UTC")) {
            @if !today { (date) " " }
            (time)
        }
    }
}

/// A moment in UTC, where no markup can be: `02:42:01 UTC`.
pub(crate) fn moment_text(at: TimeMs) -> String {
    let text = at.to_string();
    let time = text.split('T').nth(1).and_then(|time| time.split('.').next());
    format!("{} UTC", time.unwrap_or(&text))
}

/// `text` with what stands between backticks as code.
pub(crate) fn prose(text: &str) -> Markup {
    let parts: Vec<_> = text.split('`').collect();
    // An odd number of parts means that every backtick has its partner.
    let paired = parts.len() % 2 == 1;
    html! {
        @if paired {
            @for (i, part) in parts.iter().enumerate() {
                @if i % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

/// A text of any length: a long one is folded, so that it does not bury the rest.
pub(crate) fn folded(text: &str) -> Markup {
    const SHOWN: usize = 240;
    folded_beyond(text, SHOWN)
}

/// As [`folded`], where `shown` characters are still no long text.
pub(crate) fn folded_beyond(text: &str, shown: usize) -> Markup {
    const TEASER: usize = 80;
    let count = text.chars().count();
    html! {
        @if count <= shown { (text) } @else {
            details.folded {
                summary {
                    (text.chars().take(TEASER).collect::<String>()) "… "
                    span.muted { "(" (count) " characters)" }
                }
                (text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_coarse() {
        let check = |ms, text: &str| assert_eq!(span(Duration::from_millis(ms)), text);
        check(0, "0 s");
        check(12, "12 ms");
        check(59_900, "59 s");
        check(60_000, "1 min");
        check(252_000, "4 min 12 s");
        check(3_600_000, "1 h");
        check(11_100_000, "3 h 5 min");
        check(172_800_000, "2 days");
    }

    #[test]
    fn the_date_is_said_where_it_is_not_today() {
        let (morning, hour) = (TimeMs(1_795_228_921_500), Duration::from_secs(3600));
        let text = |at, now| moment(at, now).into_string();
        assert!(text(morning, morning + hour).ends_with(">02:42:01</time>"));
        assert!(text(morning, morning + hour * 24).ends_with(">2026-11-21 02:42:01</time>"));
    }

    #[test]
    fn backticks_become_code_where_they_pair() {
        let check = |text: &str, html: &str| assert_eq!(prose(text).into_string(), html);
        check("`a<b` holds", "<code>a&lt;b</code> holds");
        check("it's `odd", "it's `odd");
    }
}
