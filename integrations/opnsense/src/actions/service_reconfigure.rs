//! Writes a service's configuration anew from the saved settings, then starts it.
//!
//! For services whose start script takes the generated file as it lies there (Kea, IPsec, Suricata,
//! Monit), this alone repairs a damaged file.

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_integration::{
    Acted, ActionError, Happened, HttpRequest, Look, Precondition, ProbeError, UrlPath,
};
use paramedic_model::TimeMs;

use super::guard::{Verdict, may_start};
use super::{Acting, Entry, service};
use crate::json::field;
use crate::services::{Aim, Request, known};

pub(super) const ENTRY: Entry = Entry {
    signature,
    precondition: |acting, args, look| Box::pin(precondition(acting, args, look)),
    blast_radius: |acting, args, _| Box::pin(service::blast_radius(acting, args)),
    act: |acting, args, _| Box::pin(act(acting, args)),
    happened: |acting, args, intended, _| Box::pin(happened(acting, args, intended)),
};

fn signature() -> ActionSignature {
    ActionSignature {
        name: "service-reconfigure",
        summary: "Writes the configuration of one service that is down anew, and starts it",
        params: Aim::params(),
        risk: Risk::Medium,
        privilege: "the page of the service itself",
        precondition: "As for service-restart; besides, the API has a module for the service, \
                       which does not call it disabled",
        blast_radius: service::BLAST_RADIUS,
        verification: service::VERIFICATION,
        undo: "None: the generated file is a copy of the saved settings, which do not change",
    }
}

async fn precondition(
    acting: &Acting,
    args: &Args,
    look: Look,
) -> Result<Precondition, ProbeError> {
    let service = match may_start(acting, args, look).await? {
        Verdict::Go(service) => service,
        Verdict::No(reason) => return Ok(Precondition::Fails(reason)),
    };
    let module = known(&service.name).module;
    if module.is_empty() {
        let reason = format!("the API has no module that could reconfigure {}", service.name);
        return Ok(Precondition::Fails(reason));
    }
    let path = UrlPath::new(&["api", module, "service", "status"])?;
    let status = acting.firewall.send(HttpRequest::get(path), module).await?;
    if field(&status, "status") == "disabled" {
        return Ok(Precondition::Fails("the module says that it is disabled".to_owned()));
    }
    Ok(Precondition::Holds(format!("{} is down and module {module} is enabled", service.title())))
}

async fn act(acting: &Acting, args: &Args) -> Result<Acted, ActionError> {
    let service = service::aim(acting, args).await?;
    let module = known(&service.name).module;
    if module.is_empty() {
        let reason = "the API has no module for this service, so nothing was sent";
        return Err(ActionError::Refused(ProbeError::unable(reason)));
    }
    let privilege = format!("the page of {module}");
    acting.send(&["api", module, "service", "reconfigure"], &privilege).await?;
    service::until_running(acting, &service).await
}

/// A reconfigure starts the service, which most modules have configd log; where it is not logged,
/// nothing follows.
async fn happened(acting: &Acting, args: &Args, intended: TimeMs) -> Result<Happened, ProbeError> {
    let requests = [Request::Start, Request::Restart];
    Ok(match service::happened(acting, args, &requests, intended).await? {
        Happened::No(_) => {
            let reason =
                "configd logged no start of it since then, but not every module's is logged";
            Happened::Unknown(reason.to_owned())
        }
        told => told,
    })
}
