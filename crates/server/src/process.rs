//! What the system counts of this process: Linux's `/proc/self`; elsewhere nothing is known.

use std::fs;

/// Linux counts CPU time for user space in hundredths of a second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Its use of the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Process {
    /// User and system time, of all threads.
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub open_fds: u64,
}

impl Process {
    /// This one; `None` where the system does not say.
    pub fn here() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Self::parse(&stat, &status, open_fds)
    }

    fn parse(stat: &str, status: &str, open_fds: u64) -> Option<Self> {
        // The name in brackets may hold anything, a closing bracket too.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let (user, system): (f64, f64) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self {
            cpu_seconds: (user + system) / TICKS_PER_SECOND,
            resident_bytes: kibibytes(status, "VmRSS:")? * 1024,
            virtual_bytes: kibibytes(status, "VmSize:")? * 1024,
            open_fds,
        })
    }
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_behind_the_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        let status = "VmPeak:\t 9 kB\nVmSize:\t    2048 kB\nVmRSS:\t 512 kB\n";
        let expected = Process {
            cpu_seconds: 3.0,
            resident_bytes: 512 << 10,
            virtual_bytes: 2 << 20,
            open_fds: 7,
        };
        assert_eq!(Process::parse(stat, status, 7), Some(expected));
        assert_eq!(Process::parse("42 (a) S 1", status, 7), None);
        assert_eq!(Process::parse(stat, "", 7), None);
    }
}
