use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::intake::{IntakeView, intake};
use super::{Part, Shell, sight, system_mark, target_rows};
use crate::app::App;
use crate::problem::Problem;
use crate::view::{other_targets, outage_count, systems};

/// The systems under care.
pub(crate) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let read = app.read(|engine, now| {
        let of_samples = IntakeView::of(engine);
        (now, outage_count(engine), systems(engine), other_targets(engine), of_samples)
    });
    let (now, open_count, systems, targets, of_samples) = read.await?;
    let shell = Shell {
        title: "Systems".to_owned(),
        part: Part::Systems,
        open_count,
        now,
        lab: app.is_lab(),
        news: String::new(),
    };
    Ok(shell.page(html! {
        h1 { "Systems" }
        @if systems.is_empty() { p.lead { "No system is configured." } }
        ul.rows.systems {
            @for system in &systems {
                li {
                    (system_mark(&system.sight, system.open.len()))
                    div.what {
                        b { (system.name) } br;
                        span.muted {
                            (system.title)
                            @if let Some(host) = system.host { ", host " (host) }
                        }
                    }
                    div.note {
                        p { (sight(&system.sight, now)) }
                        dl.inline {
                            div { dt { "reached at" } dd { code { (system.instance) } } }
                            div {
                                dt { "contact" }
                                dd { (system.contact.as_deref().unwrap_or("whoever is on call")) }
                            }
                            @if !system.open.is_empty() {
                                div {
                                    dt { "open" }
                                    dd {
                                        @for (id, alert) in &system.open {
                                            a href=(format!("/incidents/{id}")) {
                                                "#" (id) " " (alert)
                                            }
                                            " "
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        (target_rows(&targets, now))
        (intake(&of_samples))
    }))
}
