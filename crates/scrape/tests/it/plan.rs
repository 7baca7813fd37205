use expect_test::{Expect, expect};
use paramedic_model::Labels;
use paramedic_relabel::{Action, Fields, Rule};
use paramedic_scrape::{Job, TargetGroup, plan};

fn replace(source: &[&str], regex: &str, target: &str, replacement: &str) -> Rule {
    Rule::new(Fields {
        source_labels: Some(source.iter().map(|name| (*name).to_owned()).collect()),
        regex: Some(regex.to_owned()),
        target_label: target.to_owned(),
        replacement: Some(replacement.to_owned()),
        ..Fields::default()
    })
    .expect("a rule")
}

fn group(targets: &[&str], labels: &[(&str, &str)]) -> TargetGroup {
    TargetGroup {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        labels: labels.iter().copied().collect(),
    }
}

fn check(change: impl FnOnce(&mut Job), groups: &[TargetGroup], expected: Expect) {
    let mut job = Job::new("node");
    change(&mut job);
    let plan = plan(&job, groups);
    let mut text = String::new();
    for target in &plan.active {
        let (labels, url) = (&target.labels, target.url());
        text.push_str(&format!("{url} {labels} {:?}/{:?}\n", target.timeout, target.interval));
    }
    for labels in &plan.dropped {
        text.push_str(&format!("dropped {labels}\n"));
    }
    for failure in &plan.failures {
        text.push_str(&format!("failed {failure}\n"));
    }
    expected.assert_eq(&text);
}

#[test]
fn a_target_has_the_labels_of_its_group_its_job_and_itself() {
    check(
        |_| {},
        &[group(&["a:1", "b:2", "a:1"], &[("env", "x")]), group(&["c"], &[("job", "own")])],
        expect![[r#"
            http://a:1/metrics {env="x", instance="a:1", job="node"} 10s/60s
            http://b:2/metrics {env="x", instance="b:2", job="node"} 10s/60s
            http://c/metrics {instance="c", job="own"} 10s/60s
        "#]],
    );
}

#[test]
fn a_probe_is_asked_for_its_targets() {
    check(
        |job| {
            job.metrics_path = "/probe".to_owned();
            job.params.insert("module".to_owned(), vec!["http_2xx".to_owned()]);
            job.params.insert("debug".to_owned(), vec!["a b".to_owned(), "&".to_owned()]);
            job.relabel = vec![
                replace(&["__address__"], "(.*)", "__param_target", "$1"),
                replace(&["__param_target"], "(.*)", "instance", "$1"),
                replace(&[], "(.*)", "__address__", "127.0.0.1:9115"),
            ];
        },
        &[group(&["x.test:443"], &[]), group(&["y.test"], &[("__param_module", "icmp")])],
        expect![[r#"
            http://127.0.0.1:9115/probe?debug=a+b&debug=%26&module=http_2xx&target=x.test%3A443 {instance="x.test:443", job="node"} 10s/60s
            http://127.0.0.1:9115/probe?debug=a+b&debug=%26&module=icmp&target=y.test {instance="y.test", job="node"} 10s/60s
        "#]],
    );
}

#[test]
fn what_cannot_be_scraped_says_why() {
    let broken = |name: &'static str, value: &'static str| {
        move |job: &mut Job| job.relabel = vec![replace(&[], "(.*)", name, value)]
    };
    let one = [group(&["a:1"], &[])];
    check(
        broken("__address__", ""),
        &one,
        expect![[r#"
            failed {__address__="a:1", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="node"}: no address
        "#]],
    );
    check(
        broken("__address__", "a/b"),
        &one,
        expect![[r#"
            failed {__address__="a:1", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="node"}: "a/b" is not a valid hostname
        "#]],
    );
    check(
        broken("__scrape_interval__", "5s"),
        &one,
        expect![[r#"
            failed {__address__="a:1", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="node"}: scrape timeout cannot be greater than scrape interval ("10s" > "5s")
        "#]],
    );
    check(
        broken("__scrape_timeout__", "0s"),
        &one,
        expect![[r#"
            failed {__address__="a:1", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="node"}: scrape timeout cannot be 0
        "#]],
    );
    check(
        broken("__scheme__", "ftp"),
        &one,
        expect![[r#"
            failed {__address__="a:1", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="node"}: unsupported protocol scheme "ftp"
        "#]],
    );
}

#[test]
fn labels_of_discovery_end_with_relabelling() {
    check(
        |job| {
            let drop = Fields {
                action: Action::Drop,
                source_labels: Some(vec!["__meta_zone".to_owned()]),
                regex: Some("b".to_owned()),
                ..Fields::default()
            };
            let map = Fields {
                action: Action::LabelMap,
                regex: Some("__meta_(.+)".to_owned()),
                ..Fields::default()
            };
            let rules = [drop, map].map(|fields| Rule::new(fields).expect("a rule"));
            job.relabel = rules.into();
            job.relabel.push(replace(&[], "(.*)", "__tmp", "x"));
            job.relabel.push(replace(&[], "(.*)", "__metrics_path__", "m"));
        },
        &[group(&["a:1"], &[("__meta_zone", "a")]), group(&["b:1"], &[("__meta_zone", "b")])],
        expect![[r#"
            http://a:1/m {instance="a:1", job="node", zone="a"} 10s/60s
            dropped {__address__="b:1", __meta_zone="b", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="node"}
        "#]],
    );
}

#[test]
fn labels_alone_are_no_target() {
    assert_eq!(plan(&Job::new("node"), &[group(&[], &[("a", "b")])]).active, []);
    let labels = Labels::from([("a", "b")]);
    assert!(paramedic_relabel::relabel(&labels, &[]).is_some());
}
