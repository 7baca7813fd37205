//! What only the registry says of a service, read by `StdRegProv`.
//!
//! Reading the registry is a method call, not a query, so the methods that may be called are the
//! variants of [`Read`]: each of them only reads.

use paramedic_integration::ProbeError;

use super::{Service, Viewer};
use crate::winrm::{Element, ExchangeError, Message};

/// `HKEY_LOCAL_MACHINE`.
const LOCAL_MACHINE: &str = "2147483650";
const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";

/// What may be asked of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    SubKeys,
    Number,
    Binary,
    Texts,
}

impl Read {
    /// The method, and the element of its answer that holds the values.
    fn method(self) -> (&'static str, &'static str) {
        match self {
            Self::SubKeys => ("EnumKey", "sNames"),
            Self::Number => ("GetDWORDValue", "uValue"),
            Self::Binary => ("GetBinaryValue", "uValue"),
            Self::Texts => ("GetMultiStringValue", "sValue"),
        }
    }
}

/// What the registry says of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceKey {
    /// It starts and stops by triggers: stopped is its ordinary state.
    pub has_triggers: bool,
    /// It will be gone as soon as nobody holds it open.
    pub marked_for_deletion: bool,
    /// What the Service Control Manager does when it fails.
    pub failure_actions: FailureActions,
}

/// What the Service Control Manager does when a service fails.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FailureActions {
    /// For the first, the second and every later failure.
    pub steps: Vec<FailureStep>,
    /// Whether an exit with an error counts as a failure, not only a crash.
    pub on_errors: bool,
}

/// What is done about one failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FailureStep {
    /// `none`, `restart`, `reboot`, `command` or `unknown`.
    pub action: &'static str,
    /// After how long, in milliseconds.
    pub delay_ms: u64,
}

/// Signs that a host waits for a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PendingReboot {
    /// Of the servicing stack: components half installed.
    pub servicing: bool,
    /// Of Windows Update.
    pub update: bool,
    /// Files to be replaced at the next start; often harmless.
    pub files: bool,
}

impl PendingReboot {
    /// Whether an update waits for the restart.
    pub(crate) fn is_update(self) -> bool {
        self.servicing || self.update
    }
}

impl Viewer {
    /// The key of a service that the host listed.
    pub(crate) async fn service_key(
        &mut self,
        service: &Service,
    ) -> Result<ServiceKey, ProbeError> {
        // The host's own list never holds such a name; a key path must not be led astray by one.
        if service.name.contains(['\\', '/']) {
            return Err(ProbeError::unable(format!("{:?} names no registry key", service.name)));
        }
        let key = format!(r"{SERVICES}\{}", service.name);
        let sub_keys = self.registry(Read::SubKeys, &key, None).await?.ok_or_else(|| {
            ProbeError::answer(self.endpoint.target(), format!("no registry key {key}"))
        })?;
        let deletion = self.registry(Read::Number, &key, Some("DeleteFlag")).await?;
        let raw = self.registry(Read::Binary, &key, Some("FailureActions")).await?;
        let on_errors =
            self.registry(Read::Number, &key, Some("FailureActionsOnNonCrashFailures")).await?;
        Ok(ServiceKey {
            has_triggers: sub_keys.iter().any(|k| k.eq_ignore_ascii_case("TriggerInfo")),
            marked_for_deletion: is_set(deletion.as_deref()),
            failure_actions: FailureActions {
                steps: failure_steps(&raw.unwrap_or_default()),
                on_errors: is_set(on_errors.as_deref()),
            },
        })
    }

