use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use paramedic_catalog::{
    ActionSignature, Args, Catalog, Evidence, Field, FieldType, Param, ParamKind, ProbeSignature,
    Risk,
};
use paramedic_engine::{Engine, Handle, Pages, Sending, Setup, Systems, Watched};
use paramedic_incident::{Event, Policy};
use paramedic_integration::{
    Acted, Action, ActionError, Address, BlastRadius, Collection, Collector, Happened, Kit, Look,
    Precondition, Probe, ProbeError, ScaledClock, System,
};
use paramedic_journal::{Batch, Event as Record, Journal, MemoryJournal};
use paramedic_model::{
    BoxFuture, Clock, IncidentId, Labels, Redactor, Secret, Series, SystemName, TimeMs,
};
use paramedic_promql::EvalOptions;
use paramedic_rules::{Group, GroupDefaults, RuleFile};
use paramedic_runbook::Runbook;
use paramedic_samples::WindowOptions;
use paramedic_scrape::Target;
use paramedic_server::{PrometheusOptions, ServerOptions, Workbench, router};
use paramedic_testkit::VIRTUAL_EPOCH;

/// The token that programs show.
pub const TOKEN: &str = "0123456789abcdef-token";
/// A password of the thing, which no output may show.
pub const PASSWORD: &str = "open-sesame-42";
/// Where the server believes that it listens.
pub const HOST: &str = "127.0.0.1:9190";

/// Runs a test in virtual time.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime starts");
    runtime.block_on(test)
}

/// How the thing is at present.
#[derive(Clone)]
pub struct Thing {
    /// The value of `thing_up`.
    pub up: f64,
    /// The label `name`.
    pub name: String,
    /// What the probe says; `None` where it cannot look.
    pub word: Option<&'static str>,
    /// What the probe quotes.
    pub excerpt: String,
    /// Whether it can be collected.
    pub reachable: bool,
    /// Whether nothing that is asked of it is ever answered.
    pub hangs: bool,
    /// How often it was restarted.
    pub restarts: usize,
}

impl Thing {
    fn healthy() -> Self {
        Self {
            up: 1.0,
            name: "t1".to_owned(),
            word: Some("fine"),
            excerpt: String::new(),
            reachable: true,
            hangs: false,
            restarts: 0,
        }
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Thing>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Thing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hang(&self) {
        if self.lock().hangs {
            std::future::pending::<()>().await;
        }
    }
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let name = || vec![Param::required("name", ParamKind::Token, "Which thing.")];
    Catalog {
        kind: "thing",
        title: "Thing",
        summary: "Something to look after.",
        versions: &["1"],
        settings: Vec::new(),
        metrics: Vec::new(),
        probes: vec![ProbeSignature {
            name: "state",
            summary: "Looks at the thing.",
            params: name(),
            facts: vec![Field::new("word", FieldType::Text, "How it is.")],
            privilege: "",
        }],
        actions: vec![ActionSignature {
            name: "restart",
            summary: "Restarts the thing.",
            params: name(),
            risk: Risk::Low,
            privilege: "",
            precondition: "it is down",
            blast_radius: "its users",
            verification: "its state",
            undo: "none",
        }],
    }
});

impl Collector for Shared {
    fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
        Box::pin(async {
            self.hang().await;
            let thing = self.lock().clone();
            if !thing.reachable {
                return Collection::failed(ProbeError::Connect {
                    target: "thing:1".to_owned(),
                    reason: "connection refused".to_owned(),
                });
            }
            Collection::complete(vec![Series::new("thing_up", [("name", &thing.name)], thing.up)])
        })
    }
}

/// A target beside the thing, which nobody looks after.
struct Beside(Shared);

impl Collector for Beside {
    fn collect(&self, _look: Look) -> BoxFuture<'_, Collection> {
        Box::pin(async {
            self.0.hang().await;
            match self.0.lock().reachable {
                true => Collection::complete(Vec::new()),
                false => Collection::failed(ProbeError::unable("the network is gone")),
            }
        })
    }
}

impl Probe for Shared {
    fn look<'a>(&'a self, _: &'a Args, _: Look) -> BoxFuture<'a, Result<Evidence, ProbeError>> {
        Box::pin(async {
            self.hang().await;
            let thing = self.lock().clone();
            let word = thing.word.ok_or_else(|| ProbeError::unable("the thing is silent"))?;
            let facts = [("word".to_owned(), word.into())].into_iter().collect();
            let summary = format!("the thing is {word}");
            Ok(Evidence { facts, summary, excerpt: thing.excerpt })
        })
    }
}

