//! Memory, processor and disks of the host, read now: the exporter's disk values lag by minutes.

use paramedic_catalog::{Args, Field, FieldType, ProbeSignature};
use paramedic_integration::Look;
use serde_json::json;

use super::{Looked, evidence, list, percent};
use crate::settings::Site;

/// Below this share of free memory or commit, in percent, starts fail for want of it.
const SCARCE_PERCENT: u64 = 4;
/// From this load on a start may time out.
const BUSY_PERCENT: u64 = 95;

pub(super) fn signature() -> ProbeSignature {
    let volume = vec![
        Field::new("volume", FieldType::Text, "`C:`."),
        Field::new("free_bytes", FieldType::Int, "Bytes that are free."),
        Field::new("free_percent", FieldType::Int, "The same as a share."),
    ];
    ProbeSignature {
        name: "host-resources",
        summary: "Free memory, commit, processor load and free space of the local disks",
        params: vec![],
        facts: vec![
            Field::new("memory_free_percent", FieldType::Int, "Physical memory that is free."),
            Field::new("commit_free_percent", FieldType::Int, "Memory that can be promised."),
            Field::new("memory_low", FieldType::Bool, "One of the two is nearly used up."),
            Field::new("cpu_percent", FieldType::Int.or_null(), "Load of the busiest processor."),
            Field::new("cpu_busy", FieldType::Bool, "That is 95 or more."),
            Field::new("volumes", FieldType::records(volume), "The local disks."),
            Field::new("full_volumes", FieldType::texts(), "Those with next to nothing left."),
            Field::new("disk_full", FieldType::Bool, "There is one."),
        ],
        privilege: "WMI root/cimv2",
    }
}

pub(super) fn look<'a>(site: &'a Site, _args: &'a Args, _look: Look) -> Looked<'a> {
    Box::pin(async move {
        let mut viewer = site.lookout.view().await?;
        let os = viewer.operating_system().await?;
        let disks = viewer.disks().await?;
        let cpu = viewer.processor_load().await?;
        let memory = percent(os.memory_free_bytes, os.memory_bytes);
        let commit = percent(os.commit_free_bytes, os.commit_limit_bytes);
        let memory_low = memory < SCARCE_PERCENT || commit < SCARCE_PERCENT;
        let full: Vec<String> =
            disks.iter().filter(|d| d.is_full()).map(|d| d.volume.clone()).collect();
        let volumes: Vec<_> = disks
            .iter()
            .map(|disk| {
                json!({
                    "volume": disk.volume,
                    "free_bytes": disk.free_bytes,
                    "free_percent": percent(disk.free_bytes, disk.size_bytes),
                })
            })
            .collect();
        let facts = json!({
            "memory_free_percent": memory,
            "commit_free_percent": commit,
            "memory_low": memory_low,
            "cpu_percent": cpu,
            "cpu_busy": cpu.is_some_and(|load| load >= BUSY_PERCENT),
            "volumes": volumes,
            "full_volumes": full,
            "disk_full": !full.is_empty(),
        });
        let mut summary = format!("memory {memory} % free, commit {commit} % free");
        if let Some(cpu) = cpu {
            summary.push_str(&format!(", processor at {cpu} %"));
        }
        if full.is_empty() {
            summary.push_str(", no disk full");
        } else {
            summary.push_str(&format!(", full: {}", list(&full)));
        }
        let lines = disks.iter().map(|disk| {
            format!("{} {} of {} bytes free", disk.volume, disk.free_bytes, disk.size_bytes)
        });
        Ok(evidence(facts, summary, site.lookout.excerpt(lines)))
    })
}
