use std::fmt;
use std::io;

use paramedic_model::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A boxed [`Stream`].
pub type BoxStream = Box<dyn Stream>;

/// Opens byte streams: sockets in `serve`, pipes in drills.
pub trait Transport: Send + Sync {
    /// Connects to `address`. It may wait for ever: the caller sets the deadline.
    ///
    /// # Errors
    ///
    /// What the network says.
    fn connect<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<BoxStream>>;
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A text that is no `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port, not {0:?}")]
pub struct AddressError(String);

impl Address {
    /// The address of `host` and `port`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Reads `host:port` or `[v6]:port`.
    ///
    /// # Errors
    ///
    /// Where the text is not of that form.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().map_err(|_| error())?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').ok_or_else(error)?,
            None => host,
        };
        let bad =
            host.is_empty() || host.chars().any(|c| c.is_whitespace() || "/@?#[]".contains(c));
        if bad { Err(error()) } else { Ok(Self::new(host, port)) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The real network.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpTransport;

impl Transport for TcpTransport {
    fn connect<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            #[expect(clippy::disallowed_methods, reason = "the one place that opens a socket")]
            let stream =
                tokio::net::TcpStream::connect((address.host.as_str(), address.port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxStream)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_print() {
        for text in ["fw1:443", "192.0.2.1:80", "[2001:db8::1]:8443"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in ["fw1", ":443", "fw1:x", "fw1:70000", "a b:1", "u@h:1", "[::1:1"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
