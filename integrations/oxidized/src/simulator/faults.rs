//! Every root cause that the simulated Oxidized can have, and how each rightly ends.

use paramedic_integration::{Ending, Fault};

const fn fault(
    id: &'static str,
    title: &'static str,
    cause: &'static str,
    ending: Ending,
) -> Fault {
    Fault { id, alert: "OxidizedConnectionDown", title, cause, ending }
}

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "oxidized-killed",
        "The kernel ended Oxidized for want of memory",
        "process-gone",
        Ending::Repaired(&["start"]),
    ),
    fault(
        "oxidized-frozen",
        "Oxidized takes connections and answers none",
        "frozen",
        Ending::Repaired(&["restart"]),
    ),
    fault(
        "oxidized-way-blocked",
        "A firewall drops what comes for Oxidized",
        "blocked",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-way-blocked-door-moved",
        "A firewall drops what comes for Oxidized, which moved to another port",
        "own-address-wrong",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-bound-locally",
        "Somebody bound the API to 127.0.0.1",
        "bound-locally",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-list-locked",
        "A slow reload holds the lock of the list",
        "list-locked",
        Ending::LeftAlone,
    ),
    fault("oxidized-stopped", "Somebody stopped Oxidized", "stopped-on-purpose", Ending::LeftAlone),
    fault(
        "oxidized-auto-restart",
        "Oxidized crashed, and systemd is about to start it again",
        "restarts-by-itself",
        Ending::LeftAlone,
    ),
    fault(
        "oxidized-loading",
        "Oxidized is still loading a long list",
        "still-loading",
        Ending::LeftAlone,
    ),
    fault(
        "oxidized-port-taken",
        "Another process holds Oxidized's port",
        "port-in-use",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-config-broken",
        "Somebody broke Oxidized's configuration file",
        "config-broken",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-disk-full",
        "The disk of the repository is full",
        "disk-full",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-prefix-changed",
        "Somebody gave the API a url_prefix",
        "prefix-missing",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-host-denied",
        "Oxidized permits other host names only",
        "host-denied",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-proxy-login",
        "Somebody put a login in front of the API",
        "login-refused",
        Ending::HandedOver,
    ),
    fault(
        "oxidized-proxy-upstream",
        "The proxy in front points nowhere",
        "gateway",
        Ending::HandedOver,
    ),
];
