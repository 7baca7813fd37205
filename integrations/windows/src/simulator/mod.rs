//! A simulated Windows host behind WS-Management: NTLM, sealed bodies, WQL, method calls.
//!
//! ```text
//!   winrm   HTTP with NTLM; every body must be sealed, as AllowUnencrypted=false has it
//!   winrms  what a TLS terminator passes on: NTLM or Basic, bodies in the clear
//! ```
//!
//! A login belongs to its connection. Long lists come in pages, projections come in
//! `XmlFragment`, `StartService` starts what is needed, `Status` is `OK` for what is stopped. It has
//! no shells: nothing of Paramedic opens one.

mod acceptor;
mod faults;
mod instances;
mod world;
mod wql;
mod wsman;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use paramedic_catalog::{SettingValue, Settings};
use paramedic_integration::{
    Address, BoxStream, Fault, Recorded, Simulator, SimulatorEnvironment, SimulatorFactory,
    UnknownFault, serve_http,
};
use paramedic_model::{BoxFuture, Clock};

use self::acceptor::{Accepted, Acceptor};
use self::faults::FAULTS;
use self::world::World;
use self::wsman::{Enumerations, Reply};
use crate::winrm::ntlm;
use crate::winrm::sealed::{CONTENT_TYPE as SEALED_TYPE, SOAP_TYPE, Sealed};

const PORTS: &[&str] = &["winrm", "winrms"];
const USER: &str = "paramedic";
const PASSWORD: &str = "simulated-Pa55word";

pub(crate) static FACTORY: HostFactory = HostFactory;

pub(crate) struct HostFactory;

impl SimulatorFactory for HostFactory {
    fn ports(&self) -> &'static [&'static str] {
        PORTS
    }

    fn faults(&self) -> &'static [Fault] {
        FAULTS
    }

    fn start(&self, environment: SimulatorEnvironment) -> Arc<dyn Simulator> {
        let SimulatorEnvironment { clock, seed, addresses } = environment;
        let world = World::new(clock.now(), seed);
        let host = Host { world, enumerations: Enumerations::default() };
        Arc::new(SimulatedHost {
            host: Arc::new(Mutex::new(host)),
            clock,
            seed,
            address: addresses.into_iter().next(),
        })
    }
}

struct Host {
    world: World,
    enumerations: Enumerations,
}

struct SimulatedHost {
    host: Arc<Mutex<Host>>,
    clock: Arc<dyn Clock>,
    seed: u64,
    address: Option<Address>,
}

impl SimulatedHost {
    fn lock(&self) -> MutexGuard<'_, Host> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        host.world.settle(self.clock.now());
        host
    }
}

impl Simulator for SimulatedHost {
    fn settings(&self) -> Settings {
        let address = self.address.clone().unwrap_or_else(|| Address::new("localhost", 5985));
        let mut settings = Settings::default()
            .with_text("url", format!("http://{address}"))
            .with_text("user", USER)
            .with_secret("password", PASSWORD);
        let watched = ["Spooler", "ShopWorker", "ShopWeb", "ShopImport", "ShopReports"];
        let watched = watched.map(str::to_owned).to_vec();
        let ports = [("ShopWeb".to_owned(), "8080".to_owned())].into();
        settings
            .set("sealed_http", SettingValue::Bool(true))
            .set("services", SettingValue::TextList(watched))
            .set("ports", SettingValue::TextMap(ports));
        settings
    }

    fn inject(&self, fault: &str) -> Result<(), UnknownFault> {
        if !FAULTS.iter().any(|known| known.id == fault) {
            return Err(UnknownFault::new(fault, FAULTS));
        }
        let now = self.clock.now();
        let mut host = self.lock();
        // Faults do not stack: what one of them removed, another may need.
        if host.world.broken {
            host.world.heal(now, self.seed);
        }
        host.world.inject(fault);
        Ok(())
    }

    fn heal(&self) {
        let now = self.clock.now();
        self.lock().world.heal(now, self.seed);
    }

    fn serve(&self, port: &str, stream: BoxStream) -> BoxFuture<'static, ()> {
        let connection = Connection {
            host: self.host.clone(),
            clock: self.clock.clone(),
            inside_tls: port == "winrms",
            login: Mutex::new(Login::default()),
        };
        let unreachable = self.lock().world.unreachable;
        Box::pin(async move {
            // A firewall in between: it takes the connection and closes it.
            if unreachable {
                return;
            }
            serve_http(stream, |request| {
                let answer = connection.answer(&request);
                Box::pin(async move { answer })
            })
            .await;
        })
    }

    fn recorded(&self) -> Vec<Recorded> {
        self.lock().world.recorded.clone()
    }
}

/// What a connection has proven so far.
#[derive(Default)]
enum Login {
    #[default]
    Nobody,
    /// A challenge is out.
    Challenged(Acceptor),
    /// Logged in by NTLM.
    Known(Acceptor),
}

