//! A day of a hundred series, sent by remote write 1.0 to engines that were not there yesterday.

use std::net::SocketAddr;

use anyhow::{Result, bail};

use super::http;

/// How many series are sent.
pub const SERIES: usize = 100;
/// How far back they reach.
const DAY_MS: i64 = 24 * 3600 * 1000;
const STEP_MS: i64 = 15_000;
/// How many samples of each series one request holds.
const BATCH: i64 = 96;

/// Sends the day that ended a minute before `now_ms`, oldest first; how many samples that were.
pub fn send(address: SocketAddr, now_ms: i64, token: Option<&str>) -> Result<u64> {
    let mut headers = String::from(
        "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
         X-Prometheus-Remote-Write-Version: 0.1.0\r\n",
    );
    if let Some(token) = token {
        headers.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    let end = now_ms - 60_000;
    let (mut from, mut sent) = (end - DAY_MS, 0);
    while from < end {
        let until = end.min(from + BATCH * STEP_MS);
        let times: Vec<i64> = (from..until).step_by(STEP_MS as usize).collect();
        let body = snappy(&write_request(&times));
        let answer = http::post(address, "/api/v1/write", &headers, &body)?;
        if !(200..300).contains(&answer.status) {
            bail!("backfill refused with status {}: {}", answer.status, answer.body.trim());
        }
        sent += (times.len() * SERIES) as u64;
        from = until;
    }
    Ok(sent)
}

/// The message `WriteRequest`: `timeseries = 1 { labels = 1 { name, value }, samples = 2 { value,
/// timestamp } }`.
fn write_request(times: &[i64]) -> Vec<u8> {
    let mut request = Vec::new();
    for series in 0..SERIES {
        let mut message = Vec::new();
        for (name, value) in [("__name__", "bench_backfill"), ("n", &format!("{series}"))] {
            let mut label = Vec::new();
            bytes_field(&mut label, 1, name.as_bytes());
            bytes_field(&mut label, 2, value.as_bytes());
            bytes_field(&mut message, 1, &label);
        }
        for &time in times {
            let value = ((time / STEP_MS + 31 * series as i64) % 977) as f64;
            let mut sample = vec![1 << 3 | 1];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(2 << 3);
            varint(&mut sample, time as u64);
            bytes_field(&mut message, 2, &sample);
        }
        bytes_field(&mut request, 1, &message);
    }
    request
}

fn bytes_field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// The block format of snappy, nothing compressed: literals only are valid, and cheap.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(bytes.len() + bytes.len() / 10_000 + 16);
    varint(&mut block, bytes.len() as u64);
    for literal in bytes.chunks(1 << 16) {
        let length = (literal.len() - 1) as u16;
        block.push(61 << 2);
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(literal);
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        let mut message = Vec::new();
        varint(&mut message, 300);
        assert_eq!(message, [0xac, 0x02]);
    }

    #[test]
    fn a_block_is_its_length_and_literals() {
        assert_eq!(snappy(b"abc"), [3, 61 << 2, 2, 0, b'a', b'b', b'c']);
    }
}
