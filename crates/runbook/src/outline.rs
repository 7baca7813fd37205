//! A page as Markdown sees it: sections, numbered items, and the fenced blocks in them.

use std::ops::Range;

use paramedic_yaml::distance;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::error::Mistake;
use crate::page::{EmbeddedRule, Section, SectionKind};
use crate::shortcode::Plain;
use crate::step::Phase;
use crate::yaml::Excerpt;

pub(crate) type Events = Vec<(Event<'static>, Range<usize>)>;

/// The parts of a page.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub events: Events,
    /// The text of the first heading.
    pub heading: Option<String>,
    pub sections: Vec<Section>,
    pub steps: Vec<(Phase, Item)>,
    pub causes: Vec<Item>,
    /// The lists that hold the steps.
    pub step_lists: Vec<Range<usize>>,
    /// The parts under the heading Causes.
    pub cause_spans: Vec<Range<usize>>,
    pub rule: Option<EmbeddedRule>,
    pub mistakes: Vec<Mistake>,
}

/// One item of a list.
#[derive(Debug)]
pub(crate) struct Item {
    pub number: u64,
    pub title: String,
    pub text: String,
    pub span: Range<usize>,
    pub blocks: Vec<Block>,
}

/// A fenced block that is meant for us.
#[derive(Debug)]
pub(crate) struct Block {
    pub kind: BlockKind,
    pub at: usize,
    pub yaml: Excerpt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Probe,
    Action,
    Manual,
    Cause,
}

impl BlockKind {
    const ALL: [Self; 4] = [Self::Probe, Self::Action, Self::Manual, Self::Cause];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Action => "action",
            Self::Manual => "manual",
            Self::Cause => "cause",
        }
    }
}

/// The language of a fenced block.
fn language(tag: &Tag<'_>) -> Option<String> {
    match tag {
        Tag::CodeBlock(CodeBlockKind::Fenced(info)) => {
            Some(info.split_whitespace().next().unwrap_or_default().to_owned())
        }
        _ => None,
    }
}

/// The kind of a fenced block that is meant for us.
pub(crate) fn block_kind(tag: &Tag<'_>) -> Option<BlockKind> {
    let language = language(tag)?;
    BlockKind::ALL.into_iter().find(|kind| kind.as_str() == language)
}

/// Reads `plain`; `front` bytes of it are front matter.
pub(crate) fn read(plain: &Plain, front: usize) -> Outline {
    // Blanked, so that offsets are those of the page.
    let mut text: String =
        plain.text[..front].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
    text.push_str(&plain.text[front..]);
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let parser = Parser::new_ext(&text, options).into_offset_iter();
    let events: Events = parser.map(|(event, span)| (event.into_static(), span)).collect();

    let mut outline = Outline::default();
    let mut reader = Reader { out: &mut outline, events: &events, plain, open: None, causes: None };
    let mut at = 0;
    while at < events.len() {
        let end = end_of(&events, at);
        reader.top_level(at, end);
        at = end + 1;
    }
    reader.close_section(text.len());
    reader.close_causes(text.len());
    outline.events = events;
    outline
}

/// The index of the event that ends what begins at `start`.
fn end_of(events: &Events, start: usize) -> usize {
    let mut depth = 0usize;
    for (at, (event, _)) in events.iter().enumerate().skip(start) {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    events.len().saturating_sub(1)
}

struct Reader<'a> {
    out: &'a mut Outline,
    events: &'a Events,
    plain: &'a Plain,
    /// The section that is open: kind, level of its heading, first byte behind it.
    open: Option<(SectionKind, HeadingLevel, usize)>,
    /// The part under Causes that is open.
    causes: Option<(HeadingLevel, usize)>,
}

