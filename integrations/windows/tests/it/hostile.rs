use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use paramedic_catalog::Args;
use paramedic_integration::{ActionError, Precondition};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scene::{Scene, windows};

/// What a stranger might put into a label.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "x; rm -rf /",
        "../../etc/passwd",
        r"..\..\Parameters",
        "Spooler'; Stop-Computer; '",
        "$(calc)",
        "`n",
        "*",
        "[a-z]*",
        "x\" & shutdown /r & \"",
        "a' OR Name LIKE '%",
        "%COMSPEC%",
        "\u{2018}x\u{2019}",
        "a\0b",
        "a\nb",
        "a\r\nHost: x",
        "</w:Selector><w:Selector Name=\"Name\">Spooler",
        "-Force",
        "ShopWorker ",
        "Shop Worker",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(10_000));
    texts.push("x".repeat(256));
    texts
}

/// Either the signature refuses the text, or it is compared with what the host lists and goes no
/// further. In both cases nothing is changed, and nothing panics.
async fn check(action: &str) {
    let scene = Scene::new();
    let signature = windows().catalog().action(action).expect("the action is declared");
    let code = scene.bench.system.kit.action(action).expect("the action is in the kit");
    for text in hostile() {
        let given = BTreeMap::from([("name".to_owned(), text.clone())]);
        let Ok(args) = Args::bind(&signature.params, &given) else { continue };
        let look = scene.bench.look(90);
        let verdict = code.precondition(&args, look).await;
        assert!(matches!(verdict, Ok(Precondition::Fails(_))), "{text:?}: {verdict:?}");
        let radius = code.blast_radius(&args, look).await;
        assert!(radius.is_ok_and(|radius| radius.count == 0), "{text:?}");
        let acted = code.act(&args, look).await;
        assert!(matches!(acted, Err(ActionError::Refused(_))), "{text:?}: {acted:?}");
        assert!(code.happened(&args, look.now, look).await.is_ok(), "{text:?}");
    }
    assert_eq!(scene.recorded(), []);
}

#[tokio::test(start_paused = true)]
async fn service_start() {
    check("service-start").await;
}

#[tokio::test(start_paused = true)]
async fn service_restart() {
    check("service-restart").await;
}

#[tokio::test(start_paused = true)]
async fn service_start_dependency() {
    check("service-start-dependency").await;
}

#[tokio::test(start_paused = true)]
async fn probes_look_for_such_names_in_vain() {
    let scene = Scene::new();
    for signature in &windows().catalog().probes {
        if signature.params.iter().all(|param| param.name != "name") {
            continue;
        }
        for text in hostile() {
            let looked = scene.bench.probe(windows(), signature.name, &[("name", &text)]).await;
            let not_listed =
                looked.as_ref().is_ok_and(|evidence| evidence.facts["listed"] == false);
            assert!(looked.is_err() || not_listed, "{}: {text:?}: {looked:?}", signature.name);
        }
    }
    assert_eq!(scene.recorded(), []);
}

/// Copies one direction of a connection and keeps what went by.
async fn tap(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    seen: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        seen.lock().expect("no thread panicked").extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// Inside TLS the bodies are in the clear, so what is sent can be read: the label is not in it.
#[tokio::test(start_paused = true)]
async fn a_label_is_never_sent() {
    let marker = "zq-hostile'); calc";
    let (scene, seen) = (Scene::new(), Arc::new(Mutex::new(Vec::new())));
    let certified = crate::tls::certificate();
    let (acceptor, simulator) = (crate::tls::acceptor(&certified), scene.bench.simulator.clone());
    let tapped = seen.clone();
    scene.bench.network.listen(crate::scene::address(), move |stream| {
        let (acceptor, simulator) = (acceptor.clone(), simulator.clone());
        let tapped = tapped.clone();
        Box::pin(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let (there, here) = tokio::io::duplex(4096);
            tokio::spawn(simulator.serve("winrms", Box::new(there)));
            let (from_client, to_client) = tokio::io::split(stream);
            let (from_host, to_host) = tokio::io::split(here);
            let answers = Arc::new(Mutex::new(Vec::new()));
            tokio::join!(tap(from_client, to_host, tapped), tap(from_host, to_client, answers));
        })
    });
    let system = crate::tls::open(&scene.bench, "ntlm", crate::tls::believing(&certified));
    let given = BTreeMap::from([("name".to_owned(), marker.to_owned())]);
    let look = scene.bench.look(90);
    for signature in &windows().catalog().probes {
        let Ok(args) = Args::bind(&signature.params, &given) else { continue };
        let _ = system.kit.probe(signature.name).expect("declared").look(&args, look).await;
    }
    for signature in &windows().catalog().actions {
        let args = Args::bind(&signature.params, &given).expect("it is one printable line");
        let action = system.kit.action(signature.name).expect("declared");
        let _ = action.precondition(&args, look).await;
        let _ = action.blast_radius(&args, look).await;
        let _ = action.act(&args, look).await;
        let _ = action.happened(&args, look.now, look).await;
    }
    let sent = String::from_utf8_lossy(&seen.lock().expect("no thread panicked")).into_owned();
    assert!(sent.contains("FROM Win32_Service"), "the tap sees the queries");
    assert!(!sent.contains("zq-hostile"), "the label was sent");
    assert_eq!(scene.recorded(), []);
}
