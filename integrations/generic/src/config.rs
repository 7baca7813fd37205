//! The settings of a host, read once and held to what can work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::Settings;
use paramedic_integration::{
    Address, Environment, HttpClient, SettingsError, TlsSettings, TlsTrust, UrlPath,
};

use crate::command::{LocalUrl, UnitName, is_plain};
use crate::ssh::SshClient;

/// How long one command on the host may take where nothing else is said.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);
/// How long a check from here may take; more is silence.
pub(crate) const CHECK_DEADLINE: Duration = Duration::from_secs(10);

/// A host as configured.
pub(crate) struct Config {
    /// How to reach it; `None` for this machine.
    pub ssh: Option<SshClient>,
    /// Whether starts and restarts go through `sudo`.
    pub sudo: bool,
    /// How long one command may take.
    pub deadline: Duration,
    /// What steps may name as a service.
    pub services: BTreeMap<String, Service>,
    /// Where services answer on the host itself, by the name of the service.
    pub local_urls: BTreeMap<String, LocalUrl>,
    /// What steps may name as a check.
    pub checks: BTreeMap<String, Check>,
    /// What steps may name as a command.
    pub commands: BTreeMap<String, Vec<String>>,
}

/// A service that steps may name.
pub(crate) enum Service {
    /// A systemd unit of the host.
    Unit(UnitName),
    /// Whatever these commands of this machine reach.
    Commands(ServiceCommands),
}

/// The commands of a service that is no systemd unit, each as its words; empty where not given.
pub(crate) struct ServiceCommands {
    pub status: Vec<String>,
    pub start: Vec<String>,
    pub restart: Vec<String>,
    pub log: Vec<String>,
}

/// A place that steps may try.
pub(crate) enum Check {
    /// An HTTP server and a path on it.
    Http { client: Arc<HttpClient>, path: UrlPath, url: String },
    /// A TCP port.
    Tcp(Address),
}

impl Config {
    /// Reads `settings`.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work.
    pub(crate) fn read(
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let ssh = settings.table("ssh");
        let (mut services, mut local_urls) = (BTreeMap::new(), BTreeMap::new());
        for (name, service) in settings.tables("services").into_iter().flatten() {
            services.insert(name.clone(), read_service(name, service)?);
            if let Some(url) = service.text("local_url") {
                local_urls.insert(name.clone(), read_local_url(name, url)?);
            }
        }
        let mut checks = BTreeMap::new();
        for (name, target) in settings.map("checks").into_iter().flatten() {
            checks.insert(name.clone(), read_check(name, target, environment)?);
        }
        let mut commands = BTreeMap::new();
        for (name, words) in settings.lists("commands").into_iter().flatten() {
            let setting = format!("commands.{name}");
            if words.is_empty() {
                return Err(SettingsError::new(setting, "write the command as its words"));
            }
            let odd = words.iter().find(|word| ssh.is_some() && !is_plain(word));
            if let Some(word) = odd {
                let reason = format!(
                    "{word:?} cannot travel over SSH unchanged; use letters, digits and \
                     _ . / : = @ % + , - only, or put the command into a script on the host"
                );
                return Err(SettingsError::new(setting, reason));
            }
            commands.insert(name.clone(), words.clone());
        }
        Ok(Self {
            sudo: ssh.and_then(|ssh| ssh.flag("sudo")).unwrap_or(false),
            ssh: ssh.map(|ssh| SshClient::read(ssh, environment)).transpose()?,
            deadline: settings.duration("deadline").unwrap_or(DEFAULT_DEADLINE),
            services,
            local_urls,
            checks,
            commands,
        })
    }
}

fn read_service(name: &str, settings: &Settings) -> Result<Service, SettingsError> {
    let setting = |key: &str| format!("services.{name}.{key}");
    let list = |key: &str| settings.list(key).to_vec();
    let commands = ServiceCommands {
        status: list("status"),
        start: list("start"),
        restart: list("restart"),
        log: list("log"),
    };
    let given = ["status", "start", "restart", "log"];
    let given = given.into_iter().find(|key| !settings.list(key).is_empty());
    match (settings.text("unit"), given) {
        (Some(_), Some(key)) => {
            let reason = "a service has either `unit` or commands; the unit's state, log and \
                          start are systemd's";
            Err(SettingsError::new(setting(key), reason))
        }
        (Some(unit), None) => UnitName::parse(unit).map(Service::Unit).ok_or_else(|| {
            let reason = format!(
                "{unit:?} is no unit that can be named safely; use letters, digits and : _ . @ -"
            );
            SettingsError::new(setting("unit"), reason)
        }),
        (None, _) if commands.status.is_empty() => {
            let reason = "give the systemd `unit`, or at least a `status` command";
            Err(SettingsError::new(format!("services.{name}"), reason))
        }
        (None, _) => Ok(Service::Commands(commands)),
    }
}

fn read_local_url(name: &str, url: &str) -> Result<LocalUrl, SettingsError> {
    LocalUrl::parse(url).ok_or_else(|| {
        let reason = format!(
            "{url:?} is no http or https URL that can travel over SSH unchanged; write something \
             like http://127.0.0.1:8080/ping, without a user, `?` or `&`"
        );
        SettingsError::new(format!("services.{name}.local_url"), reason)
    })
}

fn read_check(name: &str, target: &str, environment: &Environment) -> Result<Check, SettingsError> {
    let setting = format!("checks.{name}");
    let Some((scheme, rest)) = target.split_once("://") else {
        let address = Address::parse(target).map_err(|_| {
            let reason = format!("write an http or https URL, or host:port, not {target:?}");
            SettingsError::new(&setting, reason)
        })?;
        return Ok(Check::Tcp(address));
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = UrlPath::given(if path.is_empty() { "/" } else { path })
        .map_err(|error| SettingsError::new(&setting, error.to_string()))?;
    // A check asks whether something answers. It sends nothing secret and believes nothing that
    // it reads, so any certificate will do.
    let tls = TlsSettings::new(&setting, &TlsTrust::Anyone)?;
    let base = format!("{scheme}://{authority}");
    let client = HttpClient::new(&setting, &base, tls, None, environment)?;
    let client = Arc::new(client.with_deadline(CHECK_DEADLINE));
    Ok(Check::Http { client, path, url: target.to_owned() })
}
