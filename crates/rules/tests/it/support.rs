use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_model::{Labels, METRIC_NAME, Sample, Series, TimeMs, is_stale, parse_duration};
use paramedic_promql::{
    Column, EvalOptions, Family, FamilyId, NO_VALUE, RowRef, Source, Symbol, parse,
};
use paramedic_rules::{Context, Group, GroupDefaults, RuleFile, Store};

/// A plain window: families with columns, and every sample ever appended.
pub struct Window {
    texts: Vec<String>,
    families: Vec<Stored>,
    /// What rules wrote, for the transcript.
    pub written: Vec<String>,
}

struct Stored {
    name: String,
    columns: Vec<Column>,
    newest_at: Vec<TimeMs>,
    newest_value: Vec<f64>,
    labels: Vec<Labels>,
    samples: Vec<Vec<Sample>>,
}

impl Window {
    pub fn new() -> Self {
        Self { texts: vec![String::new()], families: Vec::new(), written: Vec::new() }
    }

    fn intern(&mut self, text: &str) -> Symbol {
        let at = self.texts.iter().position(|known| known == text).unwrap_or_else(|| {
            self.texts.push(text.to_owned());
            self.texts.len() - 1
        });
        Symbol(at as u32)
    }

    pub fn put(&mut self, at: TimeMs, series: &Series) {
        let name = series.labels.value(METRIC_NAME).to_owned();
        let id = self.families.iter().position(|f| f.name == name).unwrap_or_else(|| {
            self.families.push(Stored {
                name,
                columns: vec![],
                newest_at: vec![],
                newest_value: vec![],
                labels: vec![],
                samples: vec![],
            });
            self.families.len() - 1
        });
        let known = self.families[id].labels.iter().position(|labels| *labels == series.labels);
        let row = known.unwrap_or_else(|| self.add_row(id, &series.labels));
        let family = &mut self.families[id];
        family.newest_at[row] = at;
        family.newest_value[row] = series.value;
        family.samples[row].push(Sample { at, value: series.value });
    }

    fn add_row(&mut self, id: usize, labels: &Labels) -> usize {
        let pairs: Vec<(String, Symbol)> = labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME)
            .map(|(name, value)| (name.to_owned(), self.intern(value)))
            .collect();
        let family = &mut self.families[id];
        let row = family.labels.len();
        family.columns.iter_mut().for_each(|column| column.codes.push(NO_VALUE));
        for (name, symbol) in pairs {
            let at = family.columns.iter().position(|c| c.name == name).unwrap_or_else(|| {
                let codes = vec![NO_VALUE; row + 1];
                family.columns.push(Column { name, values: vec![Symbol::EMPTY], codes });
                family.columns.len() - 1
            });
            let column = &mut family.columns[at];
            let code = column.values.iter().position(|s| *s == symbol).unwrap_or_else(|| {
                column.values.push(symbol);
                column.values.len() - 1
            });
            column.codes[row] = code as u32;
        }
        family.newest_at.push(Family::NEVER);
        family.newest_value.push(0.0);
        family.labels.push(labels.clone());
        family.samples.push(Vec::new());
        row
    }
}

impl Source for Window {
    fn family_count(&self) -> usize {
        self.families.len()
    }

    fn find_family(&self, name: &str) -> Option<FamilyId> {
        let at = self.families.iter().position(|family| family.name == name)?;
        Some(FamilyId(at as u32))
    }

    fn family(&self, id: FamilyId) -> Family<'_> {
        let family = &self.families[id.0 as usize];
        Family {
            name: &family.name,
            columns: &family.columns,
            newest_at: &family.newest_at,
            newest_value: &family.newest_value,
        }
    }

    fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.0 as usize]
    }

    fn range(&self, row: RowRef, after: TimeMs, until: TimeMs, out: &mut Vec<Sample>) {
        let samples = &self.families[row.family.0 as usize].samples[row.row as usize];
        out.extend(samples.iter().filter(|sample| after < sample.at && sample.at <= until));
    }
}

impl Store for Window {
    fn source(&self) -> &dyn Source {
        self
    }

    fn append(&mut self, at: TimeMs, series: &[Series]) -> Result<(), String> {
        for series in series {
            let value =
                if is_stale(series.value) { "stale".to_owned() } else { series.value.to_string() };
            self.written.push(format!("{} {value} @{}s", series.labels, at.as_secs_f64()));
            self.put(at, series);
        }
        Ok(())
    }
}

/// The series that a selector such as `up{job="a"}` names.
pub fn labels(selector: &str) -> Labels {
    let expr = parse(selector).expect(selector);
    let (_, selector) = expr.selectors().into_iter().next().expect("a selector");
    selector.matchers.iter().map(|matcher| (matcher.name(), matcher.value())).collect()
}

/// One group in virtual time.
pub struct Drive {
    pub group: Group,
    pub window: Window,
    pub external_labels: Labels,
    options: EvalOptions,
}

pub fn seconds(s: i64) -> TimeMs {
    TimeMs(s * 1000)
}

/// The only group of a rule file.
pub fn group(text: &str) -> Group {
    let file = RuleFile::parse("rules.yml", text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    Group::new("rules.yml", &file.groups[0], &GroupDefaults::default(), TimeMs(0))
}

impl Drive {
    pub fn new(text: &str) -> Self {
        Self {
            group: group(text),
            window: Window::new(),
            external_labels: Labels::from([("cluster", "c1")]),
            options: EvalOptions::default(),
        }
    }

    /// Runs the group at `at` and tells what happened.
    pub fn evaluate(&mut self, at: TimeMs) -> String {
        let context = Context {
            options: &self.options,
            external_labels: &self.external_labels,
            external_url: "http://prom:9090",
        };
        let round = self.group.evaluate(&mut self.window, at, &context);
        let mut out = String::new();
        for event in &round.events {
            let at = event.at.0 / 1000;
            let (labels, value) = (&event.alert.labels, event.alert.value);
            out += &format!("{at}s {:?} {labels} = {value}\n", event.change);
        }
        for (rule, reason) in &round.failures {
            out += &format!("{}s rule {rule} failed: {reason}\n", at.0 / 1000);
        }
        out
    }

    /// Drives the group through a script: each line a series and its value at every step, `_` for
    /// none, `stale` for its end.
    ///
    /// ```text
    /// every 30s
    /// up{job="a"}  1 1 0 0 _ stale
    /// ```
    pub fn run(&mut self, script: &str) -> String {
        let mut every = Duration::from_secs(60);
        let mut rows: BTreeMap<usize, Vec<Series>> = BTreeMap::new();
        let mut steps = 0;
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(duration) = line.strip_prefix("every ") {
                every = parse_duration(duration).expect("a duration");
                continue;
            }
            let end = line.find('}').map_or_else(|| line.find(' ').expect(line), |at| at + 1);
            let labels = labels(&line[..end]);
            for (i, word) in line[end..].split_whitespace().enumerate() {
                steps = steps.max(i + 1);
                let value = match word {
                    "_" => continue,
                    "stale" => paramedic_model::stale_nan(),
                    number => number.parse().expect(number),
                };
                rows.entry(i).or_default().push(Series { labels: labels.clone(), value });
            }
        }
        let mut out = String::new();
        for step in 0..steps {
            let at = TimeMs(every.as_millis() as i64 * step as i64);
            for series in rows.get(&step).into_iter().flatten() {
                self.window.put(at, series);
            }
            out += &self.evaluate(at);
        }
        out
    }
}
