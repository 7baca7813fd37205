//! One Windows host, typed: what can be seen of it, and the few things that can be done to it.
//!
//! # Invariants
//!
//! - Looking and acting are different types. [`Viewer`] sends queries and reads of the registry;
//!   it has no way to send anything else. [`Operator`] starts and stops one service that the host
//!   itself listed.
//! - A name from outside is compared with what the host lists and goes no further: what is sent is
//!   the host's own spelling.
//! - An empty list of services is no answer: an account without rights on the Service Control
//!   Manager sees exactly that.

mod records;
mod registry;
mod row;

use std::sync::Arc;
use std::time::Duration;

use paramedic_integration::{ActionError, ProbeError};
use paramedic_model::{Clock, TimeMs};

pub(crate) use records::{
    Dependency, Disk, Hotfix, Listener, LogEvent, OperatingSystem, Process, Service, State, image,
    same_name,
};
pub(crate) use registry::{PendingReboot, ServiceKey};
use row::Row;

use crate::winrm::{
    Endpoint, ExchangeError, Identity, Message, Namespace, Page, Query, Session, fault_code,
    shorten,
};

/// How long an ordinary query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a query of an event log may take: the provider reads the log from its end.
const LOG_TIMEOUT: Duration = Duration::from_secs(50);
/// More instances than this are no answer to any query here.
const INSTANCES_MAX: usize = 50_000;

/// Gives out [`Viewer`]s: what collector and probes hold.
#[derive(Clone)]
pub(crate) struct Lookout {
    endpoint: Arc<Endpoint>,
}

impl Lookout {
    /// Looks at the host behind `endpoint`.
    pub(crate) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
    }

    /// Logs in to look.
    pub(crate) async fn view(&self) -> Result<Viewer, ProbeError> {
        Viewer::log_in(&self.endpoint).await
    }

    /// Asks who answers, without a login.
    pub(crate) async fn identify(&self) -> Result<Identity, ProbeError> {
        self.endpoint.identify().await
    }

    /// For messages: `https://win01:5986/wsman`.
    pub(crate) fn target(&self) -> String {
        self.endpoint.target()
    }

    /// Who logs in.
    pub(crate) fn user(&self) -> &str {
        &self.endpoint.user
    }

    /// The time of the system, for waits.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.endpoint.clock
    }

    /// `lines`, redacted, each cut and no more than a few kilobytes of them.
    pub(crate) fn excerpt(&self, lines: impl IntoIterator<Item = String>) -> String {
        const LINES_MAX: usize = 30;
        let lines = lines.into_iter().take(LINES_MAX).map(|line| shorten(&line));
        self.endpoint.redactor.clean(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Gives out [`Operator`]s: what actions hold besides.
pub(crate) struct Hands {
    endpoint: Arc<Endpoint>,
}

impl Hands {
    /// Acts on the host behind `endpoint`.
    pub(crate) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
    }

    /// Logs in to act.
    ///
    /// # Errors
    ///
    /// Always [`ActionError::Refused`]: nothing was sent yet.
    pub(crate) async fn operate(&self) -> Result<Operator, ActionError> {
        Operator::log_in(&self.endpoint).await
    }
}

/// The log of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    System,
    Application,
}

/// Looks at a host. Cannot change it.
pub(crate) struct Viewer {
    endpoint: Arc<Endpoint>,
    session: Session,
}

impl Viewer {
    async fn log_in(endpoint: &Arc<Endpoint>) -> Result<Self, ProbeError> {
        let session = endpoint.log_in().await?;
        Ok(Self { endpoint: endpoint.clone(), session })
    }

    /// All services.
    pub(crate) async fn services(&mut self) -> Result<Vec<Service>, ProbeError> {
        let query = Query::select(Namespace::Cimv2, "Win32_Service", &Service::PROPERTIES);
        let rows = self.rows(&query).await?;
        if rows.is_empty() {
            return Err(ProbeError::Denied {
                target: self.endpoint.target(),
                reason: format!(
                    "the list of services is empty: user {} may not enumerate them, see the \
                     README of this integration",
                    self.endpoint.user
                ),
            });
        }
        self.each(&query, &rows, Service::of)
    }

