//! A page for people, as HTML.
//!
//! Whoever may write a page may not thereby run a script in the browser of whoever reads it: tags
//! are shown as text but for `<details>`, `<summary>` and `<br>`, which are balanced; links lead to
//! the web, to a mail address or to another page; images become links, because loading one tells
//! its server who reads.

use std::ops::Range;

use paramedic_model::format_duration;
use pulldown_cmark::{CowStr, Event, LinkType, Tag, TagEnd, html};

use crate::outline::{BlockKind, block_kind};
use crate::{Cause, Manual, Runbook, SectionKind, Step, Work};

impl Runbook {
    /// The whole page. Blocks are shown as captions, shortcodes and comments not at all.
    pub fn html(&self) -> String {
        self.render(0..usize::MAX, &[], Blocks::Captioned)
    }

    /// What a section says besides its steps and causes, without its heading; `None` where the
    /// page has no such section.
    pub fn section_html(&self, kind: SectionKind) -> Option<String> {
        let section = self.sections.iter().find(|section| section.kind == kind)?;
        let without: Vec<_> = self.step_lists.iter().chain(&self.cause_spans).cloned().collect();
        Some(self.render(section.span.clone(), &without, Blocks::Captioned))
    }

    /// A step, without its number and its block.
    pub fn step_html(&self, step: &Step) -> String {
        self.render(step.span.clone(), &[], Blocks::Hidden)
    }

    /// A cause, without its block.
    pub fn cause_html(&self, cause: &Cause) -> String {
        self.render(cause.span.clone(), &[], Blocks::Hidden)
    }

    fn render(&self, span: Range<usize>, without: &[Range<usize>], blocks: Blocks) -> String {
        let mut page = Page { runbook: self, blocks, out: Vec::new(), tags: Tags::default() };
        let mut skipped = Skipped::Nothing;
        for (event, at) in &self.events {
            let inside = |range: &Range<usize>| range.start <= at.start && at.end <= range.end;
            let is_rule = self.rule.as_ref().is_some_and(|rule| inside(&rule.span));
            let shown = inside(&span)
                && !without.iter().any(&inside)
                && (is_rule || !self.hidden.iter().any(&inside));
            // The item that is rendered stands in a list of whoever shows it.
            let is_frame =
                matches!(event, Event::Start(Tag::Item) | Event::End(TagEnd::Item)) && *at == span;
            if shown && !is_frame {
                page.event(event, at, &mut skipped);
            }
        }
        page.finish()
    }
}

/// How our fenced blocks are shown.
#[derive(Clone, Copy)]
enum Blocks {
    Hidden,
    Captioned,
}

/// What is left out until it ends.
enum Skipped {
    Nothing,
    Block,
    /// The tags of a link that leads nowhere good; its text stays.
    Link,
}

struct Page<'a> {
    runbook: &'a Runbook,
    blocks: Blocks,
    out: Vec<Event<'a>>,
    tags: Tags,
}

impl<'a> Page<'a> {
    fn event(&mut self, event: &'a Event<'static>, at: &Range<usize>, skipped: &mut Skipped) {
        match (event, &skipped) {
            (Event::End(TagEnd::CodeBlock), Skipped::Block)
            | (Event::End(TagEnd::Link | TagEnd::Image), Skipped::Link) => {
                *skipped = Skipped::Nothing;
            }
            (_, Skipped::Block) => {}
            (Event::Start(tag), _) => {
                if let Some(kind) = block_kind(tag) {
                    *skipped = Skipped::Block;
                    self.caption(kind, at.start);
                    return;
                }
                match tag {
                    Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }
                        if !is_safe(dest_url) =>
                    {
                        *skipped = Skipped::Link;
                    }
                    Tag::Image { dest_url, title, .. } => {
                        let (dest_url, title) = (dest_url.clone(), title.clone());
                        let id = CowStr::Borrowed("");
                        let link = Tag::Link { link_type: LinkType::Inline, dest_url, title, id };
                        self.out.push(Event::Start(link));
                    }
                    tag => self.out.push(Event::Start(tag.clone())),
                }
            }
            (Event::End(TagEnd::Image), _) => self.out.push(Event::End(TagEnd::Link)),
            (Event::Html(raw), _) => {
                let safe = self.tags.sanitize(raw);
                self.out.push(Event::Html(safe.into()));
            }
            (Event::InlineHtml(raw), _) => {
                let safe = self.tags.sanitize(raw);
                self.out.push(Event::InlineHtml(safe.into()));
            }
            (event, _) => self.out.push((*event).clone()),
        }
    }

    fn caption(&mut self, kind: BlockKind, at: usize) {
        if matches!(self.blocks, Blocks::Hidden) {
            return;
        }
        let holds = |span: &Range<usize>| span.contains(&at);
        let step = self.runbook.steps.iter().find(|step| holds(&step.span));
        let cause = self.runbook.causes.iter().find(|cause| holds(&cause.span));
        let mut safe = Caption::new(kind);
        match (step.map(|step| &step.work), cause) {
            (Some(Work::Probe(probe)), _) => safe.text("looks with ").code(probe.uses.as_str()),
            (Some(Work::Action(action)), _) => safe.text("acts with ").code(action.uses.as_str()),
            (Some(Work::Manual(manual)), _) => match manual {
                Manual::Checklist => safe.text("done by a person"),
                Manual::Handover => safe.text("handed over to the contact of the system"),
                Manual::Link(url) => safe.text("see ").link(url),
                Manual::Watch(watch) => safe.text("watched for ").text(&format_duration(*watch)),
                Manual::Advice => safe.text("a line of the closing report"),
            },
            (None, Some(cause)) => {
                safe.text("supported by ").code(cause.when.as_str());
                match cause.fix() {
                    [] => safe.text("; nothing to do"),
                    fix => safe.text("; fixed by ").text(&fix.join(", ")),
                }
            }
            (None, None) => safe.text(kind.as_str()),
        };
        self.out.push(Event::Html(safe.finish().into()));
    }

    fn finish(mut self) -> String {
        let closing = self.tags.close();
        self.out.push(Event::Html(closing.into()));
        let mut text = String::new();
        html::push_html(&mut text, self.out.into_iter());
        text
    }
}

