//! OpenMetrics: one blank between tokens, no other comments than metadata, and `# EOF` at the end.

use paramedic_model::TimeMs;

use crate::cursor::{Blanks, Cursor, Families, Gatherer, Result, unescape_help};
use crate::{MetricType, float};

pub(crate) fn gather<'a>(text: &'a str, gatherer: &mut Gatherer<'a>) -> Result<()> {
    let mut cursor = Cursor::new(text);
    loop {
        if cursor.is_at_end() {
            return cursor.fail("data does not end with # EOF");
        }
        if cursor.accept("# EOF") {
            cursor.accept("\n");
            if !cursor.is_at_end() {
                return cursor.fail("unexpected data after # EOF");
            }
            return Ok(());
        }
        if cursor.accept("# ") {
            metadata(&mut cursor, &mut gatherer.families)?;
        } else {
            sample(&mut cursor, gatherer)?;
        }
        if !cursor.accept("\n") {
            return cursor.fail(match cursor.is_at_end() {
                true => "data does not end with # EOF".to_owned(),
                false => format!("expected the end of the line, found {}", cursor.found()),
            });
        }
    }
}

/// Reads the metadata that stands in a text without samples.
pub(crate) fn comments(text: &str, families: &mut Families) -> Result<()> {
    let mut cursor = Cursor::new(text);
    while !cursor.is_at_end() && !cursor.rest().starts_with("# EOF") {
        if cursor.accept("# ") {
            metadata(&mut cursor, families)?;
        }
        cursor.accept("\n");
    }
    Ok(())
}

fn blank(cursor: &mut Cursor<'_>) -> Result<()> {
    if cursor.accept(" ") {
        return Ok(());
    }
    cursor.fail(format!("expected one blank, found {}", cursor.found()))
}

fn metadata(cursor: &mut Cursor<'_>, families: &mut Families) -> Result<()> {
    let start = cursor.pos;
    let keyword = cursor.take_until(|b| matches!(b, b' ' | b'\n'));
    if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
        return cursor
            .fail_at(start, format!("expected HELP, TYPE, UNIT or EOF, found {keyword:?}"));
    }
    blank(cursor)?;
    let name = cursor.metadata_name()?;
    // A text that is empty may come without its blank.
    let start = if cursor.peek() == Some(b'\n') { cursor.pos } else { cursor.pos + 1 };
    if cursor.peek() != Some(b'\n') {
        blank(cursor)?;
    }
    let text = cursor.take_until(|b| b == b'\n');
    match keyword {
        "HELP" => families.of(name).help = unescape_help(text, true),
        "TYPE" => match MetricType::of_word(text).filter(|_| text != "untyped") {
            Some(metric_type) => families.of(name).metric_type = metric_type,
            None => return cursor.fail_at(start, format!("invalid metric type {text:?}")),
        },
        _ => {
            if !text.is_empty() && !name.ends_with(&format!("_{text}")) {
                return cursor
                    .fail_at(start, format!("unit {text:?} not a suffix of metric {name:?}"));
            }
            families.of(name).unit = text.to_owned();
        }
    }
    Ok(())
}

fn sample<'a>(cursor: &mut Cursor<'a>, gatherer: &mut Gatherer<'a>) -> Result<()> {
    let start = cursor.pos;
    let name = gatherer.series(cursor, Blanks::None)?;
    let end = cursor.pos;
    blank(cursor)?;
    gatherer.sample(&name, start, end, cursor.pos);
    let value = cursor.value()?;
    let at = after_value(cursor)?;
    gatherer.value(value, at, cursor.pos);
    Ok(())
}

/// The rest of a line behind its value: perhaps a time, perhaps an exemplar.
pub(crate) fn after_value(cursor: &mut Cursor<'_>) -> Result<Option<TimeMs>> {
    let mut at = None;
    if cursor.rest().starts_with(' ') && !cursor.rest().starts_with(" #") {
        cursor.pos += 1;
        at = Some(timestamp(cursor)?);
    }
    if cursor.accept(" # ") {
        exemplar(cursor)?;
    }
    Ok(at)
}

/// Seconds with fractions.
fn timestamp(cursor: &mut Cursor<'_>) -> Result<TimeMs> {
    let start = cursor.pos;
    let word = cursor.take_until(|b| matches!(b, b' ' | b'\n'));
    match float::parse(word) {
        // The cast saturates; a moment that far away is out of every window.
        Some(seconds) if seconds.is_finite() => Ok(TimeMs((seconds * 1000.0).round() as i64)),
        _ => cursor.fail_at(start, format!("invalid timestamp {word:?}")),
    }
}

/// Reads over an exemplar: labels, value, and perhaps a time.
fn exemplar(cursor: &mut Cursor<'_>) -> Result<()> {
    if !cursor.accept("{") {
        let found = cursor.found();
        return cursor.fail(format!("expected the labels of an exemplar, found {found}"));
    }
    cursor.labels(Blanks::None)?;
    blank(cursor)?;
    cursor.value()?;
    if cursor.accept(" ") {
        timestamp(cursor)?;
    }
    Ok(())
}
