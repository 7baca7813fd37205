use paramedic_integration::ProbeError;
use paramedic_model::TimeMs;

use super::row::Row;

/// What a service is doing, as the Service Control Manager has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Stopped,
    StartPending,
    StopPending,
    Running,
    ContinuePending,
    PausePending,
    Paused,
    Unknown,
}

impl State {
    pub(crate) const ALL: [Self; 8] = [
        Self::Stopped,
        Self::StartPending,
        Self::StopPending,
        Self::Running,
        Self::ContinuePending,
        Self::PausePending,
        Self::Paused,
        Self::Unknown,
    ];

    /// The word of `Win32_Service.State`; in lower case the label of the exporter.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::StartPending => "Start Pending",
            Self::StopPending => "Stop Pending",
            Self::Running => "Running",
            Self::ContinuePending => "Continue Pending",
            Self::PausePending => "Pause Pending",
            Self::Paused => "Paused",
            Self::Unknown => "Unknown",
        }
    }

    fn parse(word: &str) -> Self {
        let named = |state: &Self| state.as_str().eq_ignore_ascii_case(word);
        Self::ALL.into_iter().find(named).unwrap_or(Self::Unknown)
    }

    /// Whether it is on the way to another state.
    pub(crate) fn is_pending(self) -> bool {
        match self {
            Self::StartPending | Self::StopPending | Self::ContinuePending | Self::PausePending => {
                true
            }
            Self::Stopped | Self::Running | Self::Paused | Self::Unknown => false,
        }
    }
}

/// One row of `Win32_Service`.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub name: String,
    pub display_name: String,
    pub state: State,
    /// `Win32_Service.Status`: `OK` for a stopped service too, `Degraded` for one stuck on its way.
    pub status: String,
    /// `Auto`, `Manual`, `Disabled`, `Boot` or `System`.
    pub start_mode: String,
    /// Whether it starts some minutes after boot; `None` before Windows 10 and Server 2016.
    pub delayed: Option<bool>,
    /// 0 for none.
    pub pid: u64,
    pub exit_code: u64,
    /// Counts only where `exit_code` is 1066.
    pub specific_code: u64,
    /// The account it runs as; empty for a driver-like service.
    pub account: String,
    /// The command line, arguments included. They may hold secrets: see [`Service::image`].
    pub path: String,
    pub own_process: bool,
    pub accepts_stop: bool,
    /// Grows while a pending service makes progress.
    pub check_point: u64,
    /// How long a pending service asked to be given, in milliseconds.
    pub wait_hint_ms: u64,
}

impl Service {
    pub(super) const PROPERTIES: [&'static str; 15] = [
        "Name",
        "DisplayName",
        "State",
        "Status",
        "StartMode",
        "DelayedAutoStart",
        "ProcessId",
        "ExitCode",
        "ServiceSpecificExitCode",
        "StartName",
        "PathName",
        "ServiceType",
        "AcceptStop",
        "CheckPoint",
        "WaitHint",
    ];

    pub(super) fn of(row: &Row) -> Result<Self, String> {
        let name = row.text("Name");
        if name.is_empty() {
            return Err("a service without a name".to_owned());
        }
        Ok(Self {
            display_name: row.text("DisplayName"),
            state: State::parse(&row.text("State")),
            status: row.text("Status"),
            start_mode: row.text("StartMode"),
            delayed: row.flag("DelayedAutoStart"),
            pid: row.number("ProcessId").unwrap_or(0),
            exit_code: row
                .number("ExitCode")
                .ok_or_else(|| format!("service {name} without an exit code"))?,
            specific_code: row.number("ServiceSpecificExitCode").unwrap_or(0),
            account: row.text("StartName"),
            path: row.text("PathName"),
            own_process: row.text("ServiceType").eq_ignore_ascii_case("Own Process"),
            accepts_stop: row.flag("AcceptStop").unwrap_or(false),
            check_point: row.number("CheckPoint").unwrap_or(0),
            wait_hint_ms: row.number("WaitHint").unwrap_or(0),
            name,
        })
    }

    /// Whether `name` names this service. The Service Control Manager knows no case.
    pub(crate) fn is(&self, name: &str) -> bool {
        same_name(&self.name, name)
    }

    /// The name for people: `Print Spooler (Spooler)`.
    pub(crate) fn title(&self) -> String {
        if self.display_name.is_empty() || self.display_name == self.name {
            self.name.clone()
        } else {
            format!("{} ({})", self.display_name, self.name)
        }
    }

