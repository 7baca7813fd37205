//! What the evaluator reads: samples in columns.
//!
//! ```text
//! family `opnsense_services_status`        row   name      status   newest_at   newest_value
//!   columns: one per label name              0   unbound   running      10:00            1
//!   rows: one per series                     1   dhcpd     NO_VALUE     10:00            0
//! ```
//!
//! A selector is a set of rows, `by (name)` a grouping on a column of small integers, a join a
//! comparison of [`Symbol`]s, and a label set is built only for the rows that reach a result.
//!
//! # Invariants that an implementation keeps
//!
//! - Family ids are `0..family_count()`, and no two families have one name.
//! - All columns and both newest arrays of a family have one length, the number of rows.
//! - `codes[row]` is an index into `values`; code 0 ([`NO_VALUE`]) says that the row does not have
//!   the label, and `values[0]` is [`Symbol::EMPTY`]. No other entry is the empty text.
//! - Equal texts have equal symbols in the whole source.
//! - A sample that is a native histogram has the value `histogram_nan` in every array and range.
//! - No two rows in use have one label set. A row out of use has `newest_at` [`Family::NEVER`].

use std::sync::Arc;

use paramedic_model::{Histogram, Labels, METRIC_NAME, Sample, TimeMs};

use crate::Selections;

/// Where samples are found. Reading has no side effect, and two reads in one evaluation agree.
pub trait Source {
    /// How many families there are.
    fn family_count(&self) -> usize;

    /// The family with this metric name; the empty name has the series without one.
    fn find_family(&self, metric_name: &str) -> Option<FamilyId>;

    /// The columns of a family. `id` is below [`Source::family_count`].
    fn family(&self, id: FamilyId) -> Family<'_>;

    /// The text of a symbol that this source has handed out.
    fn text(&self, symbol: Symbol) -> &str;

    /// Appends to `out`, oldest first, the samples of a row in the left-open window
    /// `after < at <= until`, staleness markers included.
    fn range(&self, row: RowRef, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>);

    /// The ends of what [`Source::range`] gives, where every value is a number and none is less than
    /// the one before. `None` where that is not so, where nothing is in the window, and wherever a
    /// source cannot tell without reading it all: this is for the counters, which seldom fall.
    fn rise(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Rise> {
        let _ = (row, after, until);
        None
    }

    /// The newest sample of a row in the left-open window `after < at <= until`, a staleness marker
    /// included.
    fn newest_in(&self, row: RowRef, after: TimeMs, until: TimeMs) -> Option<Sample> {
        let mut samples = Vec::new();
        self.range(row, after, until, &mut samples);
        samples.pop()
    }

    /// The native histogram that a row has at this very moment: where a sample's value is
    /// [`histogram_nan`](paramedic_model::histogram_nan), and nowhere else.
    fn histogram(&self, row: RowRef, at: TimeMs) -> Option<Arc<Histogram>> {
        let _ = (row, at);
        None
    }

    /// The identity of the layout of the rows: it changes whenever a row of any family is added,
    /// freed or given to another series, and stays the same when samples come. Two states of a
    /// source with one generation select the same rows. `None` where the source does not keep count.
    fn generation(&self) -> Option<u64> {
        None
    }

    /// What was selected in a family before, for all who read this state of its rows to share.
    /// `None` where the source remembers nothing.
    fn selections(&self, family: FamilyId) -> Option<&Selections> {
        let _ = family;
        None
    }

    /// The label set of a row, the metric name among it.
    fn labels(&self, row: RowRef) -> Labels {
        let family = self.family(row.family);
        let name = [(METRIC_NAME, family.name)];
        let columns = family.columns.iter().filter_map(|column| {
            let symbol = column.symbol(row.row)?;
            Some((column.name.as_str(), self.text(symbol)))
        });
        name.into_iter().chain(columns).collect()
    }
}

/// Samples of one row that never fall, by their ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// The oldest sample.
    pub first: Sample,
    /// The newest sample; the first one, where there is no other.
    pub last: Sample,
    /// How many samples there are, both ends included.
    pub count: usize,
}

impl Rise {
    /// Adds samples that are newer than these; `None` where they begin with a fall.
    pub fn then(self, next: Rise) -> Option<Rise> {
        let rises = self.last.value <= next.first.value;
        rises.then(|| Rise { last: next.last, count: self.count + next.count, ..self })
    }
}

/// The number of a family in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyId(pub u32);

/// One row of one family: the identity of a series while its source does not change.
///
/// Unlike a label set it costs nothing to carry, and a source may give the row to another series
/// after a commit: resolve it ([`Source::labels`]) before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowRef {
    /// The family.
    pub family: FamilyId,
    /// The row in its columns.
    pub row: u32,
}

/// A text of the source, comparable across families and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub u32);

impl Symbol {
    /// The empty text, which as a label value says that there is no such label.
    pub const EMPTY: Symbol = Symbol(0);
}

/// The code of a row that does not have the label.
pub const NO_VALUE: u32 = 0;

/// One label of all rows of a family, dictionary-encoded.
#[derive(Clone, Debug)]
pub struct Column {
    /// The label name; never `__name__`.
    pub name: String,
    /// The dictionary: the text behind each code. The first entry is [`Symbol::EMPTY`].
    pub values: Vec<Symbol>,
    /// The code of each row.
    pub codes: Vec<u32>,
}

impl Column {
    /// The text of this label in `row`, or `None` where the row does not have the label.
    pub fn symbol(&self, row: u32) -> Option<Symbol> {
        let code = self.codes[row as usize];
        (code != NO_VALUE).then(|| self.values[code as usize])
    }
}

/// All series of one metric name.
#[derive(Clone, Copy, Debug)]
pub struct Family<'a> {
    /// The metric name.
    pub name: &'a str,
    /// One column per label name that any row has or had, in no particular order.
    pub columns: &'a [Column],
    /// When each row got its newest sample.
    pub newest_at: &'a [TimeMs],
    /// The newest sample of each row, a staleness marker included.
    pub newest_value: &'a [f64],
}

impl<'a> Family<'a> {
    /// What `newest_at` says of a row that no series uses.
    pub const NEVER: TimeMs = TimeMs(i64::MIN);

    /// The number of rows, those out of use included.
    pub fn row_count(&self) -> usize {
        self.newest_at.len()
    }

    /// The column of a label, where any row has it.
    pub fn column(&self, label: &str) -> Option<&'a Column> {
        self.columns.iter().find(|column| column.name == label)
    }
}
