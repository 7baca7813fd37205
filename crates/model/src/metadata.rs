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
    /// The word of OpenMetrics, and of Prometheus's API: `unknown` where nothing is said.
    pub fn word(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::GaugeHistogram => "gaugehistogram",
            MetricType::Summary => "summary",
            MetricType::Info => "info",
            MetricType::StateSet => "stateset",
            MetricType::Unknown => "unknown",
        }
    }

    /// The type behind a word of the text format or of OpenMetrics.
    pub fn of_word(word: &str) -> Option<Self> {
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

/// What a target says of a metric family besides its samples.
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
