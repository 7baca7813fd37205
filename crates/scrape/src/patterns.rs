//! Patterns of file names as Go's `filepath.Glob` has them, in which `rule_files` and the files of
//! discovery are written.

use std::path::{Path, PathBuf};

use glob::{GlobError, MatchOptions, PatternError};

/// Why a pattern names no files.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// It is broken.
    #[error("the pattern {0:?}: {1}")]
    Pattern(String, PatternError),
    /// A folder cannot be read.
    #[error("the pattern {0:?}: {1}")]
    Folder(String, GlobError),
    /// It stands in a folder whose name is no text.
    #[error("the pattern {0:?} stands in a folder whose name is not UTF-8")]
    Name(String),
}

/// The files that `pattern` names, sorted; a relative one counts from `folder`.
///
/// # Errors
///
/// Where the pattern is broken or a folder cannot be read.
pub fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, FilesError> {
    let shown = || pattern.to_owned();
    let written = translated(pattern);
    let whole = match (pattern.starts_with('/'), folder.to_str()) {
        (true, _) => written,
        (false, Some("")) => written,
        (false, Some(folder)) => format!("{}/{written}", glob::Pattern::escape(folder)),
        (false, None) => return Err(FilesError::Name(shown())),
    };
    // As in Go, `*` stops at a slash, and a leading dot is a character like any other.
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
    let paths =
        glob::glob_with(&whole, options).map_err(|error| FilesError::Pattern(shown(), error))?;
    let found: Result<Vec<_>, _> = paths.collect();
    let mut files = found.map_err(|error| FilesError::Folder(shown(), error))?;
    files.sort();
    Ok(files)
}

/// The files that `pattern` means, sorted. One that means nothing, or is broken, finds nothing.
pub fn find_files(pattern: &Path) -> Vec<PathBuf> {
    let found = pattern.to_str().and_then(|pattern| matching(Path::new(""), pattern).ok());
    found.unwrap_or_default().into_iter().filter(|path| path.is_file()).collect()
}

/// From Go's notation: `[^a]` excludes, a backslash takes the next character as it is, and two stars
/// are no more than one.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|c| glob::Pattern::escape(&c.to_string()))),
            '*' if out.ends_with('*') => {}
            '[' if chars.next_if_eq(&'^').is_some() => out.push_str("[!"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_gos() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let folder = folder.path().join("a [b]");
        std::fs::create_dir_all(folder.join("deep")).expect("a folder can be made");
        for name in ["a.yml", "b.yml", ".c.yml", "d*.yml", "deep/e.yml"] {
            std::fs::write(folder.join(name), "").expect("a file can be written");
        }
        let check = |pattern: &str, want: &[&str]| {
            let files = matching(&folder, pattern).expect(pattern);
            let names = files.iter().map(|file| file.strip_prefix(&folder).expect("below"));
            assert_eq!(names.collect::<Vec<_>>(), want.iter().map(Path::new).collect::<Vec<_>>());
        };
        check("a.yml", &["a.yml"]);
        check("*.yml", &[".c.yml", "a.yml", "b.yml", "d*.yml"]);
        check("**.yml", &[".c.yml", "a.yml", "b.yml", "d*.yml"]);
        check("[^a].yml", &["b.yml"]);
        check("d\\*.yml", &["d*.yml"]);
        check("*/?.yml", &["deep/e.yml"]);
        check("nothing*", &[]);
        assert!(matching(&folder, "[").is_err());
        let above = folder.parent().expect("above");
        assert_eq!(find_files(&above.join("a*/[^a].yml")), [folder.join("b.yml")]);
        assert_eq!(find_files(&above.join("a*")), [""; 0].map(PathBuf::from));
    }
}