    /// Which service needs which.
    pub(crate) async fn dependencies(&mut self) -> Result<Vec<Dependency>, ProbeError> {
        let query = Query::select(Namespace::Cimv2, "Win32_DependentService", &[]);
        let rows = self.rows(&query).await?;
        self.each(&query, &rows, Dependency::of)
    }

    /// The names of the drivers that do not run.
    pub(crate) async fn stopped_drivers(&mut self) -> Result<Vec<String>, ProbeError> {
        let query = Query::select(Namespace::Cimv2, "Win32_SystemDriver", &["Name", "State"])
            .with_text("State", State::Stopped.as_str());
        Ok(self.rows(&query).await?.iter().map(|row| row.text("Name")).collect())
    }

    /// All processes.
    pub(crate) async fn processes(&mut self) -> Result<Vec<Process>, ProbeError> {
        let query = Query::select(Namespace::Cimv2, "Win32_Process", &Process::PROPERTIES);
        Ok(self.rows(&query).await?.iter().filter_map(Process::of).collect())
    }

    /// Version, boot time and memory.
    pub(crate) async fn operating_system(&mut self) -> Result<OperatingSystem, ProbeError> {
        let class = "Win32_OperatingSystem";
        let query = Query::select(Namespace::Cimv2, class, &OperatingSystem::PROPERTIES);
        let rows = self.rows(&query).await?;
        let wrong = |reason| records::wrong(self.endpoint.target(), class, reason);
        let row = rows.first().ok_or_else(|| wrong("no instance".to_owned()))?;
        OperatingSystem::of(row).map_err(wrong)
    }

    /// The local disks.
    pub(crate) async fn disks(&mut self) -> Result<Vec<Disk>, ProbeError> {
        const LOCAL: u64 = 3;
        let query = Query::select(Namespace::Cimv2, "Win32_LogicalDisk", &Disk::PROPERTIES)
            .with_number("DriveType", LOCAL);
        let disks: Vec<_> = self.rows(&query).await?.iter().filter_map(Disk::of).collect();
        if disks.is_empty() {
            let reason = "no local disk".to_owned();
            return Err(records::wrong(self.endpoint.target(), query.class, reason));
        }
        Ok(disks)
    }

    /// The load of the busiest processor in percent, where the host says.
    pub(crate) async fn processor_load(&mut self) -> Result<Option<u64>, ProbeError> {
        let query = Query::select(Namespace::Cimv2, "Win32_Processor", &["LoadPercentage"]);
        let rows = self.rows(&query).await?;
        Ok(rows.iter().filter_map(|row| row.number("LoadPercentage")).max())
    }

    /// The events of a log since `since`, the newest first; of `Application` the errors only.
    pub(crate) async fn events(
        &mut self,
        log: Log,
        since: TimeMs,
    ) -> Result<Vec<LogEvent>, ProbeError> {
        const ERROR: u64 = 1;
        let query = Query::select(Namespace::Cimv2, "Win32_NTLogEvent", &LogEvent::PROPERTIES);
        let query = match log {
            Log::System => query.with_text("Logfile", "System"),
            Log::Application => {
                query.with_text("Logfile", "Application").with_number("EventType", ERROR)
            }
        };
        let query = query.not_before("TimeGenerated", since);
        let rows = self.rows_within(&query, LOG_TIMEOUT).await?;
        let mut events = self.each(&query, &rows, LogEvent::of)?;
        events.sort_by_key(|event| std::cmp::Reverse(event.record));
        Ok(events)
    }

    /// The installed updates.
    pub(crate) async fn hotfixes(&mut self) -> Result<Vec<Hotfix>, ProbeError> {
        let class = "Win32_QuickFixEngineering";
        let query = Query::select(Namespace::Cimv2, class, &["HotFixID", "InstalledOn"]);
        let hotfix =
            |row: &Row| Hotfix { id: row.text("HotFixID"), installed_on: row.text("InstalledOn") };
        Ok(self.rows(&query).await?.iter().map(hotfix).collect())
    }

    /// Who listens on TCP ports.
    pub(crate) async fn listeners(&mut self) -> Result<Vec<Listener>, ProbeError> {
        const LISTEN: u64 = 2;
        let properties = ["LocalAddress", "LocalPort", "OwningProcess"];
        let query = Query::select(Namespace::StandardCimv2, "MSFT_NetTCPConnection", &properties)
            .with_number("State", LISTEN);
        let listener = |row: &Row| {
            Some(Listener {
                port: row.number("LocalPort")?,
                address: row.text("LocalAddress"),
                pid: row.number("OwningProcess")?,
            })
        };
        Ok(self.rows(&query).await?.iter().filter_map(listener).collect())
    }

