//! Random data, and random expressions of the language that Prometheus 2.42 and 3.x share.
//!
//! From 3.0 on windows are open on the left. So samples stand 137 ms after a second, evaluations half
//! a second after one, and subqueries are not nested: nothing ever stands on an edge.

use paramedic_model::{Labels, Sample, TimeMs, stale_nan};

/// When the data begin.
pub const START: TimeMs = TimeMs(1_795_219_200_000);
/// How long they go on.
pub const SECONDS: i64 = 3_000;

/// A small generator (a linear congruence): the same numbers for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    /// Every series with its samples.
    pub fn data(&mut self) -> Vec<(Labels, Vec<Sample>)> {
        let mut data = Vec::new();
        for job in ["api", "db"] {
            for instance in ["0", "1", "2"] {
                for name in ["a", "b", "c_total", "d", "up"] {
                    let mut labels = vec![("__name__", name), ("instance", instance), ("job", job)];
                    if name == "a" && instance != "0" {
                        labels.push(("zone", self.pick(&["x", "y"])));
                    }
                    let labels = labels.into_iter().collect();
                    data.push((labels, self.samples(name)));
                }
                for le in ["0.1", "1", "10", "+Inf"] {
                    let labels = Labels::from([
                        ("__name__", "h_bucket"),
                        ("instance", instance),
                        ("job", job),
                        ("le", le),
                    ]);
                    data.push((labels, self.samples("h_bucket")));
                }
            }
        }
        data
    }

    fn samples(&mut self, name: &str) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut total = 1_000.0;
        let (mut gone, mut since_reset) = (0, 0);
        for step in 0..SECONDS / 15 {
            let at = TimeMs(START.0 + step * 15_000 + 137);
            if gone > 0 {
                gone -= 1;
                continue;
            }
            if since_reset > 5 && self.one_in(80) {
                samples.push(Sample { at, value: stale_nan() });
                gone = self.below(30);
                continue;
            }
            since_reset += 1;
            if since_reset > 5 && self.one_in(25) {
                continue;
            }
            let value = match name {
                "up" => f64::from(u8::from(!self.one_in(5))),
                "c_total" | "h_bucket" => {
                    total += self.below(9) as f64;
                    if self.one_in(60) {
                        (total, since_reset) = (0.0, 0);
                    }
                    total
                }
                "d" => match self.below(40) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => f64::NEG_INFINITY,
                    _ => self.quarter(),
                },
                _ => self.quarter(),
            };
            samples.push(Sample { at, value });
        }
        samples
    }

    /// A multiple of a quarter: sums of them are exact, in whatever order.
    fn quarter(&mut self) -> f64 {
        self.below(81) as f64 / 4.0 - 10.0
    }

    /// An expression that is an instant vector or a scalar.
    pub fn expression(&mut self) -> String {
        let expressions = Expressions { random: self, in_subquery: false };
        let mut expressions = expressions;
        if expressions.random.one_in(12) {
            return expressions.scalar(3);
        }
        if expressions.random.one_in(15) {
            let op = expressions.random.pick(&["topk", "bottomk"]);
            let count = expressions.random.below(4);
            return format!("{op}({count}, {})", expressions.vector(2));
        }
        expressions.vector(3)
    }
}

struct Expressions<'r> {
    random: &'r mut Random,
    in_subquery: bool,
}

