use std::sync::Arc;

use paramedic_model::{Series, SeriesList as _, TimeMs};

use crate::cursor::{Gathered, Gatherer};
use crate::{ExpositionError, Layout, Scrape, ScrapedSample, SeriesTexts, openmetrics, text};

/// One of the formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, any version.
    Text,
    /// OpenMetrics text, any version.
    OpenMetrics,
}

/// A `Content-Type` that names no format that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unsupported Content-Type {content_type:?}: expected text/plain or application/openmetrics-text"
)]
pub struct ContentTypeError {
    /// As the answer said it.
    pub content_type: String,
}

impl Format {
    /// The format that a `Content-Type` names; parameters do not matter, a blank one means text.
    ///
    /// # Errors
    ///
    /// For every other type. `text/html` is the usual one: a login or an error page.
    pub fn of(content_type: &str) -> Result<Self, ContentTypeError> {
        let media_type = content_type.split(';').next().unwrap_or("").trim();
        match media_type.to_ascii_lowercase().as_str() {
            "" | "text/plain" => Ok(Format::Text),
            "application/openmetrics-text" => Ok(Format::OpenMetrics),
            _ => Err(ContentTypeError { content_type: content_type.to_owned() }),
        }
    }
}

/// What a body says: its series, and the value of each.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The same list as last time where the body has the same series in the same order.
    pub series: Arc<SeriesTexts>,
    /// As many as there are series.
    pub values: Vec<f64>,
    /// The time that each states itself; `None` where none does.
    pub times: Option<Vec<Option<TimeMs>>>,
}

impl Reading {
    /// All samples, in the order of the body.
    pub fn samples(&self) -> impl Iterator<Item = Series> {
        let labels = (0..self.values.len()).map(|index| self.series.labels(index));
        labels.zip(&self.values).map(|(labels, value)| Series { labels, value: *value })
    }
}

/// Reads a body by its `Content-Type`.
///
/// # Errors
///
/// The first mistake, with its place; a `Content-Type` that names no format stands at line 1.
pub fn parse(content_type: &str, body: &[u8]) -> Result<Scrape, ExpositionError> {
    parse_as(format_of(content_type, body)?, body)
}

/// As [`parse`], for a target that is read again and again: `layout` is what its last body left, and
/// becomes what this one leaves. Of a body with the same series only the values are read.
///
/// # Errors
///
/// As [`parse`]; the layout stays as it was.
pub fn parse_again(
    content_type: &str,
    body: &[u8],
    layout: &mut Layout,
) -> Result<Reading, ExpositionError> {
    let format = format_of(content_type, body)?;
    let text = utf8(body)?;
    if let Some(last) = &layout.last
        && let Some((values, times)) = last.values(format, text)
    {
        last.read_again();
        return Ok(Reading { series: last.clone(), values, times });
    }
    let Gathered { families, mut series, values, times } =
        gather(format, text, layout.last.as_ref())?;
    if let Some(last) = &layout.last {
        series.keep_vanished(last, &families);
    }
    let series = Arc::new(series);
    layout.last = Some(series.clone());
    let times = times.iter().any(Option::is_some).then_some(times);
    Ok(Reading { series, values, times })
}

/// Reads a body of a known format.
///
/// # Errors
///
/// The first mistake, with its place.
pub fn parse_as(format: Format, body: &[u8]) -> Result<Scrape, ExpositionError> {
    let Gathered { families, series, values, times } = gather(format, utf8(body)?, None)?;
    let sample = |(index, (value, at))| {
        let series = Series { labels: series.labels(index), value };
        ScrapedSample { series, at }
    };
    let samples = values.into_iter().zip(times).enumerate().map(sample).collect();
    Ok(Scrape { samples, metadata: families.into_metadata() })
}

fn gather(
    format: Format,
    text: &str,
    last: Option<&Arc<SeriesTexts>>,
) -> Result<Gathered, ExpositionError> {
    let mut gatherer = Gatherer::new(text, last);
    match format {
        Format::Text => text::gather(text, &mut gatherer)?,
        Format::OpenMetrics => openmetrics::gather(text, &mut gatherer)?,
    }
    Ok(gatherer.finish(format))
}

fn format_of(content_type: &str, body: &[u8]) -> Result<Format, ExpositionError> {
    Format::of(content_type).map_err(|error| ExpositionError::at(body, 0, error.to_string()))
}

fn utf8(body: &[u8]) -> Result<&str, ExpositionError> {
    std::str::from_utf8(body)
        .map_err(|error| ExpositionError::at(body, error.valid_up_to(), "invalid UTF-8"))
}
