//! What each path of a simulated firewall answers.

use paramedic_model::TimeMs;
use serde_json::{Value, json};

use super::Release;
use super::api::civil;
use super::state::{Service, State, Trouble};
use super::{jobs, wireguard};

/// What a path answers.
pub(super) enum Answer {
    Json(Value),
    /// HTTP 200 without a body.
    Empty,
    /// HTTP 500 with this message.
    Error(&'static str),
}

/// What was asked.
pub(super) struct Asked {
    pub(super) post: bool,
    pub(super) params: Vec<String>,
    pub(super) query: String,
    pub(super) body: Value,
}

/// What a path answers while the back end is dead, after a wait.
pub(super) enum Dead {
    /// The web server answers by itself.
    Unaffected,
    Rows,
    List,
    Empty,
    Error,
    Ok,
}

/// One path of the API.
pub(super) struct Route {
    /// `module/controller/action`.
    pub(super) path: &'static str,
    /// How many parameters must follow.
    pub(super) params: usize,
    pub(super) dead: Dead,
    pub(super) answer: fn(&mut State, &Asked) -> Answer,
}

const fn route(
    path: &'static str,
    params: usize,
    dead: Dead,
    answer: fn(&mut State, &Asked) -> Answer,
) -> Route {
    Route { path, params, dead, answer }
}

/// Every path that a simulated firewall has.
pub(super) const ROUTES: &[Route] = &[
    route("core/service/search", 0, Dead::Rows, services),
    route("core/service/start", 1, Dead::Ok, |state, asked| request(state, asked, "start")),
    route("core/service/stop", 1, Dead::Ok, |state, asked| request(state, asked, "stop")),
    route("core/service/restart", 1, Dead::Ok, |state, asked| request(state, asked, "restart")),
    route("core/system/status", 0, Dead::Unaffected, status),
    route("core/firmware/running", 0, Dead::Empty, |state, _| {
        let busy = if state.update.is_some() { "busy" } else { "ready" };
        Answer::Json(json!({ "status": busy }))
    }),
    route("core/firmware/status", 0, Dead::Error, firmware),
    route("core/firmware/upgradestatus", 0, Dead::Error, |state, _| {
        Answer::Json(if state.update.is_some() {
            json!({ "status": "running", "log": "***GOT REQUEST TO UPDATE***\nUpdating OPNsense" })
        } else {
            json!({ "status": "done", "log": "***GOT REQUEST TO UPDATE***\n***DONE***" })
        })
    }),
    route("core/hasync_status/services", 0, Dead::Rows, partner_services),
    route("core/backup/backups", 1, Dead::Unaffected, backups),
    route("core/backup/diff", 3, Dead::List, diff),
    route("wireguard/service/show", 0, Dead::Rows, wireguard::show),
    // The script is started without an instance, skips all work, and answers so.
    route("wireguard/service/restart", 0, Dead::Ok, |_, asked| {
        Answer::Json(json!({ "response": if asked.post { json!("OK") } else { json!([]) } }))
    }),
    route("wireguard/service/status", 0, Dead::Unaffected, |_, _| {
        Answer::Json(json!({ "status": "unknown" }))
    }),
    route("wireguard/service/reconfigure", 0, Dead::Ok, |state, asked| {
        reconfigure(state, asked, "wireguard", json!({ "result": "ok" }))
    }),
    route("wireguard/general/get", 0, Dead::Unaffected, |_, _| {
        Answer::Json(json!({ "general": { "enabled": "1" } }))
    }),
    route("wireguard/server/search_server", 0, Dead::Unaffected, wireguard::servers),
    route("wireguard/client/search_client", 0, Dead::Unaffected, wireguard::clients),
    route("unbound/service/status", 0, Dead::Unaffected, |s, _| module_status(s, "unbound")),
    route("kea/service/status", 0, Dead::Unaffected, |s, _| module_status(s, "kea-dhcp")),
    route("quagga/service/status", 0, Dead::Unaffected, |s, _| module_status(s, "frr")),
    route("syslog/service/status", 0, Dead::Unaffected, |s, _| module_status(s, "syslog-ng")),
    route("unbound/service/reconfigure", 0, Dead::Ok, |state, asked| {
        reconfigure(state, asked, "unbound", json!({ "status": "ok" }))
    }),
    route("kea/service/reconfigure", 0, Dead::Ok, |state, asked| {
        reconfigure(state, asked, "kea", json!({ "status": "ok" }))
    }),
    route("routing/settings/search_gateway", 0, Dead::Rows, gateways),
    route("interfaces/overview/interfaces_info", 0, Dead::Rows, interfaces),
    route("firewall/filter/search_rule", 0, Dead::Unaffected, rules),
    route("diagnostics/log", 2, Dead::List, log),
    route("diagnostics/firewall/log", 0, Dead::List, firewall_log),
    route("diagnostics/activity/get_activity", 0, Dead::Empty, activity),
    route("diagnostics/interface/get_vip_status", 0, Dead::Rows, vips),
    route("diagnostics/interface/get_socket_statistics", 0, Dead::List, sockets),
    route("diagnostics/system/system_resources", 0, Dead::Unaffected, |state, _| {
        let memory = if state.back_end_dead {
            json!({ "used": "N/A" })
        } else {
            let used = 17_023_471_616_i64 / 100 * state.memory_pct;
            json!({ "total": "17023471616", "total_frmt": "16234", "used": used,
                    "used_frmt": (used >> 20).to_string() })
        };
        Answer::Json(json!({ "memory": memory }))
    }),
    route("diagnostics/system/system_disk", 0, Dead::List, |state, _| {
        Answer::Json(json!({ "devices": [
            { "device": "zroot/ROOT/default", "type": "zfs", "blocks": "53G", "used": "4.1G",
              "available": "49G", "used_pct": state.disk_pct, "mountpoint": "/" },
            { "device": "tmpfs", "type": "tmpfs", "blocks": "2.0G", "used": "12M",
              "available": "2.0G", "used_pct": 1, "mountpoint": "/tmp" },
        ] }))
    }),
    route("diagnostics/system/system_swap", 0, Dead::List, |state, _| {
        let used = 2_097_152 / 100 * state.swap_pct;
        Answer::Json(json!({ "swap": [
            { "device": "/dev/gpt/swapfs", "total": "2097152", "used": used.to_string() } ] }))
    }),
    route("diagnostics/system/system_time", 0, Dead::Error, time),
    route("diagnostics/dns_diagnostics/set", 0, Dead::Ok, jobs::resolve),
    route("diagnostics/ping/set", 0, Dead::Unaffected, jobs::ping_set),
    route("diagnostics/ping/start", 1, Dead::Empty, |state, asked| {
        let now = state.now;
        jobs::ping_call(state, asked, |ping| ping.started = Some(now))
    }),
    route("diagnostics/ping/stop", 1, Dead::Empty, |state, asked| {
        let now = state.now;
        jobs::ping_call(state, asked, |ping| ping.stopped = Some(now))
    }),
    route("diagnostics/ping/remove", 1, Dead::Empty, |state, asked| {
        let answer = jobs::ping_call(state, asked, |_| {});
        state.pings.remove(asked.params[0].as_str());
        answer
    }),
    route("diagnostics/ping/search_jobs", 0, Dead::Rows, jobs::ping_jobs),
];

impl State {
    /// The web server's own packages are being replaced.
    pub(super) fn web_is_away(&self) -> bool {
        let since = |(from, _): (TimeMs, TimeMs)| self.now.since(from).as_secs();
        self.update.map(since).is_some_and(|seconds| (300..310).contains(&seconds))
    }
}

/// A record-set grid: parameters only from a POST body, words of the phrase ANDed.
pub(super) fn grid(rows: Vec<Value>, asked: &Asked) -> Value {
    let phrase = asked.body["searchPhrase"].as_str().unwrap_or("").to_lowercase();
    let hit = |row: &Value| {
        let text = row.to_string().to_lowercase();
        phrase.split_whitespace().all(|word| text.contains(word))
    };
    let rows: Vec<_> = rows.into_iter().filter(hit).collect();
    json!({ "total": rows.len(), "rowCount": rows.len(), "current": 1, "rows": rows })
}

fn services(state: &mut State, asked: &Asked) -> Answer {
    let row = |service: &Service| {
        let id = match service.instance {
            Some(instance) => format!("{}/{instance}", service.name),
            None => service.name.to_owned(),
        };
        json!({
            "id": id,
            "locked": i32::from(service.locked),
            "running": i32::from(service.running()),
            "description": service.description,
            "name": service.name,
        })
    };
    Answer::Json(grid(state.services.iter().map(row).collect(), asked))
}

fn request(state: &mut State, asked: &Asked, verb: &str) -> Answer {
    if !asked.post {
        return Answer::Json(json!({ "result": "failed" }));
    }
    state.request(verb, &asked.params[0], asked.params.get(1).map(String::as_str));
    Answer::Json(json!({ "result": "ok" }))
}

fn reconfigure(state: &mut State, asked: &Asked, module: &str, ok: Value) -> Answer {
    if !asked.post {
        return Answer::Json(json!({ "status": "failed" }));
    }
    match state.reconfigure(module) {
        Ok(()) => Answer::Json(ok),
        Err(_) => Answer::Error(
            "Template generation failed for internal service \"kea\". See backend log for details.",
        ),
    }
}

fn module_status(state: &State, name: &str) -> Answer {
    let runs = state.services.iter().any(|service| service.name == name && service.running());
    let status = if runs { "running" } else { "stopped" };
    Answer::Json(json!({ "status": status, "widget": { "caption_restart": "Restart" } }))
}

fn status(state: &mut State, asked: &Asked) -> Answer {
    let mut items = serde_json::Map::new();
    let mut add = |name: &str, code: i32, word: &str, message: &str| {
        items.insert(
            name.to_owned(),
            json!({ "title": name, "statusCode": code, "message": message, "location": "",
                    "persistent": false, "isBanner": false, "priority": 20, "status": word }),
        );
    };
    if state.disk_pct >= 90 {
        let message = "Disk space on the root filesystem is critically full (100%).";
        add("diskspace", -1, "ERROR", message);
    }
    if state.booting_until.is_some() {
        add("systembooting", 1, "NOTICE", "The system is currently booting.");
    }
    let custom = state.trouble == Some(("unbound", Trouble::BadSetting));
    if custom && asked.query.contains("unbound") {
        let message = "The configuration contains manual overwrites, these may interfere with the \
                       settings configured here.";
        add("unboundoverride", 1, "NOTICE", message);
    }
    let word = if items.contains_key("diskspace") { "ERROR" } else { "NOTICE" };
    let mut metadata = json!({ "system": { "status": 2, "message": "No pending messages",
        "title": "System" }, "translations": {}, "subsystems": [] });
    if items.is_empty() {
        return Answer::Json(json!({ "metadata": metadata }));
    }
    // With something pending the status is a word, without it is a number.
    metadata["system"]["status"] = json!(word);
    Answer::Json(json!({ "metadata": metadata, "subsystems": items }))
}

fn firmware(state: &mut State, _asked: &Asked) -> Answer {
    let version = if state.release == Release::V25_1 { "25.1.1" } else { "26.1.10" };
    let checked = civil(state.now).strftime("%a %b %e 02:00:00 UTC %Y").to_string();
    Answer::Json(json!({
        "api_version": "2", "connection": "ok", "repository": "ok", "last_check": checked,
        "needs_reboot": "0", "os_version": "FreeBSD 14.3-RELEASE-p7", "product_id": "opnsense",
        "product_version": version, "upgrade_major_version": "", "upgrade_needs_reboot": "0",
        "new_packages": [], "upgrade_packages": [
            { "name": "opnsense", "repository": "OPNsense", "current_version": "26.1.10",
              "new_version": "26.1.11", "size": "12MiB" } ],
        "product": { "product_version": version }, "status": "update",
        "status_msg": "There is 1 update available.", "status_reboot": "0",
    }))
}

fn partner_services(state: &mut State, asked: &Asked) -> Answer {
    // The partner of a backup is the master, and runs what this node does not.
    let rows = if state.master {
        Vec::new()
    } else {
        vec![
            json!({ "name": "frr", "description": "FRRouting Daemon", "status": true, "uid": "frr" }),
            json!({ "name": "unbound", "description": "Unbound DNS", "status": true,
                    "uid": "unbound" }),
        ]
    };
    Answer::Json(grid(rows, asked))
}

fn backup_id(at: TimeMs) -> String {
    format!("config-{}.{:04}.xml", at.0 / 1000, at.0 % 1000)
}

fn backups(state: &mut State, _asked: &Asked) -> Answer {
    let mut revisions: Vec<_> = state.revisions.iter().collect();
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.at));
    let items: Vec<_> = revisions
        .iter()
        .map(|revision| {
            json!({
                "time": format!("{}.{:03}", revision.at.0 / 1000, revision.at.0 % 1000),
                "time_iso": civil(revision.at).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
                "description": revision.description, "username": revision.user,
                "filesize": 48_213, "id": backup_id(revision.at),
            })
        })
        .collect();
    Answer::Json(json!({ "items": items }))
}

