//! `check rules` and `test rules` through the built binary.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use expect_test::{Expect, expect};

use crate::process::{Site, command, run};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output in UTF-8")
}

/// What a call in this folder ends with: exit code, both outputs one after the other.
fn call(folder: &Path, args: &[&str], want: Expect) {
    let output = run(folder, args);
    let code = output.status.code().expect("it ends by itself");
    want.assert_eq(&format!("exit {code}\n{}---\n{}", text(&output.stdout), text(&output.stderr)));
}

const FINE: &str = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1m}]}]\n";
const WRONG: &str = "groups: [{name: g, rules: [{alert: Down, expr: up ==}, {expr: up}]}]\n";
const TWICE: &str = "groups: [{name: g, rules: [{record: r, expr: a}, {record: r, expr: b}]}]\n";
const TESTS: &str = r#"
rule_files: [fine.yml, "nothing*.yml"]
tests:
  - name: fires
    input_series: [{series: 'up{job="a"}', values: 0x5}]
    alert_rule_test: [{alertname: Down, eval_time: 1m, exp_alerts: [{exp_labels: {job: a}}]}]
  - input_series: [{series: 'up{job="a"}', values: "1 0 0"}]
    alert_rule_test: [{alertname: Down, eval_time: 1m, exp_alerts: [{exp_labels: {job: a}}]}]
"#;

fn site() -> Site {
    Site::new(&[
        ("fine.yml", FINE),
        ("wrong.yml", WRONG),
        ("twice.yml", TWICE),
        ("fine.test.yml", TESTS),
        ("wrong.test.yml", "rule_files: [wrong.yml]\ntests: [{}]\n"),
        ("mistake.test.yml", "tests: [{intervall: 5m}]\n"),
    ])
}

