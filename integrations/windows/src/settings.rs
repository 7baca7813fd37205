//! The settings of a Windows host, and what they open.

use std::collections::BTreeMap;
use std::sync::Arc;

use paramedic_catalog::{Setting, SettingKind, Settings};
use paramedic_integration::{Address, Environment, SettingsError, TlsSettings};
use paramedic_model::Secret;

use crate::host::{Hands, Lookout};
use crate::winrm::{Denials, Endpoint, Scheme};

const HTTP_PORT: u16 = 5985;
const HTTPS_PORT: u16 = 5986;

/// A host as configured: what probes are given.
pub(crate) struct Site {
    /// Looks at it.
    pub lookout: Lookout,
    /// The services that must run whatever their start mode; empty for "every automatic one".
    pub watched: Vec<String>,
    /// The TCP port that each of these services serves.
    pub ports: BTreeMap<String, u64>,
}

/// What the settings of one system open.
pub(crate) struct Opened {
    pub site: Arc<Site>,
    pub hands: Hands,
    /// The `instance` of its samples: `win01:5986`.
    pub instance: String,
}

pub(crate) fn declared() -> Vec<Setting> {
    let setting =
        |name, kind, required, doc, example| Setting { name, kind, required, doc, example };
    vec![
        setting(
            "url",
            SettingKind::Url,
            true,
            "Where WinRM listens, without a path. Default ports: 5986 for https, 5985 for http",
            "https://win01.example.net:5986",
        ),
        setting(
            "user",
            SettingKind::Text,
            true,
            "Who logs in: name, DOMAIN\\name or name@domain; basic takes local accounts only",
            "'WIN01\\paramedic'",
        ),
        setting(
            "password",
            SettingKind::Secret,
            true,
            "Their password",
            "{ file: /etc/paramedic/win01-password }",
        ),
        setting(
            "act_as",
            SettingKind::Table(vec![
                setting("user", SettingKind::Text, true, "Who acts", "'WIN01\\paramedic-act'"),
                setting(
                    "password",
                    SettingKind::Secret,
                    true,
                    "Their password",
                    "{ file: /etc/paramedic/win01-act-password }",
                ),
            ]),
            false,
            "Another account for actions alone, so that the first needs no right to change \
             anything. Default: the first",
            "{ user: 'WIN01\\paramedic-act', password: { env: WIN01_ACT_PASSWORD } }",
        ),
        setting(
            "auth",
            SettingKind::Text,
            false,
            "ntlm, or basic, which needs https with ca or pin. Default: ntlm",
            "ntlm",
        ),
        setting(
            "sealed_http",
            SettingKind::Bool,
            false,
            "Allow http: bodies are then sealed by NTLM, but nothing proves who the server is and \
             the login can be relayed. Default: false",
            "true",
        ),
        TlsSettings::declared(),
        setting(
            "services",
            SettingKind::TextList,
            false,
            "The services to watch, by service name; each must run whatever its start mode. \
             Default: every service that starts automatically",
            "[Spooler, W3SVC, \"MSSQL$SHOP\"]",
        ),
        setting(
            "ports",
            SettingKind::TextMap,
            false,
            "The TCP port that a service serves, by service name, to find out who holds it",
            "{ W3SVC: \"443\" }",
        ),
    ]
}

