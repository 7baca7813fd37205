use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use paramedic_yaml::distance;

use crate::block::{self, Bound};
use crate::error::Mistake;
use crate::outline::{self, BlockKind, Events, Item, Outline};
use crate::shortcode;
use crate::yaml::{Excerpt, Table};
use crate::{Cause, Manual, PageError, Phase, Step, Work};

/// The largest page, in bytes.
pub const PAGE_BYTES_MAX: usize = 256 * 1024;

/// The most steps, and the most causes, that a page may have.
pub const ITEMS_MAX: usize = 200;

/// The version of the fenced blocks that this release reads: `paramedic: 1` in the front matter,
/// where a page wants to be refused by a release that does not.
pub const FORMAT: &str = "1";

/// A page, parsed.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// The name that it was given for messages.
    pub name: String,
    /// From the front matter, else its first heading.
    pub title: String,
    /// The alerts that it serves; its title, where the front matter lists none.
    pub alerts: Vec<String>,
    /// The kinds of systems that it is about; none where it does not say.
    pub systems: Vec<String>,
    /// The alert rule that the page shows, where it shows one.
    pub rule: Option<EmbeddedRule>,
    /// All steps, in the order of the page.
    pub steps: Vec<Step>,
    /// All causes, the ones to prefer first.
    pub causes: Vec<Cause>,
    pub(crate) systems_at: usize,
    pub(crate) sections: Vec<Section>,
    /// The lists that hold the steps.
    pub(crate) step_lists: Vec<Range<usize>>,
    /// The parts under the heading Causes.
    pub(crate) cause_spans: Vec<Range<usize>>,
    /// Comments of Hugo's.
    pub(crate) hidden: Vec<Range<usize>>,
    pub(crate) events: Events,
    advice: Vec<String>,
    source: String,
}

/// An alert rule as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedRule {
    /// The YAML, letter by letter.
    pub text: String,
    /// The line of its first line on the page, counted from 1.
    pub line: usize,
    /// The bytes of its fenced block.
    pub(crate) span: Range<usize>,
}

/// One of the four sections.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub kind: SectionKind,
    /// Without its heading.
    pub span: Range<usize>,
}

/// The four sections of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionKind {
    /// What the alert says.
    Meaning,
    /// What it does to people.
    Impact,
    /// How to find the cause.
    Diagnosis,
    /// What to do.
    Mitigation,
}

impl SectionKind {
    /// All four, in their usual order.
    pub const ALL: [Self; 4] = [Self::Meaning, Self::Impact, Self::Diagnosis, Self::Mitigation];

    /// The heading.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meaning => "Meaning",
            Self::Impact => "Impact",
            Self::Diagnosis => "Diagnosis",
            Self::Mitigation => "Mitigation",
        }
    }
}

impl Runbook {
    /// Reads a page; `name` stands in messages. Conditions and templates are parsed here, once.
    ///
    /// # Errors
    ///
    /// Every mistake that shows without knowing what the blocks may use: see
    /// [`Runbook::check`](crate::Runbook::check) for the others.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<PageError>> {
        let mut mistakes = Vec::new();
        let page = build(name, text, &mut mistakes);
        match page {
            Some(page) if mistakes.is_empty() => Ok(page),
            _ => {
                mistakes.sort_by_key(|mistake| mistake.at);
                Err(mistakes.into_iter().map(|mistake| mistake.on(name, text)).collect())
            }
        }
    }

    /// The page as it was given: what an approval may be bound to.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// The cause of this id.
    pub fn cause(&self, id: &str) -> Option<&Cause> {
        self.causes.iter().find(|cause| cause.id == id)
    }

    /// The steps of Diagnosis, in order.
    pub fn diagnosis(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.phase == Phase::Diagnosis)
    }

    /// The steps of Mitigation, in order.
    pub fn mitigation(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.phase == Phase::Mitigation)
    }

    /// How long the alert is to be watched after it is clear, where the page says so.
    pub fn watch(&self) -> Option<Duration> {
        let watch = self.steps.iter().filter_map(|step| match step.work {
            Work::Manual(Manual::Watch(watch)) => Some(watch),
            _ => None,
        });
        watch.max()
    }

    /// Lines for the closing report: those of the front matter, then those of the steps.
    pub fn advice(&self) -> Vec<String> {
        let is_advice = |step: &&Step| matches!(step.work, Work::Manual(Manual::Advice));
        let line = |step: &Step| match step.text.as_str() {
            "" => step.title.clone(),
            text => format!("{}: {text}", step.title),
        };
        let steps = self.steps.iter().filter(is_advice).map(line);
        self.advice.iter().cloned().chain(steps).collect()
    }
}

