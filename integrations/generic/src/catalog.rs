//! What the kind `generic` declares.

use std::sync::LazyLock;
use std::time::Duration;

use paramedic_catalog::{
    ActionSignature, Catalog, Field, FieldType, Param, ParamKind, ProbeSignature, Risk, Setting,
    SettingKind,
};

/// The farthest that a log may be read back.
const LOG_SPAN_MAX: Duration = Duration::from_secs(86_400);

pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog {
    kind: "generic",
    title: "Host",
    summary: "A Linux host: its systemd units, their journal and its resources, over SSH or on \
              this machine, and commands that the configuration allows",
    versions: &["systemd 252", "OpenSSH 9.2"],
    settings: settings(),
    metrics: Vec::new(),
    probes: probes(),
    actions: actions(),
});

fn setting(
    name: &'static str,
    kind: SettingKind,
    required: bool,
    doc: &'static str,
    example: &'static str,
) -> Setting {
    Setting { name, kind, required, doc, example }
}

fn settings() -> Vec<Setting> {
    let ssh = vec![
        setting(
            "address",
            SettingKind::Address,
            true,
            "where the SSH server listens",
            "web1.example.net:22",
        ),
        setting("user", SettingKind::Text, true, "whom to log in as", "paramedic"),
        setting(
            "key",
            SettingKind::Secret,
            true,
            "the private key to log in with: ed25519, in OpenSSH's format, without a passphrase",
            "{ file: /etc/paramedic/web1.key }",
        ),
        setting(
            "host_key",
            SettingKind::Text,
            true,
            "the host's public key, as `ssh-keyscan -t ed25519` prints it after the name; any \
             other host is refused",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI...",
        ),
        setting(
            "sudo",
            SettingKind::Bool,
            false,
            "whether starts and restarts go through `sudo -n`; default false, for a polkit rule",
            "true",
        ),
    ];
    let service = vec![
        setting(
            "unit",
            SettingKind::Text,
            false,
            "the systemd unit; `.service` may be left out. Either this or `status`",
            "traefik.service",
        ),
        setting(
            "status",
            SettingKind::TextList,
            false,
            "for what is no systemd unit: a local command, as its words, that ends with 0 where \
             the service runs and with 3 where it does not; anything else is no answer",
            "[/usr/sbin/service, traefik, status]",
        ),
        setting(
            "start",
            SettingKind::TextList,
            false,
            "the local command that starts it; without one it cannot be started",
            "[/usr/sbin/service, traefik, start]",
        ),
        setting(
            "restart",
            SettingKind::TextList,
            false,
            "the local command that restarts it; without one it cannot be restarted",
            "[/usr/sbin/service, traefik, restart]",
        ),
        setting(
            "log",
            SettingKind::TextList,
            false,
            "a local command that prints its recent log",
            "[tail, -n, \"200\", /var/log/traefik.log]",
        ),
    ];
    vec![
        setting(
            "ssh",
            SettingKind::Table(ssh),
            false,
            "how to reach the host; without it, units and resources are those of this machine",
            "{ address: \"web1.example.net:22\", user: paramedic, key: { file: /etc/paramedic/web1.key }, host_key: \"ssh-ed25519 AAAA...\" }",
        ),
        setting(
            "services",
            SettingKind::TableMap(service),
            false,
            "the services that steps may name; nothing else can be looked at, started or restarted",
            "{ traefik: { unit: traefik.service } }",
        ),
        setting(
            "checks",
            SettingKind::TextMap,
            false,
            "the places that http-check and tcp-check may try: an http or https URL, or host:port",
            "{ ping: \"http://web1.example.net:8080/ping\", dns: \"192.0.2.53:53\" }",
        ),
        setting(
            "commands",
            SettingKind::ListMap,
            false,
            "commands that only look, which the probe `command` may run on the host, each as its \
             words",
            "{ version: [traefik, version] }",
        ),
        setting(
            "deadline",
            SettingKind::Duration,
            false,
            "how long one command on the host may take; default 30s",
            "30s",
        ),
    ]
}

fn service() -> Param {
    Param::required("service", ParamKind::Token, "a name under the system's `services`")
}

fn check() -> Param {
    Param::required("check", ParamKind::Token, "a name under the system's `checks`")
}

