//! What a body looked like last time: a target mostly repeats itself, but for the values.
//!
//! ```text
//! last body   up{job="a"} 1     ->  text `up{job="a"}`, label set
//! this body   up{job="a"} 0     ->  same text at the same place: the same label set, not built anew
//! ```
//!
//! # Invariant
//!
//! - A label set is taken over only where the text of the series is the same, byte for byte, and all
//!   `# TYPE` lines so far were: they decide how the bounds of buckets are spelled.

use std::collections::HashMap;
use std::sync::Arc;

use paramedic_model::Labels;

use crate::MetricType;

/// The series of a body, as a reader of the next one wants them. Empty to begin with; what it
/// speeds up it never changes.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    lines: Vec<Line>,
    types: Vec<(String, MetricType)>,
}

#[derive(Clone, Debug)]
struct Line {
    /// Name and labels as written, up to where the value may begin.
    text: Arc<str>,
    /// How many `# TYPE` lines stood before it.
    types: usize,
    labels: Labels,
}

/// One body on its way into a [`Layout`].
pub(crate) struct Reading<'l> {
    last: &'l mut Layout,
    /// Where in the last body the next line is expected.
    next: usize,
    types: Vec<(String, MetricType)>,
    /// Whether all types were as in the last body.
    same_types: bool,
    /// The lines of this body, once it is not a beginning of the last one.
    fresh: Option<Vec<Line>>,
    /// Where the lines of the last body stand, once that is asked.
    places: Option<HashMap<Arc<str>, usize>>,
}

impl<'l> Reading<'l> {
    pub fn new(last: &'l mut Layout) -> Self {
        Self { last, next: 0, types: Vec::new(), same_types: true, fresh: None, places: None }
    }

    /// A `# TYPE` line.
    pub fn see_type(&mut self, name: &str, metric_type: MetricType) {
        let expected = self.last.types.get(self.types.len());
        self.same_types &= expected.is_some_and(|(n, t)| n == name && *t == metric_type);
        self.types.push((name.to_owned(), metric_type));
    }

    /// Whether what decided the label set of `line` is as it was.
    fn holds(&self, line: &Line) -> bool {
        self.same_types && line.types == self.types.len()
    }

    /// How many bytes of `rest` are the series that stood here last time, and its labels.
    pub fn expected(&mut self, rest: &str) -> Option<(usize, Labels)> {
        let line = self.last.lines.get(self.next).filter(|line| self.holds(line))?;
        let after = rest.strip_prefix(&*line.text)?;
        if !line.text.ends_with('}') {
            // A name without labels may be the beginning of another one, or have labels this time.
            let blank = [' ', '\t'];
            let ends = line.text.ends_with(blank) || after.starts_with(blank);
            if !ends || after.trim_start_matches(blank).starts_with('{') {
                return None;
            }
        }
        let (len, labels) = (line.text.len(), line.labels.clone());
        self.next += 1;
        if let Some(fresh) = &mut self.fresh {
            fresh.push(line.clone());
        }
        Some((len, labels))
    }

    /// The labels of a line that was not expected; `build` makes them where they are new.
    pub fn surprise(&mut self, text: &str, build: impl FnOnce() -> Labels) -> Labels {
        let lines = &self.last.lines;
        if self.fresh.is_none() {
            self.fresh = Some(lines[..self.next.min(lines.len())].to_vec());
        }
        let places = self.places.get_or_insert_with(|| {
            lines.iter().enumerate().map(|(at, line)| (line.text.clone(), at)).collect()
        });
        let place = places.get(text).copied();
        let line = match place.filter(|at| self.holds(&self.last.lines[*at])) {
            Some(at) => {
                self.next = at + 1;
                self.last.lines[at].clone()
            }
            None => Line { text: text.into(), types: self.types.len(), labels: build() },
        };
        let labels = line.labels.clone();
        self.fresh.get_or_insert_default().push(line);
        labels
    }

    /// Remembers the body, which was read to its end.
    pub fn finish(self) {
        match self.fresh {
            Some(fresh) => self.last.lines = fresh,
            None => self.last.lines.truncate(self.next),
        }
        self.last.types = self.types;
    }
}
