//! What is allowed in a rule file and still no good idea.

use std::collections::BTreeMap;

use paramedic_yaml::Place;

use crate::{RuleError, RuleFile};

/// The rules of a file that have one name and the same labels: whose series and alerts cannot be
/// told apart. `None` where there are none.
///
/// Prints with promtool's text, and the lines of the rules besides.
pub fn duplicate_rules(file: &RuleFile) -> Option<RuleError> {
    type Identity<'r> = (&'r str, Vec<(&'r str, &'r str)>);
    let mut places: BTreeMap<Identity<'_>, Vec<Place>> = BTreeMap::new();
    for rule in file.groups.iter().flat_map(|group| &group.rules) {
        places.entry((rule.name(), rule.labels_as_written())).or_default().push(rule.place());
    }
    places.retain(|_, places| places.len() > 1);
    let first = places.values().filter_map(|places| places.get(1)).min()?;
    let mut reason = format!("lint error {} duplicate rule(s) found.\n", places.len());
    for ((name, labels), places) in &places {
        reason += &format!("Metric: {name}\nLabel(s):\n");
        for (name, value) in labels {
            reason += &format!("\t{name}: {value}\n");
        }
        let lines: Vec<String> = places.iter().map(|place| place.line.to_string()).collect();
        reason += &format!("Line(s): {}\n", lines.join(", "));
    }
    reason += "Might cause inconsistency while recording expressions";
    let Place { line, column } = *first;
    Some(RuleError { file: file.path.clone(), line, column, reason, hint: None })
}
