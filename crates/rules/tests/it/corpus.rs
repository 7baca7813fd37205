use std::path::{Path, PathBuf};

use paramedic_gotmpl::{Functions, Template, alert_data};
use paramedic_model::Labels;
use paramedic_rules::{Rule, RuleFile};

/// Every published rule file that lies beside the repository loads, with not one mistake, and all
/// its texts can be rendered.
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
            Ok(file) => {
                for rule in file.groups.iter().flat_map(|group| &group.rules) {
                    rules += 1;
                    mistakes.extend(unrenderable(rule));
                }
            }
            Err(errors) => mistakes.extend(errors.iter().map(ToString::to_string)),
        }
    }
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
    assert!(rules > 500, "only {rules} rules");
}

/// The labels and annotations of a rule that fail on a plain result.
fn unrenderable(rule: &Rule) -> Vec<String> {
    let Rule::Alert(rule) = rule else { return Vec::new() };
    let labels = Labels::from([("__name__", "up"), ("instance", "a:9100"), ("job", "node")]);
    let data = alert_data(&labels, &Labels::empty(), "http://prom:9090", 0.5);
    let texts = rule.labels.iter().chain(&rule.annotations);
    texts
        .filter_map(|(_, text)| {
            let template = Template::parse_alert(&rule.name, &text.source).ok()?;
            template.render(&data, &Functions::offline()).err().map(|error| error.to_string())
        })
        .collect()
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
