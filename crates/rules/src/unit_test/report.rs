//! What a person reads of a test that fails: what was expected, what came, and the value of every
//! part of the expression behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Labels, TimeMs, escape_label_value, format_duration, is_legacy_label_name};
use paramedic_promql::{Explanation, Held, Part, PartValue, Plan};
use paramedic_yaml::Place;

use super::compare::{Difference, differing};
use super::file::{ExpectedAlert, ExpectedSample, SampleValue};
use super::histogram::canonical;

/// How many elements of a part are printed.
const ELEMENTS_SHOWN_MAX: usize = 8;
/// How many characters of a part of an expression are printed.
const PART_CHARS_MAX: usize = 110;
/// How many characters of a text are printed before the one that differs.
const BEFORE_CHARS_MAX: usize = 50;

/// One check of a test that does not hold. Prints over several lines, with no line end.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where the check stands in the test file; of a rule that failed, where its test begins.
    pub place: Place,
    /// The time in the test, from its start; none where it did not begin.
    pub at: Option<Duration>,
    /// What is not as it should be.
    pub what: Mismatch,
}

/// What is not as it should be.
#[derive(Clone, Debug)]
pub enum Mismatch {
    /// The test cannot be run, for this reason.
    Text(String),
    /// A rule failed, which ends its test.
    Rule {
        /// Its name.
        rule: String,
        /// Prometheus's reason.
        reason: String,
        /// The parts of its expression.
        parts: Parts,
    },
    /// Others fire than expected.
    Alerts {
        /// The alert's name.
        alertname: String,
        /// What differs.
        differences: Vec<Difference<ExpectedAlert>>,
        /// The rules of that name, as they stand.
        standing: Vec<Standing>,
        /// The evaluation that counts for the time of the check.
        evaluated_at: Duration,
    },
    /// An expression cannot be evaluated.
    Expr {
        /// The expression.
        expr: String,
        /// Why.
        reason: String,
        /// Its parts, where it was evaluated at all.
        parts: Vec<Parts>,
    },
    /// An expression does not return what was expected.
    Samples {
        /// The expression.
        expr: String,
        /// What differs.
        differences: Vec<Difference<ExpectedSample>>,
        /// Its parts, and those of the recording rules whose series it reads.
        parts: Vec<Parts>,
    },
}

/// An alert rule at the time of a check.
#[derive(Clone, Debug)]
pub struct Standing {
    /// `for`.
    pub hold: Duration,
    /// The alerts that wait for it, and since when.
    pub pending: Vec<(Labels, Duration)>,
    /// The parts of its expression.
    pub parts: Parts,
}

/// An expression with the value of every part.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The rule that it is of, as `FILE:LINE:COLUMN`; none where the test itself asks.
    pub rule: Option<String>,
    /// The start of the test, which times are told from.
    pub start: TimeMs,
    /// The expression.
    pub plan: Arc<Plan>,
    /// The values.
    pub explanation: Explanation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.map_or(String::new(), |at| format!(" at {}", format_duration(at)));
        match &self.what {
            Mismatch::Text(text) => f.write_str(text),
            Mismatch::Rule { rule, reason, parts } => {
                write!(f, "rule {rule}{at} fails: {reason}")?;
                parts.write(f)
            }
            Mismatch::Alerts { alertname, differences, standing, evaluated_at } => {
                write!(f, "alert {alertname}{at}: ")?;
                if self.at.is_some_and(|at| at != *evaluated_at) {
                    let evaluated_at = format_duration(*evaluated_at);
                    write!(f, "(evaluated at {evaluated_at}, the last time before it) ")?;
                }
                headline(f, differences)?;
                differences.iter().try_for_each(|difference| alert_difference(f, difference))?;
                if standing.is_empty() {
                    write!(f, "\n    no rule has that name")?;
                }
                standing.iter().try_for_each(|standing| standing.write(f))
            }
            Mismatch::Expr { expr, reason, parts } => {
                write!(f, "{}{at} fails: {reason}", one_line(expr))?;
                parts.iter().try_for_each(|parts| parts.write(f))
            }
            Mismatch::Samples { expr, differences, parts } => {
                write!(f, "{}{at}: ", one_line(expr))?;
                headline(f, differences)?;
                differences.iter().try_for_each(|difference| sample_difference(f, difference))?;
                parts.iter().try_for_each(|parts| parts.write(f))
            }
        }
    }
}

