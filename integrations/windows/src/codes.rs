//! What the exit codes of services mean, and whether another start can help.

/// What is known of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// The family: what the runbook's causes tell apart.
    pub class: Class,
    /// For people.
    pub text: &'static str,
}

/// Why a service ended or did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It ended as it should.
    Clean,
    /// It crashed.
    Crash,
    /// It did not report in time.
    Timeout,
    /// What it depends on failed.
    Dependency,
    /// What it depends on is not installed.
    DependencyMissing,
    /// The account could not log on.
    Logon,
    /// It may not be started.
    Disabled,
    /// It is being removed.
    Deletion,
    /// Another process holds its port, or the port is reserved.
    Port,
    /// The disk is full.
    Disk,
    /// The host is out of memory.
    Memory,
    /// The program is missing, blocked, or no program for this host.
    Program,
    /// It may not do what it needs to do.
    Access,
    /// Nobody started it since the host did.
    NeverStarted,
    /// Something else.
    Other,
}

impl Class {
    /// The word in facts.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
            Self::Dependency => "dependency",
            Self::DependencyMissing => "dependency-missing",
            Self::Logon => "logon",
            Self::Disabled => "disabled",
            Self::Deletion => "deletion",
            Self::Port => "port",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Program => "program",
            Self::Access => "access",
            Self::NeverStarted => "never-started",
            Self::Other => "other",
        }
    }

    /// Why starting the service again cannot help, or does harm; `None` where it may help.
    pub(crate) fn against_starting(self) -> Option<&'static str> {
        match self {
            Self::Clean
            | Self::Crash
            | Self::Timeout
            | Self::Dependency
            | Self::NeverStarted
            | Self::Other => None,
            Self::DependencyMissing => Some("what it depends on is not installed"),
            Self::Logon => {
                Some("its account cannot log on, and every further start may lock the account")
            }
            Self::Disabled => Some("it is disabled"),
            Self::Deletion => Some("it is being removed"),
            Self::Port => Some("its port is held by another process"),
            Self::Disk => Some("there is no space left on a disk"),
            Self::Memory => Some("the host is out of memory"),
            Self::Program => Some("its program is missing or is not allowed to run"),
            Self::Access => Some("its account lacks a right that it needs"),
        }
    }
}

/// What `code` means, where this table knows it.
pub(crate) fn meaning(code: u64) -> Option<Meaning> {
    let (class, text) = match code {
        0 => (Class::Clean, "ended without an error"),
        2 => (Class::Program, "the program file is not found"),
        3 => (Class::Program, "the path of the program is not found"),
        5 => (Class::Access, "access is denied"),
        8 | 14 => (Class::Memory, "not enough memory"),
        112 => (Class::Disk, "not enough space on the disk"),
        126 => (Class::Program, "a module is not found"),
        127 => (Class::Program, "a procedure of a module is not found"),
        193 => (Class::Program, "the file is no valid program"),
        216 => (Class::Program, "the program is for another architecture"),
        225 => (Class::Program, "the program was blocked as malware"),
        577 => (Class::Program, "the signature of the program is not valid"),
        1053 => (Class::Timeout, "it did not answer the start in time"),
        1054 => (Class::Memory, "no thread could be created for it"),
        1055 => (Class::Other, "the service database is locked"),
        1056 => (Class::Other, "an instance runs already"),
        1057 => (Class::Logon, "the account does not exist or its password is wrong"),
        1058 => (Class::Disabled, "it is disabled"),
        1059 => (Class::DependencyMissing, "its dependencies form a circle"),
        1060 => (Class::DependencyMissing, "it is not installed"),
        1061 => (Class::Other, "it cannot take control messages now"),
        1062 => (Class::Other, "it was not started"),
        1063 => (Class::Program, "its process was not started by the service manager"),
        1064 => (Class::Crash, "an exception while handling a control message"),
        1066 => (Class::Other, "an error of its own"),
        1067 => (Class::Crash, "its process ended unexpectedly"),
        1068 => (Class::Dependency, "a service it depends on did not start"),
        1069 => (Class::Logon, "its account could not log on"),
        1070 => (Class::Timeout, "it hung while starting"),
        1072 => (Class::Deletion, "it is marked for deletion"),
        1075 => (Class::DependencyMissing, "what it depends on does not exist"),
        1077 => (Class::NeverStarted, "no start was tried since the host booted"),
        1079 => (Class::Logon, "its account differs from that of others in its process"),
        1260 => (Class::Program, "the program is blocked by policy"),
        1290 => (Class::Access, "its service SID does not fit its process"),
        1297 | 1314 => (Class::Access, "a privilege that it needs is missing"),
        1311 => (Class::Logon, "no server could check its logon"),
        1326 => (Class::Logon, "the user name or password of its account is wrong"),
        1330 => (Class::Logon, "the password of its account has expired"),
        1331 => (Class::Logon, "its account is disabled"),
        1385 => (Class::Logon, "its account lacks the right to log on as a service"),
        1450 | 1455 => (Class::Memory, "the host lacks memory or page file"),
        1787 | 1789 => (Class::Logon, "the trust with the domain is broken"),
        1793 => (Class::Logon, "its account has expired"),
        1909 => (Class::Logon, "its account is locked out"),
        10_013 => (Class::Port, "its port is reserved or exclusively bound"),
        10_048 => (Class::Port, "its port is in use"),
        14_001 => (Class::Program, "its side-by-side configuration is wrong"),
        _ => return None,
    };
    Some(Meaning { class, text })
}

/// The class of `code`.
pub(crate) fn class(code: u64) -> Class {
    meaning(code).map_or(Class::Other, |meaning| meaning.class)
}

/// The code with its meaning: `1067, its process ended unexpectedly`. Codes that are an HRESULT or
/// an NTSTATUS print as such.
pub(crate) fn explain(code: u64) -> String {
    const FIRST_STATUS: u64 = 0x8000_0000;
    match meaning(code) {
        Some(meaning) => format!("{code}, {}", meaning.text),
        None if code >= FIRST_STATUS => format!("0x{code:08X}"),
        None => code.to_string(),
    }
}

/// What a method of `Win32_Service` returns, in words.
pub(crate) fn return_value(value: u64) -> &'static str {
    const WORDS: [&str; 25] = [
        "accepted",
        "not supported",
        "access denied",
        "services that depend on it run",
        "not a valid control",
        "it cannot take this control now",
        "it is not active",
        "it did not answer in time",
        "unknown failure",
        "its path is not found",
        "it runs already",
        "the service database is locked",
        "a dependency was removed",
        "a dependency failed",
        "it is disabled",
        "its account could not log on",
        "it is marked for deletion",
        "it has no thread",
        "its dependencies form a circle",
        "duplicate name",
        "invalid name",
        "invalid parameter",
        "invalid account",
        "it exists already",
        "it is paused already",
    ];
    usize::try_from(value).ok().and_then(|at| WORDS.get(at)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_as_a_person_would_say_it() {
        assert_eq!(explain(1067), "1067, its process ended unexpectedly");
        assert_eq!(explain(3_221_225_477), "0xC0000005");
        assert_eq!(explain(4711), "4711");
        assert!(class(1326).against_starting().is_some_and(|reason| reason.contains("lock")));
        assert!(class(1067).against_starting().is_none());
        assert_eq!(
            (return_value(3), return_value(99)),
            ("services that depend on it run", "unknown")
        );
    }
}
