//! Prometheus text: lines in any order, blanks anywhere, comments.

use paramedic_model::TimeMs;

use crate::cursor::{Blanks, Cursor, Gatherer, Result, unescape_help};
use crate::{Layout, MetricType, Scrape};

pub(crate) fn parse(text: &str, layout: &mut Layout) -> Result<Scrape> {
    let mut cursor = Cursor::new(text);
    let mut gatherer = Gatherer::new(layout);
    while !cursor.is_at_end() {
        cursor.skip_blanks(Blanks::Any);
        match cursor.peek() {
            Some(b'\n') | None => {}
            Some(b'#') => comment(&mut cursor, &mut gatherer)?,
            Some(_) => sample(&mut cursor, &mut gatherer)?,
        }
        cursor.accept("\n");
    }
    Ok(gatherer.finish())
}

/// A line that starts with `#`. Without a blank after it, and without one of the two words after
/// that, it is a comment.
fn comment(cursor: &mut Cursor<'_>, gatherer: &mut Gatherer<'_>) -> Result<()> {
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
            gatherer.metadata(name).help = unescape_help(help, false);
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
            gatherer.metric_type(name, metric_type);
        }
        _ => {
            cursor.take_until(|b| b == b'\n');
        }
    }
    Ok(())
}

fn sample(cursor: &mut Cursor<'_>, gatherer: &mut Gatherer<'_>) -> Result<()> {
    let labels = gatherer.series(cursor, Blanks::Any)?;
    cursor.skip_blanks(Blanks::Any);
    let value = cursor.value()?;
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
    gatherer.sample(labels, value, at);
    Ok(())
}
