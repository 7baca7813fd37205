use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{Redirect, Response};
use maud::{Markup, html};
use paramedic_incident::{Signal, Stage};
use paramedic_model::TimeMs;

use super::{Part, Shell, form_key, sight, system_mark, system_name, target_rows};
use crate::app::App;
use crate::problem::Problem;
use crate::view::{
    CLOSED_SHOWN, PendingView, Row, Rows, SystemView, TargetView, other_targets, pending, systems,
};
use crate::words::{Tone, ago, counted, folded, mark, moment, prose, span, stage_tone, stage_word};
use crate::workbench::Breakable;

/// How many of its incidents a system's line links to.
const LINKS_MAX: usize = 2;

/// The first page: what is going on.
pub(crate) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let read = app.read(|engine, now| {
        let rows = Rows::new(engine, CLOSED_SHOWN);
        (now, rows, pending(engine), systems(engine), other_targets(engine))
    });
    let (now, mut rows, pending, systems, targets) = read.await?;
    // Alerts that are blind because of one lost target are one outage.
    let (mut leads, mut under): (Vec<_>, BTreeMap<_, Vec<_>>) = Default::default();
    for row in std::mem::take(&mut rows.open) {
        match row.under {
            Some(lead) => under.entry(lead).or_default().push(row),
            None => leads.push(row),
        }
    }
    rows.open = leads;
    // What waits for somebody who reads this page comes first; else the newest.
    rows.open.sort_by_key(|row| !matches!(row.stage, Stage::Waiting | Stage::Manual));
    let open = rows.open.len();
    let shell = Shell {
        title: "Incidents".to_owned(),
        part: Part::Incidents,
        open_count: open,
        now,
        lab: app.is_lab(),
        news: rows.open.iter().map(news).collect::<Vec<_>>().join(" "),
    };
    let breakables = app.workbench().map(|bench| bench.breakables()).unwrap_or_default();
    Ok(shell.page(html! {
        section aria-labelledby="open" {
            h1 #open { "Open incidents" }
            @if rows.open.is_empty() { (all_quiet(&systems, &targets, &pending)) }
            @else {
                ol.incidents {
                    @for row in &rows.open {
                        (incident(row, under.get(&row.id).map_or(&[], Vec::as_slice), now))
                    }
                }
            }
        }
        @if !pending.is_empty() {
            section aria-labelledby="pending" {
                h2 #pending { "About to fire" }
                ul.rows { @for alert in &pending { (waiting(alert, now)) } }
            }
        }
        div.columns {
            section aria-labelledby="systems" {
                h2 #systems { "Systems" }
                (system_rows(&systems, now))
                (target_rows(&targets, now))
            }
            @if app.is_lab() {
                section #lab aria-labelledby="lab-title" {
                    h2 #lab-title { "Break something" }
                    p.muted {
                        "These systems are simulated. Break one, and watch its alert fire, its "
                        "runbook run, and the repair wait for you."
                    }
                    @for breakable in &breakables { (bench(&app, breakable)) }
                }
            }
        }
        @if !rows.closed.is_empty() {
            section aria-labelledby="closed" {
                h2 #closed { "Closed" }
                ul.rows { @for row in &rows.closed { (closed(row, now)) } }
                @if rows.left_off > 0 { p.muted { (rows.left_off) " older ones are not shown." } }
            }
        }
    }))
}

/// The list stands on the first page.
pub(crate) async fn moved() -> Redirect {
    Redirect::to("/")
}

fn news(row: &Row) -> String {
    let word = stage_word(&row.stage, row.ending);
    format!("Incident {}, {}: {word}.", row.id, row.alert)
}

/// Said where no incident is open: only as much as is known.
fn all_quiet(systems: &[SystemView], targets: &[TargetView], pending: &[PendingView]) -> Markup {
    let dark_systems = systems.iter().filter(|system| !system.sight.is_seen());
    let dark_targets = targets.iter().filter(|target| !target.sight.is_seen());
    let unseen = dark_systems.map(|system| system.name.as_str());
    let unseen: Vec<_> = unseen.chain(dark_targets.map(|target| target.id.as_str())).collect();
    html! {
        p.quiet {
            "None. "
            @if systems.is_empty() && targets.is_empty() {
                "No system is configured, so nobody is looked after."
            } @else if unseen.is_empty() && pending.is_empty() {
                "Every system is seen, and no alert fires."
            } @else if unseen.is_empty() {
                "Every system is seen."
            } @else {
                "That says nothing of what is not seen now: "
                b { (unseen.join(", ")) } "."
            }
        }
    }
}

