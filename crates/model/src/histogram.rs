//! Native histograms: a whole distribution as one sample.

/// A native histogram with absolute bucket counts, as a float histogram of Prometheus.
///
/// Positive and negative buckets are sparse: spans say which indexes the counts stand at, one after
/// the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// The resolution: -4 to 8, each bucket growing by `2^(2^-schema)`; [`Histogram::CUSTOM_BUCKETS`]
    /// for bounds of one's own.
    pub schema: i32,
    /// Observations of at most this magnitude are in the zero bucket.
    pub zero_threshold: f64,
    /// How many observations are in the zero bucket.
    pub zero_count: f64,
    /// How many observations there are.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Where the positive buckets are.
    pub positive_spans: Vec<BucketSpan>,
    /// Where the negative buckets are.
    pub negative_spans: Vec<BucketSpan>,
    /// The count of each positive bucket.
    pub positive_buckets: Vec<f64>,
    /// The count of each negative bucket.
    pub negative_buckets: Vec<f64>,
    /// The upper bounds of custom buckets, but for the last, `+Inf`. Empty for other schemas.
    pub custom_values: Vec<f64>,
    /// What is known of a counter reset before this histogram.
    pub reset_hint: ResetHint,
}

impl Histogram {
    /// The schema whose buckets have the bounds `custom_values`.
    pub const CUSTOM_BUCKETS: i32 = -53;
}

/// A run of neighbouring buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketSpan {
    /// How many buckets are left out before it; of the first span the index that it begins at.
    pub offset: i32,
    /// How many buckets there are in it.
    pub length: u32,
}

/// What is known of a counter reset between a histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetHint {
    /// Nothing: compare.
    #[default]
    Unknown,
    /// There was one.
    Reset,
    /// There was none.
    NotReset,
    /// It is no counter.
    Gauge,
}

/// The bits of the NaN that stands where a series has a histogram and no number.
pub const HISTOGRAM_NAN_BITS: u64 = 0x7ff0_0000_0000_0003;

/// The value that stands in a column of numbers where the sample is a histogram.
pub fn histogram_nan() -> f64 {
    f64::from_bits(HISTOGRAM_NAN_BITS)
}

/// Whether `value` stands for a histogram. Other NaNs are ordinary values.
pub fn is_histogram(value: f64) -> bool {
    value.to_bits() == HISTOGRAM_NAN_BITS
}