fn diff(state: &mut State, asked: &Asked) -> Answer {
    let newer = state.revisions.iter().find(|revision| backup_id(revision.at) == asked.params[1]);
    let Some(revision) = newer else { return Answer::Json(json!({ "items": [] })) };
    let mut lines =
        vec!["--- older".to_owned(), "+++ newer".to_owned(), "@@ -1,7 +1,7 @@".to_owned()];
    // Context lines hold secrets of the neighbourhood.
    lines.push("         <privkey>cHJpdmF0ZSBrZXkgb2YgdGhlIGZpcmV3YWxsCg==</privkey>".to_owned());
    lines.extend(revision.diff.iter().cloned());
    let escape = |line: &String| line.replace('<', "&lt;").replace('>', "&gt;");
    Answer::Json(json!({ "items": lines.iter().map(escape).collect::<Vec<_>>() }))
}

fn gateways(state: &mut State, asked: &Asked) -> Answer {
    let (status, delay, loss) =
        if state.wan_up { ("Online", "3.1 ms", "0.0 %") } else { ("Offline", "~", "100.0 %") };
    let rows = vec![json!({
        "name": "WAN_GW", "descr": "", "interface": "wan", "if": "igb0", "ipprotocol": "inet",
        "gateway": "192.0.2.1", "monitor": "192.0.2.1", "monitor_disable": "0", "force_down": "0",
        "priority": "255", "weight": "1", "defaultgw": true, "upstream": true, "disabled": false,
        "virtual": false, "uuid": "88888888-8888-4888-8888-888888888888",
        "interface_descr": "WAN", "status": status, "delay": delay, "stddev": "0.2 ms",
        "loss": loss,
    })];
    Answer::Json(grid(rows, asked))
}

