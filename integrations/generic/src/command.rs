//! Every command line that this crate can send, and nothing else.
//!
//! A command line is a list of fixed words and of words that cannot mean anything to a shell: the
//! name of a unit, a number, or a word of the configuration that was held to the same letters. So
//! the words may be joined by blanks, and what a label says never gets here.

use std::fmt;

use paramedic_model::TimeMs;

/// The properties of a unit that are read.
const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,Result,UnitFileState,ExecMainCode,\
                          ExecMainStatus,MainPID,NRestarts,RestartUSec,StateChangeTimestamp,\
                          ActiveEnterTimestamp,InactiveEnterTimestamp";

/// How long a host waits for what it asks itself.
const FETCH_SECONDS: &str = "5";

/// The name of a systemd unit, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitName(String);

impl UnitName {
    /// Reads a unit's name; `.service` is added where it has no suffix. `None` where it holds
    /// anything but letters, digits and `: _ . @ -`, or begins with `-`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        const LONGEST: usize = 255;
        const SUFFIXES: [&str; 5] = [".service", ".socket", ".timer", ".mount", ".target"];
        let plain = |c: char| c.is_ascii_alphanumeric() || ":_.@-".contains(c);
        if text.is_empty() || text.starts_with(['-', '.']) || !text.chars().all(plain) {
            return None;
        }
        let suffixed = SUFFIXES.iter().any(|suffix| text.ends_with(suffix));
        let name = if suffixed { text.to_owned() } else { format!("{text}.service") };
        (name.len() <= LONGEST).then_some(Self(name))
    }

    /// The name, with its suffix.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URL that a host asks of itself, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalUrl(String);

impl LocalUrl {
    /// Reads an http or https URL with a host. `None` where a shell would not pass it on as it is.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
        let host = rest.split('/').next()?;
        let fits = is_plain(text) && !host.is_empty() && !host.contains(['@', '%', ',', '=']);
        fits.then(|| Self(text.to_owned()))
    }

    /// The URL.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a shell passes `word` on as it is.
pub(crate) fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    !word.is_empty() && word.chars().all(plain)
}

/// A command that looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LookCommand<'a> {
    /// The state of a unit.
    Show(&'a UnitName),
    /// The last lines about a unit.
    Journal {
        unit: &'a UnitName,
        /// By the host's own clock.
        since: TimeMs,
        line_count_max: u32,
    },
    /// What the host's clock shows.
    Now,
    /// How full the file systems are.
    Disks,
    /// How many files they hold.
    Inodes,
    /// Memory and swap.
    Memory,
    /// The load.
    Load,
    /// How many processors there are.
    Processors,
    /// Who listens on TCP ports.
    Listeners,
    /// What the host is answered that asks a URL itself: the head of the answer.
    Fetch(&'a LocalUrl),
    /// A command that the configuration allows, its words plain.
    Configured(&'a [String]),
}

impl LookCommand<'_> {
    /// The words.
    pub(crate) fn words(&self) -> Vec<String> {
        let fixed = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Show(unit) => {
                fixed(&["systemctl", "show", "--no-pager", "-p", PROPERTIES, "--", unit.as_str()])
            }
            Self::Journal { unit, since, line_count_max } => {
                let lines = format!("--lines={line_count_max}");
                let since = format!("--since=@{}", since.0.div_euclid(1000).max(0));
                let unit = unit.as_str();
                fixed(&["journalctl", "--no-pager", "-o", "json", &lines, &since, "-u", unit])
            }
            Self::Now => fixed(&["date", "+%s"]),
            Self::Disks => fixed(&["df", "-P", "-k"]),
            Self::Inodes => fixed(&["df", "-P", "-i"]),
            Self::Memory => fixed(&["cat", "/proc/meminfo"]),
            Self::Load => fixed(&["cat", "/proc/loadavg"]),
            Self::Processors => fixed(&["nproc"]),
            Self::Listeners => fixed(&["ss", "-H", "-ltnp"]),
            // No settings of the login, no proxy, any certificate: the question is who answers.
            Self::Fetch(url) => {
                let options = ["curl", "-q", "-sS", "-k", "--noproxy", "localhost,127.0.0.1,::1"];
                let rest = ["-m", FETCH_SECONDS, "-o", "/dev/null", "-D", "-", url.as_str()];
                fixed(&[&options[..], &rest].concat())
            }
            Self::Configured(words) => words.to_vec(),
        }
    }
}

