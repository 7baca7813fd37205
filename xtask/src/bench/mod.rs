//! `cargo xtask bench`: the engine against the real ones, on loopback, fed the same.
//!
//! ```text
//! exporter --scrapes--> engines (side by side) <--queries-- measure --> table, benches/results
//! ```
//!
//! An engine that cannot do a part has no figure there and a note; the rest is measured all the same.
//! What a size goes through stands in `run`, the bar in `bar`, what is measured in `table`.

mod alerts;
mod backfill;
mod bar;
mod clock;
mod contestant;
mod delay;
mod engines;
mod exporter;
mod field;
mod http;
mod inprocess;
mod process;
mod queries;
mod report;
mod result;
mod rules;
mod run;
mod scrape;
mod table;
mod target;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use self::bar::BAR_SERIES;
use self::engines::Engine;
use self::process::Workshop;
use self::result::{ResultFile, SizeResult};
use self::rules::Rules;
use crate::root;

/// From so many series on, scrapes come every 15 s rather than every 5 s, and engines run one at a time.
const SLOW_FROM: usize = 1_000_000;

/// What to measure.
#[derive(Subcommand)]
pub enum BenchTask {
    /// Compare ours with Prometheus and VictoriaMetrics: latency, CPU time, memory, disk, restart.
    ///
    /// Takes 10,000, 100,000 and 1,000,000 series in about 40 minutes on two cores; the bar is judged
    /// at 100,000. Measure on a machine that does nothing else.
    ///
    /// Example: cargo xtask bench engine --series 100000
    Engine(EngineArgs),
    /// Compare ours with Prometheus under 5,000 rules with 10,000 firing alerts, and how late alerts are.
    ///
    /// Takes about six minutes; measure on a machine that does nothing else.
    ///
    /// Example: cargo xtask bench rules
    Rules(RulesArgs),
    /// Time expressions in process, without HTTP and scrapes.
    Promql,
    /// Write docs/performance.md from the newest result file.
    Report,
}