fn incident(row: &Row, under: &[Row], now: TimeMs) -> Markup {
    let tone = stage_tone(&row.stage);
    html! {
        li.(tone.class()) #(format!("incident-{}", row.id)) {
            div.what {
                a href=(format!("/incidents/{}", row.id)) {
                    span.number { "#" (row.id) } " " (row.alert)
                }
                @match (&row.target, row.lost_rules) {
                    (Some(target), Some(_)) => span.on { " of " b { (target) } },
                    _ => span.on { " on " (system_name(&row.system)) },
                }
                @if !row.summary.is_empty() { p.summary { (folded(&row.summary)) } }
            }
            div.stage {
                (mark(tone, stage_word(&row.stage, row.ending)))
                @match row.signal {
                    Signal::Firing => {}
                    Signal::Blind => { " " (mark(Tone::Warn, "blind")) }
                    Signal::Clear if row.lost_rules.is_some() => {
                        " " (mark(Tone::Good, "answers again"))
                    }
                    Signal::Clear => { " " (mark(Tone::Good, "alert clear")) }
                }
            }
            dl.inline {
                @for (name, value) in &row.telling {
                    div { dt { (folded(name)) } dd { code { (folded(value)) } } }
                }
                div { dt { "since" } dd { (moment(row.since, now)) " · " (ago(row.since, now)) } }
                @if let Some(cause) = &row.likely {
                    div { dt { "likely" } dd { (cause) } }
                }
                @if let Some(count) = row.lost_rules.filter(|_| row.signal != Signal::Clear) {
                    div { dt { "blind" } dd { (counted(count, "alert rule", "alert rules")) } }
                }
                div { dt { "waits for" } dd { (prose(&row.waits_for)) } }
            }
            @if !under.is_empty() { (blind_alerts(row, under, now)) }
        }
    }
}

/// The incidents that stand under one: folded, because they are the same outage.
fn blind_alerts(lead: &Row, under: &[Row], now: TimeMs) -> Markup {
    html! {
        details.under #(format!("under-{}", lead.id)) {
            summary {
                (counted(under.len(), "alert that fired is", "alerts that fired are"))
                " blind because of it"
            }
            ul.rows {
                @for row in under {
                    li {
                        (mark(Tone::Warn, "blind"))
                        span.what {
                            a href=(format!("/incidents/{}", row.id)) {
                                span.number { "#" (row.id) } " " (row.alert)
                            }
                            @for (_, value) in &row.telling { " " code { (folded(value)) } }
                        }
                        span.muted {
                            (stage_word(&row.stage, row.ending)) ", since "
                            (moment(row.since, now)) " · " (ago(row.since, now))
                        }
                    }
                }
            }
        }
    }
}

fn closed(row: &Row, now: TimeMs) -> Markup {
    html! {
        li {
            (mark(stage_tone(&row.stage), stage_word(&row.stage, row.ending)))
            span.what {
                a href=(format!("/incidents/{}", row.id)) {
                    span.number { "#" (row.id) } " " (row.alert)
                }
                " on " (system_name(&row.system))
                @for (_, value) in &row.telling { " " code { (folded(value)) } }
            }
            span.muted {
                @if let Some(at) = row.closed_at {
                    (moment(at, now)) ", after " (span(at.since(row.since)))
                }
                @if let Some(cause) = &row.likely { ": " (cause) }
            }
        }
    }
}

fn waiting(alert: &PendingView, now: TimeMs) -> Markup {
    html! {
        li {
            (mark(Tone::Warn, "pending"))
            span.what { b { (alert.alert) } " on " (system_name(&alert.system)) }
            span.muted {
                "true for " (span(now.since(alert.since))) ", fires in "
                (span(alert.fires_at.since(now))) " "
                code.labels { (alert.labels) }
            }
        }
    }
}

/// All systems, one line each.
fn system_rows(systems: &[SystemView], now: TimeMs) -> Markup {
    html! {
        ul.rows {
            @for system in systems {
                li {
                    (system_mark(&system.sight, system.open.len()))
                    span.what { b { (system.name) } " " span.muted { (system.title) } }
                    span.note {
                        (sight(&system.sight, now))
                        @for (id, alert) in system.open.iter().take(LINKS_MAX) {
                            " · " a href=(format!("/incidents/{id}")) { "#" (id) " " (alert) }
                        }
                        @if system.open.len() > LINKS_MAX {
                            " and " (system.open.len() - LINKS_MAX) " more"
                        }
                    }
                }
            }
        }
        @if systems.is_empty() { p.muted { "No system is configured." } }
    }
}

/// What one system can be broken with, by the alert that it leads to.
fn bench(app: &App, breakable: &Breakable) -> Markup {
    let mut by_alert: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for fault in &breakable.faults {
        by_alert.entry(fault.alert).or_default().push(fault);
    }
    let broken = breakable.broken.as_deref();
    let title = broken.map(|id| {
        let fault = breakable.faults.iter().find(|fault| fault.id == id);
        fault.map_or(id, |fault| fault.title)
    });
    html! {
        details.bench #(format!("bench-{}", breakable.system)) {
            summary {
                b { (breakable.system) } " " span.muted { (breakable.title) }
                @if let Some(title) = title { " " (mark(Tone::Warn, &format!("broken: {title}"))) }
            }
            @if let Some(title) = title {
                form method="post" action="/lab/heal" {
                    (form_key(app))
                    button name="system" value=(breakable.system) {
                        "Heal " (breakable.system) " (" (title) ")"
                    }
                }
            }
            form method="post" action="/lab/break" {
                (form_key(app))
                input type="hidden" name="system" value=(breakable.system);
                @for (alert, faults) in by_alert {
                    h3 { (alert) }
                    ul.faults {
                        @for fault in faults {
                            li {
                                button.small name="fault" value=(fault.id)
                                    aria-label=(format!("Break: {}", fault.title)) { "Break" }
                                span { (fault.title) " " code.muted { (fault.id) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
