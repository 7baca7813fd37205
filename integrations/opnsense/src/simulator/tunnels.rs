//! Simulated WireGuard: instances, and the far sides of their tunnels as functions of time.

use std::time::Duration;

use paramedic_model::TimeMs;

use super::state::{State, WGROAD, WGSITE};

/// A session shakes hands again about this often.
const REKEY: Duration = Duration::from_secs(110);
/// An initiation without an answer is sent again after this.
const RETRY_S: i64 = 5;
/// The bytes of an initiation and of an answer to one.
const INITIATION_BYTES: i64 = 148;
const RESPONSE_BYTES: i64 = 92;

/// One WireGuard instance.
pub(super) struct Instance {
    pub(super) uuid: &'static str,
    pub(super) name: &'static str,
    pub(super) device: &'static str,
    pub(super) public_key: &'static str,
    pub(super) port: u16,
    pub(super) created: TimeMs,
    pub(super) up: bool,
    pub(super) depends_on_carp: bool,
}

/// How a far side behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It answers, and calls.
    Answers,
    /// It is off, unreachable, or does not know our key.
    Silent,
    /// It calls and answers with another pre-shared key: packets, but no session.
    Mismatched,
}

/// What the kernel holds of a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) present: bool,
    pub(super) allowed_ips: String,
    pub(super) keepalive: String,
    /// Where it is called.
    pub(super) endpoint: Option<String>,
}

/// One peer: how it is configured, what the kernel holds, and how the far side behaves.
pub(super) struct FarPeer {
    pub(super) uuid: &'static str,
    pub(super) name: &'static str,
    pub(super) instance: &'static str,
    pub(super) public_key: &'static str,
    pub(super) allowed_ips: &'static str,
    /// The configured endpoint; empty for a roaming peer.
    pub(super) address: &'static str,
    pub(super) port: &'static str,
    pub(super) keepalive: &'static str,
    pub(super) loaded: Loaded,
    /// Where the far side is.
    pub(super) source: &'static str,
    pub(super) mood: Mood,
    /// How long after the interface was created the first handshake comes.
    pub(super) first: Duration,
    /// Since when it can be met, where that is later than the interface.
    pub(super) met_since: Option<TimeMs>,
    /// Its last handshake was then, and none came since.
    pub(super) died: Option<TimeMs>,
}

/// The counters of a peer at a moment.
pub(super) struct Figures {
    pub(super) handshake: Option<TimeMs>,
    pub(super) rx_bytes: i64,
    pub(super) tx_bytes: i64,
    pub(super) endpoint: Option<String>,
}

impl Instance {
    pub(super) fn all(created: TimeMs) -> Vec<Self> {
        let instance = |uuid, name, device, public_key, port| Self {
            uuid,
            name,
            device,
            public_key,
            port,
            created,
            up: true,
            depends_on_carp: false,
        };
        let (site, road) = (
            "SRVsite8Qx1h0V4mYk7cPz2nRd5tWb9sLf3gJu6eAaE=",
            "SRVroad5Jt7m2C9xLq4vHb8zNw1kTy6rDp3sGf0uXiI=",
        );
        vec![
            instance(WGSITE, "wgsite", "wg0", site, 51820),
            instance(WGROAD, "wgroad", "wg1", road, 51821),
        ]
    }
}

impl FarPeer {
    pub(super) fn all() -> Vec<Self> {
        let peer = |uuid, name, instance, public_key, allowed_ips, source| Self {
            uuid,
            name,
            instance,
            public_key,
            allowed_ips,
            address: "",
            port: "",
            keepalive: "",
            loaded: Loaded::default(),
            source,
            mood: Mood::Answers,
            first: Duration::from_secs(45),
            met_since: None,
            died: None,
        };
        let calling = |peer: Self, address, port| Self {
            address,
            port,
            keepalive: "25",
            first: Duration::from_secs(3),
            ..peer
        };
        vec![
            calling(
                peer(
                    "a0000000-0000-4000-8000-00000000000a",
                    "branch-a",
                    WGSITE,
                    "PEERa1Vt4Wq8Zk2Xn6Rm0Lc5Yb9Hd3Gs7Fj1TpUoEwA=",
                    "10.9.0.2/32,10.20.0.0/16",
                    "203.0.113.5:51820",
                ),
                "203.0.113.5",
                "51820",
            ),
            calling(
                peer(
                    "b0000000-0000-4000-8000-00000000000b",
                    "branch-b",
                    WGSITE,
                    "PEERb7Kc2Ns5Jx9Qv3Dz8Wf1Mg6Th4Rl0Yp2BuCiOqE=",
                    "10.9.0.3/32,10.30.0.0/16",
                    "203.0.113.77:51820",
                ),
                "branch-b.example.net",
                "51820",
            ),
            peer(
                "c0000000-0000-4000-8000-00000000000c",
                "depot",
                WGSITE,
                "PEERc3Gd8Lm1Pz6Xr4Bt9Vk2Nq7Hw5Fs0Jy3TcUeAiM=",
                "10.9.0.4/32,10.40.0.0/16",
                "198.51.100.23:40112",
            ),
            peer(
                "d0000000-0000-4000-8000-00000000000d",
                "laptop",
                WGROAD,
                "PEERd9Rf5Ck0Wz3Jn7Qb2Ht8Ls4Xv6Gm1Pd9YuEoIaU=",
                "10.8.0.2/32",
                "198.51.100.90:58231",
            ),
            peer(
                "e0000000-0000-4000-8000-00000000000e",
                "phone",
                WGROAD,
                "PEERe2Bh6Tz9Nv1Lk5Gw8Rq3Jc7Ds4Xp0Mf2YiOuEaS=",
                "10.8.0.3/32",
                "198.51.100.177:33920",
            ),
        ]
    }

