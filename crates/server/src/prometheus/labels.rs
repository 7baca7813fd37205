//! Which labels and series there are.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::response::Response;
use paramedic_model::{METRIC_NAME, TimeMs};
use paramedic_promql::{
    EvalOptions, ExprKind, Family, FamilyId, Matcher, NO_VALUE, RowRef, Source, parse,
};

use super::answer::{Failure, Success};
use super::params::Params;
use super::{json, look};
use crate::app::App;

/// The names of all labels.
pub(super) async fn names(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    let limit = params.limit()?;
    let wanted = Wanted::new(&params)?;
    let work = move |source: &dyn Source, _: &EvalOptions| {
        let mut names = BTreeSet::new();
        wanted.each_family(source, |family, rows| {
            names.insert(METRIC_NAME.to_owned());
            for column in family.columns {
                let used = || rows.iter().any(|row| column.codes[*row as usize] != NO_VALUE);
                if !names.contains(&column.name) && used() {
                    names.insert(column.name.clone());
                }
            }
        });
        Ok(texts(names, limit))
    };
    look(&app, None, work).await
}

/// The values of one label.
pub(super) async fn values(
    State(app): State<App>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let name = unescape(&name);
    if name.is_empty() {
        return Err(Failure::bad(format!("invalid label name: {name:?}")));
    }
    let limit = params.limit()?;
    let wanted = Wanted::new(&params)?;
    let work = move |source: &dyn Source, _: &EvalOptions| {
        let mut values = BTreeSet::new();
        wanted.each_family(source, |family, rows| {
            if name == METRIC_NAME {
                values.insert(family.name.to_owned());
                return;
            }
            let Some(column) = family.column(&name) else { return };
            let codes: BTreeSet<_> = rows.iter().map(|row| column.codes[*row as usize]).collect();
            let codes = codes.into_iter().filter(|code| *code != NO_VALUE);
            values.extend(codes.map(|code| source.text(column.values[code as usize]).to_owned()));
        });
        Ok(texts(values, limit))
    };
    look(&app, None, work).await
}

