//! `oxidized/restart`: restarts Oxidized, where that can help and does no harm.
//!
//! The usual unit stops by SIGKILL: a Git write in progress leaves a lock behind, and every device
//! reads "never" afterwards, so that their alerts resolve without a backup. A list that is merely
//! locked comes free by itself. What a restart does help against is a process that answers nothing
//! at all any more.

use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::{ActionSignature, Args, Risk};
use paramedic_generic::HostChannel;
use paramedic_integration::{
    Acted, Action, ActionError, BlastRadius, Happened, Look, Precondition, ProbeError,
};
use paramedic_model::{BoxFuture, Clock, TimeMs};

use crate::client::Client;
use crate::probes::startup;
use crate::reach::Reach;

pub(crate) const NAME: &str = "restart";

/// How long a new process may take until it lists its devices.
const READY_WITHIN: Duration = Duration::from_secs(90);
const READY_POLL: Duration = Duration::from_secs(2);

pub(crate) fn signature() -> ActionSignature {
    ActionSignature {
        name: NAME,
        summary: "Restarts Oxidized's unit on its host",
        params: Vec::new(),
        risk: Risk::Medium,
        privilege: "to restart Oxidized's unit on its host",
        precondition: "its unit runs, it answers on no path and its own host hears nothing either, it is not loading its \
                       list, and its last start went well",
        blast_radius: "backups in progress are cut off, and every device reads as never tried until \
                       its next turn",
        verification: "the API lists devices again",
        undo: "none; what is known of the last attempts lives in memory only",
    }
}

pub(crate) struct Restart {
    pub client: Arc<Client>,
    pub host: Arc<HostChannel>,
    pub clock: Arc<dyn Clock>,
}

impl Restart {
    async fn judge(&self, look: Look) -> Result<Precondition, ProbeError> {
        let refuse = |reason: &str| Ok(Precondition::Fails(reason.to_owned()));
        match self.client.list().await {
            Reach::List(nodes) => {
                let count = nodes.len();
                return refuse(&format!("Oxidized answers and lists {count} devices"));
            }
            Reach::Silent(_) if self.client.root_answers().await => {
                return refuse(
                    "its list is locked and its root page answers: it is busy, not dead",
                );
            }
            Reach::Silent(_) => {
                let at_home = self.host.answers(&self.client.service, look).await?;
                if let Some(reason) = at_home.against_restart(true) {
                    return refuse(&reason);
                }
            }
            reach => return refuse(&format!("a restart does not help here: {}", reach.describe())),
        }
        let unit = self.host.unit(&self.client.service, look).await?;
        if !unit.running {
            let state = unit.active_state;
            return refuse(&format!("it does not run ({state}), so there is nothing to restart"));
        }
        let started = startup::judge(&self.host.log(&self.client.service, look).await?);
        if started.loading {
            return refuse("it is still loading its list of devices");
        }
        if !started.failure.is_empty() {
            return refuse(&format!(
                "its last start failed and the next would too: {}",
                started.line
            ));
        }
        match self.host.may_restart(&self.client.service, look).await? {
            Precondition::Holds(_) => Ok(Precondition::Holds(
                "its process runs, takes connections and answers on no path".to_owned(),
            )),
            fails => Ok(fails),
        }
    }
}

impl Action for Restart {
    fn precondition<'a>(
        &'a self,
        _args: &'a Args,
        look: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>> {
        Box::pin(self.judge(look))
    }

    fn blast_radius<'a>(
        &'a self,
        _args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        Box::pin(async {
            // A process that answers nothing keeps its list to itself: nothing works through it now.
            let (count, summary) = match self.client.list().await {
                Reach::List(nodes) => {
                    let count = nodes.len();
                    (count, format!("{count} devices read as never tried until their next turn"))
                }
                _ => (0, "nothing that works now: it answers on no path".to_owned()),
            };
            Ok(BlastRadius { count: u32::try_from(count).unwrap_or(u32::MAX), summary })
        })
    }

    fn act<'a>(&'a self, _args: &'a Args, look: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        Box::pin(async move {
            // The world may have moved between approval and now; the last look is the one that counts.
            if let Precondition::Fails(reason) =
                self.judge(look).await.map_err(ActionError::Refused)?
            {
                return Err(ActionError::Refused(ProbeError::unable(reason)));
            }
            self.host.restart(&self.client.service, look).await?;
            let begun = self.clock.now();
            loop {
                let reach = self.client.list().await;
                if let Reach::List(nodes) = &reach {
                    let count = nodes.len();
                    let summary = format!("Oxidized was restarted and lists {count} devices");
                    return Ok(Acted { summary });
                }
                if self.clock.now().since(begun) > READY_WITHIN {
                    return Err(ActionError::Ineffective(reach.describe()));
                }
                self.clock.sleep(READY_POLL).await;
            }
        })
    }

    fn happened<'a>(
        &'a self,
        _args: &'a Args,
        intended: TimeMs,
        look: Look,
    ) -> BoxFuture<'a, Result<Happened, ProbeError>> {
        Box::pin(self.host.restarted(&self.client.service, intended, look))
    }
}
