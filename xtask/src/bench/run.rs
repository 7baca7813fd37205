//! One engine, from its start to its last figure.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::engines::{Engine, RULE_INTERVAL_S, Rounds, Setup, version};
use super::exporter::Exporter;
use super::process::{Memory, Process, Workshop, bytes_below, wait_until};
use super::queries::{self, QUERIES};
use super::result::EngineResult;
use super::rules::Rules;
use super::{backfill, clock, progress};

/// How long an engine may take to answer after a start, and to be right after a restart.
const READY: Duration = Duration::from_secs(180);
/// How long one query is asked.
const QUERY_BUDGET: Duration = Duration::from_secs(8);
/// What restart is proved on: a whole family at a moment before it.
const PROOF: &str = "count(opnsense_services_status)";

/// What is done to one engine.
pub struct Plan {
    pub engine: Engine,
    pub program: PathBuf,
    pub series: usize,
    pub interval_s: u64,
    pub minutes: f64,
    pub corpus: PathBuf,
}

/// What a stretch of time cost.
struct Stretch {
    cpu_s_per_min: f64,
    samples_per_s: f64,
    steady: u64,
    rounds: Option<Rounds>,
}

impl Plan {
    /// Runs each set of rules; the first is `Rules::None`.
    pub fn measure(&self, sets: &[Rules], workshop: &mut Workshop) -> Result<EngineResult> {
        let mut result =
            EngineResult { version: version(&self.program), ..EngineResult::default() };
        for &rules in sets {
            progress(self.engine, &format!("rules: {}", rules.name()));
            let folder = workshop.folder(&format!("{}-{}", self.engine.name(), rules.name()))?;
            self.run(rules, folder.clone(), workshop, &mut result)?;
            // A day of many series is large; the next set does not need it.
            fs::remove_dir_all(folder)?;
        }
        Ok(result)
    }

    fn run(
        &self,
        rules: Rules,
        folder: PathBuf,
        workshop: &mut Workshop,
        result: &mut EngineResult,
    ) -> Result<()> {
        let log = folder.join("log");
        let setup = Setup::new(self.engine, self.program.clone(), folder)?;
        let exporter = Exporter::start(self.series)?;
        let (files, count) = rules.write(&setup.folder, &self.corpus, exporter.hosts())?;
        setup.configure(None, self.interval_s, &[])?;
        let mut process = workshop.start(&mut setup.command(), &log)?;
        wait_until(&mut process, READY, || setup.is_ready()).context("start")?;
        let idle = process.memory()?.resident;
        let mut sent = 0;
        if rules == Rules::None {
            progress(self.engine, "backfill");
            match backfill::send(setup.address, clock::unix_ms(), setup.token().as_deref()) {
                Ok(samples) => sent = samples,
                Err(error) => result.notes.push(format!("no day of samples: {error:#}")),
            }
        }
        setup.configure(Some(&exporter), self.interval_s, &files)?;
        // Started again rather than told to reload, so that no engine's memory is charged with what
        // taking the day left behind.
        workshop.stop(process).context("stop")?;
        process = workshop.start(&mut setup.command(), &log)?;
        wait_until(&mut process, READY, || setup.is_ready()).context("start with targets")?;
        if count > 0 {
            progress(self.engine, &format!("{count} rules"));
        }
        let stretch = self.watch(rules, &setup, &exporter, &mut process)?;
        self.keep(rules, &stretch, result);
        if rules == Rules::None {
            let memory = process.memory()?;
            let held = exporter.samples() + sent;
            self.keep_memory(memory, &stretch, idle, held, result);
            self.ask(&setup, result);
            let measures = &mut result.measures;
            let disk = bytes_below(&setup.data()) as f64;
            measures
                .insert("disk_bytes_per_sample".to_owned(), disk / exporter_total(&exporter, sent));
            process = self.restart(&setup, process, &log, workshop, result)?;
        }
        workshop.stop(process).context("stop")
    }

    /// Waits until scrapes and rules are in their stride, and watches for the time of the plan.
    fn watch(
        &self,
        rules: Rules,
        setup: &Setup,
        exporter: &Exporter,
        process: &mut Process,
    ) -> Result<Stretch> {
        let targets = exporter.targets().len() as u64;
        let limit = Duration::from_secs(20 * self.interval_s);
        let warm = exporter.scrapes() + 3 * targets;
        wait_until(process, limit, || exporter.scrapes() >= warm).context("wait for scrapes")?;
        if rules != Rules::None {
            // Groups start anywhere within their interval.
            clock::pause(Duration::from_secs(RULE_INTERVAL_S));
        }
        progress(self.engine, &format!("watched for {} s", self.minutes * 60.0));
        let (cpu, samples, rounds) = (process.cpu_seconds()?, exporter.samples(), setup.rounds());
        let start = clock::now();
        let mut resident = Vec::new();
        while start.elapsed().as_secs_f64() < self.minutes * 60.0 {
            clock::pause(Duration::from_secs(1));
            process.check()?;
            resident.push(process.memory()?.resident);
        }
        let (cpu, seconds) = (process.cpu_seconds()? - cpu, start.elapsed().as_secs_f64());
        resident.sort_unstable();
        let since = |now: Rounds, then: Rounds| Rounds {
            seconds: now.seconds - then.seconds,
            groups: now.groups - then.groups,
            missed: now.missed - then.missed,
        };
        Ok(Stretch {
            cpu_s_per_min: cpu / seconds * 60.0,
            samples_per_s: (exporter.samples() - samples) as f64 / seconds,
            steady: resident.get(resident.len() / 2).copied().unwrap_or_default(),
            rounds: setup.rounds().zip(rounds).map(|(now, then)| since(now, then)),
        })
    }

