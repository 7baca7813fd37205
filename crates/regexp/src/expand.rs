use regex::Captures;

/// Appends `template` to `out`, with `$1`, `$name`, `${1}` and `${name}` replaced by groups.
///
/// A name is as long as letters, digits and underscores go, so `$1x` is the group named `1x`. A
/// group that is not there, or took no part, is empty; `$$` is a dollar sign; a `$` that begins no
/// name stays.
pub fn expand(captures: &Captures<'_>, template: &str, out: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = name(after) {
            out.push_str(group(captures, name));
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
}

/// The name at the start of `text`, and what stands behind it.
fn name(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let rest = if braced { rest.strip_prefix('}')? } else { rest };
    Some((name, rest))
}

fn group<'t>(captures: &Captures<'t>, name: &str) -> &'t str {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let found = match name.parse::<usize>() {
        // As in Go, a number has no leading zeros; with them it would be a name, and no group has it.
        Ok(number) if is_number && (name == "0" || !name.starts_with('0')) => captures.get(number),
        _ => captures.name(name),
    };
    found.map_or("", |found| found.as_str())
}
