//! Many rules and many alerts: what evaluation, memory and the API come to, and how late an alert is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use super::engines::{Engine, RULE_INTERVAL_S};
use super::field::{Field, SLICE, keep, mebibytes};
use super::process::Workshop;
use super::queries::{number, percentile};
use super::result::SizeResult;
use super::rules::{ALERTS, Rules};
use super::{clock, delay, http, say};

/// How many series the exporter has.
const SERIES: usize = 10_000;
const SCRAPE_INTERVAL_S: u64 = 5;
/// How often each engine is asked for all rules, and for all alerts.
const ASKED: usize = 30;
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the API is asked for: under which name it is kept, and the path.
const PATHS: [(&str, &str); 2] = [("api_rules", "/api/v1/rules"), ("api_alerts", "/api/v1/alerts")];

/// Measures all engines side by side.
pub fn measure(
    engines: &[(Engine, PathBuf)],
    minutes: f64,
    workshop: &mut Workshop,
) -> Result<SizeResult> {
    let mut field = Field::new(engines, (SERIES, SCRAPE_INTERVAL_S), workshop)?;
    field.each(workshop, |contestant, workshop| {
        let hosts = contestant.exporter.hosts();
        let (files, count) = Rules::Alerts.write(&contestant.setup.folder, "".as_ref(), hosts)?;
        contestant.keep("alerts.rules", count as f64);
        contestant.start_with_targets(&files, workshop)
    });
    field.warm(2, None, workshop);
    // Each group has run twice then: the first time makes all alerts, which is another kind of work.
    clock::pause(2 * SLICE);
    field.each(workshop, |contestant, _| {
        let firing =
            number(contestant.setup.address, "count(ALERTS{alertstate=\"firing\"})", None)?;
        contestant.keep("alerts.firing", firing);
        if firing != ALERTS as f64 {
            contestant.note(format!("{firing} alerts fire rather than {ALERTS}"));
        }
        Ok(())
    });
    say(&format!("{ALERTS} alerts, {minutes} min"));
    for (contestant, stretch) in field.watch(minutes, None, workshop) {
        keep(contestant, Rules::Alerts, &stretch);
    }
    for (name, path) in PATHS {
        say(&format!("asked for {path}"));
        let addresses: Vec<_> = field.running.iter().map(|c| c.setup.address).collect();
        for (contestant, asked) in field.running.iter_mut().zip(ask(&addresses, path)) {
            match asked {
                Ok(Asked { mut times, bytes }) => {
                    let ms = |time: Duration| time.as_secs_f64() * 1e3;
                    contestant.keep(format!("{name}.p50_ms"), ms(percentile(&mut times, 0.5)));
                    contestant.keep(format!("{name}.p99_ms"), ms(percentile(&mut times, 0.99)));
                    contestant.keep(format!("{name}.mib"), mebibytes(bytes as u64));
                }
                Err(error) => contestant.note(format!("{path}: {error:#}")),
            }
        }
    }
    let mut engines_shown = field.finish(workshop);
    for (engine, delays) in delay::measure(engines, workshop)? {
        let Some(shown) = engines_shown.get_mut(engine.name()) else { continue };
        match delays {
            Ok([median, worst]) => {
                shown.measures.insert("delay.p50_ms".to_owned(), median.as_secs_f64() * 1e3);
                shown.measures.insert("delay.max_ms".to_owned(), worst.as_secs_f64() * 1e3);
            }
            Err(error) => shown.notes.push(format!("from a sample to its alert: {error:#}")),
        }
    }
    Ok(SizeResult {
        series: SERIES,
        scrape_interval_s: SCRAPE_INTERVAL_S,
        rule_interval_s: RULE_INTERVAL_S,
        minutes_idle: 0.0,
        minutes_rules: minutes,
        side_by_side: engines.len() > 1,
        engines: engines_shown,
    })
}

struct Asked {
    times: Vec<Duration>,
    /// How long the last answer was.
    bytes: usize,
}

/// Asks all engines by turns.
fn ask(addresses: &[SocketAddr], path: &str) -> Vec<Result<Asked>> {
    let none = || Ok(Asked { times: Vec::new(), bytes: 0 });
    let mut asked: Vec<Result<Asked>> = addresses.iter().map(|_| none()).collect();
    for _ in 0..ASKED {
        for (address, asked) in addresses.iter().zip(&mut asked) {
            let Ok(so_far) = asked else { continue };
            let start = clock::now();
            match http::get(*address, path, TIMEOUT) {
                Ok(answer) if answer.status == 200 => {
                    so_far.times.push(start.elapsed());
                    so_far.bytes = answer.body.len();
                }
                Ok(answer) => *asked = (|| bail!("status {}", answer.status))(),
                Err(error) => *asked = Err(error),
            }
        }
    }
    asked
}
