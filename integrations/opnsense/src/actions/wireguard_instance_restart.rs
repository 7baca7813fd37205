//! Restarts one WireGuard instance, which resolves the names of its peers anew.
//!
//! It destroys and creates the interface: all its peers drop, and every handshake is forgotten, so
//! idle peers turn `offline`. It helps in one case only, a name that was resolved wrongly or not at
//! all when the instance started, and is refused in every other.

use std::time::Duration;

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_integration::{
    Acted, ActionError, BlastRadius, Happened, Look, Precondition, ProbeError,
};
use paramedic_model::TimeMs;

use super::guard::{Verdict, busy_with_itself, or_no};
use super::{Acting, Entry};
use crate::probes::wireguard_endpoint::resolve;
use crate::services::{Request, requested};
use crate::wireguard::{Aim, Config, PeerStatus, ServerConfig, endpoint_address};

pub(super) const ENTRY: Entry = Entry {
    signature,
    precondition: |acting, args, look| Box::pin(precondition(acting, args, look)),
    blast_radius: |acting, args, _| Box::pin(blast_radius(acting, args)),
    act: |acting, args, look| Box::pin(act(acting, args, look)),
    happened: |acting, args, intended, _| Box::pin(happened(acting, args, intended)),
};

/// An instance is restarted at most once in this time.
const COOL_DOWN: Duration = Duration::from_secs(3600);
/// Younger than this, a firewall's tunnels are still coming up by themselves.
const SETTLING: Duration = Duration::from_secs(300);

fn signature() -> ActionSignature {
    ActionSignature {
        name: "wireguard-instance-restart",
        summary: "Restarts the peer's WireGuard instance, so that endpoint names are resolved anew",
        params: Aim::params(),
        risk: Risk::Medium,
        privilege: "Status: Services",
        precondition: "The peer is not online, its endpoint is a name that resolves now to another \
                       address than the one in use (or none is in use), and the configuration is \
                       applied; all names on the instance resolve; not the CARP backup; no \
                       start-up or firmware task under way; up for five minutes; not restarted \
                       within the hour",
        blast_radius: "Peers of the instance that are online now: all lose their session, and a \
                       roaming one shows offline until it calls again",
        verification: "The peer's latest handshake is younger than the restart, within two minutes",
        undo: "None: sessions come back as peers call or are called",
    }
}

async fn precondition(
    acting: &Acting,
    args: &Args,
    look: Look,
) -> Result<Precondition, ProbeError> {
    Ok(match check(acting, args, look).await? {
        Verdict::Go(reason) => Precondition::Holds(reason),
        Verdict::No(reason) => Precondition::Fails(reason),
    })
}

async fn check(acting: &Acting, args: &Args, look: Look) -> Result<Verdict<String>, ProbeError> {
    let firewall = &acting.firewall;
    let aim = Aim::of(args);
    let no = |reason: &str| Ok(Verdict::No(reason.to_owned()));
    let services = firewall.services().await?;
    let service = match or_no(aim.find_service(&services))? {
        Verdict::Go(service) => service,
        Verdict::No(reason) => return Ok(Verdict::No(reason)),
    };
    let (tunnels, peers) = firewall.tunnels().await?;
    let peer = match or_no(aim.find(&peers))? {
        Verdict::Go(Some(peer)) => peer,
        Verdict::Go(None) => return no("the kernel has no such peer: apply the configuration"),
        Verdict::No(reason) => return Ok(Verdict::No(reason)),
    };
    if peer.status == PeerStatus::Online {
        return no("the peer is online");
    }
    if !tunnels.iter().any(|tunnel| tunnel.name == aim.instance && tunnel.status == "up") {
        return no("the interface is down: by CARP, or by hand");
    }
    if firewall.carp().await?.role() == "backup" {
        return no("this node is the CARP backup; the peer talks to the master");
    }
    if let Some(reason) = busy_with_itself(acting).await? {
        return Ok(Verdict::No(reason));
    }
    if firewall.uptime().await? < SETTLING {
        return no("the firewall started less than five minutes ago: wait for the peers to call");
    }
    let config = Config::read(firewall).await?;
    let (server, client) = match or_no(aim.find_config(&config))? {
        Verdict::Go((Some(server), Some(client))) => (server, client),
        Verdict::Go(_) => return no("the configuration has no such peer"),
        Verdict::No(reason) => return Ok(Verdict::No(reason)),
    };
    if !client.enabled || !server.enabled || !config.enabled {
        return no("it is disabled in the configuration");
    }
    if client.roams() {
        return no("a roaming peer: nothing here calls it, so a restart cannot bring it back");
    }
    if !client.differences(peer).is_empty() {
        return no("the configuration is saved but not applied: apply it instead");
    }
    if !client.has_name() {
        return no("its endpoint is an address: a restart would change nothing but its neighbours");
    }
    if let Some(reason) = unresolved(acting, &config, server).await? {
        return Ok(Verdict::No(reason));
    }
    let addresses = resolve(firewall, &client.address).await?;
    let endpoint = endpoint_address(&peer.endpoint);
    if endpoint.is_some_and(|endpoint| addresses.contains(&endpoint)) {
        return no("the right address is in use already, so the far side does not answer");
    }
    let lines = firewall.log("configd", "", look.now - COOL_DOWN).await?;
    if lines.iter().any(|line| requested(&line.text, service) == Some(Request::Restart)) {
        return no("it was restarted within the hour, and a second restart would not help");
    }
    let in_use = endpoint.map_or("none".to_owned(), |endpoint| endpoint.to_string());
    let found: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    Ok(Verdict::Go(format!(
        "{} resolves to {} now, and the endpoint in use is {in_use}",
        client.address,
        found.join(", ")
    )))
}

