//! The ways to a host: one that can only look, one that can only act.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_integration::{ActionError, Environment, Finished, ProbeError, Processes};
use paramedic_model::{Clock, Redactor, TimeMs};

use crate::command::{ActCommand, LocalUrl, LookCommand};
use crate::config::{Check, Config, Service};
use crate::ssh::{LOOK_ENVIRONMENT, RunError, SshClient, SshSession};

/// How long a start or restart may take: systemd itself gives up after 90 s.
const ACT_DEADLINE: Duration = Duration::from_secs(100);
/// Where the programs of this machine are sought.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A host that can be looked at. It has no way to send an [`ActCommand`].
pub(crate) struct Host {
    /// Time for decisions.
    pub clock: Arc<dyn Clock>,
    redactor: Redactor,
    environment: Environment,
    reach: Arc<Reach>,
    deadline: Duration,
    services: BTreeMap<String, Service>,
    local_urls: BTreeMap<String, LocalUrl>,
    checks: BTreeMap<String, Check>,
    commands: BTreeMap<String, Vec<String>>,
}

/// The acting side of a host; only actions hold it.
pub(crate) struct ActingHost {
    reach: Arc<Reach>,
    sudo: bool,
}

/// How commands get to the host.
struct Reach {
    /// `None` for this machine.
    ssh: Option<SshClient>,
    processes: Arc<dyn Processes>,
}

/// A host that is ready to be asked, over one connection.
pub(crate) struct Looking<'a> {
    host: &'a Host,
    /// `None` for this machine.
    ssh: Option<SshSession>,
}

impl Host {
    /// The looking and the acting side of the host that `config` describes.
    pub(crate) fn new(config: Config, environment: &Environment) -> (Self, ActingHost) {
        let processes = environment.processes.clone();
        let reach = Arc::new(Reach { ssh: config.ssh, processes });
        let acting = ActingHost { reach: reach.clone(), sudo: config.sudo };
        let host = Self {
            clock: environment.clock.clone(),
            redactor: environment.redactor.clone(),
            environment: environment.clone(),
            reach,
            deadline: config.deadline,
            services: config.services,
            local_urls: config.local_urls,
            checks: config.checks,
            commands: config.commands,
        };
        (host, acting)
    }

    /// What the host is called in messages.
    pub(crate) fn target(&self) -> String {
        self.reach.target()
    }

    /// What connects checks.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// `text` with every known secret masked.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.redactor.clean(text)
    }

    /// The service that a step names.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Unable`] where the configuration has no such service.
    pub(crate) fn service(&self, name: &str) -> Result<&Service, ProbeError> {
        find(&self.services, name, "services")
    }

    /// Where the service that a step names answers on the host itself.
    ///
    /// # Errors
    ///
    /// As [`Host::service`], and where nobody said where it answers.
    pub(crate) fn local_url(&self, name: &str) -> Result<&LocalUrl, ProbeError> {
        self.service(name)?;
        self.local_urls.get(name).ok_or_else(|| {
            ProbeError::unable(format!(
                "nobody can tell whether {name} answers on its own host: set \
                 `services.{name}.local_url` of the host"
            ))
        })
    }

    /// The check that a step names.
    ///
    /// # Errors
    ///
    /// As [`Host::service`].
    pub(crate) fn check(&self, name: &str) -> Result<&Check, ProbeError> {
        find(&self.checks, name, "checks")
    }

    /// The command that a step names.
    ///
    /// # Errors
    ///
    /// As [`Host::service`].
    pub(crate) fn command(&self, name: &str) -> Result<&[String], ProbeError> {
        find(&self.commands, name, "commands").map(Vec::as_slice)
    }

    /// Connects to the host.
    ///
    /// # Errors
    ///
    /// Where it cannot be reached in time, is another one, or does not let us in.
    pub(crate) async fn open(&self) -> Result<Looking<'_>, ProbeError> {
        let Some(ssh) = &self.reach.ssh else { return Ok(Looking { host: self, ssh: None }) };
        let session = within(self.deadline, &self.target(), ssh.open()).await??;
        Ok(Looking { host: self, ssh: Some(session) })
    }

    /// Runs a command of this machine that the configuration gives for a look, whatever its end.
    ///
    /// # Errors
    ///
    /// Where it cannot be started or takes too long.
    pub(crate) async fn run_here(&self, words: &[String]) -> Result<Finished, ProbeError> {
        Ok(self.reach.run_here(words, self.deadline).await?)
    }
}

fn find<'a, T>(
    map: &'a BTreeMap<String, T>,
    name: &str,
    setting: &str,
) -> Result<&'a T, ProbeError> {
    map.get(name).ok_or_else(|| {
        let known: Vec<_> = map.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let reason = format!(
            "the host has no {name:?} under `{setting}`, which lists {known}; nothing was sent"
        );
        ProbeError::unable(reason)
    })
}

