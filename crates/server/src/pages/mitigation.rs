//! The runbook's mitigation with the state of each step, and what the guards said.

use maud::{Markup, html};
use paramedic_incident::{Outcome, Stage};
use paramedic_runbook::Manual;

use super::evidence::instruction;
use super::form_key;
use super::response::name_field;
use crate::app::App;
use crate::view::{IncidentView, StepView, StepWork};
use crate::words::{Tone, mark, moment, prose};

/// The form that the buttons of all steps belong to.
const FORM: &str = "steps";

/// The name that the buttons of all steps sign with, where there is any such button.
pub(super) fn signature(app: &App, view: &IncidentView) -> Markup {
    let incident = &view.incident;
    let untaken = |step: &StepView| {
        matches!(step.work, StepWork::Manual(Manual::Checklist | Manual::Link(_)))
            && !incident.ticked.contains(&step.id)
    };
    let mut steps = view.page.iter().flat_map(|page| page.diagnosis.iter().chain(&page.mitigation));
    let any = incident.is_open() && (view.may_request() || steps.any(untaken));
    html! {
        @if any {
            form.answer.signature #(FORM) method="post"
                action=(format!("/incidents/{}/tick", incident.id)) {
                // The Enter key in the field below presses the first button, so it does nothing.
                button.hidden disabled aria-hidden="true" tabindex="-1" {}
                (form_key(app))
                (name_field("steps"))
                span.muted { "signs what you do with the steps below" }
            }
        }
    }
}

/// The steps of the mitigation, with their state and buttons.
pub(super) fn steps(view: &IncidentView) -> Markup {
    let Some(page) = view.page.as_ref().filter(|page| !page.mitigation.is_empty()) else {
        return html! {};
    };
    html! {
        section aria-labelledby="mitigation" {
            h2 #mitigation { "Mitigation" }
            ol.steps {
                @for step in &page.mitigation {
                    @let (tone, word, note) = state(view, step);
                    li #(format!("step-{}", step.id)) {
                        (instruction(step))
                        div.evidence.state {
                            p { (mark(tone, &word)) " " (prose(&note)) }
                            (buttons(view, step))
                        }
                    }
                }
            }
        }
    }
}

/// Where a step stands: a word, and what there is to say.
fn state(view: &IncidentView, step: &StepView) -> (Tone, String, String) {
    let incident = &view.incident;
    let say = |tone, word: &str, note: &str| (tone, word.to_owned(), note.to_owned());
    if let Some(by) = view.ticked_by(&step.id) {
        return say(Tone::Good, "done", &format!("by {by}"));
    }
    let next = view.next_step().is_some_and(|next| next.id == step.id);
    let offered = incident.proposal.as_ref().is_some_and(|offer| offer.step == step.id);
    if offered && incident.stage == Stage::Waiting {
        return say(Tone::Bad, "proposed", "waits for approval");
    }
    if let Some(act) = view.last_act(&step.id) {
        return match (&act.outcome, act.recovered) {
            (None, _) => say(Tone::Busy, "acting", "its outcome is not known yet"),
            (Some(Outcome::Done(summary)), Some(true)) => say(Tone::Good, "repaired", summary),
            (Some(Outcome::Done(summary)), Some(false)) => say(Tone::Warn, "did not help", summary),
            (Some(Outcome::Done(summary)), None) => say(Tone::Busy, "done, verifying", summary),
            (Some(Outcome::Failed(reason)), _) => say(Tone::Bad, "failed", reason),
            (Some(Outcome::Uncertain(reason)), _) => say(Tone::Bad, "uncertain", reason),
        };
    }
    if offered {
        return say(Tone::Busy, "agreed to", "the guards look before it is sent");
    }
    if next && incident.is_open() {
        return match incident.stage {
            Stage::Manual => say(Tone::Bad, "next", "waits for a person"),
            _ => say(Tone::Busy, "next", ""),
        };
    }
    if let Some(reason) = view.unavailable(&step.id) {
        return say(Tone::Warn, "not possible", reason);
    }
    if incident.is_open() && incident.plan.iter().any(|planned| planned.id == step.id) {
        return say(Tone::Calm, "planned", "");
    }
    match &step.work {
        StepWork::Manual(Manual::Watch(_)) => match incident.stage {
            Stage::Watching { .. } => say(Tone::Busy, "watching", ""),
            Stage::Closed => say(Tone::Calm, "over", ""),
            _ => say(Tone::Calm, "at the end", ""),
        },
        StepWork::Manual(Manual::Advice) => say(Tone::Calm, "advice", ""),
        StepWork::Manual(Manual::Handover) if incident.handed_to.is_some() => {
            say(Tone::Calm, "handed over", "")
        }
        // A page without causes calls for nothing in particular: it is a checklist.
        StepWork::Manual(_) if incident.causes.is_empty() => say(Tone::Calm, "for a person", ""),
        StepWork::Manual(_) | StepWork::Action(_) | StepWork::Probe(_) => {
            say(Tone::Calm, "not called for", "")
        }
    }
}

fn buttons(view: &IncidentView, step: &StepView) -> Markup {
    let offer = view.incident.proposal.as_ref().is_some_and(|offer| offer.step == step.id);
    html! {
        @match &step.work {
            StepWork::Manual(Manual::Checklist | Manual::Link(_)) => (tick_button(view, step)),
            StepWork::Action(_) if view.may_request() && !offer => {
                (step_button(view, step, "request", "Ask for this step"))
            }
            StepWork::Manual(Manual::Handover) if view.may_request() => {
                (step_button(view, step, "request", "Hand over"))
            }
            _ => {}
        }
    }
}

/// The state of a step that only a person does, with its button.
pub(super) fn tick(view: &IncidentView, step: &StepView) -> Markup {
    html! {
        @match view.ticked_by(&step.id) {
            Some(by) => p { (mark(Tone::Good, "done")) " by " (by) },
            None => div.state {
                p { (mark(Tone::Calm, "for a person")) }
                (tick_button(view, step))
            },
        }
    }
}

fn tick_button(view: &IncidentView, step: &StepView) -> Markup {
    html! {
        @if view.incident.is_open() && view.ticked_by(&step.id).is_none() {
            (step_button(view, step, "tick", "Mark as done"))
        }
    }
}

fn step_button(view: &IncidentView, step: &StepView, verb: &str, words: &str) -> Markup {
    let action = format!("/incidents/{}/{verb}", view.incident.id);
    html! {
        p {
            button.small form=(FORM) formaction=(action) name="step" value=(step.id)
                aria-label=(format!("{words}: {}", step.title)) { (words) }
        }
    }
}

/// What each guard said of the last action that came to them.
pub(super) fn guards(view: &IncidentView) -> Markup {
    let Some((at, step, verdicts)) = view.verdicts() else { return html! {} };
    let held = verdicts.iter().filter(|verdict| !verdict.pass).count();
    html! {
        section aria-labelledby="guards" {
            h2 #guards { "Guards" }
            // What held an action back must not be looked for.
            details #verdicts open[held > 0] {
                summary {
                    "Before " code { (step) } ", " (moment(at, view.now)) " UTC: "
                    @if held == 0 { "all " (verdicts.len()) " let it pass" }
                    @else { b { (held) " held it back" } }
                }
                ul.rows {
                    @for verdict in verdicts {
                        li {
                            @if verdict.pass { (mark(Tone::Good, "pass")) }
                            @else { (mark(Tone::Bad, "hold")) }
                            span.what { (verdict.guard) }
                            span.note { (prose(&verdict.reason)) }
                        }
                    }
                }
            }
        }
    }
}
