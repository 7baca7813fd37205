//! The firewall's API as far as a look needs it.
//!
//! ```text
//!   probes, collector, preconditions --> Firewall --> LookingClient (GET, and POSTs that only read)
//! ```
//!
//! # Invariants
//!
//! - The API grants no read-only privilege and answers 200 to almost everything, so [`LOOKS`] is the
//!   only thing that keeps a look from changing something, and every answer is judged by its body:
//!   an empty body, `[]` for an object, missing `rows` and an `errorMessage` are "could not look".
//! - Secret fields of an answer (private keys, pre-shared keys) are dropped before anyone sees it.
//!
//! Not here: requests that change something (`actions`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use http::StatusCode;
use paramedic_integration::{Allow, HttpRequest, HttpResponse, LookingClient, ProbeError, UrlPath};
use paramedic_model::{Clock, Redactor, TimeMs};
use serde_json::{Value, json};

use crate::json::{field, flag, int, text};
use crate::services::Service;
use crate::wireguard::{Peer, Tunnel};

const fn get(path: &'static str) -> Allow {
    Allow { method: "GET", path }
}

const fn post(path: &'static str) -> Allow {
    Allow { method: "POST", path }
}

/// All that a look may send. The POSTs read: logs are queried by POST, and the two
/// diagnostic jobs (a DNS question, a ping) change nothing but their own short-lived job.
pub(crate) const LOOKS: &[Allow] = &[
    get("/api/core/service/search"),
    get("/api/core/system/status"),
    get("/api/core/firmware/running"),
    get("/api/core/firmware/status"),
    get("/api/core/firmware/upgradestatus"),
    get("/api/core/hasync_status/services"),
    get("/api/core/backup/backups/this"),
    get("/api/core/backup/diff/this/*/*"),
    get("/api/wireguard/service/show"),
    get("/api/wireguard/general/get"),
    get("/api/wireguard/server/search_server"),
    get("/api/wireguard/client/search_client"),
    get("/api/routing/settings/search_gateway"),
    get("/api/interfaces/overview/interfaces_info"),
    get("/api/firewall/filter/search_rule"),
    get("/api/diagnostics/firewall/log"),
    get("/api/diagnostics/activity/get_activity"),
    get("/api/diagnostics/interface/get_vip_status"),
    get("/api/diagnostics/interface/get_socket_statistics"),
    get("/api/diagnostics/interface/getSocketStatistics"),
    get("/api/diagnostics/system/system_resources"),
    get("/api/diagnostics/system/systemResources"),
    get("/api/diagnostics/system/system_disk"),
    get("/api/diagnostics/system/systemDisk"),
    get("/api/diagnostics/system/system_swap"),
    get("/api/diagnostics/system/systemSwap"),
    get("/api/diagnostics/system/system_time"),
    get("/api/diagnostics/system/systemTime"),
    get("/api/*/service/status"),
    post("/api/diagnostics/log/core/*"),
    post("/api/diagnostics/dns_diagnostics/set"),
    post("/api/diagnostics/ping/set"),
    post("/api/diagnostics/ping/start/*"),
    post("/api/diagnostics/ping/stop/*"),
    post("/api/diagnostics/ping/remove/*"),
    get("/api/diagnostics/ping/search_jobs"),
];

/// A fixed path whose action has one spelling since 25.7 and another before. Both dispatch in every
/// version, but a key with few privileges is held to the spelling of its version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spelled {
    snake: &'static str,
    camel: &'static str,
}

pub(crate) const SOCKETS: Spelled = Spelled {
    snake: "/api/diagnostics/interface/get_socket_statistics",
    camel: "/api/diagnostics/interface/getSocketStatistics",
};
pub(crate) const RESOURCES: Spelled = Spelled {
    snake: "/api/diagnostics/system/system_resources",
    camel: "/api/diagnostics/system/systemResources",
};
pub(crate) const DISK: Spelled = Spelled {
    snake: "/api/diagnostics/system/system_disk",
    camel: "/api/diagnostics/system/systemDisk",
};
pub(crate) const SWAP: Spelled = Spelled {
    snake: "/api/diagnostics/system/system_swap",
    camel: "/api/diagnostics/system/systemSwap",
};
pub(crate) const TIME: Spelled = Spelled {
    snake: "/api/diagnostics/system/system_time",
    camel: "/api/diagnostics/system/systemTime",
};

