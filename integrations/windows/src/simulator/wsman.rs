//! WS-Management as the simulated host speaks it: SOAP in, SOAP out.

use std::collections::BTreeMap;

use super::instances::{self, Instance, Value};
use super::world::World;
use super::wql::Select;
use crate::winrm::Element;
use crate::winrm::fault_code::{ACCESS_DENIED, WMI_INVALID_CLASS};
use crate::winrm::xml::escape;

const WMI: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/";
const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
/// Instances in one answer, whatever the client would take: long lists come in pages.
const PAGE: usize = 20;

/// The codes that only this side needs.
const INVALID_SELECTORS: u64 = 2_150_858_843;
const ACTION_NOT_SUPPORTED: u64 = 2_150_858_811;
const INVALID_QUERY: u64 = 2_147_749_911;

/// Enumerations that have not ended.
#[derive(Default)]
pub(super) struct Enumerations {
    open: BTreeMap<u64, Vec<String>>,
    last: u64,
}

/// An answer: whether it is a fault, and the whole document.
pub(super) struct Reply {
    pub fault: bool,
    pub document: String,
}

/// Why a request is refused.
struct Refusal {
    code: u64,
    subcode: &'static str,
    text: &'static str,
}

const fn refusal(code: u64, subcode: &'static str, text: &'static str) -> Refusal {
    Refusal { code, subcode, text }
}

/// Answers Identify; to a stranger without the version of the system.
pub(super) fn identify(known: bool) -> String {
    let version = match known {
        true => "OS: 10.0.20348 SP: 0.0 Stack: 3.0",
        false => "OS: 0.0.0 SP: 0.0 Stack: 3.0",
    };
    format!(
        "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">\
         <s:Header/><s:Body><wsmid:IdentifyResponse \
         xmlns:wsmid=\"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd\">\
         <wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\
         </wsmid:ProtocolVersion><wsmid:ProductVendor>Microsoft Corporation\
         </wsmid:ProductVendor><wsmid:ProductVersion>{version}</wsmid:ProductVersion>\
         </wsmid:IdentifyResponse></s:Body></s:Envelope>"
    )
}

/// Answers one SOAP document; `None` for a text that is none.
pub(super) fn answer(
    world: &mut World,
    enumerations: &mut Enumerations,
    text: &str,
) -> Option<Reply> {
    let root = Element::parse(text).ok().filter(|root| root.name == "Envelope")?;
    let body = root.child("Body")?;
    if body.child("Identify").is_some() {
        return Some(Reply { fault: false, document: identify(true) });
    }
    let header = root.child("Header")?;
    let value = |name: &str| header.child(name).map(|e| e.text.trim()).unwrap_or_default();
    let (action, resource, id) = (value("Action"), value("ResourceURI"), value("MessageID"));
    let selectors = header.child("SelectorSet");
    let found = match action.rsplit('/').next().unwrap_or_default() {
        "Enumerate" => enumerate(world, enumerations, resource, body),
        "Pull" => pull(enumerations, body),
        method => invoke(world, resource, selectors, method, body),
    };
    Some(match found {
        Ok(inner) => {
            let document = envelope(&format!("{action}Response"), id, &inner);
            Reply { fault: false, document }
        }
        Err(refusal) => Reply { fault: true, document: fault(&refusal, id) },
    })
}

fn envelope(action: &str, relates_to: &str, body: &str) -> String {
    format!(
        "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:n=\"{ENUMERATION}\" \
         xmlns:w=\"{WSMAN}\" xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><s:Header><a:Action>{}\
         </a:Action><a:MessageID>uuid:8F1D6C2A-0000-0000-0000-000000000001</a:MessageID>\
         <a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>\
         <a:RelatesTo>{}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>",
        escape(action),
        escape(relates_to)
    )
}

fn fault(refusal: &Refusal, relates_to: &str) -> String {
    let body = format!(
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:{}</s:Value>\
         </s:Subcode></s:Code><s:Reason><s:Text xml:lang=\"en-US\">{}</s:Text></s:Reason>\
         <s:Detail><f:WSManFault xmlns:f=\"http://schemas.microsoft.com/wbem/wsman/1/wsmanfault\" \
         Code=\"{}\" Machine=\"WIN-SHOP01\"><f:Message>{}</f:Message></f:WSManFault></s:Detail>\
         </s:Fault>",
        refusal.subcode,
        escape(refusal.text),
        refusal.code,
        escape(refusal.text)
    );
    envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", relates_to, &body)
}

