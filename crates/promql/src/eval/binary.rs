//! Operations on two values, and how the elements of two vectors find each other.

use std::collections::{HashMap, HashSet};

use paramedic_model::{Labels, METRIC_NAME, TimeMs};

use super::operand::{Combined, Notes, Operand, combine};
use super::{Evaluator, Item, Result, Val, without_name};
use crate::ast::BinaryExpr;
use crate::print::quoted;
use crate::{BinaryOp, Cardinality, Origins, Span, VectorMatching};

/// The number that two numbers make, and whether a comparison holds.
///
/// Of a comparison that filters the number is the left one.
pub(crate) fn operate(op: BinaryOp, left: f64, right: f64) -> (f64, bool) {
    let compared = |holds| (left, holds);
    match op {
        BinaryOp::Add => (left + right, true),
        BinaryOp::Sub => (left - right, true),
        BinaryOp::Mul => (left * right, true),
        BinaryOp::Div => (left / right, true),
        BinaryOp::Mod => (left % right, true),
        BinaryOp::Pow => (left.powf(right), true),
        BinaryOp::Atan2 => (left.atan2(right), true),
        BinaryOp::Eq => compared(left == right),
        BinaryOp::Ne => compared(left != right),
        BinaryOp::Lt => compared(left < right),
        BinaryOp::Le => compared(left <= right),
        BinaryOp::Gt => compared(left > right),
        BinaryOp::Ge => compared(left >= right),
        // Set operators do not look at values, and trimming is no matter of two numbers.
        BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => compared(true),
    }
}

pub(crate) fn from_bool(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

/// Whether the result measures something else than the operands do.
pub(crate) fn changes_meaning(op: BinaryOp) -> bool {
    let trims = matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
    !op.is_comparison() && !op.is_set() && !trims
}

/// What elements must have in common to match.
fn signature(labels: &Labels, matching: &VectorMatching) -> Labels {
    let named = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on {
        labels.iter().filter(|(name, _)| named(name)).collect()
    } else {
        labels.iter().filter(|(name, _)| *name != METRIC_NAME && !named(name)).collect()
    }
}

/// A label set as Prometheus prints it in these errors: the metric name is a label like the others.
fn plain(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

impl Evaluator<'_> {
    pub(super) fn binary(&mut self, span: Span, binary: &BinaryExpr, at: TimeMs) -> Result<Val> {
        let left = self.eval(&binary.lhs, at)?;
        let right = self.eval(&binary.rhs, at)?;
        let items = match (left, right, &binary.matching) {
            (Val::Scalar(left), Val::Scalar(right), _) => {
                let (value, holds) = operate(binary.op, left, right);
                let compares = binary.op.is_comparison();
                return Ok(Val::Scalar(if compares { from_bool(holds) } else { value }));
            }
            (Val::Vector(items), Val::Scalar(scalar), _) => {
                self.with_scalar(span, binary, items, scalar, false)
            }
            (Val::Scalar(scalar), Val::Vector(items), _) => {
                self.with_scalar(span, binary, items, scalar, true)
            }
            (Val::Vector(left), Val::Vector(right), Some(matching)) => match binary.op {
                BinaryOp::And => and(left, right, matching),
                BinaryOp::Or => or(left, right, matching),
                BinaryOp::Unless => unless(left, right, matching),
                _ => self.join(span, binary, matching, left, right)?,
            },
            _ => return Err(self.error(span, "operands of these types do not go together")),
        };
        self.check_distinct(span, &items)?;
        Ok(Val::Vector(items))
    }

    fn with_scalar(
        &mut self,
        span: Span,
        binary: &BinaryExpr,
        items: Vec<Item>,
        scalar: f64,
        scalar_is_left: bool,
    ) -> Vec<Item> {
        let mut notes = Notes::default();
        let mut kept = Vec::with_capacity(items.len());
        for mut item in items {
            let (element, scalar) = (item.operand(), Operand::number(scalar));
            let (left, right) = if scalar_is_left { (scalar, element) } else { (element, scalar) };
            let Some(result) = combine(binary.op, left, right, &mut notes) else { continue };
            if !result.holds && !binary.return_bool {
                continue;
            }
            if binary.return_bool {
                (item.value, item.histogram) = (from_bool(result.holds), None);
            } else if !binary.op.is_comparison() {
                // A filter keeps the element's value, on whichever side it stands.
                (item.value, item.histogram) = (result.value, result.histogram);
            }
            if changes_meaning(binary.op) || binary.return_bool {
                self.drop_name(&mut item);
            }
            kept.push(item);
        }
        self.take_notes(notes, span);
        kept
    }

    /// Arithmetic and comparison of two vectors.
    fn join(
        &mut self,
        span: Span,
        binary: &BinaryExpr,
        matching: &VectorMatching,
        left: Vec<Item>,
        right: Vec<Item>,
    ) -> Result<Vec<Item>> {
        // From here on there is a many side and a one side, whichever was left.
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        // Also with `group_right`: there, too, Prometheus fills the many side with `fill_left`.
        let (many_fill, one_fill) = (matching.fill.left, matching.fill.right);
        if (many.is_empty() && many_fill.is_none()) || (one.is_empty() && one_fill.is_none()) {
            return Ok(Vec::new());
        }
        let mut ones: HashMap<Labels, usize> = HashMap::with_capacity(one.len());
        for (index, item) in one.iter().enumerate() {
            let signature = signature(&item.labels, matching);
            if let Some(other) = ones.insert(signature.clone(), index) {
                let side = if swapped { "left" } else { "right" };
                let mut found = [plain(&item.labels), plain(&one[other].labels)];
                found.sort();
                let message = format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the \
                     operation: [{}, {}];many-to-many matching not allowed: matching labels must \
                     be unique on one side",
                    plain(&signature),
                    found[0],
                    found[1],
                );
                return Err(self.error(span, message));
            }
        }
        let mut join = Join {
            evaluator: self,
            span,
            binary,
            matching,
            swapped,
            matched: HashMap::new(),
            notes: Notes::default(),
            out: Vec::new(),
        };
        for item in &many {
            let signature = signature(&item.labels, matching);
            match (ones.get(&signature), one_fill) {
                (Some(index), _) => join.pair(item, &one[*index], signature)?,
                (None, Some(value)) => join.pair(item, &stand_in(&signature, value), signature)?,
                (None, None) => {}
            }
        }
        if let Some(value) = many_fill {
            for item in &one {
                let signature = signature(&item.labels, matching);
                if !join.matched.contains_key(&signature) {
                    join.pair(&stand_in(&signature, value), item, signature)?;
                }
            }
        }
        let (out, notes) = (join.out, join.notes);
        self.take_notes(notes, span);
        Ok(out)
    }
}

