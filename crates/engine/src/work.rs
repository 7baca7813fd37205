//! What runs beside the loop: looks and actions, each a future without access to the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paramedic_catalog::Args;
use paramedic_incident::{ApprovalWord, Fresh, Looked, Outcome, Proposal, Seen};
use paramedic_integration::{Action, ActionError, Happened, Look, Precondition, ProbeError};
use paramedic_model::{Clock, Redactor, TimeMs};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::pages::Call;
use crate::systems::Watched;

/// How long an action may look around before it is offered or sent.
const LOOK_DEADLINE: Duration = Duration::from_secs(60);
/// How long an action may take. After that its outcome is uncertain.
const ACTION_DEADLINE: Duration = Duration::from_secs(180);

/// What every piece of work is given.
#[derive(Clone)]
pub struct Bench {
    pub clock: Arc<dyn Clock>,
    pub redactor: Redactor,
    /// Since when the alert's condition has held.
    pub since: TimeMs,
}

impl Bench {
    fn look(&self) -> Look {
        Look { now: self.clock.now(), since: self.since }
    }
}

/// An error with its causes, redacted.
fn tell(redactor: &Redactor, error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    redactor.clean(&text)
}

/// Takes a diagnosis step.
pub async fn look(system: Arc<Watched>, call: Call, deadline: Duration, bench: Bench) -> Looked {
    let Call { uses, args: given } = call;
    let could_not = |reason: String, took: Duration| Looked::CouldNot {
        reason,
        took_ms: took.as_millis() as u64,
    };
    let (signature, probe) = match system.probe(&uses) {
        Ok(found) => found,
        Err(error) => return could_not(error.to_string(), Duration::ZERO),
    };
    let args = match Args::bind(&signature.params, &given) {
        Ok(args) => args,
        Err(error) => {
            return could_not(format!("nothing was sent: {error}"), Duration::ZERO);
        }
    };
    let (look, begun) = (bench.look(), Instant::now());
    let result = match tokio::time::timeout(deadline, probe.look(&args, look)).await {
        Ok(result) => result,
        Err(_) => Err(ProbeError::Deadline { target: system.name.to_string(), deadline }),
    };
    let took = begun.elapsed();
    match result {
        Ok(evidence) => match signature.check_facts(&evidence.facts) {
            Ok(()) => Looked::Saw(Seen {
                summary: bench.redactor.clean(&evidence.summary),
                facts: evidence.facts,
                excerpt: bench.redactor.clean(&evidence.excerpt),
                at_ms: look.now.0,
                took_ms: took.as_millis() as u64,
            }),
            Err(error) => could_not(format!("`{uses}` is defective: {error}"), took),
        },
        Err(error) => could_not(tell(&bench.redactor, &error), took),
    }
}

/// An action with its arguments bound.
pub struct Bound {
    action: Arc<dyn Action>,
    args: Args,
}

/// Binds the action that `uses` names.
pub fn bind(
    system: &Watched,
    uses: &str,
    given: &BTreeMap<String, String>,
) -> Result<Bound, String> {
    let (signature, action) = system.action(uses).map_err(|error| error.to_string())?;
    let args = Args::bind(&signature.params, given).map_err(|error| error.to_string())?;
    Ok(Bound { action, args })
}

/// Looks into an action: its own precondition, and what it would hit, counted and in words.
async fn look_into(bound: &Bound, bench: &Bench) -> Result<(Fresh, String), String> {
    let looking = async {
        let look = bench.look();
        let precondition = match bound.action.precondition(&bound.args, look).await? {
            Precondition::Holds(reason) => Ok(bench.redactor.clean(&reason)),
            Precondition::Fails(reason) => Err(bench.redactor.clean(&reason)),
        };
        let blast = bound.action.blast_radius(&bound.args, look).await?;
        let fresh = Fresh { precondition, blast_count: blast.count };
        Ok::<_, ProbeError>((fresh, bench.redactor.clean(&blast.summary)))
    };
    match tokio::time::timeout(LOOK_DEADLINE, looking).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(format!("could not look: {}", tell(&bench.redactor, &error))),
        Err(_) => Err(format!("could not look: no answer within {} s", LOOK_DEADLINE.as_secs())),
    }
}

/// Looks into an action right before it would run, for the guards.
pub async fn fresh(bound: &Bound, bench: &Bench) -> Result<Fresh, String> {
    Ok(look_into(bound, bench).await?.0)
}

/// Looks into the action of a step and makes the offer of it.
pub async fn prepare(
    system: Arc<Watched>,
    step: String,
    call: Call,
    approval: ApprovalWord,
    bench: Bench,
) -> Result<Proposal, String> {
    let Call { uses, args: given } = call;
    let bound = bind(&system, &uses, &given)?;
    let (fresh, blast_radius) = look_into(&bound, &bench).await?;
    let precondition = fresh.precondition?;
    let args = bound.args.to_texts();
    let system = system.name.to_string();
    let digest = digest(&step, &uses, &args, &system);
    Ok(Proposal {
        step,
        uses,
        args,
        system,
        precondition,
        blast_count: fresh.blast_count,
        blast_radius,
        approval,
        digest,
    })
}

/// The identity of an offer. An approval holds for this and nothing else.
fn digest(step: &str, uses: &str, args: &BTreeMap<String, String>, system: &str) -> String {
    let mut hash = Sha256::new();
    let pairs = args.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    for text in [step, uses, system].into_iter().chain(pairs) {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Carries an action out, once.
pub async fn act(bound: Bound, bench: Bench) -> Outcome {
    let acting = bound.action.act(&bound.args, bench.look());
    match tokio::time::timeout(ACTION_DEADLINE, acting).await {
        Ok(Ok(acted)) => Outcome::Done(bench.redactor.clean(&acted.summary)),
        Ok(Err(error @ (ActionError::Refused(_) | ActionError::Ineffective(_)))) => {
            Outcome::Failed(tell(&bench.redactor, &error))
        }
        Ok(Err(error @ ActionError::Uncertain(_))) => {
            Outcome::Uncertain(tell(&bench.redactor, &error))
        }
        Err(_) => Outcome::Uncertain(format!("no outcome within {} s", ACTION_DEADLINE.as_secs())),
    }
}

/// Asks the system whether an action that was intended before a crash reached it.
pub async fn reconcile(bound: Bound, intended: TimeMs, bench: Bench) -> Happened {
    let looking = bound.action.happened(&bound.args, intended, bench.look());
    match tokio::time::timeout(LOOK_DEADLINE, looking).await {
        Ok(Ok(happened)) => happened,
        Ok(Err(error)) => {
            Happened::Unknown(format!("could not look: {}", tell(&bench.redactor, &error)))
        }
        Err(_) => Happened::Unknown(format!("no answer within {} s", LOOK_DEADLINE.as_secs())),
    }
}
