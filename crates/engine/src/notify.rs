//! Alerts told to Alertmanagers.
//!
//! ```text
//! rounds --Outgoing--> Engine::tell --relabelled, as JSON--> one queue per Alertmanager --POST-->
//!                         ^  |                                  ^    |
//!      incident is blind -+  +--> held: goes on as firing       +----+ not taken: again, later
//! ```
//!
//! What is told, when and how often is Prometheus's ([`paramedic_rules::Outgoing`]). Three things are
//! ours. A queue keeps the newest word on each alert and tries again until it is taken, so that an
//! end is not lost while an Alertmanager restarts. An alert that ended because its samples did is
//! told as firing as long as its incident is blind, because nobody saw a recovery: Alertmanagers know
//! it, so nobody is notified anew. And the loss of a target that no alert watches is told as one alert,
//! `TargetLost`, however many rules it blinds. With [`WhenBlind::Resolve`] they hear neither of the
//! last two.
//!
//! # Invariants
//!
//! - The engine never waits for an Alertmanager, but at its end, and then not for long.
//! - A word that is no longer valid is never sent: it would read as an end.
//!
//! Not here: which alerts are due (`rules`), the queues (`delivery`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paramedic_incident::{Incident, Signal};
use paramedic_model::{Labels, TimeMs};
use paramedic_relabel::{Rule, relabel};
use paramedic_rules::Outgoing;
use serde_json::json;

use crate::Engine;
use crate::delivery::{AlertmanagerSet, Lines, SendingVitals, Word};

/// What an Alertmanager hears of an alert whose samples vanished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenBlind {
    /// That it fires, until a sample or a person says otherwise.
    #[default]
    Hold,
    /// That it is over, as from Prometheus.
    Resolve,
}

/// Who is told of alerts, and how.
pub struct Sending {
    /// Each of these, and each that is found in their place later, is told of every alert. None:
    /// nothing is sent.
    pub alertmanagers: Vec<AlertmanagerSet>,
    /// What is done with the labels of every alert, external labels included.
    pub relabel: Vec<Rule>,
    /// How long after it was told an alert is told again. Default: 1 min.
    pub resend_delay: Duration,
    /// How many words may wait for one Alertmanager. Default: 10,000.
    pub queue_max: usize,
    /// How many alerts one request holds at most. Default: 256.
    pub batch_max: usize,
    /// What is told of an alert that ended because its samples did. Default: that it fires.
    pub when_blind: WhenBlind,
    /// How long the engine goes on at its end so that what waits is taken, in wall time; zero: not at
    /// all. Default: 10 s.
    pub drain_timeout: Duration,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            alertmanagers: Vec::new(),
            relabel: Vec::new(),
            resend_delay: Duration::from_secs(60),
            queue_max: 10_000,
            batch_max: 256,
            when_blind: WhenBlind::Hold,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// The way out of the engine.
pub(crate) struct Outbox {
    relabel: Vec<Rule>,
    pub resend_delay: Duration,
    when_blind: WhenBlind,
    pub lines: Lines,
    /// Whether anybody is told, now or once somebody was found.
    is_used: bool,
    drain_timeout: Duration,
    /// What is told beside the rules, by labels: alerts that ended only because their samples did, and
    /// targets that are lost.
    held: BTreeMap<Labels, Held>,
    /// What this turn brought, to be told once the journal has it.
    news: Vec<Outgoing>,
}

struct Held {
    news: Outgoing,
    sent: Option<TimeMs>,
    /// Where people read of it, where that is not the page of a rule.
    page: Option<String>,
}

impl Outbox {
    /// An outbox for these Alertmanagers.
    pub fn new(sending: Sending) -> Self {
        let mut lines = Lines::new(sending.queue_max, sending.batch_max);
        let is_used = !sending.alertmanagers.is_empty();
        for (set, found) in sending.alertmanagers.into_iter().enumerate() {
            lines.replace(set, found);
        }
        Self {
            relabel: sending.relabel,
            resend_delay: sending.resend_delay,
            when_blind: sending.when_blind,
            lines,
            is_used,
            drain_timeout: sending.drain_timeout,
            held: BTreeMap::new(),
            news: Vec::new(),
        }
    }

    /// Waits at the end, so that what was to be told is.
    pub async fn drain(&self) {
        match self.lines.drain(self.drain_timeout).await {
            0 => {}
            left => tracing::warn!("{left} alerts were not taken before the end"),
        }
    }

    /// Whether anybody is told.
    pub fn is_used(&self) -> bool {
        self.is_used
    }

    /// Keeps what a round brought until the journal has the round.
    pub fn gather(&mut self, news: Vec<Outgoing>) {
        self.news.extend(news);
    }

    /// Takes up the alerts that an earlier process held.
    pub fn hold_again<'a>(&mut self, incidents: impl Iterator<Item = &'a Incident>) {
        if self.when_blind == WhenBlind::Resolve {
            return;
        }
        let alerts = incidents.filter(|incident| incident.opened.lost.is_none());
        alerts.filter(|incident| is_held(incident)).for_each(|incident| self.hold(incident, None));
    }

    /// Takes up what is told beside the rules.
    fn hold(&mut self, incident: &Incident, page: Option<String>) {
        let opened = &incident.opened;
        let news = Outgoing {
            labels: opened.labels.iter().collect(),
            annotations: opened.annotations.clone().into_iter().collect(),
            starts_at: incident.opened_at,
            ends_at: incident.opened_at,
            is_resolved: false,
            expr: opened.expr.clone(),
            valid_for: 4 * self.resend_delay,
        };
        self.held.entry(news.labels.clone()).or_insert(Held { news, sent: None, page });
    }
}