impl Reader<'_> {
    fn top_level(&mut self, start: usize, end: usize) {
        let (event, span) = &self.events[start];
        let Event::Start(tag) = event else { return };
        self.rule(start, end);
        if self.plain.hides(span.start) {
            return;
        }
        match tag {
            Tag::Heading { level, .. } => self.heading(*level, span, start, end),
            Tag::List(first) => self.list(*first, start, end),
            _ => self.stray_blocks(start, end),
        }
    }

    fn heading(&mut self, level: HeadingLevel, span: &Range<usize>, start: usize, end: usize) {
        let text = plain_text(&self.events[start..=end]);
        let name = text.trim().trim_end_matches(':').to_lowercase();
        let kind = match name.as_str() {
            "meaning" => Some(SectionKind::Meaning),
            "impact" => Some(SectionKind::Impact),
            "diagnosis" => Some(SectionKind::Diagnosis),
            "mitigation" => Some(SectionKind::Mitigation),
            _ => None,
        };
        if kind.is_some() || self.causes.is_some_and(|(open, _)| level <= open) {
            self.close_causes(span.start);
        }
        if kind.is_some() || self.open.is_some_and(|(_, open, _)| level <= open) {
            self.close_section(span.start);
        }
        if let Some(kind) = kind {
            if self.out.sections.iter().any(|section| section.kind == kind) {
                let message = format!("the page has a second section {}", text.trim());
                self.out.mistakes.push(Mistake::new(span.start, message));
            }
            self.open = Some((kind, level, span.end));
        } else if name == "causes" {
            self.causes = Some((level, span.start));
        } else if self.out.heading.is_none() {
            self.out.heading = Some(text.trim().to_owned());
        }
    }

    fn close_section(&mut self, end: usize) {
        if let Some((kind, _, start)) = self.open.take() {
            self.out.sections.push(Section { kind, span: start..end });
        }
    }

    fn close_causes(&mut self, end: usize) {
        if let Some((_, start)) = self.causes.take() {
            self.out.cause_spans.push(start..end);
        }
    }

    fn list(&mut self, first: Option<u64>, start: usize, end: usize) {
        let phase = match self.open {
            Some((SectionKind::Diagnosis, ..)) => Some(Phase::Diagnosis),
            Some((SectionKind::Mitigation, ..)) => Some(Phase::Mitigation),
            _ => None,
        };
        if self.causes.is_none() && (phase.is_none() || first.is_none()) {
            return self.stray_blocks(start, end);
        }
        if self.causes.is_none() {
            self.out.step_lists.push(self.events[start].1.clone());
        }
        let mut at = start + 1;
        let mut number = first.unwrap_or(1);
        while at < end {
            let item_end = end_of(self.events, at);
            let item = self.item(number, at, item_end);
            match phase {
                Some(phase) if self.causes.is_none() => self.out.steps.push((phase, item)),
                // Any other item under Causes is prose.
                _ if item.blocks.is_empty() => {}
                _ => self.out.causes.push(item),
            }
            number = number.saturating_add(1);
            at = item_end + 1;
        }
    }

    fn item(&mut self, number: u64, start: usize, end: usize) -> Item {
        let events = &self.events[start..=end];
        let blocks = self.blocks(start, end);
        let (title, text) = title_and_text(events);
        Item { number, title, text, span: self.events[start].1.clone(), blocks }
    }

    fn stray_blocks(&mut self, start: usize, end: usize) {
        for block in self.blocks(start, end) {
            let place = match block.kind {
                BlockKind::Cause => "an item of the list under the heading Causes",
                BlockKind::Probe => "a numbered step under Diagnosis",
                BlockKind::Action => "a numbered step under Mitigation",
                BlockKind::Manual => "a numbered step",
            };
            let message = format!("the `{}` block stands outside of {place}", block.kind.as_str());
            let mistake = Mistake::new(block.at, message);
            let fits = match (block.kind, self.open) {
                (BlockKind::Probe, Some((SectionKind::Diagnosis, ..))) => true,
                (BlockKind::Action, Some((SectionKind::Mitigation, ..))) => true,
                (BlockKind::Cause, _) => self.causes.is_some(),
                _ => false,
            };
            self.out.mistakes.push(match fits {
                true => mistake.hint("indent it as far as the text of its item"),
                false => mistake,
            });
        }
    }

    /// Our fenced blocks between two events.
    fn blocks(&mut self, start: usize, end: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        for at in start..=end {
            let (Event::Start(tag), span) = &self.events[at] else { continue };
            let Some(kind) = block_kind(tag) else {
                self.misspelt(tag, span.start);
                continue;
            };
            let mut yaml = Excerpt::default();
            for (event, span) in &self.events[at + 1..=end_of(self.events, at)] {
                if let Event::Text(text) = event {
                    yaml.push(text, span.start);
                }
            }
            blocks.push(Block { kind, at: span.start, yaml });
        }
        blocks
    }

    /// A block whose kind is one letter off would otherwise be shown and never run.
    fn misspelt(&mut self, tag: &Tag<'_>, at: usize) {
        let Some(language) = language(tag) else { return };
        let near = BlockKind::ALL
            .into_iter()
            .find(|kind| distance(&language.to_lowercase(), kind.as_str()) <= 1);
        if let Some(near) = near {
            let mistake = Mistake::new(at, format!("there is no block `{language}`"));
            let hint = format!("did you mean `{}`?", near.as_str());
            self.out.mistakes.push(mistake.hint(hint));
        }
    }

    /// Keeps the first alert rule that the page shows, in a comment or not.
    fn rule(&mut self, start: usize, end: usize) {
        let Event::Start(tag) = &self.events[start].0 else { return };
        let is_yaml = language(tag).is_some_and(|l| ["yaml", "yml"].contains(&l.as_str()));
        if self.out.rule.is_some() || !is_yaml {
            return;
        }
        let inside = &self.events[start + 1..end];
        let text: String = inside
            .iter()
            .filter_map(|(event, _)| match event {
                Event::Text(text) => Some(text.as_ref()),
                _ => None,
            })
            .collect();
        let names_alert =
            |line: &str| line.trim_start().trim_start_matches("- ").starts_with("alert:");
        if let Some((_, first)) = inside.first()
            && text.lines().any(names_alert)
        {
            let line = crate::error::place(&self.plain.text, first.start).0;
            self.out.rule = Some(EmbeddedRule { text, line, span: self.events[start].1.clone() });
        }
    }
}

