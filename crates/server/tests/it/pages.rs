use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use paramedic_catalog::Approval;
use paramedic_incident::{
    ApprovalWord, CauseVerdict, Ending, Event, Judgement, Looked, Manual, Opened, Outcome,
    PlannedStep, Proposal, Seen, StepWork, SystemChoice, Verdict,
};
use paramedic_integration::{Ending as FaultEnding, Fault};
use paramedic_server::{Breakable, Workbench};
use paramedic_testkit::VIRTUAL_EPOCH;

use crate::world::{Thing, World, run};

#[test]
fn every_page_stands_in_the_same_frame() {
    run(async {
        let client = World::new().await.client;
        for (path, heading) in [
            ("/", "Open incidents"),
            ("/systems", "Systems"),
            ("/rules", "Rules"),
            ("/runbooks", "Runbooks"),
            ("/runbooks/ThingDown", "ThingDown"),
            ("/runbooks/ThingDown.md", "ThingDown"),
            ("/nowhere", "Not found"),
        ] {
            let page = client.get(path).await;
            assert_eq!(page.status == StatusCode::NOT_FOUND, path == "/nowhere", "{path}");
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(page.text.matches("<h1").count(), 1, "{path}: {}", page.text);
            assert!(page.read().contains(heading), "{path}: {}", page.read());
            for part in [
                "<!DOCTYPE html>",
                "<html lang=\"en\">",
                "<main id=\"main\"",
                "<nav aria-label=\"Parts\">",
                "Skip to the content",
                "aria-live=\"polite\"",
            ] {
                assert!(page.text.contains(part), "{path}: {part}");
            }
            for foreign in ["http://", "//cdn", "style=", "onclick"] {
                assert!(!page.text.contains(foreign), "{path}: {foreign}");
            }
        }
    });
}

#[test]
fn what_pages_load_is_there_and_kept() {
    run(async {
        let client = World::new().await.client;
        let page = client.get("/").await.text;
        let urls: Vec<_> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
        assert_eq!(urls.len(), 3);
        for url in urls {
            let asset = client.get(url).await;
            assert_eq!(asset.status, StatusCode::OK, "{url}");
            assert!(asset.header("cache-control").contains("immutable"), "{url}");
        }
    });
}

#[test]
fn a_system_that_cannot_be_seen_is_not_healthy() {
    run(async {
        let world = World::new().await;
        world.pass(20).await;
        let page = world.client.get("/systems").await.read();
        assert!(page.contains("healthy thing-1 Thing read 5 s ago"), "{page}");
        assert!(page.contains("Other targets seen thing/beside:1 read 5 s ago"), "{page}");
        world.thing().reachable = false;
        world.pass(20).await;
        for path in ["/", "/systems"] {
            let page = world.client.get(path).await.read();
            for part in
                ["cannot look", "connect to thing:1: connection refused", "the network is gone"]
            {
                assert!(page.contains(part), "{path}: {part}: {page}");
            }
            assert!(!page.contains("healthy"), "{path}: {page}");
        }
        let home = world.client.get("/").await.read();
        assert!(home.contains("not seen now: thing-1, thing/beside:1."), "{home}");

        let silent = World::standing(&[]).await;
        let home = silent.client.get("/").await.read();
        assert!(home.contains("not looked yet") && !home.contains("healthy"), "{home}");
    });
}

#[test]
fn rules_say_what_they_found() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        let page = world.client.get("/rules").await.read();
        for part in [
            "things rules.yml",
            "ThingDown 1 firing thing_up == 0",
            "fires after 1 min, why?, served by ThingDown",
            "firing {instance=&quot;thing:1&quot;",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    });
}

#[test]
fn incidents_of_one_alert_are_told_apart() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        assert!(!world.client.get("/").await.read().contains(" name t1 "));
        // Another thing fails while the first still does; then the first is no more.
        world.thing().name = "t2".to_owned();
        world.pass(120).await;
        let home = world.client.get("/").await.read();
        for part in ["ThingDown on thing-1 thing t2 is down", "name t2 since", "t1"] {
            assert!(home.contains(part), "{part}: {home}");
        }
    });
}

