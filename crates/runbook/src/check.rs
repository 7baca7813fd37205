//! Proves a page against the catalogues: what it uses is there, and takes and gives what the page
//! says.

use std::collections::BTreeMap;

use paramedic_catalog::{ArgError, Args, Catalog, Param, ProbeSignature};

use crate::error::Mistake;
use crate::step::Argument;
use crate::typing::{self, Readable};
use crate::{
    ActionStep, PageError, Phase, Remedy, Runbook, Step, Template, TemplateError, Uses, With, Work,
};

impl Runbook {
    /// Checks the page against what integrations declare. None of what it finds can make a run
    /// unsafe: the same is checked again with the arguments at hand. It is said here because a
    /// page should fail when it is written, not when it is needed.
    ///
    /// Looks whether `uses` leads somewhere, arguments fit, approvals are not laxer than the risk
    /// allows, and conditions and templates read only facts that an earlier step provides.
    pub fn check(&self, catalogs: &[&Catalog]) -> Vec<PageError> {
        let mut check = Check { page: self, catalogs, mistakes: Vec::new() };
        for kind in &self.systems {
            if catalogs.iter().all(|catalog| catalog.kind != kind) {
                check.unknown_kind(self.systems_at, kind);
            }
        }
        for step in &self.steps {
            check.step(step);
        }
        check.causes();
        check.mistakes.sort_by_key(|mistake| mistake.at);
        check.mistakes.into_iter().map(|m| m.on(&self.name, self.source())).collect()
    }
}

struct Check<'a> {
    page: &'a Runbook,
    catalogs: &'a [&'a Catalog],
    mistakes: Vec<Mistake>,
}

impl<'a> Check<'a> {
    fn unknown_kind(&mut self, at: usize, kind: &str) {
        let known: Vec<&str> = self.catalogs.iter().map(|catalog| catalog.kind).collect();
        let mistake = Mistake::new(at, format!("there is no kind of system `{kind}`"));
        self.mistakes.push(mistake.near(kind, &known));
    }

