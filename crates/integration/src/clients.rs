use std::sync::Arc;

use http::Method;

use crate::{HttpClient, HttpRequest, HttpResponse, ProbeError, UrlPath};

/// A request that a client may send.
#[derive(Debug, Clone, Copy)]
pub struct Allow {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// A path whose segments are literal or `*` (exactly one segment): `/api/core/service/search`.
    pub path: &'static str,
}

impl Allow {
    fn permits(&self, method: &Method, path: &UrlPath) -> bool {
        let (mut pattern, mut segments) = (self.path.split('/'), path.path().split('/'));
        self.method == method.as_str()
            && loop {
                match (pattern.next(), segments.next()) {
                    (None, None) => return true,
                    (Some("*"), Some(segment)) if !segment.is_empty() => {}
                    (Some(literal), Some(segment)) if literal == segment => {}
                    _ => return false,
                }
            }
    }
}

/// A client that can only look: it sends what its compiled-in list allows and nothing else.
#[derive(Clone)]
pub struct LookingClient {
    http: Arc<HttpClient>,
    allowed: &'static [Allow],
}

/// A client that can act: a list of its own, and a type of its own, which no probe holds.
#[derive(Clone)]
pub struct ActingClient {
    http: Arc<HttpClient>,
    allowed: &'static [Allow],
}

impl LookingClient {
    /// Looks through `http`, at what `allowed` lists.
    pub fn new(http: Arc<HttpClient>, allowed: &'static [Allow]) -> Self {
        Self { http, allowed }
    }

    /// The server, for messages.
    pub fn target(&self) -> String {
        self.http.target()
    }

    /// Sends `request`.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Unable`] where the list does not allow it, else as [`HttpClient::send`].
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ProbeError> {
        send(&self.http, self.allowed, request).await
    }

    /// Sends a `GET` for `path`.
    ///
    /// # Errors
    ///
    /// As [`LookingClient::send`].
    pub async fn get(&self, path: UrlPath) -> Result<HttpResponse, ProbeError> {
        self.send(HttpRequest::get(path)).await
    }
}

impl ActingClient {
    /// Acts through `http`, with what `allowed` lists.
    pub fn new(http: Arc<HttpClient>, allowed: &'static [Allow]) -> Self {
        Self { http, allowed }
    }

    /// Sends `request`, once.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Unable`] where the list does not allow it, else as [`HttpClient::send`].
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ProbeError> {
        send(&self.http, self.allowed, request).await
    }
}

async fn send(
    http: &HttpClient,
    allowed: &[Allow],
    request: HttpRequest,
) -> Result<HttpResponse, ProbeError> {
    if !allowed.iter().any(|allow| allow.permits(&request.method, &request.path)) {
        return Err(ProbeError::unable(format!(
            "{} {} is not on the list of requests that this client may send",
            request.method,
            request.path.path()
        )));
    }
    http.send(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_permits_whole_segments_only() {
        let allow = Allow { method: "GET", path: "/api/log/*/x" };
        let check = |method: Method, segments: &[&str], expected: bool| {
            let path = UrlPath::new(segments).unwrap();
            assert_eq!(allow.permits(&method, &path), expected, "{path}");
        };
        check(Method::GET, &["api", "log", "core", "x"], true);
        check(Method::POST, &["api", "log", "core", "x"], false);
        check(Method::GET, &["api", "log", "x"], false);
        check(Method::GET, &["api", "log", "core", "x", "clear"], false);
    }
}