impl Looking<'_> {
    /// Runs a command, whatever its end.
    ///
    /// # Errors
    ///
    /// Where the connection broke or the command took too long.
    pub(crate) async fn run(&mut self, command: LookCommand<'_>) -> Result<Finished, ProbeError> {
        let (host, words) = (self.host, command.words());
        match &mut self.ssh {
            None => Ok(host.reach.run_here(&words, host.deadline).await?),
            Some(session) => {
                let line = format!("{LOOK_ENVIRONMENT} {}", words.join(" "));
                Ok(within(host.deadline, &host.target(), session.run(&line)).await??)
            }
        }
    }

    /// Runs a command and returns what it printed, where it succeeded.
    ///
    /// # Errors
    ///
    /// As [`Looking::run`], and where it failed.
    pub(crate) async fn read(&mut self, command: LookCommand<'_>) -> Result<String, ProbeError> {
        let finished = self.run(command).await?;
        match finished.code {
            Some(0) => Ok(finished.stdout),
            _ => Err(self.refusal(command, &finished)),
        }
    }

    /// What the host's own clock shows, in whole seconds.
    ///
    /// Moments of one clock mean nothing to another, so whatever is compared with the host's
    /// times is counted from here.
    pub(crate) async fn now(&mut self) -> Result<TimeMs, ProbeError> {
        let text = self.read(LookCommand::Now).await?;
        let seconds: i64 = text
            .trim()
            .parse()
            .map_err(|_| self.misread(format!("`date +%s` printed {:?}", crate::shorten(&text))))?;
        Ok(TimeMs(seconds.saturating_mul(1000)))
    }

    /// The error for an answer that cannot be understood.
    pub(crate) fn misread(&self, reason: impl Into<String>) -> ProbeError {
        ProbeError::answer(self.host.target(), self.host.clean(&reason.into()))
    }

    /// The error for a command that failed.
    fn refusal(&self, command: LookCommand<'_>, finished: &Finished) -> ProbeError {
        let words = command.words();
        let end = describe(&words, finished);
        if is_denial(&finished.stderr) {
            let reason = self.host.clean(&end);
            return ProbeError::Denied { target: self.host.target(), reason };
        }
        self.misread(end)
    }
}

impl ActingHost {
    /// Changes a unit; returns what the command said, whatever its end.
    ///
    /// # Errors
    ///
    /// [`ActionError::Refused`] where nothing was sent, else [`ActionError::Uncertain`].
    pub(crate) async fn run(&self, command: ActCommand<'_>) -> Result<Finished, ActionError> {
        let words = command.words(self.sudo);
        let Some(ssh) = &self.reach.ssh else { return self.run_here(&words).await };
        let target = self.reach.target();
        let opened = within(ACT_DEADLINE, &target, ssh.open()).await;
        let mut session = opened.and_then(|opened| opened).map_err(ActionError::Refused)?;
        match within(ACT_DEADLINE, &target, session.run(&words.join(" "))).await {
            Ok(Ok(finished)) => Ok(finished),
            Ok(Err(RunError::NotSent(error))) => Err(ActionError::Refused(error)),
            Ok(Err(RunError::Sent(error))) | Err(error) => Err(ActionError::Uncertain(error)),
        }
    }

    /// Runs a command of this machine that the configuration gives for a change.
    ///
    /// # Errors
    ///
    /// As [`ActingHost::run`].
    pub(crate) async fn run_here(&self, words: &[String]) -> Result<Finished, ActionError> {
        self.reach.run_here(words, ACT_DEADLINE).await.map_err(|error| match error {
            RunError::NotSent(error) => ActionError::Refused(error),
            RunError::Sent(error) => ActionError::Uncertain(error),
        })
    }
}

impl Reach {
    fn target(&self) -> String {
        self.ssh.as_ref().map_or_else(|| "this machine".to_owned(), SshClient::target)
    }

    async fn run_here(&self, words: &[String], deadline: Duration) -> Result<Finished, RunError> {
        let environment = [("PATH", PATH), ("LC_ALL", "C"), ("TZ", "UTC")];
        let environment =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = environment.collect();
        let Some((program, args)) = words.split_first() else {
            return Err(RunError::NotSent(ProbeError::unable("no command is configured for this")));
        };
        let run = self.processes.run(program, args, &environment);
        match within(deadline, program, run).await {
            Ok(Ok(finished)) => Ok(finished),
            Ok(Err(error)) => {
                let reason = format!("{program} cannot be started on this machine: {error}");
                Err(RunError::NotSent(ProbeError::Unable { reason }))
            }
            Err(error) => Err(RunError::Sent(error)),
        }
    }
}

/// How a command ended and what it said, for a message.
pub(crate) fn describe(words: &[String], finished: &Finished) -> String {
    let said =
        [&finished.stderr, &finished.stdout].into_iter().find(|text| !text.trim().is_empty());
    let said = said.map_or_else(|| "it said nothing".to_owned(), |text| crate::shorten(text));
    let end = match finished.code {
        Some(code) => format!("ended with {code}"),
        None => "was killed".to_owned(),
    };
    format!("`{}` {end}: {said}", words.iter().take(3).cloned().collect::<Vec<_>>().join(" "))
}

/// Whether a command was turned away for want of a privilege.
pub(crate) fn is_denial(stderr: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "authentication required",
        "access denied",
        "permission denied",
        "insufficient permissions",
        "not in the sudoers file",
        "a password is required",
        "is not allowed to",
    ];
    let text = stderr.to_lowercase();
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// What `work` yields, where it does so in time.
async fn within<T>(
    deadline: Duration,
    target: &str,
    work: impl Future<Output = T>,
) -> Result<T, ProbeError> {
    tokio::time::timeout(deadline, work)
        .await
        .map_err(|_| ProbeError::Deadline { target: target.to_owned(), deadline })
}
