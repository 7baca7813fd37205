//! Operations on two values: elements find each other by tuples of symbols.

use std::collections::BTreeSet;
use std::sync::Arc;

use paramedic_model::{METRIC_NAME, TimeMs};

use super::index::{Groups, TupleIndex};
use super::vector::{Ids, Provenance, Vector};
use super::{Columns, Declined, Result, Val};
use crate::ast::BinaryExpr;
use crate::eval::binary::{changes_meaning, from_bool, operate};
use crate::eval::unwrap_parens;
use crate::{
    BinaryOp, Cardinality, Expr, ExprKind, Origins, RowRef, Selector, Source, VectorMatching,
};

/// A comparison of a selector with a number that filters, whichever side the number is on.
fn filter(binary: &BinaryExpr) -> Option<(&Selector, &Expr, BinaryOp)> {
    if !binary.op.is_comparison() || binary.return_bool {
        return None;
    }
    let mirrored = match binary.op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::Le => BinaryOp::Ge,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Ge => BinaryOp::Le,
        op => op,
    };
    match (&unwrap_parens(&binary.lhs).kind, &unwrap_parens(&binary.rhs).kind) {
        (ExprKind::Selector(selector), _) if is_number(&binary.rhs) => {
            Some((selector, &binary.rhs, binary.op))
        }
        (_, ExprKind::Selector(selector)) if is_number(&binary.lhs) => {
            Some((selector, &binary.lhs, mirrored))
        }
        _ => None,
    }
}

/// Whether an expression is a number that holds no samples while it is evaluated.
fn is_number(expr: &Expr) -> bool {
    let number = match &expr.kind {
        ExprKind::Number { .. }
        | ExprKind::Paren(_)
        | ExprKind::Unary(..)
        | ExprKind::Binary(_) => true,
        ExprKind::Call(call) => matches!(call.function.name, "time" | "pi"),
        _ => false,
    };
    number && expr.children().into_iter().all(is_number)
}

/// The labels that elements of two vectors must have in common to match.
fn signature(
    source: &dyn Source,
    matching: &VectorMatching,
    left: &Vector,
    right: &Vector,
) -> Vec<String> {
    let mut names: BTreeSet<String> = if matching.on {
        matching.labels.iter().cloned().collect()
    } else {
        let mut names = left.label_names(source);
        names.extend(right.label_names(source));
        names.retain(|name| name != METRIC_NAME && !matching.labels.contains(name));
        names
    };
    names.remove("");
    names.into_iter().collect()
}

