//! Who listens on the port that the service serves.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, evidence, list, name_param, require};
use crate::host::same_name;
use crate::settings::Site;

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "port-owner",
        summary: "Who listens on the TCP port that the setting `ports` names for the service",
        params: vec![name_param()],
        facts: vec![
            Field::new("configured", FieldType::Bool, "The setting names a port for it."),
            Field::new("port", FieldType::Int, "That port; 0 for none."),
            Field::new("held", FieldType::Bool, "Somebody listens on it."),
            Field::new("held_by_other", FieldType::Bool, "And it is not the service."),
            Field::new("pid", FieldType::Int, "Who; 0 for nobody."),
            Field::new("process", FieldType::Text, "The program of that process; or empty."),
            Field::new("services", FieldType::texts(), "The services in that process."),
        ],
        privilege: "WMI root/cimv2 and root/StandardCimv2",
    }
}

pub(super) fn look<'a>(site: &'a Site, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut viewer = site.lookout.view().await?;
        let services = viewer.services().await?;
        let service = require(&services, args)?;
        let port = site.ports.iter().find(|(name, _)| same_name(name, &service.name));
        let Some((_, port)) = port else {
            let facts = json!({
                "configured": false, "port": 0, "held": false, "held_by_other": false,
                "pid": 0, "process": "", "services": [],
            });
            let summary = "the setting `ports` names no port for this service";
            return Ok(evidence(facts, summary, String::new()));
        };
        let listeners = viewer.listeners().await?;
        let found = listeners.iter().find(|listener| listener.port == *port);
        let pid = found.map_or(0, |listener| listener.pid);
        let processes = viewer.processes().await?;
        let process = processes.iter().find(|process| pid > 0 && process.pid == pid);
        let process = process.map_or("", |process| process.name.as_str());
        let of_process: Vec<String> = services
            .iter()
            .filter(|other| pid > 0 && other.pid == pid)
            .map(|other| other.name.clone())
            .collect();
        let by_other = found.is_some() && pid != service.pid;
        let facts = json!({
            "configured": true,
            "port": port,
            "held": found.is_some(),
            "held_by_other": by_other,
            "pid": pid,
            "process": process,
            "services": of_process,
        });
        let summary = match found {
            None => format!("nobody listens on port {port}"),
            Some(_) if !by_other => format!("the service itself listens on port {port}"),
            Some(_) if of_process.is_empty() => {
                format!("port {port} is held by {process}, process {pid}")
            }
            Some(_) => {
                let of_process = list(&of_process);
                format!("port {port} is held by {process}, process {pid} of {of_process}")
            }
        };
        let lines = found.map(|listener| format!("{}:{port} {pid} {process}", listener.address));
        Ok(evidence(facts, summary, site.lookout.excerpt(lines)))
    })
}
