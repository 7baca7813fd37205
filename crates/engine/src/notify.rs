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
//! - The engine never waits for an Alertmanager; a full queue drops its oldest word and counts it.
//! - A word that is no longer valid is never sent: it would read as an end.
//! - An Alertmanager that cannot be reached is said once, and once when it can again.
//!
//! Not here: which alerts are due (`rules`), TLS and credentials ([`HttpClient`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paramedic_incident::{Incident, Signal};
use paramedic_integration::{HttpClient, HttpRequest, ProbeError, UrlPath};
use paramedic_model::{Clock, Labels, TimeMs};
use paramedic_relabel::{Rule, relabel};
use paramedic_rules::Outgoing;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::Engine;

/// The first pause after a failure; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// One Alertmanager.
pub struct Alertmanager {
    /// How it is reached, its path prefix included.
    pub client: HttpClient,
    /// What is done with the labels of alerts for this one alone.
    pub relabel: Vec<Rule>,
}

impl Alertmanager {
    /// Where alerts are posted.
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.client.target())
    }
}

const PATH: &str = "/api/v2/alerts";

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
    /// Each is told of every alert. None: nothing is sent.
    pub alertmanagers: Vec<Alertmanager>,
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
        }
    }
}

/// What came of the words for one Alertmanager.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendingVitals {
    /// How many were taken.
    pub sent: u64,
    /// How many requests failed.
    pub errors: u64,
    /// How many were given up: the queue was full, they were refused, or their time was over.
    pub dropped: u64,
    /// How many wait.
    pub waiting: usize,
}

/// The way out of the engine.
pub(crate) struct Outbox {
    relabel: Vec<Rule>,
    pub resend_delay: Duration,
    when_blind: WhenBlind,
    lines: Vec<Line>,
    batch_max: usize,
    /// What is told beside the rules, by labels: alerts that ended only because their samples did, and
    /// targets that are lost.
    held: BTreeMap<Labels, Held>,
    /// What this turn brought, to be told once the journal has it.
    news: Vec<Outgoing>,
}

