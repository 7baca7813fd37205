//! The fenced blocks: what each key may hold.

use std::time::Duration;

use paramedic_catalog::Approval;
use paramedic_model::{format_duration, parse_duration};

use crate::cause::{Confidence, Remedy};
use crate::error::Mistake;
use crate::outline::Block;
use crate::step::{Argument, TIMEOUT_DEFAULT, VERIFY_DEFAULT};
use crate::yaml::{Node, Table};
use crate::{ActionStep, Condition, Manual, ProbeStep, Template, Uses, With, Work};

/// The longest time that a step may take or ask for.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Names that conditions know by themselves, and the words of CEL.
const RESERVED: [&str; 32] = [
    "alert",
    "system",
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "int",
    "uint",
    "double",
    "bool",
    "string",
    "bytes",
    "list",
    "map",
    "type",
];

/// What a block says about its step.
#[derive(Debug)]
pub(crate) struct Bound {
    pub id: Option<(String, usize)>,
    pub work: Option<Work>,
}

/// What a `cause` block says.
#[derive(Debug)]
pub(crate) struct BoundCause {
    pub id: (String, usize),
    pub when: Condition,
    pub because: Template,
    pub confidence: Option<Confidence>,
    pub remedy: Remedy,
    /// Where each id of the remedy stands.
    pub fix_at: Vec<usize>,
}

pub(crate) fn probe(block: &Block, mistakes: &mut Vec<Mistake>) -> Bound {
    table(block, "a probe", mistakes, |table| {
        let uses = table.read_required("uses", uses);
        let id = table.read_required("id", evidence_id);
        let with = table.read("with", with);
        let when = table.read("when", condition);
        let timeout = table.read("timeout", |node| duration(node, "timeout"));
        let work = uses.map(|uses| {
            Work::Probe(ProbeStep {
                uses,
                with: with.unwrap_or_default(),
                when,
                timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
            })
        });
        Bound { id, work }
    })
}

pub(crate) fn action(block: &Block, mistakes: &mut Vec<Mistake>) -> Bound {
    table(block, "an action", mistakes, |table| {
        let uses = table.read_required("uses", uses);
        let id = table.read_required("id", id);
        let with = table.read("with", with);
        let when = table.read("when", condition);
        let stated_approval = table.read("approval", approval);
        let verify = table.read("verify", |node| duration(node, "verify"));
        let work = uses.map(|uses| {
            Work::Action(ActionStep {
                uses,
                with: with.unwrap_or_default(),
                when,
                stated_approval,
                verify: verify.unwrap_or(VERIFY_DEFAULT),
            })
        });
        Bound { id, work }
    })
}

pub(crate) fn manual(block: &Block, mistakes: &mut Vec<Mistake>) -> Bound {
    table(block, "a manual step", mistakes, |table| {
        let id = table.read("id", id);
        let handover = table.read("handover", |node| match node.text("handover")? {
            "contact" => Ok(Manual::Handover),
            _ => Err(node
                .mistake("`handover` must be `contact`")
                .hint("the configuration of the system names its contact")),
        });
        let link = table.read("link", |node| {
            let url = node.text("link")?;
            if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
                return Err(node.mistake("`link` must begin with http:// or https://"));
            }
            Ok(Manual::Link(url.to_owned()))
        });
        let watch = table.read("watch", |node| duration(node, "watch").map(Manual::Watch));
        let advice = table.read("advice", |node| match node.text("advice")? {
            "true" => Ok(Manual::Advice),
            _ => Err(node.mistake("`advice` must be `true`")),
        });
        let mut kinds: Vec<Manual> =
            [handover, link, watch, advice].into_iter().flatten().collect();
        if kinds.len() > 1 {
            let message = "a manual step takes one of `handover`, `link`, `watch`, `advice`";
            table.mistakes.push(Mistake::new(block.at, message));
        }
        Bound { id, work: Some(Work::Manual(kinds.pop().unwrap_or(Manual::Checklist))) }
    })
}

pub(crate) fn cause(block: &Block, mistakes: &mut Vec<Mistake>) -> Option<BoundCause> {
    table(block, "a cause", mistakes, |table| {
        let id = table.read_required("id", id);
        let when = table.read_required("when", condition);
        let because = table.read_required("because", |node| template(node, "because"));
        let confidence = table.read("confidence", |node| {
            let word = node.text("confidence")?;
            Confidence::parse(word).ok_or_else(|| {
                node.mistake(format!("`confidence` must be high, medium or low, not `{word}`"))
            })
        });
        let fix = table.read_required("fix", |node| {
            let item = |item: Node<'_>| Ok((item.text("fix")?.to_owned(), item.at()));
            node.list("fix")?.map(item).collect::<Result<Vec<_>, Mistake>>()
        });
        let why = table.read("why", |node| Ok((template(node, "why")?, node.at())));
        let (fix, fix_at): (Vec<_>, Vec<_>) = fix?.into_iter().unzip();
        let remedy = match (fix.is_empty(), why) {
            (false, None) => Remedy::Fix(fix),
            (true, Some((why, _))) => Remedy::Nothing(why),
            (false, Some((_, at))) => {
                let message = "`why` says why nothing is to be done, but `fix` names steps";
                table.mistakes.push(Mistake::new(at, message));
                return None;
            }
            (true, None) => {
                let message = "a cause with `fix: []` needs `why`: why nothing is to be done";
                table.mistakes.push(Mistake::new(block.at, message));
                return None;
            }
        };
        Some(BoundCause { id: id?, when: when?, because: because?, confidence, remedy, fix_at })
    })
}

