//! Which expressions are evaluated by columns: a difference would go unseen where all is declined.

use paramedic_model::{Sample, TimeMs, histogram_nan};

use super::{Columns, SelectorCache};
use crate::eval::Query;
use crate::{Column, EvalOptions, Family, FamilyId, Plan, RowRef, Source, Symbol, Value, parse};

const AT: TimeMs = TimeMs(60_000);

/// Families of two rows, `host="a"` and `host="b"`, with a sample every 15 s.
struct Memory {
    names: Vec<&'static str>,
    texts: [&'static str; 3],
    columns: Vec<Column>,
    at: [TimeMs; 2],
    values: Vec<[f64; 2]>,
}

impl Memory {
    fn new() -> Self {
        let column = Column {
            name: "host".to_owned(),
            values: vec![Symbol::EMPTY, Symbol(1), Symbol(2)],
            codes: vec![1, 2],
        };
        Self {
            names: vec!["up", "errors_total", "native"],
            texts: ["", "a", "b"],
            columns: vec![column],
            at: [AT; 2],
            values: vec![[1.0, 0.0], [5.0, 6.0], [histogram_nan(); 2]],
        }
    }
}

impl Source for Memory {
    fn family_count(&self) -> usize {
        self.names.len()
    }

    fn find_family(&self, metric_name: &str) -> Option<FamilyId> {
        let at = self.names.iter().position(|name| *name == metric_name)?;
        Some(FamilyId(at as u32))
    }

    fn family(&self, id: FamilyId) -> Family<'_> {
        Family {
            name: self.names[id.0 as usize],
            columns: &self.columns,
            newest_at: &self.at,
            newest_value: &self.values[id.0 as usize],
        }
    }

    fn text(&self, symbol: Symbol) -> &str {
        self.texts[symbol.0 as usize]
    }

    fn range(&self, row: RowRef, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        let value = self.values[row.family.0 as usize][row.row as usize];
        let samples = (0..=4).map(|step| Sample { at: TimeMs(step * 15_000), value });
        out.extend(samples.filter(|sample| after < sample.at && sample.at <= until));
    }

    fn generation(&self) -> Option<u64> {
        Some(self.names.len() as u64)
    }
}

/// The elements that columns find, or `None` where they decline.
fn found(source: &Memory, text: &str, cache: Option<&mut SelectorCache>) -> Option<usize> {
    let plan = Plan::new(parse(text).expect(text), text).expect(text);
    let options = EvalOptions::default();
    let query = Query { start: AT, end: AT, step_ms: 0 };
    let mut columns = Columns::new(&plan, source, &options, query, cache);
    match columns.whole(plan.expr(), AT)? {
        Value::Vector(elements) => Some(elements.len()),
        _ => Some(1),
    }
}

#[test]
fn columns_know_what_rules_are_made_of() {
    let check = |text: &str, expected: usize| {
        assert_eq!(found(&Memory::new(), text, None), Some(expected), "{text}");
    };
    check("up", 2);
    check("up == 0", 1);
    check("1 > bool up", 2);
    check("up{host=~\"a|c\"} offset 15s", 1);
    check("sum by (host) (rate(errors_total[1m])) > 0", 0);
    check("sum without (host) (errors_total) or vector(0)", 1);
    check("topk(1, errors_total) / on (host) group_left () up", 1);
    check("up == 0 and on (host) errors_total unless on () absent(up)", 1);
    check("avg_over_time(up[1m]) * 100 < bool 99", 2);
    check("count({__name__=~\"up|errors_total\"})", 1);
    check("time() - timestamp(up) > 300", 0);
    check("scalar(sum(up)) + 1", 1);
    check("-clamp(round(sqrt(up)), 0, 1)", 2);
    check("predict_linear(errors_total[1m], 3600) > 5", 1);
}

#[test]
fn columns_decline_what_others_must_say() {
    let check = |text: &str| assert_eq!(found(&Memory::new(), text, None), None, "{text}");
    check("native");
    check("rate(native[1m])");
    check("label_replace(up, \"h\", \"$1\", \"host\", \"(.*)\")");
    check("max_over_time(sum(up)[1m:15s])");
    check("absent(nothing)");
    check("up + on () errors_total");
    check("-{__name__=~\"up|errors_total\"}");
    check("quantile(2, up)");
}

#[test]
fn a_cache_forgets_the_values_of_another_generation() {
    let (mut source, mut cache) = (Memory::new(), SelectorCache::default());
    for (added, expected) in [(None, 4), (Some("late"), 6)] {
        source.names.extend(added);
        source.values.extend(added.map(|_| [1.0; 2]));
        cache.enter(&source);
        let text = "count by (__name__, host) ({host=~\".+\", __name__!=\"native\"})";
        // The second time it is worth keeping, the third time it is there.
        for _ in 0..3 {
            assert_eq!(found(&source, text, Some(&mut cache)), Some(expected));
        }
    }
}