/// What `fill` puts in the place of a missing element.
fn stand_in(signature: &Labels, value: f64) -> Item {
    let (labels, origins) = (signature.clone(), Origins::none());
    Item::number(labels, value, origins)
}

struct Join<'j, 'a> {
    evaluator: &'j Evaluator<'a>,
    span: Span,
    binary: &'j BinaryExpr,
    matching: &'j VectorMatching,
    /// Whether the many side is the right one.
    swapped: bool,
    /// The signatures that found each other, and with `group_left` the label sets of their results.
    matched: HashMap<Labels, HashSet<Labels>>,
    notes: Notes,
    out: Vec<Item>,
}

impl Join<'_, '_> {
    fn pair(&mut self, many: &Item, one: &Item, signature: Labels) -> Result<()> {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let BinaryExpr { op, return_bool, .. } = *self.binary;
        let result = combine(op, left.operand(), right.operand(), &mut self.notes);
        let Some(Combined { value, histogram, holds }) = result else { return Ok(()) };
        let mut labels = self.result_labels(&many.labels, &one.labels);
        let delayed = self.evaluator.options.delayed_name_removal;
        if return_bool && !delayed {
            labels = without_name(&labels);
        }
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let first = !self.matched.contains_key(&signature);
        let results = self.matched.entry(signature).or_default();
        if one_to_one && !first {
            let message = "multiple matches for labels: many-to-one matching must be explicit \
                           (group_left/group_right)";
            return Err(self.evaluator.error(self.span, message));
        }
        if !one_to_one && !results.insert(labels.clone()) {
            let message = "multiple matches for labels: grouping labels must ensure unique matches";
            return Err(self.evaluator.error(self.span, message));
        }
        if holds || return_bool {
            self.out.push(Item {
                labels,
                drop_name: delayed && (return_bool || many.drop_name),
                value: if return_bool { from_bool(holds) } else { value },
                histogram: histogram.filter(|_| !return_bool),
                origins: Origins::union([many.origins.clone(), one.origins.clone()]),
            });
        }
        Ok(())
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let mut labels =
            if changes_meaning(self.binary.op) { without_name(many) } else { many.clone() };
        let named = |name: &str| self.matching.labels.iter().any(|label| label == name);
        if self.matching.cardinality == Cardinality::OneToOne {
            labels = labels.iter().filter(|(name, _)| named(name) == self.matching.on).collect();
        }
        for label in &self.matching.include {
            // Also an empty value is taken over: the label goes.
            labels = labels.with(label, one.value(label));
        }
        labels
    }
}

/// The origins of the elements of each signature.
fn by_signature(items: Vec<Item>, matching: &VectorMatching) -> HashMap<Labels, Vec<Origins>> {
    let mut origins: HashMap<Labels, Vec<Origins>> = HashMap::new();
    for item in items {
        origins.entry(signature(&item.labels, matching)).or_default().push(item.origins);
    }
    origins
}

fn and(left: Vec<Item>, right: Vec<Item>, matching: &VectorMatching) -> Vec<Item> {
    let right: HashMap<Labels, Origins> = by_signature(right, matching)
        .into_iter()
        .map(|(signature, origins)| (signature, Origins::union(origins)))
        .collect();
    left.into_iter()
        .filter_map(|mut item| {
            let partners = right.get(&signature(&item.labels, matching))?;
            item.origins = Origins::union([item.origins, partners.clone()]);
            Some(item)
        })
        .collect()
}

fn or(mut left: Vec<Item>, right: Vec<Item>, matching: &VectorMatching) -> Vec<Item> {
    let there: HashSet<Labels> =
        left.iter().map(|item| signature(&item.labels, matching)).collect();
    left.extend(right.into_iter().filter(|i| !there.contains(&signature(&i.labels, matching))));
    left
}

fn unless(mut left: Vec<Item>, right: Vec<Item>, matching: &VectorMatching) -> Vec<Item> {
    let there = by_signature(right, matching);
    left.retain(|item| !there.contains_key(&signature(&item.labels, matching)));
    left
}
