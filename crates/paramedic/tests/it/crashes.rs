//! The journal fails at each of its commits in turn, with and without keeping that commit, as when
//! the machine dies before or after the disk has it. A new engine then starts on what is there.
//!
//! A run without a crash counts the commits; the runs with one are compared with it.

use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_engine::{Command, Engine, EngineError, Stopped, Verb};
use paramedic_incident::{Ending, Event, Incident, Stage};
use paramedic_journal::JournalError;
use paramedic_model::{IncidentId, TimeMs};

use crate::world::{INTERVAL, STEP, Server, World, run, seconds, transcript};

/// How long the system is watched before the fault.
const QUIET: Duration = Duration::from_secs(20);
/// How long a story may take, crashes included.
const PATIENCE: Duration = Duration::from_secs(3600);
/// What a crash may cost an alert that is pending, besides the time down: up to one collection
/// before the crash that was not written, and one until the system is looked at again.
const LOST_MAX: Duration = INTERVAL.saturating_mul(2);

/// A fault that is repaired by one action.
#[derive(Clone, Copy)]
struct Story {
    kind: &'static str,
    fault: &'static str,
    /// How long nobody runs after a crash.
    down: Duration,
}

/// What a run left behind.
struct Told {
    commits: u64,
    incidents: Vec<Incident>,
    /// From the fault to the moment when the incident was opened.
    opened_after: Duration,
    changes: Vec<String>,
    crashes: usize,
}

/// A commit that fails, counted from the start of the engine that meets it.
#[derive(Debug, Clone, Copy)]
struct Crash {
    commit: u64,
    written: bool,
}

/// Runs the story to the end of its incident, with these crashes one after the other.
///
/// # Errors
///
/// What went wrong, in words.
fn tell(story: Story, crashes: &[Crash]) -> Result<Told, String> {
    run(async {
        let world = World::new(story.kind, 1);
        let (mut left, mut seen) = (crashes.iter(), BTreeMap::new());
        let mut crash_next = |world: &World| {
            if let Some(crash) = left.next() {
                world.journal.crash_at(world.journal.commits() + crash.commit, crash.written);
            }
        };
        crash_next(&world);
        let mut server = world.start();
        let begun = world.clock.now();
        let mut injected = None;
        let mut crashed = 0;
        loop {
            let now = world.clock.now();
            if injected.is_none() && now >= begun + QUIET {
                world.inject(0, story.fault);
                injected = Some(now);
            }
            if now > begun + PATIENCE {
                let incidents = server.incidents().await.unwrap_or_default();
                let stories: Vec<_> = incidents.iter().map(transcript).collect();
                return Err(format!("no end within an hour:\n{}", stories.join("\n")));
            }
            match look_and_approve(&server, &mut seen).await {
                Ok(true) => break,
                Ok(false) => world.clock.sleep(STEP).await,
                Err(Stopped) => {
                    match server.end().await {
                        Err(EngineError::Journal(JournalError::Crash)) => crashed += 1,
                        other => return Err(format!("the engine stopped: {other:?}")),
                    }
                    let before = world.journal.contents().events;
                    world.journal.recover();
                    world.clock.sleep(story.down).await;
                    if world.journal.contents().events != before {
                        return Err("something wrote after the crash".to_owned());
                    }
                    crash_next(&world);
                    server = world.start();
                    not_less_than(&mut seen, &server).await?;
                }
            }
        }
        let incidents = server.incidents().await.map_err(|e| e.to_string())?;
        let opened_at = incidents.first().map_or(TimeMs(0), |incident| incident.opened_at);
        Ok(Told {
            commits: world.journal.commits(),
            opened_after: opened_at.since(injected.unwrap_or_default()),
            incidents,
            changes: world.changes(0),
            crashes: crashed,
        })
    })
}

type Seen = BTreeMap<IncidentId, Vec<(TimeMs, Event)>>;

