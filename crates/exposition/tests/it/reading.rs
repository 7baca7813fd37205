use expect_test::{Expect, expect};
use paramedic_exposition::{ExpositionError, Format, parse, parse_as};

fn transcript(format: Format, body: &str) -> String {
    match parse_as(format, body.as_bytes()) {
        Err(error) => format!("error: {error}\n"),
        Ok(scrape) => {
            let mut out = String::new();
            for m in &scrape.metadata {
                out += &format!("{}: {:?} {:?} {:?}\n", m.name, m.metric_type, m.help, m.unit);
            }
            for sample in &scrape.samples {
                let at = sample.at.map_or(String::new(), |at| format!(" @{}", at.0));
                out += &format!("{} {}{at}\n", sample.series.labels, sample.series.value);
            }
            out
        }
    }
}

fn text(body: &str, want: Expect) {
    want.assert_eq(&transcript(Format::Text, body));
}

fn openmetrics(body: &str, want: Expect) {
    want.assert_eq(&transcript(Format::OpenMetrics, body));
}

#[test]
fn text_with_all_that_it_allows() {
    text(
        "# HELP up Whether the target\\nanswers \\\\ or \\x not.\n\
         # TYPE up gauge\n\
         up 1\n\
         up{job=\"a\"} 0 1700000000000\n\
         \n\
         # a comment\n\
         #TYPE of nothing\n\
         \t spaced { a = \"1\" , b=\"2\", } \t +Inf \t 5 \n\
         escapes{v=\"q\\\" b\\\\ n\\n x\\x é\"} NaN\n\
         {\"my.metric\", \"label.name\"=\"v\", l=\"w\"} -1.5e-3\n\
         # TYPE \"my.metric\" counter\n\
         empty_labels{} 2\n\
         dropped{a=\"\"} 3\n\
         last 4",
        expect![[r#"
            up: Gauge "Whether the target\nanswers \\ or \\x not." ""
            my.metric: Counter "" ""
            up 1
            up{job="a"} 0 @1700000000000
            spaced{a="1", b="2"} inf @5
            escapes{v="q\" b\\ n\n x\\x é"} NaN
            {__name__="my.metric", l="w", "label.name"="v"} -0.0015
            empty_labels 2
            dropped 3
            last 4
        "#]],
    );
}

#[test]
fn bounds_of_histograms_and_summaries_are_floats() {
    text(
        "# TYPE h histogram\n\
         h_bucket{le=\"1\"} 1\n\
         h_bucket{le=\"+Inf\"} 2\n\
         h_count 2\n\
         # TYPE s summary\n\
         s{quantile=\"0.50\"} 3\n\
         other_bucket{le=\"1\"} 4\n",
        expect![[r#"
            h: Histogram "" ""
            s: Summary "" ""
            h_bucket{le="1.0"} 1
            h_bucket{le="+Inf"} 2
            h_count 2
            s{quantile="0.5"} 3
            other_bucket{le="1"} 4
        "#]],
    );
}

#[test]
fn mistakes_of_text_name_their_place() {
    let check = |body: &str, want: &str| {
        let got = transcript(Format::Text, body);
        assert_eq!(got.trim_end(), format!("error: {want}"), "{body:?}");
    };
    check("up\n", "line 1, column 3: expected a value, found the end of the line");
    check("ok 1\nup one\n", r#"line 2, column 4: invalid value "one""#);
    check("up 0x1p3", r#"line 1, column 4: invalid value "0x1p3""#);
    check("up 1 now", r#"line 1, column 6: invalid timestamp "now""#);
    check("up 1 2 3", "line 1, column 8: expected the end of the line, found '3'");
    check("up{job=a} 1", "line 1, column 8: expected a label value in quotes, found 'a'");
    check("up{job=\"a} 1\nx 1\n", "line 1, column 8: unterminated quoted text");
    check("up{a=\"1\" b=\"2\"} 1", "line 1, column 10: expected `,` or `}`, found 'b'");
    check("up{a=\"1\",a=\"2\"} 1", r#"line 1, column 10: label name "a" is not unique"#);
    check("up{,} 1", "line 1, column 4: expected a label name, found ','");
    check("up{", "line 1, column 4: expected a label name, found the end of the body");
    check("{a=\"1\"} 1", "line 1, column 1: the sample has no metric name");
    check("a{\"b\"} 1", "line 1, column 1: the metric name is given twice");
    check("<html>", "line 1, column 1: expected a metric name, found '<'");
    check("# TYPE up thermometer", r#"line 1, column 11: invalid metric type "thermometer""#);
    check("up 1\r\n", r#"line 1, column 4: invalid value "1\r""#);
}

#[test]
fn openmetrics_with_all_that_it_allows() {
    openmetrics(
        "# TYPE requests counter\n\
         # HELP requests Say \\\"hi\\\".\n\
         requests_total{code=\"200\"} 5 1520879607.789 # {trace_id=\"abc\"} 0.67 1520879607.789\n\
         requests_created 1.5e9\n\
         # TYPE size_bytes histogram\n\
         # UNIT size_bytes bytes\n\
         size_bytes_bucket{le=\"1\"} 1 # {} 0.5\n\
         # TYPE build info\n\
         build_info{version=\"1\"} 1\n\
         # HELP bare\n\
         {\"utf.8\",a=\"b\"} 3\n\
         # EOF\n",
        expect![[r#"
            requests: Counter "Say \"hi\"." ""
            size_bytes: Histogram "" "bytes"
            build: Info "" ""
            bare: Unknown "" ""
            requests_total{code="200"} 5 @1520879607789
            requests_created 1500000000
            size_bytes_bucket{le="1.0"} 1
            build_info{version="1"} 1
            {__name__="utf.8", a="b"} 3
        "#]],
    );
}

#[test]
fn mistakes_of_openmetrics_name_their_place() {
    let check = |body: &str, want: &str| {
        let got = transcript(Format::OpenMetrics, body);
        assert_eq!(got.trim_end(), format!("error: {want}"), "{body:?}");
    };
    check("", "line 1, column 1: data does not end with # EOF");
    check("up 1\n", "line 2, column 1: data does not end with # EOF");
    check("up 1", "line 1, column 5: data does not end with # EOF");
    check("# EOF\nup 1\n", "line 2, column 1: unexpected data after # EOF");
    check("\n# EOF\n", "line 1, column 1: expected a metric name, found the end of the line");
    check("up  1\n# EOF", "line 1, column 4: expected a value, found ' '");
    check("up\t1\n# EOF", r"line 1, column 3: expected one blank, found '\t'");
    check("# hello\n# EOF", r#"line 1, column 3: expected HELP, TYPE, UNIT or EOF, found "hello""#);
    check("# TYPE up untyped\n# EOF", r#"line 1, column 11: invalid metric type "untyped""#);
    check("# UNIT up s\n# EOF", r#"line 1, column 11: unit "s" not a suffix of metric "up""#);
    check("up 1 # x\n# EOF", "line 1, column 8: expected the labels of an exemplar, found 'x'");
    check("up 1 Inf\n# EOF", r#"line 1, column 6: invalid timestamp "Inf""#);
}

#[test]
fn the_content_type_decides() {
    let reads = |content_type: &str| parse(content_type, b"up 1\n# EOF\n").map(|s| s.samples.len());
    assert_eq!(reads("text/plain; version=0.0.4; charset=utf-8"), Ok(1));
    assert_eq!(reads("application/openmetrics-text; version=1.0.0"), Ok(1));
    assert_eq!(reads(""), Ok(1));
    let reason = r#"unsupported Content-Type "text/html": expected text/plain or application/openmetrics-text"#;
    assert_eq!(
        reads("text/html"),
        Err(ExpositionError { line: 1, column: 1, reason: reason.to_owned() })
    );
    let broken = parse("text/plain", b"up 1\nx{a=\"\xff\"} 1").expect_err("not UTF-8");
    assert_eq!(broken.to_string(), "line 2, column 6: invalid UTF-8");
}
