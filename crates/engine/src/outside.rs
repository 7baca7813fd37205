//! Alerts that other programs send: a Prometheus to its Alertmanager, an Alertmanager to its webhook.
//!
//! They open incidents as our own rules' alerts do. What is known of them is a *word*: what the
//! sender said last, and until when that holds. A sender that falls silent has not said that the
//! alert is over, so its incident is blind, never clear.
//!
//! # Invariants
//!
//! - One incident per outage: an alert that one of our own rules has an open incident for opens none.
//! - An end is believed only where the sender says it, and no copy of the rule here contradicts.
//! - After a restart nothing is concluded before the sender had time to repeat itself.
//!
//! Not here: formats and who may send (`server`).

use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_incident::{Incident, Input as IncidentInput, Opened, Outside, Signal, Via};
use paramedic_model::{Labels, TimeMs};

use crate::Engine;

/// How many incidents may be open by alerts from outside.
const OPEN_MAX: usize = 1000;
/// How long a word holds that does not say it, and how long a restart waits for one; as
/// `resolve_timeout` of an Alertmanager.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(300);

/// An alert as its sender has it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideAlert {
    /// Its labels: its identity.
    pub labels: Labels,
    /// Its annotations, rendered.
    pub annotations: BTreeMap<String, String>,
    /// When it began; `None` means now.
    pub starts_at: Option<TimeMs>,
    /// When it ends, or until when the word holds; `None` where it is not said.
    pub ends_at: Option<TimeMs>,
    /// Who sent it.
    pub outside: Outside,
}

/// What came of alerts that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// How many opened an incident.
    pub opened: usize,
    /// How many opened none because too many from outside are open.
    pub refused: usize,
}

/// What the sender of an alert said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    /// Whether this process heard it.
    is_heard: bool,
    /// When the alert ended, where that was said.
    ended_at: Option<TimeMs>,
    /// When it was said.
    at: TimeMs,
    /// From when on the word says nothing.
    until: TimeMs,
}

/// The words on alerts whose incidents are open, by labels.
#[derive(Debug, Default)]
pub(crate) struct Words(BTreeMap<Labels, Word>);

impl Words {
    /// For the incidents that an earlier process left: their senders are given time.
    pub fn after_restart<'a>(incidents: impl Iterator<Item = &'a Incident>, now: TimeMs) -> Self {
        let open = incidents.filter(|incident| incident.is_open());
        let words = open.filter_map(|incident| {
            let until = until(incident.opened.outside.as_ref()?.via, None, now);
            let word = Word { is_heard: false, ended_at: None, at: now, until };
            Some((incident.opened.labels.iter().collect(), word))
        });
        Self(words.collect())
    }

    /// When the first word that still says something ends.
    pub fn due(&self, now: TimeMs) -> Option<TimeMs> {
        let speaking = self.0.values().filter(|word| word.ended_at.is_none() && word.until > now);
        speaking.map(|word| word.until).min().filter(|at| *at != TimeMs(i64::MAX))
    }
}

/// Until when a word holds. A webhook tells of the end, and of nothing before it.
fn until(via: Via, ends_at: Option<TimeMs>, now: TimeMs) -> TimeMs {
    match via {
        Via::Webhook => TimeMs(i64::MAX),
        Via::Alerts => ends_at.unwrap_or(now + RESOLVE_TIMEOUT),
    }
}

impl Engine {
    /// Takes what somebody sent.
    pub(crate) fn hear(&mut self, alerts: Vec<OutsideAlert>, now: TimeMs) -> Heard {
        let mut heard = Heard::default();
        for alert in alerts {
            let ended_at = alert.ends_at.filter(|at| *at <= now);
            let until = until(alert.outside.via, alert.ends_at, now);
            let word = Word { is_heard: true, ended_at, at: now, until };
            if let Some(known) = self.outside.0.get_mut(&alert.labels) {
                *known = word;
                continue;
            }
            if ended_at.is_some() || self.has_own(&alert.labels) {
                continue;
            }
            if self.outside.0.len() >= OPEN_MAX {
                heard.refused += 1;
                continue;
            }
            self.outside.0.insert(alert.labels.clone(), word);
            self.open_outside(alert, now);
            heard.opened += 1;
        }
        if heard.refused > 0 {
            tracing::warn!(
                "{} alerts from outside opened no incident: {OPEN_MAX} are open",
                heard.refused
            );
        }
        heard
    }

    /// Whether an incident of one of our own rules is open for this alert. A sender's external
    /// labels, which ours does not have, make no difference.
    fn has_own(&self, alert: &Labels) -> bool {
        let of_name = self.incidents.by_rule().get(alert.value("alertname"));
        of_name.into_iter().flatten().any(|id| {
            let mut labels = self.incidents[id].opened.labels.iter();
            labels.all(|(name, value)| alert.value(name) == value)
        })
    }

