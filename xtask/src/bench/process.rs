//! The processes under measurement: started, looked at through `/proc`, and never left behind.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::clock;

/// Linux counts CPU time for user space in hundredths of a second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process may take to end by itself.
const STOP: Duration = Duration::from_secs(60);

/// A program to start.
#[expect(clippy::disallowed_methods, reason = "a benchmark starts what it measures")]
pub fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(path)
}

/// The folder for everything a run writes, and the promise that nothing outlives the run.
///
/// A shell waits at the other end of a pipe. When this process ends, however it ends, the shell reads
/// the end of the pipe, ends the processes that were running, and removes the folder.
pub struct Workshop {
    folder: PathBuf,
    sweeper: Child,
    orders: Option<ChildStdin>,
}

const SWEEP: &str = r#"trap "" INT TERM HUP
pids=" "
while read -r order pid; do
  case "$order" in
    started) pids="$pids$pid " ;;
    stopped) pids="${pids%% "$pid" *} ${pids#* "$pid" }" ;;
  esac
done
[ -n "${pids# }" ] && kill -9 $pids 2>/dev/null && sleep 1
rm -rf -- "$1""#;

impl Workshop {
    /// Makes the folder.
    pub fn open() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("paramedic-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let mut sweeper = program("sh");
        sweeper.args(["-c", SWEEP, "sh"]).arg(&folder).stdin(Stdio::piped());
        let mut sweeper = sweeper.spawn().context("start sh")?;
        let orders = sweeper.stdin.take();
        Ok(Self { folder, sweeper, orders })
    }

    /// Makes an empty folder within.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Starts `command`, its output in `log`.
    pub fn start(&mut self, command: &mut Command, log: &Path) -> Result<Process> {
        let file = File::options().create(true).append(true).open(log)?;
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        self.order("started", child.id());
        Ok(Process { child, log: log.to_owned() })
    }

    /// Ends `process` as a service manager would, and waits.
    pub fn stop(&mut self, mut process: Process) -> Result<()> {
        let (ended, pid) = (process.stop(), process.child.id());
        drop(process);
        self.order("stopped", pid);
        ended
    }

    fn order(&mut self, order: &str, pid: u32) {
        if let Some(orders) = &mut self.orders {
            let _ = writeln!(orders, "{order} {pid}");
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.sweeper.wait();
    }
}

/// One process. It is killed with the value.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// CPU time used so far, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds_of(&self.child.id().to_string())
    }

    /// What it holds and held.
    pub fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let get = |text: &str, key: &str| {
            kibibytes(text, key).with_context(|| format!("/proc/PID has no {key}"))
        };
        Ok(Memory {
            peak: get(&status, "VmHWM")?,
            resident: get(&status, "VmRSS")?,
            proportional: get(&rollup, "Pss")?,
        })
    }

    /// Fails with the end of the log where the process has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(5).collect();
            let last: Vec<_> = lines.into_iter().rev().collect();
            bail!("it ended with {status}:\n  {}", last.join("\n  "));
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let _ = program("kill").args(["-TERM", &pid]).status();
        let until = clock::now() + STOP;
        while clock::now() < until {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            clock::pause(Duration::from_millis(20));
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!("it did not end within {} s and was killed", STOP.as_secs());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// The most that was ever resident.
    pub peak: u64,
    /// What is resident.
    pub resident: u64,
    /// What is resident, shared pages divided by who shares them.
    pub proportional: u64,
}

impl std::ops::Add for Memory {
    type Output = Self;

    /// Of two processes that do one work. The peaks may not have been at one time.
    fn add(self, other: Self) -> Self {
        Self {
            peak: self.peak + other.peak,
            resident: self.resident + other.resident,
            proportional: self.proportional + other.proportional,
        }
    }
}

/// CPU time that the process `pid`, or `self`, has used so far, in seconds.
pub fn cpu_seconds_of(pid: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    cpu_seconds(&stat).context("/proc/PID/stat is not as expected")
}

/// User and system time of a line of `/proc/PID/stat`, in seconds.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name in brackets may hold anything, a closing bracket too.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// The value of `key` in a text such as `VmRSS:   123 kB`, in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

/// How many bytes the files below `folder` take on disk by their length.
pub fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        // Blocks count, not the length: logs are preallocated, and holes hold nothing.
        Ok(metadata) => std::os::unix::fs::MetadataExt::blocks(&metadata) * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

/// Polls `ready` until it says yes, the process ends, or `limit` has passed; how long it took.
pub fn wait_until(
    process: &mut Process,
    limit: Duration,
    mut ready: impl FnMut() -> bool,
) -> Result<Duration> {
    let start: Instant = clock::now();
    loop {
        if ready() {
            return Ok(start.elapsed());
        }
        process.check()?;
        if start.elapsed() > limit {
            bail!("it was not ready within {} s", limit.as_secs());
        }
        clock::pause(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_the_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("42 (a) S 1"), None);
    }

    #[test]
    fn kibibytes_are_found_by_the_whole_name() {
        let text = "VmHWMx:\t 1 kB\nVmHWM:\t    2048 kB\nPss_Dirty: 3 kB\nPss: 4 kB\n";
        assert_eq!(kibibytes(text, "VmHWM"), Some(2048 * 1024));
        assert_eq!(kibibytes(text, "Pss"), Some(4096));
        assert_eq!(kibibytes(text, "VmRSS"), None);
    }
}