fn build(name: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Option<Runbook> {
    if text.len() > PAGE_BYTES_MAX {
        let message = format!("a page has at most {PAGE_BYTES_MAX} bytes, not {}", text.len());
        mistakes.push(Mistake::new(0, message));
        return None;
    }
    let (front, front_end) = front_matter(text, mistakes);
    let plain = shortcode::strip(text);
    let mut outline = outline::read(&plain, front_end);
    mistakes.append(&mut outline.mistakes);
    if outline.sections.is_empty() {
        let mistake = Mistake::new(front_end, "the page has no section that a runbook has");
        mistakes.push(mistake.hint("its headings are Meaning, Impact, Diagnosis, Mitigation"));
    }
    for (what, item) in [
        ("steps", outline.steps.get(ITEMS_MAX).map(|(_, item)| item.span.start)),
        ("causes", outline.causes.get(ITEMS_MAX).map(|item| item.span.start)),
    ] {
        if let Some(at) = item {
            mistakes.push(Mistake::new(at, format!("a page has at most {ITEMS_MAX} {what}")));
        }
    }
    outline.steps.truncate(ITEMS_MAX);
    outline.causes.truncate(ITEMS_MAX);
    let title = front.title.or(outline.heading.take()).unwrap_or_default();
    if title.is_empty() {
        let mistake = Mistake::new(0, "the page has no title");
        mistakes.push(mistake.hint("write `title: NameOfTheAlert` in the front matter"));
    }
    let mut ids = BTreeMap::new();
    let steps = steps(&outline, text, &mut ids, mistakes);
    let causes = causes(&outline, text, &steps, &mut ids, mistakes);
    let Outline { events, sections, step_lists, cause_spans, rule, .. } = outline;
    Some(Runbook {
        name: name.to_owned(),
        alerts: if front.alerts.is_empty() { vec![title.clone()] } else { front.alerts },
        title,
        systems: front.systems,
        systems_at: front.systems_at,
        rule,
        steps,
        causes,
        sections,
        step_lists,
        cause_spans,
        hidden: plain.hidden,
        events,
        advice: front.advice,
        source: text.to_owned(),
    })
}

#[derive(Default)]
struct FrontMatter {
    title: Option<String>,
    alerts: Vec<String>,
    systems: Vec<String>,
    systems_at: usize,
    advice: Vec<String>,
}

/// Reads the YAML between the lines `---`, and gives the byte behind it.
fn front_matter(text: &str, mistakes: &mut Vec<Mistake>) -> (FrontMatter, usize) {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut lines = text[start..].split_inclusive('\n');
    let mut at = start;
    let first = lines.next().unwrap_or_default();
    if first.trim_end() == "+++" {
        let mistake = Mistake::new(start, "the front matter is TOML, which is not read here");
        mistakes.push(mistake.hint("write it as YAML between lines of `---`"));
    }
    if first.trim_end() != "---" {
        return (FrontMatter::default(), start);
    }
    at += first.len();
    let yaml_at = at;
    for line in lines {
        if ["---", "..."].contains(&line.trim_end()) {
            let mut excerpt = Excerpt::default();
            excerpt.push(&text[yaml_at..at], yaml_at);
            let front = match excerpt.read() {
                Ok(node) => {
                    let table = Table::new(node.as_ref(), &excerpt, "the front matter", yaml_at);
                    read_front_matter(table, mistakes)
                }
                Err(mistake) => {
                    mistakes.push(mistake);
                    FrontMatter::default()
                }
            };
            return (front, at + line.len());
        }
        at += line.len();
    }
    // A page may begin with a rule across the page instead.
    (FrontMatter::default(), start)
}

fn read_front_matter(mut table: Table<'_>, mistakes: &mut Vec<Mistake>) -> FrontMatter {
    // Any other key belongs to whoever else shows the page.
    const OURS: [&str; 5] = ["title", "alerts", "systems", "advice", "paramedic"];
    let front = FrontMatter {
        title: table.read("title", |node| node.text("title").map(|t| t.trim().to_owned())),
        alerts: table.read("alerts", |node| node.texts("alerts")).unwrap_or_default(),
        systems_at: table.get("systems").map_or(0, |node| node.at()),
        systems: table.read("systems", |node| node.texts("systems")).unwrap_or_default(),
        advice: table.read("advice", |node| node.texts("advice")).unwrap_or_default(),
    };
    table.read("paramedic", |node| match node.text("paramedic")? {
        FORMAT => Ok(()),
        other => {
            let message = format!("the page is of format `{other}`; this release reads {FORMAT}");
            Err(node.mistake(message))
        }
    });
    mistakes.append(&mut table.mistakes);
    for (key, at) in table.keys() {
        if let Some(near) = OURS.into_iter().find(|ours| distance(key, ours) == 1) {
            let mistake = Mistake::new(at, format!("the front matter has no key `{key}`"));
            mistakes.push(mistake.hint(format!("did you mean `{near}`?")));
        }
    }
    front
}

/// Ids that are taken, each with the line of its step or cause.
type Ids = BTreeMap<String, usize>;

fn claim(ids: &mut Ids, id: &str, at: usize, line: usize, mistakes: &mut Vec<Mistake>) {
    if let Some(taken) = ids.insert(id.to_owned(), line) {
        mistakes.push(Mistake::new(at, format!("the id `{id}` is taken by line {taken}")));
    }
}

fn steps(outline: &Outline, text: &str, ids: &mut Ids, mistakes: &mut Vec<Mistake>) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut diagnosis, mut mitigation) = (0, 0);
    for (phase, item) in &outline.steps {
        let position = match phase {
            Phase::Diagnosis => &mut diagnosis,
            Phase::Mitigation => &mut mitigation,
        };
        *position += 1;
        let line = crate::error::place(text, item.span.start).0;
        let bound = bind(*phase, item, mistakes);
        let id = match bound.id {
            Some((id, at)) => {
                claim(ids, &id, at, line, mistakes);
                id
            }
            None => {
                let id = format!("{}-{position}", phase.as_str());
                claim(ids, &id, item.span.start, line, mistakes);
                id
            }
        };
        steps.push(Step {
            id,
            number: item.number,
            phase: *phase,
            title: match item.title.as_str() {
                "" => format!("Step {}", item.number),
                title => title.to_owned(),
            },
            text: item.text.clone(),
            line,
            span: item.span.clone(),
            work: bound.work.unwrap_or(Work::Manual(Manual::Checklist)),
        });
    }
    steps
}