/// The series that match any of the selectors.
pub(super) async fn series(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    if params.all("match[]").next().is_none() {
        return Err(Failure::bad("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    let wanted = Wanted::new(&params)?;
    let work = move |source: &dyn Source, _: &EvalOptions| {
        let mut found = Vec::new();
        for family in families(source) {
            let rows = wanted.rows(source, family);
            found.extend(rows.into_iter().map(|row| source.labels(RowRef { family, row })));
        }
        found.sort_unstable();
        let count = found.len();
        found.truncate(limit.unwrap_or(count));
        let mut data = String::new();
        json::list(&mut data, &found, json::labels);
        Ok(Success::cut(data, count > found.len()))
    };
    look(&app, None, work).await
}

fn texts(all: BTreeSet<String>, limit: Option<usize>) -> Success {
    let limit = limit.unwrap_or(all.len());
    let shown: Vec<_> = all.iter().take(limit).collect();
    let mut data = String::new();
    json::list(&mut data, &shown, |data, text| json::html_safe(data, text));
    Success::cut(data, all.len() > limit)
}

fn families(source: &dyn Source) -> impl Iterator<Item = FamilyId> + use<> {
    (0..source.family_count() as u32).map(FamilyId)
}

/// The series that a request is about.
struct Wanted {
    /// Matchers that must all hold, in sets of which one must; none where all series are meant.
    selectors: Vec<Vec<Matcher>>,
    /// The moments between which a series must have a sample.
    from: TimeMs,
    until: TimeMs,
}

impl Wanted {
    fn new(params: &Params) -> Result<Self, Failure> {
        let from = params.time_if_any("start")?.unwrap_or(TimeMs(i64::MIN));
        let until = params.time_if_any("end")?.unwrap_or(TimeMs(i64::MAX));
        let selectors = params.all("match[]").map(selector).collect::<Result<_, _>>();
        let selectors = selectors.map_err(|message| Failure::parameter("match[]", message))?;
        Ok(Self { selectors, from, until })
    }

    /// Calls `visit` with every family that has series that are meant, and their rows.
    fn each_family(&self, source: &dyn Source, mut visit: impl FnMut(Family<'_>, &[u32])) {
        for id in families(source) {
            let rows = self.rows(source, id);
            if !rows.is_empty() {
                visit(source.family(id), &rows);
            }
        }
    }

    /// The rows of a family that are meant.
    fn rows(&self, source: &dyn Source, id: FamilyId) -> Vec<u32> {
        let family = source.family(id);
        let mut rows: Vec<u32> = match self.selectors.is_empty() {
            true => (0..family.row_count() as u32).collect(),
            false => {
                let mut rows = Vec::new();
                for matchers in &self.selectors {
                    rows.extend(matching(source, family, matchers));
                }
                rows.sort_unstable();
                rows.dedup();
                rows
            }
        };
        rows.retain(|row| {
            let newest = family.newest_at[*row as usize];
            let row = RowRef { family: id, row: *row };
            let before = TimeMs(self.from.0.saturating_sub(1));
            match newest {
                Family::NEVER => false,
                newest if newest < self.from => false,
                newest if newest <= self.until => true,
                _ => source.newest_in(row, before, self.until).is_some(),
            }
        });
        rows
    }
}

/// The rows of a family that satisfy all matchers, each decided once per dictionary entry.
fn matching(source: &dyn Source, family: Family<'_>, matchers: &[Matcher]) -> Vec<u32> {
    let mut tests = Vec::new();
    for matcher in matchers {
        if matcher.name() == METRIC_NAME {
            if !matcher.matches(family.name) {
                return Vec::new();
            }
        } else if let Some(column) = family.column(matcher.name()) {
            let values = column.values.iter().map(|value| matcher.matches(source.text(*value)));
            tests.push((&column.codes, values.collect::<Vec<_>>()));
        } else if !matcher.matches("") {
            return Vec::new();
        }
    }
    let holds = |row: &u32| tests.iter().all(|(codes, good)| good[codes[*row as usize] as usize]);
    (0..family.row_count() as u32).filter(holds).collect()
}

/// The matchers of a parameter `match[]`.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    const EMPTY: &str = "match[] must contain at least one non-empty matcher";
    let expr = match parse(text) {
        Ok(expr) => expr,
        Err(error) if error.to_string().ends_with("at least one non-empty matcher") => {
            return Err(EMPTY.to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    match expr.kind {
        ExprKind::Selector(selector)
            if selector.offset_ms == 0 && selector.at.is_none() && selector.extent.is_none() =>
        {
            Ok(selector.matchers)
        }
        _ => Err(format!("1:1: parse error: {text:?} is no selector such as up{{job=\"a\"}}")),
    }
}

/// A name that was escaped to fit into an address: `U__a_2e_b` for `a.b`. Others are as they are.
fn unescape(name: &str) -> String {
    let decode = || {
        let mut rest = name.strip_prefix("U__")?;
        let mut decoded = String::new();
        while let Some((before, after)) = rest.split_once('_') {
            decoded.push_str(before);
            if let Some(after) = after.strip_prefix('_') {
                decoded.push('_');
                rest = after;
                continue;
            }
            let (digits, after) = after.split_once('_')?;
            decoded.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
            rest = after;
        }
        decoded.push_str(rest);
        Some(decoded)
    };
    decode().unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        let check = |name: &str, expected: &str| assert_eq!(unescape(name), expected);
        check("job", "job");
        check("a.b", "a.b");
        check("U__my_2e_metric", "my.metric");
        check("U__a__b", "a_b");
        check("U__h_e4_", "hä");
        check("U__a_zz_", "U__a_zz_");
        check("U__a_2e", "U__a_2e");
    }
}
