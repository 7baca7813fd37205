//! The looks that a diagnosis step may take; one file each.

pub(crate) mod exporter;
pub(crate) mod nodes;
pub(crate) mod reach;
pub(crate) mod startup;

use paramedic_catalog::Evidence;
use serde_json::Value;

/// Evidence of facts written as a JSON object.
fn evidence(facts: Value, summary: String, excerpt: String) -> Evidence {
    let facts = match facts {
        Value::Object(facts) => facts,
        other => unreachable!("facts are written as an object, not as {other}"),
    };
    Evidence { facts, summary, excerpt }
}
