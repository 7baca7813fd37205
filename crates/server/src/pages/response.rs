//! The part of an incident's page that a person must read first: the likely cause, where it stands,
//! and what they may do now.

use std::time::Duration;

use maud::{Markup, PreEscaped, html};
use paramedic_catalog::Approval;
use paramedic_incident::{
    Judgement, Outcome, Proposal, Settled, Signal, Stage, StepWork, TARGET_LOST,
};

use super::{form_key, loss};
use crate::app::App;
use crate::forms::{NAME_CHARS_MAX, TEXT_CHARS_MAX};
use crate::markdown::report_html;
use crate::view::IncidentView;
use crate::words::{Tone, folded, mark, moment, moment_text, prose, span};

/// What is not known, before anything else.
pub(super) fn notices(view: &IncidentView) -> Markup {
    let incident = &view.incident;
    html! {
        @if incident.is_open() {
            @if let (Signal::Blind, Some((at, reason))) = (incident.signal, view.blind()) {
                p.notice.warn {
                    b { "Blind: " }
                    "since " (moment(at, view.now)) " UTC nobody can say whether the outage goes on. "
                    (reason)
                    @if let Some((id, alert)) = &view.lead {
                        ". That is one outage: "
                        a href=(format!("/incidents/{id}")) { "#" (id) " " (alert) } "."
                    }
                }
            }
            (loss::notice(view))
            // Of a loss it is said already.
            @if let Some((since, reason)) =
                view.cannot_look().filter(|_| incident.opened.lost.is_none())
            {
                p.notice.warn {
                    b { "Cannot look " } "at the system since " (moment(since, view.now)) " UTC: "
                    (reason)
                }
            }
        }
    }
}

/// The likely cause, or that there is none.
pub(super) fn likely(view: &IncidentView) -> Markup {
    let incident = &view.incident;
    let likely = incident.causes.iter().find(|cause| Some(&cause.id) == incident.likely.as_ref());
    let unknown = incident.causes.iter().filter(|cause| cause.judgement == Judgement::Unknown);
    let unknown = unknown.count();
    let diagnosing = incident.stage == Stage::Diagnosing;
    html! {
        section.panel.likely aria-labelledby="likely" {
            h2 #likely { "Likely cause" }
            @match likely {
                Some(cause) => {
                    p.cause { (cause.title) }
                    p { (prose(&cause.because)) }
                    @if diagnosing { p.muted { "From the diagnosis before; another one runs." } }
                }
                None if diagnosing => p { "Not known yet: the diagnosis runs." },
                None if incident.causes.is_empty() && incident.opened.lost.is_some() => {
                    p { "Not known. A runbook named " code { (TARGET_LOST) } " would be followed here." }
                }
                None if incident.causes.is_empty() => {
                    p { "Not known: no page names causes for this alert." }
                }
                None => p { "Not found: the evidence supports no cause that the page names." },
            }
            @if unknown > 0 && !diagnosing {
                p.muted {
                    @if unknown == 1 { "1 cause" } @else { (unknown) " causes" }
                    " could not be judged, because a look failed."
                }
            }
        }
    }
}

/// Where the incident stands, and what a person may do about it.
pub(super) fn now(app: &App, view: &IncidentView) -> Markup {
    let incident = &view.incident;
    let title = match incident.stage {
        Stage::Waiting => "Proposed action",
        Stage::Closed => "Closing report",
        _ => "Now",
    };
    html! {
        section.panel.now aria-labelledby="now" {
            h2 #now { (title) }
            @match &incident.stage {
                Stage::Diagnosing => p { "Looking: " (prose(&view.row.waits_for)) "." },
                Stage::Proposing => p { "Preparing: " (prose(&view.row.waits_for)) "." },
                Stage::Waiting => {
                    @if let Some(offer) = &incident.proposal { (proposal(app, view, offer)) }
                }
                Stage::Acting => {
                    p { "Agreed to. The guards look once more, right before the action." }
                    @if let Some(offer) = &incident.proposal { (offer_facts(view, offer)) }
                }
                Stage::InFlight => {
                    p { b { "Acting now." } " Its outcome is not known yet." }
                    @if let Some(offer) = &incident.proposal { (offer_facts(view, offer)) }
                }
                Stage::Verifying { until } => {
                    @if let Some((act, Outcome::Done(summary))) = view.last_outcome() {
                        p { "Done: " code { (act.uses) } ". " (prose(summary)) }
                    }
                    p {
                        "It counts as a repair only when the alert's own expression is clear; that "
                        "may take until " b { (moment_text(*until)) } "."
                    }
                }
                Stage::Manual => (by_hand(app, view)),
                Stage::Settled(Settled::LeftAlone) => {
                    p { b { "Nothing to do" } @if let Some(reason) = view.left_alone() { ": " (prose(reason)) } "." }
                    p.muted { "It is looked at again while the alert fires, and closes when it clears." }
                }
                Stage::Settled(Settled::HandedOver) => (handed_over(view)),
                Stage::Watching { until } => {
                    p {
                        @if incident.opened.lost.is_some() {
                            (mark(Tone::Good, "answers again")) " If it goes on until "
                        } @else { (mark(Tone::Good, "alert clear")) " If it stays clear until " }
                        b { (moment_text(*until)) } ", the incident closes."
                    }
                }
                Stage::Closed => {
                    @if let Some(report) = view.report() {
                        div.report { (PreEscaped(report_html(report))) }
                    }
                }
            }
            (take_along(view))
        }
    }
}

/// The bundle, for whoever takes over.
fn take_along(view: &IncidentView) -> Markup {
    html! {
        p.muted.take-along {
            a href=(format!("/incidents/{}/bundle.md", view.incident.id)) { "Bundle" }
            " with all evidence and the timeline, to send to "
            (view.contact().unwrap_or("whoever takes over"))
        }
    }
}

