//! The queues of words for Alertmanagers, one for each, and what empties them.
//!
//! Alertmanagers come and go as discovery says, set by set: one that stays keeps its queue.
//!
//! # Invariants
//!
//! - A queue keeps the newest word on each alert, and drops its oldest when it is full.
//! - A word that is no longer valid is never sent: it would read as an end.
//! - An Alertmanager that cannot be reached is said once, and once when it can again.
//!
//! Not here: what is told, and when (`notify`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paramedic_integration::{HttpClient, HttpRequest, ProbeError, UrlPath};
use paramedic_model::{Clock, Labels, TimeMs};
use paramedic_relabel::Rule;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

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

/// One Alertmanager's queue.
struct Line {
    set: usize,
    url: String,
    client: Arc<HttpClient>,
    relabel: Vec<Rule>,
    queue: Arc<Queue>,
    /// What empties it.
    running: Option<AbortHandle>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

/// All queues.
pub(crate) struct Lines {
    lines: Vec<Line>,
    /// Addresses that relabelling dropped, by set.
    dropped: BTreeMap<usize, Vec<String>>,
    queue_max: usize,
    batch_max: usize,
}

/// The Alertmanagers that one entry of the configuration means at present.
#[derive(Default)]
pub struct AlertmanagerSet {
    /// Whom alerts are sent to.
    pub active: Vec<Alertmanager>,
    /// Where they would be posted, had relabelling not dropped it.
    pub dropped: Vec<String>,
}

impl Lines {
    /// None yet. A queue holds `queue_max` words, a request `batch_max`.
    pub fn new(queue_max: usize, batch_max: usize) -> Self {
        let (lines, dropped) = (Vec::new(), BTreeMap::new());
        Self { lines, dropped, queue_max, batch_max: batch_max.max(1) }
    }

    /// Puts these Alertmanagers in the place of those of a set. Of two with one address the first
    /// counts; one that was there before keeps its queue. What waits for one that is gone is lost.
    pub fn replace(&mut self, set: usize, found: AlertmanagerSet) {
        let (mut before, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.lines).into_iter().partition(|line| line.set == set);
        self.lines = others;
        for alertmanager in found.active {
            let url = alertmanager.url();
            if self.lines.iter().any(|line| line.set == set && line.url == url) {
                continue;
            }
            let line = match before.iter().position(|line| line.url == url) {
                Some(at) => before.swap_remove(at),
                None => Line {
                    set,
                    url,
                    client: Arc::new(alertmanager.client),
                    relabel: alertmanager.relabel,
                    queue: Arc::new(Queue::new(self.queue_max)),
                    running: None,
                },
            };
            self.lines.push(line);
        }
        self.dropped.insert(set, found.dropped);
        for gone in before {
            tracing::info!("{} is no Alertmanager any more", gone.url);
        }
    }

    /// Starts what empties the queues that nothing empties yet.
    pub fn start(&mut self, clock: &Arc<dyn Clock>, workers: &mut JoinSet<()>) {
        for line in self.lines.iter_mut().filter(|line| line.running.is_none()) {
            let (client, queue) = (line.client.clone(), line.queue.clone());
            let delivery = deliver(client, queue, self.batch_max, clock.clone());
            line.running = Some(workers.spawn(delivery));
        }
    }

    /// Each with what is done with labels for it alone, and the way into its queue.
    pub fn iter(&self) -> impl Iterator<Item = (&[Rule], impl Fn(Word) + '_)> {
        self.lines.iter().map(|line| (&*line.relabel, |word| line.queue.push(word)))
    }

    /// Where alerts are posted.
    pub fn urls(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.url.clone()).collect()
    }

    /// Where they would be posted, had relabelling not dropped it.
    pub fn dropped(&self) -> Vec<String> {
        self.dropped.values().flatten().cloned().collect()
    }

    /// What came of the words for each.
    pub fn vitals(&self) -> Vec<(String, SendingVitals)> {
        self.lines.iter().map(|line| (line.url.clone(), line.queue.vitals())).collect()
    }

    /// Waits until all that waits was taken, but no longer than this; says how many words are left.
    pub async fn drain(&self, within: Duration) -> usize {
        self.lines.iter().for_each(|line| line.queue.hurry.notify_one());
        let all = async {
            for line in &self.lines {
                line.queue.drained().await;
            }
        };
        let _ = tokio::time::timeout(within, all).await;
        self.lines.iter().map(|line| line.queue.unsent()).sum()
    }
}

