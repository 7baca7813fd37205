//! The looks that a diagnosis step may take; one file each.

pub(crate) mod backend_check;
pub(crate) mod config_errors;
pub(crate) mod log;
pub(crate) mod overview;
pub(crate) mod ping;
pub(crate) mod service_health;

use paramedic_catalog::Evidence;
use serde_json::{Map, Value};

/// Evidence whose facts are the object `facts`.
fn evidence(facts: Value, summary: impl Into<String>, excerpt: impl Into<String>) -> Evidence {
    const EXCERPT_BYTES_MAX: usize = 4096;
    let facts = match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    };
    let mut excerpt = excerpt.into();
    if excerpt.len() > EXCERPT_BYTES_MAX {
        let end = (0..=EXCERPT_BYTES_MAX).rev().find(|at| excerpt.is_char_boundary(*at));
        excerpt.truncate(end.unwrap_or(0));
        excerpt.push('…');
    }
    Evidence { facts, summary: summary.into(), excerpt }
}

/// `count` and the noun in its number: `1 server`, `2 servers`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
