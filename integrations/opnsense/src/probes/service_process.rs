//! Whether a process of the service lives, whatever its pid file says.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::{Value, json};

use super::{Looked, evidence};
use crate::client::Firewall;
use crate::json::{field, leading_number};
use crate::services::{Aim, known};

pub(super) fn signature() -> ProbeSignature {
    let process = || {
        FieldType::records(vec![
            Field::new("pid", FieldType::Int, "The process id."),
            Field::new("command", FieldType::Text, "The command."),
            Field::new("cpu_pct", FieldType::Float, "Share of one processor, in percent."),
        ])
    };
    ProbeSignature {
        name: "service-process",
        summary: "Whether a process of the service lives, and which processes use the processor",
        params: Aim::params(),
        facts: vec![
            Field::new("alive", FieldType::Bool, "A process of this service lives."),
            Field::new("processes", process(), "Those of this service."),
            Field::new("busiest", process(), "The five that use most of the processor."),
        ],
        privilege: "Diagnostics: System Activity",
    }
}

struct Process {
    pid: i64,
    command: String,
    cpu_pct: f64,
}

pub(super) fn look<'a>(firewall: &'a Firewall, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        const PATH: &str = "/api/diagnostics/activity/get_activity";
        const SHOWN: usize = 5;
        let value = firewall.get(PATH, "Diagnostics: System Activity").await?;
        let details = value.get("details").and_then(Value::as_array);
        let details = details
            .filter(|details| !details.is_empty())
            .ok_or_else(|| firewall.answer(PATH, "expected processes, got none"))?;
        let mut all: Vec<Process> = Vec::new();
        for row in details {
            let Ok(pid) = field(row, "PID").parse() else { continue };
            let cpu_pct = leading_number(&field(row, "WCPU")).unwrap_or(0.0);
            // One row per thread: the first stands for the process.
            match all.iter_mut().find(|process| process.pid == pid) {
                Some(process) => process.cpu_pct += cpu_pct,
                None => {
                    all.push(Process { pid, command: command(&field(row, "COMMAND")), cpu_pct })
                }
            }
        }
        let name = Aim::of(args).name;
        let wanted = known(name).commands(name);
        let own: Vec<&Process> =
            all.iter().filter(|p| wanted.contains(&p.command.as_str())).collect();
        let mut busiest: Vec<&Process> = all.iter().filter(|p| p.command != "idle").collect();
        busiest.sort_by(|a, b| b.cpu_pct.total_cmp(&a.cpu_pct));
        busiest.truncate(SHOWN);
        let summary = match own.as_slice() {
            [] => "no process of it lives".to_owned(),
            [process, ..] => format!("process {} ({}) lives", process.pid, process.command),
        };
        let facts = |list: &[&Process]| -> Value {
            list.iter()
                .map(|p| json!({ "pid": p.pid, "command": p.command, "cpu_pct": p.cpu_pct }))
                .collect()
        };
        let lines = own.iter().chain(&busiest);
        let lines = lines.map(|p| format!("{:>6} {:>5.1} % {}", p.pid, p.cpu_pct, p.command));
        let excerpt = firewall.excerpt(lines);
        let facts = json!({
            "alive": !own.is_empty(), "processes": facts(&own), "busiest": facts(&busiest),
        });
        Ok(evidence(facts, summary, excerpt))
    })
}

/// The name of the program in a column of `top`: `[idle{idle: cpu0}]`,
/// `/usr/local/sbin/unbound -c …`, `unbound{unbound}`.
fn command(column: &str) -> String {
    let bare = column.trim().trim_start_matches('[').trim_end_matches(']');
    let program = bare.split(['{', ' ', '\t']).next().unwrap_or("");
    program.rsplit('/').next().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_program_of_a_column() {
        assert_eq!(command("[idle{idle: cpu0}]"), "idle");
        assert_eq!(command("/usr/local/sbin/unbound -c /var/unbound/unbound.conf"), "unbound");
        assert_eq!(command("unbound{unbound}"), "unbound");
        assert_eq!(command(""), "");
    }
}
