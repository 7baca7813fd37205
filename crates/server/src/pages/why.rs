use axum::extract::{Path, Query, State};
use axum::response::Response;
use maud::{Markup, html};
use paramedic_model::{Labels, TimeMs};
use paramedic_promql::{Part as ExprPart, PartValue};
use paramedic_rules::{Spell, Verdict};
use serde::Deserialize;

use super::{Part, Shell, segment};
use crate::app::App;
use crate::problem::Problem;
use crate::prometheus::parse_time;
use crate::view::{RuleWhy, WhyView, outage_count};
use crate::words::{Tone, folded, mark, moment, span};

/// What may stand behind the address.
#[derive(Deserialize)]
pub(crate) struct Moment {
    /// The moment, as Prometheus's API takes them.
    at: Option<String>,
}

impl Moment {
    /// The moment, where one is named.
    pub fn parse(&self) -> Result<Option<TimeMs>, Problem> {
        let named = self.at.as_deref().filter(|text| !text.trim().is_empty());
        named.map(|text| parse_time(text.trim()).map_err(Problem::bad)).transpose()
    }
}

/// Where that is shown of an alert.
pub(crate) fn url(alert: &str) -> String {
    format!("/rules/{}/why", segment(alert))
}

/// Why an alert fires, or does not.
pub(crate) async fn show(
    State(app): State<App>,
    Path(alert): Path<String>,
    Query(at): Query<Moment>,
) -> Result<Response, Problem> {
    let at = at.parse()?;
    let view = WhyView::new(&app, &alert, at).await?;
    let (now, open_count) = app.read(|engine, now| (now, outage_count(engine))).await?;
    let shell = Shell {
        title: format!("Why {alert}"),
        part: Part::Rules,
        open_count,
        now,
        lab: app.is_lab(),
        news: String::new(),
    };
    Ok(shell.page(html! {
        p.crumb { a href="/rules" { "Rules" } " / " (alert) }
        h1 { (alert) }
        p.lead {
            "At " (moment(view.at, now)) " UTC"
            @if at.is_none() { ", now" }
        }
        form.answer method="get" {
            label for="at" { "Another moment" }
            input #at name="at" placeholder=(view.at) value=[at.map(|at| at.to_string())];
            button type="submit" { "Look" }
        }
        @for rule in &view.rules { (section(rule, now)) }
    }))
}

fn tone(verdict: &Verdict) -> Tone {
    match verdict {
        Verdict::Fires(_) | Verdict::KeepsFiring { .. } | Verdict::Fails(_) => Tone::Bad,
        Verdict::Pending { .. } => Tone::Warn,
        Verdict::TooShort { .. } | Verdict::Over { .. } | Verdict::Silent { .. } => Tone::Calm,
    }
}

/// One word for a verdict.
pub(crate) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Fires(_) | Verdict::KeepsFiring { .. } => "firing",
        Verdict::Pending { .. } => "pending",
        Verdict::Fails(_) => "error",
        Verdict::TooShort { .. } | Verdict::Over { .. } | Verdict::Silent { .. } => "silent",
    }
}

fn section(rule: &RuleWhy, now: TimeMs) -> Markup {
    let why = &rule.why;
    let text = rule.rule.expr.text();
    let hold = rule.rule.waits.hold;
    html! {
        section {
            h2 { (mark(tone(&why.verdict), word(&why.verdict))) " " (why.verdict.to_string()) }
            p.muted {
                code { (rule.file) } ", group " (rule.group) ", every " (span(rule.interval)) ", "
                @if hold.is_zero() { "fires at once" } @else { "fires after " (span(hold)) }
            }
            @if let Some(error) = &why.explanation.error {
                p.notice.bad { b { "Cannot be evaluated: " } (error.to_string()) }
            }
            h3 { "Every part of the expression" }
            ol.parts {
                @for part in &why.explanation.parts { (expression_part(part, text)) }
            }
            h3 { "When it held, since " (moment(why.looked_from, now)) " UTC" }
            @if why.spells.is_empty() { p.muted { "Never." } }
            @else { ul.rows { @for spell in &why.spells { (spell_row(spell, now)) } } }
        }
    }
}

fn expression_part(part: &ExprPart, text: &str) -> Markup {
    let depth = format!("depth-{}", part.depth.min(8));
    html! {
        li.(depth) {
            div { code { (part.span.of(text)) } }
            div.value {
                @match &part.value {
                    None => span.muted { "not evaluated" },
                    Some(PartValue::Scalar(value)) => { b { (value) } }
                    Some(PartValue::Text(text)) => { b { (text) } }
                    Some(PartValue::Elements { count: 0, .. } | PartValue::Series { count: 0, .. }) => {
                        span.unknown { "empty" }
                    }
                    Some(PartValue::Elements { count, first }) => {
                        (values(*count, "element", first.iter().map(|(labels, value)| {
                            (labels, value.map_or("a histogram".to_owned(), |v| v.to_string()))
                        })))
                    }
                    Some(PartValue::Series { count, first }) => {
                        (values(*count, "series", first.iter().map(|(labels, samples)| {
                            (labels, format!("{samples} samples"))
                        })))
                    }
                }
                @if let Some(held) = &part.held {
                    p.notice.warn { "Held back here: " (held.to_string()) }
                }
            }
        }
    }
}

/// Label sets with what each has; more than one folded.
fn values<'a>(
    count: usize,
    what: &str,
    first: impl ExactSizeIterator<Item = (&'a Labels, String)>,
) -> Markup {
    let left_off = count - first.len();
    let rows: Vec<_> = first.collect();
    let row = |(labels, value): &(&Labels, String)| {
        html! { code.labels { (folded(&labels.to_string())) } " " b { (value) } }
    };
    let plural = if what == "series" { "" } else { "s" };
    html! {
        @if let [only] = rows.as_slice() && left_off == 0 { (row(only)) }
        @else {
            details {
                summary { (count) " " (what) (plural) }
                ul.rows { @for one in &rows { li { (row(one)) } } }
                @if left_off > 0 { p.muted { "and " (left_off) " more" } }
            }
        }
    }
}

fn spell_row(spell: &Spell, now: TimeMs) -> Markup {
    html! {
        li {
            span.what { code.labels { (folded(&spell.labels.to_string())) } }
            span.note {
                "from " (moment(spell.from, now))
                @if spell.lasts { ", holds" } @else { " to " (moment(spell.until, now)) }
                ", " (span(spell.length()))
            }
        }
    }
}
