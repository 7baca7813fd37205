use super::*;

fn rule(change: impl FnOnce(&mut Fields)) -> Result<Rule, RuleError> {
    let mut fields = Fields::default();
    change(&mut fields);
    Rule::new(fields)
}

/// Reads `action source,source regex target replacement`, with `_` for a field that is not there.
fn read(text: &str) -> Rule {
    let words: Vec<_> = text.split_whitespace().map(|word| (word != "_").then_some(word)).collect();
    let word = |at: usize| words.get(at).copied().flatten();
    let made = rule(|fields| {
        fields.action = Action::of(word(0).expect("an action")).expect("a known action");
        fields.source_labels = word(1).map(|names| names.split(',').map(str::to_owned).collect());
        fields.regex = word(2).map(str::to_owned);
        fields.target_label = word(3).unwrap_or_default().to_owned();
        fields.replacement = word(4).map(|text| text.trim_matches('\'').to_owned());
        fields.modulus = word(5).map_or(0, |number| number.parse().expect("a number"));
    });
    made.unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check(input: &[(&str, &str)], rules: &[&str], expected: Option<&str>) {
    let labels: Labels = input.iter().copied().collect();
    let rules: Vec<_> = rules.iter().map(|text| read(text)).collect();
    let found = relabel(&labels, &rules).map(|labels| labels.to_string());
    assert_eq!(found.as_deref(), expected, "{input:?} {rules:?}");
}

const ABC: &[(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];

#[test]
fn replace_sets_what_the_groups_say() {
    check(
        ABC,
        &["replace a f(.*) d ch${1}-ch${1}"],
        Some(r#"{a="foo", b="bar", c="baz", d="choo-choo"}"#),
    );
    check(
        ABC,
        &["replace a,b f(.*);(.*)r a b${1}${2}m", "replace c,a (b).*b(.*)ba(.*) d $1$2$2$3"],
        Some(r#"{a="boobam", b="bar", c="baz", d="boooom"}"#),
    );
    check(&[("a", "abc")], &["replace a .*(b).* d $1"], Some(r#"{a="abc", d="b"}"#));
    check(&[("a", "boo")], &["replace a f b bar"], Some(r#"{a="boo"}"#));
    // A value that is not there is empty, and the default matches it.
    check(&[("a", "1")], &["replace _ _ b always"], Some(r#"{a="1", b="always"}"#));
    check(&[("a", "1"), ("b", "2")], &["replace x _ b"], Some(r#"{a="1"}"#));
    check(&[("a", "1"), ("b", "2")], &["replace _ _ b ''"], Some(r#"{a="1"}"#));
    check(
        &[("a", "some-name-value")],
        &["replace a some-([^-]+)-([^,]+) ${1} ${2}"],
        Some(r#"{a="some-name-value", name="value"}"#),
    );
    check(
        &[("a", "some-name-0")],
        &["replace a some-([^-]+)-([^,]+) ${3} ${1}"],
        Some(r#"{a="some-name-0"}"#),
    );
    check(&[("a", "x")], &["replace a (?P<letter>.) ${letter}.y $letter!"], {
        Some(r#"{a="x", "x.y"="x!"}"#)
    });
}

#[test]
fn keep_and_drop_look_at_the_whole_value() {
    for (action, regex, kept) in [
        ("drop", ".*o.*", false),
        ("drop", "no-match", true),
        ("drop", "f|o", true),
        ("keep", "no-match", false),
        ("keep", "f.*", true),
    ] {
        let expected = kept.then_some(r#"{a="foo"}"#);
        check(&[("a", "foo")], &[&format!("{action} a {regex}")], expected);
    }
    let ports = [("__tmp_port", "1234"), ("__port1", "1234"), ("__port2", "5678")];
    let all = Some(r#"{__port1="1234", __port2="5678", __tmp_port="1234"}"#);
    check(&ports, &["keepequal __tmp_port _ __port1"], all);
    check(&ports, &["keepequal __tmp_port _ __port2"], None);
    check(&ports, &["dropequal __tmp_port _ __port1"], None);
    check(&ports, &["dropequal __tmp_port _ __port2"], all);
    // What is dropped comes to no other rule.
    check(ABC, &["drop a foo", "replace _ _ d x"], None);
}

#[test]
fn hashes_are_those_of_prometheus() {
    check(&[("c", "baz")], &["hashmod c _ d _ 1000"], Some(r#"{c="baz", d="976"}"#));
    check(&[("a", "foo\nbar")], &["hashmod a _ b _ 1000"], Some(r#"{a="foo\nbar", b="734"}"#));
}

#[test]
fn labels_are_mapped_dropped_and_kept_by_name() {
    let input = [("a", "foo"), ("b1", "bar"), ("b2", "baz")];
    check(
        &input,
        &["labelmap _ (b.*) _ bar_${1}"],
        Some(r#"{a="foo", b1="bar", b2="baz", bar_b1="bar", bar_b2="baz"}"#),
    );
    check(&input, &["labelkeep _ (b.*)"], Some(r#"{b1="bar", b2="baz"}"#));
    check(&input, &["labeldrop _ (b.*)"], Some(r#"{a="foo"}"#));
    check(
        &[("__meta_my_bar", "aaa"), ("__meta_other", "ccc")],
        &["labelmap _ __meta_(my.*) _ ${1}"],
        Some(r#"{__meta_my_bar="aaa", __meta_other="ccc", my_bar="aaa"}"#),
    );
    // What was removed can be set again.
    check(
        &[("x", "foo"), ("y", "9091")],
        &["labeldrop _ ^x$", "replace y (.+) x metrics", "keep x ^metrics$"],
        Some(r#"{x="metrics", y="9091"}"#),
    );
}

#[test]
fn cases_change_letter_by_letter() {
    check(
        &[("foo", "bAr123Fooß")],
        &["uppercase foo _ up", "lowercase foo _ low"],
        Some(r#"{foo="bAr123Fooß", low="bar123fooß", up="BAR123FOOß"}"#),
    );
    check(&[("a", "1"), ("b", "2")], &["lowercase c _ b"], Some(r#"{a="1"}"#));
}

#[test]
fn fields_that_make_no_rule_are_refused_in_prometheus_s_words() {
    let check = |change: fn(&mut Fields), expected: &str| {
        let error = rule(change).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    check(|_| {}, "relabel configuration for replace action requires 'target_label' value");
    check(
        |f| f.action = Action::HashMod,
        "relabel configuration for hashmod requires non-zero modulus",
    );
    check(
        |f| {
            (f.action, f.target_label, f.names) =
                (Action::Lowercase, "${3}".into(), NameScheme::Legacy)
        },
        r#""${3}" is invalid 'target_label' for lowercase action"#,
    );
    check(
        |f| (f.target_label, f.names) = ("0${3}".into(), NameScheme::Legacy),
        r#""0${3}" is invalid 'target_label' for replace action"#,
    );
    check(
        |f| {
            (f.action, f.target_label) = (Action::Uppercase, "x".into());
            f.replacement = Some("y".into());
        },
        "'replacement' can not be set for uppercase action",
    );
    check(
        |f| (f.action, f.replacement) = (Action::LabelMap, Some(String::new())),
        r#""" is invalid 'replacement' for labelmap action"#,
    );
    check(
        |f| {
            (f.action, f.target_label) = (Action::KeepEqual, "x".into());
            f.regex = Some("(.*)".into());
        },
        "keepequal action requires only 'source_labels' and `target_label`, and no other fields",
    );
    check(
        |f| (f.action, f.source_labels) = (Action::LabelDrop, Some(Vec::new())),
        "labeldrop action requires only 'regex', and no other fields",
    );
    check(
        |f| (f.target_label, f.regex) = ("x".into(), Some("(".into())),
        "error parsing regexp: missing closing ): `^(?s:()$`",
    );
}

#[test]
fn old_names_may_be_made_of_groups() {
    let check = |text: &str, valid: bool| {
        let made = rule(|f| {
            (f.target_label, f.names) = (text.to_owned(), NameScheme::Legacy);
        });
        assert_eq!(made.is_ok(), valid, "{text}");
    };
    for valid in ["label", "label${1}", "${1}label", "${1}", "$1", "asd$2asd", "_${1}_", "a1"] {
        check(valid, true);
    }
    for invalid in ["-label", "${", "$", "${}", "foo${", "-foo${1}bar-", "1a", "é"] {
        check(invalid, false);
    }
}