/// The newest word on one alert.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub labels: Labels,
    pub body: Value,
    /// Until when it may be sent: later, a firing alert would read as one that ended.
    pub valid_until: Option<TimeMs>,
}

/// The words that wait for one Alertmanager, the oldest first, one per alert.
struct Queue {
    words: Mutex<Words>,
    news: Notify,
    /// Told when nothing waits and nothing is on its way.
    idle: Notify,
    /// Told when there is no time left for pauses.
    hurry: Notify,
    max: usize,
}

#[derive(Default)]
struct Words {
    by_place: BTreeMap<u64, Word>,
    places: HashMap<Labels, u64>,
    next_place: u64,
    /// How many were taken out and are on their way.
    in_flight: usize,
    vitals: SendingVitals,
}

impl Words {
    /// Puts a word in, in the place of one on the same alert; beyond `max` the oldest goes.
    fn push(&mut self, word: Word, max: usize) {
        let place = self.places.get(&word.labels).copied().unwrap_or(self.next_place);
        self.next_place = self.next_place.max(place + 1);
        self.places.insert(word.labels.clone(), place);
        self.by_place.insert(place, word);
        if self.by_place.len() > max
            && let Some((_, oldest)) = self.by_place.pop_first()
        {
            self.places.remove(&oldest.labels);
            self.vitals.dropped += 1;
        }
    }
}

impl Queue {
    fn new(max: usize) -> Self {
        let [news, idle, hurry] = [(); 3].map(|()| Notify::new());
        Self { words: Mutex::default(), news, idle, hurry, max: max.max(1) }
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
        self.lock().push(word, self.max);
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
        words.in_flight = taken.len();
        if taken.is_empty() {
            drop(words);
            self.idle.notify_one();
        }
        taken
    }

    /// Puts back what was not taken, unless there is a newer word by now. In one step, so that nobody
    /// sees a queue without it.
    fn put_back(&self, batch: Vec<Word>) {
        let mut words = self.lock();
        words.in_flight = 0;
        for word in batch {
            if !words.places.contains_key(&word.labels) {
                words.push(word, self.max);
            }
        }
        drop(words);
        self.news.notify_one();
    }

    /// How many wait or are on their way.
    fn unsent(&self) -> usize {
        let words = self.lock();
        words.by_place.len() + words.in_flight
    }

    /// Returns once nothing waits and nothing is on its way.
    async fn drained(&self) {
        loop {
            let is_idle = {
                let words = self.lock();
                words.by_place.is_empty() && words.in_flight == 0
            };
            if is_idle {
                return;
            }
            self.idle.notified().await;
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
                // In this order, because without one tokio rolls dice, and drills must not.
                tokio::select! {
                    biased;
                    () = clock.sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
                    () = queue.hurry.notified() => pause = PAUSE_MIN,
                }
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
    use serde_json::json;

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
    fn what_is_put_back_is_never_out_of_sight() {
        let queue = Queue::new(3);
        queue.push(word("a", "1", None));
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    queue.put_back(queue.take(1, TimeMs(0)));
                }
                is_over.store(true, std::sync::atomic::Ordering::Release);
            });
            while !is_over.load(std::sync::atomic::Ordering::Acquire) {
                assert_eq!(queue.unsent(), 1, "a drain that began now would take it for sent");
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_drained_when_all_was_taken() {
        let lines = Lines::new(10, 1);
        assert_eq!(lines.drain(Duration::ZERO).await, 0);
        let queue = Queue::new(10);
        queue.push(word("a", "1", None));
        queue.push(word("b", "1", None));
        let mut drained = std::pin::pin!(queue.drained());
        let is_done = async |drained: &mut std::pin::Pin<&mut _>| {
            tokio::time::timeout(Duration::from_secs(1), drained).await.is_ok()
        };
        let batch = queue.take(1, TimeMs(0));
        assert!(!is_done(&mut drained).await);
        queue.put_back(batch);
        assert_eq!((queue.take(2, TimeMs(0)).len(), queue.unsent()), (2, 2));
        assert!(!is_done(&mut drained).await);
        assert!(queue.take(2, TimeMs(0)).is_empty());
        assert!(is_done(&mut drained).await);
    }
}
