//! What a body looked like last time: a target mostly repeats itself, but for the values.
//!
//! ```text
//! body      # TYPE up gauge⏎up{job="a"} 1⏎up{job="b"} 0⏎
//! texts     # TYPE up gauge⏎up{job="a"} |⏎up{job="b"} |⏎      all but the values, in one piece
//! ```
//!
//! A body that agrees with the texts of the last one has the same series: only its values are read.
//! Of any other one the lines are read, and those whose text stood in the last body remember where.
//!
//! What the body says of its families stands in the texts, too, and is read from there when somebody
//! asks. Of a family that is no longer mentioned it is told for ten more bodies, as in Prometheus.
//!
//! # Invariants
//!
//! - Texts hold all that decides a label set: format, `# TYPE` lines, name and labels as written.
//! - A series is taken for one of the last body only where both, text and kind of bound, are equal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use paramedic_model::{Labels, Metadata, Run, SeriesList, TimeMs};

use crate::cursor::{Blanks, Cursor, Families, WrittenLabels, build};
use crate::{Format, openmetrics, text};

/// The series of the last body, as a reader of the next one wants them. Empty to begin with; what it
/// speeds up it never changes.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub(crate) last: Option<Arc<SeriesTexts>>,
}

/// The time that each sample states itself; `None` where none does.
pub(crate) type Times = Option<Vec<Option<TimeMs>>>;

/// A label whose values are bounds, which have one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Le,
    Quantile,
}

impl Bound {
    pub fn label(self) -> &'static str {
        match self {
            Bound::Le => "le",
            Bound::Quantile => "quantile",
        }
    }
}

/// The series of a body, as written: label sets are made of it when they are asked for.
#[derive(Debug)]
pub struct SeriesTexts {
    format: Format,
    /// The body without values and what stands behind them on their lines.
    text: Box<str>,
    lines: Box<[Line]>,
    /// The lines of series that have a bound, ascending.
    bounds: Box<[(u32, Bound)]>,
    /// Whether every text ends so that no other series begins with it.
    is_comparable: bool,
    /// Where series stood in the body before.
    previous: Option<(Weak<SeriesTexts>, Box<[Run]>)>,
    /// Families that earlier bodies mentioned and this one does not.
    vanished: Box<[Vanished]>,
    /// How often a body had these very texts after the first one.
    again: AtomicU32,
}

/// For how many bodies a family is told of after the last one that mentioned it.
const VANISHED_TOLD: u32 = 10;
/// How many such families are told of: the names that a target invents must not fill the memory.
const VANISHED_MAX: usize = 1000;

#[derive(Debug)]
struct Vanished {
    metadata: Metadata,
    /// For how many bodies it is told, that of these texts included.
    left: u32,
}

/// Where in the text a series begins, and where its value would.
#[derive(Clone, Copy, Debug)]
struct Line {
    start: u32,
    end: u32,
}

impl SeriesTexts {
    /// Name and labels of a series, as written.
    fn series(&self, index: usize) -> &str {
        let Line { start, end } = self.lines[index];
        self.text[start as usize..end as usize].trim_end_matches([' ', '\t'])
    }

    fn written(&self, index: usize) -> WrittenLabels {
        let blanks = match self.format {
            Format::Text => Blanks::Any,
            Format::OpenMetrics => Blanks::None,
        };
        let written = Cursor::new(self.series(index)).series(blanks);
        written.expect("the text was read when the body was")
    }

    fn bound(&self, index: usize) -> Option<Bound> {
        let at = self.bounds.binary_search_by_key(&(index as u32), |(line, _)| *line).ok()?;
        Some(self.bounds[at].1)
    }

    /// What its body said of families.
    fn families(&self) -> Families {
        let mut families = Families::default();
        let starts = [0].into_iter().chain(self.lines.iter().map(|line| line.end as usize));
        let ends = self.lines.iter().map(|line| line.start as usize).chain([self.text.len()]);
        for (start, end) in starts.zip(ends) {
            let between = &self.text[start..end];
            let read = match self.format {
                Format::Text => text::comments(between, &mut families),
                Format::OpenMetrics => openmetrics::comments(between, &mut families),
            };
            read.expect("the text was read when the body was");
        }
        families
    }

    /// Those that are told of although the body does not mention them.
    fn vanished(&self) -> impl Iterator<Item = (&Metadata, u32)> {
        let again = self.again.load(Ordering::Relaxed);
        let left = move |gone: &Vanished| gone.left.saturating_sub(again);
        self.vanished.iter().map(move |gone| (&gone.metadata, left(gone))).filter(|(_, l)| *l > 0)
    }

