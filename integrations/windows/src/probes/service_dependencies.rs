//! What the service needs and who needs it, with the state of each.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, evidence, list, name_param, require};
use crate::codes;
use crate::host::{Dependency, Service, State, same_name};
use crate::settings::Site;

pub(super) fn signature() -> ProbeSignature {
    let on = vec![
        Field::new("name", FieldType::Text, "Its name."),
        Field::new("state", FieldType::Text, "`Running`, `Stopped`, …; `Missing`."),
        Field::new("start_mode", FieldType::Text, "`Auto`, …; empty for a driver."),
        Field::new("code_text", FieldType::Text, "Its exit code in words; empty for a driver."),
        Field::new("driver", FieldType::Bool, "A driver, not a service."),
    ];
    let by = vec![
        Field::new("name", FieldType::Text, "Its name."),
        Field::new("state", FieldType::Text, "`Running`, `Stopped`, …"),
    ];
    ProbeSignature {
        name: "service-dependencies",
        summary: "The services and drivers that the service needs, and the services that need it",
        params: vec![name_param()],
        facts: vec![
            Field::new("needs", FieldType::records(on), "What it needs, directly."),
            Field::new("stopped", FieldType::texts(), "Needed services that are not running."),
            Field::new("stopped_drivers", FieldType::texts(), "Needed drivers that do not run."),
            Field::new("disabled", FieldType::texts(), "Needed services that are disabled."),
            Field::new("needed_by", FieldType::records(by), "Who needs it, also indirectly."),
            Field::new("running_dependents", FieldType::texts(), "Those of them that run."),
        ],
        privilege: "WMI root/cimv2, Service Control Manager: connect and enumerate",
    }
}

pub(super) fn look<'a>(site: &'a Site, args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut viewer = site.lookout.view().await?;
        let services = viewer.services().await?;
        let service = require(&services, args)?;
        let edges = viewer.dependencies().await?;
        let down_drivers = viewer.stopped_drivers().await?;
        let needed = needs(service, &edges);
        let (mut rows, mut stopped, mut drivers, mut disabled) = (vec![], vec![], vec![], vec![]);
        for edge in &needed {
            let found = services.iter().find(|other| other.is(&edge.on));
            let state = match found {
                Some(found) => found.state.as_str(),
                None if !edge.on_driver => "Missing",
                None if down_drivers.iter().any(|name| same_name(name, &edge.on)) => "Stopped",
                None => "Running",
            };
            if state == "Missing" {
                stopped.push(edge.on.clone());
            }
            if edge.on_driver && state == "Stopped" {
                drivers.push(edge.on.clone());
            }
            if let Some(found) = found {
                if found.state != State::Running {
                    stopped.push(found.name.clone());
                }
                if found.is_disabled() {
                    disabled.push(found.name.clone());
                }
            }
            rows.push(json!({
                "name": edge.on,
                "state": state,
                "start_mode": found.map_or("", |found| found.start_mode.as_str()),
                "code_text": found.map(|found| codes::explain(found.code())).unwrap_or_default(),
                "driver": edge.on_driver,
            }));
        }
        let dependents = dependents(service, &services, &edges);
        let running: Vec<String> = dependents
            .iter()
            .filter(|other| other.state == State::Running)
            .map(|other| other.name.clone())
            .collect();
        let by = dependents
            .iter()
            .map(|other| json!({ "name": other.name, "state": other.state.as_str() }));
        let facts = json!({
            "needs": rows,
            "stopped": stopped,
            "stopped_drivers": drivers,
            "disabled": disabled,
            "needed_by": by.collect::<Vec<_>>(),
            "running_dependents": running,
        });
        let down: Vec<String> = stopped.iter().chain(&drivers).cloned().collect();
        let needs = match (needed.len(), down.len()) {
            (0, _) => "needs no other service".to_owned(),
            (_, 0) => "all that it needs runs".to_owned(),
            (_, 1) => format!("needs {}, which does not run", list(&down)),
            (..) => format!("needs {}, which do not run", list(&down)),
        };
        let summary = match running.len() {
            0 => format!("{needs}; no running service needs it"),
            _ => format!("{needs}; needed by {}", list(&running)),
        };
        let lines = needed.iter().map(|edge| format!("needs {}", edge.on));
        let lines = lines.chain(dependents.iter().map(|d| format!("needed by {}", d.title())));
        Ok(evidence(facts, summary, site.lookout.excerpt(lines)))
    })
}

/// What `service` needs, directly.
pub(crate) fn needs<'a>(service: &Service, edges: &'a [Dependency]) -> Vec<&'a Dependency> {
    edges.iter().filter(|edge| service.is(&edge.by)).collect()
}

/// Who needs `service`, directly and not, the farthest first: the order to stop them in.
pub(crate) fn dependents<'a>(
    service: &Service,
    services: &'a [Service],
    edges: &[Dependency],
) -> Vec<&'a Service> {
    let mut found: Vec<&Service> = Vec::new();
    let mut next = vec![service.name.clone()];
    while let Some(name) = next.pop() {
        for edge in edges.iter().filter(|edge| same_name(&edge.on, &name)) {
            let Some(other) = services.iter().find(|other| other.is(&edge.by)) else { continue };
            if other.is(&service.name) {
                continue;
            }
            // Found again on a longer way, it moves behind: it must be stopped earlier.
            let known = found.iter().position(|found| found.name == other.name);
            if let Some(at) = known {
                let moved = found.remove(at);
                found.push(moved);
                continue;
            }
            found.push(other);
            next.push(other.name.clone());
        }
    }
    found.reverse();
    found
}
