use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::expect_file;
use paramedic_model::{format_duration, parse_duration};
use paramedic_rules::unit_test::{Failure, Mismatch, TestFile, run};
use paramedic_rules::{ReadOptions, RuleFile, duplicate_rules};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/data");

/// The files of a folder whose names end so, sorted.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(DATA).join(folder)).expect("the folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(end));
    files.sort();
    assert!(!files.is_empty(), "no {end} in {folder}");
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a readable file")
}

/// The real promtool in `folder`; `None` where there is none and none is demanded.
fn promtool(test: &str, folder: &str, args: &[&str]) -> Option<Output> {
    #[expect(clippy::disallowed_methods, reason = "the peer of this test is a process")]
    let mut command = Command::new("promtool");
    match command.args(args).current_dir(Path::new(DATA).join(folder)).output() {
        Ok(output) => Some(output),
        Err(_) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: no promtool");
            println!("skipped: {test}: apt-get install prometheus");
            None
        }
    }
}

/// The rules that a test file names; our tests name few and simple patterns.
fn rules(path: &Path, file: &TestFile) -> Result<Vec<RuleFile>, String> {
    let mut names = BTreeSet::new();
    for pattern in &file.rule_files {
        let (start, end) = pattern.pattern.split_once('*').unwrap_or((&pattern.pattern, ""));
        for other in std::fs::read_dir(path.parent().expect("a folder")).expect("the folder") {
            let other = name(&other.expect("an entry").path());
            let fits = match pattern.pattern.contains('*') {
                true => other.starts_with(start) && other.ends_with(end),
                false => other == pattern.pattern,
            };
            if fits {
                names.insert(other);
            }
        }
    }
    let parse = |name: &String| {
        RuleFile::parse(name, &read(&path.with_file_name(name))).map_err(|e| e[0].to_string())
    };
    names.iter().map(parse).collect()
}

/// What became of one file: failures by test, or why it was not run.
fn outcome(path: &Path) -> Result<Vec<(String, Vec<Failure>)>, String> {
    let options = ReadOptions::default();
    let file = TestFile::parse(&name(path), &read(path), &options)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    if file.tests.is_empty() {
        return Ok(Vec::new());
    }
    let rules = rules(path, &file)?;
    let tests = file.tests.iter().enumerate();
    Ok(tests.map(|(i, test)| (test.title(i), run(&file, test, &rules))).collect())
}

/// A failure in a word that promtool's output has too. Texts are its own affair.
fn essence(failure: &Failure) -> String {
    let at = failure.at.map_or(String::new(), format_duration);
    match &failure.what {
        Mismatch::Alerts { alertname, .. } => format!("alert {alertname} at {at}"),
        Mismatch::Samples { expr, .. } | Mismatch::Expr { expr, .. } => format!("{expr:?} at {at}"),
        Mismatch::Rule { rule, .. } => format!("rule {rule} at {at}"),
        Mismatch::Text(_) => "something else".to_owned(),
    }
}

/// The same of promtool's output.
fn essences(stderr: &str) -> BTreeSet<String> {
    let time = |text: &str| {
        let word = text.split([',', ' ']).next().unwrap_or_default();
        format_duration(parse_duration(word).expect(text))
    };
    let mut found = BTreeSet::new();
    for line in stderr.lines().filter(|line| !line.is_empty()) {
        let line = line.replace("    name: ", "        name: ");
        let named = [("    alertname: ", "alert "), ("    expr: ", ""), ("    rule: ", "rule ")];
        let known = named.iter().find_map(|(start, word)| Some((line.strip_prefix(start)?, word)));
        if let Some((rest, word)) = known {
            let (name, rest) = rest.split_once(", time: ").expect("a time");
            found.insert(format!("{word}{name} at {}", time(rest)));
        } else if !["     ", "  FAILED", "  WARNING"].iter().any(|start| line.starts_with(start)) {
            found.insert("something else".to_owned());
        }
    }
    found
}

fn outcomes(folder: &str) -> String {
    let mut out = String::new();
    for path in files(folder, ".test.yml") {
        let _ = writeln!(out, "{}", name(&path));
        match outcome(&path) {
            Ok(tests) => {
                for (title, failures) in tests {
                    let word = if failures.is_empty() { "passes" } else { "fails" };
                    let _ = writeln!(out, "  {word}: {title}");
                    for failure in failures {
                        let _ = writeln!(out, "    {}", essence(&failure));
                    }
                }
            }
            Err(reason) => {
                let _ = writeln!(out, "  refused: {reason}");
            }
        }
    }
    out
}

#[test]
fn unit_tests_have_their_outcome() {
    expect_file!["data/unit_tests/outcomes.txt"].assert_eq(&outcomes("unit_tests"));
    expect_file!["data/unit_tests/newer/outcomes.txt"].assert_eq(&outcomes("unit_tests/newer"));
}

#[test]
fn a_failure_is_told_so_that_a_person_can_mend_it() {
    let mut out = String::new();
    for file in ["alerts_differ.test.yml", "expressions.test.yml", "failing.test.yml"] {
        let path = Path::new(DATA).join("unit_tests").join(file);
        for (title, failures) in outcome(&path).expect(file) {
            for failure in failures {
                let _ = writeln!(out, "{title}\n  {}:{}: {failure}\n", file, failure.place.line);
            }
        }
    }
    expect_file!["data/unit_tests/reports.txt"].assert_eq(&out);
}

