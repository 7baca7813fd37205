//! WireGuard as the kernel has it (`show`) and as the configuration has it (`search_*`).

use paramedic_catalog::{Args, Param, ParamKind};
use paramedic_integration::ProbeError;
use serde_json::Value;

use crate::client::Firewall;
use crate::json::{field, flag, int, text};
use crate::services::Service;

/// An interface that exists now.
#[derive(Debug, Clone)]
pub(crate) struct Tunnel {
    /// `wg0`.
    pub(crate) device: String,
    /// The name of the instance: the label `device_name`.
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) public_key: String,
    pub(crate) listen_port: String,
}

/// A peer that the kernel knows now.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) device: String,
    /// The name of its instance.
    pub(crate) instance: String,
    /// The name of the peer; empty where its key is not in the configuration.
    pub(crate) name: String,
    pub(crate) public_key: String,
    /// `ip:port`, `[v6]:port`, or empty where none is known.
    pub(crate) endpoint: String,
    pub(crate) allowed_ips: String,
    /// Seconds since the epoch, of the firewall's clock; 0 for never since the interface was made.
    pub(crate) handshake: i64,
    pub(crate) handshake_age: Option<i64>,
    pub(crate) rx_bytes: i64,
    pub(crate) tx_bytes: i64,
    /// `off`, or seconds.
    pub(crate) keepalive: String,
    pub(crate) status: PeerStatus,
}

/// The state of a peer by the age of its last handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerStatus {
    /// At most 300 s.
    Online,
    /// More than that: the tunnel worked and died, or its peer went away.
    Stale,
    /// Never since the interface was created.
    Offline,
    /// The firewall does not say (before 25.1.2).
    Unknown,
}

impl PeerStatus {
    /// The value of `opnsense_wireguard_peer_status`.
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Offline => 0.0,
            Self::Online => 1.0,
            Self::Unknown => 2.0,
            Self::Stale => 3.0,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Stale => "stale",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

impl Tunnel {
    pub(crate) fn read(row: &Value) -> Option<Self> {
        Some(Self {
            device: text(row, "if")?,
            name: field(row, "ifname"),
            status: field(row, "status"),
            public_key: field(row, "public-key"),
            listen_port: field(row, "listen-port"),
        })
    }
}

impl Peer {
    pub(crate) fn read(row: &Value) -> Option<Self> {
        let endpoint = field(row, "endpoint");
        let status = match field(row, "peer-status").as_str() {
            "online" => PeerStatus::Online,
            "stale" => PeerStatus::Stale,
            "offline" => PeerStatus::Offline,
            _ => PeerStatus::Unknown,
        };
        Some(Self {
            device: text(row, "if")?,
            instance: field(row, "ifname"),
            name: field(row, "name"),
            public_key: field(row, "public-key"),
            endpoint: if endpoint == "(none)" { String::new() } else { endpoint },
            allowed_ips: field(row, "allowed-ips"),
            handshake: int(row, "latest-handshake").unwrap_or(0),
            handshake_age: int(row, "latest-handshake-age"),
            rx_bytes: int(row, "transfer-rx")?,
            tx_bytes: int(row, "transfer-tx")?,
            keepalive: field(row, "persistent-keepalive"),
            status,
        })
    }

    /// What the counters say, as one word: see the README.
    pub(crate) fn reading(&self) -> &'static str {
        let (sent, received) = (self.tx_bytes > 0, self.rx_bytes > 0);
        match self.status {
            PeerStatus::Online => "connected",
            PeerStatus::Stale => "died",
            _ if self.endpoint.is_empty() => "silent",
            _ if sent && received => "unconfirmed",
            _ if sent => "unanswered",
            _ => "idle",
        }
    }
}

/// An instance as configured.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    pub(crate) uuid: String,
    pub(crate) enabled: bool,
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) port: String,
    pub(crate) depends_on_carp: bool,
    peers: String,
}

/// A peer as configured.
#[derive(Debug, Clone)]
pub(crate) struct ClientConfig {
    pub(crate) uuid: String,
    pub(crate) enabled: bool,
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) allowed_ips: String,
    /// An address, a name, or empty for a peer that connects from anywhere.
    pub(crate) address: String,
    pub(crate) port: String,
    /// Seconds, or empty; `None` where the version's grid does not say (before 25.7).
    pub(crate) keepalive: Option<String>,
    servers: String,
}