    /// Whether it starts by itself after boot.
    pub(crate) fn is_automatic(&self) -> bool {
        self.start_mode.eq_ignore_ascii_case("Auto")
    }

    /// Whether nobody may start it.
    pub(crate) fn is_disabled(&self) -> bool {
        self.start_mode.eq_ignore_ascii_case("Disabled")
    }

    /// The code that says why it ended: its own where it has one.
    pub(crate) fn code(&self) -> u64 {
        const SERVICE_SPECIFIC: u64 = 1066;
        if self.exit_code == SERVICE_SPECIFIC { self.specific_code } else { self.exit_code }
    }

    /// The program without its arguments.
    pub(crate) fn image(&self) -> &str {
        image(&self.path)
    }
}

/// Whether two service names mean the same service.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

/// The program of a command line: what is quoted, else up to the first `.exe`, else the first word.
pub(crate) fn image(path: &str) -> &str {
    let path = path.trim();
    if let Some(quoted) = path.strip_prefix('"') {
        return quoted.split('"').next().unwrap_or(quoted);
    }
    let lower = path.to_ascii_lowercase();
    let ends = lower.match_indices(".exe").map(|(at, found)| at + found.len());
    let whole = |end: &usize| path[*end..].chars().next().is_none_or(char::is_whitespace);
    match ends.into_iter().find(whole) {
        Some(end) => &path[..end],
        None => path.split_whitespace().next().unwrap_or_default(),
    }
}

/// One row of `Win32_NTLogEvent`.
#[derive(Debug, Clone)]
pub(crate) struct LogEvent {
    pub record: u64,
    pub code: u64,
    pub source: String,
    pub at: TimeMs,
    /// 1 error, 2 warning, 3 information.
    pub kind: u64,
    /// The parameters of its message, which do not change with the language of the host.
    pub strings: Vec<String>,
    /// Whose doing it was, where the log says so.
    pub user: String,
}

impl LogEvent {
    pub(super) const PROPERTIES: [&'static str; 7] = [
        "RecordNumber",
        "EventCode",
        "SourceName",
        "TimeGenerated",
        "EventType",
        "InsertionStrings",
        "User",
    ];

    pub(super) fn of(row: &Row) -> Result<Self, String> {
        let part = |name: &str| format!("an event without {name}");
        Ok(Self {
            record: row.number("RecordNumber").ok_or_else(|| part("RecordNumber"))?,
            code: row.number("EventCode").ok_or_else(|| part("EventCode"))?,
            source: row.text("SourceName"),
            at: row.time("TimeGenerated").ok_or_else(|| part("TimeGenerated"))?,
            kind: row.number("EventType").unwrap_or(0),
            strings: row.texts("InsertionStrings"),
            user: row.text("User"),
        })
    }

    /// The parameter of this number, counted from 1 as in the messages.
    pub(crate) fn parameter(&self, number: usize) -> &str {
        self.strings.get(number.wrapping_sub(1)).map_or("", |text| text.trim())
    }

    /// A parameter that holds an error: `%%1053` or `1053`.
    pub(crate) fn error_code(&self, number: usize) -> Option<u64> {
        self.parameter(number).trim_start_matches('%').parse().ok()
    }
}

/// `Win32_OperatingSystem`.
#[derive(Debug, Clone)]
pub(crate) struct OperatingSystem {
    pub caption: String,
    pub version: String,
    pub build: String,
    pub booted: TimeMs,
    /// What its clock shows, for comparing its moments with ours.
    pub now: TimeMs,
    pub memory_bytes: u64,
    pub memory_free_bytes: u64,
    pub commit_limit_bytes: u64,
    pub commit_free_bytes: u64,
}

impl OperatingSystem {
    pub(super) const PROPERTIES: [&'static str; 9] = [
        "Caption",
        "Version",
        "BuildNumber",
        "LastBootUpTime",
        "LocalDateTime",
        "TotalVisibleMemorySize",
        "FreePhysicalMemory",
        "TotalVirtualMemorySize",
        "FreeVirtualMemory",
    ];

