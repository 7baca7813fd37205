//! The intake of samples: what targets yielded and what somebody sent, committed to the window.
//!
//! Targets come and go as discovery says: each has a loop of its own, and its series end with it.
//!
//! What goes wrong with a target is said once, and again when it changes in kind: a target may be
//! away, or may yield too much, for days.

use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_model::TimeMs;
use paramedic_samples::{Commit, LogError, Rejected, TargetId, Window};
use paramedic_scrape::remote_write::WrittenSeries;
use paramedic_scrape::{Pool, Scraped, Target, collect_forever};
use tokio::sync::mpsc;

use crate::Engine;
use crate::handle::Input;

impl Engine {
    /// Starts the loop of a target.
    pub(crate) fn collect(&mut self, target: Arc<Target>) {
        let id = target.id();
        let (sink, mut scraped) = mpsc::channel(1);
        let (clock, inputs) = (self.clock.clone(), self.inputs.clone());
        let running = self.workers.spawn(async move {
            let forward = async {
                while let Some(scraped) = scraped.recv().await {
                    let Some(inputs) = inputs.upgrade() else { return };
                    if inputs.send(Input::Scraped(scraped)).await.is_err() {
                        return;
                    }
                }
            };
            // In this order, because without one tokio rolls dice, and drills must not.
            tokio::select! {
                biased;
                _ = collect_forever(target, clock, sink) => {}
                () = forward => {}
            }
        });
        self.loops.insert(id, running);
    }

    /// Ends the loops of targets that are gone, and their series; starts those of new ones. One that
    /// is scraped as before goes on undisturbed.
    pub(crate) fn take_pool(&mut self, pool: Pool, now: TimeMs) {
        let of_pool = |target: &Target| {
            target.discovered.as_ref().is_some_and(|discovered| discovered.pool == pool.name)
        };
        let mut found: BTreeMap<_, _> =
            pool.targets.iter().map(|target| (target.id(), target.clone())).collect();
        let known: Vec<_> = self.targets.iter().filter(|(_, target)| of_pool(target)).collect();
        let known: Vec<_> = known.into_iter().map(|(id, t)| (id.clone(), t.clone())).collect();
        for (id, target) in known {
            match found.get(&id) {
                Some(now_there) if now_there.is_same(&target) => _ = found.remove(&id),
                Some(_) => self.stop_loop(&id),
                None => self.retire(&id, now),
            }
        }
        for (id, target) in found {
            self.targets.insert(id, target.clone());
            self.collect(target);
        }
        self.pools.insert(pool.name.clone(), pool);
    }

    fn stop_loop(&mut self, id: &str) {
        if let Some(running) = self.loops.remove(id) {
            running.abort();
        }
    }

    /// Forgets a target that is gone, and ends its series.
    fn retire(&mut self, id: &str, now: TimeMs) {
        self.stop_loop(id);
        self.targets.remove(id);
        self.awaited.remove(id);
        self.failures.remove(id);
        self.refused.remove(id);
        // After its newest samples, so that the end is theirs.
        let after = |newest: TimeMs| now.max(TimeMs(newest.0 + 1));
        let at = self.read_at.remove(id).map_or(now, after);
        let commit = self.window.retire_target(&TargetId::from(id), at);
        self.alerts.changed(&commit.changed, at);
        self.tell_unlogged(commit.unlogged);
        tracing::info!(target = id, "is no target any more");
    }

