//! Rules and pages in the place of others, while everything runs.
//!
//! A group that is as it was stays untouched. One that changed takes over what the old one knew, rule
//! by rule ([`Group::take_over`]). The series of one that is gone end, unless another goes on with
//! them; its alerts end without a word, as in Prometheus, and their incidents stay open as blind,
//! because a rule that is gone has not seen a recovery.

use paramedic_model::TimeMs;
use paramedic_rules::{Group, GroupDefaults, GroupSpec, Rule, Text};

use crate::Engine;
use crate::alerts::Alerts;
use crate::pages::Pages;

/// What takes the place of rules and pages.
pub struct Reload {
    /// All groups.
    pub groups: Vec<Group>,
    /// All pages.
    pub pages: Pages,
}

/// What became of the groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// How many are as they were.
    pub kept: usize,
    /// How many changed and took over what they knew.
    pub changed: usize,
    /// How many are new.
    pub added: usize,
    /// How many are gone.
    pub removed: usize,
}

impl Engine {
    /// Takes new rules and pages.
    pub(crate) fn reload(&mut self, reload: Reload, now: TimeMs) -> Reloaded {
        let reloaded = self.alerts.replace(reload.groups, now);
        self.pages = reload.pages;
        self.forget_who_stands();
        let Reloaded { kept, changed, added, removed } = reloaded;
        tracing::info!(
            "rules are loaded anew: {kept} groups as they were, {changed} changed, {added} new, \
             {removed} gone"
        );
        reloaded
    }
}

impl Alerts {
    /// Puts groups in the place of those that are there.
    fn replace(&mut self, new: Vec<Group>, now: TimeMs) -> Reloaded {
        let mut reloaded = Reloaded::default();
        let (groups, gone) = replace(self.take_groups(), new, &mut reloaded);
        self.put_groups(groups);
        self.end(gone.into_iter().map(|group| without_rules(group, now)), now);
        reloaded
    }
}

/// The new groups with what the old ones knew, and the old ones that have no successor.
fn replace(old: Vec<Group>, new: Vec<Group>, count: &mut Reloaded) -> (Vec<Group>, Vec<Group>) {
    let mut old: Vec<Option<Group>> = old.into_iter().map(Some).collect();
    let mut groups = Vec::with_capacity(new.len());
    for mut group in new {
        let key = group.key();
        let mut slots = old.iter_mut();
        let slot = slots.find(|old| old.as_ref().is_some_and(|old| old.key() == key));
        match slot.and_then(Option::take) {
            Some(before) if is_same(&before, &group) => {
                count.kept += 1;
                groups.push(before);
            }
            Some(before) => {
                count.changed += 1;
                group.take_over(before);
                groups.push(group);
            }
            None => {
                count.added += 1;
                groups.push(group);
            }
        }
    }
    let gone: Vec<_> = old.into_iter().flatten().collect();
    count.removed = gone.len();
    (groups, gone)
}

/// The group that ends the series of one that is gone.
fn without_rules(gone: Group, now: TimeMs) -> Group {
    let spec = GroupSpec {
        name: gone.name().to_owned(),
        interval: Some(gone.interval()),
        query_offset: Some(gone.query_offset()),
        limit: None,
        evaluation: gone.schedule().trigger(),
        rules: Vec::new(),
    };
    let file = gone.file().to_owned();
    let mut ending = Group::new(&file, &spec, &GroupDefaults::default(), now);
    ending.take_over(gone);
    ending
}

/// Whether a group is written as it was.
fn is_same(a: &Group, b: &Group) -> bool {
    let head = |group: &Group| {
        (group.interval(), group.query_offset(), group.limit(), group.schedule().trigger())
    };
    head(a) == head(b)
        && a.rules().len() == b.rules().len()
        && a.rules().iter().zip(b.rules()).all(|(a, b)| is_same_rule(a.rule(), b.rule()))
}

