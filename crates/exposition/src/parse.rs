use crate::{ExpositionError, Layout, Scrape, openmetrics, text};

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

/// Reads a body by its `Content-Type`.
///
/// # Errors
///
/// The first mistake, with its place; a `Content-Type` that names no format stands at line 1.
pub fn parse(content_type: &str, body: &[u8]) -> Result<Scrape, ExpositionError> {
    parse_again(content_type, body, &mut Layout::default())
}

/// As [`parse`], for a target that is read again and again: `layout` is what its last body left, and
/// becomes what this one leaves. Series that stood there before keep their label sets, as clones.
///
/// # Errors
///
/// As [`parse`]; the layout stays as it was.
pub fn parse_again(
    content_type: &str,
    body: &[u8],
    layout: &mut Layout,
) -> Result<Scrape, ExpositionError> {
    match Format::of(content_type) {
        Ok(format) => parse_into(format, body, layout),
        Err(error) => Err(ExpositionError::at(body, 0, error.to_string())),
    }
}

/// Reads a body of a known format.
///
/// # Errors
///
/// The first mistake, with its place.
pub fn parse_as(format: Format, body: &[u8]) -> Result<Scrape, ExpositionError> {
    parse_into(format, body, &mut Layout::default())
}

fn parse_into(format: Format, body: &[u8], layout: &mut Layout) -> Result<Scrape, ExpositionError> {
    let valid = std::str::from_utf8(body)
        .map_err(|error| ExpositionError::at(body, error.valid_up_to(), "invalid UTF-8"))?;
    match format {
        Format::Text => text::parse(valid, layout),
        Format::OpenMetrics => openmetrics::parse(valid, layout),
    }
}