/// Where nothing is said, an incident of `ThingDown`.
fn opened() -> Event {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Event::Opened(Opened {
        alert: "ThingDown".to_owned(),
        labels: pairs(&[("alertname", "ThingDown"), ("name", "t1"), ("severity", "critical")]),
        annotations: pairs(&[("summary", "t1 is down")]),
        value: "0".to_owned(),
        expr: "thing_up == 0".to_owned(),
        active_at_ms: VIRTUAL_EPOCH.0 - 60_000,
        system: SystemChoice::One { name: "thing-1".to_owned(), kind: "thing".to_owned() },
        runbook: Some("ThingDown".to_owned()),
        origins: Vec::new(),
        outside: None,
        lost: None,
    })
}

fn restart() -> PlannedStep {
    let approval = ApprovalWord(Approval::TwoPerson);
    let work = StepWork::Action { uses: "thing/restart".to_owned(), approval, verify_ms: 120_000 };
    PlannedStep { id: "restart".to_owned(), title: "Restart it".to_owned(), work }
}

fn diagnosed(likely: &str, plan: Vec<PlannedStep>, nothing_to_do: Option<&str>) -> Vec<Event> {
    let seen = Seen {
        summary: "the thing is odd".to_owned(),
        facts: Default::default(),
        excerpt: "odd".to_owned(),
        at_ms: VIRTUAL_EPOCH.0,
        took_ms: 12,
    };
    let cause = |id: &str, title: &str| CauseVerdict {
        id: id.to_owned(),
        title: title.to_owned(),
        judgement: if id == likely { Judgement::Supported } else { Judgement::Refuted },
        because: "the thing is odd".to_owned(),
    };
    vec![
        opened(),
        Event::Probed { step: "state".to_owned(), looked: Looked::Saw(seen) },
        Event::Diagnosed {
            causes: vec![
                cause("crash", "It crashed"),
                cause("disk", "Its disk is full"),
                cause("stopped", "Somebody stopped it"),
            ],
            likely: Some(likely.to_owned()),
            plan,
            nothing_to_do: nothing_to_do.map(str::to_owned),
        },
    ]
}

fn proposed() -> Vec<Event> {
    let proposal = Proposal {
        step: "restart".to_owned(),
        uses: "thing/restart".to_owned(),
        args: BTreeMap::from([("name".to_owned(), "t1".to_owned())]),
        system: "thing-1".to_owned(),
        precondition: "it is down".to_owned(),
        blast_count: 2,
        blast_radius: "2 users lose their session".to_owned(),
        approval: ApprovalWord(Approval::TwoPerson),
        digest: "abcd".to_owned(),
    };
    [diagnosed("crash", vec![restart()], None), vec![Event::Proposed(proposal)]].concat()
}

fn approved(count: usize) -> Vec<Event> {
    let approve = |by: &str| Event::Approved {
        step: "restart".to_owned(),
        digest: "abcd".to_owned(),
        by: by.to_owned(),
    };
    let people = ["ann", "bob"].into_iter().take(count).map(approve);
    [proposed(), people.collect()].concat()
}

fn judged(pass: bool) -> Event {
    let verdict = |guard: &str, pass| Verdict {
        guard: guard.to_owned(),
        pass,
        reason: "it is so".to_owned(),
    };
    let verdicts = vec![verdict("no freeze", pass), verdict("cool-down", true)];
    Event::Judged { step: "restart".to_owned(), verdicts }
}

fn acted(outcome: Outcome) -> Vec<Event> {
    let step = || "restart".to_owned();
    let tail = vec![
        judged(true),
        Event::Intended { step: step(), attempt: 1 },
        Event::Acted { step: step(), outcome },
    ];
    [approved(2), tail].concat()
}

/// The page of an incident with these events, for people.
async fn check(events: &[Event], parts: &[&str]) -> String {
    let world = World::standing(events).await;
    let page = world.client.get("/incidents/1").await;
    assert_eq!(page.status, StatusCode::OK);
    for part in parts {
        assert!(page.read().contains(part), "{part}: {}", page.read());
    }
    let home = world.client.get("/").await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.read().contains("#1 ThingDown"), "{}", home.read());
    let api = world.client.api("incidents/1").await;
    assert_eq!(api.status, StatusCode::OK);
    page.read()
}

#[test]
fn diagnosing() {
    run(async {
        let parts =
            ["diagnosing", "Not known yet", "Looking: diagnosis step 1 of 1, state", "looking"];
        check(&[opened()], &parts).await;
    });
}

