//! A key and a platform of the visitor's choice: the dialogs of a simulated client, answered over
//! HTTP. What comes out is a credential for the same relying party that real browsers speak to.
//!
//! Keys and dialogs live in memory, each visitor's in a desk of their own.

mod desk;

use std::sync::{Arc, Mutex};

use axum::extract::State;
use lab::authenticator::FingerMatch;
use lab::client::prompt::UserInput;
use lab::client::{Caller, Ceremony as ClientCeremony};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::body::{Json, SecretJson};
use crate::ceremony::{self, CeremonyId};
use crate::choices::{self, KeyChoice};
use crate::problem::{
    CHALLENGE_UNKNOWN, CHALLENGE_USED, DIALOG_OPEN, MALFORMED_JSON, NOTHING_PENDING, Problem,
};
use crate::store::{Ceremony, Outcome, Way};
use crate::visitor::Visitor;

pub(crate) use desk::Desks;
use desk::{Desk, Ended, Started};

/// A key, by model and first state.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhichKey {
    key: String,
    state: String,
}

/// What answers an open ceremony.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    ceremony: CeremonyId,
    platform: String,
    key: String,
    state: String,
}

/// What the person does; exactly one member besides `number`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    /// The number of the dialog that is answered, so that a late click does not answer the next one.
    number: u32,
    touch: Option<bool>,
    finger: Option<Finger>,
    input: Option<UserInput>,
}

/// A finger on the sensor.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Finger {
    /// The right one.
    Match,
    /// Another one.
    NoMatch,
}

impl Act {
    fn answer(self) -> Result<lab::Answer, Problem> {
        match (self.touch, self.finger, self.input) {
            (Some(true), None, None) => Ok(lab::Answer::Touch),
            (None, Some(finger), None) => Ok(lab::Answer::Finger(match finger {
                Finger::Match => FingerMatch::Match,
                Finger::NoMatch => FingerMatch::NoMatch,
            })),
            (None, None, Some(input)) => Ok(lab::Answer::Input(input)),
            _ => Err(Problem::new(
                &MALFORMED_JSON,
                "Say one thing: touch (true), finger or input.",
            )),
        }
    }
}

/// `POST /api/simulation/start`
pub(crate) async fn start(
    State(app): State<App>,
    visitor: Visitor,
    Json(start): Json<Start>,
) -> Result<axum::Json<Value>, Problem> {
    let platform = choices::platform(&start.platform)?;
    let choice = KeyChoice::find(&start.key, &start.state)?;
    let row = app
        .store
        .ceremony(&start.ceremony.0, visitor)
        .await?
        .filter(|row| row.way == Way::Simulation)
        .ok_or_else(|| Problem::new(&CHALLENGE_UNKNOWN, "This session has no such ceremony."))?;
    if row.outcome != "open" {
        return Err(Problem::new(
            &CHALLENGE_USED,
            "The ceremony has ended already. Ask for new options.",
        ));
    }
    let origin = app
        .site
        .origin
        .parse()
        .map_err(|error| Problem::internal("origin", &error))?;
    let caller = Caller::top_level(origin);
    let client = client(row.ceremony, &row.options, caller, Arc::clone(&platform))?;
    let started = Started {
        id: start.ceremony,
        kind: row.ceremony,
        platform: platform.id.clone(),
        choice,
    };
    let seeds = (crate::random()?, crate::random()?);
    let (abandoned, ended, view) = on_desk(&app, visitor, move |desk| {
        let abandoned = desk.abandon();
        desk.start(started, client, seeds)?;
        Ok((abandoned, desk.take_end(), desk.view()))
    })
    .await?;
    if let Some(abandoned) = abandoned {
        give_up(&app, visitor, &abandoned).await?;
    }
    conclude(&app, visitor, ended, view).await
}

fn client(
    kind: Ceremony,
    options: &str,
    caller: Caller,
    platform: Arc<lab::client::profile::PlatformProfile>,
) -> Result<ClientCeremony, Problem> {
    let stored = |error: serde_json::Error| Problem::internal("stored options", &error);
    let host = lab::client::policy::HostPolicy::default();
    Ok(match kind {
        Ceremony::Registration => {
            let options = serde_json::from_str(options).map_err(stored)?;
            ClientCeremony::create(options, caller, platform, host)
        }
        Ceremony::Authentication => {
            let options = serde_json::from_str(options).map_err(stored)?;
            ClientCeremony::get(options, caller, platform, host)
        }
    })
}

