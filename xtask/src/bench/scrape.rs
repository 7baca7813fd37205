//! Reading an engine's own `/metrics`.

/// The sum of a metric over its series in an exposition; `None` where it is not there.
pub fn sum(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        let value = match rest.rsplit_once('}') {
            Some((_, value)) => value,
            None => rest,
        };
        // A moment may follow the value.
        value.split_ascii_whitespace().next()?.parse::<f64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// What rules cost since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rounds {
    /// Seconds that evaluation took.
    pub seconds: f64,
    /// Evaluations of groups.
    pub groups: f64,
    /// Those that did not happen because the one before was not done.
    pub missed: f64,
    /// Rules that failed.
    pub failures: f64,
}

impl Rounds {
    /// As Prometheus, and we, tell it. `None` where the page does not.
    pub fn of_prometheus(page: &str) -> Option<Self> {
        Some(Self {
            seconds: sum(page, "prometheus_rule_group_duration_seconds_sum")?,
            groups: sum(page, "prometheus_rule_group_duration_seconds_count")?,
            missed: sum(page, "prometheus_rule_group_iterations_missed_total")?,
            failures: sum(page, "prometheus_rule_evaluation_failures_total")?,
        })
    }

    /// As vmalert tells it.
    pub fn of_vmalert(page: &str) -> Option<Self> {
        Some(Self {
            seconds: sum(page, "vmalert_iteration_duration_seconds_sum")?,
            groups: sum(page, "vmalert_iteration_duration_seconds_count")?,
            missed: sum(page, "vmalert_iteration_missed_total")?,
            failures: sum(page, "vmalert_execution_errors_total")?,
        })
    }

    /// What came since `then`.
    pub fn since(self, then: Self) -> Self {
        Self {
            seconds: self.seconds - then.seconds,
            groups: self.groups - then.groups,
            missed: self.missed - then.missed,
            failures: self.failures - then.failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_series() {
        let text =
            "# HELP a x\na{g=\"1 }\"} 2\na{g=\"2\"} 3.5\na{g=\"3\"} 1e1 1700000000000\nab 7\n";
        assert_eq!(sum(text, "a"), Some(15.5));
        assert_eq!(sum(text, "ab"), Some(7.0));
        assert_eq!(sum(text, "b"), None);
    }

    #[test]
    fn rounds_are_read_in_both_dialects_or_not_at_all() {
        let page = "prometheus_rule_group_duration_seconds{quantile=\"0.5\"} 9\n\
                    prometheus_rule_group_duration_seconds_sum 1.5\n\
                    prometheus_rule_group_duration_seconds_count 3\n\
                    prometheus_rule_group_iterations_missed_total{rule_group=\"f;a\"} 1\n\
                    prometheus_rule_group_iterations_missed_total{rule_group=\"f;b\"} 2\n";
        assert_eq!(Rounds::of_prometheus(page), None);
        let page = format!("{page}prometheus_rule_evaluation_failures_total{{x=\"y\"}} 4\n");
        let rounds = Rounds { seconds: 1.5, groups: 3.0, missed: 3.0, failures: 4.0 };
        assert_eq!(Rounds::of_prometheus(&page), Some(rounds));
        let page = "vmalert_iteration_duration_seconds_sum{group=\"a\", file=\"f\"} 1.5\n\
                    vmalert_iteration_duration_seconds_count{group=\"a\", file=\"f\"} 3\n\
                    vmalert_iteration_missed_total{group=\"a\", file=\"f\"} 3\n\
                    vmalert_execution_errors_total 4\n";
        assert_eq!(Rounds::of_vmalert(page), Some(rounds));
        let nothing = Rounds { seconds: 0.0, groups: 0.0, missed: 0.0, failures: 0.0 };
        assert_eq!(rounds.since(rounds), nothing);
    }
}
