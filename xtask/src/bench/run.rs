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

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::engines::{Engine, RULE_INTERVAL_S};
use super::field::{Field, SLICE, keep, mebibytes};
use super::process::{Workshop, bytes_below};
use super::queries::{self, QUERIES};
use super::result::{EngineResult, SizeResult};
use super::rules::Rules;
use super::{SLOW_FROM, clock, say};

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
        let mut field = Field::new(engines, (self.series, self.interval_s), workshop)?;
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

/// CPU time of this process, exporters included.
fn own_cpu_seconds() -> f64 {
    super::process::cpu_seconds_of("self").unwrap_or(0.0)
}
