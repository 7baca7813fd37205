use std::time::Duration;

use paramedic_catalog::Approval;
use paramedic_model::{IncidentId, TimeMs};

use crate::{
    CauseVerdict, Ending, Event, Incident, Looked, Outcome, PlannedStep, Proposal, Settled, Signal,
    Stage, StepWork, SystemChoice, TARGET_LOST, Verdict, closing_report,
};

/// What the configuration says about acting: the `guards` block.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Whether actions whose step says `automatic` run without a person. Default: no.
    pub automatic: bool,
    /// The largest blast radius of an action that runs without a person. Default: 0.
    pub automatic_blast_max: u32,
    /// How long the same action on the same thing rests after it ran. Default: 10 min.
    pub cooldown: Duration,
    /// How often the same action on the same thing may run within `attempts_window`. Default: 2.
    pub attempts_max: usize,
    /// Default: 1 h.
    pub attempts_window: Duration,
    /// On how many systems the same alert may fire at once before a common cause is assumed and
    /// nothing is done. Default: 3.
    pub common_cause: usize,
    /// How long an alert must stay clear before its incident closes. Default: 2 min.
    pub watch: Duration,
    /// How long after "nothing to do" the diagnosis is taken again while the alert fires.
    /// Default: 5 min.
    pub recheck: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            automatic: false,
            automatic_blast_max: 0,
            cooldown: Duration::from_secs(600),
            attempts_max: 2,
            attempts_window: Duration::from_secs(3600),
            common_cause: 3,
            watch: Duration::from_secs(120),
            recheck: Duration::from_secs(300),
        }
    }
}

/// What [`decide`] must know besides the incident.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The configuration's word on acting.
    pub policy: &'a Policy,
    /// Who takes over: the contact of the system's configuration.
    pub contact: &'a str,
    /// How long the page wants the alert watched after it is clear, where it says so.
    pub watch: Option<Duration>,
    /// What the page advises against the next time: lines of the closing report.
    pub advice: &'a [String],
}

/// The causes as judged by the page on this round's evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// All causes, in the page's order.
    pub causes: Vec<CauseVerdict>,
    /// The likely one.
    pub likely: Option<String>,
    /// The steps that it asks for.
    pub plan: Vec<PlannedStep>,
    /// Why nothing is to be done, where the likely cause says so.
    pub nothing_to_do: Option<String>,
}