fn enumerate(
    world: &World,
    enumerations: &mut Enumerations,
    resource: &str,
    body: &Element,
) -> Result<String, Refusal> {
    let request = body.child("Enumerate");
    let request = request.ok_or(refusal(INVALID_QUERY, "SchemaValidationError", "No request."))?;
    let standard = resource.to_ascii_lowercase().contains("root/standardcimv2");
    let invalid = refusal(INVALID_QUERY, "CannotProcessFilter", "Invalid query");
    let select = match request.child("Filter") {
        Some(filter) => Select::parse(&filter.text).ok_or(invalid)?,
        // Without a filter the resource names the class.
        None => {
            let class = resource.rsplit('/').next().unwrap_or_default();
            Select::parse(&format!("SELECT * FROM {class}")).ok_or(invalid)?
        }
    };
    let (class, found) = instances::of(world, standard, &select.class).ok_or(refusal(
        WMI_INVALID_CLASS,
        "InvalidParameter",
        "Invalid class",
    ))?;
    let namespace = if standard { "root/StandardCimv2" } else { "root/cimv2" };
    let items = found
        .iter()
        .filter(|instance| select.admits(instance))
        .map(|instance| item(namespace, class, instance, select.properties.as_deref()))
        .collect();
    let optimised = request.child("OptimizeEnumeration").is_some();
    let most = request.child("MaxElements").and_then(|e| e.text.trim().parse().ok()).unwrap_or(1);
    let (context, rest) = enumerations.begin(items, if optimised { most } else { 0 });
    Ok(format!(
        "<n:EnumerateResponse>{}</n:EnumerateResponse>",
        page(context, &rest, optimised, "w")
    ))
}

fn pull(enumerations: &mut Enumerations, body: &Element) -> Result<String, Refusal> {
    let unknown = refusal(INVALID_SELECTORS, "InvalidEnumerationContext", "Unknown context.");
    let request = body.child("Pull").ok_or(unknown)?;
    let unknown = refusal(INVALID_SELECTORS, "InvalidEnumerationContext", "Unknown context.");
    let context = request.child("EnumerationContext").map(|e| e.text.trim().to_owned());
    let context = context.unwrap_or_default();
    let number = context.strip_prefix("uuid:").and_then(|n| n.parse().ok()).ok_or(unknown)?;
    let most = request.child("MaxElements").and_then(|e| e.text.trim().parse().ok()).unwrap_or(1);
    let unknown = refusal(INVALID_SELECTORS, "InvalidEnumerationContext", "Unknown context.");
    let (context, items) = enumerations.go_on(number, most).ok_or(unknown)?;
    Ok(format!("<n:PullResponse>{}</n:PullResponse>", page(context, &items, true, "n")))
}

impl Enumerations {
    fn begin(&mut self, items: Vec<String>, most: usize) -> (Option<u64>, Vec<String>) {
        self.last += 1;
        self.open.insert(self.last, items);
        match most {
            0 => (Some(self.last), Vec::new()),
            most => self.go_on(self.last, most).unwrap_or_default(),
        }
    }

    fn go_on(&mut self, number: u64, most: usize) -> Option<(Option<u64>, Vec<String>)> {
        let mut items = self.open.remove(&number)?;
        let rest = items.split_off(items.len().min(most.clamp(1, PAGE)));
        if rest.is_empty() {
            return Some((None, items));
        }
        self.open.insert(number, rest);
        Some((Some(number), items))
    }
}

fn page(context: Option<u64>, items: &[String], with_items: bool, prefix: &str) -> String {
    let mut text = match context {
        Some(number) => format!("<n:EnumerationContext>uuid:{number}</n:EnumerationContext>"),
        None => "<n:EnumerationContext/>".to_owned(),
    };
    if with_items {
        text.push_str(&format!("<{prefix}:Items>{}</{prefix}:Items>", items.concat()));
    }
    if context.is_none() {
        text.push_str(&format!("<{prefix}:EndOfSequence/>"));
    }
    text
}