impl Action for Shared {
    fn precondition<'a>(
        &'a self,
        _: &'a Args,
        _: Look,
    ) -> BoxFuture<'a, Result<Precondition, ProbeError>> {
        Box::pin(async {
            self.hang().await;
            Ok(Precondition::Holds("it is down".to_owned()))
        })
    }

    fn blast_radius<'a>(
        &'a self,
        _: &'a Args,
        _: Look,
    ) -> BoxFuture<'a, Result<BlastRadius, ProbeError>> {
        Box::pin(async { Ok(BlastRadius { count: 0, summary: "nobody uses it now".to_owned() }) })
    }

    fn act<'a>(&'a self, _: &'a Args, _: Look) -> BoxFuture<'a, Result<Acted, ActionError>> {
        Box::pin(async {
            self.hang().await;
            let mut thing = self.lock();
            (thing.up, thing.restarts) = (1.0, thing.restarts + 1);
            Ok(Acted { summary: "it runs".to_owned() })
        })
    }

    fn happened<'a>(
        &'a self,
        _: &'a Args,
        _: TimeMs,
        _: Look,
    ) -> BoxFuture<'a, Result<Happened, ProbeError>> {
        Box::pin(async {
            self.hang().await;
            Ok(Happened::Unknown("it keeps no log".to_owned()))
        })
    }
}

/// One thing under a full engine with a server on top.
pub struct World {
    pub handle: Handle,
    pub clock: Arc<dyn Clock>,
    pub client: Client,
    thing: Shared,
}

impl World {
    /// A healthy thing.
    pub async fn new() -> Self {
        Self::with(Thing::healthy(), &[], None).await
    }

    /// A healthy thing, today: for peers that have no other time.
    pub async fn today() -> Self {
        Self::today_with(include_str!("rules.yml"), Sending::default()).await
    }

    /// As [`today`](Self::today), with these rules, and somebody who is told of alerts.
    pub async fn today_with(rules: &str, sending: Sending) -> Self {
        let clock = Arc::new(ScaledClock::wall());
        Self::on(clock, Thing::healthy(), &[], None, rules, sending).await
    }

    /// A healthy thing in virtual time, and somebody who is told of alerts.
    pub async fn virtual_with(clock: Arc<dyn Clock>, sending: Sending) -> Self {
        let rules = include_str!("rules.yml");
        Self::on(clock, Thing::healthy(), &[], None, rules, sending).await
    }

    /// A thing that never answers, and a journal that holds this of an incident: so it stands
    /// where its events left it.
    pub async fn standing(events: &[Event]) -> Self {
        let thing = Thing {
            up: 0.0,
            name: "t1".to_owned(),
            word: None,
            excerpt: String::new(),
            reachable: true,
            hangs: true,
            restarts: 0,
        };
        Self::with(thing, events, None).await
    }

    /// Everything said but the time, which is virtual.
    pub async fn with(
        thing: Thing,
        events: &[Event],
        workbench: Option<Arc<dyn Workbench>>,
    ) -> Self {
        let clock = Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0));
        let rules = include_str!("rules.yml");
        Self::on(clock, thing, events, workbench, rules, Sending::default()).await
    }

    /// Everything said.
    async fn on(
        clock: Arc<dyn Clock>,
        thing: Thing,
        events: &[Event],
        workbench: Option<Arc<dyn Workbench>>,
        rules: &str,
        sending: Sending,
    ) -> Self {
        let mut journal = MemoryJournal::default();
        let record = |event: &Event| Record {
            incident: IncidentId(1),
            at: VIRTUAL_EPOCH,
            kind: event.kind().to_owned(),
            body: serde_json::to_string(event).expect("an event is JSON"),
        };
        let batch = Batch { events: events.iter().map(record).collect(), ..Batch::default() };
        journal.commit(&batch).expect("memory takes it");
        let thing = Shared(Arc::new(Mutex::new(thing)));
        let redactor = Redactor::default();
        redactor.add(&Secret::new(PASSWORD));
        let target = |instance: &str, collector: Arc<dyn Collector>| {
            Arc::new(Target {
                job: "thing".to_owned(),
                instance: instance.to_owned(),
                labels: Labels::empty(),
                interval: Duration::from_secs(15),
                timeout: Duration::from_secs(10),
                collector,
                discovered: None,
            })
        };
        let beside = Arc::new(Beside(thing.clone()));
        let targets = vec![target("thing:1", Arc::new(thing.clone())), target("beside:1", beside)];
        let kit =
            Kit::default().with_probe("state", thing.clone()).with_action("restart", thing.clone());
        let watched = Watched {
            name: SystemName::from("thing-1"),
            catalog: &CATALOG,
            system: System { collector: None, instance: "thing:1".to_owned(), kit },
            host: None,
            target: ("thing".to_owned(), "thing:1".to_owned()),
            series: ("thing".to_owned(), "thing:1".to_owned()),
            matches: BTreeMap::new(),
            contact: Some("Thea <thea@example.com>".to_owned()),
        };
        let file = RuleFile::parse("rules.yml", rules).expect("rules parse");
        let now = clock.now();
        let defaults = GroupDefaults::default();
        let groups = file.groups.iter().map(|spec| Group::new("rules.yml", spec, &defaults, now));
        let page = Runbook::parse("page.md", include_str!("page.md")).expect("the page parses");
        let setup = Setup {
            clock: clock.clone(),
            journal: Box::new(journal),
            redactor,
            targets,
            jobs: Vec::new(),
            systems: Systems::new([watched]),
            groups: groups.collect(),
            external_labels: Labels::empty(),
            external_url: format!("http://{HOST}"),
            pages: Pages::new(vec![page], &[&CATALOG]),
            policy: Policy::default(),
            freezes: Vec::new(),
            window: WindowOptions::default(),
            eval: EvalOptions::default(),
            versions: vec![("Paramedic".to_owned(), "0.0.0".to_owned())],
            sending,
        };
        let (handle, running) = Engine::start(setup).expect("the journal can be read");
        tokio::spawn(running);
        let address = Address::parse(HOST).expect("an address");
        let prometheus = PrometheusOptions { remote_write: true, ..PrometheusOptions::default() };
        let options = ServerOptions {
            workbench,
            prometheus,
            alerts: true,
            ..ServerOptions::new(Secret::new(TOKEN))
        };
        let router = router(handle.clone(), clock.clone(), &address, options);
        Self { handle, clock, client: Client { router }, thing }
    }

    /// Changes how the thing is.
    pub fn thing(&self) -> MutexGuard<'_, Thing> {
        self.thing.lock()
    }

    /// Lets time pass.
    pub async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// Breaks the thing as the probe will say, and waits until the incident is diagnosed.
    pub async fn break_as(&self, word: Option<&'static str>) {
        {
            let mut thing = self.thing();
            (thing.up, thing.word) = (0.0, word);
        }
        self.pass(120).await;
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers are ASCII"))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).expect("the answer is JSON")
    }

    /// What a person reads: the page without tags, spaces put together.
    pub fn read(&self) -> String {
        let main = self.text.split_once("<main").map_or(&*self.text, |(_, main)| main);
        let main = main.split("</main>").next().unwrap_or_default();
        let (mut text, mut in_tag) = (String::new(), true);
        for c in main.chars() {
            match c {
                '<' => in_tag = true,
                '>' => {
                    in_tag = false;
                    text.push(' ');
                }
                c if !in_tag => text.push(c),
                _ => {}
            }
        }
        let words: Vec<_> = text.split_whitespace().collect();
        words.join(" ").replace(" .", ".").replace(" ,", ",").replace(" :", ":")
    }
}

