use std::time::Duration;

use paramedic_model::{IncidentId, TimeMs, format_duration};

use crate::{Policy, Proposal, Signal, Verdict};

/// What the engine found around an action, right before it would run.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Now.
    pub now: TimeMs,
    /// Whether the alert fires, by an evaluation on the newest samples.
    pub signal: Signal,
    /// The freeze or maintenance window that holds now, by its name.
    pub frozen: Option<String>,
    /// Another incident whose action is under way on the same system.
    pub busy: Option<IncidentId>,
    /// When the same action ran on the same thing, in this incident or another.
    pub earlier: Vec<TimeMs>,
    /// On how many systems the same alert fires.
    pub systems_with_alert: usize,
    /// The action's own look, taken afresh.
    pub fresh: Result<Fresh, String>,
}

/// The action's own look at the moment of acting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// Why it may run; `Err`, why it must not.
    pub precondition: Result<String, String>,
    /// How many other things it would interrupt now.
    pub blast_count: u32,
}

/// Asks every guard. The action runs only if all let it pass.
pub fn judge(proposal: &Proposal, policy: &Policy, around: &Surroundings) -> Vec<Verdict> {
    let verdict = |guard: &str, result: Result<String, String>| {
        let pass = result.is_ok();
        let reason = result.unwrap_or_else(|reason| reason);
        Verdict { guard: guard.to_owned(), pass, reason }
    };
    vec![
        verdict("alert still fires", still_fires(around.signal)),
        verdict(
            "no freeze",
            match &around.frozen {
                Some(window) => Err(format!("{window} holds now")),
                None => Ok("no freeze or maintenance window holds now".to_owned()),
            },
        ),
        verdict(
            "system is free",
            match around.busy {
                Some(id) => Err(format!("incident {id} acts on {} right now", proposal.system)),
                None => Ok(format!("nobody else acts on {}", proposal.system)),
            },
        ),
        verdict("cool-down", cool_down(policy, around)),
        verdict("attempts", attempts(policy, around)),
        verdict("no common cause", common_cause(policy, around)),
        verdict(
            "precondition",
            match &around.fresh {
                Ok(fresh) => fresh.precondition.clone(),
                Err(reason) => Err(reason.clone()),
            },
        ),
        verdict("blast radius", blast_radius(proposal, around)),
    ]
}

fn still_fires(signal: Signal) -> Result<String, String> {
    match signal {
        Signal::Firing => Ok("its expression holds on the newest samples".to_owned()),
        Signal::Blind => Err("its series vanished, so nobody can say".to_owned()),
        Signal::Clear => Err("its expression is clear".to_owned()),
    }
}

fn cool_down(policy: &Policy, around: &Surroundings) -> Result<String, String> {
    let last = around.earlier.iter().max();
    match last.map(|last| around.now.since(*last)) {
        Some(ago) if ago < policy.cooldown => {
            let (ago, rest) = (round(ago), format_duration(policy.cooldown));
            Err(format!("the same action ran {ago} ago, and rests for {rest}"))
        }
        Some(ago) => Ok(format!("the same action ran {} ago", round(ago))),
        None => Ok("the same action has not run before".to_owned()),
    }
}

fn attempts(policy: &Policy, around: &Surroundings) -> Result<String, String> {
    let from = around.now - policy.attempts_window;
    let count = around.earlier.iter().filter(|at| **at > from).count();
    let window = format_duration(policy.attempts_window);
    if count < policy.attempts_max {
        Ok(format!("{count} of {} within {window} used", policy.attempts_max))
    } else {
        Err(format!("it ran {count} times within {window}; repeating it hides the cause"))
    }
}

fn common_cause(policy: &Policy, around: &Surroundings) -> Result<String, String> {
    let count = around.systems_with_alert;
    if count < policy.common_cause {
        Ok(format!("the alert fires on {count} of at most {} systems", policy.common_cause - 1))
    } else {
        Err(format!("the alert fires on {count} systems at once: look for what they share"))
    }
}

fn blast_radius(proposal: &Proposal, around: &Surroundings) -> Result<String, String> {
    let fresh = around.fresh.as_ref().map_err(Clone::clone)?;
    let (now, agreed) = (fresh.blast_count, proposal.blast_count);
    if now <= agreed {
        Ok(format!("{now} other things interrupted, {agreed} agreed to"))
    } else {
        Err(format!("{now} other things would be interrupted, and only {agreed} were agreed to"))
    }
}

/// Whole seconds.
fn round(duration: Duration) -> String {
    format_duration(Duration::from_secs(duration.as_secs()))
}