/// One instance: whole, or only some properties of it.
fn item(
    namespace: &str,
    class: &str,
    instance: &Instance,
    properties: Option<&[String]>,
) -> String {
    let space = format!("{WMI}{namespace}/{class}");
    let chosen = |name: &str| {
        properties.is_none_or(|chosen| chosen.iter().any(|c| c.eq_ignore_ascii_case(name)))
    };
    let inner: String = instance
        .iter()
        .filter(|(name, _)| chosen(name))
        .map(|(name, value)| property(name, value))
        .collect();
    match properties {
        Some(_) => format!("<w:XmlFragment xmlns:p=\"{space}\">{inner}</w:XmlFragment>"),
        None => format!(
            "<p:{class} xmlns:p=\"{space}\" xsi:type=\"p:{class}_Type\">{inner}</p:{class}>"
        ),
    }
}

fn property(name: &str, value: &Value) -> String {
    let element = |inner: &str| format!("<p:{name}>{inner}</p:{name}>");
    match value {
        Value::Text(text) => element(&escape(text)),
        Value::Number(number) => element(&number.to_string()),
        Value::Flag(flag) => element(&flag.to_string()),
        Value::Null => format!("<p:{name} xsi:nil=\"true\"/>"),
        Value::Texts(texts) => texts.iter().map(|text| element(&escape(text))).collect(),
        Value::Time(at) => element(&format!(
            "<cim:Datetime xmlns:cim=\"http://schemas.dmtf.org/wbem/wscim/1/common\">{at}\
             </cim:Datetime>"
        )),
        Value::Reference { class, name } => element(&format!(
            "<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous\
             </a:Address><a:ReferenceParameters><w:ResourceURI>{WMI}root/cimv2/{class}\
             </w:ResourceURI><w:SelectorSet><w:Selector Name=\"Name\">{}</w:Selector>\
             </w:SelectorSet></a:ReferenceParameters>",
            escape(name)
        )),
    }
}

fn invoke(
    world: &mut World,
    resource: &str,
    selectors: Option<&Element>,
    method: &str,
    body: &Element,
) -> Result<String, Refusal> {
    let unsupported = refusal(ACTION_NOT_SUPPORTED, "ActionNotSupported", "Not supported.");
    let class = resource.strip_prefix(WMI).unwrap_or_default().to_ascii_lowercase();
    let output = match class.as_str() {
        "root/cimv2/win32_service" => {
            let denied = refusal(ACCESS_DENIED, "AccessDenied", "Access is denied.");
            let name = selectors.and_then(|set| set.child("Selector")).map(|s| s.text.trim());
            let name = name.filter(|_| !world.blind).ok_or(denied)?;
            let returned = match method {
                "StartService" => world.start(name),
                "StopService" => world.stop(name),
                _ => return Err(unsupported),
            };
            let missing = refusal(INVALID_SELECTORS, "InvalidSelectors", "No such instance.");
            format!("<p:ReturnValue>{}</p:ReturnValue>", returned.ok_or(missing)?)
        }
        "root/default/stdregprov" => read_registry(world, method, body).ok_or(unsupported)?,
        _ => return Err(refusal(WMI_INVALID_CLASS, "InvalidParameter", "Invalid class")),
    };
    let space = escape(resource);
    Ok(format!("<p:{method}_OUTPUT xmlns:p=\"{space}\">{output}</p:{method}_OUTPUT>"))
}

fn read_registry(world: &World, method: &str, body: &Element) -> Option<String> {
    let element = match method {
        "EnumKey" => "sNames",
        "GetDWORDValue" | "GetBinaryValue" => "uValue",
        "GetMultiStringValue" => "sValue",
        _ => return None,
    };
    let input = body.children.first()?;
    let text = |name: &str| input.child(name).map(|e| e.text.trim()).unwrap_or_default();
    let found = instances::registry(world, method, text("sSubKeyName"), text("sValueName"));
    Some(match found {
        Some(values) => {
            let values: String = values
                .iter()
                .map(|value| format!("<p:{element}>{}</p:{element}>", escape(value)))
                .collect();
            format!("<p:ReturnValue>0</p:ReturnValue>{values}")
        }
        None => format!("<p:ReturnValue>2</p:ReturnValue><p:{element} xsi:nil=\"true\"/>"),
    })
}
