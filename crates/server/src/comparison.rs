//! `GET /api/comparison`: the same request and key on every platform, each run just now in virtual
//! time. A cell always ends the same way, so answers are kept.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use lab::client::policy::HostPolicy;
use lab::client::report::{Certainty, Party, Report};
use lab::{Request, Run, Scenario, UserAction};
use rp::policy::UserVerificationPolicy;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::App;
use crate::choices::{KeyChoice, PLATFORMS};
use crate::problem::{Problem, UNKNOWN_CHOICE};
use crate::store::Ceremony;

/// What is asked of every platform.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    ceremony: Ceremony,
    policy: UserVerificationPolicy,
    discoverable: bool,
    key: String,
    state: String,
}

type Cell = (Ceremony, UserVerificationPolicy, bool, KeyChoice);

/// Answers that were worked out before. Locked while one is, so that many visitors who ask at once
/// cost one processor, not all.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Cell, Arc<Value>>>);

/// More cells than this are forgotten all at once; working them out again is cheap.
const MOST: usize = 256;

/// `GET /api/comparison`
pub(crate) async fn all(
    State(app): State<App>,
    question: Result<axum::extract::Query<Question>, QueryRejection>,
) -> Result<axum::Json<Arc<Value>>, Problem> {
    let axum::extract::Query(question) =
        question.map_err(|error| Problem::new(&UNKNOWN_CHOICE, error.body_text()))?;
    let key = KeyChoice::find(&question.key, &question.state)?;
    let cell = (
        question.ceremony,
        question.policy,
        question.discoverable,
        key,
    );
    let mut known = app.comparisons.0.lock().await;
    if let Some(rows) = known.get(&cell) {
        return Ok(axum::Json(Arc::clone(rows)));
    }
    let worked_out = tokio::task::spawn_blocking(move || work_out(cell))
        .await
        .map_err(|error| Problem::internal("comparison", &error))??;
    let rows = Arc::new(worked_out);
    if known.len() >= MOST {
        known.clear();
    }
    known.insert(cell, Arc::clone(&rows));
    Ok(axum::Json(rows))
}

fn work_out((ceremony, policy, discoverable, key): Cell) -> Result<Value, Problem> {
    let fault = |error: &dyn std::fmt::Display| Problem::internal("comparison", error);
    let first = PLATFORMS
        .first()
        .ok_or_else(|| fault(&"there are no platforms"))?;
    let scenario = Scenario {
        platform: Arc::clone(first),
        host: HostPolicy::default(),
        key: key.profile(),
        key_state: key.state,
        request: Request {
            ceremony: match ceremony {
                Ceremony::Registration => lab::Ceremony::Create,
                Ceremony::Authentication => lab::Ceremony::Get,
            },
            user_verification: policy,
            discoverable,
        },
        user: UserAction::Accepts,
    };
    let runs = lab::compare(&scenario, &PLATFORMS).map_err(|error| fault(&error))?;
    Ok(json!({ "rows": runs.iter().map(row).collect::<Vec<_>>() }))
}

fn row(run: &Run) -> Value {
    let failure = run.failure.as_ref().map(
        |failure| json!({ "name": failure.name.name(), "reason": failure.reason.to_string() }),
    );
    json!({
        "platform": run.platform,
        "report": run.report,
        "failure": failure,
        "verdict": run.verdict,
        "note": run.note,
        "certainty": certainty(&run.report),
    })
}

/// How sure the least sure statement about this platform is. What the specifications say of every
/// platform counts only where nothing is said about this one.
fn certainty(report: &Report) -> Option<Certainty> {
    let rank = |certainty: &Certainty| match certainty {
        Certainty::Specification => 0,
        Certainty::Measured => 1,
        Certainty::Source => 2,
        Certainty::Vendor => 3,
        Certainty::Report => 4,
        Certainty::Unknown => 5,
    };
    report
        .reasons
        .iter()
        .filter(|reason| reason.who == Party::Platform)
        .map(|reason| reason.certainty)
        .max_by_key(rank)
}