    fn keep(&self, rules: Rules, stretch: &Stretch, result: &mut EngineResult) {
        let name = rules.name();
        let mut keep = |key: &str, value: f64| {
            result.measures.insert(format!("{name}.{key}"), value);
        };
        keep("cpu_s_per_min", stretch.cpu_s_per_min);
        keep("memory_steady_mib", mebibytes(stretch.steady));
        if rules == Rules::None {
            let per_second = stretch.cpu_s_per_min / 60.0;
            if per_second > 0.0 {
                let ingest = stretch.samples_per_s / per_second;
                result.measures.insert("ingest_samples_per_cpu_second".to_owned(), ingest);
            }
            return;
        }
        match stretch.rounds {
            Some(rounds) => {
                let rounds_of_all = self.minutes * 60.0 / RULE_INTERVAL_S as f64;
                keep("eval_s_per_round", rounds.seconds / rounds_of_all);
                keep("missed", rounds.missed);
            }
            None => result.notes.push(format!(
                "{name} rules: no metric tells how long rounds take or which were missed \
                 (prometheus_rule_group_duration_seconds, \
                 prometheus_rule_group_iterations_missed_total); CPU time stands for it"
            )),
        }
        if let Some(without) = result.measures.get("none.cpu_s_per_min") {
            let evaluation = stretch.cpu_s_per_min - without;
            result.measures.insert(format!("{name}.eval_cpu_s_per_min"), evaluation);
        }
    }

    fn keep_memory(
        &self,
        memory: Memory,
        stretch: &Stretch,
        idle: u64,
        samples: u64,
        result: &mut EngineResult,
    ) {
        let mut keep = |key: &str, value: f64| {
            result.measures.insert(key.to_owned(), value);
        };
        keep("memory_steady_mib", mebibytes(stretch.steady));
        keep("memory_proportional_mib", mebibytes(memory.proportional));
        keep("memory_peak_mib", mebibytes(memory.peak));
        let above = stretch.steady.saturating_sub(idle) as f64;
        keep("memory_bytes_per_sample", above / samples.max(1) as f64);
    }

    fn ask(&self, setup: &Setup, result: &mut EngineResult) {
        for query in &QUERIES {
            progress(self.engine, &format!("query {}", query.name));
            match queries::measure(setup.address, query, QUERY_BUDGET) {
                Ok(latency) => {
                    let mut keep = |what: &str, value: f64| {
                        result.measures.insert(format!("query.{}.{what}", query.name), value);
                    };
                    keep("p50_ms", latency.p50.as_secs_f64() * 1e3);
                    keep("p99_ms", latency.p99.as_secs_f64() * 1e3);
                    keep("rows", latency.rows as f64);
                }
                Err(error) => result.notes.push(format!("query `{}`: {error:#}", query.name)),
            }
        }
    }

    /// Stops the process and starts it again without targets, so that only what it kept can answer.
    fn restart(
        &self,
        setup: &Setup,
        process: Process,
        log: &std::path::Path,
        workshop: &mut Workshop,
        result: &mut EngineResult,
    ) -> Result<Process> {
        progress(self.engine, "restart");
        let at = clock::unix_ms() - 1000;
        let before = queries::number(setup.address, PROOF, Some(at));
        workshop.stop(process).context("stop")?;
        setup.configure(None, self.interval_s, &[])?;
        let start = clock::now();
        let mut process = workshop.start(&mut setup.command(), log)?;
        let before = match before {
            Ok(before) if before > 0.0 => before,
            Ok(_) => {
                result.notes.push("restart: there was nothing to be right about".to_owned());
                return Ok(process);
            }
            Err(error) => {
                result.notes.push(format!("restart: {error:#}"));
                return Ok(process);
            }
        };
        let is_right =
            || queries::number(setup.address, PROOF, Some(at)).is_ok_and(|after| after == before);
        match wait_until(&mut process, READY, is_right) {
            Ok(_) => {
                let seconds = start.elapsed().as_secs_f64();
                result.measures.insert("restart_s".to_owned(), seconds);
            }
            Err(error) => result.notes.push(format!("restart: {error:#}")),
        }
        Ok(process)
    }
}

fn exporter_total(exporter: &Exporter, sent: u64) -> f64 {
    (exporter.samples() + sent).max(1) as f64
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
