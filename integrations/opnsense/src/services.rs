//! Services as the firewall lists them, and what is known of each kind of service.
//!
//! A label of an alert is text from a stranger. [`Aim::find`] compares it with what the firewall
//! itself lists, and only an id from that list is ever sent.

use paramedic_catalog::{Args, Param, ParamKind};
use serde_json::Value;

use crate::json::{field, flag, text};

/// One row of `core/service/search`.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// `name` or `name/instance`: what a start or restart takes.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// The firewall offers no stop for it, or does not check it and calls it running.
    pub(crate) locked: bool,
    /// A live process for its pid file. Not that it serves.
    pub(crate) running: bool,
}

impl Service {
    pub(crate) fn read(row: &Value) -> Option<Self> {
        let name = text(row, "name").filter(|name| !name.is_empty())?;
        Some(Self {
            id: text(row, "id").filter(|id| !id.is_empty()).unwrap_or_else(|| name.clone()),
            description: field(row, "description"),
            locked: flag(row, "locked").unwrap_or(false),
            running: flag(row, "running")?,
            name,
        })
    }

    /// The part of the id after the name: which of several this is.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.id.split_once('/').map(|(_, instance)| instance)
    }

    /// The service's name for a person: `unbound (Unbound)`.
    pub(crate) fn title(&self) -> String {
        if self.description.is_empty() {
            self.id.clone()
        } else {
            format!("{} ({})", self.id, self.description)
        }
    }
}

/// Which service a step means: the labels of the series that its alert came from.
pub(crate) struct Aim<'a> {
    pub(crate) name: &'a str,
    description: &'a str,
}

impl<'a> Aim<'a> {
    pub(crate) fn of(args: &'a Args) -> Self {
        Self { name: args.text("service"), description: args.text("description") }
    }

    /// The parameters that [`Aim::of`] reads.
    pub(crate) fn params() -> Vec<Param> {
        let text = || ParamKind::Text { max_chars: 200 };
        vec![
            Param::required("service", text(), "The service's name, as in the label `name`."),
            Param::optional(
                "description",
                text(),
                "The label `description`, which tells several services of one name apart.",
            ),
        ]
    }

    /// The listed services that are meant: all of this name, and of this description where given.
    pub(crate) fn find(&self, listed: &[Service]) -> Vec<Service> {
        let meant = |service: &&Service| {
            service.name == self.name
                && (self.description.is_empty() || service.description == self.description)
        };
        listed.iter().filter(meant).cloned().collect()
    }
}

/// What is known of services of one name, beyond what the API says.
#[derive(Debug)]
pub(crate) struct Known {
    name: &'static str,
    /// The API module that has `service/status` and `service/reconfigure`; empty where none has.
    pub(crate) module: &'static str,
    /// Where it logs, besides `system` and `configd`.
    pub(crate) log: Option<&'static str>,
    /// The ports that it usually serves.
    pub(crate) ports: &'static [u16],
    /// The names of its processes, where they are not its own name.
    commands: &'static [&'static str],
    /// A start writes its configuration anew. Where not, only a reconfigure does.
    pub(crate) regenerates: bool,
    /// A CARP backup node stops it, or may stop it, on purpose.
    pub(crate) stops_on_backup: bool,
}

impl Known {
    /// The names of the processes of a service called `name`.
    pub(crate) fn commands<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        if self.commands.is_empty() { vec![name] } else { self.commands.to_vec() }
    }
}

const PLAIN: Known = Known {
    name: "",
    module: "",
    log: None,
    ports: &[],
    commands: &[],
    regenerates: false,
    stops_on_backup: false,
};

