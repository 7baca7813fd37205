use paramedic_exposition::{Format, Layout, parse, parse_again};

/// A small generator (a linear congruence): the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        const FACTOR: u64 = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

const LINES: [&str; 17] = [
    "# TYPE h histogram",
    "# TYPE h gauge",
    "# TYPE s summary",
    "# HELP h About h.",
    "h_bucket{le=\"1\"}",
    "h_bucket{le=\"1\",a=\"b\"}",
    "h_bucket{a=\"b\",le=\"1\"}",
    "s{quantile=\"1\"}",
    "up",
    "up{}",
    "up {a=\"b\"}",
    "upper",
    "up{a=\"}\"}",
    "up{a=\"} 1\"}",
    "{\"up\"}",
    "{\"up\",a=\"x\\\"\"}",
    "broken{",
];

/// A body that is like the last one, but for a few lines.
fn change(numbers: &mut Numbers, body: &mut Vec<usize>) {
    for _ in 0..numbers.below(3) {
        let at = numbers.below(body.len() + 1);
        match numbers.below(3) {
            0 => {
                let mostly_good = usize::from(numbers.below(9) > 0);
                body.insert(at, numbers.below(LINES.len() - mostly_good));
            }
            1 if at < body.len() => _ = body.remove(at),
            _ if at + 1 < body.len() => body.swap(at, at + 1),
            _ => {}
        }
    }
}

#[test]
fn a_body_reads_the_same_whatever_came_before() {
    for (format, blank) in [(Format::Text, "  "), (Format::OpenMetrics, " ")] {
        let content_type = match format {
            Format::Text => "text/plain",
            Format::OpenMetrics => "application/openmetrics-text",
        };
        let mut numbers = Numbers(3);
        let (mut layout, mut lines, mut good) = (Layout::default(), vec![0, 4, 8], 0);
        for _ in 0..3_000 {
            change(&mut numbers, &mut lines);
            let mut body = String::new();
            for line in &lines {
                body.push_str(LINES[*line]);
                if !body.ends_with("histogram") && !LINES[*line].starts_with('#') {
                    body.push_str(&format!("{blank}{}", numbers.below(3)));
                }
                body.push('\n');
            }
            body.push_str("# EOF\n");
            let again = parse_again(content_type, body.as_bytes(), &mut layout);
            assert_eq!(again, parse(content_type, body.as_bytes()), "{body}");
            good += usize::from(again.is_ok());
            if again.is_err() {
                // OpenMetrics has no blank before labels.
                let bad = |line: &str| line.starts_with("broken") || line.starts_with("up {");
                lines.retain(|line| !bad(LINES[*line]));
            }
        }
        assert!(good > 1_000, "{format:?}: only {good} bodies could be read");
    }
}

#[test]
fn what_stood_there_before_is_not_built_anew() {
    let mut layout = Layout::default();
    let mut labels = |body: &str| {
        let scrape = parse_again("text/plain", body.as_bytes(), &mut layout).expect(body);
        scrape.samples.into_iter().map(|sample| sample.series.labels).collect::<Vec<_>>()
    };
    let first = labels("a{x=\"1\"} 1\nb 2\nc 3\n");
    let second = labels("a{x=\"1\"} 4\nc 5\nd 6\n");
    assert!(first[0].is(&second[0]) && first[2].is(&second[1]));
    let third = labels("d 7\na{x=\"1\"} 8\n");
    assert!(second[2].is(&third[0]) && second[0].is(&third[1]));
}
