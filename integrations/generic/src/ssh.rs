//! An SSH client for one host: one key to log in with, one host key to believe.
//!
//! It runs commands without a terminal, and nothing else: no shell, no forwarding, no agent. It
//! asks for no password, and it has no timers of its own: whoever uses it sets the deadline.

use std::sync::Arc;

use paramedic_catalog::Settings;
use paramedic_integration::{Address, Environment, Finished, ProbeError, SettingsError, Transport};
use paramedic_model::Redactor;
use russh::client::{AuthResult, Config, Handle, Handler, connect_stream};
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh::{ChannelMsg, Preferred};

/// The most that a command may print on each of its outputs.
const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// The environment in which looking commands run, so that their answers read the same everywhere.
pub(crate) const LOOK_ENVIRONMENT: &str = "env LC_ALL=C TZ=UTC";

/// How to reach one host.
pub(crate) struct SshClient {
    transport: Arc<dyn Transport>,
    redactor: Redactor,
    address: Address,
    user: String,
    key: Arc<PrivateKey>,
    host_key: PublicKey,
}

/// A connection that is logged in.
pub(crate) struct SshSession {
    handle: Handle<Pinned>,
    target: String,
    redactor: Redactor,
}

/// Why a command has no outcome, by whether it can have reached the host.
#[derive(Debug)]
pub(crate) enum RunError {
    /// It was not sent.
    NotSent(ProbeError),
    /// It was sent, and may have been carried out.
    Sent(ProbeError),
}

impl From<RunError> for ProbeError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::NotSent(error) | RunError::Sent(error) => error,
        }
    }
}

impl SshClient {
    /// Reads the settings below `ssh`.
    ///
    /// # Errors
    ///
    /// One that is missing or cannot work.
    pub(crate) fn read(
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let error = |key: &str, reason: String| SettingsError::new(format!("ssh.{key}"), reason);
        let text = |key: &str| {
            settings.text(key).ok_or_else(|| error(key, "this setting is missing".to_owned()))
        };
        let address =
            Address::parse(text("address")?).map_err(|e| error("address", e.to_string()))?;
        let key = settings
            .secret("key")
            .ok_or_else(|| error("key", "this setting is missing".to_owned()))?;
        environment.redactor.add(key);
        let key = PrivateKey::from_openssh(key.expose()).map_err(|e| {
            error("key", format!("this is no private key in OpenSSH's format: {e}"))
        })?;
        if key.is_encrypted() {
            let reason = "this key has a passphrase, which nobody is there to enter; use a key \
                          of its own without one";
            return Err(error("key", reason.to_owned()));
        }
        if key.algorithm() != Algorithm::Ed25519 {
            let reason = format!("this is a key of type {}; use ed25519", key.algorithm());
            return Err(error("key", reason));
        }
        let host_key = PublicKey::from_openssh(text("host_key")?).map_err(|e| {
            let reason = format!("write the host's public key, as in `ssh-ed25519 AAAA...`: {e}");
            error("host_key", reason)
        })?;
        Ok(Self {
            transport: environment.transport.clone(),
            redactor: environment.redactor.clone(),
            address,
            user: text("user")?.to_owned(),
            key: Arc::new(key),
            host_key,
        })
    }

    /// Where the host is, for messages.
    pub(crate) fn target(&self) -> String {
        format!("ssh://{}", self.address)
    }

    /// Connects and logs in. It may wait for ever: the caller sets the deadline.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Connect`] where there is no connection, [`ProbeError::Denied`] where the host
    /// is not the one that is meant or does not let us in.
    pub(crate) async fn open(&self) -> Result<SshSession, ProbeError> {
        let target = self.target();
        let stream = self
            .transport
            .connect(&self.address)
            .await
            .map_err(|e| ProbeError::Connect { target: target.clone(), reason: e.to_string() })?;
        let pinned = Pinned { host_key: self.host_key.clone() };
        let handle = connect_stream(Arc::new(self.protocol()), stream, pinned).await;
        let mut handle = handle.map_err(|fault| self.fault(fault))?;
        let key = PrivateKeyWithHashAlg::new(self.key.clone(), None);
        match handle.authenticate_publickey(self.user.clone(), key).await {
            Ok(AuthResult::Success) => {}
            Ok(AuthResult::Failure { .. }) => {
                let key = self.key.public_key().fingerprint(HashAlg::Sha256);
                let reason = format!(
                    "the host does not let {} in with the key {key}; look at its authorized_keys",
                    self.user
                );
                return Err(ProbeError::Denied { target, reason });
            }
            Err(error) => return Err(self.fault(Fault::Protocol(error))),
        }
        Ok(SshSession { handle, target, redactor: self.redactor.clone() })
    }

