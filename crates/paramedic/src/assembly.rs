//! From a configuration to everything that an engine starts from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use paramedic_engine::{Handle, Pages, Setup, Systems, Watched};
use paramedic_integration::{Environment, Integration, System};
use paramedic_journal::Journal;
use paramedic_model::{SystemName, TimeMs};
use paramedic_rules::{Group, GroupDefaults, Rule, RuleFile};
use paramedic_runbook::Runbook;
use paramedic_scrape::{Discovery, Job, Slot, Target};

use crate::config::{Config, SystemConfig};
use crate::kinds;

/// The rules and pages of a configuration, without a mistake.
pub struct Loaded {
    /// Rule files: shipped ones of the kinds in use, then the user's own.
    pub files: Vec<RuleFile>,
    /// All pages; a user's own goes before a shipped one that serves the same alert.
    pub pages: Pages,
}

/// Every mistake in the files that a configuration names.
#[derive(Debug)]
pub struct LoadErrors(Vec<String>);

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for LoadErrors {}

impl Loaded {
    /// The number of rules in all groups.
    pub fn rule_count(&self) -> usize {
        self.files.iter().flat_map(|file| &file.groups).map(|group| group.rules.len()).sum()
    }

    /// The number of groups.
    pub fn group_count(&self) -> usize {
        self.files.iter().map(|file| file.groups.len()).sum()
    }

    /// The `for` of the alert of this name, where a rule has it.
    pub fn hold_of(&self, alert: &str) -> Option<Duration> {
        let rules = self.files.iter().flat_map(|file| &file.groups).flat_map(|group| &group.rules);
        rules.into_iter().find_map(|rule| match rule {
            Rule::Alert(rule) if rule.name == alert => Some(rule.waits.hold),
            _ => None,
        })
    }
}

/// Reads the rules and pages that `config` asks for, and checks them.
///
/// # Errors
///
/// All mistakes in all of them, each with file, line and column.
pub fn load(config: &Config) -> Result<Loaded, LoadErrors> {
    let (mut errors, mut files, mut pages) = (Vec::new(), Vec::new(), Vec::new());
    let mut rules =
        |path: &str, text: &str, errors: &mut Vec<String>| match RuleFile::parse(path, text) {
            Ok(file) => files.push(file),
            Err(mistakes) => errors.extend(mistakes.iter().map(ToString::to_string)),
        };
    let catalogs = kinds::catalogs();
    let mut page =
        |path: &str, text: &str, errors: &mut Vec<String>| match Runbook::parse(path, text) {
            Ok(page) => {
                errors.extend(page.check(&catalogs).iter().map(ToString::to_string));
                pages.push(page);
            }
            Err(mistakes) => errors.extend(mistakes.iter().map(ToString::to_string)),
        };
    let in_use = |kind: &&dyn Integration| {
        config.systems.iter().any(|system| system.kind == kind.catalog().kind)
    };
    for integration in kinds::all().filter(in_use) {
        if config.shipped_rules {
            integration.rules().iter().for_each(|file| rules(file.path, file.text, &mut errors));
        }
        if config.shipped_runbooks {
            integration.runbooks().iter().for_each(|file| page(file.path, file.text, &mut errors));
        }
    }
    let read = |path: &Path, errors: &mut Vec<String>| {
        let text = std::fs::read_to_string(path);
        text.map_err(|error| errors.push(format!("{}: {error}", path.display()))).ok()
    };
    for path in &config.rule_files {
        if let Some(text) = read(path, &mut errors) {
            rules(&path.display().to_string(), &text, &mut errors);
        }
    }
    for path in &config.runbooks {
        if let Some(text) = read(path, &mut errors) {
            page(&path.display().to_string(), &text, &mut errors);
        }
    }
    match errors.is_empty() {
        true => Ok(Loaded { files, pages: Pages::new(pages, &catalogs) }),
        false => Err(LoadErrors(errors)),
    }
}

/// The groups of the rules that were read, which start at `now`.
pub fn groups(config: &Config, loaded: &Loaded, now: TimeMs) -> Vec<Group> {
    let defaults = GroupDefaults {
        interval: config.global.evaluation_interval,
        query_offset: config.global.rule_query_offset,
    };
    let groups = loaded.files.iter().flat_map(|file| {
        let group = |spec| Group::new(&file.path, spec, &defaults, now);
        file.groups.iter().map(group).collect::<Vec<_>>()
    });
    groups.collect()
}

