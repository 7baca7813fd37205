//! Every root cause that the simulated Traefik can have, and how each rightly ends.

use paramedic_integration::{Ending, Fault};

const ALL_DOWN: &str = "TraefikServiceAllServersDown";
const DOWN: &str = "TraefikDown";
const ERRORS: &str = "TraefikConfigErrors";
const GONE: &str = "TraefikRoutesGone";

/// The steps of the runbook that repair.
const START_BACKEND: Ending = Ending::Repaired(&["start-backend"]);
const RESTART_BACKEND: Ending = Ending::Repaired(&["restart-backend"]);
const START: Ending = Ending::Repaired(&["start"]);
const RESTART: Ending = Ending::Repaired(&["restart"]);

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "backends-crashed",
        alert: ALL_DOWN,
        title: "Both servers of the shop have crashed",
        cause: "backend-stopped",
        ending: START_BACKEND,
    },
    Fault {
        id: "backend-deaf",
        alert: ALL_DOWN,
        title: "The wiki runs and has closed its port",
        cause: "backend-not-listening",
        ending: RESTART_BACKEND,
    },
    Fault {
        id: "backend-crash-loop",
        alert: ALL_DOWN,
        title: "The wiki dies at every start, because its database is gone",
        cause: "backend-cannot-start",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "backend-drained",
        alert: ALL_DOWN,
        title: "A person has stopped and disabled the wiki for maintenance",
        cause: "backend-stopped-on-purpose",
        ending: Ending::LeftAlone,
    },
    Fault {
        id: "router-removed",
        alert: ALL_DOWN,
        title: "The shop was taken out of the routes; its gauge is frozen at 0",
        cause: "service-not-in-use",
        ending: Ending::LeftAlone,
    },
    Fault {
        id: "dynamic-file-broken",
        alert: ALL_DOWN,
        title: "The shop has moved, and the file that says where to is broken",
        cause: "dynamic-file-rejected",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "health-path-gone",
        alert: ALL_DOWN,
        title: "A release of the shop has no /health any more; it serves well",
        cause: "health-check-wrong",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "backend-overloaded",
        alert: ALL_DOWN,
        title: "The wiki is so slow that its health check times out",
        cause: "backend-overloaded",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "host-disk-full",
        alert: ALL_DOWN,
        title: "The disk is full and the shop cannot write",
        cause: "host-exhausted",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "traefik-killed",
        alert: DOWN,
        title: "Traefik was killed for its memory and not started again",
        cause: "traefik-stopped",
        ending: START,
    },
    Fault {
        id: "traefik-wedged",
        alert: DOWN,
        title: "Traefik has used up its file descriptors and answers nobody",
        cause: "traefik-hangs",
        ending: RESTART,
    },
    Fault {
        id: "traefik-way-blocked",
        alert: DOWN,
        title: "A firewall drops what we ask of Traefik; its users notice nothing",
        cause: "way-blocked",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "traefik-way-blocked-door-moved",
        alert: DOWN,
        title: "A firewall drops what we ask, and at home ping has moved to another port",
        cause: "own-address-wrong",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "traefik-wedged-file-broken",
        alert: DOWN,
        title: "Traefik hangs while its dynamic file is broken: a restart would lose all routes",
        cause: "dynamic-file-rejected",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "traefik-port-taken",
        alert: DOWN,
        title: "Another program holds port 80, so Traefik fails at every start",
        cause: "traefik-cannot-start",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "traefik-maintenance",
        alert: DOWN,
        title: "A person has stopped and disabled Traefik",
        cause: "traefik-stopped-on-purpose",
        ending: Ending::LeftAlone,
    },
    Fault {
        id: "router-misspelt",
        alert: ERRORS,
        title: "A new route names a service that does not exist",
        cause: "objects-disabled",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "dynamic-file-emptied",
        alert: GONE,
        title: "The dynamic file was rewritten in place and read while it was empty",
        cause: "empty-configuration",
        ending: Ending::HandedOver,
    },
    Fault {
        id: "restarted-with-broken-file",
        alert: GONE,
        title: "Somebody restarted Traefik while its dynamic file was broken",
        cause: "started-without-file",
        ending: Ending::HandedOver,
    },
];
