//! The pages: rendered here, whole without JavaScript, kept up to date with it.

mod evidence;
pub(crate) mod home;
pub(crate) mod incident;
mod intake;
mod loss;
mod mitigation;
mod response;
pub(crate) mod rules;
pub(crate) mod runbooks;
pub(crate) mod systems;
pub(crate) mod why;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use paramedic_incident::SystemChoice;
use paramedic_model::TimeMs;

use crate::app::App;
use crate::assets::{ICON, SCRIPT, STYLE};
use crate::problem::Problem;
use crate::view::{Sight, TargetView, outage_count, system_text};
use crate::words::{Tone, ago, mark, moment};

/// The content type of bundles.
pub(crate) const MARKDOWN: &str = "text/markdown; charset=utf-8";

/// The parts of the site.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Incidents,
    Systems,
    Rules,
    Runbooks,
    /// None of them.
    Elsewhere,
}

/// What stands around a page.
pub(crate) struct Shell {
    /// What the page is about; the number of open incidents comes before it.
    pub title: String,
    pub part: Part,
    pub open_count: usize,
    pub now: TimeMs,
    pub lab: bool,
    /// What a screen reader is told when it changes while the page is open.
    pub news: String,
}

impl Shell {
    /// The whole page around `main`.
    pub fn page(&self, main: Markup) -> Response {
        let open = self.open_count;
        let count = if open > 0 { format!("({open}) ") } else { String::new() };
        let parts = [
            (Part::Incidents, "/", "Incidents"),
            (Part::Systems, "/systems", "Systems"),
            (Part::Rules, "/rules", "Rules"),
            (Part::Runbooks, "/runbooks", "Runbooks"),
        ];
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (count) (self.title) " · Paramedic" }
                    link rel="stylesheet" href=(STYLE.url());
                    link rel="icon" type="image/svg+xml" href=(ICON.url());
                    script src=(SCRIPT.url()) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.site {
                        a.brand href="/" { "Paramedic" }
                        @if self.lab { span.lab { "lab" } }
                        nav aria-label="Parts" {
                            ul {
                                @for (part, href, name) in parts {
                                    li {
                                        a href=(href)
                                            aria-current=[(part == self.part).then_some("page")] {
                                            (name)
                                            @if part == Part::Incidents && open > 0 {
                                                " " span.count { (open) span.hidden { " open" } }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                    p #lost role="status" hidden {
                        "The server does not answer. This page shows the state of "
                        (moment(self.now, self.now)) " UTC."
                    }
                    p #news .hidden aria-live="polite" {}
                    main #main tabindex="-1" data-news=(self.news) { (main) }
                    footer.site {
                        p #asof { "State of " (moment(self.now, self.now)) " UTC" }
                    }
                }
            }
        };
        let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        (html, page.into_string()).into_response()
    }
}

/// A problem as a page.
pub(crate) async fn problem(app: &App, problem: &Problem) -> Response {
    // Where the engine does not answer, nobody knows how many are open.
    let open_count = app.read(|engine, _| outage_count(engine)).await.unwrap_or_default();
    let shell = Shell {
        title: problem.title().to_owned(),
        part: Part::Elsewhere,
        open_count,
        now: app.now(),
        lab: app.is_lab(),
        news: String::new(),
    };
    shell.page(html! {
        h1 { (problem.title()) }
        p.lead { (problem.message) "." }
        p { a href="/" { "Go to the incidents" } }
    })
}

/// The problem with what was asked for, on top of a page.
fn refusal(problem: &Problem) -> Markup {
    html! {
        p.notice.bad role="alert" { b { (problem.title()) ": " } (problem.message) "." }
    }
}

/// Whether a system can be seen, in words.
fn sight(sight: &Sight, now: TimeMs) -> Markup {
    html! {
        @match sight {
            Sight::Seen(Some(at)) => span.muted { "read " (ago(*at, now)) },
            Sight::Seen(None) => span.muted { "read" },
            Sight::CannotLook { since, reason, incident, .. } => {
                "since " (moment(*since, now)) " UTC: " span.reason { (reason) }
                @if let Some((id, alert)) = incident {
                    " · " a href=(format!("/incidents/{id}")) { "#" (id) " " (alert) }
                }
            }
            Sight::NotYet => span.muted { "nobody has looked since the start" },
            Sight::NothingToCollect => span.muted { "nothing is collected from it" },
        }
    }
}

/// The state of a system as one mark. What cannot be seen is never well.
fn system_mark(sight: &Sight, open: usize) -> Markup {
    match sight {
        Sight::CannotLook { .. } => mark(Tone::Bad, "cannot look"),
        Sight::NotYet => mark(Tone::Warn, "not looked yet"),
        _ if open == 1 => mark(Tone::Bad, "1 incident"),
        _ if open > 1 => mark(Tone::Bad, &format!("{open} incidents")),
        Sight::NothingToCollect => mark(Tone::Calm, "not collected"),
        Sight::Seen(_) => mark(Tone::Good, "healthy"),
    }
}

/// Targets that are no systems, one line each; nothing where there are none.
fn target_rows(targets: &[TargetView], now: TimeMs) -> Markup {
    let seen = |sight: &Sight| match sight {
        Sight::Seen(_) => mark(Tone::Good, "seen"),
        sight => system_mark(sight, 0),
    };
    html! {
        @if !targets.is_empty() {
            h3 { "Other targets" }
            ul.rows {
                @for target in targets {
                    li {
                        (seen(&target.sight))
                        span.what { b { (target.id) } }
                        span.note { (sight(&target.sight, now)) }
                    }
                }
            }
        }
    }
}

/// The system of an incident.
fn system_name(system: &SystemChoice) -> Markup {
    html! {
        @match system {
            SystemChoice::One { name, kind } => { b { (name) } " " span.muted { (kind) } }
            SystemChoice::None | SystemChoice::Several(_) => {
                span.unknown { (system_text(system)) }
            }
        }
    }
}

/// The hidden field that shows that a form is ours.
fn form_key(app: &App) -> Markup {
    html! { input type="hidden" name="key" value=(app.access().form_key()); }
}

/// Text as one segment of an address.
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Where the page of this title is shown.
fn runbook_url(title: &str) -> String {
    format!("/runbooks/{}", segment(title))
}