    /// Handshake, counters and endpoint at `now`, for an interface created at `created`.
    pub(super) fn figures(&self, created: TimeMs, now: TimeMs) -> Figures {
        let age_s = (now.0 - created.0).max(0) / 1000;
        let called = self.loaded.endpoint.clone();
        let calls = !self.address.is_empty();
        // A peer that is called at a wrong place, or at none, is not met.
        let met = !calls || called.as_deref() == Some(self.source);
        let endpoint = || if calls { called.clone() } else { Some(self.source.to_owned()) };
        if let Some(died) = self.died {
            let tx_bytes = 90_000 + (now.0 - died.0).max(0) / 1000 / RETRY_S * INITIATION_BYTES;
            return Figures {
                handshake: Some(died),
                rx_bytes: 120_000,
                tx_bytes,
                endpoint: endpoint(),
            };
        }
        let first = self.met_since.map_or(created, |at| at.max(created)) + self.first;
        match self.mood {
            Mood::Answers if met && now >= first => {
                let since = now.since(first);
                let done = u32::try_from(since.as_millis() / REKEY.as_millis()).unwrap_or(0);
                let count = i64::from(done) + 1;
                Figures {
                    handshake: Some(first + REKEY * done),
                    rx_bytes: count * RESPONSE_BYTES + age_s * 310,
                    tx_bytes: count * INITIATION_BYTES + age_s * 270,
                    endpoint: endpoint(),
                }
            }
            Mood::Mismatched => Figures {
                handshake: None,
                rx_bytes: (age_s / RETRY_S + 1) * INITIATION_BYTES,
                tx_bytes: (age_s / RETRY_S + 1) * (INITIATION_BYTES + RESPONSE_BYTES),
                endpoint: endpoint(),
            },
            _ => {
                // Only a peer with an endpoint and a keepalive is called by itself.
                let keeps = self.loaded.keepalive != "off" && called.is_some();
                let tries = if keeps { age_s / RETRY_S + 1 } else { 0 };
                Figures {
                    handshake: None,
                    rx_bytes: 0,
                    tx_bytes: tries * INITIATION_BYTES,
                    endpoint: called,
                }
            }
        }
    }
}

impl State {
    /// Loads the configuration of every peer into the kernel, resolving names.
    pub(super) fn load_tunnels(&mut self) {
        for at in 0..self.peers.len() {
            self.load_peer(at);
        }
    }

    /// Loads the configuration of one peer.
    pub(super) fn load_peer(&mut self, at: usize) {
        let names = self.names.clone();
        let Some(peer) = self.peers.get_mut(at) else { return };
        let host = match peer.address {
            "" => None,
            address if address.parse::<std::net::IpAddr>().is_ok() => Some(address),
            name => names.get(name).copied(),
        };
        let off = peer.keepalive.is_empty();
        peer.loaded = Loaded {
            present: true,
            allowed_ips: peer.allowed_ips.to_owned(),
            keepalive: if off { "off" } else { peer.keepalive }.to_owned(),
            endpoint: host.map(|host| format!("{host}:{}", peer.port)),
        };
    }

    /// Destroys and creates the interface of an instance: every handshake is forgotten.
    pub(super) fn create_instance(&mut self, uuid: &str) {
        let now = self.now;
        let Some(instance) = self.instances.iter_mut().find(|i| i.uuid == uuid) else { return };
        instance.created = now;
        let (name, device) = (instance.name, instance.device);
        for at in 0..self.peers.len() {
            if self.peers[at].instance == uuid {
                self.peers[at].died = None;
                self.load_peer(at);
            }
        }
        let text = format!("wireguard instance {name} ({device}) started");
        self.log("wireguard", "Notice", "wireguard", text);
    }

    /// As if the instance had been created `ago` before now.
    pub(super) fn created_before(&mut self, uuid: &str, ago: Duration) {
        let at = self.now - ago;
        let Some(instance) = self.instances.iter_mut().find(|i| i.uuid == uuid) else { return };
        instance.created = at;
        let text = format!("wireguard instance {} ({}) started", instance.name, instance.device);
        self.log_at(at, "wireguard", "Notice", "wireguard", text);
    }

    pub(super) fn peer_mut(&mut self, name: &str) -> Option<&mut FarPeer> {
        self.peers.iter_mut().find(|peer| peer.name == name)
    }
}
