use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use paramedic_rules::unit_test::{self, Failure, TestFile, UnitTest};
use paramedic_rules::{ReadOptions, RuleError, RuleFile};
use paramedic_scrape::matching;
use regex::Regex;

use super::check::print;
use super::junit;
use crate::exit;
use crate::out::outln;

/// Run tests.
#[derive(Args)]
pub struct TestArgs {
    #[command(subcommand)]
    what: TestWhat,
}

#[derive(Subcommand)]
enum TestWhat {
    Rules(RulesArgs),
}

/// Run rule unit tests, in the format of `promtool test rules`.
///
/// A test that fails tells what was expected, what came, and the value of every part of the
/// expression behind it. Mistakes of files go to standard error as FILE:LINE:COLUMN.
///
/// Exit code 1 when a test fails or a file has mistakes.
///
/// Examples: paramedic test rules rules/*.test.yml; paramedic test rules --run disk rules.test.yml
#[derive(Args)]
struct RulesArgs {
    /// The unit test files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only the tests whose name this regular expression finds something in; may be repeated.
    #[arg(long, value_name = "REGEX")]
    run: Vec<String>,
    /// Write the outcome as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Pass over keys that nobody knows.
    #[arg(long)]
    ignore_unknown_fields: bool,
}

/// What became of one file.
pub struct FileOutcome {
    /// Its path.
    pub path: String,
    /// Why it could not be run, where it could not.
    pub mistakes: Vec<String>,
    /// Its tests.
    pub tests: Vec<TestOutcome>,
}

/// What became of one test.
pub struct TestOutcome {
    /// What it is called.
    pub title: String,
    /// What is not as it should be, each as a text.
    pub failures: Vec<String>,
}

pub fn run(args: TestArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        TestWhat::Rules(args) => rules(&args),
    }
}

fn rules(args: &RulesArgs) -> anyhow::Result<ExitCode> {
    let only = match args.run.as_slice() {
        [] => None,
        run => Some(Regex::new(&run.join("|")).context("--run is no regular expression")?),
    };
    let options = ReadOptions { ignore_unknown_fields: args.ignore_unknown_fields };
    let mut outcomes = Vec::new();
    for path in &args.files {
        let path_shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("could not read {path_shown}"))?;
        let mut outcome = FileOutcome { path: path_shown, mistakes: Vec::new(), tests: Vec::new() };
        outln!("{}", outcome.path);
        match TestFile::parse(&outcome.path, &text, &options) {
            Ok(file) => test(path, &file, only.as_ref(), &options, &mut outcome),
            Err(errors) => refuse(&errors, &mut outcome),
        }
        outcomes.push(outcome);
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, junit::report(&outcomes)?)
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    let tests = || outcomes.iter().flat_map(|outcome| &outcome.tests);
    let passed = tests().filter(|test| test.failures.is_empty()).count();
    let refused = outcomes.iter().filter(|outcome| !outcome.mistakes.is_empty()).count();
    let mut summary = format!("\n{passed} of {} tests passed", tests().count());
    match refused {
        0 => {}
        1 => summary += ", 1 file was not run",
        count => summary += &format!(", {count} files were not run"),
    }
    outln!("{summary}");
    Ok(exit::answer(passed == tests().count() && refused == 0))
}

fn refuse(errors: &[RuleError], outcome: &mut FileOutcome) {
    print(errors);
    outcome.mistakes.extend(errors.iter().map(ToString::to_string));
    outln!("  {}  it has mistakes, and was not run", mark(false));
}

/// Runs the tests of one file.
fn test(
    path: &Path,
    file: &TestFile,
    only: Option<&Regex>,
    options: &ReadOptions,
    outcome: &mut FileOutcome,
) {
    let numbered = file.tests.iter().enumerate();
    let chosen: Vec<(usize, &UnitTest)> =
        numbered.filter(|(_, test)| only.is_none_or(|only| only.is_match(&test.name))).collect();
    // Without a test, nobody looks at the rules, as in promtool.
    if chosen.is_empty() {
        return;
    }
    let rules = match load(path, file, options) {
        Ok(rules) => rules,
        Err(errors) => return refuse(&errors, outcome),
    };
    for (number, test) in chosen {
        let failures = unit_test::run(file, test, &rules);
        let title = test.title(number);
        outln!("  {}  {title}", mark(failures.is_empty()));
        let texts: Vec<String> = failures
            .iter()
            .map(|failure: &Failure| {
                let place = failure.place;
                format!("{}:{}:{}: {failure}", file.path, place.line, place.column)
            })
            .collect();
        for text in &texts {
            outln!("        {}", text.replace('\n', "\n        "));
        }
        outcome.tests.push(TestOutcome { title, failures: texts });
    }
}

/// The rule files that a test file names.
fn load(
    path: &Path,
    file: &TestFile,
    options: &ReadOptions,
) -> Result<Vec<RuleFile>, Vec<RuleError>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut rules, mut errors, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for pattern in &file.rule_files {
        let mistake = |reason: String| RuleError {
            file: file.path.clone(),
            line: pattern.place.line,
            column: pattern.place.column,
            reason,
            hint: None,
        };
        let paths = match matching(folder, &pattern.pattern) {
            Ok(paths) => paths,
            Err(error) => {
                errors.push(mistake(error.to_string()));
                continue;
            }
        };
        if paths.is_empty() {
            let warning = format!("warning: no file matches the pattern {}", pattern.pattern);
            print(&[mistake(warning)]);
        }
        for path in paths.into_iter().filter(|path| seen.insert(path.clone())) {
            let name = path.display().to_string();
            match std::fs::read_to_string(&path) {
                Ok(text) => match RuleFile::parse_with(&name, &text, options) {
                    Ok(file) => {
                        print(&file.warnings);
                        rules.push(file);
                    }
                    Err(found) => errors.extend(found),
                },
                Err(error) => errors.push(mistake(format!("cannot read {name}: {error}"))),
            }
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

/// The word is the first channel, the colour the second.
fn mark(passed: bool) -> String {
    let (word, colour) = if passed { ("ok  ", 32) } else { ("FAIL", 31) };
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    if plain { word.to_owned() } else { format!("\x1b[{colour}m{word}\x1b[0m") }
}