/// `1 missing, 2 unexpected`.
fn headline<T>(f: &mut fmt::Formatter<'_>, differences: &[Difference<T>]) -> fmt::Result {
    let (mut missing, mut unexpected, mut changed) = (0, 0, 0);
    for difference in differences {
        match difference {
            Difference::Missing(_) => missing += 1,
            Difference::Unexpected(_) => unexpected += 1,
            Difference::Changed { .. } => changed += 1,
        }
    }
    let counts = [(missing, "missing"), (unexpected, "not expected"), (changed, "different")];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, word)| format!("{count} {word}")).collect();
    f.write_str(&told.join(", "))
}

fn alert_difference(
    f: &mut fmt::Formatter<'_>,
    difference: &Difference<ExpectedAlert>,
) -> fmt::Result {
    let annotations = |f: &mut fmt::Formatter<'_>, alert: &ExpectedAlert| {
        let pairs = alert.annotations.iter();
        pairs.into_iter().try_for_each(|(name, text)| write!(f, "\n        {name}: {text:?}"))
    };
    match difference {
        Difference::Missing(alert) => {
            write!(f, "\n    expected, does not fire: {}", braced(&alert.labels))?;
            annotations(f, alert)
        }
        Difference::Unexpected(alert) => {
            write!(f, "\n    fires, is not expected: {}", braced(&alert.labels))?;
            annotations(f, alert)
        }
        Difference::Changed { expected, got } => {
            let in_common =
                |(name, value): &(&String, &String)| got.labels.get(*name) == Some(value);
            let common: BTreeMap<String, String> = expected
                .labels
                .iter()
                .filter(in_common)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            write!(f, "\n    fires, but not as expected: {}", braced(&common))?;
            for name in differing(&expected.labels, &got.labels) {
                text_difference(f, "label", name, &expected.labels, &got.labels)?;
            }
            for name in differing(&expected.annotations, &got.annotations) {
                text_difference(f, "annotation", name, &expected.annotations, &got.annotations)?;
            }
            Ok(())
        }
    }
}

/// Both texts one under the other, and a mark under the first character that differs.
fn text_difference(
    f: &mut fmt::Formatter<'_>,
    kind: &str,
    name: &str,
    expected: &BTreeMap<String, String>,
    got: &BTreeMap<String, String>,
) -> fmt::Result {
    write!(f, "\n        {kind} {name}")?;
    let (Some(expected), Some(got)) = (expected.get(name), got.get(name)) else {
        let side = |text: Option<&String>| text.map_or("none".to_owned(), |text| quoted(text));
        write!(f, "\n            expected  {}", side(expected.get(name)))?;
        return write!(f, "\n            got       {}", side(got.get(name)));
    };
    let (expected, got) = (quoted(expected), quoted(got));
    let same = expected.chars().zip(got.chars()).take_while(|(one, other)| one == other).count();
    let cut = same.saturating_sub(BEFORE_CHARS_MAX);
    let shown = |text: &str| -> String {
        let dots = if cut > 0 { "..." } else { "" };
        dots.chars().chain(text.chars().skip(cut)).collect()
    };
    let before = same - cut + if cut > 0 { 3 } else { 0 };
    write!(f, "\n            expected  {}", shown(&expected))?;
    write!(f, "\n            got       {}", shown(&got))?;
    write!(f, "\n                      {}^", " ".repeat(before))
}

/// A text on one line.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn sample_difference(
    f: &mut fmt::Formatter<'_>,
    difference: &Difference<ExpectedSample>,
) -> fmt::Result {
    match difference {
        Difference::Missing(sample) => write!(f, "\n    expected, did not come: {sample}"),
        Difference::Unexpected(sample) => write!(f, "\n    came, is not expected: {sample}"),
        Difference::Changed { expected, got } => {
            write!(f, "\n    expected  {expected}\n    got       {got}")?;
            match (&expected.value, &got.value) {
                (SampleValue::Number(one), SampleValue::Number(other))
                    if one.is_nan() && other.is_nan() =>
                {
                    write!(f, "\n    (no NaN is equal to another; compare with `!= x`, say)")
                }
                _ => Ok(()),
            }
        }
    }
}

