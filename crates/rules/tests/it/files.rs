use std::time::Duration;

use paramedic_rules::{Rule, RuleFile, Trigger};

#[test]
fn every_field_is_read() {
    let file = RuleFile::parse("opnsense.yml", include_str!("data/opnsense.yml")).expect("loads");
    assert_eq!(file.groups.len(), 2);
    let group = &file.groups[0];
    assert_eq!((group.name.as_str(), group.interval), ("opnsense", Some(Duration::from_secs(15))));
    assert_eq!((group.query_offset, group.limit), (Some(Duration::from_secs(1)), Some(50)));
    assert_eq!(group.evaluation, Trigger::Data);
    let Rule::Alert(rule) = &group.rules[0] else { panic!("an alert") };
    assert_eq!(rule.name, "OPNsenseServiceDown");
    assert_eq!(rule.expr.text(), "opnsense_services_status == 0");
    assert_eq!(rule.waits.hold, Duration::from_secs(120));
    assert_eq!(rule.waits.keep_firing_for, Duration::from_secs(60));
    let labels: Vec<_> = rule.labels.iter().map(|(n, t)| format!("{n}={}", t.source)).collect();
    assert_eq!(labels, ["page=1", "severity=critical", "team=network"]);
    assert_eq!(rule.annotations.len(), 2);
    let Rule::Record(rule) = &file.groups[1].rules[0] else { panic!("a recording rule") };
    assert_eq!(rule.name, "instance:opnsense_services_down:count");
    assert_eq!(rule.labels, [("unit".to_owned(), "services".to_owned())]);
    assert_eq!(file.groups[1].evaluation, Trigger::Interval);
}

#[test]
fn nothing_is_a_rule_file_too() {
    for text in ["", "# nothing\n", "groups:\n", "groups: []\n", "groups: [{name: a}]\n"] {
        assert!(RuleFile::parse("r.yml", text).is_ok(), "{text:?}");
    }
    // Numbers and booleans are their text, and only the first document counts.
    let text =
        "groups: [{name: a, rules: [{alert: 1, expr: 1, labels: {severity: 1.10}}]}]\n---\nx: 1";
    let file = RuleFile::parse("r.yml", text).expect("loads");
    assert!(file.warnings[0].to_string().starts_with("r.yml:3:1: Multiple document yaml"));
    let Rule::Alert(rule) = &file.groups[0].rules[0] else { panic!("an alert") };
    assert_eq!((rule.name.as_str(), rule.labels[0].1.source.as_str()), ("1", "1.10"));
}

fn errors(text: &str) -> Vec<String> {
    let errors = RuleFile::parse("r.yml", text).expect_err(text);
    errors.iter().map(ToString::to_string).collect()
}

/// `rule` is the body of the only rule, indented by six.
fn rule_errors(rule: &str) -> Vec<String> {
    errors(&format!("groups:\n- name: g\n  rules:\n    - {}\n", rule.replace('\n', "\n      ")))
}

