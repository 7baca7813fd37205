//! Why an alert fires, or does not, field by field.

use axum::extract::{Path, Query, State};
use axum::response::Json;
use paramedic_promql::{Part, PartValue};
use paramedic_rules::Spell;
use serde_json::{Value, json};

use crate::app::App;
use crate::pages::why::{Moment, word};
use crate::problem::Problem;
use crate::view::{RuleWhy, WhyView};

pub(super) async fn why(
    State(app): State<App>,
    Path(alert): Path<String>,
    Query(at): Query<Moment>,
) -> Result<Json<Value>, Problem> {
    let view = WhyView::new(&app, &alert, at.parse()?).await?;
    let rules: Vec<_> = view.rules.iter().map(rule).collect();
    Ok(Json(json!({ "alert": view.alert, "at": view.at.to_string(), "rules": rules })))
}

fn rule(rule: &RuleWhy) -> Value {
    let why = &rule.why;
    let text = rule.rule.expr.text();
    let parts: Vec<_> = why.explanation.parts.iter().map(|one| part(one, text)).collect();
    let spells: Vec<_> = why.spells.iter().map(spell).collect();
    json!({
        "file": rule.file,
        "group": rule.group,
        "interval_seconds": rule.interval.as_secs_f64(),
        "for_seconds": rule.rule.waits.hold.as_secs_f64(),
        "expr": text,
        "state": word(&why.verdict),
        "verdict": why.verdict.to_string(),
        "parts": parts,
        "looked_from": why.looked_from.to_string(),
        "spells": spells,
    })
}

fn part(part: &Part, text: &str) -> Value {
    let value = part.value.as_ref().map(|value| match value {
        PartValue::Scalar(value) => json!({ "type": "scalar", "value": value.to_string() }),
        PartValue::Text(text) => json!({ "type": "string", "value": text }),
        PartValue::Elements { count, first } => {
            let first = first.iter().map(|(labels, value)| {
                // NaN and the infinities are no JSON numbers; null is a histogram.
                json!({ "labels": labels.to_string(), "value": value.map(|v| v.to_string()) })
            });
            json!({ "type": "vector", "count": count, "first": first.collect::<Vec<_>>() })
        }
        PartValue::Series { count, first } => {
            let first = first.iter().map(
                |(labels, samples)| json!({ "labels": labels.to_string(), "samples": samples }),
            );
            json!({ "type": "matrix", "count": count, "first": first.collect::<Vec<_>>() })
        }
    });
    json!({
        "text": part.span.of(text),
        "depth": part.depth,
        "value": value,
        "held": part.held.as_ref().map(ToString::to_string),
    })
}

fn spell(spell: &Spell) -> Value {
    json!({
        "labels": spell.labels.to_string(),
        "from": spell.from.to_string(),
        "until": spell.until.to_string(),
        "lasts": spell.lasts,
    })
}
