//! HTTP/1.1 as far as a benchmark on loopback needs it: one request per connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Connects; the timeout also holds for each read and write.
pub fn connect(address: SocketAddr, timeout: Duration) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// `GET path`.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Result<Answer> {
    send(address, "GET", path, "", b"", timeout)
}

/// `POST path` with further header lines, each ending in CRLF.
pub fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
    send(address, "POST", path, headers, body, Duration::from_secs(60))
}

fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
    timeout: Duration,
) -> Result<Answer> {
    let mut stream = connect(address, timeout).with_context(|| format!("connect to {address}"))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).with_context(|| format!("read the answer of {path}"))?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").context("no end of headers")?;
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.context("no status")?;
    let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = &bytes[end + 4..];
    let body = if chunked { dechunk(body)? } else { body.to_vec() };
    Ok(Answer { status, body: String::from_utf8(body)? })
}

fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line =
            rest.windows(2).position(|two| two == b"\r\n").context("a chunk without size")?;
        let size = std::str::from_utf8(&rest[..line])?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        let start = line + 2;
        if rest.len() < start + size + 2 {
            bail!("a chunk was cut short");
        }
        body.extend_from_slice(&rest[start..start + size]);
        rest = &rest[start + size + 2..];
    }
}

/// `text` as a value in a query string.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_whole_and_in_chunks() {
        let whole = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        assert_eq!((whole.status, whole.body.as_str()), (200, "hi"));
        let chunks = b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n";
        let chunks = parse(chunks).unwrap();
        assert_eq!((chunks.status, chunks.body.as_str()), (404, "abc"));
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab").is_err());
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(escape("a{b=\"c\"} == 0"), "a%7Bb%3D%22c%22%7D%20%3D%3D%200");
    }
}
