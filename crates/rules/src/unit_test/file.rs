//! Unit test files as promtool has them: every key of the format, and each mistake at its place.
//!
//! What promtool finds only when it runs a test (a notation, an expression) is kept as that test's
//! mistake and fails it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Histogram, Labels, TimeMs, format_duration};
use paramedic_promql::{Plan, SeriesNotation, parse, parse_series};
use paramedic_yaml::{Node, Place};

use crate::yaml::{Decoder, Fields, Pair};
use crate::{ALERT_NAME, ReadOptions, RuleError};

/// A unit test file that was read.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Its path, as it was given.
    pub path: String,
    /// Where its rules are: patterns, relative to the file.
    pub rule_files: Vec<RulePattern>,
    /// The step of evaluation, and of subqueries that name none.
    pub evaluation_interval: Duration,
    /// The names of groups in the order in which they run; the others run with the first.
    pub group_eval_order: Vec<String>,
    /// Whether two numbers are equal that are next to each other.
    pub fuzzy_compare: bool,
    /// The tests, in order.
    pub tests: Vec<UnitTest>,
}

/// A pattern of file names: `rules/*.yml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePattern {
    /// The pattern.
    pub pattern: String,
    /// Where it stands.
    pub place: Place,
}

/// One test: series, and what is to come of them.
#[derive(Clone, Debug)]
pub struct UnitTest {
    /// Its name; empty where it has none.
    pub name: String,
    /// Where it begins.
    pub place: Place,
    /// The distance of the samples of a series.
    pub interval: Duration,
    /// The time of the first sample, and of `eval_time` zero.
    pub start: TimeMs,
    /// What is visible to templates as `$externalLabels`.
    pub external_labels: Labels,
    /// What is visible to templates as `$externalURL`.
    pub external_url: String,
    pub(crate) input: Vec<Result<SeriesNotation, RuleError>>,
    pub(crate) alerts: Vec<AlertCheck>,
    pub(crate) exprs: Vec<ExprCheck>,
}

/// Which alerts of a name are to fire at a time.
#[derive(Clone, Debug)]
pub(crate) struct AlertCheck {
    pub place: Place,
    pub at: Duration,
    /// Empty where it is not given, which is a mistake.
    pub alertname: String,
    pub expected: Vec<ExpectedAlert>,
}

/// Labels and annotations of an alert. Unlike those of a series they may be empty, and then no
/// alert has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedAlert {
    /// The labels, `alertname` among them.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What an expression is to return at a time.
#[derive(Clone, Debug)]
pub(crate) struct ExprCheck {
    pub place: Place,
    pub at: Duration,
    pub text: String,
    pub expr: Result<Arc<Plan>, RuleError>,
    pub expected: Result<Vec<ExpectedSample>, RuleError>,
}

/// A series with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedSample {
    /// Its labels, metric name included.
    pub labels: Labels,
    /// Its value.
    pub value: SampleValue,
}

