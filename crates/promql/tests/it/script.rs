//! The promqltest script language: `load`, `clear`, `eval instant at`, `eval range from`.
//!
//! Each `eval` is run as written; an instant one also with `@` put on every selector (the result must
//! not depend on the moment then), and as the middle of a range query.

use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Histogram, Labels, Sample, TimeMs, is_histogram, is_stale, parse_duration};
use paramedic_promql::{
    At, EvalOptions, Evaluation, Expr, ExprKind, ParseOptions, Plan, RangeSeries, SeriesNotation,
    Severity, Value, parse_series, parse_with,
};
use paramedic_samples::{Window, WindowOptions};

use crate::histograms;

/// The outcome of one `eval`.
pub struct Outcome {
    /// The line of the `eval` command.
    pub line: usize,
    /// What differs, where it fails.
    pub failure: Option<String>,
    /// Whether start timestamps, which are not kept, were loaded before it.
    pub start_timestamps: bool,
}

/// The settings that the scripts assume, and whether names are dropped late.
#[derive(Clone)]
pub struct Settings {
    pub delayed_name_removal: bool,
}

/// Runs a script. Everything that goes wrong is the outcome of an `eval`.
pub fn run(text: &str, settings: &Settings) -> Vec<Outcome> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut runner = Runner { window: empty(), start_timestamps: false, settings };
    let (mut outcomes, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let line = lines[at];
        let body_end = (at + 1..lines.len()).find(|i| lines[*i].is_empty()).unwrap_or(lines.len());
        let body = &lines[at + 1..body_end.max(at + 1)];
        match line.split_whitespace().next() {
            None => at += 1,
            Some("clear") => {
                runner.window = empty();
                runner.start_timestamps = false;
                at += 1;
            }
            Some(word) if word.starts_with("load") => {
                runner.load(line, body);
                at = body_end;
            }
            Some(word) if word.starts_with("eval") => {
                let failure = runner.eval(line, body).err();
                let start_timestamps = runner.start_timestamps;
                outcomes.push(Outcome { line: at + 1, failure, start_timestamps });
                at = body_end;
            }
            Some(word) => panic!("line {}: invalid command {word:?}", at + 1),
        }
    }
    outcomes
}

fn empty() -> Window {
    const AGES: Duration = Duration::from_secs(100 * 365 * 86_400);
    Window::new(WindowOptions { retention: AGES, ..WindowOptions::default() })
}

struct Runner<'a> {
    window: Window,
    /// Whether start timestamps were left out when loading.
    start_timestamps: bool,
    settings: &'a Settings,
}

/// What stands below an `eval`.
#[derive(Default)]
struct Expected {
    fails: bool,
    /// The texts that the failure must have.
    failure: Vec<Text>,
    ordered: bool,
    warnings: Option<Vec<Text>>,
    infos: Option<Vec<Text>>,
    scalar: Option<f64>,
    string: Option<String>,
    series: Vec<SeriesNotation>,
    /// Start, end and step of an expected range vector.
    range: Option<(TimeMs, TimeMs, i64)>,
}

enum Text {
    Any,
    Exactly(String),
    Regex(String),
}

impl Text {
    fn matches(&self, text: &str) -> bool {
        match self {
            Text::Any => true,
            Text::Exactly(wanted) => wanted == text,
            Text::Regex(pattern) => regex::Regex::new(pattern).expect("a regex").is_match(text),
        }
    }
}

type Check = Result<(), String>;