impl Columns<'_> {
    pub(super) fn binary(&mut self, binary: &BinaryExpr, at: TimeMs) -> Result<Val> {
        if let Some((selector, number, op)) = filter(binary) {
            let number = self.scalar(number, at)?;
            return Ok(Val::Vector(self.filtered(selector, op, number, at)?));
        }
        let left = self.eval(&binary.lhs, at)?;
        let right = self.eval(&binary.rhs, at)?;
        let op = binary.op;
        let vector = match (left, right, &binary.matching) {
            (Val::Scalar(left), Val::Scalar(right), _) => {
                let (value, holds) = operate(op, left, right);
                return Ok(Val::Scalar(if op.is_comparison() { from_bool(holds) } else { value }));
            }
            (Val::Vector(vector), Val::Scalar(scalar), _) => {
                self.with_scalar(binary, vector, |value| operate(op, value, scalar))
            }
            (Val::Scalar(scalar), Val::Vector(vector), _) => {
                self.with_scalar(binary, vector, |value| {
                    let (result, holds) = operate(op, scalar, value);
                    // A filter keeps the element's value, on whichever side it stands.
                    (if op.is_comparison() { value } else { result }, holds)
                })
            }
            (Val::Vector(left), Val::Vector(right), Some(matching)) => {
                let names = signature(self.source, matching, &left, &right);
                match op {
                    BinaryOp::And => self.and(left, right, &names),
                    BinaryOp::Or => self.or(left, right, &names),
                    BinaryOp::Unless => self.unless(left, right, &names),
                    _ => self.join(binary, matching, left, right, &names)?,
                }
            }
            (Val::Vector(_), Val::Vector(_), None) => return Err(Declined),
        };
        Ok(Val::Vector(self.distinct(vector)?))
    }

    /// The newest samples that satisfy a comparison, in one pass.
    fn filtered(
        &mut self,
        selector: &Selector,
        op: BinaryOp,
        number: f64,
        at: TimeMs,
    ) -> Result<Vector> {
        let (vector, present) = match op {
            BinaryOp::Eq => self.newest_where(selector, at, |value| value == number),
            BinaryOp::Ne => self.newest_where(selector, at, |value| value != number),
            BinaryOp::Lt => self.newest_where(selector, at, |value| value < number),
            BinaryOp::Le => self.newest_where(selector, at, |value| value <= number),
            BinaryOp::Gt => self.newest_where(selector, at, |value| value > number),
            BinaryOp::Ge => self.newest_where(selector, at, |value| value >= number),
            _ => Err(Declined),
        }?;
        self.check_held(present)?;
        Ok(vector)
    }

    fn with_scalar(
        &self,
        binary: &BinaryExpr,
        mut vector: Vector,
        operate: impl Fn(f64) -> (f64, bool),
    ) -> Vector {
        let filters = binary.op.is_comparison() && !binary.return_bool;
        let mut kept: Vec<u32> = Vec::new();
        for (at, value) in vector.values.iter_mut().enumerate() {
            let (result, holds) = operate(*value);
            *value = if binary.return_bool { from_bool(holds) } else { result };
            if filters && holds {
                kept.push(at as u32);
            }
        }
        if filters && kept.len() < vector.len() {
            vector = vector.take(&kept);
        }
        if changes_meaning(binary.op) || binary.return_bool {
            vector.drop_names(self.source);
        }
        vector
    }

    /// Arithmetic and comparison of two vectors.
    fn join(
        &self,
        binary: &BinaryExpr,
        matching: &VectorMatching,
        left: Vector,
        right: Vector,
        names: &[String],
    ) -> Result<Vector> {
        // From here on there is a many side and a one side, whichever was left.
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        if many.is_empty() || one.is_empty() {
            return Ok(Vector::empty());
        }
        let width = names.len();
        let (many_keys, one_keys) =
            (many.project(self.source, names), one.project(self.source, names));
        let mut index = TupleIndex::with_capacity(width, one.len());
        for at in 0..one.len() {
            if index.insert(&one_keys[at * width..(at + 1) * width]).is_err() {
                return Err(Declined);
            }
        }
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let mut taken = vec![false; one.len()];
        let (mut of_many, mut of_one): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let (mut values, mut kept): (Vec<f64>, Vec<u32>) = (Vec::new(), Vec::new());
        for at in 0..many.len() {
            let Some(partner) = index.find(&many_keys[at * width..(at + 1) * width]) else {
                continue;
            };
            if std::mem::replace(&mut taken[partner as usize], true) && one_to_one {
                return Err(Declined);
            }
            let (a, b) = (many.values[at], one.values[partner as usize]);
            let (value, holds) =
                if swapped { operate(binary.op, b, a) } else { operate(binary.op, a, b) };
            if holds || binary.return_bool {
                kept.push(of_many.len() as u32);
            }
            of_many.push(at as u32);
            of_one.push(partner);
            values.push(if binary.return_bool { from_bool(holds) } else { value });
        }
        let pick =
            |from: &[u32]| -> Vec<u32> { kept.iter().map(|at| from[*at as usize]).collect() };
        let origins = joined_origins(&many, &one, &pick(&of_many), &pick(&of_one));
        let plain = |vector: Vector| Vector { origins: Provenance::None, ..vector };
        let mut out = plain(many).take(&of_many);
        out.values = values;
        if changes_meaning(binary.op) {
            out.drop_names(self.source);
        }
        if one_to_one {
            self.reduce_to_matched(matching, &mut out);
        }
        if !matching.include.is_empty() {
            self.include(matching, &mut out, &plain(one).take(&of_one));
        }
        if binary.return_bool {
            out.drop_names(self.source);
        }
        // Pairs that do not satisfy the comparison must be told apart, too.
        if !one_to_one && !out.is_distinct(self.source) {
            return Err(Declined);
        }
        let mut out = out.take(&kept);
        out.origins = origins;
        Ok(out)
    }

    /// Leaves the results of a match of one with one the labels that matched.
    fn reduce_to_matched(&self, matching: &VectorMatching, out: &mut Vector) {
        let mut names = out.label_names(self.source);
        let before = names.len();
        names.retain(|name| matching.labels.contains(name) == matching.on);
        if names.len() < before {
            out.reduce_to(self.source, names.into_iter().collect());
        }
    }

    /// Takes labels over from the one side; one that it does not have goes.
    fn include(&self, matching: &VectorMatching, out: &mut Vector, one: &Vector) {
        let mut names = out.label_names(self.source);
        names.extend(matching.include.iter().cloned());
        let names: Vec<String> = names.into_iter().collect();
        out.reduce_to(self.source, names.clone());
        let taken = one.project(self.source, &matching.include);
        let Ids::Tuples { symbols, .. } = &mut out.ids else { return };
        for (label, name) in matching.include.iter().enumerate() {
            let Ok(place) = names.binary_search(name) else { continue };
            for at in 0..one.len() {
                symbols[at * names.len() + place] = taken[at * matching.include.len() + label];
            }
        }
    }

    fn and(&self, left: Vector, right: Vector, names: &[String]) -> Vector {
        let (groups, index) = self.groups(&right, names);
        let (kept, partners) = self.matched(&left, names, &index);
        if kept.is_empty() {
            return Vector::empty();
        }
        let right_origins = right.grouped_origins(&groups);
        let mut left = left.take(&kept);
        if let Provenance::Each(right_origins) = right_origins {
            let both = (0..left.len()).zip(&partners).map(|(at, partner)| {
                Origins::union([left.origins_of(at), right_origins[*partner as usize].clone()])
            });
            left.origins = Provenance::Each(both.collect());
        }
        left
    }

    fn or(&self, left: Vector, right: Vector, names: &[String]) -> Vector {
        let (_, index) = self.groups(&left, names);
        let right = self.unmatched(right, names, &index);
        left.append(self.source, right)
    }

    fn unless(&self, left: Vector, right: Vector, names: &[String]) -> Vector {
        let (_, index) = self.groups(&right, names);
        self.unmatched(left, names, &index)
    }

    fn groups(&self, vector: &Vector, names: &[String]) -> (Groups, TupleIndex) {
        Groups::indexed(&vector.project(self.source, names), names.len(), vector.len())
    }

    /// The elements whose tuples are in `index`, and the numbers of these.
    fn matched(
        &self,
        vector: &Vector,
        names: &[String],
        index: &TupleIndex,
    ) -> (Vec<u32>, Vec<u32>) {
        let keys = vector.project(self.source, names);
        let width = names.len();
        let found = (0..vector.len())
            .filter_map(|at| Some((at as u32, index.find(&keys[at * width..(at + 1) * width])?)));
        found.unzip()
    }

    /// The elements whose tuples are not in `index`.
    fn unmatched(&self, vector: Vector, names: &[String], index: &TupleIndex) -> Vector {
        let keys = vector.project(self.source, names);
        let width = names.len();
        let other = |at: &u32| {
            let at = *at as usize;
            index.find(&keys[at * width..(at + 1) * width]).is_none()
        };
        let kept: Vec<u32> = (0..vector.len() as u32).filter(other).collect();
        if kept.len() == vector.len() { vector } else { vector.take(&kept) }
    }
}

/// The origins of pairs: those of both.
fn joined_origins(many: &Vector, one: &Vector, of_many: &[u32], of_one: &[u32]) -> Provenance {
    let pairs = of_many.iter().zip(of_one).map(|(a, b)| (*a as usize, *b as usize));
    let Some((many_rows, one_rows)) = many.origin_rows().zip(one.origin_rows()) else {
        let both = pairs.map(|(a, b)| Origins::union([many.origins_of(a), one.origins_of(b)]));
        return Provenance::Each(both.collect());
    };
    let shared: Arc<[RowRef]> = pairs.flat_map(|(a, b)| [many_rows[a], one_rows[b]]).collect();
    let pair = |at| Origins::rows_of(&shared, at * 2..at * 2 + 2);
    Provenance::Each((0..of_many.len()).map(pair).collect())
}
