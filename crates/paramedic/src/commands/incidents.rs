use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use paramedic_integration::HttpRequest;
use serde_json::{Value, json};

use super::reach::{Reach, path};
use crate::exit;
use crate::out::{out, outln};

/// Who acts.
#[derive(Args)]
struct Actor {
    /// Your name, for the journal.
    #[arg(long = "as", env = "USER", value_name = "NAME")]
    by: String,
}

/// List the incidents of a running server, the open ones first.
///
/// Example: paramedic incidents
#[derive(Args)]
pub struct IncidentsArgs {
    #[command(flatten)]
    reach: Reach,
    /// Print the server's JSON.
    #[arg(long)]
    json: bool,
}

/// Look at one incident, or do something about it.
#[derive(Args)]
pub struct IncidentArgs {
    #[command(subcommand)]
    task: IncidentTask,
}

#[derive(Subcommand)]
enum IncidentTask {
    /// Show what fired, what was seen, the likely cause, and what is proposed.
    ///
    /// Example: paramedic incident show 3
    Show {
        /// The incident's number.
        id: u64,
        #[command(flatten)]
        reach: Reach,
        /// Print the server's JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the bundle for a person who takes over, in Markdown.
    ///
    /// Example: paramedic incident bundle 3 > incident-3.md
    Bundle {
        /// The incident's number.
        id: u64,
        #[command(flatten)]
        reach: Reach,
    },
    /// Say that a manual step of the page is done.
    ///
    /// Example: paramedic incident tick 3 free-port
    Tick {
        /// The incident's number.
        id: u64,
        /// The step's id.
        step: String,
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        actor: Actor,
    },
    /// Ask for a mitigation step that the diagnosis did not choose.
    ///
    /// Example: paramedic incident request 3 restart
    Request {
        /// The incident's number.
        id: u64,
        /// The step's id.
        step: String,
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        actor: Actor,
    },
    /// Diagnose again.
    ///
    /// Example: paramedic incident look-again 3
    LookAgain {
        /// The incident's number.
        id: u64,
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        actor: Actor,
    },
    /// Write something into the incident's timeline.
    ///
    /// Example: paramedic incident note 3 "the branch has a power cut"
    Note {
        /// The incident's number.
        id: u64,
        /// What to write.
        text: String,
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        actor: Actor,
    },
    /// Close an incident by hand.
    ///
    /// Example: paramedic incident close 3 "the peer was decommissioned"
    Close {
        /// The incident's number.
        id: u64,
        /// Why.
        reason: String,
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        actor: Actor,
    },
}

/// Agree to what an incident proposes. Look at it first: paramedic incident show N
///
/// Example: paramedic approve 3
#[derive(Args)]
pub struct ApproveArgs {
    /// The incident's number.
    id: u64,
    /// Agree only to the proposal with this digest, as `incident show` prints it.
    #[arg(long)]
    digest: Option<String>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    actor: Actor,
}

/// Refuse what an incident proposes, and take it over.
///
/// Example: paramedic reject 3 "the vendor is on it"
#[derive(Args)]
pub struct RejectArgs {
    /// The incident's number.
    id: u64,
    /// Why.
    reason: String,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    actor: Actor,
}

pub fn list(args: IncidentsArgs) -> anyhow::Result<ExitCode> {
    let incidents = args.reach.get(&["incidents"])?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&incidents)?);
        return Ok(exit::answer(true));
    }
    let rows = incidents["incidents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        eprintln!("no incidents");
    }
    for row in rows {
        // Of an alert that is blind it matters most which outage it is part of.
        let stage = match row["under"].as_u64() {
            Some(lead) => format!("blind, part of {lead}"),
            None => text(row, "stage").to_owned(),
        };
        outln!(
            "{:>4}  {:22}  {:32}  {:14}  {}",
            row["id"].to_string(),
            stage,
            text(row, "alert"),
            text(row, "system"),
            text(row, "summary"),
        );
    }
    Ok(exit::answer(true))
}

