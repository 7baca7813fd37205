use paramedic_model::{Metadata, Series, TimeMs};

/// One sample of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapedSample {
    /// Labels, the metric name among them, and value.
    pub series: Series,
    /// The sample's own time, where it states one.
    pub at: Option<TimeMs>,
}

/// A whole body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    /// All samples, in the order of the body.
    pub samples: Vec<ScrapedSample>,
    /// What is said of families, in the order of first mention. A family may have samples and no
    /// entry, or an entry and no samples.
    pub metadata: Vec<Metadata>,
}

/// A family to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    /// What to say of it.
    pub metadata: Metadata,
    /// Its samples; each names itself by its own metric name, suffixes included.
    pub samples: Vec<ScrapedSample>,
}
