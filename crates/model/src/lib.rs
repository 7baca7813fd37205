//! The nouns that every other crate shares: labels, samples, time, ids and secrets.
//!
//! Pure data. Nothing here opens a file or a socket, reads a clock, or knows what an alert is.

mod clock;
mod histogram;
mod ids;
mod labels;
mod list;
mod metadata;
mod sample;
mod secret;
mod time;

pub use clock::{BoxFuture, Clock};
pub use histogram::{
    BucketSpan, HISTOGRAM_NAN_BITS, Histogram, ResetHint, histogram_nan, is_histogram,
};
pub use ids::{AlertName, Fingerprint, IncidentId, SystemName};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME, escape_label_value, is_legacy_label_name};
pub use list::{Run, SeriesList, is_same_list};
pub use metadata::{Metadata, MetricType};
pub use sample::{STALE_NAN_BITS, Sample, Series, is_stale, stale_nan};
pub use secret::{Redactor, Secret};
pub use time::{DurationError, TimeMs, format_duration, parse_duration};
