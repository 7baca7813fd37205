//! Rules and pages of a running server, read anew: when a file changes, on SIGHUP, on `/-/reload`.
//!
//! All of them or none: with a mistake in any, what runs goes on. What else a configuration says needs
//! a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use paramedic_engine::{Handle, Reload};
use paramedic_model::{BoxFuture, Clock, TimeMs};
use paramedic_server::Reloader;

use crate::config::Config;
use crate::{assembly, kinds};

/// How often it is looked whether a file changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What reads the rules and pages that a configuration names.
pub struct Rereader {
    path: PathBuf,
    engine: Handle,
    clock: Arc<dyn Clock>,
    /// Whether the last time went well, and when one last did.
    last: Mutex<(bool, TimeMs)>,
    /// One at a time, so that the newest files win.
    turn: tokio::sync::Mutex<()>,
}

/// Of each file, when it was written and how long it is.
type Stamp = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

impl Rereader {
    /// Reads what the configuration at `path` names, for `engine`.
    pub fn new(path: &Path, engine: Handle, clock: Arc<dyn Clock>) -> Self {
        let last = Mutex::new((true, clock.now()));
        Self { path: path.to_owned(), engine, clock, last, turn: tokio::sync::Mutex::new(()) }
    }

    async fn read(&self) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let result = match self.files() {
            Ok(reload) => self.engine.reload(reload).await.map(drop).map_err(|e| e.to_string()),
            Err(mistakes) => Err(mistakes),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(()) => *last = (true, self.clock.now()),
            Err(mistakes) => {
                last.0 = false;
                tracing::error!("error loading rules, previous rule set restored: {mistakes}");
            }
        }
        result
    }

    fn files(&self) -> Result<Reload, String> {
        let config =
            Config::load(&self.path, &kinds::catalogs()).map_err(|error| error.to_string())?;
        let loaded = assembly::load(&config).map_err(|error| error.to_string())?;
        let groups = assembly::groups(&config, &loaded, self.clock.now());
        Ok(Reload { groups, pages: loaded.pages })
    }

    /// The files as they are. A configuration that cannot be read names none: what was read before
    /// stays until it can.
    fn stamp(&self) -> Option<Stamp> {
        let config = Config::load(&self.path, &kinds::catalogs()).ok()?;
        let files = config.rule_files.iter().chain(&config.runbooks);
        let stamp = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok();
            let meta = meta.and_then(|meta| Some((meta.modified().ok()?, meta.len())));
            (path.clone(), meta)
        };
        Some(files.map(stamp).collect())
    }

    /// Reads them anew whenever one changed, or on SIGHUP, for ever.
    pub async fn watch(self: Arc<Self>) {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::error!("files are not watched: {error}"),
        };
        let mut known = self.stamp();
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let now = self.stamp();
            if asked || (now.is_some() && now != known) {
                // Said in the log, and there is nobody else to tell.
                let _ = self.read().await;
            }
            known = now.or(known);
        }
    }
}

impl Reloader for Rereader {
    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.read())
    }

    fn last(&self) -> (bool, TimeMs) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