/// One Alertmanager's queue.
struct Line {
    url: String,
    client: Arc<HttpClient>,
    relabel: Vec<Rule>,
    queue: Arc<Queue>,
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
        let line = |alertmanager: Alertmanager| Line {
            url: alertmanager.url(),
            client: Arc::new(alertmanager.client),
            relabel: alertmanager.relabel,
            queue: Arc::new(Queue::new(sending.queue_max)),
        };
        Self {
            relabel: sending.relabel,
            resend_delay: sending.resend_delay,
            when_blind: sending.when_blind,
            lines: sending.alertmanagers.into_iter().map(line).collect(),
            batch_max: sending.batch_max.max(1),
            held: BTreeMap::new(),
            news: Vec::new(),
        }
    }

    /// What sends to each Alertmanager, for ever; to be run once.
    pub fn deliveries(
        &self,
        clock: &Arc<dyn Clock>,
    ) -> Vec<impl Future<Output = ()> + Send + use<>> {
        let delivery = |line: &Line| {
            deliver(line.client.clone(), line.queue.clone(), self.batch_max, clock.clone())
        };
        self.lines.iter().map(delivery).collect()
    }

    /// Whether anybody is told.
    pub fn is_used(&self) -> bool {
        !self.lines.is_empty()
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
        self.outbox.lines.iter().map(|line| line.url.clone()).collect()
    }

    /// What came of the alerts for each Alertmanager since the start, by its URL.
    pub fn sending_vitals(&self) -> Vec<(String, SendingVitals)> {
        let of = |line: &Line| (line.url.clone(), line.queue.vitals());
        self.outbox.lines.iter().map(of).collect()
    }

    /// Tells the Alertmanagers what this turn brought. The journal has it by now.
    pub(crate) fn tell(&mut self, now: TimeMs) {
        if !self.outbox.is_used() {
            return;
        }
        let beside = self.incidents.values().filter(|incident| is_held(incident));
        let blind: BTreeSet<Labels> =
            beside.clone().map(|incident| incident.opened.labels.iter().collect()).collect();
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
        for line in &self.outbox.lines {
            let Some(labels) = relabel(&labels, &line.relabel) else { continue };
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
            line.queue.push(Word { labels, body, valid_until });
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

/// The newest word on one alert.
#[derive(Debug, Clone)]
struct Word {
    labels: Labels,
    body: Value,
    /// Until when it may be sent: later, a firing alert would read as one that ended.
    valid_until: Option<TimeMs>,
}

/// The words that wait for one Alertmanager, the oldest first, one per alert.
struct Queue {
    words: Mutex<Words>,
    news: Notify,
    max: usize,
}

#[derive(Default)]
struct Words {
    by_place: BTreeMap<u64, Word>,
    places: HashMap<Labels, u64>,
    next_place: u64,
    vitals: SendingVitals,
}

impl Queue {
    fn new(max: usize) -> Self {
        Self { words: Mutex::default(), news: Notify::new(), max: max.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vitals(&self) -> SendingVitals {
        let words = self.lock();
        SendingVitals { waiting: words.by_place.len(), ..words.vitals }
    }

    /// Puts a word in; one on the same alert that still waits is replaced where it stands.
    fn push(&self, word: Word) {
        let mut words = self.lock();
        let place = words.places.get(&word.labels).copied().unwrap_or(words.next_place);
        words.next_place = words.next_place.max(place + 1);
        words.places.insert(word.labels.clone(), place);
        words.by_place.insert(place, word);
        if words.by_place.len() > self.max
            && let Some((_, oldest)) = words.by_place.pop_first()
        {
            words.places.remove(&oldest.labels);
            words.vitals.dropped += 1;
        }
        drop(words);
        self.news.notify_one();
    }

    /// The oldest words that are still valid at `now`, at most `count`. They leave the queue.
    fn take(&self, count: usize, now: TimeMs) -> Vec<Word> {
        let mut words = self.lock();
        let mut taken = Vec::new();
        while taken.len() < count
            && let Some((_, word)) = words.by_place.pop_first()
        {
            words.places.remove(&word.labels);
            match word.valid_until.is_none_or(|until| now < until) {
                true => taken.push(word),
                false => words.vitals.dropped += 1,
            }
        }
        taken
    }

    /// Puts back what was not taken, unless there is a newer word by now.
    fn put_back(&self, batch: Vec<Word>) {
        for word in batch {
            if !self.lock().places.contains_key(&word.labels) {
                self.push(word);
            }
        }
    }

    fn count(&self, count: impl FnOnce(&mut SendingVitals)) {
        count(&mut self.lock().vitals);
    }
}

/// Sends what the queue has, for ever.
async fn deliver(
    client: Arc<HttpClient>,
    queue: Arc<Queue>,
    batch_max: usize,
    clock: Arc<dyn Clock>,
) {
    let (mut pause, mut is_down) = (PAUSE_MIN, false);
    let name = client.target();
    loop {
        let batch = queue.take(batch_max, clock.now());
        if batch.is_empty() {
            queue.news.notified().await;
            continue;
        }
        let count = batch.len() as u64;
        let body = Value::Array(batch.iter().map(|word| word.body.clone()).collect());
        match post(&client, &body).await {
            Ok(()) => {
                queue.count(|vitals| vitals.sent += count);
                pause = PAUSE_MIN;
                if std::mem::take(&mut is_down) {
                    tracing::info!("alerts are taken again by {name}");
                }
            }
            Err(Refused::Forever(reason)) => {
                queue.count(|vitals| {
                    (vitals.errors, vitals.dropped) = (vitals.errors + 1, vitals.dropped + count)
                });
                tracing::warn!("{count} alerts were refused by {name}: {reason}");
            }
            Err(Refused::ForNow(reason)) => {
                queue.count(|vitals| vitals.errors += 1);
                if !std::mem::replace(&mut is_down, true) {
                    tracing::warn!("alerts wait, as they are not taken by {name}: {reason}");
                }
                queue.put_back(batch);
                clock.sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Why a request was not taken.
enum Refused {
    /// Sending it again may help.
    ForNow(String),
    /// Sending it again would be answered the same.
    Forever(String),
}

async fn post(client: &HttpClient, body: &Value) -> Result<(), Refused> {
    let request = HttpRequest::post_json(UrlPath::fixed(PATH), body);
    let answer = client.send(request).await.map_err(|e| Refused::ForNow(e.to_string()))?;
    let status = answer.status;
    match answer.successful() {
        Ok(_) => Ok(()),
        // A token may be renewed, and a proxy says 429 when it is asked too much.
        Err(ProbeError::Denied { reason, .. }) => Err(Refused::ForNow(reason)),
        Err(error) if status.is_client_error() && status.as_u16() != 429 => {
            Err(Refused::Forever(error.to_string()))
        }
        Err(error) => Err(Refused::ForNow(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(name: &str, text: &str, valid_until: Option<i64>) -> Word {
        Word {
            labels: Labels::from([("alertname", name)]),
            body: json!(text),
            valid_until: valid_until.map(TimeMs),
        }
    }

    /// What is taken at second 10, after these words were pushed into a queue of three.
    fn check(words: &[(&str, &str, Option<i64>)], expected: &[&str], dropped: u64) {
        let queue = Queue::new(3);
        words.iter().for_each(|(name, text, until)| queue.push(word(name, text, *until)));
        let taken = queue.take(10, TimeMs(10));
        let taken: Vec<_> = taken.iter().map(|word| word.body.as_str().unwrap_or("")).collect();
        assert_eq!(taken, expected);
        assert_eq!(queue.vitals().dropped, dropped);
    }

    #[test]
    fn the_newest_word_on_an_alert_counts() {
        check(&[("a", "1", None), ("b", "1", None), ("a", "2", None)], &["2", "1"], 0);
    }

    #[test]
    fn a_full_queue_drops_its_oldest() {
        let words = ["a", "b", "c", "d"].map(|name| (name, name, None));
        check(&words, &["b", "c", "d"], 1);
    }

    #[test]
    fn what_is_no_longer_valid_is_not_sent() {
        check(&[("a", "1", Some(10)), ("b", "1", Some(11)), ("c", "1", None)], &["1", "1"], 1);
    }

    #[test]
    fn what_was_not_taken_yields_to_newer_words() {
        let queue = Queue::new(3);
        queue.push(word("a", "old", None));
        let batch = queue.take(10, TimeMs(0));
        queue.push(word("a", "new", None));
        queue.put_back(batch);
        let taken = queue.take(10, TimeMs(0));
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].body, json!("new"));
    }

    #[test]
    fn links_are_escaped_as_go_does() {
        let check = |expr: &str, expected: &str| {
            assert_eq!(graph_url("http://p", expr), format!("http://p/graph?g0.expr={expected}"));
        };
        check("m == 0", "m+%3D%3D+0&g0.tab=1");
        check("a{b=~\"c*~\"}", "a%7Bb%3D~%22c%2A~%22%7D&g0.tab=1");
    }
}
