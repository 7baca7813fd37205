//! The bar: how far ahead of Prometheus ours is to be at 100,000 series, and whether it is.

use super::table::number;

/// At how many series the bar holds. At another size a ratio proves nothing about it.
pub const BAR_SERIES: usize = 100_000;

/// What is asked of one measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// At least so many times better than Prometheus.
    Times(f64),
    /// At most so much, whatever others take.
    AtMost(f64),
}

/// Whether a bar is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    Reached { got: f64 },
    Missed { got: f64 },
    Unknown,
}

impl Bar {
    /// Judges a measure: what ours took, what Prometheus took, and whether more is better.
    pub fn judge(self, more: bool, ours: Option<f64>, prometheus: Option<f64>) -> Verdict {
        let (got, reached) = match self {
            Self::Times(wanted) => {
                let Some((ours, other)) = ours.zip(prometheus) else { return Verdict::Unknown };
                let Some(times) = ratio(more, ours, other) else { return Verdict::Unknown };
                (times, times >= wanted)
            }
            Self::AtMost(most) => {
                let Some(ours) = ours else { return Verdict::Unknown };
                (ours, ours <= most)
            }
        };
        if reached { Verdict::Reached { got } } else { Verdict::Missed { got } }
    }

    /// The verdict as people read it: `not reached: 3.10x of 5.00x`.
    pub fn says(self, verdict: Verdict) -> String {
        let (word, got) = match verdict {
            Verdict::Reached { got } => ("reached", got),
            Verdict::Missed { got } => ("not reached", got),
            Verdict::Unknown => return format!("not measured, of {}", self.wanted()),
        };
        match self {
            Self::Times(_) => format!("{word}: {}x of {}", number(got), self.wanted()),
            Self::AtMost(_) => format!("{word}: {} of {}", number(got), self.wanted()),
        }
    }

    fn wanted(self) -> String {
        match self {
            Self::Times(times) => format!("{times}x"),
            Self::AtMost(most) => format!("at most {most}"),
        }
    }
}

/// How many times better `ours` is; `None` where that cannot be said.
pub fn ratio(more: bool, ours: f64, other: f64) -> Option<f64> {
    let (better, worse) = if more { (ours, other) } else { (other, ours) };
    (worse > 0.0 && better >= 0.0).then(|| better / worse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_is_less_or_more() {
        assert_eq!(ratio(false, 2.0, 10.0), Some(5.0));
        assert_eq!(ratio(true, 10.0, 2.0), Some(5.0));
        assert_eq!(ratio(false, 0.0, 10.0), None);
    }

    #[test]
    fn verdicts_tell_what_was_got_and_what_was_wanted() {
        let says = |bar: Bar, more, ours, other| bar.says(bar.judge(more, ours, other));
        let five = Bar::Times(5.0);
        assert_eq!(says(five, false, Some(2.0), Some(6.2)), "not reached: 3.10x of 5x");
        assert_eq!(says(five, false, Some(1.0), Some(5.0)), "reached: 5.00x of 5x");
        assert_eq!(says(five, true, Some(60.0), Some(2.0)), "reached: 30.0x of 5x");
        assert_eq!(says(five, false, Some(1.0), None), "not measured, of 5x");
        assert_eq!(says(five, false, None, Some(1.0)), "not measured, of 5x");
        let quarter = Bar::AtMost(0.25);
        assert_eq!(says(quarter, false, Some(0.1), None), "reached: 0.1000 of at most 0.25");
        assert_eq!(
            says(quarter, false, Some(0.3), Some(9.0)),
            "not reached: 0.3000 of at most 0.25"
        );
        let none = Bar::AtMost(0.0);
        assert_eq!(says(none, false, Some(0.0), Some(9.0)), "reached: 0 of at most 0");
        assert_eq!(says(none, false, Some(1.0), Some(9.0)), "not reached: 1.00 of at most 0");
    }
}
