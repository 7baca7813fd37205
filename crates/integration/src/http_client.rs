use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use paramedic_model::{Redactor, Secret};

use crate::connections::{Connection, Key};
use crate::{
    Address, BoxStream, Connections, Credentials, Environment, ProbeError, REDIRECTS_MAX,
    SettingsError, TlsSettings, Transport, redirected, split_url,
};

/// How long a whole request may take, from connecting to the last byte.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(15);
/// The largest body that is read; more is an answer that cannot be trusted.
const BODY_BYTES_MAX: usize = 16 << 20;
/// What is said of an answer whose body is larger than the client takes, in Prometheus's words.
pub const BODY_TOO_LARGE: &str = "body size limit exceeded";

/// An HTTP client for one server: deadline, size limit, redaction.
///
/// It opens a connection per request, unless it is given [`Connections`] to keep them. A redirect is
/// an answer like any other, unless it is told how to follow one.
pub struct HttpClient {
    transport: Arc<dyn Transport>,
    redactor: Redactor,
    address: Address,
    /// The path in front of every request, without a slash at its end.
    prefix: String,
    tls: Option<TlsSettings>,
    auth: Option<Auth>,
    credentials: Option<Credentials>,
    connections: Option<Connections>,
    redirects: Option<Box<Open>>,
    deadline: Duration,
    body_bytes_max: usize,
}

/// Opens a client of another server, which has no path: `https://host:port`.
type Open = dyn Fn(&str) -> Result<HttpClient, SettingsError> + Send + Sync;

/// The credentials of a client.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A user and a password, or an API key and its secret.
    Basic {
        /// The user or key.
        user: Secret,
        /// The password or secret.
        password: Secret,
    },
    /// A bearer token.
    Bearer(Secret),
    /// Credentials of another scheme.
    Other {
        /// The scheme, as it stands in the header.
        scheme: String,
        /// What follows it.
        credentials: Secret,
    },
}

impl Auth {
    /// The part of it that nobody may see.
    fn secret(&self) -> &Secret {
        match self {
            Auth::Basic { password: secret, .. }
            | Auth::Bearer(secret)
            | Auth::Other { credentials: secret, .. } => secret,
        }
    }
}

/// Why there is no answer, by whether a part of one came.
enum Broken {
    Unanswered(ProbeError),
    Midway(ProbeError),
}

/// A path of literal segments and a query, safe by construction: no segment can reach another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPath {
    path: String,
    query: String,
}

impl UrlPath {
    /// The path of `segments`, each percent-encoded where it must be.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Unable`] where a segment is empty, `.` or `..`, or holds a control character.
    pub fn new(segments: &[&str]) -> Result<Self, ProbeError> {
        let mut path = String::new();
        for segment in segments {
            if matches!(*segment, "" | "." | "..") || segment.chars().any(char::is_control) {
                let reason = format!("{segment:?} cannot stand in a path, so nothing was sent");
                return Err(ProbeError::Unable { reason });
            }
            path.push('/');
            encode(segment, &mut path);
        }
        Ok(Self { path, query: String::new() })
    }

    /// The path that `text` states. For paths known when the program was compiled.
    pub fn fixed(text: &'static str) -> Self {
        Self { path: text.to_owned(), query: String::new() }
    }

    /// The path and query that `text` states, kept as they are. For a path that the configuration
    /// of a system states, as a health check's.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Unable`] where it does not begin with one slash, climbs with `..`, or holds
    /// anything but visible ASCII.
    pub fn given(text: &str) -> Result<Self, ProbeError> {
        let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let climbs = path.split('/').any(|segment| segment == "..");
        if !path.starts_with('/') || path.starts_with("//") || climbs || !visible {
            // Without the query, which may hold a token.
            return Err(ProbeError::unable(format!("{path:?} is no path, so nothing was sent")));
        }
        Ok(Self { path: path.to_owned(), query: query.to_owned() })
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        encode(name, &mut self.query);
        self.query.push('=');
        encode(value, &mut self.query);
        self
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for UrlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path, self.query)
    }
}

/// Percent-encodes all but unreserved characters, `:`, `@` and `,`, which may stand in a segment.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The path below the client's base URL.
    pub path: UrlPath,
    /// Headers besides those that the client sets.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
}