/// Answers never hold more lines than this.
pub(crate) const LOG_LINES_MAX: usize = 200;
const EXCERPT_CHARS_MAX: usize = 2000;

/// One line of a log, newest first in every answer.
#[derive(Debug, Clone)]
pub(crate) struct LogLine {
    /// Firewall local time, as the firewall prints it.
    pub(crate) at: String,
    pub(crate) scope: String,
    pub(crate) severity: String,
    pub(crate) process: String,
    pub(crate) text: String,
}

/// What `core/system/status` says.
#[derive(Debug, Clone)]
pub(crate) struct SystemStatus {
    /// No notification is pending. This, not reachability, is what `opnsense_up` means.
    pub(crate) ok: bool,
    /// The start-up has not finished.
    pub(crate) booting: bool,
    /// `subsystem: message` of everything that is pending.
    pub(crate) notices: Vec<(String, String)>,
}

/// The node's place in a CARP cluster.
#[derive(Debug, Clone)]
pub(crate) struct Carp {
    pub(crate) vips: Vec<Vip>,
    pub(crate) demotion: i64,
    pub(crate) maintenance: bool,
}

/// One CARP address.
#[derive(Debug, Clone)]
pub(crate) struct Vip {
    pub(crate) interface: String,
    pub(crate) vhid: String,
    pub(crate) subnet: String,
    pub(crate) status: String,
}

impl Carp {
    /// `none`, `master`, `backup`, or `mixed` where the addresses differ.
    pub(crate) fn role(&self) -> &'static str {
        let has = |status: &str| self.vips.iter().any(|vip| vip.status == status);
        match (has("MASTER"), has("BACKUP")) {
            _ if self.vips.is_empty() => "none",
            (true, false) => "master",
            (false, true) => "backup",
            _ => "mixed",
        }
    }
}

/// One firewall, as a look sees it.
pub(crate) struct Firewall {
    client: LookingClient,
    pub(crate) clock: Arc<dyn Clock>,
    redactor: Redactor,
    /// Whether the spelling before 25.7 was the last one that the key's privileges covered.
    camel: AtomicBool,
    /// The firewall's clock minus ours, by the `Date` of its last answer.
    skew_ms: AtomicI64,
    /// The parts that the key need not be able to read.
    skip: Vec<String>,
}

impl Firewall {
    pub(crate) fn new(
        client: LookingClient,
        clock: Arc<dyn Clock>,
        redactor: Redactor,
        skip: Vec<String>,
    ) -> Self {
        let (camel, skew_ms) = (AtomicBool::new(false), AtomicI64::new(0));
        Self { client, clock, redactor, camel, skew_ms, skip }
    }

    /// Whether the configuration says not to look at this part.
    pub(crate) fn skips(&self, part: &str) -> bool {
        self.skip.iter().any(|skipped| skipped == part)
    }

