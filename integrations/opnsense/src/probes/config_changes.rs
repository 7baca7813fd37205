//! What was changed in the configuration shortly before.
//!
//! The diff of two revisions holds keys and passwords in clear, so only the names of the elements
//! in its changed lines are kept; no value leaves this file.

use std::collections::BTreeSet;
use std::time::Duration;

use paramedic_catalog::{Args, Field, FieldType, Param, ParamKind, ProbeSignature};
use paramedic_integration::{HttpRequest, Look, ProbeError, UrlPath};
use paramedic_model::TimeMs;
use serde_json::{Value, json};

use super::{Looked, count, evidence, since_param};
use crate::client::Firewall;
use crate::json::field;
use crate::services::known;

const PRIVILEGE: &str = "System: Configuration: History";
/// Diffs are read for this many of the newest changes.
const DIFFS_MAX: usize = 3;
/// Changes are listed up to this many.
const CHANGES_MAX: usize = 10;
const DEFAULT_BACK: Duration = Duration::from_secs(3600);

pub(super) fn signature() -> ProbeSignature {
    let change = vec![
        Field::new("at", FieldType::Text, "When, in UTC."),
        Field::new("user", FieldType::Text, "Who, as the firewall knows them."),
        Field::new("description", FieldType::Text, "What the firewall noted."),
        Field::new("before_s", FieldType::Int, "Seconds before the alert began; negative after."),
    ];
    ProbeSignature {
        name: "config-changes",
        summary: "Who changed the configuration shortly before, and which elements (no values)",
        params: vec![
            since_param("How far before the alert began; 1h where left out."),
            Param::optional(
                "about",
                ParamKind::Text { max_chars: 200 },
                "A service or word; `relevant` says whether a change names it.",
            ),
        ],
        facts: vec![
            Field::new("changes", FieldType::records(change), "The changes, newest first."),
            Field::new("recent", FieldType::Bool, "There was one."),
            Field::new("relevant", FieldType::Bool, "One names what `about` says."),
            Field::new("elements", FieldType::texts(), "The elements that the newest changed."),
        ],
        privilege: PRIVILEGE,
    }
}

struct Revision {
    id: String,
    at: TimeMs,
    user: String,
    description: String,
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, look: Look) -> Looked<'a> {
    Box::pin(async move {
        let back = args.duration("since").unwrap_or(DEFAULT_BACK);
        let revisions = revisions(firewall).await?;
        let from = look.since - back;
        let recent = revisions.iter().take_while(|revision| revision.at >= from).count();
        let recent = recent.min(CHANGES_MAX);
        let mut elements = BTreeSet::new();
        for pair in revisions.windows(2).take(recent.min(DIFFS_MAX)) {
            elements.extend(changed_elements(firewall, &pair[0].id, &pair[1].id).await?);
        }
        let changes = &revisions[..recent];
        let about = args.text("about").to_lowercase();
        let module = known(&about).module;
        let names_it = |text: &str| {
            let text = text.to_lowercase();
            !about.is_empty()
                && (text.contains(&about) || (!module.is_empty() && text.contains(module)))
        };
        let relevant = changes.iter().any(|change| names_it(&change.description))
            || elements.iter().any(|element| names_it(element));
        let summary = match changes.first() {
            None => "no change shortly before".to_owned(),
            Some(newest) => format!(
                "{}; the newest by {}: {}",
                count(changes.len(), "change", "changes"),
                newest.user,
                newest.description
            ),
        };
        let before_s = |at: TimeMs| (look.since.0 - at.0) / 1000;
        let listed: Vec<Value> = changes
            .iter()
            .map(|change| {
                json!({
                    "at": change.at.to_string(), "user": change.user,
                    "description": firewall.excerpt([change.description.clone()]),
                    "before_s": before_s(change.at),
                })
            })
            .collect();
        let lines = changes.iter().map(|c| format!("{} {}: {}", c.at, c.user, c.description));
        let excerpt = firewall.excerpt(lines);
        let facts = json!({
            "changes": listed,
            "recent": !changes.is_empty(),
            "relevant": relevant,
            "elements": elements.into_iter().collect::<Vec<_>>(),
        });
        Ok(evidence(facts, firewall.excerpt([summary]), excerpt))
    })
}

/// The revisions that the firewall keeps, newest first, at our clock.
async fn revisions(firewall: &Firewall) -> Result<Vec<Revision>, ProbeError> {
    const PATH: &str = "/api/core/backup/backups/this";
    let value = firewall.get(PATH, PRIVILEGE).await?;
    let items = value.get("items").and_then(Value::as_array);
    // The running configuration is always among them.
    let items = items
        .filter(|items| !items.is_empty())
        .ok_or_else(|| firewall.answer(PATH, "expected revisions, got none"))?;
    let revision = |item: &Value| {
        let seconds: f64 = field(item, "time").parse().ok()?;
        Some(Revision {
            id: field(item, "id"),
            at: TimeMs((seconds * 1000.0) as i64 - firewall.skew_ms()),
            user: field(item, "username"),
            description: field(item, "description"),
        })
    };
    Ok(items.iter().filter_map(revision).collect())
}

/// The names of the elements in the lines that differ between two revisions.
async fn changed_elements(
    firewall: &Firewall,
    newer: &str,
    older: &str,
) -> Result<BTreeSet<String>, ProbeError> {
    let path = UrlPath::new(&["api", "core", "backup", "diff", "this", newer, older])?;
    let value = firewall.send(HttpRequest::get(path.clone()), PRIVILEGE).await?;
    let lines = value.get("items").and_then(Value::as_array);
    let lines = lines.ok_or_else(|| firewall.answer(path.path(), "expected a diff, got none"))?;
    Ok(lines.iter().filter_map(Value::as_str).filter_map(element).collect())
}

/// The element of one changed line of a diff, whose markup is escaped: `+    &lt;port&gt;53&lt;…`.
fn element(line: &str) -> Option<String> {
    let changed = (line.starts_with('+') && !line.starts_with("+++"))
        || (line.starts_with('-') && !line.starts_with("---"));
    let (_, rest) = changed.then(|| line.split_once("&lt;")).flatten()?;
    let rest = rest.trim_start_matches('/');
    let name: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).collect();
    // Revision notes change with every save and say nothing.
    let noise = ["revision", "time", "username", "description"].contains(&name.as_str());
    (!name.is_empty() && !noise).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::element;

    #[test]
    fn only_names_leave_a_diff() {
        let check = |line: &str, name: Option<&str>| assert_eq!(element(line).as_deref(), name);
        check("+      &lt;privkey&gt;SECRET&lt;/privkey&gt;", Some("privkey"));
        check("-  &lt;/unbound&gt;", Some("unbound"));
        check("   &lt;port&gt;53&lt;/port&gt;", None);
        check("+++ b/config.xml &lt;x&gt;", None);
        check("+  SECRET", None);
        check("+  &lt;time&gt;1&lt;/time&gt;", None);
    }
}
