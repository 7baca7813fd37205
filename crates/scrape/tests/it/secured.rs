use std::sync::Arc;

use paramedic_integration::{Address, BoxStream, TlsOptions, TlsSettings, TlsTrust};
use paramedic_model::Secret;
use paramedic_scrape::Job;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::exporter::{World, job};

/// Somebody who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.0).expect("a certificate"), key)
    }

    fn pem(&self) -> String {
        self.0.as_ref().pem()
    }
}

/// An exporter behind TLS that lets in whom `authority` signed, and nobody else.
fn world(authority: &Authority) -> World {
    let world = World::new("a 1\n");
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.as_ref().der().clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let (certificate, key) = authority.sign("exporter.test");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS has versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("the key fits the certificate");
    let (acceptor, server) = (TlsAcceptor::from(Arc::new(config)), Arc::new(world.server()));
    world.network.listen(Address::new("exporter.test", 443), move |stream| {
        let (acceptor, server) = (acceptor.clone(), server.clone());
        Box::pin(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                server(Box::new(stream) as BoxStream).await;
            }
        })
    });
    world
}

fn secured(trust: &Authority, identity: Option<(String, Secret)>) -> Job {
    let trust = TlsTrust::Authorities(trust.pem());
    let options = TlsOptions { trust, identity, server_name: None, only_1_3: true };
    job(|job| {
        job.scheme = "https".to_owned();
        job.client.tls = Some(TlsSettings::with("tls_config", &options).expect("they fit"));
    })
}

fn identity((certificate, key): (rcgen::Certificate, KeyPair)) -> Option<(String, Secret)> {
    Some((certificate.pem(), Secret::new(key.serialize_pem())))
}

#[tokio::test(start_paused = true)]
async fn a_client_shows_its_certificate() {
    let (ours, other) = (Authority::new(), Authority::new());
    let world = world(&ours);
    let mut known = world.target(secured(&ours, identity(ours.sign("paramedic"))));
    for _ in 0..3 {
        assert_eq!(known.shown().await, "a 1");
    }
    assert_eq!(world.page().connections, 1, "a handshake costs, so it is made once");
    let mut unknown = world.target(secured(&ours, None));
    assert!(unknown.shown().await.starts_with("failed: connect to https://exporter.test:443"));
    let mut foreign = world.target(secured(&ours, identity(other.sign("paramedic"))));
    assert!(foreign.shown().await.starts_with("failed: connect to https://exporter.test:443"));
    // Nor is a server believed that another authority signed.
    let mut wary = world.target(secured(&other, identity(ours.sign("paramedic"))));
    let refused = wary.shown().await;
    assert!(refused.contains("certificate"), "{refused}");
    assert_eq!(world.page().asked.len(), 3, "nobody else was let in");
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let (ours, other) = (Authority::new(), Authority::new());
    let world = world(&ours);
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let write = |pair: &(rcgen::Certificate, KeyPair)| {
        std::fs::write(&certificate, pair.0.pem()).expect("it can be written");
        std::fs::write(&key, pair.1.serialize_pem()).expect("it can be written");
    };
    write(&other.sign("paramedic"));
    let files = vec![certificate.clone(), key.clone()];
    let trust = TlsTrust::Authorities(ours.pem());
    let read = {
        let files = files.clone();
        move || {
            let text = |at: usize| std::fs::read_to_string(&files[at]).map_err(|e| e.to_string());
            let identity = Some((text(0)?, Secret::new(text(1)?)));
            Ok(TlsOptions { trust: trust.clone(), identity, server_name: None, only_1_3: true })
        }
    };
    let settings = TlsSettings::renewing("tls_config", files, read).expect("they fit");
    let mut target = world.target(job(|job| {
        job.scheme = "https".to_owned();
        job.client.tls = Some(settings);
    }));
    assert!(target.shown().await.starts_with("failed: connect"));
    let good = ours.sign("a-name-of-another-length");
    // Half of it, and then the rest.
    std::fs::write(&certificate, good.0.pem()).expect("it can be written");
    assert!(target.shown().await.starts_with("failed: connect"));
    write(&good);
    assert_eq!(target.shown().await, "a 1");
    assert_eq!(target.shown().await, "a 1");
    let handshakes = world.page().connections;
    // What was opened with the one before is not used on.
    write(&ours.sign("another"));
    assert_eq!(target.shown().await, "a 1");
    assert_eq!(world.page().connections, handshakes + 1);
    write(&other.sign("nobody-that-is-known"));
    assert!(target.shown().await.starts_with("failed: connect"));
}
