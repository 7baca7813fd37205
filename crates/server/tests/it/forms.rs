use axum::http::StatusCode;
use paramedic_incident::Stage;
use paramedic_model::IncidentId;

use crate::world::{World, run};

async fn stage(world: &World) -> Stage {
    let read = world.handle.read(|engine| engine.incident(IncidentId(1)).map(|i| i.stage.clone()));
    read.await.expect("the engine runs").expect("there is an incident")
}

/// The digest in the form of the present proposal.
async fn digest(world: &World) -> String {
    let page = world.client.get("/incidents/1").await.text;
    let (_, from) = page.split_once("name=\"digest\" value=\"").expect("there is a proposal");
    from.split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn an_outage_is_repaired_with_forms_alone() {
    run(async {
        let world = World::new().await;
        world.pass(30).await;
        assert!(world.client.get("/").await.read().contains("Every system is seen"));
        {
            let mut thing = world.thing();
            (thing.up, thing.word) = (0.0, Some("crashed"));
        }
        world.pass(40).await;
        assert!(world.client.get("/").await.read().contains("pending ThingDown on thing-1"));
        world.pass(60).await;
        let home = world.client.get("/").await;
        assert!(home.text.contains("<title>(1) Incidents · Paramedic</title>"), "{}", home.text);
        for part in ["waiting for approval", "likely It crashed", "waits for approval by a person"]
        {
            assert!(home.read().contains(part), "{part}: {}", home.read());
        }
        let page = world.client.get("/incidents/1").await.read();
        for part in [
            "ThingDown waiting for approval t1 is down",
            "Likely cause It crashed the thing is crashed",
            "Restart it: thing/restart on thing-1",
            "precondition it is down",
            "also hits nobody uses it now",
            "needs approval by one person proof the alert comes clear within 2 min",
            "Approve",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }

        let digest = digest(&world).await;
        let fields = [("by", "ann"), ("digest", &*digest)];
        let answer = world.client.form("/incidents/1/approve", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.header("location"), "/incidents/1");
        world.pass(20).await;
        assert_eq!(world.thing().restarts, 1);
        let page = world.client.get("/incidents/1").await.read();
        for part in
            ["watching", "alert clear If it stays clear", "all 8 let it pass", "ann approved"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        world.pass(150).await;
        assert_eq!(stage(&world).await, Stage::Closed);
        let page = world.client.get("/incidents/1").await;
        for part in
            ["Closing report", "ended after", "Cause: It crashed", "Advice: Buy a second one"]
        {
            assert!(page.read().contains(part), "{part}: {}", page.read());
        }
        assert!(page.text.contains("<title>#1 ThingDown: repaired · Paramedic</title>"));
        assert!(world.client.get("/").await.read().contains("Closed repaired #1 ThingDown"));
    });
}

#[test]
fn an_approval_holds_for_what_was_shown() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        let client = &world.client;
        let check = async |fields: &[(&str, &str)], status: u16, says: &str| {
            let answer = client.form("/incidents/1/approve", fields).await;
            assert_eq!(answer.status.as_u16(), status);
            let page = answer.read();
            assert!(page.contains(says), "{page}");
            assert_eq!(stage(&world).await, Stage::Waiting);
        };
        let stale = "Refused: the proposal has changed since; look at it again.";
        check(&[("by", "ann"), ("digest", "0000")], 409, stale).await;
        check(&[("by", "ann")], 400, "which proposal it approves").await;
        let digest = digest(&world).await;
        check(&[("by", " "), ("digest", &digest)], 400, "say who you are").await;
        check(&[("by", "policy"), ("digest", &digest)], 400, "take another name").await;
        check(&[("by", "a\nb"), ("digest", &digest)], 400, "one line").await;
        check(&[("by", "ann"), ("digest", &digest), ("x", "y")], 422, "unknown field").await;
        assert_eq!(world.thing().restarts, 0);
        // The refused page stands at the address of the button; reloading it leads back.
        let moved = client.get("/incidents/1/approve").await;
        assert_eq!((moved.status.as_u16(), moved.header("location")), (303, "/incidents/1"));
    });
}

#[test]
fn a_proposal_is_rejected_with_a_reason() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("crashed")).await;
        let form =
            async |fields: &[(&str, &str)]| world.client.form("/incidents/1/reject", fields).await;
        assert_eq!(form(&[("by", "ann"), ("reason", "")]).await.status, StatusCode::BAD_REQUEST);
        let answer = form(&[("by", "ann"), ("reason", "the vendor\r\nis on it")]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let page = world.client.get("/incidents/1").await.read();
        for part in ["handed over", "With ann since", "the vendor is on it", "Ask for this step"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let again = form(&[("by", "ann"), ("reason", "x")]).await;
        assert!(again.read().contains("Refused: nothing waits for approval."));
    });
}

#[test]
fn people_tick_ask_note_look_again_and_close() {
    run(async {
        let world = World::new().await;
        world.break_as(Some("full")).await;
        assert_eq!(stage(&world).await, Stage::Manual);
        let done = async |verb: &str, fields: &[(&str, &str)]| {
            let fields: Vec<_> = fields.iter().copied().chain([("by", "ann")]).collect();
            let answer = world.client.form(&format!("/incidents/1/{verb}"), &fields).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{verb}: {}", answer.read());
        };
        let page = world.client.get("/incidents/1").await.read();
        assert!(page.contains("A person must do this: Free space"), "{page}");
        done("tick", &[("step", "diagnosis-2")]).await;
        done("note", &[("text", "I look at it")]).await;
        done("request", &[("step", "restart")]).await;
        world.pass(1).await;
        assert_eq!(stage(&world).await, Stage::Waiting);
        done("look-again", &[]).await;
        world.pass(5).await;
        done("tick", &[("step", "free-space")]).await;
        done("close", &[("reason", "replaced")]).await;
        let page = world.client.get("/incidents/1").await.read();
        for part in [
            "ann did diagnosis-2",
            "ann noted: I look at it",
            "ann asked for “Restart it”",
            "ann asked for it",
            "ann did free-space",
            "Closed: closed by a person",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        // A note is all that a closed incident takes.
        done("note", &[("text", "it was the fuse")]).await;
        let refused = world.client.form("/incidents/1/look-again", &[("by", "ann")]).await;
        assert!(refused.read().contains("incident 1 is closed"), "{}", refused.read());
    });
}
