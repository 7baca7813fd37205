use expect_test::{Expect, expect};
use paramedic_runbook::Runbook;

use crate::firewall;

/// What the page is told, by the reader or else by the check.
fn told(text: &str) -> String {
    let errors = match Runbook::parse("page.md", text) {
        Ok(page) => page.check(&[&firewall::catalog()]),
        Err(errors) => errors,
    };
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&told(text));
}

/// A page with one block in a step.
fn step(section: &str, block: &str) -> String {
    let block: String = block.lines().map(|line| format!("   {line}\n")).collect();
    format!("# X\n\n## {section}\n\n1. **A**: b\n\n{block}")
}

/// A page with two good probes and one cause.
fn cause(block: &str) -> String {
    let block: String = block.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "# X\n## Diagnosis\n1. a\n   ```probe\n   uses: firewall/service\n   id: svc\n   \
         with: {{ service: x }}\n   ```\n2. b\n   ```probe\n   uses: firewall/service-log\n   \
         id: log\n   with: {{ service: x }}\n   ```\n### Causes\n- **C**\n  ```cause\n{block}  ```\n\
         ## Mitigation\n1. m\n   ```manual\n   id: ask\n   ```\n"
    )
}

fn when(when: &str) -> String {
    let quoted = serde_json::to_string(when).expect("a text is JSON");
    told(&cause(&format!("id: c\nwhen: {quoted}\nbecause: b\nfix: [ask]")))
}

