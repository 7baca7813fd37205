//! The SSH server of a simulated host: one login by one key, commands without a terminal.

use std::sync::Arc;

use paramedic_integration::BoxStream;
use paramedic_model::BoxFuture;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Preferred, SshId, kex};

use super::{SimulatedHost, USER};

/// What the server offers to agree on keys.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// The keys of a simulated host and of its one visitor. They follow from the seed.
pub(super) struct Keys {
    host: PrivateKey,
    client: PrivateKey,
}

impl Keys {
    pub(super) fn new(seed: u64) -> Self {
        Self { host: key(seed, b'h'), client: key(seed, b'c') }
    }

    /// The host's public key, as in `known_hosts` without the name in front.
    pub(super) fn host_key_line(&self) -> String {
        line(&self.host)
    }

    /// The host's private key, as `ssh-keygen` writes it.
    pub(super) fn host_key_file(&self) -> String {
        file(&self.host)
    }

    /// The visitor's public key, as in `authorized_keys`.
    pub(super) fn client_key_line(&self) -> String {
        line(&self.client)
    }

    /// The visitor's private key, as `ssh-keygen` writes it.
    pub(super) fn client_key_file(&self) -> String {
        file(&self.client)
    }
}

fn line(key: &PrivateKey) -> String {
    key.public_key().to_openssh().expect("a key without a strange comment can be written")
}

fn file(key: &PrivateKey) -> String {
    let text = key.to_openssh(LineEnding::LF).expect("a key in memory can be written");
    text.to_string()
}

fn key(seed: u64, role: u8) -> PrivateKey {
    let mut bytes = [role; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&bytes));
    PrivateKey::new(pair, "simulated").expect("a pair made from a seed is a key")
}

/// Serves one connection until it ends.
pub(super) fn serve(host: SimulatedHost, stream: BoxStream) -> BoxFuture<'static, ()> {
    let config = Config {
        server_id: SshId::Standard("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3".into()),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        keys: vec![host.keys.host.clone()],
        // This version has no post-quantum key exchange, which also spares drills its cost.
        preferred: Preferred { kex: KEY_EXCHANGES.into(), ..Preferred::DEFAULT },
        // No timers: in virtual time they would come due at once.
        inactivity_timeout: None,
        keepalive_interval: None,
        auth_rejection_time: std::time::Duration::ZERO,
        ..Config::default()
    };
    Box::pin(async move {
        // A client that hangs up early is no concern of a simulator.
        if let Ok(session) =
            russh::server::run_stream(Arc::new(config), stream, Connection { host }).await
        {
            let _ = session.await;
        }
    })
}

struct Connection {
    host: SimulatedHost,
}

impl Connection {
    fn judge(&self, user: &str, key: &PublicKey) -> Auth {
        let known = self.host.keys.client.public_key();
        if user == USER && key.key_data() == known.key_data() {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        let finished = self.host.shell(&String::from_utf8_lossy(data));
        session.data(channel, finished.stdout.into_bytes())?;
        session.extended_data(channel, 1, finished.stderr.into_bytes())?;
        let code = finished.code.and_then(|code| u32::try_from(code).ok()).unwrap_or(255);
        session.exit_status_request(channel, code)?;
        session.eof(channel)?;
        session.close(channel)
    }
}
