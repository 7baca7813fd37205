//! The runbook's diagnosis with what was seen beside each step, and the causes that follow from it.

use std::time::Duration;

use maud::{Markup, PreEscaped, html};
use paramedic_incident::{CauseVerdict, Judgement, Looked, Seen, Stage};
use paramedic_model::TimeMs;
use paramedic_runbook::Manual;
use serde_json::{Map, Value};

use super::mitigation::{signature, tick};
use super::runbook_url;
use crate::app::App;
use crate::view::{IncidentView, StepView, StepWork};
use crate::words::{Tone, folded, mark, moment, prose, span};

/// How many rows a table of facts has; more are counted.
const FACT_ROWS_MAX: usize = 20;

/// The steps of the diagnosis, with evidence.
pub(super) fn diagnosis(app: &App, view: &IncidentView) -> Markup {
    let incident = &view.incident;
    // The one that is being taken: the first that has no answer.
    let current =
        view.page.as_ref().filter(|_| incident.stage == Stage::Diagnosing).and_then(|page| {
            let mut steps = page.diagnosis.iter();
            steps.find(|step| {
                matches!(step.work, StepWork::Probe(_)) && !incident.looked.contains_key(&step.id)
            })
        });
    let current = current.map(|step| step.id.as_str());
    html! {
        section aria-labelledby="diagnosis" {
            h2 #diagnosis {
                "Diagnosis"
                @if incident.round > 1 { " " span.muted { "no. " (incident.round) } }
            }
            @match &view.page {
                Some(page) => {
                    p.muted {
                        "From the runbook " a href=(runbook_url(&page.title)) { (page.title) }
                        ", with what each look brought."
                    }
                    (signature(app, view))
                    ol.steps {
                        @for step in &page.diagnosis {
                            li #(format!("step-{}", step.id)) {
                                (instruction(step))
                                div.evidence { (seen(view, step, current)) }
                            }
                        }
                    }
                    @if page.diagnosis.is_empty() { p.muted { "The page has no such step." } }
                }
                None => p.muted { "No runbook serves this alert, so nothing was looked at." },
            }
            @let others = view.evidence_without_step();
            @if !others.is_empty() {
                h3 { "Steps that the page no longer has" }
                ol.steps {
                    @for (id, looked) in others {
                        li {
                            div.instruction { code { (id) } }
                            div.evidence { (evidence(looked, view.now)) }
                        }
                    }
                }
            }
        }
    }
}

/// What the page says of a step.
pub(super) fn instruction(step: &StepView) -> Markup {
    html! {
        div.instruction {
            span.number { (step.number) "." }
            div {
                div.runbook { (PreEscaped(&step.html)) }
                p.uses {
                    @match &step.work {
                        StepWork::Probe(uses) => { "looks with " code { (uses) } }
                        StepWork::Action(uses) => { "acts with " code { (uses) } }
                        StepWork::Manual(Manual::Checklist) => "done by a person",
                        StepWork::Manual(Manual::Handover) => "handed to the contact of the system",
                        StepWork::Manual(Manual::Link(url)) => {
                            "read " a href=(url) rel="noreferrer" { (url) }
                        }
                        StepWork::Manual(Manual::Watch(time)) => {
                            "the alert is watched for " (span(*time)) " after it is clear"
                        }
                        StepWork::Manual(Manual::Advice) => "a line of the closing report",
                    }
                }
            }
        }
    }
}

fn seen(view: &IncidentView, step: &StepView, current: Option<&str>) -> Markup {
    html! {
        @match (&step.work, view.incident.looked.get(&step.id)) {
            (_, Some(looked)) => (evidence(looked, view.now)),
            (StepWork::Probe(_), None) if current == Some(step.id.as_str()) => {
                p { (mark(Tone::Busy, "looking")) }
            }
            (StepWork::Probe(_), None) => p { (mark(Tone::Calm, "not looked yet")) },
            _ => (tick(view, step)),
        }
    }
}

/// What came of one look.
fn evidence(looked: &Looked, now: TimeMs) -> Markup {
    html! {
        @match looked {
            Looked::Saw(seen) => (saw(seen, now)),
            Looked::CouldNot { reason, took_ms } => {
                p.could-not {
                    (mark(Tone::Warn, "could not look")) " " (prose(reason))
                }
                @if *took_ms > 0 { p.muted { "gave up after " (took(*took_ms)) } }
            }
            Looked::Skipped { reason } => {
                p { (mark(Tone::Calm, "left out")) " " (prose(reason)) }
            }
        }
    }
}