#[test]
fn front_matter() {
    check(
        "",
        expect![[r#"
        page.md:1:1: the page has no section that a runbook has; its headings are Meaning, Impact, Diagnosis, Mitigation
        page.md:1:1: the page has no title; write `title: NameOfTheAlert` in the front matter
    "#]],
    );
    check(
        "---\ntitle: [x\n---\n# X\n## Impact\n",
        expect![[r#"
            page.md:2:8: no YAML: unclosed bracket '['; a text that holds `: `, ` #` or begins with a sign stands in quotes
        "#]],
    );
    check(
        "---\ntitle: {a: b}\nalert: X\nparamedic: 2\nweight: 3\n---\n## Impact\n",
        expect![[r#"
        page.md:1:1: the page has no title; write `title: NameOfTheAlert` in the front matter
        page.md:2:8: `title` must be a text, not a map
        page.md:3:1: the front matter has no key `alert`; did you mean `alerts`?
        page.md:4:12: the page is of format `2`; this release reads 1
    "#]],
    );
    check(
        "+++\ntitle = 'x'\n+++\n# X\n## Impact\n",
        expect![[r#"
        page.md:1:1: the front matter is TOML, which is not read here; write it as YAML between lines of `---`
    "#]],
    );
    check(
        "---\nsystems: [firewal]\n---\n# X\n## Impact\n",
        expect![[r#"
            page.md:2:10: there is no kind of system `firewal`; did you mean `firewall`?
        "#]],
    );
    check(
        "# X\n## Impact\n## Impact\n",
        expect![[r#"
        page.md:3:1: the page has a second section Impact
    "#]],
    );
    check(
        &"x".repeat(300_000),
        expect![[r#"
        page.md:1:1: a page has at most 262144 bytes, not 300000
    "#]],
    );
}

#[test]
fn blocks_in_their_place() {
    check(
        "# X\n## Diagnosis\n1. a\n\n```probe\nuses: a/b\n```\n",
        expect![[r#"
            page.md:5:1: the `probe` block stands outside of a numbered step under Diagnosis; indent it as far as the text of its item
        "#]],
    );
    check(
        "# X\n## Impact\n1. a\n   ```action\n   uses: a/b\n   ```\n",
        expect![[r#"
            page.md:4:4: the `action` block stands outside of a numbered step under Mitigation
        "#]],
    );
    check(
        "# X\n## Diagnosis\n- a\n  ```cause\n  id: c\n  ```\n",
        expect![[r#"
            page.md:4:3: the `cause` block stands outside of an item of the list under the heading Causes
        "#]],
    );
    check(
        &step("Mitigation", "```probe\nuses: firewall/service\n```"),
        expect![[r#"
        page.md:7:4: a probe stands under Mitigation; move the look to Diagnosis
    "#]],
    );
    check(
        &step("Diagnosis", "```action\nuses: firewall/kill\n```"),
        expect![[r#"
        page.md:7:4: an action stands under Diagnosis; diagnosis only looks; move the change to Mitigation
    "#]],
    );
    check(
        &step("Diagnosis", "```cause\nid: x\n```"),
        expect![[r#"
        page.md:7:4: a `cause` block stands in a step; causes are items of a list under a heading Causes
    "#]],
    );
    check(
        &step("Diagnosis", "```probes\nuses: firewall/service\n```"),
        expect![[r#"
        page.md:7:4: there is no block `probes`; did you mean `probe`?
    "#]],
    );
    check(
        &step("Diagnosis", "```manual\nhandover: contact\n```"),
        expect![[r#"
        page.md:7:4: `handover`, `watch` and `advice` stand under Mitigation
    "#]],
    );
    check(
        &step("Diagnosis", "```manual\nid: a\n```\n\n```manual\nid: b\n```"),
        expect![[r#"
        page.md:11:4: a step has one block, and this is its second; make it a step of its own
    "#]],
    );
}

#[test]
fn keys_of_blocks() {
    check(
        &step("Diagnosis", "```probe\nuse: firewall/service\nid: svc\nwiht: {}\ntimeout: 2x\n```"),
        expect![[r#"
            page.md:7:4: a probe needs `uses`
            page.md:8:4: a probe has no key `use`; did you mean `uses`?
            page.md:10:4: a probe has no key `wiht`; did you mean `with`?
            page.md:11:13: `timeout` must be a duration from 1ms to 1d, not `2x`
        "#]],
    );
    check(
        &step("Diagnosis", "```probe\n- a\n```"),
        expect![[r#"
        page.md:7:4: a probe needs `uses`
        page.md:7:4: a probe needs `id`
        page.md:8:4: a probe must hold keys, not a list
    "#]],
    );
    check(
        &step("Diagnosis", "```probe\n```"),
        expect![[r#"
        page.md:7:4: a probe needs `uses`
        page.md:7:4: a probe needs `id`
    "#]],
    );
    check(
        &step("Diagnosis", "```probe\nuses: service\nid: my-svc\n```"),
        expect![[r#"
        page.md:8:10: `uses` must be of the form kind/name, not `service`; `paramedic catalog` prints what there is
        page.md:9:8: conditions cannot read a probe with the id `my-svc`; write `my_svc`
    "#]],
    );
    check(
        &step("Diagnosis", "```probe\nuses: firewall/service\nid: alert\nwith: [x]\n```"),
        expect![[r#"
            page.md:9:8: the id `alert` means something else in conditions
            page.md:10:10: `with` must hold keys, not a list
        "#]],
    );
    check(
        &step("Diagnosis", "```probe\nuses: firewall/service\nid: svc\nwhen: x: y\n```"),
        expect![[r#"
            page.md:10:11: no YAML: mapping values are not allowed in this context; a text that holds `: `, ` #` or begins with a sign stands in quotes
        "#]],
    );
    check(
        &step(
            "Mitigation",
            "```action\nuses: firewall/kill\nid: Kill\napproval: two-persons\nverify: 0s\n\
             with: { pid: \"é {{ .a \", x: [1] }\n```",
        ),
        expect![[r#"
            page.md:9:8: the id `Kill` may hold only a-z, 0-9, `-` and `_`, a letter first
            page.md:10:14: no approval is called `two-persons`; did you mean `two-person`?
            page.md:11:12: `verify` must be a duration from 1ms to 1d, not `0s`
            page.md:12:25: `pid` is no template: unclosed action
        "#]],
    );
    check(
        &step("Mitigation", "```manual\nhandover: Bob\nlink: example.org\nadvice: no\n```"),
        expect![[r#"
            page.md:8:14: `handover` must be `contact`; the configuration of the system names its contact
            page.md:9:10: `link` must begin with http:// or https://
            page.md:10:12: `advice` must be `true`
        "#]],
    );
    check(
        &step("Mitigation", "```manual\nlink: https://x\nwatch: 5m\n```"),
        expect![[r#"
        page.md:7:4: a manual step takes one of `handover`, `link`, `watch`, `advice`
    "#]],
    );
    check(
        &cause("id: svc\nwhen: svc.\nbecause: b\nfix: [asc]\nwhy: x"),
        expect![[r#"
            page.md:19:13: no CEL: no viable alternative at input '.'
            page.md:22:8: `why` says why nothing is to be done, but `fix` names steps
        "#]],
    );
    check(
        &cause("id: c\nwhen: svc.running\nbecause: b\nfix: []"),
        expect![[r#"
        page.md:17:3: a cause with `fix: []` needs `why`: why nothing is to be done
    "#]],
    );
    check(
        &cause("id: c\nwhen: svc.running\nbecause: b\nfix: [asc, svc]"),
        expect![[r#"
        page.md:21:9: no mitigation step has the id `asc`; did you mean `ask`?
        page.md:21:14: no mitigation step has the id `svc`; there is ask
    "#]],
    );
    check(
        &cause("id: ask\nwhen: svc.running\nbecause: b\nfix: [ask]\nconfidence: sure"),
        expect![[r#"
            page.md:18:7: the id `ask` is taken by line 25
            page.md:22:15: `confidence` must be high, medium or low, not `sure`
        "#]],
    );
}

#[test]
fn what_the_catalogue_says() {
    let probe = |keys: &str| step("Diagnosis", &format!("```probe\n{keys}\nid: p\n```"));
    let action = |keys: &str| step("Mitigation", &format!("```action\n{keys}\nid: p\n```"));
    check(
        &probe("uses: firewal/service\nwith: { service: x }"),
        expect![[r#"
        page.md:8:10: there is no kind of system `firewal`; did you mean `firewall`?
    "#]],
    );
    check(
        &probe("uses: firewall/servise\nwith: { service: x }"),
        expect![[r#"
        page.md:8:10: firewall has no probe `servise`; did you mean `service`?
    "#]],
    );
    check(
        &probe("uses: firewall/kill\nwith: { pid: 3 }"),
        expect![[r#"
        page.md:8:10: firewall has no probe `kill`; `firewall/kill` is an action
    "#]],
    );
    check(
        &action("uses: firewall/service\nwith: { service: x }"),
        expect![[r#"
        page.md:8:10: firewall has no action `service`; `firewall/service` is a probe
    "#]],
    );
    check(
        &probe("uses: firewall/service\nwith: { servise: x }"),
        expect![[r#"
            page.md:8:10: the argument `service` is missing; it is a name of letters, digits and . _ - @ :
            page.md:9:12: there is no argument `servise`; did you mean `service`?
        "#]],
    );
    check(
        &probe("uses: firewall/service-log\nwith: { service: a/b, since: 2h }"),
        expect![[r#"
        page.md:9:21: `service` must be a name of letters, digits and . _ - @ :, not "a/b"
        page.md:9:33: `since` must be a duration up to 1h, not "2h"
    "#]],
    );
    check(
        &action("uses: firewall/kill\napproval: automatic\nwith: { pid: 1 }"),
        expect![[r#"
        page.md:8:10: `firewall/kill` is of high risk and needs `approval: two-person`, not `automatic`
        page.md:10:17: `pid` must be a whole number from 2 to 4194304, not "1"
    "#]],
    );
    check(
        &action("uses: firewall/kill\nwith: { pid: \"\" }"),
        expect![[r#"
            page.md:9:17: argument "pid" is missing or empty
        "#]],
    );
    // A template may not read what comes later, or what nobody declares.
    check(
        &probe("uses: firewall/service\nwith: { service: \"{{ .p.names }}\" }"),
        expect![[r#"
        page.md:9:22: the template reads `p`, which no earlier step has
    "#]],
    );
    check(
        &cause("id: c\nwhen: svc.running\nbecause: \"{{ .svc.nam }}\"\nfix: [ask]"),
        expect![[r#"
        page.md:20:13: the template reads `nam`, which no earlier step has; did you mean `names`?
    "#]],
    );
    check(
        &cause(
            "id: c\nwhen: svc.running\nbecause: \"{{ range .log.lines }}{{ .test }}{{ end }}\"\n\
             fix: []\nwhy: \"{{ if .svc.running }}x{{ else }}{{ .lgo.lines }}{{ end }}\"",
        ),
        expect![[r#"
            page.md:20:13: the template reads `test`, which no earlier step has; there is svc, running, enabled, load, pid, holder, names, log, lines
            page.md:22:9: the template reads `lgo`, which no earlier step has; there is svc, running, enabled, load, pid, holder, names, log, lines
        "#]],
    );
    check(
        &cause("id: c\nwhen: svc.running\nbecause: \"{{ range .svc.load }}{{ end }}\"\nfix: [ask]"),
        expect![[r#"
            page.md:20:13: the template fails: range can't iterate over 1
        "#]],
    );
}

#[test]
fn conditions() {
    let mut out = String::new();
    for condition in [
        "",
        "svc.running &",
        "svc.runing",
        "scv.running",
        "svc",
        "svc.load",
        "svc.load > 1",
        "svc.load > \"1\"",
        "svc.load + 1 > 2.0",
        "svc.running > true",
        "svc.running == null",
        "svc.pid == null",
        "svc.pid + 1 > 2",
        "svc.holder.name.contains(\"x\")",
        "svc.holder.nme == \"x\"",
        "svc.names[0] == \"x\" && \"y\" in svc.names",
        "svc.names[\"a\"] == \"x\"",
        "1 in svc.names",
        "has(svc.load)",
        "has(alert.labels.x) && alert.labels[\"x\"] == \"y\"",
        "alert.label.x == \"y\"",
        "alert.value == 0.0",
        "system.kind == \"firewall\"",
        "log.lines.exists(l, l.txt == \"x\")",
        "log.lines.exists(l, l.text)",
        "log.lines.exists(svc, svc.text == \"x\") && svc.running",
        "log.lines.filter(l, l.pid > 2).map(l, l.text).exists(t, t.contains(\"x\"))",
        "log.lines.map(l, l.pid)[0] == \"x\"",
        "svc.load.exists(l, true)",
        "log.lines.size() > 2 && size(svc.names) == 0",
        "svc.running.size() == 1",
        "log.lines.exists(l, l.text.matches(\"a(\"))",
        "log.lines.exists(l, l.text.matches(alert.labels.x))",
        "log.lines.exists(l, l.text.contain(\"x\"))",
        "svc.running ? svc.load : 3",
        "svc.running ? true : svc.pid > 3",
        "int(svc.load) == 3 && string(svc.pid) == \"3\" && double(svc.pid) > 1.0",
        "{\"a\": 1}.a == 1",
        "-svc.load < 0.0 && !svc.running",
        "!svc.load",
        "later.x",
    ] {
        let told = when(condition).replace("page.md:18:", "").replace('\n', "");
        out += &format!("{condition}\n    {}\n", if told.is_empty() { "fine" } else { &told });
    }
    expect![[r#"

            page.md:19:9: the condition is empty
        svc.running &
            page.md:19:22: no CEL: token recognition error at: '&'
        svc.runing
            page.md:19:10: `svc` has no fact `runing`; did you mean `running`?
        scv.running
            page.md:19:10: no earlier probe has the id `scv`; there is svc, log, alert, system
        svc
            page.md:19:10: the condition is a record, not true or false
        svc.load
            page.md:19:10: the condition is a number, not true or false
        svc.load > 1
            fine
        svc.load > "1"
            page.md:19:10: `svc.load` is a number, which does not compare with a text
        svc.load + 1 > 2.0
            page.md:19:10: `+` does not take a number and a whole number; write 2.0 for 2, or double(x)
        svc.running > true
            page.md:19:10: `svc.running` is true or false, which has no order
        svc.running == null
            page.md:19:10: `svc.running` is true or false, and never null
        svc.pid == null
            fine
        svc.pid + 1 > 2
            fine
        svc.holder.name.contains("x")
            fine
        svc.holder.nme == "x"
            page.md:19:10: `svc.holder` has no fact `nme`; did you mean `name`?
        svc.names[0] == "x" && "y" in svc.names
            fine
        svc.names["a"] == "x"
            page.md:19:10: `svc.names` is a list and takes no index that is a text
        1 in svc.names
            page.md:19:10: `1` is a whole number, which cannot be in a list
        has(svc.load)
            page.md:19:13: `has(svc.load)` is always true: declared facts are there; write `svc.load != null`
        has(alert.labels.x) && alert.labels["x"] == "y"
            fine
        alert.label.x == "y"
            page.md:19:10: `alert` has no fact `label`; did you mean `labels`?
        alert.value == 0.0
            fine
        system.kind == "firewall"
            fine
        log.lines.exists(l, l.txt == "x")
            page.md:19:30: `l` has no fact `txt`; did you mean `text`?
        log.lines.exists(l, l.text)
            page.md:19:30: `l.text` is a text, not true or false
        log.lines.exists(svc, svc.text == "x") && svc.running
            fine
        log.lines.filter(l, l.pid > 2).map(l, l.text).exists(t, t.contains("x"))
            fine
        log.lines.map(l, l.pid)[0] == "x"
            page.md:19:10: `log.lines.map(l, l.pid)[0]` is a whole number or null, which does not compare with a text
        svc.load.exists(l, true)
            page.md:19:10: `svc.load` is a number, not a list
        log.lines.size() > 2 && size(svc.names) == 0
            fine
        svc.running.size() == 1
            page.md:19:10: `svc.running` is true or false and has no size
        log.lines.exists(l, l.text.matches("a("))
            page.md:19:45: `"a("` is no pattern: unclosed group
        log.lines.exists(l, l.text.matches(alert.labels.x))
            page.md:19:45: `matches` takes a text in quotes
        log.lines.exists(l, l.text.contain("x"))
            page.md:19:30: there is no function `contain`; did you mean `contains`?
        svc.running ? svc.load : 3
            page.md:19:35: a number and a whole number do not mix
        svc.running ? true : svc.pid > 3
            fine
        int(svc.load) == 3 && string(svc.pid) == "3" && double(svc.pid) > 1.0
            fine
        {"a": 1}.a == 1
            page.md:19:10: a condition cannot make maps
        -svc.load < 0.0 && !svc.running
            fine
        !svc.load
            page.md:19:11: `svc.load` is a number, not true or false
        later.x
            page.md:19:10: no earlier probe has the id `later`; there is svc, log, alert, system
    "#]].assert_eq(&out);
}

/// A condition of a step may only read steps before it.
#[test]
fn steps_read_backwards() {
    let page = |when: [&str; 2]| {
        let probe = |id: &str, when: &str| {
            format!(
                "1. a\n   ```probe\n   uses: firewall/service\n   id: {id}\n   with: {{service: x}}\n   when: {when}\n   ```\n"
            )
        };
        format!(
            "# X\n## Mitigation\n1. k\n   ```action\n   uses: firewall/service-restart\n   id: k\n   with: {{ service: \"{{{{ index .b.names 0 }}}}\" }}\n   when: a.running\n   ```\n## Diagnosis\n{}{}",
            probe("a", when[0]),
            probe("b", when[1])
        )
    };
    check(&page(["'true'", "a.running"]), expect![""]);
    check(
        &page(["b.running", "b.running"]),
        expect![[r#"
        page.md:16:10: no earlier probe has the id `b`; there is alert, system
        page.md:23:10: no earlier probe has the id `b`; did you mean `a`?
    "#]],
    );
}
