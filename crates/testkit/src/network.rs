use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use paramedic_integration::{Address, BoxStream, Simulator, Transport};
use paramedic_model::BoxFuture;

/// How many bytes one side may be ahead of the other.
const PIPE_BYTES: usize = 64 << 10;

type Acceptor = Arc<dyn Fn(BoxStream) -> BoxFuture<'static, ()> + Send + Sync>;

/// A network inside the process: streams are pipes, listeners are functions.
///
/// An address that nobody listens on refuses the connection, as a closed port does.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    listeners: Arc<Mutex<BTreeMap<Address, Acceptor>>>,
}

impl MemoryNetwork {
    /// From now on, connections to `address` are served by `accept`, each in a task of its own.
    pub fn listen(
        &self,
        address: Address,
        accept: impl Fn(BoxStream) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) {
        self.lock().insert(address, Arc::new(accept));
    }

    /// From now on, connections to `address` reach the logical `port` of `simulator`.
    pub fn attach(&self, address: Address, simulator: Arc<dyn Simulator>, port: &'static str) {
        self.listen(address, move |stream| simulator.serve(port, stream));
    }

    /// From now on, connections to `address` are accepted and never answered.
    pub fn hang(&self, address: Address) {
        self.listen(address, |stream| {
            Box::pin(async move {
                let _open = stream;
                std::future::pending().await
            })
        });
    }

    /// From now on, connections to `address` are refused.
    pub fn close(&self, address: &Address) {
        self.lock().remove(address);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Address, Acceptor>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for MemoryNetwork {
    fn connect<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let accept = self.lock().get(address).cloned();
            let accept = accept.ok_or(io::ErrorKind::ConnectionRefused)?;
            let (here, there) = tokio::io::duplex(PIPE_BYTES);
            tokio::spawn(accept(Box::new(there)));
            Ok(Box::new(here) as BoxStream)
        })
    }
}
