//! The host as WMI shows it: classes, instances, properties.

use paramedic_model::TimeMs;

use super::world::{Service, State, World};

/// The value of a property.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Flag(bool),
    Time(TimeMs),
    Null,
    Texts(Vec<String>),
    Reference { class: &'static str, name: String },
}

pub(super) type Instance = Vec<(&'static str, Value)>;

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

/// The drivers that some services need.
const DRIVERS: [(&str, &str); 2] = [("LanmanServer", "srv2"), ("LanmanWorkstation", "mrxsmb20")];

/// All instances of a class with its name as WMI spells it; `None` for a class that there is not.
pub(super) fn of(
    world: &World,
    standard: bool,
    class: &str,
) -> Option<(&'static str, Vec<Instance>)> {
    let class = class.to_ascii_lowercase();
    let found = match (standard, class.as_str()) {
        (true, "msft_nettcpconnection") => ("MSFT_NetTCPConnection", connections(world)),
        (true, _) => return None,
        (false, "win32_service") => {
            let visible = world.services.iter().filter(|_| !world.blind);
            ("Win32_Service", visible.map(|s| service(world, s)).collect())
        }
        (false, "win32_dependentservice") => ("Win32_DependentService", dependencies(world)),
        (false, "win32_systemdriver") => {
            let driver = |(_, name): &(_, &str)| {
                vec![
                    ("Name", text(*name)),
                    ("State", text("Running")),
                    ("Started", Value::Flag(true)),
                ]
            };
            ("Win32_SystemDriver", DRIVERS.iter().map(driver).collect())
        }
        (false, "win32_process") => ("Win32_Process", processes(world)),
        (false, "win32_operatingsystem") => {
            ("Win32_OperatingSystem", vec![operating_system(world)])
        }
        (false, "win32_computersystem") => {
            let one = vec![("Name", text("WIN-SHOP01")), ("Domain", text("WORKGROUP"))];
            ("Win32_ComputerSystem", vec![one])
        }
        (false, "win32_logicaldisk") => ("Win32_LogicalDisk", disks(world)),
        (false, "win32_processor") => {
            let load = Value::Number(world.processor_load);
            ("Win32_Processor", vec![vec![("DeviceID", text("CPU0")), ("LoadPercentage", load)]])
        }
        (false, "win32_ntlogevent") => ("Win32_NTLogEvent", events(world)),
        (false, "win32_quickfixengineering") => {
            let fix =
                |(id, on): (&str, &str)| vec![("HotFixID", text(id)), ("InstalledOn", text(on))];
            let fixes = [("KB5068791", "11/12/2026"), ("KB5066586", "10/15/2026")];
            ("Win32_QuickFixEngineering", fixes.into_iter().map(fix).collect())
        }
        (false, "cim_datafile") => ("CIM_DataFile", files(world)),
        _ => return None,
    };
    Some(found)
}

fn service(world: &World, service: &Service) -> Instance {
    let moved_s = service.moving_since.map_or(0, |since| world.now.since(since).as_secs());
    let check_point = if service.state.is_pending() { 1 + moved_s } else { 0 };
    let running = matches!(service.state, State::Running | State::Paused);
    vec![
        ("AcceptPause", Value::Flag(false)),
        ("AcceptStop", Value::Flag(running)),
        ("Caption", text(service.display_name)),
        ("CheckPoint", Value::Number(check_point)),
        ("CreationClassName", text("Win32_Service")),
        ("DelayedAutoStart", Value::Flag(service.delayed)),
        ("Description", Value::Null),
        ("DisplayName", text(service.display_name)),
        ("ErrorControl", text("Normal")),
        ("ExitCode", Value::Number(service.exit_code)),
        ("Name", text(service.name)),
        ("PathName", text(service.path)),
        ("ProcessId", Value::Number(service.pid)),
        ("ServiceSpecificExitCode", Value::Number(service.specific_code)),
        ("ServiceType", text(if service.own_process { "Own Process" } else { "Share Process" })),
        ("Started", Value::Flag(service.pid > 0)),
        ("StartMode", text(service.start_mode)),
        ("StartName", text(service.account)),
        ("State", text(service.state.word())),
        // `OK` for a stopped service as well; what hangs on its way is degraded.
        ("Status", text(if service.state.is_pending() { "Degraded" } else { "OK" })),
        ("SystemName", text("WIN-SHOP01")),
        ("WaitHint", Value::Number(service.wait_hint_ms)),
    ]
}

fn dependencies(world: &World) -> Vec<Instance> {
    let reference = |class, name: &str| Value::Reference { class, name: name.to_owned() };
    let edge = |class, on: &str, by: &str| {
        vec![("Antecedent", reference(class, on)), ("Dependent", reference("Win32_Service", by))]
    };
    let services = world.services.iter().flat_map(|service| {
        service.needs.iter().map(move |on| edge("Win32_Service", on, service.name))
    });
    let drivers = DRIVERS.iter().map(|(by, on)| edge("Win32_SystemDriver", on, by));
    services.chain(drivers).collect()
}

fn processes(world: &World) -> Vec<Instance> {
    let process = |pid: u64, name: &str, created: Value| {
        vec![("ProcessId", Value::Number(pid)), ("Name", text(name)), ("CreationDate", created)]
    };
    let mut found = vec![
        process(0, "System Idle Process", Value::Null),
        process(4, "System", Value::Time(world.booted)),
    ];
    for service in world.services.iter().filter(|service| service.pid > 0) {
        let known = found.iter().any(|p| p.contains(&("ProcessId", Value::Number(service.pid))));
        if !known {
            found.push(process(service.pid, program(service.path), Value::Time(service.started)));
        }
    }
    for (_, pid, name) in &world.strangers {
        found.push(process(*pid, name, Value::Time(world.booted)));
    }
    found
}

/// The file of a command line: what stands before the first blank behind `.exe`.
fn program(path: &str) -> &str {
    let path = path.trim_start_matches('"');
    let end = path.find(".exe").map_or(path.len(), |at| at + 4);
    path[..end].rsplit('\\').next().unwrap_or(path)
}

fn operating_system(world: &World) -> Instance {
    const MEMORY_KIB: u64 = 16 << 20;
    let free_kib = world.memory_free / 1024;
    vec![
        ("BuildNumber", text("20348")),
        ("Caption", text("Microsoft Windows Server 2022 Standard")),
        ("CSName", text("WIN-SHOP01")),
        ("FreePhysicalMemory", Value::Number(free_kib)),
        ("FreeVirtualMemory", Value::Number(free_kib + (2 << 20))),
        ("LastBootUpTime", Value::Time(world.booted)),
        ("LocalDateTime", Value::Time(world.now)),
        ("TotalVirtualMemorySize", Value::Number(MEMORY_KIB + (4 << 20))),
        ("TotalVisibleMemorySize", Value::Number(MEMORY_KIB)),
        ("Version", text("10.0.20348")),
    ]
}

fn disks(world: &World) -> Vec<Instance> {
    let disk = |id: &str, kind, size, free| {
        vec![
            ("DeviceID", text(id)),
            ("DriveType", Value::Number(kind)),
            ("Size", size),
            ("FreeSpace", free),
        ]
    };
    let local =
        world.disks.iter().map(|d| disk(d.volume, 3, Value::Number(d.size), Value::Number(d.free)));
    // A drive without a disk in it has neither.
    local.chain([disk("E:", 5, Value::Null, Value::Null)]).collect()
}

fn events(world: &World) -> Vec<Instance> {
    let event = |event: &super::world::Event| {
        vec![
            ("EventCode", Value::Number(event.code)),
            ("EventType", Value::Number(event.kind)),
            ("InsertionStrings", Value::Texts(event.strings.clone())),
            ("Logfile", text(event.log)),
            ("RecordNumber", Value::Number(event.record)),
            ("SourceName", text(event.source)),
            ("TimeGenerated", Value::Time(event.at)),
            ("User", if event.user.is_empty() { Value::Null } else { text(event.user) }),
        ]
    };
    world.events.iter().map(event).collect()
}

fn connections(world: &World) -> Vec<Instance> {
    const LISTEN: u64 = 2;
    let listener = |port: u64, pid: u64| {
        vec![
            ("LocalAddress", text("0.0.0.0")),
            ("LocalPort", Value::Number(port)),
            ("OwningProcess", Value::Number(pid)),
            ("State", Value::Number(LISTEN)),
        ]
    };
    let web = world.services.iter().filter(|s| s.name == "ShopWeb" && s.pid > 0);
    let mut found: Vec<_> = web.map(|service| listener(8080, service.pid)).collect();
    found.extend(world.strangers.iter().map(|(port, pid, _)| listener(*port, *pid)));
    found.push(listener(5985, 4));
    found
}

fn files(world: &World) -> Vec<Instance> {
    world
        .services
        .iter()
        .map(|service| {
            let path = service.path.trim_start_matches('"');
            let end = path.find(".exe").map_or(path.len(), |at| at + 4);
            vec![
                ("Name", text(path[..end].to_ascii_lowercase())),
                ("FileSize", Value::Number(81_920)),
            ]
        })
        .collect()
}

/// The values of a registry read: `StdRegProv` method, key, value name. `None` for "not there".
pub(super) fn registry(world: &World, method: &str, key: &str, value: &str) -> Option<Vec<String>> {
    let services = r"SYSTEM\CurrentControlSet\Services\";
    if let Some(name) = key.strip_prefix(services) {
        let service = world.services.iter().find(|s| s.name.eq_ignore_ascii_case(name))?;
        return match (method, value) {
            ("EnumKey", _) => {
                let triggers = service.triggered.then(|| "TriggerInfo".to_owned());
                Some(
                    ["Parameters".to_owned(), "Security".to_owned()]
                        .into_iter()
                        .chain(triggers)
                        .collect(),
                )
            }
            ("GetBinaryValue", "FailureActions") if !service.recovery.is_empty() => {
                let count = u32::try_from(service.recovery.len()).unwrap_or(0);
                let head = [86_400, 0, 0, count, 20];
                let steps = service.recovery.iter().flat_map(|(action, delay)| [*action, *delay]);
                let words = head.into_iter().chain(steps);
                Some(words.flat_map(u32::to_le_bytes).map(|byte| byte.to_string()).collect())
            }
            _ => None,
        };
    }
    match (method, key.rsplit('\\').next().unwrap_or_default()) {
        ("EnumKey", "Component Based Servicing") => Some(vec!["Packages".to_owned()]),
        ("EnumKey", "Auto Update") => {
            let pending = world.reboot_pending.then(|| "RebootRequired".to_owned());
            Some(["Results".to_owned()].into_iter().chain(pending).collect())
        }
        _ => None,
    }
}
