//! Random data and random expressions over the whole language.

use paramedic_model::{Labels, Sample, TimeMs, stale_nan};

/// When the data begin.
pub const START: TimeMs = TimeMs(1_795_219_200_000);
/// How long they go on.
pub const SECONDS: i64 = 900;

/// One series.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<Sample>,
    /// When it has native histograms, after its numbers.
    pub histograms: Vec<TimeMs>,
}

/// A small generator (a linear congruence): the same numbers for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.below(2);
        random
    }

    pub fn below(&mut self, bound: usize) -> usize {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    /// Every series with its samples.
    pub fn data(&mut self) -> Vec<Series> {
        let mut data = Vec::new();
        for host in ["a", "b", "c", "d"] {
            for name in ["up", "errors_total", "load", "odd"] {
                if self.one_in(8) {
                    continue;
                }
                let mut labels = vec![("__name__", name), ("host", host)];
                if !self.one_in(4) {
                    labels.push(("job", self.pick(&["x", "y"])));
                }
                if name == "odd" && self.one_in(2) {
                    labels.push(("__type__", self.pick(&["gauge", "counter"])));
                }
                self.series(labels, &mut data);
                for path in ["/", "/api"] {
                    if name == "errors_total" {
                        let labels = [("__name__", name), ("host", host), ("path", path)];
                        self.series(labels.to_vec(), &mut data);
                    }
                }
            }
            for le in ["0.1", "1", "+Inf"] {
                let labels = [("__name__", "req_bucket"), ("host", host), ("le", le)];
                self.series(labels.to_vec(), &mut data);
            }
        }
        self.series(vec![("job", "nameless")], &mut data);
        self.series(vec![("__name__", "info"), ("host", "a"), ("version", "1.2")], &mut data);
        self.series(vec![("__name__", "info"), ("host", "b"), ("version", "1.3")], &mut data);
        // Without their names these two are one series, but for the time of their samples.
        for (name, first, end) in [("turn_a", 0, 20), ("turn_b", 24, 50)] {
            let sample =
                |step: i64| Sample { at: TimeMs(START.0 + step * 15_000), value: step as f64 };
            data.push(Series {
                labels: Labels::from([("__name__", name), ("host", "a")]),
                samples: (first..end).map(sample).collect(),
                histograms: Vec::new(),
            });
        }
        // Numbers first, then histograms; at times in a family of numbers.
        for (name, host) in [("native", "a"), ("native", "b"), ("load", "native")] {
            if name == "load" && !self.one_in(3) {
                continue;
            }
            let steps = 1 + self.below(30) as i64;
            let at = |step| TimeMs(START.0 + step * 15_000);
            data.push(Series {
                labels: Labels::from([("__name__", name), ("host", host), ("job", "x")]),
                samples: (0..steps).map(|step| Sample { at: at(step), value: 1.0 }).collect(),
                histograms: (steps + 2..60).map(at).collect(),
            });
        }
        // Rows of one family are seldom next to each other.
        for at in (1..data.len()).rev() {
            let other = self.below(at + 1);
            data.swap(at, other);
        }
        data
    }

    fn series(&mut self, labels: Vec<(&str, &str)>, data: &mut Vec<Series>) {
        let labels: Labels = labels.into_iter().collect();
        if data.iter().any(|series| series.labels == labels) {
            return;
        }
        let name = labels.metric_name().unwrap_or("").to_owned();
        let samples = self.samples(&name);
        data.push(Series { labels, samples, histograms: Vec::new() });
    }

    fn samples(&mut self, name: &str) -> Vec<Sample> {
        let mut samples = Vec::new();
        let (mut total, mut gone) = (100.0, 0);
        let shift = self.below(3) as i64 * 4_000;
        for step in 0..SECONDS / 15 {
            let at = TimeMs(START.0 + step * 15_000 + shift);
            if gone > 0 {
                gone -= 1;
                continue;
            }
            if self.one_in(60) {
                samples.push(Sample { at, value: stale_nan() });
                gone = self.below(25);
                continue;
            }
            if self.one_in(20) {
                continue;
            }
            let value = match name {
                "up" => f64::from(u8::from(!self.one_in(4))),
                "errors_total" | "req_bucket" => {
                    total += self.below(9) as f64;
                    if self.one_in(40) {
                        total = 0.0;
                    }
                    total
                }
                _ => match self.below(30) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => f64::NEG_INFINITY,
                    3 => 1e300,
                    _ => self.below(41) as f64 * 0.1 - 2.0,
                },
            };
            samples.push(Sample { at, value });
        }
        samples
    }

    /// An expression, most of the time one that parses.
    pub fn expression(&mut self) -> String {
        match self.below(20) {
            0 => self.scalar(2),
            1 => self.range(1),
            2 => {
                let sort = self.pick(&["sort", "sort_desc"]);
                format!("{sort}({})", self.vector(2))
            }
            _ => {
                let depth = 1 + self.below(4);
                self.vector(depth)
            }
        }
    }

    fn number(&mut self) -> String {
        self.pick(&["0", "1", "2", "0.5", "-1", "100", "NaN", "Inf", "1e300"]).to_owned()
    }

    fn scalar(&mut self, depth: usize) -> String {
        if depth == 0 || self.one_in(2) {
            return self.number();
        }
        match self.below(5) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 => format!("scalar({})", self.vector(depth - 1)),
            3 => format!("-{}", self.scalar(depth - 1)),
            _ => {
                let op = self.pick(&["+", "-", "*", "/", "%", "^", "== bool", "> bool"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
        }
    }

    fn selector(&mut self) -> String {
        const MATCHERS: [&str; 12] = [
            "job=\"x\"",
            "job!=\"x\"",
            "host=~\"a|b\"",
            "host!~\"[cd]\"",
            "job=\"\"",
            "job=~\".+\"",
            "job=~\".*\"",
            "nothing=\"\"",
            "nothing=\"there\"",
            "le=~\"1.*|.Inf\"",
            "path!=\"/\"",
            "host=\"a\"",
        ];
        const NAMES: [&str; 9] = [
            "up",
            "up",
            "errors_total",
            "errors_total",
            "load",
            "odd",
            "req_bucket",
            "info",
            "none",
        ];
        let count = [0, 0, 0, 1, 1, 2][self.below(6)];
        let mut matchers: Vec<&str> = (0..count).map(|_| self.pick(&MATCHERS)).collect();
        let name = match self.below(40) {
            0..2 => {
                matchers.push("__name__=~\"turn_.\"");
                ""
            }
            2..4 => {
                let names =
                    ["__name__=~\"up|load\"", "__name__=~\"errors.*|odd\"", "__name__!=\"native\""];
                matchers.push(self.pick(&names));
                matchers.push("host=~\".+\"");
                ""
            }
            4 => {
                matchers.push("job=\"nameless\"");
                ""
            }
            5..8 => "native",
            _ => self.pick(&NAMES),
        };
        if matchers.is_empty() {
            name.to_owned()
        } else {
            format!("{name}{{{}}}", matchers.join(","))
        }
    }

    fn modifier(&mut self) -> String {
        match self.below(14) {
            0 => " offset 1m".to_owned(),
            1 => " offset -45s".to_owned(),
            2 => format!(" @ {}", START.0 / 1000 + self.below(1000) as i64),
            3 => " @ end()".to_owned(),
            4 => " @ start() offset 30s".to_owned(),
            _ => String::new(),
        }
    }

    fn range(&mut self, depth: usize) -> String {
        let window = self.pick(&["30s", "1m", "2m", "5m", "14s"]);
        if depth > 0 && self.one_in(6) {
            let step = self.pick(&["", "15s", "37s", "1m"]);
            return format!("({})[{window}:{step}]{}", self.vector(depth - 1), self.modifier());
        }
        let extent = if self.one_in(20) { self.pick(&[" anchored", " smoothed"]) } else { "" };
        format!("{}[{window}]{extent}{}", self.selector(), self.modifier())
    }

    fn labels(&mut self) -> String {
        let count = self.below(4);
        let names = ["host", "job", "path", "le", "__name__", "host", "job", "version"];
        let labels: Vec<_> = (0..count).map(|_| self.pick(&names)).collect();
        labels.join(", ")
    }

    fn grouping(&mut self) -> String {
        match self.below(5) {
            0 => String::new(),
            1 => format!(" without ({})", self.labels()),
            _ => format!(" by ({})", self.labels()),
        }
    }

    fn matching(&mut self, sets: bool) -> String {
        if self.one_in(3) {
            return String::new();
        }
        let word = self.pick(&["on", "on", "ignoring"]);
        let labels = if self.one_in(2) {
            self.pick(&["host", "host, job", "job, host, path"]).to_owned()
        } else {
            self.labels()
        };
        let group = match self.below(6) {
            0 | 1 if !sets => format!(" group_left ({})", self.include(&labels)),
            2 if !sets => format!(" group_right ({})", self.include(&labels)),
            3 if !sets && self.one_in(3) => " fill (1)".to_owned(),
            _ => String::new(),
        };
        format!(" {word} ({labels}){group}")
    }

    /// Labels that are not among those of the match.
    fn include(&mut self, matched: &str) -> String {
        let label = self.pick(&["", "version", "path", "job", "__name__"]);
        if matched.contains(label) { String::new() } else { label.to_owned() }
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.modifier());
        }
        let inner = depth - 1;
        match self.below(16) {
            0 => format!("{}{}", self.selector(), self.modifier()),
            1 | 2 => {
                const OPS: [&str; 8] =
                    ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"];
                format!("{}{} ({})", self.pick(&OPS), self.grouping(), self.vector(inner))
            }
            3 => {
                let op = self.pick(&["topk", "bottomk", "limitk", "quantile", "limit_ratio"]);
                format!("{op}{} ({}, {})", self.grouping(), self.number(), self.vector(inner))
            }
            4 | 5 => {
                let op = self.pick(&["==", "!=", "<", "<=", ">", ">=", "== bool", "> bool"]);
                if self.one_in(4) {
                    format!("{} {op} {}", self.scalar(1), self.operand(inner))
                } else {
                    format!("{} {op} {}", self.operand(inner), self.scalar(1))
                }
            }
            6 => {
                let op = self.pick(&["+", "-", "*", "/", "%", "^", "atan2"]);
                if self.one_in(2) {
                    format!("{} {op} {}", self.scalar(1), self.operand(inner))
                } else {
                    format!("{} {op} {}", self.operand(inner), self.scalar(1))
                }
            }
            7 | 8 => {
                const OPS: [&str; 8] = ["+", "-", "*", "/", "==", ">", "!= bool", "<="];
                let (op, matching) = (self.pick(&OPS), self.matching(false));
                // Grouped sides match more often than they fail.
                let side = |random: &mut Self| {
                    if random.one_in(3) {
                        format!(
                            "sum by ({}) ({})",
                            random.pick(&["host", "host, job"]),
                            random.vector(inner)
                        )
                    } else {
                        random.operand(inner)
                    }
                };
                format!("{} {op}{matching} {}", side(self), side(self))
            }
            9 | 10 => {
                let (op, matching) = (self.pick(&["and", "or", "unless"]), self.matching(true));
                format!("{} {op}{matching} {}", self.operand(inner), self.operand(inner))
            }
            11..14 => self.call(inner),
            14 => format!("-{}", self.operand(inner)),
            _ => format!("({})", self.vector(inner)),
        }
    }

    fn operand(&mut self, depth: usize) -> String {
        format!("({})", self.vector(depth))
    }

    fn call(&mut self, depth: usize) -> String {
        const OVER_TIME: [&str; 25] = [
            "rate",
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "changes",
            "resets",
            "deriv",
            "avg_over_time",
            "count_over_time",
            "first_over_time",
            "last_over_time",
            "mad_over_time",
            "max_over_time",
            "min_over_time",
            "present_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "sum_over_time",
            "ts_of_first_over_time",
            "ts_of_last_over_time",
            "ts_of_max_over_time",
            "ts_of_min_over_time",
            "absent_over_time",
        ];
        const OF_VECTOR: [&str; 19] = [
            "abs",
            "ceil",
            "floor",
            "sqrt",
            "ln",
            "exp",
            "sgn",
            "round",
            "hour",
            "day_of_week",
            "timestamp",
            "absent",
            "minute",
            "deg",
            "sort",
            "sort_desc",
            "histogram_count",
            "histogram_sum",
            "histogram_avg",
        ];
        match self.below(12) {
            0..5 => format!("{}({})", self.pick(&OVER_TIME), self.range(depth)),
            5 => match self.below(3) {
                0 => format!("quantile_over_time({}, {})", self.number(), self.range(depth)),
                1 => format!("predict_linear({}, {})", self.range(depth), self.number()),
                _ => format!(
                    "double_exponential_smoothing({}, {}, 0.3)",
                    self.range(depth),
                    self.pick(&["0.5", "0.1", "2"])
                ),
            },
            6 | 7 => format!("{}({})", self.pick(&OF_VECTOR), self.vector(depth)),
            8 => match self.below(4) {
                0 => format!("clamp({}, {}, {})", self.vector(depth), self.number(), self.number()),
                1 => format!("clamp_min({}, {})", self.vector(depth), self.number()),
                2 => format!("round({}, {})", self.vector(depth), self.number()),
                _ => format!("clamp_max({}, {})", self.vector(depth), self.number()),
            },
            9 => {
                let vector = match self.below(3) {
                    0 => "req_bucket".to_owned(),
                    1 => "sum by (le) (rate(req_bucket[2m]))".to_owned(),
                    _ => self.vector(depth),
                };
                format!("histogram_quantile({}, {vector})", self.number())
            }
            10 => match self.below(5) {
                0 => format!(
                    "label_replace({}, \"{}\", \"$1\", \"host\", \"(.*)\")",
                    self.vector(depth),
                    self.pick(&["new", "job", "__name__"])
                ),
                1 => {
                    format!("label_join({}, \"new\", \"-\", \"host\", \"job\")", self.vector(depth))
                }
                2 => format!("count_values(\"value\", {})", self.vector(depth)),
                3 => format!("sort_by_label({}, \"host\")", self.vector(depth)),
                _ => format!("histogram_fraction(0, 1, {})", self.vector(depth)),
            },
            _ => format!("vector({})", self.scalar(2)),
        }
    }
}