    /// Whether this file, as the host itself named it, is there.
    pub(crate) async fn file_exists(&mut self, path: &str) -> Result<bool, ProbeError> {
        let query =
            Query::select(Namespace::Cimv2, "CIM_DataFile", &["Name"]).with_text("Name", path);
        Ok(!self.rows(&query).await?.is_empty())
    }

    async fn rows(&mut self, query: &Query) -> Result<Vec<Row>, ProbeError> {
        self.rows_within(query, QUERY_TIMEOUT).await
    }

    async fn rows_within(
        &mut self,
        query: &Query,
        timeout: Duration,
    ) -> Result<Vec<Row>, ProbeError> {
        let mut rows = Vec::new();
        let mut message = Message::enumerate(query);
        loop {
            let body = match self.session.exchange_within(&message, timeout).await {
                Ok(body) => body,
                Err(ExchangeError::Broken(error)) => return Err(error),
                Err(ExchangeError::Fault(fault)) => return Err(self.endpoint.fault(&fault)),
            };
            let wrong = |reason| records::wrong(self.endpoint.target(), query.class, reason);
            let page = Page::of(body).map_err(wrong)?;
            let empty = page.items.is_empty();
            rows.extend(page.items.into_iter().map(Row));
            if rows.len() > INSTANCES_MAX {
                return Err(wrong(format!("more than {INSTANCES_MAX} instances")));
            }
            match page.context {
                None => return Ok(rows),
                // The first answer may hold the context alone; later ones must move on.
                Some(_) if empty && !rows.is_empty() => {
                    return Err(wrong("an empty page that is not the last".to_owned()));
                }
                Some(context) => message = Message::pull(query, &context),
            }
        }
    }

    fn each<T>(
        &self,
        query: &Query,
        rows: &[Row],
        read: impl Fn(&Row) -> Result<T, String>,
    ) -> Result<Vec<T>, ProbeError> {
        let wrong = |reason| records::wrong(self.endpoint.target(), query.class, reason);
        rows.iter().map(read).collect::<Result<_, _>>().map_err(wrong)
    }
}

/// A change to one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Start,
    Stop,
}

impl Control {
    fn method(self) -> &'static str {
        match self {
            Self::Start => "StartService",
            Self::Stop => "StopService",
        }
    }
}

/// Starts and stops services.
pub(crate) struct Operator {
    endpoint: Arc<Endpoint>,
    session: Session,
}

impl Operator {
    async fn log_in(endpoint: &Arc<Endpoint>) -> Result<Self, ActionError> {
        let session = endpoint.log_in().await.map_err(ActionError::Refused)?;
        Ok(Self { endpoint: endpoint.clone(), session })
    }

    /// Asks for a change to a service that the host listed, and returns what the method returned:
    /// 0 for "accepted". That it happened must be read from the state.
    ///
    /// # Errors
    ///
    /// [`ActionError::Refused`] where the host said no, [`ActionError::Uncertain`] where it is not
    /// known whether it heard.
    pub(crate) async fn control(
        &mut self,
        service: &Service,
        control: Control,
    ) -> Result<u64, ActionError> {
        let method = control.method();
        let selectors = vec![("Name", service.name.clone())];
        let message = Message::invoke("root/cimv2/Win32_Service", selectors, method, &[]);
        let body = match self.session.exchange(&message).await {
            Ok(body) => body,
            Err(ExchangeError::Broken(error)) => return Err(ActionError::Uncertain(error)),
            Err(ExchangeError::Fault(fault)) => {
                let error = self.endpoint.fault(&fault);
                return Err(match fault.code {
                    Some(fault_code::TIMED_OUT) => ActionError::Uncertain(error),
                    _ => ActionError::Refused(error),
                });
            }
        };
        let value = body.find("ReturnValue").map(|value| value.text.trim().to_owned());
        value.as_deref().and_then(|value| value.parse().ok()).ok_or_else(|| {
            let shown = shorten(&value.unwrap_or_default());
            let reason = format!("{method} returned no number: {shown:?}");
            ActionError::Uncertain(ProbeError::answer(self.endpoint.target(), reason))
        })
    }
}
