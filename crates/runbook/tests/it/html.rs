use expect_test::expect_file;
use paramedic_runbook::SectionKind;

use crate::pages::page;

#[test]
fn pages_are_shown_without_blocks_and_tricks() {
    expect_file!["../pages/plain.html"].assert_eq(&page("plain.md").html());
    expect_file!["../pages/bound.html"].assert_eq(&page("bound.md").html());
}

#[test]
fn sections_and_steps_are_shown_apart() {
    let page = page("plain.md");
    let mut out = String::new();
    for kind in SectionKind::ALL {
        let html = page.section_html(kind).unwrap();
        out += &format!("=== {}\n{html}", kind.as_str());
    }
    for step in &page.steps {
        out += &format!("--- {}\n{}\n", step.id, page.step_html(step).trim());
    }
    let bound = crate::pages::page("bound.md");
    for cause in &bound.causes {
        out += &format!("--- {}\n{}\n", cause.id, bound.cause_html(cause).trim());
    }
    out += &format!("=== Diagnosis\n{}", bound.section_html(SectionKind::Diagnosis).unwrap());
    out += &format!("--- svc\n{}", bound.step_html(bound.step("svc").unwrap()));
    expect_file!["../pages/parts.html"].assert_eq(&out);
}
