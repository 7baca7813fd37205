//! Markdown that quotes strangers, as HTML.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

/// A closing report as HTML. It quotes labels and answers of systems, so nothing in it may lead
/// anywhere or run: tags are shown as text, links and images as their text.
pub(crate) fn report_html(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::empty()).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)
        | Event::End(TagEnd::Link | TagEnd::Image | TagEnd::HtmlBlock) => None,
        event => Some(event),
    });
    let mut text = String::new();
    html::push_html(&mut text, events);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_runs_nothing_and_leads_nowhere() {
        let check = |markdown: &str, html: &str| assert_eq!(report_html(markdown).trim(), html);
        check(
            "**A** ended\n\n- `b`",
            "<p><strong>A</strong> ended</p>\n<ul>\n<li><code>b</code></li>\n</ul>",
        );
        check("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;");
        check("a <img src=x onerror=y>", "<p>a &lt;img src=x onerror=y&gt;</p>");
        check("[a](javascript:x) ![b](http://c/d) <http://e>", "<p>a b http://e</p>");
        check("[a]: javascript:x\n\n[a]", "<p>a</p>");
    }
}
