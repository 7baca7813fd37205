//! Prometheus's own evaluation scripts (a selection, found beside the repository or where
//! `PROMQLTEST_DIR` points), and ours.
//!
//! What does not pass yet stands in `not_passing.txt`, one `eval` per line with the reason. The list
//! only shrinks: an `eval` that is not listed and fails is an error, and so is one that is listed and
//! passes. `UPDATE_EXPECT=1` takes off what passes, and never puts on what fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::script::{Outcome, Settings, run};

/// How much of a failure the list shows.
const REASON_CHARS_MAX: usize = 100;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/not_passing.txt");

/// The folder `../shared/NAME` beside the repository, or where `variable` points.
pub fn shared(name: &str, variable: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    let folder = std::env::var_os(variable).map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let missing = format!("skipped: {name}: {variable} names its folder");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("{missing}");
    None
}

/// Every script of the suite with its outcomes.
fn run_suite(delayed_name_removal: bool) -> Option<Vec<(String, Vec<Outcome>)>> {
    let folder = shared("conformance/promqltest", "PROMQLTEST_DIR")?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    let settings = Settings { delayed_name_removal };
    let outcomes = files.into_iter().map(|path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a script");
        (name, run(&text, &settings))
    });
    Some(outcomes.collect())
}

#[test]
fn prometheus_scripts_pass_but_for_the_list() {
    // Prometheus's own runner drops names at the end.
    let Some(suite) = run_suite(true) else { return };
    let mut failing: BTreeMap<(String, usize), String> = BTreeMap::new();
    let (mut passed, mut total) = (0, 0);
    for (name, outcomes) in suite {
        let fine = outcomes.iter().filter(|outcome| outcome.failure.is_none()).count();
        println!("{name}: {fine} of {} pass", outcomes.len());
        passed += fine;
        total += outcomes.len();
        for Outcome { line, failure, start_timestamps } in outcomes {
            let Some(failure) = failure else { continue };
            let first_line = failure.lines().next().unwrap_or("");
            let first_line: String = first_line.chars().take(REASON_CHARS_MAX).collect();
            let reason = if start_timestamps {
                format!("start timestamps are not kept: {first_line}")
            } else {
                first_line
            };
            failing.insert((name.clone(), line), reason);
        }
    }
    println!("all scripts: {passed} of {total} pass");
    check_list(&failing);
}

/// Without the feature flag names go at once, and the scripts pass all the same, but for these: there
/// an info no longer knows the name, or `__type__` and `__unit__` have gone from one side of a match
/// and not from the other.
const DEPEND_ON_DELAY: [(&str, usize); 13] = [
    ("native_histograms.test", 1616),
    ("native_histograms.test", 1621),
    ("native_histograms.test", 1626),
    ("native_histograms.test", 1631),
    ("native_histograms.test", 1635),
    ("native_histograms.test", 1639),
    ("native_histograms.test", 1644),
    ("native_histograms.test", 1648),
    ("native_histograms.test", 1653),
    ("type_and_unit.test", 77),
    ("type_and_unit.test", 92),
    ("type_and_unit.test", 222),
    ("type_and_unit.test", 237),
];

#[test]
fn prometheus_scripts_pass_when_names_go_at_once() {
    let (Some(delayed), Some(at_once)) = (run_suite(true), run_suite(false)) else { return };
    let mut differ = Vec::new();
    for ((name, delayed), (_, at_once)) in delayed.iter().zip(&at_once) {
        for (delayed, at_once) in delayed.iter().zip(at_once) {
            if delayed.failure.is_none() && at_once.failure.is_some() {
                differ.push((name.as_str(), at_once.line));
            }
        }
    }
    assert_eq!(differ, DEPEND_ON_DELAY);
}

fn check_list(failing: &BTreeMap<(String, usize), String>) {
    let list = std::fs::read_to_string(LIST).expect("the list");
    let listed: BTreeMap<(String, usize), &str> = list
        .lines()
        .map(|line| {
            let (place, reason) = line.split_once(' ').expect("a reason");
            let (file, line) = place.split_once(':').expect("a line");
            ((file.to_owned(), line.parse().expect("a line")), reason)
        })
        .collect();
    let mut wrong = String::new();
    for ((file, line), reason) in failing {
        if !listed.contains_key(&(file.clone(), *line)) {
            writeln!(wrong, "{file}:{line} fails: {reason}").expect("a string grows");
        }
    }
    if wrong.is_empty() && std::env::var_os("UPDATE_EXPECT").is_some() {
        let mut list = String::new();
        for ((file, line), reason) in failing {
            writeln!(list, "{file}:{line} {reason}").expect("a string grows");
        }
        std::fs::write(LIST, list).expect("the list");
        return;
    }
    for (file, line) in listed.keys().filter(|place| !failing.contains_key(*place)) {
        writeln!(wrong, "{file}:{line} passes: take it off the list").expect("a string grows");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn our_scripts_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts");
    let mut wrong = String::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a script");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        // Scripts whose results depend on it say so in their names.
        let delayed = name.starts_with("delayed");
        for outcome in run(&text, &Settings { delayed_name_removal: delayed }) {
            if let Some(failure) = outcome.failure {
                writeln!(wrong, "{name}:{} {failure}", outcome.line).expect("a string grows");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