fn interfaces(state: &mut State, asked: &Asked) -> Answer {
    let row = |device: &str, identifier: &str, description: &str, status: &str, address: &str| {
        json!({
            "flags": ["up", "broadcast", "running"], "macaddr": "00:00:5e:00:53:01",
            "is_physical": true, "device": device, "mtu": "1500", "status": status,
            "identifier": identifier, "description": description, "enabled": true,
            "link_type": "static", "addr4": address, "addr6": "", "gateways": [],
        })
    };
    let wan = if state.wan_up { "up" } else { "no carrier" };
    let rows = vec![
        row("igb0", "wan", "WAN", wan, "192.0.2.9/24"),
        row("igb1", "lan", "LAN", "up", "10.0.0.1/24"),
        row("igb2", "", "", "no carrier", ""),
    ];
    Answer::Json(grid(rows, asked))
}

fn rules(_state: &mut State, asked: &Asked) -> Answer {
    let rule = |port: &str| {
        json!({
            "uuid": "99999999-9999-4999-8999-999999999999", "enabled": "1", "action": "pass",
            "quick": "1", "interface": "wan", "direction": "in", "ipprotocol": "inet",
            "protocol": "UDP", "source_net": "any", "destination_net": "wanip",
            "destination_port": port, "description": "WireGuard", "log": "0",
        })
    };
    Answer::Json(grid(vec![rule("51820"), rule("51821")], asked))
}

