//! `query`, `query_range` and what else reads an expression.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use paramedic_model::TimeMs;
use paramedic_promql::{EvalOptions, Plan, Source, ValueType, parse};

use super::answer::{Failure, Success};
use super::params::Params;
use super::tree::tree_of;
use super::{json, look};
use crate::app::App;

/// How many steps a range query may have.
const STEPS_MAX: i128 = 11_000;

pub(super) async fn instant(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    let limit = params.limit()?;
    let at = params.time_if_any("time")?.unwrap_or_else(|| app.now());
    let timeout = params.timeout()?;
    let lookback = params.lookback()?;
    let plan = plan(params.first("query"))?;
    let work = move |source: &dyn Source, options: &EvalOptions| {
        let evaluation = plan.eval_instant(source, at, &with(options, lookback));
        let evaluation = evaluation.map_err(|error| Failure::execution(error.message))?;
        let (data, is_cut) = json::result(&evaluation.value, at, limit);
        Ok(Success::annotated(data, &evaluation.annotations, is_cut))
    };
    look(&app, timeout, work).await
}

pub(super) async fn range(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    let limit = params.limit()?;
    let (start, end, step) = steps(&params)?;
    let timeout = params.timeout()?;
    let lookback = params.lookback()?;
    let plan = plan(params.first("query"))?;
    let kind = match plan.expr().value_type() {
        ValueType::Scalar | ValueType::Vector => None,
        ValueType::Matrix => Some("range vector"),
        ValueType::String => Some("string"),
    };
    if let Some(kind) = kind {
        let message = format!(
            "invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector"
        );
        return Err(Failure::parameter("query", message));
    }
    let work = move |source: &dyn Source, options: &EvalOptions| {
        let evaluation = plan.eval_range(source, start, end, step, &with(options, lookback));
        let evaluation = evaluation.map_err(|error| Failure::execution(error.message))?;
        let (data, is_cut) = json::result(&evaluation.value, end, limit);
        Ok(Success::annotated(data, &evaluation.annotations, is_cut))
    };
    look(&app, timeout, work).await
}

/// Exemplars are not kept, so there are none; the request is checked all the same.
pub(super) async fn exemplars(params: Params) -> Result<Response, Failure> {
    let start = params.time_if_any("start")?;
    let end = params.time_if_any("end")?;
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        return Err(Failure::bad("end timestamp must not be before start timestamp"));
    }
    parse(params.first("query")).map_err(|error| Failure::bad(error.to_string()))?;
    Ok(Success::new("[]".to_owned()).into_response())
}

/// The expression as Prometheus prints it, on one line.
pub(super) async fn format(params: Params) -> Result<Response, Failure> {
    let expr = parse(params.first("query")).map_err(|error| Failure::parameter("query", error))?;
    let mut data = String::new();
    json::html_safe(&mut data, &expr.to_string());
    Ok(Success::new(data).into_response())
}

/// The tree of the expression, as Prometheus's page draws it.
pub(super) async fn tree(params: Params) -> Result<Response, Failure> {
    let expr = parse(params.first("query")).map_err(|error| Failure::parameter("query", error))?;
    let data = json::html_safe_json(&tree_of(&expr).to_string());
    Ok(Success::new(data).into_response())
}

fn steps(params: &Params) -> Result<(TimeMs, TimeMs, Duration), Failure> {
    let start = params.time("start")?;
    let end = params.time("end")?;
    if end < start {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let step = params.step()?;
    let span_ns = (i128::from(end.0) - i128::from(start.0)) * 1_000_000;
    // A duration is less than 2^95 nanoseconds.
    if span_ns / step.as_nanos() as i128 > STEPS_MAX {
        return Err(Failure::bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
             resolution (?step=XX)",
        ));
    }
    Ok((start, end, Duration::from_millis(step.as_millis() as u64)))
}

fn plan(text: &str) -> Result<Plan, Failure> {
    let expr = parse(text).map_err(|error| Failure::parameter("query", error))?;
    Plan::new(expr, text).map_err(|error| Failure::parameter("query", error))
}

fn with(options: &EvalOptions, lookback: Option<Duration>) -> EvalOptions {
    EvalOptions { lookback: lookback.unwrap_or(options.lookback), ..options.clone() }
}
