//! One simulated host, and the pages that serve it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use paramedic_catalog::Args;
use paramedic_integration::{
    Acted, Action, ActionError, Address, Asset, Collection, Integration, Look, Precondition,
    Recorded, System,
};
use paramedic_model::{Labels, Series};
use paramedic_promql::{EvalOptions, Value};
use paramedic_rules::RuleFile;
use paramedic_runbook::{Alert, Finding, Runbook, Situation, Work};
use paramedic_samples::Window;
use paramedic_testkit::Bench;

pub fn windows() -> &'static dyn Integration {
    paramedic_windows::integration()
}

/// Where the simulated host is.
pub fn address() -> Address {
    Address::new("sut.test", 1000)
}

pub struct Scene {
    pub bench: Bench,
}

static RULES: LazyLock<RuleFile> = LazyLock::new(|| {
    let asset = &windows().rules()[0];
    RuleFile::parse(asset.path, asset.text)
        .unwrap_or_else(|errors| panic!("{}: {errors:?}", asset.path))
});

static PAGES: LazyLock<Vec<Runbook>> = LazyLock::new(|| {
    let parse = |asset: &Asset| match Runbook::parse(asset.path, asset.text) {
        Ok(page) => page,
        Err(errors) => panic!("{}: {errors:#?}", asset.path),
    };
    windows().runbooks().iter().map(parse).collect()
});

/// The rules, parsed.
pub fn rules() -> &'static RuleFile {
    &RULES
}

/// The pages, parsed.
pub fn pages() -> &'static [Runbook] {
    &PAGES
}

/// The page that serves `alert`.
pub fn page_of(alert: &str) -> &'static Runbook {
    let serves = |page: &&Runbook| page.alerts.iter().any(|served| served == alert);
    pages().iter().find(serves).expect("a page serves the alert")
}

pub async fn collect(system: &System, look: Look) -> Collection {
    system.collector.as_ref().expect("hosts are collected").collect(look).await
}

/// The collection as text, one series a line.
pub fn print(collection: &Collection) -> String {
    let line = |series: &Series| format!("{} {}\n", series.labels, series.value);
    let mut text: String = collection.series.iter().map(line).collect();
    if let Some(error) = &collection.failure {
        text.push_str(&format!("could not {error}\n"));
    }
    text
}

impl Scene {
    pub fn new() -> Self {
        Self { bench: Bench::new(windows()) }
    }

    pub async fn with_fault(fault: &str) -> Self {
        let scene = Self::new();
        scene.wait(600).await;
        scene.bench.simulator.inject(fault).expect("a declared fault");
        scene
    }

    pub async fn wait(&self, seconds: u64) {
        self.bench.clock.sleep(Duration::from_secs(seconds)).await;
    }

    pub async fn collect(&self) -> Collection {
        collect(&self.bench.system, self.bench.look(0)).await
    }

    pub fn recorded(&self) -> Vec<Recorded> {
        self.bench.simulator.recorded()
    }

    /// The label sets for which the shipped expression of `alert` holds on one collection.
    pub fn holding(&self, alert: &str, collection: &Collection) -> Vec<Labels> {
        let mut rules = RULES.groups.iter().flat_map(|group| &group.rules);
        let rule = rules.find(|rule| rule.name() == alert).expect("the rules have this alert");
        let up = Series::new("up", [], if collection.failure.is_none() { 1.0 } else { 0.0 });
        let target = |series: &Series| {
            let labels = series.labels.with("job", "windows").with("instance", "sut");
            Series { labels, value: series.value }
        };
        let series: Vec<_> = collection.series.iter().chain([&up]).map(target).collect();
        let now = self.bench.clock.now();
        let mut window = Window::default();
        window.append(now, &series);
        let evaluation = rule.expr().eval_instant(&window, now, &EvalOptions::default());
        match evaluation.expect("the shipped expressions evaluate").value {
            Value::Vector(elements) => elements
                .into_iter()
                .map(|e| e.labels.with("alertname", alert).without(&["__name__"]))
                .collect(),
            other => panic!("{alert} yields {other:?}"),
        }
    }

