//! `parse_query`: an expression as a tree of JSON, keys in the order of the alphabet as Go writes them.

use paramedic_promql::{
    AggregateExpr, At, BinaryExpr, CallExpr, Cardinality, Expr, ExprKind, Grouping, Matcher,
    RangeExtent, Selector, SubqueryExpr, UnaryOp,
};
use serde_json::{Value, json};

/// The tree of `expr`.
pub(super) fn tree_of(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => {
            json!({ "type": "numberLiteral", "val": decimal(*value) })
        }
        ExprKind::String(text) => json!({ "type": "stringLiteral", "val": text.to_lossy() }),
        ExprKind::Selector(found) => selector(found, "vectorSelector", None),
        ExprKind::Range(found) => {
            selector(&found.selector, "matrixSelector", Some(found.range.as_millis() as u64))
        }
        ExprKind::Subquery(found) => subquery(found),
        ExprKind::Aggregate(found) => aggregation(found),
        ExprKind::Binary(found) => binary(found),
        ExprKind::Unary(op, inner) => {
            let op = match op {
                UnaryOp::Plus => "+",
                UnaryOp::Minus => "-",
            };
            json!({ "expr": tree_of(inner), "op": op, "type": "unaryExpr" })
        }
        ExprKind::Paren(inner) => json!({ "expr": tree_of(inner), "type": "parenExpr" }),
        ExprKind::Call(found) => call(found),
    }
}

/// As Go's `FormatFloat` with `f`: never with an exponent.
fn decimal(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

fn selector(selector: &Selector, kind: &str, range_ms: Option<u64>) -> Value {
    let matcher = |matcher: &Matcher| {
        let (name, sign, value) = (matcher.name(), matcher.op().sign(), matcher.value());
        json!({ "name": name, "type": sign, "value": value })
    };
    let matchers: Vec<_> = selector.matchers.iter().map(matcher).collect();
    let (timestamp, start_or_end) = at(selector.at);
    let mut tree = json!({
        "anchored": selector.extent == Some(RangeExtent::Anchored),
        "matchers": matchers,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": selector.offset_ms,
    });
    if let Some(range_ms) = range_ms {
        tree["range"] = range_ms.into();
    }
    tree["smoothed"] = (selector.extent == Some(RangeExtent::Smoothed)).into();
    tree["startOrEnd"] = start_or_end;
    tree["timestamp"] = timestamp;
    tree["type"] = kind.into();
    tree
}

/// The moment that `@` fixes, and the word where it is that of the query.
fn at(at: Option<At>) -> (Value, Value) {
    match at {
        None => (Value::Null, Value::Null),
        Some(At::Time(at)) => (at.0.into(), Value::Null),
        Some(At::Start) => (Value::Null, "start".into()),
        Some(At::End) => (Value::Null, "end".into()),
    }
}

fn subquery(subquery: &SubqueryExpr) -> Value {
    let (timestamp, start_or_end) = at(subquery.at);
    json!({
        "expr": tree_of(&subquery.expr),
        "offset": subquery.offset_ms,
        "range": subquery.range.as_millis() as u64,
        "startOrEnd": start_or_end,
        "step": subquery.step.unwrap_or_default().as_millis() as u64,
        "timestamp": timestamp,
        "type": "subquery",
    })
}

fn aggregation(aggregate: &AggregateExpr) -> Value {
    let (grouping, without) = match &aggregate.grouping {
        Grouping::By(labels) => (labels, false),
        Grouping::Without(labels) => (labels, true),
    };
    json!({
        "expr": tree_of(&aggregate.expr),
        "grouping": grouping,
        "op": aggregate.op.name(),
        "param": aggregate.param.as_ref().map(tree_of),
        "type": "aggregation",
        "without": without,
    })
}

fn binary(binary: &BinaryExpr) -> Value {
    let matching = binary.matching.as_ref().map(|matching| {
        let card = match matching.cardinality {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        };
        json!({
            "card": card,
            "fillValues": { "lhs": matching.fill.left, "rhs": matching.fill.right },
            "include": matching.include,
            "labels": matching.labels,
            "on": matching.on,
        })
    });
    json!({
        "bool": binary.return_bool,
        "lhs": tree_of(&binary.lhs),
        "matching": matching,
        "op": binary.op.name(),
        "rhs": tree_of(&binary.rhs),
        "type": "binaryExpr",
    })
}

fn call(call: &CallExpr) -> Value {
    let function = call.function;
    let types: Vec<_> = function.args.iter().map(|kind| kind.name()).collect();
    json!({
        "args": call.args.iter().map(tree_of).collect::<Vec<_>>(),
        "func": {
            "argTypes": types,
            "name": function.name,
            "returnType": function.returns.name(),
            "variadic": function.variadic,
        },
        "type": "call",
    })
}

#[cfg(test)]
mod tests {
    use paramedic_promql::parse;

    use super::*;

    fn check(text: &str, expected: &str) {
        let tree = tree_of(&parse(text).expect(text)).to_string();
        assert_eq!(tree, expected.replace('\n', "").replace("    ", ""), "{text}");
    }

    #[test]
    fn every_kind_of_expression_is_a_tree() {
        let up = r#"{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"up"}],
            "name":"up","offset":0,"smoothed":false,"startOrEnd":null,"timestamp":null,
            "type":"vectorSelector"}"#;
        check("up", up);
        check("1e21", r#"{"type":"numberLiteral","val":"1000000000000000000000"}"#);
        check("-Inf", r#"{"type":"numberLiteral","val":"-Inf"}"#);
        check("-up", &format!(r#"{{"expr":{up},"op":"-","type":"unaryExpr"}}"#));
        check(r#""a""#, r#"{"type":"stringLiteral","val":"a"}"#);
        check(
            r#"rate(up{a!~"b"}[5m] @ 1.5 offset -1m)"#,
            r#"{"args":[{"anchored":false,"matchers":[{"name":"a","type":"!~","value":"b"},
                {"name":"__name__","type":"=","value":"up"}],
                "name":"up","offset":-60000,"range":300000,"smoothed":false,"startOrEnd":null,
                "timestamp":1500,"type":"matrixSelector"}],
                "func":{"argTypes":["matrix"],"name":"rate","returnType":"vector","variadic":0},
                "type":"call"}"#,
        );
        check(
            "(topk by (a) (1, up))",
            &format!(
                r#"{{"expr":{{"expr":{up},"grouping":["a"],"op":"topk",
                    "param":{{"type":"numberLiteral","val":"1"}},"type":"aggregation",
                    "without":false}},"type":"parenExpr"}}"#
            ),
        );
        check(
            "sum without (a) (up) > bool 1",
            &format!(
                r#"{{"bool":true,"lhs":{{"expr":{up},"grouping":["a"],"op":"sum","param":null,
                    "type":"aggregation","without":true}},"matching":null,"op":">",
                    "rhs":{{"type":"numberLiteral","val":"1"}},"type":"binaryExpr"}}"#
            ),
        );
        check(
            "up / on (a) group_left (b) up",
            &format!(
                r#"{{"bool":false,"lhs":{up},"matching":{{"card":"many-to-one",
                    "fillValues":{{"lhs":null,"rhs":null}},"include":["b"],"labels":["a"],"on":true}},
                    "op":"/","rhs":{up},"type":"binaryExpr"}}"#
            ),
        );
        check(
            "up[1h:] @ end()",
            &format!(
                r#"{{"expr":{up},"offset":0,"range":3600000,"startOrEnd":"end","step":0,
                    "timestamp":null,"type":"subquery"}}"#
            ),
        );
    }
}
