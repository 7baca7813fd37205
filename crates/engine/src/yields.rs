//! What is known of what targets yield besides their samples: types, help texts and units of metric
//! families, and which series end with their target although they state their own time.
//!
//! It goes with its target. What senders of samples say of families is kept apart, the latest word on
//! each name, for an hour and up to a limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Labels, Metadata, MetricType, SeriesList, TimeMs};
use paramedic_scrape::{Target, TimedSamples};

use crate::Engine;

/// How long the word of a sender is kept: those that speak at all repeat it every minute.
const SENT_KEPT: Duration = Duration::from_secs(3600);
/// How many families senders may speak of.
const SENT_MAX: usize = 20_000;
/// How many bytes what they say may take.
const SENT_BYTES_MAX: usize = 16 << 20;

/// What is known of what targets yield.
#[derive(Default)]
pub(crate) struct Yields {
    /// What tells of families, the newest of each target.
    described: BTreeMap<String, Arc<dyn SeriesList>>,
    /// Series that state their own time and end with their target.
    tracked: BTreeMap<String, Arc<[Labels]>>,
    sent: Sent,
}

/// What senders said, by the name of the family.
#[derive(Default)]
struct Sent {
    words: BTreeMap<String, (TimeMs, Metadata)>,
    bytes: usize,
}

impl Yields {
    /// Takes what came with a collection. One that failed says nothing of families. Returns the series
    /// that end by it: they state their own time, are tracked, and were there last time, under whatever
    /// labels the target had then.
    pub fn take(
        &mut self,
        target: &str,
        described: Option<Arc<dyn SeriesList>>,
        timed: &TimedSamples,
    ) -> Vec<Labels> {
        if let Some(described) = described {
            self.described.insert(target.to_owned(), described);
        }
        if !timed.is_tracked {
            self.tracked.remove(target);
            return Vec::new();
        }
        let before = self.tracked.insert(target.to_owned(), timed.labels.clone());
        timed.missing_of(&before.unwrap_or_default())
    }

    /// A target is gone; which of its series end is asked for later.
    pub fn forget(&mut self, target: &str) {
        self.described.remove(target);
    }

    /// The series that end with a target, for once.
    pub fn untrack(&mut self, target: &str) -> Arc<[Labels]> {
        self.tracked.remove(target).unwrap_or_default()
    }

    /// Takes what a sender says.
    pub fn describe(&mut self, said: Vec<Metadata>, now: TimeMs) {
        self.sent.take(said, now);
    }
}

impl Sent {
    fn take(&mut self, said: Vec<Metadata>, now: TimeMs) {
        let oldest = now - SENT_KEPT;
        self.words.retain(|_, (at, _)| *at > oldest);
        for metadata in said {
            self.words.insert(metadata.name.clone(), (now, metadata));
        }
        let bytes = |said: &Metadata| 2 * said.name.len() + said.help.len() + said.unit.len();
        self.bytes = self.words.values().map(|(_, said)| bytes(said)).sum();
        // Beyond the limit names are forgotten from the end, so that the others stay what they are.
        while (self.words.len() > SENT_MAX || self.bytes > SENT_BYTES_MAX)
            && let Some((_, (_, said))) = self.words.pop_last()
        {
            self.bytes -= bytes(&said);
        }
    }
}

/// What tells of the metric families of one target.
pub struct Described {
    target: Arc<Target>,
    says: Says,
}

enum Says {
    List(Arc<dyn SeriesList>),
    Metadata(Vec<Metadata>),
}

impl Described {
    /// The name of the job that discovered the target, or of its kind.
    pub fn pool(&self) -> &str {
        match &self.target.discovered {
            Some(discovered) => &discovered.pool,
            None => &self.target.job,
        }
    }

    /// The labels of the target, made when they are asked for.
    pub fn labels(&self) -> Labels {
        self.target.all_labels()
    }

    /// What it says, a family at a time. Takes as long as reading all that the target sent.
    pub fn metadata(&self) -> Vec<Metadata> {
        match &self.says {
            Says::List(list) => list.metadata(),
            Says::Metadata(metadata) => metadata.clone(),
        }
    }
}

impl Engine {
    /// What tells of the metric families of each target that was read, in no order. A system under
    /// care says what its kind declares.
    pub fn described(&self) -> Vec<Described> {
        let of = |(id, target): (&String, &Arc<Target>)| {
            let says = match self.yields.described.get(id) {
                Some(list) => Says::List(list.clone()),
                None => Says::Metadata(self.declared(target)?),
            };
            Some(Described { target: target.clone(), says })
        };
        self.targets.iter().filter_map(of).collect()
    }

    /// What senders of samples said of metric families within the last hour, by name.
    pub fn sent_metadata(&self) -> Vec<Metadata> {
        let oldest = self.now() - SENT_KEPT;
        let words = self.yields.sent.words.values().filter(|(at, _)| *at > oldest);
        words.map(|(_, said)| said.clone()).collect()
    }

    /// What the kind of a system declares, once it was read.
    fn declared(&self, target: &Target) -> Option<Vec<Metadata>> {
        let is_it =
            |(job, instance): &(String, String)| (job, instance) == (&target.job, &target.instance);
        let system = self.systems.iter().find(|system| is_it(&system.target))?;
        self.read_at.get(&target.id())?;
        let declared = system.catalog.metrics.iter().map(|metric| Metadata {
            name: metric.name.to_owned(),
            metric_type: match metric.kind {
                paramedic_catalog::MetricKind::Gauge => MetricType::Gauge,
                paramedic_catalog::MetricKind::Counter => MetricType::Counter,
            },
            help: metric.help.to_owned(),
            unit: String::new(),
        });
        Some(declared.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, help: &str) -> Metadata {
        Metadata { name: name.to_owned(), help: help.to_owned(), ..Metadata::default() }
    }

    #[test]
    fn what_senders_say_is_bounded_in_time_and_size() {
        let mut sent = Sent::default();
        let names = |sent: &Sent| sent.words.keys().cloned().collect::<Vec<_>>();
        sent.take(vec![said("a", "1"), said("b", "1")], TimeMs(0));
        sent.take(vec![said("a", "2")], TimeMs(3_599_999));
        assert_eq!(sent.words["a"].1.help, "2");
        sent.take(vec![said("c", "")], TimeMs(3_600_000));
        assert_eq!(names(&sent), ["a", "c"]);
        sent.take((0..SENT_MAX).map(|n| said(&format!("m{n}"), "")).collect(), TimeMs(3_600_000));
        assert_eq!(sent.words.len(), SENT_MAX);
        let long = "x".repeat(1 << 20);
        sent.take((0..20).map(|n| said(&format!("l{n}"), &long)).collect(), TimeMs(3_600_000));
        assert!(sent.bytes <= SENT_BYTES_MAX);
        assert!(sent.words.contains_key("a") && sent.words.len() < 20);
    }
}