#[test]
fn preparing() {
    run(async {
        let events = diagnosed("crash", vec![restart()], None);
        let parts = ["preparing", "It crashed", "a look into “Restart it”", "2 ruled out", "next"];
        check(&events, &parts).await;
    });
}

#[test]
fn waiting_for_one_and_for_another() {
    run(async {
        let parts = [
            "waiting for approval",
            "waits for approval by 2 persons",
            "name t1",
            "also hits 2 others 2 users lose their session",
            "needs approval by two different persons",
            "Approve",
            "Reject and take over",
        ];
        check(&proposed(), &parts).await;
        let parts = ["waits for approval by a second person", "approved by ann"];
        check(&approved(1), &parts).await;
    });
}

#[test]
fn acting_and_not_knowing() {
    run(async {
        let page = check(&approved(2), &["acting", "Agreed to. The guards look once more"]).await;
        assert!(!page.contains("Reject"), "{page}");
        let intended = [judged(true), Event::Intended { step: "restart".to_owned(), attempt: 1 }];
        let events = [&approved(2)[..], &intended].concat();
        let parts = ["Acting now. Its outcome is not known yet.", "all 2 let it pass", "acting"];
        let page = check(&events, &parts).await;
        assert!(!page.contains("Close by hand"), "{page}");
    });
}

#[test]
fn verifying_blind_and_watching() {
    run(async {
        let done = acted(Outcome::Done("it runs".to_owned()));
        let parts = ["verifying", "Done: thing/restart. it runs", "may take until 02:24:00 UTC"];
        check(&done, &parts).await;
        let blind =
            [&done[..], &[Event::Blind { reason: "thing_up vanished".to_owned(), target: None }]]
                .concat();
        let parts = ["alert blind: not known", "Blind: since", "thing_up vanished"];
        check(&blind, &parts).await;
        let clear = [
            Event::Cleared { reason: "it is false".to_owned() },
            Event::Verified { step: "restart".to_owned(), recovered: true, reason: "x".to_owned() },
            Event::Watching { until_ms: VIRTUAL_EPOCH.0 + 120_000 },
        ];
        let events = [&done[..], &clear].concat();
        let parts =
            ["watching", "alert clear If it stays clear until 02:24:00 UTC", "repaired it runs"];
        check(&events, &parts).await;
    });
}

#[test]
fn held_back_failed_uncertain() {
    run(async {
        let over = |reason: &str| Event::HandedOver {
            contact: "Thea".to_owned(),
            reason: reason.to_owned(),
        };
        let events = [&approved(2)[..], &[judged(false), over("a freeze holds")]].concat();
        let parts =
            ["With Thea since", "a freeze holds.", "1 held it back", "hold no freeze it is so"];
        check(&events, &parts).await;
        for (outcome, word) in [
            (Outcome::Failed("no".to_owned()), "failed no"),
            (Outcome::Uncertain("lost".to_owned()), "uncertain lost"),
        ] {
            check(&[acted(outcome), vec![over("x")]].concat(), &[word, "handed over"]).await;
        }
    });
}

#[test]
fn by_hand_left_alone_handed_over() {
    run(async {
        let work = StepWork::Manual(Manual::Checklist);
        let step =
            PlannedStep { id: "free-space".to_owned(), title: "Free space".to_owned(), work };
        let parts = [
            "waiting for a person",
            "A person must do this: Free space",
            "It is done",
            "next waits for a person",
        ];
        check(&diagnosed("disk", vec![step], None), &parts).await;

        let why = "a person stopped it";
        let left = Event::LeftAlone { reason: why.to_owned() };
        let events = [diagnosed("stopped", Vec::new(), Some(why)), vec![left]].concat();
        let parts = ["left alone", "Nothing to do: a person stopped it.", "Somebody stopped it"];
        check(&events, &parts).await;

        let reason = "the diagnosis is inconclusive";
        let could_not = Looked::CouldNot { reason: "timed out".to_owned(), took_ms: 5000 };
        let events = [
            opened(),
            Event::Probed { step: "state".to_owned(), looked: could_not },
            Event::Diagnosed {
                causes: vec![CauseVerdict {
                    id: "crash".to_owned(),
                    title: "It crashed".to_owned(),
                    judgement: Judgement::Unknown,
                    because: "`state` could not look".to_owned(),
                }],
                likely: None,
                plan: Vec::new(),
                nothing_to_do: None,
            },
            Event::HandedOver { contact: "Thea".to_owned(), reason: reason.to_owned() },
        ];
        let parts = [
            "handed over",
            "Not found: the evidence supports no cause",
            "1 cause could not be judged",
            "could not look timed out gave up after 5 s",
            "cannot be judged It crashed state could not look",
            "With Thea since 02:22:00 UTC. Why: the diagnosis is inconclusive.",
        ];
        check(&events, &parts).await;
    });
}