fn saw(seen: &Seen, now: TimeMs) -> Markup {
    html! {
        p.saw { (folded(&seen.summary)) }
        p.muted { (moment(TimeMs(seen.at_ms), now)) " UTC, took " (took(seen.took_ms)) }
        div.folds {
            @if !seen.facts.is_empty() {
                details { summary { "Facts" } (record(&seen.facts)) }
            }
            @if !seen.excerpt.is_empty() {
                details {
                    summary { "Answer of the system, redacted" }
                    pre tabindex="0" { (seen.excerpt) }
                }
            }
        }
    }
}

fn took(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

fn record(facts: &Map<String, Value>) -> Markup {
    html! {
        dl.facts {
            @for (name, fact) in facts {
                dt { code { (name) } }
                dd { (value(fact)) }
            }
        }
    }
}

fn value(fact: &Value) -> Markup {
    html! {
        @match fact {
            Value::Null => span.muted { "not said" },
            Value::Bool(true) => "yes",
            Value::Bool(false) => "no",
            Value::Number(number) => (number),
            Value::String(text) if text.is_empty() => span.muted { "empty" },
            Value::String(text) => (folded(text)),
            Value::Array(items) => (list(items)),
            Value::Object(facts) => (record(facts)),
        }
    }
}

/// Records as a table, other values as a list.
fn list(items: &[Value]) -> Markup {
    let records: Vec<_> = items.iter().filter_map(Value::as_object).collect();
    let columns = records.first().map(|first| first.keys().collect::<Vec<_>>());
    let left_off = items.len().saturating_sub(FACT_ROWS_MAX);
    html! {
        @match columns {
            None if items.is_empty() => span.muted { "none" },
            Some(columns) if records.len() == items.len() => {
                div.scroll {
                    table {
                        thead { tr { @for name in &columns { th scope="col" { (name) } } } }
                        tbody {
                            @for row in records.iter().take(FACT_ROWS_MAX) {
                                tr {
                                    @for name in &columns {
                                        td { (value(row.get(*name).unwrap_or(&Value::Null))) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            _ => ul { @for item in items.iter().take(FACT_ROWS_MAX) { li { (value(item)) } } },
        }
        @if left_off > 0 { p.muted { "and " (left_off) " more" } }
    }
}

/// The causes, the likely one first; those that the evidence refutes are folded.
pub(super) fn causes(view: &IncidentView) -> Markup {
    let incident = &view.incident;
    let likely = |cause: &CauseVerdict| Some(&cause.id) == incident.likely.as_ref();
    let rank = |cause: &CauseVerdict| match cause.judgement {
        _ if likely(cause) => 0,
        Judgement::Supported => 1,
        Judgement::Unknown => 2,
        Judgement::Refuted => 3,
    };
    let mut causes: Vec<_> = incident.causes.iter().collect();
    // Stable, so among equals the page's order stays: it says which to prefer.
    causes.sort_by_key(|cause| rank(cause));
    let refuted = causes.iter().position(|cause| rank(cause) == 3).unwrap_or(causes.len());
    let (standing, refuted) = causes.split_at(refuted);
    let item = |cause: &CauseVerdict| {
        let (tone, word) = match cause.judgement {
            Judgement::Supported if likely(cause) => (Tone::Bad, "likely"),
            Judgement::Supported => (Tone::Busy, "also supported"),
            Judgement::Unknown => (Tone::Warn, "cannot be judged"),
            Judgement::Refuted => (Tone::Calm, "ruled out"),
        };
        html! {
            li {
                (mark(tone, word))
                span.what { b { (cause.title) } }
                span.note { (prose(&cause.because)) }
            }
        }
    };
    html! {
        @if !causes.is_empty() {
            section aria-labelledby="causes" {
                h2 #causes { "Causes" }
                @if standing.is_empty() { p { "The evidence supports none." } }
                ol.rows { @for cause in standing { (item(cause)) } }
                @if !refuted.is_empty() {
                    details #refuted {
                        summary { (refuted.len()) " ruled out by the evidence" }
                        ul.rows { @for cause in refuted { (item(cause)) } }
                    }
                }
            }
        }
    }
}
