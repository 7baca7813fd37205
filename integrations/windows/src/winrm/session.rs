//! One connection to one WinRM service, logged in.
//!
//! ```text
//!   connect -> [TLS] -> POST "" + Negotiate Type1 -> 401 Type2 -> POST "" + Type3 -> 200
//!           -> POST sealed body -> sealed body -> ...           (plain bodies inside TLS)
//! ```
//!
//! # Invariants
//!
//! - NTLM logs in a connection, not a request, so a session owns its connection and never shares
//!   it. A pool that hands a handshake's second half to another connection breaks at random.
//! - Without TLS every body is sealed in both directions; an answer in the clear is not believed.
//! - Basic goes over TLS only, to a server whose certificate was verified.
//! - A refused login is not tried again for a while, by whatever probe or collection comes next:
//!   a password that has expired must not lock its account.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use paramedic_integration::{Address, BoxStream, ProbeError, TlsSettings, Transport};
use paramedic_model::{Clock, Redactor, Secret, TimeMs};

use super::message::{Answer, Fault, IDENTIFY, Message, fault_code, message_id};
use super::ntlm::Initiator;
use super::sealed::{CONTENT_TYPE as SEALED_TYPE, SOAP_TYPE, Sealed};
use super::{binding, shorten};

/// How long connecting and logging in may take together.
const LOGIN_DEADLINE: Duration = Duration::from_secs(15);
/// How long the server may work on one operation before it says that it timed out.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);
/// How much longer than the operation its answer may take to arrive.
const ANSWER_GRACE: Duration = Duration::from_secs(5);
/// The largest body that is read.
const BODY_BYTES_MAX: usize = 4 << 20;
/// For how long a refused login is not tried again. Common policies lock an account after five
/// failures within ten to thirty minutes; two in thirty stay below them.
const DENIAL_REST: Duration = Duration::from_secs(15 * 60);

/// Where a host is reached and how one logs in to it.
pub(crate) struct Endpoint {
    pub address: Address,
    pub tls: Option<TlsSettings>,
    pub user: String,
    pub password: Secret,
    pub scheme: Scheme,
    pub transport: Arc<dyn Transport>,
    pub clock: Arc<dyn Clock>,
    pub redactor: Redactor,
    pub denials: Denials,
}

/// The login that was refused last: when, and why.
#[derive(Default)]
pub(crate) struct Denials(Mutex<Option<(TimeMs, String)>>);

/// How one logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// NTLM inside `Negotiate`.
    Ntlm,
    /// The password itself, inside TLS.
    Basic,
}

/// Why an exchange has no answer.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    /// The server answered no.
    Fault(Fault),
    /// No answer, or none that can be understood.
    Broken(ProbeError),
}

/// What an unauthenticated request finds out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `Microsoft Corporation`.
    pub vendor: String,
    /// What it tells of itself; without a login only the version of its stack.
    pub version: String,
}

impl Endpoint {
    /// For messages: `https://win01:5986/wsman`.
    pub(crate) fn target(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/wsman", self.address)
    }

    /// Connects and logs in.
    ///
    /// # Errors
    ///
    /// As [`ProbeError`] has it; a login that was refused shortly before is not tried.
    pub(crate) async fn log_in(self: &Arc<Self>) -> Result<Session, ProbeError> {
        self.still_denied()?;
        self.in_time(LOGIN_DEADLINE, async {
            let mut session = Session::connect(self).await?;
            session.log_in().await?;
            Ok(session)
        })
        .await
    }

