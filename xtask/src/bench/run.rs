//! One size, from the start of its engines to their last figures.
//!
//! ```text
//! day sent --> watched without rules --> asked by turns --> restarted --> watched with each set of rules
//! ```
//!
//! Up to [`SLOW_FROM`](super::SLOW_FROM) series the engines run side by side, so that they are measured
//! under the same conditions at the same time; from there on, and under the largest set of rules, which
//! fills the machine for some, one after the other. Ours is first then: the others have a gap in their
//! samples by their turn, and less to read.
//!
//! An engine that fails keeps what it has shown, with a note, and is out of the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::contestant::Contestant;
use super::engines::{Engine, RULE_INTERVAL_S};
use super::process::{Workshop, bytes_below};
use super::queries::{self, QUERIES};
use super::result::{EngineResult, SizeResult};
use super::rules::Rules;
use super::scrape::Rounds;
use super::{SLOW_FROM, clock, say};

/// What CPU time is taken over before the middle of it is: each group of rules once.
const SLICE: Duration = Duration::from_secs(RULE_INTERVAL_S);
/// CPU time is counted in hundredths of a second: nothing below one a minute can be told apart.
const CPU_TICK_S: f64 = 0.01;
/// How long an engine may settle after a restart before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(5);

/// What is done at one size.
pub struct Plan {
    pub series: usize,
    pub interval_s: u64,
    pub engines: Vec<(Engine, PathBuf)>,
    pub sets: Vec<Rules>,
    /// How long it is watched without rules: queries over five minutes want as much.
    pub minutes_idle: f64,
    /// How long each set of rules is watched.
    pub minutes_rules: f64,
    /// How long one query is asked of one engine at most.
    pub query_budget: Duration,
    pub restarts: usize,
    pub corpus: PathBuf,
}

/// What a stretch of time cost one engine.
struct Stretch {
    cpu_s_per_min: f64,
    samples_per_s: f64,
    steady: u64,
    peak: u64,
    rounds: Option<Rounds>,
    seconds: f64,
}

impl Plan {
    /// Measures all engines.
    pub fn measure(&self, workshop: &mut Workshop) -> Result<SizeResult> {
        let mut engines = BTreeMap::new();
        if self.series >= SLOW_FROM {
            for one in &self.engines {
                engines.extend(self.measure_beside(std::slice::from_ref(one), workshop)?);
            }
        } else {
            engines = self.measure_beside(&self.engines, workshop)?;
        }
        Ok(SizeResult {
            series: self.series,
            scrape_interval_s: self.interval_s,
            rule_interval_s: RULE_INTERVAL_S,
            minutes_idle: self.minutes_idle,
            minutes_rules: self.minutes_rules,
            side_by_side: self.series < SLOW_FROM && self.engines.len() > 1,
            engines,
        })
    }

    fn measure_beside(
        &self,
        engines: &[(Engine, PathBuf)],
        workshop: &mut Workshop,
    ) -> Result<BTreeMap<String, EngineResult>> {
        let names: Vec<_> = engines.iter().map(|(engine, _)| engine.name()).collect();
        say(&format!("{} series: {}", self.series, names.join(", ")));
        let started = clock::now();
        let size = (self.series, self.interval_s);
        let new = |(engine, program): &(Engine, PathBuf)| {
            Contestant::new(*engine, program.clone(), size, started, workshop)
        };
        let all = engines.iter().map(new).collect::<Result<Vec<_>>>()?;
        let mut field = Field { running: all, done: BTreeMap::new() };
        field.each(workshop, |contestant, workshop| contestant.begin(workshop));
        self.watch_idle(&mut field, workshop);
        self.ask(&mut field);
        self.restart(&mut field, workshop);
        for &rules in self.sets.iter().filter(|rules| **rules != Rules::None) {
            if rules == Rules::Generated {
                for (engine, _) in engines {
                    self.watch_rules(rules, &mut field, Some(*engine), workshop);
                }
            } else {
                self.watch_rules(rules, &mut field, None, workshop);
            }
        }
        Ok(field.finish(workshop))
    }

    fn watch_idle(&self, field: &mut Field, workshop: &mut Workshop) {
        field.warm(3, None, workshop);
        say(&format!("without rules, {} min", self.minutes_idle));
        let before = own_cpu_seconds();
        let stretches = field.watch(self.minutes_idle, None, workshop);
        let exporting = (own_cpu_seconds() - before) / self.minutes_idle;
        for (contestant, stretch) in stretches {
            keep(contestant, Rules::None, &stretch);
            contestant.keep("memory_steady_mib", mebibytes(stretch.steady));
            let samples = (contestant.exporter.samples() + contestant.sent).max(1) as f64;
            let above = stretch.steady.saturating_sub(contestant.idle) as f64;
            contestant.keep("memory_bytes_per_sample", above / samples);
            let disk = bytes_below(&contestant.setup.data()) as f64;
            contestant.keep("disk_bytes_per_sample", disk / samples);
            contestant.keep("memory_peak_mib", mebibytes(stretch.peak));
            let proportional = contestant.memory().unwrap_or_default().proportional;
            contestant.keep("memory_proportional_mib", mebibytes(proportional));
        }
        say(&format!("the exporters of all took {exporting:.2} CPU s a minute, counted to none"));
    }

