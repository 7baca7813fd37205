//! Which programs listen on TCP ports of the host.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, Param, ParamKind, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::evidence;
use crate::command::LookCommand;
use crate::host::Host;

pub(super) fn signature() -> ProbeSignature {
    let listener = vec![
        Field::new("address", FieldType::Text, "the local address: `*`, `0.0.0.0`, `[::1]`"),
        Field::new("port", FieldType::Int, "the port"),
        Field::new(
            "program",
            FieldType::Text.or_null(),
            "the program; null where the login may not see it",
        ),
        Field::new("pid", FieldType::Int.or_null(), "its process; null likewise"),
    ];
    ProbeSignature {
        name: "listeners",
        summary: "Which programs listen on TCP ports of the host",
        params: vec![Param::optional(
            "port",
            ParamKind::Integer { min: 1, max: 65_535 },
            "only this port",
        )],
        facts: vec![
            Field::new("count", FieldType::Int, "how many listen"),
            Field::new("listeners", FieldType::records(listener), "who listens where"),
        ],
        privilege: "none; the programs of other users show to root only",
    }
}

pub(super) struct Listeners(pub(super) Arc<Host>);

impl Probe for Listeners {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let mut looking = self.0.open().await?;
            let text = looking.read(LookCommand::Listeners).await?;
            let mut listeners = Vec::new();
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let listener = Listener::parse(line).ok_or_else(|| {
                    let shown = crate::shorten(line);
                    looking.misread(format!("expected a line of `ss -ltnp`, got {shown:?}"))
                })?;
                listeners.push(listener);
            }
            let port = args.integer("port");
            listeners.retain(|listener| port.is_none_or(|port| listener.port == port));
            let named: Vec<_> = listeners.iter().map(Listener::describe).collect();
            let summary = match (port, named.is_empty()) {
                (Some(port), true) => format!("nothing listens on port {port}"),
                (Some(port), false) => format!("port {port}: {}", named.join(", ")),
                (None, _) => format!("{} listeners", named.len()),
            };
            let facts = json!({
                "count": listeners.len(),
                "listeners": listeners.iter().map(|listener| json!({
                    "address": listener.address,
                    "port": listener.port,
                    "program": listener.program,
                    "pid": listener.pid,
                })).collect::<Vec<_>>(),
            });
            Ok(evidence(&self.0, facts, &summary, &named.join("\n")))
        })
    }
}

#[derive(Debug, PartialEq)]
struct Listener {
    address: String,
    port: i64,
    program: Option<String>,
    pid: Option<i64>,
}

impl Listener {
    /// Reads `LISTEN 0 4096 *:80 *:* users:(("traefik",pid=812,fd=7))`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        if words.next() != Some("LISTEN") {
            return None;
        }
        let (address, port) = words.nth(2)?.rsplit_once(':')?;
        let users = line.split_once("users:((").map(|(_, users)| users);
        let program = users.and_then(|users| users.strip_prefix('"')?.split('"').next());
        let pid = users.and_then(|users| users.split_once("pid=")?.1.split([',', ')']).next());
        Some(Self {
            address: address.to_owned(),
            port: port.parse().ok()?,
            program: program.map(str::to_owned),
            pid: pid.and_then(|pid| pid.parse().ok()),
        })
    }

    fn describe(&self) -> String {
        let program = self.program.as_deref().unwrap_or("a program that the login may not see");
        let pid = self.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        format!("{program}{pid} on {}:{}", self.address, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ss_are_read() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(Listener::parse(line).map(|l| l.describe()).as_deref(), expected, "{line}");
        };
        check(
            r#"LISTEN 0      4096      *:80     *:*    users:(("traefik",pid=812,fd=7))"#,
            Some("traefik (pid 812) on *:80"),
        );
        check(
            "LISTEN 0 128 [::1]:631 [::]:*",
            Some("a program that the login may not see on [::1]:631"),
        );
        check(
            r#"LISTEN 0 511 127.0.0.1%lo:53 0.0.0.0:* users:(("a",pid=1,fd=3),("b",pid=2,fd=3))"#,
            Some("a (pid 1) on 127.0.0.1%lo:53"),
        );
        for line in ["State Recv-Q", "LISTEN 0", "LISTEN 0 1 *:x *:*", "<html>"] {
            check(line, None);
        }
    }
}