/// Reads the settings of one system. Sends nothing.
pub(crate) fn open(
    settings: &Settings,
    environment: &Environment,
) -> Result<Opened, SettingsError> {
    let required = |name: &str| SettingsError::new(name, "it is required");
    let (secure, address) = address(settings.text("url").ok_or_else(|| required("url"))?)?;
    let scheme = match settings.text("auth").unwrap_or("ntlm") {
        "ntlm" => Scheme::Ntlm,
        "basic" => Scheme::Basic,
        other => {
            let reason = format!("write ntlm or basic, not {other:?}");
            return Err(SettingsError::new("auth", reason));
        }
    };
    let tls = tls(settings, secure, scheme)?;
    if !secure && scheme == Scheme::Basic {
        let reason = "basic sends the password itself: it needs an https url";
        return Err(SettingsError::new("auth", reason));
    }
    if !secure && settings.flag("sealed_http") != Some(true) {
        let reason = "use https, or set sealed_http: true to accept that nothing proves who the \
                      server is";
        return Err(SettingsError::new("url", reason));
    }
    let (user, password) = account(settings, "", scheme, environment)?;
    let actor = settings.table("act_as");
    let actor = actor.map(|table| account(table, "act_as.", scheme, environment)).transpose()?;
    let ports = settings.map("ports").cloned().unwrap_or_default();
    let ports = ports.into_iter().map(|(name, port)| match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok((name, u64::from(port))),
        _ => {
            let reason = format!("write a port from 1 to 65535, not {port:?}");
            Err(SettingsError::new(format!("ports.{name}"), reason))
        }
    });
    let ports = ports.collect::<Result<_, _>>()?;
    let instance = address.to_string();
    let endpoint = |user: String, password: Secret| {
        Arc::new(Endpoint {
            address: address.clone(),
            tls: tls.clone(),
            user,
            password,
            scheme,
            transport: environment.transport.clone(),
            clock: environment.clock.clone(),
            redactor: environment.redactor.clone(),
            denials: Denials::default(),
        })
    };
    let looking = endpoint(user, password);
    let acting = actor.map_or_else(|| looking.clone(), |(user, password)| endpoint(user, password));
    let lookout = Lookout::new(looking);
    let site = Arc::new(Site { lookout, watched: settings.list("services").to_vec(), ports });
    Ok(Opened { site, hands: Hands::new(acting), instance })
}

/// The user and the password in `settings`, whose names begin with `prefix`.
fn account(
    settings: &Settings,
    prefix: &str,
    scheme: Scheme,
    environment: &Environment,
) -> Result<(String, Secret), SettingsError> {
    let error = |name: &str, reason: &str| SettingsError::new(format!("{prefix}{name}"), reason);
    let user = settings.text("user").ok_or_else(|| error("user", "it is required"))?.to_owned();
    let basic_splits_it = scheme == Scheme::Basic && user.contains(':');
    if user.is_empty() || user.chars().any(char::is_control) || basic_splits_it {
        return Err(error("user", "write name, DOMAIN\\name or name@domain"));
    }
    let password =
        settings.secret("password").ok_or_else(|| error("password", "it is required"))?;
    environment.redactor.add(password);
    Ok((user, password.clone()))
}

/// Whether the URL says https, and its host and port.
fn address(url: &str) -> Result<(bool, Address), SettingsError> {
    let error = |reason: &str| SettingsError::new("url", format!("{reason}, not {url:?}"));
    let (secure, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err(error("write https://host:port")),
    };
    let authority = rest.strip_suffix("/wsman").unwrap_or(rest).trim_end_matches('/');
    if authority.contains('@') {
        return Err(SettingsError::new("url", "credentials do not belong into a URL"));
    }
    if authority.contains('/') {
        return Err(error("leave the path out; it is always /wsman"));
    }
    let has_port = !authority.ends_with(']') && authority.contains(':');
    let default_port = if secure { HTTPS_PORT } else { HTTP_PORT };
    let text = if has_port { authority.to_owned() } else { format!("{authority}:{default_port}") };
    Address::parse(&text).map(|address| (secure, address)).map_err(|_| error("write a host"))
}

fn tls(
    settings: &Settings,
    secure: bool,
    scheme: Scheme,
) -> Result<Option<TlsSettings>, SettingsError> {
    let read = TlsSettings::read(settings, secure)?;
    let insecure = settings.table("tls").and_then(|tls| tls.flag("insecure")) == Some(true);
    if insecure && scheme == Scheme::Basic {
        let reason = "basic would give the password to anyone; use ca or pin";
        return Err(SettingsError::new("tls.insecure", reason));
    }
    Ok(secure.then_some(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused_with_what_to_write() {
        let check = |url: &str, expected: Result<(bool, &str), &str>| match (address(url), expected)
        {
            (Ok((secure, address)), Ok(expected)) => {
                assert_eq!((secure, &*address.to_string()), expected);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, _) => panic!("{url}: {got:?}"),
        };
        check("https://win01", Ok((true, "win01:5986")));
        check("http://win01", Ok((false, "win01:5985")));
        check("https://win01:443/wsman", Ok((true, "win01:443")));
        check("https://[2001:db8::1]", Ok((true, "[2001:db8::1]:5986")));
        check("win01", Err("write https://host:port"));
        check("https://a:b@win01", Err("credentials"));
        check("https://win01/other", Err("leave the path out"));
    }
}