    /// How far the firewall's clock is ahead of ours, in milliseconds, to about a second.
    pub(crate) fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }

    /// The lines as one redacted excerpt of bounded size.
    pub(crate) fn excerpt(&self, lines: impl IntoIterator<Item = String>) -> String {
        let text = lines.into_iter().collect::<Vec<_>>().join("\n");
        let text = self.redactor.clean(&text);
        match text.char_indices().nth(EXCERPT_CHARS_MAX) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        }
    }

    /// The JSON answer to `request`, an object or a list, secrets dropped.
    ///
    /// `privilege` is what the key's user needs for it, for the message of a refusal.
    pub(crate) async fn send(
        &self,
        request: HttpRequest,
        privilege: &str,
    ) -> Result<Value, ProbeError> {
        let answer = self.client.send(request).await?;
        self.note_date(&answer);
        let mut value = read(&answer, privilege, &self.redactor)?;
        drop_secrets(&mut value);
        Ok(value)
    }

    pub(crate) async fn get(
        &self,
        path: &'static str,
        privilege: &str,
    ) -> Result<Value, ProbeError> {
        self.send(HttpRequest::get(UrlPath::fixed(path)), privilege).await
    }

    /// As [`Firewall::get`], in the spelling that the firewall's version holds the key to.
    pub(crate) async fn get_spelled(
        &self,
        path: Spelled,
        privilege: &str,
    ) -> Result<Value, ProbeError> {
        let camel = self.camel.load(Ordering::Relaxed);
        let (first, second) =
            if camel { (path.camel, path.snake) } else { (path.snake, path.camel) };
        let answer = self.client.get(UrlPath::fixed(first)).await?;
        if answer.status != StatusCode::FORBIDDEN {
            self.note_date(&answer);
            return read(&answer, privilege, &self.redactor);
        }
        let value = self.get(second, privilege).await?;
        self.camel.store(!camel, Ordering::Relaxed);
        Ok(value)
    }

    /// The rows of a grid. A grid without `rows` is no answer; one without any is for the caller
    /// to judge.
    pub(crate) async fn rows(
        &self,
        path: &'static str,
        privilege: &str,
    ) -> Result<Vec<Value>, ProbeError> {
        let value = self.get(path, privilege).await?;
        self.rows_of(path, value)
    }

    pub(crate) fn rows_of(&self, path: &str, mut value: Value) -> Result<Vec<Value>, ProbeError> {
        match value.get_mut("rows").map(Value::take) {
            Some(Value::Array(rows)) => Ok(rows),
            _ => Err(self.answer(path, "expected rows, got none: the back end gave no answer")),
        }
    }

    /// The error of an answer to `path` that is not what this firewall gives when it is well.
    pub(crate) fn answer(&self, path: &str, reason: impl Into<String>) -> ProbeError {
        ProbeError::answer(format!("{}{path}", self.client.target()), reason)
    }

    /// Every service that is enabled, with its status.
    ///
    /// An empty list is a failure: a firewall always runs some, and a dead back end (configd) makes
    /// the API answer 200 with no rows.
    pub(crate) async fn services(&self) -> Result<Vec<Service>, ProbeError> {
        const PATH: &str = "/api/core/service/search";
        let rows = self.rows(PATH, "Status: Services").await?;
        if rows.is_empty() {
            let reason = "no services at all: the back end (configd) gives no answer";
            return Err(self.answer(PATH, reason));
        }
        let service = |row: &Value| {
            Service::read(row).ok_or_else(|| {
                self.answer(PATH, "a row without name or without a running flag of 0 or 1")
            })
        };
        rows.iter().map(service).collect()
    }

    /// Interfaces and peers as the kernel has them now. Empty where WireGuard is not in use, which
    /// is believed only if the back end answers right after it.
    pub(crate) async fn tunnels(&self) -> Result<(Vec<Tunnel>, Vec<Peer>), ProbeError> {
        let found = self.tunnels_unconfirmed().await?;
        if found.0.is_empty() {
            self.services().await?;
        }
        Ok(found)
    }

    /// As [`Firewall::tunnels`], where none may also mean that the back end is dead.
    pub(crate) async fn tunnels_unconfirmed(&self) -> Result<(Vec<Tunnel>, Vec<Peer>), ProbeError> {
        const PATH: &str = "/api/wireguard/service/show";
        let rows = self.rows(PATH, "VPN: WireGuard: Status").await?;
        let (mut tunnels, mut peers) = (Vec::new(), Vec::new());
        for row in &rows {
            let read = match field(row, "type").as_str() {
                "interface" => Tunnel::read(row).map(|tunnel| tunnels.push(tunnel)),
                "peer" => Peer::read(row).map(|peer| peers.push(peer)),
                _ => None,
            };
            read.ok_or_else(|| self.answer(PATH, "a row that is neither interface nor peer"))?;
        }
        Ok((tunnels, peers))
    }

    /// The gateways in use, with their state.
    pub(crate) async fn gateways(&self) -> Result<Vec<Value>, ProbeError> {
        const PATH: &str = "/api/routing/settings/search_gateway";
        let mut rows = self.rows(PATH, "System: Gateways").await?;
        if rows.iter().any(|row| field(row, "name").is_empty() || field(row, "status").is_empty()) {
            return Err(self.answer(PATH, "a gateway without name or status"));
        }
        rows.retain(|row| flag(row, "disabled") != Some(true));
        Ok(rows)
    }

    pub(crate) async fn carp(&self) -> Result<Carp, ProbeError> {
        const PATH: &str = "/api/diagnostics/interface/get_vip_status";
        let value = self.get(PATH, "Interfaces: Virtual IPs: Status").await?;
        let carp = value.get("carp").cloned().unwrap_or_default();
        let demotion =
            int(&carp, "demotion").ok_or_else(|| self.answer(PATH, "no CARP state in it"))?;
        let maintenance = flag(&carp, "maintenancemode").unwrap_or(false);
        let rows = self.rows_of(PATH, value)?;
        let carp_rows = rows.iter().filter(|row| field(row, "mode") != "ipalias");
        let vips = carp_rows
            .map(|row| Vip {
                interface: field(row, "interface"),
                vhid: field(row, "vhid"),
                subnet: field(row, "subnet"),
                status: field(row, "status"),
            })
            .collect();
        Ok(Carp { vips, demotion, maintenance })
    }

    /// The system status, in the shape of 25.1 and later or in the one before.
    pub(crate) async fn status(&self) -> Result<SystemStatus, ProbeError> {
        const PATH: &str = "/api/core/system/status";
        let value = self.get(PATH, "System: Status").await?;
        let notice = |(name, item): (&String, &Value)| {
            let pending = !matches!(field(item, "status").as_str(), "OK" | "2" | "");
            pending.then(|| (name.to_lowercase(), field(item, "message")))
        };
        let (state, items) = match value.get("metadata") {
            Some(metadata) => (&metadata["system"]["status"], value.get("subsystems")),
            None => (&value["System"]["status"], Some(&value)),
        };
        let ok = match state {
            Value::Number(code) => code.as_i64() == Some(2),
            Value::String(word) => word == "OK",
            _ => return Err(self.answer(PATH, "no system status in it")),
        };
        let notices: Vec<_> = items
            .and_then(Value::as_object)
            .map(|items| {
                items.iter().filter(|(name, _)| *name != "System").filter_map(notice).collect()
            })
            .unwrap_or_default();
        let booting = notices.iter().any(|(name, _)| name == "systembooting");
        Ok(SystemStatus { ok, booting, notices })
    }

    /// Whether a firmware task (check, update, upgrade) runs now.
    pub(crate) async fn firmware_busy(&self) -> Result<bool, ProbeError> {
        const PATH: &str = "/api/core/firmware/running";
        let value = self.get(PATH, FIRMWARE_PRIVILEGE).await?;
        match field(&value, "status").as_str() {
            "ready" => Ok(false),
            "busy" => Ok(true),
            other => Err(self.answer(PATH, format!("expected ready or busy, got {other:?}"))),
        }
    }

    /// How long the firewall has been up.
    pub(crate) async fn uptime(&self) -> Result<Duration, ProbeError> {
        let value = self.get_spelled(TIME, DASHBOARD_PRIVILEGE).await?;
        parse_uptime(&field(&value, "uptime"))
            .ok_or_else(|| self.answer(TIME.snake, "no uptime in it"))
    }

    /// The lines of the log `scope` since `since` that hold all words of `phrase`, newest first, at
    /// most [`LOG_LINES_MAX`].
    pub(crate) async fn log(
        &self,
        scope: &'static str,
        phrase: &str,
        since: TimeMs,
    ) -> Result<Vec<LogLine>, ProbeError> {
        let path = UrlPath::new(&["api", "diagnostics", "log", "core", scope])?;
        let from = since.0.saturating_add(self.skew_ms()).max(0) / 1000;
        let body = json!({
            "current": 1, "rowCount": LOG_LINES_MAX, "searchPhrase": phrase,
            "severity": [], "sort": {}, "validFrom": from,
        });
        let request = HttpRequest::post_json(path.clone(), &body);
        let privilege = format!("the log {scope:?}");
        let value = self.send(request, &privilege).await?;
        let rows = self.rows_of(path.path(), value)?;
        let line = |row: &Value| LogLine {
            at: field(row, "timestamp"),
            scope: scope.to_owned(),
            severity: field(row, "severity"),
            process: field(row, "process_name"),
            text: field(row, "line"),
        };
        // The page may repeat its last row; a line twice says nothing more than a line once.
        Ok(rows.iter().take(LOG_LINES_MAX).map(line).collect())
    }

    fn note_date(&self, answer: &HttpResponse) {
        let date = answer.header("date");
        if let Some(at) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) {
            let ours = self.clock.now().0;
            let skew = at.timestamp().as_millisecond().saturating_sub(ours);
            // The header has whole seconds, so less than two say nothing.
            let skew = if skew.abs() < 2000 { 0 } else { skew };
            self.skew_ms.store(skew, Ordering::Relaxed);
        }
    }
}

