use std::time::Duration;

use paramedic_model::{Labels, Sample, TimeMs};
use paramedic_promql::{Plan, Value, parse};

use crate::Engine;

/// An expression over the recent window, for a small picture.
#[derive(Debug, Clone)]
pub struct Plot {
    /// The expression that is drawn: of an alert, the side of its comparison that varies.
    pub expr: String,
    /// The value that it is compared with, where there is one.
    pub threshold: Option<f64>,
    /// The beginning.
    pub start: TimeMs,
    /// The end.
    pub end: TimeMs,
    /// The series, at most a few.
    pub series: Vec<PlotSeries>,
}

/// One line of a [`Plot`].
#[derive(Debug, Clone)]
pub struct PlotSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its samples, the oldest first.
    pub samples: Vec<Sample>,
}

/// How many points a line has at most.
const POINTS: u32 = 120;
/// How many lines are drawn at most.
const LINES_MAX: usize = 8;

impl Engine {
    /// What the alert expression `expr` did from `start` to now, as far as the window reaches.
    ///
    /// An alert's expression is empty while all is well, so the left side of its comparison is
    /// drawn, and the right side as its threshold. Series that do not carry `labels` are left out.
    pub fn plot(&self, expr: &str, labels: &Labels, start: TimeMs) -> Option<Plot> {
        use paramedic_promql::{BinaryOp, ExprKind};
        let parsed = parse(expr).ok()?;
        let (mut drawn, mut threshold) = (&parsed, None);
        loop {
            drawn = match &drawn.kind {
                ExprKind::Paren(inner) => inner,
                ExprKind::Binary(binary) if binary.op.is_comparison() => {
                    if let ExprKind::Number { value, .. } = &binary.rhs.kind {
                        threshold = Some(*value);
                    }
                    &binary.lhs
                }
                ExprKind::Binary(binary)
                    if matches!(binary.op, BinaryOp::And | BinaryOp::Unless) =>
                {
                    &binary.lhs
                }
                _ => break,
            };
        }
        let text = expr.get(drawn.span.start..drawn.span.end)?.to_owned();
        let plan = Plan::new(parse(&text).ok()?, &text).ok()?;
        let end = self.now();
        let step = (end.since(start) / POINTS).max(Duration::from_secs(1));
        let evaluation =
            plan.eval_range(self.window(), start, end, step, self.eval_options()).ok()?;
        let Value::Matrix(all) = evaluation.value else { return None };
        // Labels that the drawn side has must agree with the alert's.
        let about = |series: &Labels| {
            series.iter().all(|(name, value)| {
                name == paramedic_model::METRIC_NAME
                    || labels.get(name).is_none_or(|alert| alert == value)
            })
        };
        let series = all.into_iter().filter(|series| about(&series.labels)).take(LINES_MAX);
        let series =
            series.map(|series| PlotSeries { labels: series.labels, samples: series.samples });
        Some(Plot { expr: text, threshold, start, end, series: series.collect() })
    }
}
