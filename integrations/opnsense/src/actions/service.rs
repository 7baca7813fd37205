//! What start, restart and reconfigure of a service have in common: whom they hit, and how they
//! know that it worked.

use std::time::Duration;

use paramedic_catalog::Args;
use paramedic_integration::{
    Acted, ActionError, BlastRadius, Happened, Look, Precondition, ProbeError,
};
use paramedic_model::TimeMs;

use super::Acting;
use super::guard::{Verdict, may_start, the_one_down};
use crate::services::{Aim, Request, Service};

/// What the privileges of the page call what these actions need.
pub(super) const PRIVILEGE: &str = "Status: Services";
pub(super) const PRECONDITION: &str = "Listed, down, and the only one of its name and description that is; not stopped on request; \
     no start-up or firmware task under way; not a service that a CARP backup keeps stopped; disk \
     not full; port not held by another process; its configuration can be written and \
     was not refused; at most one crash within the hour";
pub(super) const BLAST_RADIUS: &str =
    "Other running services of the same name, where the firewall restarts them all (Kea)";
pub(super) const VERIFICATION: &str =
    "The list of services, read again until it runs, and once more five seconds later";

pub(super) async fn precondition(
    acting: &Acting,
    args: &Args,
    look: Look,
) -> Result<Precondition, ProbeError> {
    Ok(match may_start(acting, args, look).await? {
        Verdict::Go(service) => Precondition::Holds(format!("{} is down", service.title())),
        Verdict::No(reason) => Precondition::Fails(reason),
    })
}

pub(super) async fn blast_radius(acting: &Acting, args: &Args) -> Result<BlastRadius, ProbeError> {
    let listed = acting.firewall.services().await?;
    let name = Aim::of(args).name;
    // Kea has one script for all its daemons; every other service is addressed by its own id.
    let hit = |service: &&Service| name == "kea-dhcp" && service.name == name && service.running;
    let hit: Vec<_> = listed.iter().filter(hit).map(Service::title).collect();
    let summary = match hit.as_slice() {
        [] => "nothing else: the service is down".to_owned(),
        names => format!("interrupts for a moment: {}", names.join(", ")),
    };
    Ok(BlastRadius { count: u32::try_from(hit.len()).unwrap_or(u32::MAX), summary })
}

/// The service that is meant, looked up again right before the request.
pub(super) async fn aim(acting: &Acting, args: &Args) -> Result<Service, ActionError> {
    match the_one_down(acting, args).await {
        Ok(Verdict::Go(service)) => Ok(service),
        Ok(Verdict::No(reason)) => Err(ActionError::Refused(ProbeError::unable(reason))),
        Err(error) => Err(ActionError::Refused(error)),
    }
}

/// Sends `core/service/<verb>` for the one service that is meant, and waits until it runs.
pub(super) async fn request(
    acting: &Acting,
    args: &Args,
    verb: &'static str,
) -> Result<Acted, ActionError> {
    let service = aim(acting, args).await?;
    let mut path = vec!["api", "core", "service", verb, service.name.as_str()];
    path.extend(service.instance());
    acting.send(&path, PRIVILEGE).await?;
    until_running(acting, &service).await
}

/// Reads the list until `service` runs, and once more to see that it stays.
pub(super) async fn until_running(
    acting: &Acting,
    service: &Service,
) -> Result<Acted, ActionError> {
    const WAITS_S: [u64; 5] = [1, 4, 5, 10, 20];
    const STAYS: Duration = Duration::from_secs(5);
    let clock = &acting.firewall.clock;
    let runs = async || {
        let listed = acting.firewall.services().await.map_err(ActionError::Uncertain)?;
        Ok(listed.into_iter().find(|listed| listed.id == service.id).map(|listed| listed.running))
    };
    let mut last = Err(ActionError::Ineffective(format!("{} still does not run", service.id)));
    for wait_s in WAITS_S {
        clock.sleep(Duration::from_secs(wait_s)).await;
        match runs().await {
            Ok(Some(true)) => {
                clock.sleep(STAYS).await;
                return match runs().await? {
                    Some(true) => Ok(Acted { summary: format!("{} runs again", service.title()) }),
                    _ => Err(ActionError::Ineffective(format!(
                        "{} stopped again within five seconds",
                        service.id
                    ))),
                };
            }
            Ok(Some(false)) => {
                let text = format!("{} still does not run", service.id);
                last = Err(ActionError::Ineffective(text));
            }
            Ok(None) => {
                let text = format!("{} is no longer listed", service.id);
                last = Err(ActionError::Ineffective(text));
            }
            Err(error) => last = Err(error),
        }
    }
    last
}

/// Whether configd saw one of `requests` for the service since `intended`.
pub(super) async fn happened(
    acting: &Acting,
    args: &Args,
    requests: &[Request],
    intended: TimeMs,
) -> Result<Happened, ProbeError> {
    let listed = acting.firewall.services().await?;
    let mut verdict = Happened::Unknown("the firewall no longer lists the service".to_owned());
    for service in Aim::of(args).find(&listed) {
        verdict = acting.requested_since(&service, requests, intended).await?;
        if matches!(verdict, Happened::Yes(_)) {
            break;
        }
    }
    Ok(verdict)
}