/// A number or a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A number.
    Number(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

const FILE_KEYS: &[&str] =
    &["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
const TEST_KEYS: &[&str] = &[
    "name",
    "interval",
    "input_series",
    "alert_rule_test",
    "promql_expr_test",
    "external_labels",
    "external_url",
    "start_timestamp",
];
const SERIES_KEYS: &[&str] = &["series", "values"];
const ALERT_KEYS: &[&str] = &["eval_time", "alertname", "exp_alerts"];
const EXPECTED_ALERT_KEYS: &[&str] = &["exp_labels", "exp_annotations"];
const EXPR_KEYS: &[&str] = &["expr", "eval_time", "exp_samples"];
const SAMPLE_KEYS: &[&str] = &["labels", "value", "histogram"];

/// The default of `evaluation_interval`, as in promtool.
const EVALUATION_INTERVAL: Duration = Duration::from_secs(60);

/// How far from 1970 a test may start: in the year 5138 or 2,000 years before Christ at most.
const START_S_MAX: f64 = 1e11;

impl TestFile {
    /// Reads the text of a unit test file; `path` stands in messages. Only the first YAML document
    /// counts, as in promtool.
    ///
    /// # Errors
    ///
    /// All mistakes that make promtool refuse the whole file, in the order of the file.
    pub fn parse(path: &str, text: &str, options: &ReadOptions) -> Result<Self, Vec<RuleError>> {
        let mut reader = Reader { yaml: Decoder::new(path, text, options.ignore_unknown_fields) };
        let mut file = Self {
            path: path.to_owned(),
            rule_files: Vec::new(),
            evaluation_interval: EVALUATION_INTERVAL,
            group_eval_order: Vec::new(),
            fuzzy_compare: false,
            tests: Vec::new(),
        };
        match paramedic_yaml::read(text) {
            Ok(documents) => {
                if let Some(first) = documents.first() {
                    reader.file(first, &mut file);
                }
            }
            Err((place, reason)) => reader.yaml.report(place, format!("yaml: {reason}")),
        }
        let mut errors = reader.yaml.errors;
        errors.sort_by_key(|error| (error.line, error.column));
        if errors.is_empty() { Ok(file) } else { Err(errors) }
    }
}

struct Reader<'a> {
    yaml: Decoder<'a>,
}

impl Reader<'_> {
    fn file(&mut self, node: &Node, file: &mut TestFile) {
        let Some(fields) = self.yaml.fields(node, FILE_KEYS, "main.unitTestFile") else { return };
        for node in self.items(&fields, "rule_files", "[]string") {
            if let Some(pattern) = self.yaml.string(node) {
                file.rule_files.push(RulePattern { pattern, place: node.place });
            }
        }
        let interval = self.duration(&fields, "evaluation_interval");
        if !interval.is_zero() {
            file.evaluation_interval = interval;
        }
        let mut names = BTreeSet::new();
        for node in self.items(&fields, "group_eval_order", "[]string") {
            let Some(name) = self.yaml.string(node) else { continue };
            if !names.insert(name.clone()) {
                let reason = format!("group name repeated in evaluation order: {name}");
                self.yaml.report(node.place, reason);
            }
            file.group_eval_order.push(name);
        }
        if let Some((_, node)) = fields.get("fuzzy_compare") {
            file.fuzzy_compare = self.yaml.boolean(node).unwrap_or_default();
        }
        let nodes = self.items(&fields, "tests", "[]main.testGroup");
        file.tests =
            nodes.iter().filter_map(|node| self.test(node, file.evaluation_interval)).collect();
    }

    fn test(&mut self, node: &Node, evaluation_interval: Duration) -> Option<UnitTest> {
        let fields = self.yaml.fields(node, TEST_KEYS, "main.testGroup")?;
        let interval = self.duration(&fields, "interval");
        let nodes = self.items(&fields, "input_series", "[]main.series");
        let input = nodes.iter().filter_map(|node| self.series(node)).collect();
        let nodes = self.items(&fields, "alert_rule_test", "[]main.alertTestCase");
        let alerts = nodes.iter().filter_map(|node| self.alert_check(node)).collect();
        let nodes = self.items(&fields, "promql_expr_test", "[]main.promqlTestCase");
        let exprs = nodes.iter().filter_map(|node| self.expr_check(node)).collect();
        let external_labels = self.map(&fields, "external_labels");
        Some(UnitTest {
            name: self.string(&fields, "name"),
            place: node.place,
            interval: if interval.is_zero() { evaluation_interval } else { interval },
            start: self.start(&fields),
            external_labels: external_labels.iter().map(|pair| (pair.name, &pair.value)).collect(),
            external_url: self.string(&fields, "external_url"),
            input,
            alerts,
            exprs,
        })
    }

    fn series(&mut self, node: &Node) -> Option<Result<SeriesNotation, RuleError>> {
        let fields = self.yaml.fields(node, SERIES_KEYS, "main.series")?;
        let (series, values) = (self.string(&fields, "series"), self.string(&fields, "values"));
        // One line for both, as promtool makes of it: that is where the columns count from.
        let text = format!("{series} {values}");
        Some(parse_series(&text).map_err(|error| {
            let in_values = error.span.start.checked_sub(series.len() + 1);
            let (key, offset) = match in_values {
                Some(offset) => ("values", offset),
                None => ("series", error.span.start),
            };
            self.mistake_in(&fields, key, node, offset, error.to_string())
        }))
    }

    fn alert_check(&mut self, node: &Node) -> Option<AlertCheck> {
        let fields = self.yaml.fields(node, ALERT_KEYS, "main.alertTestCase")?;
        let alertname = self.string(&fields, "alertname");
        let mut expected = Vec::new();
        for node in self.items(&fields, "exp_alerts", "[]main.alert") {
            let Some(fields) = self.yaml.fields(node, EXPECTED_ALERT_KEYS, "main.alert") else {
                continue;
            };
            let map = |pairs: Vec<Pair<'_>>| -> BTreeMap<String, String> {
                pairs.into_iter().map(|pair| (pair.name.to_owned(), pair.value)).collect()
            };
            let mut labels = map(self.map(&fields, "exp_labels"));
            labels.insert(ALERT_NAME.to_owned(), alertname.clone());
            let annotations = map(self.map(&fields, "exp_annotations"));
            expected.push(ExpectedAlert { labels, annotations });
        }
        let at = self.duration(&fields, "eval_time");
        Some(AlertCheck { place: node.place, at, alertname, expected })
    }

    fn expr_check(&mut self, node: &Node) -> Option<ExprCheck> {
        let fields = self.yaml.fields(node, EXPR_KEYS, "main.promqlTestCase")?;
        let text = self.string(&fields, "expr");
        let fail = |this: &Self, start: usize, error: String| {
            this.mistake_in(&fields, "expr", node, start, error)
        };
        let expr = match parse(&text) {
            Err(error) => Err(fail(self, error.span.start, error.to_string())),
            Ok(expr) => match Plan::new(expr, &text) {
                Err(error) => Err(fail(self, error.span.start, error.to_string())),
                Ok(plan) => Ok(Arc::new(plan)),
            },
        };
        let mut expected = Ok(Vec::new());
        for node in self.items(&fields, "exp_samples", "[]main.sample") {
            let Some(sample) = self.sample(node) else { continue };
            match (&mut expected, sample) {
                (Ok(samples), Ok(sample)) => samples.push(sample),
                (Ok(_), Err(error)) => expected = Err(error),
                (Err(_), _) => {}
            }
        }
        let at = self.duration(&fields, "eval_time");
        Some(ExprCheck { place: node.place, at, text, expr, expected })
    }

    fn sample(&mut self, node: &Node) -> Option<Result<ExpectedSample, RuleError>> {
        let fields = self.yaml.fields(node, SAMPLE_KEYS, "main.sample")?;
        let number = match fields.get("value") {
            Some((_, node)) => self.yaml.number(node, "float64")?,
            None => 0.0,
        };
        let text = self.string(&fields, "labels");
        let labels = match labels(&text) {
            Ok(labels) => labels,
            Err((start, reason)) => {
                let reason = format!("labels {text:?}: {reason}");
                return Some(Err(self.mistake_in(&fields, "labels", node, start, reason)));
            }
        };
        let histogram = self.string(&fields, "histogram");
        if histogram.is_empty() {
            return Some(Ok(ExpectedSample { labels, value: SampleValue::Number(number) }));
        }
        let read = parse_series(&format!("{{}} {histogram}"));
        let reason = match read {
            Err(error) => error.to_string(),
            Ok(series) => match (series.values.len(), series.histograms.get(&0)) {
                (1, Some(written)) => {
                    let value = SampleValue::Histogram(written.histogram.clone());
                    return Some(Ok(ExpectedSample { labels, value }));
                }
                (1, None) => "expected histogram, got a number".to_owned(),
                (count, _) => format!("expected 1 value, got {count}"),
            },
        };
        let reason = format!("labels {text:?}: {reason}");
        Some(Err(self.mistake_in(&fields, "histogram", node, 0, reason)))
    }

    fn start(&mut self, fields: &Fields<'_>) -> TimeMs {
        let Some((_, node)) = fields.get("start_timestamp") else { return TimeMs(0) };
        let Some(text) = self.yaml.string(node) else { return TimeMs(0) };
        if text.is_empty() {
            return TimeMs(0);
        }
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.abs() <= START_S_MAX);
        let start = seconds.map(|seconds| TimeMs((seconds * 1000.0) as i64));
        let written = || text.parse::<jiff::Timestamp>().ok();
        let start = start.or_else(|| written().map(|time| TimeMs(time.as_millisecond())));
        start.unwrap_or_else(|| {
            let reason = format!(
                "start_timestamp must be in seconds since 1970 or as 2006-01-02T15:04:05Z, not \
                 {text:?}"
            );
            self.yaml.report(node.place, reason);
            TimeMs(0)
        })
    }

    fn items<'n>(&mut self, fields: &Fields<'n>, key: &str, go_type: &str) -> Vec<&'n Node> {
        fields.get(key).map_or(Vec::new(), |(_, node)| self.yaml.list(node, go_type))
    }

    fn string(&mut self, fields: &Fields<'_>, key: &str) -> String {
        fields.get(key).and_then(|(_, node)| self.yaml.string(node)).unwrap_or_default()
    }

    fn duration(&mut self, fields: &Fields<'_>, key: &str) -> Duration {
        fields.get(key).and_then(|(_, node)| self.yaml.duration(node)).unwrap_or_default()
    }

    fn map<'n>(&mut self, fields: &Fields<'n>, key: &str) -> Vec<Pair<'n>> {
        fields.get(key).map(|(_, node)| self.yaml.string_map(node)).unwrap_or_default()
    }

    /// A mistake at a byte of the value of `key`, or where `node` begins if there is no such value.
    fn mistake_in(
        &self,
        fields: &Fields<'_>,
        key: &str,
        node: &Node,
        offset: usize,
        reason: String,
    ) -> RuleError {
        let place = match fields.get(key) {
            Some((_, value)) => value.place_in_value(offset, self.yaml.text),
            None => node.place,
        };
        self.yaml.mistake(place, reason, None)
    }
}

