//! Which alert rules stand on the samples of one target that cannot be looked at.
//!
//! Told by the rows that the selectors of a rule select: those that ended with the target, and those
//! that its failed collection brought all the same, `up` among them. A series belongs to the target
//! whose `job` and `instance` it has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use paramedic_model::{Labels, METRIC_NAME, TimeMs, is_stale};
use paramedic_promql::{ExprKind, Family, FamilyId, MatchOp, Matcher, Selector, Source, Symbol};
use paramedic_rules::{Group, Rule};

use crate::signal::{has_labels, row_of};

/// How much older than the collection that brought it a sample may be, and still be news: the usual
/// look-back of an expression.
const LOOKBACK: Duration = Duration::from_secs(300);

/// What alert rules have to do with a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The alert rules that read series which ended with the target, by their places in [`Readers`]:
    /// of a thousand targets, thousands of names would take much room.
    pub blind: Vec<u32>,
    /// Those of them that ask for what is absent, by name.
    pub absent: BTreeSet<String>,
    /// The groups, by key, with a rule that can tell of the loss: it reads what the failed collection
    /// brought, or asks for what is absent.
    pub listening: BTreeSet<String>,
}

/// A target in the window.
pub(crate) struct TargetSeries<'a> {
    pub source: &'a dyn Source,
    /// `job` and `instance` of its series, others make no difference.
    pub labels: &'a Labels,
    /// When it last answered.
    pub seen_at: TimeMs,
    /// When its newest collection began, which failed.
    pub read_at: TimeMs,
}

/// The rows of a target in one family.
#[derive(Default)]
struct Rows {
    ended: Vec<u32>,
    brought: Vec<u32>,
}

/// What the alert rules read: made once for a set of rules, asked for every target that is lost.
///
/// Thousands of rules have selectors in common, so each is kept once.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    rules: Vec<Reader>,
    selectors: Vec<(Selector, Vec<usize>)>,
}

#[derive(Debug)]
struct Reader {
    alert: String,
    group: String,
    /// Whether it asks for what is absent.
    asks_for_absence: bool,
}

impl Readers {
    /// Of the alert rules of these groups.
    pub fn new(groups: &[Group]) -> Self {
        let (mut readers, mut places) = (Self::default(), HashMap::new());
        for group in groups {
            let key = group.key();
            for state in group.rules() {
                let Rule::Alert(rule) = state.rule() else { continue };
                let expr = rule.expr.expr();
                let mut asks_for_absence = false;
                expr.walk(&mut |part| {
                    if let ExprKind::Call(call) = &part.kind {
                        let name = call.function.name;
                        asks_for_absence |= matches!(name, "absent" | "absent_over_time");
                    }
                });
                let index = readers.rules.len();
                for (_, selector) in expr.selectors() {
                    let text =
                        |m: &Matcher| format!("{}{}{:?}", m.name(), m.op().sign(), m.value());
                    let mut texts: Vec<_> = selector.matchers.iter().map(text).collect();
                    texts.sort_unstable();
                    let place = *places.entry(texts).or_insert_with(|| {
                        readers.selectors.push((selector.clone(), Vec::new()));
                        readers.selectors.len() - 1
                    });
                    readers.selectors[place].1.push(index);
                }
                let (alert, group) = (rule.name.clone(), key.clone());
                readers.rules.push(Reader { alert, group, asks_for_absence });
            }
        }
        readers
    }

    /// The names of the rules that are blind.
    pub fn blind(&self, standing: &Standing) -> BTreeSet<&str> {
        let rules = standing.blind.iter().filter_map(|place| self.rules.get(*place as usize));
        rules.map(|rule| rule.alert.as_str()).collect()
    }
}

