//! When a service or a tunnel must be left as it is.
//!
//! Every check names a state in which an action would do harm, could not help, or would undo what a
//! person decided. The order is that of the reasons a person would want to hear first.

use std::time::Duration;

use paramedic_catalog::Args;
use paramedic_integration::{Look, ProbeError};

use super::Acting;
use crate::probes::service_log::{self, Findings};
use crate::probes::{full_disk, holders};
use crate::services::{self, Aim, Service};

/// Whether to go on, and with what.
pub(super) enum Verdict<T> {
    Go(T),
    No(String),
}

/// A look that is not possible with these arguments is a reason not to act, not a failed look.
pub(super) fn or_no<T>(result: Result<T, ProbeError>) -> Result<Verdict<T>, ProbeError> {
    match result {
        Ok(value) => Ok(Verdict::Go(value)),
        Err(ProbeError::Unable { reason }) => Ok(Verdict::No(reason)),
        Err(error) => Err(error),
    }
}

/// The one listed service that is meant and is down.
pub(super) async fn the_one_down(
    acting: &Acting,
    args: &Args,
) -> Result<Verdict<Service>, ProbeError> {
    let listed = acting.firewall.services().await?;
    let meant = Aim::of(args).find(&listed);
    let mut down = meant.iter().filter(|service| !service.running);
    Ok(match (down.next(), down.next()) {
        _ if meant.is_empty() => Verdict::No(
            "the firewall lists no such service: it is disabled or was removed, so there is \
             nothing to start"
                .to_owned(),
        ),
        (None, _) => Verdict::No("it runs already".to_owned()),
        (Some(service), None) if service.locked => {
            Verdict::No(format!("the firewall keeps {} itself and offers no stop", service.id))
        }
        (Some(service), None) => Verdict::Go(service.clone()),
        _ => Verdict::No(
            "several services of this name and description are down, and it is not known which \
             one is meant: give each a description of its own"
                .to_owned(),
        ),
    })
}

/// Whether the one service that is meant may be started now.
pub(super) async fn may_start(
    acting: &Acting,
    args: &Args,
    look: Look,
) -> Result<Verdict<Service>, ProbeError> {
    // Two crashes within it are a loop.
    const CRASH_WINDOW: Duration = Duration::from_secs(3600);
    let service = match the_one_down(acting, args).await? {
        Verdict::Go(service) => service,
        no @ Verdict::No(_) => return Ok(no),
    };
    if let Some(reason) = busy_with_itself(acting).await? {
        return Ok(Verdict::No(reason));
    }
    let known = services::known(&service.name);
    if known.stops_on_backup && acting.firewall.carp().await?.role() == "backup" {
        return Ok(Verdict::No(format!(
            "this node is the CARP backup, where {} may be stopped by design; starting it here \
             could break the cluster",
            service.name
        )));
    }
    let lines = service_log::read(&acting.firewall, &service, look.since - CRASH_WINDOW).await?;
    let found = Findings::of(&lines, &service);
    let no = if found.stopped_by_request {
        Some("the latest request for it was a stop, so somebody wants it stopped".to_owned())
    } else if found.template_failed {
        Some("its configuration cannot be written, so it would not start".to_owned())
    } else if found.config_error && known.regenerates {
        Some("it refuses its configuration, and a start would write the same one again".to_owned())
    } else if found.crash_count > 1 {
        Some(format!("it crashed {} times within the hour", found.crash_count))
    } else if let Some(disk) = full_disk(&acting.firewall).await? {
        Some(format!("{} is {} % full: free space first", disk.mountpoint, disk.used_pct))
    } else if found.port_in_use {
        let holders = holders(&acting.firewall, &service.name).await?;
        let other = holders.into_iter().find(|holder| !holder.own && !holder.command.is_empty());
        other.map(|holder| format!("{} holds its port", holder.command))
    } else {
        None
    };
    Ok(no.map_or(Verdict::Go(service), Verdict::No))
}

/// Why nothing on this firewall should be touched now, where there is a reason.
pub(super) async fn busy_with_itself(acting: &Acting) -> Result<Option<String>, ProbeError> {
    if acting.firewall.status().await?.booting {
        return Ok(Some("the firewall is still starting".to_owned()));
    }
    if acting.firewall.firmware_busy().await? {
        return Ok(Some("a firmware task runs; services stop and start during one".to_owned()));
    }
    Ok(None)
}