pub(crate) const FIRMWARE_PRIVILEGE: &str = "System: Firmware";
pub(crate) const DASHBOARD_PRIVILEGE: &str = "Lobby: Dashboard";

/// The JSON of an answer, judged by its body as well as by its status.
pub(crate) fn read(
    answer: &HttpResponse,
    privilege: &str,
    redactor: &Redactor,
) -> Result<Value, ProbeError> {
    let denied = |reason: String| Err(ProbeError::Denied { target: answer.target.clone(), reason });
    match answer.status {
        StatusCode::UNAUTHORIZED => {
            return denied("the API key or its secret is not accepted (HTTP 401)".to_owned());
        }
        StatusCode::FORBIDDEN => {
            return denied(format!(
                "the key's user lacks the privilege for {privilege} (HTTP 403)"
            ));
        }
        _ => {}
    }
    let value = answer.json()?;
    match &value {
        Value::Object(fields) => match text(&value, "errorMessage") {
            Some(message) if fields.contains_key("errorMessage") => {
                let message = redactor.clean(&message);
                Err(ProbeError::answer(&answer.target, format!("the firewall says: {message}")))
            }
            _ => Ok(value),
        },
        Value::Array(_) => Ok(value),
        _ => Err(ProbeError::answer(&answer.target, "expected a JSON object, got a single value")),
    }
}