#[test]
fn every_mistake_of_every_file_is_told() {
    call(
        site().path(),
        &["check", "rules", "fine.yml", "wrong.yml", "twice.yml"],
        expect![[r#"
        exit 1
        fine.yml: 1 rules in 1 groups
        twice.yml: 2 rules in 1 groups
        ---
        wrong.yml:1:53: group "g", rule 1, "Down": could not parse expression: 1:6: parse error: unexpected end of input
        wrong.yml:1:56: group "g", rule 2, "": one of 'record' or 'alert' must be set
        twice.yml:1:50: lint error 1 duplicate rule(s) found.
        Metric: r
        Label(s):
        Line(s): 1, 1
        Might cause inconsistency while recording expressions
    "#]],
    );
}

#[test]
fn lint_is_fatal_on_request() {
    let site = site();
    call(
        site.path(),
        &["check", "rules", "--lint-fatal", "twice.yml"],
        expect![[r#"
        exit 3
        twice.yml: 2 rules in 1 groups
        ---
        twice.yml:1:50: lint error 1 duplicate rule(s) found.
        Metric: r
        Label(s):
        Line(s): 1, 1
        Might cause inconsistency while recording expressions
    "#]],
    );
    call(
        site.path(),
        &["check", "rules", "--lint-fatal", "--lint", "none", "twice.yml"],
        expect![[r#"
            exit 0
            twice.yml: 2 rules in 1 groups
            ---
        "#]],
    );
    call(
        site.path(),
        &["check", "rules", "missing.yml"],
        expect![[r#"
        exit 3
        ---
        missing.yml: cannot read it: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn rules_come_from_standard_input_too() {
    for args in [&["check", "rules"][..], &["check", "rules", "-"]] {
        let site = site();
        let mut child = command(site.path(), args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut input = child.stdin.take().expect("standard input is a pipe");
        input.write_all(WRONG.as_bytes()).expect("it reads");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.starts_with("standard input:1:"), "{said}");
    }
}

#[test]
fn unit_tests_pass_or_tell_what_came_instead() {
    call(
        site().path(),
        &["test", "rules", "fine.test.yml"],
        expect![[r#"
        exit 1
        fine.test.yml
          ok    fires
          FAIL  unnamed#1
                fine.test.yml:8:23: alert Down at 1m: 1 missing
                    expected, does not fire: {alertname="Down", job="a"}
                    pending since 1m, `for` is over at 2m: {alertname="Down", job="a"}
                    at 1m, by the rule at fine.yml:1:28:
                        up == 0:
                            up{job="a"} 0
                          up:
                              up{job="a"} 0

        1 of 2 tests passed
        ---
        fine.test.yml:2:24: warning: no file matches the pattern nothing*.yml
    "#]],
    );
}

#[test]
fn tests_are_chosen_by_name() {
    let site = site();
    call(
        site.path(),
        &["test", "rules", "--run", "^fi", "fine.test.yml"],
        expect![[r#"
        exit 0
        fine.test.yml
          ok    fires

        1 of 1 tests passed
        ---
        fine.test.yml:2:24: warning: no file matches the pattern nothing*.yml
    "#]],
    );
    // Rules that no test needs are not read.
    call(
        site.path(),
        &["test", "rules", "--run", "none", "wrong.test.yml"],
        expect![[r#"
        exit 0
        wrong.test.yml

        0 of 0 tests passed
        ---
    "#]],
    );
    call(
        site.path(),
        &["test", "rules", "--run", "(", "fine.test.yml"],
        expect![[r#"
        exit 3
        ---
        paramedic: --run is no regular expression: regex parse error:
            (
            ^
        error: unclosed group
    "#]],
    );
}

#[test]
fn a_file_with_mistakes_is_not_run() {
    let site = site();
    let args = ["test", "rules", "wrong.test.yml", "mistake.test.yml"];
    call(
        site.path(),
        &args,
        expect![[r#"
        exit 1
        wrong.test.yml
          FAIL  it has mistakes, and was not run
        mistake.test.yml
          FAIL  it has mistakes, and was not run

        0 of 0 tests passed, 2 files were not run
        ---
        wrong.yml:1:53: group "g", rule 1, "Down": could not parse expression: 1:6: parse error: unexpected end of input
        wrong.yml:1:56: group "g", rule 2, "": one of 'record' or 'alert' must be set
        mistake.test.yml:1:10: field intervall not found in type main.testGroup (did you mean `interval`?)
    "#]],
    );
    call(
        site.path(),
        &["test", "rules", "missing.test.yml"],
        expect![[r#"
        exit 3
        ---
        paramedic: could not read missing.test.yml: No such file or directory (os error 2)
    "#]],
    );
    let args = ["test", "rules", "--ignore-unknown-fields", "mistake.test.yml"];
    assert_eq!(run(site.path(), &args).status.code(), Some(0));
}

#[test]
fn the_outcome_is_junit_xml() {
    let site = site();
    let args = ["test", "rules", "--junit", "out.xml", "fine.test.yml", "mistake.test.yml"];
    assert_eq!(run(site.path(), &args).status.code(), Some(1));
    let written = std::fs::read_to_string(site.path().join("out.xml")).expect("it was written");
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites>
          <testsuite name="fine.test.yml" tests="2" failures="1" errors="0">
            <testcase name="fires"/>
            <testcase name="unnamed#1">
              <failure>fine.test.yml:8:23: alert Down at 1m: 1 missing
            expected, does not fire: {alertname=&quot;Down&quot;, job=&quot;a&quot;}
            pending since 1m, `for` is over at 2m: {alertname=&quot;Down&quot;, job=&quot;a&quot;}
            at 1m, by the rule at fine.yml:1:28:
                up == 0:
                    up{job=&quot;a&quot;} 0
                  up:
                      up{job=&quot;a&quot;} 0</failure>
            </testcase>
          </testsuite>
          <testsuite name="mistake.test.yml" tests="0" failures="0" errors="1">
            <error>mistake.test.yml:1:10: field intervall not found in type main.testGroup (did you mean `interval`?)</error>
          </testsuite>
        </testsuites>
    "#]].assert_eq(&written);
}

#[test]
fn the_shipped_rules_pass_their_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let kinds = ["opnsense", "oxidized", "traefik", "windows"];
    let files = kinds.map(|kind| format!("integrations/{kind}/rules/{kind}.test.yml"));
    let args: Vec<&str> = ["test", "rules"].into_iter().chain(files.iter().map(|f| &**f)).collect();
    call(
        &root,
        &args,
        expect![[r#"
        exit 0
        integrations/opnsense/rules/opnsense.test.yml
          ok    a service is down for two minutes
          ok    a peer never connected, and the join crosses firewalls
          ok    a tunnel that worked and died
          ok    a firewall that cannot be looked at
        integrations/oxidized/rules/oxidized.test.yml
          ok    the list of devices cannot be read
          ok    the exporter itself dies
        integrations/traefik/rules/traefik.test.yml
          ok    all servers of a service are down
          ok    Traefik cannot be looked at
          ok    a configuration that does not hold together, and one that is empty
        integrations/windows/rules/windows.test.yml
          ok    a service whose status is not OK
          ok    a service that should run is stopped
          ok    the first five minutes after a boot do not count
          ok    stuck, missing, unreachable, unreadable

        13 of 13 tests passed
        ---
    "#]],
    );
}

/// The files and the output that docs/testing-rules.md shows are true.
#[test]
fn the_example_of_the_docs_is_true() {
    let page = include_str!("../../../../docs/testing-rules.md");
    let block = |after: &str| {
        let (_, rest) = page.split_once(after).expect(after);
        let (_, rest) = rest.split_once("```").expect("a block");
        let (_, rest) = rest.split_once('\n').expect("a block");
        rest.split_once("```").expect("the end of a block").0
    };
    let site = Site::new(&[
        ("rules.yml", block("`rules.yml`:")),
        ("rules.test.yml", block("`rules.test.yml`:")),
    ]);
    let output = run(site.path(), &["test", "rules", "rules.test.yml"]);
    let shown = block("this is why:");
    let (_, shown) = shown.split_once('\n').expect("the command");
    assert_eq!(text(&output.stdout), shown);
    let output = run(site.path(), &["check", "rules", "rules.yml"]);
    assert_eq!(output.status.code(), Some(0));
}
