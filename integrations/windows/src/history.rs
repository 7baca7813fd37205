//! What the Service Control Manager wrote about one service, read as evidence.
//!
//! Only event numbers and parameters are compared. The messages themselves, and words such as
//! "stopped" in 7036, are in the language of the host; so whether a 7036 meant a stop is taken from
//! the state that the service is in now.
//!
//! Pure: [`History::of`] is a function of the events, the service and the moment.

use paramedic_model::TimeMs;

use crate::codes::{self, Class};
use crate::host::{LogEvent, Service, State, image, same_name};

/// The source of its events.
pub(crate) const SCM: &str = "Service Control Manager";

/// So many crashes in the events that were read are a loop: one more start adds one more crash.
pub(crate) const CRASH_LOOP: usize = 3;

/// The events about one service, and what they say.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// All of them, the newest first.
    pub events: Vec<LogEvent>,
    /// Unexpected ends (7031, 7034).
    pub crash_count: usize,
    /// When its own recovery will start it, where that is yet to come (7031 with action and delay).
    pub recovery_due: Option<TimeMs>,
    /// The last failure with a code (7000, 7001, 7023, 7024, 7038).
    pub failure: Option<Failure>,
    /// It did not report in time when it was started (7009).
    pub start_timed_out: bool,
    /// It hung while starting (7022).
    pub hung_starting: bool,
    /// It did not answer a control message (7011, 7043, 7046).
    pub not_answering: bool,
    /// The service it depends on that failed (7001); empty for none.
    pub failed_dependency: String,
    /// What it depends on that is not installed (7003); empty for none.
    pub missing_dependency: String,
    /// The account that could not log on (7038, 7041); empty for none.
    pub refused_account: String,
    /// Its start mode was changed (7040).
    pub mode_change: Option<ModeChange>,
    /// It was asked to stop and did (7036, 7042), and nothing failed since.
    pub stopped_on_request: bool,
    /// Who asked for that, where the log says so.
    pub stopped_by: String,
}

/// A failure with its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The event.
    pub event: u64,
    /// Why.
    pub code: u64,
    /// When.
    pub at: TimeMs,
}

/// A change of a start mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModeChange {
    /// From what to what, in the words of the host.
    pub text: String,
    /// By whom, where the log says so.
    pub by: String,
}

impl History {
    /// Reads `events` (the newest first) for `service`, as of `now`.
    pub(crate) fn of(events: &[LogEvent], service: &Service, now: TimeMs) -> Self {
        let mine = events.iter().filter(|event| is_about(event, service));
        let mut history = Self { events: mine.cloned().collect(), ..Self::default() };
        // Latest first: what a later event says wins over what an earlier one did.
        let events = history.events.clone();
        let mut request_is_last = None;
        for event in &events {
            match event.code {
                7000 | 7001 | 7023 | 7024 | 7038 => history.note_failure(event),
                7003 => history.missing_dependency = event.parameter(2).to_owned(),
                7009 => history.start_timed_out = true,
                7011 | 7043 | 7046 => history.not_answering = true,
                7022 => history.hung_starting = true,
                7031 | 7034 => {
                    history.crash_count += 1;
                    if event.code == 7031 && history.recovery_due.is_none() {
                        history.recovery_due = recovery(event).filter(|due| *due > now);
                    }
                }
                7040 if history.mode_change.is_none() => {
                    let text = format!("{} to {}", event.parameter(2), event.parameter(3));
                    history.mode_change = Some(ModeChange { text, by: event.user.clone() });
                }
                7041 => history.refused_account = event.parameter(2).to_owned(),
                _ => {}
            }
            match event.code {
                7036 | 7042 => {
                    request_is_last.get_or_insert(true);
                    // Of 7036 the user is always the system.
                    if event.code == 7042 && history.stopped_by.is_empty() {
                        history.stopped_by.clone_from(&event.user);
                    }
                }
                7040 | 7045 => {}
                _ => {
                    request_is_last.get_or_insert(false);
                }
            }
        }
        history.stopped_on_request = service.state == State::Stopped
            && codes::class(service.code()) == Class::Clean
            && request_is_last == Some(true);
        if !history.stopped_on_request {
            history.stopped_by.clear();
        }
        history
    }

    fn note_failure(&mut self, event: &LogEvent) {
        match event.code {
            7001 => {
                if self.failed_dependency.is_empty() {
                    self.failed_dependency = event.parameter(2).to_owned();
                }
                self.keep(event, event.error_code(3));
            }
            7038 => {
                self.refused_account = event.parameter(2).to_owned();
                // 7000 `%%1069` follows it and says less.
                if let Some(code) = event.error_code(3) {
                    let at = event.at;
                    self.failure = Some(Failure { event: event.code, code, at });
                }
            }
            _ => self.keep(event, event.error_code(2)),
        }
    }

    fn keep(&mut self, event: &LogEvent, code: Option<u64>) {
        if let (None, Some(code)) = (&self.failure, code) {
            self.failure = Some(Failure { event: event.code, code, at: event.at });
        }
    }

    /// The class of what went wrong last. The exit code says, as it is of the last run; the log may
    /// hold older trouble, and is asked only where the exit code has no name for it.
    pub(crate) fn failure_class(&self, service: &Service) -> Class {
        match (codes::class(service.code()), &self.failure) {
            (Class::Other | Class::NeverStarted, Some(failure)) => codes::class(failure.code),
            (of_exit, _) => of_exit,
        }
    }
}

/// When the recovery that a 7031 announces will act: its delay in milliseconds is parameter 3, its
/// action parameter 4 (0 for none).
fn recovery(event: &LogEvent) -> Option<TimeMs> {
    let delay_ms: u64 = event.parameter(3).parse().ok()?;
    let acts = event.parameter(4) != "0" && !event.parameter(4).is_empty();
    acts.then(|| event.at + std::time::Duration::from_millis(delay_ms))
}

