//! A real Prometheus on loopback: remote-written to, and asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use paramedic_model::{Labels, Sample};
use serde_json::Value;
use tempfile::TempDir;

pub struct Prometheus {
    process: Child,
    address: String,
    /// Goes away, with its data, with the last that holds it.
    _folder: Arc<TempDir>,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// An empty one; `None` where there is none and none is demanded.
    pub fn start(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        std::fs::write(folder.path().join("prometheus.yml"), "global: {}\n").expect("it is ours");
        Self::start_in(test, Arc::new(folder), &[])
    }

    /// One with the `prometheus.yml` of this folder, with the data that an earlier one left there.
    pub fn start_in(test: &str, folder: Arc<TempDir>, flags: &[&str]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join("prometheus").is_file()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: no prometheus");
            println!("skipped: {test}: apt-get install prometheus");
            return None;
        }
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = free.local_addr().expect("a bound port").to_string();
        drop(free);
        #[expect(clippy::disallowed_methods, reason = "the peer of this test is a process")]
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("prometheus starts");
        let stderr = process.stderr.take().expect("standard error is a pipe");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let ready = lines.by_ref().any(|line| {
            let ready = line.contains("Server is ready to receive web requests");
            said.push(line);
            ready
        });
        assert!(ready, "prometheus ended: {}", said.join("\n"));
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process, address, _folder: folder })
    }

    /// Writes samples, oldest first.
    pub fn write(&self, series: &[(Labels, Vec<Sample>)]) {
        let body = snappy(&write_request(series));
        let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                       X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        let answer = self.request("POST", "/api/v1/write", headers, &body);
        assert!(answer.starts_with("HTTP/1.0 204"), "{answer}");
    }

    /// Asks `path` with these parameters, and returns the JSON.
    pub fn ask(&self, path: &str, params: &[(&str, &str)]) -> Value {
        let body: Vec<String> =
            params.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let answer = self.request("POST", path, headers, body.join("&").as_bytes());
        let (_, json) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The answer, its head included. In HTTP/1.0, so that it is what comes until the end.
    pub fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
        #[expect(clippy::disallowed_methods, reason = "the peer of this test is a process")]
        let mut stream = TcpStream::connect(&self.address).expect("prometheus listens");
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\n{headers}Content-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("prometheus reads");
        stream.write_all(body).expect("prometheus reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("prometheus answers");
        answer
    }
}

fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A `WriteRequest` of remote write 1.0.
fn write_request(series: &[(Labels, Vec<Sample>)]) -> Vec<u8> {
    let mut request = Vec::new();
    for (labels, samples) in series {
        let mut one = Vec::new();
        for (name, value) in labels.iter() {
            let mut label = Vec::new();
            bytes(&mut label, 1, name.as_bytes());
            bytes(&mut label, 2, value.as_bytes());
            bytes(&mut one, 1, &label);
        }
        for sample in samples {
            let mut pair = vec![1 << 3 | 1];
            pair.extend(sample.value.to_le_bytes());
            pair.push(2 << 3);
            varint(&mut pair, sample.at.0 as u64);
            bytes(&mut one, 2, &pair);
        }
        bytes(&mut request, 1, &one);
    }
    request
}

fn bytes(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend(content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The block format of snappy, without any compression.
fn snappy(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, content.len() as u64);
    for chunk in content.chunks(1 << 16) {
        // A literal whose length, less one, stands in the next two bytes.
        out.push(61 << 2);
        out.extend((chunk.len() as u16).wrapping_sub(1).to_le_bytes());
        out.extend(chunk);
    }
    out
}
