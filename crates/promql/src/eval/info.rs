//! `info`: elements with the labels of the info series that identify the same instance.

use std::collections::{BTreeMap, HashMap};

use paramedic_model::{Labels, METRIC_NAME, Sample, TimeMs, is_histogram, is_stale};

use super::{Evaluator, Item, Result, duration_ms};
use crate::{Expr, ExprKind, FamilyId, MatchOp, Matcher, RowRef, Span};

/// What an element and an info series must have in common.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

const DEFAULT_INFO: &str = "target_info";

/// Which info series there are to be, and which of their labels.
struct Wanted {
    names: Vec<Matcher>,
    data: Vec<Matcher>,
}

impl Wanted {
    fn of(arg: Option<&Expr>) -> Self {
        let matchers = match arg.map(|arg| &arg.kind) {
            Some(ExprKind::Selector(selector)) => &selector.matchers[..],
            _ => &[],
        };
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) =
            matchers.iter().cloned().partition(|matcher| matcher.name() == METRIC_NAME);
        let is_positive = |m: &Matcher| matches!(m.op(), MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_INFO));
        } else if !names.iter().any(is_positive) {
            names.extend(Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info"));
        }
        Self { names, data }
    }

    /// Whether a series with this name is an info series itself.
    fn is_info(&self, name: &str) -> bool {
        self.names.iter().all(|matcher| matcher.matches(name))
    }

    fn wants_label(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|matcher| matcher.name() == label)
    }
}

/// An info series that is there at the moment.
struct InfoSeries {
    labels: Labels,
    row: RowRef,
    at: TimeMs,
}

/// The values of the identifying labels.
type Identity = [String; IDENTIFYING.len()];

fn identity(labels: &Labels) -> Identity {
    IDENTIFYING.map(|label| labels.value(label).to_owned())
}

impl Evaluator<'_> {
    pub(super) fn info(&mut self, span: Span, args: &[Expr], at: TimeMs) -> Result<Vec<Item>> {
        let items = self.vector(&args[0], at)?;
        let wanted = Wanted::of(args.get(1));
        let found = self.info_series(span, &wanted, self.reference(&args[0], at))?;
        let mut enriched = Vec::new();
        for mut item in items {
            if wanted.is_info(item.labels.metric_name().unwrap_or_default()) {
                enriched.push(item);
                continue;
            }
            let identity = identity(&item.labels);
            let is_identified = identity.iter().any(|value| !value.is_empty());
            let series = found.get(&identity).filter(|_| is_identified);
            let Some(series) = series else {
                if wanted.data.iter().all(|matcher| matcher.matches("")) {
                    enriched.push(item);
                }
                continue;
            };
            let mut added: BTreeMap<&str, &str> = BTreeMap::new();
            for (label, value) in series.values().flat_map(|series| series.labels.iter()) {
                if label == METRIC_NAME || !wanted.wants_label(label) {
                    continue;
                }
                if added.insert(label, value).is_some_and(|other| other != value) {
                    return Err(self.error(span, format!("conflicting label: {label}")));
                }
            }
            let mut labels = item.labels.to_builder();
            for (label, value) in added {
                if item.labels.get(label).is_none() {
                    labels.set(label, value);
                }
            }
            item.labels = labels.build();
            let origins = series.values().map(|series| series.row.into());
            item.origins = crate::Origins::union(origins.chain([item.origins]));
            enriched.push(item);
        }
        self.check_distinct(span, &enriched)?;
        Ok(enriched)
    }

    /// The info series at a moment, by what they identify and by their names. Of two with one name
    /// the one with the newer sample counts.
    fn info_series(
        &mut self,
        span: Span,
        wanted: &Wanted,
        at: TimeMs,
    ) -> Result<HashMap<Identity, BTreeMap<String, InfoSeries>>> {
        let matchers: Vec<Matcher> = wanted.names.iter().chain(&wanted.data).cloned().collect();
        let mut rows = Vec::new();
        for family in 0..self.source.family_count() as u32 {
            self.select(FamilyId(family), &matchers, &mut rows);
        }
        let after = TimeMs(at.0.saturating_sub(duration_ms(self.options.lookback)));
        let mut found: HashMap<Identity, BTreeMap<String, InfoSeries>> = HashMap::new();
        for row in rows {
            let sample: Option<Sample> = self.source.newest_in(row, after, at);
            let Some(sample) = sample.filter(|sample| !is_stale(sample.value)) else { continue };
            let (labels, _) = self.series_of(row);
            if is_histogram(sample.value) {
                let message =
                    format!("this should be an info metric, with float samples: {labels}");
                return Err(self.error(span, message));
            }
            let name = labels.metric_name().unwrap_or_default().to_owned();
            let named = found.entry(identity(&labels)).or_default();
            if let Some(other) = named.get(&name) {
                if other.at > sample.at {
                    continue;
                }
                if other.at == sample.at {
                    let message = format!(
                        "found duplicate series for info metric: existing {} @ {}, new {labels} @ {}",
                        other.labels, other.at.0, sample.at.0
                    );
                    return Err(self.error(span, message));
                }
            }
            named.insert(name, InfoSeries { labels, row, at: sample.at });
        }
        Ok(found)
    }

    /// The moment that the first selector in an expression looks at.
    fn reference(&self, expr: &Expr, at: TimeMs) -> TimeMs {
        match &expr.kind {
            ExprKind::Selector(selector) => self.moment(at, selector.at, selector.offset_ms),
            ExprKind::Range(range) => self.moment(at, range.selector.at, range.selector.offset_ms),
            ExprKind::Subquery(subquery) => {
                let end = self.moment(at, subquery.at, subquery.offset_ms);
                self.reference(&subquery.expr, end)
            }
            _ => {
                let selects = |child: &&Expr| !child.selectors().is_empty();
                let first = expr.children().into_iter().find(selects);
                first.map_or(at, |child| self.reference(child, at))
            }
        }
    }
}
