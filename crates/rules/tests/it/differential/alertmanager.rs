//! Takes alerts as an Alertmanager does, and keeps them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::Value;

/// How many requests may wait to be looked at.
const QUEUE_MAX: usize = 10_000;

/// Listens on loopback; returns the address and what comes in, in order. Ends with the process.
pub fn listen() -> (String, Receiver<Vec<Value>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound port").to_string();
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || answer(&stream, &sender));
        }
    });
    (address, receiver)
}

/// Answers the requests of one connection until it ends or somebody breaks off.
fn answer(stream: &TcpStream, sender: &SyncSender<Vec<Value>>) -> Option<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        sender.send(serde_json::from_slice(&body).ok()?).ok()?;
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}
