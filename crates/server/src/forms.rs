//! What people and programs ask for: forms of pages and bodies of the API become commands.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use paramedic_engine::{Command, Verb};
use paramedic_model::IncidentId;
use serde::Deserialize;

use crate::app::App;
use crate::pages;
use crate::problem::Problem;

/// The longest name of a person, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 80;
/// The longest reason or note, in characters.
pub(crate) const TEXT_CHARS_MAX: usize = 4000;
/// Names under which Paramedic itself writes into the journal; nobody may sign with them.
const OWN_NAMES: [&str; 2] = ["policy", "direct read"];

/// What somebody asks of an incident.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// The key of a form; programs have the token instead.
    #[serde(default)]
    key: String,
    /// Who asks.
    #[serde(default)]
    by: String,
    /// For `approve`: the proposal that they saw.
    digest: Option<String>,
    /// For `reject` and `close`.
    reason: Option<String>,
    /// For `tick` and `request`: the id of a step.
    step: Option<String>,
    /// For `note`.
    text: Option<String>,
}

impl Ask {
    /// The command that `verb` means with these fields.
    pub fn command(self, incident: IncidentId, verb: &str) -> Result<Command, Problem> {
        let verb = match verb {
            "approve" => Verb::Approve(self.digest),
            "reject" => Verb::Reject(text("say why, in `reason`", self.reason)?),
            "tick" => Verb::Tick(text("name the step, in `step`", self.step)?),
            "request" => Verb::Request(text("name the step, in `step`", self.step)?),
            "look-again" => Verb::LookAgain,
            "note" => Verb::Note(text("write something, in `text`", self.text)?),
            "close" => Verb::Close(text("say why, in `reason`", self.reason)?),
            _ => return Err(Problem::missing(format!("nobody can `{verb}` an incident"))),
        };
        Ok(Command { incident, by: name(&self.by)?, verb })
    }
}

fn name(by: &str) -> Result<String, Problem> {
    let by = by.trim();
    let fits = by.chars().count() <= NAME_CHARS_MAX && !by.chars().any(char::is_control);
    match () {
        () if by.is_empty() => Err(Problem::bad("say who you are, in `by`")),
        () if !fits => Err(Problem::bad(format!(
            "your name must be one line of at most {NAME_CHARS_MAX} characters"
        ))),
        () if OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(by)) => {
            Err(Problem::bad(format!("`{by}` is how Paramedic signs itself; take another name")))
        }
        () => Ok(by.to_owned()),
    }
}

fn text(missing: &str, given: Option<String>) -> Result<String, Problem> {
    let given = given.unwrap_or_default().replace("\r\n", "\n");
    let given = given.trim();
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match () {
        () if given.is_empty() => Err(Problem::bad(missing)),
        () if given.chars().count() > TEXT_CHARS_MAX => {
            Err(Problem::bad(format!("a text has at most {TEXT_CHARS_MAX} characters")))
        }
        () if given.chars().any(odd) => Err(Problem::bad("a text has no control characters")),
        () => Ok(given.to_owned()),
    }
}

/// The number of an incident in an address.
pub(crate) fn incident_id(text: &str) -> Result<IncidentId, Problem> {
    let missing = || Problem::missing(format!("there is no incident {text}"));
    text.parse().map(IncidentId).map_err(|_| missing())
}

/// Carries a command out; a problem where the incident is not there or refuses.
pub(crate) async fn carry_out(app: &App, command: Command) -> Result<(), Problem> {
    let id = command.incident;
    if !app.read(move |engine, _| engine.incident(id).is_some()).await? {
        return Err(Problem::missing(format!("there is no incident {id}")));
    }
    app.handle().command(command).await?.map_err(Problem::refused)
}

/// A button of an incident's page: does it and shows the page again, also without JavaScript.
pub(crate) async fn act(
    State(app): State<App>,
    Path((id, verb)): Path<(String, String)>,
    headers: HeaderMap,
    form: Result<Form<Ask>, FormRejection>,
) -> Result<Response, Problem> {
    let ask = read_form(form)?;
    app.access().check_form(&headers, &ask.key)?;
    let id = incident_id(&id)?;
    if verb == "approve" && ask.digest.is_none() {
        return Err(Problem::bad("the form does not say which proposal it approves"));
    }
    let done = match ask.command(id, &verb) {
        Ok(command) => carry_out(&app, command).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/incidents/{id}")).into_response()),
        // The person needs the page as it is now, with the reason on top of it.
        Err(problem)
            if matches!(problem.status, StatusCode::CONFLICT | StatusCode::BAD_REQUEST) =>
        {
            pages::incident::with_problem(&app, id, problem).await
        }
        Err(problem) => Err(problem),
    }
}

/// A button of the lab's menu.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabForm {
    key: String,
    system: String,
    fault: Option<String>,
}

/// Breaks a simulated system.
pub(crate) async fn break_system(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form<LabForm>, FormRejection>,
) -> Result<Redirect, Problem> {
    let LabForm { key, system, fault } = read_form(form)?;
    app.access().check_form(&headers, &key)?;
    let fault = fault.ok_or_else(|| Problem::bad("name the fault"))?;
    app.workbench()?.break_system(&system, &fault).map_err(Problem::refused)?;
    Ok(Redirect::to("/#lab"))
}

/// Heals a simulated system.
pub(crate) async fn heal_system(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form<LabForm>, FormRejection>,
) -> Result<Redirect, Problem> {
    let LabForm { key, system, fault: _ } = read_form(form)?;
    app.access().check_form(&headers, &key)?;
    app.workbench()?.heal_system(&system).map_err(Problem::refused)?;
    Ok(Redirect::to("/#lab"))
}

fn read_form<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Problem> {
    match form {
        Ok(Form(form)) => Ok(form),
        Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text())),
    }
}
