//! What a formatter and a linter do not see.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Above this many lines a file holds more than one idea.
const LINES_MAX: usize = 800;

/// Checks every source file below the root.
pub fn check(root: &Path) -> Result<()> {
    let mut complaints = Vec::new();
    for folder in ["crates", "fuzz", "integrations", "xtask"] {
        visit(&root.join(folder), &mut |path, text| {
            let shown = path.strip_prefix(root).unwrap_or(path).display();
            let lines = text.lines().count();
            if lines > LINES_MAX {
                complaints.push(format!("{shown}: {lines} lines; what idea wants its own file?"));
            }
            let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
            if is_root && !text.starts_with("//!") {
                complaints.push(format!("{shown}: a crate begins with what it is for"));
            }
        })?;
    }
    purity(root, &mut complaints)?;
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("not tidy:\n  {}", complaints.join("\n  "));
}

/// The pure crates, and what none of them may depend on.
const PURE: [&str; 11] = [
    "model",
    "promql",
    "gotmpl",
    "exposition",
    "rules",
    "catalog",
    "runbook",
    "incident",
    "yaml",
    "regexp",
    "relabel",
];
const RIM: [&str; 6] = ["tokio", "hyper", "axum", "rusqlite", "tracing", "paramedic-integration"];

/// Law 1: the arrows never turn back.
fn purity(root: &Path, complaints: &mut Vec<String>) -> Result<()> {
    for name in PURE {
        let path = root.join("crates").join(name).join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let own = text.split("[dev-dependencies]").next().unwrap_or_default();
        for line in own.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if RIM.contains(&dependency) {
                complaints.push(format!("crates/{name} is pure and must not use {dependency}"));
            }
        }
    }
    Ok(())
}

fn visit(folder: &Path, see: &mut dyn FnMut(&Path, &str)) -> Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            visit(&path, see)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            see(&path, &text);
        }
    }
    Ok(())
}
