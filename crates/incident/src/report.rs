//! What an incident looks like afterwards: the timeline, the closing report, the bundle for a
//! person who takes over. All pure, and all from events that were redacted before.

use std::fmt::Write as _;

use paramedic_model::{TimeMs, format_duration};

use crate::{Ending, Event, Incident, Judgement, Looked, Outcome, SystemChoice};

/// One line per event, for people.
pub fn timeline(incident: &Incident) -> Vec<(TimeMs, String)> {
    incident.events.iter().map(|(at, event)| (*at, describe(incident, event))).collect()
}

fn describe(incident: &Incident, event: &Event) -> String {
    let lost = incident.opened.lost.as_ref();
    match event {
        Event::Opened(opened) => match (&opened.outside, &opened.lost) {
            (_, Some(lost)) => format!("{lost}; incident opened"),
            (None, None) => format!("{} fired; incident opened", opened.alert),
            (Some(outside), None) => {
                let sender = outside.via.as_str();
                format!("{} fires, as {sender} says; incident opened", opened.alert)
            }
        },
        Event::RoundStarted { round, reason } => format!("Diagnosis {round} begins: {reason}"),
        Event::Probed { step, looked } => match looked {
            Looked::Saw(seen) => format!("Looked at `{step}`: {}", seen.summary),
            Looked::CouldNot { reason, .. } => format!("Could not look at `{step}`: {reason}"),
            Looked::Skipped { reason } => format!("Left out `{step}`: {reason}"),
        },
        Event::Diagnosed { causes, likely, .. } => {
            match causes.iter().find(|cause| Some(&cause.id) == likely.as_ref()) {
                Some(cause) => format!("Likely cause: {} ({})", cause.title, cause.because),
                None => "Inconclusive: no cause is supported by the evidence".to_owned(),
            }
        }
        Event::Requested { step, by } => format!("{by} asked for “{}”", step.title),
        Event::Proposed(proposal) => {
            format!("Offered `{}` on {}: {}", proposal.uses, proposal.system, proposal.blast_radius)
        }
        Event::Unavailable { step, reason } => format!("Cannot offer `{step}`: {reason}"),
        Event::Approved { step, by, .. } => format!("{by} approved `{step}`"),
        Event::Rejected { step, by, reason } => format!("{by} rejected `{step}`: {reason}"),
        Event::Judged { step, verdicts } => {
            let against: Vec<_> = verdicts.iter().filter(|verdict| !verdict.pass).collect();
            if against.is_empty() {
                return format!("All {} guards let `{step}` pass", verdicts.len());
            }
            let against = against.iter().map(|v| format!("{}: {}", v.guard, v.reason));
            format!("Guards held `{step}` back: {}", against.collect::<Vec<_>>().join("; "))
        }
        Event::Intended { step, attempt } => format!("Acting: `{step}`, attempt {attempt}"),
        Event::Acted { step, outcome } => match outcome {
            Outcome::Done(summary) => format!("Done `{step}`: {summary}"),
            Outcome::Failed(reason) => format!("Failed `{step}`: {reason}"),
            Outcome::Uncertain(reason) => format!("Uncertain whether `{step}` ran: {reason}"),
        },
        Event::NotSent { step, reason } => format!("Not sent `{step}`: {reason}"),
        Event::Verified { recovered: true, reason, .. } => format!("Recovered: {reason}"),
        Event::Verified { recovered: false, reason, .. } => format!("Not recovered: {reason}"),
        Event::HandedOver { contact, reason } => format!("Handed over to {contact}: {reason}"),
        Event::LeftAlone { reason } => format!("Nothing to do: {reason}"),
        Event::Ticked { step, by } => format!("{by} did `{step}`"),
        Event::Noted { by, text } => format!("{by} noted: {text}"),
        Event::Cleared { reason } if lost.is_some() => format!("Seen: {reason}"),
        Event::Cleared { reason } => format!("Alert clear: {reason}"),
        Event::Blind { reason, .. } => format!("Blind: {reason}"),
        Event::Joined { lead, target } => {
            format!("Part of incident {lead}: {target} cannot be looked at")
        }
        Event::Firing => match lost {
            Some(lost) => format!("{} is lost again", lost.target),
            None => "The alert fires again".to_owned(),
        },
        Event::Watching { until_ms } => format!("Watching until {}", TimeMs(*until_ms)),
        Event::Closed { ending, .. } => format!("Closed: {}", ending.as_str()),
    }
}