/// `POST /api/simulation/answer`
pub(crate) async fn answer(
    State(app): State<App>,
    visitor: Visitor,
    SecretJson(act): SecretJson<Act>,
) -> Result<axum::Json<Value>, Problem> {
    let number = act.number;
    let answer = act.answer()?;
    let (ended, view) = on_desk(&app, visitor, move |desk| {
        desk.answer(number, answer)?;
        Ok((desk.take_end(), desk.view()))
    })
    .await?;
    conclude(&app, visitor, ended, view).await
}

/// `POST /api/simulation/power-cycle`: takes a key out and plugs it in again.
pub(crate) async fn power_cycle(
    State(app): State<App>,
    visitor: Visitor,
    Json(which): Json<WhichKey>,
) -> Result<axum::Json<Value>, Problem> {
    let choice = KeyChoice::find(&which.key, &which.state)?;
    on_desk(&app, visitor, move |desk| {
        desk.key(choice)?.power_cycle();
        Ok(desk.view())
    })
    .await
    .map(axum::Json)
}

/// `POST /api/simulation/replace`: throws a key away; the next ceremony gets a fresh one.
pub(crate) async fn replace(
    State(app): State<App>,
    visitor: Visitor,
    Json(which): Json<WhichKey>,
) -> Result<axum::Json<Value>, Problem> {
    let choice = KeyChoice::find(&which.key, &which.state)?;
    on_desk(&app, visitor, move |desk| {
        desk.throw_away(choice)?;
        Ok(desk.view())
    })
    .await
    .map(axum::Json)
}

/// The simulation as the page shows it, or null if the visitor has none.
pub(crate) async fn view(app: &App, visitor: Visitor) -> Result<Value, Problem> {
    let Some(desk) = app.desks.find(visitor) else {
        return Ok(Value::Null);
    };
    let mut view = run(desk, |desk| Ok(desk.view())).await?;
    if let Some(id) = view["ceremony"]
        .as_str()
        .and_then(|id| id.parse::<CeremonyId>().ok())
    {
        let row = app.store.ceremony(&id.0, visitor).await?;
        view["open"] = json!(row.is_some_and(|row| row.outcome == "open"));
    }
    Ok(view)
}

/// Runs something on the visitor's desk, away from the threads that answer others.
async fn on_desk<T: Send + 'static>(
    app: &App,
    visitor: Visitor,
    act: impl FnOnce(&mut Desk) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    run(app.desks.of(visitor), act).await
}

async fn run<T: Send + 'static>(
    desk: Arc<Mutex<Desk>>,
    act: impl FnOnce(&mut Desk) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(move || {
        // A panic while the desk was locked would leave it half-way: start with an empty one then.
        let mut desk = desk.lock().unwrap_or_else(|poisoned| {
            let mut desk = poisoned.into_inner();
            *desk = Desk::default();
            desk
        });
        act(&mut desk)
    })
    .await
    .map_err(|error| Problem::internal("simulation", &error))?
}

/// Writes down what key and platform did, once a ceremony has ended on the desk. Without a
/// credential there is nothing for the relying party to check, and the challenge is closed.
async fn conclude(
    app: &App,
    visitor: Visitor,
    ended: Option<Ended>,
    mut view: Value,
) -> Result<axum::Json<Value>, Problem> {
    view["open"] = json!(true);
    if let Some(ended) = ended {
        let client = ended.client.to_string();
        app.store
            .set_client(&ended.started.id.0, visitor, &client)
            .await?;
        if let Some(failure) = ended.failure {
            fail(app, visitor, &ended.started, &failure.0, &failure.1).await?;
            view["open"] = json!(false);
        }
    }
    Ok(axum::Json(view))
}

async fn give_up(app: &App, visitor: Visitor, started: &Started) -> Result<(), Problem> {
    let reason = "Another ceremony was begun while this dialog was open.";
    fail(app, visitor, started, "AbortError", reason).await
}

async fn fail(
    app: &App,
    visitor: Visitor,
    started: &Started,
    name: &str,
    reason: &str,
) -> Result<(), Problem> {
    // Whether it is still open does not matter: it ends here either way.
    let _ = crate::session::close(app, visitor, started.kind, started.id).await;
    let verdict = json!({
        "accepted": false,
        "code": name,
        "detail": format!("The page is told {name} and no more."),
        "help": reason,
        "checks": [],
    });
    ceremony::finish(app, visitor, started.id, Outcome::Failed, &verdict).await
}

/// No dialog, or not this one.
fn nothing_pending(detail: &str) -> Problem {
    Problem::new(&NOTHING_PENDING, detail.to_owned())
}

/// The key is in use.
fn dialog_open() -> Problem {
    Problem::new(
        &DIALOG_OPEN,
        "Finish or cancel the dialog first: the key is in use.",
    )
}