    /// Asks who is there, without logging in.
    ///
    /// # Errors
    ///
    /// As [`ProbeError`] has it.
    pub(crate) async fn identify(self: &Arc<Self>) -> Result<Identity, ProbeError> {
        self.in_time(LOGIN_DEADLINE, async {
            let mut session = Session::connect(self).await?;
            let mut headers = HeaderMap::new();
            headers.insert("wsmanidentity", HeaderValue::from_static("unauthenticated"));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(SOAP_TYPE));
            let reply = session.send(headers, IDENTIFY.into()).await?;
            self.expect_status(&reply, StatusCode::OK)?;
            let answer = Answer::parse(&String::from_utf8_lossy(&reply.body), "");
            let body = match answer.map_err(|reason| self.garbled(reason))? {
                Answer::Body(body) => body,
                Answer::Fault(fault) => return Err(self.garbled(fault.to_string())),
            };
            let response = body.child("IdentifyResponse");
            let response =
                response.ok_or_else(|| self.garbled("expected an answer to Identify"))?;
            let text = |name: &str| response.child(name).map(|e| e.text.trim().to_owned());
            Ok(Identity {
                vendor: text("ProductVendor").unwrap_or_default(),
                version: text("ProductVersion").unwrap_or_default(),
            })
        })
        .await
    }

    async fn in_time<T>(
        &self,
        deadline: Duration,
        work: impl Future<Output = Result<T, ProbeError>>,
    ) -> Result<T, ProbeError> {
        let late = |_| ProbeError::Deadline { target: self.target(), deadline };
        tokio::time::timeout(deadline, work).await.map_err(late)?
    }

    fn still_denied(&self) -> Result<(), ProbeError> {
        let mut denied = self.denied();
        let Some((at, reason)) = &*denied else { return Ok(()) };
        let since = self.clock.now().since(*at);
        if since >= DENIAL_REST {
            *denied = None;
            return Ok(());
        }
        let reason = format!(
            "{reason}; that was {} s ago, and so as not to lock the account it is not tried again \
             for {} s",
            since.as_secs(),
            (DENIAL_REST - since).as_secs()
        );
        Err(ProbeError::Denied { target: self.target(), reason })
    }

    /// Remembers that the server judged user and password, and did not accept them.
    fn note_denial(&self, reply: &Reply, verdict: &Result<(), ProbeError>) {
        let judged = reply.status == StatusCode::UNAUTHORIZED;
        if let (true, Err(ProbeError::Denied { reason, .. })) = (judged, verdict) {
            *self.denied() = Some((self.clock.now(), reason.clone()));
        }
    }

    fn denied(&self) -> std::sync::MutexGuard<'_, Option<(TimeMs, String)>> {
        self.denials.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self, error: &dyn std::error::Error) -> ProbeError {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason.push_str(": ");
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        ProbeError::Connect { target: self.target(), reason: self.redactor.clean(&reason) }
    }

    fn garbled(&self, reason: impl Into<String>) -> ProbeError {
        ProbeError::answer(self.target(), self.redactor.clean(&reason.into()))
    }

    fn refused(&self, reason: impl Into<String>) -> ProbeError {
        ProbeError::Denied { target: self.target(), reason: reason.into() }
    }

    /// Refuses every status but `wanted`, with what it means here.
    fn expect_status(&self, reply: &Reply, wanted: StatusCode) -> Result<(), ProbeError> {
        let shown = || shorten(&String::from_utf8_lossy(&reply.body));
        match reply.status {
            status if status == wanted => Ok(()),
            StatusCode::UNAUTHORIZED => {
                let reason = format!("user {} or the password is not accepted", self.user);
                Err(self.refused(reason))
            }
            StatusCode::FORBIDDEN => {
                Err(self.refused(format!("HTTP 403, as from a proxy in between: {}", shown())))
            }
            StatusCode::NOT_FOUND => {
                Err(self.garbled("HTTP 404: a web server without WinRM at /wsman"))
            }
            status => Err(self.garbled(format!("HTTP {}: {}", status.as_u16(), shown()))),
        }
    }
}

/// A connection that is logged in. Messages go one after the other.
pub(crate) struct Session {
    endpoint: Arc<Endpoint>,
    wire: Wire,
    security: Security,
    began: TimeMs,
    sent: u32,
}

