//! Disks, memory, swap and load of the host.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Finished, Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::evidence;
use crate::command::LookCommand;
use crate::host::{Host, Looking, describe};

/// Devices whose file systems are always full, or are no place to write to.
const LEFT_OUT: [&str; 4] = ["/dev/loop", "/dev/sr", "efivarfs", "squashfs"];

pub(super) fn signature() -> ProbeSignature {
    let disk = vec![
        Field::new("path", FieldType::Text, "where it is mounted"),
        Field::new("device", FieldType::Text, "the device"),
        Field::new("used_percent", FieldType::Float, "how full it is, for those who are not root"),
        Field::new("free_mib", FieldType::Int, "what is left, in MiB"),
        Field::new(
            "inodes_used_percent",
            FieldType::Float.or_null(),
            "how many of its files are used; null where it has no limit",
        ),
    ];
    let int = |name, doc| Field::new(name, FieldType::Int, doc);
    let float = |name, doc| Field::new(name, FieldType::Float, doc);
    ProbeSignature {
        name: "host-resources",
        summary: "Disks, memory, swap and load of the host",
        params: Vec::new(),
        facts: vec![
            Field::new("disks", FieldType::records(disk), "the file systems that can fill up"),
            Field::new("fullest_path", FieldType::Text, "the fullest of them, by bytes or files"),
            float("fullest_percent", "how full that one is"),
            int("memory_total_mib", "memory, in MiB"),
            int("memory_available_mib", "what programs can still have, in MiB"),
            float("memory_available_percent", "the same in percent"),
            Field::new(
                "swap_used_percent",
                FieldType::Float.or_null(),
                "how full the swap is; null where there is none",
            ),
            float("load1", "the load of the last minute"),
            float("load5", "the load of the last 5 minutes"),
            float("load15", "the load of the last 15 minutes"),
            int("cpu_count", "how many processors there are"),
            float("load5_per_cpu", "the load of the last 5 minutes per processor"),
        ],
        privilege: "",
    }
}

pub(super) struct HostResources(pub(super) Arc<Host>);

impl Probe for HostResources {
    fn look<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let mut looking = self.0.open().await?;
            let space = read_df(&mut looking, LookCommand::Disks).await?;
            let inodes = read_df(&mut looking, LookCommand::Inodes).await?;
            let disks: Vec<_> = space.iter().map(|row| Disk::new(row, &inodes)).collect();
            let text = looking.read(LookCommand::Memory).await?;
            let memory = Memory::parse(&text).ok_or_else(|| {
                looking.misread(format!("expected /proc/meminfo, got {:?}", crate::shorten(&text)))
            })?;
            let text = looking.read(LookCommand::Load).await?;
            let load = parse_load(&text).ok_or_else(|| {
                looking.misread(format!("expected /proc/loadavg, got {:?}", crate::shorten(&text)))
            })?;
            let text = looking.read(LookCommand::Processors).await?;
            let cpus = text.trim().parse::<u32>().ok().filter(|count| *count > 0);
            let cpus = cpus.ok_or_else(|| {
                let shown = crate::shorten(&text);
                looking.misread(format!("expected a number from `nproc`, got {shown:?}"))
            })?;
            let fullest = disks.iter().max_by(|a, b| a.worst().total_cmp(&b.worst()));
            let (path, percent) = fullest.map_or(("", 0.0), |disk| (&disk.path, disk.worst()));
            let summary = format!(
                "{path} is {percent:.0} % full, {} of {} MiB memory available, load {:.2} on {cpus} \
                 processors",
                memory.available_kib >> 10,
                memory.total_kib >> 10,
                load[1],
            );
            let facts = json!({
                "disks": disks.iter().map(Disk::facts).collect::<Vec<_>>(),
                "fullest_path": path,
                "fullest_percent": percent,
                "memory_total_mib": memory.total_kib >> 10,
                "memory_available_mib": memory.available_kib >> 10,
                "memory_available_percent": percent_of(memory.available_kib, memory.total_kib),
                "swap_used_percent": memory.swap_used_percent(),
                "load1": load[0],
                "load5": load[1],
                "load15": load[2],
                "cpu_count": cpus,
                "load5_per_cpu": load[1] / f64::from(cpus),
            });
            let lines: Vec<_> = disks.iter().map(Disk::describe).collect();
            Ok(evidence(&self.0, facts, &summary, &lines.join("\n")))
        })
    }
}

/// Runs `df` and reads its table. It fails where one file system cannot be asked and prints the
/// others, so its table counts, not its exit code.
async fn read_df(
    looking: &mut Looking<'_>,
    command: LookCommand<'_>,
) -> Result<Vec<Row>, ProbeError> {
    let finished: Finished = looking.run(command).await?;
    let rows = parse_df(&finished.stdout);
    match rows {
        Ok(rows) if !rows.is_empty() => Ok(rows),
        Ok(_) => Err(looking.misread(describe(&command.words(), &finished))),
        Err(line) => {
            let shown = crate::shorten(line);
            Err(looking.misread(format!("expected a line of `df -P`, got {shown:?}")))
        }
    }
}

/// One row of `df -P`.
#[derive(Debug, PartialEq)]
struct Row {
    device: String,
    path: String,
    /// `None` where the file system does not count.
    used: Option<u64>,
    available: Option<u64>,
}

/// Reads the table of `df -P`; the line that is no row, where there is one.
fn parse_df(text: &str) -> Result<Vec<Row>, &str> {
    let rows = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    let rows = rows.map(|line| Row::parse(line).ok_or(line)).collect::<Result<Vec<_>, _>>()?;
    let left_out = |row: &Row| LEFT_OUT.iter().any(|device| row.device.starts_with(device));
    Ok(rows.into_iter().filter(|row| !left_out(row)).collect())
}

