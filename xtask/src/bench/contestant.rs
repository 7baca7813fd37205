//! One engine of a run: its exporter, its processes while they run, and what it has shown.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::engines::{Engine, Setup, version};
use super::exporter::Exporter;
use super::process::{Memory, Process, Workshop, wait_until};
use super::queries;
use super::result::EngineResult;
use super::{backfill, clock, say};

/// How long an engine may take to answer after a start, and to be right after a restart.
const READY: Duration = Duration::from_secs(180);
/// How many scrape intervals an engine may take until it is in its stride.
const SCRAPES_LIMIT: u64 = 15;
/// What restart is proved on: a whole family at a moment before it.
const PROOF: &str = "count(opnsense_services_status)";

/// One engine.
pub struct Contestant {
    pub setup: Setup,
    pub exporter: Exporter,
    pub result: EngineResult,
    /// What scrapes and answers, and then what runs the rules, where that is another.
    processes: Vec<Process>,
    interval_s: u64,
    /// How many samples were sent besides those that were scraped.
    pub sent: u64,
    /// What it held when it had nothing to do.
    pub idle: u64,
}

impl Contestant {
    /// Makes its folder and its exporter; nothing runs yet.
    pub fn new(
        engine: Engine,
        program: PathBuf,
        (series, interval_s): (usize, u64),
        started: Instant,
        workshop: &Workshop,
    ) -> Result<Self> {
        let folder = workshop.folder(&format!("{}-{series}", engine.name()))?;
        let result = EngineResult { version: version(&program), ..EngineResult::default() };
        Ok(Self {
            setup: Setup::new(engine, program, folder)?,
            exporter: Exporter::start(series, started)?,
            result,
            processes: Vec::new(),
            interval_s,
            sent: 0,
            idle: 0,
        })
    }

    /// What its results are kept under.
    pub fn engine(&self) -> Engine {
        self.setup.engine
    }

    /// Keeps a figure.
    pub fn keep(&mut self, key: impl Into<String>, value: f64) {
        self.result.measures.insert(key.into(), value);
    }

    /// Keeps a word about a figure, or why there is none.
    pub fn note(&mut self, note: String) {
        say(&format!("{}: {note}", self.engine().name()));
        self.result.notes.push(note);
    }

    /// Starts it idle, sends it a day of samples, and starts it again with its targets, so that its
    /// memory is not charged with what taking the day left behind.
    pub fn begin(&mut self, workshop: &mut Workshop) -> Result<()> {
        self.setup.configure(&[], self.interval_s, &[])?;
        self.start(&[], workshop)?;
        self.idle = self.memory()?.resident;
        let token = self.setup.token();
        match backfill::send(self.setup.address, clock::unix_ms(), token.as_deref()) {
            Ok(samples) => self.sent = samples,
            Err(error) => self.note(format!("no day of samples: {error:#}")),
        }
        self.stop(workshop)?;
        self.start_with_targets(&[], workshop)
    }

    /// Starts it with its targets and these rule files.
    pub fn start_with_targets(&mut self, rules: &[PathBuf], workshop: &mut Workshop) -> Result<()> {
        self.setup.configure(&self.exporter.targets(), self.interval_s, rules)?;
        self.start(rules, workshop)
    }

    /// Starts it as it is configured, and waits until it answers.
    fn start(&mut self, rules: &[PathBuf], workshop: &mut Workshop) -> Result<()> {
        let log = self.setup.folder.join("log");
        let process = workshop.start(&mut self.setup.command(), &log)?;
        self.processes.push(process);
        let (setup, process) = (&self.setup, &mut self.processes[0]);
        wait_until(process, READY, || setup.is_ready()).context("start")?;
        if let Some(mut command) = self.setup.alerting_command(rules)? {
            self.processes.push(workshop.start(&mut command, &log)?);
        }
        Ok(())
    }

    /// Ends what runs, the last first. All of it has ended then, what failed to end by itself too.
    pub fn stop(&mut self, workshop: &mut Workshop) -> Result<()> {
        let mut ended = Ok(());
        while let Some(process) = self.processes.pop() {
            ended = ended.and(workshop.stop(process).context("stop"));
        }
        ended
    }

    /// Fails where a process has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Process::check)
    }

    /// CPU time of all its processes since they were started, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        self.processes.iter().map(Process::cpu_seconds).sum()
    }

    /// Memory of all its processes.
    pub fn memory(&self) -> Result<Memory> {
        let zero = Ok(Memory::default());
        self.processes.iter().map(Process::memory).fold(zero, |sum, memory| Ok(sum? + memory?))
    }

    /// How many scrapes there will have been when each target was scraped `times` times more.
    pub fn scrapes_after(&self, times: u64) -> u64 {
        self.exporter.scrapes() + times * self.exporter.targets().len() as u64
    }

    /// Waits until there were so many scrapes.
    pub fn wait_for_scrapes(&mut self, wanted: u64) -> Result<()> {
        let limit = Duration::from_secs(SCRAPES_LIMIT * self.interval_s);
        let (exporter, process) = (&self.exporter, &mut self.processes[0]);
        let waited = wait_until(process, limit, || exporter.scrapes() >= wanted);
        waited.context("wait for scrapes")?;
        Ok(())
    }

    /// What [`Self::restart`] is to find again: a number and its moment.
    pub fn proof(&mut self) -> Result<(f64, i64)> {
        let at = clock::unix_ms() - 1000;
        let count = queries::number(self.setup.address, PROOF, Some(at))?;
        anyhow::ensure!(count > 0.0, "there is nothing to be right about");
        Ok((count, at))
    }

    /// Stops and starts it `times` times without targets, so that only what it kept can answer; how
    /// long it took from each start to the right answer. It runs afterwards.
    pub fn restart(
        &mut self,
        (count, at): (f64, i64),
        times: usize,
        workshop: &mut Workshop,
    ) -> Result<Vec<Duration>> {
        self.setup.configure(&[], self.interval_s, &[])?;
        let mut took = Vec::new();
        for _ in 0..times {
            self.stop(workshop)?;
            let start = clock::now();
            let log = self.setup.folder.join("log");
            self.processes.push(workshop.start(&mut self.setup.command(), &log)?);
            let (address, process) = (self.setup.address, &mut self.processes[0]);
            let is_right =
                || queries::number(address, PROOF, Some(at)).is_ok_and(|after| after == count);
            wait_until(process, READY, is_right).context("be right again")?;
            took.push(start.elapsed());
        }
        Ok(took)
    }
}
