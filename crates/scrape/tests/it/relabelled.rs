//! Random relabelling of targets, ours beside a real Prometheus's.
//!
//! Each job has rules of its own over the same targets, and an interval at which none is scraped.
//! Names are those of before 3.0, addresses have ports, and no value holds a line feed: there 2.42
//! and 3.x differ. Labels before relabelling are not compared: 2.42 shows them half relabelled.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use paramedic_model::Labels;
use paramedic_relabel::{Action, Fields, NameScheme, Rule};
use paramedic_scrape::{Job, TargetGroup, plan};
use serde_json::Value;

const JOBS: usize = 400;

/// A small generator (a linear congruence): the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    fn maybe<'t>(&mut self, texts: &[&'t str]) -> Option<&'t str> {
        (self.below(2) == 0).then(|| self.pick(texts))
    }

    fn fields(&mut self) -> Fields {
        const NAMES: [&str; 12] = [
            "__address__",
            "job",
            "env",
            "zone",
            "__meta_x",
            "__meta_dc",
            "none",
            "a",
            "tag",
            "__scheme__",
            "instance",
            "__param_m",
        ];
        const REGEXES: [&str; 22] = [
            "(.*)",
            "",
            ".+",
            "prod|dev",
            "(pr|d)(.*)",
            "(?P<first>.)(?P<rest>.*)",
            "([^:]+):(\\d+)",
            "host-(\\w+).*",
            "__meta_(.+)",
            "(?i)PROD",
            "[[:alpha:]]+",
            "e.*|z.*",
            "(a)?(.*)",
            "x{2,3}",
            "\\QEu-1\\E.*",
            "(.*);(.*)",
            "a)|(b",
            ".*-.*",
            "[^a-c]+",
            "\\pL+",
            "(..)(?:.*)",
            "Eu-(\\d)?.*",
        ];
        const REPLACEMENTS: [&str; 14] = [
            "$1",
            "$2",
            "${1}x",
            "$1x",
            "c",
            "",
            "${first}-$rest",
            "$$1",
            "$0",
            "${9}",
            "a$",
            "${1",
            "$1:$2",
            "${1}_${2}",
        ];
        const TARGETS: [&str; 12] = [
            "env",
            "zone",
            "tag",
            "out",
            "a",
            "job",
            "instance",
            "__tmp",
            "__param_m",
            "l_${1}",
            "$1",
            "n$2_",
        ];
        let action = Action::ALL[self.below(Action::ALL.len())];
        let many = self.below(4);
        Fields {
            action,
            source_labels: (self.below(6) > 0)
                .then(|| (0..many).map(|_| self.pick(&NAMES).to_owned()).collect()),
            separator: self.maybe(&["", ";", ",", "-"]).map(str::to_owned),
            regex: self.maybe(&REGEXES).map(str::to_owned),
            modulus: [0, 0, 1, 7, 1000][self.below(5)],
            target_label: self.maybe(&TARGETS).unwrap_or_default().to_owned(),
            replacement: match action {
                // A name that is never empty: see `labels`.
                Action::LabelMap => Some(self.pick(&["m_$1", "p${1}", "z${1}_"]).to_owned()),
                _ => self.maybe(&REPLACEMENTS).map(str::to_owned),
            },
            names: NameScheme::Legacy,
        }
    }

    /// Fields that make a rule.
    fn rule(&mut self) -> (Fields, Rule) {
        loop {
            let fields = self.fields();
            if let Ok(rule) = Rule::new(fields.clone()) {
                return (fields, rule);
            }
        }
    }
}

