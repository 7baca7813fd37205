use std::path::{Path, PathBuf};

use paramedic_rules::RuleFile;

/// Every published rule file that lies beside the repository loads, with not one mistake.
#[test]
fn published_rule_files_load() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let corpus = std::env::var_os("CORPUS_DIR").map_or(beside, PathBuf::from);
    if !corpus.is_dir() {
        let missing = "skipped: corpus: CORPUS_DIR names its folder";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        println!("{missing}");
        return;
    }
    let mut files = Vec::new();
    gather(&corpus, &mut files);
    assert!(files.len() > 50, "only {} files in {}", files.len(), corpus.display());
    let (mut rules, mut mistakes) = (0, Vec::new());
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a readable file");
        match RuleFile::parse(&file.display().to_string(), &text) {
            Ok(file) => rules += file.groups.iter().map(|group| group.rules.len()).sum::<usize>(),
            Err(errors) => mistakes.extend(errors.iter().map(ToString::to_string)),
        }
    }
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
    assert!(rules > 500, "only {rules} rules");
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            gather(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml")
        {
            files.push(path);
        }
    }
}