fn log(state: &mut State, asked: &Asked) -> Answer {
    // Only a POST reads; everything that is no log has no lines.
    if !asked.post {
        return Answer::Json(json!([]));
    }
    let phrase = asked.body["searchPhrase"].as_str().unwrap_or("").to_lowercase();
    let from = asked.body["validFrom"].as_i64().unwrap_or(0) * 1000;
    let limit = usize::try_from(asked.body["rowCount"].as_i64().unwrap_or(20)).unwrap_or(5000);
    let scope = asked.params[1].as_str();
    let hit = |line: &&super::state::Line| {
        let text = format!("{} {}", line.process, line.text).to_lowercase();
        asked.params[0] == "core"
            && line.scope == scope
            && line.at.0 >= from
            && phrase.split_whitespace().all(|word| text.contains(word))
    };
    let mut lines: Vec<_> = state.logs.iter().filter(hit).collect();
    // Newest first; of one moment the later line first.
    lines.reverse();
    lines.sort_by_key(|line| std::cmp::Reverse(line.at));
    let total = lines.len();
    let rows: Vec<_> = lines
        .iter()
        .take(limit.min(9999))
        .enumerate()
        .map(|(number, line)| {
            json!({
                "timestamp": civil(line.at).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                "parser": "SysLogFormatRFC5424", "facility": 3, "severity": line.severity,
                "process_name": line.process, "pid": "4711", "rnum": number, "line": line.text,
            })
        })
        .collect();
    Answer::Json(json!({
        "filters": "", "rows": rows, "total_rows": total, "origin": scope,
        "rowCount": rows.len(), "total": total, "current": 1,
    }))
}