impl Row {
    /// Reads a row. The device and the path may hold blanks, so the numbers are sought.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let count = |word: &str| word == "-" || word.bytes().all(|byte| byte.is_ascii_digit());
        let share = |word: &str| word == "-" || word.ends_with('%');
        let at = (1..words.len().saturating_sub(4))
            .find(|at| words[*at..at + 3].iter().all(|word| count(word)) && share(words[at + 3]))?;
        Some(Self {
            device: words[..at].join(" "),
            path: words[at + 4..].join(" "),
            used: words[at + 1].parse().ok(),
            available: words[at + 2].parse().ok(),
        })
    }

    /// How much of what can be used is used, as `df` itself counts: without root's reserve.
    fn used_percent(&self) -> Option<f64> {
        let (used, available) = (self.used?, self.available?);
        (used + available > 0).then(|| percent_of(used, used + available))
    }
}

struct Disk {
    path: String,
    device: String,
    used_percent: f64,
    free_kib: u64,
    inodes_used_percent: Option<f64>,
}

impl Disk {
    fn new(row: &Row, inodes: &[Row]) -> Self {
        let inodes = inodes.iter().find(|inodes| inodes.path == row.path);
        Self {
            path: row.path.clone(),
            device: row.device.clone(),
            used_percent: row.used_percent().unwrap_or(0.0),
            free_kib: row.available.unwrap_or(0),
            inodes_used_percent: inodes.and_then(Row::used_percent),
        }
    }

    /// How full it is in what it has least of.
    fn worst(&self) -> f64 {
        self.used_percent.max(self.inodes_used_percent.unwrap_or(0.0))
    }

    fn facts(&self) -> serde_json::Value {
        json!({
            "path": self.path,
            "device": self.device,
            "used_percent": self.used_percent,
            "free_mib": self.free_kib >> 10,
            "inodes_used_percent": self.inodes_used_percent,
        })
    }

    fn describe(&self) -> String {
        let inodes = self.inodes_used_percent;
        let inodes = inodes.map(|share| format!(", {share:.0} % of its files")).unwrap_or_default();
        format!(
            "{}: {:.0} % full, {} MiB left{inodes}",
            self.path,
            self.used_percent,
            self.free_kib >> 10
        )
    }
}

/// What /proc/meminfo says.
struct Memory {
    total_kib: u64,
    available_kib: u64,
    swap_total_kib: u64,
    swap_free_kib: u64,
}

impl Memory {
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        Some(Self {
            total_kib: value("MemTotal").filter(|total| *total > 0)?,
            available_kib: value("MemAvailable")?,
            swap_total_kib: value("SwapTotal").unwrap_or(0),
            swap_free_kib: value("SwapFree").unwrap_or(0),
        })
    }

    fn swap_used_percent(&self) -> Option<f64> {
        let used = self.swap_total_kib.saturating_sub(self.swap_free_kib);
        (self.swap_total_kib > 0).then(|| percent_of(used, self.swap_total_kib))
    }
}

/// The three loads of /proc/loadavg.
fn parse_load(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_whitespace().map(|word| word.parse::<f64>().ok());
    let mut next = || words.next().flatten().filter(|load| load.is_finite());
    Some([next()?, next()?, next()?])
}

/// `part` of `whole` in percent, with one digit after the point.
fn percent_of(part: u64, whole: u64) -> f64 {
    (part as f64 * 1000.0 / whole.max(1) as f64).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_df_are_read() {
        let check = |line: &str, expected: Option<(&str, &str, Option<f64>)>| {
            let row = Row::parse(line);
            let row = row.as_ref().map(|r| (r.device.as_str(), r.path.as_str(), r.used_percent()));
            assert_eq!(row, expected, "{line}");
        };
        check("/dev/vda1 1000 900 100 90% /", Some(("/dev/vda1", "/", Some(90.0))));
        check("/dev/vda1 1000 950 0 100% /", Some(("/dev/vda1", "/", Some(100.0))));
        check(
            "//srv/my share 9 3 6 34% /mnt/a b",
            Some(("//srv/my share", "/mnt/a b", Some(33.3))),
        );
        check("/dev/sdb1 0 0 0 - /btrfs", Some(("/dev/sdb1", "/btrfs", None)));
        check("proc - - - - /proc", Some(("proc", "/proc", None)));
        for line in ["", "x", "/dev/vda1 a b c 90% /", "/dev/vda1 1 1 1 1%", "<html><body> x y z"] {
            check(line, None);
        }
    }

    #[test]
    fn what_cannot_fill_up_is_left_out() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                    /dev/loop3 100 100 0 100% /snap/core/1\n/dev/vda1 1000 900 100 90% /\n";
        let rows = parse_df(text).unwrap();
        assert_eq!(rows.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["/"]);
    }

    #[test]
    fn memory_and_load_are_read_or_refused() {
        let memory = "MemTotal:  4000 kB\nMemFree: 1 kB\nMemAvailable:  1000 kB\nSwapTotal: 0 kB\n";
        let read = Memory::parse(memory).unwrap();
        assert_eq!((read.available_kib, read.swap_used_percent()), (1000, None));
        for text in ["", "MemTotal: 0 kB\nMemAvailable: 0 kB", "MemTotal: 4000 kB", "<html>"] {
            assert!(Memory::parse(text).is_none(), "{text:?}");
        }
        assert_eq!(parse_load("0.21 0.17 0.12 1/213 4711\n"), Some([0.21, 0.17, 0.12]));
        for text in ["", "0.2 0.1", "NaN 1 1", "a b c"] {
            assert!(parse_load(text).is_none(), "{text:?}");
        }
    }
}
