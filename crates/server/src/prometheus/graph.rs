//! `/graph`: where the link of an alert that was sent leads.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use paramedic_promql::parse;
use paramedic_rules::Rule;

use super::answer::Failure;
use super::params::Params;
use crate::app::App;
use crate::pages::why;

/// Leads to the page that says why the alert of this expression fires, or else to the rules.
pub(super) async fn show(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    // Links hold the expression as it is printed, which is not as the rule file has it.
    let Ok(expr) = parse(params.first("g0.expr")) else {
        return Ok(Redirect::to("/rules").into_response());
    };
    let wanted = expr.to_string();
    let name = app.handle().read(move |engine| {
        let states = engine.groups().iter().flat_map(|group| group.rules());
        let rule = states.map(|state| state.rule()).find(|rule| {
            matches!(rule, Rule::Alert(_)) && rule.expr().expr().to_string() == wanted
        });
        rule.map(|rule| rule.name().to_owned())
    });
    let url = name.await?.map_or_else(|| "/rules".to_owned(), |name| why::url(&name));
    Ok(Redirect::to(&url).into_response())
}