/// One look of the person at the screen, who approves whatever is on offer. Remembers what was
/// shown. Returns whether the incident is over.
async fn look_and_approve(server: &Server, seen: &mut Seen) -> Result<bool, Stopped> {
    let known: BTreeMap<_, _> = seen.iter().map(|(id, events)| (*id, events.len())).collect();
    let news = move |engine: &Engine| {
        let new = |incident: &&Incident| {
            let shown = known.get(&incident.id) == Some(&incident.events.len());
            // An approval that was not acknowledged is given again.
            !shown || incident.stage == Stage::Waiting
        };
        let news: Vec<_> = engine.incidents().filter(new).cloned().collect();
        (news, engine.incidents().next().is_some() && engine.incidents().all(|i| !i.is_open()))
    };
    let (news, over) = server.handle.read(news).await?;
    for incident in news {
        let (id, waits) = (incident.id, incident.stage == Stage::Waiting);
        seen.insert(id, incident.events);
        if waits {
            let (by, verb) = ("ann".to_owned(), Verb::Approve(None));
            let granted = server.handle.command(Command { incident: id, by, verb }).await?;
            if granted.is_ok() {
                // What was acknowledged is what the person now counts on.
                let read = server.handle.read(move |engine| engine.incident(id).cloned());
                if let Ok(Some(incident)) = read.await {
                    seen.insert(id, incident.events);
                }
            }
        }
    }
    Ok(over)
}

/// Everything that was ever shown must be there after the restart, in the same order.
async fn not_less_than(seen: &mut Seen, server: &Server) -> Result<(), String> {
    // The next engine may itself crash in its first turn; then there is nothing to compare yet.
    let Ok(incidents) = server.incidents().await else { return Ok(()) };
    for (id, events) in seen.iter() {
        let found = incidents.iter().find(|incident| incident.id == *id);
        let found = found.ok_or_else(|| format!("incident {id} is lost"))?;
        if !found.events.starts_with(events) {
            return Err(format!("what was shown of incident {id} is lost:\n{}", transcript(found)));
        }
    }
    Ok(())
}

/// Judges a run against the one without a crash.
fn judge(story: Story, calm: &Told, told: &Told) -> Result<(), String> {
    let [incident] = told.incidents.as_slice() else {
        let stories: Vec<_> = told.incidents.iter().map(transcript).collect();
        return Err(format!("not one incident:\n{}", stories.join("\n")));
    };
    let fail = |what: String| Err(format!("{what}:\n{}", transcript(incident)));
    if incident.ending != Some(Ending::Repaired) {
        return fail("it was not repaired".to_owned());
    }
    if told.changes != calm.changes || told.changes.len() != 1 {
        return fail(format!("the system was asked to {:?}", told.changes));
    }
    let late_max = calm.opened_after + (story.down + LOST_MAX) * told.crashes as u32;
    if told.opened_after > late_max {
        let after = told.opened_after.as_secs();
        return fail(format!("it fired {after} s after the fault, at most {late_max:?} expected"));
    }
    Ok(())
}

/// A crash at every commit, kept and not kept.
fn check(story: Story) {
    let calm = tell(story, &[]).expect("the story ends well without a crash");
    judge(story, &calm, &calm).expect("the story ends well without a crash");
    let crashes =
        (0..calm.commits).flat_map(|commit| [false, true].map(|written| Crash { commit, written }));
    let failures: Vec<_> = crashes
        .filter_map(|crash| {
            let result = tell(story, &[crash]).and_then(|told| match told.crashes {
                1 => judge(story, &calm, &told),
                _ => Err("the crash did not happen".to_owned()),
            });
            result.err().map(|reason| format!("{crash:?}: {reason}"))
        })
        .collect();
    let count = failures.len();
    assert!(count == 0, "{count} of {} runs:\n{}", 2 * calm.commits, failures.join("\n"));
}

const UNBOUND: Story = Story { kind: "opnsense", fault: "unbound-lost-pid", down: seconds(20) };

#[test]
fn a_service_is_restarted_once_whenever_the_machine_dies() {
    check(UNBOUND);
}

#[test]
fn a_tunnel_is_restarted_once_whenever_the_machine_dies() {
    check(Story { fault: "endpoint-unresolved", ..UNBOUND });
}

/// Every deadline of the story passes while nobody runs: none may be judged without a look.
#[test]
fn a_service_is_restarted_once_whenever_the_machine_is_down_for_long() {
    check(Story { down: seconds(1200), ..UNBOUND });
}

/// Machines that die again and again while they recover, a few commits apart.
#[test]
fn a_machine_that_keeps_dying_still_does_it_once() {
    let story = UNBOUND;
    let calm = tell(story, &[]).expect("the story ends well without a crash");
    for seed in 1..=20u64 {
        let mut random = Random(seed);
        let crash = || Crash { commit: random.below(8), written: random.below(2) == 1 };
        let crashes: Vec<_> = std::iter::repeat_with(crash).take(12).collect();
        let result = tell(story, &crashes).and_then(|told| judge(story, &calm, &told));
        if let Err(reason) = result {
            panic!("seed {seed}: {reason}");
        }
    }
}

/// A small generator of numbers, so that a seed always gives the same run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