fn is_same_rule(a: &Rule, b: &Rule) -> bool {
    let same_texts = |a: &[(String, Text)], b: &[(String, Text)]| {
        let text = |(name, text): &(String, Text)| (name.clone(), text.source.clone());
        a.iter().map(text).eq(b.iter().map(text))
    };
    match (a, b) {
        (Rule::Alert(a), Rule::Alert(b)) => {
            a.name == b.name
                && a.expr.text() == b.expr.text()
                && a.waits == b.waits
                && same_texts(&a.labels, &b.labels)
                && same_texts(&a.annotations, &b.annotations)
        }
        (Rule::Record(a), Rule::Record(b)) => {
            a.name == b.name && a.expr.text() == b.expr.text() && a.labels == b.labels
        }
        (Rule::Alert(_), Rule::Record(_)) | (Rule::Record(_), Rule::Alert(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use paramedic_model::{Labels, Sample, is_stale};
    use paramedic_promql::{EvalOptions, RowRef, Source as _};
    use paramedic_rules::RuleFile;
    use paramedic_samples::Window;

    use super::*;

    fn groups(text: &str) -> Vec<Group> {
        let file = RuleFile::parse("r.yml", text).expect("a rule file");
        let defaults = GroupDefaults::default();
        let group = |spec| Group::new("r.yml", spec, &defaults, TimeMs(0));
        file.groups.iter().map(group).collect()
    }

    #[test]
    fn groups_are_matched_by_file_and_name() {
        let check = |new: &str, expected: [usize; 4]| {
            let old = "groups: [{name: a, rules: [{alert: A, expr: up == 0}]}, {name: b}]";
            let mut count = Reloaded::default();
            replace(groups(old), groups(new), &mut count);
            let Reloaded { kept, changed, added, removed } = count;
            assert_eq!([kept, changed, added, removed], expected, "{new}");
        };
        check("groups: [{name: b}, {name: a, rules: [{alert: A, expr: up == 0}]}]", [2, 0, 0, 0]);
        check("groups: [{name: a, rules: [{alert: A, expr: up == 1}]}, {name: c}]", [0, 1, 1, 1]);
        let labelled = "{alert: A, expr: up == 0, labels: {x: y}}";
        check(&format!("groups: [{{name: a, rules: [{labelled}]}}]"), [0, 1, 0, 1]);
        check("groups: [{name: b, interval: 7s}]", [0, 1, 0, 1]);
        check("", [0, 0, 0, 2]);
    }

    /// All samples of the only series of a metric.
    fn samples(window: &Window, metric: &str) -> Vec<Sample> {
        let family = window.find_family(metric).expect("it was recorded");
        let mut samples = Vec::new();
        window.range(RowRef { family, row: 0 }, TimeMs(-1), TimeMs(i64::MAX), &mut samples);
        samples
    }

    #[test]
    fn series_of_a_group_that_is_gone_end_unless_another_has_them() {
        let group = |name: &str, rules: &str| {
            groups(&format!("groups: [{{name: {name}, interval: 10s, rules: [{rules}]}}]"))
        };
        let r = "{record: r, expr: vector(1)}";
        let mut window = Window::default();
        let mut alerts = Alerts::restore(
            group("a", &format!("{r}, {{record: s, expr: vector(1)}}")),
            &BTreeMap::new(),
            EvalOptions::default(),
            Labels::empty(),
            String::new(),
            None,
            TimeMs(0),
        );
        const GONE_AT: TimeMs = TimeMs(47_300);
        for now in (0..100_000).step_by(100).map(TimeMs) {
            if now == GONE_AT {
                alerts.replace(group("b", r), now);
            }
            alerts.evaluate_due(&mut window, now);
        }
        assert!(samples(&window, "r").iter().all(|sample| !is_stale(sample.value)));
        let ended = samples(&window, "s");
        let last = ended.last().expect("it was recorded");
        assert_eq!((last.at, is_stale(last.value)), (GONE_AT, true));
        // Nothing is left to be due for.
        assert_eq!(alerts.next_due(), alerts.groups().iter().map(Group::next_due).min());
    }
}
