//! What the fuzzer feeds arbitrary bytes to: one function per target, which panics where a promise
//! is broken.
//!
//! `cargo xtask fuzz` runs them under libFuzzer, from the inputs kept in `corpus/TARGET`; a plain
//! test replays those, so that what was found once stays found. To add a target, add a function
//! here, to [`TARGETS`], a file in `targets/`, and its name in `Cargo.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_exposition::{
    Family, Format, Layout, Metadata, ScrapedSample, parse, parse_again, parse_as, write_text,
};
use paramedic_gotmpl::{Functions, Template, alert_data};
use paramedic_model::{BucketSpan, Labels, METRIC_NAME, Sample, TimeMs};
use paramedic_promql::{
    EvalError, EvalOptions, Evaluation, ParseOptions, Plan, Value, parse_series, parse_with,
};
use paramedic_relabel::{Action, Fields, NameScheme, Rule};
use paramedic_rules::RuleFile;
use paramedic_samples::{LogOptions, OnDamage, OpenError, Window, WindowOptions};
use paramedic_scrape::remote_write::decode;

/// A target: its name, which is that of its folder in `corpus/`, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("expression", expression),
    ("evaluation", evaluation),
    ("exposition", exposition),
    ("rules", rules),
    ("relabel", relabel),
    ("log", log),
    ("template", template),
    ("remote_write", remote_write),
];

/// Longer inputs find nothing new, and are slow.
const BYTES_MAX: usize = 4096;

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok().filter(|text| text.len() <= BYTES_MAX)
}

/// An expression from its text to its plan: errors have a place in the text, and what parses prints
/// to what parses to the same.
pub fn expression(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let _ = parse_series(text);
    for experimental in [false, true] {
        let options = ParseOptions { experimental, ..ParseOptions::default() };
        let expr = match parse_with(text, &options) {
            Ok(expr) => expr,
            Err(error) => {
                assert!(error.to_string().contains(':'), "{error}");
                continue;
            }
        };
        let printed = expr.to_string();
        let again = parse_with(&printed, &options).unwrap_or_else(|error| {
            panic!("{text:?} prints as {printed:?}, which does not parse: {error}")
        });
        // The sign that infinity prints with is an operator before `^`, in Prometheus too.
        if !printed.contains("Inf ^") {
            assert_eq!(again.to_string(), printed, "{text:?}");
        }
        let _ = Plan::new(expr, text);
    }
}

/// What is evaluated on arbitrary data.
const EXPRESSIONS: &[&str] = &[
    "a",
    "a == 0",
    "{job=~\"j.*\"} offset 1m",
    "a @ 100",
    "rate(a[1m])",
    "increase(a[3m]) > 0",
    "irate(b[2m])",
    "deriv(a[2m])",
    "predict_linear(a[2m], 60)",
    "quantile_over_time(0.5, a[2m])",
    "stddev_over_time(b[3m])",
    "max_over_time(a[1m]) - min_over_time(a[1m])",
    "sum by (job) (rate(a[1m]))",
    "avg without (le) (b)",
    "topk(1, a)",
    "quantile(0.9, b)",
    "stdvar(a)",
    "count_values(\"v\", b)",
    "histogram_quantile(0.9, b)",
    "histogram_fraction(0, 1, b)",
    "a and on (job) b",
    "a unless b",
    "a or b",
    "a / on (job, le) group_left b",
    "a % b",
    "a ^ b",
    "clamp(a, -1, 1)",
    "round(a, 0.1)",
    "absent(a)",
    "changes(a[3m]) + resets(a[3m])",
    "timestamp(a)",
    "day_of_week(a)",
    "sum_over_time(a[2m:10s])",
    "label_replace(a, \"x\", \"$1\", \"le\", \"(.*)\")",
    "sort_desc(a)",
    "double_exponential_smoothing(a[2m], 0.5, 0.5)",
];