fn groups() -> Vec<TargetGroup> {
    let group = |targets: &[&str], labels: &[(&str, &str)]| TargetGroup {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        labels: labels.iter().copied().collect(),
    };
    vec![
        group(&["host-a:9100", "host-b:80"], &[("env", "prod"), ("__meta_x", "xx")]),
        group(&["[::1]:9100"], &[("env", "dev"), ("zone", "Eu-1"), ("__meta_dc", "äö")]),
        group(&["c.test:1"], &[("a", "a"), ("zone", "Eu-12"), ("tag", "x:1,y"), ("job", "own")]),
    ]
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

fn yaml(jobs: &[(Job, Vec<Fields>)], groups: &[TargetGroup]) -> String {
    let mut text = "global: { scrape_interval: 40h }\nscrape_configs:\n".to_owned();
    for (job, rules) in jobs {
        let _ = writeln!(text, "- job_name: {}\n  relabel_configs:", job.name);
        for fields in rules {
            let _ = writeln!(text, "  - action: {}", fields.action.word());
            let mut field = |name: &str, value: &str| {
                let _ = writeln!(text, "    {name}: {value}");
            };
            if let Some(labels) = &fields.source_labels {
                field("source_labels", &format!("[{}]", labels.join(", ")));
            }
            let texts = [
                ("separator", &fields.separator),
                ("regex", &fields.regex),
                ("replacement", &fields.replacement),
            ];
            for (name, value) in texts {
                if let Some(value) = value {
                    field(name, &quoted(value));
                }
            }
            if !fields.target_label.is_empty() {
                field("target_label", &quoted(&fields.target_label));
            }
            if fields.modulus > 0 {
                field("modulus", &fields.modulus.to_string());
            }
        }
        text.push_str("  static_configs:\n");
        for group in groups {
            let _ = writeln!(text, "  - targets: {:?}\n    labels:", group.targets);
            for (name, value) in group.labels.iter() {
                let _ = writeln!(text, "      {name}: {}", quoted(value));
            }
        }
    }
    text
}

struct Prometheus {
    process: Child,
    address: String,
    /// Its data go away with it.
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// One with this configuration; `None` where there is none and none is demanded.
    fn start(test: &str, config: &str) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join("prometheus").is_file()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: no prometheus");
            println!("skipped: {test}: apt-get install prometheus");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("a file can be written");
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = free.local_addr().expect("a bound port").to_string();
        drop(free);
        #[expect(clippy::disallowed_methods, reason = "the peer of this test is a process")]
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("prometheus starts");
        let stderr = process.stderr.take().expect("standard error is a pipe");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let ready = lines.by_ref().any(|line| {
            let ready = line.contains("Server is ready to receive web requests");
            said.push(line);
            ready
        });
        assert!(ready, "prometheus ended: {}", said.join("\n"));
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process, address, _folder: folder })
    }

    fn get(&self, path: &str) -> Value {
        #[expect(clippy::disallowed_methods, reason = "the peer of this test is a process")]
        let mut stream = TcpStream::connect(&self.address).expect("prometheus listens");
        let head = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("prometheus reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("prometheus answers");
        let (_, json) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

/// Without a label that has no name, which `labelmap` can make there; here it makes none.
fn labels(value: &Value) -> Labels {
    let map = value.as_object().expect("a map of labels").iter();
    map.filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name, value.as_str().expect("a text")))
        .collect()
}

#[test]
fn prometheus_makes_the_same_targets() {
    let mut random = Random(7);
    let groups = groups();
    let jobs: Vec<_> = (0..JOBS)
        .map(|number| {
            let mut job = Job::new(&format!("job{number:03}"));
            (job.interval, job.timeout) = (Duration::from_secs(40 * 3600), Duration::from_secs(10));
            let count = 1 + random.below(3);
            let (fields, rules) = (0..count).map(|_| random.rule()).unzip();
            job.relabel = rules;
            (job, fields)
        })
        .collect();
    let config = yaml(&jobs, &groups);
    let Some(prometheus) = Prometheus::start("relabelled", &config) else { return };

    let ours: BTreeSet<String> = jobs
        .iter()
        .flat_map(|(job, _)| {
            let planned = plan(job, &groups).active;
            planned
                .into_iter()
                .map(|target| format!("{} {} {}", job.name, target.labels, target.url()))
        })
        .collect();
    // Targets come a little after the configuration was read.
    let mut theirs = BTreeSet::new();
    let (_never, wait) = std::sync::mpsc::channel::<()>();
    for _ in 0..200 {
        let answer = prometheus.get("/api/v1/targets?state=active");
        let targets = answer["data"]["activeTargets"].as_array().expect("a list of targets");
        let found: BTreeSet<String> = targets
            .iter()
            .map(|target| {
                format!(
                    "{} {} {}",
                    target["scrapePool"].as_str().expect("a pool"),
                    labels(&target["labels"]),
                    target["scrapeUrl"].as_str().expect("a URL"),
                )
            })
            .collect();
        let settled = !found.is_empty() && found == theirs;
        theirs = found;
        if settled || theirs == ours {
            break;
        }
        let _ = wait.recv_timeout(Duration::from_secs(6));
    }
    let rules = |line: &&String| {
        let of_line = |(job, _): &&(Job, Vec<Fields>)| line.starts_with(&job.name);
        let (_, fields) = jobs.iter().find(of_line).expect("a job");
        format!("{line}\n    {fields:?}")
    };
    let only_ours: Vec<_> = ours.difference(&theirs).collect();
    let only_theirs: Vec<_> = theirs.difference(&ours).collect();
    println!("{JOBS} jobs: {} targets here, {} there", ours.len(), theirs.len());
    assert!(
        only_ours.is_empty() && only_theirs.is_empty(),
        "only ours:\n{}\nonly theirs:\n{}",
        only_ours.iter().take(8).map(rules).collect::<Vec<_>>().join("\n"),
        only_theirs.iter().take(8).map(rules).collect::<Vec<_>>().join("\n"),
    );
    assert!(ours.len() > JOBS / 2, "too few targets to say anything");
}