/// Why a start of the instance would lose peers: one name that does not resolve ends the load.
pub(super) async fn unresolved(
    acting: &Acting,
    config: &Config,
    server: &ServerConfig,
) -> Result<Option<String>, ProbeError> {
    for client in config.clients_on(server).filter(|client| client.enabled && client.has_name()) {
        if resolve(&acting.firewall, &client.address).await?.is_empty() {
            return Ok(Some(format!(
                "{} of peer {:?} does not resolve now, and a start with it would lose peers",
                client.address, client.name
            )));
        }
    }
    Ok(None)
}

async fn blast_radius(acting: &Acting, args: &Args) -> Result<BlastRadius, ProbeError> {
    let aim = Aim::of(args);
    let (_, peers) = acting.firewall.tunnels().await?;
    let online: Vec<_> = peers
        .iter()
        .filter(|peer| peer.instance == aim.instance && peer.status == PeerStatus::Online)
        .map(|peer| peer.name.as_str())
        .collect();
    let summary = match online.as_slice() {
        [] => "no peer of the instance is online".to_owned(),
        names => format!("peers that are online now lose their session: {}", names.join(", ")),
    };
    Ok(BlastRadius { count: u32::try_from(online.len()).unwrap_or(u32::MAX), summary })
}

async fn act(acting: &Acting, args: &Args, look: Look) -> Result<Acted, ActionError> {
    const STEP: Duration = Duration::from_secs(5);
    const STEPS: u32 = 24;
    let firewall = &acting.firewall;
    let aim = Aim::of(args);
    // A restart that cannot help costs its neighbours their sessions, so all is checked once more.
    match check(acting, args, look).await {
        Ok(Verdict::Go(_)) => {}
        Ok(Verdict::No(reason)) => {
            return Err(ActionError::Refused(ProbeError::unable(reason)));
        }
        Err(error) => return Err(ActionError::Refused(error)),
    }
    let services = firewall.services().await.map_err(ActionError::Refused)?;
    let service = aim.find_service(&services).map_err(ActionError::Refused)?;
    // The path without an id would restart every instance.
    let Some(id) = service.instance() else {
        let reason = "the firewall lists the instance without an id";
        return Err(ActionError::Refused(ProbeError::unable(reason)));
    };
    let before_s = (firewall.clock.now().0 + firewall.skew_ms()) / 1000;
    acting
        .send(&["api", "core", "service", "restart", "wireguard", id], "Status: Services")
        .await?;
    let mut last = Ok(());
    for _ in 0..STEPS {
        firewall.clock.sleep(STEP).await;
        last = match firewall.tunnels().await {
            Ok((_, peers)) => match aim.find(&peers) {
                Ok(Some(peer)) if peer.handshake >= before_s => {
                    let summary = format!(
                        "{} shook hands with {} after the restart of {}",
                        peer.name, peer.endpoint, aim.instance
                    );
                    return Ok(Acted { summary });
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
    }
    last.map_err(ActionError::Uncertain)?;
    Err(ActionError::Ineffective(
        "the peer has not shaken hands within two minutes of the restart".to_owned(),
    ))
}

async fn happened(acting: &Acting, args: &Args, intended: TimeMs) -> Result<Happened, ProbeError> {
    let services = acting.firewall.services().await?;
    let service = Aim::of(args).find_service(&services)?;
    acting.requested_since(service, &[Request::Restart], intended).await
}
