/// What a simulated host has, and how much of it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    /// Its file systems.
    pub mounts: Vec<Mount>,
    /// Memory, in KiB.
    pub memory_total_kib: u64,
    /// Memory that programs can still have, in KiB.
    pub memory_available_kib: u64,
    /// Swap, in KiB.
    pub swap_total_kib: u64,
    /// Unused swap, in KiB.
    pub swap_free_kib: u64,
    /// The load of the last 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// How many processors it has.
    pub cpu_count: u32,
    /// Who listens where.
    pub listeners: Vec<Listener>,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The device: `/dev/vda1`.
    pub device: String,
    /// Where it is mounted: `/`.
    pub path: String,
    /// Its size, in KiB.
    pub total_kib: u64,
    /// What is used, in KiB.
    pub used_kib: u64,
    /// How many files it can hold.
    pub inodes_total: u64,
    /// How many it holds.
    pub inodes_used: u64,
}

/// A process that listens on a TCP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where, as `ss` prints it: `0.0.0.0:80`, `*:80`, `[::]:80`.
    pub address: String,
    /// The program.
    pub program: String,
    /// Its process.
    pub pid: u32,
}

impl Default for Resources {
    /// A small machine with room to spare.
    fn default() -> Self {
        const GIB: u64 = 1 << 20;
        let mount = |device: &str, path: &str, total_kib, used_kib| Mount {
            device: device.to_owned(),
            path: path.to_owned(),
            total_kib,
            used_kib,
            inodes_total: total_kib / 16,
            inodes_used: used_kib / 32,
        };
        Self {
            mounts: vec![
                mount("/dev/vda1", "/", 20 * GIB, 8 * GIB),
                mount("/dev/vdb1", "/var", 40 * GIB, 11 * GIB),
                mount("tmpfs", "/run", GIB / 2, 1024),
            ],
            memory_total_kib: 4 * GIB,
            memory_available_kib: 5 * GIB / 2,
            swap_total_kib: GIB,
            swap_free_kib: GIB,
            load: [0.21, 0.17, 0.12],
            cpu_count: 2,
            listeners: vec![Listener {
                address: "0.0.0.0:22".to_owned(),
                program: "sshd".to_owned(),
                pid: 612,
            }],
        }
    }
}

impl Resources {
    /// Fills the file system that is mounted at `path` to the last byte.
    pub fn fill(&mut self, path: &str) {
        for mount in self.mounts.iter_mut().filter(|mount| mount.path == path) {
            mount.used_kib = mount.total_kib;
        }
    }
}