/// Reads the YAML of a block; without it, as if the block were empty but for that mistake.
fn table<T>(
    block: &Block,
    what: &'static str,
    mistakes: &mut Vec<Mistake>,
    read: impl FnOnce(&mut Table<'_>) -> T,
) -> T
where
    T: Broken,
{
    let node = match block.yaml.read() {
        Ok(node) => node,
        Err(mistake) => {
            mistakes.push(mistake);
            return T::broken();
        }
    };
    let mut table = Table::new(node.as_ref(), &block.yaml, what, block.at);
    let result = read(&mut table);
    mistakes.extend(table.finish());
    result
}

/// What stands for a block that is no YAML.
trait Broken {
    fn broken() -> Self;
}

impl Broken for Bound {
    fn broken() -> Self {
        Self { id: None, work: None }
    }
}

impl Broken for Option<BoundCause> {
    fn broken() -> Self {
        None
    }
}

fn uses(node: Node<'_>) -> Result<Uses, Mistake> {
    let text = node.text("uses")?;
    Uses::parse(text, node.at()).ok_or_else(|| {
        node.mistake(format!("`uses` must be of the form kind/name, not `{text}`"))
            .hint("`paramedic catalog` prints what there is")
    })
}

/// An id that is only ever listed.
fn id(node: Node<'_>) -> Result<(String, usize), Mistake> {
    let text = node.text("id")?;
    let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if fits {
        return Ok((text.to_owned(), node.at()));
    }
    let message = format!("the id `{text}` may hold only a-z, 0-9, `-` and `_`, a letter first");
    Err(node.mistake(message))
}

/// An id that conditions read: a minus sign would be one.
fn evidence_id(node: Node<'_>) -> Result<(String, usize), Mistake> {
    let (text, at) = id(node)?;
    if text.contains('-') {
        let message = format!("conditions cannot read a probe with the id `{text}`");
        let hint = format!("write `{}`", text.replace('-', "_"));
        return Err(node.mistake(message).hint(hint));
    }
    if RESERVED.contains(&text.as_str()) {
        return Err(node.mistake(format!("the id `{text}` means something else in conditions")));
    }
    Ok((text, at))
}

fn with(node: Node<'_>) -> Result<With, Mistake> {
    let argument = |(name, name_at, value): (&str, usize, Node<'_>)| {
        Ok(Argument { name: name.to_owned(), name_at, value: template(value, name)? })
    };
    node.pairs("`with`")?.into_iter().map(argument).collect::<Result<_, Mistake>>().map(With)
}

fn template(node: Node<'_>, key: &str) -> Result<Template, Mistake> {
    let text = node.text_or_empty(key)?;
    Template::parse(text, node.at_byte(0)).map_err(|error| {
        let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
        let offset = lines.map(str::len).sum::<usize>() + error.column() - 1;
        let message = format!("`{key}` is no template: {}", error.reason());
        Mistake::new(node.at_byte(offset), message)
    })
}

fn condition(node: Node<'_>) -> Result<Condition, Mistake> {
    let at = |offset| node.at_byte(offset);
    Condition::parse(node.text("when")?, at)
        .map_err(|error| Mistake::new(node.at_byte(error.at), error.message))
}

fn approval(node: Node<'_>) -> Result<Approval, Mistake> {
    let word = node.text("approval")?;
    Approval::parse(word).ok_or_else(|| {
        node.mistake(format!("no approval is called `{word}`")).near(
            word,
            &[Approval::Automatic, Approval::Required, Approval::TwoPerson].map(Approval::as_str),
        )
    })
}

fn duration(node: Node<'_>, key: &str) -> Result<Duration, Mistake> {
    let text = node.text(key)?;
    let fits = parse_duration(text).ok().filter(|d| !d.is_zero() && *d <= DURATION_MAX);
    fits.ok_or_else(|| {
        let max = format_duration(DURATION_MAX);
        node.mistake(format!("`{key}` must be a duration from 1ms to {max}, not `{text}`"))
    })
}
