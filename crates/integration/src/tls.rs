use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsConnector;

use paramedic_catalog::{Setting, SettingKind, Settings};
use paramedic_model::Secret;

use crate::{BoxStream, SettingsError};

/// Whom a TLS client believes.
#[derive(Debug, Clone)]
pub enum TlsTrust {
    /// A certificate that one of these authorities signed, for this host. PEM text.
    Authorities(String),
    /// Exactly the certificate with this SHA-256 fingerprint, whatever name it carries: for the
    /// self-signed certificates that appliances come with.
    Pin([u8; 32]),
    /// Anyone. For a laboratory.
    Anyone,
}

impl TlsTrust {
    /// Reads a pin: 64 hexadecimal digits, with or without colons.
    ///
    /// # Errors
    ///
    /// A text that is not of that form, named by the key `setting`.
    pub fn pin(setting: &str, text: &str) -> Result<Self, SettingsError> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let error = || {
            let reason =
                "write the SHA-256 fingerprint of the certificate as 64 hexadecimal digits";
            SettingsError::new(setting, reason)
        };
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(error());
        }
        let mut pin = [0; 32];
        for (byte, pair) in pin.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| error())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        Ok(Self::Pin(pin))
    }
}

/// All that a client may say of TLS.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// Whom it believes.
    pub trust: TlsTrust,
    /// The certificates that it shows and their key, as PEM texts.
    pub identity: Option<(String, Secret)>,
    /// The name that the server's certificate must carry, where it is not the host's.
    pub server_name: Option<String>,
    /// Whether TLS 1.2 is refused.
    pub only_1_3: bool,
}

/// How a client secures its streams.
#[derive(Clone)]
pub struct TlsSettings {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
    renewal: Option<Arc<Renewal>>,
}

/// What reads options again when a file changed that they come from.
struct Renewal {
    setting: String,
    files: Vec<PathBuf>,
    read: Box<dyn Fn() -> Result<TlsOptions, String> + Send + Sync>,
    newest: Mutex<Newest>,
}

/// The last options that could be used.
struct Newest {
    /// Of the files when they were read last, whether they could be used or not.
    stamp: Stamp,
    /// How many came before.
    generation: u64,
    config: Arc<ClientConfig>,
}

/// Of each file, when it was written and how long it is.
type Stamp = Vec<Option<(SystemTime, u64)>>;

fn stamp(files: &[PathBuf]) -> Stamp {
    let of = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    files.iter().map(of).collect()
}

impl Renewal {
    /// By the files as they are. One that cannot be used changes nothing: it may be half written.
    fn config(&self) -> (u64, Arc<ClientConfig>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.files);
        if newest.stamp != stamp {
            newest.stamp = stamp;
            let options = (self.read)();
            let config = options.and_then(|options| {
                config_of(&self.setting, &options).map_err(|error| error.reason)
            });
            match config {
                Ok(config) => (newest.generation, newest.config) = (newest.generation + 1, config),
                Err(reason) => tracing::warn!("{} stays as it was: {reason}", self.setting),
            }
        }
        (newest.generation, newest.config.clone())
    }
}