fn probes() -> Vec<ProbeSignature> {
    vec![
        ProbeSignature {
            name: "service-status",
            summary: "whether a service runs, since when, and how it ended",
            params: vec![service()],
            facts: status_facts(),
            privilege: "none; `stopped_on_request` needs the group systemd-journal",
        },
        ProbeSignature {
            name: "service-log",
            summary: "the last lines that a service and its service manager logged",
            params: vec![
                service(),
                Param::optional(
                    "since",
                    ParamKind::Duration { max: LOG_SPAN_MAX },
                    "how far to read back; default: from 15 minutes before the alert began",
                ),
                Param::optional(
                    "lines",
                    ParamKind::Integer { min: 1, max: 1000 },
                    "how many lines at most, the last ones; default 200",
                ),
            ],
            facts: log_facts(),
            privilege: "the group systemd-journal",
        },
        ProbeSignature {
            name: "host-resources",
            summary: "disks, memory, swap and load of the host",
            params: Vec::new(),
            facts: resource_facts(),
            privilege: "",
        },
        ProbeSignature {
            name: "listeners",
            summary: "which programs listen on TCP ports of the host",
            params: vec![Param::optional(
                "port",
                ParamKind::Integer { min: 1, max: 65_535 },
                "only this port",
            )],
            facts: vec![
                Field::new("count", FieldType::Int, "how many listen"),
                Field::new(
                    "listeners",
                    FieldType::records(vec![
                        Field::new("address", FieldType::Text, "the local address: `*`, `[::1]`"),
                        Field::new("port", FieldType::Int, "the port"),
                        Field::new(
                            "program",
                            FieldType::Text.or_null(),
                            "the program; null where the login may not see it",
                        ),
                        Field::new("pid", FieldType::Int.or_null(), "its process"),
                    ]),
                    "who listens where",
                ),
            ],
            privilege: "none; the programs of other users show to root only",
        },
        ProbeSignature {
            name: "http-check",
            summary: "what an HTTP GET from here to a configured place answers",
            params: vec![check()],
            facts: vec![
                Field::new("target", FieldType::Text, "the URL that was tried"),
                Field::new("reachable", FieldType::Bool, "whether an HTTP answer came"),
                Field::new("ok", FieldType::Bool, "whether its status is 200 to 299"),
                Field::new("status", FieldType::Int.or_null(), "its status"),
                Field::new("body", FieldType::Text, "the beginning of its body"),
                Field::new("failure", FieldType::Text, FAILURE_DOC),
                Field::new("error", FieldType::Text, "what went wrong; empty where reachable"),
                Field::new("latency_ms", FieldType::Int, "how long it took"),
            ],
            privilege: "",
        },
        ProbeSignature {
            name: "tcp-check",
            summary: "whether a TCP connection from here to a configured place opens",
            params: vec![check()],
            facts: vec![
                Field::new("target", FieldType::Text, "the address that was tried"),
                Field::new("reachable", FieldType::Bool, "whether the connection opened"),
                Field::new("failure", FieldType::Text, FAILURE_DOC),
                Field::new("error", FieldType::Text, "what went wrong; empty where reachable"),
                Field::new("latency_ms", FieldType::Int, "how long it took"),
            ],
            privilege: "",
        },
        ProbeSignature {
            name: "command",
            summary: "what a command prints that the configuration allows",
            params: vec![Param::required(
                "name",
                ParamKind::Token,
                "a name under the system's `commands`",
            )],
            facts: vec![
                Field::new("exit_code", FieldType::Int, "its exit code"),
                Field::new("line_count", FieldType::Int, "how many lines it printed"),
                Field::new("lines", FieldType::texts(), "the last 200 of them, stderr included"),
            ],
            privilege: "what the command needs",
        },
    ]
}

const FAILURE_DOC: &str = "`refused`, `timeout`, `other`, or empty where reachable: a refusal comes from a host that is \
     up, silence from a firewall or a host that is down";

fn status_facts() -> Vec<Field> {
    vec![
        Field::new("service", FieldType::Text, "the service, as the step named it"),
        Field::new("unit", FieldType::Text, "its systemd unit; empty for a local command"),
        Field::new("exists", FieldType::Bool, "whether the host has such a unit"),
        Field::new("running", FieldType::Bool, "whether it is active"),
        Field::new("failed", FieldType::Bool, "whether systemd counts it as failed"),
        Field::new(
            "active_state",
            FieldType::Text,
            "`active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`",
        ),
        Field::new(
            "sub_state",
            FieldType::Text,
            "`running`, `dead`, `failed`, `auto-restart`, ...",
        ),
        Field::new(
            "result",
            FieldType::Text,
            "how it last ended: `success`, `exit-code`, `signal`, `core-dump`, `oom-kill`, \
             `watchdog`, `timeout`, `start-limit-hit`, ...",
        ),
        Field::new("exit_code", FieldType::Int.or_null(), "the exit code of its last process"),
        Field::new("signal", FieldType::Int.or_null(), "the signal that ended its last process"),
        Field::new("restart_count", FieldType::Int, "how often systemd restarted it by itself"),
        Field::new("auto_restart", FieldType::Bool, "whether systemd is about to start it again"),
        Field::new(
            "restart_in_seconds",
            FieldType::Float.or_null(),
            "how long until systemd starts it again",
        ),
        Field::new(
            "start_limit_hit",
            FieldType::Bool,
            "whether it failed so often that systemd gave up",
        ),
        Field::new("enabled", FieldType::Bool, "whether it starts at boot"),
        Field::new("masked", FieldType::Bool, "whether an administrator forbade its start"),
        Field::new("unit_file_state", FieldType::Text, "`enabled`, `disabled`, `masked`, ..."),
        Field::new(
            "stopped_on_request",
            FieldType::Bool.or_null(),
            "whether its last stop was asked for, by a person or a script, rather than its own \
             end; null where the journal does not tell",
        ),
        Field::new("pid", FieldType::Int.or_null(), "its main process"),
        Field::new("since", FieldType::Text.or_null(), "when its state last changed, RFC 3339"),
        Field::new(
            "since_seconds",
            FieldType::Float.or_null(),
            "how long ago its state last changed, by the host's own clock",
        ),
    ]
}