    /// Commits what a target yielded. A collection that began before one that is taken in already
    /// is no news: it hung, and the target was read anew meanwhile.
    pub(crate) fn take_in(&mut self, scraped: Scraped) {
        // It was retired while this was on its way.
        if !self.targets.contains_key(&scraped.target) {
            return;
        }
        let newest = self.read_at.entry(scraped.target.clone()).or_insert(TimeMs(i64::MIN));
        if scraped.at <= *newest {
            return;
        }
        *newest = scraped.at;
        let Scraped { target, at, list, values, failure, .. } = scraped;
        let id = TargetId::from(target.as_str());
        let commit = self.window.commit_list(&id, at, &list, &values);
        self.ingest.count(&commit);
        self.alerts.changed(&commit.changed, at);
        self.awaited.remove(&target);
        self.tell_unlogged(commit.unlogged);
        self.tell_refused(&target, commit.rejected);
        match failure {
            Some(failure) => {
                let reason = self.redactor.clean(&failure.to_string());
                let known = self.failures.get(&target);
                let since = known.map_or(at, |(since, _)| *since);
                if known.is_none_or(|(_, told)| *told != reason) {
                    tracing::warn!(target, "could not look: {reason}");
                }
                self.failures.insert(target, (since, reason));
            }
            None => {
                if self.failures.remove(&target).is_some() {
                    tracing::info!(target, "can be looked at again");
                }
            }
        }
    }

    /// Says what was not taken of a collection, unless it was the same last time but for numbers.
    fn tell_refused(&mut self, target: &str, rejected: Rejected) {
        let known = self.refused.get(target);
        if rejected.total() == 0 {
            if self.refused.remove(target).is_some() {
                tracing::info!(target, "all samples are taken again");
            }
            return;
        }
        if known.is_none_or(|known| !known.has_reasons_of(&rejected)) {
            tracing::warn!(target, "{rejected}");
        }
        self.refused.insert(target.to_owned(), rejected);
    }

    /// Says why samples are not logged, unless it is what it was.
    fn tell_unlogged(&mut self, unlogged: Option<LogError>) {
        match (&self.unlogged, &unlogged) {
            (known, Some(error))
                if known
                    .as_ref()
                    .is_none_or(|k| (k.action, k.kind) != (error.action, error.kind)) =>
            {
                tracing::error!("samples are not logged: {error}");
            }
            (Some(_), None) => tracing::info!("samples are logged again"),
            _ => {}
        }
        self.unlogged = unlogged;
    }

    /// Leaves the samples so that the next start reads them at once. Without this it replays their
    /// log, which takes longer and finds the same.
    pub(crate) fn close(&mut self) {
        let checkpoint = self.window.checkpoint();
        let written = checkpoint.and_then(|checkpoint| match checkpoint {
            Some(checkpoint) => checkpoint.write(),
            None => Ok(()),
        });
        if let Err(error) = written {
            tracing::warn!("the next start will take longer: {error}");
        }
    }

    /// Commits samples that somebody sent. What was refused is for the sender to hear.
    pub(crate) fn append(&mut self, series: &[WrittenSeries], now: TimeMs) -> Commit {
        let (mut commit, unlogged) = self.window.batch(|window| append_to(window, series));
        commit.unlogged = commit.unlogged.or(unlogged);
        self.ingest.count(&commit);
        self.alerts.changed(&commit.changed, now);
        commit
    }
}

/// Appends what somebody sent, series by series.
fn append_to(window: &mut Window, series: &[WrittenSeries]) -> Commit {
    let mut commit = Commit::default();
    for WrittenSeries { labels, samples, histograms } in series {
        let (mut samples, mut histograms) = (&samples[..], &histograms[..]);
        // In the order of time: where a number follows, no histogram before it may come late.
        while !(samples.is_empty() && histograms.is_empty()) {
            let next = histograms.first().map_or(TimeMs(i64::MAX), |(at, _)| *at);
            let count = samples.iter().take_while(|sample| sample.at <= next).count();
            commit.merge(window.append_samples(labels, &samples[..count]));
            samples = &samples[count..];
            let next = samples.first().map_or(TimeMs(i64::MAX), |sample| sample.at);
            let count = histograms.iter().take_while(|(at, _)| *at <= next).count();
            commit.merge(window.append_histograms(labels, &histograms[..count]));
            histograms = &histograms[count..];
        }
    }
    commit
}