/// What is done to the bodies of a session.
enum Security {
    /// Nothing: TLS does it, and the connection is logged in.
    Plain,
    /// Nothing, and each request carries the password.
    Basic(HeaderValue),
    /// They are sealed.
    Sealed(Box<Initiator>),
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Session {
    async fn connect(endpoint: &Arc<Endpoint>) -> Result<Self, ProbeError> {
        let broken = |e: &dyn std::error::Error| endpoint.broken(e);
        let stream = endpoint.transport.connect(&endpoint.address).await.map_err(|e| broken(&e))?;
        let (stream, certificate) = match &endpoint.tls {
            Some(tls) => {
                let host = &endpoint.address.host;
                tls.wrap_with_certificate(host, stream).await.map_err(|e| broken(&e))?
            }
            None => (stream, None),
        };
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        let wire = Wire { sender, connection: Some(Box::pin(connection)), certificate };
        let (endpoint, began) = (endpoint.clone(), endpoint.clock.now());
        Ok(Self { endpoint, wire, security: Security::Plain, began, sent: 0 })
    }

    async fn log_in(&mut self) -> Result<(), ProbeError> {
        let endpoint = self.endpoint.clone();
        if endpoint.scheme == Scheme::Basic {
            // The settings refuse Basic without TLS; this holds should they ever not.
            if endpoint.tls.is_none() {
                return Err(ProbeError::unable("basic authentication needs https"));
            }
            let pair = format!("{}:{}", endpoint.user, endpoint.password.expose());
            let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(pair)))
                .map_err(|_| ProbeError::unable("the credentials hold a line break"))?;
            value.set_sensitive(true);
            self.security = Security::Basic(value);
            return Ok(());
        }
        let unable = |reason: String| ProbeError::unable(format!("cannot use NTLM: {reason}"));
        let mut initiator = Initiator::new(&endpoint.user, &endpoint.password).map_err(unable)?;
        if let Some(certificate) = &self.wire.certificate {
            initiator.bind(&binding::tls_server_end_point(certificate));
        }
        let first = initiator.token(None).map_err(unable)?;
        let reply = self.negotiate(&first).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            endpoint.expect_status(&reply, StatusCode::UNAUTHORIZED)?;
        }
        let challenge = challenge(&reply.headers).ok_or_else(|| {
            let offered = reply.headers.get_all(WWW_AUTHENTICATE).iter();
            let offered: Vec<_> = offered.filter_map(|value| value.to_str().ok()).collect();
            endpoint.refused(format!("it offers no NTLM but {}", shorten(&offered.join(", "))))
        })?;
        let garbled = |e: String| endpoint.garbled(format!("the challenge of NTLM: {e}"));
        let second = initiator.token(Some(&challenge)).map_err(garbled)?;
        let reply = self.negotiate(&second).await?;
        let verdict = endpoint.expect_status(&reply, StatusCode::OK);
        endpoint.note_denial(&reply, &verdict);
        verdict?;
        if endpoint.tls.is_none() {
            self.security = Security::Sealed(Box::new(initiator));
        }
        Ok(())
    }

    async fn negotiate(&mut self, token: &[u8]) -> Result<Reply, ProbeError> {
        let mut value = HeaderValue::from_str(&format!("Negotiate {}", BASE64.encode(token)))
            .map_err(|_| ProbeError::unable("an NTLM token is no header value"))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(SOAP_TYPE));
        self.send(headers, Bytes::new()).await
    }

    /// Sends one message and returns the body of its answer.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::Fault`] where the server said no, [`ExchangeError::Broken`] where nobody
    /// can say what it did.
    pub(crate) async fn exchange(
        &mut self,
        message: &Message,
    ) -> Result<super::Element, ExchangeError> {
        self.exchange_within(message, OPERATION_TIMEOUT).await
    }

    /// As [`Session::exchange`], with another limit for the server's work.
    pub(crate) async fn exchange_within(
        &mut self,
        message: &Message,
        timeout: Duration,
    ) -> Result<super::Element, ExchangeError> {
        self.sent += 1;
        let id = message_id(self.began, self.sent);
        let endpoint = self.endpoint.clone();
        let envelope = message.to_envelope(&endpoint.target(), &id, timeout.as_secs());
        let answer = endpoint.in_time(timeout + ANSWER_GRACE, self.post(&envelope, &id)).await;
        match answer.map_err(ExchangeError::Broken)? {
            Answer::Body(body) => Ok(body),
            Answer::Fault(fault) => Err(ExchangeError::Fault(fault)),
        }
    }

    async fn post(&mut self, envelope: &str, id: &str) -> Result<Answer, ProbeError> {
        let endpoint = self.endpoint.clone();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(SOAP_TYPE));
        let body = match &mut self.security {
            Security::Plain => envelope.to_owned().into(),
            Security::Basic(value) => {
                // Each request is a login, so the one before may have been refused.
                endpoint.still_denied()?;
                headers.insert(AUTHORIZATION, value.clone());
                envelope.to_owned().into()
            }
            Security::Sealed(initiator) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(SEALED_TYPE));
                let sealed = initiator.seal(envelope.as_bytes());
                let sealed = sealed.map_err(|e| ProbeError::unable(format!("cannot seal: {e}")))?;
                sealed.to_body().into()
            }
        };
        let reply = self.send(headers, body).await?;
        // A fault comes as 500 with a message in it; every other status is told by itself.
        if reply.status != StatusCode::INTERNAL_SERVER_ERROR || reply.body.is_empty() {
            let verdict = endpoint.expect_status(&reply, StatusCode::OK);
            if matches!(self.security, Security::Basic(_)) {
                endpoint.note_denial(&reply, &verdict);
            }
            verdict?;
        }
        let text = match &mut self.security {
            Security::Plain | Security::Basic(_) => reply.body.to_vec(),
            Security::Sealed(initiator) => {
                let kind = reply.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
                if !kind.unwrap_or_default().starts_with("multipart/encrypted") {
                    let shown = shorten(&String::from_utf8_lossy(&reply.body));
                    return Err(endpoint.garbled(format!(
                        "HTTP {}: an answer in the clear to a sealed message is not believed: \
                         {shown}",
                        reply.status.as_u16()
                    )));
                }
                let sealed = Sealed::from_body(&reply.body);
                let opened = sealed.and_then(|sealed| initiator.open(&sealed));
                opened.map_err(|reason| endpoint.garbled(reason))?
            }
        };
        let text = String::from_utf8(text).map_err(|_| endpoint.garbled("it is no UTF-8"))?;
        Answer::parse(&text, id).map_err(|reason| endpoint.garbled(reason))
    }

    async fn send(&mut self, mut headers: HeaderMap, body: Bytes) -> Result<Reply, ProbeError> {
        let endpoint = self.endpoint.clone();
        let host = HeaderValue::from_str(&endpoint.address.to_string());
        headers.insert(HOST, host.map_err(|_| ProbeError::unable("the host is no header value"))?);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static("/wsman");
        *request.headers_mut() = headers;
        self.wire.send(request, &endpoint).await
    }
}