/// Reads the block of a step.
fn bind(phase: Phase, item: &Item, mistakes: &mut Vec<Mistake>) -> Bound {
    let manual = Bound { id: None, work: Some(Work::Manual(Manual::Checklist)) };
    let Some(block) = item.blocks.first() else { return manual };
    if let Some(second) = item.blocks.get(1) {
        let message = "a step has one block, and this is its second";
        mistakes.push(Mistake::new(second.at, message).hint("make it a step of its own"));
    }
    let refuse = |message: &str, hint: &str, mistakes: &mut Vec<Mistake>| {
        mistakes.push(Mistake::new(block.at, message).hint(hint));
        manual
    };
    match (block.kind, phase) {
        (BlockKind::Probe, Phase::Diagnosis) => block::probe(block, mistakes),
        (BlockKind::Action, Phase::Mitigation) => block::action(block, mistakes),
        (BlockKind::Manual, _) => {
            let bound = block::manual(block, mistakes);
            let fits = match &bound.work {
                Some(Work::Manual(Manual::Checklist | Manual::Link(_))) | None => true,
                _ => phase == Phase::Mitigation,
            };
            if !fits {
                let message = "`handover`, `watch` and `advice` stand under Mitigation";
                mistakes.push(Mistake::new(block.at, message));
            }
            bound
        }
        (BlockKind::Probe, Phase::Mitigation) => {
            refuse("a probe stands under Mitigation", "move the look to Diagnosis", mistakes)
        }
        (BlockKind::Action, Phase::Diagnosis) => refuse(
            "an action stands under Diagnosis",
            "diagnosis only looks; move the change to Mitigation",
            mistakes,
        ),
        (BlockKind::Cause, _) => refuse(
            "a `cause` block stands in a step",
            "causes are items of a list under a heading Causes",
            mistakes,
        ),
    }
}

fn causes(
    outline: &Outline,
    text: &str,
    steps: &[Step],
    ids: &mut Ids,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Cause> {
    let known: Vec<&str> =
        steps.iter().filter(|s| s.phase == Phase::Mitigation).map(|s| s.id.as_str()).collect();
    let mut causes = Vec::new();
    for item in &outline.causes {
        for block in &item.blocks[1..] {
            mistakes.push(Mistake::new(block.at, "a cause has one block, and this is its second"));
        }
        let block = &item.blocks[0];
        if block.kind != BlockKind::Cause {
            let message = format!("a `{}` block stands under Causes", block.kind.as_str());
            mistakes.push(Mistake::new(block.at, message));
            continue;
        }
        let Some(bound) = block::cause(block, mistakes) else { continue };
        let line = crate::error::place(text, item.span.start).0;
        claim(ids, &bound.id.0, bound.id.1, line, mistakes);
        let cause = Cause {
            id: bound.id.0,
            title: item.title.clone(),
            text: item.text.clone(),
            line,
            span: item.span.clone(),
            when: bound.when,
            because: bound.because,
            confidence: bound.confidence,
            remedy: bound.remedy,
        };
        for (step, at) in cause.fix().iter().zip(&bound.fix_at) {
            if !known.contains(&step.as_str()) {
                let mistake = Mistake::new(*at, format!("no mitigation step has the id `{step}`"));
                mistakes.push(mistake.near(step, &known));
            }
        }
        causes.push(cause);
    }
    causes
}
