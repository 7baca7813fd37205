//! The engines of a run side by side, and how they are watched.
//!
//! An engine that fails keeps what it has shown, with a note, and is out of the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::clock;
use super::contestant::Contestant;
use super::engines::{Engine, RULE_INTERVAL_S};
use super::process::Workshop;
use super::result::EngineResult;
use super::rules::Rules;
use super::scrape::Rounds;

/// What CPU time is taken over before the middle of it is: each group of rules once.
pub const SLICE: Duration = Duration::from_secs(RULE_INTERVAL_S);
/// CPU time is counted in hundredths of a second: nothing below one a minute can be told apart.
const CPU_TICK_S: f64 = 0.01;

/// What a stretch of time cost one engine.
pub struct Stretch {
    cpu_s_per_min: f64,
    samples_per_s: f64,
    pub steady: u64,
    pub peak: u64,
    rounds: Option<Rounds>,
    seconds: f64,
}

/// The engines that are still in, and the results of those that are not.
pub struct Field {
    pub running: Vec<Contestant>,
    done: BTreeMap<String, EngineResult>,
}

impl Field {
    /// Makes folder and exporter of each engine; nothing runs yet.
    pub fn new(
        engines: &[(Engine, PathBuf)],
        size: (usize, u64),
        workshop: &Workshop,
    ) -> Result<Self> {
        let started = clock::now();
        let new = |(engine, program): &(Engine, PathBuf)| {
            Contestant::new(*engine, program.clone(), size, started, workshop)
        };
        let running = engines.iter().map(new).collect::<Result<_>>()?;
        Ok(Self { running, done: BTreeMap::new() })
    }

    /// Does `work` with each; one that fails is out.
    pub fn each(
        &mut self,
        workshop: &mut Workshop,
        work: impl FnMut(&mut Contestant, &mut Workshop) -> Result<()>,
    ) {
        self.each_of(None, workshop, work);
    }

    /// Does `work` with each, or with only one; one that fails is out.
    pub fn each_of(
        &mut self,
        only: Option<Engine>,
        workshop: &mut Workshop,
        mut work: impl FnMut(&mut Contestant, &mut Workshop) -> Result<()>,
    ) {
        let mut running = Vec::new();
        for mut contestant in std::mem::take(&mut self.running) {
            let is_meant = only.is_none_or(|only| only == contestant.engine());
            match if is_meant { work(&mut contestant, workshop) } else { Ok(()) } {
                Ok(()) => running.push(contestant),
                Err(error) => self.leave(contestant, &format!("{error:#}"), workshop),
            }
        }
        self.running = running;
    }

    /// Waits until each target of all, or of only one, was scraped `times` times more.
    pub fn warm(&mut self, times: u64, only: Option<Engine>, workshop: &mut Workshop) {
        let wanted: Vec<_> = self.running.iter().map(|c| c.scrapes_after(times)).collect();
        let mut wanted = wanted.into_iter();
        let is_meant = |engine| only.is_none_or(|only| only == engine);
        self.each(workshop, |contestant, _| match wanted.next() {
            Some(wanted) if is_meant(contestant.engine()) => contestant.wait_for_scrapes(wanted),
            _ => Ok(()),
        });
    }

    fn leave(&mut self, mut contestant: Contestant, why: &str, workshop: &mut Workshop) {
        contestant.note(format!("is out: {why}"));
        self.part(contestant, workshop);
    }

    /// Keeps the result, and nothing on disk: a day of many series is large.
    fn part(&mut self, mut contestant: Contestant, workshop: &mut Workshop) {
        // It may have ended already, which may be why it leaves; what remains goes with the workshop.
        let _ = contestant.stop(workshop);
        let _ = fs::remove_dir_all(&contestant.setup.folder);
        self.done.insert(contestant.engine().name().to_owned(), contestant.result);
    }

    /// Watches all, or only one.
    pub fn watch(
        &mut self,
        minutes: f64,
        only: Option<Engine>,
        workshop: &mut Workshop,
    ) -> Vec<(&mut Contestant, Stretch)> {
        let mut watches: Vec<_> = self.running.iter().map(|_| Watch::new()).collect();
        let is_meant = |c: &Contestant| only.is_none_or(|only| only == c.engine());
        let start = clock::now();
        while start.elapsed().as_secs_f64() < minutes * 60.0 {
            let both = self.running.iter_mut().zip(&mut watches);
            both.filter(|(c, _)| is_meant(c))
                .for_each(|(contestant, watch)| watch.look(contestant));
            clock::pause(Duration::from_secs(1));
        }
        let (mut ended, mut watches) = (Vec::new(), watches.into_iter());
        self.each(workshop, |contestant, _| {
            let watch = watches.next().filter(|_| is_meant(contestant));
            ended.push(watch.map(|watch| watch.end(contestant)).transpose()?);
            Ok(())
        });
        // Who is out has pushed nothing.
        let both = self.running.iter_mut().zip(ended);
        both.filter_map(|(contestant, stretch)| Some((contestant, stretch?))).collect()
    }