/// Whether an event's subject is this service, by its name or its display name.
fn is_about(event: &LogEvent, service: &Service) -> bool {
    if event.source != SCM {
        return false;
    }
    let subjects: &[usize] = match event.code {
        7009 | 7011 => &[2],
        7032 => &[3],
        7040 => &[1, 4],
        7000..=7046 => &[1],
        _ => &[],
    };
    let names = |text: &str| {
        !text.is_empty() && (service.is(text) || same_name(&service.display_name, text))
    };
    subjects.iter().any(|number| names(event.parameter(*number)))
}

/// An event on one line: `2026-11-21T02:22:00.000Z SCM 7034 Shop Worker, 1`.
pub(crate) fn line(event: &LogEvent) -> String {
    let source = if event.source == SCM { "SCM" } else { &event.source };
    format!("{} {source} {} {}", event.at, event.code, words(event))
}

/// The parameters of an event. The command line of a new service may hold secrets, so its arguments
/// are left out.
pub(crate) fn words(event: &LogEvent) -> String {
    const INSTALLED: u64 = 7045;
    const COMMAND_LINE: usize = 1;
    let word = |(at, text): (usize, &String)| match event.code {
        INSTALLED if at == COMMAND_LINE => image(text).to_owned(),
        _ => text.trim().to_owned(),
    };
    event.strings.iter().enumerate().map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(state: State, exit_code: u64) -> Service {
        Service {
            name: "ShopWorker".to_owned(),
            display_name: "Shop Worker".to_owned(),
            state,
            status: "OK".to_owned(),
            start_mode: "Auto".to_owned(),
            delayed: Some(false),
            pid: 0,
            exit_code,
            specific_code: 0,
            account: String::new(),
            path: String::new(),
            own_process: true,
            accepts_stop: false,
            check_point: 0,
            wait_hint_ms: 0,
        }
    }

    /// Events a second apart, the newest first.
    fn events(list: &[(u64, &[&str])]) -> Vec<LogEvent> {
        let event = |(i, (code, strings)): (usize, &(u64, &[&str]))| LogEvent {
            record: 100 - i as u64,
            code: *code,
            source: SCM.to_owned(),
            at: TimeMs(100_000 - i as i64 * 1000),
            kind: 1,
            strings: strings.iter().map(|s| (*s).to_owned()).collect(),
            user: r"CORP\alice".to_owned(),
        };
        list.iter().enumerate().map(event).collect()
    }

    #[test]
    fn a_stop_counts_as_asked_for_only_when_nothing_failed_after_it() {
        let check = |exit: u64, list: &[(u64, &[&str])], expected: bool| {
            let service = service(State::Stopped, exit);
            let history = History::of(&events(list), &service, TimeMs(100_000));
            assert_eq!(history.stopped_on_request, expected, "{list:?}");
        };
        check(0, &[(7036, &["Shop Worker", "angehalten"])], true);
        check(0, &[(7042, &["Shop Worker", "stop", "x", "0x0", "None"])], true);
        check(0, &[(7034, &["Shop Worker", "1"]), (7036, &["Shop Worker", "running"])], false);
        check(1067, &[(7036, &["Shop Worker", "stopped"])], false);
        check(0, &[(7036, &["Print Spooler", "stopped"])], false);
        check(0, &[], false);
    }

    #[test]
    fn a_refused_logon_is_told_from_the_failed_start_that_follows_it() {
        let list = events(&[
            (7000, &["Shop Worker", "%%1069"]),
            (7038, &["ShopWorker", r".\svc-shop", "%%1326"]),
        ]);
        let service = service(State::Stopped, 1069);
        let history = History::of(&list, &service, TimeMs(100_000));
        assert_eq!(history.refused_account, r".\svc-shop");
        assert_eq!(history.failure.as_ref().map(|f| (f.event, f.code)), Some((7038, 1326)));
        assert_eq!(history.failure_class(&service), Class::Logon);
    }

    #[test]
    fn a_recovery_is_due_until_its_delay_has_passed() {
        let list = events(&[(7031, &["Shop Worker", "1", "60000", "1", "Restart the service"])]);
        let at = |now| History::of(&list, &service(State::Stopped, 1067), TimeMs(now)).recovery_due;
        assert_eq!(at(101_000), Some(TimeMs(160_000)));
        assert_eq!(at(160_000), None);
        let none = events(&[(7031, &["Shop Worker", "1", "0", "0", "Take no action"])]);
        let history = History::of(&none, &service(State::Stopped, 1067), TimeMs(100_000));
        assert_eq!((history.recovery_due, history.crash_count), (None, 1));
    }

    #[test]
    fn the_arguments_of_a_new_service_are_not_shown() {
        let list = events(&[(7045, &["X", r"C:\\x.exe --password hunter2", "user mode service"])]);
        let shown = line(&list[0]);
        assert!(shown.contains(r"C:\\x.exe, user mode") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_subject_of_an_event_is_where_its_number_says() {
        let history = |list: &[(u64, &[&str])]| {
            History::of(&events(list), &service(State::Stopped, 1068), TimeMs(100_000))
        };
        let mine = history(&[(7001, &["Shop Worker", "Shop Queue", "%%1053"])]);
        assert_eq!(mine.failed_dependency, "Shop Queue");
        let others = history(&[(7001, &["Other", "Shop Worker", "%%1053"])]);
        assert!(others.events.is_empty());
        assert!(history(&[(7009, &["30000", "ShopWorker"])]).start_timed_out);
        assert!(history(&[(7009, &["30000", "Other"])]).events.is_empty());
    }
}
