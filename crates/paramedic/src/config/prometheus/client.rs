use paramedic_integration::{Credentials, SecretSource, TlsOptions, TlsSettings, TlsTrust};
use paramedic_model::Secret;
use paramedic_scrape::ClientOptions;

use super::super::Reader;
use super::super::yaml::{Mistake, Node, Read as _, Table};

/// Where systems keep the authorities that they believe; the first that is there counts.
const AUTHORITIES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const REFUSED: [(&str, &str); 6] = [
    ("oauth2", "use `authorization` with a `credentials_file` that something else keeps fresh"),
    ("proxy_url", "targets are reached directly; scrape through the proxy's own address"),
    ("no_proxy", "targets are reached directly"),
    ("proxy_connect_header", "targets are reached directly"),
    ("http_headers", "use `authorization` or `basic_auth`"),
    ("enable_http3", "HTTP/1.1 is spoken"),
];

impl Reader<'_> {
    /// The keys of an HTTP client, which stand among those of `table`.
    pub(super) fn client<'a>(
        &mut self,
        table: &mut Table<'a>,
        node: &Node,
    ) -> Result<ClientOptions, Mistake> {
        let mut ways = Vec::new();
        if let Some(node) = table.get("basic_auth") {
            ways.push(self.basic_auth(node)?);
        }
        if let Some(node) = table.get("authorization") {
            ways.push(self.authorization(node)?);
        }
        if let Some(node) = table.get("bearer_token") {
            let token = Secret::new(node.text("bearer_token")?);
            self.secrets.push(token.clone());
            ways.push(bearer(SecretSource::Stated(token)));
        }
        if let Some(node) = table.get("bearer_token_file") {
            ways.push(bearer(self.source_file(node, node.text("bearer_token_file")?)?));
        }
        if ways.len() > 1 {
            let message = "at most one of basic_auth, oauth2 & authorization must be configured";
            self.mistakes.push(node.mistake(message));
        }
        let tls = match table.get("tls_config") {
            Some(node) => Some(self.tls_config(node)?),
            None => self.system_tls(),
        };
        let follow = self.flag(table.get("follow_redirects"), "follow_redirects");
        // HTTP/2 is an offer that need not be taken.
        self.flag(table.get("enable_http2"), "enable_http2");
        let proxied = table.get("proxy_from_environment");
        if let (Some(true), Some(node)) = (self.flag(proxied, "proxy_from_environment"), proxied) {
            let message = "`proxy_from_environment` is not supported: targets are reached directly";
            self.mistakes.push(node.mistake(message));
        }
        self.refuse(table, &REFUSED);
        let follow_redirects = follow.unwrap_or(true);
        let connections = paramedic_integration::Connections::default();
        Ok(ClientOptions { credentials: ways.pop(), tls, follow_redirects, connections })
    }

    /// A file that holds a secret. It must be there now, and is read again whenever it is needed.
    fn source_file(&mut self, at: &Node, path: &str) -> Result<SecretSource, Mistake> {
        let source = SecretSource::File(self.path(path));
        source.read().map_err(|error| at.mistake(error))?;
        Ok(source)
    }

    /// Where the secret is found that `key` holds, or the file which `key_file` names.
    fn source<'a>(
        &mut self,
        table: &mut Table<'a>,
        (key, file_key): (&'static str, &'static str),
    ) -> Result<Option<(SecretSource, &'a Node)>, Mistake> {
        let (direct, file) = (table.get(key), table.get(file_key));
        match (direct, file) {
            (Some(_), Some(file)) => {
                let message = format!("at most one of {key} & {file_key} must be configured");
                Err(file.mistake(message))
            }
            (Some(direct), None) => {
                let stated = Secret::new(direct.text(key)?);
                // A user's name is none, and masking it would garble every text that holds it.
                if ["password", "credentials", "key"].contains(&key) {
                    self.secrets.push(stated.clone());
                }
                Ok(Some((SecretSource::Stated(stated), direct)))
            }
            (None, Some(file)) => Ok(Some((self.source_file(file, file.text(file_key)?)?, file))),
            (None, None) => Ok(None),
        }
    }

    fn basic_auth(&mut self, node: &Node) -> Result<Credentials, Mistake> {
        let mut table = Table::new(node, "basic_auth")?;
        let user = self.source(&mut table, ("username", "username_file"))?;
        let password = self.source(&mut table, ("password", "password_file"))?;
        const REFS: [(&str, &str); 2] = [
            ("username_ref", "use `username` or `username_file`"),
            ("password_ref", "use `password` or `password_file`"),
        ];
        self.refuse(&mut table, &REFS);
        self.mistakes.extend(table.unknown());
        let (user, password) = (found(user), found(password));
        Ok(Credentials::Basic { user, password })
    }

    fn authorization(&mut self, node: &Node) -> Result<Credentials, Mistake> {
        let mut table = Table::new(node, "authorization")?;
        let scheme = match table.get("type") {
            Some(node) => node.text("type")?.trim(),
            None => "Bearer",
        };
        if scheme.eq_ignore_ascii_case("basic") {
            let message =
                "authorization type cannot be set to \"basic\", use \"basic_auth\" instead";
            return Err(node.mistake(message));
        }
        let credentials = self.source(&mut table, ("credentials", "credentials_file"))?;
        self.refuse(&mut table, &[("credentials_ref", "use `credentials_file`")]);
        self.mistakes.extend(table.unknown());
        let credentials = found(credentials);
        Ok(Credentials::Scheme { scheme: scheme.to_owned(), credentials })
    }

    fn tls_config(&mut self, node: &Node) -> Result<TlsSettings, Mistake> {
        let mut table = Table::new(node, "tls_config")?;
        let insecure = self.flag(table.get("insecure_skip_verify"), "insecure_skip_verify");
        let authorities = self.source(&mut table, ("ca", "ca_file"))?.map(|(source, _)| source);
        let certificate = self.source(&mut table, ("cert", "cert_file"))?.map(|(found, _)| found);
        let key = self.source(&mut table, ("key", "key_file"))?.map(|(source, _)| source);
        let server_name = match table.get("server_name") {
            Some(node) => Some(node.text("server_name")?.to_owned()),
            None => None,
        };
        let version = |node: &Node, key| match node.text(key)? {
            "TLS10" | "TLS11" | "TLS12" => Ok(false),
            "TLS13" => Ok(true),
            other => Err(node.mistake(format!("unknown TLS version: {other}"))),
        };
        let only_1_3 = match table.get("min_version") {
            Some(node) => version(node, "min_version")?,
            None => false,
        };
        if let Some(node) = table.get("max_version")
            && !version(node, "max_version")?
        {
            let message = "`max_version` is not supported below TLS13; leave it out";
            self.mistakes.push(node.mistake(message));
        }
        const REFS: [(&str, &str); 3] = [
            ("ca_ref", "use `ca_file`"),
            ("cert_ref", "use `cert_file`"),
            ("key_ref", "use `key_file`"),
        ];
        self.refuse(&mut table, &REFS);
        self.mistakes.extend(table.unknown());
        if certificate.is_some() != key.is_some() {
            let message = "exactly one of key or key_file, and of cert or cert_file, must be \
                           configured when a client certificate is shown";
            return Err(node.mistake(message));
        }
        let trust = match (insecure, &authorities) {
            (Some(true), _) => Some(TlsTrust::Anyone),
            (_, Some(_)) => None,
            (_, None) => Some(system_trust().ok_or_else(|| {
                node.mistake("no list of authorities is on this machine; state `ca_file`")
            })?),
        };
        let sources = [&authorities, &certificate, &key].into_iter().flatten();
        let files = sources.filter_map(|source| match source {
            SecretSource::File(path) => Some(path.clone()),
            SecretSource::Stated(_) => None,
        });
        let files: Vec<_> = files.collect();
        let read = move || {
            let text =
                |source: &Option<SecretSource>| source.as_ref().map(SecretSource::read).transpose();
            let authorities = text(&authorities)?.unwrap_or_else(|| Secret::new(""));
            let trust = trust.clone();
            let trust =
                trust.unwrap_or_else(|| TlsTrust::Authorities(authorities.expose().to_owned()));
            let identity = text(&certificate)?.zip(text(&key)?);
            let identity = identity.map(|(shown, key)| (shown.expose().to_owned(), key));
            Ok(TlsOptions { trust, identity, server_name: server_name.clone(), only_1_3 })
        };
        let settings = TlsSettings::renewing("tls_config", files, read);
        settings.map_err(|error| node.mistake(error.to_string()))
    }

    /// Believes whom the system believes; read once for all jobs.
    fn system_tls(&mut self) -> Option<TlsSettings> {
        let read = || TlsSettings::new("tls_config", &system_trust()?).ok();
        self.system_tls.get_or_insert_with(read).clone()
    }
}

fn bearer(credentials: SecretSource) -> Credentials {
    Credentials::Scheme { scheme: "Bearer".to_owned(), credentials }
}

/// The secret, or an empty one where none is given.
fn found(source: Option<(SecretSource, &Node)>) -> SecretSource {
    source.map_or_else(|| SecretSource::Stated(Secret::new("")), |(source, _)| source)
}

fn system_trust() -> Option<TlsTrust> {
    let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let paths = named.into_iter().chain(AUTHORITIES.map(std::path::PathBuf::from));
    let mut texts = paths.filter_map(|path| std::fs::read_to_string(path).ok());
    texts.next().map(TlsTrust::Authorities)
}