impl Endpoint {
    /// What a fault means to a look.
    pub(crate) fn fault(&self, fault: &Fault) -> ProbeError {
        match fault.code {
            Some(fault_code::ACCESS_DENIED) => self.refused(format!(
                "{fault}; user {} lacks a right, see the README of this integration",
                self.user
            )),
            Some(fault_code::TIMED_OUT) => {
                ProbeError::Deadline { target: self.target(), deadline: OPERATION_TIMEOUT }
            }
            _ => self.garbled(fault.to_string()),
        }
    }
}

type Driven = Pin<Box<Connection<TokioIo<BoxStream>, Full<Bytes>>>>;

/// The HTTP/1.1 connection of a session.
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    connection: Option<Driven>,
    /// The server's certificate, inside TLS.
    certificate: Option<Vec<u8>>,
}

impl Wire {
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        endpoint: &Endpoint,
    ) -> Result<Reply, ProbeError> {
        let sender = &mut self.sender;
        let answer = async {
            sender.ready().await.map_err(|e| endpoint.broken(&e))?;
            let response = sender.send_request(request).await.map_err(|e| endpoint.broken(&e))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    endpoint.garbled(format!("a body above {BODY_BYTES_MAX} bytes"))
                } else {
                    endpoint.broken(error.as_ref())
                }
            })?;
            Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        // The connection is driven here rather than in a task, so that dropping the session ends it.
        let connection = &mut self.connection;
        let mut answer = std::pin::pin!(answer);
        std::future::poll_fn(|context| {
            let ended = connection.as_mut().is_some_and(|c| c.as_mut().poll(context).is_ready());
            if ended {
                *connection = None;
            }
            answer.as_mut().poll(context)
        })
        .await
    }
}

/// The token behind `Negotiate`, where there is one.
fn challenge(headers: &HeaderMap) -> Option<Vec<u8>> {
    headers.get_all(WWW_AUTHENTICATE).iter().find_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("negotiate") || scheme.eq_ignore_ascii_case("ntlm");
        known.then(|| BASE64.decode(token.trim()).ok()).flatten()
    })
}