/// What stands in the place of a block.
struct Caption(String);

impl Caption {
    fn new(kind: BlockKind) -> Self {
        Self(format!("<p class=\"binding\" data-kind=\"{}\">", kind.as_str()))
    }

    fn text(&mut self, text: &str) -> &mut Self {
        escape(text, &mut self.0);
        self
    }

    fn code(&mut self, text: &str) -> &mut Self {
        self.0.push_str("<code>");
        self.text(text).0.push_str("</code>");
        self
    }

    fn link(&mut self, url: &str) -> &mut Self {
        self.0.push_str("<a href=\"");
        self.text(url).0.push_str("\">");
        self.text(url).0.push_str("</a>");
        self
    }

    fn finish(mut self) -> String {
        self.0.push_str("</p>\n");
        self.0
    }
}

/// Whether a link may lead there: no scheme, or one that runs nothing.
fn is_safe(url: &str) -> bool {
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    match url[..end].split_once(':') {
        None => true,
        Some((scheme, _)) => {
            ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
        }
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
}

/// The tags that a page may write, and those that are open.
#[derive(Default)]
struct Tags {
    open: Vec<&'static str>,
    in_comment: bool,
}

impl Tags {
    fn sanitize(&mut self, raw: &str) -> String {
        let mut out = String::new();
        let mut rest = raw;
        while !rest.is_empty() {
            if self.in_comment {
                match rest.find("-->") {
                    Some(end) => {
                        rest = &rest[end + 3..];
                        self.in_comment = false;
                    }
                    None => return out,
                }
                continue;
            }
            let start = rest.find('<').unwrap_or(rest.len());
            escape(&rest[..start], &mut out);
            rest = &rest[start..];
            if let Some(behind) = rest.strip_prefix("<!--") {
                self.in_comment = true;
                rest = behind;
                continue;
            }
            let end = rest.find('>').map_or(rest.len(), |end| end + 1);
            if !self.tag(&rest[..end], &mut out) {
                escape(&rest[..end], &mut out);
            }
            rest = &rest[end..];
        }
        out
    }

    /// Writes a tag that a page may write; whether it is one.
    fn tag(&mut self, tag: &str, out: &mut String) -> bool {
        const PAIRS: [&str; 2] = ["details", "summary"];
        let tag = tag.to_ascii_lowercase();
        let words = tag.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/').trim();
        if words == "br" {
            out.push_str("<br>");
            return true;
        }
        let (name, is_end) = match words.strip_prefix('/') {
            Some(name) => (name.trim(), true),
            None => (words.split(' ').next().unwrap_or_default(), false),
        };
        let Some(name) = PAIRS.into_iter().find(|pair| *pair == name) else { return false };
        if !is_end {
            let open = if words == "details open" { " open" } else { "" };
            out.push_str(&format!("<{name}{open}>"));
            self.open.push(name);
        } else if let Some(at) = self.open.iter().rposition(|open| *open == name) {
            for open in self.open.drain(at..).rev() {
                out.push_str(&format!("</{open}>"));
            }
        }
        true
    }

    /// The ends of whatever is still open.
    fn close(&mut self) -> String {
        self.open.drain(..).rev().map(|open| format!("</{open}>")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_tags_pass() {
        let check = |raw: &str, safe: &str| {
            let mut tags = Tags::default();
            let mut text = tags.sanitize(raw);
            text.push_str(&tags.close());
            assert_eq!(text, safe, "{raw}");
        };
        check("<details>\n<summary>a</summary>", "<details>\n<summary>a</summary></details>");
        check("<DETAILS OPEN onclick=x>", "<details></details>");
        check("<details open>", "<details open></details>");
        check("</details>", "");
        check("<summary><details></summary>", "<summary><details></details></summary>");
        check("<br/>a<br>", "<br>a<br>");
        check("a<!-- <script> -->b", "ab");
        check("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;");
        check("<img src=x onerror=\"x\"", "&lt;img src=x onerror=&quot;x&quot;");
    }

    #[test]
    fn links_run_nothing() {
        for url in ["https://x", "HTTP://x", "mailto:a@b", "other.md", "#a", "a/b:c", "?a:b", ""] {
            assert!(is_safe(url), "{url}");
        }
        for url in ["javascript:x", "JavaScript:x", "\tjavascript:x", "data:text/html,x", "x:"] {
            assert!(!is_safe(url), "{url}");
        }
    }
}