    /// A body had these very texts once more.
    pub(crate) fn read_again(&self) {
        self.again.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps what `last` told of and this body, which mentions `families`, does not.
    pub(crate) fn keep_vanished(&mut self, last: &SeriesTexts, families: &Families) {
        let mentioned = last.families().into_metadata();
        let mentioned = mentioned.into_iter().map(|metadata| (metadata, VANISHED_TOLD));
        let earlier = last.vanished().map(|(metadata, left)| (metadata.clone(), left - 1));
        let gone = mentioned
            .chain(earlier)
            .filter(|(metadata, left)| *left > 0 && !families.has(&metadata.name));
        let gone = gone.take(VANISHED_MAX).map(|(metadata, left)| Vanished { metadata, left });
        self.vanished = gone.collect();
    }

    /// The values of a body that has these very texts, and the times that its samples state.
    pub(crate) fn values(&self, format: Format, body: &str) -> Option<(Vec<f64>, Times)> {
        if format != self.format || !self.is_comparable {
            return None;
        }
        let mut values = Vec::with_capacity(self.lines.len());
        let mut times: Option<Vec<_>> = None;
        let (mut cursor, mut from) = (Cursor::new(body), 0);
        for line in &self.lines {
            let end = line.end as usize;
            if !cursor.accept(&self.text[from..end]) {
                return None;
            }
            values.push(cursor.value().ok()?);
            if cursor.peek() != Some(b'\n') {
                let at = match format {
                    Format::Text => text::after_value(&mut cursor).ok()?,
                    Format::OpenMetrics => openmetrics::after_value(&mut cursor).ok()?,
                };
                if at.is_some() {
                    let times = times.get_or_insert_with(|| vec![None; self.lines.len()]);
                    times[values.len() - 1] = at;
                }
            }
            from = end;
        }
        (cursor.rest() == &self.text[from..]).then_some((values, times))
    }
}

impl SeriesList for SeriesTexts {
    fn len(&self) -> usize {
        self.lines.len()
    }

    fn labels(&self, index: usize) -> Labels {
        build(self.written(index), self.bound(index))
    }

    fn empty_labels(&self, index: usize) -> Vec<String> {
        // Hardly ever is there one, and then nothing is read.
        if !self.series(index).contains("\"\"") {
            return Vec::new();
        }
        let pairs = self.written(index).pairs.into_iter();
        pairs.filter(|(_, value)| value.is_empty()).map(|(name, _)| name).collect()
    }

    fn runs_of(&self, previous: &Arc<dyn SeriesList>) -> Vec<Run> {
        match &self.previous {
            Some((known, runs)) if std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(previous)) => {
                runs.to_vec()
            }
            _ => Vec::new(),
        }
    }

    fn metadata(&self) -> Vec<Metadata> {
        let mut metadata = self.families().into_metadata();
        metadata.extend(self.vanished().map(|(metadata, _)| metadata.clone()));
        metadata
    }
}

/// The texts of a body that is being read.
pub(crate) struct Writing<'a> {
    body: &'a str,
    last: Option<&'a Arc<SeriesTexts>>,
    /// Where in the last body the next series is expected.
    next: usize,
    /// Where the series of the last body stand, once that is asked.
    places: Option<HashMap<&'a str, usize>>,
    runs: Vec<Run>,
    text: String,
    lines: Vec<Line>,
    bounds: Vec<(u32, Bound)>,
    is_comparable: bool,
    /// Up to where the body is in the text.
    taken: usize,
}

impl<'a> Writing<'a> {
    pub fn new(body: &'a str, last: Option<&'a Arc<SeriesTexts>>) -> Self {
        Self {
            body,
            last,
            next: 0,
            places: None,
            runs: Vec::new(),
            text: String::with_capacity(last.map_or(0, |last| last.text.len())),
            lines: Vec::with_capacity(last.map_or(0, |last| last.lines.len())),
            bounds: Vec::new(),
            is_comparable: true,
            taken: 0,
        }
    }

    /// How many bytes of `rest` are the series that is expected here, which need not be read.
    pub fn expected(&self, rest: &str) -> Option<usize> {
        let last = self.last.filter(|last| self.next < last.lines.len())?;
        let text = last.series(self.next);
        let after = rest.strip_prefix(text)?;
        if !text.ends_with('}') {
            // A name without labels may be the beginning of another one, or have labels this time.
            let blank = [' ', '\t'];
            if !after.starts_with(blank) || after.trim_start_matches(blank).starts_with('{') {
                return None;
            }
        }
        Some(text.len())
    }

    /// A series that begins at `start` of the body, ends at `end`, and whose value stands at `value`.
    pub fn series(&mut self, start: usize, end: usize, value: usize, bound: Option<Bound>) {
        let index = self.lines.len();
        if let Some(was) = self.place(&self.body[start..end]) {
            self.next = was + 1;
            if self.last.is_some_and(|last| last.bound(was) == bound) {
                Run::extend(&mut self.runs, index, was);
            }
        }
        self.bounds.extend(bound.map(|bound| (index as u32, bound)));
        let from = self.text.len() + (start - self.taken);
        self.text.push_str(&self.body[self.taken..value]);
        self.is_comparable &= self.text.ends_with([' ', '\t', '}']);
        self.lines.push(Line { start: from as u32, end: self.text.len() as u32 });
    }

    /// Where a series stood in the last body.
    fn place(&mut self, series: &str) -> Option<usize> {
        let last = self.last?;
        if self.next < last.lines.len() && last.series(self.next) == series {
            return Some(self.next);
        }
        let places = self.places.get_or_insert_with(|| {
            (0..last.lines.len()).map(|index| (last.series(index), index)).collect()
        });
        places.get(series).copied()
    }

    /// The line of the last series ends at `at`.
    pub fn end_of_line(&mut self, at: usize) {
        self.taken = at;
    }

    /// The body was read to its end.
    pub fn finish(mut self, format: Format) -> SeriesTexts {
        self.text.push_str(&self.body[self.taken..]);
        let runs = self.runs.into_boxed_slice();
        SeriesTexts {
            format,
            text: self.text.into(),
            lines: self.lines.into(),
            bounds: self.bounds.into(),
            is_comparable: self.is_comparable,
            previous: self.last.map(|last| (Arc::downgrade(last), runs)),
            vanished: Box::default(),
            again: AtomicU32::new(0),
        }
    }
}