fn firewall_log(state: &mut State, _asked: &Asked) -> Answer {
    let noise = json!({
        "rulenr": "12", "interface": "igb0", "reason": "match", "action": "block", "dir": "in",
        "ipversion": "4", "protonum": "6", "protoname": "tcp", "length": "40",
        "src": "198.51.100.3", "dst": "192.0.2.9", "srcport": "50112", "dstport": "23",
        "label": "Default deny / state violation rule", "__timestamp__": "2026-11-21T02:20:11",
    });
    let record = |packet: &super::state::Packet| {
        json!({
            "rulenr": "41", "interface": "igb0", "reason": "match", "action": "block",
            "dir": "in", "ipversion": "4", "protonum": "17", "protoname": "udp",
            "length": "176", "src": packet.source, "dst": "192.0.2.9", "srcport": "40112",
            "dstport": packet.port.to_string(), "label": packet.label,
            "__timestamp__": civil(state.now).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        })
    };
    let records: Vec<_> = state.packets.iter().map(record).chain([noise]).collect();
    Answer::Json(json!(records))
}

fn activity(state: &mut State, _asked: &Asked) -> Answer {
    let row = |pid: u64, user: &str, cpu: &str, command: String| {
        json!({ "C": "0", "PID": pid.to_string(), "THR": "100101", "USERNAME": user, "PRI": "20",
                "NICE": "0", "SIZE": "64M", "RES": "31M", "STATE": "select", "TIME": "0:12",
                "WCPU": cpu, "COMMAND": command })
    };
    let mut rows = vec![row(11, "root", "97.2%", "[idle{idle: cpu0}]".to_owned())];
    for service in state.services.iter().filter(|service| service.alive) {
        if !service.command.is_empty() {
            rows.push(row(
                service.pid,
                "root",
                "0.3%",
                format!("/usr/local/sbin/{}", service.command),
            ));
        }
    }
    Answer::Json(json!({
        "headers": ["last pid: 21001; load averages: 0.35, 0.30, 0.28"], "details": rows,
    }))
}

fn vips(state: &mut State, asked: &Asked) -> Answer {
    let role = if state.master { "MASTER" } else { "BACKUP" };
    let rows = vec![json!({
        "interface": "WAN", "vhid": "5", "advbase": "1", "advskew": "0", "subnet": "192.0.2.10",
        "status": role, "mode": "carp", "status_txt": role, "vhid_txt": "5 (freq. 1/0)",
    })];
    let mut value = grid(rows, asked);
    value["carp"] =
        json!({ "demotion": "0", "allow": "1", "maintenancemode": false, "status_msg": "" });
    Answer::Json(value)
}

fn sockets(state: &mut State, _asked: &Asked) -> Answer {
    let mut list = serde_json::Map::new();
    for service in state.services.iter().filter(|service| service.alive) {
        for (protocol, port) in service.ports {
            list.insert(
                format!("{protocol}/[*:{port}-*:*]#{}", service.pid),
                json!({
                    "protocol": protocol,
                    "local": { "address": "*", "port": port.to_string(), "0": format!("*:{port}") },
                    "remote": { "address": "*", "port": "*", "0": "*:*" },
                    "user": "root", "command": service.command, "pid": service.pid.to_string(),
                    "fd": "5",
                }),
            );
        }
    }
    // The kernel's own sockets have no owner.
    list.insert(
        "udp4/[*:51820-*:*]".to_owned(),
        json!({ "protocol": "udp4", "local": { "address": "*", "port": "51820" },
                "remote": { "address": "*", "port": "*" } }),
    );
    Answer::Json(json!({ "statistics": {
        "Active Internet connections": list, "Active UNIX domain sockets": {} } }))
}

fn time(state: &mut State, _asked: &Asked) -> Answer {
    let up = state.now.since(state.booted).as_secs();
    let clock = format!("{:02}:{:02}:{:02}", up / 3600 % 24, up / 60 % 60, up % 60);
    let uptime = match up / 86_400 {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    };
    let text = |at: TimeMs| civil(at).strftime("%a %b %e %H:%M:%S UTC %Y").to_string();
    Answer::Json(json!({
        "uptime": uptime, "datetime": text(state.now), "boottime": text(state.booted),
        "config": text(state.booted), "loadavg": "0.35, 0.30, 0.28",
    }))
}