impl TargetSeries<'_> {
    /// What the alert rules have to do with it.
    pub fn standing(&self, readers: &Readers) -> Standing {
        let mut standing = Standing::default();
        let Some(symbols) = self.symbols() else { return standing };
        let mut by_family = BTreeMap::new();
        let none = vec![false; readers.rules.len()];
        let (mut ended, mut brought) = (none.clone(), none);
        for (selector, rules) in &readers.selectors {
            for id in families(self.source, selector) {
                let rows = by_family.entry(id).or_insert_with(|| self.rows(id, symbols));
                let family = self.source.family(id);
                let selects = |rows: &[u32]| {
                    !rows.is_empty() && selects_any(self.source, &family, &selector.matchers, rows)
                };
                if selects(&rows.ended) {
                    rules.iter().for_each(|rule| ended[*rule] = true);
                }
                if selects(&rows.brought) {
                    rules.iter().for_each(|rule| brought[*rule] = true);
                }
            }
        }
        for (index, Reader { alert, group, asks_for_absence }) in readers.rules.iter().enumerate() {
            let is_absent = ended[index] && *asks_for_absence;
            if (brought[index] || is_absent) && !standing.listening.contains(group) {
                standing.listening.insert(group.clone());
            }
            if is_absent {
                standing.absent.insert(alert.clone());
            }
            if ended[index] {
                standing.blind.push(index as u32);
            }
        }
        standing
    }

    /// `job` and `instance` as the source has them.
    fn symbols(&self) -> Option<[(&'static str, Symbol); 2]> {
        let up = self.labels.with(METRIC_NAME, "up");
        let row = row_of(self.source, &up)?;
        let family = self.source.family(row.family);
        let symbol = |label| family.column(label)?.symbol(row.row);
        Some([("job", symbol("job")?), ("instance", symbol("instance")?)])
    }

    fn rows(&self, id: FamilyId, symbols: [(&str, Symbol); 2]) -> Rows {
        let family = self.source.family(id);
        let column = |(label, symbol): (&str, Symbol)| {
            let column = family.column(label)?;
            let code = column.values.iter().position(|value| *value == symbol)?;
            Some((&column.codes, code as u32))
        };
        let [Some((jobs, job)), Some((instances, instance))] = symbols.map(column) else {
            return Rows::default();
        };
        let mut rows = Rows::default();
        for row in 0..family.row_count() {
            if instances[row] != instance || jobs[row] != job {
                continue;
            }
            if is_brought(&family, row as u32, self.read_at) {
                rows.brought.push(row as u32);
            } else {
                // A sample may have a moment of its own, and then no marker says that it ended.
                let is_marked = is_stale(family.newest_value[row]);
                let from = if is_marked { self.seen_at } else { self.seen_at - LOOKBACK };
                if family.newest_at[row] >= from {
                    rows.ended.push(row as u32);
                }
            }
        }
        rows
    }
}

/// What failed collections of many targets brought all the same. The rows of a family are looked
/// through once, however many of its series are asked for.
pub(crate) struct Brought<'a> {
    source: &'a dyn Source,
    /// The rows of each family that was asked for, by `job` and `instance`.
    rows: HashMap<FamilyId, HashMap<(&'a str, &'a str), Vec<u32>>>,
}

impl<'a> Brought<'a> {
    /// Of the targets in this source as it is now.
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, rows: HashMap::new() }
    }

    /// Whether the collection that began at `read_at` brought the series with these labels.
    pub fn has(&mut self, series: &Labels, read_at: TimeMs) -> bool {
        let id = series.metric_name().and_then(|name| self.source.find_family(name));
        let Some(id) = id else { return false };
        let (source, family) = (self.source, self.source.family(id));
        let rows = self.rows.entry(id).or_insert_with(|| by_target(source, &family));
        let rows: &HashMap<(&str, &str), Vec<u32>> = rows;
        let mut rows = rows
            .get(&(series.value("job"), series.value("instance")))
            .into_iter()
            .flatten()
            .filter(|row| is_brought(&family, **row, read_at));
        rows.any(|row| has_labels(source, &family, *row, series))
    }
}

/// The rows of a family that have a `job` and an `instance`, by these.
fn by_target<'a>(
    source: &'a dyn Source,
    family: &Family<'a>,
) -> HashMap<(&'a str, &'a str), Vec<u32>> {
    let mut rows: HashMap<_, Vec<u32>> = HashMap::new();
    let columns = family.column("job").zip(family.column("instance"));
    let Some((jobs, instances)) = columns else { return rows };
    for row in 0..family.row_count() as u32 {
        if let Some((job, instance)) = jobs.symbol(row).zip(instances.symbol(row)) {
            rows.entry((source.text(job), source.text(instance))).or_default().push(row);
        }
    }
    rows
}

fn is_brought(family: &Family<'_>, row: u32, read_at: TimeMs) -> bool {
    let row = row as usize;
    family.newest_at[row] == read_at && !is_stale(family.newest_value[row])
}

/// The families that a selector may select from.
fn families(source: &dyn Source, selector: &Selector) -> Vec<FamilyId> {
    let fixed = selector.matchers.iter().find(|matcher| {
        matcher.name() == METRIC_NAME
            && matcher.op() == MatchOp::Equal
            && !matcher.value().is_empty()
    });
    match fixed {
        Some(name) => source.find_family(name.value()).into_iter().collect(),
        None => (0..source.family_count() as u32).map(FamilyId).collect(),
    }
}

/// Whether the matchers select one of these rows at least.
fn selects_any(
    source: &dyn Source,
    family: &Family<'_>,
    matchers: &[Matcher],
    rows: &[u32],
) -> bool {
    let mut filters = Vec::new();
    let (names, others): (Vec<_>, Vec<_>) =
        matchers.iter().partition(|matcher| matcher.name() == METRIC_NAME);
    if !names.iter().all(|matcher| matcher.matches(family.name)) {
        return false;
    }
    for matcher in others {
        match family.column(matcher.name()) {
            Some(column) => filters.push((column, matcher)),
            None if !matcher.matches("") => return false,
            None => {}
        }
    }
    rows.iter().any(|row| {
        filters.iter().all(|(column, matcher)| {
            let text = column.symbol(*row).map_or("", |symbol| source.text(symbol));
            matcher.matches(text)
        })
    })
}

