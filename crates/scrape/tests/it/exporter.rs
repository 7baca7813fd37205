use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use paramedic_integration::{Address, BoxStream, Environment, ScaledClock, serve_http};
use paramedic_model::{BoxFuture, Clock, Redactor};
use paramedic_scrape::{Discovery, Job, Last, Pool, Scraped, TargetGroup, collect_once};
use paramedic_testkit::{MemoryNetwork, NoProcesses, VIRTUAL_EPOCH};

/// How a server answers, and what it was asked.
#[derive(Clone)]
pub struct Page {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Path, query and headers of each request.
    pub asked: Vec<String>,
    /// How many connections were opened.
    pub connections: usize,
    /// How many of them are open still.
    pub open: usize,
    /// Whether it closes a connection after each answer without saying so.
    pub closes: bool,
}

/// A network with one server, in memory and virtual time.
pub struct World {
    pub environment: Environment,
    pub clock: Arc<dyn Clock>,
    pub network: MemoryNetwork,
    page: Arc<Mutex<Page>>,
}

impl World {
    /// With a server at `exporter.test:80` that shows `body` as text.
    pub fn new(body: &str) -> Self {
        let network = MemoryNetwork::default();
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(VIRTUAL_EPOCH, 1.0));
        let environment = Environment {
            clock: clock.clone(),
            transport: Arc::new(network.clone()),
            processes: Arc::new(NoProcesses),
            redactor: Redactor::default(),
        };
        let page = Page {
            status: 200,
            headers: vec![("content-type", "text/plain; version=0.0.4".to_owned())],
            body: body.as_bytes().to_vec(),
            asked: Vec::new(),
            connections: 0,
            open: 0,
            closes: false,
        };
        let world = Self { environment, clock, network, page: Arc::new(Mutex::new(page)) };
        let server = world.server();
        world.network.listen(Address::new("exporter.test", 80), server);
        world
    }

    /// What serves the page on a stream.
    pub fn server(&self) -> impl Fn(BoxStream) -> BoxFuture<'static, ()> + Send + Sync + use<> {
        let page = self.page.clone();
        move |stream| {
            let opened = page.clone();
            {
                let mut page = page.lock().expect("nobody panicked");
                (page.connections, page.open) = (page.connections + 1, page.open + 1);
            }
            let page = page.clone();
            let answers = Arc::new(Mutex::new(0));
            let serving = serve_http(stream, move |request: Request<Bytes>| {
                let (page, answers) = (page.clone(), answers.clone());
                Box::pin(async move {
                    let mut page = page.lock().expect("nobody panicked");
                    let mut answers = answers.lock().expect("nobody panicked");
                    *answers += 1;
                    if page.closes && *answers > 1 {
                        return None;
                    }
                    let mut asked = request.uri().to_string();
                    for (name, value) in request.headers() {
                        asked.push_str(&format!("\n{name}: {}", value.to_str().expect("ASCII")));
                    }
                    page.asked.push(asked);
                    let mut response = Response::builder().status(page.status);
                    for (name, value) in &page.headers {
                        response = response.header(*name, value);
                    }
                    response.body(Full::new(page.body.clone().into())).ok()
                })
            });
            Box::pin(async move {
                serving.await;
                opened.lock().expect("nobody panicked").open -= 1;
            })
        }
    }

    pub fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().expect("nobody panicked")
    }

    pub fn show(&self, body: &str) {
        self.page().body = body.as_bytes().to_vec();
    }

    /// The page as gzip.
    pub fn show_compressed(&self, body: &[u8]) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).expect("memory takes it");
        let body = encoder.finish().expect("memory takes it");
        let mut page = self.page();
        page.body = body;
        page.headers.retain(|(name, _)| *name != "content-encoding");
        page.headers.push(("content-encoding", "gzip".to_owned()));
    }

    pub fn fail(&self, status: StatusCode) {
        self.page().status = status.as_u16();
    }

    pub fn discovery(&self, job: Job) -> Discovery {
        Discovery::new(Arc::new(job), self.environment.clone(), 0)
    }

    /// The only target of a job, to be collected again and again.
    pub fn target(&self, job: Job) -> Collecting {
        let Pool { targets, .. } = self.discovery(job).at_once();
        assert_eq!(targets.len(), 1);
        let (tracked, ended) = (Arc::default(), Vec::new());
        let (target, clock) = (targets[0].clone(), self.clock.clone());
        Collecting { target, clock, last: Last::default(), tracked, ended }
    }

    /// Lets time pass.
    pub async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }
}

/// A job that scrapes the server.
pub fn job(change: impl FnOnce(&mut Job)) -> Job {
    let mut job = Job::new("j");
    let targets = vec!["exporter.test".to_owned()];
    job.sources.fixed = vec![TargetGroup { targets, labels: paramedic_model::Labels::empty() }];
    change(&mut job);
    job
}

pub struct Collecting {
    pub target: Arc<paramedic_scrape::Target>,
    clock: Arc<dyn Clock>,
    last: Last,
    /// The series that stated their own time and are tracked.
    tracked: Arc<[paramedic_model::Labels]>,
    /// Those that ended with the last collection.
    pub ended: Vec<paramedic_model::Labels>,
}

impl Collecting {
    pub async fn once(&mut self) -> Scraped {
        let scraped = collect_once(&self.target, self.clock.as_ref(), &mut self.last).await;
        if scraped.timed.is_tracked {
            self.ended = scraped.timed.missing_of(&self.tracked);
            self.tracked = scraped.timed.labels.clone();
        }
        scraped
    }

    /// What came, without what is said of the collection; or why nothing did.
    pub async fn shown(&mut self) -> String {
        let scraped = self.once().await;
        if let Some(failure) = &scraped.failure {
            return format!("failed: {failure}");
        }
        let label =
            |labels: &paramedic_model::Labels| labels.without(&["job", "instance"]).to_string();
        let mut text: Vec<_> = (0..scraped.list.len())
            .map(|index| (label(&scraped.list.labels(index)), scraped.values[index]))
            .filter(|(labels, _)| !labels.starts_with("scrape_") && labels != "up")
            .map(|(labels, value)| format!("{labels} {value}"))
            .collect();
        let timed = &scraped.timed;
        for (labels, sample) in timed.labels.iter().zip(&timed.samples) {
            text.push(format!("{} {} @{}", label(labels), sample.value, sample.at.0));
        }
        text.extend(self.ended.iter().map(|labels| format!("{} ended", label(labels))));
        text.join("; ")
    }

    /// What is said of the collection under this name.
    pub async fn said(&mut self, name: &str) -> f64 {
        let scraped = self.once().await;
        let found = scraped.samples().find(|one| one.labels.metric_name() == Some(name));
        found.unwrap_or_else(|| panic!("no {name}")).value
    }
}