/// Arbitrary samples under fixed expressions: no value and no order of them makes a panic, and the
/// columnar evaluator says what the plain one says.
///
/// Each sample takes ten bytes: which series and expression, how much time passes, the bits of the
/// value.
pub fn evaluation(data: &[u8]) {
    let mut window = Window::default();
    let mut at = TimeMs(0);
    let (mut asked, records) = (0, data[..data.len().min(BYTES_MAX)].chunks_exact(10));
    for record in records {
        let &[which, pace, ref bits @ ..] = record else { continue };
        at = TimeMs(at.0 + i64::from(pace) * 500);
        let value = f64::from_bits(u64::from_le_bytes(bits.try_into().unwrap_or_default()));
        let name = if which & 1 == 0 { "a" } else { "b" };
        let (job, le) = (["j1", "j2"], ["0.1", "1", "+Inf", ""]);
        let labels = Labels::from([
            ("__name__", name),
            ("job", job[usize::from(which >> 1 & 1)]),
            ("le", le[usize::from(which >> 2 & 3)]),
        ]);
        let _ = window.append_samples(&labels, &[Sample { at, value }]);
        asked += usize::from(which >> 4);
    }
    let options = ParseOptions { experimental: true, ..ParseOptions::default() };
    for step in 0..4 {
        let text = EXPRESSIONS[(asked + step) % EXPRESSIONS.len()];
        let expr = parse_with(text, &options).unwrap_or_else(|error| panic!("{text}: {error}"));
        let Ok(plan) = Plan::new(expr, text) else { continue };
        let options = EvalOptions { samples_max: 20_000, ..EvalOptions::default() };
        let plain = plan.eval_instant_plain(&window, at, &options);
        assert_eq!(shown(plan.eval_instant(&window, at, &options)), shown(plain), "{text}");
        let (start, step) = (TimeMs(at.0 - 120_000), Duration::from_secs(15));
        let plain = plan.eval_range_plain(&window, start, at, step, &options);
        assert_eq!(
            shown(plan.eval_range(&window, start, at, step, &options)),
            shown(plain),
            "{text}"
        );
    }
}

/// A value with its rows, and what there is to say about it. (A NaN is like any other, and shortest
/// decimals tell all other numbers apart.)
fn shown(found: Result<Evaluation, EvalError>) -> String {
    let Evaluation { value, annotations } = match found {
        Ok(evaluation) => evaluation,
        Err(error) => return error.to_string(),
    };
    let mut text = String::new();
    let mut line = |what: String| text.extend([&*what, "\n"]);
    match value {
        Value::Scalar(_) | Value::String(_) => line(format!("{value:?}")),
        Value::Vector(elements) => elements.iter().for_each(|element| {
            let rows = element.origins.rows();
            line(format!("{:?} {:?} {rows:?}", element.labels, element.value));
        }),
        Value::Matrix(series) => series.iter().for_each(|series| {
            let rows = series.origins.rows();
            line(format!("{:?} {:?} {rows:?}", series.labels, series.samples));
        }),
    }
    annotations.iter().for_each(|annotation| line(annotation.to_string()));
    text
}

/// Bodies of either format, with a zero byte between them: what came before changes nothing of what
/// a body says, and what can be read is written and reads as the same.
pub fn exposition(data: &[u8]) {
    if data.len() > BYTES_MAX {
        return;
    }
    for content_type in ["text/plain", "application/openmetrics-text"] {
        let mut layout = Layout::default();
        for body in data.split(|byte| *byte == 0) {
            // Texts are compared: a NaN equals no other.
            let again = parse_again(content_type, body, &mut layout)
                .map(|reading| format!("{:?}", reading.samples().collect::<Vec<_>>()));
            let plain = parse(content_type, body).map(|scrape| {
                let series = scrape.samples.iter().map(|sample| &sample.series);
                format!("{:?}", series.collect::<Vec<_>>())
            });
            assert_eq!(again, plain);
        }
    }
    let Ok(scrape) = parse_as(Format::Text, data) else { return };
    let written = rewrite(scrape.samples);
    let again = parse_as(Format::Text, written.as_bytes())
        .unwrap_or_else(|error| panic!("{written:?} does not read: {error}"));
    // Texts are compared: a NaN equals no other.
    assert_eq!(rewrite(again.samples), written);
}

fn rewrite(samples: Vec<ScrapedSample>) -> String {
    let mut families: BTreeMap<String, Vec<ScrapedSample>> = BTreeMap::new();
    for sample in samples {
        let name = sample.series.labels.value(METRIC_NAME).to_owned();
        families.entry(name).or_default().push(sample);
    }
    let family =
        |(name, samples)| Family { metadata: Metadata { name, ..Metadata::default() }, samples };
    write_text(&families.into_iter().map(family).collect::<Vec<_>>())
}

/// A rule file: every mistake has its place, and what is right has rules that can be planned.
pub fn rules(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Err(mistakes) = RuleFile::parse("rules.yml", text) {
        assert!(!mistakes.is_empty());
        for mistake in mistakes {
            assert!(mistake.to_string().starts_with("rules.yml:"), "{mistake}");
        }
    }
}