const KNOWN: &[Known] = &[
    Known {
        name: "unbound",
        module: "unbound",
        log: Some("resolver"),
        ports: &[53],
        regenerates: true,
        ..PLAIN
    },
    Known {
        name: "dnsmasq",
        module: "dnsmasq",
        log: Some("dnsmasq"),
        ports: &[53, 67, 547],
        regenerates: true,
        ..PLAIN
    },
    Known {
        name: "kea-dhcp",
        module: "kea",
        log: Some("kea"),
        ports: &[67, 547],
        commands: &["kea-dhcp4", "kea-dhcp6", "kea-ctrl-agent", "kea-dhcp-ddns"],
        ..PLAIN
    },
    Known {
        name: "kea-dhcpv4",
        module: "kea",
        log: Some("kea"),
        ports: &[67],
        commands: &["kea-dhcp4"],
        ..PLAIN
    },
    Known { name: "dhcpd", ports: &[67], ..PLAIN },
    Known { name: "dhcpd6", ports: &[547], commands: &["dhcpd"], ..PLAIN },
    Known {
        name: "dhcrelay",
        log: Some("dhcrelay"),
        ports: &[67],
        regenerates: true,
        stops_on_backup: true,
        ..PLAIN
    },
    Known {
        name: "strongswan",
        module: "ipsec",
        log: Some("ipsec"),
        ports: &[500, 4500],
        commands: &["charon"],
        ..PLAIN
    },
    Known { name: "suricata", module: "ids", log: Some("suricata"), ..PLAIN },
    Known { name: "monit", module: "monit", log: Some("monit"), ports: &[2812], ..PLAIN },
    Known { name: "syslog-ng", module: "syslog", regenerates: true, ..PLAIN },
    Known { name: "captiveportal", module: "captiveportal", log: Some("portalauth"), ..PLAIN },
    Known { name: "radvd", module: "radvd", log: Some("routing"), regenerates: true, ..PLAIN },
    Known { name: "hostwatch", module: "hostdiscovery", log: Some("hostwatch"), ..PLAIN },
    // Clients that depend on a CARP address; the list does not tell them from servers.
    Known { name: "openvpn", log: Some("openvpn"), ports: &[1194], stops_on_backup: true, ..PLAIN },
    Known { name: "cron", regenerates: true, ..PLAIN },
    Known { name: "dpinger", log: Some("gateways"), regenerates: true, ..PLAIN },
    Known { name: "ntpd", log: Some("ntpd"), ports: &[123], regenerates: true, ..PLAIN },
    Known { name: "openssh", ports: &[22], commands: &["sshd"], ..PLAIN },
    Known {
        name: "frr",
        module: "quagga",
        log: Some("routing"),
        ports: &[179],
        commands: &["watchfrr", "zebra", "bgpd", "ospfd"],
        stops_on_backup: true,
        ..PLAIN
    },
    Known { name: "haproxy", module: "haproxy", ports: &[80, 443], ..PLAIN },
    Known { name: "mdns-repeater", ports: &[5353], stops_on_backup: true, ..PLAIN },
];

/// What is known of services called `name`; nothing much for an unfamiliar one.
pub(crate) fn known(name: &str) -> &'static Known {
    KNOWN.iter().find(|known| known.name == name).unwrap_or(&PLAIN)
}

/// What was requested of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Start,
    Stop,
    Restart,
}

/// What a line of configd's log says was requested of `service`, where it says so: the list of
/// services leaves `[id] Restarting service (unbound )`, a module `[id] stop kea daemon` or
/// `[id] restart wireguard instance 4444…`.
pub(crate) fn requested(line: &str, service: &Service) -> Option<Request> {
    let text = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, text)) => text,
        None => line,
    };
    let mut words =
        text.split(|c: char| c.is_whitespace() || "()".contains(c)).filter(|word| !word.is_empty());
    let request = match words.next()?.to_ascii_lowercase().as_str() {
        "start" | "starting" => Request::Start,
        "stop" | "stopping" => Request::Stop,
        "restart" | "restarting" => Request::Restart,
        _ => return None,
    };
    let module = known(&service.name).module;
    let names_it = |word: &str| word == service.name || word.eq_ignore_ascii_case(module);
    words.by_ref().find(|word| names_it(word))?;
    // A request that names no instance meant every service of the name.
    let filler = ["daemon", "service", "instance", "instances"];
    let mut instances = words.filter(|word| !filler.contains(word)).peekable();
    let fits = match (instances.peek().is_some(), service.instance()) {
        (true, Some(instance)) => instances.any(|named| named == instance),
        _ => true,
    };
    fits.then_some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_the_log_is_told_by_name_and_instance() {
        let service = |id: &str| Service {
            id: id.to_owned(),
            name: id.split('/').next().unwrap_or("").to_owned(),
            description: String::new(),
            locked: false,
            running: false,
        };
        let check = |line: &str, id: &str, request: Option<Request>| {
            assert_eq!(requested(line, &service(id)), request, "{line:?} {id}");
        };
        check("[a1] Restarting service (unbound )", "unbound", Some(Request::Restart));
        check("Stopping service (unbound)", "unbound", Some(Request::Stop));
        check("Stopping service (unbound)", "unbound2", None);
        check("Starting service (openvpn 1)", "openvpn/1", Some(Request::Start));
        check("Starting service (openvpn 1)", "openvpn/2", None);
        check("Starting service (openvpn )", "openvpn/2", Some(Request::Start));
        check("[a1] stop kea daemon", "kea-dhcp/v4", Some(Request::Stop));
        check("[a1] restart wireguard instance 44-44", "wireguard/44-44", Some(Request::Restart));
        check("[a1] restart wireguard instance 44-44", "wireguard/55-55", None);
        check("[a1] get kea daemon status", "kea-dhcp/v4", None);
        check("Reloading service (unbound)", "unbound", None);
        check("[", "unbound", None);
        check("service (", "unbound", None);
    }
}
