use std::sync::Arc;

use paramedic_catalog::{SettingValue, Settings};
use paramedic_integration::{Collection, System};
use paramedic_model::SystemName;
use paramedic_testkit::Bench;
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::scene::{address, collect, print, windows};

pub type Certified = CertifiedKey<rcgen::KeyPair>;

/// A certificate for the simulated host that nobody signed.
pub fn certificate() -> Certified {
    let names = vec!["sut.test".to_owned()];
    rcgen::generate_simple_self_signed(names).expect("a certificate")
}

/// The server's side of TLS with this certificate.
pub fn acceptor(certified: &Certified) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS has versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("the key fits the certificate");
    TlsAcceptor::from(Arc::new(config))
}

/// The `tls` table that believes this certificate.
pub fn believing(certified: &Certified) -> Settings {
    Settings::default().with_secret("ca", &certified.cert.pem())
}

/// A simulated host behind TLS, and its certificate.
fn behind_tls() -> (Bench, Certified) {
    let (bench, certified) = (Bench::new(windows()), certificate());
    let (acceptor, simulator) = (acceptor(&certified), bench.simulator.clone());
    bench.network.listen(address(), move |stream| {
        let (acceptor, simulator) = (acceptor.clone(), simulator.clone());
        Box::pin(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                simulator.serve("winrms", Box::new(stream)).await;
            }
        })
    });
    (bench, certified)
}

/// The host over https, with this way to log in and this `tls` table.
pub fn open(bench: &Bench, auth: &str, tls: Settings) -> System {
    let mut settings = bench.simulator.settings();
    settings
        .set("url", SettingValue::Text(format!("https://{}", address())))
        .set("auth", SettingValue::Text(auth.to_owned()))
        .set("sealed_http", SettingValue::Bool(false))
        .set("tls", SettingValue::Table(tls));
    let name = SystemName::from("sut");
    windows().open(&name, &settings, &bench.environment).expect("the settings work")
}

async fn collection(bench: &Bench, auth: &str, tls: Settings) -> Collection {
    collect(&open(bench, auth, tls), bench.look(0)).await
}

#[tokio::test(start_paused = true)]
async fn ntlm_and_basic_work_with_an_authority() {
    let (bench, certified) = behind_tls();
    for auth in ["ntlm", "basic"] {
        let found = collection(&bench, auth, believing(&certified)).await;
        assert!(found.failure.is_none(), "{auth}: {}", print(&found));
        assert!(print(&found).contains("windows_service_state"), "{auth}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_authority_or_pin_is_not_believed_and_is_told_nothing() {
    let (bench, _) = behind_tls();
    let other = certificate();
    for auth in ["ntlm", "basic"] {
        let found = collection(&bench, auth, believing(&other)).await;
        let text = print(&found);
        assert_eq!(found.failure.map(|e| e.class()), Some("connect"), "{text}");
        assert!(text.contains("https://sut.test:1000/wsman"), "{text}");
        let pin = Settings::default().with_text("pin", "ab".repeat(32));
        let found = collection(&bench, auth, pin).await;
        assert!(print(&found).contains("which is not the pin"), "{}", print(&found));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pin_is_enough() {
    let (bench, _) = behind_tls();
    let wrong = Settings::default().with_text("pin", "ab".repeat(32));
    let text = print(&collection(&bench, "ntlm", wrong).await);
    let (_, rest) = text.split_once("fingerprint is ").expect("the message has the fingerprint");
    let right = Settings::default().with_text("pin", &rest[..64]);
    let found = collection(&bench, "ntlm", right).await;
    assert!(found.failure.is_none(), "{}", print(&found));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_basic_password_is_not_tried_again_soon() {
    let (bench, certified) = behind_tls();
    bench.simulator.inject("password-expired").expect("a declared fault");
    let system = open(&bench, "basic", believing(&certified));
    let first = print(&collect(&system, bench.look(0)).await);
    assert!(first.contains("user paramedic or the password is not accepted"), "{first}");
    assert!(!first.contains("not tried again"), "{first}");
    let second = print(&collect(&system, bench.look(0)).await);
    assert!(second.contains("it is not tried again for 900 s"), "{second}");
}