/// Without keys and certificates.
impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &mut f.debug_struct("TlsSettings");
        shown.field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Settings that believe `trust`, as given in the key `setting`.
    ///
    /// # Errors
    ///
    /// Authorities that are no PEM certificates.
    pub fn new(setting: &str, trust: &TlsTrust) -> Result<Self, SettingsError> {
        let trust = trust.clone();
        let options = TlsOptions { trust, identity: None, server_name: None, only_1_3: false };
        Self::with(setting, &options)
    }

    /// Settings as `options` say, which are given in the key `setting`.
    ///
    /// # Errors
    ///
    /// Authorities, certificates or a key that are no PEM or do not fit together.
    pub fn with(setting: &str, options: &TlsOptions) -> Result<Self, SettingsError> {
        let server_name = options.server_name.clone();
        Ok(Self { config: config_of(setting, options)?, server_name, renewal: None })
    }

    /// As [`TlsSettings::with`], with options that `read` reads from `files`: again whenever one of
    /// those changed. A connection that was opened before is used for no further request.
    ///
    /// # Errors
    ///
    /// As there, and what `read` says, for the files as they are now. Later the last good ones count.
    pub fn renewing(
        setting: &str,
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<TlsOptions, String> + Send + Sync + 'static,
    ) -> Result<Self, SettingsError> {
        let stamp = stamp(&files);
        let options = read().map_err(|reason| SettingsError::new(setting, reason))?;
        let settings = Self::with(setting, &options)?;
        let newest = Newest { stamp, generation: 0, config: settings.config.clone() };
        let newest = Mutex::new(newest);
        let (setting, read) = (setting.to_owned(), Box::new(read));
        let renewal = Renewal { setting, files, read, newest };
        Ok(Self { renewal: Some(Arc::new(renewal)), ..settings })
    }

    fn config(&self) -> (u64, Arc<ClientConfig>) {
        self.renewal.as_ref().map_or_else(|| (0, self.config.clone()), |renewal| renewal.config())
    }

    /// Another number whenever options took the place of others.
    pub(crate) fn generation(&self) -> u64 {
        self.config().0
    }

    /// The setting `tls` of every kind whose systems may stand behind https.
    pub fn declared() -> Setting {
        let setting =
            |name, kind, doc, example| Setting { name, kind, required: false, doc, example };
        let table = vec![
            setting(
                "ca",
                SettingKind::Secret,
                "the authorities to believe, as PEM",
                "{ file: /etc/paramedic/ca.pem }",
            ),
            setting(
                "pin",
                SettingKind::Text,
                "the SHA-256 fingerprint of the only certificate to believe; a renewal changes it",
                "\"9F:86:D0:81:...\"",
            ),
            setting(
                "insecure",
                SettingKind::Bool,
                "believe any certificate; for a laboratory. Default: false",
                "true",
            ),
        ];
        setting(
            "tls",
            SettingKind::Table(table),
            "whom to believe behind https: exactly one of ca, pin and insecure. Required for https",
            "{ ca: { file: /etc/paramedic/ca.pem } }",
        )
    }

    /// Reads what [`TlsSettings::declared`] declares from the settings of a system. `secure` says
    /// whether any of its URLs is https; behind http there is nobody to believe.
    ///
    /// # Errors
    ///
    /// None or several of the three behind https, any of them behind http, and what cannot be read.
    pub fn read(settings: &Settings, secure: bool) -> Result<Self, SettingsError> {
        let error = |reason: &str| Err(SettingsError::new("tls", reason));
        let trust = match settings.table("tls") {
            None if secure => return error("an https URL needs one of ca, pin and insecure: true"),
            None => TlsTrust::Anyone,
            Some(tls) => match (tls.secret("ca"), tls.text("pin"), tls.flag("insecure")) {
                (Some(ca), None, None | Some(false)) => {
                    TlsTrust::Authorities(ca.expose().to_owned())
                }
                (None, Some(pin), None | Some(false)) => TlsTrust::pin("tls.pin", pin)?,
                (None, None, Some(true)) => TlsTrust::Anyone,
                _ => return error("write exactly one of ca, pin and insecure: true"),
            },
        };
        let read = Self::new("tls.ca", &trust)?;
        if settings.table("tls").is_some() && !secure {
            return error("it has no effect: no URL is https");
        }
        Ok(read)
    }

    /// Speaks TLS over `stream` with the server `host`.
    ///
    /// # Errors
    ///
    /// A handshake that failed; for a pin that did not match, with the fingerprint that came.
    pub async fn wrap(&self, host: &str, stream: BoxStream) -> io::Result<BoxStream> {
        Ok(self.wrap_with_certificate(host, stream).await?.0)
    }

    /// As [`TlsSettings::wrap`], with the server's certificate (DER) besides, for a login that is
    /// bound to it.
    ///
    /// # Errors
    ///
    /// As [`TlsSettings::wrap`].
    pub async fn wrap_with_certificate(
        &self,
        host: &str,
        stream: BoxStream,
    ) -> io::Result<(BoxStream, Option<Vec<u8>>)> {
        let host = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other(format!("{host:?} is no name for a certificate")))?;
        let stream = TlsConnector::from(self.config().1).connect(name, stream).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|chain| Some(chain.first()?.as_ref().to_vec()));
        Ok((Box::new(stream), certificate))
    }
}

/// What the options come to.
fn config_of(setting: &str, options: &TlsOptions) -> Result<Arc<ClientConfig>, SettingsError> {
    let provider = Arc::new(ring::default_provider());
    let error = |reason: String| SettingsError::new(setting, reason);
    let verifier: Arc<dyn ServerCertVerifier> = match &options.trust {
        TlsTrust::Authorities(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|e| error(format!("no PEM: {e}")))?;
                roots.add(certificate).map_err(|e| error(e.to_string()))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|_| error("the file holds no certificate authority".to_owned()))?
        }
        TlsTrust::Pin(pin) => Arc::new(Unnamed { pin: Some(*pin), provider: provider.clone() }),
        TlsTrust::Anyone => Arc::new(Unnamed { pin: None, provider: provider.clone() }),
    };
    let versions: &[_] = match options.only_1_3 {
        true => &[&rustls::version::TLS13],
        false => rustls::ALL_VERSIONS,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|e| error(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some((certificates, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificates.as_bytes());
            let chain: Vec<_> =
                chain.collect::<Result<_, _>>().map_err(|e| error(format!("no PEM: {e}")))?;
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                .map_err(|e| error(format!("the key is no PEM: {e}")))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| error(e.to_string()))?
        }
    };
    Ok(Arc::new(config))
}

/// Believes one certificate, or any, without looking at names and dates. Signatures are verified.
#[derive(Debug)]
struct Unnamed {
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unnamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found: [u8; 32] = Sha256::digest(end_entity.as_ref()).into();
        match self.pin {
            Some(pin) if pin != found => {
                let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
                let text = format!("the certificate's fingerprint is {hex}, which is not the pin");
                Err(CertificateError::Other(rustls::OtherError(Arc::new(io::Error::other(text))))
                    .into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
