use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use paramedic_catalog::Settings;
use paramedic_model::{BoxFuture, Clock, TimeMs};

use crate::{Address, BoxStream};

/// Makes simulated systems of one kind.
pub trait SimulatorFactory: Send + Sync {
    /// The logical ports that a simulated system serves, the main one first: `api`, `metrics`,
    /// `ssh`. Each gets an address of its own.
    fn ports(&self) -> &'static [&'static str];

    /// Every root cause that the simulator can inject.
    fn faults(&self) -> &'static [Fault];

    /// A healthy system.
    fn start(&self, environment: SimulatorEnvironment) -> Arc<dyn Simulator>;
}

/// What a simulated system is given.
#[derive(Clone)]
pub struct SimulatorEnvironment {
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Seeds whatever varies: keys, counters, process ids.
    pub seed: u64,
    /// Where each logical port is reached, in the order of [`SimulatorFactory::ports`]. A system
    /// that names another of its ports in an answer names it by this address.
    pub addresses: Vec<Address>,
}

/// One simulated system that speaks the true wire protocol.
pub trait Simulator: Send + Sync {
    /// The settings under which Paramedic reaches this system, credentials included.
    fn settings(&self) -> Settings;

    /// The settings of the host that it runs on, for the `host` block; `None` where it needs none.
    fn host(&self) -> Option<Settings> {
        None
    }

    /// Breaks the system in the way that the fault's id names. Faults do not stack: a fault is
    /// injected into a healthy system.
    ///
    /// # Errors
    ///
    /// An id that the simulator does not have.
    fn inject(&self, fault: &str) -> Result<(), UnknownFault>;

    /// Makes the system healthy again, as if the root cause had gone by itself.
    fn heal(&self);

    /// Serves one connection on a logical port until it ends.
    fn serve(&self, port: &str, stream: BoxStream) -> BoxFuture<'static, ()>;

    /// Every change that was asked of the system since its start, in order: what a drill counts to
    /// say that nothing forbidden happened and nothing happened twice.
    fn recorded(&self) -> Vec<Recorded>;
}

/// One root cause, and what a good responder makes of it.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its id, unique within the kind: `unbound-port-conflict`.
    pub id: &'static str,
    /// The alert that it leads to.
    pub alert: &'static str,
    /// What is broken, for the menu of the lab.
    pub title: &'static str,
    /// The id of the cause, in the alert's runbook, that must come first.
    pub cause: &'static str,
    /// How the incident must end.
    pub ending: Ending,
}

/// How an incident rightly ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// These mitigation steps run, in this order, and the alert clears.
    Repaired(&'static [&'static str]),
    /// No action runs, because none is needed or none would help; the cause is named.
    LeftAlone,
    /// No action runs; the incident is handed to the contact with its bundle.
    HandedOver,
}

/// A change that was asked of a simulated system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// When it arrived.
    pub at: TimeMs,
    /// What it was, as the simulator calls it: `restart unbound`.
    pub change: String,
    /// Whether this makes the present outage worse or hits what a person decided; a drill fails on
    /// one of these.
    pub forbidden: bool,
}

/// An id that a simulator does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such fault: {id}; there are {}", .known.join(", "))]
pub struct UnknownFault {
    /// The id as given.
    pub id: String,
    /// The ids there are.
    pub known: Vec<&'static str>,
}

impl UnknownFault {
    /// The error for `id`, where the factory has `faults`.
    pub fn new(id: &str, faults: &[Fault]) -> Self {
        Self { id: id.to_owned(), known: faults.iter().map(|fault| fault.id).collect() }
    }
}

/// The answer of an HTTP simulator to one request.
type Handled = BoxFuture<'static, Option<Response<Full<Bytes>>>>;

/// Serves HTTP/1.1 on `stream` until it ends. Where `handle` returns `None` the connection closes
/// without an answer, as a dead back end's would.
pub async fn serve_http(
    stream: BoxStream,
    handle: impl Fn(Request<Bytes>) -> Handled + Send + Sync,
) {
    const REQUEST_BYTES_MAX: usize = 4 << 20;
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let handle = &handle;
        async move {
            let (head, body) = request.into_parts();
            let gone = || std::io::Error::other("the connection closes here");
            let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(|_| gone())?;
            handle(Request::from_parts(head, body.to_bytes())).await.ok_or_else(gone)
        }
    });
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that hangs up early is no concern of a simulator.
    let _ = served.await;
}