    /// Whether the host waits for a restart.
    pub(crate) async fn pending_reboot(&mut self) -> Result<PendingReboot, ProbeError> {
        let servicing = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing";
        let update = r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update";
        let session = r"SYSTEM\CurrentControlSet\Control\Session Manager";
        let has = |keys: Option<Vec<String>>, name: &str| {
            keys.unwrap_or_default().iter().any(|key| key.eq_ignore_ascii_case(name))
        };
        let files = Some("PendingFileRenameOperations");
        Ok(PendingReboot {
            servicing: has(self.registry(Read::SubKeys, servicing, None).await?, "RebootPending"),
            update: has(self.registry(Read::SubKeys, update, None).await?, "RebootRequired"),
            files: self
                .registry(Read::Texts, session, files)
                .await?
                .is_some_and(|texts| texts.iter().any(|text| !text.is_empty())),
        })
    }

    /// Reads below `HKEY_LOCAL_MACHINE`; `None` where the key or the value is not there.
    async fn registry(
        &mut self,
        read: Read,
        key: &str,
        value: Option<&str>,
    ) -> Result<Option<Vec<String>>, ProbeError> {
        let (method, element) = read.method();
        let mut parameters = vec![("hDefKey", LOCAL_MACHINE), ("sSubKeyName", key)];
        parameters.extend(value.map(|value| ("sValueName", value)));
        let class = "root/default/StdRegProv";
        let message = Message::invoke(class, Vec::new(), method, &parameters);
        let body = match self.session.exchange(&message).await {
            Ok(body) => body,
            Err(ExchangeError::Broken(error)) => return Err(error),
            Err(ExchangeError::Fault(fault)) => return Err(self.endpoint.fault(&fault)),
        };
        let target = self.endpoint.target();
        let wrong = |reason: String| ProbeError::answer(&target, format!("{method}: {reason}"));
        let output = body.children.first().ok_or_else(|| wrong("an empty answer".to_owned()))?;
        let code = output.child("ReturnValue").map(|code| code.text.trim()).unwrap_or_default();
        match code {
            "0" => Ok(Some(values(output, element))),
            // Not found: the key, or the value.
            "1" | "2" => Ok(None),
            "5" => Err(ProbeError::Denied {
                target,
                reason: format!("user {} may not read the registry", self.endpoint.user),
            }),
            code => Err(wrong(format!("it returned {code:?} for {key}"))),
        }
    }
}

fn values(output: &Element, element: &str) -> Vec<String> {
    output.children(element).map(|value| value.text.trim().to_owned()).collect()
}

fn is_set(values: Option<&[String]>) -> bool {
    values.and_then(|values| values.first()).is_some_and(|value| value != "0")
}

/// Reads the value `FailureActions`: five words (reset period, two pointers, count, pointer), then
/// a type and a delay for each step.
fn failure_steps(bytes: &[String]) -> Vec<FailureStep> {
    const HEAD_WORDS: usize = 5;
    const STEPS_MAX: usize = 16;
    let bytes: Vec<u8> = bytes.iter().map_while(|byte| byte.parse().ok()).collect();
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
    let Some((head, steps)) = words.split_at_checked(HEAD_WORDS) else { return Vec::new() };
    let count = usize::try_from(head[3]).unwrap_or(0).min(STEPS_MAX);
    let step = |pair: &[u32]| FailureStep {
        action: match pair[0] {
            0 => "none",
            1 => "restart",
            2 => "reboot",
            3 => "command",
            _ => "unknown",
        },
        delay_ms: pair[1].into(),
    };
    steps.chunks_exact(2).take(count).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_actions_are_read_from_their_bytes() {
        let bytes = |words: &[u32]| -> Vec<String> {
            words.iter().flat_map(|w| w.to_le_bytes()).map(|byte| byte.to_string()).collect()
        };
        let steps = failure_steps(&bytes(&[86_400, 0, 0, 2, 20, 1, 60_000, 0, 0]));
        let actions: Vec<_> = steps.iter().map(|step| (step.action, step.delay_ms)).collect();
        assert_eq!(actions, [("restart", 60_000), ("none", 0)]);
        assert!(failure_steps(&bytes(&[1, 2])).is_empty());
        assert!(failure_steps(&bytes(&[0, 0, 0, u32::MAX, 20])).is_empty());
        assert!(failure_steps(&["x".to_owned()]).is_empty());
    }
}
