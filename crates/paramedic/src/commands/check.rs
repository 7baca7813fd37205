use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use paramedic_rules::{ReadOptions, RuleError, RuleFile, duplicate_rules};

use crate::exit;
use crate::out::outln;

/// Read files and tell every mistake.
#[derive(Args)]
pub struct CheckArgs {
    #[command(subcommand)]
    what: CheckWhat,
}

#[derive(Subcommand)]
enum CheckWhat {
    Rules(RulesArgs),
}

/// Check rule files, as `promtool check rules` does: syntax, names, expressions, templates.
///
/// Every mistake is printed to standard error as FILE:LINE:COLUMN, with Prometheus's words.
///
/// Exit code 1 when a file has mistakes; 3 when there is lint and --lint-fatal.
///
/// Examples: paramedic check rules rules/*.yml; paramedic check rules - < rules.yml
#[derive(Args)]
struct RulesArgs {
    /// The files; `-`, or none, is standard input.
    files: Vec<PathBuf>,
    /// What to look for beside mistakes.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "duplicate-rules")]
    lint: Vec<Lint>,
    /// End with exit code 3 where there is lint.
    #[arg(long)]
    lint_fatal: bool,
    /// Pass over keys that nobody knows.
    #[arg(long)]
    ignore_unknown_fields: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lint {
    /// Everything.
    All,
    /// Rules of one name with the same labels.
    DuplicateRules,
    /// Nothing.
    None,
}

/// What standard input is called in messages, as in promtool.
const STANDARD_INPUT: &str = "standard input";

pub fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        CheckWhat::Rules(args) => Ok(rules(&args)),
    }
}

fn rules(args: &RulesArgs) -> ExitCode {
    let options = ReadOptions { ignore_unknown_fields: args.ignore_unknown_fields };
    let wants_duplicates = !args.lint.contains(&Lint::None)
        && args.lint.iter().any(|lint| matches!(lint, Lint::All | Lint::DuplicateRules));
    let (mut unreadable, mut mistakes, mut lint) = (false, 0, false);
    let standard_input = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &standard_input[..] } else { &args.files };
    for path in files {
        let is_input = path.as_os_str() == "-";
        let name = if is_input { STANDARD_INPUT.to_owned() } else { path.display().to_string() };
        let text = match is_input {
            true => std::io::read_to_string(std::io::stdin().lock()),
            false => std::fs::read_to_string(path),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{name}: cannot read it: {error}");
                unreadable = true;
                continue;
            }
        };
        let file = match RuleFile::parse_with(&name, &text, &options) {
            Ok(file) => file,
            Err(errors) => {
                mistakes += errors.len();
                print(&errors);
                continue;
            }
        };
        print(&file.warnings);
        if let Some(found) = wants_duplicates.then(|| duplicate_rules(&file)).flatten() {
            print(&[found]);
            lint = true;
        }
        let rules: usize = file.groups.iter().map(|group| group.rules.len()).sum();
        outln!("{name}: {rules} rules in {} groups", file.groups.len());
    }
    if unreadable || mistakes == 0 && lint && args.lint_fatal {
        return ExitCode::from(exit::FAILED);
    }
    exit::answer(mistakes == 0)
}

/// Prints mistakes where talk goes.
pub fn print(errors: &[RuleError]) {
    errors.iter().for_each(|error| eprintln!("{error}"));
}
