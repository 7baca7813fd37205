use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use paramedic_integration::HttpRequest;
use serde_json::Value;

use super::reach::{Reach, path};
use crate::exit;
use crate::out::outln;

/// Say why an alert fires, or what holds it back.
///
/// Takes the expression of its rule apart: the value of every part, the operand, join or label that
/// empties it, and when it held for how long of what `for` wants.
///
/// Example: paramedic explain TraefikDown --at 2026-11-21T02:42:00Z
#[derive(Args)]
pub struct ExplainArgs {
    /// The alert's name.
    alert: String,
    /// Another moment than now: RFC 3339, or seconds since 1970.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// Print the server's JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let mut path = path(&["alerts", &args.alert, "why"])?;
    if let Some(at) = &args.at {
        path = path.with_query("at", at);
    }
    let response = args.reach.send(HttpRequest::get(path))?;
    let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    if !response.status.is_success() {
        let Some(reason) = answer["error"].as_str() else {
            bail!("the server answers HTTP {}", response.status.as_u16())
        };
        eprintln!("{reason}");
        return Ok(exit::answer(false));
    }
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(exit::answer(true));
    }
    for rule in list(&answer["rules"]) {
        show(&answer, rule);
    }
    Ok(exit::answer(true))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn show(answer: &Value, rule: &Value) {
    outln!("{} at {}: {}", text(&answer["alert"]), text(&answer["at"]), text(&rule["verdict"]));
    outln!("  {}, group {}\n", text(&rule["file"]), text(&rule["group"]));
    for part in list(&rule["parts"]) {
        let indent = "  ".repeat(1 + part["depth"].as_u64().unwrap_or(0).min(20) as usize);
        // An expression of several lines stays one part.
        let expr = text(&part["text"]).split_whitespace().collect::<Vec<_>>().join(" ");
        outln!("{indent}{expr}");
        for line in values(&part["value"]) {
            outln!("{indent}    = {line}");
        }
        if let Some(held) = part["held"].as_str() {
            outln!("{indent}    ! {held}");
        }
    }
    let spells = list(&rule["spells"]);
    outln!("\n  It held, since {}:", text(&rule["looked_from"]));
    if spells.is_empty() {
        outln!("    never");
    }
    for spell in spells {
        let until = match spell["lasts"] == true {
            true => "now".to_owned(),
            false => text(&spell["until"]).to_owned(),
        };
        outln!("    {} to {until}  {}", text(&spell["from"]), text(&spell["labels"]));
    }
}

/// The value of a part, a line each.
fn values(value: &Value) -> Vec<String> {
    let first = list(&value["first"]);
    let mut lines: Vec<String> = match text(&value["type"]) {
        "scalar" | "string" => vec![text(&value["value"]).to_owned()],
        "vector" => first
            .iter()
            .map(|one| {
                let value = one["value"].as_str().unwrap_or("a histogram");
                format!("{} {value}", text(&one["labels"]))
            })
            .collect(),
        "matrix" => first
            .iter()
            .map(|one| format!("{} {} samples", text(&one["labels"]), one["samples"]))
            .collect(),
        _ => vec!["not evaluated".to_owned()],
    };
    let count = value["count"].as_u64().unwrap_or(0);
    if value["count"] == 0 {
        lines.push("empty".to_owned());
    } else if count > first.len() as u64 {
        lines.push(format!("and {} more", count - first.len() as u64));
    }
    lines
}
