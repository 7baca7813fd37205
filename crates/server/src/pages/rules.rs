use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use paramedic_model::TimeMs;
use paramedic_rules::{Health, State as AlertState};

use super::{Part, Shell, runbook_url, why};
use crate::app::App;
use crate::problem::Problem;
use crate::view::{AlertView, GroupView, RuleView, groups, outage_count, state_text};
use crate::words::{Tone, ago, folded, mark, span};

/// The rules, with what they found.
pub(crate) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let read = app.read(|engine, now| (now, outage_count(engine), groups(engine)));
    let (now, open_count, groups) = read.await?;
    let shell = Shell {
        title: "Rules".to_owned(),
        part: Part::Rules,
        open_count,
        now,
        lab: app.is_lab(),
        news: String::new(),
    };
    Ok(shell.page(html! {
        h1 { "Rules" }
        @if groups.is_empty() { p.lead { "No rule is loaded." } }
        @for group in &groups { (section(group, now)) }
    }))
}

fn section(group: &GroupView, now: TimeMs) -> Markup {
    html! {
        section {
            h2 { (group.name) }
            p.muted {
                code { (group.file) } ", every " (span(group.interval)) ", "
                @match group.evaluated_at {
                    Some(at) => { "evaluated " (ago(at, now)) }
                    None => "not evaluated yet",
                }
            }
            ul.rules { @for rule in &group.rules { (item(rule, now)) } }
        }
    }
}

fn item(rule: &RuleView, now: TimeMs) -> Markup {
    html! {
        li {
            h3 {
                (rule.name) " " (health(rule))
                @if !rule.is_alert { " " span.muted { "recorded" } }
            }
            pre tabindex="0" { code { (rule.expr) } }
            p.muted {
                @if rule.is_alert {
                    @if rule.hold.is_zero() { "fires at once" }
                    @else { "fires after " (span(rule.hold)) }
                    ", "
                    a href=(why::url(&rule.name)) { "why?" }
                    ", "
                    @match &rule.runbook {
                        Some(title) => { "served by " a href=(runbook_url(title)) { (title) } }
                        None => "no runbook serves it",
                    }
                }
            }
            @if let Health::Err(reason) = &rule.health {
                p.notice.bad { b { "Cannot be evaluated: " } (reason) }
            }
            @for warning in &rule.warnings { p.notice.warn { (warning) } }
            @if !rule.alerts.is_empty() {
                ul.rows { @for alert in &rule.alerts { (alert_row(alert, now)) } }
            }
        }
    }
}

fn health(rule: &RuleView) -> Markup {
    let firing = rule.alerts.iter().filter(|alert| alert.state.is_firing()).count();
    let pending = rule.alerts.iter().filter(|alert| alert.state.is_active()).count() - firing;
    html! {
        @match &rule.health {
            Health::Err(_) => (mark(Tone::Bad, "error")),
            Health::Unknown => (mark(Tone::Warn, "not evaluated yet")),
            Health::Ok if firing > 0 => (mark(Tone::Bad, &format!("{firing} firing"))),
            Health::Ok if pending > 0 => (mark(Tone::Warn, &format!("{pending} pending"))),
            Health::Ok => (mark(Tone::Calm, "silent")),
        }
    }
}

fn alert_row(alert: &AlertView, now: TimeMs) -> Markup {
    let tone = match alert.state {
        AlertState::Firing { .. } => Tone::Bad,
        AlertState::Pending { .. } => Tone::Warn,
        AlertState::Inactive | AlertState::Resolved { .. } => Tone::Calm,
    };
    html! {
        li {
            (mark(tone, alert.state.word()))
            span.what { code.labels { (folded(&alert.labels)) } }
            span.muted { (state_text(alert.state, now)) ", value " (alert.value) }
        }
    }
}