fn handed_over(view: &IncidentView) -> Markup {
    let is_lost = view.incident.opened.lost.is_some();
    html! {
        @if let Some((at, contact, reason)) = view.handed_over() {
            p { "With " b { (contact) } " since " (moment(at, view.now)) " UTC." }
            p { span.muted { "Why: " } (prose(reason)) "." }
        }
        p.muted {
            "Paramedic does nothing more unasked. It closes when the "
            @if is_lost { "target goes on answering" } @else { "alert stays clear" }
            "; below, a step can be asked for."
        }
    }
}

/// What would be done, to what, and why it may be.
fn offer_facts(view: &IncidentView, offer: &Proposal) -> Markup {
    let step = view.page.as_ref().and_then(|page| page.step(&offer.step));
    html! {
        p.action {
            @if let Some(step) = step { b { (step.title) } ": " }
            code { (offer.uses) } " on " b { (offer.system) }
        }
        dl.facts {
            @for (name, value) in &offer.args {
                dt { code { (name) } }
                dd { code { (folded(value)) } }
            }
            dt { "precondition" }
            dd { (prose(&offer.precondition)) }
            dt { "also hits" }
            dd {
                @match offer.blast_count {
                    0 => {}
                    1 => { (mark(Tone::Warn, "1 other")) " " }
                    count => { (mark(Tone::Warn, &format!("{count} others"))) " " }
                }
                (prose(&offer.blast_radius))
            }
            dt { "needs" }
            dd { (approval(offer)) }
            @if let Some(StepWork::Action { verify_ms, .. }) = view.next_step().map(|step| &step.work) {
                dt { "proof" }
                dd { "the alert comes clear within " (span(Duration::from_millis(*verify_ms))) }
            }
            @if !view.incident.approvals.is_empty() {
                dt { "approved by" }
                dd { (view.incident.approvals.iter().cloned().collect::<Vec<_>>().join(", ")) }
            }
        }
    }
}

fn approval(offer: &Proposal) -> &'static str {
    match offer.approval.0 {
        Approval::Automatic => {
            "approval by one person, since automatic actions are not allowed here"
        }
        Approval::Required => "approval by one person",
        Approval::TwoPerson => "approval by two different persons",
    }
}

/// The offer, with the buttons.
fn proposal(app: &App, view: &IncidentView, offer: &Proposal) -> Markup {
    let id = view.incident.id;
    html! {
        // Another offer is another element, so a page that is kept up to date never slips a new
        // action under a button that somebody is about to press.
        div.offer id=(format!("offer-{}", offer.digest)) {
            (offer_facts(view, offer))
            form.answer method="post" action=(format!("/incidents/{id}/approve")) {
                (form_key(app))
                input type="hidden" name="digest" value=(offer.digest);
                (name_field("approve"))
                button.primary data-settle { "Approve" }
            }
            details #reject {
                summary { "Reject and take over" }
                form.answer method="post" action=(format!("/incidents/{id}/reject")) {
                    (form_key(app))
                    (name_field("reject"))
                    (text_field("reject", "reason", "Reason"))
                    button { "Reject" }
                }
            }
        }
    }
}

/// The step that waits for a person.
fn by_hand(app: &App, view: &IncidentView) -> Markup {
    let Some(next) = view.next_step() else { return html! {} };
    let step = view.page.as_ref().and_then(|page| page.step(&next.id));
    html! {
        p { "A person must do this:" }
        @match step {
            Some(step) => div.runbook { (PreEscaped(&step.html)) },
            None => p { b { (next.title) } },
        }
        form.answer method="post" action=(format!("/incidents/{}/tick", view.incident.id)) {
            (form_key(app))
            input type="hidden" name="step" value=(next.id);
            (name_field("tick"))
            button.primary { "It is done" }
        }
    }
}

/// Notes, another diagnosis, and closing by hand.
pub(super) fn record(app: &App, view: &IncidentView) -> Markup {
    let incident = &view.incident;
    let action = |verb: &str| format!("/incidents/{}/{verb}", incident.id);
    html! {
        section.record aria-labelledby="record" {
            h2 #record { "Record" }
            details #note {
                summary { "Write a note into the timeline" }
                form.answer method="post" action=(action("note")) {
                    (form_key(app)) (name_field("note")) (text_field("note", "text", "Note"))
                    button { "Write" }
                }
            }
            @if view.may_request() {
                details #look-again {
                    summary { "Diagnose again" }
                    form.answer method="post" action=(action("look-again")) {
                        (form_key(app)) (name_field("look-again"))
                        button { "Look again" }
                    }
                }
            }
            @if incident.is_open() && incident.stage != Stage::InFlight {
                details #close {
                    summary { "Close by hand" }
                    form.answer method="post" action=(action("close")) {
                        (form_key(app)) (name_field("close")) (text_field("close", "reason", "Reason"))
                        button { "Close incident " (incident.id) }
                    }
                }
            }
        }
    }
}

/// Who acts. The script remembers it in the browser.
pub(super) fn name_field(form: &str) -> Markup {
    let id = format!("by-{form}");
    html! {
        label for=(id) { "Your name" }
        input.by id=(id) name="by" required maxlength=(NAME_CHARS_MAX) autocomplete="username";
    }
}

fn text_field(form: &str, name: &str, label: &str) -> Markup {
    let id = format!("{name}-{form}");
    html! {
        label for=(id) { (label) }
        textarea id=(id) name=(name) rows="2" required maxlength=(TEXT_CHARS_MAX) {}
    }
}
