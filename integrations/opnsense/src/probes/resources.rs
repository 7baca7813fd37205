//! Memory, swap, disks and load.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::{Look, ProbeError};
use serde_json::{Value, json};

use super::{Looked, evidence};
use crate::client::{DASHBOARD_PRIVILEGE, DISK, Firewall, RESOURCES, SWAP, TIME};
use crate::json::{field, int};

/// A disk as full as this lets services fail.
const FULL_PCT: i64 = 95;

pub(super) fn signature() -> ProbeSignature {
    let disk = vec![
        Field::new("mountpoint", FieldType::Text, "Where it is mounted."),
        Field::new("type", FieldType::Text, "`zfs`, `ufs`, `tmpfs`, …"),
        Field::new("used_pct", FieldType::Int, "How full, in percent."),
    ];
    ProbeSignature {
        name: "resources",
        summary: "Memory, swap, disks and load of the firewall",
        params: vec![],
        facts: vec![
            Field::new("memory_used_pct", FieldType::Int, "Of the memory, in percent."),
            Field::new("swap_used_pct", FieldType::Int, "Of the swap, in percent; 0 without any."),
            Field::new("disks", FieldType::records(disk), "The mounted disks."),
            Field::new("full", FieldType::Text, "The mount point that is full, or empty."),
            Field::new("disk_full", FieldType::Bool, "A disk is at least 95 % full."),
            Field::new("log_disk_full", FieldType::Bool, "It is a RAM disk for logs."),
            Field::new("load_1m", FieldType::Float, "The load of the last minute."),
        ],
        privilege: DASHBOARD_PRIVILEGE,
    }
}

pub(crate) struct Disk {
    pub(crate) mountpoint: String,
    kind: String,
    pub(crate) used_pct: i64,
}

async fn disks(firewall: &Firewall) -> Result<Vec<Disk>, ProbeError> {
    let value = firewall.get_spelled(DISK, DASHBOARD_PRIVILEGE).await?;
    let devices = value.get("devices").and_then(Value::as_array);
    let devices = devices
        .filter(|devices| !devices.is_empty())
        .ok_or_else(|| firewall.answer(DISK_PATH, "expected disks, got none"))?;
    let disk = |row: &Value| {
        Some(Disk {
            mountpoint: field(row, "mountpoint"),
            kind: field(row, "type"),
            used_pct: int(row, "used_pct")?,
        })
    };
    let read: Option<Vec<_>> = devices.iter().map(disk).collect();
    read.ok_or_else(|| firewall.answer(DISK_PATH, "a disk without used_pct"))
}

const DISK_PATH: &str = "/api/diagnostics/system/system_disk";

/// The fullest disk, where it is so full that services fail.
pub(crate) async fn full_disk(firewall: &Firewall) -> Result<Option<Disk>, ProbeError> {
    Ok(fullest(disks(firewall).await?))
}

fn fullest(disks: Vec<Disk>) -> Option<Disk> {
    let full = disks.into_iter().filter(|disk| disk.used_pct >= FULL_PCT);
    full.max_by_key(|disk| disk.used_pct)
}

pub(super) fn look<'a>(firewall: &'a Firewall, _args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let memory = firewall.get_spelled(RESOURCES, DASHBOARD_PRIVILEGE).await?;
        let memory_pct = percent(&memory["memory"]).ok_or_else(|| {
            firewall.answer("/api/diagnostics/system/system_resources", "no memory figures in it")
        })?;
        let swap = firewall.get_spelled(SWAP, DASHBOARD_PRIVILEGE).await?;
        let swap_pct = swap["swap"].as_array().into_iter().flatten().filter_map(percent).max();
        let swap_pct = swap_pct.unwrap_or(0);
        let time = firewall.get_spelled(TIME, DASHBOARD_PRIVILEGE).await?;
        let load = field(&time, "loadavg");
        let load: Option<f64> = load.split(',').next().and_then(|text| text.trim().parse().ok());
        let load = load.ok_or_else(|| {
            firewall.answer("/api/diagnostics/system/system_time", "no load in it")
        })?;
        let disks = disks(firewall).await?;
        let list: Vec<Value> = disks
            .iter()
            .map(|d| json!({ "mountpoint": d.mountpoint, "type": d.kind, "used_pct": d.used_pct }))
            .collect();
        let lines: Vec<_> = disks
            .iter()
            .map(|d| format!("{} % {} ({})", d.used_pct, d.mountpoint, d.kind))
            .collect();
        let full = fullest(disks);
        let disk_text = match &full {
            Some(disk) => format!("{} is {} % full", disk.mountpoint, disk.used_pct),
            None => "disks have room".to_owned(),
        };
        let summary =
            format!("{disk_text}; memory {memory_pct} %, swap {swap_pct} %, load {load:.2}");
        let log_disk =
            |disk: &Disk| disk.kind == "tmpfs" && disk.mountpoint.starts_with("/var/log");
        let facts = json!({
            "memory_used_pct": memory_pct,
            "swap_used_pct": swap_pct,
            "disks": list,
            "full": full.as_ref().map_or("", |disk| disk.mountpoint.as_str()),
            "disk_full": full.is_some(),
            "log_disk_full": full.as_ref().is_some_and(log_disk),
            "load_1m": load,
        });
        Ok(evidence(facts, summary, firewall.excerpt(lines)))
    })
}

/// `used` of `total` in percent. A dead back end says `N/A`.
fn percent(value: &Value) -> Option<i64> {
    let (used, total) = (int(value, "used")?, int(value, "total")?);
    (total > 0).then(|| (i128::from(used) * 100 / i128::from(total)) as i64)
}
