//! What changed on the host: boot, updates, installers, new services, start modes.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, begin, count, evidence, list, since_param};
use crate::history::{self, SCM};
use crate::host::{Log, Service, State};
use crate::settings::Site;

/// For so long after a boot, services are still being started: delayed ones come two minutes after
/// the others, one after the other.
pub(crate) const STARTING_UP_S: u64 = 900;
/// The services that run while something is being installed.
const INSTALLERS: [&str; 2] = ["TrustedInstaller", "msiserver"];
/// Service installed, start mode changed.
const CHANGES: [u64; 2] = [7045, 7040];

pub(super) fn signature() -> ProbeSignature {
    ProbeSignature {
        name: "recent-changes",
        summary: "When the host booted, updates, pending restarts, installers at work, and \
                  services that were added or changed",
        params: vec![since_param()],
        facts: vec![
            Field::new("uptime_s", FieldType::Int, "Seconds since the boot."),
            Field::new("starting_up", FieldType::Bool, "Less than a quarter of an hour."),
            Field::new("installers", FieldType::texts(), "Installer services that run now."),
            Field::new("installing", FieldType::Bool, "There is one."),
            Field::new("reboot_pending", FieldType::Bool, "An update waits for a restart."),
            Field::new("files_pending", FieldType::Bool, "Files are replaced at the next start."),
            Field::new("changed", FieldType::texts(), "Services added or changed, newest first."),
            Field::new("hotfixes", FieldType::texts(), "The latest updates, with their dates."),
        ],
        privilege: "WMI root/cimv2 and root/default, Event Log Readers",
    }
}

pub(super) fn look<'a>(site: &'a Site, args: &'a Args, look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut viewer = site.lookout.view().await?;
        let os = viewer.operating_system().await?;
        let uptime_s = os.now.since(os.booted).as_secs();
        let services = viewer.services().await?;
        let installers = installers(&services);
        let reboot = viewer.pending_reboot().await?;
        let events = viewer.events(Log::System, begin(args, look)).await?;
        let changed: Vec<String> = events
            .iter()
            .filter(|event| event.source == SCM && CHANGES.contains(&event.code))
            .map(history::line)
            .collect();
        let hotfixes = viewer.hotfixes().await?;
        let mut hotfixes: Vec<(String, String)> =
            hotfixes.into_iter().map(|fix| (sortable(&fix.installed_on), fix.id)).collect();
        hotfixes.sort_by(|a, b| b.cmp(a));
        const SHOWN: usize = 5;
        let hotfixes: Vec<String> =
            hotfixes.into_iter().take(SHOWN).map(|(on, id)| format!("{on} {id}")).collect();
        let facts = json!({
            "uptime_s": uptime_s,
            "starting_up": uptime_s < STARTING_UP_S,
            "installers": installers,
            "installing": !installers.is_empty(),
            "reboot_pending": reboot.is_update(),
            "files_pending": reboot.files,
            "changed": changed,
            "hotfixes": hotfixes,
        });
        let mut parts = vec![match uptime_s {
            0..STARTING_UP_S => format!("booted {uptime_s} s ago"),
            _ => format!("up for {} h", uptime_s / 3600),
        }];
        if !installers.is_empty() {
            parts.push(format!("{} at work", list(&installers)));
        }
        if reboot.is_update() {
            parts.push("an update waits for a restart".to_owned());
        }
        parts.push(count(changed.len(), "changed service"));
        let lines = changed.iter().chain(&hotfixes).cloned();
        Ok(evidence(facts, parts.join("; "), site.lookout.excerpt(lines)))
    })
}

/// The installer services that run.
pub(crate) fn installers(services: &[Service]) -> Vec<String> {
    let runs = |name: &str| {
        services.iter().any(|service| service.is(name) && service.state != State::Stopped)
    };
    INSTALLERS.into_iter().filter(|name| runs(name)).map(str::to_owned).collect()
}

/// `11/20/2026` as `2026-11-20`; other forms as they are.
fn sortable(date: &str) -> String {
    let parts: Vec<&str> = date.split('/').collect();
    match parts.as_slice() {
        [month, day, year] => format!("{year}-{month:0>2}-{day:0>2}"),
        _ => date.to_owned(),
    }
}
