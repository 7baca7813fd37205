use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue, USER_AGENT};
use http::{HeaderMap, HeaderName, StatusCode};
use paramedic_exposition::{Format, Layout, Reading, parse_again};
use paramedic_integration::{
    Collected, Collection, Collector, Environment, HttpClient, HttpRequest, HttpResponse, Listing,
    Look, ProbeError, SettingsError, UrlPath,
};
use paramedic_model::BoxFuture;

use crate::job::{ClientOptions, Job};
use crate::plan::Planned;

/// How often a redirect is followed, as in Go.
const REDIRECTS_MAX: usize = 10;

/// The most bytes that a compressed body may hold where nothing else is configured: a few bytes may
/// stand for very many.
const PLAIN_BYTES_MAX: u64 = 1 << 30;

/// Scrapes a target in the exposition format.
pub struct HttpCollector {
    fetcher: Fetcher,
    url: String,
    /// How a body is read whose type is not known.
    fallback: Option<Format>,
    /// The most bytes of a body; 0 is no limit.
    body_bytes_max: usize,
    /// Whether a sample stands at the time that it states itself.
    honors_times: bool,
    /// What the last body left, so that the next one is read in a fraction of the time.
    layout: Mutex<Layout>,
}

impl HttpCollector {
    /// Scrapes `target` as `job` says.
    ///
    /// # Errors
    ///
    /// A URL that cannot be asked for, and credentials that are no header.
    pub fn new(
        job: &Job,
        target: &Planned,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let mut headers = HeaderMap::new();
        let value = |text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| SettingsError::new("scrape_protocols", "no header value"))
        };
        headers.insert(ACCEPT, value(&job.accept)?);
        let encoding = if job.compression { "gzip" } else { "identity" };
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        let seconds = target.timeout.as_secs_f64().to_string();
        let name = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
        headers.insert(name, value(&seconds)?);
        let fetcher = Fetcher {
            environment: environment.clone(),
            options: job.client.clone(),
            headers,
            deadline: target.timeout,
            body_bytes_max: job.limits.body_bytes,
        };
        // Opened once here, so that what cannot work is said before anything is scraped.
        let url = target.url();
        fetcher.split(&url).and_then(|(base, _)| fetcher.options.open(base, environment))?;
        Ok(Self {
            fetcher,
            url,
            fallback: job.fallback,
            body_bytes_max: job.limits.body_bytes,
            honors_times: job.honor_timestamps,
            layout: Mutex::default(),
        })
    }

    async fn scrape(&self) -> Result<Reading, ProbeError> {
        let response = self.fetcher.get(&self.url).await?;
        let body = self.fetcher.body(&response)?;
        if self.body_bytes_max > 0 && body.len() > self.body_bytes_max {
            return Err(ProbeError::answer(&response.target, "body size limit exceeded"));
        }
        let content_type = response.header("content-type").unwrap_or_default();
        let content_type = match (Format::of(content_type), self.fallback) {
            (Err(_), Some(Format::Text)) => "text/plain",
            (Err(_), Some(Format::OpenMetrics)) => "application/openmetrics-text",
            _ => content_type,
        };
        let mut layout = self.layout.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reading = parse_again(content_type, &body, &mut layout)
            .map_err(|error| ProbeError::answer(&response.target, error.to_string()))?;
        reading.times = reading.times.filter(|_| self.honors_times);
        Ok(reading)
    }
}

impl Collector for HttpCollector {
    fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
        Box::pin(async {
            match self.scrape().await {
                Ok(reading) => Collection::complete(reading.samples().collect()),
                Err(failure) => Collection::failed(failure),
            }
        })
    }

    fn collect_again(&self, _look: Look) -> BoxFuture<'_, Collected> {
        Box::pin(async {
            match self.scrape().await {
                Ok(Reading { series, values, times }) => {
                    Collected::Listed(Listing { series, values, times })
                }
                Err(failure) => Collected::Sets(Collection::failed(failure)),
            }
        })
    }
}

/// Asks for a URL as Prometheus does: follows redirects, takes gzip, and only 200 is an answer.
pub(crate) struct Fetcher {
    pub environment: Environment,
    pub options: ClientOptions,
    pub headers: HeaderMap,
    pub deadline: Duration,
    /// 0 is no limit.
    pub body_bytes_max: usize,
}

