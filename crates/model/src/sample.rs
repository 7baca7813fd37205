use crate::{Labels, TimeMs};

/// The bits of the NaN that marks a series as ended.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value that marks a series as ended from a moment on.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the staleness marker. Other NaNs are ordinary values.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// One value of a series at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: TimeMs,
    /// What; the staleness marker included.
    pub value: f64,
}

/// One value of the series with these labels, its metric name among them: what a collector yields.
///
/// It has no time of its own: all samples of one collection stand at the moment of the collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The identity, `__name__` included.
    pub labels: Labels,
    /// The value.
    pub value: f64,
}

impl Series {
    /// The series `name{pairs}` with `value`.
    pub fn new<const N: usize>(name: &str, pairs: [(&str, &str); N], value: f64) -> Self {
        let mut labels = Labels::from(pairs).to_builder();
        labels.set(crate::METRIC_NAME, name);
        Self { labels: labels.build(), value }
    }
}
