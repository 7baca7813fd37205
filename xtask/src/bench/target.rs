//! A target of scrapes: a listener on a port of its own that answers every request with a page.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// How long an idle connection is kept: longer than any scrape interval.
const IDLE: Duration = Duration::from_secs(60);
/// Threads that only copy text need little stack.
const STACK_BYTES: usize = 128 << 10;

/// What a target serves, in the text format.
pub trait Content: Send + Sync + 'static {
    /// Writes the page of this moment in place of what `body` holds.
    fn render(&self, body: &mut String);

    /// The page that was rendered last on this connection was handed to the system.
    fn served(&self);
}

/// The running target. It ends with the value.
pub struct Target {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Target {
    /// Listens on a free port.
    pub fn listen(content: impl Content) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen for scrapes")?;
        let (address, ended) = (listener.local_addr()?, Arc::<AtomicBool>::default());
        let target = Self { address, ended: ended.clone() };
        let content = Arc::new(content);
        thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || accept(&listener, &content, &ended))?;
        Ok(target)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it has ended.
        let _ = super::http::connect(self.address, Duration::from_secs(1));
    }
}

fn accept<C: Content>(listener: &TcpListener, content: &Arc<C>, ended: &Arc<AtomicBool>) {
    for stream in listener.incoming() {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (content, ended) = (content.clone(), ended.clone());
        // A peer that goes away is its own affair; the engine's side counts failed scrapes.
        let serving = move || drop(serve(stream, &*content, &ended));
        let _ = thread::Builder::new().stack_size(STACK_BYTES).spawn(serving);
    }
}

fn serve(stream: TcpStream, content: &impl Content, ended: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(2048, stream.try_clone()?);
    let mut writer = stream;
    let (mut line, mut body) = (String::new(), String::new());
    while !ended.load(Ordering::Relaxed) {
        // A request without a body ends with an empty line.
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
        }
        content.render(&mut body);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(head.as_bytes())?;
        writer.write_all(body.as_bytes())?;
        content.served();
    }
    Ok(())
}
