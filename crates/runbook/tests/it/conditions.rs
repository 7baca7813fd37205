use std::collections::BTreeMap;

use paramedic_model::Labels;
use paramedic_runbook::{Alert, Finding, Judgement, Runbook, Situation, System};
use serde_json::{Value, json};

/// A page with three probes and one cause.
fn page(when: &str) -> Runbook {
    let quoted = serde_json::to_string(when).expect("a text is JSON");
    let text = format!(
        "# X\n## Diagnosis\n### Causes\n- a\n\n  ```cause\n  id: c\n  when: {quoted}\n  \
         because: b\n  fix: []\n  why: w\n  ```\n"
    );
    Runbook::parse("x.md", &text).unwrap_or_else(|errors| panic!("{when}: {errors:?}"))
}

fn looked(facts: Value) -> Finding {
    let Value::Object(facts) = facts else { panic!("facts are an object") };
    Finding::Looked { facts, summary: "a line".to_owned() }
}

fn situation() -> Situation {
    let findings = [
        ("yes", looked(json!({"on": true}))),
        ("no", looked(json!({"on": false}))),
        ("gone", Finding::Nothing { reason: "could not look: refused".to_owned() }),
        (
            "log",
            looked(json!({
                "count": 3, "load": 0.5, "first": "é: a", "pid": null, "holder": null, "none": [],
                "lines": [
                    {"text": "started", "pid": 7},
                    {"text": "address in use", "pid": null},
                ],
            })),
        ),
    ];
    Situation {
        alert: Alert {
            labels: Labels::from([("name", "unbound")]),
            annotations: BTreeMap::from([("summary".to_owned(), "it is down".to_owned())]),
            value: 0.0,
        },
        system: Some(System { name: "fw1".to_owned(), kind: "firewall".to_owned() }),
        findings: findings.map(|(id, finding)| (id.to_owned(), finding)).into(),
    }
}

fn judge(when: &str) -> String {
    match page(when).diagnose(&situation()).causes[0].judgement.clone() {
        Judgement::Supported => "true".to_owned(),
        Judgement::Refuted { by } => format!("false by {by}"),
        Judgement::Unknown(gap) => format!("unknown {:?}: {gap}", gap.missing),
    }
}

#[test]
fn connectives_follow_kleenes_tables() {
    const NAMES: [(&str, &str); 3] = [("T", "yes.on"), ("F", "no.on"), ("U", "gone.on")];
    let check = |pattern: &str, expected: &str| {
        let when = pattern.chars().map(|c| match NAMES.iter().find(|(n, _)| n.starts_with(c)) {
            Some((_, name)) => (*name).to_owned(),
            None => c.to_string(),
        });
        let when: String = when.collect();
        let got = judge(&when);
        assert_eq!(got.split(' ').next().unwrap(), expected, "{pattern}: {got}");
    };
    for (pattern, expected) in [
        ("T && T", "true"),
        ("T && F", "false"),
        ("F && T", "false"),
        ("T && U", "unknown"),
        ("U && T", "unknown"),
        ("F && U", "false"),
        ("U && F", "false"),
        ("U && U", "unknown"),
        ("T || U", "true"),
        ("U || T", "true"),
        ("F || U", "unknown"),
        ("U || F", "unknown"),
        ("F || F", "false"),
        ("U || U", "unknown"),
        ("!T", "false"),
        ("!F", "true"),
        ("!U", "unknown"),
        ("!(U && F)", "true"),
        ("!(U || T)", "false"),
        ("U ? T : T", "true"),
        ("U ? F : F", "false"),
        ("U ? T : F", "unknown"),
        ("T ? T : U", "true"),
        ("F ? U : F", "false"),
        ("T ? U : F", "unknown"),
        ("T && F && U && U || T", "true"),
        // A comparison of what is unknown is unknown, whatever it is compared with.
        ("U == U", "unknown"),
        ("T == U", "unknown"),
        ("[T, F].exists(x, x && U)", "unknown"),
        ("[T, F].exists(x, x)", "true"),
        ("[T, F].all(x, x)", "false"),
    ] {
        check(pattern, expected);
    }
}

#[test]
fn evidence_is_read_as_it_is() {
    for (when, expected) in [
        ("log.count == 3", "true"),
        ("log.count == 3.0 && log.load < 1", "true"),
        ("log.count > 5", "false by log.count > 5"),
        (
            "yes.on && log.lines.exists(l, l.text.contains(\"x\")) || no.on",
            "false by yes.on && log.lines.exists(l, l.text.contains(\"x\")) || no.on",
        ),
        (
            "yes.on && log.lines.exists(l, l.text.contains('x)'))",
            "false by log.lines.exists(l, l.text.contains('x)'))",
        ),
        ("log.lines.exists(l, l.text.contains(\"in use\"))", "true"),
        ("log.lines.filter(l, l.pid == 7).size() == 1", "true"),
        ("log.lines.map(l, l.text)[0] == \"started\"", "true"),
        ("log.first.startsWith(\"é\") && log.first.size() == 4", "true"),
        ("log.first.matches(\"^.: [a-c]$\")", "true"),
        ("\"started\" in log.lines.map(l, l.text)", "true"),
        // Null equals null alone; anything else about it cannot be known.
        ("log.pid == null", "true"),
        ("log.pid == 7", "false by log.pid == 7"),
        ("log.pid != 7", "true"),
        ("log.pid > 7", "unknown []: `log.pid > 7`: the system does not say"),
        ("log.pid + 1 == 8", "unknown []: `log.pid + 1 == 8`: the system does not say"),
        ("log.holder.pid == 1", "unknown []: `log.holder.pid == 1`: the system does not say"),
        ("log.holder != null && log.holder.pid == 1", "false by log.holder != null"),
        ("log.lines.exists(l, l.pid > 6)", "true"),
        (
            "log.lines.exists(l, l.pid > 7)",
            "unknown []: `log.lines.exists(l, l.pid > 7)`: the system does not say",
        ),
        ("log.lines.all(l, l.pid > 7)", "false by log.lines.all(l, l.pid > 7)"),
        ("log.none[0] == 1", "unknown []: `log.none[0] == 1`: the list has no such item"),
        ("log.count / 0 == 1", "unknown []: `log.count / 0 == 1`: division by zero"),
        (
            "log.count * 9223372036854775807 > 1",
            "unknown []: `log.count * 9223372036854775807 > 1`: the number is too large",
        ),
        // The alert and its system.
        ("alert.labels.name == \"unbound\" && alert.value == 0.0", "true"),
        ("alert.annotations.summary.contains(\"down\")", "true"),
        (
            "alert.labels.nope == \"x\"",
            "unknown []: `alert.labels.nope == \"x\"`: there is no `nope`",
        ),
        ("has(alert.labels.nope)", "false by has(alert.labels.nope)"),
        ("system.kind == \"firewall\" && system.name == \"fw1\"", "true"),
        // Evidence that is not there.
        ("gone.on", "unknown [\"gone\"]: step `gone` has no evidence: could not look: refused"),
        (
            "later.on || gone.on || gone.off",
            "unknown [\"gone\", \"later\"]: step `later` has no evidence: not taken yet; step `gone` has no evidence: could not look: refused",
        ),
    ] {
        assert_eq!(judge(when), expected, "{when}");
    }
}

#[test]
fn without_a_system_its_name_is_unknown() {
    let mut situation = situation();
    situation.system = None;
    let page = page("system.name == 'fw1'");
    let judged = &page.diagnose(&situation).causes[0];
    assert_eq!(judged.because, "it is not known which system is meant");
    assert!(matches!(judged.judgement, Judgement::Unknown(_)));
}
