use std::process::ExitCode;

use clap::Args;
use paramedic_catalog::{ActionSignature, Catalog, Param, ProbeSignature, Setting, SettingKind};

use crate::out::outln;
use crate::{exit, kinds};

/// Print what runbooks and configurations may name: kinds, settings, probes, actions, metrics.
///
/// Example: paramedic catalog opnsense
#[derive(Args)]
pub struct CatalogArgs {
    /// Only this kind; without it, a line per kind.
    kind: Option<String>,
}

pub fn run(args: CatalogArgs) -> anyhow::Result<ExitCode> {
    let Some(name) = args.kind else {
        for integration in kinds::all() {
            let catalog = integration.catalog();
            outln!("{:<10} {}", catalog.kind, catalog.summary);
        }
        return Ok(exit::answer(true));
    };
    let Some(integration) = kinds::kind(&name) else {
        let known: Vec<_> = kinds::all().map(|kind| kind.catalog().kind).collect();
        eprintln!("unknown kind {name:?}; there are {}", known.join(", "));
        return Ok(exit::answer(false));
    };
    print(integration.catalog());
    Ok(exit::answer(true))
}

fn print(catalog: &Catalog) {
    outln!("{} ({})\n{}", catalog.title, catalog.kind, catalog.summary);
    outln!("Checked against: {}", catalog.versions.join(", "));
    outln!("\nSettings of a system");
    settings(&catalog.settings, 1);
    outln!("\nProbes");
    catalog.probes.iter().for_each(|probe| self::probe(catalog.kind, probe));
    outln!("\nActions");
    catalog.actions.iter().for_each(|action| self::action(catalog.kind, action));
    outln!("\nMetrics");
    for metric in &catalog.metrics {
        outln!("  {}{{{}}}", metric.name, metric.labels.join(", "));
        outln!("      {} [{}]", metric.help, metric.versions);
    }
}

fn settings(settings: &[Setting], depth: usize) {
    let indent = "  ".repeat(depth);
    for setting in settings {
        let required = if setting.required { ", required" } else { "" };
        outln!("{indent}{}: {}{required}", setting.name, setting.example);
        outln!("{indent}    {}", setting.doc);
        if let SettingKind::Table(nested) | SettingKind::TableMap(nested) = &setting.kind {
            self::settings(nested, depth + 1);
        }
    }
}

fn params(params: &[Param]) {
    for param in params {
        let required = if param.required { "" } else { ", optional" };
        outln!("      with {}: {}{required}; {}", param.name, param.kind, param.doc);
    }
}

fn probe(kind: &str, probe: &ProbeSignature) {
    outln!("  {kind}/{}: {}", probe.name, probe.summary);
    params(&probe.params);
    for field in &probe.facts {
        outln!("      fact {}: {}; {}", field.name, field.kind, field.doc);
    }
    privilege(probe.privilege);
}

fn action(kind: &str, action: &ActionSignature) {
    outln!("  {kind}/{}: {} (risk {})", action.name, action.summary, action.risk.as_str());
    params(&action.params);
    for (what, text) in [
        ("before", action.precondition),
        ("hits", action.blast_radius),
        ("proof", action.verification),
        ("undo", action.undo),
    ] {
        outln!("      {what}: {text}");
    }
    privilege(action.privilege);
}

fn privilege(text: &str) {
    if !text.is_empty() {
        outln!("      privilege: {text}");
    }
}
