//! Which rows a selector selects.

use std::sync::Arc;

use paramedic_model::METRIC_NAME;

use crate::selections::{Selected, rows_of};
use crate::{FamilyId, Matcher, Source};

/// Rows of one family, in ascending order.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub family: FamilyId,
    /// `None`: all that it has. Rows out of use may be among them in either case.
    pub rows: Option<Arc<[u32]>>,
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
    let mut names = matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME);
    if !names.all(|matcher| matcher.matches(family.name)) {
        return None;
    }
    match rows_of(source, &family, source.selections(id), matchers) {
        Selected::None => None,
        Selected::All => Some(Segment { family: id, rows: None }),
        Selected::Rows(rows) => Some(Segment { family: id, rows: Some(rows) }),
    }
}