/// WireGuard's configuration, without its secrets.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) enabled: bool,
    pub(crate) servers: Vec<ServerConfig>,
    pub(crate) clients: Vec<ClientConfig>,
}

const PRIVILEGE: &str = "VPN: WireGuard: configuration";

impl Config {
    /// Reads the configuration. Its rows hold keys, which the client drops.
    pub(crate) async fn read(firewall: &Firewall) -> Result<Self, ProbeError> {
        const GENERAL: &str = "/api/wireguard/general/get";
        let general = firewall.get(GENERAL, PRIVILEGE).await?;
        let enabled = flag(&general["general"], "enabled")
            .ok_or_else(|| firewall.answer(GENERAL, "no general.enabled in it"))?;
        let servers = firewall.rows("/api/wireguard/server/search_server", PRIVILEGE).await?;
        let clients = firewall.rows("/api/wireguard/client/search_client", PRIVILEGE).await?;
        let server = |row: &Value| ServerConfig {
            uuid: field(row, "uuid"),
            enabled: flag(row, "enabled").unwrap_or(false),
            name: field(row, "name"),
            public_key: field(row, "pubkey"),
            port: field(row, "port"),
            depends_on_carp: !field(row, "carp_depend_on").is_empty(),
            peers: field(row, "peers"),
        };
        let client = |row: &Value| ClientConfig {
            uuid: field(row, "uuid"),
            enabled: flag(row, "enabled").unwrap_or(false),
            name: field(row, "name"),
            public_key: field(row, "pubkey"),
            allowed_ips: field(row, "tunneladdress"),
            address: field(row, "serveraddress"),
            port: field(row, "serverport"),
            keepalive: text(row, "keepalive"),
            servers: field(row, "servers"),
        };
        let servers = servers.iter().map(server).collect();
        Ok(Self { enabled, servers, clients: clients.iter().map(client).collect() })
    }

    /// The instances of this name.
    pub(crate) fn servers_named(&self, name: &str) -> Vec<&ServerConfig> {
        self.servers.iter().filter(|server| server.name == name).collect()
    }

    /// The peers that are attached to `server`: by its id, or by names before 25.7.
    pub(crate) fn clients_on<'c>(
        &'c self,
        server: &'c ServerConfig,
    ) -> impl Iterator<Item = &'c ClientConfig> {
        let listed = |list: &str, word: &str| list.split(',').any(|item| item.trim() == word);
        self.clients.iter().filter(move |client| {
            listed(&client.servers, &server.uuid)
                || listed(&client.servers, &server.name)
                || listed(&server.peers, &client.uuid)
                || listed(&server.peers, &client.name)
        })
    }

    /// What differs between configuration and kernel besides the peer `but`; `None` where nothing
    /// does.
    pub(crate) fn other_differences(
        &self,
        but: &ClientConfig,
        tunnels: &[Tunnel],
        peers: &[Peer],
    ) -> Option<String> {
        for server in self.servers.iter().filter(|server| server.enabled) {
            let Some(tunnel) = tunnels.iter().find(|tunnel| tunnel.name == server.name) else {
                return Some(format!("instance {:?}", server.name));
            };
            if tunnel.public_key != server.public_key || tunnel.listen_port != server.port {
                return Some(format!("instance {:?}", server.name));
            }
            let running = |key: &str| {
                peers.iter().find(|peer| peer.instance == server.name && peer.public_key == key)
            };
            for client in self.clients_on(server).filter(|client| client.uuid != but.uuid) {
                let differs = match running(&client.public_key) {
                    Some(peer) => !client.enabled || !client.differences(peer).is_empty(),
                    None => client.enabled,
                };
                if differs {
                    return Some(format!("peer {:?}", client.name));
                }
            }
        }
        None
    }
}

impl ClientConfig {
    /// Whether nothing here ever calls this peer: it connects from wherever it is.
    pub(crate) fn roams(&self) -> bool {
        self.address.is_empty()
    }

    /// Whether its endpoint is a name that has to be resolved.
    pub(crate) fn has_name(&self) -> bool {
        !self.roams() && self.address.parse::<std::net::IpAddr>().is_err()
    }

