//! Why an alert fires at some moment, or what holds it back: an operand, a join, a label, or `for`.
//!
//! ```text
//! the expression now      parts and values, what emptied it        (promql: `Plan::explain`)
//! the expression before   spells in which it held  ----.----->  long enough for `for`?
//! ```
//!
//! It reads nothing but samples, so it answers for every moment that the window reaches, whether the
//! rule was evaluated then or not. Not here: the state that a group keeps of its alerts.

use std::fmt;
use std::time::Duration;

use paramedic_model::{Labels, METRIC_NAME, TimeMs, format_duration};
use paramedic_promql::{EvalOptions, Explanation, Plan, Source, Value};

use crate::{AlertRule, Waits};

/// How long before the moment spells are looked for, beside the waits of the rule.
const LOOK_BACK: Duration = Duration::from_secs(15 * 60);
/// At how many moments the expression is evaluated at most.
const STEPS_MAX: u32 = 500;
/// How many spells are told.
const SPELLS_MAX: usize = 20;

/// An alert rule taken apart at one moment.
#[derive(Clone, Debug)]
pub struct Why {
    /// The parts of its expression.
    pub explanation: Explanation,
    /// Since when the expression was looked at.
    pub looked_from: TimeMs,
    /// When it held, the newest first; at most twenty.
    pub spells: Vec<Spell>,
    /// What all that comes to.
    pub verdict: Verdict,
}

/// A time in which the expression held for one label set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spell {
    /// The labels of the element, without the metric name and without those that the rule sets.
    pub labels: Labels,
    /// The first evaluation in which it held, as far as one looked.
    pub from: TimeMs,
    /// The last one.
    pub until: TimeMs,
    /// Whether it still held at the moment that was asked for.
    pub lasts: bool,
}

impl Spell {
    /// From the first to the last evaluation.
    pub fn length(&self) -> Duration {
        self.until.since(self.from)
    }
}

/// What an alert comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fires for so many label sets.
    Fires(usize),
    /// The expression holds and must go on doing so.
    Pending {
        /// Since when.
        since: TimeMs,
        /// When it will have held for long enough.
        fires_at: TimeMs,
    },
    /// The expression does not hold any more; `keep_firing_for` bridges it.
    KeepsFiring {
        /// When that is over.
        until: TimeMs,
    },
    /// It held before, never for as long as `for` wants.
    TooShort {
        /// The longest time.
        longest: Spell,
        /// `for`.
        hold: Duration,
    },
    /// It held before for long enough, and does not now.
    Over {
        /// The last evaluation in which it held.
        at: TimeMs,
        /// Which part is empty now, and why, where that is known.
        held: Option<String>,
    },
    /// It does not hold and did not.
    Silent {
        /// Which part is empty, and why, where that is known.
        held: Option<String>,
    },
    /// It cannot be evaluated.
    Fails(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |held: &Option<String>| match held {
            Some(held) => format!(": {held}"),
            None => String::new(),
        };
        match self {
            Verdict::Fires(1) => f.write_str("it fires"),
            Verdict::Fires(count) => write!(f, "it fires for {count} label sets"),
            Verdict::Pending { since, fires_at } => write!(
                f,
                "it is pending: the expression holds since {since} and has to until {fires_at}"
            ),
            Verdict::KeepsFiring { until } => write!(
                f,
                "it fires, although the expression does not hold: keep_firing_for lasts until {until}"
            ),
            Verdict::TooShort { longest, hold } => write!(
                f,
                "it does not fire: the expression held from {} to {}, that is {} of the {} that `for` \
                 wants",
                longest.from,
                longest.until,
                format_duration(longest.length()),
                format_duration(*hold),
            ),
            Verdict::Over { at, held } => {
                write!(
                    f,
                    "it does not fire any more: the expression last held at {at}{}",
                    because(held)
                )
            }
            Verdict::Silent { held } => {
                write!(f, "it does not fire: the expression is empty{}", because(held))
            }
            Verdict::Fails(reason) => write!(f, "it cannot be evaluated: {reason}"),
        }
    }
}

