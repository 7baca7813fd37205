use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::{Part, Shell, sight, system_mark};
use crate::app::App;
use crate::problem::Problem;
use crate::view::{open_count, systems};

/// The systems under care.
pub(crate) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let read = app.read(|engine, now| (now, open_count(engine), systems(engine)));
    let (now, open_count, systems) = read.await?;
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
        div.scroll {
            table.wide {
                thead {
                    tr {
                        th scope="col" { "System" }
                        th scope="col" { "State" }
                        th scope="col" { "Reached at" }
                        th scope="col" { "Contact" }
                        th scope="col" { "Open incidents" }
                    }
                }
                tbody {
                    @for system in &systems {
                        tr {
                            th scope="row" {
                                (system.name) br;
                                span.muted {
                                    (system.title)
                                    @if let Some(host) = system.host { ", host " (host) }
                                }
                            }
                            td {
                                (system_mark(&system.sight, system.open.len())) " "
                                (sight(&system.sight, now))
                            }
                            td { code { (system.instance) } }
                            td {
                                @match &system.contact {
                                    Some(contact) => (contact),
                                    None => span.muted { "whoever is on call" },
                                }
                            }
                            td {
                                @for (id, alert) in &system.open {
                                    a href=(format!("/incidents/{id}")) { "#" (id) " " (alert) } " "
                                }
                                @if system.open.is_empty() { span.muted { "none" } }
                            }
                        }
                    }
                }
            }
        }
    }))
}