impl fmt::Display for ExpectedSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.labels, self.value)
    }
}

impl fmt::Display for SampleValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SampleValue::Number(number) => write!(f, "{number}"),
            SampleValue::Histogram(histogram) => f.write_str(&canonical(histogram)),
        }
    }
}

impl Standing {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (labels, since) in &self.pending {
            let (from, due) = (format_duration(*since), format_duration(*since + self.hold));
            write!(f, "\n    pending since {from}, `for` is over at {due}: {labels}")?;
        }
        self.parts.write(f)
    }
}

impl Parts {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = format_duration(self.explanation.at.since(self.start));
        match &self.rule {
            Some(rule) => write!(f, "\n    at {at}, by the rule at {rule}:")?,
            None => write!(f, "\n    at {at}:")?,
        }
        self.explanation.parts.iter().try_for_each(|part| self.part(f, part))?;
        match &self.explanation.error {
            // What the whole of it fails with was told before.
            Some(error) if error.span != self.plan.expr().span => {
                let part = one_line(error.span.of(self.plan.text()));
                write!(f, "\n        {part}: fails: {}", error.message)
            }
            _ => Ok(()),
        }
    }

    fn part(&self, f: &mut fmt::Formatter<'_>, part: &Part) -> fmt::Result {
        let Some(value) = &part.value else { return Ok(()) };
        let indent = 8 + 2 * part.depth;
        let text = one_line(part.span.of(self.plan.text()));
        write!(f, "\n{:indent$}{text}", "")?;
        let more = |f: &mut fmt::Formatter<'_>, count: usize, shown: usize| {
            let shown = shown.min(ELEMENTS_SHOWN_MAX);
            if count <= shown {
                return Ok(());
            }
            write!(f, "\n{:indent$}    and {} more", "", count - shown)
        };
        match value {
            PartValue::Scalar(value) => write!(f, ": {value}")?,
            PartValue::Text(text) => write!(f, ": {text:?}")?,
            PartValue::Elements { count: 0, .. } | PartValue::Series { count: 0, .. } => {
                write!(f, ": nothing")?;
                if let Some(held) = &part.held {
                    write!(f, ", because {}", self.because(held))?;
                }
            }
            PartValue::Elements { count, first } => {
                f.write_str(":")?;
                for (labels, value) in first.iter().take(ELEMENTS_SHOWN_MAX) {
                    match value {
                        Some(value) => write!(f, "\n{:indent$}    {labels} {value}", "")?,
                        None => write!(f, "\n{:indent$}    {labels} (a histogram)", "")?,
                    }
                }
                more(f, *count, first.len())?;
            }
            PartValue::Series { count, first } => {
                f.write_str(":")?;
                for (labels, samples) in first.iter().take(ELEMENTS_SHOWN_MAX) {
                    let word = if *samples == 1 { "sample" } else { "samples" };
                    write!(f, "\n{:indent$}    {labels} {samples} {word}", "")?;
                }
                more(f, *count, first.len())?;
            }
        }
        Ok(())
    }

    /// Why a part is empty, with times of the test instead of the calendar's.
    fn because(&self, held: &Held) -> String {
        let time = |at: &TimeMs| format_duration(at.since(self.start));
        match held {
            Held::Ended { series: 1, at } => format!("the series that fits ended at {}", time(at)),
            Held::Ended { series, at } => {
                format!("all {series} series that fit ended, the last at {}", time(at))
            }
            Held::NoSample { series: 1, newest } => {
                format!("the newest sample of the series that fits is of {}", time(newest))
            }
            Held::NoSample { series, newest } => {
                format!("the newest sample of the {series} series that fit is of {}", time(newest))
            }
            other => other.to_string(),
        }
    }
}

/// An expression on one line, cut where it is long.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= PART_CHARS_MAX {
        return line;
    }
    line.chars().take(PART_CHARS_MAX).chain("...".chars()).collect()
}

/// `{alertname="A", job="b"}`.
fn braced(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(name, value)| {
        let value = escape_label_value(value);
        match is_legacy_label_name(name) {
            true => format!("{name}=\"{value}\""),
            false => format!("\"{}\"=\"{value}\"", escape_label_value(name)),
        }
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}
