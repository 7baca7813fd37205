//! A place in a body, and what both formats share: names, quoted texts, label sets, metadata.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use paramedic_model::{Labels, METRIC_NAME, TimeMs};

use crate::layout::{Bound, SeriesTexts, Writing};
use crate::{ExpositionError, Format, Metadata, MetricType, float};

pub(crate) type Result<T> = std::result::Result<T, ExpositionError>;

pub(crate) struct Cursor<'a> {
    pub text: &'a str,
    pub pos: usize,
}

/// What differs between the formats where they look alike.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Blanks {
    /// Any number of spaces and tabs between tokens.
    Any,
    /// None, but where one is prescribed.
    None,
}

/// A label set as written.
#[derive(Default)]
pub(crate) struct WrittenLabels {
    /// A metric name that stands quoted inside the braces.
    pub metric_name: Option<String>,
    pub pairs: Vec<(String, String)>,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, pos: 0 }
    }

    pub fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    pub fn is_at_end(&self) -> bool {
        self.pos == self.text.len()
    }

    pub fn accept(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.pos += token.len();
        }
        found
    }

    pub fn fail<T>(&self, reason: impl Into<String>) -> Result<T> {
        self.fail_at(self.pos, reason)
    }

    pub fn fail_at<T>(&self, pos: usize, reason: impl Into<String>) -> Result<T> {
        Err(ExpositionError::at(self.text.as_bytes(), pos, reason))
    }

    /// What stands here, for a message.
    pub fn found(&self) -> String {
        match self.rest().chars().next() {
            None => "the end of the body".to_owned(),
            Some('\n') => "the end of the line".to_owned(),
            Some(c) => format!("{c:?}"),
        }
    }

    pub fn skip_blanks(&mut self, blanks: Blanks) {
        if blanks == Blanks::Any {
            self.pos += self.rest().bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
        }
    }

    /// Everything up to a byte that `stops`.
    pub fn take_until(&mut self, stops: impl Fn(u8) -> bool) -> &'a str {
        let taken = self.rest().bytes().position(stops).unwrap_or(self.rest().len());
        let start = self.pos;
        self.pos += taken;
        &self.text[start..self.pos]
    }

    /// An unquoted name: `[a-zA-Z_][a-zA-Z0-9_]*`, with colons where `colons` allows them.
    pub fn name(&mut self, colons: bool) -> Option<&'a str> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':');
        if !self.peek().is_some_and(|b| allowed(b) && !b.is_ascii_digit()) {
            return None;
        }
        Some(self.take_until(|b| !allowed(b)))
    }

    /// A text in double quotes with the escapes `\\`, `\"` and `\n`; others stay as written.
    pub fn quoted(&mut self) -> Result<String> {
        let start = self.pos;
        self.pos += 1;
        let mut out = String::new();
        loop {
            out.push_str(self.take_until(|b| b == b'"' || b == b'\\'));
            match self.peek() {
                None => return self.fail_at(start, "unterminated quoted text"),
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(out);
                }
                Some(_) => {
                    let escaped = self.rest()[1..].chars().next();
                    push_unescaped(&mut out, escaped, true);
                    self.pos += 1 + escaped.map_or(0, char::len_utf8);
                }
            }
        }
    }

    /// A metric name of a metadata line, quoted or not.
    pub fn metadata_name(&mut self) -> Result<String> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        match self.name(true) {
            Some(name) => Ok(name.to_owned()),
            None => self.fail(format!("expected a metric name, found {}", self.found())),
        }
    }

    /// The labels after an opening brace, which is consumed already, and the closing one.
    pub fn labels(&mut self, blanks: Blanks) -> Result<WrittenLabels> {
        let mut labels = WrittenLabels::default();
        loop {
            self.skip_blanks(blanks);
            if self.accept("}") {
                return Ok(labels);
            }
            self.label(blanks, &mut labels)?;
            self.skip_blanks(blanks);
            if !self.accept(",") && self.peek() != Some(b'}') {
                return self.fail(format!("expected `,` or `}}`, found {}", self.found()));
            }
        }
    }

    fn label(&mut self, blanks: Blanks, labels: &mut WrittenLabels) -> Result<()> {
        let start = self.pos;
        let (name, is_quoted) = if self.peek() == Some(b'"') {
            (self.quoted()?, true)
        } else {
            match self.name(false) {
                Some(name) => (name.to_owned(), false),
                None => return self.fail(format!("expected a label name, found {}", self.found())),
            }
        };
        if name.is_empty() {
            return self.fail_at(start, "a name must not be empty");
        }
        self.skip_blanks(blanks);
        if !self.accept("=") {
            if is_quoted && labels.metric_name.is_none() {
                labels.metric_name = Some(name);
                return Ok(());
            }
            return self.fail(format!("expected `=`, found {}", self.found()));
        }
        if labels.pairs.iter().any(|(known, _)| *known == name) {
            return self.fail_at(start, format!("label name {name:?} is not unique"));
        }
        self.skip_blanks(blanks);
        if self.peek() != Some(b'"') {
            return self.fail(format!("expected a label value in quotes, found {}", self.found()));
        }
        let value = self.quoted()?;
        labels.pairs.push((name, value));
        Ok(())
    }

    /// Name and labels of a sample.
    pub fn series(&mut self, blanks: Blanks) -> Result<WrittenLabels> {
        let start = self.pos;
        let name = self.name(true);
        self.skip_blanks(blanks);
        let mut labels =
            if self.accept("{") { self.labels(blanks)? } else { WrittenLabels::default() };
        match (name, &labels.metric_name) {
            (Some(_), Some(_)) => self.fail_at(start, "the metric name is given twice"),
            (None, None) if self.pos == start => {
                self.fail(format!("expected a metric name, found {}", self.found()))
            }
            (None, None) => self.fail_at(start, "the sample has no metric name"),
            (Some(name), None) => {
                labels.metric_name = Some(name.to_owned());
                Ok(labels)
            }
            (None, Some(_)) => Ok(labels),
        }
    }

    /// A sample's value.
    pub fn value(&mut self) -> Result<f64> {
        let start = self.pos;
        if let Some((value, len)) = float::leading_whole(self.rest().as_bytes()) {
            self.pos += len;
            return Ok(value);
        }
        let word = self.take_until(|b| matches!(b, b' ' | b'\t' | b'\n'));
        if word.is_empty() {
            return self.fail(format!("expected a value, found {}", self.found()));
        }
        match float::parse(word) {
            Some(value) => Ok(value),
            None => self.fail_at(start, format!("invalid value {word:?}")),
        }
    }
}

