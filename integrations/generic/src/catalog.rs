//! What the kind `generic` declares.

use std::sync::LazyLock;

use paramedic_catalog::{Catalog, Setting, SettingKind};

use crate::{actions, probes};

/// The catalogue of the kind.
pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog {
    kind: "generic",
    title: "Host",
    summary: "A Linux host: its systemd units, their journal and its resources, over SSH or on \
              this machine, and commands that the configuration allows",
    versions: &["systemd 252", "OpenSSH 9.2"],
    settings: settings(),
    metrics: Vec::new(),
    probes: probes::signatures(),
    actions: actions::signatures(),
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
    let local_url = setting(
        "local_url",
        SettingKind::Text,
        false,
        "where the service answers HTTP on its own host, which tells a process that hangs from a \
         way to it that is blocked; the host asks with curl",
        "http://127.0.0.1:8080/ping",
    );
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
        local_url,
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
