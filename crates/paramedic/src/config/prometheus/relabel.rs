use paramedic_relabel::{Action, Fields, NameScheme, Rule};

use super::super::Reader;
use super::super::yaml::{Kind, Mistake, Node, Read as _, Table};

impl Reader<'_> {
    /// The rules under `key`; those with a mistake are left out, and it is noted.
    pub(super) fn rules(&mut self, node: Option<&Node>, key: &str, names: NameScheme) -> Vec<Rule> {
        let Some(node) = node else { return Vec::new() };
        let Some(items) = self.note(node.list(key)) else { return Vec::new() };
        let rules = items.iter().filter_map(|item| {
            let rule = self.rule(item, key, names);
            self.note(rule)
        });
        rules.collect()
    }

    fn rule(&mut self, node: &Node, key: &str, names: NameScheme) -> Result<Rule, Mistake> {
        if matches!(node.kind, Kind::Null) {
            return Err(node.mistake("empty or null relabeling rule"));
        }
        let mut table = Table::new(node, key)?;
        let mut fields = Fields { names, ..Fields::default() };
        if let Some(node) = table.get("action") {
            let word = node.text("action")?;
            fields.action = Action::of(word)
                .ok_or_else(|| node.mistake(format!("unknown relabel action {word:?}")))?;
        }
        if let Some(node) = table.get("source_labels") {
            let labels = node.texts("source_labels")?;
            if let Some(name) = labels.iter().find(|name| !names.is_label_name(name)) {
                return Err(node.mistake(format!("{name:?} is not a valid label name")));
            }
            fields.source_labels = Some(labels);
        }
        // An empty value is the empty text here, and not the default.
        let mut text = |key| match table.get_or_null(key) {
            None => Ok(None),
            Some(Node { kind: Kind::Null, .. }) => Ok(Some(String::new())),
            Some(node) => node.text(key).map(|text| Some(text.to_owned())),
        };
        fields.separator = text("separator")?;
        fields.regex = text("regex")?;
        fields.replacement = text("replacement")?;
        fields.target_label = text("target_label")?.unwrap_or_default();
        if let Some(node) = table.get("modulus") {
            let number = node.text("modulus")?;
            fields.modulus = number.parse().map_err(|_| {
                node.mistake(format!("`modulus` must be a whole number, not {number:?}"))
            })?;
        }
        let regex = table.get("regex");
        self.mistakes.extend(table.unknown());
        Rule::new(fields).map_err(|error| {
            let is_regex = matches!(error, paramedic_relabel::RuleError::Regex(_));
            let at = regex.filter(|_| is_regex).unwrap_or(node);
            at.mistake(error.to_string())
        })
    }
}