#[test]
fn promtool_says_the_same_of_unit_tests() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for path in files("unit_tests", ".test.yml") {
        let name = name(&path);
        let args = ["test", "rules", &name];
        let Some(output) = promtool("promtool test rules", "unit_tests", &args) else { return };
        let theirs = essences(&String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.success(), theirs.is_empty(), "{name}: {theirs:?}");
        let ours = match outcome(&path) {
            Ok(tests) => {
                let failures = tests.iter().flat_map(|(_, failures)| failures);
                failures.map(essence).collect()
            }
            Err(_) => BTreeSet::from(["something else".to_owned()]),
        };
        compared += theirs.len().max(1);
        if ours != theirs {
            let only_theirs: Vec<_> = theirs.difference(&ours).collect();
            let only_ours: Vec<_> = ours.difference(&theirs).collect();
            wrong.push(format!("{name}\n  promtool: {only_theirs:?}\n  ours: {only_ours:?}"));
        }
    }
    println!("{compared} verdicts compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a rule file, without files and places.
fn mistakes(path: &Path) -> Vec<String> {
    match RuleFile::parse(&name(path), &read(path)) {
        Ok(file) => duplicate_rules(&file).map(|found| found.to_string()).into_iter().collect(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// A mistake as it can be compared: YAML that cannot be read at all is so in any words.
fn bare(message: &str) -> String {
    let mut text = message;
    // `FILE: `, `FILE:4:18: `, `4:18: `, `line 3: `.
    while let Some((first, rest)) = text.split_once(": ") {
        let is_place = |word: &str| word.chars().all(|c| c.is_ascii_digit() || c == ':');
        let is_file = first.contains(".yml") && !first.contains(' ');
        if !is_file && !is_place(first) && !first.trim().starts_with("line ") {
            break;
        }
        text = rest;
    }
    if text.starts_with("yaml: ") || text.starts_with("mapping key ") {
        return "yaml".to_owned();
    }
    let text = text.split(" (did you mean").next().unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("Line(s)")).collect();
    lines.join("\n").replace("RuleNode", "Rule")
}

fn checks(folder: &str) -> String {
    let mut out = String::new();
    for path in files(folder, ".yml") {
        let found = mistakes(&path);
        if found.is_empty() {
            let _ = writeln!(out, "{}: fine", name(&path));
        }
        found.iter().for_each(|mistake| out += &format!("{mistake}\n"));
    }
    out
}

#[test]
fn checks_have_their_outcome() {
    expect_file!["data/checks/outcomes.txt"].assert_eq(&checks("checks"));
    expect_file!["data/checks/newer/outcomes.txt"].assert_eq(&checks("checks/newer"));
}

#[test]
fn promtool_says_the_same_of_checks() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for path in files("checks", ".yml") {
        let name = name(&path);
        let args = ["check", "rules", &name];
        let Some(output) = promtool("promtool check rules", "checks", &args) else { return };
        let stderr = String::from_utf8_lossy(&output.stderr).replace("  FAILED:\n", "");
        let theirs: BTreeSet<String> = match stderr.trim() {
            lint if lint.starts_with("lint error") => BTreeSet::from([bare(lint)]),
            text => text
                .lines()
                .filter(|line| !line.is_empty() && !line.ends_with("yaml: unmarshal errors:"))
                // The same file read a second time for its places, in other words.
                .filter(|line| !line.contains("ruleGroups") && !line.contains("[]yaml.Node"))
                .map(bare)
                .collect(),
        };
        let ours: BTreeSet<String> = mistakes(&path).iter().map(|mistake| bare(mistake)).collect();
        compared += theirs.len().max(1);
        if ours != theirs {
            let only_theirs: Vec<_> = theirs.difference(&ours).collect();
            let only_ours: Vec<_> = ours.difference(&theirs).collect();
            wrong.push(format!("{name}\n  promtool: {only_theirs:#?}\n  ours: {only_ours:#?}"));
        }
    }
    println!("{compared} verdicts compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever the text is, the answer is verdicts or mistakes with a place.
#[test]
fn mangled_unit_tests_never_panic() {
    let folder = Path::new(DATA).join("unit_tests");
    for path in [folder.join("newer/fields.test.yml"), folder.join("newer/histograms.test.yml")] {
        let text = read(&path);
        let rules = read(&folder.join("newer/fields.rules.yml"));
        let rules = RuleFile::parse("fields.rules.yml", &rules).expect("rules");
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)).step_by(7) {
            let (before, after) = text.split_at(at);
            let without: String = before.chars().chain(after.chars().skip(1)).collect();
            for text in [before.to_owned(), format!("{before}{{{after}"), without] {
                match TestFile::parse("t.yml", &text, &ReadOptions::default()) {
                    Ok(file) => {
                        for test in &file.tests {
                            let failures = run(&file, test, std::slice::from_ref(&rules));
                            failures.iter().for_each(|failure| drop(failure.to_string()));
                        }
                    }
                    Err(errors) => assert!(errors.iter().all(|error| error.line > 0), "{errors:?}"),
                }
            }
        }
    }
}