/// Removes what must never be kept or shown, wherever it stands in an answer.
fn drop_secrets(value: &mut Value) {
    const SECRET: &[&str] = &[
        "privkey",
        "psk",
        "prv",
        "prv_payload",
        "private-key",
        "preshared-key",
        "password",
        "secret",
        "apikeys",
        "shared_key",
        "tls_key",
    ];
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !SECRET.contains(&name.trim_start_matches('%')));
            fields.values_mut().for_each(drop_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_secrets),
        _ => {}
    }
}

/// Reads `12 days, 03:04:05`, `1 day, 03:04:05` and `03:04:05`.
fn parse_uptime(text: &str) -> Option<Duration> {
    let (days, clock) = match text.split_once(',') {
        Some((days, clock)) => (days.split_whitespace().next()?.parse::<u64>().ok()?, clock),
        None => (0, text),
    };
    let mut seconds = days.checked_mul(86_400)?;
    let mut parts = clock.trim().split(':');
    for unit in [3600, 60, 1] {
        seconds = seconds.checked_add(parts.next()?.parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    parts.next().is_none().then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes() {
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(parse_uptime(text), seconds.map(Duration::from_secs), "{text:?}");
        };
        check("12 days, 03:04:05", Some(12 * 86_400 + 3 * 3600 + 4 * 60 + 5));
        check("1 day, 00:00:01", Some(86_401));
        check("00:02:10", Some(130));
        check("", None);
        check("N/A", None);
        check("99999999999999999999 days, 00:00:00", None);
        check("1:2:3:4", None);
    }

    #[test]
    fn secrets_never_leave_the_client() {
        let mut value = json!({"rows": [{"name": "a", "privkey": "k", "%psk": "p",
            "deep": {"preshared-key": "q", "pubkey": "P"}}]});
        drop_secrets(&mut value);
        assert_eq!(value, json!({"rows": [{"name": "a", "deep": {"pubkey": "P"}}]}));
    }

    #[test]
    fn no_look_is_on_the_list_of_what_changes_something() {
        for allow in LOOKS {
            let last = allow.path.rsplit('/').find(|segment| *segment != "*").unwrap_or("");
            let changes = ["reconfigure", "restart", "toggle", "clear", "apply", "reboot", "add"];
            assert!(!changes.iter().any(|word| last.starts_with(word)), "{}", allow.path);
        }
    }
}