impl HttpRequest {
    /// A `GET`.
    pub fn get(path: UrlPath) -> Self {
        Self { method: Method::GET, path, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A `POST` without a body.
    pub fn post(path: UrlPath) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    /// A `POST` of `json`.
    pub fn post_json(path: UrlPath, json: &serde_json::Value) -> Self {
        let mut request = Self { body: json.to_string().into(), ..Self::post(path) };
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// Where from, for messages: the URL without credentials and query.
    pub target: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl HttpResponse {
    /// The body as text, invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header `name`, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON, of a successful answer.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Denied`] for 401 and 403, [`ProbeError::Answer`] for every other status but
    /// 2xx and for a body that is empty, HTML or otherwise no JSON.
    pub fn json(&self) -> Result<serde_json::Value, ProbeError> {
        self.successful()?;
        if self.body.is_empty() {
            return Err(ProbeError::answer(&self.target, "expected JSON, got an empty body"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let text = self.text();
            let reason = if text.trim_start().starts_with('<') {
                format!("expected JSON, got a page: {}", shorten(&text))
            } else {
                format!("expected JSON: {error}: {}", shorten(&text))
            };
            ProbeError::answer(&self.target, reason)
        })
    }

    /// This answer, where its status is 2xx.
    ///
    /// # Errors
    ///
    /// As [`HttpResponse::json`] for the status.
    pub fn successful(&self) -> Result<&Self, ProbeError> {
        let reason = || format!("HTTP {}: {}", self.status.as_u16(), shorten(&self.text()));
        match self.status {
            status if status.is_success() => Ok(self),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(ProbeError::Denied { target: self.target.clone(), reason: reason() })
            }
            _ => Err(ProbeError::answer(&self.target, reason())),
        }
    }
}

/// The first words of an answer on one line, for a message.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 160;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None if line.is_empty() => "empty body".to_owned(),
        None => line,
    }
}

impl HttpClient {
    /// A client for the server at `url`, as given in the setting named `setting`.
    ///
    /// # Errors
    ///
    /// A URL that is not `http://host[:port][/path]` or `https://…`, or holds credentials.
    pub fn new(
        setting: &str,
        url: &str,
        tls: TlsSettings,
        auth: Option<Auth>,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let error = |reason: &str| SettingsError::new(setting, format!("{reason}, not {url:?}"));
        // Before anything that shows the URL.
        let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        if after_scheme.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(SettingsError::new(setting, "credentials do not belong into a URL"));
        }
        let (secure, rest) = match url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(error("write http://host:port or https://host:port")),
        };
        let (authority, prefix) = match rest.find('/') {
            Some(at) => (&rest[..at], rest[at..].trim_end_matches('/')),
            None => (rest, ""),
        };
        if prefix.contains(['?', '#', '%']) || prefix.chars().any(|c| c.is_whitespace()) {
            return Err(error("the path of a URL may not hold ?, #, % or blanks"));
        }
        let v6_without_port = authority.ends_with(']');
        let has_port = !v6_without_port && authority.contains(':');
        let default_port = if secure { 443 } else { 80 };
        let address =
            if has_port { authority.to_owned() } else { format!("{authority}:{default_port}") };
        let address = Address::parse(&address).map_err(|_| error("write a host and a port"))?;
        if let Some(auth) = &auth {
            environment.redactor.add(auth.secret());
        }
        Ok(Self {
            transport: environment.transport.clone(),
            redactor: environment.redactor.clone(),
            address,
            prefix: prefix.to_owned(),
            tls: secure.then_some(tls),
            auth,
            credentials: None,
            connections: None,
            redirects: None,
            deadline: DEFAULT_DEADLINE,
            body_bytes_max: BODY_BYTES_MAX,
        })
    }