impl Expressions<'_> {
    fn selector(&mut self) -> String {
        const MATCHERS: [&str; 9] = [
            "job=\"api\"",
            "job!=\"api\"",
            "instance=~\"0|1\"",
            "instance!~\"[12]\"",
            "zone=\"\"",
            "zone=~\".+\"",
            "zone!=\"x\"",
            "nothing=\"\"",
            "le=~\"1.*|.Inf\"",
        ];
        let name = self.random.pick(&["a", "b", "c_total", "d", "up", "h_bucket", "none"]);
        let count = [0, 0, 1, 1, 2][self.random.below(5)];
        let matchers: Vec<_> = (0..count).map(|_| self.random.pick(&MATCHERS)).collect();
        if matchers.is_empty() {
            name.to_owned()
        } else {
            format!("{name}{{{}}}", matchers.join(","))
        }
    }

    fn modifier(&mut self) -> String {
        match self.random.below(12) {
            0 => " offset 40s".to_owned(),
            1 => " offset -35s".to_owned(),
            2 => format!(" @ {}.5", START.0 / 1000 + 1_000 + self.random.below(1_000) as i64),
            3 => " @ end()".to_owned(),
            4 => " @ start() offset 1m".to_owned(),
            _ => String::new(),
        }
    }

    fn matrix(&mut self, depth: usize) -> String {
        let range = self.random.pick(&["16s", "45s", "1m", "2m", "5m", "10m"]);
        if self.in_subquery || depth == 0 || !self.random.one_in(4) {
            return format!("{}[{range}]{}", self.selector(), self.modifier());
        }
        self.in_subquery = true;
        let inner = self.vector(depth - 1);
        self.in_subquery = false;
        let step = self.random.pick(&["10s", "13s", "30s", "1m", ""]);
        format!("({inner})[{range}:{step}]{}", self.modifier())
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 3 } else { 6 }) {
            0 | 1 => {
                self.random.pick(&["0", "1", "2.37", "-3", "0.5", "1e3", "NaN", "Inf"]).to_owned()
            }
            2 => "time()".to_owned(),
            3 => format!("scalar({})", self.vector(depth - 1)),
            4 => format!("-({})", self.scalar(depth - 1)),
            _ => {
                let op = self.random.pick(&["+", "-", "*", "/"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
        }
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.modifier());
        }
        let depth = depth - 1;
        match self.random.below(20) {
            0..=2 => format!("{}{}", self.selector(), self.modifier()),
            3..=6 => self.range_function(depth),
            7 | 8 => self.function(depth),
            9..=12 => self.aggregation(depth),
            13..=15 => self.comparison(depth),
            16 | 17 => self.arithmetic(depth),
            18 => {
                let op = self.random.pick(&["and", "or", "unless"]);
                let on = self.random.pick(&["", " on (job)", " ignoring (zone, le)", " on ()"]);
                format!("({} {op}{on} {})", self.vector(depth), self.vector(depth))
            }
            _ => format!("-({})", self.vector(depth)),
        }
    }

    fn range_function(&mut self, depth: usize) -> String {
        const PLAIN: [&str; 15] = [
            "delta",
            "irate",
            "idelta",
            "deriv",
            "changes",
            "resets",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "sum_over_time",
            "count_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "last_over_time",
            "present_over_time",
        ];
        let matrix = self.matrix(depth);
        match self.random.below(20) {
            0 => format!("quantile_over_time({}, {matrix})", self.random.pick(&["0.3", "1", "2"])),
            1 => format!("predict_linear({}[2m], 100)", self.selector()),
            2 => format!("absent_over_time({matrix})"),
            3..=5 => {
                let function = self.random.pick(&["rate", "increase"]);
                let counter = self.random.pick(&["c_total", "h_bucket{job=\"db\"}"]);
                let range = self.random.pick(&["45s", "1m", "5m", "10m"]);
                format!("{function}({counter}[{range}]{})", self.modifier())
            }
            _ => format!("{}({matrix})", self.random.pick(&PLAIN)),
        }
    }

    fn function(&mut self, depth: usize) -> String {
        const PLAIN: [&str; 11] = [
            "abs",
            "ceil",
            "floor",
            "sgn",
            "sqrt",
            "ln",
            "log2",
            "log10",
            "timestamp",
            "absent",
            "sort",
        ];
        const OF_TIME: [&str; 6] =
            ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month"];
        let vector = self.vector(depth);
        match self.random.below(14) {
            0 => format!("clamp({vector}, -2, 2.5)"),
            1 => format!("clamp_min({vector}, {})", self.random.pick(&["1", "NaN", "-1"])),
            2 => format!("round({}, 0.5)", self.selector()),
            3 => format!("histogram_quantile(0.9, {})", self.selector()),
            4 => {
                let part = self.random.pick(&["0.5", "2", "-1", "0.97"]);
                format!("histogram_quantile({part}, sum by (le, job) (h_bucket))")
            }
            5 => format!(r#"label_replace({vector}, "zone", "$1-z", "job", "(.).*")"#),
            6 => format!(r#"label_join({vector}, "both", "/", "job", "zone")"#),
            7 => format!("vector({})", self.scalar(depth)),
            8 => format!("{}(timestamp({}))", self.random.pick(&OF_TIME), self.selector()),
            _ => format!("{}({vector})", self.random.pick(&PLAIN)),
        }
    }

    fn aggregation(&mut self, depth: usize) -> String {
        const PLAIN: [&str; 6] = ["sum", "avg", "min", "max", "count", "group"];
        let by = self.random.pick(&[
            "",
            " by (job)",
            " by (job, zone)",
            " by (nothing)",
            " without (instance)",
            " without (le, zone)",
            " by (le)",
        ]);
        match self.random.below(10) {
            0 => format!("quantile{by} (0.4, {})", self.vector(depth)),
            1 => format!(r#"count_values{by} ("v", {})"#, self.selector()),
            2 => {
                let op = self.random.pick(&["stddev", "stdvar"]);
                format!(
                    "{op}{by} ({})",
                    self.random.pick(&["a", "b{zone!=\"x\"}", "rate(c_total[2m])"])
                )
            }
            _ => format!("{}{by} ({})", self.random.pick(&PLAIN), self.vector(depth)),
        }
    }

    fn comparison(&mut self, depth: usize) -> String {
        let op = self.random.pick(&["==", "!=", "<", ">", "<=", ">="]);
        let bool = self.random.pick(&["", "", " bool"]);
        match self.random.below(3) {
            0 => format!("({} {op}{bool} {})", self.vector(depth), self.scalar(0)),
            1 => format!("({} {op}{bool} {})", self.scalar(0), self.vector(depth)),
            _ => {
                let sides = ["a", "b{job=\"api\"}", "c_total", "d{zone=\"\"}", "up", "none"];
                let (left, right) = (self.random.pick(&sides), self.random.pick(&sides));
                format!("({left} {op}{bool}{} {right})", self.matching())
            }
        }
    }

    fn arithmetic(&mut self, depth: usize) -> String {
        let op = self.random.pick(&["+", "-", "*", "/"]);
        match self.random.below(5) {
            0 => {
                format!("({} % {})", self.selector(), self.random.pick(&["0", "2.5", "-3", "Inf"]))
            }
            1 => format!("({} ^ {})", self.selector(), self.random.pick(&["0", "2", "-1", "0.5"])),
            2 => format!("({} {op} {})", self.vector(depth), self.scalar(1)),
            3 => format!("({} {op} {})", self.scalar(1), self.vector(depth)),
            _ => format!("({} {op}{} {})", self.vector(depth), self.matching(), self.vector(depth)),
        }
    }

    fn matching(&mut self) -> &'static str {
        self.random.pick(&[
            "",
            " on (job, instance)",
            " ignoring (zone)",
            " ignoring (le) group_left ()",
            " on (job, instance) group_right (zone)",
            " on (instance) group_left ()",
        ])
    }
}
