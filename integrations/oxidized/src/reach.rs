//! How Oxidized can be reached: the one classification that collector, probes and restart share.

use http::StatusCode;
use paramedic_integration::{HttpResponse, ProbeError};
use serde_json::Value;

/// What came back when the list of devices was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reach {
    /// A list.
    List(Vec<Value>),
    /// Nothing listens, or what listens closes at once.
    Closed(String),
    /// The name does not resolve.
    Unresolved(String),
    /// The connection is taken, or not even that, and no answer comes.
    Silent(String),
    /// Oxidized refuses the name that it was called by (`vhosts`).
    HostDenied,
    /// Oxidized answers, under another prefix (`url_prefix`).
    PrefixMissing,
    /// Somebody asks for a login that we do not have.
    LoginRefused(String),
    /// A proxy answers for an Oxidized that it cannot reach.
    Gateway(String),
    /// Oxidized answers with an exception of its own.
    Exception(String),
    /// Something else answers.
    Foreign(String),
}

/// The words of [`Reach::reason`], for the metric.
pub(crate) const REASONS: &[(f64, &str)] = &[(1.0, "this is how")];

impl Reach {
    /// Judges an answer, or that there was none.
    pub fn of(answer: &Result<HttpResponse, ProbeError>) -> Self {
        match answer {
            Ok(response) => Self::of_response(response),
            Err(ProbeError::Deadline { deadline, .. }) => {
                Self::Silent(format!("no answer within {} s", deadline.as_secs_f64()))
            }
            Err(ProbeError::Connect { reason, .. }) => {
                let lower = reason.to_lowercase();
                if lower.contains("lookup") || lower.contains("name or service") {
                    Self::Unresolved(reason.clone())
                } else if lower.contains("timed out") || lower.contains("unreachable") {
                    Self::Silent(reason.clone())
                } else {
                    Self::Closed(reason.clone())
                }
            }
            Err(other) => Self::Foreign(other.to_string()),
        }
    }

    fn of_response(response: &HttpResponse) -> Self {
        let (status, text) = (response.status, response.text());
        let short = || {
            let line = text.split_whitespace().take(12).collect::<Vec<_>>().join(" ");
            format!("HTTP {}: {line}", status.as_u16())
        };
        // Oxidized itself sends neither header, so one of them is somebody else's.
        let proxied = response.header("server").is_some() || response.header("date").is_some();
        match status {
            StatusCode::FORBIDDEN if text.trim() == "Host not permitted" => Self::HostDenied,
            StatusCode::NOT_FOUND if text.starts_with("Not Found: /") => Self::PrefixMissing,
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Self::LoginRefused(short()),
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Self::Gateway(short()),
            StatusCode::INTERNAL_SERVER_ERROR if !proxied => Self::Exception(short()),
            status if status.is_redirection() => Self::LoginRefused(short()),
            status if status.is_success() => match serde_json::from_slice(&response.body) {
                Ok(Value::Array(nodes)) => Self::List(nodes),
                _ => Self::Foreign(short()),
            },
            _ => Self::Foreign(short()),
        }
    }

    /// A word for metrics and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::List(_) => "ok",
            Self::Closed(_) => "closed",
            Self::Unresolved(_) => "unresolved",
            Self::Silent(_) => "silent",
            Self::HostDenied => "host_denied",
            Self::PrefixMissing => "prefix_missing",
            Self::LoginRefused(_) => "login_refused",
            Self::Gateway(_) => "gateway",
            Self::Exception(_) => "exception",
            Self::Foreign(_) => "foreign",
        }
    }

    /// The same for a person.
    pub fn describe(&self) -> String {
        match self {
            Self::List(nodes) => format!("the API lists {} devices", nodes.len()),
            Self::Closed(why) => format!("nothing listens there ({why})"),
            Self::Unresolved(why) => format!("its name does not resolve ({why})"),
            Self::Silent(why) => format!("it does not answer ({why})"),
            Self::HostDenied => "it does not permit the host name that it was called by".to_owned(),
            Self::PrefixMissing => "it answers, but not under this path: url_prefix".to_owned(),
            Self::LoginRefused(why) => format!("a login is asked for ({why})"),
            Self::Gateway(why) => format!("a proxy cannot reach it ({why})"),
            Self::Exception(why) => format!("it answers with an error of its own ({why})"),
            Self::Foreign(why) => format!("something else answers ({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> &'static str {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let response = HttpResponse {
            target: String::new(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: body.to_owned().into(),
        };
        Reach::of(&Ok(response)).reason()
    }

    #[test]
    fn answers_are_told_apart_as_they_were_recorded() {
        let proxy = [("server", "nginx"), ("date", "Sat, 21 Nov 2026 02:48:18 GMT")];
        assert_eq!(answer(200, &[], "[]"), "ok");
        assert_eq!(answer(403, &[], "Host not permitted"), "host_denied");
        assert_eq!(answer(404, &[], "Not Found: /nodes.json"), "prefix_missing");
        assert_eq!(answer(404, &proxy, "<!DOCTYPE HTML>"), "foreign");
        assert_eq!(answer(401, &proxy, "<html>"), "login_refused");
        assert_eq!(answer(302, &proxy, ""), "login_refused");
        assert_eq!(answer(502, &proxy, "<html>"), "gateway");
        assert_eq!(answer(500, &[], "<h1>Internal Server Error</h1>"), "exception");
        assert_eq!(answer(500, &[], "NoMethodError: undefined method"), "exception");
        assert_eq!(answer(200, &[], "<html>"), "foreign");
        assert_eq!(answer(200, &[], "{\"error\":1}"), "foreign");
        assert_eq!(answer(200, &[], ""), "foreign");
        assert_eq!(answer(200, &[], "[{\"name\":"), "foreign");
    }

    #[test]
    fn no_answer_has_its_reasons_too() {
        let connect = |reason: &str| {
            let (target, reason) = (String::new(), reason.to_owned());
            Reach::of(&Err(ProbeError::Connect { target, reason })).reason()
        };
        assert_eq!(connect("connection refused"), "closed");
        assert_eq!(connect("connection closed before message completed"), "closed");
        assert_eq!(connect("failed to lookup address information: Name or service"), "unresolved");
        assert_eq!(connect("No route: network is unreachable"), "silent");
    }
}
