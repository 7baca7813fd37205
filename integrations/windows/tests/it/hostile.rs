use std::collections::BTreeMap;

use paramedic_catalog::Args;
use paramedic_integration::{ActionError, Precondition};

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
