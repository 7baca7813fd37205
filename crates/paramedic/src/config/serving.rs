//! `server` and `query`: where API and pages are served, and what a query may cost.

use std::time::Duration;

use paramedic_integration::Address;

use super::yaml::{Mistake, Node, Read as _, Table};
use super::{Config, Reader};

/// `server`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where API and pages are served. Always a loopback address. Default: 127.0.0.1:9190.
    pub listen: Address,
    /// Whether samples are taken by remote write. Default: no.
    pub remote_write: bool,
    /// Whether alerts are taken from a Prometheus or an Alertmanager. Default: no.
    pub alerts: bool,
}

/// `query`: limits of expressions. Those of rules keep `lookback` and `samples_max` too.
#[derive(Debug, Clone)]
pub struct QueryConfig {
    /// How long a query may take, waiting included. Default: 2 min.
    pub timeout: Duration,
    /// How many samples an evaluation may hold at once. Default: 50 million.
    pub samples_max: usize,
    /// How long a sample stands for its series when no newer one follows. Default: 5 min.
    pub lookback: Duration,
    /// How many queries are evaluated at once; more wait. Default: 20.
    pub concurrency: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: Address::new("127.0.0.1", 9190), remote_write: false, alerts: false }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            samples_max: 50_000_000,
            lookback: Duration::from_secs(300),
            concurrency: 20,
        }
    }
}

impl Reader<'_> {
    pub(super) fn server(&mut self, node: Option<&Node>) -> ServerConfig {
        let Some(node) = node else { return ServerConfig::default() };
        let result = self.read_server(node);
        self.note(result).unwrap_or_default()
    }

    fn read_server(&mut self, node: &Node) -> Result<ServerConfig, Mistake> {
        let mut table = Table::new(node, "server")?;
        let mut server = ServerConfig::default();
        server.remote_write =
            self.flag(table.get("remote_write"), "remote_write").unwrap_or(server.remote_write);
        server.alerts = self.flag(table.get("alerts"), "alerts").unwrap_or(server.alerts);
        if let Some(node) = table.get("listen") {
            let text = node.text("listen")?;
            server.listen = Address::parse(text).map_err(|e| node.mistake(e.to_string()))?;
            let ip = server.listen.host.parse::<std::net::IpAddr>();
            if !ip.is_ok_and(|ip| ip.is_loopback()) {
                let message = "`listen` must be a loopback address such as 127.0.0.1:9190: there \
                               are no user accounts yet";
                return Err(node.mistake(message));
            }
        }
        self.mistakes.extend(table.unknown());
        Ok(server)
    }

    pub(super) fn query(&mut self, node: Option<&Node>) -> QueryConfig {
        let Some(node) = node else { return QueryConfig::default() };
        let result = self.read_query(node);
        self.note(result).unwrap_or_default()
    }

    fn read_query(&mut self, node: &Node) -> Result<QueryConfig, Mistake> {
        let mut table = Table::new(node, "query")?;
        let mut query = QueryConfig::default();
        for (key, slot) in [("timeout", &mut query.timeout), ("lookback", &mut query.lookback)] {
            let Some(node) = table.get(key) else { continue };
            match self.duration(Some(node), key) {
                Some(Duration::ZERO) => {
                    self.mistakes.push(node.mistake(format!("`{key}` must be longer than 0s")));
                }
                Some(duration) => *slot = duration,
                None => {}
            }
        }
        let counts =
            [("samples_max", &mut query.samples_max), ("concurrency", &mut query.concurrency)];
        for (key, slot) in counts {
            let Some(node) = table.get(key) else { continue };
            match self.count(Some(node), key) {
                Some(0) => self.mistakes.push(node.mistake(format!("`{key}` must be at least 1"))),
                Some(count) => *slot = count as usize,
                None => {}
            }
        }
        self.mistakes.extend(table.unknown());
        Ok(query)
    }
}

impl Config {
    /// How expressions are evaluated, those of rules and those of queries.
    pub fn eval_options(&self) -> paramedic_promql::EvalOptions {
        paramedic_promql::EvalOptions {
            lookback: self.query.lookback,
            subquery_step: self.global.evaluation_interval,
            samples_max: self.query.samples_max,
            ..paramedic_promql::EvalOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let shown = match Config::parse(Path::new("p.yml"), text, &[]) {
            Ok(config) => format!("{:?}\n{:?}\n", config.server, config.query),
            Err(errors) => format!("{errors}\n"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn limits_of_queries_are_read() {
        check(
            "server: { remote_write: true }\nquery: { timeout: 10s, samples_max: 1000 }\n",
            expect![[r#"
                ServerConfig { listen: Address { host: "127.0.0.1", port: 9190 }, remote_write: true, alerts: false }
                QueryConfig { timeout: 10s, samples_max: 1000, lookback: 300s, concurrency: 20 }
            "#]],
        );
        check(
            "query:\n  timout: 1m\n  concurrency: 0\n  lookback: 0s\n",
            expect![[r#"
            p.yml:2:3: unknown key `timout`; did you mean `timeout`?
            p.yml:3:16: `concurrency` must be at least 1
            p.yml:4:13: `lookback` must be longer than 0s
        "#]],
        );
        check(
            "server: { remote_write: maybe, listen: 10.0.0.1:80 }\n",
            expect![[r#"
                p.yml:1:25: `remote_write` must be true or false, not "maybe"
                p.yml:1:40: `listen` must be a loopback address such as 127.0.0.1:9190: there are no user accounts yet
            "#]],
        );
    }
}
