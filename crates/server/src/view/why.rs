//! Why an alert fires, or does not, at a moment.

use std::time::Duration;

use paramedic_model::TimeMs;
use paramedic_rules::{AlertRule, Rule, Why};

use crate::app::App;
use crate::problem::Problem;
use crate::prometheus::{Unread, read_samples};

/// All rules of an alert, taken apart.
pub(crate) struct WhyView {
    pub alert: String,
    pub at: TimeMs,
    pub rules: Vec<RuleWhy>,
}

/// One of them.
pub(crate) struct RuleWhy {
    pub file: String,
    pub group: String,
    pub interval: Duration,
    pub rule: AlertRule,
    pub why: Why,
}

impl WhyView {
    /// The rules that are called `alert`, at the moment `at`, else now.
    ///
    /// # Errors
    ///
    /// There is no such rule, or it took too long.
    pub async fn new(app: &App, alert: &str, at: Option<TimeMs>) -> Result<Self, Problem> {
        let name = alert.to_owned();
        let at = at.unwrap_or_else(|| app.now());
        let found = app.read(move |engine, _| {
            let mut found = Vec::new();
            for group in engine.groups() {
                for state in group.rules() {
                    let Rule::Alert(rule) = state.rule() else { continue };
                    if rule.name == name {
                        let (file, title) = (group.file().to_owned(), group.name().to_owned());
                        let times = (group.interval(), group.query_offset());
                        found.push((file, title, times, rule.clone()));
                    }
                }
            }
            found
        });
        let found = found.await?;
        if found.is_empty() {
            return Err(Problem::missing(format!("no loaded rule yields an alert {alert}")));
        }
        let read = read_samples(app, None, move |source, options| {
            let rules = found.into_iter().map(|(file, group, (interval, offset), rule)| {
                let why = rule.why(source, at - offset, interval, options);
                RuleWhy { file, group, interval, rule, why }
            });
            rules.collect()
        });
        let rules = read.await.map_err(|unread| {
            let reason = match unread {
                Unread::Queued | Unread::Working => "it took longer than a query may".to_owned(),
                Unread::Broken => "the evaluation broke off; the log says more".to_owned(),
                Unread::Stopped(stopped) => return stopped.into(),
            };
            Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, reason)
        })?;
        Ok(Self { alert: alert.to_owned(), at, rules })
    }
}
