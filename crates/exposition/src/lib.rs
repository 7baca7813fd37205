//! The two text formats in which programs expose metrics: Prometheus text 0.0.4 (1.0.0 with quoted
//! UTF-8 names included) and OpenMetrics 1.0, read and, the former, written.
//!
//! ```text
//!  Content-Type --Format::of--> Format
//!  body --------parse---------> Scrape { samples, families }       or line, column, reason
//!  body --------parse_again---> list of series, values: where the series are those of the last body,
//!                               the same list, in a fraction of the time
//!  Family ------write_text----> body
//! ```
//!
//! # Invariants
//!
//! - A body is read whole or refused at its first mistake: half a scrape would read as "the other
//!   half is gone".
//! - Nothing panics on any input, and work is linear in its length.
//! - `le` and `quantile` values come out in float form (`1` as `1.0`), as in Prometheus 3.
//!
//! Read over and dropped: exemplars. Not here: protobuf, limits of a scrape, target labels
//! (`scrape`); classic histograms stay the series they are.

mod cursor;
mod error;
mod family;
mod float;
mod layout;
mod openmetrics;
mod parse;
mod text;
mod write;

pub use error::ExpositionError;
pub use family::{Family, Scrape, ScrapedSample};
pub use layout::{Layout, SeriesTexts};
pub use paramedic_model::{Metadata, MetricType};
pub use parse::{ContentTypeError, Format, Reading, parse, parse_again, parse_as};
pub use write::{TEXT_CONTENT_TYPE, write_text};