    fn ask(&self, field: &mut Field) {
        let addresses: Vec<_> = field.running.iter().map(|c| c.setup.address).collect();
        for query in &QUERIES {
            say(&format!("query {}", query.name));
            let answers = queries::measure(&addresses, query, self.query_budget);
            for (contestant, answer) in field.running.iter_mut().zip(answers) {
                match answer {
                    Ok(latency) => {
                        let ms = |time: Duration| time.as_secs_f64() * 1e3;
                        let key = |what: &str| format!("query.{}.{what}", query.name);
                        contestant.keep(key("p50_ms"), ms(latency.p50));
                        contestant.keep(key("p99_ms"), ms(latency.p99));
                        contestant.keep(key("rows"), latency.rows as f64);
                        contestant.keep(key("count"), latency.count as f64);
                        if let Some(inner) = latency.inner {
                            contestant.keep(key("inner_ms"), ms(inner));
                        }
                    }
                    Err(error) => contestant.note(format!("query `{}`: {error:#}", query.name)),
                }
            }
        }
    }

    /// One after the other, the rest stopped.
    fn restart(&self, field: &mut Field, workshop: &mut Workshop) {
        say("restart");
        let mut proofs = Vec::new();
        field.each(workshop, |contestant, workshop| {
            proofs.push((contestant.engine(), contestant.proof()?));
            contestant.stop(workshop)
        });
        field.each(workshop, |contestant, workshop| {
            let proof = proofs.iter().find(|(engine, _)| *engine == contestant.engine());
            let (_, proof) = proof.context("nothing to be right about")?;
            let mut took = contestant.restart(*proof, self.restarts, workshop)?;
            let median = queries::percentile(&mut took, 0.5);
            contestant.keep("restart_s", median.as_secs_f64());
            clock::pause(SETTLE);
            let resident = contestant.memory()?.resident;
            contestant.keep("memory_restarted_mib", mebibytes(resident));
            contestant.stop(workshop)
        });
    }

    /// All at once, or only one.
    fn watch_rules(
        &self,
        rules: Rules,
        field: &mut Field,
        only: Option<Engine>,
        workshop: &mut Workshop,
    ) {
        let name = rules.name();
        field.each_of(only, workshop, |contestant, workshop| {
            let (folder, hosts) = (&contestant.setup.folder, contestant.exporter.hosts());
            let (files, count) = rules.write(folder, &self.corpus, hosts)?;
            let engine = contestant.engine().name();
            say(&format!("{engine}: {count} rules, {} min", self.minutes_rules));
            contestant.keep(format!("{name}.rules"), count as f64);
            contestant.start_with_targets(&files, workshop)
        });
        field.warm(1, only, workshop);
        // Groups start anywhere within their interval, and some only once all targets were scraped.
        clock::pause(SLICE);
        for (contestant, stretch) in field.watch(self.minutes_rules, only, workshop) {
            keep(contestant, rules, &stretch);
        }
        field.each_of(only, workshop, |contestant, workshop| {
            // One that is too busy to end in time has shown its figures all the same.
            if let Err(error) = contestant.stop(workshop) {
                contestant.note(format!("{name} rules: {error:#}"));
            }
            Ok(())
        });
    }
}

/// The engines that are still in, and the results of those that are not.
struct Field {
    running: Vec<Contestant>,
    done: BTreeMap<String, EngineResult>,
}

impl Field {
    /// Does `work` with each; one that fails is out.
    fn each(
        &mut self,
        workshop: &mut Workshop,
        work: impl FnMut(&mut Contestant, &mut Workshop) -> Result<()>,
    ) {
        self.each_of(None, workshop, work);
    }

    /// Does `work` with each, or with only one; one that fails is out.
    fn each_of(
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
    fn warm(&mut self, times: u64, only: Option<Engine>, workshop: &mut Workshop) {
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
    fn watch(
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

    fn finish(mut self, workshop: &mut Workshop) -> BTreeMap<String, EngineResult> {
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
fn keep(contestant: &mut Contestant, rules: Rules, stretch: &Stretch) {
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

/// CPU time of this process, exporters included.
fn own_cpu_seconds() -> f64 {
    super::process::cpu_seconds_of("self").unwrap_or(0.0)
}

fn mebibytes(bytes: u64) -> f64 {
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