/// A client, by default a program on this machine that knows the right host and nothing else.
#[derive(Clone)]
pub struct Client {
    router: Router,
}

impl Client {
    pub fn of(router: Router) -> Self {
        Self { router }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let service = TowerToHyperService::new(self.router.clone());
        let Ok(response) = service.call(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body ends").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("answers are UTF-8");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// As [`send`](Self::send), for a body that does not end: its first frame.
    pub async fn first_frame(&self, request: Request<Body>) -> String {
        let service = TowerToHyperService::new(self.router.clone());
        let Ok(mut response) = service.call(request).await;
        let frame = response.body_mut().frame().await.expect("there is a frame");
        let data = frame.expect("the stream lives").into_data().expect("it is data");
        String::from_utf8(data.to_vec()).expect("answers are UTF-8")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, &[("host", HOST)], "")).await
    }

    /// Asks the API with the token.
    pub async fn api(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("host", HOST), ("authorization", &bearer)];
        self.send(request("GET", &format!("/api/paramedic/v1/{path}"), &headers, "")).await
    }

    /// Asks the API for something, with the token.
    pub async fn ask(&self, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("host", HOST), ("authorization", &*bearer)];
        self.send(request("POST", &format!("/api/paramedic/v1/{path}"), &headers, body)).await
    }

    /// Sends a form as a browser does that shows one of our pages.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let key = self.form_key().await;
        let fields: Vec<_> = fields.iter().copied().chain([("key", &*key)]).collect();
        self.send(form_request(path, &fields, &OUR_PAGE)).await
    }

    /// The key in the forms of our pages.
    pub async fn form_key(&self) -> String {
        let page = self.get("/incidents/1").await.text;
        let (_, from) = page.split_once("name=\"key\" value=\"").expect("the page has a form");
        from.split('"').next().unwrap_or_default().to_owned()
    }
}

/// What a browser says of a form on one of our pages.
pub const OUR_PAGE: [(&str, &str); 3] =
    [("host", HOST), ("origin", "http://127.0.0.1:9190"), ("sec-fetch-site", "same-origin")];

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    request_bytes(method, path, headers, body.as_bytes().to_vec())
}

pub fn request_bytes(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body)).expect("a well-formed request")
}

pub fn form_request(
    path: &str,
    fields: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Request<Body> {
    let encode = |text: &str| -> String {
        let plain = |b: &u8| b.is_ascii_alphanumeric();
        let escape = |b: u8| if plain(&b) { char::from(b).into() } else { format!("%{b:02X}") };
        text.bytes().map(escape).collect()
    };
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let headers: Vec<_> = headers.iter().copied().chain([form]).collect();
    request("POST", path, &headers, &body)
}