struct Connection {
    host: Arc<Mutex<Host>>,
    clock: Arc<dyn Clock>,
    inside_tls: bool,
    login: Mutex<Login>,
}

type Answer = Option<Response<Full<Bytes>>>;

impl Connection {
    fn answer(&self, request: &Request<Bytes>) -> Answer {
        if request.uri().path() != "/wsman" {
            return plain(StatusCode::NOT_FOUND, "text/html", "<h1>Not Found</h1>");
        }
        if request.headers().contains_key("wsmanidentity") {
            return plain(StatusCode::OK, SOAP_TYPE, &wsman::identify(false));
        }
        let header = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        match header.and_then(|value| value.split_once(' ')) {
            Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
                match self.inside_tls && self.is_password(pair.trim()) {
                    true => self.soap(request),
                    false => self.unauthorized(None),
                }
            }
            Some((_, token)) => self.negotiate(token.trim(), request),
            None => self.established(request),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Host> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        host.world.settle(self.clock.now());
        host
    }

    fn login(&self) -> MutexGuard<'_, Login> {
        self.login.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn password(&self) -> String {
        let suffix = if self.lock().world.password_changed { "-changed" } else { "" };
        format!("{PASSWORD}{suffix}")
    }

    fn is_password(&self, pair: &str) -> bool {
        let pair = BASE64.decode(pair).ok().and_then(|pair| String::from_utf8(pair).ok());
        pair.is_some_and(|pair| pair == format!("{USER}:{}", self.password()))
    }

    fn unauthorized(&self, challenge: Option<&[u8]>) -> Answer {
        let mut response = plain(StatusCode::UNAUTHORIZED, "text/plain", "")?;
        let headers = response.headers_mut();
        let negotiate = match challenge {
            Some(token) => format!("Negotiate {}", BASE64.encode(token)),
            None => "Negotiate".to_owned(),
        };
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(&negotiate).ok()?);
        if self.inside_tls && challenge.is_none() {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"WSMAN\""));
        }
        Some(response)
    }

    fn negotiate(&self, token: &str, request: &Request<Bytes>) -> Answer {
        // A message of type 1 begins anew, also on a connection that is logged in.
        const TYPE_AT: usize = 8;
        let token = BASE64.decode(token).unwrap_or_default();
        let password = self.password();
        let mut login = self.login();
        let begins = token.get(TYPE_AT) == Some(&1);
        let mut acceptor = match std::mem::take(&mut *login) {
            Login::Challenged(acceptor) if !begins => acceptor,
            _ => Acceptor::new(USER, &password)?,
        };
        match acceptor.accept(&token) {
            Some(Accepted::Challenge(challenge)) => {
                *login = Login::Challenged(acceptor);
                self.unauthorized(Some(&challenge))
            }
            Some(Accepted::Done) => {
                *login = Login::Known(acceptor);
                drop(login);
                match request.body().is_empty() {
                    true => plain(StatusCode::OK, SOAP_TYPE, ""),
                    false => self.established(request),
                }
            }
            None => self.unauthorized(None),
        }
    }

    /// A request on a connection that may be logged in.
    fn established(&self, request: &Request<Bytes>) -> Answer {
        let mut login = self.login();
        let Login::Known(acceptor) = &mut *login else { return self.unauthorized(None) };
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !kind.unwrap_or_default().starts_with("multipart/encrypted") {
            drop(login);
            return match self.inside_tls {
                true => self.soap(request),
                // AllowUnencrypted is false.
                false => plain(StatusCode::INTERNAL_SERVER_ERROR, SOAP_TYPE, ""),
            };
        }
        let opened = Sealed::from_body(request.body())
            .and_then(|sealed| ntlm::open(acceptor.context(), &sealed));
        // A message that does not open ends the session.
        let text = String::from_utf8(opened.ok()?).ok()?;
        let reply = self.reply(&text)?;
        let sealed = ntlm::seal(acceptor.context(), reply.document.as_bytes()).ok()?;
        let mut response = Response::new(Full::new(Bytes::from(sealed.to_body())));
        *response.status_mut() = status(&reply);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(SEALED_TYPE));
        Some(response)
    }

    fn soap(&self, request: &Request<Bytes>) -> Answer {
        let reply = self.reply(&String::from_utf8_lossy(request.body()))?;
        plain(status(&reply), SOAP_TYPE, &reply.document)
    }

    fn reply(&self, text: &str) -> Option<Reply> {
        let mut host = self.lock();
        let Host { world, enumerations } = &mut *host;
        wsman::answer(world, enumerations, text)
    }
}

fn status(reply: &Reply) -> StatusCode {
    if reply.fault { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
}

fn plain(status: StatusCode, kind: &'static str, body: &str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body.to_owned())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(response)
}
