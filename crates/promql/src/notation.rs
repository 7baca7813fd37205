//! The notation of series in tests: `up{job="a"} 1 1 0 _ stale 1+2x3`.

use paramedic_model::Labels;

use crate::{ParseError, Span};

/// A series and its values at successive steps, as rule unit tests and promqltest scripts write it.
#[derive(Clone, Debug)]
pub struct SeriesNotation {
    /// The label set.
    pub labels: Labels,
    /// The value at each step; `None` where there is no sample.
    pub values: Vec<Option<f64>>,
}

/// Reads one series with its values: `up{job="a"} 1 1 0 _x3 stale 1+2x3`.
///
/// # Errors
///
/// Where the text is no such series; native histograms (`{{...}}`) are not supported yet.
pub fn parse_series(text: &str) -> Result<SeriesNotation, ParseError> {
    Err(ParseError::new(Span::new(0, text.len()), "not a series", text))
}
