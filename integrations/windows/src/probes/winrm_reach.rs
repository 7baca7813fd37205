//! How far a call gets: connection, WinRM, login, rights. Trouble on the way is its finding.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, ProbeError};
use serde_json::json;

use super::{Looked, evidence};
use crate::settings::Site;

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "winrm-reach",
        summary: "How far a call to the host gets: connection, WinRM, login, list of services",
        params: vec![],
        facts: vec![
            Field::new("connects", FieldType::Bool, "Something took the connection."),
            Field::new("answers", FieldType::Bool, "It is WinRM."),
            Field::new("logs_in", FieldType::Bool, "It accepts user and password."),
            Field::new("lists_services", FieldType::Bool, "And shows the services to them."),
            Field::new("trouble", FieldType::Text, "What went wrong first; or empty."),
        ],
        privilege: "",
    }
}

pub(super) fn look<'a>(site: &'a Site, _args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut trouble = String::new();
        let mut note = |error: &ProbeError| trouble = error.to_string();
        let identity = site.lookout.identify().await;
        let connects = match &identity {
            Ok(_) => true,
            Err(error) => {
                note(error);
                !matches!(error, ProbeError::Connect { .. } | ProbeError::Deadline { .. })
            }
        };
        let viewer = match &identity {
            Ok(_) => site.lookout.view().await.inspect_err(&mut note).ok(),
            Err(_) => None,
        };
        let logs_in = viewer.is_some();
        let services = match viewer {
            Some(mut viewer) => viewer.services().await.inspect_err(&mut note).ok(),
            None => None,
        };
        let answers = identity.is_ok();
        let facts = json!({
            "connects": connects,
            "answers": answers,
            "logs_in": logs_in,
            "lists_services": services.is_some(),
            "trouble": trouble,
        });
        let user = site.lookout.user();
        let summary = match (&identity, logs_in, &services) {
            (Err(_), ..) => format!("WinRM does not answer: {trouble}"),
            (Ok(_), false, _) => format!("WinRM answers and does not let {user} in: {trouble}"),
            (Ok(_), true, None) => format!("{user} is let in and sees nothing: {trouble}"),
            (Ok(_), true, Some(services)) => {
                format!("WinRM answers, and {user} sees {} services", services.len())
            }
        };
        let lines = match identity {
            Ok(identity) => {
                vec![site.lookout.target(), format!("{} {}", identity.vendor, identity.version)]
            }
            Err(_) => vec![site.lookout.target()],
        };
        Ok(evidence(facts, summary, site.lookout.excerpt(lines)))
    })
}
