//! Yields Traefik's own metrics, and beside them two families about the configuration, which no
//! metric of Traefik tells of.

use std::sync::Arc;

use paramedic_integration::{Collection, Collector, Look};
use paramedic_model::{BoxFuture, Series};

use crate::client::Client;

/// How many routers there are besides Traefik's own.
pub(crate) const USER_ROUTERS: &str = "paramedic_traefik_user_routers";
/// How many objects Traefik has disabled because of an error in them.
pub(crate) const CONFIG_ERRORS: &str = "paramedic_traefik_config_errors";

/// Reads `/metrics`, then the overview of the API.
///
/// Where the API does not answer but `/metrics` does, its samples are kept and the collection
/// fails, so that `up` is 0: a Traefik that cannot be looked at is not healthy. A service without a
/// health check yields no `traefik_service_server_up`, here as in Traefik: the API's `UP` for its
/// servers means only that nobody looked.
pub(crate) struct TraefikCollector(pub Arc<Client>);

impl Collector for TraefikCollector {
    fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
        Box::pin(async move {
            let mut series = match self.0.metrics().await {
                Ok(metrics) => metrics.into_kept(),
                Err(failure) => return Collection::failed(failure),
            };
            let overview = match self.0.overview().await {
                Ok(overview) => overview,
                Err(failure) => return Collection { series, failure: Some(failure) },
            };
            for (protocol, kind, count) in overview.sections() {
                let labels = [("protocol", protocol), ("kind", kind)];
                series.push(Series::new(CONFIG_ERRORS, labels, f64::from(count.errors)));
            }
            match self.0.list("/api/http/routers").await {
                Ok(routers) => {
                    let http = routers.iter().filter(|router| !router.is_internal()).count();
                    let others = overview.tcp.routers.total + overview.udp.routers.total;
                    let count = http as f64 + f64::from(others);
                    series.push(Series::new(USER_ROUTERS, [], count));
                    Collection::complete(series)
                }
                Err(failure) => Collection { series, failure: Some(failure) },
            }
        })
    }
}
