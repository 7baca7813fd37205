use paramedic_incident::{Fresh, Input as IncidentInput};
use paramedic_model::{IncidentId, Metadata, TimeMs};
use paramedic_promql::EvalOptions;
use paramedic_samples::{Commit, Snapshot};
use paramedic_scrape::remote_write::WrittenSeries;
use paramedic_scrape::{Pool, Scraped};
use tokio::sync::{mpsc, oneshot, watch};

use crate::Engine;
use crate::delivery::AlertmanagerSet;
use crate::outside::{Heard, OutsideAlert};
use crate::reload::{Reload, Reloaded};

/// Everything that can wake the engine.
pub(crate) enum Input {
    /// A target was collected.
    Scraped(Scraped),
    /// The targets of a job are others.
    Discovered(Pool),
    /// The Alertmanagers of an entry of the configuration are others.
    Alertmanagers(usize, AlertmanagerSet),
    /// It is time to end the series of a target that went away: since when they have ended.
    Ended(String, TimeMs),
    /// Somebody sent samples.
    Written(Vec<WrittenSeries>, oneshot::Sender<Commit>),
    /// Somebody sent what there is to say of families.
    Described(Vec<Metadata>),
    /// The rules and pages are others.
    Reload(Box<Reload>, oneshot::Sender<Reloaded>),
    /// Somebody sent alerts.
    Outside(Vec<OutsideAlert>, oneshot::Sender<Heard>),
    /// A worker is done.
    Done(IncidentId, Done),
    /// A person wants something of an incident.
    Command(Command, oneshot::Sender<Result<(), String>>),
    /// Somebody wants to read.
    Read(Box<dyn FnOnce(&Engine) + Send>),
}

/// What a worker comes back with.
pub(crate) enum Done {
    /// Something for the incident.
    Input(IncidentInput),
    /// The action's own look, for the guards.
    Fresh { step: String, fresh: Result<Fresh, String> },
    /// A direct read, whose samples came by themselves.
    Refreshed,
}

/// What a person asks of an incident.
#[derive(Debug, Clone)]
pub struct Command {
    /// Which incident.
    pub incident: IncidentId,
    /// Who asks.
    pub by: String,
    /// What for.
    pub verb: Verb,
}

/// The verbs of a [`Command`].
#[derive(Debug, Clone)]
pub enum Verb {
    /// Agree to the proposal with this digest, or to whatever is on offer.
    Approve(Option<String>),
    /// Refuse the proposal, with a reason.
    Reject(String),
    /// Say that a manual step, by its id, is done.
    Tick(String),
    /// Ask for a mitigation step of the page, by its id.
    Request(String),
    /// Diagnose again.
    LookAgain,
    /// Write something down.
    Note(String),
    /// Close the incident, with a reason.
    Close(String),
}

/// The engine has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct Stopped;

/// The way to a running engine: cheap to clone, usable from any task.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) version: watch::Receiver<u64>,
}

impl Handle {
    /// What `read` makes of the engine's state, between two turns.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let read = Box::new(move |engine: &Engine| {
            // A reader that no longer waits is no concern of the engine.
            let _ = reply.send(read(engine));
        });
        self.inputs.send(Input::Read(read)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Carries out what a person asks.
    ///
    /// # Errors
    ///
    /// [`Stopped`]; inside, why the incident refuses it, for the person.
    pub async fn command(&self, command: Command) -> Result<Result<(), String>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(Input::Command(command, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Commits samples that were sent, and wakes the groups that read them. What it says was accepted
    /// is in the window, and all that the window promises of a scrape holds for it.
    ///
    /// # Errors
    ///
    /// [`Stopped`]; then some may have been taken.
    pub async fn append(&self, series: Vec<WrittenSeries>) -> Result<Commit, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(Input::Written(series, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Sends alerts to these Alertmanagers from now on, in the place of those of the entry `set` of the
    /// configuration, counted from 0.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub async fn alertmanagers(&self, set: usize, found: AlertmanagerSet) -> Result<(), Stopped> {
        let input = Input::Alertmanagers(set, found);
        self.inputs.send(input).await.map_err(|_| Stopped)
    }

    /// Takes what a sender says of metric families.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub async fn describe(&self, metadata: Vec<Metadata>) -> Result<(), Stopped> {
        self.inputs.send(Input::Described(metadata)).await.map_err(|_| Stopped)
    }

    /// Collects these targets of a job from now on, and no others of it: the series of those that
    /// are gone end, two intervals later, unless they came back.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub async fn discovered(&self, pool: Pool) -> Result<(), Stopped> {
        self.inputs.send(Input::Discovered(pool)).await.map_err(|_| Stopped)
    }

    /// Puts rules and pages in the place of those that are there.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub async fn reload(&self, reload: Reload) -> Result<Reloaded, Stopped> {
        let (reply, answer) = oneshot::channel();
        let input = Input::Reload(Box::new(reload), reply);
        self.inputs.send(input).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Takes alerts that another program sent. When this returns, the journal has what they opened.
    ///
    /// # Errors
    ///
    /// [`Stopped`]; then some may have been taken.
    pub async fn hear(&self, alerts: Vec<OutsideAlert>) -> Result<Heard, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(Input::Outside(alerts, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// The samples as they are now, and the settings of expressions: an evaluation on them holds up
    /// nobody.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub async fn snapshot(&self) -> Result<(Snapshot, EvalOptions), Stopped> {
        self.read(|engine| (engine.window().snapshot(), engine.eval_options().clone())).await
    }

    /// A number that grows whenever something that a page shows has changed.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.clone()
    }
}
