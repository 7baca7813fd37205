//! Prints expressions in Prometheus's normalised form.

use std::fmt;
use std::time::Duration;

use paramedic_model::{format_duration, is_legacy_label_name};

use crate::{
    AggregateExpr, At, BinaryExpr, Cardinality, DurationExpr, Expr, ExprKind, Grouping,
    RangeExtent, Selector, UnaryOp,
};

/// `text` as a double-quoted string of the language, escaped as Go's `strconv.Quote` does.
pub(crate) fn quoted(text: impl AsRef<[u8]>) -> String {
    let mut out = "\"".to_owned();
    for chunk in text.as_ref().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{7}' => out.push_str("\\a"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{b}' => out.push_str("\\v"),
                c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
                // Rust escapes what is not printable as `\u{...}`, and so does Go, in its own way.
                c if c.escape_debug().len() > 2 && c > '\u{ffff}' => {
                    out.push_str(&format!("\\U{:08x}", c as u32));
                }
                c if c.escape_debug().len() > 2 => {
                    out.push_str(&format!("\\u{:04x}", c as u32));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// A number without an exponent, as Go's `FormatFloat(value, 'f', -1, 64)`.
pub(crate) fn format_number(value: f64) -> String {
    if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// A number as Go's `%g`: an exponent where it is below -4 or at least 21.
pub(crate) fn format_shortest(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format_number(value);
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return format_number(value);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn write_labels(f: &mut fmt::Formatter<'_>, labels: &[String]) -> fmt::Result {
    f.write_str("(")?;
    for (index, label) in labels.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        if is_legacy_label_name(label) {
            f.write_str(label)?;
        } else {
            f.write_str(&quoted(label))?;
        }
    }
    f.write_str(")")
}

fn write_at_and_offset(
    f: &mut fmt::Formatter<'_>,
    at: Option<At>,
    extent: Option<RangeExtent>,
    offset_ms: i64,
    offset_expr: Option<&DurationExpr>,
) -> fmt::Result {
    match at {
        Some(At::Time(at)) => write!(f, " @ {:.3}", at.as_secs_f64())?,
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
        None => {}
    }
    write_extent(f, extent)?;
    if let Some(offset) = offset_expr {
        return write!(f, " offset ({offset})");
    }
    let offset = format_duration(Duration::from_millis(offset_ms.unsigned_abs()));
    match offset_ms {
        0 => Ok(()),
        1.. => write!(f, " offset {offset}"),
        _ => write!(f, " offset -{offset}"),
    }
}

/// A duration as it is known, or how it is found.
fn duration(known: Duration, expr: Option<&DurationExpr>) -> String {
    expr.map_or_else(|| format_duration(known), ToString::to_string)
}

fn write_extent(f: &mut fmt::Formatter<'_>, extent: Option<RangeExtent>) -> fmt::Result {
    match extent {
        Some(RangeExtent::Anchored) => f.write_str(" anchored"),
        Some(RangeExtent::Smoothed) => f.write_str(" smoothed"),
        None => Ok(()),
    }
}

fn write_series(f: &mut fmt::Formatter<'_>, selector: &Selector) -> fmt::Result {
    let name = selector.name.as_deref();
    f.write_str(name.unwrap_or(""))?;
    let mut matchers: Vec<String> = selector
        .matchers
        .iter()
        .filter(|matcher| name.is_none() || matcher.fixed_metric_name() != name)
        .map(ToString::to_string)
        .collect();
    matchers.sort();
    if matchers.is_empty() { Ok(()) } else { write!(f, "{{{}}}", matchers.join(",")) }
}

fn write_aggregate(f: &mut fmt::Formatter<'_>, aggregate: &AggregateExpr) -> fmt::Result {
    f.write_str(aggregate.op.name())?;
    match &aggregate.grouping {
        Grouping::By(labels) if labels.is_empty() => {}
        Grouping::By(labels) => {
            f.write_str(" by ")?;
            write_labels(f, labels)?;
            f.write_str(" ")?;
        }
        Grouping::Without(labels) => {
            f.write_str(" without ")?;
            write_labels(f, labels)?;
            f.write_str(" ")?;
        }
    }
    match &aggregate.param {
        Some(param) => write!(f, "({param}, {})", aggregate.expr),
        None => write!(f, "({})", aggregate.expr),
    }
}

fn write_binary(f: &mut fmt::Formatter<'_>, binary: &BinaryExpr) -> fmt::Result {
    write!(f, "{} {}", binary.lhs, binary.op.name())?;
    if binary.return_bool {
        f.write_str(" bool")?;
    }
    if let Some(matching) = &binary.matching {
        let group = match matching.cardinality {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if !matching.labels.is_empty() || matching.on || group.is_some() {
            f.write_str(if matching.on { " on " } else { " ignoring " })?;
            write_labels(f, &matching.labels)?;
        }
        if let Some(group) = group {
            write!(f, " {group} ")?;
            write_labels(f, &matching.include)?;
        }
        match (matching.fill.left, matching.fill.right) {
            (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
                write!(f, " fill ({})", format_shortest(left))?;
            }
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({})", format_shortest(left))?;
                }
                if let Some(right) = right {
                    write!(f, " fill_right ({})", format_shortest(right))?;
                }
            }
        }
    }
    write!(f, " {}", binary.rhs)
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_series(f, self)?;
        write_at_and_offset(f, self.at, self.extent, self.offset_ms, self.offset_expr.as_deref())
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, is_duration: true } => {
                let sign = if *value < 0.0 { "-" } else { "" };
                write!(f, "{sign}{}", format_duration(Duration::from_secs_f64(value.abs())))
            }
            ExprKind::Number { value, is_duration: false } => f.write_str(&format_number(*value)),
            ExprKind::String(text) => write!(f, "{text}"),
            ExprKind::Selector(selector) => selector.fmt(f),
            ExprKind::Range(range) => {
                write_series(f, &range.selector)?;
                write!(f, "[{}]", duration(range.range, range.range_expr.as_deref()))?;
                let selector = &range.selector;
                write_extent(f, selector.extent)?;
                let offset = selector.offset_expr.as_deref();
                write_at_and_offset(f, selector.at, None, selector.offset_ms, offset)
            }
            ExprKind::Subquery(subquery) => {
                let step = |step| duration(step, subquery.step_expr.as_deref());
                let step = subquery.step.map(step).unwrap_or_default();
                let range = duration(subquery.range, subquery.range_expr.as_deref());
                write!(f, "{}[{range}:{step}]", subquery.expr)?;
                let offset = subquery.offset_expr.as_deref();
                write_at_and_offset(f, subquery.at, None, subquery.offset_ms, offset)
            }
            ExprKind::Aggregate(aggregate) => write_aggregate(f, aggregate),
            ExprKind::Binary(binary) => write_binary(f, binary),
            ExprKind::Unary(UnaryOp::Plus, inner) => write!(f, "+{inner}"),
            ExprKind::Unary(UnaryOp::Minus, inner) => write!(f, "-{inner}"),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (index, arg) in call.args.iter().enumerate() {
                    write!(f, "{}{arg}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}
