use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use paramedic_incident::{Event, Outcome, Signal, bundle, timeline};
use paramedic_model::IncidentId;

use super::{
    MARKDOWN, Part, Shell, evidence, loss, mitigation, refusal, response, runbook_url, system_name,
};
use crate::app::App;
use crate::forms::incident_id;
use crate::plot::{Marks, figure};
use crate::problem::Problem;
use crate::view::{IncidentView, summary};
use crate::words::{Tone, ago, folded, mark, moment, prose, stage_tone, stage_word};

/// The page of one incident.
pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let view = read(&app, incident_id(&id)?).await?;
    Ok(page(&app, &view, None))
}

/// The page of one incident, with why something was refused on top.
pub(crate) async fn with_problem(
    app: &App,
    id: IncidentId,
    problem: Problem,
) -> Result<Response, Problem> {
    let view = read(app, id).await?;
    Ok((problem.status, page(app, &view, Some(&problem))).into_response())
}

/// After a refusal a browser stands at the address of the button; reloading leads back.
pub(crate) async fn moved(Path((id, _verb)): Path<(String, String)>) -> Result<Redirect, Problem> {
    Ok(Redirect::to(&format!("/incidents/{}", incident_id(&id)?)))
}

/// Everything that somebody who takes over needs, as a file.
pub(crate) async fn bundle_file(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let view = read(&app, incident_id(&id)?).await?;
    let headers = [
        (header::CONTENT_TYPE, MARKDOWN.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"incident-{}.md\"", view.incident.id),
        ),
    ];
    Ok((headers, bundle(&view.incident, &view.versions)).into_response())
}

async fn read(app: &App, id: IncidentId) -> Result<IncidentView, Problem> {
    let view = app.read(move |engine, now| IncidentView::new(engine, now, id)).await?;
    view.ok_or_else(|| Problem::missing(format!("there is no incident {id}")))
}

fn page(app: &App, view: &IncidentView, problem: Option<&Problem>) -> Response {
    let incident = &view.incident;
    let word = stage_word(&incident.stage, incident.ending);
    let shell = Shell {
        title: format!("#{} {}: {word}", incident.id, incident.opened.alert),
        part: Part::Incidents,
        open_count: view.open_count,
        now: view.now,
        lab: app.is_lab(),
        news: news(view, word),
    };
    shell.page(html! {
        @if let Some(problem) = problem { (refusal(problem)) }
        (head(view, word))
        (response::notices(view))
        div.overview {
            div.lead-column {
                (response::likely(view))
                (response::now(app, view))
            }
            (fired(view))
        }
        (loss::blind(view))
        (evidence::diagnosis(app, view))
        (evidence::causes(view))
        (mitigation::steps(view))
        (mitigation::guards(view))
        (history(view))
        (response::record(app, view))
    })
}

/// What a screen reader is told when it changes.
fn news(view: &IncidentView, word: &str) -> String {
    let likely = match &view.row.likely {
        Some(cause) => format!(" Likely cause: {cause}."),
        None => String::new(),
    };
    format!("Incident {}: {word}.{likely}", view.incident.id)
}

fn head(view: &IncidentView, word: &str) -> Markup {
    let incident = &view.incident;
    let lost = incident.opened.lost.as_ref();
    let (tone, signal) = match incident.signal {
        Signal::Firing if lost.is_some() => (Tone::Bad, "cannot look"),
        Signal::Clear if lost.is_some() => (Tone::Good, "answers again"),
        Signal::Firing => (Tone::Bad, "firing"),
        Signal::Blind => (Tone::Warn, "blind: not known"),
        Signal::Clear => (Tone::Good, "clear"),
    };
    let severity = incident.opened.labels.get("severity");
    html! {
        header.incident {
            p.crumb { a href="/" { "Incidents" } " / #" (incident.id) }
            h1 { (incident.opened.alert) " " (mark(stage_tone(&incident.stage), word)) }
            @let summary = summary(&incident.opened.annotations);
            @if !summary.is_empty() { p.lead { (folded(summary)) } }
            dl.inline {
                @if let Some(lost) = lost { div { dt { "target" } dd { code { (lost.target) } } } }
                div { dt { "system" } dd { (system_name(&incident.opened.system)) } }
                div {
                    dt { @if lost.is_some() { "now" } @else { "alert" } }
                    // Of a closed incident nobody watches the alert any more.
                    dd { @if incident.is_open() { (mark(tone, signal)) } @else { "closed" } }
                }
                @if let Some(severity) = severity { div { dt { "severity" } dd { (severity) } } }
                div {
                    dt { "since" }
                    dd { (moment(incident.since(), view.now)) " UTC, " (ago(incident.since(), view.now)) }
                }
                div {
                    dt { "runbook" }
                    dd {
                        @match &incident.opened.runbook {
                            Some(title) => a href=(runbook_url(title)) { (title) },
                            None => "none serves this alert",
                        }
                    }
                }
                @if incident.is_open() {
                    div { dt { "waits for" } dd { (prose(&view.row.waits_for)) } }
                }
            }
        }
    }
}