/// Rules of relabelling and the labels of a target: a rule says why it is none, and what rules make
/// of labels is a label set again, the same each time.
///
/// A line is a label, `name=value`, or a rule: `action|source,labels|separator|regex|modulus|target|replacement`,
/// where a field that ends early is not there.
pub fn relabel(data: &[u8]) {
    // Rules may double a value, each of them.
    const RULES_MAX: usize = 8;
    let Some(text) = text(data) else { return };
    let (mut labels, mut rules) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(pair) = line.split_once('=').filter(|_| !line.contains('|')) {
            // Whoever brings labels has names for them.
            labels.extend(Some(pair).filter(|(name, _)| !name.is_empty()));
            continue;
        }
        let mut fields = line.split('|');
        let Some(action) = fields.next().and_then(Action::of) else { continue };
        let mut next = || fields.next().map(str::to_owned);
        let fields = Fields {
            action,
            source_labels: next().map(|names| names.split(',').map(str::to_owned).collect()),
            separator: next(),
            regex: next(),
            modulus: next().and_then(|number| number.parse().ok()).unwrap_or_default(),
            target_label: next().unwrap_or_default(),
            replacement: next(),
            names: if line.ends_with(' ') { NameScheme::Legacy } else { NameScheme::Utf8 },
        };
        match Rule::new(fields) {
            Ok(rule) => rules.push(rule),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    rules.truncate(RULES_MAX);
    let labels: Labels = labels.into_iter().collect();
    let after = paramedic_relabel::relabel(&labels, &rules);
    if let Some(after) = &after {
        let names: Vec<_> = after.iter().map(|(name, _)| name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{after:?}");
        assert!(
            after.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()),
            "{after:?}"
        );
    }
    assert_eq!(after, paramedic_relabel::relabel(&labels, &rules));
}

/// A template of an annotation: it renders, or says why not.
pub fn template(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(template) = Template::parse_alert("Fuzzed", text) else { return };
    let labels = Labels::from([("instance", "web1:9100"), ("job", "j")]);
    let data = alert_data(&labels, &Labels::empty(), "", 0.25);
    let _ = template.expand(&data, &Functions::offline());
}

/// Records of the samples' log that have their checksums and say anything: opening it reads them or
/// names the damage.
///
/// The first byte chooses between segment and checkpoint. Each record takes a byte for its kind, one
/// for its length, and its payload.
pub fn log(data: &[u8]) {
    let Some((which, mut rest)) = data.split_first().filter(|_| data.len() <= BYTES_MAX) else {
        return;
    };
    let mut file = b"PMSAMPLE".to_vec();
    while let Some((head, payload)) = rest.split_at_checked(2) {
        let (payload, next) = payload.split_at(payload.len().min(head[1].into()));
        let start = file.len();
        file.extend((payload.len() as u32).to_le_bytes());
        file.push(head[0]);
        file.extend(crc32fast::hash(&file[start..]).to_le_bytes());
        file.extend(payload);
        file.extend(crc32fast::hash(&[&head[..1], payload].concat()).to_le_bytes());
        rest = next;
    }
    let name = if which & 1 == 0 { "00000001.segment" } else { "00000001.checkpoint" };
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(name), file).expect("writes");
    let log = LogOptions { on_damage: OnDamage::Refuse, ..LogOptions::default() };
    match Window::open(dir.path(), WindowOptions { log, ..WindowOptions::default() }) {
        Ok((mut window, _)) => {
            let commit = window.append(TimeMs(0), &[]);
            assert_eq!(commit.unlogged, None);
        }
        Err(OpenError::Damaged(_) | OpenError::Version { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// The body of a remote write: what is read has names, and histograms whose buckets are where their
/// spans say, so a window takes it and a query on it ends.
///
/// Of an even first byte the rest is the body; of an odd one it is what was compressed, since the
/// fuzzer would rarely find a way through the compression.
pub fn remote_write(data: &[u8]) {
    let Some((which, rest)) = data.split_first().filter(|_| data.len() <= BYTES_MAX) else {
        return;
    };
    let compressed;
    let body = if which & 1 == 0 {
        rest
    } else {
        compressed = snap::raw::Encoder::new().compress_vec(rest).expect("it fits");
        &compressed
    };
    let Ok(written) = decode(body, 1 << 20) else { return };
    assert_eq!(written.invalid > 0, written.first_invalid.is_some());
    let mut window = Window::new(WindowOptions::default());
    for series in &written.series {
        assert!(series.labels.metric_name().is_some_and(|name| !name.is_empty()));
        for (at, histogram) in &series.histograms {
            let length =
                |spans: &[BucketSpan]| spans.iter().map(|s| s.length as usize).sum::<usize>();
            assert_eq!(length(&histogram.positive_spans), histogram.positive_buckets.len());
            assert_eq!(length(&histogram.negative_spans), histogram.negative_buckets.len());
            let one = [(*at, histogram.clone())];
            let commit = window.append_histograms(&series.labels, &one);
            assert_eq!(commit.accepted + commit.rejected.total(), 1);
            let text = "histogram_quantile(0.5, {__name__=~\".+\"}) or {__name__=~\".+\"}";
            let plan =
                Plan::new(parse_with(text, &ParseOptions::default()).expect("it parses"), text);
            let _ =
                plan.expect("it is supported").eval_instant(&window, *at, &EvalOptions::default());
        }
        window.append_samples(&series.labels, &series.samples);
    }
}
