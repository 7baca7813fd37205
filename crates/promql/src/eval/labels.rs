//! The functions of labels: rewriting them, sorting by them, and telling what is absent.

use std::cmp::Ordering;
use std::collections::HashSet;

use paramedic_model::{Labels, METRIC_NAME, TimeMs};
use paramedic_regexp::{Anchored, expand};

use super::{Evaluator, Item, Result, SAME_LABELSET, Val, all_distinct, unwrap_parens};
use crate::{Expr, ExprKind, MatchOp, Origins, Span};

/// How long a value may become that a function makes. Calls within calls could double it each time.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// What these bytes of values weigh in samples, of which an evaluation may hold so many.
const BYTES_PER_SAMPLE: usize = 16;

impl Evaluator<'_> {
    pub(super) fn label_replace(&mut self, span: Span, args: &[Expr], at: TimeMs) -> Result<Val> {
        let [vector, destination, replacement, source, pattern] = args else {
            return Err(self.error(span, "label_replace takes five arguments"));
        };
        let destination = self.label_argument("destination", "label_replace", destination, at)?;
        let replacement = self.string(replacement, at)?.to_lossy();
        let source = self.string(source, at)?.to_lossy();
        let text = self.string(pattern, at)?;
        let Some(regex) = text.as_str().and_then(|text| Anchored::new(text).ok()) else {
            let text = text.to_lossy();
            let message = format!("invalid regular expression in label_replace(): {text}");
            return Err(self.error(pattern.span, message));
        };
        let mut items = self.vector(vector, at)?;
        // Each reference stands for a part of the source's value.
        let references = replacement.matches('$').count();
        let mut bytes = 0;
        for item in &mut items {
            let from = item.labels.value(&source);
            let Some(captures) = regex.captures(from) else { continue };
            let length = replacement.len().saturating_add(references.saturating_mul(from.len()));
            self.check_value("label_replace", length, &mut bytes, span)?;
            let mut value = String::new();
            expand(&captures, &replacement, &mut value);
            item.labels = item.labels.with(&destination, &value);
            item.drop_name &= destination != METRIC_NAME;
        }
        self.distinct(span, items)
    }

    pub(super) fn label_join(&mut self, span: Span, args: &[Expr], at: TimeMs) -> Result<Val> {
        let destination = self.label_argument("destination", "label_join", &args[1], at)?;
        let separator = self.string(&args[2], at)?.to_lossy();
        let mut sources = Vec::new();
        for arg in &args[3..] {
            sources.push(self.label_argument("source", "label_join", arg, at)?);
        }
        let mut items = self.vector(&args[0], at)?;
        let mut bytes = 0;
        for item in &mut items {
            let values: Vec<&str> =
                sources.iter().map(|source| item.labels.value(source)).collect();
            let length = values.iter().map(|value| value.len() + separator.len()).sum();
            self.check_value("label_join", length, &mut bytes, span)?;
            item.labels = item.labels.with(&destination, &values.join(&separator));
            item.drop_name &= destination != METRIC_NAME;
        }
        self.distinct(span, items)
    }

    /// Fails where a value of at most `length` is too long, or too much with what is there of them.
    fn check_value(
        &self,
        function: &str,
        length: usize,
        bytes: &mut usize,
        span: Span,
    ) -> Result<()> {
        if length > VALUE_BYTES_MAX {
            let message =
                format!("label value longer than {VALUE_BYTES_MAX} bytes in {function}()");
            return Err(self.error(span, message));
        }
        *bytes += length;
        self.check_held(*bytes / BYTES_PER_SAMPLE, span)
    }

    /// An argument that names a label.
    fn label_argument(
        &mut self,
        which: &str,
        function: &str,
        arg: &Expr,
        at: TimeMs,
    ) -> Result<String> {
        let text = self.string(arg, at)?;
        match text.as_str().filter(|name| !name.is_empty()) {
            Some(name) => Ok(name.to_owned()),
            None => {
                let text = text.to_lossy();
                let message = format!("invalid {which} label name in {function}(): {text}");
                Err(self.error(arg.span, message))
            }
        }
    }

    fn distinct(&self, span: Span, items: Vec<Item>) -> Result<Val> {
        if !all_distinct(items.iter().map(|item| &item.labels)) {
            return Err(self.error(span, SAME_LABELSET));
        }
        Ok(Val::Vector(items))
    }

    pub(super) fn sort_by_label(
        &mut self,
        descending: bool,
        args: &[Expr],
        at: TimeMs,
    ) -> Result<Vec<Item>> {
        self.note_sort(args);
        let mut labels = Vec::new();
        for arg in &args[1..] {
            labels.push(self.string(arg, at)?.to_lossy());
        }
        let mut items = self.vector(&args[0], at)?;
        items.sort_by(|a, b| {
            let by_label =
                |label: &String| natural_order(a.labels.value(label), b.labels.value(label));
            let order = labels.iter().map(by_label).find(|order| order.is_ne());
            let order = order.unwrap_or_else(|| a.labels.cmp(&b.labels));
            if descending { order.reverse() } else { order }
        });
        Ok(items)
    }

    pub(super) fn absent(&mut self, arg: &Expr, at: TimeMs) -> Result<Vec<Item>> {
        let items = self.vector(arg, at)?;
        Ok(if items.is_empty() { vec![absence(arg)] } else { Vec::new() })
    }

    pub(super) fn absent_over_time(&mut self, arg: &Expr, at: TimeMs) -> Result<Vec<Item>> {
        self.check_extent("absent_over_time", arg)?;
        self.report_range(arg, at)?;
        let mut any = false;
        self.each_series(arg, at, &mut |_, _| {
            any = true;
            Ok(())
        })?;
        Ok(if any { Vec::new() } else { vec![absence(arg)] })
    }
}

/// The element that says that a selector found nothing. It has the labels that the selector asks
/// for by `=`, but for those that it says something else of later on, as in Prometheus; another
/// expression asks for none.
fn absence(arg: &Expr) -> Item {
    let matchers = match &unwrap_parens(arg).kind {
        ExprKind::Selector(selector) => &selector.matchers[..],
        ExprKind::Range(range) => &range.selector.matchers[..],
        _ => &[],
    };
    let mut labels = Labels::empty().to_builder();
    let mut asked = HashSet::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && asked.insert(matcher.name()) {
            labels.set(matcher.name(), matcher.value());
        } else {
            labels.remove(matcher.name());
        }
    }
    let labels = labels.build();
    Item::number(labels, 1.0, Origins::none())
}

/// Compares texts with the numbers in them as numbers: `a2` before `a10`.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let (left_part, right_part) = (first_part(left), first_part(right));
        (left, right) = (&left[left_part.len()..], &right[right_part.len()..]);
        let order = match (left_part.parse::<i64>(), right_part.parse::<i64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left_part.cmp(right_part),
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits that a text begins with, or what stands before its first digit.
fn first_part(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_compare_as_numbers() {
        let check = |a, b, expected| assert_eq!(natural_order(a, b), expected, "{a} {b}");
        check("a2", "a10", Ordering::Less);
        check("a", "a1", Ordering::Less);
        check("10", "9", Ordering::Greater);
        check("x", "x", Ordering::Equal);
    }
}