impl Runner<'_> {
    fn load(&mut self, line: &str, body: &[&str]) {
        let step = line.split_whitespace().nth(1).expect("a step");
        let step = parse_duration(step).expect("a step").as_millis() as i64;
        let mut loaded: Vec<SeriesNotation> = Vec::new();
        for line in body {
            if line.contains("@st") {
                self.start_timestamps = true;
                continue;
            }
            let series = parse_series(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            match loaded.iter_mut().find(|other| other.labels == series.labels) {
                Some(replaced) => *replaced = series,
                None => loaded.push(series),
            }
        }
        if line.starts_with("load_with_nhcb") {
            let native = histograms::with_custom_buckets(&loaded);
            loaded.extend(native);
        }
        for series in loaded {
            self.append(series, step);
        }
    }

    fn append(&mut self, series: SeriesNotation, step: i64) {
        let SeriesNotation { labels, values, histograms } = series;
        let mut hints = histograms::StoredHints::default();
        for (index, value) in values.iter().enumerate() {
            let Some(value) = *value else { continue };
            let at = TimeMs(index as i64 * step);
            match histograms.get(&index) {
                Some(notation) => {
                    let histogram = Arc::new(hints.stored(&notation.histogram));
                    self.window.append_histograms(&labels, &[(at, histogram)]);
                }
                None => {
                    hints = histograms::StoredHints::default();
                    self.window.append_samples(&labels, &[Sample { at, value }]);
                }
            }
        }
    }

    fn eval(&self, line: &str, body: &[&str]) -> Check {
        let (command, rest) = line.split_once(' ').expect("an eval");
        let rest = rest.trim_start();
        let (kind, rest) = rest.split_once(' ').expect("instant or range");
        let mut expected = Expected { fails: command == "eval_fail", ..Expected::default() };
        match command {
            "eval_warn" => expected.warnings = Some(vec![Text::Any]),
            "eval_info" => expected.infos = Some(vec![Text::Any]),
            "eval_ordered" => expected.ordered = true,
            _ => {}
        }
        read_body(body, &mut expected)?;
        if kind == "range" {
            let (start, rest) = word_after(rest, "from");
            let (end, rest) = word_after(rest, "to");
            let (step, expr) = word_after(rest, "step");
            let (start, end) = (moment(start), moment(end));
            let step = parse_duration(step).expect("a step");
            let found = self.range(expr, start, end, step);
            return expected.check(found, start, step.as_millis() as i64, true);
        }
        let (at, expr) = word_after(rest, "at");
        let mut at = moment(at);
        if let Some((_, end, _)) = expected.range {
            at = end;
        }
        expected
            .check(self.instant(expr, at), at, 1, false)
            .map_err(|difference| format!("as written: {difference}"))?;
        self.eval_pinned(expr, at, &expected)?;
        self.eval_within_range(expr, at, &expected)
    }

    /// With `@` on every selector the moment of evaluation does not matter.
    fn eval_pinned(&self, expr: &str, at: TimeMs, expected: &Expected) -> Check {
        const DEPEND_ON_TIME: [&str; 17] = [
            "days_in_month",
            "day_of_month",
            "day_of_week",
            "day_of_year",
            "hour",
            "minute",
            "month",
            "year",
            "predict_linear",
            "time",
            "timestamp",
            "start",
            "end",
            "range",
            "step",
            "anchored",
            "smoothed",
        ];
        let mut pinned = self.parse(expr)?;
        let mut depends = false;
        pinned.walk(&mut |expr| {
            let at = match &expr.kind {
                ExprKind::Call(call) => {
                    depends |= DEPEND_ON_TIME.contains(&call.function.name);
                    None
                }
                ExprKind::Selector(selector) => selector.at,
                ExprKind::Range(range) => range.selector.at,
                ExprKind::Subquery(subquery) => subquery.at,
                _ => None,
            };
            depends |= matches!(at, Some(At::Start | At::End));
        });
        if depends {
            return Ok(());
        }
        pin(&mut pinned, at);
        let pinned = pinned.to_string();
        let moments = match at.0 {
            0 => vec![-1000, 0, 1000],
            at => vec![-10 * at, 0, at / 5, at, 10 * at],
        };
        for moment in moments {
            let found = self.instant(&pinned, TimeMs(moment));
            expected
                .check(found, at, 1, false)
                .map_err(|difference| format!("as {pinned} at {moment} ms: {difference}"))?;
        }
        Ok(())
    }

    /// An instant query yields what a range query yields at that moment.
    fn eval_within_range(&self, expr: &str, at: TimeMs, expected: &Expected) -> Check {
        let asks_for_range =
            ["start()", "end()", "range()", "step()"].iter().any(|call| expr.contains(call));
        if asks_for_range || expected.range.is_some() || expected.string.is_some() {
            return Ok(());
        }
        let minute = Duration::from_secs(60);
        let found = self.range(expr, at - minute, at + minute, minute);
        let found = match found {
            Err(message) if expected.fails => {
                return expected.check_failure(&message);
            }
            Err(message) => return Err(format!("in a range: {message}")),
            Ok(found) => found,
        };
        if expected.fails || expected.ordered {
            return Ok(());
        }
        let Value::Matrix(series) = found.value else { return Err("no matrix".to_owned()) };
        let middle: Vec<(Labels, Point)> = series
            .iter()
            .filter_map(|series| {
                let found = points(series).into_iter().find(|(other, _)| *other == at)?;
                Some((series.labels.clone(), found.1))
            })
            .collect();
        let checked = match expected.scalar {
            Some(scalar) => match &middle[..] {
                [(_, Point::Number(value))] if equal(*value, scalar) => Ok(()),
                found => Err(format!("expected {scalar}, found {found:?}")),
            },
            None => expected.check_vector(&middle),
        };
        checked.map_err(|difference| format!("in a range: {difference}"))
    }

    fn parse(&self, expr: &str) -> Result<Expr, String> {
        let options = ParseOptions { experimental: true, ..ParseOptions::default() };
        parse_with(expr, &options).map_err(|error| error.to_string())
    }

    fn plan(&self, expr: &str) -> Result<Plan, String> {
        Plan::new(self.parse(expr)?, expr).map_err(|error| error.to_string())
    }

    fn options(&self) -> EvalOptions {
        EvalOptions {
            samples_max: 10_000,
            delayed_name_removal: self.settings.delayed_name_removal,
            ..EvalOptions::default()
        }
    }

    fn instant(&self, expr: &str, at: TimeMs) -> Result<Evaluation, String> {
        let plan = self.plan(expr)?;
        let found = plan.eval_instant(&self.window, at, &self.options());
        found.map_err(|error| error.message)
    }

    fn range(
        &self,
        expr: &str,
        start: TimeMs,
        end: TimeMs,
        step: Duration,
    ) -> Result<Evaluation, String> {
        let plan = self.plan(expr)?;
        let found = plan.eval_range(&self.window, start, end, step, &self.options());
        found.map_err(|error| error.message)
    }
}