/// The labels that `up{job="a"}` names; nothing, or `{}`, names none.
fn labels(text: &str) -> Result<Labels, (usize, String)> {
    // promtool reads an empty text as the empty label set.
    if text.is_empty() {
        return Ok(Labels::empty());
    }
    let series = parse_series(text).map_err(|error| (error.span.start, error.to_string()))?;
    match series.values.is_empty() {
        true => Ok(series.labels),
        false => Err((0, format!("unexpected values behind the labels of {text:?}"))),
    }
}

impl UnitTest {
    /// What it is called in a report: its name, or its number from 0, as promtool counts.
    pub fn title(&self, number: usize) -> String {
        if self.name.is_empty() { format!("unnamed#{number}") } else { self.name.clone() }
    }

    /// The largest `eval_time`.
    pub(crate) fn until(&self) -> Duration {
        let alerts = self.alerts.iter().map(|check| check.at);
        alerts.chain(self.exprs.iter().map(|check| check.at)).max().unwrap_or_default()
    }

    /// Promtool's words for a check that names no alert.
    pub(crate) fn no_alertname(&self, at: Duration) -> String {
        let mut reason = format!(
            "an item under alert_rule_test misses required attribute alertname at eval_time {}",
            format_duration(at)
        );
        if !self.name.is_empty() {
            reason += &format!(" (in TestGroup {})", self.name);
        }
        reason
    }
}
