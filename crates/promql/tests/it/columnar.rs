//! The columnar evaluator beside the plain one: random expressions over random data.
//!
//! Nothing may differ: values to the bit, their order, labels, annotations, errors, and the rows
//! that results came from. `COLUMNAR_CASES` says how many expressions there are, `COLUMNAR_SEED`
//! where they begin. A difference is reported with the smallest expression and the fewest series
//! that still show it.

mod random;

use std::sync::Arc;
use std::time::Duration;

use paramedic_model::{Histogram, Sample, TimeMs};
use paramedic_promql::{
    Annotations, EvalError, EvalOptions, Evaluation, Expr, Origins, ParseOptions, Plan,
    SelectorCache, Value, parse_with,
};
use paramedic_samples::Window;

use random::{Random, Series};

const CASES: u64 = 3_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// One evaluation to compare.
struct Case {
    at: TimeMs,
    /// The steps of a range query: how many, and how far apart.
    steps: Option<(i64, Duration)>,
    options: EvalOptions,
}

fn window(data: &[Series]) -> Window {
    let mut window = Window::default();
    for Series { labels, samples, histograms } in data {
        assert_eq!(window.append_samples(labels, samples).accepted, samples.len(), "{labels}");
        let histogram = |(number, at): (usize, &TimeMs)| {
            let count = (number % 7) as f64;
            let histogram =
                Histogram { count, sum: 2.0, zero_count: count, ..Histogram::default() };
            (*at, Arc::new(histogram))
        };
        let histograms: Vec<_> = histograms.iter().enumerate().map(histogram).collect();
        window.append_histograms(labels, &histograms);
    }
    window
}

fn plan(text: &str) -> Option<Plan> {
    let options = ParseOptions { experimental: true, ..ParseOptions::default() };
    Plan::new(parse_with(text, &options).ok()?, text).ok()
}

/// Numbers as bits: NaN is equal to NaN, and 0 is not -0.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

fn transcript(found: Result<Evaluation, EvalError>) -> Vec<String> {
    let Evaluation { value, annotations } = match found {
        Ok(evaluation) => evaluation,
        Err(error) => return vec![error.to_string()],
    };
    let origins = |origins: &Origins| {
        let rows = origins.rows();
        let rows: Vec<String> =
            rows.iter().map(|row| format!("{}.{}", row.family.0, row.row)).collect();
        rows.join(" ")
    };
    let mut lines: Vec<String> = match value {
        Value::Scalar(value) => vec![format!("{value} {:x}", bits(value))],
        Value::String(text) => vec![text],
        Value::Vector(elements) => elements
            .iter()
            .map(|element| {
                let (value, from) = (element.value, origins(&element.origins));
                let histogram = &element.histogram;
                format!("{:?} {value} {:x} {histogram:?} <- {from}", element.labels, bits(value))
            })
            .collect(),
        Value::Matrix(series) => series
            .iter()
            .map(|series| {
                let sample = |sample: &Sample| {
                    format!("{}@{} {:x}", sample.value, sample.at.0, bits(sample.value))
                };
                let samples: Vec<String> = series.samples.iter().map(sample).collect();
                let from = origins(&series.origins);
                let (samples, histograms) = (samples.join(", "), &series.histograms);
                format!("{:?} {samples} {histograms:?} <- {from}", series.labels)
            })
            .collect(),
    };
    lines.extend(notes(&annotations));
    lines
}

fn notes(annotations: &Annotations) -> Vec<String> {
    annotations.iter().map(ToString::to_string).collect()
}

/// What the two evaluators say, where it differs.
fn difference(window: &Window, text: &str, case: &Case) -> Option<(Vec<String>, Vec<String>)> {
    let plan = plan(text)?;
    let Case { at, steps, options } = case;
    let (plain, columnar) = match steps {
        None => {
            let plain = plan.eval_instant_plain(window, *at, options);
            let columnar = plan.eval_instant(window, *at, options);
            let mut cache = SelectorCache::default();
            let shared = plan.eval_instant_shared(window, *at, options, &mut cache);
            assert_eq!(transcript(shared), transcript(columnar.clone()), "{text}");
            (plain, columnar)
        }
        Some((count, step)) => {
            let end = TimeMs(at.0 + count * step.as_millis() as i64);
            let plain = plan.eval_range_plain(window, *at, end, *step, options);
            (plain, plan.eval_range(window, *at, end, *step, options))
        }
    };
    let (plain, columnar) = (transcript(plain), transcript(columnar));
    (plain != columnar).then_some((plain, columnar))
}

/// The texts of the expressions in `expr`, outer before inner.
fn parts(text: &str) -> Vec<String> {
    let Some(plan) = plan(text) else { return Vec::new() };
    let mut parts = Vec::new();
    let mut visit = |expr: &Expr| parts.push(expr.span.of(text).to_owned());
    plan.expr().walk(&mut |expr| visit(expr));
    parts
}

