use std::sync::Arc;

use paramedic_model::{BoxFuture, Series, SeriesList, TimeMs};

use crate::{Look, ProbeError};

/// Reads the system's own API and yields samples under the names and labels of the exporter that
/// people use today.
pub trait Collector: Send + Sync {
    /// One collection. The scrape loop adds `up`, `job`, `instance` and the labels of the system.
    fn collect(&self, look: Look) -> BoxFuture<'_, Collection>;

    /// As [`Collector::collect`], for who collects again and again. A collector of very many series
    /// yields them as a list, which it gives again while they are the same.
    fn collect_again(&self, look: Look) -> BoxFuture<'_, Collected> {
        Box::pin(async move { Collected::Sets(self.collect(look).await) })
    }
}

/// What one collection of many yields.
#[derive(Debug)]
pub enum Collected {
    /// Each series with its labels.
    Sets(Collection),
    /// A complete collection.
    Listed(Listing),
}

/// A complete collection of very many series.
#[derive(Debug)]
pub struct Listing {
    /// The series.
    pub series: Arc<dyn SeriesList>,
    /// The value of each.
    pub values: Vec<f64>,
    /// The moment that each stands at, where it is not that of the collection; `None` where all are.
    pub times: Option<Vec<Option<TimeMs>>>,
}

/// What one collection yields.
///
/// A failure may come with samples: where the exporter has a value for "could not look"
/// (`oxidized_status 0`), the collector yields it, and `failure` says why.
#[derive(Debug, Default)]
pub struct Collection {
    /// The samples, all of this moment.
    pub series: Vec<Series>,
    /// Why the collection is not complete; then `up` is 0.
    pub failure: Option<ProbeError>,
}

impl Collection {
    /// A complete collection.
    pub fn complete(series: Vec<Series>) -> Self {
        Self { series, failure: None }
    }

    /// A collection that yields nothing.
    pub fn failed(failure: ProbeError) -> Self {
        Self { series: Vec::new(), failure: Some(failure) }
    }
}