#[test]
fn mistakes_of_rules_have_prometheus_words_and_their_own_place() {
    let check = |rule: &str, want: &str| assert_eq!(rule_errors(rule), [want], "{rule}");
    check(
        "record: a\nalert: b\nexpr: up",
        r#"r.yml:5:7: group "g", rule 1, "b": only one of 'record' and 'alert' must be set"#,
    );
    check(
        "expr: up",
        r#"r.yml:4:7: group "g", rule 1, "": one of 'record' or 'alert' must be set"#,
    );
    check("alert: A", r#"r.yml:4:7: group "g", rule 1, "A": field 'expr' must be set in rule"#);
    check(
        "alert: A\nexpr: |\n  sum(\n    up",
        r#"r.yml:7:13: group "g", rule 1, "A": could not parse expression: 3:1: parse error: unclosed left parenthesis"#,
    );
    check(
        "record: a\nexpr: up\nfor: 5m",
        r#"r.yml:6:7: group "g", rule 1, "a": invalid field 'for' in recording rule"#,
    );
    check(
        "record: a\nexpr: up\nannotations: {b: c}",
        r#"r.yml:6:7: group "g", rule 1, "a": invalid field 'annotations' in recording rule"#,
    );
    check(
        "record: a{b=\"c\"}\nexpr: up",
        r#"r.yml:4:15: group "g", rule 1, "a{b=\"c\"}": braces present in the recording rule name; should it be in expr?: a{b="c"}"#,
    );
    check(
        "alert: A\nexpr: up\nlabels: {__name__: x}",
        r#"r.yml:6:16: group "g", rule 1, "A": invalid label name: __name__"#,
    );
    check(
        "alert: A\nexpr: up\nlabels:\n  k: \"{{ nofn 1 }}\"",
        r#"r.yml:7:16: group "g", rule 1, "A": label "k": template: __alert_A:1: function "nofn" not defined"#,
    );
    check(
        "alert: A\nexpr: up\nannotations:\n  k: |\n    down\n    {{ $nope }}",
        r#"r.yml:9:14: group "g", rule 1, "A": annotation "k": template: __alert_A:2: undefined variable "$nope""#,
    );
    check("alert: A\nexpr: up\nfor: 5x", r#"r.yml:6:12: not a valid duration string: "5x""#);
    check(
        "alert: A\nexpr: up\nlabels: [a]",
        "r.yml:6:15: cannot unmarshal !!seq into map[string]string",
    );
    check(
        "alert: A\nexpr: up\nanotations: {a: b}",
        "r.yml:6:7: field anotations not found in type rulefmt.Rule (did you mean `annotations`?)",
    );
    check(
        "alert: A\nexpr: up\nseverity: x",
        "r.yml:6:7: field severity not found in type rulefmt.Rule",
    );
}

#[test]
fn mistakes_of_groups_and_files() {
    let check = |text: &str, want: &[&str]| assert_eq!(errors(text), want, "{text}");
    check("groups:\n- name: ''\n", &["r.yml:2:9: Groupname must not be empty"]);
    check("groups:\n- rules: []\n", &["r.yml:2:3: Groupname must not be empty"]);
    check(
        "groups:\n- name: g\n- name: g\n",
        &[r#"r.yml:3:9: groupname: "g" is repeated in the same file"#],
    );
    check("groups: {}\n", &["r.yml:1:9: cannot unmarshal !!map into []rulefmt.RuleGroup"]);
    check("- a\n", &["r.yml:1:1: cannot unmarshal !!seq into rulefmt.RuleGroups"]);
    check(
        "group: []\n",
        &["r.yml:1:1: field group not found in type rulefmt.RuleGroups (did you mean `groups`?)"],
    );
    check(
        "groups:\n- name: g\n  limit: many\n",
        &["r.yml:3:10: cannot unmarshal !!str `many` into int"],
    );
    check(
        "groups:\n- name: g\n  evaluation: date\n",
        &[
            "r.yml:3:15: evaluation must be `data` or `interval`, not \"date\" (did you mean `data`?)",
        ],
    );
    check(
        "groups:\n- name: g\n  evaluation: data\n  rules: [{record: a, expr: up}]\n",
        &["r.yml:3:3: `evaluation: data` is not possible in a group with recording rules: their \
           samples must be evenly spaced"],
    );
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = "groups:\n- name: g\n  intervall: 5m\n  rules:\n  - alert: A\n    expr: up ==\n  - expr: up\n- name: g\n";
    assert_eq!(errors(text).len(), 4, "{:#?}", errors(text));
}

#[test]
fn broken_yaml_is_told_with_its_place() {
    for (text, line) in [
        ("groups:\n  - name: g\n rules: []\n", 3),
        ("groups:\n- name: a\n  name: b\n", 3),
        ("groups: [\n", 1),
        ("a: *nowhere\n", 1),
    ] {
        let errors = RuleFile::parse("r.yml", text).expect_err(text);
        assert_eq!((errors.len(), errors[0].line), (1, line), "{text}: {}", errors[0]);
        assert!(errors[0].reason.starts_with("yaml: "), "{}", errors[0]);
    }
}

/// Whatever the text is, the answer is a file or errors with a place.
#[test]
fn mangled_files_never_panic() {
    let text = include_str!("data/opnsense.yml");
    let bytes = text.as_bytes();
    for i in (0..bytes.len()).step_by(3) {
        let cut = String::from_utf8_lossy(&bytes[..i]).into_owned();
        let replaced: Vec<u8> = [&bytes[..i], b"{", &bytes[i + 1..]].concat();
        for text in [cut, String::from_utf8_lossy(&replaced).into_owned()] {
            if let Err(errors) = RuleFile::parse("r.yml", &text) {
                assert!(!errors.is_empty());
            }
        }
    }
}