/// Appends what a backslash and `escaped` stand for.
fn push_unescaped(out: &mut String, escaped: Option<char>, quotes: bool) {
    match escaped {
        Some('n') => out.push('\n'),
        Some('\\') => out.push('\\'),
        Some('"') if quotes => out.push('"'),
        Some(other) => out.extend(['\\', other]),
        None => out.push('\\'),
    }
}

/// A help text with its escapes resolved; `\"` is one in OpenMetrics only.
pub(crate) fn unescape_help(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' { push_unescaped(&mut out, chars.next(), quotes) } else { out.push(c) }
    }
    out
}

/// What is said of families, in the order of first mention.
#[derive(Default)]
pub(crate) struct Families {
    metadata: Vec<Metadata>,
    known: HashMap<String, usize>,
}

impl Families {
    /// What is said of the family `name` so far.
    pub fn of(&mut self, name: String) -> &mut Metadata {
        let metadata = &mut self.metadata;
        let at = *self.known.entry(name).or_insert_with_key(|name| {
            metadata.push(Metadata { name: name.clone(), ..Metadata::default() });
            metadata.len() - 1
        });
        &mut self.metadata[at]
    }

    /// Whether something is said of the family `name`.
    pub fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    fn type_of(&self, name: &str) -> MetricType {
        self.known.get(name).map_or(MetricType::Unknown, |at| self.metadata[*at].metric_type)
    }

    pub fn into_metadata(self) -> Vec<Metadata> {
        self.metadata
    }
}

/// Gathers samples and metadata.
pub(crate) struct Gatherer<'a> {
    pub families: Families,
    writing: Writing<'a>,
    values: Vec<f64>,
    times: Vec<Option<TimeMs>>,
}

/// What stands in a body.
pub(crate) struct Gathered {
    pub families: Families,
    pub series: SeriesTexts,
    pub values: Vec<f64>,
    pub times: Vec<Option<TimeMs>>,
}

impl<'a> Gatherer<'a> {
    pub fn new(body: &'a str, last: Option<&'a Arc<SeriesTexts>>) -> Self {
        Self {
            families: Families::default(),
            writing: Writing::new(body, last),
            values: Vec::new(),
            times: Vec::new(),
        }
    }

    /// Reads over name and labels of a sample, and gives its metric name.
    pub fn series(&mut self, cursor: &mut Cursor<'a>, blanks: Blanks) -> Result<Cow<'a, str>> {
        let start = cursor.pos;
        if let Some(len) = self.writing.expected(cursor.rest()) {
            cursor.pos += len;
            let mut name = Cursor::new(&cursor.text[start..cursor.pos]);
            if let Some(name) = name.name(true) {
                return Ok(name.into());
            }
            cursor.pos = start;
        }
        Ok(cursor.series(blanks)?.metric_name.unwrap_or_default().into())
    }

    /// A sample whose series stands at `start..end`, and whose value is about to be read.
    pub fn sample(&mut self, name: &str, start: usize, end: usize, value: usize) {
        let bound = self.bound(name);
        self.writing.series(start, end, value, bound);
    }

    /// The sample has this value and time, and its line ends at `end`.
    pub fn value(&mut self, value: f64, at: Option<TimeMs>, end: usize) {
        self.values.push(value);
        self.times.push(at);
        self.writing.end_of_line(end);
    }

    /// Which label of a series of this name is a bound.
    fn bound(&self, name: &str) -> Option<Bound> {
        match name.strip_suffix("_bucket").map(|family| self.families.type_of(family)) {
            Some(MetricType::Histogram | MetricType::GaugeHistogram) => Some(Bound::Le),
            _ => (self.families.type_of(name) == MetricType::Summary).then_some(Bound::Quantile),
        }
    }

    pub fn finish(self, format: Format) -> Gathered {
        let Self { families, writing, values, times } = self;
        Gathered { families, series: writing.finish(format), values, times }
    }
}

/// The label set that was written, its bound in its one spelling.
pub(crate) fn build(written: WrittenLabels, bound: Option<Bound>) -> Labels {
    let WrittenLabels { metric_name, mut pairs } = written;
    if let Some(bound) = bound
        && let Some((_, value)) = pairs.iter_mut().find(|(label, _)| label == bound.label())
        && let Some(normal) = float::normalize(value)
    {
        *value = normal;
    }
    pairs.push((METRIC_NAME.to_owned(), metric_name.unwrap_or_default()));
    pairs.into_iter().collect()
}
