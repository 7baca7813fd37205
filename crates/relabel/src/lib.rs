//! Relabelling: rules that rewrite a label set, or drop it.
//!
//! ```text
//! labels --rule--> labels --rule--> ... --> labels
//!           \--------\------------------> dropped
//! ```
//!
//! One language for targets, samples, alerts and what is sent on; the semantics are Prometheus's.
//! [`Rule::new`] checks what a person wrote, [`relabel`] applies rules and cannot fail.
//!
//! # Invariants
//!
//! - A label without a value is no label: setting one to the empty text removes it.
//! - Rules see what the rules before them left, and each sees labels in the order of their names.
//!
//! Not here: where rules are written, and what a dropped label set means.

mod rule;

use md5::{Digest as _, Md5};
use paramedic_model::{Labels, LabelsBuilder};
use paramedic_regexp::expand;

pub use rule::{Action, Fields, NameScheme, Rule, RuleError};

/// `labels` after `rules`, or `None` where one of them drops the set.
///
/// Where several labels are mapped to one name, that of the last in the order of the old names stays.
pub fn relabel(labels: &Labels, rules: &[Rule]) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = labels.to_builder();
    rules.iter().all(|rule| rule.apply(&mut builder)).then(|| builder.build())
}

impl Rule {
    /// Applies the rule; `false` where it drops the set.
    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        match self.action {
            Action::Drop => return !self.regex.is_match(&self.value(labels)),
            Action::Keep => return self.regex.is_match(&self.value(labels)),
            Action::DropEqual => return self.value(labels) != self.target_value(labels),
            Action::KeepEqual => return self.value(labels) == self.target_value(labels),
            Action::Replace => self.replace(labels),
            Action::Lowercase => {
                let value = lower(&self.value(labels));
                labels.set(&self.target_label, &value);
            }
            Action::Uppercase => {
                let value = upper(&self.value(labels));
                labels.set(&self.target_label, &value);
            }
            Action::HashMod => {
                let hash: [u8; 16] = Md5::digest(self.value(labels)).into();
                let last = hash[8..].iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
                // The modulus was checked not to be zero.
                let hash = last.checked_rem(self.modulus).unwrap_or_default();
                labels.set(&self.target_label, &hash.to_string());
            }
            Action::LabelMap => {
                let before = labels.clone().build();
                for (name, value) in before.iter() {
                    if !self.regex.is_match(name) {
                        continue;
                    }
                    let mapped = self.regex.replace_all(name, &self.replacement);
                    // A label must have a name.
                    if !mapped.is_empty() {
                        labels.set(&mapped, value);
                    }
                }
            }
            Action::LabelDrop => self.retain(labels, false),
            Action::LabelKeep => self.retain(labels, true),
        }
        true
    }

    /// The values of the source labels.
    fn value(&self, labels: &LabelsBuilder) -> String {
        let mut value = String::new();
        for (index, name) in self.source_labels.iter().enumerate() {
            if index > 0 {
                value.push_str(&self.separator);
            }
            value.push_str(labels.get(name).unwrap_or_default());
        }
        value
    }

    fn target_value<'a>(&self, labels: &'a LabelsBuilder) -> &'a str {
        labels.get(&self.target_label).unwrap_or_default()
    }

    fn replace(&self, labels: &mut LabelsBuilder) {
        let value = self.value(labels);
        let Some(captures) = self.regex.captures(&value) else { return };
        let (mut target, mut replacement) = (String::new(), String::new());
        expand(&captures, &self.target_label, &mut target);
        if !self.names.is_label_name(&target) {
            return;
        }
        expand(&captures, &self.replacement, &mut replacement);
        labels.set(&target, &replacement);
    }

    fn retain(&self, labels: &mut LabelsBuilder, matching: bool) {
        let before = labels.clone().build();
        for (name, _) in before.iter() {
            if self.regex.is_match(name) != matching {
                labels.remove(name);
            }
        }
    }
}

/// One character for one, as in Go: `ß` has no upper case of its own and stays.
fn upper(text: &str) -> String {
    let one = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(upper), None) => upper,
            _ => c,
        }
    };
    text.chars().map(one).collect()
}

/// One character for one, without regard to its place in the word.
fn lower(text: &str) -> String {
    text.chars().filter_map(|c| c.to_lowercase().next()).collect()
}

#[cfg(test)]
mod tests;