    /// What the kernel has otherwise than this configuration says; empty where they agree. An
    /// endpoint is compared only before the first handshake, for a peer may move after it.
    pub(crate) fn differences(&self, peer: &Peer) -> Vec<&'static str> {
        let mut found = Vec::new();
        if self.public_key != peer.public_key {
            found.push("public key");
        }
        if set_of(&self.allowed_ips) != set_of(&peer.allowed_ips) {
            found.push("allowed IPs");
        }
        let seconds = |text: &str| text.parse().unwrap_or(0_u32);
        let configured = self.keepalive.as_deref().map(seconds);
        if configured.is_some_and(|configured| configured != seconds(&peer.keepalive)) {
            found.push("keepalive");
        }
        let moved = !self.roams() && !self.has_name() && peer.handshake == 0;
        let address = endpoint_address(&peer.endpoint);
        if moved && address != self.address.parse().ok() {
            found.push("endpoint");
        }
        found
    }
}

/// The address of an endpoint `ip:port` or `[v6]:port`.
pub(crate) fn endpoint_address(endpoint: &str) -> Option<std::net::IpAddr> {
    let (host, _) = endpoint.rsplit_once(':')?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn set_of(list: &str) -> std::collections::BTreeSet<&str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty() && *item != "(none)").collect()
}

/// Which peer a step means: the labels of the series that its alert came from.
pub(crate) struct Aim<'a> {
    pub(crate) instance: &'a str,
    pub(crate) peer: &'a str,
}

impl<'a> Aim<'a> {
    pub(crate) fn of(args: &'a Args) -> Self {
        Self { instance: args.text("interface"), peer: args.text("peer") }
    }

    /// The parameters that [`Aim::of`] reads.
    pub(crate) fn params() -> Vec<Param> {
        let text = || ParamKind::Text { max_chars: 200 };
        vec![
            Param::required("interface", text(), "The instance, as in the label `device_name`."),
            Param::required("peer", text(), "The peer, as in the label `peer_name`."),
        ]
    }

    /// The one peer that is meant, of those that the kernel has. `None` where there is none.
    ///
    /// # Errors
    ///
    /// Where several peers of one instance share the name.
    pub(crate) fn find<'p>(&self, peers: &'p [Peer]) -> Result<Option<&'p Peer>, ProbeError> {
        let mut meant =
            peers.iter().filter(|peer| peer.instance == self.instance && peer.name == self.peer);
        match (meant.next(), meant.next()) {
            (found, None) => Ok(found),
            _ => Err(self.ambiguous("peers")),
        }
    }

    /// The one configured peer that is meant, with its instance.
    ///
    /// # Errors
    ///
    /// Where several instances or peers share the name.
    pub(crate) fn find_config<'c>(
        &self,
        config: &'c Config,
    ) -> Result<(Option<&'c ServerConfig>, Option<&'c ClientConfig>), ProbeError> {
        let servers = config.servers_named(self.instance);
        let server = match servers.as_slice() {
            [] => return Ok((None, None)),
            [server] => *server,
            _ => return Err(self.ambiguous("instances")),
        };
        let clients: Vec<_> =
            config.clients_on(server).filter(|client| client.name == self.peer).collect();
        match clients.as_slice() {
            [] => Ok((Some(server), None)),
            [client] => Ok((Some(server), Some(client))),
            _ => Err(self.ambiguous("configured peers")),
        }
    }

    /// The one service of the instance, whose id a restart takes: its description is the
    /// instance's name after `WireGuard `.
    ///
    /// # Errors
    ///
    /// Where the firewall lists no such instance, or several.
    pub(crate) fn find_service<'s>(
        &self,
        services: &'s [Service],
    ) -> Result<&'s Service, ProbeError> {
        let meant = |service: &&Service| {
            service.name == "wireguard"
                && service.instance().is_some()
                && service.description.strip_prefix("WireGuard ") == Some(self.instance)
        };
        let mut found = services.iter().filter(meant);
        match (found.next(), found.next()) {
            (Some(service), None) => Ok(service),
            (None, _) => {
                let reason = "the firewall lists no WireGuard instance of this name";
                Err(ProbeError::unable(reason))
            }
            _ => Err(self.ambiguous("instances")),
        }
    }

    fn ambiguous(&self, what: &str) -> ProbeError {
        ProbeError::unable(format!(
            "several {what} share this name, so it is not known which one is meant: give each a \
             name of its own"
        ))
    }
}