pub fn incident(args: IncidentArgs) -> anyhow::Result<ExitCode> {
    match args.task {
        IncidentTask::Show { id, reach, json } => {
            let incident = reach.get(&["incidents", &id.to_string()])?;
            if json {
                outln!("{}", serde_json::to_string_pretty(&incident)?);
            } else {
                show(&incident);
            }
            Ok(exit::answer(true))
        }
        IncidentTask::Bundle { id, reach } => {
            let path = path(&["incidents", &id.to_string(), "bundle"])?;
            out!("{}", reach.send(HttpRequest::get(path))?.text());
            Ok(exit::answer(true))
        }
        IncidentTask::Tick { id, step, reach, actor } => {
            post(&reach, id, "tick", json!({ "by": actor.by, "step": step }))
        }
        IncidentTask::Request { id, step, reach, actor } => {
            post(&reach, id, "request", json!({ "by": actor.by, "step": step }))
        }
        IncidentTask::LookAgain { id, reach, actor } => {
            post(&reach, id, "look-again", json!({ "by": actor.by }))
        }
        IncidentTask::Note { id, text, reach, actor } => {
            post(&reach, id, "note", json!({ "by": actor.by, "text": text }))
        }
        IncidentTask::Close { id, reason, reach, actor } => {
            post(&reach, id, "close", json!({ "by": actor.by, "reason": reason }))
        }
    }
}

pub fn approve(args: ApproveArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "by": args.actor.by, "digest": args.digest });
    post(&args.reach, args.id, "approve", body)
}

pub fn reject(args: RejectArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "by": args.actor.by, "reason": args.reason });
    post(&args.reach, args.id, "reject", body)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("-")
}

fn show(incident: &Value) {
    outln!("Incident {}: {}", incident["id"], text(incident, "alert"));
    outln!("  {}", text(incident, "summary"));
    outln!("  system   {}", text(incident, "system"));
    outln!("  stage    {}", text(incident, "stage"));
    outln!("  since    {}", text(incident, "since"));
    if incident["blind"].is_object() {
        let blind = &incident["blind"];
        outln!("  blind    since {}: {}", text(blind, "since"), text(blind, "reason"));
    }
    if let Some(lead) = incident["under"].as_u64() {
        outln!("  part of  incident {lead}");
    }
    if incident["lost"].is_object() {
        let lost = &incident["lost"];
        outln!("  lost     {}: {}", text(lost, "target"), text(lost, "reason"));
        outln!("  seen     {}", text(lost, "last_seen"));
        outln!("  rules    {} read its samples", lost["rule_count"]);
    }
    let list = |key: &str| incident[key].as_array().cloned().unwrap_or_default();
    if !list("members").is_empty() {
        outln!("\nBlind because of it");
    }
    for member in list("members") {
        let state = if member["blind"] == true { "blind" } else { "known again" };
        outln!("  {:>4}  {:12}  {}", member["id"].to_string(), state, text(&member, "alert"));
    }
    outln!("\nEvidence");
    for step in list("evidence") {
        outln!("  {:<18} {}", text(&step, "step"), text(&step, "summary"));
    }
    outln!("\nCauses");
    for cause in list("causes") {
        let likely = if cause["likely"] == true { ">" } else { " " };
        let (judgement, title) = (text(&cause, "judgement"), text(&cause, "title"));
        outln!("{likely} {judgement:<10} {title}: {}", text(&cause, "because"));
    }
    if let Some(proposal) = incident.get("proposal").filter(|proposal| !proposal.is_null()) {
        outln!("\nProposed: {} on {}", text(proposal, "uses"), text(proposal, "system"));
        for (name, value) in proposal["args"].as_object().into_iter().flatten() {
            outln!("  {name} = {value}");
        }
        outln!("  because  {}", text(proposal, "precondition"));
        outln!("  hits     {}", text(proposal, "blast_radius"));
        outln!(
            "  needs    {} approval, digest {}",
            text(proposal, "approval"),
            text(proposal, "digest")
        );
        outln!("\n  paramedic approve {0}    paramedic reject {0} REASON", incident["id"]);
    }
    outln!("\nTimeline");
    for line in list("timeline") {
        outln!("  {}  {}", text(&line, "at"), text(&line, "text"));
    }
}

/// Asks something of an incident, and prints why it was refused.
fn post(reach: &Reach, id: u64, verb: &str, body: Value) -> anyhow::Result<ExitCode> {
    let path = path(&["incidents", &id.to_string(), verb])?;
    let response = reach.send(HttpRequest::post_json(path, &body))?;
    if response.status.is_success() {
        eprintln!("incident {id}: {verb}: done");
        return Ok(exit::answer(true));
    }
    let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    match answer["error"].as_str() {
        Some(reason) => eprintln!("incident {id}: {verb}: {reason}"),
        None => bail!("the server answers HTTP {}", response.status.as_u16()),
    }
    Ok(exit::answer(false))
}
