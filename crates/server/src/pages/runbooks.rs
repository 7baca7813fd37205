use axum::extract::{Path, State};
use axum::response::Response;
use maud::{PreEscaped, html};
use paramedic_runbook::Work;

use super::{Part, Shell, runbook_url};
use crate::app::App;
use crate::problem::Problem;
use crate::view::outage_count;

/// One page in the list.
struct Entry {
    title: String,
    alerts: Vec<String>,
    systems: Vec<String>,
    probes: usize,
    actions: usize,
    by_hand: usize,
}

/// All runbooks.
pub(crate) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    let read = app.read(|engine, now| {
        let entries = engine.pages().iter().map(|page| {
            let page = page.runbook();
            let count =
                |is: fn(&Work) -> bool| page.steps.iter().filter(|step| is(&step.work)).count();
            Entry {
                title: page.title.clone(),
                alerts: page.alerts.clone(),
                systems: page.systems.clone(),
                probes: count(|work| matches!(work, Work::Probe(_))),
                actions: count(|work| matches!(work, Work::Action(_))),
                by_hand: count(|work| matches!(work, Work::Manual(_))),
            }
        });
        let mut entries: Vec<_> = entries.collect();
        // Of two pages of one title, only the later is ever followed.
        entries.reverse();
        entries.sort_by(|a, b| a.title.cmp(&b.title));
        entries.dedup_by(|a, b| a.title == b.title);
        (now, outage_count(engine), entries)
    });
    let (now, open_count, entries) = read.await?;
    let shell = shell(&app, "Runbooks", open_count, now);
    Ok(shell.page(html! {
        h1 { "Runbooks" }
        @if entries.is_empty() { p.lead { "No page is loaded." } }
        ul.rows {
            @for entry in &entries {
                li {
                    span.what {
                        a href=(runbook_url(&entry.title)) { (entry.title) }
                        @if !entry.systems.is_empty() {
                            " " span.muted { (entry.systems.join(", ")) }
                        }
                    }
                    span.muted {
                        @if entry.probes + entry.actions == 0 {
                            "a checklist of " (entry.by_hand) " steps"
                        } @else {
                            (entry.probes) " probes, " (entry.actions) " actions, "
                            (entry.by_hand) " steps by hand"
                        }
                        @if entry.alerts != [entry.title.as_str()] {
                            ", serves " (entry.alerts.join(", "))
                        }
                    }
                }
            }
        }
    }))
}

/// One runbook, for people.
pub(crate) async fn show(
    State(app): State<App>,
    Path(title): Path<String>,
) -> Result<Response, Problem> {
    let read = app.read(move |engine, now| {
        // Pages link to each other by their files.
        let name = title.strip_suffix(".md").unwrap_or(&title);
        let page = engine.pages().titled(&title).or_else(|| engine.pages().titled(name));
        let page = page.map(|page| {
            let page = page.runbook();
            (page.title.clone(), page.alerts.clone(), page.html())
        });
        (now, outage_count(engine), page)
    });
    let (now, open_count, page) = read.await?;
    let missing = || Problem::missing("there is no runbook of this title");
    let (title, alerts, content) = page.ok_or_else(missing)?;
    let shell = shell(&app, &title, open_count, now);
    Ok(shell.page(html! {
        p.crumb { a href="/runbooks" { "Runbooks" } }
        @if !content.contains("<h1>") { h1 { (title) } }
        article.runbook { (PreEscaped(content)) }
        p.muted {
            "Serves " @for (i, alert) in alerts.iter().enumerate() {
                @if i > 0 { ", " }
                code { (alert) }
            } "."
        }
    }))
}

fn shell(app: &App, title: &str, open_count: usize, now: paramedic_model::TimeMs) -> Shell {
    Shell {
        title: title.to_owned(),
        part: Part::Runbooks,
        open_count,
        now,
        lab: app.is_lab(),
        news: String::new(),
    }
}