    /// The protocol's parameters: only the host key's own type, so that a host with several keys
    /// shows the one that is meant.
    fn protocol(&self) -> Config {
        let key = vec![self.host_key.algorithm()];
        let preferred = Preferred { key: key.into(), ..Preferred::DEFAULT };
        Config {
            preferred,
            inactivity_timeout: None,
            keepalive_interval: None,
            ..Config::default()
        }
    }

    fn fault(&self, fault: Fault) -> ProbeError {
        let target = self.target();
        let expected = self.host_key.fingerprint(HashAlg::Sha256);
        match fault {
            Fault::OtherHost(found) => {
                let reason = format!(
                    "its host key is {found}, not {expected} as configured: another host answers, \
                     or it was installed anew; nothing was sent"
                );
                ProbeError::Denied { target, reason }
            }
            Fault::Protocol(error @ russh::Error::NoCommonAlgo { .. }) => {
                let reason = format!("it has no host key of the configured type: {error}");
                ProbeError::Denied { target, reason }
            }
            Fault::Protocol(error) => {
                let reason = self.redactor.clean(&error.to_string());
                ProbeError::Connect { target, reason }
            }
        }
    }
}

impl SshSession {
    /// Runs the command of these words, each of which must be plain. It may wait for ever: the
    /// caller sets the deadline.
    pub(crate) async fn run(&mut self, line: &str) -> Result<Finished, RunError> {
        let broken = |what: &dyn std::fmt::Display| ProbeError::Connect {
            target: self.target.clone(),
            reason: self.redactor.clean(&what.to_string()),
        };
        let channel = self.handle.channel_open_session().await;
        let mut channel = channel.map_err(|e| RunError::NotSent(broken(&e)))?;
        channel.exec(true, line).await.map_err(|e| RunError::Sent(broken(&e)))?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (mut code, mut ended) = (None, false);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Failure => {
                    let reason = "it lets us in but runs no command for us";
                    let target = self.target.clone();
                    let denied = ProbeError::Denied { target, reason: reason.to_owned() };
                    return Err(RunError::NotSent(denied));
                }
                ChannelMsg::Data { data } => stdout.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, ext: 1 } => stderr.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => {
                    (code, ended) = (i32::try_from(exit_status).ok(), true);
                }
                ChannelMsg::ExitSignal { .. } => ended = true,
                _ => {}
            }
            if stdout.len().max(stderr.len()) > OUTPUT_BYTES_MAX {
                let reason = format!("it printed more than {} MiB", OUTPUT_BYTES_MAX >> 20);
                return Err(RunError::Sent(ProbeError::answer(&self.target, reason)));
            }
        }
        if !ended {
            return Err(RunError::Sent(broken(&"the connection ended before the command did")));
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Finished { code, stdout: text(stdout), stderr: text(stderr) })
    }
}

/// Believes one host key.
struct Pinned {
    host_key: PublicKey,
}

/// Why there is no connection.
#[derive(Debug)]
enum Fault {
    /// The host showed another key; its fingerprint.
    OtherHost(String),
    Protocol(russh::Error),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl Handler for Pinned {
    type Error = Fault;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. }
                if key.key_data() == self.host_key.key_data() =>
            {
                Ok(true)
            }
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                Err(Fault::OtherHost(key.fingerprint(HashAlg::Sha256).to_string()))
            }
            PublicKeyOrCertificate::Certificate(_) => {
                Err(Fault::OtherHost("a certificate".to_owned()))
            }
        }
    }
}
