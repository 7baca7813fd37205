//! The intake of samples: what targets yielded and what somebody sent, committed to the window.
//!
//! Targets come and go as discovery says: each has a loop of its own. The series of one that went
//! away end as in Prometheus: when it would have been collected next, but written down only after
//! two intervals, so that a target that comes back, or goes on under another name, has no hole.
//!
//! What goes wrong with a target is said once, and again when it changes in kind: a target may be
//! away, or may yield too much, for days.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::TimeMs;
use paramedic_samples::{Commit, LogError, Rejected, TargetId, Window};
use paramedic_scrape::remote_write::WrittenSeries;
use paramedic_scrape::{Pool, Scraped, Target, TimedSamples, collect_forever};
use tokio::sync::mpsc;

use crate::Engine;
use crate::handle::Input;

/// How far into the future the time that a sample states itself may be, as in Prometheus.
const AHEAD_MAX: Duration = Duration::from_secs(600);

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

    /// Ends the loops of targets that are gone, and later their series; starts those of new ones. One
    /// that is scraped as before goes on undisturbed.
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
            self.ending.remove(&id);
            self.gone.remove(&id);
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

    /// Forgets a target that is gone. Its series end in a while.
    fn retire(&mut self, id: &str, now: TimeMs) {
        self.stop_loop(id);
        self.awaited.remove(id);
        self.failures.remove(id);
        self.refused.remove(id);
        self.gone.insert(id.to_owned(), now);
        self.losses_due = true;
        self.yields.forget(id);
        tracing::info!(target = id, "is no target any more");
        let Some(target) = self.targets.remove(id) else { return };
        // One that never yielded anything has nothing to end.
        let Some(read_at) = self.read_at.get(id) else { return };
        let at = target.next_after(*read_at, now);
        let due = at + target.interval + target.interval / 10;
        self.ending.insert(id.to_owned(), at);
        let (id, inputs) = (id.to_owned(), self.inputs.clone());
        let sleep = self.clock.sleep(due.since(now));
        self.workers.spawn(async move {
            sleep.await;
            // After a stop none are written: what was is there again after the next start.
            if let Some(inputs) = inputs.upgrade() {
                let _ = inputs.send(Input::Ended(id, at)).await;
            }
        });
    }

    /// Ends the series of a target that went away: those that nothing else yields since `at`.
    pub(crate) fn end(&mut self, id: &str, at: TimeMs, now: TimeMs) {
        if self.ending.get(id) != Some(&at) {
            return;
        }
        self.ending.remove(id);
        self.read_at.remove(id);
        let tracked = self.yields.untrack(id);
        let (mut commit, unlogged) = self.window.batch(|window| {
            let mut commit = window.retire_target(&TargetId::from(id), at);
            commit.merge(window.end_series(&tracked, at));
            commit
        });
        commit.unlogged = commit.unlogged.or(unlogged);
        self.alerts.changed(&commit.changed, now);
        self.tell_unlogged(commit.unlogged);
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
        let Scraped { target, at, list, values, failure, timed, described, .. } = scraped;
        let id = TargetId::from(target.as_str());
        let ended = self.yields.take(&target, described, &timed);
        let commit = match timed.samples.is_empty() && ended.is_empty() {
            true => self.window.commit_list(&id, at, &list, &values),
            false => {
                let (mut commit, unlogged) = self.window.batch(|window| {
                    let mut commit = window.commit_list(&id, at, &list, &values);
                    commit.merge(append_timed(window, &id, &timed, at));
                    commit.merge(window.end_series(&ended, at));
                    commit
                });
                commit.unlogged = commit.unlogged.or(unlogged);
                commit
            }
        };
        self.ingest.count(&commit);
        self.alerts.changed(&commit.changed, at);
        let is_first = self.awaited.remove(&target);
        self.tell_unlogged(commit.unlogged);
        self.tell_refused(&target, commit.rejected);
        match failure {
            Some(failure) => {
                let reason = self.redactor.clean(&failure.to_string());
                self.fails(&target, at, reason);
            }
            None => self.answers(&target, is_first),
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

/// Appends samples of a target that state their own time, as it is `at`.
fn append_timed(window: &mut Window, id: &TargetId, timed: &TimedSamples, at: TimeMs) -> Commit {
    let latest = at + AHEAD_MAX;
    let all = timed.labels.iter().zip(timed.samples.iter().copied());
    let taken: Vec<_> = all.filter(|(_, sample)| sample.at <= latest).collect();
    let mut commit = window.append_timed(id, &taken);
    commit.rejected.ahead += timed.samples.len() - taken.len();
    commit
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