/// Fails with the smallest expression and the fewest series that show a difference.
fn report(mut text: String, mut data: Vec<Series>, case: &Case) -> ! {
    while let Some(part) = parts(&text)
        .into_iter()
        .skip(1)
        .find(|part| difference(&window(&data), part, case).is_some())
    {
        text = part;
    }
    let mut at = 0;
    while at < data.len() {
        let series = data.remove(at);
        if difference(&window(&data), &text, case).is_none() {
            data.insert(at, series);
            at += 1;
        }
    }
    let Some((plain, columnar)) = difference(&window(&data), &text, case) else {
        panic!("{text}: the difference comes and goes");
    };
    let mut said =
        format!("{text}\n  at {:?} steps {:?} {:?}\n", case.at, case.steps, case.options);
    for series in &data {
        let sample = |sample: &Sample| format!("{}@{}", sample.value, sample.at.0);
        let samples: Vec<String> = series.samples.iter().map(sample).collect();
        said += &format!("  {:?} {} {:?}\n", series.labels, samples.join(" "), series.histograms);
    }
    let only = |lines: &[String], others: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !others.contains(line)).cloned().collect()
    };
    let (alone, other) = (only(&plain, &columnar), only(&columnar, &plain));
    panic!(
        "{said}plain:    {alone:#?}\ncolumnar: {other:#?}\n({} and {} lines)",
        plain.len(),
        columnar.len()
    );
}

fn case(random: &mut Random) -> Case {
    let at = TimeMs(random::START.0 + random.below(random::SECONDS as usize * 1000) as i64);
    // On the edges of windows, too.
    let at = if random.one_in(2) { TimeMs(at.0 / 15_000 * 15_000) } else { at };
    let steps = random.one_in(3).then(|| {
        let step = [15_000, 47_000, 60_000, 131_000][random.below(4)];
        (random.below(8) as i64, Duration::from_millis(step))
    });
    let mut options = EvalOptions::default();
    if random.one_in(4) {
        options.lookback = Duration::from_secs([15, 40][random.below(2)]);
    }
    if random.one_in(12) {
        options.samples_max = 1 + random.below(80);
    }
    options.delayed_name_removal = random.one_in(25);
    Case { at, steps, options }
}

#[test]
fn columns_say_what_the_plain_evaluator_says() {
    let (cases, first) = (setting("COLUMNAR_CASES", CASES), setting("COLUMNAR_SEED", 1));
    let (mut compared, mut failed, mut empty) = (0, 0, 0);
    for seed in first..first + cases.div_ceil(50) {
        let mut random = Random::new(seed);
        let data = random.data();
        let window = window(&data);
        for _ in 0..50 {
            let (text, case) = (random.expression(), case(&mut random));
            let Some(plan) = plan(&text) else { continue };
            compared += 1;
            if difference(&window, &text, &case).is_some() {
                report(text, data, &case);
            }
            match plan.eval_instant(&window, case.at, &case.options).map(|found| found.value) {
                Err(_) => failed += 1,
                Ok(Value::Vector(elements)) if elements.is_empty() => empty += 1,
                Ok(_) => {}
            }
        }
    }
    eprintln!("{compared} of {cases} compared, {failed} with errors, {empty} with nothing");
    // A generator that yields mostly nothing would prove nothing.
    assert!(compared * 4 > cases * 3 && failed * 2 < compared && empty * 2 < compared);
}

#[test]
fn shared_values_are_those_of_an_evaluation_of_ones_own() {
    let (cases, first) = (setting("COLUMNAR_CASES", CASES), setting("COLUMNAR_SEED", 1));
    let mut compared = 0;
    for seed in first..first + cases.div_ceil(50) {
        let mut random = Random::new(seed + 1_000_000);
        let window = window(&random.data());
        let (mut cache, mut texts) = (SelectorCache::default(), Vec::new());
        let moments = [case(&mut random).at, case(&mut random).at];
        for number in 0..50 {
            let mut text = random.expression();
            if !texts.is_empty() && random.one_in(2) {
                // Parts that were there before, as the rules of a group have them.
                let other: &String = &texts[random.below(texts.len())];
                let operator = ["or", "and", "/", "> bool", "unless on (host)"][random.below(5)];
                text = format!("({other}) {operator} ({text})");
            }
            let Some(plan) = plan(&text) else { continue };
            texts.push(text.clone());
            let Case { options, .. } = case(&mut random);
            // A round at one moment, then one at the other.
            let at = moments[number / 25];
            let plain = transcript(plan.eval_instant_plain(&window, at, &options));
            for time in 0..3 {
                let shared = plan.eval_instant_shared(&window, at, &options, &mut cache);
                assert_eq!(transcript(shared), plain, "{text}, time {time}, seed {seed}");
            }
            compared += 1;
        }
    }
    assert!(compared * 4 > cases * 3, "only {compared} of {cases} compared");
}

#[test]
fn a_cache_serves_many_expressions_of_one_state() {
    let data = Random::new(7).data();
    let window = window(&data);
    let mut cache = SelectorCache::default();
    let at = TimeMs(random::START.0 + 600_000);
    for text in ["up", "up == 0", "sum by (job) (up{host=\"a\"})", "up{host=\"a\"} > 0", "up"] {
        let plan = plan(text).expect(text);
        let shared = plan.eval_instant_shared(&window, at, &EvalOptions::default(), &mut cache);
        let plain = plan.eval_instant_plain(&window, at, &EvalOptions::default());
        assert_eq!(transcript(shared), transcript(plain), "{text}");
    }
}
