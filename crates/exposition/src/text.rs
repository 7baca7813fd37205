//! Prometheus text: lines in any order, blanks anywhere, comments.

use paramedic_model::TimeMs;

use crate::MetricType;
use crate::cursor::{Blanks, Cursor, Families, Gatherer, Result, unescape_help};

pub(crate) fn gather<'a>(text: &'a str, gatherer: &mut Gatherer<'a>) -> Result<()> {
    let mut cursor = Cursor::new(text);
    while !cursor.is_at_end() {
        cursor.skip_blanks(Blanks::Any);
        match cursor.peek() {
            Some(b'\n') | None => {}
            Some(b'#') => comment(&mut cursor, &mut gatherer.families)?,
            Some(_) => sample(&mut cursor, gatherer)?,
        }
        cursor.accept("\n");
    }
    Ok(())
}

/// Reads the comments that stand in a text without samples.
pub(crate) fn comments(text: &str, families: &mut Families) -> Result<()> {
    let mut cursor = Cursor::new(text);
    while !cursor.is_at_end() {
        cursor.skip_blanks(Blanks::Any);
        if cursor.peek() == Some(b'#') {
            comment(&mut cursor, families)?;
        }
        cursor.accept("\n");
    }
    Ok(())
}

/// A line that starts with `#`. Without a blank after it, and without one of the two words after
/// that, it is a comment.
fn comment(cursor: &mut Cursor<'_>, families: &mut Families) -> Result<()> {
    cursor.pos += 1;
    let hash = cursor.pos;
    cursor.skip_blanks(Blanks::Any);
    let keyword = match cursor.pos > hash {
        true => cursor.take_until(|b| matches!(b, b' ' | b'\t' | b'\n')),
        false => "",
    };
    match keyword {
        "HELP" => {
            cursor.skip_blanks(Blanks::Any);
            let name = cursor.metadata_name()?;
            cursor.skip_blanks(Blanks::Any);
            let help = cursor.take_until(|b| b == b'\n');
            families.of(name).help = unescape_help(help, false);
        }
        "TYPE" => {
            cursor.skip_blanks(Blanks::Any);
            let name = cursor.metadata_name()?;
            cursor.skip_blanks(Blanks::Any);
            let start = cursor.pos;
            let word = cursor.take_until(|b| b == b'\n').trim_end_matches([' ', '\t']);
            let Some(metric_type) = MetricType::of_word(word) else {
                return cursor.fail_at(start, format!("invalid metric type {word:?}"));
            };
            families.of(name).metric_type = metric_type;
        }
        _ => {
            cursor.take_until(|b| b == b'\n');
        }
    }
    Ok(())
}

fn sample<'a>(cursor: &mut Cursor<'a>, gatherer: &mut Gatherer<'a>) -> Result<()> {
    let start = cursor.pos;
    let name = gatherer.series(cursor, Blanks::Any)?;
    let end = start + cursor.text[start..cursor.pos].trim_end_matches([' ', '\t']).len();
    cursor.skip_blanks(Blanks::Any);
    gatherer.sample(&name, start, end, cursor.pos);
    let value = cursor.value()?;
    let at = after_value(cursor)?;
    gatherer.value(value, at, cursor.pos);
    Ok(())
}

/// The rest of a line behind its value: perhaps a time.
pub(crate) fn after_value(cursor: &mut Cursor<'_>) -> Result<Option<TimeMs>> {
    cursor.skip_blanks(Blanks::Any);
    let mut at = None;
    if !matches!(cursor.peek(), None | Some(b'\n')) {
        let start = cursor.pos;
        let word = cursor.take_until(|b| matches!(b, b' ' | b'\t' | b'\n'));
        match word.parse() {
            Ok(ms) => at = Some(TimeMs(ms)),
            Err(_) => return cursor.fail_at(start, format!("invalid timestamp {word:?}")),
        }
        cursor.skip_blanks(Blanks::Any);
    }
    if !matches!(cursor.peek(), None | Some(b'\n')) {
        return cursor.fail(format!("expected the end of the line, found {}", cursor.found()));
    }
    Ok(at)
}
