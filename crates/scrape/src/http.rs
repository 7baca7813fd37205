use std::sync::{Mutex, PoisonError};

use paramedic_exposition::{Layout, Reading, parse_again};
use paramedic_integration::{
    Collected, Collection, Collector, HttpClient, HttpRequest, Look, ProbeError, UrlPath,
};
use paramedic_model::BoxFuture;

/// Asks for a text format, OpenMetrics first, as Prometheus does.
const ACCEPT: &str =
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// Scrapes a target in the exposition format.
pub struct HttpCollector {
    client: HttpClient,
    path: UrlPath,
    /// What the last body left, so that the next one is read in a fraction of the time.
    layout: Mutex<Layout>,
}

impl HttpCollector {
    /// Scrapes `path` through `client`.
    pub fn new(client: HttpClient, path: UrlPath) -> Self {
        Self { client, path, layout: Mutex::default() }
    }

    async fn scrape(&self) -> Result<Reading, ProbeError> {
        let mut request = HttpRequest::get(self.path.clone());
        request.headers.insert("accept", http::HeaderValue::from_static(ACCEPT));
        let response = self.client.send(request).await?;
        response.successful()?;
        let content_type = response.header("content-type").unwrap_or_default();
        let mut layout = self.layout.lock().unwrap_or_else(PoisonError::into_inner);
        // A sample's own time is not kept: a collection has one moment.
        parse_again(content_type, &response.body, &mut layout)
            .map_err(|error| ProbeError::answer(&response.target, error.to_string()))
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
                Ok(reading) => Collected::Listed(reading.series, reading.values),
                Err(failure) => Collected::Sets(Collection::failed(failure)),
            }
        })
    }
}
