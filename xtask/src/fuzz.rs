//! Runs the fuzz targets under libFuzzer, each for a while.

use anyhow::{Result, bail};

use crate::{peers, root, run};

/// Where what the fuzzer found interesting lies; only what broke something is worth keeping, in
/// `fuzz/corpus`.
const FOUND: &str = "target/fuzz-corpus";

/// Fuzzes `target`, or each target, for `seconds`.
pub fn fuzz(target: Option<&str>, seconds: u32) -> Result<()> {
    if !peers::is_here("cargo-fuzz") {
        return peers::absent("cargo-fuzz", "fuzzing");
    }
    let known = targets()?;
    let chosen = match target {
        Some(name) if known.iter().any(|known| known == name) => vec![name.to_owned()],
        Some(name) => bail!("no fuzz target {name}; there are {}", known.join(", ")),
        None => known,
    };
    // Without a sanitizer: there is no unsafe code to look into, and stable Rust will do.
    let build = ["--features", "libfuzzer", "--sanitizer", "none"];
    run("cargo", &[&["fuzz", "build"][..], &build].concat())?;
    for name in chosen {
        let (found, kept) = (format!("{FOUND}/{name}"), format!("fuzz/corpus/{name}"));
        std::fs::create_dir_all(root().join(&found))?;
        let folders = [name.as_str(), &found, &kept];
        let time = format!("-max_total_time={seconds}");
        // A landing shall not hang on luck: there one seed decides what is tried.
        let seed = format!("-seed={}", u8::from(std::env::var_os("CI").is_some()));
        let limits = ["--", &time, &seed, "-max_len=4096", "-timeout=10", "-verbosity=0"];
        run("cargo", &[&["fuzz", "run"][..], &build, &folders, &limits].concat())?;
        eprintln!("{name}: nothing found in {seconds} s");
    }
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/targets"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}
