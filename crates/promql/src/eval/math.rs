//! Arithmetic that more than one function needs.

use std::cmp::Ordering;

use paramedic_model::{Sample, TimeMs};

/// A sum that carries the error of its rounding along (Kahan, as improved by Neumaier).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CompensatedSum {
    pub sum: f64,
    pub error: f64,
}

impl CompensatedSum {
    pub fn add(&mut self, value: f64) {
        let next = self.sum + value;
        if next.is_infinite() {
            self.error = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.error += (self.sum - next) + value;
        } else {
            self.error += (value - next) + self.sum;
        }
        self.sum = next;
    }

    pub fn value(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.error }
    }
}

pub(crate) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = CompensatedSum::default();
    values.into_iter().for_each(|value| sum.add(value));
    sum.value()
}

/// The mean. Where the sum would overflow, it goes on with the running mean. NaN without values.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values = values.into_iter();
    let Some(first) = values.next() else { return f64::NAN };
    let mut sum = CompensatedSum { sum: first, error: 0.0 };
    let (mut count, mut incremental) = (1.0, false);
    for value in values {
        count += 1.0;
        if !incremental {
            let mut next = sum;
            next.add(value);
            if !next.sum.is_infinite() {
                sum = next;
                continue;
            }
            incremental = true;
            sum.sum /= count - 1.0;
            sum.error /= count - 1.0;
        }
        let weight = (count - 1.0) / count;
        sum = CompensatedSum { sum: weight * sum.sum, error: weight * sum.error };
        sum.add(value / count);
    }
    if incremental { sum.sum + sum.error } else { sum.sum / count + sum.error / count }
}

/// The population variance. NaN without values.
pub(super) fn variance(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) =
        (0.0, CompensatedSum::default(), CompensatedSum::default());
    for value in values {
        count += 1.0;
        let delta = value - (mean.sum + mean.error);
        mean.add(delta / count);
        squares.add(delta * (value - (mean.sum + mean.error)));
    }
    (squares.sum + squares.error) / count
}

/// Ascending, NaN before all numbers.
pub(crate) fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// The `q`-quantile, between two values their weighted mean. NaN without values.
pub(crate) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(nan_first);
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    let lower = lower as usize;
    values[lower] * (1.0 - weight) + values[(lower + 1).min(last)] * weight
}

/// Slope per second and value at `origin` of the line of least squares through the samples.
pub(super) fn linear_regression(samples: &[Sample], origin: TimeMs) -> (f64, f64) {
    let first = samples[0].value;
    let [mut sum_x, mut sum_y, mut sum_xy, mut sum_xx] = [CompensatedSum::default(); 4];
    for sample in samples {
        let x = sample.at.0.saturating_sub(origin.0) as f64 / 1000.0;
        sum_x.add(x);
        sum_y.add(sample.value);
        sum_xy.add(x * sample.value);
        sum_xx.add(x * x);
    }
    if samples.iter().all(|sample| sample.value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let total = |sum: CompensatedSum| sum.sum + sum.error;
    let (sum_x, sum_y, sum_xy, sum_xx) = (total(sum_x), total(sum_y), total(sum_xy), total(sum_xx));
    let count = samples.len() as f64;
    let covariance = sum_xy - sum_x * sum_y / count;
    let variance = sum_xx - sum_x * sum_x / count;
    let slope = covariance / variance;
    (slope, sum_y / count - slope * sum_x / count)
}

/// The functions of one number, by name.
pub(crate) fn unary_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "sgn" => |value| if value == 0.0 || value.is_nan() { value } else { value.signum() },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_what_rounding_would_lose() {
        assert_eq!(sum([1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum([f64::MAX, f64::MAX]), f64::INFINITY);
    }

    #[test]
    fn a_mean_survives_the_overflow_of_its_sum() {
        assert_eq!(mean([f64::MAX, f64::MAX]), f64::MAX);
        assert!(mean([]).is_nan());
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        assert_eq!(quantile(0.5, vec![3.0, 1.0]), 2.0);
        assert_eq!(quantile(1.5, vec![3.0]), f64::INFINITY);
        assert_eq!(quantile(1.0, vec![3.0, f64::NAN]), 3.0);
    }
}
