//! The diagnostic jobs of a simulated firewall: DNS questions and pings.

use serde_json::json;

use super::answers::{Answer, Asked, grid};
use super::state::{Ping, State};

pub(super) fn resolve(state: &mut State, asked: &Asked) -> Answer {
    let name = asked.body["dns"]["settings"]["hostname"].as_str().unwrap_or("");
    let response = match state.names.get(name).filter(|_| state.wan_up) {
        Some(address) => json!({ "A": {
            "answers": [format!("{name}.\t300\tIN\tA\t{address}")],
            "query_time": "12 msec", "server": "127.0.0.1" } }),
        None => json!({}),
    };
    Answer::Json(json!({ "result": "ok", "response": response }))
}

pub(super) fn ping_set(state: &mut State, asked: &Asked) -> Answer {
    let target = asked.body["ping"]["settings"]["hostname"].as_str().unwrap_or("").to_owned();
    if target.is_empty() {
        let reason = json!({ "ping.settings.hostname": "A value is required." });
        return Answer::Json(json!({ "result": "failed", "validations": reason }));
    }
    let id = state.next_id();
    state.pings.insert(id.clone(), Ping { target, started: None, stopped: None });
    Answer::Json(json!({ "result": "ok", "uuid": id }))
}

pub(super) fn ping_call(state: &mut State, asked: &Asked, change: impl Fn(&mut Ping)) -> Answer {
    match state.pings.get_mut(asked.params[0].as_str()) {
        Some(ping) if asked.post => {
            change(ping);
            Answer::Json(json!({ "status": "ok", "stopped_processes": 1 }))
        }
        _ => Answer::Json(json!({ "status": "failed" })),
    }
}

pub(super) fn ping_jobs(state: &mut State, asked: &Asked) -> Answer {
    let row = |(id, ping): (&String, &Ping)| {
        let until = ping.stopped.unwrap_or(state.now);
        let sent = ping.started.map_or(0, |at| until.since(at).as_secs());
        let dark = !state.wan_up || state.dark.contains(&ping.target.as_str());
        let received = if dark { 0 } else { sent };
        let running = ping.started.is_some() && ping.stopped.is_none();
        json!({
            "id": id, "hostname": ping.target, "fam": "ip",
            "status": if running { "running" } else { "stopped" },
            "loss": if dark { "100.00 %" } else { "0.00 %" },
            "send": sent, "received": received, "min": null, "avg": null, "max": null,
            "std-dev": null, "last_error": null,
        })
    };
    Answer::Json(grid(state.pings.iter().map(row).collect(), asked))
}