/// The words of some events, without markup and without fenced blocks.
pub(crate) fn plain_text(events: &[(Event<'static>, Range<usize>)]) -> String {
    let mut text = String::new();
    let mut code = false;
    for (event, _) in events {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => code = false,
            Event::Text(words) if !code => text.push_str(words),
            Event::Code(words) => text.push_str(words),
            Event::SoftBreak => text.push(' '),
            Event::HardBreak | Event::End(TagEnd::Paragraph | TagEnd::Item) => text.push('\n'),
            Event::Start(Tag::Item) if !text.is_empty() && !text.ends_with('\n') => {
                text.push('\n');
            }
            _ => {}
        }
    }
    text
}

/// Splits an item into what names it and what explains it.
fn title_and_text(events: &[(Event<'static>, Range<usize>)]) -> (String, String) {
    // Between the item's own start and end; a loose list wraps the first words in a paragraph.
    let inside = &events[1..events.len().max(2) - 1];
    let first = usize::from(matches!(inside.first(), Some((Event::Start(Tag::Paragraph), _))));
    let is_strong_end = |(event, _): &(Event<'_>, _)| matches!(event, Event::End(TagEnd::Strong));
    if let Some((Event::Start(Tag::Strong), _)) = inside.get(first)
        && let Some(end) = inside.iter().position(is_strong_end)
    {
        let title = plain_text(&inside[first..end]);
        let text = plain_text(&inside[end..]);
        let text = text.trim_start_matches([':', '.', ' ', '-', '–', '—']);
        return (clean(&title), text.trim().to_owned());
    }
    let all = plain_text(inside);
    let all = all.trim();
    let (line, rest) = all.split_once('\n').unwrap_or((all, ""));
    // `Check the state: look at …` names itself before the colon, if that is short.
    const TITLE_CHARS_MAX: usize = 60;
    match line.split_once(": ") {
        Some((head, tail)) if head.chars().count() <= TITLE_CHARS_MAX && !head.contains(". ") => {
            (clean(head), [tail, rest].join("\n").trim().to_owned())
        }
        _ => (clean(line), rest.trim().to_owned()),
    }
}

fn clean(title: &str) -> String {
    title.trim().trim_end_matches([':', '.']).trim_end().to_owned()
}
