//! When an Alertmanager is told of an alert, and how often again.

use std::time::Duration;

use paramedic_model::{Labels, TimeMs};

use crate::file::Rule;
use crate::group::{Group, Health};
use crate::life::State;

/// Endings are repeated and unheard news expires after this many intervals or delays.
const VALID_FOR: u32 = 4;

/// What to tell of one alert. External labels, relabelling and the link are the sender's.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The alert's labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Vec<(String, String)>,
    /// When it fired: not when its condition began to hold.
    pub starts_at: TimeMs,
    /// When it ended, or until when it is to be believed unless it is told again.
    pub ends_at: TimeMs,
    /// Whether it is over.
    pub is_resolved: bool,
    /// The expression of its rule, as Prometheus prints it, for the link to its graph.
    pub expr: String,
    /// How long the news that it fires is to be believed.
    pub valid_for: Duration,
}

impl Group {
    /// The alerts to tell of after the evaluation at `at`, each marked as told.
    ///
    /// A firing alert is told when it fires and again whenever more than `resend_delay` has passed
    /// since; an end is told at once and repeated at the same pace while it is remembered. Pending
    /// alerts are never told, nor is anything of a rule whose last evaluation failed.
    pub fn take_outgoing(&mut self, at: TimeMs, resend_delay: Duration) -> Vec<Outgoing> {
        let valid_for = VALID_FOR * self.interval().max(resend_delay);
        let mut outgoing = Vec::new();
        for state in &mut self.rules {
            let Rule::Alert(rule) = state.rule() else { continue };
            if *state.health() != Health::Ok {
                continue;
            }
            let plan = rule.expr.clone();
            let mut expr: Option<String> = None;
            for alert in state.alerts.iter_mut() {
                let (starts_at, resolved_at) = match alert.state {
                    State::Firing { fired_at, .. } => (fired_at, None),
                    State::Resolved { fired_at, resolved_at, .. } => (fired_at, Some(resolved_at)),
                    State::Inactive | State::Pending { .. } => continue,
                };
                let is_due = match alert.last_sent {
                    None => true,
                    Some(sent) => resolved_at > Some(sent) || sent + resend_delay < at,
                };
                if !is_due {
                    continue;
                }
                alert.last_sent = Some(at);
                outgoing.push(Outgoing {
                    labels: alert.labels.clone(),
                    annotations: alert.annotations.clone(),
                    starts_at,
                    ends_at: resolved_at.unwrap_or(at + valid_for),
                    is_resolved: resolved_at.is_some(),
                    expr: expr.get_or_insert_with(|| plan.expr().to_string()).clone(),
                    valid_for,
                });
            }
        }
        outgoing
    }
}
