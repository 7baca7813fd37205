//! `cargo xtask bench`: the engine against the real ones, on loopback, fed the same.
//!
//! ```text
//! exporter --scrapes--> engine (one at a time) <--queries-- measure --> table, benches/results
//! ```
//!
//! Each engine runs once per set of rules, in an empty folder. The first run also backfills a day,
//! asks the queries, and restarts. An engine that cannot do a part has no figure there and a note;
//! the rest is measured all the same.

mod backfill;
mod clock;
mod engines;
mod exporter;
mod http;
mod process;
mod queries;
mod report;
mod result;
mod rules;
mod run;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use self::engines::{Engine, RULE_INTERVAL_S};
use self::process::Workshop;
use self::result::ResultFile;
use self::rules::Rules;
use crate::root;

/// From so many series on, scrapes come every 15 s rather than every 5 s.
const SLOW_FROM: usize = 1_000_000;

/// What to measure.
#[derive(Subcommand)]
pub enum BenchTask {
    /// Compare ours with Prometheus over HTTP: latency, CPU time, memory, disk, restart.
    ///
    /// Example: cargo xtask bench engine --series 10000 --minutes 2
    Engine(EngineArgs),
    /// Time expressions in process, without HTTP and scrapes.
    Promql,
    /// Write docs/performance.md from the newest result files.
    Report,
}

/// Settings of a run.
#[derive(Args)]
pub struct EngineArgs {
    /// How many series the exporter has.
    #[arg(long, default_value_t = 100_000)]
    series: usize,
    /// How long each set of rules is looked at.
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// Sets of rules; `none` is always first.
    #[arg(long, value_delimiter = ',', default_values = ["none", "960", "2960"])]
    rules: Vec<Rules>,
    /// One engine; else all that are here.
    #[arg(long)]
    only: Option<Engine>,
    /// 2,000 series, half a minute, `none` and `960`: does it work at all? Not kept as a result.
    #[arg(long, conflicts_with_all = ["series", "minutes", "rules"])]
    quick: bool,
    /// Our program, already built.
    #[arg(long, value_name = "PATH")]
    ours: Option<PathBuf>,
    /// Do not build ours first.
    #[arg(long)]
    no_build: bool,
    /// A folder of published rule files.
    #[arg(long, value_name = "FOLDER")]
    corpus: Option<PathBuf>,
    /// Where the result goes, instead of benches/results.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs a task.
pub fn run(task: BenchTask) -> Result<()> {
    let results = root().join("benches/results");
    match task {
        BenchTask::Engine(args) => engine(args, &results),
        BenchTask::Promql => {
            let example = ["run", "--release", "-p", "paramedic-promql", "--example"];
            crate::run("cargo", &[&example[..], &["columnar_bench"]].concat())
        }
        BenchTask::Report => report::write(&results, &root().join("docs/performance.md")),
    }
}

fn engine(mut args: EngineArgs, results: &Path) -> Result<()> {
    if args.quick {
        (args.series, args.minutes) = (2_000, 0.5);
        args.rules = vec![Rules::None, Rules::Published];
    }
    if args.series == 0 || !args.minutes.is_finite() || args.minutes < 0.25 {
        bail!("--series must be at least 1, and --minutes at least 0.25: one round of the rules");
    }
    args.rules.retain(|rules| *rules != Rules::None);
    args.rules.insert(0, Rules::None);
    let interval_s = if args.series >= SLOW_FROM { 15 } else { 5 };
    let corpus = args.corpus.clone().unwrap_or_else(|| root().join("../shared/corpus"));
    let mut file = ResultFile::new(args.series, interval_s, RULE_INTERVAL_S, args.minutes);
    let mut workshop = Workshop::open()?;
    let all = [Engine::Ours, Engine::Prometheus, Engine::Victoria];
    for engine in all.into_iter().filter(|engine| args.only.is_none_or(|only| only == *engine)) {
        if let Some(reason) = engine.absent() {
            eprintln!("bench: {} is left out: {reason}", engine.name());
            continue;
        }
        let plan = run::Plan {
            engine,
            program: program(engine, &args)?,
            series: args.series,
            interval_s,
            minutes: args.minutes,
            corpus: corpus.clone(),
        };
        let measured = plan.measure(&args.rules, &mut workshop);
        let measured = measured.with_context(|| format!("could not measure {}", engine.name()))?;
        file.engines.insert(engine.name().to_owned(), measured);
    }
    if file.engines.is_empty() {
        bail!("no engine was measured");
    }
    note_differences(&mut file);
    println!("{}", table::render(&file));
    for (name, engine) in &file.engines {
        for note in &engine.notes {
            println!("{name}: {note}");
        }
    }
    match args.out {
        Some(path) => file.save(&path),
        None if args.quick => Ok(()),
        None => {
            let path = file.path(results);
            file.save(&path)
        }
    }
}

fn program(engine: Engine, args: &EngineArgs) -> Result<PathBuf> {
    if engine != Engine::Ours {
        return Ok(engine.name().into());
    }
    if let Some(path) = &args.ours {
        return path.canonicalize().with_context(|| path.display().to_string());
    }
    if !args.no_build {
        crate::run("cargo", &["build", "--release", "-p", "paramedic"])?;
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let path = root().join(target).join("release/paramedic");
    if !path.is_file() {
        bail!("{} is not there: leave out --no-build, or name it with --ours", path.display());
    }
    Ok(path)
}

/// Figures of answers that differ are worth nothing: says so.
fn note_differences(file: &mut ResultFile) {
    let rows = |file: &ResultFile, name: &str, query: &str| {
        file.engines.get(name)?.measures.get(&format!("query.{query}.rows")).copied()
    };
    for query in &queries::QUERIES {
        let both = rows(file, "ours", query.name).zip(rows(file, "prometheus", query.name));
        if let Some((ours, theirs)) = both.filter(|(ours, theirs)| ours != theirs) {
            let note = format!("`{}` has {ours} elements here, {theirs} in Prometheus", query.name);
            if let Some(engine) = file.engines.get_mut("ours") {
                engine.notes.push(note);
            }
        }
    }
}

/// Says on standard error what happens now.
fn progress(engine: Engine, what: &str) {
    eprintln!("bench: {}: {what}", engine.name());
}
