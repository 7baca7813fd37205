use paramedic_model::{Series, TimeMs};

/// The type of a metric family, as its `# TYPE` line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Grows, and starts at zero again when its program does.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets with `le`, `_sum` and `_count`.
    Histogram,
    /// A histogram whose buckets go up and down. OpenMetrics only.
    GaugeHistogram,
    /// Quantiles with `_sum` and `_count`.
    Summary,
    /// Labels of a constant 1. OpenMetrics only.
    Info,
    /// One boolean per state. OpenMetrics only.
    StateSet,
    /// Not said: `untyped` in the text format, `unknown` in OpenMetrics.
    #[default]
    Unknown,
}

impl MetricType {
    /// The word in a `# TYPE` line of the text format.
    pub(crate) fn text_word(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge | MetricType::Info | MetricType::StateSet => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::Summary => "summary",
            MetricType::GaugeHistogram | MetricType::Unknown => "untyped",
        }
    }

    /// The type behind a word of either format.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "counter" => MetricType::Counter,
            "gauge" => MetricType::Gauge,
            "histogram" => MetricType::Histogram,
            "gaugehistogram" => MetricType::GaugeHistogram,
            "summary" => MetricType::Summary,
            "info" => MetricType::Info,
            "stateset" => MetricType::StateSet,
            "unknown" | "untyped" => MetricType::Unknown,
            _ => return None,
        })
    }
}

/// What a body says of a family besides its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The family's name; in OpenMetrics without the suffixes of its samples.
    pub name: String,
    /// Its type.
    pub metric_type: MetricType,
    /// Its help text, unescaped; empty where there is none.
    pub help: String,
    /// Its unit; empty where there is none.
    pub unit: String,
}

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