fn log_facts() -> Vec<Field> {
    let line = vec![
        Field::new("at", FieldType::Text, "when, RFC 3339; empty where the log does not say"),
        Field::new("text", FieldType::Text, "what it says"),
        Field::new("source", FieldType::Text, "who wrote it: `traefik`, `systemd`"),
        Field::new("priority", FieldType::Int, "the syslog level: 3 and less are errors"),
        Field::new("manager", FieldType::Bool, "whether the service manager wrote it"),
    ];
    vec![
        Field::new("service", FieldType::Text, "the service, as the step named it"),
        Field::new("line_count", FieldType::Int, "how many lines there are"),
        Field::new("lines", FieldType::records(line), "the lines, the oldest first"),
        Field::new(
            "error_count",
            FieldType::Int,
            "how many of the service's own lines are of level 3 and less or read like errors",
        ),
        Field::new("last_error", FieldType::Text, "the last of these; empty where none"),
        Field::new("start_count", FieldType::Int, "how often it was started in this time"),
        Field::new(
            "stopped_on_request",
            FieldType::Bool,
            "whether its last change in this time was a stop that was asked for",
        ),
    ]
}

fn resource_facts() -> Vec<Field> {
    let disk = vec![
        Field::new("path", FieldType::Text, "where it is mounted"),
        Field::new("device", FieldType::Text, "the device"),
        Field::new("used_percent", FieldType::Float, "how full it is"),
        Field::new("free_mib", FieldType::Int, "what is left, in MiB"),
        Field::new(
            "inodes_used_percent",
            FieldType::Float.or_null(),
            "how many of its files are used; null where it has no limit",
        ),
    ];
    vec![
        Field::new("disks", FieldType::records(disk), "the file systems, loop devices left out"),
        Field::new("fullest_path", FieldType::Text, "the fullest one, by bytes or files"),
        Field::new("fullest_percent", FieldType::Float, "how full it is"),
        Field::new("memory_total_mib", FieldType::Int, "memory, in MiB"),
        Field::new("memory_available_mib", FieldType::Int, "what programs can still have, in MiB"),
        Field::new("memory_available_percent", FieldType::Float, "the same in percent"),
        Field::new(
            "swap_used_percent",
            FieldType::Float.or_null(),
            "how full the swap is; null where there is none",
        ),
        Field::new("load1", FieldType::Float, "the load of the last minute"),
        Field::new("load5", FieldType::Float, "the load of the last 5 minutes"),
        Field::new("load15", FieldType::Float, "the load of the last 15 minutes"),
        Field::new("cpu_count", FieldType::Int, "how many processors there are"),
        Field::new("load5_per_cpu", FieldType::Float, "the 5-minute load per processor"),
    ]
}

fn actions() -> Vec<ActionSignature> {
    let although_stopped = Param::optional(
        "although_stopped",
        ParamKind::Bool,
        "start it even where a person or a script stopped it; default false",
    );
    let after_start_limit = Param::optional(
        "after_start_limit",
        ParamKind::Bool,
        "start it even where systemd gave up on it: only in a step that runs after another one \
         removed the reason; default false",
    );
    const PRIVILEGE: &str =
        "a polkit rule or a sudoers line for `systemctl` with this verb and this unit";
    vec![
        ActionSignature {
            name: "service-start",
            summary: "starts a service that is not running",
            params: vec![service(), although_stopped.clone(), after_start_limit.clone()],
            risk: Risk::Low,
            privilege: PRIVILEGE,
            precondition: "the service exists, does not run, is not masked, was not stopped on \
                           request, systemd has not given up on it and is not about to start it",
            blast_radius: "nothing: it does not run",
            verification: "its state is read until it has been active for 5 s",
            undo: "stop the service",
        },
        ActionSignature {
            name: "service-restart",
            summary: "stops a service and starts it again",
            params: vec![service(), although_stopped, after_start_limit],
            risk: Risk::Medium,
            privilege: PRIVILEGE,
            precondition: "as for service-start, except that the service may run",
            blast_radius: "the service itself where it runs: what it serves is interrupted",
            verification: "it became active after the request and has been so for 5 s",
            undo: "cannot be undone; connections that broke stay broken",
        },
    ]
}