    pub(super) fn of(row: &Row) -> Result<Self, String> {
        const KIB: u64 = 1024;
        let bytes = |name: &str| {
            let kib = row.number(name).ok_or_else(|| format!("no {name}"))?;
            Ok::<_, String>(kib.saturating_mul(KIB))
        };
        Ok(Self {
            caption: row.text("Caption").trim().to_owned(),
            version: row.text("Version"),
            build: row.text("BuildNumber"),
            booted: row.time("LastBootUpTime").ok_or("no LastBootUpTime")?,
            now: row.time("LocalDateTime").ok_or("no LocalDateTime")?,
            memory_bytes: bytes("TotalVisibleMemorySize")?,
            memory_free_bytes: bytes("FreePhysicalMemory")?,
            commit_limit_bytes: bytes("TotalVirtualMemorySize")?,
            commit_free_bytes: bytes("FreeVirtualMemory")?,
        })
    }
}

/// One local disk of `Win32_LogicalDisk`.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    /// `C:`.
    pub volume: String,
    pub size_bytes: u64,
    pub free_bytes: u64,
}

impl Disk {
    pub(super) const PROPERTIES: [&'static str; 3] = ["DeviceID", "Size", "FreeSpace"];

    /// A disk without a size has no medium or no file system, and is none for us.
    pub(super) fn of(row: &Row) -> Option<Self> {
        Some(Self {
            volume: row.text("DeviceID"),
            size_bytes: row.number("Size").filter(|size| *size > 0)?,
            free_bytes: row.number("FreeSpace")?,
        })
    }

    /// Less than one part in fifty, or than 200 MB, is left: what fails then fails for want of it.
    pub(crate) fn is_full(&self) -> bool {
        const LEAST_BYTES: u64 = 200 << 20;
        self.free_bytes < LEAST_BYTES.min(self.size_bytes / 4)
            || self.free_bytes.saturating_mul(50) < self.size_bytes
    }
}

/// One row of `Win32_Process`.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub pid: u64,
    pub name: String,
    /// When it was created; `None` for those that the system keeps to itself.
    pub created: Option<TimeMs>,
}

impl Process {
    pub(super) const PROPERTIES: [&'static str; 3] = ["ProcessId", "Name", "CreationDate"];

    pub(super) fn of(row: &Row) -> Option<Self> {
        let pid = row.number("ProcessId")?;
        Some(Self { pid, name: row.text("Name"), created: row.time("CreationDate") })
    }
}

/// One edge of `Win32_DependentService`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// What is needed.
    pub on: String,
    /// Whether that is a driver rather than a service.
    pub on_driver: bool,
    /// Who needs it.
    pub by: String,
}

impl Dependency {
    pub(super) fn of(row: &Row) -> Result<Self, String> {
        let (class, on) = row.reference("Antecedent").ok_or("a dependency without Antecedent")?;
        let (_, by) = row.reference("Dependent").ok_or("a dependency without Dependent")?;
        Ok(Self { on, on_driver: class.eq_ignore_ascii_case("Win32_SystemDriver"), by })
    }
}

/// An installed update of `Win32_QuickFixEngineering`.
#[derive(Debug, Clone)]
pub(crate) struct Hotfix {
    /// `KB5031364`.
    pub id: String,
    /// As the host writes it, mostly `11/20/2026`.
    pub installed_on: String,
}

/// A TCP port that somebody listens on.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub port: u64,
    pub address: String,
    pub pid: u64,
}

/// An answer that is not what the class promises.
pub(super) fn wrong(target: String, class: &str, reason: String) -> ProbeError {
    ProbeError::answer(target, format!("{class}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_a_command_line() {
        let check = |path: &str, expected: &str| assert_eq!(image(path), expected, "{path}");
        check(
            r#""C:\Program Files\Shop\worker.exe" --password x"#,
            r"C:\Program Files\Shop\worker.exe",
        );
        check(r"C:\Windows\System32\svchost.exe -k netsvcs -p", r"C:\Windows\System32\svchost.exe");
        check(r"C:\Program Files\Shop\worker.EXE", r"C:\Program Files\Shop\worker.EXE");
        check(r"C:\a.exe.d\b.exe /x", r"C:\a.exe.d\b.exe");
        check(r"system32\drivers\x.sys", r"system32\drivers\x.sys");
        check("", "");
        check("\"", "");
    }

    #[test]
    fn a_disk_is_full_when_little_is_left() {
        let disk =
            |size_bytes, free_bytes| Disk { volume: "C:".to_owned(), size_bytes, free_bytes };
        let gib = 1 << 30;
        assert!(disk(100 * gib, gib).is_full());
        assert!(disk(100 * gib, 0).is_full());
        assert!(!disk(100 * gib, 3 * gib).is_full());
        assert!(!disk(1 << 20, 1 << 19).is_full());
    }
}
