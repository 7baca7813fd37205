use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use paramedic_model::{Series, TimeMs};
use paramedic_samples::{Fsync, LogOptions, Window, WindowOptions};
use tempfile::TempDir;

use crate::support::{Numbers, contents, series};

/// Names the directory of the process that is to be killed.
const DIR: &str = "PARAMEDIC_TEST_WINDOW";

/// Small files and checkpoints all the time, so that a kill comes at each moment of their lives.
fn options() -> WindowOptions {
    let log = LogOptions {
        fsync: Fsync::Always,
        segment_bytes: 3000,
        checkpoint_bytes: Some(1000),
        ..LogOptions::default()
    };
    WindowOptions { retention: Duration::from_secs(10 * 3600), log, ..WindowOptions::default() }
}

fn list(round: u64) -> Vec<Series> {
    let mut numbers = Numbers(round);
    (0..50)
        .map(|n| Series {
            labels: series("x", "n", &n.to_string()),
            value: numbers.below(1 << 20) as f64,
        })
        .collect()
}

fn at(round: u64) -> TimeMs {
    TimeMs(round as i64 * 1000)
}

/// How many rounds a log has.
fn rounds(window: &Window) -> u64 {
    contents(window).values().map(|samples| samples.len() as u64).max().unwrap_or(0)
}

/// Not a test by itself: what the test below starts as another process.
#[test]
fn commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (mut window, _) = Window::open(Path::new(&dir), options()).expect("opens");
    for round in rounds(&window).. {
        let commit = window.commit_target(&"t".into(), at(round), &list(round));
        assert_eq!((commit.accepted, commit.unlogged), (50, None));
        println!("committed {round}");
    }
}

#[test]
fn a_kill_at_any_moment_loses_no_commit_that_returned() {
    let dir = TempDir::new().expect("a directory");
    let mut before = 0;
    for (kill, count) in [3, 40, 7, 90, 1, 25].into_iter().enumerate() {
        let acknowledged = kill_after(dir.path(), before + count);
        let (window, replayed) = Window::open(dir.path(), options()).expect("opens");
        assert_eq!(replayed.damaged, []);
        before = rounds(&window);
        assert!(before > acknowledged, "kill {kill}: {before} rounds, {acknowledged} acknowledged");
        let all = contents(&window);
        for round in 0..before {
            for (n, series) in list(round).iter().enumerate() {
                let sample = (at(round).0, series.value.to_bits());
                let found = all[&series.labels].get(round as usize);
                assert_eq!(found, Some(&sample), "kill {kill}: series {n} in round {round}");
            }
        }
    }
}

/// Lets a process commit to the log in `dir` until it says that round `round` is done, and kills
/// it. Gives the last round that it said was done.
#[expect(clippy::disallowed_methods, reason = "only another process can be killed")]
fn kill_after(dir: &Path, round: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test's own file"))
        .args(["--exact", "crash::commits_until_it_is_killed", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut last = 0;
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for line in lines.map_while(Result::ok) {
        // The harness writes the name of the test in front of the first line.
        let said = line.split_once("committed ").and_then(|(_, number)| number.parse().ok());
        last = said.unwrap_or(last);
        if last >= round {
            child.kill().expect("kills");
        }
    }
    child.wait().expect("ends");
    last
}
