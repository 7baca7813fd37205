//! Whether a service answers HTTP on its own host.
//!
//! From here a process that hangs and a firewall that drops look the same. Only the host itself can
//! tell them apart, and only one of the two is helped by a restart.

use std::sync::Arc;

use paramedic_catalog::{Args, Evidence, Field, FieldType, ProbeSignature};
use paramedic_integration::{Finished, Look, Probe, ProbeError};
use paramedic_model::BoxFuture;
use serde_json::json;

use super::{evidence, service_param};
use crate::command::LookCommand;
use crate::host::{Host, describe};

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "service-answer",
        summary: "Whether a service answers HTTP on its own host",
        params: vec![service_param()],
        facts: vec![
            Field::new("url", FieldType::Text, "what the host asked"),
            Field::new("answers", FieldType::Bool, "an HTTP answer came, whatever its status"),
            Field::new("status", FieldType::Int.or_null(), "its status"),
            Field::new(
                "failure",
                FieldType::Text,
                "`refused`, `timeout`, `other`, or empty where it answers",
            ),
        ],
        privilege: "curl on the host",
    }
}

/// What a host was answered.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Status(u16),
    Refused,
    Timeout,
    Other,
}

/// Judges what curl left; `None` where it tells nothing of the service.
fn judge(finished: &Finished) -> Option<Answer> {
    // The exit codes stand in curl(1). Those below 5 and above 63 are about curl itself.
    match finished.code? {
        0 => {
            let status = finished.stdout.lines().next()?.split_whitespace().nth(1)?;
            status.parse().ok().map(Answer::Status)
        }
        7 => Some(Answer::Refused),
        28 => Some(Answer::Timeout),
        // TLS that fails, an empty answer, a connection that breaks, an answer that is none.
        8 | 18 | 35 | 52 | 55 | 56 => Some(Answer::Other),
        _ => None,
    }
}

pub(super) struct ServiceAnswer(pub(super) Arc<Host>);

impl Probe for ServiceAnswer {
    fn look<'a>(
        &'a self,
        args: &'a Args,
        _look: Look,
    ) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async move {
            let name = args.text("service");
            let command = LookCommand::Fetch(self.0.local_url(name)?);
            let url = self.0.local_url(name)?.as_str();
            let mut looking = self.0.open().await?;
            let finished = looking.run(command).await?;
            let answer = judge(&finished)
                .ok_or_else(|| looking.misread(describe(&command.words(), &finished)))?;
            let (status, failure, how) = match answer {
                Answer::Status(status) => (Some(status), "", format!("answers {status}")),
                Answer::Refused => (None, "refused", "takes no connection".to_owned()),
                Answer::Timeout => (None, "timeout", "does not answer".to_owned()),
                Answer::Other => (None, "other", "answers no HTTP".to_owned()),
            };
            let facts = json!({
                "url": url, "answers": status.is_some(), "status": status, "failure": failure,
            });
            let summary = format!("asked on its own host, {name} {how}");
            Ok(evidence(&self.0, facts, &summary, &[finished.stdout, finished.stderr].concat()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_curl_leaves_is_judged() {
        let check = |code: Option<i32>, stdout: &str, expected: Option<Answer>| {
            let finished = Finished { code, stdout: stdout.to_owned(), stderr: String::new() };
            assert_eq!(judge(&finished), expected, "{code:?} {stdout:?}");
        };
        check(Some(0), "HTTP/1.1 302 Found\r\nlocation: /nodes\r\n", Some(Answer::Status(302)));
        check(Some(0), "HTTP/2 200 \r\n", Some(Answer::Status(200)));
        check(Some(7), "", Some(Answer::Refused));
        check(Some(28), "", Some(Answer::Timeout));
        check(Some(52), "", Some(Answer::Other));
        // Not there, not allowed, killed, a URL that curl cannot read: nobody could look.
        for code in [Some(127), Some(126), None, Some(3), Some(6)] {
            check(code, "", None);
        }
        check(Some(0), "", None);
        check(Some(0), "<html>", None);
    }
}
