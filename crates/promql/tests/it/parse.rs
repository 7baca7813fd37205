//! The grammar, the types, the messages and the printer.

use paramedic_promql::{ExprKind, ParseOptions, Plan, parse, parse_with};

/// What `text` prints as, or why it does not parse.
fn parsed(text: &str) -> String {
    match parse(text) {
        Ok(expr) => expr.to_string(),
        Err(error) => error.to_string(),
    }
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(text, expected)| parsed(text) != *expected)
        .map(|(text, expected)| {
            format!("{text}\n  expected {expected}\n  found    {}", parsed(text))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn expressions_print_in_the_normal_form() {
    check(&[
        ("1", "1"),
        ("+Inf", "+Inf"),
        ("-Inf", "-Inf"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0x1F", "31"),
        ("0755", "493"),
        ("0889", "889"),
        ("1_000.5", "1000.5"),
        ("1e-3", "0.001"),
        ("-5.5e+3", "-5500"),
        ("NaN", "NaN"),
        ("5m", "5m"),
        ("1h30m", "1h30m"),
        ("-1^2", "-1 ^ 2"),
        ("-1*2", "-1 * 2"),
        ("-(1 - a) ^ 2", "-(1 - a) ^ 2"),
        ("a ^ b ^ c", "a ^ b ^ c"),
        ("1 + 2/(3*1)", "1 + 2 / (3 * 1)"),
        ("1 < bool 2 - 1 * 2", "1 < bool 2 - 1 * 2"),
        ("foo == 1 or bar > 0 and baz unless qux", "foo == 1 or bar > 0 and baz unless qux"),
        ("a atan2 b", "a atan2 b"),
        ("a + ON(x) b", "a + on (x) b"),
        ("a + ignoring(x, \"y.z\",) b", "a + ignoring (x, \"y.z\") b"),
        ("a + on() b", "a + on () b"),
        ("a / ignoring(x) group_left b", "a / ignoring (x) group_left () b"),
        ("a == bool on(x) group_right(by, on) b", "a == bool on (x) group_right (by, on) b"),
        ("up", "up"),
        ("a:b:c", "a:b:c"),
        ("up{}", "up"),
        ("up{job=\"a\", b!='c', d=~`e.*`, f!~\"\",}", "up{b!=\"c\",d=~\"e.*\",f!~\"\",job=\"a\"}"),
        ("{__name__=\"up\"}", "{__name__=\"up\"}"),
        ("{\"odd.name\", \"odd.label\"=\"x\"}", "{\"odd.label\"=\"x\",__name__=\"odd.name\"}"),
        ("{a=\"\\\"\\n\\t\\\\\"}", "{a=\"\\\"\\n\\t\\\\\"}"),
        ("up[5m]", "up[5m]"),
        ("up[300]", "up[5m]"),
        ("up[90s] offset 1m", "up[1m30s] offset 1m"),
        ("up offset -1h", "up offset -1h"),
        ("up OFFSET 300", "up offset 5m"),
        ("up @ 1603774568", "up @ 1603774568.000"),
        ("up @ -1.5 offset 5m", "up @ -1.500 offset 5m"),
        ("up offset 5m @ start()", "up @ start() offset 5m"),
        ("up[5m] @ end()", "up[5m] @ end()"),
        ("up[10m:]", "up[10m:]"),
        ("rate(up[5m])[1h:30s] @ 10 offset 2m", "rate(up[5m])[1h:30s] @ 10.000 offset 2m"),
        ("SUM BY(a) (x)", "sum by (a) (x)"),
        ("sum(x) by (a)", "sum by (a) (x)"),
        ("sum by () (x)", "sum(x)"),
        ("sum by (a:b) (c)", "sum by (\"a:b\") (c)"),
        ("\"a\\xc5z\"", "\"a\\xc5z\""),
        ("sum without() (x)", "sum without () (x)"),
        ("topk(5, x)", "topk(5, x)"),
        ("count_values without(a) (\"v\", x)", "count_values without (a) (\"v\", x)"),
        ("sum * max + by", "sum * max + by"),
        ("offset offset 5m", "offset offset 5m"),
        ("start + end", "start + end"),
        ("fill + fill_left", "fill + fill_left"),
        ("sum(sum)", "sum(sum)"),
        ("\"a\\x41\\u00e9\"", "\"aAé\""),
        ("'it\\'s'", "\"it's\""),
        ("time() # a comment\n - 1", "time() - 1"),
        ("label_join(a, \"x\", \"-\", \"y\", \"z\")", "label_join(a, \"x\", \"-\", \"y\", \"z\")"),
        ("round(x)", "round(x)"),
        ("round(x, 5)", "round(x, 5)"),
        ("((1))", "((1))"),
    ]);
}

#[test]
fn mistakes_are_named_with_their_place() {
    check(&[
        ("", "1:1: parse error: no expression found in input"),
        ("# nothing\n", "1:1: parse error: no expression found in input"),
        ("1+", "1:3: parse error: unexpected end of input"),
        ("1 /", "1:4: parse error: unexpected end of input"),
        ("*1", "1:1: parse error: unexpected <op:*>"),
        ("a\n+ *b", "2:3: parse error: unexpected <op:*>"),
        ("(1))", "1:5: parse error: unexpected right parenthesis ')'"),
        ("((1)", "1:5: parse error: unclosed left parenthesis"),
        (".", "1:1: parse error: unexpected character: '.'"),
        ("2.5.", "1:1: parse error: bad number or duration syntax: \"2.5.\""),
        ("0deadbeef", "1:1: parse error: bad number or duration syntax: \"0de\""),
        ("-=", "1:2: parse error: unexpected \"=\""),
        ("a = b", "1:3: parse error: unexpected \"=\""),
        ("a =~ b", "1:3: parse error: unexpected character after '=': '~'"),
        ("a !b", "1:3: parse error: unexpected character after '!': 'b'"),
        ("a b", "1:3: parse error: unexpected identifier \"b\""),
        ("5 5", "1:3: parse error: unexpected number \"5\""),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        (
            "1 and 1",
            "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
        ),
        (
            "a and 1",
            "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
        ),
        ("1 or on(x) a", "1:1: parse error: vector matching only allowed between instant vectors"),
        (
            "a and on(x) group_left(y) b",
            "1:1: parse error: no grouping allowed for \"and\" operation",
        ),
        (
            "a + on(x) group_left(y, x) b",
            "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once",
        ),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("a + group_left b", "1:5: parse error: unexpected <group_left>"),
        ("a - on(b) ignoring(c) d", "1:11: parse error: unexpected <ignoring>"),
        (
            "a + b[5m]",
            "1:5: parse error: binary expression must contain only scalar and instant vector types",
        ),
        (
            "-\"s\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or \
             instant vector, got \"string\"",
        ),
        (
            "1 offset 1d",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or \
             range vector selector or a subquery",
        ),
        ("a offset 1s offset 2s", "1:1: parse error: offset may not be set multiple times"),
        ("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        ("a @ x", "1:5: parse error: unexpected identifier \"x\" in @, expected timestamp"),
        ("a @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
        (
            "a offset",
            "1:9: parse error: unexpected end of input in offset, expected number, duration, \
             step(), or range()",
        ),
        (
            "rate(a[5m]) @ 1",
            "1:1: parse error: @ modifier must be preceded by an instant vector selector or range \
             vector selector or a subquery",
        ),
        ("a[5mm]", "1:3: parse error: bad number or duration syntax: \"5mm\""),
        ("a[0m]", "1:3: parse error: duration must be greater than 0"),
        ("a[", "1:3: parse error: unexpected end of input in duration expression"),
        (
            "a[]",
            "1:3: parse error: unexpected \"]\" in subquery or range selector, expected number, \
             duration, step(), or range()",
        ),
        ("a[\"5m\"]", "1:3: parse error: unexpected character in duration expression: '\"'"),
        ("a[:5m]", "1:4: parse error: unexpected colon before duration in duration expression"),
        ("a[5m:1m:1s]", "1:8: parse error: unexpected colon ':'"),
        ("a[5m x]", "1:6: parse error: unexpected character: 'x', expected ':'"),
        ("a[5m", "1:5: parse error: unclosed left bracket"),
        ("(a[5m", "1:6: parse error: unclosed left parenthesis"),
        ("a[-1]", "1:3: parse error: duration must be greater than 0"),
        ("a[5m:[", "1:6: parse error: unexpected left bracket '['"),
        ("a[x]", "1:3: parse error: unexpected character in duration expression: 'x'"),
        ("a[5m+1m]", "1:3: parse error: experimental duration expression is not enabled"),
        ("a[9.5e10]", "1:3: parse error: duration out of range"),
        (
            "a[5m 1m]",
            "1:6: parse error: unexpected duration \"1m\" in subquery or range, expected \
             \":\" or \"]\"",
        ),
        (
            "a[5m:1m 1]",
            "1:9: parse error: unexpected number \"1\" in subquery selector, expected \"]\"",
        ),
        ("a offset 1m[5m]", "1:12: parse error: no offset modifiers allowed before range"),
        ("a @ 5 [5m]", "1:7: parse error: no @ modifiers allowed before range"),
        ("(a + b)[5m]", "1:8: parse error: ranges only allowed for vector selectors"),
        (
            "1[5m:]",
            "1:1: parse error: subquery is only allowed on instant vector, got scalar instead",
        ),
        ("a anchored", "1:1: parse error: anchored modifier is experimental and not enabled"),
        ("a{", "1:3: parse error: unexpected end of input inside braces"),
        ("a}", "1:2: parse error: unexpected character: '}'"),
        (
            "a{b=c}",
            "1:5: parse error: unexpected identifier \"c\" in label matching, expected string",
        ),
        ("a{b*\"c\"}", "1:4: parse error: unexpected character inside braces: '*'"),
        (
            "a{b}",
            "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator",
        ),
        ("a{1}", "1:3: parse error: unexpected character inside braces: '1'"),
        (
            "a{,}",
            "1:3: parse error: unexpected \",\" in label matching, expected identifier or \"}\"",
        ),
        (
            "a{b=\"c\" d}",
            "1:9: parse error: unexpected identifier \"d\" in label matching, expected \",\" or \"}\"",
        ),
        ("a{b == \"c\"}", "1:6: parse error: unexpected \"=\" in label matching, expected string"),
        ("a{b=~\"(\"}", "1:3: parse error: error parsing regexp: missing closing ): `^(?s:()$`"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        (
            "{x=~\".*\", y!=\"a\"}",
            "1:1: parse error: vector selector must contain at least one non-empty matcher",
        ),
        (
            "a{__name__=\"b\"}",
            "1:1: parse error: metric name must not be set twice: \"a\" or \"b\"",
        ),
        ("sum a by (b)", "1:5: parse error: unexpected identifier \"a\""),
        (
            "sum (a) by b",
            "1:12: parse error: unexpected identifier \"b\" in grouping opts, expected \"(\"",
        ),
        ("sum () by (b)", "1:1: parse error: no arguments for aggregate expression provided"),
        ("sum (a) without (b) by (c)", "1:21: parse error: unexpected <by>"),
        (
            "sum without(==)(a)",
            "1:13: parse error: unexpected <op:==> in grouping opts, expected label",
        ),
        ("sum by (\"\") (c)", "1:9: parse error: invalid label name for grouping: \"\""),
        ("sum by (\"\\xff\") (c)", "1:9: parse error: invalid label name for grouping: \"\\xff\""),
        (
            "a * on (b) group_left == c",
            "1:23: parse error: unexpected <op:==> in grouping opts, expected \"(\"",
        ),
        // An aggregation is the context of what is within it, and of nothing behind it.
        ("sum(rate(a b))", "1:12: parse error: unexpected identifier \"b\" in aggregation"),
        ("sum(a) b", "1:8: parse error: unexpected identifier \"b\""),
        ("sum(a, b))", "1:11: parse error: unexpected right parenthesis ')'"),
        ("rate(a, * b)", "1:7: parse error: trailing commas not allowed in function call args"),
        (
            "a{b=\"c\", \"d\" e}",
            "1:14: parse error: unexpected identifier \"e\" in label matching, expected \",\" or \"}\"",
        ),
        ("a{b=\"\\xff\"}", "1:5: parse error: string is not valid UTF-8"),
        ("7e+", "1:1: parse error: bad number or duration syntax: \"7e+\""),
        (
            "7e+ + 1",
            "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"7e+\": invalid syntax",
        ),
        (
            "1e999",
            "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e999\": value out of range",
        ),
        ("1.2.3", "1:1: parse error: bad number or duration syntax: \"1.2.\""),
        ("08c", "1:1: parse error: bad number or duration syntax: \"08\""),
        ("a 'b\\x", "1:3: parse error: escape sequence not terminated"),
        (
            "topk(a)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, \
             expected 2, got 1",
        ),
        ("topk(a,)", "1:7: parse error: trailing commas not allowed in function call args"),
        (
            "topk(a, b)",
            "1:6: parse error: expected type scalar in aggregation parameter, got instant vector",
        ),
        (
            "count_values(5, a)",
            "1:14: parse error: expected type string in aggregation parameter, got scalar",
        ),
        (
            "sum(a[5m])",
            "1:5: parse error: expected type instant vector in aggregation expression, got range \
             vector",
        ),
        (
            "limitk(1, a)",
            "1:1: parse error: limitk() is experimental and must be enabled with \
             --enable-feature=promql-experimental-functions",
        ),
        ("floor()", "1:1: parse error: expected 1 argument(s) in call to \"floor\", got 0"),
        (
            "hour(a, b)",
            "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", got 2",
        ),
        (
            "label_join(a)",
            "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1",
        ),
        (
            "floor(1)",
            "1:7: parse error: expected type instant vector in call to function \"floor\", got scalar",
        ),
        (
            "rate(a)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got instant \
             vector",
        ),
        ("nope(a)", "1:1: parse error: unknown function with name \"nope\""),
        ("RATE(a[5m])", "1:1: parse error: unknown function with name \"RATE\""),
        ("a + info(b)", "1:5: parse error: function \"info\" is not enabled"),
        (
            "a + fill(0) b",
            "1:1: parse error: binop fill modifiers are experimental and not enabled",
        ),
        ("\"", "1:1: parse error: unterminated quoted string"),
        ("`", "1:1: parse error: unterminated raw string"),
        ("\"\\c\"", "1:1: parse error: unknown escape sequence U+0063 'c'"),
        ("\"\\x.\"", "1:1: parse error: illegal character U+002E '.' in escape sequence"),
        ("a ☺", "1:3: parse error: unexpected character: '☺'"),
    ]);
}

#[test]
fn depth_is_bounded_and_nothing_overflows() {
    let deep = 100_000;
    let message = |text: &str| parse(text).expect_err("too deep").message;
    let expected = "expression nests more than 200 deep";
    assert_eq!(message(&"(".repeat(deep)), expected);
    assert_eq!(message(&format!("{}1", "-".repeat(deep))), expected);
    assert_eq!(message(&format!("1{}", "+1".repeat(deep))), expected);
    assert_eq!(message(&format!("1{}", "^1".repeat(deep))), expected);
    assert_eq!(message(&format!("a{}", "[5m:]".repeat(deep))), expected);
    assert_eq!(message(&"sum(".repeat(deep)), expected);
    // A left-leaning tree within a left-leaning tree, and so on: each level alone is harmless.
    let mut nested = "1".to_owned();
    for _ in 0..20 {
        nested = format!("({nested}){}", "+1".repeat(20));
    }
    assert_eq!(message(&nested), expected);
    // What is allowed can be printed, planned and dropped.
    let allowed = format!("a{}", " or a".repeat(199));
    let expr = parse(&allowed).expect("200 deep");
    assert_eq!(expr.to_string(), allowed);
    Plan::new(expr, &allowed).expect("a plan");
}

#[test]
fn every_node_knows_its_text() {
    let text = "  sum by (a) (rate(x{b=\"c\"}[5m] offset 1m)) / on (d) -(y @ 10) # end";
    let expr = parse(text).expect(text);
    let mut found = Vec::new();
    expr.walk(&mut |expr| found.push(expr.span.of(text)));
    assert_eq!(
        found,
        [
            "sum by (a) (rate(x{b=\"c\"}[5m] offset 1m)) / on (d) -(y @ 10)",
            "sum by (a) (rate(x{b=\"c\"}[5m] offset 1m))",
            "rate(x{b=\"c\"}[5m] offset 1m)",
            "x{b=\"c\"}[5m] offset 1m",
            "-(y @ 10)",
            "(y @ 10)",
            "y @ 10",
        ]
    );
    let selectors: Vec<&str> =
        expr.selectors().into_iter().map(|(span, _)| span.of(text)).collect();
    assert_eq!(selectors, ["x{b=\"c\"}", "y @ 10"]);
    let ExprKind::Binary(binary) = &expr.kind else { panic!("no division") };
    assert_eq!(binary.op_span.of(text), "/");
}

#[test]
fn what_cannot_be_evaluated_is_refused_with_its_place() {
    let refused = |text: &str| {
        let options = ParseOptions { experimental: true, ..ParseOptions::default() };
        let expr = parse_with(text, &options).expect(text);
        Plan::new(expr, text).expect_err(text).to_string()
    };
    assert_eq!(
        refused("1 + start_timestamp(a)"),
        "1:5: function \"start_timestamp\" is not supported yet"
    );
}
