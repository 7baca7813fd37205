//! Applies the saved WireGuard configuration, where a peer's was saved and never applied.
//!
//! The call acts on every instance whose configuration differs from what runs, so it is refused
//! where anything but this one peer differs: that would apply somebody's unfinished work.

use std::time::Duration;

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_integration::{Acted, ActionError, BlastRadius, Happened, Precondition, ProbeError};

use super::guard::{Verdict, busy_with_itself, or_no};
use super::wireguard_instance_restart::unresolved;
use super::{Acting, Entry};
use crate::wireguard::{Aim, Config, PeerStatus};

pub(super) const ENTRY: Entry = Entry {
    signature,
    precondition: |acting, args, _| Box::pin(precondition(acting, args)),
    blast_radius: |acting, args, _| Box::pin(blast_radius(acting, args)),
    act: |acting, args, _| Box::pin(act(acting, args)),
    happened: |acting, args, _, _| Box::pin(happened(acting, args)),
};

fn signature() -> ActionSignature {
    ActionSignature {
        name: "wireguard-reconfigure",
        summary: "Applies the saved configuration of the peer, where what runs differs from it",
        params: Aim::params(),
        risk: Risk::Medium,
        privilege: "VPN: WireGuard",
        precondition: "The peer is enabled and what runs differs from its configuration; nothing \
                       else differs; keys and ports of the instances are applied; all names on \
                       the instance resolve; not the CARP backup; no start-up or firmware task \
                       under way",
        blast_radius: "Peers of the instance that are online now: their traffic may stop for a \
                       moment while addresses and routes are set anew",
        verification: "What runs, read again until it is what is configured",
        undo: "Change the peer's settings back and apply them",
    }
}

async fn precondition(acting: &Acting, args: &Args) -> Result<Precondition, ProbeError> {
    Ok(match check(acting, args).await? {
        Verdict::Go(reason) => Precondition::Holds(reason),
        Verdict::No(reason) => Precondition::Fails(reason),
    })
}

async fn check(acting: &Acting, args: &Args) -> Result<Verdict<String>, ProbeError> {
    let firewall = &acting.firewall;
    let aim = Aim::of(args);
    let no = |reason: &str| Ok(Verdict::No(reason.to_owned()));
    let config = Config::read(firewall).await?;
    let (tunnels, peers) = firewall.tunnels().await?;
    let (server, client) = match or_no(aim.find_config(&config))? {
        Verdict::Go((Some(server), Some(client))) => (server, client),
        Verdict::Go(_) => return no("the configuration has no such peer"),
        Verdict::No(reason) => return Ok(Verdict::No(reason)),
    };
    if !client.enabled || !server.enabled || !config.enabled {
        return no("it is disabled in the configuration");
    }
    let differs = match or_no(aim.find(&peers))? {
        Verdict::Go(Some(peer)) => client.differences(peer),
        Verdict::Go(None) => vec!["the peer itself"],
        Verdict::No(reason) => return Ok(Verdict::No(reason)),
    };
    if differs.is_empty() {
        return no("what runs is what is configured, so there is nothing to apply");
    }
    if firewall.carp().await?.role() == "backup" {
        return no("this node is the CARP backup; the peer talks to the master");
    }
    if let Some(reason) = busy_with_itself(acting).await? {
        return Ok(Verdict::No(reason));
    }
    if let Some(other) = config.other_differences(client, &tunnels, &peers) {
        return Ok(Verdict::No(format!("it would also apply unapplied changes of {other}")));
    }
    if let Some(reason) = unresolved(acting, &config, server).await? {
        return Ok(Verdict::No(reason));
    }
    Ok(Verdict::Go(format!("saved but not applied: {}", differs.join(", "))))
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
        names => format!("traffic of these may stop for a moment: {}", names.join(", ")),
    };
    Ok(BlastRadius { count: u32::try_from(online.len()).unwrap_or(u32::MAX), summary })
}

/// Whether what runs of the peer is what is configured.
async fn applied(acting: &Acting, aim: &Aim<'_>) -> Result<bool, ProbeError> {
    let config = Config::read(&acting.firewall).await?;
    let (_, peers) = acting.firewall.tunnels().await?;
    let (_, client) = aim.find_config(&config)?;
    let pair = client.zip(aim.find(&peers)?);
    Ok(pair.is_some_and(|(client, peer)| client.differences(peer).is_empty()))
}

async fn act(acting: &Acting, args: &Args) -> Result<Acted, ActionError> {
    const STEP: Duration = Duration::from_secs(3);
    const STEPS: u32 = 10;
    let aim = Aim::of(args);
    // Names that the firewall does not have are refused before anything is sent.
    match check(acting, args).await {
        Ok(Verdict::Go(_)) => {}
        Ok(Verdict::No(reason)) => {
            return Err(ActionError::Refused(ProbeError::unable(reason)));
        }
        Err(error) => return Err(ActionError::Refused(error)),
    }
    acting.send(&["api", "wireguard", "service", "reconfigure"], "VPN: WireGuard").await?;
    let mut last = Ok(false);
    for _ in 0..STEPS {
        acting.firewall.clock.sleep(STEP).await;
        last = applied(acting, &aim).await;
        if matches!(last, Ok(true)) {
            let summary = format!("the configuration of {} on {} runs", aim.peer, aim.instance);
            return Ok(Acted { summary });
        }
    }
    last.map_err(ActionError::Uncertain)?;
    Err(ActionError::Ineffective("what runs still differs from the configuration".to_owned()))
}

/// Applying is the same however often it is done, so the state answers.
async fn happened(acting: &Acting, args: &Args) -> Result<Happened, ProbeError> {
    Ok(if applied(acting, &Aim::of(args)).await? {
        Happened::Yes("what runs is what is configured".to_owned())
    } else {
        Happened::No("what runs still differs from the configuration".to_owned())
    })
}