/// Settings of a run.
#[derive(Args)]
pub struct EngineArgs {
    /// How many series the exporter has.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    series: Vec<usize>,
    /// How long each set of rules is watched, in minutes; else as the number of series asks for.
    #[arg(long)]
    minutes: Option<f64>,
    /// How long engines are watched without rules before they are asked, in minutes; else as the
    /// number of series asks for.
    #[arg(long)]
    minutes_idle: Option<f64>,
    /// Sets of rules; `none` is always first. Else all, and only the smaller one at 1,000,000 series.
    #[arg(long, value_delimiter = ',')]
    rules: Vec<Rules>,
    /// Only these engines; else all that are here.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Engine>,
    /// 2,000 series, half a minute, `none` and `960`: does it work at all? Not kept as a result.
    #[arg(long, conflicts_with_all = ["series", "minutes", "minutes_idle", "rules"])]
    quick: bool,
    #[command(flatten)]
    program: OurProgram,
    /// A folder of published rule files.
    #[arg(long, value_name = "FOLDER")]
    corpus: Option<PathBuf>,
    /// Where the result goes, instead of benches/results.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Settings of a run with many rules.
#[derive(Args)]
pub struct RulesArgs {
    /// How long the rules are watched, in minutes.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Only these engines; else ours and Prometheus.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Engine>,
    #[command(flatten)]
    program: OurProgram,
    /// Where the result goes, instead of benches/results.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which program of ours is measured.
#[derive(Args)]
struct OurProgram {
    /// Our program, already built.
    #[arg(long, value_name = "PATH")]
    ours: Option<PathBuf>,
    /// Do not build ours first.
    #[arg(long)]
    no_build: bool,
}

/// How long things take at one size.
#[derive(Clone, Copy)]
struct Pace {
    minutes_idle: f64,
    minutes_rules: f64,
    query_budget_s: u64,
    restarts: usize,
}

/// What makes the whole of the default run fit into about 40 minutes. At the size of the bar the
/// time without rules fills the windows of five minutes that queries look at.
fn pace(series: usize) -> Pace {
    let quick = Pace { minutes_idle: 0.5, minutes_rules: 0.5, query_budget_s: 2, restarts: 1 };
    let small = Pace { minutes_idle: 1.0, minutes_rules: 1.0, query_budget_s: 6, restarts: 5 };
    match series {
        0..10_000 => quick,
        10_000..BAR_SERIES => small,
        BAR_SERIES..SLOW_FROM => {
            Pace { minutes_idle: 5.0, minutes_rules: 1.5, query_budget_s: 15, restarts: 5 }
        }
        _ => Pace { minutes_idle: 1.5, minutes_rules: 1.0, query_budget_s: 6, restarts: 1 },
    }
}

/// Runs a task.
pub fn run(task: BenchTask) -> Result<()> {
    let results = root().join("benches/results");
    match task {
        BenchTask::Engine(args) => engine(args, &results),
        BenchTask::Rules(args) => many_rules(&args, &results),
        BenchTask::Promql => {
            let command = inprocess::command(&[]);
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            crate::run("cargo", &command)
        }
        BenchTask::Report => report::write(&results, &root().join("docs/performance.md")),
    }
}

fn engine(mut args: EngineArgs, results: &Path) -> Result<()> {
    if args.quick {
        args.series = vec![2_000];
        args.rules = vec![Rules::Published];
    }
    let is_time = |minutes: f64| minutes.is_finite() && minutes >= 0.25;
    let minutes = [args.minutes, args.minutes_idle];
    if args.series.contains(&0) || !minutes.into_iter().flatten().all(is_time) {
        bail!("--series must be at least 1, and minutes at least 0.25: one round of the rules");
    }
    let mut file = ResultFile::new();
    let mut engines = Vec::new();
    for engine in Engine::ALL {
        if !args.only.is_empty() && !args.only.contains(&engine) {
            continue;
        }
        match engine.absent() {
            None => engines.push((engine, program(engine, &args.program)?)),
            Some(reason) => leave_out(&mut file, &format!("{}: {reason}", engine.name())),
        }
    }
    if engines.is_empty() {
        bail!("no engine is here");
    }
    let measures_ours = engines.iter().any(|(engine, _)| *engine == Engine::Ours);
    if measures_ours && args.series.contains(&BAR_SERIES) && !args.program.no_build {
        // Before anything is measured, as compiling takes minutes.
        inprocess::build()?;
    }
    let mut workshop = Workshop::open()?;
    for &series in &args.series {
        let pace = pace(series);
        let mut engines = engines.clone();
        if series >= SLOW_FROM && args.only.is_empty() && engines.len() > 2 {
            engines.retain(|(engine, _)| *engine != Engine::Victoria);
            leave_out(&mut file, &format!("victoria at {series} series: for the time it takes"));
        }
        let mut sets = args.rules.clone();
        if sets.is_empty() {
            sets = vec![Rules::Published, Rules::Generated];
            if series >= SLOW_FROM {
                sets.truncate(1);
                leave_out(
                    &mut file,
                    &format!("2960 rules at {series} series: for the time it takes"),
                );
            }
        }
        let plan = run::Plan {
            series,
            interval_s: if series >= SLOW_FROM { 15 } else { 5 },
            engines,
            sets,
            minutes_idle: args.minutes_idle.unwrap_or(pace.minutes_idle),
            minutes_rules: args.minutes.unwrap_or(pace.minutes_rules),
            query_budget: Duration::from_secs(pace.query_budget_s),
            restarts: pace.restarts,
            corpus: args.corpus.clone().unwrap_or_else(|| root().join("../shared/corpus")),
        };
        let mut size = plan.measure(&mut workshop)?;
        if series == BAR_SERIES {
            compare_in_process(&mut size);
        }
        note_differences(&mut size);
        println!("{series} series\n\n{}", table::render(&size));
        for (name, engine) in &size.engines {
            engine.notes.iter().for_each(|note| println!("{name}: {note}"));
        }
        file.add(size);
        // After each size, so that what was measured outlives a run that does not end.
        match &args.out {
            Some(path) => file.save(path)?,
            None if args.quick => {}
            None => file.save(&file.path(results))?,
        }
    }
    file.notes.iter().for_each(|note| println!("{note}"));
    let bars = file.sizes.iter().filter_map(table::score);
    for [reached, missed, unknown] in bars {
        println!("bars: {reached} reached, {missed} not reached, {unknown} not measured");
    }
    Ok(())
}

fn many_rules(args: &RulesArgs, results: &Path) -> Result<()> {
    let mut file = ResultFile::new();
    let mut engines = Vec::new();
    // VictoriaMetrics has no page of rules of its own, and vmalert no series of it.
    for engine in [Engine::Ours, Engine::Prometheus] {
        if !args.only.is_empty() && !args.only.contains(&engine) {
            continue;
        }
        match engine.absent() {
            None => engines.push((engine, program(engine, &args.program)?)),
            Some(reason) => leave_out(&mut file, &format!("{}: {reason}", engine.name())),
        }
    }
    let mut workshop = Workshop::open()?;
    let size = alerts::measure(&engines, args.minutes, &mut workshop)?;
    println!("{}", table::render(&size));
    for (name, engine) in &size.engines {
        engine.notes.iter().for_each(|note| println!("{name}: {note}"));
    }
    file.add_alerts(size);
    match &args.out {
        Some(path) => file.save(path),
        None => file.save(&file.path(results)),
    }
}

fn leave_out(file: &mut ResultFile, what: &str) {
    let note = format!("left out: {what}");
    say(&note);
    file.notes.push(note);
}

fn program(engine: Engine, args: &OurProgram) -> Result<PathBuf> {
    match engine {
        Engine::Ours => {}
        Engine::Prometheus => return Ok("prometheus".into()),
        Engine::Victoria => return Ok("victoria-metrics".into()),
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

/// Ours in the example program, Prometheus by its own account, over 30,000 rows both.
fn compare_in_process(size: &mut SizeResult) {
    say("the comparison in process");
    let key = "in_process.compare_ms";
    let inner = format!("query.{}.inner_ms", queries::IN_PROCESS);
    let prometheus = size.get("prometheus", &inner);
    if let Some((engine, ms)) = size.engines.get_mut("prometheus").zip(prometheus) {
        engine.measures.insert(key.to_owned(), ms);
    }
    let Some(engine) = size.engines.get_mut("ours") else { return };
    match inprocess::comparison_ms() {
        Ok(ms) => drop(engine.measures.insert(key.to_owned(), ms)),
        Err(error) => engine.notes.push(format!("in process: {error:#}")),
    }
}

/// Figures of answers that differ are worth nothing: says so.
fn note_differences(size: &mut SizeResult) {
    for query in &queries::QUERIES {
        let key = format!("query.{}.rows", query.name);
        let both = size.get("ours", &key).zip(size.get("prometheus", &key));
        let Some((ours, theirs)) = both.filter(|(ours, theirs)| ours != theirs) else { continue };
        let note = format!("`{}` has {ours} elements here, {theirs} in Prometheus", query.name);
        if let Some(engine) = size.engines.get_mut("ours") {
            engine.notes.push(note);
        }
    }
}

/// Says on standard error what happens now, and how long the run has taken.
fn say(what: &str) {
    static STARTED: LazyLock<Instant> = LazyLock::new(clock::now);
    eprintln!("bench: {:5} s: {what}", STARTED.elapsed().as_secs());
}
