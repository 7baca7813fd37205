//! Aggregations: groups are tuples of symbols, and their values stand side by side.

use paramedic_model::{METRIC_NAME, TimeMs};

use super::vector::{Ids, Provenance, Vector};
use super::{Columns, Declined, Result};
use crate::ast::AggregateExpr;
use crate::eval::aggregate::{extreme, group_variance};
use crate::eval::math::{mean, nan_first, quantile, sum};
use crate::{AggregateOp, Grouping, Source};

/// The labels that elements of one group share, sorted and distinct.
fn shared_labels(source: &dyn Source, vector: &Vector, grouping: &Grouping) -> Vec<String> {
    match grouping {
        Grouping::By(names) => {
            let mut names = names.clone();
            names.sort();
            names.dedup();
            names
        }
        Grouping::Without(names) => vector
            .label_names(source)
            .into_iter()
            .filter(|name| name != METRIC_NAME && !names.contains(name))
            .collect(),
    }
}

impl Columns<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &AggregateExpr, at: TimeMs) -> Result<Vector> {
        let AggregateExpr { op, expr, grouping, .. } = aggregate;
        let param = match &aggregate.param {
            Some(param) => self.scalar(param, at)?,
            None => 0.0,
        };
        let vector = self.vector(expr, at)?;
        let names = shared_labels(self.source, &vector, grouping);
        if matches!(op, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk) {
            return self.first_k(*op, param, vector, &names);
        }
        let reduction: &dyn Fn(&[f64]) -> f64 = match op {
            AggregateOp::Sum => &|values| sum(values.iter().copied()),
            AggregateOp::Avg => &|values| mean(values.iter().copied()),
            AggregateOp::Count => &|values| values.len() as f64,
            AggregateOp::Min => &|values| extreme(values.to_vec(), |new, old| new < old),
            AggregateOp::Max => &|values| extreme(values.to_vec(), |new, old| new > old),
            AggregateOp::Group => &|_| 1.0,
            AggregateOp::Stddev => &|values| group_variance(values).sqrt(),
            AggregateOp::Stdvar => &|values| group_variance(values),
            AggregateOp::Quantile if (0.0..=1.0).contains(&param) => {
                &|values| quantile(param, values.to_vec())
            }
            _ => return Err(Declined),
        };
        let groups = vector.group(self.source, &names);
        let arranged = groups.arrange(&vector.values);
        let values = groups.ranges().map(|range| reduction(&arranged[range])).collect();
        let origins = vector.grouped_origins(&groups);
        let firsts = Vector { origins: Provenance::None, ..vector };
        let firsts = firsts.take(&groups.firsts);
        let ids = Ids::Tuples {
            symbols: firsts.project(self.source, &names),
            names: names.into(),
            count: groups.count(),
        };
        Ok(Vector { ids, values, origins })
    }

    /// `topk`, `bottomk`, `limitk`: elements of the input, as they are.
    fn first_k(
        &mut self,
        op: AggregateOp,
        k: f64,
        vector: Vector,
        names: &[String],
    ) -> Result<Vector> {
        if k.is_nan() || k >= i64::MAX as f64 {
            return Err(Declined);
        }
        if k < 1.0 {
            return Ok(Vector::empty());
        }
        let count = usize::try_from(k as i64).unwrap_or(usize::MAX);
        let groups = vector.group(self.source, names);
        let order = groups.order();
        let mut kept: Vec<u32> = Vec::new();
        for range in groups.ranges() {
            let mut group = order[range].to_vec();
            let value = |at: &u32| &vector.values[*at as usize];
            // Stable sorts: of equal elements the first ones stay. NaN is the last choice of both.
            match op {
                AggregateOp::Topk => group.sort_by(|a, b| nan_first(value(b), value(a))),
                AggregateOp::Bottomk => {
                    group.sort_by(|a, b| {
                        let nan_last = value(a).is_nan().cmp(&value(b).is_nan());
                        nan_last.then_with(|| nan_first(value(a), value(b)))
                    });
                }
                _ => {}
            }
            group.truncate(count);
            kept.extend(group);
        }
        Ok(vector.take(&kept))
    }
}