/// Everything that an engine starts from.
///
/// # Errors
///
/// A system or target whose settings cannot work, by its name and the setting's.
pub fn setup(
    config: &Config,
    loaded: Loaded,
    environment: &Environment,
    journal: Box<dyn Journal>,
) -> anyhow::Result<Setup> {
    // Before anything is opened, so that no message of it can hold one.
    config.secrets.iter().for_each(|secret| environment.redactor.add(secret));
    let mut groups = groups(config, &loaded, environment.clock.now());
    // Only those of the start: groups that a reload brings have nothing to come back.
    groups.iter_mut().for_each(|group| group.restore_from_series(config.restore));
    let (mut watched, mut targets) = (Vec::new(), Vec::new());
    for system in &config.systems {
        let opened = open(system, environment);
        let (system, target) = opened.with_context(|| format!("system `{}`", system.name))?;
        watched.push(system);
        targets.extend(target.map(Arc::new));
    }
    for mut discovery in discoveries(config, environment) {
        targets.extend(discovery.at_once().targets);
    }
    let kinds = config.systems.iter().filter_map(|system| kinds::kind(&system.kind));
    let mut versions: Vec<_> = kinds
        .map(|kind| (kind.catalog().title.to_owned(), kind.catalog().versions.join(", ")))
        .collect();
    versions.sort();
    versions.dedup();
    versions.insert(0, ("Paramedic".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    Ok(Setup {
        clock: environment.clock.clone(),
        journal,
        redactor: environment.redactor.clone(),
        targets,
        jobs: config.jobs.iter().map(|job| job.name.as_str().into()).collect(),
        systems: Systems::new(watched),
        groups,
        external_labels: config.global.external_labels.iter().collect(),
        external_url: format!("http://{}", config.server.listen),
        pages: loaded.pages,
        policy: config.policy.clone(),
        freezes: config.freezes.clone(),
        window: config.samples.window(config.retention),
        eval: config.eval_options(),
        versions,
        sending: crate::alerting::sending(config, environment)?,
    })
}

/// Opens one system, and the target that its collector is.
fn open(
    config: &SystemConfig,
    environment: &Environment,
) -> anyhow::Result<(Watched, Option<Target>)> {
    let integration =
        kinds::kind(&config.kind).with_context(|| format!("there is no kind `{}`", config.kind))?;
    let name = SystemName::from(config.name.as_str());
    let System { collector, instance, kit } =
        integration.open(&name, &config.settings, environment)?;
    let host = match (&config.host, kinds::kind("generic")) {
        (Some(settings), Some(generic)) => {
            let host = generic.open(&name, settings, environment).context("host")?;
            Some((generic.catalog(), host))
        }
        _ => None,
    };
    let target = collector.map(|collector| Target {
        job: config.kind.clone(),
        instance: instance.clone(),
        labels: config.labels.clone(),
        interval: config.interval,
        timeout: config.timeout,
        collector: Arc::from(collector),
        discovered: None,
    });
    let label = |name: &str, own: &str| config.labels.get(name).unwrap_or(own).to_owned();
    let watched = Watched {
        name,
        catalog: integration.catalog(),
        target: (config.kind.clone(), instance.clone()),
        series: (label("job", &config.kind), label("instance", &instance)),
        system: System { collector: None, instance, kit },
        host,
        matches: config.matches.clone(),
        contact: config.contact.as_ref().map(ToString::to_string),
    };
    Ok((watched, target))
}

/// What finds the targets of each job.
pub fn discoveries(config: &Config, environment: &Environment) -> Vec<Discovery> {
    // Of two servers with one configuration, each asks at moments of its own.
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let seed = Slot::seed(host.trim(), &config.global.external_labels.iter().collect());
    let discovery = |job: &Arc<Job>| Discovery::new(job.clone(), environment.clone(), seed);
    config.jobs.iter().map(discovery).collect()
}

/// Tells the engine of the targets of a job, and again whenever there are others, until it stops.
pub async fn discover(mut discovery: Discovery, engine: Handle) {
    let mut pool = discovery.at_once();
    while engine.discovered(pool.clone()).await.is_ok() {
        pool = discovery.next(&pool).await;
    }
}