    /// Stops all, and gives what everyone has shown.
    pub fn finish(mut self, workshop: &mut Workshop) -> BTreeMap<String, EngineResult> {
        for contestant in std::mem::take(&mut self.running) {
            self.part(contestant, workshop);
        }
        self.done
    }
}

/// One engine while it is watched.
struct Watch {
    begun: Option<Begun>,
    slice: Option<(Instant, f64)>,
    cpu_s_per_min: Vec<f64>,
    resident: Vec<u64>,
    failure: Option<anyhow::Error>,
}

struct Begun {
    at: Instant,
    cpu: f64,
    samples: u64,
    rounds: Option<Rounds>,
}

impl Watch {
    fn new() -> Self {
        let (cpu_s_per_min, resident) = (Vec::new(), Vec::new());
        Self { begun: None, slice: None, cpu_s_per_min, resident, failure: None }
    }

    /// Once a second.
    fn look(&mut self, contestant: &mut Contestant) {
        if self.failure.is_none() {
            self.failure = self.try_look(contestant).err();
        }
    }

    fn try_look(&mut self, contestant: &mut Contestant) -> Result<()> {
        contestant.check()?;
        if self.begun.is_none() {
            // Before the first slice: telling of itself is work, too.
            let rounds = contestant.setup.rounds();
            let (at, cpu) = (clock::now(), contestant.cpu_seconds()?);
            let samples = contestant.exporter.samples();
            self.begun = Some(Begun { at, cpu, samples, rounds });
            self.slice = Some((at, cpu));
        }
        self.resident.push(contestant.memory()?.resident);
        if let Some((since, then)) = self.slice
            && since.elapsed() >= SLICE
        {
            let (now, cpu) = (clock::now(), contestant.cpu_seconds()?);
            self.cpu_s_per_min.push((cpu - then) / (now - since).as_secs_f64() * 60.0);
            self.slice = Some((now, cpu));
        }
        Ok(())
    }

    fn end(mut self, contestant: &mut Contestant) -> Result<Stretch> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let Some(begun) = self.begun else { bail!("it was not watched") };
        let seconds = begun.at.elapsed().as_secs_f64();
        let whole = (contestant.cpu_seconds()? - begun.cpu) / seconds * 60.0;
        let samples = contestant.exporter.samples() - begun.samples;
        let rounds = contestant.setup.rounds().zip(begun.rounds);
        self.resident.sort_unstable();
        Ok(Stretch {
            cpu_s_per_min: middle(&mut self.cpu_s_per_min).unwrap_or(whole),
            samples_per_s: samples as f64 / seconds,
            steady: self.resident.get(self.resident.len() / 2).copied().unwrap_or_default(),
            peak: contestant.memory()?.peak,
            rounds: rounds.map(|(now, then)| now.since(then)),
            seconds,
        })
    }
}

/// The mean of the middle half: what happens once does not move it, and it is finer than the ticks
/// that CPU time is counted in.
fn middle(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let quarter = values.len() / 4;
    let half = values.get(quarter..values.len() - quarter).filter(|half| !half.is_empty())?;
    Some(half.iter().sum::<f64>() / half.len() as f64)
}

/// Keeps what a stretch under `rules` has shown.
pub fn keep(contestant: &mut Contestant, rules: Rules, stretch: &Stretch) {
    let name = rules.name();
    contestant.keep(format!("{name}.cpu_s_per_min"), stretch.cpu_s_per_min);
    contestant.keep(format!("{name}.memory_steady_mib"), mebibytes(stretch.steady));
    contestant.keep(format!("{name}.memory_peak_mib"), mebibytes(stretch.peak));
    if rules == Rules::None {
        if stretch.cpu_s_per_min > 0.0 {
            let ingest = stretch.samples_per_s / (stretch.cpu_s_per_min / 60.0);
            contestant.keep("ingest_samples_per_cpu_second", ingest);
        }
        return;
    }
    contestant.keep(format!("{name}.cores"), stretch.cpu_s_per_min / 60.0);
    match stretch.rounds {
        Some(rounds) => {
            let count = stretch.seconds / RULE_INTERVAL_S as f64;
            contestant.keep(format!("{name}.eval_s_per_round"), rounds.seconds / count);
            contestant.keep(format!("{name}.missed"), rounds.missed);
            contestant.keep(format!("{name}.failed_per_round"), rounds.failures / count);
        }
        None => contestant.note(format!(
            "{name} rules: no metric tells how long rounds take or which were missed"
        )),
    }
    if let Some(without) = contestant.result.measures.get("none.cpu_s_per_min") {
        let evaluation = (stretch.cpu_s_per_min - without).max(CPU_TICK_S);
        contestant.keep(format!("{name}.eval_cpu_s_per_min"), evaluation);
    }
}

/// In mebibytes.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_middle_half_leaves_out_what_is_odd() {
        assert_eq!(super::middle(&mut []), None);
        assert_eq!(super::middle(&mut [3.0]), Some(3.0));
        assert_eq!(super::middle(&mut [900.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(super::middle(&mut [5.0, 1.0, 2.0, 3.0, 900.0, -7.0, 4.0, 0.0]), Some(2.5));
    }
}
