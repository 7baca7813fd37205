//! WS-Management messages: the requests that this client sends, and what an answer says.
//!
//! Identify, Enumerate, Pull and Invoke are all there is. No shell is ever opened: what WQL and the
//! methods of WMI cannot do is left to a person.

use paramedic_model::TimeMs;

use super::wql::Query;
use super::xml::{Element, escape};

const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
const WQL_DIALECT: &str = "http://schemas.microsoft.com/wbem/wsman/1/WQL";
const WMI: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi";

/// The largest answer that is asked for: what a server allows by default.
const ENVELOPE_BYTES: usize = 512_000;
/// As many instances in one answer as fit into it.
const ELEMENTS_MAX: usize = 500;

/// The body that asks who answers; the only request that needs no login.
pub(crate) const IDENTIFY: &str = concat!(
    r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope""#,
    r#" xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">"#,
    r#"<s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>"#
);

/// One request without its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    action: String,
    resource: String,
    selectors: Vec<(&'static str, String)>,
    body: String,
}

impl Message {
    /// Begins a query; the answer holds the first instances.
    pub(crate) fn enumerate(query: &Query) -> Self {
        let body = format!(
            "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{ELEMENTS_MAX}</w:MaxElements>\
             <w:Filter Dialect=\"{WQL_DIALECT}\">{}</w:Filter></n:Enumerate>",
            escape(query.text())
        );
        Self {
            action: format!("{ENUMERATION}/Enumerate"),
            resource: query.namespace.uri().to_owned(),
            selectors: Vec::new(),
            body,
        }
    }

    /// Asks for more instances of a query that has begun.
    pub(crate) fn pull(query: &Query, context: &str) -> Self {
        let body = format!(
            "<n:Pull><n:EnumerationContext>{}</n:EnumerationContext>\
             <n:MaxElements>{ELEMENTS_MAX}</n:MaxElements></n:Pull>",
            escape(context)
        );
        Self { action: format!("{ENUMERATION}/Pull"), body, ..Self::enumerate(query) }
    }

    /// Calls a method: of the instance that `selectors` name, or of the class without them.
    ///
    /// Selector and parameter values are data in the document; nothing on the way reads them as
    /// anything else.
    pub(crate) fn invoke(
        class: &str,
        selectors: Vec<(&'static str, String)>,
        method: &str,
        parameters: &[(&str, &str)],
    ) -> Self {
        let uri = format!("{WMI}/{class}");
        let parameters: String = parameters
            .iter()
            .map(|(name, value)| format!("<p:{name}>{}</p:{name}>", escape(value)))
            .collect();
        let body = format!("<p:{method}_INPUT xmlns:p=\"{uri}\">{parameters}</p:{method}_INPUT>");
        Self { action: format!("{uri}/{method}"), resource: uri, selectors, body }
    }

    /// The whole document, addressed to `to`.
    pub(crate) fn to_envelope(&self, to: &str, id: &str, operation_timeout_s: u64) -> String {
        let selectors: String = self
            .selectors
            .iter()
            .map(|(name, value)| {
                format!("<w:Selector Name=\"{name}\">{}</w:Selector>", escape(value))
            })
            .collect();
        let selectors = match selectors.as_str() {
            "" => String::new(),
            some => format!("<w:SelectorSet>{some}</w:SelectorSet>"),
        };
        format!(
            "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{ADDRESSING}\" xmlns:n=\"{ENUMERATION}\" \
             xmlns:w=\"{WSMAN}\"><s:Header><a:To>{}</a:To>\
             <w:ResourceURI s:mustUnderstand=\"true\">{}</w:ResourceURI>\
             <a:ReplyTo><a:Address s:mustUnderstand=\"true\">{ADDRESSING}/role/anonymous\
             </a:Address></a:ReplyTo><a:Action s:mustUnderstand=\"true\">{}</a:Action>\
             <a:MessageID>{id}</a:MessageID>\
             <w:MaxEnvelopeSize s:mustUnderstand=\"true\">{ENVELOPE_BYTES}</w:MaxEnvelopeSize>\
             <w:OperationTimeout>PT{operation_timeout_s}S</w:OperationTimeout>\
             <w:Locale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>{selectors}</s:Header>\
             <s:Body>{}</s:Body></s:Envelope>",
            escape(to),
            escape(&self.resource),
            escape(&self.action),
            self.body
        )
    }
}

/// The id of the `number`th message of a session that began at `at`.
pub(crate) fn message_id(at: TimeMs, number: u32) -> String {
    let at = at.0.unsigned_abs();
    format!("uuid:{:08X}-{:04X}-4000-8000-{number:012X}", at >> 16 & 0xffff_ffff, at & 0xffff)
}

/// What the server says against a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The number of `WSManFault`, where there is one: what to branch on.
    pub code: Option<u64>,
    /// The local name of the subcode, as `AccessDenied`.
    pub subcode: String,
    /// The server's words, in its own language.
    pub text: String,
}