    /// This client with another deadline for a whole request.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// This client with another limit on the bytes of a body, which is 16 MiB otherwise.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// This client with credentials that are read for every request, in place of fixed ones. What is
    /// stated is masked from now on, what stands in files once it is read.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        if let Some(secret) = credentials.as_ref().and_then(Credentials::stated) {
            self.redactor.add(secret);
        }
        self.credentials = credentials;
        self
    }

    /// This client with connections that are kept for the next request.
    #[must_use]
    pub fn with_connections(mut self, connections: &Connections) -> Self {
        self.connections = Some(connections.clone());
        self
    }

    /// This client following redirects that keep method and body, 307 and 308, to servers that `open`
    /// opens a client of. Credentials go to no other host, and to none without TLS that had it.
    #[must_use]
    pub fn with_redirects(
        mut self,
        open: impl Fn(&str) -> Result<Self, SettingsError> + Send + Sync + 'static,
    ) -> Self {
        self.redirects = Some(Box::new(open));
        self
    }

    /// The server's address: the `instance` of its samples.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The server for messages: `https://host:port`.
    pub fn target(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.prefix)
    }

    /// Sends `request` and reads the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Connect`] where there is no connection or it broke, [`ProbeError::Deadline`]
    /// where the answer took too long, [`ProbeError::Answer`] where it was too large.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ProbeError> {
        let target = format!("{}{}", self.target(), request.path.path());
        match tokio::time::timeout(self.deadline, self.follow(request, &target)).await {
            Ok(result) => result,
            Err(_) => Err(ProbeError::Deadline { target, deadline: self.deadline }),
        }
    }

    /// The answer, or that of where it redirects to, as far as redirects are followed.
    async fn follow(&self, request: HttpRequest, target: &str) -> Result<HttpResponse, ProbeError> {
        let Some(open) = &self.redirects else { return self.exchange(request, target).await };
        let unable = |error: SettingsError| ProbeError::unable(error.to_string());
        let mut url = format!("{}{}", self.target(), request.path);
        let mut answer = self.exchange(request.clone(), target).await?;
        for _ in 0..REDIRECTS_MAX {
            let location = match answer.status {
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                    answer.header("location")
                }
                _ => None,
            };
            let Some(location) = location else { return Ok(answer) };
            url = redirected(split_url(&url).map_err(unable)?.0, &url, location);
            let (base, path) = split_url(&url).map_err(unable)?;
            let mut client = open(base).map_err(unable)?;
            let is_trusted = client.tls.is_some() || self.tls.is_none();
            if client.address.host != self.address.host || !is_trusted {
                (client.auth, client.credentials) = (None, None);
            }
            let target = format!("{}{}", client.target(), path.path());
            answer = client.exchange(HttpRequest { path, ..request.clone() }, &target).await?;
        }
        Err(ProbeError::answer(target, format!("stopped after {REDIRECTS_MAX} redirects")))
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        target: &str,
    ) -> Result<HttpResponse, ProbeError> {
        let request = self.build(request)?;
        let key = (self.address.clone(), self.tls.as_ref().map(TlsSettings::generation));
        while let Some(mut kept) = self.connections.as_ref().and_then(|kept| kept.take(&key)) {
            if !kept.is_ready().await {
                continue;
            }
            match self.talk(&mut kept, request.clone(), target).await {
                Ok(answer) => {
                    self.keep(key, kept).await;
                    return Ok(answer);
                }
                // The server closed it just now. What can be asked twice is, over a new connection.
                Err(Broken::Unanswered(_)) if request.method().is_safe() => break,
                Err(Broken::Unanswered(error) | Broken::Midway(error)) => return Err(error),
            }
        }
        let stream = self.transport.connect(&self.address).await;
        let stream = stream.map_err(|error| self.broken(target, &error))?;
        let stream: BoxStream = match &self.tls {
            Some(tls) => {
                let wrapped = tls.wrap(&self.address.host, stream).await;
                wrapped.map_err(|error| self.broken(target, &error))?
            }
            None => stream,
        };
        let opened = Connection::open(stream).await;
        let mut connection = opened.map_err(|error| self.broken(target, &error))?;
        match self.talk(&mut connection, request, target).await {
            Ok(answer) => {
                self.keep(key, connection).await;
                Ok(answer)
            }
            Err(Broken::Unanswered(error) | Broken::Midway(error)) => Err(error),
        }
    }

    /// Sends a request over an open connection, and reads the answer.
    async fn talk(
        &self,
        connection: &mut Connection,
        request: Request<Full<Bytes>>,
        target: &str,
    ) -> Result<HttpResponse, Broken> {
        let sent = connection.send(request).await;
        let response = sent.map_err(|error| Broken::Unanswered(self.broken(target, &error)))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.body_bytes_max);
        let body = connection.drive(body.collect()).await;
        let body = body.map_err(|error| {
            Broken::Midway(match error.is::<http_body_util::LengthLimitError>() {
                true => ProbeError::answer(target, BODY_TOO_LARGE),
                false => self.broken(target, error.as_ref()),
            })
        })?;
        let (target, body) = (target.to_owned(), body.to_bytes());
        Ok(HttpResponse { target, status: head.status, headers: head.headers, body })
    }

    /// Keeps a connection for the next request, where both sides want that.
    async fn keep(&self, key: Key, mut connection: Connection) {
        if let Some(connections) = &self.connections
            && connection.is_ready().await
        {
            connections.put(key, connection);
        }
    }

    fn broken(&self, target: &str, error: &dyn std::error::Error) -> ProbeError {
        let reason = self.redactor.clean(&chain(error));
        ProbeError::Connect { target: target.to_owned(), reason }
    }

    fn build(&self, request: HttpRequest) -> Result<Request<Full<Bytes>>, ProbeError> {
        let mut headers = request.headers;
        let host = HeaderValue::from_str(&self.address.to_string());
        let host = host.map_err(|_| ProbeError::unable("the host is no header value"))?;
        headers.entry(HOST).or_insert(host);
        if self.connections.is_none() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let read = match &self.credentials {
            Some(credentials) => Some(credentials.read().map_err(ProbeError::unable)?),
            None => None,
        };
        if let Some(read) = &read {
            self.redactor.add(read.secret());
        }
        if let Some(auth) = read.as_ref().or(self.auth.as_ref()) {
            let text = match auth {
                Auth::Basic { user, password } => {
                    let pair = format!("{}:{}", user.expose(), password.expose());
                    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
                }
                Auth::Bearer(token) => format!("Bearer {}", token.expose()),
                Auth::Other { scheme, credentials } => {
                    format!("{scheme} {}", credentials.expose())
                }
            };
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| ProbeError::unable("the credentials hold a line break"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut built = Request::new(Full::new(request.body));
        *built.method_mut() = request.method;
        *built.uri_mut() = format!("{}{}", self.prefix, request.path)
            .parse()
            .map_err(|_| ProbeError::unable(format!("{} is no valid path", request.path)))?;
        *built.headers_mut() = headers;
        Ok(built)
    }
}

/// An error with all its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cannot_reach_another() {
        let path = |segment| UrlPath::new(&["api", segment]).map(|path| path.to_string());
        assert_eq!(path("a/b?c#d%2e é").unwrap(), "/api/a%2Fb%3Fc%23d%252e%20%C3%A9");
        assert_eq!(path(":watcher:").unwrap(), "/api/:watcher:");
        for bad in ["", ".", "..", "a\nb", "a\r\nHost: x"] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert_eq!(UrlPath::given("/a/?b=c").unwrap().to_string(), "/a/?b=c");
        for bad in ["", "a", "//host/a", "/a/../b", "/a b", "/a\nb", "/a#b", "http://host/"] {
            assert!(UrlPath::given(bad).is_err(), "{bad:?}");
        }
        let query = UrlPath::fixed("/x").with_query("a", "b&c=d").with_query("e", "");
        assert_eq!(query.to_string(), "/x?a=b%26c%3Dd&e=");
    }

    #[test]
    fn an_answer_that_is_no_json_is_never_healthy() {
        let check = |status: u16, body: &'static str, expected: &str| {
            let response = HttpResponse {
                target: "http://x/y".to_owned(),
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: Bytes::from_static(body.as_bytes()),
            };
            assert_eq!(response.json().unwrap_err().to_string(), expected);
        };
        let about = "understand the answer of http://x/y: ";
        check(200, "", &format!("{about}expected JSON, got an empty body"));
        check(200, "<html>\n x", &format!("{about}expected JSON, got a page: <html> x"));
        check(502, "<h1>no</h1>", &format!("{about}HTTP 502: <h1>no</h1>"));
        check(401, "", "log in to http://x/y: HTTP 401: empty body");
    }
}