    /// All alerts that hold on a collection.
    pub fn all_holding(&self, collection: &Collection) -> Vec<String> {
        let alerts = pages().iter().flat_map(|page| &page.alerts);
        let mut held: Vec<_> = alerts
            .flat_map(|alert| {
                let labels = self.holding(alert, collection);
                labels.into_iter().map(move |labels| format!("{alert} {}", labels.value("name")))
            })
            .collect();
        held.sort();
        held
    }

    /// Takes every diagnosis step of the page for an alert with these labels.
    pub async fn diagnose(&self, page: &Runbook, labels: &Labels) -> Situation {
        let alert = Alert { labels: labels.clone(), annotations: BTreeMap::new(), value: 0.0 };
        let mut situation = Situation { alert, system: None, findings: BTreeMap::new() };
        for step in page.diagnosis() {
            let Work::Probe(probe) = &step.work else { continue };
            let with = probe.with.bind(&situation).expect("the alert has the labels of the page");
            let with: Vec<_> = with.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let looked = self.bench.probe(windows(), probe.uses.name(), &with);
            let finding = match tokio::time::timeout(probe.timeout, looked).await {
                Ok(Ok(evidence)) => {
                    let line = evidence.summary;
                    assert!(!line.is_empty() && !line.contains('\n'), "{}: {line:?}", step.id);
                    let shown = format!("{line}\n{}", evidence.excerpt);
                    assert!(!shown.contains("Zt7-not-for-show"), "{}: {shown}", step.id);
                    Finding::Looked { facts: evidence.facts, summary: line }
                }
                Ok(Err(error)) => Finding::Nothing { reason: format!("could not {error}") },
                Err(_) => Finding::Nothing { reason: "no answer in time".to_owned() },
            };
            situation.findings.insert(step.id.clone(), finding);
        }
        situation
    }

    /// The action of a mitigation step, with the arguments that the page gives it.
    pub fn action(
        &self,
        page: &Runbook,
        step: &str,
        situation: &Situation,
    ) -> (Arc<dyn Action>, Args) {
        let step = page.step(step).expect("the page has this step");
        let Work::Action(action) = &step.work else { panic!("{} is no action", step.id) };
        let given = action.with.bind(situation).expect("the alert has the labels of the page");
        self.bind(action.uses.name(), &given)
    }

    /// The action of this name for a service.
    pub fn named(&self, name: &str, service: &str) -> (Arc<dyn Action>, Args) {
        self.bind(name, &BTreeMap::from([("name".to_owned(), service.to_owned())]))
    }

    fn bind(&self, name: &str, given: &BTreeMap<String, String>) -> (Arc<dyn Action>, Args) {
        let signature = windows().catalog().action(name).expect("the action is declared");
        let args = Args::bind(&signature.params, given).expect("the arguments fit");
        (self.bench.system.kit.action(name).expect("the action is in the kit"), args)
    }

    pub async fn precondition(&self, (action, args): &(Arc<dyn Action>, Args)) -> Precondition {
        let verdict = action.precondition(args, self.bench.look(90)).await;
        verdict.expect("the host can be looked at")
    }

    pub async fn act(
        &self,
        (action, args): &(Arc<dyn Action>, Args),
    ) -> Result<Acted, ActionError> {
        action.act(args, self.bench.look(90)).await
    }
}

/// Why a cause is not the likely one, and what was found: for the message of a failed test.
pub fn explain(page: &Runbook, situation: &Situation) -> String {
    let findings = situation.findings.iter().map(|(id, finding)| match finding {
        Finding::Looked { summary, .. } => format!("  {id}: {summary}\n"),
        Finding::Nothing { reason } => format!("  {id}: NOTHING: {reason}\n"),
    });
    let diagnosis = page.diagnose(situation);
    let causes = diagnosis.causes.iter().map(|judged| {
        format!("  {}: {:?} {}\n", judged.cause.id, judged.judgement, judged.because)
    });
    format!("found:\n{}causes:\n{}", findings.collect::<String>(), causes.collect::<String>())
}