/// Puts `@ at` on everything that can have it and has none.
fn pin(expr: &mut Expr, at: TimeMs) {
    let at_modifier = Some(At::Time(at));
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Selector(selector) => selector.at = selector.at.or(at_modifier),
        ExprKind::Range(range) => range.selector.at = range.selector.at.or(at_modifier),
        ExprKind::Subquery(subquery) => {
            // Its steps are fixed then, and so is what stands in it.
            subquery.at = subquery.at.or(at_modifier);
        }
        ExprKind::Aggregate(aggregate) => {
            pin(&mut aggregate.expr, at);
            aggregate.param.iter_mut().for_each(|param| pin(param, at));
        }
        ExprKind::Binary(binary) => {
            pin(&mut binary.lhs, at);
            pin(&mut binary.rhs, at);
        }
        ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => pin(inner, at),
        ExprKind::Call(call) => call.args.iter_mut().for_each(|arg| pin(arg, at)),
    }
}

fn word_after<'t>(text: &'t str, keyword: &str) -> (&'t str, &'t str) {
    let rest = text.trim_start().strip_prefix(keyword).expect(keyword).trim_start();
    let (word, rest) = rest.split_once([' ', '\t']).expect("an expression");
    (word, rest.trim())
}

fn moment(text: &str) -> TimeMs {
    // Scripts also write `1m30s` and `30s1m`; only the former is a duration.
    TimeMs(parse_duration(text).expect(text).as_millis() as i64)
}