/// What can come to an incident.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A diagnosis step was taken.
    Looked {
        /// Its id.
        step: String,
        /// What came of it.
        looked: Looked,
    },
    /// The causes were judged.
    Diagnosis(Diagnosis),
    /// The action of the step was looked into.
    Prepared {
        /// Its id.
        step: String,
        /// The offer, or why there is none.
        proposal: Result<Proposal, String>,
    },
    /// The guards spoke. If all let it pass, the action is about to be sent.
    Judged {
        /// The id of the step.
        step: String,
        /// Their verdicts.
        verdicts: Vec<Verdict>,
    },
    /// The action has an outcome, now or found out after a crash.
    Acted {
        /// The id of the step.
        step: String,
        /// What came of it.
        outcome: Outcome,
    },
    /// After a crash: the intended action did not reach the system.
    NotActed {
        /// The id of the step.
        step: String,
        /// How that is known.
        reason: String,
    },
    /// The alert's expression is clear, on fresh samples.
    Clear {
        /// On what grounds.
        reason: String,
    },
    /// The alert's series vanished.
    Blind {
        /// What is missing.
        reason: String,
        /// The target that they went with, where it is one target's loss.
        target: Option<String>,
    },
    /// Another incident is about the loss of the target that this alert's series went with.
    Join {
        /// That incident.
        lead: IncidentId,
        /// The target.
        target: String,
    },
    /// Another incident is about the same outage.
    TakenOver {
        /// Which, and why.
        reason: String,
    },
    /// A direct read says that what the alert was about is no longer there.
    Removed {
        /// What was read.
        reason: String,
    },
    /// The alert fires.
    Firing,
    /// The alert does not fire yet, but its expression holds again and its `for` is waited out.
    Holding,
    /// A moment that the incident wanted to be woken at.
    Wake,
    /// Somebody agrees to the proposal with this digest.
    Approve {
        /// Who.
        by: String,
        /// What they saw; `None` agrees to whatever is on offer.
        digest: Option<String>,
    },
    /// Somebody refuses the proposal.
    Reject {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Somebody did a manual step.
    Tick {
        /// Who.
        by: String,
        /// Its id.
        step: String,
    },
    /// Somebody asks for a mitigation step.
    Request {
        /// Who.
        by: String,
        /// The step.
        step: PlannedStep,
    },
    /// Somebody asks for another diagnosis.
    LookAgain {
        /// Who.
        by: String,
    },
    /// Somebody writes something down.
    Note {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// Somebody closes the incident.
    Close {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// Why an input has no effect. What a person asked for gets this as the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// The events that `input` leads to, those included that follow from them at once.
///
/// # Errors
///
/// An input that does not fit where the incident stands. A late answer of a probe is one too, and
/// the engine drops it.
pub fn decide(
    incident: &Incident,
    context: &Context<'_>,
    input: Input,
    now: TimeMs,
) -> Result<Vec<Event>, Refusal> {
    let mut events = direct(incident, context, input, now)?;
    let mut state = incident.clone();
    events.iter().for_each(|event| state.apply(now, event.clone()));
    while let Some(event) = follow_up(&state, context, now) {
        state.apply(now, event.clone());
        events.push(event);
    }
    Ok(events)
}

/// The events that an input is.
fn direct(
    incident: &Incident,
    context: &Context<'_>,
    input: Input,
    now: TimeMs,
) -> Result<Vec<Event>, Refusal> {
    let refuse = |reason: &str| Err(Refusal(reason.to_owned()));
    if !incident.is_open() {
        return match input {
            Input::Note { by, text } => Ok(vec![Event::Noted { by, text }]),
            _ => Err(Refusal(format!("incident {} is closed", incident.id))),
        };
    }
    let offered = incident.proposal.as_ref().filter(|_| incident.stage == Stage::Waiting);
    let round = incident.round + 1;
    let event = match input {
        Input::Looked { step, looked } => {
            if incident.stage != Stage::Diagnosing || incident.looked.contains_key(&step) {
                return refuse("this step was already taken");
            }
            Event::Probed { step, looked }
        }
        Input::Diagnosis(found) => {
            if incident.stage != Stage::Diagnosing {
                return refuse("the diagnosis is already made");
            }
            let Diagnosis { causes, likely, plan, nothing_to_do } = found;
            Event::Diagnosed { causes, likely, plan, nothing_to_do }
        }
        Input::Prepared { step, proposal } => {
            let next = incident.plan.first().is_some_and(|planned| planned.id == step);
            if incident.stage != Stage::Proposing || !next {
                return refuse("this step is not the next one any more");
            }
            match proposal {
                Ok(proposal) => Event::Proposed(proposal),
                Err(reason) => Event::Unavailable { step, reason },
            }
        }
        Input::Judged { step, verdicts } => {
            let current = incident.proposal.as_ref().is_some_and(|p| p.step == step);
            if incident.stage != Stage::Acting || !current {
                return refuse("this action is not agreed to any more");
            }
            let pass = verdicts.iter().all(|verdict| verdict.pass);
            let attempt = incident.acts.len() as u32 + 1;
            let judged = Event::Judged { step: step.clone(), verdicts };
            return Ok(if pass {
                vec![judged, Event::Intended { step, attempt }]
            } else {
                vec![judged]
            });
        }
        Input::Acted { step, outcome } => {
            if incident.stage != Stage::InFlight {
                return refuse("no action is under way");
            }
            Event::Acted { step, outcome }
        }
        Input::NotActed { step, reason } => {
            if incident.stage != Stage::InFlight {
                return refuse("no action is under way");
            }
            Event::NotSent { step, reason }
        }
        Input::Clear { reason } => {
            if incident.signal == Signal::Clear {
                return refuse("already clear");
            }
            Event::Cleared { reason }
        }
        Input::Blind { reason, target } => {
            if incident.signal == Signal::Blind && incident.blind_on == target {
                return refuse("already known to be blind");
            }
            Event::Blind { reason, target }
        }
        Input::Join { lead, target } => {
            let is_blind_on_it = incident.blind_on.as_ref() == Some(&target);
            if !is_blind_on_it || incident.under == Some(lead) || incident.id == lead {
                return refuse("it stands where it belongs");
            }
            Event::Joined { lead: lead.0, target }
        }
        Input::TakenOver { reason } => {
            if matches!(incident.stage, Stage::InFlight | Stage::Verifying { .. }) {
                return refuse("an action is under way; wait for its outcome");
            }
            let report = format!("Closed because {reason}.");
            return Ok(vec![Event::Closed { ending: Ending::TakenOver, report }]);
        }
        Input::Removed { reason } => {
            // What our own action restarts is gone for a moment; that is no end yet.
            if matches!(incident.stage, Stage::InFlight | Stage::Verifying { .. }) {
                return match incident.signal {
                    Signal::Blind => refuse("already known to be blind"),
                    Signal::Firing | Signal::Clear => {
                        Ok(vec![Event::Blind { reason, target: None }])
                    }
                };
            }
            let report = format!("{reason}.");
            let by = if incident.opened.lost.is_some() { "discovery" } else { "direct read" };
            return Ok(vec![
                Event::Noted { by: by.to_owned(), text: reason },
                Event::Closed { ending: Ending::Removed, report },
            ]);
        }
        Input::Firing => {
            if incident.signal == Signal::Firing {
                return refuse("already firing");
            }
            Event::Firing
        }
        Input::Holding => match (incident.signal, &incident.stage) {
            // It was never known to have cleared, so this is the same outage.
            (Signal::Blind, _) => Event::Firing,
            // Not a relapse before `for` has passed, but no recovery to close on either.
            (Signal::Clear, Stage::Watching { until }) if now >= *until => watching(context, now),
            _ => return refuse("nothing new"),
        },
        Input::Wake => return Ok(woken(incident, now)),
        Input::Approve { by, digest } => {
            let Some(offer) = offered else { return refuse("nothing waits for approval") };
            if digest.is_some_and(|digest| digest != offer.digest) {
                return refuse("the proposal has changed since; look at it again");
            }
            if incident.approvals.contains(&by) {
                return refuse("you have approved this already; a second person must");
            }
            Event::Approved { step: offer.step.clone(), digest: offer.digest.clone(), by }
        }
        Input::Reject { by, reason } => {
            let Some(offer) = offered else { return refuse("nothing waits for approval") };
            let step = offer.step.clone();
            let handed = format!("{by} refused step `{step}`: {reason}");
            return Ok(vec![
                Event::Rejected { step, by: by.clone(), reason },
                Event::HandedOver { contact: by, reason: handed },
            ]);
        }
        Input::Tick { by, step } => {
            if incident.ticked.contains(&step) {
                return refuse("this step is ticked already");
            }
            Event::Ticked { step, by }
        }
        Input::Request { by, step } => {
            match incident.stage {
                Stage::Settled(_) | Stage::Waiting | Stage::Manual => {}
                _ => return refuse("wait until the present step is done"),
            }
            Event::Requested { step, by }
        }
        Input::LookAgain { by } => {
            match incident.stage {
                Stage::Settled(_) | Stage::Waiting | Stage::Manual => {}
                _ => return refuse("wait until the present step is done"),
            }
            Event::RoundStarted { round, reason: format!("{by} asked for it") }
        }
        Input::Note { by, text } => Event::Noted { by, text },
        Input::Close { by, reason } => {
            if incident.stage == Stage::InFlight {
                return refuse("an action is under way; wait for its outcome");
            }
            let report = format!("Closed by {by}: {reason}");
            return Ok(vec![
                Event::Noted { by, text: reason },
                Event::Closed { ending: Ending::ByPerson, report },
            ]);
        }
    };
    Ok(vec![event])
}

/// What a deadline that has come leads to.
fn woken(incident: &Incident, now: TimeMs) -> Vec<Event> {
    match incident.stage {
        Stage::Verifying { until } if now >= until => {
            let step = incident.acts.last().map(|act| act.step.clone()).unwrap_or_default();
            let reason = match incident.signal {
                Signal::Firing => "the alert's expression still holds",
                Signal::Blind => "the alert's series has not come back, so nobody can say",
                Signal::Clear => "the alert's expression is clear",
            };
            let recovered = incident.signal == Signal::Clear;
            vec![Event::Verified { step, recovered, reason: reason.to_owned() }]
        }
        _ => Vec::new(),
    }
}

/// The event that must come next, whatever led here; `None` where the incident may rest.
fn follow_up(incident: &Incident, context: &Context<'_>, now: TimeMs) -> Option<Event> {
    let hand_over =
        |reason: String| Some(Event::HandedOver { contact: context.contact.to_owned(), reason });
    let clear = incident.signal == Signal::Clear;
    match &incident.stage {
        Stage::Closed | Stage::InFlight => None,
        Stage::Verifying { .. } if clear => {
            let step = incident.acts.last()?.step.clone();
            // Verified once; then the watch begins.
            match incident.acts.last()?.recovered {
                None => {
                    let reason = match &incident.opened.outside {
                        None if incident.opened.lost.is_some() => {
                            "the target answers again".to_owned()
                        }
                        None => "the alert's expression is clear on fresh samples".to_owned(),
                        Some(outside) => {
                            format!("{} says that it is over", outside.via.as_str())
                        }
                    };
                    Some(Event::Verified { step, recovered: true, reason })
                }
                Some(_) => Some(watching(context, now)),
            }
        }
        Stage::Verifying { .. } => None,
        Stage::Watching { .. } if incident.signal == Signal::Firing => {
            let what =
                if incident.opened.lost.is_some() { "it is lost" } else { "the alert fires" };
            let reason = format!("{what} again");
            Some(Event::RoundStarted { round: incident.round + 1, reason })
        }
        // The watch begins anew after a time in which nobody could say.
        Stage::Watching { .. }
            if matches!(incident.events.last(), Some((_, Event::Cleared { .. }))) =>
        {
            Some(watching(context, now))
        }
        Stage::Watching { until } if clear && now >= *until => {
            let ending = ending(incident);
            let report = closing_report(incident, ending, context.advice, now);
            Some(Event::Closed { ending, report })
        }
        Stage::Watching { .. } => None,
        _ if clear => Some(watching(context, now)),
        Stage::Diagnosing => None,
        Stage::Acting | Stage::Manual => None,
        Stage::Waiting => {
            let offer = incident.proposal.as_ref()?;
            let may = offer.approval.0 == Approval::Automatic
                && context.policy.automatic
                && offer.blast_count <= context.policy.automatic_blast_max;
            may.then(|| Event::Approved {
                step: offer.step.clone(),
                digest: offer.digest.clone(),
                by: "policy".to_owned(),
            })
        }
        Stage::Settled(Settled::LeftAlone) => {
            let due = now >= incident.round_at + context.policy.recheck;
            (due && incident.signal == Signal::Firing).then(|| Event::RoundStarted {
                round: incident.round + 1,
                reason: "the alert still fires".to_owned(),
            })
        }
        Stage::Settled(Settled::HandedOver) => None,
        Stage::Proposing => match incident.plan.first() {
            None => exhausted(incident, hand_over),
            Some(PlannedStep { work: StepWork::Manual(_), title, .. }) => {
                hand_over(format!("the page asks for it: {title}"))
            }
            Some(step) if incident.opened.system.name().is_none() => {
                let reason = match &incident.opened.system {
                    SystemChoice::Several(names) => {
                        format!("the alert could be about {}", names.join(" or "))
                    }
                    _ => "no configured system matches the alert".to_owned(),
                };
                Some(Event::Unavailable { step: step.id.clone(), reason })
            }
            Some(_) => None,
        },
    }
}

/// Nothing is left of the plan, or there never was one.
fn exhausted(incident: &Incident, hand_over: impl Fn(String) -> Option<Event>) -> Option<Event> {
    let last = incident.events.last().map(|(_, event)| event)?;
    match last {
        Event::Diagnosed { nothing_to_do: Some(reason), .. } => {
            Some(Event::LeftAlone { reason: reason.clone() })
        }
        Event::Diagnosed { likely: None, .. } if incident.opened.runbook.is_none() => {
            hand_over(match &incident.opened.lost {
                Some(lost) => format!("{lost}; no runbook serves `{TARGET_LOST}`"),
                None => "no runbook serves this alert".to_owned(),
            })
        }
        Event::Diagnosed { causes, .. } if causes.is_empty() => {
            hand_over("the page is a checklist for a person".to_owned())
        }
        Event::Diagnosed { likely: None, .. } => hand_over(inconclusive(incident)),
        Event::Diagnosed { .. } => hand_over("the likely cause has no step to take".to_owned()),
        Event::Unavailable { step, reason } => {
            hand_over(format!("step `{step}` cannot be taken: {reason}"))
        }
        Event::Judged { step, verdicts } => {
            let against = verdicts.iter().filter(|verdict| !verdict.pass);
            let against: Vec<_> = against.map(|v| format!("{}: {}", v.guard, v.reason)).collect();
            hand_over(format!("step `{step}` was held back: {}", against.join("; ")))
        }
        Event::Acted { step, outcome: Outcome::Failed(reason) } => {
            hand_over(format!("step `{step}` failed: {reason}"))
        }
        Event::Acted { step, outcome: Outcome::Uncertain(reason) } => {
            hand_over(format!("nobody can say whether step `{step}` was carried out: {reason}"))
        }
        Event::Verified { step, reason, .. } => {
            hand_over(format!("step `{step}` did not help: {reason}"))
        }
        _ => hand_over("no step of the plan is left".to_owned()),
    }
}

/// Why no cause was named: a look that failed is not the same as a cause that was ruled out.
fn inconclusive(incident: &Incident) -> String {
    let failed = incident.looked.iter().filter_map(|(step, looked)| match looked {
        Looked::CouldNot { .. } => Some(format!("`{step}`")),
        Looked::Saw(_) | Looked::Skipped { .. } => None,
    });
    let failed: Vec<_> = failed.collect();
    match failed.as_slice() {
        [] => "the diagnosis is inconclusive: no cause is supported".to_owned(),
        failed => format!(
            "the diagnosis is inconclusive: no cause is supported, and nobody could look at {}",
            failed.join(", ")
        ),
    }
}

fn watching(context: &Context<'_>, now: TimeMs) -> Event {
    let watch = context.watch.unwrap_or(context.policy.watch);
    Event::Watching { until_ms: (now + watch).0 }
}

fn ending(incident: &Incident) -> Ending {
    if incident.acts.iter().any(|act| act.recovered == Some(true)) {
        Ending::Repaired
    } else if incident.handed_to.is_some() || incident.by_hand {
        Ending::HandedOver
    } else if incident.left_alone {
        Ending::NothingToDo
    } else {
        Ending::Recovered
    }
}
