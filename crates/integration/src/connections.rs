use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use paramedic_model::BoxFuture;
use tokio::time::Instant;

use crate::{Address, BoxStream};

/// How long a connection waits for its next request, as in Prometheus.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// How often it is looked for those that waited that long.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How many connections wait in one set, as in Prometheus.
const WAITING_MAX: usize = 20_000;

/// How much a connection reads ahead: one that waits may hold on to that much.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Connections that are kept for the next request, shared by clients that speak to their servers
/// alike: with the same TLS settings.
///
/// A clone is the same set. A connection that waited for 5 minutes is closed, and nothing is sent over
/// one that the server has closed meanwhile.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<Waiting>>);

/// Where to, and behind which generation of the TLS settings, if any.
pub(crate) type Key = (Address, Option<u64>);

#[derive(Default)]
struct Waiting {
    /// Those that were used last stand last.
    by_server: BTreeMap<Key, Vec<(Instant, Connection)>>,
    count: usize,
    /// Whether a task looks for those that waited too long.
    is_swept: bool,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("waiting", &self.lock().count).finish_non_exhaustive()
    }
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that waits for a request to this server.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        let mut waiting = self.lock();
        let (since, connection) = waiting.by_server.get_mut(key)?.pop()?;
        waiting.count -= 1;
        // Those below it have waited for longer still, and go with the next sweep.
        (since.elapsed() < IDLE_MAX).then_some(connection)
    }

    /// Keeps one for the next request.
    pub(crate) fn put(&self, key: Key, connection: Connection) {
        let mut waiting = self.lock();
        if waiting.count >= WAITING_MAX {
            return;
        }
        waiting.count += 1;
        waiting.by_server.entry(key).or_default().push((Instant::now(), connection));
        if !std::mem::replace(&mut waiting.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
    }
}

/// Closes those that waited too long, until none waits. Not left to the next request, because of a
/// server that is gone there is none, and its half of the connection would stay open.
async fn sweep(set: Weak<Mutex<Waiting>>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(set) = set.upgrade() else { return };
        let mut waiting = set.lock().unwrap_or_else(PoisonError::into_inner);
        for kept in waiting.by_server.values_mut() {
            kept.retain(|(since, _)| since.elapsed() < IDLE_MAX);
        }
        waiting.by_server.retain(|_, kept| !kept.is_empty());
        waiting.count = waiting.by_server.values().map(Vec::len).sum();
        if waiting.count == 0 {
            waiting.is_swept = false;
            return;
        }
    }
}

/// One connection, driven by whoever waits for an answer: no task stands behind it, so dropping the
/// wait ends it.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// What reads and writes; none once the connection has ended.
    driver: Option<BoxFuture<'static, ()>>,
}

impl Connection {
    /// Over `stream`, which is open.
    pub async fn open(stream: BoxStream) -> hyper::Result<Self> {
        let mut builder = hyper::client::conn::http1::Builder::new();
        let opened = builder.max_buf_size(BUFFER_BYTES_MAX).handshake(TokioIo::new(stream));
        let (sender, driver) = opened.await?;
        // What breaks it is told by the request that waits.
        let driver = async { _ = driver.await };
        Ok(Self { sender, driver: Some(Box::pin(driver)) })
    }

    /// Sends `request` and waits for the head of the answer; the body comes while
    /// [`drive`](Self::drive) runs.
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        let answer = self.sender.send_request(request);
        drive(&mut self.driver, answer).await
    }

    /// What `work` makes of an answer's body.
    pub async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        drive(&mut self.driver, work).await
    }

    /// Whether it can take a request now. Looks at the stream, so that a server's goodbye is seen.
    pub async fn is_ready(&mut self) -> bool {
        let Self { sender, driver } = self;
        std::future::poll_fn(|context| {
            if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
                *driver = None;
            }
            Poll::Ready(driver.is_some() && sender.is_ready())
        })
        .await
    }
}

async fn drive<T>(driver: &mut Option<BoxFuture<'static, ()>>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
            *driver = None;
        }
        work.as_mut().poll(context)
    })
    .await
}