impl Fetcher {
    /// The server of a URL, and path and query on it.
    fn split<'u>(&self, url: &'u str) -> Result<(&'u str, UrlPath), SettingsError> {
        let error = |reason: String| SettingsError::new("url", reason);
        let scheme = url.find("://").ok_or_else(|| error(format!("{url:?} is no URL")))?;
        let after = scheme + 3;
        let at = url[after..].find(['/', '?']).map_or(url.len(), |at| after + at);
        let (base, path) = url.split_at(at);
        let path = match path.starts_with('/') {
            true => UrlPath::given(path),
            false => UrlPath::given(&format!("/{path}")),
        };
        Ok((base, path.map_err(|reason| error(reason.to_string()))?))
    }

    /// The answer of `url`, or of where it redirects to.
    pub async fn get(&self, url: &str) -> Result<HttpResponse, ProbeError> {
        let unable = |error: SettingsError| ProbeError::unable(error.to_string());
        let mut url = url.to_owned();
        let first = self.split(&url).map_err(unable)?.0.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let (base, path) = self.split(&url).map_err(unable)?;
            let mut options = self.options.clone();
            // As in Go, credentials go to no other host than the one that they are meant for.
            if base != first {
                options.credentials = None;
            }
            let limit = match self.body_bytes_max {
                0 => usize::MAX,
                // One more, so that a body of just that size is told from a larger one.
                limit => limit.saturating_add(1),
            };
            let client: HttpClient = options.open(base, &self.environment).map_err(unable)?;
            let client = client.with_deadline(self.deadline).with_body_limit(limit);
            let mut request = HttpRequest::get(path);
            request.headers = self.headers.clone();
            let agent = concat!("Paramedic/", env!("CARGO_PKG_VERSION"));
            request.headers.insert(USER_AGENT, HeaderValue::from_static(agent));
            let response = client.send(request).await?;
            let redirects = matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            match response.header("location") {
                Some(location) if redirects && self.options.follow_redirects => {
                    url = resolve(base, &url, location);
                }
                _ if response.status == StatusCode::OK => return Ok(response),
                _ => return Err(self.refused(&response)),
            }
        }
        Err(ProbeError::answer(url, format!("stopped after {REDIRECTS_MAX} redirects")))
    }

    fn refused(&self, response: &HttpResponse) -> ProbeError {
        let reason = format!("server returned HTTP status {}", response.status);
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ProbeError::Denied { target: response.target.clone(), reason }
            }
            _ => ProbeError::answer(&response.target, reason),
        }
    }

    /// The body without its compression.
    pub fn body(&self, response: &HttpResponse) -> Result<Arc<[u8]>, ProbeError> {
        let encoding = response.header("content-encoding").unwrap_or_default();
        if !encoding.eq_ignore_ascii_case("gzip") {
            return Ok(Arc::from(&response.body[..]));
        }
        let (limit, setting) = match self.body_bytes_max {
            0 => (PLAIN_BYTES_MAX, "; set body_size_limit to take more"),
            limit => (limit as u64, ""),
        };
        let mut plain = Vec::new();
        MultiGzDecoder::new(&response.body[..])
            // One more, so that a body of just that size is told from a larger one.
            .take(limit.saturating_add(1))
            .read_to_end(&mut plain)
            .map_err(|error| ProbeError::answer(&response.target, format!("gzip: {error}")))?;
        if plain.len() as u64 > limit {
            let reason = format!("body size limit exceeded{setting}");
            return Err(ProbeError::answer(&response.target, reason));
        }
        Ok(plain.into())
    }
}

/// Where `location` leads, as an answer of `url` on the server `base`.
fn resolve(base: &str, url: &str, location: &str) -> String {
    let location = location.split('#').next().unwrap_or_default();
    if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        let scheme = base.split("//").next().unwrap_or_default();
        format!("{scheme}//{rest}")
    } else if location.starts_with('/') {
        format!("{base}{location}")
    } else {
        let path = url[base.len()..].split('?').next().unwrap_or_default();
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{base}{folder}{location}")
    }
}
