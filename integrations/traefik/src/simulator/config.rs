//! The dynamic configuration of the simulated Traefik, and how the API shows it.

use serde_json::{Value, json};

/// What a dynamic file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Config {
    pub routers: Vec<Router>,
    pub services: Vec<Service>,
}

/// A router on the entry point `web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Router {
    pub name: &'static str,
    pub service: &'static str,
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub name: &'static str,
    pub urls: Vec<String>,
    pub check: Option<Check>,
}

/// Its health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub path: &'static str,
    pub interval_seconds: u64,
    pub timeout_seconds: u64,
}

/// The objects that Traefik makes itself: router, rule, priority.
const INTERNAL: &[(&str, &str, &str)] = &[
    ("api", "PathPrefix(`/api`)", "9223372036854775806"),
    ("dashboard", "PathPrefix(`/`)", "9223372036854775805"),
    ("ping", "PathPrefix(`/ping`)", "9223372036854775807"),
    ("prometheus", "PathPrefix(`/metrics`)", "9223372036854775807"),
];

impl Config {
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The routers that use a service; without one it is neither built nor checked.
    pub fn used_by(&self, service: &str) -> Vec<String> {
        let users = self.routers.iter().filter(|router| router.service == service);
        users.map(|router| format!("{}@file", router.name)).collect()
    }

    /// `/api/http/routers`.
    pub fn routers_json(&self) -> Vec<Value> {
        let own = INTERNAL.iter().map(|(name, rule, priority)| {
            let mut router = json!({
                "entryPoints": ["traefik"],
                "service": format!("{name}@internal"),
                "rule": rule,
                "ruleSyntax": "default",
                "priority": priority.parse::<u64>().unwrap_or(0),
                "observability": observability(),
                "status": "enabled",
                "using": ["traefik"],
                "name": format!("{name}@internal"),
                "provider": "internal",
                "priorityStr": priority,
            });
            if *name == "dashboard" {
                router["middlewares"] =
                    json!(["dashboard_redirect@internal", "dashboard_stripprefix@internal"]);
            }
            router
        });
        let users = self.routers.iter().map(|router| {
            let rule = format!("PathPrefix(`/{}`)", router.name);
            let mut json = json!({
                "entryPoints": ["web"],
                "service": router.service,
                "rule": rule,
                "priority": rule.len(),
                "observability": observability(),
                "status": "enabled",
                "using": ["web"],
                "name": format!("{}@file", router.name),
                "provider": "file",
                "priorityStr": rule.len().to_string(),
            });
            if let Some(error) = self.router_error(router) {
                json["error"] = json!([error]);
                json["status"] = json!("disabled");
            }
            json
        });
        sorted(own.chain(users))
    }

    /// `/api/http/services`, where `up` says what the API says of a server.
    pub fn services_json(&self, up: impl Fn(&str, &str) -> bool) -> Vec<Value> {
        let own = INTERNAL.iter().map(|(name, _, _)| {
            let name = format!("{name}@internal");
            json!({ "status": "enabled", "usedBy": [name], "name": name, "provider": "internal" })
        });
        let noop = json!({ "status": "enabled", "name": "noop@internal", "provider": "internal" });
        let users = self.services.iter().map(|service| {
            let name = format!("{}@file", service.name);
            let servers: Vec<_> = service.urls.iter().map(|url| json!({ "url": url })).collect();
            let mut balancer = json!({ "servers": servers, "strategy": "wrr" });
            if let Some(check) = &service.check {
                balancer["healthCheck"] = json!({
                    "mode": "http",
                    "path": check.path,
                    "interval": format!("{}s", check.interval_seconds),
                    "timeout": format!("{}s", check.timeout_seconds),
                    "followRedirects": true,
                });
            }
            balancer["passHostHeader"] = json!(true);
            balancer["responseForwarding"] = json!({ "flushInterval": "100ms" });
            let mut json = json!({
                "loadBalancer": balancer,
                "status": "enabled",
                "name": name,
                "provider": "file",
                "type": "loadbalancer",
            });
            let users = self.used_by(service.name);
            if !users.is_empty() {
                json["usedBy"] = json!(users);
                let status = |url: &String| {
                    let word = if up(&name, url) { "UP" } else { "DOWN" };
                    (url.clone(), json!(word))
                };
                json["serverStatus"] = Value::Object(service.urls.iter().map(status).collect());
            }
            json
        });
        sorted(own.chain([noop]).chain(users))
    }

    /// `/api/overview`.
    pub fn overview_json(&self) -> Value {
        let broken = self.routers.iter().filter(|router| self.router_error(router).is_some());
        let count = |total: usize, errors: usize| json!({ "total": total, "warnings": 0, "errors": errors });
        let none = count(0, 0);
        json!({
            "http": {
                "routers": count(self.routers.len() + INTERNAL.len(), broken.count()),
                "services": count(self.services.len() + INTERNAL.len() + 1, 0),
                "middlewares": count(middlewares_json().len(), 0),
            },
            "tcp": { "routers": none, "services": none, "middlewares": none },
            "udp": { "routers": none, "services": none },
            "certificates": none,
            "features": { "tracing": "", "metrics": "Prometheus", "accessLog": false },
            "providers": ["File"],
        })
    }

    fn router_error(&self, router: &Router) -> Option<String> {
        let missing = self.service(router.service).is_none();
        missing.then(|| format!("the service \"{}@file\" does not exist", router.service))
    }
}

/// `/api/http/middlewares`: those of the dashboard.
pub(super) fn middlewares_json() -> Vec<Value> {
    let middleware = |name: &str, kind: &str, key: &str, what: Value| {
        let mut json = json!({
            "status": "enabled",
            "usedBy": ["dashboard@internal"],
            "name": format!("{name}@internal"),
            "provider": "internal",
            "type": kind,
        });
        json[key] = what;
        json
    };
    vec![
        middleware(
            "dashboard_redirect",
            "redirectregex",
            "redirectRegex",
            json!({
                "regex": "^(http:\\/\\/(\\[[\\w:.]+\\]|[\\w\\._-]+)(:\\d+)?)\\/$",
                "replacement": "${1}/dashboard/",
                "permanent": true,
            }),
        ),
        middleware(
            "dashboard_stripprefix",
            "stripprefix",
            "stripPrefix",
            json!({ "prefixes": ["/dashboard/", "/dashboard"] }),
        ),
    ]
}

/// `/api/entrypoints`.
pub(super) fn entrypoints_json(api: &str) -> Vec<Value> {
    let point = |name: &str, address: &str| {
        json!({
            "address": address,
            "transport": {
                "lifeCycle": { "graceTimeOut": "10s" },
                "respondingTimeouts": { "readTimeout": "1m0s", "idleTimeout": "3m0s" },
            },
            "forwardedHeaders": {},
            "http": {
                "sanitizePath": true,
                "maxHeaderBytes": 1_048_576,
                "underscoreHeadersStrategy": "keep",
            },
            "http2": {
                "maxConcurrentStreams": 250,
                "maxDecoderHeaderTableSize": 4096,
                "maxEncoderHeaderTableSize": 4096,
            },
            "udp": { "timeout": "3s" },
            "name": name,
        })
    };
    vec![point("traefik", api), point("web", ":80")]
}

fn observability() -> Value {
    json!({ "accessLogs": true, "metrics": true, "tracing": true, "traceVerbosity": "minimal" })
}

/// Lists are sorted by name unless asked otherwise.
fn sorted(objects: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut objects: Vec<_> = objects.collect();
    objects.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    objects
}
