//! What a command prints that the configuration allows.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, Param, ParamKind, ProbeSignature};
use paramedic_integration::{Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::evidence;
use crate::command::LookCommand;
use crate::host::{Host, describe};
use crate::journal;

/// How many lines are kept, the last ones.
const LINE_COUNT_MAX: usize = 200;
/// What a shell answers where it cannot run a program, and `sudo` likewise.
const CANNOT_RUN: [i32; 2] = [126, 127];

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "command",
        summary: "What a command prints that the configuration allows",
        params: vec![Param::required(
            "name",
            ParamKind::Token,
            "a name under the system's `commands`",
        )],
        facts: vec![
            Field::new("exit_code", FieldType::Int, "its exit code"),
            Field::new("line_count", FieldType::Int, "how many lines it printed"),
            Field::new(
                "lines",
                FieldType::texts(),
                "the last 200 of them, those of the standard error after the others",
            ),
        ],
        privilege: "what the command needs",
    }
}

pub(super) struct Command(pub(super) Arc<Host>);

impl Probe for Command {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let name = args.text("name");
            let words = self.0.command(name)?;
            let mut looking = self.0.open().await?;
            let finished = looking.run(LookCommand::Configured(words)).await?;
            let code = finished.code.filter(|code| !CANNOT_RUN.contains(code));
            let code = code.ok_or_else(|| looking.misread(describe(words, &finished)))?;
            let output = [finished.stdout.as_str(), finished.stderr.as_str()].join("\n");
            let lines: Vec<_> = journal::plain(&output).into_iter().map(|line| line.text).collect();
            let kept = &lines[lines.len().saturating_sub(LINE_COUNT_MAX)..];
            let last = kept.last().map_or("it printed nothing", String::as_str);
            let summary = format!("{name} ended with {code}: {}", crate::shorten(last));
            let facts = json!({ "exit_code": code, "line_count": lines.len(), "lines": kept });
            Ok(evidence(&self.0, facts, &summary, &kept.join("\n")))
        })
    }
}