/// `WSManFault` codes that this client knows.
pub(crate) mod fault_code {
    /// The operation took longer than its own limit.
    pub(crate) const TIMED_OUT: u64 = 2_150_858_793;
    /// The user may not.
    pub(crate) const ACCESS_DENIED: u64 = 5;
    /// The provider refused the query or has no such class.
    pub(crate) const WMI_INVALID_CLASS: u64 = 2_147_749_904;
}

impl Fault {
    /// The fault in a body, where it is one.
    fn of(body: &Element) -> Option<Self> {
        let fault = body.child("Fault")?;
        let subcode = fault.at(&["Code", "Subcode", "Value"]).map(|v| v.text.trim());
        let subcode = subcode.and_then(|v| v.rsplit(':').next()).unwrap_or_default();
        let detail = fault.find("WSManFault");
        let code = detail.and_then(|f| f.attribute("Code")).and_then(|code| code.parse().ok());
        let reason = fault.at(&["Reason", "Text"]).map(|text| text.text.trim());
        let message = detail.and_then(|f| f.find("Message")).map(|text| text.text.trim());
        let text = [reason, message].into_iter().flatten().find(|text| !text.is_empty());
        Some(Self { code, subcode: subcode.to_owned(), text: text.unwrap_or_default().to_owned() })
    }
}

/// Code, subcode and words: `fault 5 (AccessDenied): Access is denied.`
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(f, "fault {code}")?,
            None => f.write_str("fault")?,
        }
        if !self.subcode.is_empty() {
            write!(f, " ({})", self.subcode)?;
        }
        let words = super::shorten(&self.text);
        if words.is_empty() { Ok(()) } else { write!(f, ": {words}") }
    }
}

/// What an answer says: its body, or a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The body element.
    Body(Element),
    /// The server says no.
    Fault(Fault),
}

impl Answer {
    /// Reads the answer to the message `id`.
    ///
    /// # Errors
    ///
    /// A text that is no SOAP envelope, or answers another message.
    pub(crate) fn parse(text: &str, id: &str) -> Result<Self, String> {
        let mut root = Element::parse(text)
            .map_err(|e| format!("expected a SOAP message: {e}: {}", super::shorten(text)))?;
        if root.name != "Envelope" || root.space != SOAP {
            let shown = super::shorten(text);
            return Err(format!("expected a SOAP message, got {}: {shown}", root.name));
        }
        let related = root.at(&["Header", "RelatesTo"]).map(|e| e.text.trim());
        let related_elsewhere = related.is_some_and(|related| !related.eq_ignore_ascii_case(id));
        let at = root.children.iter().position(|child| child.name == "Body");
        let body = at.map(|at| root.children.swap_remove(at)).ok_or("a message without a body")?;
        if let Some(fault) = Fault::of(&body) {
            return Ok(Self::Fault(fault));
        }
        if related_elsewhere {
            return Err("an answer to another message".to_owned());
        }
        Ok(Self::Body(body))
    }
}

/// One part of a query's answer.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The instances.
    pub items: Vec<Element>,
    /// How to ask for more; `None` at the end.
    pub context: Option<String>,
}