/// A command that changes something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ActCommand<'a> {
    /// Starts a unit.
    Start(&'a UnitName),
    /// Stops a unit and starts it again.
    Restart(&'a UnitName),
}

impl ActCommand<'_> {
    /// The words, behind `sudo -n` where `sudo` says so.
    pub(crate) fn words(&self, sudo: bool) -> Vec<String> {
        let (verb, unit) = match self {
            Self::Start(unit) => ("start", unit),
            Self::Restart(unit) => ("restart", unit),
        };
        let sudo: &[&str] = if sudo { &["sudo", "-n"] } else { &[] };
        let words = ["systemctl", "--no-ask-password", verb, "--", unit.as_str()];
        sudo.iter().chain(&words).map(|word| (*word).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_name_holds_nothing_that_a_shell_reads() {
        let check = |text: &str, name: Option<&str>| {
            assert_eq!(UnitName::parse(text).as_ref().map(UnitName::as_str), name, "{text:?}");
        };
        check("traefik", Some("traefik.service"));
        check("traefik.service", Some("traefik.service"));
        check("getty@tty1", Some("getty@tty1.service"));
        check("docker.socket", Some("docker.socket"));
        check("a.b", Some("a.b.service"));
        let hostile =
            ["", "-H", ".service", "a b", "a;b", "a\nb", "$(a)", "`a`", "a'b", "a\"b", "a/b", "é"];
        for text in hostile {
            check(text, None);
        }
        check(&"a".repeat(10_000), None);
    }

    #[test]
    fn a_local_url_holds_nothing_that_a_shell_reads() {
        for text in ["http://127.0.0.1:8888/", "https://localhost", "http://127.0.0.1:8080/ping"] {
            assert!(LocalUrl::parse(text).is_some(), "{text}");
        }
        let hostile = ["", "127.0.0.1:80", "http://", "http:///x", "file:///etc/passwd"];
        let more = ["http://a b/", "http://a;b", "http://a/$(b)", "http://u:p@a/", "http://a/?b&c"];
        for text in hostile.into_iter().chain(more) {
            assert_eq!(LocalUrl::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_word_that_is_sent_is_plain() {
        let unit = UnitName::parse("getty@tty1").unwrap();
        let since = TimeMs(1_795_227_720_999);
        let url = LocalUrl::parse("http://127.0.0.1:8888/").unwrap();
        let looks = [
            LookCommand::Show(&unit),
            LookCommand::Journal { unit: &unit, since, line_count_max: 200 },
            LookCommand::Now,
            LookCommand::Disks,
            LookCommand::Inodes,
            LookCommand::Memory,
            LookCommand::Load,
            LookCommand::Processors,
            LookCommand::Listeners,
            LookCommand::Fetch(&url),
        ];
        let acts = [ActCommand::Start(&unit), ActCommand::Restart(&unit)];
        let lines = looks.iter().map(LookCommand::words);
        let lines: Vec<_> = lines.chain(acts.iter().map(|act| act.words(true))).collect();
        assert!(lines.iter().flatten().all(|word| is_plain(word)));
        assert_eq!(
            lines[1].join(" "),
            "journalctl --no-pager -o json --lines=200 --since=@1795227720 -u getty@tty1.service"
        );
        assert_eq!(
            lines[9].join(" "),
            "curl -q -sS -k --noproxy localhost,127.0.0.1,::1 -m 5 -o /dev/null -D - \
             http://127.0.0.1:8888/"
        );
        assert_eq!(
            lines[11].join(" "),
            "sudo -n systemctl --no-ask-password restart -- getty@tty1.service"
        );
    }
}
