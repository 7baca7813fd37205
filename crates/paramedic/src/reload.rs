//! Rules and pages of a running server, read anew: when a file changes, on SIGHUP, on `/-/reload`.
//!
//! All of them or none: with a mistake in any, what runs goes on. What else a configuration says needs
//! a restart, and whoever changed it is told so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use paramedic_engine::{Handle, Reload};
use paramedic_model::{BoxFuture, Clock, TimeMs};
use paramedic_server::Reloader;

use crate::config::{Config, Restarted};
use crate::{assembly, kinds};

/// How often it is looked whether a file changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What reads the rules and pages that a configuration names.
pub struct Rereader {
    path: PathBuf,
    engine: Handle,
    clock: Arc<dyn Clock>,
    /// What each key said at the start that only a restart applies.
    started_with: Restarted,
    last: Mutex<Last>,
    /// One at a time, so that the newest files win.
    turn: tokio::sync::Mutex<()>,
}

/// What came of reading them.
struct Last {
    /// Whether the last time went well.
    is_good: bool,
    /// When one last did.
    at: TimeMs,
    /// Whether the configuration that was read then says something that only a restart applies.
    needs_restart: bool,
}

/// Of each file, when it was written and how long it is.
type Stamp = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

impl Rereader {
    /// Reads what the configuration at `path` names, for `engine`, which was started with
    /// `started_with` from there.
    pub fn new(path: &Path, started_with: &Config, engine: Handle, clock: Arc<dyn Clock>) -> Self {
        let last = Last { is_good: true, at: clock.now(), needs_restart: false };
        Self {
            path: path.to_owned(),
            engine,
            clock,
            started_with: started_with.restarted.clone(),
            last: Mutex::new(last),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Says what was read and yet is not applied, if anything.
    async fn read(&self) -> Result<Option<String>, String> {
        let _turn = self.turn.lock().await;
        let result = match self.files() {
            Ok((reload, waiting)) => {
                let reloaded = self.engine.reload(reload).await;
                reloaded.map(|_| waiting).map_err(|error| error.to_string())
            }
            Err(mistakes) => Err(mistakes),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(waiting) => {
                let (at, needs_restart) = (self.clock.now(), waiting.is_some());
                *last = Last { is_good: true, at, needs_restart };
                if let Some(waiting) = waiting {
                    tracing::warn!("{waiting}");
                }
            }
            Err(mistakes) => {
                last.is_good = false;
                tracing::error!("error loading rules, previous rule set restored: {mistakes}");
            }
        }
        result
    }

    /// What is applied now, and in words what is not.
    fn files(&self) -> Result<(Reload, Option<String>), String> {
        let config =
            Config::load(&self.path, &kinds::catalogs()).map_err(|error| error.to_string())?;
        let loaded = assembly::load(&config).map_err(|error| error.to_string())?;
        let groups = assembly::groups(&config, &loaded, self.clock.now());
        let changed = config.needs_restart(&self.started_with);
        let waiting = (!changed.is_empty()).then(|| {
            let changed = changed.join(", ");
            format!("rules and pages are loaded; a restart is needed for what changed in {changed}")
        });
        Ok((Reload { groups, pages: loaded.pages }, waiting))
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
    fn reload(&self) -> BoxFuture<'_, Result<Option<String>, String>> {
        Box::pin(self.read())
    }

    fn last(&self) -> (bool, TimeMs) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (last.is_good, last.at)
    }

    fn needs_restart(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).needs_restart
    }
}