/// Whether an incident's alert is told as firing although no rule says so.
fn is_held(incident: &Incident) -> bool {
    let is_told = match incident.signal {
        Signal::Blind => incident.opened.outside.is_none(),
        Signal::Firing => incident.opened.lost.is_some(),
        Signal::Clear => false,
    };
    incident.is_open() && is_told
}

impl Engine {
    /// Where alerts are sent.
    pub fn alertmanagers(&self) -> Vec<String> {
        self.outbox.lines.urls()
    }

    /// Where they would be sent, had relabelling not dropped the address.
    pub fn dropped_alertmanagers(&self) -> Vec<String> {
        self.outbox.lines.dropped()
    }

    /// Sends alerts to these from now on, in the place of those of this entry of the configuration.
    pub(crate) fn take_alertmanagers(&mut self, set: usize, found: AlertmanagerSet) {
        self.outbox.lines.replace(set, found);
        self.outbox.lines.start(&self.clock, &mut self.workers);
    }

    /// What came of the alerts for each Alertmanager since the start, by its URL.
    pub fn sending_vitals(&self) -> Vec<(String, SendingVitals)> {
        self.outbox.lines.vitals()
    }

    /// Tells the Alertmanagers what this turn brought. The journal has it by now.
    pub(crate) fn tell(&mut self, now: TimeMs) {
        if !self.outbox.is_used() {
            return;
        }
        let beside = self.incidents.open().filter(|incident| is_held(incident));
        let labels = |incident: &Incident| self.incidents.labels(incident.id).cloned();
        let blind: BTreeSet<Labels> = beside.clone().filter_map(labels).collect();
        let outbox = &mut self.outbox;
        let hold = outbox.when_blind == WhenBlind::Hold;
        for incident in beside.filter(|one| hold && one.opened.lost.is_some()) {
            let page = format!("{}/incidents/{}", self.alerts.external_url(), incident.id);
            outbox.hold(incident, Some(page));
        }
        let mut words = Vec::new();
        for news in std::mem::take(&mut outbox.news) {
            if news.is_resolved && hold && blind.contains(&news.labels) {
                let news = Outgoing { is_resolved: false, ..news };
                let held = Held { news, sent: None, page: None };
                outbox.held.entry(held.news.labels.clone()).or_insert(held);
                continue;
            }
            outbox.held.remove(&news.labels);
            words.push((news, None));
        }
        let delay = outbox.resend_delay;
        outbox.held.retain(|labels, held| {
            if !blind.contains(labels) {
                // It fires again and its own rule says so, or it is known to be over.
                if !self.alerts.active(labels).is_some_and(|alert| alert.state.is_firing()) {
                    let over = Outgoing { ends_at: now, is_resolved: true, ..held.news.clone() };
                    words.push((over, held.page.clone()));
                }
                return false;
            }
            if held.sent.is_none_or(|sent| sent + delay < now) {
                held.sent = Some(now);
                let ends_at = now + held.news.valid_for;
                words.push((Outgoing { ends_at, ..held.news.clone() }, held.page.clone()));
            }
            true
        });
        for (word, page) in words {
            self.enqueue(&word, page);
        }
    }

    /// When an alert that is held is to be told again.
    pub(crate) fn held_due(&self) -> Option<TimeMs> {
        // Strictly more than the delay, hence a millisecond.
        let wait = self.outbox.resend_delay + Duration::from_millis(1);
        let held = self.outbox.held.values();
        held.filter_map(|held| held.sent.map(|sent| sent + wait)).min()
    }

    fn enqueue(&self, news: &Outgoing, page: Option<String>) {
        let mut labels = news.labels.to_builder();
        for (name, value) in self.alerts.external_labels().iter() {
            if news.labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        let Some(labels) = relabel(&labels.build(), &self.outbox.relabel) else { return };
        let annotations: BTreeMap<_, _> = news.annotations.iter().cloned().collect();
        let url = page.unwrap_or_else(|| graph_url(self.alerts.external_url(), &news.expr));
        for (rules, push) in self.outbox.lines.iter() {
            let Some(labels) = relabel(&labels, rules) else { continue };
            if labels.iter().next().is_none() {
                continue;
            }
            let texts: BTreeMap<_, _> = labels.iter().collect();
            let body = json!({
                "labels": texts,
                "annotations": annotations,
                "startsAt": news.starts_at.to_string(),
                "endsAt": news.ends_at.to_string(),
                "generatorURL": url,
            });
            let valid_until = (!news.is_resolved).then_some(news.ends_at);
            push(Word { labels, body, valid_until });
        }
    }
}

/// Where people see the expression.
fn graph_url(external_url: &str, expr: &str) -> String {
    let mut url = format!("{external_url}/graph?g0.expr=");
    for byte in expr.bytes() {
        match byte {
            b' ' => url.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => {
                url.push(char::from(byte));
            }
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url + "&g0.tab=1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_escaped_as_go_does() {
        let check = |expr: &str, expected: &str| {
            assert_eq!(graph_url("http://p", expr), format!("http://p/graph?g0.expr={expected}"));
        };
        check("m == 0", "m+%3D%3D+0&g0.tab=1");
        check("a{b=~\"c*~\"}", "a%7Bb%3D~%22c%2A~%22%7D&g0.tab=1");
    }
}