    fn catalog(&self, uses: &Uses) -> Option<&'a Catalog> {
        self.catalogs.iter().copied().find(|catalog| catalog.kind == uses.kind())
    }

    fn signature(&self, step: &Step) -> Option<&'a ProbeSignature> {
        match &step.work {
            Work::Probe(probe) => self.catalog(&probe.uses)?.probe(probe.uses.name()),
            _ => None,
        }
    }

    /// What stands before the byte `at`: the probes whose evidence a step there may read.
    fn readable(&self, at: usize) -> Vec<Readable<'a>> {
        let page = self.page;
        let probes =
            page.diagnosis().filter(|s| matches!(s.work, Work::Probe(_)) && s.span.start < at);
        probes.map(|s| Readable { id: &s.id, signature: self.signature(s) }).collect()
    }

    fn step(&mut self, step: &'a Step) {
        let Some(uses) = step.uses() else { return };
        // Mitigation begins when the diagnosis is done, wherever on the page it stands.
        let before = if step.phase == Phase::Diagnosis { step.span.start } else { usize::MAX };
        let readable = self.readable(before);
        match self.catalog(uses) {
            None => self.unknown_kind(uses.at, uses.kind()),
            Some(catalog) => self.bound_step(step, uses, catalog),
        }
        if let Some(when) = step.when() {
            self.mistakes.extend(typing::check(when, &readable));
        }
        for argument in step.with().map_or(&[][..], |with| &with.0) {
            self.template(&argument.value, &readable);
        }
    }

    fn bound_step(&mut self, step: &Step, uses: &Uses, catalog: &Catalog) {
        let at = uses.at;
        let (probes, actions): (Vec<&str>, Vec<&str>) = (
            catalog.probes.iter().map(|probe| probe.name).collect(),
            catalog.actions.iter().map(|action| action.name).collect(),
        );
        let mut unknown = |what: &str, known: &[&str], others: &[&str], article: &str| {
            let mistake =
                Mistake::new(at, format!("{} has no {what} `{}`", catalog.kind, uses.name()));
            self.mistakes.push(if others.contains(&uses.name()) {
                mistake.hint(format!("`{uses}` is {article}"))
            } else {
                mistake.near(uses.name(), known)
            });
        };
        match &step.work {
            Work::Probe(probe) => match catalog.probe(uses.name()) {
                Some(signature) => self.arguments(at, &probe.with, &signature.params),
                None => unknown("probe", &probes, &actions, "an action"),
            },
            Work::Action(action) => match catalog.action(uses.name()) {
                Some(signature) => {
                    self.arguments(at, &action.with, &signature.params);
                    self.approval(at, action, signature);
                }
                None => unknown("action", &actions, &probes, "a probe"),
            },
            Work::Manual(_) => {}
        }
    }

    fn approval(
        &mut self,
        at: usize,
        action: &ActionStep,
        signature: &paramedic_catalog::ActionSignature,
    ) {
        let least = signature.risk.least_approval();
        if let Some(stated) = action.stated_approval
            && stated < least
        {
            let message = format!(
                "`{}` is of {} risk and needs `approval: {}`, not `{}`",
                action.uses,
                signature.risk.as_str(),
                least.as_str(),
                stated.as_str()
            );
            self.mistakes.push(Mistake::new(at, message));
        }
    }

    fn arguments(&mut self, at: usize, with: &With, params: &[Param]) {
        for argument in &with.0 {
            self.argument(argument, params);
        }
        for param in params.iter().filter(|param| param.required) {
            if with.0.iter().all(|argument| argument.name != param.name) {
                let message = format!("the argument `{}` is missing", param.name);
                let mistake = Mistake::new(at, message).hint(format!("it is {}", param.kind));
                self.mistakes.push(mistake);
            }
        }
    }

    /// Binds one argument by itself; what its template will give is known only with an alert.
    fn argument(&mut self, argument: &Argument, params: &[Param]) {
        let Some(param) = params.iter().find(|param| param.name == argument.name) else {
            let known: Vec<&str> = params.iter().map(|param| param.name).collect();
            let message = format!("there is no argument `{}`", argument.name);
            self.mistakes
                .push(Mistake::new(argument.name_at, message).near(&argument.name, &known));
            return;
        };
        if !argument.value.is_literal() {
            return;
        }
        let given = BTreeMap::from([(argument.name.clone(), argument.value.as_str().to_owned())]);
        match Args::bind(std::slice::from_ref(param), &given) {
            Ok(_) => {}
            Err(ArgError::Invalid { value, expected, .. }) => {
                let message = format!("`{}` must be {expected}, not {value}", argument.name);
                self.mistakes.push(Mistake::new(argument.value.at, message));
            }
            Err(error) => self.mistakes.push(Mistake::new(argument.value.at, error.to_string())),
        }
    }

    fn causes(&mut self) {
        let readable = self.readable(usize::MAX);
        for cause in &self.page.causes {
            self.mistakes.extend(typing::check(&cause.when, &readable));
            self.template(&cause.because, &readable);
            if let Remedy::Nothing(why) = &cause.remedy {
                self.template(why, &readable);
            }
        }
    }

    /// Renders a template over what the steps declare: once with every list filled and no null,
    /// once with every list empty, every flag off and null where null may be.
    fn template(&mut self, template: &Template, readable: &[Readable<'_>]) {
        if template.is_literal() {
            return;
        }
        // A step whose probe is not known cannot be rendered, and is a mistake already.
        if readable.iter().any(|step| step.signature.is_none() && reads(template, step.id)) {
            return;
        }
        let steps: Vec<_> =
            readable.iter().filter_map(|step| Some((step.id, step.signature?))).collect();
        for full in [true, false] {
            let Err(error) = template.render_witness(&steps, full) else { continue };
            let mistake = match error {
                TemplateError::Missing { name } => {
                    let known: Vec<&str> = steps
                        .iter()
                        .flat_map(|(id, signature)| {
                            let facts = signature.facts.iter().map(|fact| fact.name);
                            std::iter::once(*id).chain(facts)
                        })
                        .collect();
                    let message = format!("the template reads `{name}`, which no earlier step has");
                    Mistake::new(template.at, message).near(&name, &known)
                }
                // Over empty lists and null, an index or a field fails as it may on a real day.
                _ if !full => continue,
                other => Mistake::new(template.at, format!("the template fails: {other}")),
            };
            self.mistakes.push(mistake);
            return;
        }
    }
}

/// Whether a template names a step.
fn reads(template: &Template, id: &str) -> bool {
    template.as_str().contains(&format!(".{id}"))
}
