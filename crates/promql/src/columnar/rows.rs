//! Which rows a selector selects, and remembering it between evaluations.

use std::collections::HashMap;
use std::sync::Arc;

use paramedic_model::METRIC_NAME;

use crate::{Family, FamilyId, MatchOp, Matcher, Source};

/// Rows of one family, in ascending order.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub family: FamilyId,
    /// `None`: all that it has, those out of use included.
    pub rows: Option<Arc<[u32]>>,
}

/// What one matcher asks for.
type Asked = (String, MatchOp, String);

/// The rows that selectors have selected, for evaluations over one source to share.
///
/// Where the source states its [`generation`](Source::generation), the cache may live as long as
/// the source does and forgets by itself when the rows change. Where it does not, the cache is good
/// until the caller says that rows may have changed.
#[derive(Clone, Debug, Default)]
pub struct SelectorCache {
    generation: Option<u64>,
    rows: HashMap<Vec<Asked>, Arc<[Segment]>>,
}

impl SelectorCache {
    /// How many selections are remembered; above it all are forgotten.
    const SELECTIONS_MAX: usize = 10_000;

    /// Forgets what another generation of the source had.
    pub(crate) fn enter(&mut self, source: &dyn Source) {
        let generation = source.generation();
        if generation != self.generation || self.rows.len() > Self::SELECTIONS_MAX {
            self.rows.clear();
            self.generation = generation;
        }
    }

    /// Forgets all rows, unless the source states its generation and so says itself when they change.
    pub fn rows_may_have_changed(&mut self) {
        if self.generation.is_none() {
            self.rows.clear();
        }
    }

    /// The rows that `matchers` select in `source`.
    pub(super) fn rows(&mut self, source: &dyn Source, matchers: &[Matcher]) -> Arc<[Segment]> {
        let asked = |matcher: &Matcher| {
            (matcher.name().to_owned(), matcher.op(), matcher.value().to_owned())
        };
        let key = matchers.iter().map(asked).collect();
        self.rows.entry(key).or_insert_with(|| select(source, matchers)).clone()
    }
}

/// The rows that `matchers` select, whatever their samples.
pub(super) fn select(source: &dyn Source, matchers: &[Matcher]) -> Arc<[Segment]> {
    match matchers.iter().find_map(Matcher::fixed_metric_name) {
        Some(name) => {
            let family = source.find_family(name);
            family.and_then(|family| select_in(source, family, matchers)).into_iter().collect()
        }
        None => (0..source.family_count() as u32)
            .filter_map(|family| select_in(source, FamilyId(family), matchers))
            .collect(),
    }
}

/// The rows of one family that satisfy all matchers, where there are any.
fn select_in(source: &dyn Source, id: FamilyId, matchers: &[Matcher]) -> Option<Segment> {
    let family = source.family(id);
    let mut filters: Vec<(&[u32], Vec<bool>)> = Vec::new();
    for matcher in matchers {
        if matcher.name() == METRIC_NAME {
            if !matcher.matches(family.name) {
                return None;
            }
        } else if let Some(column) = family.column(matcher.name()) {
            // A matcher is asked once per value, not once per row.
            let text = |symbol| source.text(symbol);
            let wanted: Vec<bool> =
                column.values.iter().map(|symbol| matcher.matches(text(*symbol))).collect();
            if wanted.iter().any(|wanted| !wanted) {
                filters.push((&column.codes, wanted));
            }
        } else if !matcher.matches("") {
            return None;
        }
    }
    let Some((first, rest)) = filters.split_first() else {
        return Some(Segment { family: id, rows: None });
    };
    let wants = |(codes, wanted): &(&[u32], Vec<bool>), row: usize| wanted[codes[row] as usize];
    let mut rows: Vec<u32> = Vec::new();
    for row in 0..family.row_count() {
        if wants(first, row) && family.newest_at[row] != Family::NEVER {
            rows.push(row as u32);
        }
    }
    for filter in rest {
        rows.retain(|row| wants(filter, *row as usize));
    }
    (!rows.is_empty()).then(|| Segment { family: id, rows: Some(rows.into()) })
}
