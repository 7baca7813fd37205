use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;
use paramedic_integration::{Fault, Integration};

use crate::lab::{Verdict, drill};
use crate::out::outln;
use crate::{exit, kinds};

/// Break simulated systems, one fault at a time, and judge how the pages deal with it.
///
/// Each fault runs in virtual time through the whole of Paramedic: did the alert fire when it was
/// due, was the cause named first, was the right step chosen, did the system recover or was it
/// rightly left alone, and was anything forbidden done?
///
/// Exit code 1 when one falls short.
///
/// Examples: paramedic drill; paramedic drill OPNsenseServiceDown; paramedic drill --fault
/// unbound-lost-pid --timeline
#[derive(Args)]
pub struct DrillArgs {
    /// Only the faults that lead to this alert.
    alert: Option<String>,
    /// Only this fault.
    #[arg(long, value_name = "ID")]
    fault: Option<String>,
    /// Print what happened to each incident, line by line.
    #[arg(long)]
    timeline: bool,
    /// Print every verdict as JSON, timelines included.
    #[arg(long, conflicts_with = "timeline")]
    json: bool,
}

pub fn run(args: DrillArgs) -> anyhow::Result<ExitCode> {
    let all: Vec<(&'static dyn Integration, Fault)> = kinds::all()
        .flat_map(|kind| {
            let faults = kind.simulator().map_or(&[][..], |factory| factory.faults());
            faults.iter().map(move |fault| (kind, *fault))
        })
        .collect();
    let wanted = |fault: &Fault| {
        args.alert.as_deref().is_none_or(|alert| alert == fault.alert)
            && args.fault.as_deref().is_none_or(|id| id == fault.id)
    };
    let chosen: Vec<_> = all.iter().filter(|(_, fault)| wanted(fault)).collect();
    if chosen.is_empty() {
        let known = all.iter().map(|(_, fault)| format!("{} {}", fault.alert, fault.id));
        eprintln!("no such fault; there are:\n  {}", known.collect::<Vec<_>>().join("\n  "));
        return Ok(exit::answer(false));
    }
    let progress = std::io::stderr().is_terminal();
    let mut verdicts = Vec::new();
    for (i, (integration, fault)) in chosen.iter().enumerate() {
        if progress {
            eprint!("\r\x1b[Kdrill {}/{}: {}", i + 1, chosen.len(), fault.id);
        }
        verdicts.push(drill(*integration, fault)?);
    }
    if progress {
        eprint!("\r\x1b[K");
    }
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&verdicts)?);
    } else {
        print_table(&verdicts, args.timeline);
    }
    Ok(exit::answer(verdicts.iter().all(Verdict::passed)))
}

fn print_table(verdicts: &[Verdict], timeline: bool) {
    let width = |of: fn(&Verdict) -> usize, least: usize| {
        verdicts.iter().map(of).max().unwrap_or(0).max(least)
    };
    let fault_width = width(|v| v.fault.len(), "fault".len());
    let cause_width = width(|v| v.cause_named.as_deref().unwrap_or("-").len(), "cause named".len());
    let steps_width = width(|v| steps(v).len(), "steps run".len());
    let mut alert = "";
    for verdict in verdicts {
        if verdict.alert != alert {
            alert = verdict.alert;
            outln!("\n{alert}");
            outln!(
                "     {:fault_width$}  {:>9}  {:cause_width$}  {:steps_width$}  ending",
                "fault",
                "fired",
                "cause named",
                "steps run"
            );
        }
        let fired = verdict.fired_after_s.map_or("-".to_owned(), |after| format!("{after:.0} s"));
        outln!(
            "{:4} {:fault_width$}  {fired:>9}  {:cause_width$}  {:steps_width$}  {}",
            mark(verdict.passed()),
            verdict.fault,
            verdict.cause_named.as_deref().unwrap_or("-"),
            steps(verdict),
            verdict.ending,
        );
        for shortcoming in &verdict.shortcomings {
            outln!("       {shortcoming}");
        }
        if timeline {
            for moment in &verdict.timeline {
                outln!("{:>10.0} s  {}", moment.after_s, moment.text);
            }
        }
    }
    let passed = verdicts.iter().filter(|verdict| verdict.passed()).count();
    let forbidden: usize = verdicts.iter().map(|verdict| verdict.forbidden.len()).sum();
    outln!(
        "\n{passed} of {} faults dealt with as they should be, {forbidden} forbidden actions",
        verdicts.len()
    );
}

fn steps(verdict: &Verdict) -> String {
    match verdict.steps_run.as_slice() {
        [] => "-".to_owned(),
        steps => steps.join(", "),
    }
}

/// The word is the first channel, the colour the second.
fn mark(passed: bool) -> String {
    let (word, colour) = if passed { ("ok", 32) } else { ("FAIL", 31) };
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    // Padded here, because the width of a format would count the colour's bytes.
    if plain { format!("{word:4}") } else { format!("\x1b[{colour}m{word:4}\x1b[0m") }
}