    fn open_outside(&mut self, alert: OutsideAlert, now: TimeMs) {
        let OutsideAlert { labels, annotations, starts_at, outside, .. } = alert;
        let name = labels.value("alertname").to_owned();
        let page = self.pages.serving(&name);
        let opened = Opened {
            alert: name,
            labels: labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            annotations,
            value: String::new(),
            expr: expression(&outside.url),
            active_at_ms: starts_at.unwrap_or(now).min(now).0,
            system: self.systems.about(&labels, &[]),
            runbook: page.map(|page| page.title().to_owned()),
            origins: Vec::new(),
            outside: Some(outside),
            lost: None,
        };
        self.open(opened, now);
    }

    /// Tells the open incidents of alerts from outside what is known of them.
    pub(crate) fn outside_signals(&mut self, now: TimeMs) {
        let mut open = Vec::new();
        for incident in self.incidents.open() {
            if incident.opened.outside.is_some()
                && let Some(input) = self.outside_input(incident, now)
            {
                open.push((incident.id, input));
            }
        }
        for (id, input) in open {
            // Most turns bring nothing new, and then the incident refuses.
            let _ = self.feed(id, input, now);
        }
        let incidents = &self.incidents;
        self.outside
            .0
            .retain(|labels, _| incidents.open_for(labels).any(|one| one.opened.outside.is_some()));
    }

    /// What the sender's word means for the incident; `None` before anything is known.
    fn outside_input(&self, incident: &Incident, now: TimeMs) -> Option<IncidentInput> {
        let labels = self.incidents.labels(incident.id)?;
        let outside = incident.opened.outside.as_ref()?;
        let word = self.outside.0.get(labels)?;
        if let Some(ended_at) = word.ended_at {
            return Some(match self.copy_of(labels) {
                Some(true) => IncidentInput::Firing,
                Some(false) => IncidentInput::Clear {
                    reason: format!(
                        "{} says that it ended at {ended_at}, and the rule of that name here does \
                         not fire",
                        outside.via.as_str()
                    ),
                },
                None => IncidentInput::Clear {
                    reason: format!(
                        "{} says that it ended at {ended_at}; no rule here could look for itself",
                        outside.via.as_str()
                    ),
                },
            });
        }
        if now < word.until {
            return word.is_heard.then_some(IncidentInput::Firing);
        }
        let since = match word.is_heard {
            true => format!("since {}, and that held until {}", word.at, word.until),
            false => format!("since this process started at {}", word.at),
        };
        let reason = format!("{} has not been heard {since}", outside.via.as_str());
        Some(IncidentInput::Blind { reason, target: None })
    }

    /// Whether our copy of the alert's rule has it firing; `None` where there is no copy that was
    /// evaluated.
    fn copy_of(&self, labels: &Labels) -> Option<bool> {
        let name = labels.value("alertname");
        let rules = self.alerts.groups().iter().flat_map(|group| group.rules());
        let mut copies = rules.filter(|state| state.rule().name() == name).peekable();
        copies.peek()?;
        if !self.awaited.is_empty() || !self.alerts.is_current(name) {
            return None;
        }
        let same = |alert: &paramedic_rules::Alert| {
            alert.state.is_firing() && alert.labels.iter().all(|(n, v)| labels.value(n) == v)
        };
        Some(copies.any(|state| state.alerts().any(same)))
    }

    /// Whether the alert of an incident from outside fires, as far as its sender says.
    pub(crate) fn outside_signal(&self, incident: &Incident, now: TimeMs) -> Signal {
        match self.outside_input(incident, now) {
            Some(IncidentInput::Firing) => Signal::Firing,
            Some(IncidentInput::Clear { .. }) => Signal::Clear,
            _ => Signal::Blind,
        }
    }

    /// Whether this process knows anything of an incident from outside.
    pub(crate) fn outside_is_current(&self, incident: &Incident) -> bool {
        let labels: Labels = incident.opened.labels.iter().collect();
        self.outside.0.get(&labels).is_some_and(|word| word.is_heard)
    }
}

/// The expression in the link of a Prometheus; empty where the link is another one.
fn expression(url: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let coded = query.split('&').find_map(|pair| pair.strip_prefix("g0.expr="));
    let mut bytes = Vec::new();
    let mut rest = coded.unwrap_or_default().bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else { return String::new() };
                bytes.push((high * 16 + low) as u8);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_from_links() {
        let check = |url: &str, expected: &str| assert_eq!(expression(url), expected);
        check("http://p:9090/graph?g0.expr=m+%3D%3D+0&g0.tab=1", "m == 0");
        check("http://p:9090/graph?g0.tab=1", "");
        check("", "");
        check("http://p/graph?g0.expr=%zz", "");
        check("http://p/graph?g0.expr=%ff", "");
    }
}