/// What fired: annotations, labels, the expression over time.
fn fired(view: &IncidentView) -> Markup {
    let opened = &view.incident.opened;
    let marks = Marks {
        active_at: view.incident.since(),
        fired_at: view.incident.opened_at,
        closed_at: view.row.closed_at,
    };
    let said = summary(&opened.annotations);
    html! {
        section.panel.fired aria-labelledby="fired" {
            h2 #fired { @if opened.lost.is_some() { "What was lost" } @else { "What fired" } }
            @match &view.plot {
                Some(plot) => (figure(plot, &marks)),
                None => p.muted { "Its expression cannot be drawn." },
            }
            dl.facts {
                // The page begins with the summary.
                @for (name, text) in opened.annotations.iter().filter(|(_, text)| text.trim() != said) {
                    dt { (name) }
                    dd {
                        @if is_web(text) { a href=(text.trim()) rel="noreferrer" { (text.trim()) } }
                        @else { span.text { (folded(text.trim())) } }
                    }
                }
            }
            h3 { "Labels" }
            ul.labels {
                @for (name, value) in &opened.labels {
                    li { code { span.muted { (folded(name)) "=" } (folded(value)) } }
                }
            }
            details #expression {
                summary { "Expression" }
                pre tabindex="0" { code { (opened.expr.trim()) } }
                p { "Its value was " code { (opened.value) } " when the incident opened." }
            }
        }
    }
}

/// Whether an annotation is a link that a person may follow.
fn is_web(text: &str) -> bool {
    let text = text.trim();
    let has_scheme = text.starts_with("https://") || text.starts_with("http://");
    has_scheme && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn history(view: &IncidentView) -> Markup {
    let lines = timeline(&view.incident);
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "Timeline" }
            ol.timeline {
                @for ((at, text), (_, event)) in lines.iter().zip(&view.incident.events) {
                    li data-kind=(event.kind()) .(tone(event).class()) {
                        (moment(*at, view.now)) " " span { (prose(text)) }
                    }
                }
            }
        }
    }
}

/// The tone of a line in the timeline.
fn tone(event: &Event) -> Tone {
    match event {
        Event::Opened(_)
        | Event::HandedOver { .. }
        | Event::Rejected { .. }
        | Event::Firing
        | Event::Acted { outcome: Outcome::Failed(_) | Outcome::Uncertain(_), .. }
        | Event::Verified { recovered: false, .. } => Tone::Bad,
        Event::Blind { .. }
        | Event::Joined { .. }
        | Event::Unavailable { .. }
        | Event::NotSent { .. } => Tone::Warn,
        Event::Judged { verdicts, .. } if verdicts.iter().any(|verdict| !verdict.pass) => {
            Tone::Warn
        }
        Event::Probed { looked: paramedic_incident::Looked::CouldNot { .. }, .. } => Tone::Warn,
        Event::Diagnosed { .. }
        | Event::Proposed(_)
        | Event::Approved { .. }
        | Event::Requested { .. }
        | Event::Intended { .. }
        | Event::Acted { .. } => Tone::Busy,
        Event::Verified { .. } | Event::Cleared { .. } => Tone::Good,
        Event::RoundStarted { .. }
        | Event::Probed { .. }
        | Event::Judged { .. }
        | Event::LeftAlone { .. }
        | Event::Ticked { .. }
        | Event::Noted { .. }
        | Event::Watching { .. }
        | Event::Closed { .. } => Tone::Calm,
    }
}

#[cfg(test)]
mod tests {
    use super::is_web;

    #[test]
    fn only_links_to_the_web_are_links() {
        assert!(is_web("https://example.com/runbook#a"));
        for text in ["javascript:alert(1)", "https://a b", "see https://a", "data:text/html,x", ""]
        {
            assert!(!is_web(text), "{text}");
        }
    }
}