impl Page {
    /// Reads the body of an answer to Enumerate or Pull.
    ///
    /// # Errors
    ///
    /// A body that is neither.
    pub(crate) fn of(mut body: Element) -> Result<Self, String> {
        let at = body
            .children
            .iter()
            .position(|e| matches!(&*e.name, "EnumerateResponse" | "PullResponse"))
            .ok_or("expected the answer to a query")?;
        let mut response = body.children.swap_remove(at);
        let ended = response.child("EndOfSequence").is_some();
        let context = response.child("EnumerationContext").map(|c| c.text.trim().to_owned());
        let context = context.filter(|context| !ended && !context.is_empty());
        let at = response.children.iter().position(|child| child.name == "Items");
        let items = at.map(|at| response.children.swap_remove(at).children).unwrap_or_default();
        if context.is_none() && !ended {
            return Err("the answer to a query neither ends nor says how to go on".to_owned());
        }
        Ok(Self { items, context })
    }
}

#[cfg(test)]
mod tests {
    use super::super::wql::Namespace;
    use super::*;

    #[test]
    fn a_name_is_data_wherever_it_stands() {
        let hostile = "x</w:Selector>' & <calc/>";
        let message = Message::invoke(
            "root/cimv2/Win32_Service",
            vec![("Name", hostile.to_owned())],
            "StartService",
            &[("a", hostile)],
        );
        let root = Element::parse(&message.to_envelope("http://x/wsman", "uuid:1", 20)).unwrap();
        let selector = root.at(&["Header", "SelectorSet", "Selector"]).unwrap();
        assert_eq!((&*selector.text, selector.children.len()), (hostile, 0));
        let input = root.at(&["Body", "StartService_INPUT", "a"]).unwrap();
        assert_eq!((&*input.text, input.children.len()), (hostile, 0));
        let query = Query::select(Namespace::Cimv2, "X", &[]).with_text("Name", hostile);
        let root =
            Element::parse(&Message::enumerate(&query).to_envelope("t", "uuid:1", 20)).unwrap();
        let filter = root.at(&["Body", "Enumerate", "Filter"]).unwrap();
        assert_eq!(filter.text, query.text());
    }

    #[test]
    fn a_fault_is_told_by_its_number() {
        let text = format!(
            "<s:Envelope xmlns:s=\"{SOAP}\"><s:Header/><s:Body><s:Fault><s:Code><s:Value>s:Receiver\
             </s:Value><s:Subcode><s:Value>w:AccessDenied</s:Value></s:Subcode></s:Code><s:Reason>\
             <s:Text xml:lang=\"de-DE\">Zugriff verweigert</s:Text></s:Reason><s:Detail>\
             <f:WSManFault xmlns:f=\"urn:f\" Code=\"5\"><f:Message>x</f:Message></f:WSManFault>\
             </s:Detail></s:Fault></s:Body></s:Envelope>"
        );
        let Ok(Answer::Fault(fault)) = Answer::parse(&text, "uuid:1") else { panic!("a fault") };
        assert_eq!(fault.to_string(), "fault 5 (AccessDenied): Zugriff verweigert");
        assert_eq!(fault.code, Some(fault_code::ACCESS_DENIED));
    }

    #[test]
    fn an_answer_that_is_none_is_refused_in_words() {
        let check = |text: &str, part: &str| {
            let error = Answer::parse(text, "uuid:1").unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("", "expected a SOAP message");
        check("<html><body>hi</body></html>", "got html");
        let other = format!(
            "<s:Envelope xmlns:s=\"{SOAP}\"><s:Header><RelatesTo>uuid:2</RelatesTo></s:Header>\
             <s:Body/></s:Envelope>"
        );
        check(&other, "another message");
    }

    #[test]
    fn a_page_must_end_or_go_on() {
        let page = |inner: &str| {
            let text = format!("<Body><EnumerateResponse>{inner}</EnumerateResponse></Body>");
            Page::of(Element::parse(&text).unwrap())
        };
        assert!(page("").is_err());
        let more = page("<EnumerationContext>7</EnumerationContext><Items><a/></Items>").unwrap();
        assert_eq!((more.context.as_deref(), more.items.len()), (Some("7"), 1));
        let last = page("<EnumerationContext>7</EnumerationContext><EndOfSequence/>").unwrap();
        assert_eq!((last.context, last.items.len()), (None, 0));
    }
}