#[test]
fn closed() {
    run(async {
        let report = "**ThingDown** ended\n\n- Cause: <b>x</b> [y](http://evil.example)\n";
        for ending in [
            Ending::Repaired,
            Ending::NothingToDo,
            Ending::HandedOver,
            Ending::Recovered,
            Ending::Removed,
            Ending::ByPerson,
            Ending::TakenOver,
        ] {
            let closed = Event::Closed { ending, report: report.to_owned() };
            let parts =
                [ending.as_str(), "Closing report ThingDown ended Cause: &lt;b&gt;x&lt;/b&gt; y"];
            let page = check(&[opened(), closed], &parts).await;
            assert!(!page.contains("Close by hand") && !page.contains("Mark as done"), "{page}");
        }
    });
}

#[test]
fn no_page_no_system() {
    run(async {
        let Event::Opened(mut opened) = opened() else { unreachable!("it is opened") };
        opened.runbook = None;
        opened.system = SystemChoice::Several(vec!["a".to_owned(), "b".to_owned()]);
        let parts = ["one of a, b", "none serves this alert", "nothing was looked at"];
        check(&[Event::Opened(opened.clone())], &parts).await;
        opened.system = SystemChoice::None;
        check(&[Event::Opened(opened)], &["no configured system"]).await;
    });
}

/// A bench with one system and one fault.
#[derive(Default)]
struct Bench(Mutex<Option<String>>);

const FAULT: Fault = Fault {
    id: "crash",
    alert: "ThingDown",
    title: "It crashes",
    cause: "crash",
    ending: FaultEnding::LeftAlone,
};

impl Workbench for Bench {
    fn breakables(&self) -> Vec<Breakable> {
        vec![Breakable {
            system: "thing-1".to_owned(),
            title: "Thing".to_owned(),
            faults: vec![FAULT],
            broken: self.0.lock().expect("no test panics with it").clone(),
        }]
    }

    fn break_system(&self, system: &str, fault: &str) -> Result<(), String> {
        if (system, fault) != ("thing-1", "crash") {
            return Err("there is no such fault".to_owned());
        }
        *self.0.lock().expect("no test panics with it") = Some(fault.to_owned());
        Ok(())
    }

    fn heal_system(&self, _: &str) -> Result<(), String> {
        *self.0.lock().expect("no test panics with it") = None;
        Ok(())
    }
}

#[test]
fn the_lab_breaks_and_heals() {
    run(async {
        let bench = Arc::new(Bench::default());
        let thing = Thing {
            up: 0.0,
            name: "t1".to_owned(),
            word: None,
            excerpt: String::new(),
            reachable: true,
            hangs: true,
            restarts: 0,
        };
        let world = World::with(thing, &[opened()], Some(bench.clone())).await;
        let client = &world.client;
        assert!(client.get("/").await.read().contains("ThingDown Break It crashes crash"));
        let fields = [("system", "thing-1"), ("fault", "crash")];
        let answer = client.form("/lab/break", &fields).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/#lab"));
        assert!(client.get("/").await.read().contains("broken: It crashes Heal thing-1"));
        let unknown = client.form("/lab/break", &[("system", "thing-1"), ("fault", "x")]).await;
        assert!(unknown.read().contains("there is no such fault"), "{}", unknown.read());
        client.form("/lab/heal", &[("system", "thing-1")]).await;
        assert!(!client.get("/").await.read().contains("Heal"));

        let serious = World::standing(&[opened()]).await;
        let answer = serious.client.form("/lab/break", &fields).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(!serious.client.get("/").await.read().contains("Break something"));
    });
}
