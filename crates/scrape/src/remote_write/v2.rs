//! The body of a remote write 2.0 request: texts stand once, in a table, and series point into it.

use std::collections::BTreeMap;

use paramedic_model::{Metadata, MetricType};
use prost::Message as _;

use super::{DecodeError, Written, labels, metric_type, plain, proto};

/// Reads a body that decompresses to at most `bytes_max` bytes.
///
/// # Errors
///
/// A body that is no such request. Series that are not valid are no error: see [`Written::invalid`].
pub fn decode_v2(body: &[u8], bytes_max: usize) -> Result<Written, DecodeError> {
    let plain = plain(body, bytes_max)?;
    let request = Request::decode(plain.as_slice())
        .map_err(|error| DecodeError::Protobuf(error.to_string()))?;
    let mut written = Written::default();
    let mut families = BTreeMap::new();
    for series in request.timeseries {
        let labels = resolve(&series.labels_refs, &request.symbols).and_then(|sent| labels(&sent));
        if let (Ok(labels), Some(said)) = (&labels, series.metadata)
            && let Some(said) =
                said.model(labels.metric_name().unwrap_or_default(), &request.symbols)
        {
            families.insert(said.name.clone(), said);
        }
        written.take(labels, series.samples, series.histograms);
    }
    written.metadata = families.into_values().collect();
    Ok(written)
}

impl SeriesMetadata {
    /// What it says of the family that a series of this name belongs to; `None` where that is nothing.
    fn model(self, name: &str, symbols: &[String]) -> Option<Metadata> {
        let text = |at: u32| symbols.get(at as usize).cloned().unwrap_or_default();
        let (metric_type, help, unit) =
            (metric_type(self.kind), text(self.help_ref), text(self.unit_ref));
        if metric_type == MetricType::Unknown && help.is_empty() && unit.is_empty() {
            return None;
        }
        // A family of several series is called as they are without their endings.
        let endings: &[&str] = match metric_type {
            MetricType::Histogram => &["_bucket", "_sum", "_count"],
            MetricType::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
            MetricType::Summary => &["_sum", "_count"],
            _ => &[],
        };
        let name = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        Some(Metadata { name: name.to_owned(), metric_type, help, unit })
    }
}

/// The labels that pairs of places in the table of symbols mean.
fn resolve(refs: &[u32], symbols: &[String]) -> Result<Vec<proto::Label>, String> {
    let (pairs, rest) = refs.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("invalid labelRefs length {}", refs.len()));
    }
    let text = |at: u32| {
        let found = usize::try_from(at).ok().and_then(|at| symbols.get(at));
        found.cloned().ok_or_else(|| {
            format!("labelRefs {at} outside of symbols table (size {})", symbols.len())
        })
    };
    let label =
        |[name, value]: &[u32; 2]| Ok(proto::Label { name: text(*name)?, value: text(*value)? });
    pairs.iter().map(label).collect()
}

/// `io.prometheus.write.v2.Request`; its samples and histograms begin as those of 1.0.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<proto::Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<proto::Histogram>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<SeriesMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SeriesMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
    #[prost(uint32, tag = "4")]
    unit_ref: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(symbols: &[&str], refs: &[u32], expected: &str) {
        let series = TimeSeries {
            labels_refs: refs.to_vec(),
            samples: vec![proto::Sample { value: 1.5, timestamp: 1000 }],
            histograms: Vec::new(),
            metadata: None,
        };
        let symbols = symbols.iter().map(|text| (*text).to_owned()).collect();
        let request = Request { symbols, timeseries: vec![series] };
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec());
        let written = decode_v2(&body.expect("compresses"), 1000).expect("a request");
        let shown = match &written.series[..] {
            [series] => format!("{} {}", series.labels, series.samples[0].value),
            _ => written.first_invalid.unwrap_or_default(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn series_point_into_the_table_of_symbols() {
        let symbols = ["", "__name__", "up", "job", "a"];
        check(&symbols, &[1, 2, 3, 4], r#"up{job="a"} 1.5"#);
        check(&symbols, &[1, 2, 3, 0], "up 1.5");
        check(&symbols, &[1, 2, 3], "invalid labelRefs length 3");
        check(&symbols, &[1, 9], "labelRefs 9 outside of symbols table (size 5)");
        check(&symbols, &[3, 4], r#"{job="a"} has no label __name__"#);
    }

    #[test]
    fn what_is_said_of_a_series_is_said_of_its_family() {
        let check = |name: &str, kind, expected: &str| {
            let series = TimeSeries {
                labels_refs: vec![1, 2],
                samples: Vec::new(),
                histograms: Vec::new(),
                metadata: Some(SeriesMetadata { kind, help_ref: 3, unit_ref: 99 }),
            };
            let symbols = ["", "__name__", name, "A help."].map(str::to_owned).to_vec();
            let request = Request { symbols, timeseries: vec![series.clone(), series] };
            let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec());
            let written = decode_v2(&body.expect("compresses"), 1000).expect("a request");
            let said = |said: &Metadata| format!("{} {}", said.name, said.metric_type.word());
            assert_eq!(written.metadata.iter().map(said).collect::<Vec<_>>(), [expected]);
            assert_eq!((&*written.metadata[0].help, &*written.metadata[0].unit), ("A help.", ""));
        };
        check("a_total", 1, "a_total counter");
        check("a_seconds_bucket", 3, "a_seconds histogram");
        check("a_count", 5, "a summary");
        check("a_count", 2, "a_count gauge");
        check("a", 99, "a unknown");
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        assert!(matches!(decode_v2(b"", 10), Err(DecodeError::Snappy(_))));
        let body = snap::raw::Encoder::new().compress_vec(b"hello").expect("compresses");
        assert!(matches!(decode_v2(&body, 10), Err(DecodeError::Protobuf(_))));
        assert!(matches!(decode_v2(&body, 2), Err(DecodeError::TooLarge { .. })));
    }
}
