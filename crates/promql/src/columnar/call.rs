//! Calls of functions.

use std::collections::HashMap;

use paramedic_model::TimeMs;

use super::vector::{Ids, Provenance, Vector};
use super::{Columns, Declined, Result, Val};
use crate::ast::CallExpr;
use crate::eval::call::{go_max, go_min, round};
use crate::eval::histogram::{BOUND_LABEL, Bucket, bucket_quantile};
use crate::eval::math::{nan_first, unary_function};
use crate::eval::time::calendar_function;
use crate::eval::unwrap_parens;
use crate::{Expr, ExprKind, Symbol};

impl Columns<'_> {
    pub(super) fn call(&mut self, call: &CallExpr, at: TimeMs) -> Result<Val> {
        let CallExpr { function, args } = call;
        let name = function.name;
        Ok(Val::Vector(match name {
            "pi" => return Ok(Val::Scalar(std::f64::consts::PI)),
            "time" => return Ok(Val::Scalar(at.as_secs_f64())),
            "scalar" => {
                let vector = self.vector(&args[0], at)?;
                let only = if let [value] = vector.values[..] { value } else { f64::NAN };
                return Ok(Val::Scalar(only));
            }
            "vector" => Vector::of_number(self.scalar(&args[0], at)?),
            "timestamp" => self.timestamp(&args[0], at)?,
            // The labels of what is absent are texts of the expression, not of the source.
            "absent" => match self.vector(&args[0], at)? {
                vector if vector.is_empty() => return Err(Declined),
                _ => Vector::empty(),
            },
            "absent_over_time" => {
                let ExprKind::Range(range) = &unwrap_parens(&args[0]).kind else {
                    return Err(Declined);
                };
                if !self.has_windows(range, at)? {
                    return Err(Declined);
                }
                Vector::empty()
            }
            "sort" | "sort_desc" => self.sort(name == "sort_desc", args, at)?,
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(name, args, at)?,
            "round" => {
                let vector = self.vector(&args[0], at)?;
                let to_nearest = match args.get(1) {
                    Some(arg) => self.scalar(arg, at)?,
                    None => 1.0,
                };
                self.map(vector, |value| round(value, to_nearest))?
            }
            "histogram_quantile" => self.histogram_quantile(args, at)?,
            _ => {
                if let Some(apply) = unary_function(name) {
                    let vector = self.vector(&args[0], at)?;
                    self.map(vector, apply)?
                } else if let Some(field) = calendar_function(name) {
                    match args.first() {
                        Some(arg) => {
                            let vector = self.vector(arg, at)?;
                            self.map(vector, field)?
                        }
                        None => Vector::of_number(field((at.0 / 1000) as f64)),
                    }
                } else {
                    self.over_time(call, at)?
                }
            }
        }))
    }

    fn timestamp(&mut self, arg: &Expr, at: TimeMs) -> Result<Vector> {
        let ExprKind::Selector(selector) = &unwrap_parens(arg).kind else {
            let vector = self.vector(arg, at)?;
            return self.map(vector, |_| at.as_secs_f64());
        };
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        self.each_newest(selector, at, |row, sample| {
            rows.push(row);
            values.push(sample.at.as_secs_f64());
        })?;
        self.map(Vector::of_rows(rows, values), |value| value)
    }

    fn sort(&mut self, descending: bool, args: &[Expr], at: TimeMs) -> Result<Vector> {
        // Over steps sorting has no effect, and a warning says so.
        if self.stepping {
            return Err(Declined);
        }
        let vector = self.vector(&args[0], at)?;
        let mut order: Vec<u32> = (0..vector.len() as u32).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&vector.values[*a as usize], &vector.values[*b as usize]);
            // NaN is last in either direction.
            let nan_last = a.is_nan().cmp(&b.is_nan());
            let order = nan_first(a, b);
            nan_last.then(if descending { order.reverse() } else { order })
        });
        Ok(vector.take(&order))
    }

    fn clamp(&mut self, name: &str, args: &[Expr], at: TimeMs) -> Result<Vector> {
        let vector = self.vector(&args[0], at)?;
        let first = self.scalar(&args[1], at)?;
        let (min, max) = match name {
            "clamp_min" => (first, f64::INFINITY),
            "clamp_max" => (f64::NEG_INFINITY, first),
            _ => (first, self.scalar(&args[2], at)?),
        };
        if max < min {
            return Ok(Vector::empty());
        }
        self.map(vector, |value| go_max(min, go_min(max, value)))
    }

    /// Quantiles of classic histograms: the buckets of one are a group.
    fn histogram_quantile(&mut self, args: &[Expr], at: TimeMs) -> Result<Vector> {
        let q = self.scalar(&args[0], at)?;
        if !(0.0..=1.0).contains(&q) {
            return Err(Declined);
        }
        let vector = self.vector(&args[1], at)?;
        let source = self.source;
        let mut bounds: HashMap<Symbol, f64> = HashMap::new();
        let mut buckets = Vec::with_capacity(vector.len());
        let symbols = vector.project(source, &[BOUND_LABEL.to_owned()]);
        for (symbol, count) in symbols.into_iter().zip(&vector.values) {
            let upper = match bounds.get(&symbol) {
                Some(upper) => *upper,
                None => {
                    let upper = source.text(symbol).parse().map_err(|_| Declined)?;
                    bounds.insert(symbol, upper);
                    upper
                }
            };
            buckets.push(Bucket { upper, count: *count });
        }
        let mut names = vector.label_names(source);
        names.remove(BOUND_LABEL);
        let names: Vec<String> = names.into_iter().collect();
        let groups = vector.group(source, &names);
        let arranged = groups.arrange(&buckets);
        let mut values = Vec::with_capacity(groups.count());
        for range in groups.ranges() {
            // Counts that had to be mended are a reason to say so.
            let value = bucket_quantile(q, arranged[range].to_vec());
            values.push(value.ok_or(Declined)?);
        }
        let origins = vector.grouped_origins(&groups);
        let firsts = Vector { origins: Provenance::None, ..vector }.take(&groups.firsts);
        let ids = Ids::Tuples {
            symbols: firsts.project(source, &names),
            names: names.into(),
            count: groups.count(),
        };
        let mut quantiles = Vector { ids, values, origins };
        quantiles.drop_names(source);
        self.distinct(quantiles)
    }
}