/// The report that closes an incident, in Markdown.
pub fn closing_report(
    incident: &Incident,
    ending: Ending,
    advice: &[String],
    now: TimeMs,
) -> String {
    let mut text = String::new();
    let lasted = std::time::Duration::from_secs(now.since(incident.since()).as_secs());
    let _ = writeln!(
        text,
        "**{}** ended after {}: {}.\n",
        incident.opened.alert,
        format_duration(lasted),
        ending.as_str()
    );
    if let Some(lost) = &incident.opened.lost {
        let _ = writeln!(text, "- Lost: {lost}");
        let _ = writeln!(text, "- Alert rules that were blind: {}", lost.rule_count);
        let proof = incident.events.iter().rev().find_map(|(_, event)| match event {
            Event::Cleared { reason } => Some(reason),
            _ => None,
        });
        if let Some(proof) = proof {
            let _ = writeln!(text, "- Proof: {proof}");
        }
    }
    match incident.causes.iter().find(|cause| Some(&cause.id) == incident.likely.as_ref()) {
        Some(cause) => {
            let _ = writeln!(text, "- Cause: {}: {}", cause.title, cause.because);
        }
        None => text.push_str("- Cause: not found\n"),
    }
    for act in &incident.acts {
        let outcome = match &act.outcome {
            Some(Outcome::Done(summary)) => summary,
            Some(Outcome::Failed(reason) | Outcome::Uncertain(reason)) => reason,
            None => "no outcome known",
        };
        let _ = writeln!(text, "- Action `{}`: {outcome}", act.uses);
    }
    for line in advice {
        let _ = writeln!(text, "- Advice: {line}");
    }
    text
}

/// Everything that somebody who takes over needs, in Markdown, readable with no network: what
/// fired, what was seen, what is likely, what was done, and what versions were involved.
pub fn bundle(incident: &Incident, versions: &[(String, String)]) -> String {
    let mut text = String::new();
    let opened = &incident.opened;
    let _ = writeln!(text, "# Incident {}: {}\n", incident.id, opened.alert);
    for (name, value) in &opened.annotations {
        let _ = writeln!(text, "- {name}: {}", value.trim());
    }
    let system = match &opened.system {
        SystemChoice::One { name, kind } => format!("{name} ({kind})"),
        SystemChoice::None => "none matched".to_owned(),
        SystemChoice::Several(names) => format!("could be {}", names.join(" or ")),
    };
    let _ = writeln!(text, "- system: {system}");
    let _ = writeln!(text, "- since: {}", incident.since());
    let _ = writeln!(text, "- state: {}", incident.stage.as_str());
    if let Some(lost) = &opened.lost {
        let _ = writeln!(text, "- alert rules that read its samples: {}", lost.rule_count);
        lost.rules.iter().for_each(|rule| {
            let _ = writeln!(text, "  - {rule}");
        });
    }
    let _ = writeln!(text, "\n## Labels\n");
    for (name, value) in &opened.labels {
        let _ = writeln!(text, "- {name} = {value:?}");
    }
    let _ = writeln!(text, "\n## Expression\n\n```promql\n{}\n```", opened.expr.trim());
    let _ = writeln!(text, "\n## Causes\n");
    for cause in &incident.causes {
        let word = match cause.judgement {
            Judgement::Supported => "supported",
            Judgement::Refuted => "refuted",
            Judgement::Unknown => "unknown",
        };
        let _ = writeln!(text, "- {} ({word}): {}", cause.title, cause.because);
    }
    let _ = writeln!(text, "\n## Evidence");
    for (step, looked) in &incident.looked {
        match looked {
            Looked::Saw(seen) => {
                let _ = writeln!(text, "\n### {step}: {}\n", seen.summary);
                let _ = writeln!(text, "{} ms, at {}", seen.took_ms, TimeMs(seen.at_ms));
                if !seen.excerpt.is_empty() {
                    // Indented rather than fenced: an excerpt may hold a fence of its own.
                    text.push('\n');
                    seen.excerpt.lines().for_each(|line| {
                        let _ = writeln!(text, "    {line}");
                    });
                }
            }
            Looked::CouldNot { reason, .. } => {
                let _ = writeln!(text, "\n### {step}: could not look\n\n{reason}");
            }
            Looked::Skipped { reason } => {
                let _ = writeln!(text, "\n### {step}: left out\n\n{reason}");
            }
        }
    }
    let _ = writeln!(text, "\n## Timeline\n");
    for (at, line) in timeline(incident) {
        let _ = writeln!(text, "- {at} {line}");
    }
    let _ = writeln!(text, "\n## Versions\n");
    for (what, version) in versions {
        let _ = writeln!(text, "- {what}: {version}");
    }
    text
}
