use std::sync::Arc;

use axum::http::StatusCode;
use paramedic_engine::{Engine, Handle};
use paramedic_model::{Clock, TimeMs};
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::lifecycle::Reloader;
use crate::problem::Problem;
use crate::prometheus::{Prometheus, PrometheusOptions};
use crate::workbench::Workbench;

/// How many readers may listen to what changes.
const EVENT_STREAMS_MAX: usize = 64;

/// What every handler is given.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    handle: Handle,
    clock: Arc<dyn Clock>,
    access: Access,
    workbench: Option<Arc<dyn Workbench>>,
    streams: Arc<Semaphore>,
    prometheus: Prometheus,
    takes_alerts: bool,
    reloader: Option<Arc<dyn Reloader>>,
}

impl App {
    pub fn new(
        handle: Handle,
        clock: Arc<dyn Clock>,
        access: Access,
        workbench: Option<Arc<dyn Workbench>>,
        prometheus: PrometheusOptions,
        takes_alerts: bool,
        reloader: Option<Arc<dyn Reloader>>,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(EVENT_STREAMS_MAX));
        let prometheus = Prometheus::new(prometheus, clock.now());
        Self(Arc::new(Inner {
            handle,
            clock,
            access,
            workbench,
            streams,
            prometheus,
            takes_alerts,
            reloader,
        }))
    }

    /// What `view` makes of the engine's state now.
    pub async fn read<T: Send + 'static>(
        &self,
        view: impl FnOnce(&Engine, TimeMs) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let now = self.now();
        Ok(self.0.handle.read(move |engine| view(engine, now)).await?)
    }

    pub fn handle(&self) -> &Handle {
        &self.0.handle
    }

    pub fn now(&self) -> TimeMs {
        self.0.clock.now()
    }

    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// What reads rules and pages anew.
    pub fn reloader(&self) -> Option<&Arc<dyn Reloader>> {
        self.0.reloader.as_ref()
    }

    /// Whether alerts are taken from other programs.
    pub fn takes_alerts(&self) -> bool {
        self.0.takes_alerts
    }

    /// What Prometheus's API keeps between requests.
    pub fn prometheus(&self) -> &Prometheus {
        &self.0.prometheus
    }

    /// The lab's bench; a problem where this is no lab.
    pub fn workbench(&self) -> Result<&Arc<dyn Workbench>, Problem> {
        let none = || Problem::missing("only the lab can break systems");
        self.0.workbench.as_ref().ok_or_else(none)
    }

    pub fn is_lab(&self) -> bool {
        self.0.workbench.is_some()
    }

    /// A place among the readers of what changes, given back when it is dropped.
    pub fn stream(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
        self.0.streams.clone().try_acquire_owned().map_err(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "{EVENT_STREAMS_MAX} readers already listen; close one, or ask again later"
                ),
            )
        })
    }
}
