//! The actions: one file each, with its signature, its code and its test.
//!
//! # Invariants
//!
//! - A label's value is never sent. It is compared with what the firewall lists, and the listed id
//!   is sent.
//! - `{"result":"ok"}` is never believed: the API says so of services that do not exist.
//! - A look that failed refuses: an action whose precondition could not be checked does not run.
//!
//! The acting client is a type of its own, with a list of its own and, where configured, a key of
//! its own. Looks before and after an action go through the looking client.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{ActionSignature, Args};
use paramedic_integration::{
    Acted, ActingClient, Action, ActionError, Allow, BlastRadius, Happened, HttpRequest, Kit, Look,
    Precondition, ProbeError, UrlPath,
};
use paramedic_model::{BoxFuture, Redactor, TimeMs};
use serde_json::json;

use crate::client::{Firewall, read};
use crate::services::{Request, Service, requested};

mod guard;
mod service;
mod service_reconfigure;
mod service_restart;
mod service_start;
mod wireguard_instance_restart;
mod wireguard_reconfigure;

const fn post(path: &'static str) -> Allow {
    Allow { method: "POST", path }
}

/// All that an action may send. A start or restart without an id would hit every service of the
/// name, so a path with one segment is used only for services that have no instances.
pub(crate) const ACTS: &[Allow] = &[
    post("/api/core/service/start/*"),
    post("/api/core/service/start/*/*"),
    post("/api/core/service/restart/*"),
    post("/api/core/service/restart/*/*"),
    post("/api/*/service/reconfigure"),
];

/// The firewall for actions: looks, and the few requests that change something.
#[derive(Clone)]
pub(crate) struct Acting {
    pub(crate) firewall: Arc<Firewall>,
    pub(crate) client: ActingClient,
    pub(crate) redactor: Redactor,
}

/// `kit` with all actions.
pub(crate) fn add_to(kit: Kit, acting: &Acting) -> Kit {
    ACTIONS.iter().fold(kit, |kit, entry| {
        kit.with_action((entry.signature)().name, Run { acting: acting.clone(), entry })
    })
}

/// What the actions declare.
pub(crate) fn signatures() -> Vec<ActionSignature> {
    ACTIONS.iter().map(|entry| (entry.signature)()).collect()
}

type Step<T, E> = for<'a> fn(&'a Acting, &'a Args, Look) -> BoxFuture<'a, Result<T, E>>;
type HappenedFn =
    for<'a> fn(&'a Acting, &'a Args, TimeMs, Look) -> BoxFuture<'a, Result<Happened, ProbeError>>;

/// One action: what it declares and what it does.
struct Entry {
    signature: fn() -> ActionSignature,
    precondition: Step<Precondition, ProbeError>,
    blast_radius: Step<BlastRadius, ProbeError>,
    act: Step<Acted, ActionError>,
    happened: HappenedFn,
}

const ACTIONS: &[Entry] = &[
    service_restart::ENTRY,
    service_start::ENTRY,
    service_reconfigure::ENTRY,
    wireguard_instance_restart::ENTRY,
    wireguard_reconfigure::ENTRY,
];

struct Run {
    acting: Acting,
    entry: &'static Entry,
}

impl Action for Run {
    fn precondition<'a>(
        &'a self,
        args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>> {
        (self.entry.precondition)(&self.acting, args, look)
    }

    fn blast_radius<'a>(
        &'a self,
        args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        (self.entry.blast_radius)(&self.acting, args, look)
    }

    fn act<'a>(&'a self, args: &'a Args, look: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        (self.entry.act)(&self.acting, args, look)
    }

    fn happened<'a>(
        &'a self,
        args: &'a Args,
        intended: TimeMs,
        look: Look,
    ) -> BoxFuture<'a, Result<Happened, ProbeError>> {
        (self.entry.happened)(&self.acting, args, intended, look)
    }
}

impl Acting {
    /// Sends a request that changes something, once.
    ///
    /// # Errors
    ///
    /// [`ActionError::Refused`] where the firewall certainly did nothing, else
    /// [`ActionError::Uncertain`].
    async fn send(&self, segments: &[&str], privilege: &str) -> Result<(), ActionError> {
        let path = UrlPath::new(segments).map_err(ActionError::Refused)?;
        // A body of `{}`: a JSON content type with no body at all is an error to this API.
        let request = HttpRequest::post_json(path, &json!({}));
        let answer = match self.client.send(request).await {
            Ok(answer) => answer,
            Err(error @ ProbeError::Unable { .. }) => return Err(ActionError::Refused(error)),
            Err(error) => return Err(ActionError::Uncertain(error)),
        };
        match read(&answer, privilege, &self.redactor) {
            Ok(_) => Ok(()),
            // 401 and 403 are decided before anything is carried out, as is 404.
            Err(error @ ProbeError::Denied { .. }) => Err(ActionError::Refused(error)),
            Err(error) if answer.status == http::StatusCode::NOT_FOUND => {
                Err(ActionError::Refused(error))
            }
            Err(error) => Err(ActionError::Uncertain(error)),
        }
    }

    /// Asks configd's log whether one of `requests` was requested for `service` since `intended`.
    async fn requested_since(
        &self,
        service: &Service,
        requests: &[Request],
        intended: TimeMs,
    ) -> Result<Happened, ProbeError> {
        // The firewall's log has whole seconds.
        const MARGIN: Duration = Duration::from_secs(1);
        let lines = self.firewall.log("configd", "", intended - MARGIN).await?;
        let line = lines.iter().find(|line| {
            requested(&line.text, service).is_some_and(|request| requests.contains(&request))
        });
        if let Some(line) = line {
            return Ok(Happened::Yes(format!("configd logged at {}: {}", line.at, line.text)));
        }
        // No lines at all may mean that nothing is logged.
        let ever = self.firewall.log("configd", "", TimeMs(0)).await?;
        Ok(if ever.is_empty() {
            Happened::Unknown("the log of configd is empty".to_owned())
        } else {
            Happened::No("configd logged no such request since then".to_owned())
        })
    }
}
