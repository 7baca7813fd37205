//! Lists of target groups as files and servers give them.

use std::collections::BTreeMap;

use paramedic_model::Labels;
use paramedic_yaml::{Kind, Node};
use serde::Deserialize;

use crate::job::TargetGroup;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Reads a list of `{targets: [...], labels: {...}}`, as JSON or as YAML.
///
/// # Errors
///
/// What is wrong, with its place where there is one.
pub fn read_groups(text: &str, is_json: bool) -> Result<Vec<TargetGroup>, String> {
    if is_json {
        let groups: Option<Vec<Group>> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let group = |Group { targets, labels }| {
            let labels = labels.iter().collect();
            TargetGroup { targets, labels }
        };
        return Ok(groups.unwrap_or_default().into_iter().map(group).collect());
    }
    let mut documents = paramedic_yaml::read(text)
        .map_err(|(place, reason)| format!("{}:{}: {reason}", place.line, place.column))?;
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    list(&documents.swap_remove(0), "a list of groups")?.iter().map(group).collect()
}

fn wrong<T>(node: &Node, wanted: &str) -> Result<T, String> {
    Err(format!("{}:{}: expected {wanted}", node.place.line, node.place.column))
}

fn list<'a>(node: &'a Node, wanted: &str) -> Result<&'a [Node], String> {
    match &node.kind {
        Kind::List(items) => Ok(items),
        Kind::Null => Ok(&[]),
        _ => wrong(node, wanted),
    }
}

fn text<'a>(node: &'a Node, wanted: &str) -> Result<&'a str, String> {
    match &node.kind {
        Kind::Scalar(text) => Ok(text),
        _ => wrong(node, wanted),
    }
}

fn group(node: &Node) -> Result<TargetGroup, String> {
    let Kind::Map(pairs) = &node.kind else { return wrong(node, "`targets` and `labels`") };
    let mut group = TargetGroup { targets: Vec::new(), labels: Labels::empty() };
    for (key, value) in pairs {
        match (key.text.as_str(), &value.kind) {
            ("targets", _) => {
                for target in list(value, "a list of targets")? {
                    group.targets.push(text(target, "host:port")?.to_owned());
                }
            }
            ("labels", Kind::Null) => {}
            ("labels", Kind::Map(labels)) => {
                let pair = |(name, value): &(paramedic_yaml::Key, Node)| {
                    Ok::<_, String>((name.text.clone(), text(value, "a label's value")?.to_owned()))
                };
                let pairs: Vec<_> = labels.iter().map(pair).collect::<Result<_, _>>()?;
                group.labels = pairs.iter().map(|(name, value)| (name, value)).collect();
            }
            ("labels", _) => return wrong(value, "a map of labels"),
            (other, _) => {
                let at = key.place;
                return Err(format!("{}:{}: unknown key `{other}`", at.line, at.column));
            }
        }
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_read_from_both_forms() {
        let json = r#"[{"targets": ["a:1", "b:2"], "labels": {"env": "x"}}, {"targets": []}]"#;
        let yaml = "- targets: [a:1, 'b:2']\n  labels: {env: x}\n- targets: []\n";
        let read = read_groups(json, true).expect("JSON");
        assert_eq!(read, read_groups(yaml, false).expect("YAML"));
        assert_eq!(read[0].targets, ["a:1", "b:2"]);
        assert_eq!(read[0].labels.to_string(), r#"{env="x"}"#);
        assert_eq!(read_groups("", false), Ok(Vec::new()));
        assert_eq!(read_groups("null", true), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_list_of_groups_is_refused_at_its_place() {
        let check = |text: &str, is_json, expected: &str| {
            let error = read_groups(text, is_json).expect_err(text);
            assert!(error.contains(expected), "{error}");
        };
        check("- targets: [a]\n  label: {}\n", false, "2:3: unknown key `label`");
        check("targets: [a]\n", false, "1:1: expected a list of groups");
        check("- targets: a\n", false, "1:12: expected a list of targets");
        check(r#"[{"target": []}]"#, true, "unknown field `target`");
        check(r#"[{"targets": [1]}]"#, true, "expected a string");
    }
}
