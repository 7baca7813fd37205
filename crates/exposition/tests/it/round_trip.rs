use paramedic_exposition::{
    Family, Format, Metadata, MetricType, ScrapedSample, TEXT_CONTENT_TYPE, parse, parse_as,
    write_text,
};
use paramedic_model::{Labels, Series, TimeMs};

fn families() -> Vec<Family> {
    let sample = |labels: &[(&str, &str)], value: f64, at: Option<i64>| ScrapedSample {
        series: Series { labels: labels.iter().copied().collect::<Labels>(), value },
        at: at.map(TimeMs),
    };
    let family = |name: &str, metric_type, help: &str, samples| Family {
        metadata: Metadata {
            name: name.to_owned(),
            metric_type,
            help: help.to_owned(),
            ..Metadata::default()
        },
        samples,
    };
    vec![
        family(
            "up",
            MetricType::Gauge,
            "Line\nand \\ slash",
            vec![
                sample(&[("__name__", "up")], 1.0, None),
                sample(&[("__name__", "up"), ("a", "q\" b\\ n\n é")], -1.25e-7, Some(-5)),
            ],
        ),
        family(
            "h",
            MetricType::Histogram,
            "",
            vec![
                sample(&[("__name__", "h_bucket"), ("le", "1.0")], 3.0, None),
                sample(&[("__name__", "h_bucket"), ("le", "+Inf")], f64::INFINITY, None),
            ],
        ),
        family(
            "my metric",
            MetricType::Unknown,
            "odd",
            vec![
                sample(&[("__name__", "my metric"), ("l.b", "v")], 1e300, None),
                sample(&[("__name__", "my metric")], 123_456_789.0, None),
            ],
        ),
    ]
}

#[test]
fn what_is_written_is_read_back() {
    let families = families();
    let body = write_text(&families);
    let scrape = parse(TEXT_CONTENT_TYPE, body.as_bytes()).expect(&body);
    let samples: Vec<_> = families.iter().flat_map(|f| f.samples.clone()).collect();
    assert_eq!(scrape.samples, samples);
    assert_eq!(scrape.metadata, families.into_iter().map(|f| f.metadata).collect::<Vec<_>>());
}

/// Every prefix, every body without one byte, every body with one byte replaced.
#[test]
fn mangled_bodies_never_panic() {
    let body = write_text(&families());
    let openmetrics =
        "# TYPE a_s counter\n# UNIT a_s s\na_s_total{x=\"é\"} 1 2.5 # {t=\"u\"} 3 4\n# EOF\n";
    for (format, body) in [(Format::Text, body.as_str()), (Format::OpenMetrics, openmetrics)] {
        let body = body.as_bytes();
        for i in 0..body.len() {
            let mut without = body.to_vec();
            without.remove(i);
            let mut bodies = vec![body[..i].to_vec(), without];
            for byte in *b"\"{},=# \n\\9\xff" {
                let mut replaced = body.to_vec();
                replaced[i] = byte;
                bodies.push(replaced);
            }
            for body in bodies {
                if let Err(error) = parse_as(format, &body) {
                    assert!(error.line > 0 && error.column > 0);
                }
            }
        }
    }
}
