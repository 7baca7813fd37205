//! What the loss of a target takes with it, on the page of the incident that leads.

use maud::{Markup, html};
use paramedic_incident::Signal;
use paramedic_model::TimeMs;

use crate::view::{IncidentView, Member};
use crate::words::{Tone, ago, counted, folded, mark, moment};

/// How many blind alerts are listed; more are folded.
const MEMBERS_SHOWN: usize = 10;

/// Since when and why the target cannot be looked at.
pub(super) fn notice(view: &IncidentView) -> Markup {
    let incident = &view.incident;
    let lost = incident.opened.lost.as_ref().filter(|_| incident.signal != Signal::Clear);
    html! {
        @if let Some(lost) = lost {
            p.notice.warn {
                b { "Lost: " } "since " (moment(incident.since(), view.now)) " UTC "
                code { (lost.target) } " cannot be looked at: "
                (folded(view.loss_reason.as_deref().unwrap_or(&lost.reason))) ". "
                @match lost.seen_at_ms.map(TimeMs) {
                    Some(at) => {
                        "It last answered at " (moment(at, view.now)) " UTC, "
                        (ago(at, view.now)) "."
                    }
                    None => "It is not known when it last answered.",
                }
            }
        }
    }
}

/// The alerts and rules that are blind because of the target that this incident is about.
pub(super) fn blind(view: &IncidentView) -> Markup {
    let lost = view.incident.opened.lost.as_ref();
    let members = &view.members;
    let is_lost = view.incident.is_open() && view.incident.signal != Signal::Clear;
    let (shown, others) = members.split_at(members.len().min(MEMBERS_SHOWN));
    html! {
        @if lost.is_some() || !members.is_empty() {
            section aria-labelledby="blind" {
                h2 #blind { "Blind because of it" }
                @if members.is_empty() {
                    p { "No alert that had fired." }
                } @else {
                    p.muted {
                        @if members.iter().any(|member| member.is_blind) {
                            "These fired before. Nobody has seen them end, so their incidents stay "
                            "open, and whoever was told of them is not told that they are over."
                        } @else { "Nobody could see whether these ended, as long as it was lost." }
                    }
                    ul.rows { @for member in shown { (row(member, view.now)) } }
                    @if !others.is_empty() {
                        details #others {
                            summary { "and " (others.len()) " more" }
                            ul.rows { @for member in others { (row(member, view.now)) } }
                        }
                    }
                }
                @if let Some(lost) = lost {
                    details #rules {
                        summary {
                            (counted(lost.rule_count, "alert rule reads", "alert rules read"))
                            " its samples and "
                            @if is_lost { "cannot speak" } @else { "could not speak meanwhile" }
                        }
                        ul.labels {
                            @for rule in &lost.rules { li { code { (folded(rule)) } } }
                            @if lost.rule_count > lost.rules.len() {
                                li { "and " (lost.rule_count - lost.rules.len()) " more" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row(member: &Member, now: TimeMs) -> Markup {
    html! {
        li {
            @if member.is_blind { (mark(Tone::Warn, "blind")) }
            @else { (mark(Tone::Calm, "known again")) }
            span.what {
                a href=(format!("/incidents/{}", member.id)) {
                    span.number { "#" (member.id) } " " (member.alert)
                }
            }
            span.note {
                span.muted { "since " (moment(member.blind_since, now)) " UTC " }
                code.labels { (folded(&member.labels)) }
            }
        }
    }
}
