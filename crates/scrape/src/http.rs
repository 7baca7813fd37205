use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue, USER_AGENT};
use http::{HeaderMap, HeaderName, StatusCode};
use paramedic_exposition::{Format, Layout, Reading, parse_again};
use paramedic_integration::{
    BODY_TOO_LARGE, Collected, Collection, Collector, Environment, HttpClient, HttpRequest,
    HttpResponse, Listing, Look, ProbeError, REDIRECTS_MAX, SettingsError, redirected, split_url,
    without_query,
};
use paramedic_model::BoxFuture;

use crate::job::{ClientOptions, Job};
use crate::plan::Planned;

/// The most bytes that a compressed body may hold where nothing else is configured: a few bytes may
/// stand for very many.
const PLAIN_BYTES_MAX: u64 = 1 << 30;

/// Scrapes a target in the exposition format.
pub struct HttpCollector {
    fetcher: Fetcher,
    url: String,
    /// How a body is read whose type is not known.
    fallback: Option<Format>,
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
        split_url(&url).and_then(|(base, _)| fetcher.options.open(base, environment))?;
        Ok(Self {
            fetcher,
            url,
            fallback: job.fallback,
            honors_times: job.honor_timestamps,
            layout: Mutex::default(),
        })
    }

    async fn scrape(&self) -> Result<Reading, ProbeError> {
        let response = self.fetcher.get(&self.url).await?;
        let body = self.fetcher.body(&response)?;
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
    /// The answer of `url`, or of where it redirects to.
    pub async fn get(&self, url: &str) -> Result<HttpResponse, ProbeError> {
        let unable = |error: SettingsError| ProbeError::unable(error.to_string());
        let mut url = url.to_owned();
        let first = split_url(&url).map_err(unable)?.0.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let (base, path) = split_url(&url).map_err(unable)?;
            let mut options = self.options.clone();
            // As in Go, credentials go to no other host than the one that they are meant for.
            if base != first {
                options.credentials = None;
            }
            let limit = match self.body_bytes_max {
                0 => usize::MAX,
                // The limit is on what is unpacked; what does not shrink grows a little by gzip.
                limit => limit.saturating_add(limit / 8).saturating_add(1024),
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
                    url = redirected(base, &url, location);
                }
                _ if response.status == StatusCode::OK => return Ok(response),
                _ => return Err(self.refused(&response)),
            }
        }
        let url = without_query(&url);
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
        let too_large = |more: &str| {
            let reason = format!("{BODY_TOO_LARGE}{more}");
            Err(ProbeError::answer(&response.target, reason))
        };
        let encoding = response.header("content-encoding").unwrap_or_default();
        if !encoding.eq_ignore_ascii_case("gzip") {
            if self.body_bytes_max > 0 && response.body.len() > self.body_bytes_max {
                return too_large("");
            }
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
            return too_large(setting);
        }
        Ok(plain.into())
    }
}
