//! The outcome of tests as JUnit XML, which build servers read: a suite per file, a case per test, as
//! promtool writes it.

use anyhow::Context as _;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::test::FileOutcome;

/// The whole document.
///
/// # Errors
///
/// None that can be caused from outside.
pub fn report(outcomes: &[FileOutcome]) -> anyhow::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    writer.create_element("testsuites").write_inner_content(|writer| {
        outcomes.iter().try_for_each(|outcome| suite(writer, outcome))
    })?;
    let mut text = String::from_utf8(writer.into_inner()).context("write JUnit XML")?;
    text.push('\n');
    Ok(text)
}

fn suite(writer: &mut Writer<Vec<u8>>, outcome: &FileOutcome) -> std::io::Result<()> {
    let failed = outcome.tests.iter().filter(|test| !test.failures.is_empty()).count();
    let counts =
        [("tests", outcome.tests.len()), ("failures", failed), ("errors", outcome.mistakes.len())];
    let counts = counts.map(|(name, count)| (name, count.to_string()));
    let element = writer
        .create_element("testsuite")
        .with_attribute(("name", outcome.path.as_str()))
        .with_attributes(counts.iter().map(|(name, count)| (*name, count.as_str())));
    if outcome.tests.is_empty() && outcome.mistakes.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|writer| {
        for mistake in &outcome.mistakes {
            writer.create_element("error").write_text_content(BytesText::new(mistake))?;
        }
        for test in &outcome.tests {
            let case =
                writer.create_element("testcase").with_attribute(("name", test.title.as_str()));
            if test.failures.is_empty() {
                case.write_empty()?;
                continue;
            }
            case.write_inner_content(|writer| {
                for failure in &test.failures {
                    writer.create_element("failure").write_text_content(BytesText::new(failure))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(())
}
