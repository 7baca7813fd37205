use std::sync::Arc;

use paramedic_catalog::{SettingValue, Settings};
use paramedic_integration::Collection;
use paramedic_model::SystemName;
use paramedic_testkit::Bench;
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::scene::{address, collect, print, windows};

/// A simulated host behind TLS, and its certificate.
fn behind_tls() -> (Bench, CertifiedKey<rcgen::KeyPair>) {
    let bench = Bench::new(windows());
    let names = vec!["sut.test".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS has versions")
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .expect("the key fits the certificate");
    let (acceptor, simulator) = (TlsAcceptor::from(Arc::new(config)), bench.simulator.clone());
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

/// One collection over https with this `tls` table and way to log in.
async fn collection(bench: &Bench, auth: &str, tls: Settings) -> Collection {
    let mut settings = bench.simulator.settings();
    settings
        .set("url", SettingValue::Text(format!("https://{}", address())))
        .set("auth", SettingValue::Text(auth.to_owned()))
        .set("sealed_http", SettingValue::Bool(false))
        .set("tls", SettingValue::Table(tls));
    let name = SystemName::from("sut");
    let system = windows().open(&name, &settings, &bench.environment).expect("the settings work");
    collect(&system, bench.look(0)).await
}

fn believing(pem: &str) -> Settings {
    Settings::default().with_secret("ca", pem)
}

#[tokio::test(start_paused = true)]
async fn ntlm_and_basic_work_with_an_authority() {
    let (bench, certified) = behind_tls();
    for auth in ["ntlm", "basic"] {
        let found = collection(&bench, auth, believing(&certified.cert.pem())).await;
        assert!(found.failure.is_none(), "{auth}: {}", print(&found));
        assert!(print(&found).contains("windows_service_state"), "{auth}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_authority_or_pin_is_not_believed_and_is_told_nothing() {
    let (bench, _) = behind_tls();
    let names = vec!["sut.test".to_owned()];
    let other = rcgen::generate_simple_self_signed(names).expect("a certificate");
    for auth in ["ntlm", "basic"] {
        let found = collection(&bench, auth, believing(&other.cert.pem())).await;
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
