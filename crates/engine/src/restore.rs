//! The state of a group of rules as the journal keeps it.

use std::collections::BTreeMap;

use paramedic_journal::GroupRow;
use paramedic_model::{Labels, TimeMs};
use paramedic_rules::{Alert, Group, GroupSnapshot, RuleSnapshot, State};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct KeptRule {
    name: String,
    labels: Vec<(String, String)>,
    alerts: Vec<KeptAlert>,
}

#[derive(Serialize, Deserialize)]
struct KeptAlert {
    labels: BTreeMap<String, String>,
    annotations: Vec<(String, String)>,
    /// As text, because JSON has no NaN.
    value: String,
    state: KeptState,
    origins: Vec<BTreeMap<String, String>>,
}

/// Times in milliseconds since the epoch.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeptState {
    Pending { active_at: i64 },
    Firing { active_at: i64, fired_at: i64, keep_firing_since: Option<i64> },
    Resolved { active_at: i64, fired_at: i64, resolved_at: i64 },
}

/// The state of `group` after its evaluation at `at`.
pub(crate) fn row(group: &Group, at: TimeMs) -> GroupRow {
    let rules = group.snapshot().rules.into_iter().filter(|rule| !rule.alerts.is_empty());
    let kept: Vec<_> = rules
        .map(|rule| KeptRule {
            name: rule.name,
            labels: rule.labels,
            alerts: rule.alerts.iter().filter_map(keep).collect(),
        })
        .collect();
    let state = serde_json::to_string(&kept).expect("all keys are texts");
    GroupRow { evaluated_at: at, state }
}

/// Gives `group` back what [`row`] kept. What cannot be read is left out and logged: the alert then
/// waits anew, which is late and not wrong.
pub(crate) fn restore(group: &mut Group, row: &GroupRow, now: TimeMs) {
    let kept: Vec<KeptRule> = match serde_json::from_str(&row.state) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(group = group.name(), "the alerts in the journal are lost: {error}");
            return;
        }
    };
    let rules = kept.into_iter().map(|rule| RuleSnapshot {
        name: rule.name,
        labels: rule.labels,
        alerts: rule.alerts.into_iter().map(give_back).collect(),
    });
    let snapshot = GroupSnapshot { evaluated_at: Some(row.evaluated_at), rules: rules.collect() };
    group.restore(snapshot, row.evaluated_at, now);
}

fn keep(alert: &Alert) -> Option<KeptAlert> {
    let texts = |labels: &Labels| {
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    Some(KeptAlert {
        labels: texts(&alert.labels),
        annotations: alert.annotations.clone(),
        value: alert.value.to_string(),
        state: match alert.state {
            State::Inactive => return None,
            State::Pending { active_at } => KeptState::Pending { active_at: active_at.0 },
            State::Firing { active_at, fired_at, keep_firing_since } => KeptState::Firing {
                active_at: active_at.0,
                fired_at: fired_at.0,
                keep_firing_since: keep_firing_since.map(|at| at.0),
            },
            State::Resolved { active_at, fired_at, resolved_at } => KeptState::Resolved {
                active_at: active_at.0,
                fired_at: fired_at.0,
                resolved_at: resolved_at.0,
            },
        },
        origins: alert.origins.iter().map(texts).collect(),
    })
}

fn give_back(kept: KeptAlert) -> Alert {
    Alert {
        labels: kept.labels.iter().collect(),
        annotations: kept.annotations,
        value: kept.value.parse().unwrap_or(f64::NAN),
        state: match kept.state {
            KeptState::Pending { active_at } => State::Pending { active_at: TimeMs(active_at) },
            KeptState::Firing { active_at, fired_at, keep_firing_since } => State::Firing {
                active_at: TimeMs(active_at),
                fired_at: TimeMs(fired_at),
                keep_firing_since: keep_firing_since.map(TimeMs),
            },
            KeptState::Resolved { active_at, fired_at, resolved_at } => State::Resolved {
                active_at: TimeMs(active_at),
                fired_at: TimeMs(fired_at),
                resolved_at: TimeMs(resolved_at),
            },
        },
        last_sent: None,
        origins: kept.origins.iter().map(|origin| origin.iter().collect()).collect(),
    }
}