fn read_body(body: &[&str], expected: &mut Expected) -> Check {
    for line in body {
        if let Some(text) = line.strip_prefix("expected_fail_message ") {
            expected.failure.push(Text::Exactly(text.to_owned()));
        } else if let Some(text) = line.strip_prefix("expected_fail_regexp ") {
            expected.failure.push(Text::Regex(text.to_owned()));
        } else if let Some(range) = line.strip_prefix("expect range vector ") {
            let (start, rest) = word_after(range, "from");
            let (end, rest) = word_after(rest, "to");
            let step = rest.strip_prefix("step ").expect("a step");
            let step = parse_duration(step.trim()).expect("a step").as_millis() as i64;
            expected.range = Some((moment(start), moment(end), step));
        } else if let Some(text) = line.strip_prefix("expect string ") {
            let Ok(Expr { kind: ExprKind::String(text), .. }) =
                parse_with(text, &ParseOptions::default())
            else {
                return Err(format!("no string: {text}"));
            };
            expected.string = Some(text.to_lossy());
        } else if let Some(rest) = line.strip_prefix("expect ") {
            read_expect(rest.trim(), expected)?;
        } else if let Ok(number) = line.parse::<f64>() {
            expected.scalar = Some(number);
            break;
        } else {
            let series = parse_series(line).map_err(|error| error.message)?;
            expected.series.push(series);
        }
    }
    Ok(())
}

fn read_expect(rest: &str, expected: &mut Expected) -> Check {
    let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = match text.split_once(':') {
        Some(("msg", text)) => Text::Exactly(text.trim().to_owned()),
        Some(("regex", text)) => Text::Regex(text.trim().to_owned()),
        _ => Text::Any,
    };
    match word {
        "ordered" => expected.ordered = true,
        "fail" => {
            expected.fails = true;
            expected.failure.push(text);
        }
        "warn" => expected.warnings.get_or_insert_default().push(text),
        "info" => expected.infos.get_or_insert_default().push(text),
        "no_warn" => expected.warnings = Some(Vec::new()),
        "no_info" => expected.infos = Some(Vec::new()),
        _ => return Err(format!("unknown expectation {word:?}")),
    }
    Ok(())
}

/// The rule of the scripts for equal numbers.
pub fn equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    const EPSILON: f64 = 1e-6;
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

impl Expected {
    fn check(
        &self,
        found: Result<Evaluation, String>,
        start: TimeMs,
        step_ms: i64,
        is_range: bool,
    ) -> Check {
        let found = match found {
            Err(message) if self.fails => return self.check_failure(&message),
            Err(message) => return Err(message),
            Ok(_) if self.fails => return Err("expected a failure, found none".to_owned()),
            Ok(found) => found,
        };
        for (name, wanted, severity) in
            [("warning", &self.warnings, Severity::Warning), ("info", &self.infos, Severity::Info)]
        {
            let Some(wanted) = wanted else { continue };
            let found: Vec<String> = found
                .annotations
                .iter()
                .filter(|annotation| annotation.severity == severity)
                .map(ToString::to_string)
                .collect();
            let all_found = wanted.iter().all(|text| found.iter().any(|f| text.matches(f)));
            let all_wanted = found.iter().all(|f| wanted.iter().any(|text| text.matches(f)));
            if !all_found || !all_wanted {
                return Err(format!("other than the {name}s expected: {found:?}"));
            }
        }
        match (&found.value, self.range) {
            (Value::Scalar(value), _) => match self.scalar {
                Some(wanted) if equal(*value, wanted) => Ok(()),
                wanted => Err(format!("expected {wanted:?}, found {value}")),
            },
            (Value::String(text), _) => match &self.string {
                Some(wanted) if wanted == text => Ok(()),
                wanted => Err(format!("expected {wanted:?}, found {text:?}")),
            },
            (Value::Vector(elements), _) => {
                let elements: Vec<(Labels, Point)> = elements
                    .iter()
                    .map(|e| (e.labels.clone(), Point::new(e.value, e.histogram.as_ref())))
                    .collect();
                self.check_vector(&elements)
            }
            (Value::Matrix(_), Some((start, _, step_ms))) => {
                self.check_matrix(&found.value, start, step_ms)
            }
            (Value::Matrix(_), None) if is_range => self.check_matrix(&found.value, start, step_ms),
            (Value::Matrix(_), None) => Err("a matrix was not expected".to_owned()),
        }
    }

