use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use paramedic_engine::Handle;
use paramedic_integration::Address;
use paramedic_model::{Clock, Secret};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::access::Access;
use crate::app::App;
use crate::lifecycle::Reloader;
use crate::problem::Problem;
use crate::prometheus::{self, PrometheusOptions};
use crate::workbench::Workbench;
use crate::{api, assets, forms, lifecycle, metrics, outside, pages};

/// The largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// How many headers a request may have.
const HEADERS_MAX: usize = 100;
/// How long a client may take to send the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(15);
/// How many connections are served at once; more wait.
const CONNECTIONS_MAX: usize = 256;
/// How long to wait after a connection could not be accepted: mostly for a free file descriptor.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// What a page may load and do: only what this server serves, and nothing inside another site.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// On every answer. `no-referrer` would make browsers send `Origin: null` with our own forms, which
/// the check of `Origin` must refuse; `same-origin` tells other sites as little.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// How a server is to be started.
pub struct ServerOptions {
    /// What programs show to change something, and to read the API.
    pub token: Secret,
    /// Where to listen: a loopback address. Port 0 takes a free one.
    pub listen: Address,
    /// In the lab, what can be broken.
    pub workbench: Option<Arc<dyn Workbench>>,
    /// Of Prometheus's API.
    pub prometheus: PrometheusOptions,
    /// Whether alerts are taken from other programs, from whoever has the token. Default: no.
    pub alerts: bool,
    /// What reads rules and pages anew, where that can be asked for.
    pub reloader: Option<Arc<dyn Reloader>>,
}

impl ServerOptions {
    /// On a free port of this machine, with `token` for programs.
    pub fn new(token: Secret) -> Self {
        let listen = Address::new("127.0.0.1", 0);
        Self {
            token,
            listen,
            workbench: None,
            prometheus: PrometheusOptions::default(),
            alerts: false,
            reloader: None,
        }
    }
}

/// API and pages on a socket.
pub struct Server {
    listener: TcpListener,
    address: Address,
    router: Router,
}

impl Server {
    /// Takes the address, and serves nothing yet.
    ///
    /// # Errors
    ///
    /// An address that is taken, that there is not, or that other machines could reach.
    pub async fn bind(
        handle: Handle,
        clock: Arc<dyn Clock>,
        options: ServerOptions,
    ) -> io::Result<Server> {
        let listen = &options.listen;
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{listen}: {error}"));
        let listener = TcpListener::bind((listen.host.as_str(), listen.port)).await.map_err(at)?;
        let bound = listener.local_addr().map_err(at)?;
        if !bound.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{listen} can be reached from other machines; listen on a loopback address such \
                     as 127.0.0.1:9190, and reach it through SSH or a proxy that checks who comes"
                ),
            ));
        }
        let address = Address::new(bound.ip().to_string(), bound.port());
        let router = router(handle, clock, &address, options);
        Ok(Server { listener, address, router })
    }

    /// Where it listens: the port that was taken, where 0 was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Serves until it is dropped, and with it every connection.
    ///
    /// # Errors
    ///
    /// None at present: what fails concerns one connection, and is logged.
    pub async fn run(self) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
            while connections.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let router = self.router.clone();
                    connections.spawn(async move {
                        serve(stream, router).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("could not accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // Without it, what is written in two parts waits for the other side's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection ended early: {error}");
    }
}

/// All that a server at `address` answers, without a socket.
pub fn router(
    handle: Handle,
    clock: Arc<dyn Clock>,
    address: &Address,
    options: ServerOptions,
) -> Router {
    let ServerOptions { token, workbench, prometheus, alerts, reloader, .. } = options;
    let access = Access::new(token, address);
    let app = App::new(handle, clock, access, workbench, prometheus, alerts, reloader);
    let sent = Router::new()
        .route("/api/v2/alerts", post(outside::alerts))
        .route("/api/paramedic/v1/webhook", post(outside::webhook))
        .layer(DefaultBodyLimit::max(outside::BYTES_MAX));
    Router::new()
        .route("/", get(pages::home::show))
        .route("/incidents", get(pages::home::moved))
        .route("/incidents/{id}", get(pages::incident::show))
        .route("/incidents/{id}/bundle.md", get(pages::incident::bundle_file))
        .route("/incidents/{id}/{verb}", get(pages::incident::moved).post(forms::act))
        .route("/systems", get(pages::systems::show))
        .route("/rules", get(pages::rules::show))
        .route("/rules/{name}/why", get(pages::why::show))
        .route("/runbooks", get(pages::runbooks::list))
        .route("/runbooks/{title}", get(pages::runbooks::show))
        .route("/lab/break", post(forms::break_system))
        .route("/lab/heal", post(forms::heal_system))
        .route("/assets/{hash}/{name}", get(assets::serve))
        .route("/graph", prometheus::graph_route())
        .route("/-/reload", post(lifecycle::reload).put(lifecycle::reload))
        .route("/metrics", get(metrics::show))
        .route("/-/healthy", get(api::healthy))
        .route("/-/ready", get(api::ready))
        .merge(sent)
        .nest("/api/paramedic/v1", api::routes(&app))
        .nest("/api/v1", prometheus::routes(&app))
        .fallback(async || Problem::missing("there is no such page"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                axum::http::StatusCode::METHOD_NOT_ALLOWED,
                "this address does not take that method",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), dress))
        .with_state(app)
}

/// Around every request: checks whom it means, makes problems readable, and adds the headers.
async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (is_api, is_prometheus) = (path.starts_with("/api/"), path.starts_with("/api/v1/"));
    let mut response = match app.access().check_host(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let dressed = match (is_api, is_prometheus) {
            (_, true) => prometheus::problem(&problem),
            (true, false) => api::problem(&problem),
            (false, false) => pages::problem(&app, &problem).await,
        };
        // What the router said besides, `Allow` for one, stays.
        let (parts, body) = dressed.into_parts();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(parts.headers);
        *response.body_mut() = body;
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is shown is the state of a moment; assets say otherwise.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
