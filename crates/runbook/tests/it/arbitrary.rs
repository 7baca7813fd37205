use paramedic_runbook::Runbook;
use proptest::prelude::*;

/// Pieces that pages are made of, so that chance makes something like a page.
const PIECES: [&str; 44] = [
    "---\n",
    "title: x\n",
    "alerts: [a, b]\n",
    "paramedic: 2\n",
    "# T\n",
    "## Diagnosis\n",
    "## Mitigation\n",
    "### Causes\n",
    "## Meaning\n",
    "1. **a**: b\n",
    "2. c\n",
    "- d\n",
    "\n",
    "   ```probe\n",
    "   ```action\n",
    "   ```cause\n",
    "  ```manual\n",
    "   ```\n",
    "```\n",
    "   uses: firewall/service\n",
    "   id: svc\n",
    "   id: é\n",
    "   with: { a: \"{{ $labels.b }}\" }\n",
    "   when: svc.running && true\n",
    "   when: \"a.b(((\"\n",
    "   fix: []\n",
    "   why: x\n",
    "   because: \"{{\"\n",
    "   verify: 3m\n",
    "{{% comment %}}",
    "{{% /comment %}}",
    "{{%",
    "%}}",
    "{{<",
    "<details>",
    "</summary>",
    "<!--",
    "-->",
    "\t",
    "\r\n",
    "é",
    "\u{feff}",
    "[a](javascript:b)",
    "\0",
];

const CONDITION: [&str; 38] = [
    "svc",
    "log",
    "alert",
    "system",
    ".",
    "on",
    "lines",
    "labels",
    " && ",
    " || ",
    "!",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "?",
    ":",
    ",",
    "==",
    "<",
    "+",
    "-",
    "/",
    "%",
    " in ",
    "1",
    "0.5",
    "\"a\"",
    "'é",
    "null",
    "true",
    "l",
    "has(",
    ".exists(l, ",
    ".map(l, ",
    "`",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_breaks_the_reader(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn no_page_breaks_the_reader(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        read(&pieces.concat());
    }

    #[test]
    fn no_condition_breaks_the_reader(
        pieces in prop::collection::vec(prop::sample::select(&CONDITION[..]), 0..16),
    ) {
        let when = pieces.concat().replace('\'', "''");
        read(&format!(
            "# X\n## Diagnosis\n1. a\n\n   ```probe\n   uses: firewall/service\n   id: svc\n   when: '{when}'\n   ```\n"
        ));
    }
}

/// Whatever it is, it is read or refused, with places that are on the page.
fn read(text: &str) {
    match Runbook::parse("any.md", text) {
        Ok(page) => {
            let errors = page.check(&[&crate::firewall::catalog()]);
            assert!(
                errors.iter().all(|error| error.line <= text.lines().count() + 1),
                "{errors:?}"
            );
            page.html();
            for step in &page.steps {
                page.step_html(step);
            }
            let situation = paramedic_runbook::Situation {
                alert: paramedic_runbook::Alert {
                    labels: paramedic_model::Labels::empty(),
                    annotations: Default::default(),
                    value: f64::NAN,
                },
                system: None,
                findings: Default::default(),
            };
            page.diagnose(&situation);
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(error.line >= 1 && error.column >= 1, "{error}");
                assert!(error.line <= text.split('\n').count(), "{error}");
            }
        }
    }
}

/// What is deep or long is refused before it can exhaust a stack, here half of what a thread has.
#[test]
fn conditions_are_bounded() {
    const STACK_BYTES: usize = 1 << 20;
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(bounds).unwrap();
    thread.join().unwrap();
}

fn bounds() {
    let message = |when: &str| {
        let text = format!(
            "# X\n## Diagnosis\n1. a\n\n   ```probe\n   uses: a/b\n   id: svc\n   when: '{when}'\n   ```\n"
        );
        let errors = Runbook::parse("x.md", &text).err().unwrap_or_default();
        errors.first().map(|error| error.message.clone()).unwrap_or_default()
    };
    let long = "a condition has at most 1000 bytes";
    let many = "a condition has at most 300 words and signs, and brackets 6 deep";
    let deep = "the condition is too deep";
    assert_eq!(message(&"x".repeat(1001)), long);
    assert_eq!(message(&"x == 1 || ".repeat(80)), many);
    assert_eq!(message(&"(".repeat(13)), many);
    assert_eq!(message(&format!("{}1", "1+".repeat(149))), deep);
    assert_eq!(message(&format!("a{}", ".b".repeat(149))), deep);
    assert_eq!(message(&format!("{}a", "a ? a : ".repeat(70))), deep);
    assert_eq!(message(&format!("{}a", "a || ".repeat(90))), "");
    let loops = "a.exists(x, a.exists(y, a.exists(z, x == z)))";
    assert_eq!(message(loops), "too many loops in one another");
    for piece in [
        "(", "[", "!", "-", "a[", "f(", "{1:", "a ? b : ", "a ? ", "1+", "a.", "a||", "a&&",
        "a in ", "1<", "-1", "!a&&", "f(1).", "a.b(", "a{b:", "\"\"+",
    ] {
        let repeated = piece.repeat(1000 / piece.len());
        for bytes in (1..repeated.len()).step_by(37) {
            message(&repeated[..bytes]);
            message(&format!("{}1", &repeated[..bytes]));
        }
    }
}

/// Depth and repetition cost neither the stack nor much time.
#[test]
fn deep_pages_are_bounded() {
    let deep = |piece: &str, count: usize| piece.repeat(count);
    for text in [
        format!("---\na: {}\n---\n# X\n## Impact\n", deep("[", 20_000)),
        format!("---\n{}\n---\n# X\n## Impact\n", deep("- ", 20_000)),
        format!("---\na: &a [x]\nb: {}\n---\n# X\n## Impact\n", deep("{a: ", 20_000)),
        format!("# X\n## Diagnosis\n{}\n", deep("> ", 20_000)),
        format!("# X\n## Diagnosis\n{}\n", deep("1. ", 2_000)),
        format!("# X\n## Diagnosis\n{}\n", deep("*_", 20_000)),
        format!("# X\n## Diagnosis\n{}\n", deep("<details>", 20_000)),
        format!("# X\n## Diagnosis\n{}\n", deep("{{%", 20_000)),
        format!("# X\n## Diagnosis\n{}\n", deep("1. a\n", 20_000)),
        format!("# X\n## Diagnosis\n{}\n", deep("1. a\n   ```probe\n   ```\n", 2_000)),
        format!("# X\n## Diagnosis\n{}\n", deep("1. a\n   > > ", 200)),
        format!("# X\n## Diagnosis\n### Causes\n{}\n", deep("- a\n  ```cause\n  ```\n", 2_000)),
    ] {
        read(&text);
    }
}
