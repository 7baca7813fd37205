//! How long it takes from a sample that makes an alert true to the alert that fires.
//!
//! ```text
//! switch turns in a scrape --answer handed over--> engine --/api/v1/alerts says firing--> seen
//! ```
//!
//! Targets have switches that turn one by one, in a scrape each. The time runs from the moment at
//! which the answer with the turned switch was handed over, so that reading it counts, to the first
//! answer of the API in which its alert fires; that is asked again and again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::engines::{Engine, RULE_INTERVAL_S, Setup};
use super::process::{Process, Workshop, wait_until};
use super::queries::percentile;
use super::target::{Content, Target};
use super::{clock, http, say};

/// How many targets there are: their scrapes fall anywhere within the interval.
const TARGETS: usize = 20;
/// How many switches each has.
const SWITCHES: usize = 10;
/// How often targets are scraped.
const SCRAPE_INTERVAL_S: u64 = 5;
/// How many scrapes of a target pass before its first switch turns: groups of rules run by then.
const QUIET_SCRAPES: usize = 4;
/// How long the API is left alone between two questions.
const PAUSE: Duration = Duration::from_millis(5);
/// How long an engine may take to answer.
const READY: Duration = Duration::from_secs(60);

/// The rule, in a group that ours runs as the shipped ones, and others on their interval.
fn rules(engine: Engine) -> String {
    let evaluation = if engine == Engine::Ours { "  evaluation: data\n" } else { "" };
    format!(
        "groups:\n- name: switches\n{evaluation}  rules:\n  - alert: Switched\n    expr: bench_switch == 1\n"
    )
}

/// The switches of one target.
#[derive(Default)]
struct Board {
    number: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    scrapes: usize,
    /// When the answer that turned each switch was handed over.
    turned: Vec<Instant>,
}

impl State {
    fn on(&self) -> usize {
        self.scrapes.saturating_sub(QUIET_SCRAPES).min(SWITCHES)
    }
}

impl Content for Arc<Board> {
    fn render(&self, body: &mut String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.scrapes += 1;
        body.clear();
        for switch in 0..SWITCHES {
            let value = u8::from(switch < state.on());
            let labels = format!("target=\"{}\",switch=\"{switch}\"", self.number);
            let _ = writeln!(body, "bench_switch{{{labels}}} {value}");
        }
    }

    fn served(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.turned.len() < state.on() {
            state.turned.push(clock::now());
        }
    }
}

/// One engine with its switches.
struct Watched {
    engine: Engine,
    address: SocketAddr,
    boards: Vec<Arc<Board>>,
    process: Process,
    _targets: Vec<Target>,
}

impl Watched {
    fn start(engine: Engine, program: PathBuf, workshop: &mut Workshop) -> Result<Self> {
        let folder = workshop.folder(&format!("{}-delay", engine.name()))?;
        let rules = folder.join("switches.yml");
        fs::write(&rules, self::rules(engine))?;
        let board = |number| Arc::new(Board { number, ..Board::default() });
        let boards: Vec<_> = (0..TARGETS).map(board).collect();
        let targets = boards.iter().map(|board| Target::listen(board.clone()));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let setup = Setup::new(engine, program, folder)?;
        let addresses: Vec<_> = targets.iter().map(Target::address).collect();
        setup.configure(&addresses, SCRAPE_INTERVAL_S, &[rules])?;
        let mut process = workshop.start(&mut setup.command(), &setup.folder.join("log"))?;
        wait_until(&mut process, READY, || setup.is_ready()).context("start")?;
        Ok(Self { engine, address: setup.address, boards, process, _targets: targets })
    }

    /// Asks until every switch's alert was seen firing; the delay of each.
    fn watch(&mut self) -> Result<Vec<Duration>> {
        let scrapes = (QUIET_SCRAPES + SWITCHES + 2) as u64;
        let limit = Duration::from_secs(scrapes * SCRAPE_INTERVAL_S + 4 * RULE_INTERVAL_S);
        let (start, mut seen) = (clock::now(), HashMap::<(usize, usize), Instant>::new());
        while seen.len() < TARGETS * SWITCHES {
            self.process.check()?;
            if start.elapsed() > limit {
                bail!("only {} of {} alerts fired", seen.len(), TARGETS * SWITCHES);
            }
            let answer = http::get(self.address, "/api/v1/alerts", READY)?;
            let now = clock::now();
            for switch in firing(&serde_json::from_str(&answer.body)?) {
                seen.entry(switch).or_insert(now);
            }
            clock::pause(PAUSE);
        }
        let delays = seen.into_iter().filter_map(|((target, switch), seen)| {
            let state = self.boards.get(target)?.state.lock();
            let turned = *state.unwrap_or_else(PoisonError::into_inner).turned.get(switch)?;
            Some(seen.saturating_duration_since(turned))
        });
        Ok(delays.collect())
    }
}

/// The switches whose alerts fire.
fn firing(answer: &Value) -> Vec<(usize, usize)> {
    let alerts = answer["data"]["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    let number = |alert: &Value, label| alert["labels"][label].as_str()?.parse().ok();
    firing.filter_map(|alert| Some((number(alert, "target")?, number(alert, "switch")?))).collect()
}

/// The median and the worst delay of each engine, side by side.
pub fn measure(
    engines: &[(Engine, PathBuf)],
    workshop: &mut Workshop,
) -> Result<Vec<(Engine, Result<[Duration; 2]>)>> {
    let count = TARGETS * SWITCHES;
    say(&format!("from a sample to its alert, {count} times, scrapes every {SCRAPE_INTERVAL_S} s"));
    let mut watched = Vec::new();
    for (engine, program) in engines {
        watched.push(Watched::start(*engine, program.clone(), workshop)?);
    }
    let delays = thread::scope(|scope| {
        let threads: Vec<_> =
            watched.iter_mut().map(|watched| scope.spawn(|| watched.watch())).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| bail!("the watch ended with a panic"))
        };
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    let mut results = Vec::new();
    for (watched, delays) in watched.into_iter().zip(delays) {
        let ends = |mut delays: Vec<Duration>| {
            [percentile(&mut delays, 0.5), percentile(&mut delays, 1.0)]
        };
        results.push((watched.engine, delays.map(ends)));
        workshop.stop(watched.process)?;
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_turn_one_by_one_and_stay() {
        let board = Arc::new(Board { number: 3, ..Board::default() });
        let mut body = String::new();
        let mut on = Vec::new();
        for _ in 0..QUIET_SCRAPES + SWITCHES + 2 {
            board.render(&mut body);
            board.served();
            on.push(body.lines().filter(|line| line.ends_with(" 1")).count());
        }
        let wanted: Vec<_> = (1..=on.len()).map(|n| n.saturating_sub(QUIET_SCRAPES)).collect();
        assert_eq!(on[..on.len() - 2], wanted[..on.len() - 2]);
        assert_eq!(on.last(), Some(&SWITCHES));
        assert_eq!(board.state.lock().unwrap().turned.len(), SWITCHES);
        assert!(body.starts_with("bench_switch{target=\"3\",switch=\"0\"} 1\n"));
    }

    #[test]
    fn only_what_fires_counts() {
        let answer = serde_json::json!({ "data": { "alerts": [
            { "state": "firing", "labels": { "target": "1", "switch": "2" } },
            { "state": "pending", "labels": { "target": "1", "switch": "3" } },
            { "state": "firing", "labels": { "target": "x" } },
        ] } });
        assert_eq!(firing(&answer), [(1, 2)]);
    }
}
