//! The body of a remote write 2.0 request: texts stand once, in a table, and series point into it.

use prost::Message as _;

use super::{DecodeError, Written, labels, plain, proto};

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
    for series in request.timeseries {
        let labels = resolve(&series.labels_refs, &request.symbols).and_then(|sent| labels(&sent));
        written.take(labels, series.samples, series.histograms);
    }
    Ok(written)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(symbols: &[&str], refs: &[u32], expected: &str) {
        let series = TimeSeries {
            labels_refs: refs.to_vec(),
            samples: vec![proto::Sample { value: 1.5, timestamp: 1000 }],
            histograms: Vec::new(),
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
    fn what_is_no_request_is_an_error() {
        assert!(matches!(decode_v2(b"", 10), Err(DecodeError::Snappy(_))));
        let body = snap::raw::Encoder::new().compress_vec(b"hello").expect("compresses");
        assert!(matches!(decode_v2(&body, 10), Err(DecodeError::Protobuf(_))));
        assert!(matches!(decode_v2(&body, 2), Err(DecodeError::TooLarge { .. })));
    }
}
