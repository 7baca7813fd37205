//! One simulated Traefik with its host, and the page that serves it.

use std::collections::BTreeMap;
use std::time::Duration;

use paramedic_catalog::Args;
use paramedic_integration::{
    Acted, Action, ActionError, Collection, Integration, Look, Precondition, ProbeError, System,
};
use paramedic_model::{Labels, Series, SystemName};
use paramedic_promql::{EvalOptions, Value};
use paramedic_rules::RuleFile;
use paramedic_runbook::{Alert, Finding, Runbook, Situation, Work};
use paramedic_samples::Window;
use paramedic_testkit::{Bench, VIRTUAL_EPOCH};

pub struct Scene {
    pub bench: Bench,
    host: System,
    pub page: Runbook,
}

pub fn traefik() -> &'static dyn Integration {
    paramedic_traefik::integration()
}

/// Runs a page's steps against one opened system and its host.
pub struct Responder<'a> {
    pub system: &'a System,
    pub host: &'a System,
    pub page: &'a Runbook,
    pub look: Look,
}

impl Scene {
    pub fn new() -> Self {
        let bench = Bench::new(traefik());
        let settings = bench.simulator.host().expect("the simulated system has a host");
        let host = paramedic_generic::integration()
            .open(&SystemName::from("sut"), &settings, &bench.environment)
            .expect("the simulated host's settings work");
        let asset = &traefik().runbooks()[0];
        let page = Runbook::parse(asset.path, asset.text).expect("the shipped page parses");
        Self { bench, host, page }
    }

    pub async fn wait(&self, seconds: u64) {
        self.bench.clock.sleep(Duration::from_secs(seconds)).await;
    }

    pub async fn collect(&self) -> Collection {
        collect(&self.bench.system, self.bench.look(0)).await
    }

    pub fn responder(&self) -> Responder<'_> {
        Responder {
            system: &self.bench.system,
            host: &self.host,
            page: &self.page,
            look: self.bench.look(90),
        }
    }
}

pub async fn collect(system: &System, look: Look) -> Collection {
    system.collector.as_ref().expect("Traefik has a collector").collect(look).await
}

/// The label sets for which the shipped expression of `alert` holds on one collection.
///
/// # Panics
///
/// Where the verbatim rule of the page yields anything: it never can.
pub fn firing(alert: &str, collection: &Collection) -> Vec<Labels> {
    assert_eq!(holding("TraefikServiceDown", collection), Vec::<Labels>::new());
    holding(alert, collection)
}

fn holding(alert: &str, collection: &Collection) -> Vec<Labels> {
    let asset = &traefik().rules()[0];
    let file = RuleFile::parse(asset.path, asset.text).expect("the shipped rules parse");
    let mut rules = file.groups.iter().flat_map(|group| &group.rules);
    let rule = rules.find(|rule| rule.name() == alert).expect("the shipped rules have this alert");
    let up = Series::new("up", [], if collection.failure.is_none() { 1.0 } else { 0.0 });
    let target = |series: &Series| {
        let labels = series.labels.with("job", "traefik").with("instance", "sut");
        Series { labels, value: series.value }
    };
    let series: Vec<_> = collection.series.iter().chain([&up]).map(target).collect();
    let mut window = Window::default();
    window.append(VIRTUAL_EPOCH, &series);
    let evaluation = rule.expr().eval_instant(&window, VIRTUAL_EPOCH, &EvalOptions::default());
    match evaluation.expect("the shipped expressions evaluate").value {
        Value::Vector(elements) => {
            elements.into_iter().map(|element| element.labels.with("alertname", alert)).collect()
        }
        other => panic!("{alert} yields {other:?}"),
    }
}

impl Responder<'_> {
    /// Takes every diagnosis step of the page for an alert with these labels.
    pub async fn diagnose(&self, labels: &Labels) -> Situation {
        let mut situation = Situation {
            alert: Alert { labels: labels.clone(), annotations: BTreeMap::new(), value: 0.0 },
            system: None,
            findings: BTreeMap::new(),
        };
        for step in self.page.diagnosis() {
            let Work::Probe(probe) = &step.work else { continue };
            let finding = match self.probe(&probe.uses, &probe.with, &situation).await {
                Ok(finding) => finding,
                Err(reason) => Finding::Nothing { reason },
            };
            situation.findings.insert(step.id.clone(), finding);
        }
        situation
    }

    async fn probe(
        &self,
        uses: &paramedic_runbook::Uses,
        with: &paramedic_runbook::With,
        situation: &Situation,
    ) -> Result<Finding, String> {
        let (integration, system) = self.find(uses.kind());
        let signature = integration.catalog().probe(uses.name()).expect("checked with the page");
        let given = with.bind(situation).map_err(|error| error.to_string())?;
        let args = Args::bind(&signature.params, &given).map_err(|error| error.to_string())?;
        let probe = system.kit.probe(uses.name()).expect("the kit has what is declared");
        let evidence = probe.look(&args, self.look).await;
        let evidence = evidence.map_err(|error: ProbeError| error.to_string())?;
        if let Err(error) = signature.check_facts(&evidence.facts) {
            panic!("{uses} breaks its signature: {error}");
        }
        Ok(Finding::Looked { facts: evidence.facts, summary: evidence.summary })
    }

    /// The action of a mitigation step with its arguments.
    pub fn action(
        &self,
        step: &str,
        situation: &Situation,
    ) -> Result<(std::sync::Arc<dyn Action>, Args), String> {
        let step = self.page.step(step).expect("the page has this step");
        let Work::Action(action) = &step.work else { panic!("{} is no action", step.id) };
        let (integration, system) = self.find(action.uses.kind());
        let name = action.uses.name();
        let signature = integration.catalog().action(name).expect("checked with the page");
        let given = action.with.bind(situation).map_err(|error| error.to_string())?;
        let args = Args::bind(&signature.params, &given).map_err(|error| error.to_string())?;
        Ok((system.kit.action(name).expect("the kit has what is declared"), args))
    }

    pub async fn precondition(
        &self,
        step: &str,
        situation: &Situation,
    ) -> Result<Precondition, String> {
        let (action, args) = self.action(step, situation)?;
        action.precondition(&args, self.look).await.map_err(|error| error.to_string())
    }

    pub async fn act(&self, step: &str, situation: &Situation) -> Result<Acted, ActionError> {
        let (action, args) = self.action(step, situation).expect("the step can be taken");
        action.act(&args, self.look).await
    }

    fn find(&self, kind: &str) -> (&'static dyn Integration, &System) {
        match kind {
            "traefik" => (traefik(), self.system),
            "generic" => (paramedic_generic::integration(), self.host),
            other => panic!("the page uses {other}"),
        }
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