    fn check_failure(&self, message: &str) -> Check {
        match self.failure.iter().find(|text| !text.matches(message)) {
            Some(_) => Err(format!("fails with another message: {message}")),
            None => Ok(()),
        }
    }

    fn check_vector(&self, found: &[(Labels, Point)]) -> Check {
        if found.len() != self.series.len() {
            return Err(format!("expected {} elements, found {found:?}", self.series.len()));
        }
        for (index, series) in self.series.iter().enumerate() {
            let labels = &series.labels;
            let position = found.iter().position(|(other, _)| other == labels);
            let Some(position) = position.filter(|at| !self.ordered || *at == index) else {
                return Err(format!("expected {labels} at {index}, found {found:?}"));
            };
            let (value, wanted) = (&found[position].1, Wanted::at(series, 0));
            if !wanted.is_some_and(|wanted| wanted.is(value)) {
                return Err(format!("{labels}: expected {wanted:?}, found {value:?}"));
            }
        }
        Ok(())
    }

    fn check_matrix(&self, found: &Value, start: TimeMs, step_ms: i64) -> Check {
        let Value::Matrix(found) = found else { return Err("no matrix".to_owned()) };
        if !found.is_sorted_by(|a, b| a.labels < b.labels) {
            return Err("the matrix is not sorted".to_owned());
        }
        if found.len() != self.series.len() {
            let found: Vec<&Labels> = found.iter().map(|series| &series.labels).collect();
            return Err(format!("expected {} series, found {found:?}", self.series.len()));
        }
        for wanted in &self.series {
            let labels = &wanted.labels;
            let Some(series) = found.iter().find(|series| series.labels == *labels) else {
                return Err(format!("{labels} is missing"));
            };
            let found = points(series);
            let wanted: Vec<(TimeMs, Wanted<'_>)> = (0..wanted.values.len())
                .filter_map(|index| {
                    let at = TimeMs(start.0 + index as i64 * step_ms);
                    Some((at, Wanted::at(wanted, index)?))
                })
                .collect();
            let same = wanted.len() == found.len()
                && wanted.iter().zip(&found).all(|(a, b)| a.0 == b.0 && a.1.is(&b.1));
            if !same {
                return Err(format!("{labels}: expected {wanted:?}, found {found:?}"));
            }
        }
        Ok(())
    }
}

/// A value that was found.
#[derive(Clone, Debug)]
enum Point {
    Number(f64),
    Histogram(Arc<Histogram>),
}

impl Point {
    fn new(value: f64, histogram: Option<&Arc<Histogram>>) -> Self {
        histogram.map_or(Point::Number(value), |histogram| Point::Histogram(histogram.clone()))
    }
}

fn points(series: &RangeSeries) -> Vec<(TimeMs, Point)> {
    let mut histograms = series.histograms.iter();
    let points = series.samples.iter().map(|sample| {
        let histogram = is_histogram(sample.value).then(|| {
            let next = histograms.next().expect("a histogram for each sample that is one");
            assert_eq!(next.at, sample.at);
            &next.histogram
        });
        (sample.at, Point::new(sample.value, histogram))
    });
    points.collect()
}

/// A value that is expected.
#[derive(Clone, Copy, Debug)]
enum Wanted<'s> {
    Number(f64),
    Histogram(&'s Histogram, bool),
}

impl<'s> Wanted<'s> {
    fn at(series: &'s SeriesNotation, index: usize) -> Option<Self> {
        let value = series.values.get(index).copied().flatten()?;
        Some(match series.histograms.get(&index) {
            Some(notation) => Wanted::Histogram(&notation.histogram, notation.has_reset_hint),
            None => Wanted::Number(value),
        })
    }

    fn is(self, found: &Point) -> bool {
        match (self, found) {
            (Wanted::Number(wanted), Point::Number(found)) => equal(wanted, *found),
            (Wanted::Histogram(wanted, with_hint), Point::Histogram(found)) => {
                histograms::equal(wanted, found, with_hint)
            }
            _ => false,
        }
    }
}