impl AlertRule {
    /// Why the alert of this rule, evaluated every `interval`, fires at `at`, or does not.
    pub fn why(
        &self,
        source: &dyn Source,
        at: TimeMs,
        interval: Duration,
        options: &EvalOptions,
    ) -> Why {
        let explanation = self.expr.explain(source, at, options);
        let waited = self.waits.hold.saturating_add(self.waits.keep_firing_for);
        let back = waited.saturating_add(LOOK_BACK);
        let step = interval.max(back / STEPS_MAX).max(Duration::from_millis(1));
        // The last step is the moment itself.
        let steps = (back.as_millis() / step.as_millis()) as u32;
        let looked_from = at - step * steps;
        let past = spells(&self.expr, source, looked_from, at, step, options);
        let mut spells = past.unwrap_or_default();
        spells.sort_by_key(|spell| std::cmp::Reverse((spell.until, spell.from)));
        let verdict = judge(&explanation, &spells, self.waits, &self.expr, at);
        spells.truncate(SPELLS_MAX);
        Why { explanation, looked_from, spells, verdict }
    }
}

/// When the expression held; `None` where it could not be evaluated.
fn spells(
    plan: &Plan,
    source: &dyn Source,
    start: TimeMs,
    end: TimeMs,
    step: Duration,
    options: &EvalOptions,
) -> Option<Vec<Spell>> {
    let evaluation = plan.eval_range(source, start, end, step, options).ok()?;
    let Value::Matrix(all) = evaluation.value else { return None };
    let mut spells: Vec<Spell> = Vec::new();
    for series in all {
        let mut builder = series.labels.to_builder();
        builder.remove(METRIC_NAME);
        let labels = builder.build();
        let begun = spells.len();
        for sample in &series.samples {
            let lasts = sample.at == end;
            match spells.get_mut(begun..).and_then(<[_]>::last_mut) {
                Some(spell) if spell.until + step == sample.at => {
                    (spell.until, spell.lasts) = (sample.at, lasts);
                }
                _ => {
                    let (from, until) = (sample.at, sample.at);
                    spells.push(Spell { labels: labels.clone(), from, until, lasts });
                }
            }
        }
    }
    Some(spells)
}

fn judge(
    explanation: &Explanation,
    spells: &[Spell],
    waits: Waits,
    plan: &Plan,
    at: TimeMs,
) -> Verdict {
    if let Some(error) = &explanation.error {
        return Verdict::Fails(error.to_string());
    }
    let is_long = |spell: &&Spell| spell.length() >= waits.hold;
    let lasting = || spells.iter().filter(|spell| spell.lasts);
    let firing = lasting().filter(is_long).count();
    if firing > 0 {
        return Verdict::Fires(firing);
    }
    if let Some(since) = lasting().map(|spell| spell.from).min() {
        return Verdict::Pending { since, fires_at: since + waits.hold };
    }
    let fired = spells.iter().filter(is_long).map(|spell| spell.until).max();
    // `keep_firing_for` counts from the first evaluation in which it does not hold; the last one in
    // which it did is at most an interval earlier.
    if let Some(last) = fired.filter(|last| at.since(*last) < waits.keep_firing_for) {
        return Verdict::KeepsFiring { until: last + waits.keep_firing_for };
    }
    let held = explanation.held().and_then(|part| {
        let why = part.held.as_ref()?;
        Some(format!("{}: {why}", part.span.of(plan.text())))
    });
    if let Some(at) = fired {
        return Verdict::Over { at, held };
    }
    match spells.iter().max_by_key(|spell| spell.length()) {
        Some(longest) => Verdict::TooShort { longest: longest.clone(), hold: waits.hold },
        None => Verdict::Silent { held },
    }
}