#[cfg(test)]
mod tests {
    use paramedic_model::{Series, stale_nan};
    use paramedic_rules::{GroupDefaults, RuleFile};
    use paramedic_samples::{TargetId, Window, WindowOptions};

    use super::*;

    const LOST: &[(&str, &str)] = &[("job", "app"), ("instance", "a")];

    /// Two targets of one job, of which `a` answered at 15 s and fails at 30 s and 45 s.
    fn window() -> Window {
        let mut window = Window::new(WindowOptions::default());
        for (instance, fails) in [("a", true), ("b", false)] {
            let target = TargetId::from(format!("app/{instance}").as_str());
            for (at, up) in [(15_000, true), (30_000, !fails), (45_000, !fails)] {
                let own = [("job", "app"), ("instance", instance)];
                let mut series = vec![Series::new("up", own, f64::from(u8::from(up)))];
                if up {
                    let labels = [("job", "app"), ("instance", instance), ("path", "/x")];
                    series.push(Series::new("app_up", own, 1.0));
                    series.push(Series::new("app_errors", labels, 0.0));
                }
                window.commit_target(&target, TimeMs(at), &series);
            }
        }
        window
    }

    fn standing(exprs: &[&str]) -> (Vec<String>, usize) {
        let window = window();
        let rule = |(i, expr): (usize, &&str)| format!("{{ alert: R{i}, expr: '{expr}' }}");
        let rules: Vec<_> = exprs.iter().enumerate().map(rule).collect();
        let groups =
            rules.iter().enumerate().map(|(i, rule)| format!("{{ name: g{i}, rules: [{rule}] }}"));
        let text = format!("groups: [{}]", groups.collect::<Vec<_>>().join(", "));
        let file = RuleFile::parse("r.yml", &text).expect("a rule file");
        let defaults = GroupDefaults::default();
        let groups: Vec<_> = file
            .groups
            .iter()
            .map(|spec| Group::new("r.yml", spec, &defaults, TimeMs(0)))
            .collect();
        let labels = Labels::from([LOST[0], LOST[1]]);
        let series = TargetSeries {
            source: &window,
            labels: &labels,
            seen_at: TimeMs(15_000),
            read_at: TimeMs(45_000),
        };
        let readers = Readers::new(&groups);
        let standing = series.standing(&readers);
        let blind = readers.blind(&standing).into_iter().map(str::to_owned).collect();
        (blind, standing.listening.len())
    }

    #[test]
    fn a_rule_stands_on_a_target_whose_series_it_selects() {
        let check = |expr: &str, is_blind: bool, is_listening: bool| {
            let (blind, listening) = standing(&[expr]);
            assert_eq!((blind.len() == 1, listening == 1), (is_blind, is_listening), "{expr}");
        };
        check("app_up == 0", true, false);
        check("app_up{instance=\"a\"} == 0", true, false);
        check("app_up{instance=\"b\"} == 0", false, false);
        check("app_up{job!=\"app\"} == 0", false, false);
        check("rate(app_errors{path=~\"/.*\"}[5m]) > 1", true, false);
        check("app_errors{path=\"/y\"} > 1", false, false);
        check("app_errors{zone=\"\"} > 1", true, false);
        check("{__name__=~\"app_.*\"} == 0", true, false);
        check("up == 0", false, true);
        check("up{instance=\"b\"} == 0", false, false);
        check("app_up == 0 and on (instance) up == 1", true, true);
        check("absent(app_up{instance=\"a\"})", true, true);
        check("absent(nothing)", false, false);
        check("nothing > 1", false, false);
        check("vector(1)", false, false);
    }

    #[test]
    fn forty_rules_are_counted_once_each() {
        let exprs: Vec<_> = ["app_up == 0", "app_up == 0 or app_errors > 0"].repeat(20);
        let (blind, listening) = standing(&[exprs, vec!["up == 0"]].concat());
        assert_eq!((blind.len(), listening), (40, 1));
    }

    #[test]
    fn what_the_failed_collection_brought_is_no_series_that_ended() {
        let window = window();
        let labels = Labels::from([LOST[0], LOST[1]]);
        let mut brought = Brought::new(&window);
        let mut check = |labels: &Labels, metric: &str, at: i64, expected: bool| {
            let series = labels.with(METRIC_NAME, metric);
            assert_eq!(brought.has(&series, TimeMs(at)), expected, "{series} at {at}");
        };
        check(&labels, "up", 45_000, true);
        check(&labels, "up", 30_000, false);
        check(&labels, "app_up", 45_000, false);
        check(&labels, "nothing", 45_000, false);
        check(&labels.with("path", "/x"), "up", 45_000, false);
        check(&labels.with("instance", "b"), "app_up", 45_000, true);
        check(&Labels::from([LOST[0]]), "up", 45_000, false);
        let row = row_of(&window, &labels.with(METRIC_NAME, "app_up")).expect("it is remembered");
        let newest = window.family(row.family).newest_value[row.row as usize];
        assert_eq!(newest.to_bits(), stale_nan().to_bits());
    }
}
